//! Logs that were changed while no gate ran: they are not continued.

use super::refused::{everything, refused};
use super::*;

#[test]
fn a_changed_end() {
    let home = Home::with(3, &settings());
    let text = fs::read_to_string(home.segment(0)).unwrap();
    let at = text.rfind("/api/chat/2").unwrap();
    let changed = format!("{}/api/show/2{}", &text[..at], &text[at + 11..]);
    fs::write(home.segment(0), &changed).unwrap();
    refused(&home, "another entry stands");
    fs::remove_file(home.log_dir().join("state.json")).unwrap();
    refused(&home, "its seal does not hold");
}

#[test]
fn a_cut_end() {
    for keep in 0..3 {
        let home = Home::with(3, &settings());
        fs::write(home.segment(0), home.lines(0)[..keep].concat()).unwrap();
        refused(&home, "cut off");
        // Who removes the place that was durable meets the checkpoint.
        fs::remove_file(home.log_dir().join("state.json")).unwrap();
        refused(&home, "cut off");
    }
}

#[test]
fn another_log_under_the_same_key() {
    let home = Home::with(3, &settings());
    let other = home.copy();
    fs::remove_dir_all(other.log_dir()).unwrap();
    other.more(5, &settings());
    for file in ["audit-000000.jsonl", "state.json", "tree"] {
        fs::copy(other.log_dir().join(file), home.log_dir().join(file)).unwrap();
    }
    // State and tree fit the forged lines; the checkpoint does not.
    fs::remove_file(home.log_dir().join("state.json")).unwrap();
    refused(&home, "its entries are not those that");
}

#[test]
fn a_tree_of_another_log() {
    let home = Home::with(3, &settings());
    let mut tree = fs::read(home.log_dir().join("tree")).unwrap();
    tree[70] ^= 1;
    fs::write(home.log_dir().join("tree"), &tree).unwrap();
    refused(&home, "the file `tree` is of another log");
    fs::write(home.log_dir().join("tree"), &tree[..64]).unwrap();
    refused(&home, "the file `tree` holds fewer entries");
    // It can be made anew from the lines.
    fs::remove_file(home.log_dir().join("state.json")).unwrap();
    let (log, opened) = home.open(settings());
    assert_eq!(opened.read_anew, Some(3));
    write(&log, 3);
    log.close();
    assert_eq!(home.verify(), 5, "one says that all was read anew");
}

#[test]
fn a_state_that_nobody_sealed() {
    let home = Home::with(3, &settings());
    let path = home.log_dir().join("state.json");
    let text = fs::read_to_string(&path).unwrap();
    portcullis_certs::files::write_private(&path, text.replace("\"entries\":3", "\"entries\":2").as_bytes()).unwrap();
    let (_log, opened) = home.open(settings());
    assert_eq!(opened.read_anew, Some(3), "it does not count");
}

#[test]
fn a_segment_is_missing() {
    let home = Home::with(30, &AuditSettings { segment_bytes: 2_000, ..settings() });
    fs::remove_file(home.segment(1)).unwrap();
    fs::remove_file(home.log_dir().join("state.json")).unwrap();
    let before = everything(&home);
    assert!(home.try_open(settings()).is_err());
    assert!(before == everything(&home));
}

#[test]
fn what_a_failed_beginning_of_a_segment_left_is_no_hindrance() {
    for left in ["", "{\"code\": \"\", \"da"] {
        let home = Home::new();
        let (log, _) = home.open(AuditSettings { segment_bytes: 2_000, ..settings() });
        write(&log, 0);
        fs::write(segment::begun(&home.log_dir(), 1), left).unwrap();
        (1..9).for_each(|number| write(&log, number));
        drop(log);
        assert!(home.verify() > 9);
    }
    // A segment that is one is never touched.
    let home = Home::new();
    let (log, _) = home.open(AuditSettings { segment_bytes: 2_000, ..settings() });
    fs::write(home.segment(1), "a line\n").unwrap();
    (0..9).for_each(|number| write(&log, number));
    drop(log);
    assert_eq!(home.lines(0).len(), 9, "the segment that is there goes on");
    assert_eq!(fs::read_to_string(home.segment(1)).unwrap(), "a line\n");
}

#[test]
fn a_place_that_the_newest_checkpoint_is_not_over() {
    // Who has the keys of the seals, and not the node's, can make lines, tree and state, but no checkpoint over them.
    let home = Home::with(3, &settings());
    let first = fs::read(segment::checkpoint(&home.log_dir(), 0)).unwrap();
    home.more(2, &settings());
    let newest = fs::read(segment::checkpoint(&home.log_dir(), 0)).unwrap();
    fs::write(segment::checkpoint(&home.log_dir(), 0), first).unwrap();
    refused(&home, "a checkpoint was deleted, or an older one put in its place");
    fs::remove_file(segment::checkpoint(&home.log_dir(), 0)).unwrap();
    refused(&home, "a checkpoint was deleted, or an older one put in its place");
    fs::write(segment::checkpoint(&home.log_dir(), 0), newest).unwrap();
    home.more(1, &settings());
    assert_eq!(home.verify(), 6);
}

#[test]
fn a_tree_that_tells_of_more() {
    let cut = |lines: usize| {
        let home = Home::with(5, &settings());
        fs::write(home.segment(0), home.lines(0)[..lines].concat()).unwrap();
        for file in ["state.json", "audit-000000.checkpoint"] {
            fs::remove_file(home.log_dir().join(file)).unwrap();
        }
        home
    };
    for lines in 1..5 {
        let home = cut(lines);
        let tree = fs::read(home.log_dir().join("tree")).unwrap();
        refused(&home, "the newest were cut off");
        assert_eq!(fs::read(home.log_dir().join("tree")).unwrap(), tree, "it is evidence");
    }
    let home = cut(5);
    let mut tree = fs::read(home.log_dir().join("tree")).unwrap();
    tree[40] ^= 1;
    fs::write(home.log_dir().join("tree"), &tree).unwrap();
    refused(&home, "not those in the file `tree`");
    // What was under way when the power went is no evidence of anything.
    tree[32..64].fill(0);
    tree.extend([0; 80]);
    fs::write(home.log_dir().join("tree"), &tree).unwrap();
    home.more(1, &settings());
    assert_eq!(home.verify(), 7, "and the entry that all was read anew");
}
