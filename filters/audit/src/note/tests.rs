use proptest::prelude::*;

use super::*;

/// A checkpoint as Go's `golang.org/x/mod/sumdb/note` signed it, and the key that goes with it.
const NOTE: &str = "node.example/audit\n300\ngRRDqFl+VdLkceLckH8+YgVUFKqQ2d4Fx4tnlbMbKfk=\n\n\u{2014} node.example/audit 4EqnnLoFclWTmmEfj1HNijQlS6NW0f4kqTS+7PiT4kiqklhat/k8r5/EZNqzxVn1oSmJ2bjP/6f4EA29JgspCHSSPA0=\n";
const KEY: &str = "node.example/audit+e04aa79c+Af0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY";

fn signing() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

#[test]
fn a_note_is_signed_as_go_signs_it() {
    let (note, key): (_, VerifierKey) = (Note::parse(NOTE.as_bytes()).unwrap(), KEY.parse().unwrap());
    assert_eq!(note.to_string(), NOTE);
    assert_eq!(key.to_string(), KEY);
    assert_eq!(note.verify(&key), Ok(()));
    assert_eq!(sign(&note.text, "node.example/audit", &signing()), Ok(note.signatures[0].clone()));
    assert!(note.signatures[0].is_by(&key));
}

#[test]
fn the_example_of_the_format_is_a_note() {
    let text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned \u{e8} subito sera.\n";
    let line = "\u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let note = Note::parse(format!("{text}\n{line}").as_bytes()).unwrap();
    assert_eq!(note.text, text);
    assert_eq!((note.signatures[0].name.as_str(), note.signatures[0].bytes.len()), ("quasimodo.example/salvatore", 64));
}

#[test]
fn signatures_of_others_are_ignored_and_those_that_claim_to_be_ours_must_hold() {
    let (mut note, key): (_, VerifierKey) = (Note::parse(NOTE.as_bytes()).unwrap(), KEY.parse().unwrap());
    let other = SigningKey::from_bytes(&[8; 32]);
    let same_name = sign("else\n", "node.example/audit", &other).unwrap();
    let same_id = NoteSignature { name: "else".to_owned(), ..note.signatures[0].clone() };
    note.signatures.insert(0, same_name.clone());
    note.signatures.push(same_id);
    assert_eq!(note.verify(&key), Ok(()));
    // The name and the id of ours, but not our signature.
    let claimed = NoteSignature { id: key.key_id(), ..same_name.clone() };
    note.signatures.push(claimed);
    assert_eq!(note.verify(&key), Err(NoteError::Signature("node.example/audit".to_owned())));
    note.signatures = vec![same_name];
    assert_eq!(note.verify(&key), Err(NoteError::Missing("node.example/audit".to_owned())));
    let mut changed = Note::parse(NOTE.as_bytes()).unwrap();
    changed.text = changed.text.replace("300", "301");
    assert_eq!(changed.verify(&key), Err(NoteError::Signature("node.example/audit".to_owned())));
    let witness = VerifierKey::new("node.example/audit", KeyKind::Cosignature, signing().verifying_key()).unwrap();
    assert_eq!(note.verify(&witness), Err(NoteError::Kind("node.example/audit".to_owned())));
}

#[test]
fn what_is_not_a_note_is_refused() {
    let text = "a\n1\n";
    for (what, note) in [
        ("no signature", format!("{text}\n")),
        ("no empty line", NOTE.replace("\n\n", "\n")),
        ("a torn line", NOTE.trim_end().to_owned()),
        ("a line too many", format!("{NOTE}\n")),
        ("a hyphen", NOTE.replace('\u{2014}', "-")),
        ("two spaces", NOTE.replace("\u{2014} ", "\u{2014}  ")),
        ("a space after", NOTE.replace("SSPA0=\n", "SSPA0= \n")),
        ("a carriage return", NOTE.replace('\n', "\r\n")),
        ("a tab", NOTE.replace("300", "\t300")),
        ("another alphabet", NOTE.replace("/6f4", "_6f4")),
        ("no padding", NOTE.replace("SSPA0=\n", "SSPA0\n")),
        ("bits that are nobody's", NOTE.replace("SSPA0=\n", "SSPA1=\n")),
        ("Base64 twice", NOTE.replace("SSPA0=\n", "SSPA0=AAA=\n")),
        ("a plus in its name", NOTE.replace("\u{2014} node", "\u{2014} no+de")),
        ("a wide space in its name", NOTE.replace("\u{2014} node", "\u{2014} no\u{2003}de")),
        ("no name", NOTE.replace("\u{2014} node.example/audit", "\u{2014} ")),
        ("an id alone", format!("{text}\n\u{2014} a AAAAAA==\n")),
        ("too many", format!("{text}\n{}", "\u{2014} a AAAAAAA=\n".repeat(MAX_SIGNATURES + 1))),
        ("too long", format!("{}\n{NOTE}", "a".repeat(MAX_NOTE))),
        ("nothing", String::new()),
    ] {
        assert!(Note::parse(note.as_bytes()).is_err(), "{what}");
    }
    let most = format!("{text}\n{}", "\u{2014} a AAAAAAA=\n".repeat(MAX_SIGNATURES));
    assert_eq!(Note::parse(most.as_bytes()).unwrap().to_string(), most);
    assert!(Note::parse(b"a\xff\n\n\xe2\x80\x94 a AAAAAAA=\n").is_err());
    for (text, name) in [("a", "n"), ("a\tb\n", "n"), ("a\n", ""), ("a\n", "n n"), ("a\n", "n+"), ("a\n", "n\n")] {
        assert!(sign(text, name, &signing()).is_err(), "{text:?} {name:?}");
    }
}

proptest! {
    #[test]
    fn what_is_parsed_is_written_as_it_was(bytes in proptest::collection::vec(any::<u8>(), 0..200), at: usize, byte: u8) {
        let mut changed = NOTE.as_bytes().to_vec();
        let at = at % changed.len();
        changed[at] = byte;
        for bytes in [bytes, changed] {
            if let Ok(note) = Note::parse(&bytes) {
                prop_assert_eq!(note.to_string().into_bytes(), bytes);
            }
        }
    }

    #[test]
    fn a_changed_byte_is_noticed(at: usize, flip in 1u8..=255) {
        let key: VerifierKey = KEY.parse().unwrap();
        let mut changed = NOTE.as_bytes().to_vec();
        let at = at % changed.len();
        changed[at] ^= flip;
        prop_assert!(Note::parse(&changed).and_then(|note| note.verify(&key)).is_err());
    }

    #[test]
    fn what_is_signed_is_verified(text in "(\\PC{0,10}\n){1,5}", name in "[a-z./:é]{1,40}", seed: [u8; 32]) {
        let signing = SigningKey::from_bytes(&seed);
        let note = Note { signatures: vec![sign(&text, &name, &signing).unwrap()], text };
        let read = Note::parse(note.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&read, &note);
        let key = VerifierKey::new(&name, KeyKind::Ed25519, signing.verifying_key()).unwrap();
        prop_assert_eq!(read.verify(&key), Ok(()));
    }
}
