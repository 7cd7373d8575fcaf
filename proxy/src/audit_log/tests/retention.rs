//! Old segments that go: which ones, and what an entry has to say of them.

use std::fs::FileTimes;
use std::ops::RangeInclusive;

use portcullis_audit::{Checkpoint, Hash, SealKey, SegmentKeys};

use super::checks::segmented;
use super::*;

/// A log of some segments that all are there, and as many files.
fn whole() -> Home {
    Home::with(100, &AuditSettings { compress: false, ..segmented() })
}

impl Home {
    fn numbers(&self) -> Vec<u64> {
        segment::numbers(&self.log_dir(), ".jsonl").unwrap()
    }

    /// Deletes the segments before this one as retention does.
    fn begin_at(&self, first: u64) {
        for number in 0..first {
            fs::remove_file(self.segment(number)).unwrap();
        }
        for number in 0..first - 1 {
            fs::remove_file(segment::checkpoint(&self.log_dir(), number)).unwrap();
        }
    }

    /// Adds an entry that tells of deleted segments, sealed with this key, and nothing that vouches for it.
    fn tell(&self, key: SealKey, path: &str) {
        self.add(key, &Entry { path, ..Entry::default() });
    }

    /// Adds one as the gate writes it.
    fn tell_truly(&self, segments: RangeInclusive<u64>) {
        let (size, root) = self.ended(*segments.end());
        self.tell_with(&segments, size, &pruned::word(&self.key().segments(), &segments, size, &root).unwrap());
    }

    /// Adds one with this size and word.
    fn tell_with(&self, segments: &RangeInclusive<u64>, size: u64, word: &str) {
        let path = format!("audit-{:06}.jsonl to audit-{:06}.jsonl", segments.start(), segments.end());
        let entry = Entry { path: &path, prompt_sha256: word, response_bytes: size, ..Entry::default() };
        self.add(self.newest_key(), &entry);
    }

    fn add(&self, key: SealKey, entry: &Entry<'_>) {
        let newest = *self.numbers().last().unwrap();
        let place = Position::after(self.lines(newest).last().unwrap()).unwrap();
        let mut bytes = fs::read(self.segment(newest)).unwrap();
        let pruned = Entry { event_type: "audit.pruned", ..*entry };
        Chain::resume(key, place).seal(&pruned.draft(), now_micros(), &mut bytes);
        fs::write(self.segment(newest), bytes).unwrap();
    }

    fn newest_key(&self) -> SealKey {
        self.key().segments().seal_key(*self.numbers().last().unwrap())
    }

    /// What the entries that the log itself wrote say of deleted segments.
    fn told_of(&self) -> Vec<String> {
        // One that is deleted meanwhile tells nothing any more.
        let read = |number| fs::read(self.segment(number)).unwrap_or_default();
        let bytes = self.numbers().into_iter().flat_map(read).collect::<Vec<_>>();
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let entries = lines.filter(|line| line.ends_with(b"\n")).map(|l| serde_json::from_slice::<Value>(l).unwrap());
        let pruned = entries.filter(|entry| entry["event_type"] == "audit.pruned");
        pruned.map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
    }
}

const UNTOLD: &str = "no signed entry `audit.pruned` says that they were deleted";

#[test]
fn nobody_without_a_key_tells_of_segments_that_are_gone() {
    let forged = whole();
    forged.begin_at(3);
    assert!(forged.doubts().iter().all(|doubt| doubt.contains(UNTOLD)), "{:?}", forged.doubts());
    // Without the keys a line that nobody signed is only what it says; with them its seal is looked at.
    forged.tell(SealKey::new(&[7; 32]).unwrap(), "audit-000000.jsonl to audit-000002.jsonl");
    let [open, sealed] = forged.doubts();
    assert!(open.contains(UNTOLD) && sealed.contains("its seal does not hold"), "{open} {sealed}");
}

#[test]
fn what_the_gate_tells_counts_once_it_is_signed() {
    let forged = whole();
    forged.tell_truly(0..=2);
    forged.begin_at(3);
    assert!(forged.doubts().iter().all(|doubt| doubt.contains(UNTOLD)), "{:?}", forged.doubts());
    // Nor does a start sign it.
    forged.is_refused();
    let told = whole();
    told.tell_truly(0..=2);
    told.more(1, &settings());
    told.begin_at(3);
    assert_eq!(told.doubts(), ["", ""]);
    told.more(1, &settings());
    assert_eq!(told.doubts(), ["", ""]);
}

impl Home {
    fn is_refused(&self) {
        let said = self.try_open(settings()).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains("no signed entry `audit.pruned`"), "{said}");
    }

    /// Lets a start sign what stands at the end, and deletes the segments before the third.
    fn signed_and_gone(&self) {
        self.more(1, &settings());
        assert_eq!(self.doubts(), ["", ""]);
        self.begin_at(3);
    }

    /// Only who has the keys sees that the gate never told of it; so does a start.
    fn is_seen_with_the_keys(&self) {
        let [open, sealed] = self.doubts();
        assert!(open.is_empty() && sealed.contains(UNTOLD), "{open} {sealed}");
        let doubts = self.check().doubts;
        assert!(doubts[1].why.contains("the gate's word in it does not hold"), "{doubts:?}");
        self.is_refused();
    }

    /// The size and the root that the checkpoint of a segment is over.
    fn ended(&self, number: u64) -> (u64, Hash) {
        let Checkpoint { size, root, .. } =
            checkpoints::of_segment(&self.log_dir(), number, &self.vkey()).unwrap().unwrap().checkpoint;
        (size, root)
    }
}

#[test]
fn the_key_of_a_segment_tells_of_nothing_though_a_start_signs_it() {
    let home = whole();
    home.tell(home.newest_key(), "audit-000000.jsonl to audit-000002.jsonl");
    home.signed_and_gone();
    home.is_seen_with_the_keys();
}

#[test]
fn the_gate_s_word_is_of_one_range_and_one_log() {
    let home = whole();
    let keys = home.key().segments();
    let (size, root) = home.ended(2);
    let (smaller, other_root) = home.ended(0);
    // Another log, of which the same keys may tell: the gate begins one where the folder was moved away.
    let another = whole();
    let (another_size, another_root) = another.ended(2);
    assert_ne!(root, another_root);
    let word = |segments, size, root| pruned::word(&keys, &segments, size, root).unwrap();
    let stranger = SegmentKeys::new(&[1; 32], &[2; 32]).unwrap();
    let words = [
        (size, String::new()),
        (size, "0".repeat(64)),
        (size, word(0..=1, size, &root)),
        (size, word(1..=2, size, &root)),
        (smaller, word(0..=0, smaller, &other_root)),
        (smaller, word(0..=2, size, &root)),
        (size, word(0..=2, size, &other_root)),
        (another_size, word(0..=2, another_size, &another_root)),
        (size, pruned::word(&stranger, &(0..=2), size, &root).unwrap()),
        (u64::MAX, word(0..=2, u64::MAX, &root)),
    ];
    for (size, word) in words {
        let home = home.copy();
        home.tell_with(&(0..=2), size, &word);
        home.signed_and_gone();
        home.is_seen_with_the_keys();
    }
    home.tell_with(&(0..=2), size, &word(0..=2, size, &root));
    home.signed_and_gone();
    assert_eq!(home.doubts(), ["", ""]);
    home.more(1, &settings());
}

#[test]
fn the_file_of_the_tree_makes_no_word_of_another_log_fit() {
    let home = whole();
    let (size, root) = (1, [7; 32]);
    let word = pruned::word(&home.key().segments(), &(0..=2), size, &root).unwrap();
    home.tell_with(&(0..=2), size, &word);
    home.signed_and_gone();
    // The root of that size is the first hash in it, which a start does not need.
    let path = tree_file::path(&home.log_dir());
    let mut tree = fs::read(&path).unwrap();
    tree[..32].copy_from_slice(&root);
    fs::write(&path, tree).unwrap();
    home.is_refused();
    assert!(home.doubts()[1].contains(UNTOLD), "{:?}", home.doubts());
}

#[test]
fn a_gap_in_what_is_told_is_noticed() {
    let untold = "segments 1 to 1 are not here, and no signed entry `audit.pruned` says";
    for (told, why) in
        [(&[0..=2][..], ""), (&[0..=0, 1..=2], ""), (&[0..=0, 2..=2], untold), (&[0..=1], UNTOLD), (&[], UNTOLD)]
    {
        let home = whole();
        told.iter().for_each(|segments| home.tell_truly(segments.clone()));
        home.more(1, &settings());
        home.begin_at(3);
        for doubt in home.doubts() {
            assert!(doubt.contains(why) && doubt.is_empty() == why.is_empty(), "{told:?}: {doubt}");
        }
    }
}

#[test]
fn what_names_no_segments_tells_of_none() {
    for path in ["audit-000000.jsonl", "audit-000000.jsonl to audit-000002", "0 to 2", " to ", ""] {
        let home = whole();
        home.tell(home.newest_key(), path);
        home.more(1, &settings());
        home.begin_at(3);
        assert!(home.doubts().iter().all(|doubt| doubt.contains(UNTOLD)), "{path}: {:?}", home.doubts());
    }
}

#[test]
fn a_word_that_only_looks_like_it_tells_nothing() {
    let home = whole();
    let (log, _) = home.open(settings());
    let says = r#"/"event_type": "audit.pruned"/audit-000000.jsonl to audit-000002.jsonl"#;
    let request = Entry { event_type: "request", path: says, model: says, ..Entry::default() };
    log.hand_over(request.draft()).wait().unwrap();
    log.close();
    home.begin_at(3);
    assert!(home.doubts().iter().all(|doubt| doubt.contains(UNTOLD)), "{:?}", home.doubts());
}

#[test]
fn how_old_a_segment_is_no_file_s_time_says() {
    let day = Duration::from_secs(86_400);
    for touched in [UNIX_EPOCH, SystemTime::now() + 1_000 * day] {
        let home = whole();
        let numbers = home.numbers();
        for number in &numbers {
            let file = File::options().write(true).open(home.segment(*number)).unwrap();
            file.set_times(FileTimes::new().set_accessed(touched).set_modified(touched)).unwrap();
        }
        // By their size, all but the first may stay; by their entries, all of them.
        let bytes: u64 = numbers.iter().map(|number| fs::metadata(home.segment(*number)).unwrap().len()).sum();
        let keep = AuditSettings { keep: Some(day), keep_bytes: Some(bytes - 1), ..settings() };
        let (log, _) = home.open(keep);
        until(|| home.numbers().len() < numbers.len());
        log.close();
        assert_eq!(home.told_of(), ["audit-000000.jsonl to audit-000000.jsonl"]);
        assert_eq!(home.numbers(), &numbers[1..]);
        assert_eq!(home.doubts(), ["", ""]);
    }
}

#[test]
fn the_segment_that_a_start_looks_at_stays() {
    let home = Home::new();
    let (log, _) = home.open(AuditSettings { segment_bytes: 2_000, ..settings() });
    let mut number = 0;
    while log.shared.current_segment() < 4 {
        write(&log, number);
        number += 1;
    }
    // As a gate leaves it that was killed: the newest checkpoint, and the place that was noted with it, are the third's.
    let (killed, newest) = (home.copy(), 4);
    drop(log);
    assert_eq!(killed.numbers(), [0, 1, 2, 3, newest]);
    let greedy = AuditSettings { keep_bytes: Some(1), checkpoint_after: Duration::from_secs(3_600), ..settings() };
    let (log, opened) = killed.open(greedy);
    assert_eq!(opened.read_anew, None);
    // What goes last of what goes.
    until(|| !segment::checkpoint(&killed.log_dir(), newest - 3).exists());
    // What is signed moves the place on, and then the next may go, too: for that, or before it, since a start signs what
    // it met unsigned.
    assert!(killed.numbers().first() >= Some(&(newest - 1)));
    let told = killed.told_of();
    let first = told.first().map(String::as_str);
    let either = ["audit-000000.jsonl to audit-000002.jsonl", "audit-000000.jsonl to audit-000003.jsonl"];
    assert!(first.is_some_and(|first| either.contains(&first)), "{told:?}");
    // Killed once more, it goes on from there.
    let again = killed.copy();
    drop(log);
    let (log, opened) = again.open(settings());
    assert_eq!((opened.repaired, opened.read_anew), (None, None));
    write(&log, number);
    log.close();
    assert_eq!(again.doubts(), ["", ""]);
}

/// The power may go at any moment, and what was deleted since the folder was synced may come back, or not.
#[cfg(debug_assertions)]
#[test]
fn whatever_a_power_cut_brings_back_there_is_no_gap() {
    use crate::audit_log::faults::{Op, script};

    /// The segments that went since the last sync, and the log as it stood before the next step.
    type Left = Vec<(Vec<PathBuf>, Home)>;

    let home = whole();
    let (dir, before, like) = (home.log_dir(), home.copy(), home.copy());
    let left: Arc<Mutex<Left>> = Arc::default();
    let (keep, unsynced) = (Arc::clone(&left), Mutex::new(Vec::new()));
    script::follow(&home.log_dir(), move |op, file| {
        if matches!(op, Op::Delete | Op::Folder) {
            let mut unsynced = unsynced.lock().unwrap();
            keep.lock().unwrap().push((unsynced.clone(), like.with_log_of(&dir)));
            match op {
                Op::Delete => unsynced.push(file.to_owned()),
                _ => unsynced.clear(),
            }
        }
        Ok(())
    });
    let few = AuditSettings { keep_bytes: Some(6_000), ..AuditSettings { compress: false, ..segmented() } };
    let (log, _) = home.open(few);
    until(|| home.numbers()[0] > 2);
    drop(log);
    script::follow(&home.log_dir(), |_, _| Ok(()));
    let gone = home.numbers()[0] as usize;
    let left = std::mem::take(&mut *left.lock().unwrap());
    assert!(gone > 2 && left.len() >= gone, "{gone} {}", left.len());
    for (unsynced, left) in left {
        for back in 0..1_u32 << unsynced.len() {
            let home = left.copy();
            let comes_back = unsynced.iter().enumerate().filter(|(at, _)| back & (1 << at) != 0);
            for name in comes_back.map(|(_, path)| path.file_name().unwrap()) {
                fs::copy(before.log_dir().join(name), home.log_dir().join(name)).unwrap();
            }
            assert_eq!(home.doubts(), ["", ""], "{:?}, of which {unsynced:?} may have come back", home.numbers());
            home.more(1, &settings());
            assert_eq!(home.doubts(), ["", ""]);
        }
    }
}

/// A stop waits for one segment, and not for all that are to go: the next start goes on.
#[cfg(debug_assertions)]
#[test]
fn a_stop_does_not_wait_for_all_that_is_to_be_deleted() {
    use crate::audit_log::faults::{Op, script};

    let home = whole();
    let few = AuditSettings { keep_bytes: Some(6_000), ..AuditSettings { compress: false, ..segmented() } };
    let (went, first) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    script::follow(&home.log_dir(), move |op, _| {
        if op == Op::Delete {
            _ = went.send(());
            // Behind the first nobody waits any more.
            _ = may_go_on.lock().unwrap().recv();
        }
        Ok(())
    });
    let (log, _) = home.open(few.clone());
    first.recv().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| log.close());
        until(|| log.shared.rotated.closed());
        drop(go_on);
    });
    drop(log);
    assert_eq!(first.try_iter().count(), 0, "no other one was begun with");
    assert_eq!(home.numbers()[0], 1);
    assert_eq!(home.doubts(), ["", ""]);
    script::follow(&home.log_dir(), |_, _| Ok(()));
    let (log, _) = home.open(few);
    until(|| home.numbers()[0] > 2);
    log.close();
    assert_eq!(home.doubts(), ["", ""]);
}
