//! Disks that fail at any step: what was told is in the log once, and nobody is told of what is not on the medium.

use std::collections::HashMap;
use std::ffi::OsStr;

use proptest::prelude::*;

use super::*;
use crate::audit_log::faults::{Op, script};

/// A step that fails.
#[derive(Clone, Copy, Debug)]
struct Fault {
    op: Op,
    /// Only in a segment that nobody sees yet.
    of_new: bool,
    /// How often it goes well first, and how often it fails then.
    well: u32,
    fails: u32,
}

/// A disk of which a test knows what is on the medium. A sync that fails loses what was not there, as disks do: what is
/// read then is not what was written.
#[derive(Default)]
struct Disk {
    inner: Mutex<Inner>,
    /// Whether a failed sync loses anything.
    forgets: bool,
}

#[derive(Default)]
struct Inner {
    /// The first of them comes next.
    faults: Vec<Fault>,
    /// How much of each segment is on the medium, in bytes.
    synced: HashMap<PathBuf, u64>,
}

impl Disk {
    fn of(home: &Home, forgets: bool, faults: &[Fault]) -> Arc<Self> {
        let inner = Inner { faults: faults.to_vec(), ..Inner::default() };
        let disk = Arc::new(Self { inner: Mutex::new(inner), forgets });
        let does = Arc::clone(&disk);
        script::follow(&home.log_dir(), move |op, file| does.meet(op, file));
        disk
    }

    fn meet(&self, op: Op, file: &Path) -> std::io::Result<()> {
        let mut inner = self.inner.lock().unwrap();
        let is_new = file.extension() == Some(OsStr::new("part")) && file.exists();
        // A segment keeps the name under which it was begun, for whoever holds it open.
        let named =
            if file.extension() == Some(OsStr::new("part")) { file.with_extension("") } else { file.to_owned() };
        let lies_at = if is_new { file } else { &named };
        let fails = match inner.faults.first_mut() {
            Some(fault) if fault.op == op && (is_new || !fault.of_new) => match fault.well.checked_sub(1) {
                Some(well) => {
                    fault.well = well;
                    false
                }
                None => {
                    fault.fails -= 1;
                    true
                }
            },
            _ => false,
        };
        inner.faults.retain(|fault| fault.fails > 0);
        match op {
            Op::Begin => drop(inner.synced.remove(&named)),
            Op::Sync if fails && self.forgets => {
                let file = OpenOptions::new().write(true).open(lies_at).unwrap();
                let length = file.metadata().unwrap().len();
                file.set_len(inner.synced.get(&named).map_or(0, |synced| (*synced).min(length))).unwrap();
                file.set_len(length).unwrap();
            }
            Op::Sync if !fails => {
                let length = fs::metadata(lies_at).unwrap().len();
                inner.synced.insert(named, length);
            }
            _ => {}
        }
        if fails { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
    }

    /// Everything that was to fail has failed.
    fn is_well(&self) -> bool {
        self.inner.lock().unwrap().faults.is_empty()
    }

    /// Nothing is said to be on the medium that was never synced.
    fn claims_no_more(&self, log: &AuditLog, home: &Home) -> bool {
        let Cursor { segment, offset } = log.durable();
        self.inner.lock().unwrap().synced.get(&home.segment(segment)).copied().unwrap_or(0) >= offset
    }

    fn is_on_the_medium(&self, log: &AuditLog, home: &Home) -> bool {
        let standing = *log.shared.standing();
        self.inner.lock().unwrap().synced.get(&home.segment(standing.segment)) >= Some(&standing.bytes)
    }
}

/// What became of entries.
#[derive(Default)]
struct Told {
    written: Vec<u64>,
    refused: Vec<u64>,
}

impl Told {
    /// Hands over so many entries at once, and waits until the log can be written again.
    fn more(&mut self, log: &AuditLog, entries: u64) {
        let next = (self.written.len() + self.refused.len()) as u64;
        let receipts: Vec<_> = (next..next + entries).map(|number| (number, log.hand_over(entry(number)))).collect();
        for (number, receipt) in receipts {
            match receipt.wait() {
                Ok(()) => self.written.push(number),
                Err(_) => self.refused.push(number),
            }
        }
        until(|| log.ready());
    }

    /// What was told is there once, in order; what was refused is not; the chain, the tree and every checkpoint hold, and
    /// the log goes on.
    fn holds(&self, home: &Home, log: AuditLog, case: &str) {
        log.close();
        let counted = log.shared.entries.load(Ordering::Relaxed);
        drop(log);
        let report = home.check();
        assert_eq!(report.doubts, [], "{case}");
        assert_eq!((counted, report.signed), (report.size, Some(report.size)), "{case}");
        assert_eq!(requests(home), self.written, "{case}: {:?} were refused", self.refused);
        let (log, opened) = home.open(settings());
        assert_eq!((opened.repaired, opened.read_anew), (None, None), "{case}");
        write(&log, u64::MAX);
        log.close();
        assert_eq!(home.check().doubts, [], "{case}");
    }
}

/// The numbers of the requests in the log.
fn requests(home: &Home) -> Vec<u64> {
    let numbers = segment::numbers(&home.log_dir(), ".jsonl").unwrap();
    let lines = numbers.into_iter().flat_map(|number| home.lines(number));
    let entries = lines.map(|line| serde_json::from_slice::<Value>(&line).unwrap());
    let path = |entry: Value| entry["path"].as_str().and_then(|path| path.strip_prefix("/api/chat/")?.parse().ok());
    entries.filter_map(path).collect()
}

/// A log that is synced, signed and given new segments only where that is what is looked at.
fn calm(fsync: Fsync) -> AuditSettings {
    AuditSettings { fsync, segment_bytes: 2_000, batch: Duration::from_secs(3_600), ..settings() }
}

impl Home {
    /// Another home with the same keys, and a log as it stands in this folder.
    pub(super) fn with_log_of(&self, dir: &Path) -> Self {
        let home = self.copy();
        fs::remove_dir_all(home.log_dir()).unwrap();
        fs::create_dir(home.log_dir()).unwrap();
        for file in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
            fs::copy(&file, home.log_dir().join(file.file_name().unwrap())).unwrap();
        }
        home
    }
}

/// More entries than fit into the segments of a test while a failed one is tried again.
const MOST: usize = 20_000;

const MODES: [Fsync; 3] = [Fsync::Always, Fsync::Batch, Fsync::Off];

#[test]
fn a_segment_that_cannot_begin_costs_no_entry() {
    // In the order in which they are done.
    let steps = [
        (Op::Sync, false),
        (Op::Tree, false),
        (Op::Sign, false),
        (Op::State, false),
        (Op::Begin, false),
        (Op::Write, true),
        (Op::Sync, true),
        (Op::Name, false),
        (Op::Folder, false),
    ];
    std::thread::scope(|scope| {
        for (fsync, (op, of_new)) in MODES.into_iter().flat_map(|fsync| steps.map(|step| (fsync, step))) {
            if op == Op::Sync && of_new != (fsync == Fsync::Always) {
                // Each group is synced by who writes it, or each segment when it ends.
                continue;
            }
            scope.spawn(move || {
                for fails in [1, 2] {
                    a_new_segment_fails(fsync, Fault { op, of_new, well: 0, fails });
                }
            });
        }
    });
}

fn a_new_segment_fails(fsync: Fsync, fault: Fault) {
    let home = Home::new();
    // When it has failed, and the segment that was there went on, what that got since must not be lost either.
    let lost = Fault { op: Op::Sync, of_new: false, well: 0, fails: 1 };
    let faults = if fsync == Fsync::Batch { vec![fault, lost] } else { vec![fault] };
    let (log, _) = home.open(calm(fsync));
    let disk = Disk::of(&home, fsync != Fsync::Off, &faults);
    disk.inner.lock().unwrap().synced.insert(home.segment(0), 0);
    let case = format!("{fsync:?}, {faults:?}");
    let mut told = Told::default();
    let goes_on = |told: &Told| assert!(told.written.len() < MOST, "{case}: no new segment begins");
    while !disk.is_well() {
        told.more(&log, 1);
        assert!(fsync != Fsync::Always || disk.is_on_the_medium(&log, &home), "{case}");
        goes_on(&told);
    }
    let then = log.shared.current_segment();
    while log.shared.current_segment() < then + 2 {
        told.more(&log, 1);
        goes_on(&told);
    }
    if fault.op == Op::Sync && !fault.of_new {
        assert!(!told.refused.is_empty(), "{case}: who comes while it fails is refused");
    }
    if fault.op != Op::Sync && fsync != Fsync::Batch {
        assert_eq!(told.refused, [0; 0], "{case}: the segment that was there goes on");
    }
    told.holds(&home, log, &case);
}

#[test]
fn nobody_is_told_of_what_is_not_on_the_medium() {
    let home = Home::new();
    let (log, _) = home.open(AuditSettings { segment_bytes: 1 << 20, ..calm(Fsync::Always) });
    let faults = [0, 3, 1].map(|well| Fault { op: Op::Sync, of_new: false, well, fails: 2 });
    let disk = Disk::of(&home, true, &faults);
    let mut told = Told::default();
    while !disk.is_well() {
        let before = told.written.len();
        told.more(&log, 1);
        assert!(told.written.len() == before || disk.is_on_the_medium(&log, &home));
    }
    assert!(!told.refused.is_empty());
    told.more(&log, 8);
    told.holds(&home, log, "always");
}

#[test]
fn what_was_not_synced_is_written_anew() {
    let home = Home::new();
    let settings = AuditSettings { batch: Duration::from_millis(1), segment_bytes: 1 << 20, ..calm(Fsync::Batch) };
    let (log, _) = home.open(settings);
    let faults = [0, 2, 1].map(|well| Fault { op: Op::Sync, of_new: false, well, fails: 2 });
    let disk = Disk::of(&home, true, &faults);
    let mut told = Told::default();
    while !disk.is_well() {
        told.more(&log, 20);
    }
    told.more(&log, 20);
    assert!(told.written.len() >= 40);
    told.holds(&home, log, "batch");
}

#[test]
fn what_was_mended_counts_as_on_the_medium_only_where_it_was_synced() {
    for fsync in MODES {
        let home = Home::new();
        let (log, _) = home.open(AuditSettings { segment_bytes: 1 << 20, ..calm(fsync) });
        let disk = Disk::of(&home, false, &[Fault { op: Op::Write, of_new: false, well: 2, fails: 2 }]);
        let mut told = Told::default();
        while !disk.is_well() {
            told.more(&log, 1);
            assert!(disk.claims_no_more(&log, &home), "{fsync:?}");
        }
        told.more(&log, 1);
        assert!(disk.claims_no_more(&log, &home), "{fsync:?}");
        assert!(!told.refused.is_empty());
        // The next checkpoint brings all of it there.
        log.close();
        assert_eq!(log.shared.desk.progress().durable, (0, log.shared.current_bytes()), "{fsync:?}");
        assert!(disk.claims_no_more(&log, &home), "{fsync:?}");
        told.holds(&home, log, &format!("{fsync:?}"));
    }
}

#[test]
fn what_could_not_be_cut_off_goes_before_anything_is_written() {
    let home = Home::new();
    let (log, _) = home.open(AuditSettings { segment_bytes: 1 << 20, ..calm(Fsync::Always) });
    write(&log, 0);
    let fault = |op| Fault { op, of_new: false, well: 0, fails: 1 };
    let disk = Disk::of(&home, true, &[fault(Op::Write), fault(Op::Cut)]);
    // Half of it is longer than the entry that says that the log can be written again.
    let long = "x".repeat(512);
    let entry = Entry { path: &long, model: &long, task_id: &long, node_id: &long, ..Entry::default() };
    assert!(log.hand_over(entry.draft()).wait().is_err());
    until(|| log.ready());
    assert!(disk.is_well());
    let (_, opened) = home.copy().open(settings());
    assert_eq!(opened.repaired, None);
    Told { written: vec![0], refused: vec![] }.holds(&home, log, "cut");
}

#[test]
fn a_checkpoint_whose_sync_failed_is_still_owed() {
    let home = Home::new();
    let settings = AuditSettings { segment_bytes: 1 << 20, checkpoint_every: 10, ..calm(Fsync::Batch) };
    let (log, _) = home.open(AuditSettings { checkpoint_after: Duration::from_secs(3_600), ..settings });
    let disk = Disk::of(&home, true, &[Fault { op: Op::Sync, of_new: false, well: 0, fails: 1 }]);
    let mut told = Told::default();
    told.more(&log, 10);
    until(|| disk.is_well() && log.ready());
    // With what said that the log can be written again, and long before there are as many more.
    until(|| *log.signed().borrow() == 11);
    told.holds(&home, log, "signed");
}

#[test]
fn a_gate_that_is_killed_at_any_step_of_a_new_segment_goes_on() {
    for fsync in MODES {
        let home = Home::new();
        let (log, _) = home.open(calm(fsync));
        let left: Arc<Mutex<Vec<(Op, Home)>>> = Arc::default();
        let (keep, copied) = (Arc::clone(&left), home.copy());
        script::follow(&home.log_dir(), {
            let dir = home.log_dir();
            move |op, _| {
                let mut kept = keep.lock().unwrap();
                if op != Op::Round && kept.len() < 30 {
                    kept.push((op, copied.with_log_of(&dir)));
                }
                Ok(())
            }
        });
        let mut told = Told::default();
        while log.shared.current_segment() < 2 {
            told.more(&log, 1);
        }
        told.holds(&home, log, &format!("{fsync:?}"));
        for (op, home) in left.lock().unwrap().drain(..) {
            let was = requests(&home);
            let (log, opened) = home.open(settings());
            assert_eq!(opened.repaired, None, "{fsync:?} {op:?}");
            write(&log, 1_000);
            log.close();
            assert_eq!(home.check().doubts, [], "{fsync:?} {op:?}");
            assert_eq!(requests(&home), [was, vec![1_000]].concat(), "{fsync:?} {op:?}");
        }
    }
}

#[test]
fn a_failing_log_is_tried_now_and_then_and_does_nothing_else() {
    // All that the writer can be woken for is due: a signature, and a sync or a new segment.
    let soon = Duration::from_millis(1);
    let due = AuditSettings { batch: soon, checkpoint_after: soon, ..calm(Fsync::Batch) };
    wakes_for_its_tries_alone(due.clone(), true);
    wakes_for_its_tries_alone(AuditSettings { segment_age: Some(soon), ..due }, false);
}

/// What the writer was seen to do.
#[derive(Default)]
struct Seen {
    failing: bool,
    /// A sync does not end.
    holds: bool,
    tries: usize,
    /// Rounds since it was tried first.
    rounds: usize,
}

fn wakes_for_its_tries_alone(settings: AuditSettings, holds: bool) {
    /// Longer than anything else takes to be due.
    const TRIES: usize = 80;
    let home = Home::new();
    let (log, _) = home.open(settings);
    let seen: Arc<(Mutex<Seen>, std::sync::Condvar)> = Arc::default();
    let does = Arc::clone(&seen);
    script::follow(&home.log_dir(), move |op, _| {
        let (seen, changed) = &*does;
        let mut seen = seen.lock().unwrap();
        match op {
            Op::Round if seen.tries > 0 => seen.rounds += 1,
            Op::Write if seen.failing => {
                seen.tries += 1;
                return Err(rustix::io::Errno::IO.into());
            }
            Op::Begin | Op::Sign => return Err(rustix::io::Errno::IO.into()),
            Op::Sync => drop(changed.wait_while(seen, |seen| seen.holds).unwrap()),
            _ => {}
        }
        Ok(())
    });
    let change = |change: &dyn Fn(&mut Seen)| {
        change(&mut seen.0.lock().unwrap());
        seen.1.notify_all();
    };
    change(&|seen| seen.holds = holds);
    write(&log, 0);
    until(|| !holds || log.shared.desk.busy());
    write(&log, 1);
    change(&|seen| seen.failing = true);
    assert!(log.hand_over(entry(2)).wait().is_err());
    change(&|seen| seen.holds = false);
    until(|| seen.0.lock().unwrap().tries > TRIES);
    let (tries, rounds) = {
        let seen = seen.0.lock().unwrap();
        (seen.tries, seen.rounds)
    };
    // One for each, and now and then one for the end of a job.
    assert!(rounds <= 2 * tries, "{rounds} rounds for {tries} tries");
    change(&|seen| seen.failing = false);
    until(|| log.ready());
    script::follow(&home.log_dir(), |_, _| Ok(()));
    log.close();
    assert_eq!((home.check().doubts, requests(&home)), (vec![], vec![0, 1]));
}

fn any_fault() -> impl Strategy<Value = Fault> {
    let ops = [Op::Begin, Op::Cut, Op::Folder, Op::Name, Op::Sign, Op::State, Op::Sync, Op::Tree, Op::Write];
    (proptest::sample::select(ops.to_vec()), any::<bool>(), 0u32..6, 1u32..3)
        .prop_map(|(op, of_new, well, fails)| Fault { op, of_new, well, fails })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever fails, one thing after the other, in whatever groups entries come.
    #[test]
    fn any_faults(
        always in any::<bool>(),
        faults in proptest::collection::vec(any_fault(), 1..5),
        groups in proptest::collection::vec(1u64..12, 1..40),
    ) {
        let fsync = if always { Fsync::Always } else { Fsync::Batch };
        let home = Home::new();
        let settings = AuditSettings { batch: Duration::from_millis(1), checkpoint_every: 10, ..calm(fsync) };
        let (log, _) = home.open(settings);
        let disk = Disk::of(&home, true, &faults);
        let mut told = Told::default();
        for group in groups {
            told.more(&log, group);
            prop_assert!(!always || disk.is_on_the_medium(&log, &home) || told.written.is_empty());
        }
        // What has not failed by now is not to fail at the end, when nobody tries again.
        disk.inner.lock().unwrap().faults.clear();
        told.more(&log, 1);
        told.holds(&home, log, &format!("{faults:?}"));
    }
}

#[test]
fn what_a_start_calls_signed_is_not_taken_back_by_a_power_cut() {
    // Killed when the checkpoint, or the segment, had its name, and the folder was not synced yet.
    let home = Home::with(12, &calm(Fsync::Off));
    let synced: Arc<AtomicU64> = Arc::default();
    let counts = Arc::clone(&synced);
    script::follow(&home.log_dir(), move |op, _| {
        counts.fetch_add(u64::from(op == Op::Folder), Ordering::AcqRel);
        Ok(())
    });
    let (log, _) = home.open(calm(Fsync::Off));
    assert_eq!((*log.signed().borrow() > 0, synced.load(Ordering::Acquire)), (true, 1));
    drop(log);
    script::follow(&home.log_dir(), |op, _| match op {
        Op::Folder => Err(rustix::io::Errno::IO.into()),
        _ => Ok(()),
    });
    assert!(matches!(home.try_open(settings()), Err(AuditLogError::Io { what: "sync", .. })));
}
