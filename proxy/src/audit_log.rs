//! The audit log on disk: one writer, a chain over all segments, a signed tree over all entries.
//!
//! An exchange hands its entry over and waits until it is written ([`queue`], [`writer`]); what takes a disk's time
//! happens beside the writer ([`syncer`]). Segments that have ended are compressed, and deleted when they are old
//! ([`keeper`]). A start looks at the end alone ([`resume`]). Who reads the log needs none of this: it is files.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use portcullis_audit::{Chain, NoteSignature, Position, VerifierKey};
use portcullis_certs::{NodeKey, files};
use portcullis_filters::audit::{AuditError, AuditSink, Draft, Entry, Receipt};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

#[cfg(debug_assertions)]
use crate::clock::Time as _;
use crate::config::{AuditSettings, Fsync};
use crate::metrics::Metrics;
use crate::witnessed::memory::FOLDER as WITNESSED;

mod beginning;
pub(crate) mod check;
pub(crate) mod checkpoints;
mod concern;
pub(crate) mod export;
#[cfg(debug_assertions)]
mod faults;
pub(crate) mod find;
mod keeper;
mod key;
mod pruned;
mod queue;
pub(crate) mod read;
pub(crate) mod repair;
mod resume;
pub(crate) mod segment;
mod state;
mod syncer;
pub(crate) mod tree_file;
mod writer;

pub(crate) use concern::Concern;
pub(crate) use key::{AuditKey, FIRST, MASTER, missing};

use keeper::Keeper;
use queue::{Pending, Queue};
use read::Cursor;
use segment::SegmentFile;
use syncer::{Desk, Syncer};
use tree_file::TreeFile;
use writer::{Open, Writer};

/// A writer that is at one group for longer than this waits for a disk that has stopped: nothing more is let in.
const STALLED: Duration = Duration::from_secs(5);

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditLogError {
    #[error("the audit log `{0}` is in use by another process; only one gate may write it")]
    Busy(PathBuf),
    #[error(
        "the audit log `{path}` cannot be continued: {why}; look with `portcullis audit verify`, keep the folder as \
         evidence, and move it away to begin a new log"
    )]
    Damaged { path: PathBuf, why: String },
    #[error(
        "the audit log cannot be continued: in `{path}`, {why}; no checkpoint is over it, so it may be what a power cut \
         left: look with `portcullis audit repair`, which keeps what holds"
    )]
    Unsigned { path: PathBuf, why: String },
    #[error("cannot {what} `{path}`: {source}")]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
}

/// What was found when the log was opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opened {
    /// The bytes of a torn last line that was removed.
    pub(crate) repaired: Option<u64>,
    /// How many entries had to be read, because nothing said where the log stood.
    pub(crate) read_anew: Option<u64>,
}

/// The log.
pub(crate) struct AuditLog {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held for as long as the log is open.
    _lock: File,
}

/// What the log's threads share.
struct Shared {
    dir: PathBuf,
    settings: AuditSettings,
    queue: Queue,
    desk: Desk,
    rotated: keeper::Bell,
    failing: AtomicBool,
    /// Why it failed last.
    trouble: Mutex<String>,
    /// Since when the writer is at one group, in milliseconds since `began`; 0 while it waits for work.
    busy_since: AtomicU64,
    began: Instant,
    entries: AtomicU64,
    failures: AtomicU64,
    /// How long groups took to be written.
    written: std::sync::OnceLock<prometheus::Histogram>,
    standing: Mutex<Standing>,
    /// How many entries are under a checkpoint.
    signed: watch::Sender<u64>,
    /// The first segment that is not exported whole; none while nothing is exported.
    exported: Mutex<Option<u64>>,
    notes: Arc<checkpoints::Notes>,
    /// A witness saw another log than this one.
    contradicted: AtomicBool,
    /// How many entries somebody waits to see under a checkpoint; 0 for nobody.
    wanted_signed: AtomicU64,
    /// Why segments that have ended are not compressed or deleted.
    kept_back: Mutex<Option<String>>,
}

/// Where the log stands.
#[derive(Clone, Copy)]
struct Standing {
    position: Position,
    segment: u64,
    bytes: u64,
}

impl AuditLog {
    /// Opens the log and picks it up at its end.
    ///
    /// # Errors
    /// When another process has it, when its end is not one, or when the disk says no.
    pub(crate) fn open(
        dir: &Path,
        key: &AuditKey,
        node: Arc<NodeKey>,
        settings: AuditSettings,
    ) -> Result<(Self, Opened), AuditLogError> {
        portcullis_certs::files::create_private_dir(dir).map_err(|error| AuditLogError::Io {
            what: "make",
            path: dir.to_owned(),
            source: std::io::Error::other(error.to_string()),
        })?;
        Self::open_locked(lock(dir)?, dir, key, node, settings)
    }

    /// Opens the log for whoever holds its lock.
    fn open_locked(
        lock: File,
        dir: &Path,
        key: &AuditKey,
        node: Arc<NodeKey>,
        settings: AuditSettings,
    ) -> Result<(Self, Opened), AuditLogError> {
        let io = |what| move |source| AuditLogError::Io { what, path: dir.to_owned(), source };
        let keys = Arc::new(key.segments());
        let signer = signer(dir, &node)?;
        let mut end = resume::end_of_log(dir, &keys, &signer)?;
        let found = end.open(dir)?;
        // The log is one, and is continued. Nothing in it was changed until here.
        // What a gate that was killed left half written. A folder in which that cannot be done takes no log either.
        for dir in [dir, &dir.join(WITNESSED)] {
            let removed = portcullis_certs::files::remove_unfinished(dir);
            removed.map_err(|error| io("clean")(std::io::Error::other(error.to_string())))?;
        }
        let (number, whole) = end.segment.unwrap_or((0, 0));
        let torn =
            end.torn.map(|bytes| Entry { event_type: "audit.repaired", response_bytes: bytes, ..Entry::default() });
        let (lines, told) = end.tell(&keys, torn.as_ref());
        let file = SegmentFile::go_on(found, dir, number, whole, &lines).map_err(io("go on with"))?;
        let (file, length) = (Arc::new(file), whole + lines.len() as u64);
        let opened = Opened { repaired: end.torn, read_anew: end.read_anew };
        let mut tree_file = match end.tree_file {
            Some(file) => file,
            None => TreeFile::create(dir).map_err(io("make the tree of"))?,
        };
        if settings.fsync != Fsync::Off || !end.nodes.is_empty() {
            // What a process that was killed left in the system's memory: hashes are written after their lines.
            file.sync().map_err(io("sync"))?;
        }
        tree_file.accept(&end.nodes).map_err(io("write the tree of"))?;
        // A process that was killed may have had no time for it: what is said to be signed, and where entries are written
        // from now on, is not taken back.
        segment::sync_folder(dir, number).map_err(io("sync"))?;
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            queue: Queue::default(),
            desk: Desk::default(),
            rotated: keeper::Bell::default(),
            failing: AtomicBool::new(false),
            trouble: Mutex::default(),
            busy_since: AtomicU64::new(0),
            began: Instant::now(),
            entries: AtomicU64::new(told),
            failures: AtomicU64::new(0),
            written: std::sync::OnceLock::new(),
            standing: Mutex::new(Standing { position: end.position, segment: number, bytes: length }),
            signed: watch::Sender::new(end.signed),
            // Until somebody says how far that came, nothing that is to be passed on may go.
            exported: Mutex::new(if settings.export.is_empty() { None } else { Some(0) }),
            notes: Arc::new(checkpoints::Notes::new(dir)),
            contradicted: AtomicBool::new(false),
            wanted_signed: AtomicU64::new(0),
            kept_back: Mutex::default(),
            settings,
        });
        shared.desk.begin_at(number, length, end.signed, end.signed_in);
        let keeper = Keeper::new(Arc::clone(&shared), Arc::clone(&keys), signer);
        let signer = checkpoints::Signer::new(Arc::clone(&shared.notes), node);
        let syncer = Syncer {
            dir: dir.to_owned(),
            keys: Arc::clone(&keys),
            tree: tree_file,
            signer,
            nodes: Vec::new(),
            unsigned: false,
        };
        let writer = Writer {
            chain: Chain::resume(keys.seal_key(number), end.position),
            tree: end.tree,
            segment: Open { number, file, length, ends: shared.settings.segment_age.map(|age| Instant::now() + age) },
            nodes: Vec::new(),
            unsynced: Vec::new(),
            synced: length,
            unsynced_since: None,
            // What was read anew stands in the tree already, so it is signed at once.
            unsigned_since: (end.position.next_seq > end.signed).then(|| {
                let now = Instant::now();
                let stands = (!end.nodes.is_empty()).then_some(());
                let due = stands.and_then(|()| now.checked_sub(shared.settings.checkpoint_after));
                due.unwrap_or(now)
            }),
            signed: end.signed,
            signed_at: None,
            rotate_again: None,
            left_over: None,
            probe: None,
            dir: dir.to_owned(),
            keys,
            shared: Arc::clone(&shared),
        };
        let threads = start(writer, syncer, keeper, &shared).map_err(io("start the threads of"))?;
        let log = Self { shared, threads: Mutex::new(threads), _lock: lock };
        if let Some(entries) = opened.read_anew {
            let entry = Entry { event_type: "audit.read_anew", response_bytes: entries, ..Entry::default() };
            let written = log.hand_over(entry.draft()).wait();
            written.map_err(|error| io("write")(std::io::Error::other(error.to_string())))?;
        }
        Ok((log, opened))
    }

    /// Writes what waits, brings everything to the medium under a checkpoint, and ends the log's threads.
    pub(crate) fn close(&self) {
        self.shared.queue.close();
        self.shared.rotated.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("A thread of the audit log panicked.");
            }
        }
    }

    /// Tells how many entries are under a checkpoint, whenever that changes.
    pub(crate) fn signed(&self) -> watch::Receiver<u64> {
        self.shared.signed.subscribe()
    }

    /// The folder in which it lies.
    pub(crate) fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The place after the newest entry that is on the medium, and will not be taken back.
    pub(crate) fn durable(&self) -> Cursor {
        let (segment, offset) = if self.shared.settings.fsync == Fsync::Always {
            let standing = *self.shared.standing();
            (standing.segment, standing.bytes)
        } else {
            self.shared.desk.progress().durable
        };
        Cursor { segment, offset }
    }

    /// The number of the entry that will be written next.
    pub(crate) fn next_entry(&self) -> u64 {
        self.shared.standing().position.next_seq
    }

    /// Adds a witness's cosignature to the checkpoint with this text. Says whether that was still there.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(crate) fn cosigned(&self, text: &str, cosignature: &NoteSignature) -> std::io::Result<bool> {
        self.shared.notes.add(text, cosignature)
    }

    /// Notes that a witness saw another log than this one: the chain counts as broken until the gate is started anew.
    pub(crate) fn contradicted(&self) {
        self.shared.contradicted.store(true, Ordering::Release);
    }

    /// Notes that everything before this segment was exported.
    pub(crate) fn exported(&self, segment: u64) {
        *self.shared.exported.lock().unwrap_or_else(PoisonError::into_inner) = Some(segment);
        self.shared.rotated.ring();
    }

    /// Why nothing can be written now; `None` while it can.
    pub(crate) fn trouble(&self) -> Option<String> {
        if self.shared.failing.load(Ordering::Acquire) {
            return Some(self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone());
        }
        self.shared.stalled().then(|| "the disk does not answer".to_owned())
    }

    /// Observes from now on how long each group takes to be written.
    pub(crate) fn observe(&self, written: prometheus::Histogram) {
        let _ = self.shared.written.set(written);
    }

    /// Brings the counters up to date.
    pub(crate) fn report(&self, metrics: &Metrics) {
        let shared = &self.shared;
        let catch_up = |counter: &prometheus::IntCounter, now: u64| {
            counter.inc_by(now.saturating_sub(counter.get()));
        };
        catch_up(&metrics.audit.entries, shared.entries.load(Ordering::Relaxed));
        catch_up(&metrics.audit.failures, shared.failures.load(Ordering::Relaxed));
        let contradicted = shared.contradicted.load(Ordering::Acquire);
        metrics.audit.chain_ok.set(i64::from(self.ready() && !contradicted));
        metrics.audit.sequence.set(shared.standing().position.next_seq.saturating_sub(1) as f64);
        metrics.audit.signed.set(i64::try_from(shared.desk.progress().signed).unwrap_or(i64::MAX));
    }

    pub(crate) fn status_json(&self) -> Value {
        let standing = *self.shared.standing();
        let progress = self.shared.desk.progress();
        json!({
            "ready": self.ready(),
            "entries": standing.position.next_seq,
            "head": standing.position.previous.as_str().get(..16),
            "segment": format!("audit-{:06}.jsonl", standing.segment),
            "segment_bytes": standing.bytes,
            "signed": progress.signed,
            "unsigned_because": progress.unsigned,
            "waiting": self.shared.queue.length(),
            "failures": self.shared.failures.load(Ordering::Relaxed),
            "kept_back_because": self.shared.kept_back.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        })
    }

    fn hand_over_to(shared: &Shared, entry: Draft) -> Receipt {
        let refused = |why: &str| {
            shared.failures.fetch_add(1, Ordering::Relaxed);
            Receipt::settled(Err(AuditError(why.to_owned())))
        };
        if shared.failing.load(Ordering::Acquire) || shared.stalled() {
            return refused("the log is failing");
        }
        let (receipt, waits) = oneshot::channel();
        match shared.queue.push(Pending { draft: entry, receipt }) {
            Ok(()) => Receipt::waiting(waits),
            Err(_) => refused("the log is closed"),
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.close();
    }
}

impl AuditSink for AuditLog {
    fn hand_over(&self, entry: Draft) -> Receipt {
        Self::hand_over_to(&self.shared, entry)
    }

    fn room(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.queue.room())
    }

    fn ready(&self) -> bool {
        !self.shared.failing.load(Ordering::Acquire) && !self.shared.stalled()
    }
}

impl Shared {
    /// Notes that the writer has taken a group, or waits for one.
    fn busy(&self, busy: bool) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.busy_since.store(if busy { now } else { 0 }, Ordering::Release);
    }

    fn stalled(&self) -> bool {
        let since = self.busy_since.load(Ordering::Acquire);
        since > 0 && self.began.elapsed() > Duration::from_millis(since) + STALLED
    }

    fn wrote(&self, entries: u64, took: Duration) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        if let Some(written) = self.written.get().filter(|_| !took.is_zero()) {
            written.observe(took.as_secs_f64());
        }
    }

    fn stands_at(&self, position: Position, segment: u64, bytes: u64) {
        *self.standing() = Standing { position, segment, bytes };
    }

    fn current_segment(&self) -> u64 {
        self.standing().segment
    }

    fn current_bytes(&self) -> u64 {
        self.standing().bytes
    }

    /// Has the log signed, without waiting for it, once it has so many entries; the keeper's bell rings then.
    fn want_signed(&self, entries: u64) {
        self.wanted_signed.store(entries, Ordering::Release);
        self.queue.nudge();
        // It may have been signed in between.
        self.is_signed(self.desk.progress().signed);
    }

    fn is_signed(&self, entries: u64) {
        let wanted = self.wanted_signed.load(Ordering::Acquire);
        if wanted > 0 && entries >= wanted {
            self.wanted_signed.store(0, Ordering::Release);
            self.rotated.ring();
        }
    }

    fn exported(&self) -> Option<u64> {
        *self.exported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer is gone, also by a panic: nobody waits for it in vain.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.failing.store(true, Ordering::Release);
        self.0.queue.close();
        self.0.desk.close();
        let mut left = Vec::new();
        self.0.queue.take(&mut left, usize::MAX, None);
    }
}

/// Starts the writer, what syncs and signs beside it, and the keeper of old segments.
fn start(writer: Writer, syncer: Syncer, keeper: Keeper, shared: &Arc<Shared>) -> std::io::Result<Vec<JoinHandle<()>>> {
    let thread = |name: &str| std::thread::Builder::new().name(format!("audit-{name}"));
    let syncing = Arc::clone(shared);
    Ok(vec![
        thread("writer").spawn(move || {
            let _ended = Ended(Arc::clone(&writer.shared));
            writer.run();
        })?,
        thread("sync").spawn(move || {
            syncer.run(&syncing.desk, || {
                let signed = syncing.desk.progress().signed;
                syncing.signed.send_if_modified(|known| std::mem::replace(known, signed) != signed);
                syncing.queue.nudge();
                syncing.is_signed(signed);
            });
        })?,
        thread("keeper").spawn(move || keeper.run())?,
    ])
}

/// The time, in microseconds since 1970.
fn now_micros() -> u64 {
    #[cfg(debug_assertions)]
    if let Some(clock) = &*STEPPED {
        return u64::try_from(clock.wall_ms()).unwrap_or(0).saturating_mul(1000);
    }
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    u64::try_from(micros).unwrap_or(u64::MAX)
}

/// The clock that a test sets.
#[cfg(debug_assertions)]
static STEPPED: std::sync::LazyLock<Option<crate::test_fault::SteppedTime>> =
    std::sync::LazyLock::new(crate::test_fault::SteppedTime::asked_for);

/// The key that the log's checkpoints are checked with.
fn signer(dir: &Path, node: &NodeKey) -> Result<VerifierKey, AuditLogError> {
    checkpoints::verifier_key(&node.public()).map_err(|error| AuditLogError::Io {
        what: "sign",
        path: dir.to_owned(),
        source: std::io::Error::other(error.to_string()),
    })
}

fn lock(dir: &Path) -> Result<File, AuditLogError> {
    let path = dir.join("lock");
    let io = |source| AuditLogError::Io { what: "lock", path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = files::open_regular_with(&mut options, &path).map_err(io)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(AuditLogError::Busy(dir.to_owned())),
        Err(error) => Err(io(error.into())),
    }
}

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
