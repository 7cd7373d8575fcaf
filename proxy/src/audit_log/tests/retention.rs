//! What is compressed and deleted, and what is believed of it.

use super::*;
use crate::audit_log::check::{self, Report, SealKeys};

impl Home {
    fn check_files(&self, files: &[PathBuf]) -> Report {
        check::files(files, &SealKeys::Unknown, None, &[], &mut |_, _| {}).unwrap()
    }
}

/// Small segments, all of them plain.
fn small() -> AuditSettings {
    AuditSettings { segment_bytes: 2_000, ..settings() }
}

#[test]
fn a_start_tells_from_which_segment_on_it_needs_what_is_there() {
    let home = Home::with(10, &small());
    let state = home.log_dir().join("state.json");
    let kept = fs::read(&state).unwrap();
    let signer = checkpoints::verifier_key(&home.node.public()).unwrap();
    let needed = |home: &Home| {
        let end = resume::end_of_log(&home.log_dir(), &home.key().segments(), &signer).unwrap();
        (end.signed_in, end.segment.unwrap().0)
    };
    let (before, newest) = needed(&home);
    assert_eq!(before, newest);
    home.more(20, &small());
    // The power went after a checkpoint was signed, and before the place was noted.
    portcullis_certs::files::write_private(&state, &kept).unwrap();
    let (needed, newest) = needed(&home);
    assert!(needed == before && newest > before, "{needed} {before} {newest}");
}

#[test]
fn the_last_segment_that_there_can_be_is_a_doubt_and_no_overflow() {
    let home = Home::with(30, &small());
    let mut lines = home.lines(1);
    lines[0] = String::from_utf8(lines[0].clone())
        .unwrap()
        .replace("\"segment\": 1", &format!("\"segment\": {}", u64::MAX))
        .into_bytes();
    let last = home.dir.path().join("last.jsonl");
    fs::write(&last, lines.concat()).unwrap();
    let report = home.check_files(&[last, home.segment(2)]);
    let said = report.doubts.iter().any(|doubt| doubt.why.contains(&format!("stands after segment {}", u64::MAX)));
    assert!(said, "{:?}", report.doubts);
}

#[test]
fn a_file_that_is_named_like_another_segment_is_a_doubt() {
    let home = Home::with(30, &small());
    assert_eq!(home.check_files(&[home.segment(1)]).doubts, []);
    let named = |name: &str, bytes: &[u8]| {
        let path = home.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        home.check_files(&[path]).doubts.iter().map(|doubt| doubt.why.clone()).collect::<Vec<_>>()
    };
    let bytes = home.lines(1).concat();
    let packed = zstd::encode_all(&*bytes, 3).unwrap();
    for (name, bytes) in [("audit-000005.jsonl", &bytes), ("audit-000005.jsonl.zst", &packed)] {
        assert_eq!(named(name, bytes), ["its name is that of segment 5, and it holds segment 1"], "{name}");
    }
    assert_eq!(named("anything.jsonl", &bytes), [""; 0]);
    let first = fs::read(home.segment(0)).unwrap();
    assert_eq!(named("audit-000005.jsonl", &first), ["its name is that of segment 5, and it holds segment 0"]);
}
