//! Entries on their way to the writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portcullis_filters::audit::{AuditError, Draft};
use tokio::sync::{Notify, oneshot};

/// With so many entries waiting, no further exchange begins. Those that have begun may still hand theirs over: there
/// are as many of them as connections and streams are let in.
const FULL: usize = 4096;

/// How long the writer looks out for the next entry before it sleeps: about what it takes to wake it.
const LOOK_OUT: Duration = Duration::from_micros(20);

/// An entry that waits to be written, and who waits for it.
pub(super) struct Pending {
    pub(super) draft: Draft,
    pub(super) receipt: oneshot::Sender<Result<(), AuditError>>,
}

/// Entries in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Wakes the writer.
    work: Condvar,
    /// Wakes exchanges that wait to begin.
    room: Notify,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Pending>,
    /// The writer sleeps.
    idle: bool,
    /// Something else than an entry wants the writer.
    nudged: bool,
    closed: bool,
}

/// Why the writer woke up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// There are entries, or it is time, or somebody nudged it.
    Work,
    /// The log is being closed, and no entry waits any more.
    Closed,
}

impl Queue {
    /// Puts an entry at the end. Gives it back where the log is closed.
    pub(super) fn push(&self, pending: Pending) -> Result<(), Pending> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(pending);
        }
        waiting.entries.push_back(pending);
        let idle = std::mem::take(&mut waiting.idle);
        drop(waiting);
        if idle {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Waits until there is something to do, at the latest until this moment, and takes at most so many entries.
    pub(super) fn take(&self, group: &mut Vec<Pending>, most: usize, until: Option<Instant>) -> Woken {
        self.look_out();
        let mut waiting = self.lock();
        while waiting.entries.is_empty() && !waiting.closed && !std::mem::take(&mut waiting.nudged) {
            waiting.idle = true;
            match until {
                None => waiting = self.work.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                        break;
                    };
                    waiting = self.work.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        waiting.idle = false;
        let was_full = waiting.entries.len() >= FULL;
        let taken = most.min(waiting.entries.len());
        group.extend(waiting.entries.drain(..taken));
        let (full, closed) = (waiting.entries.len() >= FULL, waiting.closed);
        drop(waiting);
        if was_full && !full {
            self.room.notify_waiters();
        }
        if closed && taken == 0 { Woken::Closed } else { Woken::Work }
    }

    /// Looks out for the next entry for a moment: who hands it over need not wake this thread then, which on an idle
    /// machine takes longer than all the rest.
    fn look_out(&self) {
        let began = Instant::now();
        while began.elapsed() < LOOK_OUT {
            let waiting = self.lock();
            if !waiting.entries.is_empty() || waiting.nudged || waiting.closed {
                return;
            }
            drop(waiting);
            std::thread::yield_now();
        }
    }

    /// Waits until the queue is not full.
    pub(super) async fn room(&self) {
        loop {
            let freed = self.room.notified();
            tokio::pin!(freed);
            // Registered before the look, so that what is freed in between is not missed.
            freed.as_mut().enable();
            if self.lock().entries.len() < FULL {
                return;
            }
            freed.await;
        }
    }

    pub(super) fn length(&self) -> usize {
        self.lock().entries.len()
    }

    /// Wakes the writer for something else than an entry.
    pub(super) fn nudge(&self) {
        self.lock().nudged = true;
        self.work.notify_one();
    }

    /// Takes no more entries.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
