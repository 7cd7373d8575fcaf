//! Starts that are refused change nothing, and which files beside a log they look at.

use std::collections::BTreeMap;

use super::checks::segmented;
use super::*;
use crate::audit_log::check::SealKeys;
use crate::audit_log::state::State;

/// Everything in the folder, byte for byte, but for the lock.
pub(super) fn everything(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = [home.dir.path().to_owned(), home.log_dir()].into_iter().flat_map(|dir| fs::read_dir(dir).unwrap());
    let files = files.map(|file| file.unwrap().path()).filter(|path| path.is_file() && !path.ends_with("lock"));
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// This log is not continued, for this reason, and stays as it is.
pub(super) fn refused(home: &Home, why: &str) {
    let before = everything(home);
    match home.try_open(settings()) {
        Err(error @ AuditLogError::Damaged { .. }) => {
            let said = error.to_string();
            assert!(said.contains(why) && said.contains("portcullis audit verify"), "{said}");
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it goes on: {why}"),
    }
    let after = everything(home);
    assert!(before.keys().eq(after.keys()), "{why}: {:?} {:?}", before.keys(), after.keys());
    assert!(before == after, "{why}: something was changed");
}

/// A log of some segments, all of them plain.
fn long() -> Home {
    Home::with(40, &AuditSettings { compress: false, ..segmented() })
}

fn newest(home: &Home) -> u64 {
    *segment::numbers(&home.log_dir(), ".jsonl").unwrap().last().unwrap()
}

#[test]
fn a_key_that_is_missing_beside_a_log_is_not_made_anew() {
    let packed = Home::with(3, &settings());
    fs::rename(packed.segment(0), segment::compressed(&packed.log_dir(), 0)).unwrap();
    let signed = Home::with(3, &settings());
    fs::remove_file(signed.segment(0)).unwrap();
    for whole in [long(), packed, signed] {
        for gone in [&[FIRST][..], &[MASTER], &[FIRST, MASTER]] {
            let home = whole.copy();
            gone.iter().for_each(|name| fs::remove_file(home.dir.path().join(name)).unwrap());
            let before = everything(&home);
            let Err(said) = AuditKey::load_or_create(home.dir.path()) else { panic!("{gone:?}: made anew") };
            let said = said.to_string();
            assert!(said.contains(gone[0]) && said.contains("put the key back from the backup"), "{said}");
            assert!(before == everything(&home), "{gone:?}: something was changed");
            assert_eq!(missing(home.dir.path(), gone[0]), Some(said));
        }
    }
    // Where there is no log yet, both are made.
    let home = Home::new();
    home.key();
    assert_eq!(everything_but_log(&home), [MASTER, FIRST]);
}

fn everything_but_log(home: &Home) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(home.dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    names.into_iter().map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn a_torn_end_of_a_log_that_is_refused_stays() {
    let home = long();
    let newest = newest(&home);
    let mut bytes = home.lines(newest).concat();
    bytes.extend_from_slice(b"{\"code\": \"");
    fs::write(home.segment(newest), &bytes).unwrap();
    let other = home.copy();
    // Its tree says more than it has; what is behind its place is evidence, too.
    let mut tree = fs::read(tree_file::path(&home.log_dir())).unwrap();
    *tree.last_mut().unwrap() ^= 1;
    tree.extend_from_slice(&[1; 320]);
    fs::write(tree_file::path(&home.log_dir()), tree).unwrap();
    refused(&home, "the file `tree` is of another log");
    let text = String::from_utf8(bytes).unwrap();
    let at = text.rfind("/api/chat/").unwrap();
    fs::write(home.segment(newest), format!("{}/api/show/{}", &text[..at], &text[at + 10..])).unwrap();
    refused(&home, "another entry stands");
    // One that is continued is mended: the line that nobody was told of goes.
    fs::remove_file(State::path(&other.log_dir())).unwrap();
    let (_log, opened) = other.open(settings());
    assert_eq!(opened.repaired, Some(10));
}

#[test]
fn a_tree_that_is_gone_is_not_begun_by_a_start_that_is_refused() {
    let home = long();
    // Nor does what a writer left half written go: it may say what happened.
    fs::write(home.log_dir().join("state.json.0123456789abcdef.new"), "half").unwrap();
    fs::remove_file(tree_file::path(&home.log_dir())).unwrap();
    refused(&home, "the file `tree` holds fewer entries");
    // Nor where the first entries are not there that it could be made from.
    fs::remove_file(State::path(&home.log_dir())).unwrap();
    fs::remove_file(home.segment(0)).unwrap();
    refused(&home, "the file `tree` holds fewer than the");
}

#[test]
fn a_log_of_which_only_the_segments_were_deleted_is_not_begun_anew() {
    let home = long();
    for number in 0..=newest(&home) {
        fs::remove_file(home.segment(number)).unwrap();
    }
    refused(&home, "and not the segment that it was signed for");
    for number in segment::numbers(&home.log_dir(), ".checkpoint").unwrap() {
        fs::remove_file(segment::checkpoint(&home.log_dir(), number)).unwrap();
    }
    refused(&home, "and no segment");
    fs::remove_file(tree_file::path(&home.log_dir())).unwrap();
    refused(&home, "and no segment");
    fs::remove_file(State::path(&home.log_dir())).unwrap();
    home.more(1, &settings());
    assert_eq!(home.check().doubts, []);
}

/// What lies beside a log, what a start says of it (nothing: it goes on), and what a check says.
struct Stray {
    what: &'static str,
    put: fn(&Home),
    start: &'static str,
    check: &'static str,
}

fn beside(home: &Home, name: &str, bytes: &[u8]) {
    fs::write(home.log_dir().join(name), bytes).unwrap();
}

fn signed(home: &Home, number: u64) -> Vec<u8> {
    fs::read(segment::checkpoint(&home.log_dir(), number)).unwrap()
}

/// The newest checkpoint of another log of so many entries.
fn of_another(node: &Arc<NodeKey>, entries: u64) -> Vec<u8> {
    let other = Home { node: Arc::clone(node), ..Home::new() };
    other.more(entries, &settings());
    signed(&other, 0)
}

fn put(home: &Home, number: u64, note: &[u8]) {
    fs::write(segment::checkpoint(&home.log_dir(), number), note).unwrap();
}

fn cut(home: &Home, number: u64) {
    let note = signed(home, number);
    put(home, number, &note[..note.len() / 2]);
}

fn stranger() -> Arc<NodeKey> {
    Arc::new(NodeKey::generate().unwrap())
}

const NOT_THIS_NODE: &str = "is no checkpoint of this node";
const UNSIGNED: &str = "bears no signature";

#[test]
fn checkpoints_that_do_not_belong_there() {
    let strays = [
        Stray {
            what: "files of other names",
            put: |home| {
                let note = signed(home, 1);
                for name in
                    ["kept.checkpoint", "audit-1.checkpoint", "audit-000099.checkpoint.part", "audit-.checkpoint"]
                {
                    beside(home, name, &note);
                }
            },
            start: "",
            check: "",
        },
        Stray {
            what: "a higher number",
            put: |home| put(home, 99, &signed(home, newest(home))),
            start: "and not the segment that it was signed for",
            check: "it is of a segment that is not here",
        },
        Stray {
            what: "a higher number, and no checkpoint at all",
            put: |home| put(home, 99, b"junk"),
            start: "and not the segment that it was signed for",
            check: "000099.checkpoint: ",
        },
        Stray {
            what: "a longer log's of another node, at an old segment",
            put: |home| put(home, 0, &of_another(&stranger(), 300)),
            start: "",
            check: UNSIGNED,
        },
        Stray {
            what: "a longer log's of this node, at an old segment",
            put: |home| put(home, 0, &of_another(&home.node, 300)),
            start: "the newest were cut off",
            check: "000000.checkpoint: it was signed over 300 entries",
        },
        Stray {
            what: "a shorter log's of another node, at an old segment",
            put: |home| put(home, 0, &of_another(&stranger(), 3)),
            start: "",
            check: UNSIGNED,
        },
        Stray {
            what: "a shorter log's of this node, at an old segment",
            put: |home| put(home, 0, &of_another(&home.node, 3)),
            start: "",
            check: "000000.checkpoint: the first 3 entries are not those",
        },
        Stray {
            what: "a shorter log's of this node, at the segment that ended last",
            put: |home| put(home, newest(home) - 1, &of_another(&home.node, 3)),
            start: "it is not the one that was signed when its segment ended",
            check: "the first 3 entries are not those",
        },
        Stray {
            what: "an older one of this log, at the segment that ended last",
            put: |home| put(home, newest(home) - 1, &signed(home, 0)),
            start: "it is not the one that was signed when its segment ended",
            check: "another one was put here",
        },
        Stray { what: "half of an old one", put: |home| cut(home, 0), start: "", check: "000000.checkpoint: " },
        Stray {
            what: "half of the one of the segment that ended last",
            put: |home| cut(home, newest(home) - 1),
            start: NOT_THIS_NODE,
            check: ".checkpoint: ",
        },
        Stray {
            what: "half of the newest",
            put: |home| cut(home, newest(home)),
            start: "a checkpoint was deleted, or an older one put in its place",
            check: ".checkpoint: ",
        },
        Stray {
            what: "half of all",
            put: |home| (0..=newest(home)).for_each(|number| cut(home, number)),
            start: NOT_THIS_NODE,
            check: ".checkpoint: ",
        },
    ];
    let whole = long();
    for Stray { what, put, start, check } in strays {
        let home = whole.copy();
        put(&home);
        for report in [home.try_check(&SealKeys::Unknown).unwrap(), home.check()] {
            let doubts: Vec<_> = report.doubts.iter().map(ToString::to_string).collect();
            let said = doubts.iter().any(|doubt| doubt.contains(check) && !check.is_empty());
            assert!(said != check.is_empty() && doubts.is_empty() == check.is_empty(), "{what}: {doubts:?}");
        }
        match start {
            "" => {
                let (log, opened) = home.open(settings());
                assert_eq!((opened.repaired, opened.read_anew), (None, None), "{what}");
                write(&log, 40);
                log.close();
                // What lies at an old segment stays, and is still told.
                let told = home.doubts();
                assert!(told.iter().all(|doubt| doubt.is_empty() == check.is_empty()), "{what}: {told:?}");
            }
            why => refused(&home, why),
        }
    }
}

#[test]
fn the_one_checkpoint_of_a_log_that_is_only_half_there() {
    let home = Home::with(3, &settings());
    cut(&home, 0);
    assert!(home.doubts().iter().all(|doubt| doubt.contains("000000.checkpoint: ")), "{:?}", home.doubts());
    refused(&home, NOT_THIS_NODE);
}
