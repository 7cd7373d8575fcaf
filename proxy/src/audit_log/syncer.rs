//! What takes a disk's time, off the writer's way: syncing a group of entries, and signing the log.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portcullis_audit::{Position, SegmentKeys, Tree};

use super::checkpoints::Signer;
#[cfg(debug_assertions)]
use super::faults::{self, Op};
use super::segment::SegmentFile;
use super::state::State;
use super::tree_file::TreeFile;
#[cfg(debug_assertions)]
use super::{segment, tree_file};

/// A sync that takes longer than this is a disk that has stopped: the log counts as failing until it ends.
pub(super) const SYNC_LIMIT: Duration = Duration::from_secs(5);

/// The log as it stands, to be made durable.
pub(super) struct Job {
    pub(super) file: Arc<SegmentFile>,
    pub(super) segment: u64,
    /// How long the segment is.
    pub(super) length: u64,
    pub(super) position: Position,
    pub(super) tree: Tree,
    /// The hashes that are complete since the last job.
    pub(super) nodes: Vec<u8>,
    pub(super) sync: bool,
    /// Whether it is signed, too.
    pub(super) sign: bool,
}

/// What became of jobs.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The segment and the length up to which the log is on the medium.
    pub(super) durable: (u64, u64),
    /// Entries under the newest checkpoint, and the segment that it was signed in: a start looks there.
    pub(super) signed: u64,
    pub(super) signed_in: u64,
    /// Why the last job failed; the log is failing then.
    pub(super) failed: Option<String>,
    /// Why the log could not be signed the last time.
    pub(super) unsigned: Option<String>,
}

/// Hands jobs to the thread that does them, one at a time.
#[derive(Default)]
pub(super) struct Desk {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    job: Option<Job>,
    /// Since when a job is being done.
    since: Option<Instant>,
    progress: Progress,
    closed: bool,
}

impl Desk {
    /// Whether a job waits or is being done.
    pub(super) fn busy(&self) -> bool {
        let inner = self.lock();
        inner.job.is_some() || inner.since.is_some()
    }

    /// Whether a job has taken longer than a disk may.
    pub(super) fn stuck(&self) -> bool {
        self.lock().since.is_some_and(|since| since.elapsed() > SYNC_LIMIT)
    }

    /// Gives a job; there must be none.
    pub(super) fn give(&self, job: Job) {
        self.lock().job = Some(job);
        self.changed.notify_all();
    }

    /// Waits until no job waits or is being done.
    pub(super) fn finish(&self) {
        let mut inner = self.lock();
        while inner.job.is_some() || inner.since.is_some() {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.lock().progress.clone()
    }

    /// Forgets a failure: the log can be written again. Where it was synced, it is on the medium up to this segment and
    /// length; where it was not, no more of it is there than was.
    pub(super) fn mended(&self, durable: Option<(u64, u64)>) {
        let mut inner = self.lock();
        if let Some(durable) = durable {
            inner.progress.durable = durable;
        }
        inner.progress.failed = None;
    }

    pub(super) fn begin_at(&self, segment: u64, length: u64, signed: u64, signed_in: u64) {
        let durable = (segment, length);
        self.lock().progress = Progress { durable, signed, signed_in, ..Progress::default() };
    }

    /// Ends the thread once its job is done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Job> {
        let mut inner = self.lock();
        loop {
            if let Some(job) = inner.job.take() {
                inner.since = Some(Instant::now());
                return Some(job);
            }
            if inner.closed {
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, note: impl FnOnce(&mut Progress)) {
        let mut inner = self.lock();
        note(&mut inner.progress);
        inner.since = None;
        drop(inner);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's own: the tree's file, the key, and hashes that were not written yet.
pub(super) struct Syncer {
    pub(super) dir: PathBuf,
    pub(super) keys: Arc<SegmentKeys>,
    pub(super) tree: TreeFile,
    pub(super) signer: Signer,
    /// Hashes that are not in the file yet.
    pub(super) nodes: Vec<u8>,
    /// The last attempt to sign failed.
    pub(super) unsigned: bool,
}

/// Hashes that wait for a checkpoint; beyond this they are written without one.
const MOST_NODES: usize = 4 << 20;

impl Syncer {
    /// Does jobs until the desk is closed. `told` hears of each, done or failed.
    pub(super) fn run(mut self, desk: &Desk, told: impl Fn()) {
        while let Some(job) = desk.next() {
            self.nodes.extend_from_slice(&job.nodes);
            if job.sync
                && let Err(error) = job.file.sync()
            {
                desk.done(|progress| progress.failed = Some(error.to_string()));
                told();
                continue;
            }
            let signed = if job.sign || self.nodes.len() > MOST_NODES { Some(self.sign(&job)) } else { None };
            self.say(signed.as_ref());
            desk.done(|progress| {
                progress.durable = (job.segment, job.length);
                match signed {
                    None => {}
                    Some(Ok(())) => {
                        (progress.signed, progress.signed_in, progress.unsigned) =
                            (job.position.next_seq, job.segment, None);
                    }
                    Some(Err(error)) => progress.unsigned = Some(error.to_string()),
                }
            });
            told();
        }
    }

    /// Says once that the log cannot be signed, and once that it can again: it is tried every second.
    fn say(&mut self, signed: Option<&std::io::Result<()>>) {
        match signed {
            Some(Err(error)) if !self.unsigned => {
                self.unsigned = true;
                tracing::error!(
                    %error,
                    "The audit log cannot be signed: entries are written, and no checkpoint is over the newest of them, \
                     which nobody else can hold fast until there is one."
                );
            }
            Some(Ok(())) if self.unsigned => {
                self.unsigned = false;
                tracing::info!("The audit log can be signed again.");
            }
            _ => {}
        }
    }

    /// Writes the tree, the checkpoint over it, and where the log stood.
    fn sign(&mut self, job: &Job) -> std::io::Result<()> {
        #[cfg(debug_assertions)]
        faults::meet(Op::Tree, &tree_file::path(&self.dir))?;
        // They count as written only when they are on the medium: until then they are written again.
        self.tree.append(&self.nodes)?;
        self.nodes.clear();
        let (size, root) = (job.tree.size(), job.tree.root());
        #[cfg(debug_assertions)]
        faults::meet(Op::Sign, &segment::checkpoint(&self.dir, job.segment))?;
        self.signer.sign(size, root, job.segment)?;
        let state = State { segment: job.segment, offset: job.length, position: job.position, root };
        #[cfg(debug_assertions)]
        faults::meet(Op::State, &State::path(&self.dir))?;
        state.save(&self.dir, &self.keys)
    }
}
