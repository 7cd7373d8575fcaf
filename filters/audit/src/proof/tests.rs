use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::note::sign;
use crate::tree::{Tree, inclusion, leaf_hash};
use crate::verifier_key::KeyKind;

const NAME: &str = "node.example/audit";

fn signing() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn key() -> VerifierKey {
    VerifierKey::new(NAME, KeyKind::Ed25519, signing().verifying_key()).unwrap()
}

/// The proof of one of so many lines, each of which says its own number.
fn proof(index: u64, size: u64) -> Proof {
    let (mut tree, mut stored) = (Tree::default(), Vec::new());
    for i in 0..size {
        tree.push(leaf_hash(format!("line {i}").as_bytes()), &mut stored);
    }
    let nodes: Vec<Hash> = stored.chunks_exact(32).map(|hash| hash.try_into().unwrap()).collect();
    let text = Checkpoint { origin: NAME.to_owned(), size, root: tree.root() }.to_text();
    let signatures = vec![sign(&text, NAME, &signing()).unwrap()];
    Proof { extra: None, index, path: inclusion(&nodes, index, size).unwrap(), checkpoint: Note { text, signatures } }
}

#[test]
fn a_proof_is_the_one_of_the_published_format() {
    // The hashes and the note are those of Go's `golang.org/x/mod/sumdb/{tlog,note}`.
    let hashes = [
        "73d1a64b30d7f89505faf78d7601e74c08cc6d80c3d363ea287c2c916d8ca7cb",
        "8a7fa0e7c09e202c94ee3c9514b754cb20cee70ed4918702b857c07f6a327a2d",
        "6642084c46a3e05a0075a155a6dbc979fcc8d9e4f62d59de57b10cead897dc7d",
        "6d1c488edf67a56fa5b277812ab72336107ec6af11abf14c1ebb2c8f26694f91",
        "a178fbc113d931c2a96dc5db1679c5b98b84d02932b897ead16364fb1f7942d5",
        "67b3cf501f78a6516e57adb576493b56d3d3d6c14003ba1b37ab92946812c68b",
        "1ba5b02ad53646af4acc5c0cbebc20189ce1807117fcf50a5b327eaa714a56d3",
        "4982ecc7639a01cef299f663d650af7fd7459dd5a5cf4f4cb5262fc4e8a3b4a9",
        "2f958017fe92c3378bd98a46154a73df5e8de9c7e231dc66e6b51aa4e2994ca2",
    ]
    .map(|hex| BASE64.encode(&data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()))
    .join("\n");
    let note = "node.example/audit\n300\ngRRDqFl+VdLkceLckH8+YgVUFKqQ2d4Fx4tnlbMbKfk=\n\n\u{2014} node.example/audit 4EqnnLoFclWTmmEfj1HNijQlS6NW0f4kqTS+7PiT4kiqklhat/k8r5/EZNqzxVn1oSmJ2bjP/6f4EA29JgspCHSSPA0=\n";
    let text = format!("c2sp.org/tlog-proof@v1\nindex 123\n{hashes}\n\n{note}");
    let ours = proof(123, 300);
    assert_eq!(ours.to_string(), text);
    assert_eq!(Proof::parse(text.as_bytes()).as_ref(), Ok(&ours));
    assert_eq!(ours.verify(&leaf_hash(b"line 123"), &key()).map(|checkpoint| checkpoint.size), Ok(300));
    assert_eq!(ours.verify(&leaf_hash(b"line 124"), &key()), Err(TlogProofError::Path(ProofError::Root)));
    let other = VerifierKey::new("another", KeyKind::Ed25519, signing().verifying_key()).unwrap();
    assert!(matches!(ours.verify(&leaf_hash(b"line 123"), &other), Err(TlogProofError::Checkpoint(_))));
    let with = Proof { extra: Some(b"{}".to_vec()), ..ours };
    let text = text.replacen("@v1\n", "@v1\nextra e30=\n", 1);
    assert_eq!(with.to_string(), text);
    assert_eq!(Proof::parse(text.as_bytes()), Ok(with));
}

#[test]
fn what_is_not_a_proof_is_refused() {
    let text = proof(2, 3).to_string();
    let hash = format!("{}\n", BASE64.encode(&[7; 32]));
    let long = text.replacen("index 2\n", &format!("index 2\n{}", hash.repeat(63)), 1);
    assert!(Proof::parse(long.as_bytes()).is_err());
    let full = text.replacen("index 2\n", &format!("index 2\n{}", hash.repeat(62)), 1);
    assert_eq!(Proof::parse(full.as_bytes()).unwrap().path.len(), 63);
    for (what, changed) in [
        ("another version", text.replacen("@v1", "@v2", 1)),
        ("no header", text.replacen("c2sp.org/tlog-proof@v1\n", "", 1)),
        ("no index", text.replacen("index 2\n", "", 1)),
        ("a zero before", text.replacen("index 2", "index 02", 1)),
        ("not a number", text.replacen("index 2", "index -2", 1)),
        ("extra after", text.replacen("index 2\n", "index 2\nextra e30=\n", 1)),
        ("extra twice", text.replacen("index 2\n", "extra e30=\nextra e30=\nindex 2\n", 1)),
        ("extra that is not Base64", text.replacen("index 2\n", "extra {}\nindex 2\n", 1)),
        ("an empty line too many", text.replacen("\n\n", "\n\n\n\n", 1)),
        ("no note", text.split("\n\n").next().unwrap().to_owned()),
        ("carriage returns", text.replace('\n', "\r\n")),
    ] {
        let found = Proof::parse(changed.as_bytes());
        let verified = found.as_ref().ok().and_then(|proof| proof.verify(&leaf_hash(b"line 2"), &key()).ok());
        assert!(verified.is_none(), "{what}: {found:?}");
    }
    assert!(Proof::parse(&vec![b'a'; MAX_PROOF + 1]).is_err());
}

proptest! {
    #[test]
    fn a_changed_byte_is_noticed_or_changes_nothing(at: usize, byte: u8) {
        let proof = proof(5, 9);
        let mut changed = proof.to_string().into_bytes();
        let at = at % changed.len();
        changed[at] = byte;
        if let Ok(read) = Proof::parse(&changed) {
            prop_assert_eq!(read.to_string().into_bytes(), changed.clone());
            if read.verify(&leaf_hash(b"line 5"), &key()).is_ok() {
                prop_assert_eq!(read, proof);
            }
        }
    }
}
