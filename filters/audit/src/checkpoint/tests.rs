use ed25519_dalek::SigningKey;

use super::*;
use crate::note::sign;
use crate::verifier_key::KeyKind;

const TEXT: &str = "node.example/audit\n300\ngRRDqFl+VdLkceLckH8+YgVUFKqQ2d4Fx4tnlbMbKfk=\n";

#[test]
fn a_checkpoint_has_one_text() {
    let checkpoint = Checkpoint::parse(TEXT).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("node.example/audit", 300));
    assert_eq!(checkpoint.to_text(), TEXT);
    let empty = Checkpoint { size: 0, ..checkpoint.clone() };
    assert_eq!(Checkpoint::parse(&empty.to_text()), Ok(empty));
    let most = Checkpoint { size: MAX_SIZE, ..checkpoint };
    assert_eq!(Checkpoint::parse(&most.to_text()), Ok(most));
    for (what, text) in [
        ("no origin", TEXT.replace("node.example/audit", "")),
        ("a zero before", TEXT.replace("300", "0300")),
        ("a sign", TEXT.replace("300", "+300")),
        ("no size", TEXT.replace("300", "")),
        ("too large", TEXT.replace("300", "9223372036854775808")),
        ("much too large", TEXT.replace("300", "99999999999999999999999")),
        ("a short root", TEXT.replace("gRRD", "")),
        ("a root without padding", TEXT.replace('=', "")),
        ("an extension", format!("{TEXT}more\n")),
        ("an empty line", format!("{TEXT}\n")),
        ("a torn line", TEXT.trim_end().to_owned()),
        ("a tab", TEXT.replace("node", "\tnode")),
        ("two lines", TEXT.replace("300\n", "")),
    ] {
        assert!(Checkpoint::parse(&text).is_err(), "{what}");
    }
}

#[test]
fn a_checkpoint_opens_with_the_key_of_its_log_alone() {
    let signing = SigningKey::from_bytes(&[9; 32]);
    let key = |name| VerifierKey::new(name, KeyKind::Ed25519, signing.verifying_key()).unwrap();
    let note = |text: &str, name| Note { text: text.to_owned(), signatures: vec![sign(text, name, &signing).unwrap()] };
    let opened = SignedCheckpoint::open(&note(TEXT, "node.example/audit"), &key("node.example/audit")).unwrap();
    assert_eq!(opened.checkpoint(), &Checkpoint::parse(TEXT).unwrap());
    // The same key, but another log.
    let other = SignedCheckpoint::open(&note(TEXT, "node.example/other"), &key("node.example/other"));
    assert!(matches!(other, Err(CheckpointError::Origin { .. })));
    let unsigned = SignedCheckpoint::open(&note(TEXT, "node.example/other"), &key("node.example/audit"));
    assert!(matches!(unsigned, Err(CheckpointError::Note(NoteError::Missing(_)))));
    let nothing = SignedCheckpoint::open(&note("hello\n", "node.example/audit"), &key("node.example/audit"));
    assert!(matches!(nothing, Err(CheckpointError::Malformed(_))));
}
