//! Checking a whole log, and its end alone.

use portcullis_audit::VerifierKey;
use proptest::prelude::*;

use super::*;
use crate::audit_log::check::{self, CheckError, Report, SealKeys};

impl Home {
    pub(super) fn vkey(&self) -> VerifierKey {
        checkpoints::verifier_key(&self.node.public()).unwrap()
    }

    pub(super) fn try_check(&self, keys: &SealKeys) -> Result<Report, CheckError> {
        check::log(&self.log_dir(), keys, &self.vkey(), &[], &mut |_, _| {})
    }

    pub(super) fn check(&self) -> Report {
        self.try_check(&SealKeys::All(self.key().segments())).unwrap()
    }

    /// What is found first without a key, and with it.
    pub(super) fn doubts(&self) -> [String; 2] {
        let open = self.try_check(&SealKeys::Unknown).unwrap();
        [open, self.check()].map(|report| report.doubts.first().map(ToString::to_string).unwrap_or_default())
    }

    pub(super) fn end(&self) -> check::End {
        check::end(&self.log_dir(), &self.key().segments(), &self.vkey()).unwrap()
    }
}

/// Small segments, some of them compressed.
pub(super) fn segmented() -> AuditSettings {
    AuditSettings { segment_bytes: 4096, compress: true, ..settings() }
}

#[test]
fn a_whole_log_holds() {
    let home = Home::with(100, &segmented());
    until(|| !segment::numbers(&home.log_dir(), ".jsonl.zst").unwrap().is_empty());
    let report = home.check();
    assert_eq!(report.doubts, []);
    let segments = report.segments;
    assert!(segments > 3, "{segments}");
    // Each segment but the first begins with an entry of its own.
    assert_eq!(report.entries, 100 + segments as u64 - 1);
    assert_eq!((report.size, report.signed), (report.entries, Some(report.entries)));
    assert_eq!(report.checkpoints, segments as u64);
    assert_eq!((report.first.len(), report.last.len(), report.head.len()), (32, 32, 64));
    assert_eq!(home.doubts(), ["", ""]);
    let end = home.end();
    assert_eq!((end.size, end.signed, end.doubt), (report.size, report.signed, None));
}

#[test]
fn a_segment_that_does_not_decompress_is_named_and_the_others_are_checked() {
    let home = Home::with(100, &segmented());
    until(|| segment::numbers(&home.log_dir(), ".jsonl.zst").unwrap().len() > 2);
    let whole = home.check();
    let path = |home: &Home, number| segment::compressed(&home.log_dir(), number);
    type Change = fn(&mut Vec<u8>);
    let changes: [Change; 4] = [
        |bytes| {
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
        },
        |bytes| *bytes.last_mut().unwrap() ^= 1,
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes[0] ^= 1,
    ];
    for (number, change) in (0..3).flat_map(|number| changes.map(|change| (number, change))) {
        let home = home.copy();
        let mut bytes = fs::read(path(&home, number)).unwrap();
        change(&mut bytes);
        fs::write(path(&home, number), bytes).unwrap();
        for doubt in home.doubts() {
            let named = format!("audit-{number:06}.jsonl.zst: it cannot be decompressed");
            assert!(doubt.contains(&named), "{doubt}");
        }
        let report = home.check();
        if number > 0 {
            assert_eq!(report.doubts.len(), 1, "{:?}", report.doubts);
            // All but its own lines, and the checkpoint over them, which ends where the next segment begins.
            assert_eq!((report.size, report.head), (whole.size, whole.head.clone()));
            assert!(report.checkpoints >= whole.checkpoints - 1 && report.entries > whole.entries / 2);
        }
    }
    // A second thing that is wrong, behind it.
    let home = home.copy();
    fs::write(path(&home, 1), "x").unwrap();
    let newest = *segment::numbers(&home.log_dir(), ".jsonl").unwrap().last().unwrap();
    let changed = String::from_utf8(home.lines(newest).concat()).unwrap().replacen("ALLOW", "BLOCK", 1);
    fs::write(home.segment(newest), changed).unwrap();
    let doubts = home.check().doubts;
    assert!(doubts.iter().any(|doubt| doubt.file == home.segment(newest)), "{doubts:?}");
}

#[test]
fn an_empty_folder_has_no_log() {
    let home = Home::new();
    home.key();
    assert!(matches!(home.try_check(&SealKeys::Unknown), Err(CheckError::Absent(_))));
    fs::create_dir(home.log_dir()).unwrap();
    assert!(matches!(home.try_check(&SealKeys::Unknown), Err(CheckError::Absent(_))));
}

#[test]
fn the_line_is_named_in_whatever_block_it_is() {
    // More than one block is read.
    let home = Home::with(24_000, &settings());
    let bytes = fs::read(home.segment(0)).unwrap();
    assert!(bytes.len() > 2 * (4 << 20), "{}", bytes.len());
    assert_eq!(home.check().doubts, []);
    for line in [1usize, 11_000, 24_000] {
        let mut changed = bytes.clone();
        let start = bytes.split_inclusive(|b| *b == b'\n').take(line - 1).map(<[u8]>::len).sum::<usize>();
        let at = start + memchr::memmem::find(&bytes[start..], b"ALLOW").unwrap();
        changed[at..at + 5].copy_from_slice(b"BLOCK");
        fs::write(home.segment(0), &changed).unwrap();
        let [open, sealed] = home.doubts();
        let place = format!("audit-000000.jsonl:{line}: ");
        assert!(open.contains(&place) && open.contains("the file `tree`"), "{open}");
        assert!(sealed.contains(&place) && sealed.contains("its seal does not hold"), "{sealed}");
    }
}

#[test]
fn a_gap_between_segments_and_a_checkpoint_that_is_gone() {
    let home = Home::with(100, &AuditSettings { compress: false, ..segmented() });
    let gone = home.copy();
    fs::remove_file(gone.segment(2)).unwrap();
    let [open, sealed] = gone.doubts();
    assert!(open.contains("audit-000003.jsonl:1: its number is") && sealed == open, "{open} {sealed}");
    let gone = home.copy();
    fs::remove_file(segment::checkpoint(&gone.log_dir(), 1)).unwrap();
    let [open, sealed] = gone.doubts();
    assert!(open.contains("audit-000001.checkpoint: ") && open.contains("was deleted") && sealed == open, "{open}");
    let swapped = home.copy();
    fs::rename(swapped.segment(1), swapped.segment(0)).unwrap();
    assert!(
        swapped.doubts()[0].contains("no signed entry `audit.pruned`")
            || swapped.doubts()[0].contains("begin segment 0")
    );
}

#[test]
fn old_segments_are_missed_unless_an_entry_tells_of_them() {
    let home = Home::new();
    let settings = AuditSettings { keep_bytes: Some(3 * 4096), compress: false, ..segmented() };
    let (log, _) = home.open(settings);
    for number in 0..100 {
        write(&log, number);
    }
    until(|| segment::numbers(&home.log_dir(), ".jsonl").unwrap()[0] > 2);
    log.close();
    assert_eq!(home.doubts(), ["", ""]);
    let report = home.check();
    assert!(report.entries < report.size);
    let first = segment::numbers(&home.log_dir(), ".jsonl").unwrap()[0];
    let without_tree = home.copy();
    fs::remove_file(without_tree.log_dir().join("tree")).unwrap();
    assert!(without_tree.doubts()[1].contains("it holds fewer than the"), "{:?}", without_tree.doubts());
    // More than an entry may tell of that was written just before the end.
    let newest = *segment::numbers(&home.log_dir(), ".jsonl").unwrap().last().unwrap();
    for number in first..newest {
        fs::remove_file(home.segment(number)).unwrap();
        fs::remove_file(segment::checkpoint(&home.log_dir(), number)).unwrap();
    }
    let [open, sealed] = home.doubts();
    assert!(open.contains("no signed entry `audit.pruned` says") && sealed == open, "{open}");
}

#[test]
fn a_log_that_grows_meanwhile_holds() {
    let home = Home::new();
    let (log, _) = home.open(AuditSettings { checkpoint_every: 50, ..segmented() });
    write(&log, 0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                write(&log, number);
            }
        });
        let mut seen = Vec::new();
        let mut checks = || {
            for _ in 0..20 {
                let report = home.check();
                assert_eq!(report.doubts, []);
                seen.push(report.entries);
                assert_eq!(home.end().doubt, None);
            }
            assert!(seen.is_sorted() && seen.first() < seen.last(), "{seen:?}");
        };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut checks));
        stop.store(true, Ordering::Relaxed);
        done.unwrap();
    });
}

#[test]
fn the_end_alone_shows_what_was_done_to_it() {
    let whole = Home::with(50, &AuditSettings { compress: false, ..segmented() });
    let newest = *segment::numbers(&whole.log_dir(), ".jsonl").unwrap().last().unwrap();
    type Change = fn(&Home, u64);
    let changes: [(&str, Change); 6] = [
        ("were cut off", |home, newest| fs::write(home.segment(newest), home.lines(newest)[..1].concat()).unwrap()),
        ("another entry stands", |home, newest| {
            let lines = home.lines(newest).concat();
            let text = String::from_utf8(lines).unwrap();
            let at = text.rfind("ALLOW").unwrap();
            fs::write(home.segment(newest), format!("{}BLOCK{}", &text[..at], &text[at + 5..])).unwrap();
        }),
        ("it is not here", |home, newest| fs::remove_file(home.segment(newest)).unwrap()),
        ("`tree` is not the one", |home, _| fs::write(home.log_dir().join("tree"), [0; 64]).unwrap()),
        ("is not here", |home, newest| fs::remove_file(segment::checkpoint(&home.log_dir(), newest)).unwrap()),
        // A file that is none of its checkpoints counts as none.
        ("is not here", |home, newest| {
            let path = segment::checkpoint(&home.log_dir(), newest);
            let note = fs::read_to_string(&path).unwrap();
            let size = home.end().size;
            fs::write(path, note.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size - 1), 1)).unwrap();
        }),
    ];
    for (why, change) in changes {
        let home = whole.copy();
        change(&home, newest);
        let said = home.end().doubt.map(|doubt| doubt.to_string()).unwrap_or_default();
        assert!(said.contains(why), "{why}: {said}");
        assert_ne!(home.doubts()[1], "", "{why}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One changed bit, anywhere in the lines: it is found in the line where it is, with the key and without it.
    #[test]
    fn any_bit_is_found_where_it_is(place in 0.0f64..1.0, bit in 0u8..8) {
        static WHOLE: std::sync::LazyLock<Home> =
            std::sync::LazyLock::new(|| Home::with(30, &AuditSettings { compress: false, ..segmented() }));
        static CHANGING: Mutex<()> = Mutex::new(());
        let changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        let home = &*WHOLE;
        let number = u64::from(place > 0.5);
        let bytes = fs::read(home.segment(number)).unwrap();
        let at = (place.mul_add(2.0, -(number as f64)) * bytes.len() as f64) as usize;
        let mut changed = bytes.clone();
        changed[at] ^= 1 << bit;
        let line = 1 + bytes[..at].iter().filter(|b| **b == b'\n').count();
        fs::write(home.segment(number), &changed).unwrap();
        let doubts = home.doubts();
        fs::write(home.segment(number), &bytes).unwrap();
        drop(changing);
        for doubt in doubts {
            prop_assert!(doubt.contains(&format!("audit-{number:06}.jsonl:{line}: ")), "{doubt}, line {line}");
        }
    }
}
