//! Passing the log on: what is durable here goes to other places, each at its own pace.
//!
//! Every sink has a thread of its own, which reads the log's files as anybody could, and never holds up whoever writes
//! them. It keeps its [`place`] in the log once what came before was acknowledged, so that a restart goes on there: an
//! entry may arrive twice, and none is left out. What a sink has not acknowledged, retention does not delete.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portcullis_certs::{FileError, files};
use serde_json::{Value, json};

use self::carrier::Carrier;
use self::place::Kept;
use super::AuditLog;
use super::read::ReadError;
use crate::config::{Destination, ExportSettings};
use crate::metrics::Metrics;

mod archive;
mod batch;
mod carrier;
mod directory;
mod message;
mod place;
mod s3;
mod standing;
mod syslog;

/// Where the places of all sinks are kept, in the state directory.
const FOLDER: &str = "export";

/// Why something could not be passed on.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("its place is none in the audit log: {0}")]
    Astray(#[from] standing::Astray),
    #[error("its place cannot be compared with the audit log: {0}")]
    Compare(std::io::Error),
    #[error("its place in the log cannot be kept: {0}")]
    Place(#[from] FileError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0}")]
    Sink(String),
}

/// Who passes on: named in what others get to read.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// The node's id, which names its log.
    pub(crate) id: String,
    /// What its operator calls it.
    pub(crate) name: String,
}

/// Everything that the log is passed on to.
pub(crate) struct Exports {
    log: Arc<AuditLog>,
    sinks: Vec<Arc<Sink>>,
    closing: Arc<Closing>,
}

/// One sink, as others see it.
struct Sink {
    settings: ExportSettings,
    /// The segment that it is at: those before it were passed on whole. The first one until its place is known to be one
    /// in this log.
    segment: AtomicU64,
    /// The number of the entry that comes next.
    next: AtomicU64,
    /// Why nothing goes out, as long as that lasts.
    failing: Mutex<Option<String>>,
}

impl Exports {
    /// Begins to pass the log on.
    ///
    /// # Errors
    /// When there is no place for the sinks' places, or no thread.
    pub(crate) fn start(
        log: &Arc<AuditLog>,
        state: &Path,
        sender: &Sender,
        settings: &[ExportSettings],
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let closing = Arc::new(Closing::default());
        let mut carriers = Vec::new();
        let folder = state.join(FOLDER);
        if !settings.is_empty() {
            files::create_private_dir(&folder)?;
            // Whoever holds the log's lock passes it on, and nobody else.
            files::remove_unfinished(&folder)?;
        }
        for settings in settings {
            metrics.know_export(&settings.name);
            let file = place::file(&folder, &settings.name);
            let kept = Kept::load(&file).unwrap_or_else(|why| {
                let sink = &settings.name;
                tracing::error!(sink, %why, "The audit log is passed on to this sink from its oldest entry on, once more.");
                Kept::default()
            });
            let sink = Sink {
                settings: settings.clone(),
                segment: AtomicU64::new(0),
                next: AtomicU64::new(0),
                failing: Mutex::default(),
            };
            carriers.push((Arc::new(sink), file, kept));
        }
        let sinks: Vec<_> = carriers.iter().map(|(sink, ..)| Arc::clone(sink)).collect();
        for (sink, file, kept) in carriers {
            let name = format!("export-{}", sink.settings.name);
            let mut carrier = Carrier::new(
                Arc::clone(log),
                (sink, sinks.clone()),
                file,
                kept,
                sender,
                Arc::clone(metrics),
                Arc::clone(&closing),
            );
            // What keeps it from being settled is told by the first pass, which tries it again.
            let _ = carrier.settle();
            let running = Closing::begun(&closing);
            std::thread::Builder::new().name(name).spawn(move || {
                // It goes last, whatever becomes of the thread.
                let _running = running;
                carrier.run();
            })?;
        }
        Ok(Self { log: Arc::clone(log), sinks, closing })
    }

    /// Gives what is left a moment to go out. What does not, goes at the next start.
    pub(crate) fn close(&self, patience: Duration) {
        self.closing.close(patience);
    }

    /// Brings the gauges up to date.
    pub(crate) fn report(&self, metrics: &Metrics) {
        for sink in &self.sinks {
            metrics.export_behind(&sink.settings.name, sink.behind(&self.log));
        }
    }

    /// How each of them stands.
    pub(crate) fn status(&self) -> Value {
        self.sinks.iter().map(|sink| sink.status(&self.log)).collect()
    }
}

impl Drop for Exports {
    fn drop(&mut self) {
        self.closing.close(Duration::ZERO);
    }
}

impl Sink {
    /// How many entries were not passed on yet.
    fn behind(&self, log: &AuditLog) -> u64 {
        log.next_entry().saturating_sub(self.next.load(Ordering::Relaxed))
    }

    fn status(&self, log: &AuditLog) -> Value {
        let (to, place) = self.settings.to.place();
        json!({
            "name": self.settings.name, "to": to, "place": place, "behind": self.behind(log),
            "next": self.next.load(Ordering::Relaxed), "failing": *self.failing(),
        })
    }

    fn failing(&self) -> MutexGuard<'_, Option<String>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first segment that one of these has not passed on whole.
fn first_at(sinks: &[Arc<Sink>]) -> Option<u64> {
    sinks.iter().map(|sink| sink.segment.load(Ordering::Acquire)).min()
}

/// What `doctor` tells of a sink while no gate runs: the number of the entry that is passed on next.
///
/// # Errors
/// A sentence, when its place cannot be read.
pub(crate) fn next_of(state: &Path, name: &str) -> Result<u64, String> {
    let kept = Kept::load(&place::file(&state.join(FOLDER), name))?;
    Ok(kept.place.entries.unwrap_or(0))
}

/// Takes whole batches to where they belong.
trait Outlet: Send {
    /// Sends a batch. That it returns does not mean that it arrived.
    fn send(&mut self, batch: &batch::Batch) -> Result<(), Trouble>;

    /// The place after what arrived since this was asked last, and how many lines that were.
    fn arrived(&mut self) -> Result<Option<(place::Place, u64)>, Trouble>;

    /// Whether no more may be sent before something arrived.
    fn is_full(&self) -> bool;

    /// Whether a batch that did not arrive must end at the same line when it is sent again.
    fn repeats_exactly(&self) -> bool;

    /// When to ask what arrived, at the latest.
    fn ask_again(&self) -> Option<Instant>;

    /// Everything up to here arrived, and there is nothing to send.
    fn rest(&mut self, place: place::Place) -> Result<(), Trouble>;

    /// Forgets what did not arrive: it will be sent again.
    fn reset(&mut self);

    /// Nothing more will be sent: finds out what arrived, as far as that can be known in a moment.
    fn finish(&mut self) -> Result<(), Trouble>;
}

/// What leads to a sink.
fn outlet(settings: &ExportSettings, sender: &Sender, log: &Path, kept: &Kept) -> Box<dyn Outlet> {
    match &settings.to {
        Destination::Directory(path) => {
            let folder = directory::Folder::new(path);
            folder.tidy(&sender.id);
            Box::new(archive::Archive::new(folder, sender, log, kept.place))
        }
        Destination::S3(bucket) => Box::new(archive::Archive::new(s3::Store::new(bucket), sender, log, kept.place)),
        Destination::Syslog(receiver) => Box::new(syslog::Syslog::new(receiver, sender)),
    }
}

/// Tells the threads that the gate ends, and waits for them.
#[derive(Default)]
struct Closing {
    state: Mutex<Threads>,
    changed: Condvar,
}

#[derive(Default)]
struct Threads {
    running: usize,
    /// Until when what is left may go out, once the gate ends.
    until: Option<Instant>,
}

/// A thread that runs.
struct Running(Arc<Closing>);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running = state.running.saturating_sub(1);
        drop(state);
        self.0.changed.notify_all();
    }
}

impl Closing {
    fn begun(closing: &Arc<Self>) -> Running {
        closing.lock().running += 1;
        Running(Arc::clone(closing))
    }

    fn close(&self, patience: Duration) {
        let mut state = self.lock();
        state.until.get_or_insert_with(|| Instant::now() + patience);
        self.changed.notify_all();
        let running = |state: &mut Threads| state.running > 0;
        drop(self.changed.wait_timeout_while(state, patience, running));
    }

    /// Waits for so long, or until the gate ends.
    fn wait(&self, span: Duration) {
        let state = self.lock();
        drop(self.changed.wait_timeout_while(state, span, |state| state.until.is_none()));
    }

    /// Until when what is left may go out; none while the gate runs.
    fn until(&self) -> Option<Instant> {
        self.lock().until
    }

    fn lock(&self) -> MutexGuard<'_, Threads> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
