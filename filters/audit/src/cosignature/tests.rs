use super::*;

const TEXT: &str = "node.example/audit\n300\ngRRDqFl+VdLkceLckH8+YgVUFKqQ2d4Fx4tnlbMbKfk=\n";
/// Made with Go's `crypto/ed25519` and the message of the published format.
const LINE: &str = "\u{2014} witness.example/w1 VnzeCQAAAABkGFDLLCCsrq4dMkVjsh1wpcc6G3w95xMUAC4m34mqMQt2U25K45kE4r2kYZmX9Lh1w3bZhOt2oT2hABaF0ALsH+NPAA==\n";
const KEY: &str = "witness.example/w1+567cde09+BG56HN0psLeP0Tr0xVmP7/TvKpcWbjym8uT7/M2AUFvx";
const TIME: u64 = 1_679_315_147;

fn signing() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

#[test]
fn a_cosignature_is_the_one_of_the_published_format() {
    let key: VerifierKey = KEY.parse().unwrap();
    let signature = cosign(TEXT, "witness.example/w1", &signing(), TIME).unwrap();
    assert_eq!(signature.to_string(), LINE);
    let note = Note { text: TEXT.to_owned(), signatures: NoteSignature::parse_all(LINE).unwrap() };
    assert_eq!(verify_cosignature(&note, &key), Ok(TIME));
}

#[test]
fn a_cosignature_holds_for_its_checkpoint_time_and_key_alone() {
    let key: VerifierKey = KEY.parse().unwrap();
    let signature = cosign(TEXT, "witness.example/w1", &signing(), TIME).unwrap();
    let verify = |text: &str, signature: &NoteSignature, key| {
        verify_cosignature(&Note { text: text.to_owned(), signatures: vec![signature.clone()] }, key)
    };
    let wrong = Err(NoteError::Signature("witness.example/w1".to_owned()));
    assert_eq!(verify(&TEXT.replace("300", "301"), &signature, &key), wrong);
    for at in 0..signature.bytes.len() {
        let mut changed = signature.clone();
        changed.bytes[at] ^= 0x80;
        assert_eq!(verify(TEXT, &changed, &key), wrong, "{at}");
    }
    for length in [0, 8, 64, 71] {
        let short = NoteSignature { bytes: signature.bytes[..length].to_vec(), ..signature.clone() };
        assert_eq!(verify(TEXT, &short, &key), wrong);
    }
    // The signature of a note is not a cosignature, whatever its key's bytes are.
    let log = VerifierKey::new("witness.example/w1", KeyKind::Ed25519, signing().verifying_key()).unwrap();
    assert_eq!(verify(TEXT, &signature, &log), Err(NoteError::Kind("witness.example/w1".to_owned())));
    let plain = crate::note::sign(TEXT, "witness.example/w1", &signing()).unwrap();
    assert_eq!(verify(TEXT, &plain, &key), Err(NoteError::Missing("witness.example/w1".to_owned())));
}

#[test]
fn only_checkpoints_are_countersigned() {
    for (text, name, time) in
        [("hello\n", "w", TIME), (TEXT, "w w", TIME), (TEXT, "w", u64::MAX), (&format!("{TEXT}more\n"), "w", TIME)]
    {
        assert!(cosign(text, name, &signing(), time).is_err(), "{text} {name} {time}");
    }
    assert!(cosign(TEXT, "w", &signing(), MAX_TIME).is_ok());
}
