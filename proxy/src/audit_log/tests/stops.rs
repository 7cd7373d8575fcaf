//! Starts and repairs that end at any step, by a kill or by a disk that says no: whenever that is, either nothing was taken
//! off the end of the log, or an entry on the medium says so.

use portcullis_audit::MAX_LINE;
use sha2::{Digest as _, Sha256};

use super::repair::{cut_short, find};
use super::*;
use crate::audit_log::faults::{Op, script};

/// A log with something at its end that is no entry.
struct Bad {
    home: Home,
    number: u64,
    /// How much of the segment holds, and what stands behind that.
    holds: usize,
    bytes: Vec<u8>,
}

impl Bad {
    /// Behind so many lines of segment 0.
    fn behind(lines: usize, bytes: &[u8]) -> Self {
        let home = cut_short();
        let holds = home.lines(0)[..lines].concat();
        fs::write(home.segment(0), [&holds, bytes].concat()).unwrap();
        Self { home, number: 0, holds: holds.len(), bytes: bytes.to_vec() }
    }

    /// In a segment in which there is nothing else.
    fn alone(bytes: &[u8]) -> Self {
        let home = Home::with(12, &AuditSettings { segment_bytes: 2_000, ..settings() });
        let number = segment::numbers(&home.log_dir(), ".jsonl").unwrap().last().unwrap() + 1;
        fs::write(home.segment(number), bytes).unwrap();
        Self { home, number, holds: 0, bytes: bytes.to_vec() }
    }

    fn copy(&self) -> Self {
        Self { home: self.home.copy(), bytes: self.bytes.clone(), ..*self }
    }

    /// What stands behind what holds.
    fn end(&self, home: &Home) -> Vec<u8> {
        fs::read(home.segment(self.number)).unwrap().split_off(self.holds)
    }

    /// Does this, and returns the log as it stood before each step, and at last.
    fn stopped_at_each_step(&self, act: impl FnOnce(&Home)) -> Vec<(String, Home)> {
        let left: Arc<Mutex<Vec<(String, Home)>>> = Arc::default();
        let (keep, dir, like) = (Arc::clone(&left), self.home.log_dir(), self.home.copy());
        script::follow(&self.home.log_dir(), move |op, _| {
            let mut kept = keep.lock().unwrap();
            if op != Op::Round {
                let case = format!("before step {}, {op:?}", kept.len());
                kept.push((case, like.with_log_of(&dir)));
            }
            Ok(())
        });
        act(&self.home);
        script::follow(&self.home.log_dir(), |_, _| Ok(()));
        let mut left = std::mem::take(&mut *left.lock().unwrap());
        left.push(("at last".to_owned(), self.home.copy()));
        left
    }

    /// Does this with disks that fill up at one step after another, and returns what each left.
    fn refused_at_each_step(&self, act: impl Fn(&Home)) -> Vec<(String, Home)> {
        let mut left = Vec::new();
        loop {
            let Self { home, .. } = self.copy();
            let at: Arc<Mutex<(usize, Option<Op>)>> = Arc::new(Mutex::new((left.len(), None)));
            let does = Arc::clone(&at);
            script::follow(&home.log_dir(), move |op, _| {
                let mut at = does.lock().unwrap();
                match at.0.checked_sub(1) {
                    _ if op == Op::Round || at.1.is_some() => Ok(()),
                    Some(well) => {
                        at.0 = well;
                        Ok(())
                    }
                    None => {
                        at.1 = Some(op);
                        Err(rustix::io::Errno::NOSPC.into())
                    }
                }
            });
            act(&home);
            script::follow(&home.log_dir(), |_, _| Ok(()));
            let Some(op) = at.lock().unwrap().1 else { return left };
            left.push((format!("step {} fails, {op:?}", left.len()), home));
        }
    }
}

/// The entries that tell of what was taken off.
fn told(home: &Home) -> Vec<Value> {
    let numbers = segment::numbers(&home.log_dir(), ".jsonl").unwrap();
    let lines = numbers.into_iter().flat_map(|number| home.lines(number));
    let whole = lines.filter(|line| line.ends_with(b"\n"));
    let entries = whole.filter_map(|line| serde_json::from_slice::<Value>(&line).ok());
    entries.filter(|entry| entry["event_type"] == "audit.repaired").collect()
}

fn take_off(home: &Home) -> bool {
    let found = find(home).unwrap().expect("damage");
    found.take_off(&home.key(), Arc::clone(&home.node), settings()).is_ok()
}

/// Damage that is longer than the entry that takes its place, shorter, and all that its segment has.
fn damaged() -> [Bad; 4] {
    let hole = [&[0; 300][..], &cut_short().lines(0)[8..].concat()].concat();
    [
        Bad::behind(8, &hole),
        Bad::behind(8, b"\0\0\n"),
        Bad::behind(8, b"\0\n{\"code\": \"\", \"da"),
        Bad::alone(b"\0\0\n\0"),
    ]
}

#[test]
fn a_repair_takes_nothing_off_or_names_what_it_kept() {
    for bad in damaged() {
        let refused = bad.refused_at_each_step(|home| _ = take_off(home));
        let killed = bad.copy().stopped_at_each_step(|home| assert!(take_off(home)));
        assert!(refused.len() > 5 && killed.len() > 5, "{} {}", refused.len(), killed.len());
        let begun = segment::begun(&bad.home.log_dir(), bad.number);
        for (case, home) in refused.iter() {
            assert!(!home.log_dir().join(begun.file_name().unwrap()).exists(), "{case}: half a segment is left");
        }
        for (case, home) in refused.into_iter().chain(killed) {
            if told(&home).is_empty() {
                assert_eq!(bad.end(&home), bad.bytes, "{case}: nothing tells of it");
                assert!(take_off(&home), "{case}");
            }
            home.more(1, &settings());
            assert_eq!((find(&home).unwrap().is_none(), home.check().doubts), (true, vec![]), "{case}");
            let [told] = &told(&home)[..] else { panic!("{case}: {:?}", told(&home)) };
            let kept = fs::read(home.log_dir().join(told["path"].as_str().unwrap())).unwrap();
            assert_eq!(kept, bad.bytes, "{case}");
            let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&kept));
            assert_eq!(
                (&told["output_sha256"], &told["response_bytes"]),
                (&json!(digest), &json!(kept.len())),
                "{case}"
            );
        }
    }
}

/// A torn line that is longer than the entry that takes its place, shorter, and all that its segment has.
fn torn() -> impl Iterator<Item = Bad> {
    let of = |length| vec![b'x'; length];
    let behind = [1, 100, 3_000, MAX_LINE - 1].map(|length| Bad::behind(12, &of(length)));
    behind.into_iter().chain([1, 3_000].map(|length| Bad::alone(&of(length))))
}

/// A start goes on with it, and an entry tells that something was taken off.
fn goes_on_and_tells(home: &Home, case: &str) {
    let before = told(home).len();
    let (log, opened) = home.open(settings());
    write(&log, 1_000);
    log.close();
    assert_eq!(told(home).len() - before, usize::from(opened.repaired.is_some()), "{case}");
    assert!(!told(home).is_empty(), "{case}: nothing tells of it");
    assert_eq!(home.check().doubts, [], "{case}");
}

#[test]
fn a_start_takes_nothing_off_or_tells_of_it() {
    for bad in torn() {
        let start = |home: &Home| home.try_open(settings()).is_ok();
        let refused = bad.refused_at_each_step(|home| _ = start(home));
        let killed = bad.copy().stopped_at_each_step(|home| assert!(start(home)));
        assert!(refused.len() > 3 && killed.len() > 3, "{} {}", refused.len(), killed.len());
        for (case, home) in refused.into_iter().chain(killed) {
            if told(&home).is_empty() {
                let end = bad.end(&home);
                assert!(!end.is_empty() && !end.contains(&b'\n'), "{case}: nothing tells of it");
            }
            goes_on_and_tells(&home, &case);
        }
    }
}

#[test]
fn whatever_the_medium_has_of_the_entry_is_a_torn_line_until_it_has_all() {
    for bad in torn().filter(|bad| bad.holds > 0) {
        let done = bad.copy();
        drop(done.home.open(settings()));
        let end = bad.end(&done.home);
        let entry: Vec<u8> = end.split(|byte| *byte == b'\n').next().unwrap().to_vec();
        let longest = entry.len().max(bad.bytes.len());
        // Pages reach it in any order: up to here one of the two, from here on the other; and with the newline.
        for at in (0..=entry.len()).step_by(41).chain([entry.len()]) {
            let over = |first: &[u8], then: &[u8]| {
                let from = |bytes: &[u8], at| bytes.get(at).copied();
                (0..longest)
                    .map_while(|byte| {
                        let (one, other) = if byte < at { (first, then) } else { (then, first) };
                        from(one, byte).or(from(other, byte))
                    })
                    .collect::<Vec<u8>>()
            };
            let mut whole = over(&entry, &entry);
            whole.push(b'\n');
            whole.extend(bad.bytes.get(whole.len()..).unwrap_or_default());
            for end in [over(&entry, &bad.bytes), over(&bad.bytes, &entry), whole] {
                let Bad { home, .. } = bad.copy();
                let holds = fs::read(home.segment(0)).unwrap();
                fs::write(home.segment(0), [&holds[..bad.holds], &end].concat()).unwrap();
                goes_on_and_tells(&home, &format!("{at} of {}, over {} bytes", entry.len(), bad.bytes.len()));
            }
        }
    }
}

#[test]
fn the_entry_is_on_the_medium_before_anything_is_cut_whatever_is_synced_else() {
    for fsync in [Fsync::Off, Fsync::Batch, Fsync::Always] {
        let steps = |bad: &Bad, act: &dyn Fn(&Home)| {
            let steps: Arc<Mutex<Vec<Op>>> = Arc::default();
            let seen = Arc::clone(&steps);
            script::follow(&bad.home.log_dir(), move |op, _| {
                seen.lock().unwrap().extend(Some(op).filter(|op| *op != Op::Round));
                Ok(())
            });
            act(&bad.home);
            std::mem::take(&mut *steps.lock().unwrap())
        };
        let open = |home: &Home| drop(home.open(AuditSettings { fsync, ..settings() }));
        let in_place = [Op::Write, Op::Sync, Op::Write, Op::Sync, Op::Cut, Op::Sync];
        let anew = [Op::Begin, Op::Write, Op::Sync, Op::Name, Op::Folder];
        assert!(steps(&Bad::behind(12, &[b'x'; 3_000]), &open).starts_with(&in_place), "{fsync:?}");
        assert!(steps(&Bad::alone(b"x"), &open).starts_with(&anew), "{fsync:?}");
        let repair = |home: &Home| {
            let found = find(home).unwrap().expect("damage");
            let settings = AuditSettings { fsync, ..settings() };
            found.take_off(&home.key(), Arc::clone(&home.node), settings).unwrap();
        };
        let copied = [Op::Begin, Op::Write, Op::Write, Op::Sync, Op::Name, Op::Folder];
        assert!(steps(&Bad::behind(8, b"\0\0\n"), &repair).starts_with(&copied), "{fsync:?}");
    }
}
