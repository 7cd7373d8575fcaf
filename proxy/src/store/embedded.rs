//! Used nonces of one gate: in memory, and in a journal that outlives the process.
//!
//! A nonce is taken under one short lock: looked for, written down, remembered. `Fresh` is said once the
//! system has the record, so a gate that is killed knows it when it comes back. Nothing is ever pushed
//! out: when the store is full, it refuses.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use portcullis_filters::store::{Claim, Claimed, Nonces, Unavailable, WallClock as _};

use super::hashed::{HashKey, Hashed};
use super::journal::{self, Journal, JournalError, Origin, Quarantine};
use super::live::{Live, number_of};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// How often what is too old to be used is forgotten.
const TEND: Duration = Duration::from_secs(1);
/// A nonce is remembered until this many windows after it was made: two from when it was taken at the
/// latest, so that its node cannot use it for another message either.
const WINDOWS_KEPT: i64 = 3;

/// How much is remembered at once.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// By all nodes.
    pub(crate) all: usize,
    /// By one node: none of them closes the gate to the others.
    pub(crate) node: usize,
}

impl Bounds {
    /// 80 MB of memory and 64 MB of disk at most; with a window of 30 s that is 18,000 signed requests a
    /// second, 4,500 of one node, without end.
    pub(crate) const DEFAULT: Self = Self { all: 1 << 21, node: 1 << 19 };
}

/// The store.
pub(crate) struct Embedded {
    key: HashKey,
    clock: Arc<Clock>,
    bounds: Bounds,
    inner: Mutex<Inner>,
}

struct Inner {
    live: Live,
    journal: Journal,
    quarantine: Option<Quarantine>,
    /// The largest window that was judged by.
    window_ms: i64,
    troubles: Troubles,
}

/// What stands in the way, told once when it comes and once when it goes.
#[derive(Default)]
struct Troubles {
    unwritten: bool,
    full: bool,
    ahead: bool,
}

/// What a look at the store found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The nonces that are remembered.
    pub(crate) live: usize,
    /// Whether the journal takes what is written.
    pub(crate) writable: bool,
}

impl Embedded {
    /// Opens the journal in this folder. Where it was lost, says so in the log, and refuses for one window
    /// what may have been taken before.
    ///
    /// # Errors
    /// When another process has it, or the disk says no.
    pub(crate) fn open(
        dir: &Path,
        node: &str,
        window: Duration,
        clock: Arc<Clock>,
        bounds: Bounds,
    ) -> Result<Self, JournalError> {
        Self::open_on(dir, &Origin { node, boot: &journal::boot_id() }, window, clock, bounds)
    }

    fn open_on(
        dir: &Path,
        origin: &Origin<'_>,
        window: Duration,
        clock: Arc<Clock>,
        bounds: Bounds,
    ) -> Result<Self, JournalError> {
        let window_ms = millis(window);
        let until_ms = clock.now_ms().saturating_add(window_ms);
        let opened = Journal::open(dir, origin, Quarantine { until_ms, began_ms: clock.boot_ms() })?;
        if let Some(why) = opened.lost {
            tracing::warn!(
                why,
                window_ms,
                "The replay journal cannot be relied on: signed requests that may have been used before are refused for one window."
            );
        }
        let journal = opened.journal;
        let inner = Inner {
            quarantine: journal.quarantine(),
            live: opened.live,
            window_ms,
            troubles: Troubles::default(),
            journal,
        };
        Ok(Self { key: inner.journal.key(), clock, bounds, inner: Mutex::new(inner) })
    }

    /// The same as [`Nonces::claim`], which never waits here for more than the system's write.
    ///
    /// # Errors
    /// When it cannot be told, or not be written down.
    pub(crate) fn claim_now(&self, claim: &Claim<'_>) -> Result<Claimed, Unavailable> {
        let hashed = self.key.hash(claim);
        let mut inner = self.inner();
        inner.window_ms = inner.window_ms.max(millis(claim.window));
        if inner.live.holds(&hashed) {
            return Ok(Claimed::Replayed);
        }
        inner.refuse_what_was_lost(claim, &self.clock)?;
        // What is outside of the window never comes here; a mistake of the caller's must not let it in.
        let fresh = claim.created_ms.abs_diff(claim.now_ms) <= millis(claim.window).unsigned_abs();
        let place = number_of(claim.created_ms).filter(|number| fresh && !inner.live.is_forgotten(*number));
        let (Some(number), Ok(created_s)) = (place, u32::try_from(claim.created_ms / 1_000)) else {
            return Ok(Claimed::Forgotten);
        };
        inner.check_room(number, &hashed, self.bounds)?;
        inner.write(number, &hashed, created_s)?;
        inner.live.insert(number, &hashed);
        Ok(Claimed::Fresh)
    }

    /// Forgets what is too old by now, and tries a failing journal again.
    pub(crate) fn tend(&self) -> Standing {
        let now_ms = self.clock.now_ms();
        let mut inner = self.inner();
        let kept = inner.window_ms.saturating_mul(WINDOWS_KEPT);
        let ended = inner.live.youngest_ended(now_ms.saturating_sub(kept));
        let forgotten = ended.and_then(|number| inner.forget(number));
        if inner.troubles.unwritten {
            let probed = inner.journal.probe();
            inner.troubles.wrote(&probed);
        }
        let room = inner.live.len() < self.bounds.all;
        inner.troubles.full &= !room;
        // Until when what is signed is refused, because the clock was ahead when it was forgotten or lost.
        let floor = inner.live.floor().map(super::live::end_ms);
        let until_ms = floor.max(inner.quarantine.map(|quarantine| quarantine.until_ms)).unwrap_or_default();
        let ahead = until_ms > now_ms.saturating_add(inner.window_ms);
        inner.troubles.is_ahead(ahead, until_ms.saturating_sub(now_ms));
        let standing = Standing { live: inner.live.len(), writable: !inner.troubles.unwritten };
        drop(inner);
        // Files and tables are let go of when nobody waits for it. A file that stays is removed at the
        // next start.
        if let Some((tables, files)) = forgotten {
            drop(tables);
            files.iter().for_each(|file| drop(std::fs::remove_file(file)));
        }
        standing
    }

    /// Tends the store for ever. Runs off the workers.
    pub(crate) async fn keep(self: Arc<Self>, metrics: Arc<Metrics>) {
        loop {
            let store = Arc::clone(&self);
            if let Ok(standing) = tokio::task::spawn_blocking(move || store.tend()).await {
                metrics.replay_nonces.set(i64::try_from(standing.live).unwrap_or(i64::MAX));
            }
            tokio::time::sleep(TEND).await;
        }
    }

    /// Why no signed request is let in, where that is so and does not end by itself within a window.
    pub(crate) fn away(&self) -> Option<&'static str> {
        let troubles = &self.inner().troubles;
        if troubles.unwritten {
            Some("the replay journal cannot be written")
        } else if troubles.ahead {
            Some("the clock was ahead and was set back: signed requests are refused until it is there again")
        } else {
            None
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Nonces for Embedded {
    async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, Unavailable> {
        self.claim_now(claim)
    }
}

type Forgotten = (std::collections::BTreeMap<u32, super::live::Bucket>, Vec<std::path::PathBuf>);

impl Inner {
    fn refuse_what_was_lost(&mut self, claim: &Claim<'_>, clock: &Clock) -> Result<(), Unavailable> {
        let Some(quarantine) = &mut self.quarantine else { return Ok(()) };
        let since = clock.boot_ms().saturating_sub(quarantine.began_ms);
        // A clock that was behind when the loss was noticed and is put right now: what was used before
        // was made until that moment by the new time. After two windows all of it is too old by any
        // clock that is right.
        if since < self.window_ms.saturating_mul(2) {
            let began_ms = claim.now_ms.saturating_sub(since);
            quarantine.until_ms = quarantine.until_ms.max(began_ms.saturating_add(self.window_ms));
        }
        if claim.created_ms > quarantine.until_ms {
            return Ok(());
        }
        let left = quarantine.until_ms.saturating_sub(claim.now_ms).saturating_add(1);
        Err(Unavailable {
            why: "what was used before is lost, and this may have been used".to_owned(),
            retry_after: Some(Duration::from_millis(u64::try_from(left).unwrap_or(1))),
        })
    }

    fn check_room(&mut self, number: u32, hashed: &Hashed, bounds: Bounds) -> Result<(), Unavailable> {
        if self.live.len() >= bounds.all {
            if !std::mem::replace(&mut self.troubles.full, true) {
                tracing::error!(nonces = bounds.all, "The replay store is full: signed requests are refused.");
            }
            return Err(Unavailable::new("the replay store is full"));
        }
        if self.live.held_by(hashed.node) >= bounds.node {
            return Err(Unavailable::new("this node holds its share of the replay store"));
        }
        if !self.journal.has_room_for(number) {
            return Err(Unavailable::new("the clock was set too often for the replay store to follow"));
        }
        Ok(())
    }

    fn write(&mut self, number: u32, hashed: &Hashed, created_s: u32) -> Result<(), Unavailable> {
        let written = self.journal.append(number, hashed, created_s);
        self.troubles.wrote(&written);
        written.map_err(|_| Unavailable::new("the replay journal cannot be written"))
    }

    fn forget(&mut self, number: u32) -> Option<Forgotten> {
        let written = self.journal.forget(number);
        self.troubles.wrote(&written);
        // What could not be written down is not forgotten.
        let files = written.ok()?;
        Some((self.live.forget(number), files))
    }
}

impl Troubles {
    fn wrote<T>(&mut self, written: &std::io::Result<T>) {
        match written {
            Err(error) if !self.unwritten => {
                tracing::error!(%error, "The replay journal cannot be written: signed requests are refused until it can.");
            }
            Ok(_) if self.unwritten => tracing::info!("The replay journal can be written again."),
            _ => {}
        }
        self.unwritten = written.is_err();
    }

    fn is_ahead(&mut self, ahead: bool, by_ms: i64) {
        if ahead && !self.ahead {
            tracing::error!(
                by_ms,
                "The clock was ahead and was set back: signed requests are refused until it is there again. If it is right now, stop the gate, remove `replay` from the state directory and start it."
            );
        }
        self.ahead = ahead;
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
