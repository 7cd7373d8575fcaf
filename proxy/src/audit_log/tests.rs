use std::fs;

use super::*;
use crate::config::Fsync;
use portcullis_audit::{Tree, check_lines, leaf_hash};

mod checks;
mod damage;
// Only a debug build has a disk that fails on command.
#[cfg(debug_assertions)]
mod disk;
mod holes;
mod keeping;
mod links;
mod pipes;
mod refused;
mod repair;
mod retention;
#[cfg(debug_assertions)]
mod stops;

/// The settings of a test: nothing is synced, and all that has come is signed at the end.
fn settings() -> AuditSettings {
    AuditSettings { fsync: Fsync::Off, compress: false, ..AuditSettings::default() }
}

/// A log in a folder of its own, and the node that signs it.
struct Home {
    dir: tempfile::TempDir,
    node: Arc<NodeKey>,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), node: Arc::new(NodeKey::generate().unwrap()) }
    }

    fn log_dir(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    fn key(&self) -> AuditKey {
        AuditKey::load_or_create(self.dir.path()).unwrap()
    }

    fn try_open(&self, settings: AuditSettings) -> Result<(AuditLog, Opened), AuditLogError> {
        AuditLog::open(&self.log_dir(), &self.key(), Arc::clone(&self.node), settings)
    }

    fn open(&self, settings: AuditSettings) -> (AuditLog, Opened) {
        self.try_open(settings).unwrap()
    }

    /// A log of so many entries, closed.
    fn with(entries: u64, settings: &AuditSettings) -> Self {
        let home = Self::new();
        home.more(entries, settings);
        home
    }

    fn more(&self, entries: u64, settings: &AuditSettings) {
        let (log, _) = self.open(settings.clone());
        for number in 0..entries {
            write(&log, number);
        }
        log.close();
    }

    fn copy(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("audit")).unwrap();
        for (from, to) in
            [(self.dir.path().to_owned(), dir.path().to_owned()), (self.log_dir(), dir.path().join("audit"))]
        {
            for file in fs::read_dir(from).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
                // A gate that runs may have deleted it meanwhile.
                let copied = fs::copy(&file, to.join(file.file_name().unwrap()));
                assert!(copied.is_ok() || !file.exists(), "{}: {copied:?}", file.display());
            }
        }
        Self { dir, node: Arc::clone(&self.node) }
    }

    fn segment(&self, number: u64) -> PathBuf {
        segment::plain(&self.log_dir(), number)
    }

    fn lines(&self, number: u64) -> Vec<Vec<u8>> {
        fs::read(self.segment(number)).unwrap().split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
    }

    /// Checks every seal, and the newest checkpoint against the lines. Returns how many lines there are.
    fn verify(&self) -> u64 {
        let keys = self.key().segments();
        let (mut position, mut tree, mut nodes, mut roots) = (Position::START, Tree::default(), Vec::new(), Vec::new());
        for number in segment::numbers(&self.log_dir(), ".jsonl").unwrap() {
            let bytes = fs::read(self.segment(number)).unwrap();
            let checked = check_lines(&bytes, Some(&keys.seal_key(number)), position);
            assert_eq!(checked.bad, None, "segment {number}");
            position = checked.position;
            for leaf in checked.leaves {
                roots.push(tree.root());
                tree.push(leaf, &mut nodes);
            }
        }
        roots.push(tree.root());
        let key = checkpoints::verifier_key(&self.node.public()).unwrap();
        if let Some(signed) = checkpoints::newest(&self.log_dir(), &key).unwrap() {
            let size = usize::try_from(signed.checkpoint.size).unwrap();
            assert_eq!(signed.checkpoint.root, roots[size]);
        }
        position.next_seq
    }
}

/// Waits for what another thread does.
fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "it does not happen");
        std::thread::yield_now();
    }
}

fn entry(number: u64) -> Draft {
    let path = format!("/api/chat/{number}");
    Entry { event_type: "request", method: "POST", path: &path, policy_decision: "ALLOW", ..Entry::default() }.draft()
}

fn write(log: &AuditLog, number: u64) {
    log.hand_over(entry(number)).wait().unwrap();
}

#[test]
fn a_hundred_thousand_entries_and_a_restart() {
    let home = Home::new();
    let (log, _) = home.open(settings());
    let receipts: Vec<_> = (0..100_000).map(|number| log.hand_over(entry(number))).collect();
    receipts.into_iter().for_each(|receipt| receipt.wait().unwrap());
    drop(log);
    let (log, opened) = home.open(settings());
    assert_eq!((opened.repaired, opened.read_anew), (None, None));
    write(&log, 0);
    log.close();
    assert_eq!(home.verify(), 100_001);
}

#[test]
fn the_newest_entries_count_in_a_log_that_was_never_closed() {
    // A copy of a log that is being written is what a killed process leaves.
    for fsync in [Fsync::Off, Fsync::Batch, Fsync::Always] {
        let home = Home::new();
        let (log, _) = home.open(AuditSettings { fsync, checkpoint_every: 7, ..settings() });
        for number in 0..40 {
            write(&log, number);
            let copy = home.copy();
            let (again, opened) = copy.open(settings());
            assert_eq!(opened.repaired, None);
            write(&again, 1_000);
            again.close();
            let told = u64::from(opened.read_anew.is_some());
            assert_eq!(copy.verify(), number + 2 + told);
        }
    }
}

#[test]
fn a_torn_last_line_is_removed_and_told() {
    let whole = Home::with(2, &settings());
    let bytes = fs::read(whole.segment(0)).unwrap();
    let first = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    for end in (first + 1..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        let home = Home::new();
        fs::create_dir(home.log_dir()).unwrap();
        for name in [FIRST, MASTER] {
            fs::copy(whole.dir.path().join(name), home.dir.path().join(name)).unwrap();
        }
        fs::write(home.segment(0), &bytes[..end]).unwrap();
        let (log, opened) = home.open(settings());
        assert_eq!((opened.repaired, opened.read_anew), (Some((end - first) as u64), None));
        write(&log, 9);
        drop(log);
        assert_eq!(home.verify(), 3, "the whole line, the note, the new one");
        let note = String::from_utf8(home.lines(0).remove(1)).unwrap();
        assert!(note.contains("\"event_type\": \"audit.repaired\""), "{note}");
    }
}

#[test]
fn a_second_writer_is_refused() {
    let home = Home::new();
    let (_log, _) = home.open(settings());
    assert!(matches!(home.try_open(settings()), Err(AuditLogError::Busy(_))));
}

#[test]
fn the_chain_runs_on_over_segments_and_each_says_what_it_follows() {
    let home = Home::new();
    for _ in 0..3 {
        home.more(10, &AuditSettings { segment_bytes: 2_000, ..settings() });
    }
    let numbers = segment::numbers(&home.log_dir(), ".jsonl").unwrap();
    assert!(numbers.len() > 3, "{numbers:?}");
    assert_eq!(home.verify(), 30 + numbers.len() as u64 - 1);
    let keys = home.key().segments();
    for number in numbers.into_iter().skip(1) {
        let lines = home.lines(number);
        let first: Value = serde_json::from_slice(&lines[0]).unwrap();
        let before: Value = serde_json::from_slice(home.lines(number - 1).last().unwrap()).unwrap();
        assert_eq!(first["event_type"], "audit.segment");
        assert_eq!(first["previous_hmac"], before["entry_hmac"]);
        assert_eq!(first["segment"], number);
        // One key is enough for one segment, and no use for another.
        let at = |key| {
            let previous = portcullis_audit::Seal::parse(before["entry_hmac"].as_str().unwrap()).unwrap();
            let next_seq = first["seq_no"].as_u64().unwrap();
            check_lines(&lines.concat(), Some(&key), Position { next_seq, previous }).bad
        };
        assert_eq!(at(keys.seal_key(number)), None);
        assert!(at(keys.seal_key(number + 1)).is_some());
    }
}

#[test]
fn segments_that_ended_are_compressed_and_the_log_goes_on() {
    let home = Home::new();
    let plain = AuditSettings { segment_bytes: 2_000, ..settings() };
    home.more(10, &plain);
    let whole = home.lines(0).concat();
    home.more(10, &plain);
    let (log, opened) = home.open(AuditSettings { compress: true, ..settings() });
    assert_eq!(opened.read_anew, None);
    write(&log, 1);
    until(|| !home.segment(0).exists());
    drop(log);
    let read = fs::read(segment::compressed(&home.log_dir(), 0)).unwrap();
    assert_eq!(zstd::decode_all(&*read).unwrap(), whole);
    // Without the place that was durable, all of it is read.
    fs::remove_file(home.log_dir().join("state.json")).unwrap();
    let (_log, opened) = home.open(settings());
    assert!(opened.read_anew.is_some_and(|entries| entries > 20), "{opened:?}");
}

#[test]
fn what_is_too_old_is_deleted_and_the_rest_goes_on() {
    let home = Home::new();
    let many = AuditSettings { segment_bytes: 2_000, ..settings() };
    home.more(30, &many);
    let before = segment::numbers(&home.log_dir(), ".jsonl").unwrap();
    let few = AuditSettings { keep_bytes: Some(6_000), ..many.clone() };
    let (log, _) = home.open(few);
    until(|| segment::numbers(&home.log_dir(), ".jsonl").unwrap().len() < before.len());
    drop(log);
    let after = segment::numbers(&home.log_dir(), ".jsonl").unwrap();
    assert!(after.len() < before.len() && after[0] > 0, "{before:?} {after:?}");
    assert!(segment::checkpoint(&home.log_dir(), after[0] - 1).exists(), "the last one's checkpoint stays");
    let text: String = after.iter().map(|number| String::from_utf8(home.lines(*number).concat()).unwrap()).collect();
    assert!(text.contains("\"event_type\": \"audit.pruned\""), "{text}");
    // It goes on from the place that was durable, and without it from the first segment that is there.
    home.more(1, &many);
    fs::remove_file(home.log_dir().join("state.json")).unwrap();
    let (log, opened) = home.open(many);
    assert!(opened.read_anew.is_some());
    write(&log, 1);
}

#[tokio::test]
async fn a_full_queue_holds_up_who_would_begin_and_nobody_else() {
    let queue = Queue::default();
    let pending = || {
        let (receipt, waits) = oneshot::channel();
        (Pending { draft: entry(1), receipt }, waits)
    };
    let mut waits = Vec::new();
    loop {
        let (entry, wait) = pending();
        assert!(queue.push(entry).is_ok(), "what has begun is always taken");
        waits.push(wait);
        if tokio::time::timeout(Duration::ZERO, queue.room()).await.is_err() {
            break;
        }
    }
    let (more, _wait) = pending();
    assert!(queue.push(more).is_ok());
    let mut group = Vec::new();
    tokio::join!(queue.room(), async { queue.take(&mut group, usize::MAX, None) });
    assert_eq!(group.len(), waits.len() + 1);
    queue.close();
    assert!(queue.push(pending().0).is_err());
}

#[test]
fn a_checkpoint_is_signed_every_so_many_entries() {
    let home = Home::new();
    let (log, _) = home.open(AuditSettings { checkpoint_every: 5, ..settings() });
    let mut signed = log.signed();
    (0..5).for_each(|number| write(&log, number));
    futures::executor::block_on(signed.wait_for(|entries| *entries == 5)).unwrap();
    let key = checkpoints::verifier_key(&home.node.public()).unwrap();
    let newest = checkpoints::newest(&home.log_dir(), &key).unwrap().unwrap();
    assert_eq!(newest.checkpoint.size, 5);
    let leaf = leaf_hash(home.lines(0)[3].strip_suffix(b"\n").unwrap());
    let tree = tree_file::TreeFile::read(&home.log_dir()).unwrap();
    let proof = portcullis_audit::tree::inclusion(&tree, 3, 5).unwrap();
    portcullis_audit::tree::verify_inclusion(&leaf, 3, 5, &proof, &newest.checkpoint.root).unwrap();
}
