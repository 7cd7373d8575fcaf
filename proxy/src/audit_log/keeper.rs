//! Looks after segments that have ended: compresses them, and deletes the oldest when they are too old or too many.
//!
//! The folder may be open to others than the gate, and nothing that stands in it is believed before it was checked: a
//! segment is compressed or deleted only once it was shown to be the one that was written ([`ended`]). What goes is said
//! in an entry before, and goes once that entry is under a checkpoint ([`retire`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use portcullis_audit::{SegmentKeys, VerifierKey};

use super::{Shared, segment};

mod compress;
mod ended;
mod retire;

use ended::Ended;
use retire::Retention;

/// How often it looks without being called.
const LOOK: Duration = Duration::from_secs(60);

/// Calls the keeper.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<(bool, bool)>,
    heard: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
        self.heard.notify_all();
    }

    /// Ends the keeper.
    pub(super) fn close(&self) {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.heard.notify_all();
    }

    /// Waits until it is rung, or for a while. `false` when it is closed.
    fn wait(&self) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |rung: &mut (bool, bool)| !rung.0 && !rung.1;
        let mut rung = self.heard.wait_timeout_while(rung, LOOK, silent).unwrap_or_else(PoisonError::into_inner).0;
        rung.0 = false;
        !rung.1
    }

    pub(super) fn closed(&self) -> bool {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// Why a segment is left as it is.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(
        "`{}` is not what was written: {why}; nothing of it, and nothing after it, is deleted: look with `portcullis \
         audit verify`, and keep a copy of the folder as evidence",
        path.display()
    )]
    Changed { path: PathBuf, why: String },
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the gate stops")]
    Stopped,
}

impl KeepError {
    fn changed(path: &Path, why: impl Into<String>) -> Self {
        Self::Changed { path: path.to_owned(), why: why.into() }
    }

    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// Keeps a log's segments.
pub(super) struct Keeper {
    log: Arc<Shared>,
    ended: Ended,
    retention: Retention,
}

impl Keeper {
    pub(super) fn new(log: Arc<Shared>, keys: Arc<SegmentKeys>, signer: VerifierKey) -> Self {
        Self { ended: Ended::new(&log, keys, signer), retention: Retention::default(), log }
    }

    /// Keeps them until the log is closed.
    pub(super) fn run(mut self) {
        loop {
            let done = self.tidy();
            if self.log.rotated.closed() {
                return;
            }
            self.tell(done.err());
            if !self.log.rotated.wait() {
                return;
            }
        }
    }

    /// What stands in the way of one segment does not stand in the way of what comes before it.
    fn tidy(&mut self) -> Result<(), KeepError> {
        let compressed = if self.log.settings.compress { self.compress() } else { Ok(()) };
        let retired = self.retention.retire(&self.log, &self.ended);
        retired.and(compressed)
    }

    fn compress(&mut self) -> Result<(), KeepError> {
        let (dir, current) = (&self.log.dir, self.log.current_segment());
        let numbers = segment::numbers(dir, ".jsonl").map_err(KeepError::io("list", dir))?;
        let mut first = Ok(());
        for number in numbers.into_iter().filter(|number| *number < current) {
            match compress::compress(&self.ended, number) {
                // The others are no worse for it.
                Err(changed @ KeepError::Changed { .. }) => first = first.and(Err(changed)),
                done => self.retention.knows(number, done?),
            }
        }
        first
    }

    /// Says what is in the way, once, and where somebody may ask for it.
    fn tell(&self, error: Option<KeepError>) {
        let now = error.as_ref().map(ToString::to_string);
        let mut known = self.log.kept_back.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == now {
            return;
        }
        match &error {
            None => tracing::info!("The segments of the audit log that have ended are looked after again."),
            Some(why @ KeepError::Changed { .. }) => {
                tracing::error!(%why, "A segment of the audit log was changed: it is kept as it is.");
            }
            Some(why) => {
                tracing::warn!(%why, "Segments of the audit log that have ended cannot be looked after; it is tried again.");
            }
        }
        *known = now;
    }
}
