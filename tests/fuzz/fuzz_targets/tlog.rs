//! Notes, checkpoints, proofs and submissions: nothing panics, each has one text, and nothing made up is proved.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_audit::{
    Checkpoint, Note, Proof, Submission, VerifierKey, leaf_hash, submission, tree, verify_cosignature,
};

fuzz_target!(|bytes: &[u8]| {
    let log: VerifierKey =
        "node.example/audit+e04aa79c+Af0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY".parse().expect("a key");
    let witness: VerifierKey =
        "witness.example/w1+567cde09+BG56HN0psLeP0Tr0xVmP7/TvKpcWbjym8uT7/M2AUFvx".parse().expect("a key");
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
        let _ = (note.verify(&log), verify_cosignature(&note, &witness));
    }
    if let Ok(proof) = Proof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
        let _ = proof.verify(&leaf_hash(bytes), &log);
        if let Ok(checkpoint) = Checkpoint::parse(&proof.checkpoint.text) {
            let (size, root) = (checkpoint.size, checkpoint.root);
            // Its leaf would have to contain what it hashes to.
            let shown = tree::verify_inclusion(&leaf_hash(bytes), proof.index, size, &proof.path, &root);
            assert!(shown.is_err(), "an accident of SHA-256");
            let _ = tree::verify_consistency(proof.index, &root, size, &root, &proof.path);
        }
    }
    if let Ok(asked) = Submission::parse(bytes) {
        assert_eq!(asked.to_string().as_bytes(), bytes);
        assert!(asked.checkpoint().is_ok_and(|checkpoint| checkpoint.size >= asked.old));
    }
    if let Ok(signatures) = submission::read_cosignatures(bytes) {
        assert_eq!(submission::write_cosignatures(&signatures).as_bytes(), bytes);
    }
    if let Some(size) = submission::read_size(bytes) {
        assert_eq!(submission::write_size(size).as_bytes(), bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.to_text(), text);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
});
