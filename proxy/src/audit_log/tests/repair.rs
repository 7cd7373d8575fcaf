//! A log with damage at its end: what no checkpoint is over can be taken off, and nothing else.

use portcullis_audit::Line;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::audit_log::repair::Damaged;

/// What a power cut leaves of a log of twelve entries, the first five of which were signed: the others were never synced.
pub(super) fn cut_short() -> Home {
    let home = Home::with(5, &settings());
    let (log, _) = home.open(settings());
    for number in 5..12 {
        write(&log, number);
    }
    let left = home.copy();
    log.close();
    left
}

/// Puts zeros where this line of segment 0 stands, its newline included where there is more behind.
fn zero(home: &Home, line: usize) -> u64 {
    let mut lines = home.lines(0);
    let begin = lines[..line].concat().len() as u64;
    lines[line].fill(0);
    fs::write(home.segment(0), lines.concat()).unwrap();
    begin
}

pub(super) fn find(home: &Home) -> Result<Option<Damaged>, AuditLogError> {
    Damaged::find(&home.log_dir(), &home.key(), &home.node)
}

fn files(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(home.log_dir()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn what_a_power_cut_left_is_taken_off_kept_and_told() {
    for line in 5..12 {
        let home = cut_short();
        let begin = zero(&home, line);
        let damaged = fs::read(home.segment(0)).unwrap().split_off(begin as usize);
        let before = files(&home);
        // A line at the very end, without its newline, is a torn one, which a start takes off itself.
        if line == 11 {
            assert!(find(&home).unwrap().is_none());
            assert_eq!(home.open(settings()).1.repaired, Some(damaged.len() as u64));
            continue;
        }
        match home.try_open(settings()) {
            Err(error @ AuditLogError::Unsigned { .. }) => {
                assert!(error.to_string().contains("portcullis audit repair"), "{error}");
            }
            _ => panic!("line {line}"),
        }
        let found = find(&home).unwrap().expect("damage");
        assert_eq!(found.damage.entries, line as u64);
        assert_eq!((found.damage.signed, found.damage.holds), (5, begin));
        assert_eq!(found.damage.bytes, damaged.len() as u64);
        assert_eq!(files(&home), before, "a look changes nothing");
        let taken = found.take_off(&home.key(), Arc::clone(&home.node), settings()).unwrap();
        assert_eq!(fs::read(&taken.kept).unwrap(), damaged);
        assert_eq!(home.verify(), line as u64 + 1);
        let lines = home.lines(0);
        let note = Line::read(lines[line].strip_suffix(b"\n").unwrap()).unwrap();
        let says = |name| note.field(name).and_then(|value| value.text().map(String::from)).unwrap();
        assert_eq!(note.event_type, "audit.repaired");
        assert_eq!(says("path"), format!("damaged-000000-{line:012}"));
        assert_eq!(says("output_sha256"), data_encoding::HEXLOWER.encode(&Sha256::digest(&damaged)));
        home.more(1, &settings());
        assert_eq!(home.verify(), line as u64 + 2);
        assert!(find(&home).unwrap().is_none());
    }
}

#[test]
fn what_was_signed_is_never_taken_off() {
    for line in 0..5 {
        for without_state in [false, true] {
            let home = cut_short();
            zero(&home, line);
            if without_state {
                fs::remove_file(home.log_dir().join("state.json")).unwrap();
            } else if line < 2 {
                // A start looks at the newest two signed lines alone, which hold.
                assert!(find(&home).unwrap().is_none());
                continue;
            }
            let before = files(&home);
            assert!(matches!(find(&home), Err(AuditLogError::Damaged { .. })), "line {line}");
            assert_eq!(files(&home), before);
        }
    }
}

#[test]
fn an_earlier_segment_is_never_taken_off() {
    let home = Home::new();
    let small = AuditSettings { segment_bytes: 2_000, ..settings() };
    home.more(12, &small);
    let (log, _) = home.open(small);
    write(&log, 12);
    let home = home.copy();
    log.close();
    fs::remove_file(home.log_dir().join("state.json")).unwrap();
    zero(&home, 1);
    assert!(matches!(find(&home), Err(AuditLogError::Damaged { .. })));
}

#[test]
fn nothing_is_written_over_what_was_kept_before() {
    let home = cut_short();
    zero(&home, 8);
    let kept = home.log_dir().join("damaged-000000-000000000008");
    fs::write(&kept, "kept earlier").unwrap();
    fs::write(kept.with_extension("part"), "half of a copy").unwrap();
    let taken =
        find(&home).unwrap().expect("damage").take_off(&home.key(), Arc::clone(&home.node), settings()).unwrap();
    assert_eq!(fs::read(&kept).unwrap(), b"kept earlier");
    assert_eq!(taken.kept, kept.with_extension("1"));
    assert_eq!(fs::read(taken.kept).unwrap().len() as u64, taken.bytes);
    assert!(!kept.with_extension("part").exists());
    assert_eq!(home.verify(), 9);
}

#[test]
fn a_repair_that_ended_before_its_cut_is_begun_again() {
    let home = cut_short();
    let begin = zero(&home, 8);
    let damaged = fs::read(home.segment(0)).unwrap().split_off(begin as usize);
    let kept = home.log_dir().join("damaged-000000-000000000008");
    fs::write(&kept, &damaged).unwrap();
    let taken =
        find(&home).unwrap().expect("damage").take_off(&home.key(), Arc::clone(&home.node), settings()).unwrap();
    assert_eq!((taken.kept, fs::read(&kept).unwrap()), (kept.clone(), damaged));
    assert_eq!(home.verify(), 9);
}

#[test]
fn a_hole_at_the_beginning_of_a_segment_is_one_like_any_other() {
    let home = Home::new();
    let small = AuditSettings { segment_bytes: 2_000, ..settings() };
    let (log, _) = home.open(small);
    let mut number = 0;
    while log.shared.current_segment() < 2 {
        write(&log, number);
        number += 1;
    }
    write(&log, number);
    let home = home.copy();
    log.close();
    let mut bytes = fs::read(home.segment(2)).unwrap();
    let ended = number as usize;
    bytes[..300].fill(0);
    fs::write(home.segment(2), &bytes).unwrap();
    assert!(matches!(home.try_open(settings()), Err(AuditLogError::Unsigned { .. })));
    let taken =
        find(&home).unwrap().expect("damage").take_off(&home.key(), Arc::clone(&home.node), settings()).unwrap();
    assert_eq!((taken.holds, taken.bytes), (0, bytes.len() as u64));
    home.more(1, &settings());
    assert!(home.verify() > ended as u64);
    assert_eq!(home.doubts(), ["", ""]);
}

#[test]
fn an_empty_segment_that_nobody_began_is_not_gone_on_with() {
    let home = cut_short();
    fs::write(home.segment(1), "").unwrap();
    match home.try_open(settings()) {
        Err(AuditLogError::Damaged { why, .. }) => assert!(why.contains("the gate did not make this file"), "{why}"),
        _ => panic!("it goes on"),
    }
    fs::remove_file(home.segment(1)).unwrap();
    home.more(1, &settings());
    assert_eq!(home.verify(), 13);
}

#[test]
fn a_gate_that_runs_is_left_alone() {
    let home = cut_short();
    let (_log, _) = home.open(settings());
    assert!(matches!(find(&home), Err(AuditLogError::Busy(_))));
}

#[test]
fn nothing_is_taken_off_a_log_that_is_refused_for_its_beginning() {
    let home = Home::new();
    let small = AuditSettings { segment_bytes: 2_000, ..settings() };
    let (log, _) = home.open(small);
    let mut number = 0;
    while log.shared.current_segment() < 3 {
        write(&log, number);
        number += 1;
    }
    write(&log, number);
    write(&log, number);
    let home = home.copy();
    log.close();
    // Nobody told that this segment was deleted.
    fs::remove_file(home.segment(0)).unwrap();
    let mut bytes = fs::read(home.segment(3)).unwrap();
    let last = bytes.len() - 100;
    bytes[last - 1_000..last - 900].fill(0);
    fs::write(home.segment(3), bytes).unwrap();
    let before = files(&home);
    match find(&home) {
        Err(AuditLogError::Damaged { why, .. }) => assert!(why.contains("is its first segment"), "{why}"),
        Err(error) => panic!("{error}"),
        Ok(found) => panic!("{:?}", found.map(|found| found.damage)),
    }
    assert_eq!(files(&home), before);
}
