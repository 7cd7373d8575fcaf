//! The audit log on disk: one writer, appends in O(1), torn ends repaired, failures noticed.
//!
//! Segments lie in `<node.state>/audit/` as `audit-000001.jsonl` and so on; the chain runs on from one
//! to the next. An entry is sealed and written by one `write` under a short lock before its exchange
//! ends, so an entry that cannot be written refuses the exchange. Syncing to the medium is done in
//! groups by a thread of its own, unless the operator asks for more.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use portcullis_filters::audit::{AuditError, AuditSink, Chain, Entry};
use serde_json::{Value, json};

use crate::config::{AuditSettings, Fsync};
use crate::metrics::Metrics;

mod key;
pub(crate) mod read;
mod resume;

pub(crate) use key::AuditKey;
#[cfg(test)]
pub(crate) use resume::segments;

/// How often, at most, a batch is synced.
const SYNC_EVERY: Duration = Duration::from_millis(200);
/// How often a failing log is tried again by itself.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditLogError {
    #[error("the audit log `{0}` is in use by another process; only one gate may write it")]
    Busy(PathBuf),
    #[error(
        "the audit log `{path}` cannot be continued: {why}; look with `portcullis audit verify`, and move the folder away to begin a new log"
    )]
    Damaged { path: PathBuf, why: String },
    #[error("cannot {what} `{path}`: {source}")]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
}

/// What was found when the log was opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opened {
    /// The bytes of a torn last line that was removed.
    pub(crate) repaired: Option<u64>,
}

/// The log.
pub(crate) struct AuditLog {
    shared: Arc<Shared>,
    syncer: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Held for as long as the log is open.
    _lock: File,
}

struct Shared {
    dir: PathBuf,
    settings: AuditSettings,
    writer: Mutex<Writer>,
    failing: AtomicBool,
    probed: Mutex<Instant>,
    entries: AtomicU64,
    failures: AtomicU64,
    write_nanos: AtomicU64,
    /// Whether something waits to be synced, and whether the log is closed.
    waiting: Mutex<(bool, bool)>,
    wake: Condvar,
}

struct Writer {
    chain: Chain,
    file: Arc<File>,
    segment: u64,
    length: u64,
}

impl AuditLog {
    /// Opens the log and picks the chain up at its end.
    ///
    /// # Errors
    /// When another process has it, when its end is not one, or when the disk says no.
    pub(crate) fn open(dir: &Path, key: &AuditKey, settings: AuditSettings) -> Result<(Self, Opened), AuditLogError> {
        portcullis_certs::files::create_private_dir(dir).map_err(|e| AuditLogError::Io {
            what: "make",
            path: dir.to_owned(),
            source: std::io::Error::other(e.to_string()),
        })?;
        let lock = lock(dir)?;
        let seal = key.seal_key();
        let end = resume::end_of_chain(dir, &seal)?;
        let (segment, length, file) = match end.segment {
            Some((number, length)) => (number, length, open_segment(dir, number)?),
            None => (1, 0, open_segment(dir, 1)?),
        };
        let writer =
            Writer { chain: Chain::resume(seal, &end.previous, end.next_seq), file: Arc::new(file), segment, length };
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            settings,
            writer: Mutex::new(writer),
            failing: AtomicBool::new(false),
            probed: Mutex::new(Instant::now()),
            entries: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            write_nanos: AtomicU64::new(0),
            waiting: Mutex::new((false, false)),
            wake: Condvar::new(),
        });
        let syncing = Arc::clone(&shared);
        let syncer =
            std::thread::Builder::new().name("audit-sync".to_owned()).spawn(move || syncing.sync_in_groups()).map_err(
                |source| AuditLogError::Io { what: "start the syncing thread of", path: dir.to_owned(), source },
            )?;
        let log = Self { shared, syncer: Mutex::new(Some(syncer)), _lock: lock };
        if let Some(bytes) = end.repaired {
            let note = Entry { event_type: "audit.repaired", response_bytes: bytes, ..Entry::default() };
            log.append(&note).map_err(|e| AuditLogError::Damaged { path: dir.to_owned(), why: e.to_string() })?;
        }
        Ok((log, Opened { repaired: end.repaired }))
    }

    /// Brings everything to the medium and ends the syncing thread.
    pub(crate) fn close(&self) {
        self.shared.waiting().1 = true;
        self.shared.wake.notify_all();
        let syncer = self.syncer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = syncer {
            let _ = thread.join();
        }
    }

    /// Brings the counters up to date.
    pub(crate) fn report(&self, metrics: &Metrics) {
        let catch_up = |counter: &prometheus::IntCounter, now: u64| {
            counter.inc_by(now.saturating_sub(counter.get()));
        };
        let before = metrics.audit_entries.get();
        let entries = self.shared.entries.load(Ordering::Relaxed);
        catch_up(&metrics.audit_entries, entries);
        catch_up(&metrics.audit_failures, self.shared.failures.load(Ordering::Relaxed));
        let nanos = self.shared.write_nanos.swap(0, Ordering::Relaxed);
        if let Some(mean) = nanos.checked_div(entries.saturating_sub(before)) {
            // One observation for the entries since the last look: their mean.
            metrics.audit_write.observe(Duration::from_nanos(mean).as_secs_f64());
        }
        metrics.audit_chain_ok.set(i64::from(!self.shared.failing.load(Ordering::Relaxed)));
        let next = self.shared.writer().chain.next_seq();
        metrics.audit_sequence.set(next.saturating_sub(1) as f64);
    }

    pub(crate) fn status_json(&self) -> Value {
        let writer = self.shared.writer();
        json!({
            "ready": !self.shared.failing.load(Ordering::Relaxed),
            "entries": writer.chain.next_seq(),
            "head": writer.chain.head().get(..16),
            "segment": segment_name(writer.segment),
            "segment_bytes": writer.length,
            "failures": self.shared.failures.load(Ordering::Relaxed),
        })
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.close();
    }
}

impl AuditSink for AuditLog {
    fn append(&self, entry: &Entry<'_>) -> Result<(), AuditError> {
        let began = Instant::now();
        let written = self.shared.append(entry);
        self.shared.write_nanos.fetch_add(u64::try_from(began.elapsed().as_nanos()).unwrap_or(0), Ordering::Relaxed);
        match written {
            Ok(()) => {
                self.shared.entries.fetch_add(1, Ordering::Relaxed);
                if self.shared.failing.load(Ordering::Acquire) && self.shared.has_room() {
                    self.shared.failing.store(false, Ordering::Release);
                }
                Ok(())
            }
            Err(error) => {
                self.shared.failures.fetch_add(1, Ordering::Relaxed);
                if !self.shared.failing.swap(true, Ordering::AcqRel) {
                    tracing::error!(%error, "The audit log cannot be written: nothing is let in until it can.");
                }
                Err(AuditError(error.to_string()))
            }
        }
    }

    fn ready(&self) -> bool {
        if !self.shared.failing.load(Ordering::Acquire) {
            return true;
        }
        // A failing log is tried with an entry of its own, so that the gate opens again by itself.
        let mut probed = self.shared.probed.lock().unwrap_or_else(PoisonError::into_inner);
        if probed.elapsed() < PROBE_EVERY {
            return false;
        }
        *probed = Instant::now();
        drop(probed);
        if !self.shared.has_room() {
            return false;
        }
        let recovered = self.append(&Entry { event_type: "audit.recovered", ..Entry::default() }).is_ok();
        if recovered {
            tracing::info!("The audit log can be written again.");
        }
        recovered
    }
}

impl Shared {
    /// Whether the disk takes more than one entry again: the short one that marks a recovery may fit
    /// where the next request's would not. A file system that cannot say is tried.
    fn has_room(&self) -> bool {
        const ROOM: u64 = 16 * 1024;
        let writer = self.writer();
        let keep = rustix::fs::FallocateFlags::KEEP_SIZE;
        let reserved = rustix::fs::fallocate(&*writer.file, keep, writer.length, ROOM);
        !matches!(
            reserved,
            Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT | rustix::io::Errno::FBIG | rustix::io::Errno::IO)
        )
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, (bool, bool)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, entry: &Entry<'_>) -> std::io::Result<()> {
        let mut writer = self.writer();
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros());
        let sealed = writer.chain.seal(entry, u64::try_from(micros).unwrap_or(u64::MAX));
        if writer.length >= self.settings.segment_bytes {
            writer.rotate(&self.dir)?;
        }
        let file = Arc::clone(&writer.file);
        let line = writer.chain.line();
        if let Err(error) = (&*file).write_all(line).and_then(|()| self.sync_now(&file)) {
            // Half a line must not stay: the next entry would be glued to it.
            file.set_len(writer.length)?;
            return Err(error);
        }
        writer.length += line.len() as u64;
        writer.chain.commit(sealed);
        drop(writer);
        if self.settings.fsync == Fsync::Batch {
            let mut waiting = self.waiting();
            if !waiting.0 {
                waiting.0 = true;
                self.wake.notify_one();
            }
        }
        Ok(())
    }

    fn sync_now(&self, file: &File) -> std::io::Result<()> {
        if self.settings.fsync == Fsync::Always { file.sync_data() } else { Ok(()) }
    }

    fn sync_in_groups(&self) {
        loop {
            let mut waiting = self.waiting();
            while !waiting.0 && !waiting.1 {
                waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let closed = waiting.1;
            waiting.0 = false;
            drop(waiting);
            let file = Arc::clone(&self.writer().file);
            if let Err(error) = file.sync_data()
                && !self.failing.swap(true, Ordering::AcqRel)
            {
                tracing::error!(%error, "The audit log cannot be brought to the disk: nothing is let in until it can.");
            }
            if closed {
                return;
            }
            let pause = self.waiting();
            let _ = self.wake.wait_timeout_while(pause, SYNC_EVERY, |(_, closed)| !*closed);
        }
    }
}

impl Writer {
    fn rotate(&mut self, dir: &Path) -> std::io::Result<()> {
        self.file.sync_data()?;
        let next = self.segment + 1;
        let file = open_segment(dir, next).map_err(|e| std::io::Error::other(e.to_string()))?;
        self.file = Arc::new(file);
        self.segment = next;
        self.length = 0;
        Ok(())
    }
}

fn segment_name(number: u64) -> String {
    format!("audit-{number:06}.jsonl")
}

fn open_segment(dir: &Path, number: u64) -> Result<File, AuditLogError> {
    let path = dir.join(segment_name(number));
    OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| AuditLogError::Io { what: "open", path, source })
}

fn lock(dir: &Path) -> Result<File, AuditLogError> {
    let path = dir.join("lock");
    let io = |source| AuditLogError::Io { what: "lock", path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(io)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(AuditLogError::Busy(dir.to_owned())),
        Err(error) => Err(io(error.into())),
    }
}

/// Reads the last bytes of a file.
fn read_end(path: &Path, want: u64) -> Result<(Vec<u8>, u64), AuditLogError> {
    let io = |source| AuditLogError::Io { what: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let from = length.saturating_sub(want);
    let mut bytes = vec![0; usize::try_from(length - from).unwrap_or(0)];
    file.read_exact_at(&mut bytes, from).map_err(io)?;
    Ok((bytes, length))
}

/// Cuts a file to a length.
fn cut(path: &Path, length: u64) -> Result<(), AuditLogError> {
    let io = |source| AuditLogError::Io { what: "repair", path: path.to_owned(), source };
    let file = fs::OpenOptions::new().write(true).open(path).map_err(io)?;
    file.set_len(length).and_then(|()| file.sync_all()).map_err(io)
}

#[cfg(test)]
mod tests;
