//! The one that writes: takes what waits, seals it, writes it in one go, and tells whoever waited.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use portcullis_audit::{Chain, Hash, Position, SegmentKeys, Tree};
use portcullis_filters::audit::{AuditError, Entry};

#[cfg(all(test, debug_assertions))]
use super::faults;
use super::queue::{Pending, Woken};
use super::segment::{self, SegmentFile};
use super::syncer::Job;
use super::{Shared, now_micros};
use crate::config::Fsync;

/// How many entries are written in one go, at most.
const GROUP: usize = 1024;
/// How often a failing log is tried again. Tests count what is done, and not how long it takes.
const PROBE_EVERY: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 1_000 });
/// What was written and is not on the medium yet is kept, to be written anew should a sync fail. With more than this
/// the writer waits for the disk.
const MOST_UNSYNCED: usize = 32 << 20;
/// Two checkpoints are never nearer than this.
const SIGN_PAUSE: Duration = Duration::from_secs(1);

/// The writer, and all that only it changes.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) dir: PathBuf,
    pub(super) keys: Arc<SegmentKeys>,
    pub(super) chain: Chain,
    pub(super) tree: Tree,
    pub(super) segment: Open,
    /// Hashes of the tree that are complete and not handed on yet.
    pub(super) nodes: Vec<u8>,
    /// What was written and may not be on the medium yet, and where in the segment it begins.
    pub(super) unsynced: Vec<u8>,
    pub(super) synced: u64,
    /// Since when the oldest entry waits to be synced, and to be signed.
    pub(super) unsynced_since: Option<Instant>,
    pub(super) unsigned_since: Option<Instant>,
    /// How many entries are under a checkpoint, or will be when the job is done that was given; and when that was.
    pub(super) signed: u64,
    pub(super) signed_at: Option<Instant>,
    /// When a new segment is tried again that could not be begun.
    pub(super) rotate_again: Option<Instant>,
    /// A segment that could not be begun, and whose file may still be there.
    pub(super) left_over: Option<u64>,
    /// When a failing log is tried next.
    pub(super) probe: Option<Instant>,
}

/// The segment that is being written.
pub(super) struct Open {
    pub(super) number: u64,
    pub(super) file: Arc<SegmentFile>,
    pub(super) length: u64,
    pub(super) ends: Option<Instant>,
}

/// What one go brought: the bytes, and the hash of each line.
#[derive(Default)]
struct Sealed {
    lines: Vec<u8>,
    leaves: Vec<Hash>,
}

impl Writer {
    /// Writes until the log is closed and nothing waits.
    pub(super) fn run(mut self) {
        let mut group: Vec<Pending> = Vec::with_capacity(GROUP);
        let mut sealed = Sealed::default();
        loop {
            #[cfg(all(test, debug_assertions))]
            let _ = faults::script::play(faults::Op::Round, &self.dir.join("writer"));
            let until = self.wakes_at();
            let woken = self.shared.queue.take(&mut group, GROUP, until);
            self.shared.busy(true);
            self.look_at_syncs();
            self.probe_if_due();
            if !group.is_empty() {
                let began = Instant::now();
                let written = self.write_group(&group, &mut sealed);
                let count = if written.is_ok() { group.len() as u64 } else { 0 };
                self.tell(&mut group, written);
                self.shared.wrote(count, began.elapsed());
            }
            self.rotate_if_old();
            self.give_job(false);
            self.shared.busy(false);
            if woken == Woken::Closed {
                break;
            }
        }
        self.close();
    }

    /// When there is something to do at the latest.
    fn wakes_at(&self) -> Option<Instant> {
        if self.shared.failing.load(Ordering::Acquire) {
            // Nothing else is done until the log can be written again. The end of a job is told by a nudge.
            return self.probe.filter(|_| !self.shared.desk.busy());
        }
        let settings = &self.shared.settings;
        let sync = self.unsynced_since.map(|since| since + settings.batch);
        let sign = self.unsigned_since.map(|since| {
            let due = since + settings.checkpoint_after;
            let paused = self.signed_at.map_or(due, |at| at + SIGN_PAUSE);
            if self.wants_signature() { paused } else { due.max(paused) }
        });
        // While a job is being done nothing else can be given; its end is told by a nudge.
        let jobs = [sync, sign].into_iter().flatten().min().filter(|_| !self.shared.desk.busy());
        let stuck = self.shared.desk.busy().then(|| Instant::now() + PROBE_EVERY);
        [jobs, stuck, self.probe, self.segment.ends].into_iter().flatten().min()
    }

    /// Seals a group and writes it; all of it is there, or none.
    fn write_group(&mut self, group: &[Pending], sealed: &mut Sealed) -> std::io::Result<()> {
        if self.shared.failing.load(Ordering::Acquire) {
            return Err(std::io::Error::other("the log is failing"));
        }
        if self.segment.length >= self.shared.settings.segment_bytes {
            self.rotate_if_it_can();
            // The disk may have said so just now, when the segment was to end.
            if self.shared.failing.load(Ordering::Acquire) {
                return Err(std::io::Error::other("the log is failing"));
            }
        }
        let before = self.chain.position();
        sealed.lines.clear();
        sealed.leaves.clear();
        for pending in group {
            sealed.leaves.push(self.chain.seal(&pending.draft, now_micros(), &mut sealed.lines));
        }
        self.write(before, sealed)
    }

    /// Writes sealed lines, and tells everybody that the log ends behind them.
    fn write(&mut self, before: Position, sealed: &Sealed) -> std::io::Result<()> {
        self.append(before, sealed)?;
        self.tell_end();
        if self.unsynced.len() > MOST_UNSYNCED {
            self.give_job(true);
            self.shared.desk.finish();
            self.look_at_syncs();
        }
        Ok(())
    }

    /// Tells that an entry of the log's own counts.
    fn noted(&self) {
        self.tell_end();
        self.shared.wrote(1, Duration::ZERO);
    }

    fn tell_end(&self) {
        self.shared.stands_at(self.chain.position(), self.segment.number, self.segment.length);
    }

    /// Writes sealed lines, and brings them to the medium where that is asked for.
    fn append(&mut self, before: Position, sealed: &Sealed) -> std::io::Result<()> {
        let file = Arc::clone(&self.segment.file);
        let always = self.shared.settings.fsync == Fsync::Always;
        let written = file.write(&sealed.lines, self.segment.length).and_then(|()| match always {
            true => file.sync(),
            false => Ok(()),
        });
        if let Err(error) = written {
            self.chain.restore(before);
            // Half a line must not stay: the next one would be glued to it. Where even that fails, it is cut off
            // before anything is written again.
            let _ = file.cut(self.segment.length);
            return Err(error);
        }
        self.segment.length += sealed.lines.len() as u64;
        for leaf in &sealed.leaves {
            self.tree.push(*leaf, &mut self.nodes);
        }
        let now = Instant::now();
        match self.shared.settings.fsync {
            Fsync::Always => self.synced = self.segment.length,
            Fsync::Batch => {
                self.unsynced.extend_from_slice(&sealed.lines);
                self.unsynced_since.get_or_insert(now);
            }
            Fsync::Off => {}
        }
        self.unsigned_since.get_or_insert(now);
        Ok(())
    }

    /// Tells everybody of a group what became of it.
    fn tell(&mut self, group: &mut Vec<Pending>, written: std::io::Result<()>) {
        match written {
            Ok(()) => group.drain(..).for_each(|pending| drop(pending.receipt.send(Ok(())))),
            Err(error) => {
                self.fail(&error.to_string());
                self.shared.failures.fetch_add(group.len() as u64, Ordering::Relaxed);
                group.drain(..).for_each(|pending| drop(pending.receipt.send(Err(AuditError(error.to_string())))));
            }
        }
    }

    fn fail(&mut self, why: &str) {
        self.probe.get_or_insert_with(|| Instant::now() + PROBE_EVERY);
        why.clone_into(&mut self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.shared.failing.swap(true, Ordering::AcqRel) {
            tracing::error!(why, "The audit log cannot be written: nothing is let in until it can.");
        }
    }

    /// Forgets what is on the medium by now, and notices a sync that failed or does not end.
    fn look_at_syncs(&mut self) {
        // Only the writer gives jobs: while there is none, what is read next is the last word.
        let busy = self.shared.desk.busy();
        let progress = self.shared.desk.progress();
        let (segment, durable) = progress.durable;
        if segment == self.segment.number && durable > self.synced {
            let drained = usize::try_from(durable - self.synced).unwrap_or(usize::MAX).min(self.unsynced.len());
            self.unsynced.drain(..drained);
            self.synced = durable;
        }
        let given_up = progress.unsigned.is_some() || progress.failed.is_some();
        if given_up && progress.signed < self.signed && !busy {
            // It is tried again, with what has come since.
            self.signed = progress.signed;
            self.unsigned_since.get_or_insert_with(Instant::now);
        }
        if let Some(why) = progress.failed {
            self.fail(&why);
        } else if self.shared.desk.stuck() {
            self.fail("the disk takes longer than it may to bring entries to the medium");
        }
    }

    /// Tries a failing log again: what may be lost is written anew, then an entry of its own.
    fn probe_if_due(&mut self) {
        if self.probe.is_none_or(|at| at > Instant::now()) || self.shared.desk.busy() {
            return;
        }
        self.probe = Some(Instant::now() + PROBE_EVERY);
        if self.mend().is_ok() {
            self.probe = None;
            self.shared.failing.store(false, Ordering::Release);
            tracing::info!("The audit log can be written again.");
        }
    }

    fn mend(&mut self) -> std::io::Result<()> {
        let file = Arc::clone(&self.segment.file);
        if !file.has_room(self.segment.length) {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        if let Some(number) = self.left_over {
            segment::take_back(&self.dir, number)?;
            self.left_over = None;
        }
        file.cut(self.segment.length)?;
        if !self.unsynced.is_empty() {
            file.write(&self.unsynced, self.synced)?;
        }
        let synced = self.shared.settings.fsync != Fsync::Off;
        if synced {
            file.sync()?;
        }
        self.unsynced.clear();
        self.synced = self.segment.length;
        self.unsynced_since = None;
        self.shared.desk.mended(synced.then_some((self.segment.number, self.segment.length)));
        self.note(&Entry { event_type: "audit.recovered", ..Entry::default() })?;
        self.noted();
        Ok(())
    }

    /// Writes an entry of the log's own, which counts once that is [told](Self::noted).
    fn note(&mut self, entry: &Entry<'_>) -> std::io::Result<()> {
        let before = self.chain.position();
        let mut sealed = Sealed::default();
        sealed.leaves.push(self.chain.seal(&entry.draft(), now_micros(), &mut sealed.lines));
        self.append(before, &sealed)
    }

    fn wants_signature(&self) -> bool {
        if self.signed < self.shared.wanted_signed.load(Ordering::Acquire).min(self.tree.size()) {
            return true;
        }
        self.tree.size().saturating_sub(self.signed) >= self.shared.settings.checkpoint_every
    }

    /// Gives the other thread what is due: a sync, a signature, or both.
    fn give_job(&mut self, at_once: bool) {
        let now = Instant::now();
        let settings = &self.shared.settings;
        let may_sign = self.signed_at.is_none_or(|at| now >= at + SIGN_PAUSE);
        let aged = self.unsigned_since.is_some_and(|since| now >= since + settings.checkpoint_after);
        let sign = self.tree.size() > self.signed && may_sign && (aged || self.wants_signature());
        let sync = self.unsynced_since.is_some_and(|since| at_once || now >= since + settings.batch);
        if !(sign || sync) || self.shared.desk.busy() || self.shared.failing.load(Ordering::Acquire) {
            return;
        }
        self.job(sign);
    }

    /// Hands the log on as it stands. There must be no other job.
    fn job(&mut self, sign: bool) {
        if sign {
            (self.signed, self.signed_at, self.unsigned_since) = (self.tree.size(), Some(Instant::now()), None);
        }
        self.unsynced_since = None;
        self.shared.desk.give(Job {
            file: Arc::clone(&self.segment.file),
            segment: self.segment.number,
            length: self.segment.length,
            position: self.chain.position(),
            tree: self.tree.clone(),
            nodes: std::mem::take(&mut self.nodes),
            // With `always` every group was synced by who wrote it: a file tells of an error once, and it must be told there.
            sync: match self.shared.settings.fsync {
                Fsync::Always => false,
                Fsync::Batch => true,
                Fsync::Off => sign,
            },
            sign,
        });
    }

    fn rotate_if_old(&mut self) {
        let old = self.segment.ends.is_some_and(|ends| ends <= Instant::now());
        if !old || self.shared.failing.load(Ordering::Acquire) {
            return;
        }
        if self.segment.length == 0 {
            self.segment.ends = self.shared.settings.segment_age.map(|age| Instant::now() + age);
        } else {
            self.rotate_if_it_can();
        }
    }

    /// Begins a new segment. Where that fails the one that is there goes on, and it is tried again a moment later.
    fn rotate_if_it_can(&mut self) {
        let now = Instant::now();
        if self.rotate_again.is_some_and(|at| at > now) {
            return;
        }
        self.rotate_again = None;
        if let Err(error) = self.rotate() {
            tracing::warn!(%error, "No new segment of the audit log can be begun; the old one goes on.");
            // A disk may take longer to say no than it is left alone.
            let now = Instant::now();
            self.rotate_again = Some(now + PROBE_EVERY);
            self.segment.ends = self.segment.ends.map(|ends| ends.max(now + PROBE_EVERY));
        }
    }

    /// Ends the segment with a checkpoint and begins the next, whose first entry says what it follows.
    fn rotate(&mut self) -> std::io::Result<()> {
        self.shared.desk.finish();
        self.look_at_syncs();
        if self.shared.failing.load(Ordering::Acquire) {
            return Err(std::io::Error::other("the segment that ends is not on the medium"));
        }
        self.job(true);
        self.shared.desk.finish();
        // What is durable now is forgotten here: should the next segment not begin, this one goes on from there.
        self.look_at_syncs();
        let progress = self.shared.desk.progress();
        // A segment ends with a checkpoint over all of it.
        if let Some(why) = progress.failed.or(progress.unsigned) {
            return Err(std::io::Error::other(why));
        }
        let ended = self.segment.number;
        let next = ended.checked_add(1).ok_or_else(|| std::io::Error::other("no segment comes after it"))?;
        let file = Arc::new(SegmentFile::begin(&self.dir, next)?);
        let before = self.chain.position();
        let former = std::mem::replace(
            &mut self.segment,
            Open {
                number: next,
                file,
                length: 0,
                ends: self.shared.settings.segment_age.map(|age| Instant::now() + age),
            },
        );
        let synced = std::mem::take(&mut self.synced);
        self.unsynced.clear();
        self.chain.rekey(self.keys.seal_key(next));
        let (tree, nodes) = (self.tree.clone(), self.nodes.len());
        // It has its name once its first entry is on the medium.
        let begun = segment::link(ended, before, |entry| self.note(entry)).and_then(|()| self.segment.file.sync());
        let begun = begun.and_then(|()| segment::put_in_place(&self.dir, next));
        if let Err(error) = begun {
            self.chain.restore(before);
            self.tree = tree;
            self.nodes.truncate(nodes);
            self.segment = former;
            self.synced = synced;
            self.chain.rekey(self.keys.seal_key(ended));
            self.unsynced.clear();
            // The segment that goes on is on the medium and signed as it stands.
            (self.unsynced_since, self.unsigned_since) = (None, None);
            // This one must not go on beside a file that says it has ended.
            if let Err(error) = segment::take_back(&self.dir, next) {
                self.left_over = Some(next);
                self.fail(&format!("a segment that could not be begun cannot be removed: {error}"));
            }
            return Err(error);
        }
        // Not before it has its name: what has ended may be compressed from now on, and its own file is gone then.
        self.noted();
        self.shared.rotated.ring();
        Ok(())
    }

    /// Brings everything to the medium, under a checkpoint.
    fn close(&mut self) {
        self.shared.desk.finish();
        self.look_at_syncs();
        if self.shared.failing.load(Ordering::Acquire) && self.mend().is_ok() {
            self.shared.failing.store(false, Ordering::Release);
        }
        if !self.shared.failing.load(Ordering::Acquire) && (self.tree.size() > self.signed || !self.unsynced.is_empty())
        {
            self.job(true);
            self.shared.desk.finish();
        }
        if let Some(why) = self.shared.desk.progress().failed {
            tracing::error!(why, "The newest entries of the audit log may not be on the medium.");
        }
        self.shared.desk.close();
    }
}
