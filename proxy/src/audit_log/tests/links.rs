//! Links that lie where the log's files should: nothing is written through them.

use std::os::unix::fs::{MetadataExt as _, symlink};

use super::pipes::pipe;
use super::repair::find;
use super::*;
use crate::audit_log::segment::SegmentFile;

/// What somebody who can write in the folder wants to have destroyed: it has no line.
const KEY: &[u8] = b"a key that is not the log's";

fn small() -> AuditSettings {
    AuditSettings { segment_bytes: 2_000, ..settings() }
}

/// A file beside the log's folder.
fn target(home: &Home) -> PathBuf {
    let path = home.dir.path().join("target");
    fs::write(&path, KEY).unwrap();
    path
}

fn newest(home: &Home) -> u64 {
    *segment::numbers(&home.log_dir(), ".jsonl").unwrap().last().unwrap()
}

#[test]
fn a_segment_begins_in_the_place_of_what_lies_there_and_not_in_it() {
    let put: [fn(&Path, &Path); 5] = [
        |target, at| symlink(target, at).unwrap(),
        |target, at| fs::hard_link(target, at).unwrap(),
        |target, at| symlink(target.with_extension("none"), at).unwrap(),
        |_, at| symlink(at, at).unwrap(),
        |_, at| pipe(at),
    ];
    for (case, put) in put.into_iter().enumerate() {
        let home = Home::new();
        let target = target(&home);
        let (log, _) = home.open(small());
        write(&log, 0);
        put(&target, &segment::begun(&home.log_dir(), 1));
        (1..9).for_each(|number| write(&log, number));
        log.close();
        assert_eq!(fs::read(&target).unwrap(), KEY, "{case}");
        assert!(!target.with_extension("none").exists(), "{case}");
        let begun = home.segment(1).symlink_metadata().unwrap();
        assert!(begun.is_file() && begun.nlink() == 1 && begun.mode() & 0o777 == 0o600, "{case}");
        assert_eq!((home.verify(), home.check().doubts), (9 + newest(&home), vec![]), "{case}");
    }
}

#[test]
fn a_folder_where_a_segment_begins_is_told_and_costs_no_entry() {
    let home = Home::new();
    let (log, _) = home.open(small());
    write(&log, 0);
    let folder = segment::begun(&home.log_dir(), 1);
    fs::create_dir(&folder).unwrap();
    let said = SegmentFile::begin(&home.log_dir(), 1).err().unwrap().to_string();
    assert!(said.contains("audit-000001.jsonl.part") && said.contains("move it away"), "{said}");
    (1..9).for_each(|number| write(&log, number));
    assert_eq!((newest(&home), home.lines(0).len()), (0, 9), "the segment that is there goes on");
    fs::remove_dir(&folder).unwrap();
    let mut entries = 9;
    until(|| {
        write(&log, 9);
        newest(&home) > 0
    });
    entries += home.lines(0).len() as u64 - 9;
    log.close();
    assert!(home.verify() > entries);
    assert_eq!(home.check().doubts, []);
}

#[test]
fn a_start_writes_through_no_link() {
    let whole = Home::with(12, &small());
    let newest = format!("audit-{:06}.jsonl", newest(&whole));
    for name in ["lock", "tree", &newest] {
        // A link to something else, to what was there, and to nothing.
        for to in ["other", "moved", "none"] {
            let home = whole.copy();
            let (at, to) = (home.log_dir().join(name), home.dir.path().join(to));
            let before = fs::read(&at).unwrap_or_default();
            if to.ends_with("other") {
                fs::write(&to, KEY).unwrap();
            } else if to.ends_with("moved") {
                fs::write(&to, &before).unwrap();
            }
            let _ = fs::remove_file(&at);
            symlink(&to, &at).unwrap();
            let Err(error) = home.try_open(settings()) else { panic!("{name} {}: it goes on", to.display()) };
            let said = error.to_string();
            assert!(said.contains(name) && said.contains("it is a symbolic link"), "{said}");
            assert!(find(&home).is_err(), "{name} {}", to.display());
            let there = fs::read(&to).ok();
            match to.file_name().unwrap().to_str().unwrap() {
                "other" => assert_eq!(there.as_deref(), Some(KEY), "{name}"),
                "moved" => assert_eq!(there, Some(before), "{name}"),
                _ => assert_eq!(there, None, "{name}"),
            }
        }
    }
}

#[test]
fn the_folder_itself_may_lie_behind_a_link() {
    let home = Home::with(3, &settings());
    let elsewhere = home.dir.path().join("elsewhere");
    fs::rename(home.log_dir(), &elsewhere).unwrap();
    symlink(&elsewhere, home.log_dir()).unwrap();
    home.more(2, &settings());
    assert_eq!(home.verify(), 5);
}

#[test]
fn a_file_in_which_nothing_holds_and_that_has_another_name_is_not_written() {
    for text in [KEY, b""] {
        let home = Home::with(12, &small());
        let target = target(&home);
        fs::write(&target, text).unwrap();
        let next = newest(&home) + 1;
        fs::hard_link(&target, home.segment(next)).unwrap();
        let (log, opened) = home.open(settings());
        write(&log, 12);
        log.close();
        assert_eq!(opened.repaired, Some(text.len() as u64).filter(|length| *length > 0));
        assert_eq!(fs::read(&target).unwrap(), text);
        assert_eq!((home.segment(next).metadata().unwrap().nlink(), home.check().doubts), (1, vec![]));
    }
}

#[test]
fn a_repair_keeps_what_has_another_name_as_it_is() {
    let home = Home::with(12, &small());
    let target = target(&home);
    fs::write(&target, "a line\nanother\n").unwrap();
    fs::hard_link(&target, home.segment(newest(&home) + 1)).unwrap();
    assert!(matches!(home.try_open(settings()), Err(AuditLogError::Unsigned { .. })));
    let found = find(&home).unwrap().expect("damage");
    let taken = found.take_off(&home.key(), Arc::clone(&home.node), settings()).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "a line\nanother\n");
    assert_eq!(fs::read_to_string(taken.kept).unwrap(), "a line\nanother\n");
    home.more(1, &settings());
    assert_eq!(home.check().doubts, []);
}

#[test]
fn a_backup_of_hard_links_keeps_no_gate_from_starting() {
    let home = Home::with(3, &settings());
    let backup = home.dir.path().join("backup");
    fs::hard_link(home.segment(0), &backup).unwrap();
    home.more(2, &settings());
    assert_eq!(home.verify(), 5);
    assert_eq!(fs::read(backup).unwrap(), fs::read(home.segment(0)).unwrap());
}
