//! Old segments that go: which ones, and what an entry has to say of them.

use std::fs::FileTimes;

use portcullis_audit::SealKey;

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

    /// Adds an entry that tells of deleted segments, sealed with this key.
    fn tell(&self, key: SealKey, path: &str) {
        let newest = *self.numbers().last().unwrap();
        let place = Position::after(self.lines(newest).last().unwrap()).unwrap();
        let mut bytes = fs::read(self.segment(newest)).unwrap();
        let pruned = Entry { event_type: "audit.pruned", path, ..Entry::default() };
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
fn what_is_told_under_the_keys_counts_once_it_is_signed() {
    let forged = whole();
    forged.begin_at(3);
    forged.tell(forged.newest_key(), "audit-000000.jsonl to audit-000002.jsonl");
    assert!(forged.doubts().iter().all(|doubt| doubt.contains(UNTOLD)), "{:?}", forged.doubts());
    // Nor does a start sign it.
    assert!(
        matches!(forged.try_open(settings()), Err(AuditLogError::Damaged { why, .. }) if why.contains("no signed entry"))
    );
    let told = whole();
    told.tell(told.newest_key(), "audit-000000.jsonl to audit-000002.jsonl");
    told.more(1, &settings());
    told.begin_at(3);
    assert_eq!(told.doubts(), ["", ""]);
    told.more(1, &settings());
    assert_eq!(told.doubts(), ["", ""]);
}

#[test]
fn a_gap_in_what_is_told_is_noticed() {
    let untold = "segments 1 to 1 are not here, and no signed entry `audit.pruned` says";
    for (told, why) in [
        (&["audit-000000.jsonl to audit-000002.jsonl"][..], ""),
        (&["audit-000000.jsonl to audit-000000.jsonl", "audit-000001.jsonl to audit-000002.jsonl"], ""),
        (&["audit-000000.jsonl to audit-000000.jsonl", "audit-000002.jsonl to audit-000002.jsonl"], untold),
        (&["audit-000000.jsonl to audit-000001.jsonl"], UNTOLD),
        (&["audit-000000.jsonl"], UNTOLD),
        (&["audit-000000.jsonl to audit-000002"], UNTOLD),
        (&[], UNTOLD),
    ] {
        let home = whole();
        told.iter().for_each(|path| home.tell(home.newest_key(), path));
        home.more(1, &settings());
        home.begin_at(3);
        for doubt in home.doubts() {
            assert!(doubt.contains(why) && doubt.is_empty() == why.is_empty(), "{told:?}: {doubt}");
        }
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
    // What is signed for that moves the place on, and then the next may go, too.
    assert!(killed.numbers().first() >= Some(&(newest - 1)));
    assert_eq!(killed.told_of().first().map(String::as_str), Some("audit-000000.jsonl to audit-000002.jsonl"));
    // Killed once more, it goes on from there.
    let again = killed.copy();
    drop(log);
    let (log, opened) = again.open(settings());
    assert_eq!((opened.repaired, opened.read_anew), (None, None));
    write(&log, number);
    log.close();
    assert_eq!(again.doubts(), ["", ""]);
}
