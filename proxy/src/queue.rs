//! The queue in front of one upstream: who gets its next free slot.
//!
//! A model server works on few requests at once and takes the others in the order in which they come,
//! so that whoever sends most gets most. Here they wait by caller instead: the next slot goes to the
//! caller with the fewest requests running, among those to the one that was served least of late, and
//! within a caller to the request that came first. While a slot is free nobody waits.
//!
//! Service is counted in tokens, as the server counts them, those of an answer double (the virtual token
//! counter of Sheng et al., OSDI 2024): a stall or a cold load is nobody's fault.
//!
//! A slot is a value that is dropped: whatever becomes of an exchange, it comes back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use portcullis_filters::dialect::Usage;
use portcullis_filters::{Code, Refusal};
use tokio::sync::oneshot;

use crate::config::{QueueSettings, Slots};

mod line;

use line::{Full, Line, Ticket};

/// The longest time that counts, in microseconds: a day.
const MAX_TIME: u64 = 86_400_000_000;
/// The longest time after which a refused caller is told to come again.
const MAX_RETRY: u32 = 60;
/// The most that one request costs, whatever its upstream claims.
const MAX_COST: u64 = 1 << 24;
/// How long a request has a slot, in microseconds, before any has shown it.
const USUAL_TIME: u64 = 2_000_000;
/// What it costs, in tokens.
const USUAL_COST: u64 = 500;
/// How many tokens of a prompt are as much work as one of an answer.
const ANSWER_WEIGHT: u64 = 2;

/// The queues of one gate, by upstream. They outlive a reload: what runs holds its slot.
#[derive(Default)]
pub(crate) struct Queues(Mutex<BTreeMap<String, Arc<Queue>>>);

/// The queue in front of one upstream.
pub(crate) struct Queue {
    line: Mutex<Line>,
    settings: ArcSwap<QueueSettings>,
    /// How long a request has a slot, by moving average, in microseconds.
    time: AtomicU64,
    /// What it costs, by moving average, in tokens.
    cost: AtomicU64,
}

/// A slot of the upstream, until it is dropped.
pub(crate) struct Slot {
    queue: Arc<Queue>,
    caller: Arc<str>,
    since: Instant,
    cost: Option<u64>,
}

/// How one queue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) waiting: usize,
    pub(crate) busy: usize,
    /// `None` when nobody knows how many there are.
    pub(crate) total: Option<usize>,
}

impl Queues {
    /// The queue of this upstream; a new one lets pass what comes, until it is set.
    pub(crate) fn of(&self, upstream: &str) -> Arc<Queue> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(upstream.to_owned()).or_default())
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            line: Mutex::default(),
            settings: ArcSwap::default(),
            time: AtomicU64::new(USUAL_TIME),
            cost: AtomicU64::new(USUAL_COST),
        }
    }
}

impl Queue {
    /// Follows these settings from now on; what runs and what waits stays as it is.
    pub(crate) fn set(&self, settings: QueueSettings) {
        let before = self.settings.swap(Arc::new(settings));
        match settings.slots {
            Slots::Count(count) => self.line().set_slots(usize::try_from(count).ok()),
            Slots::Unlimited => self.line().set_slots(None),
            // What the server said of itself stays known.
            Slots::Auto if before.slots == Slots::Auto => {}
            Slots::Auto => self.line().set_slots(None),
        }
    }

    /// Takes in how many slots the server says it has.
    pub(crate) fn learn(&self, slots: usize) {
        if self.settings.load().slots == Slots::Auto {
            self.line().set_slots(Some(slots.max(1)));
        }
    }

    /// Whether the server is to be asked how many slots it has.
    pub(crate) fn asks(&self) -> bool {
        self.settings.load().slots == Slots::Auto
    }

    pub(crate) fn standing(&self) -> Standing {
        self.line().standing()
    }

    /// A slot for this caller: at once while one is free, else when it is the caller's turn. Dropped
    /// while it waits, it leaves the line.
    ///
    /// # Errors
    /// When too many wait already, or the wait was too long.
    pub(crate) async fn slot(self: &Arc<Self>, caller: &str) -> Result<Slot, Refusal> {
        let settings = **self.settings.load();
        let mut turn = {
            let mut line = self.line();
            if let Some(caller) = line.take(caller) {
                return Ok(Slot { queue: Arc::clone(self), caller, since: Instant::now(), cost: None });
            }
            let (say, called) = oneshot::channel();
            let (caller, ticket) = line
                .join(caller, say, settings.length, settings.per_caller)
                .map_err(|full| self.full(full, line.standing()))?;
            Turn { queue: self, caller, ticket: Some(ticket), called }
        };
        match tokio::time::timeout(settings.wait, &mut turn.called).await {
            Ok(Ok(())) => Ok(turn.come()),
            // Somebody who had fewer in the line took this place.
            Ok(Err(_)) => Err(self.full(Full::Line, self.standing())),
            Err(_) => Err(self.refuse("no slot of the model server became free in time", self.standing())),
        }
    }

    fn full(&self, full: Full, standing: Standing) -> Refusal {
        let what = match full {
            Full::Caller => "too many of your requests wait for the model server already",
            Full::Line => "too many requests wait for the model server already",
        };
        self.refuse(what, standing)
    }

    /// The time to come again is about the time in which what waits now is served.
    fn refuse(&self, what: &'static str, standing: Standing) -> Refusal {
        let each = Duration::from_micros(self.time.load(Ordering::Relaxed));
        let waiting = u32::try_from(standing.waiting).unwrap_or(u32::MAX);
        let slots = standing.total.and_then(|n| u32::try_from(n).ok()).unwrap_or(1).max(1);
        let wait = each.saturating_mul(waiting) / slots;
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(MAX_RETRY).saturating_add(1);
        Refusal::new("ratelimit", Code::RateLimitConcurrent, what)
            .with_detail(format!("{} wait, {} of {slots} slots are busy", standing.waiting, standing.busy))
            .with_retry_after(seconds.min(MAX_RETRY))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Gives the slot back after this was used.
    pub(crate) fn give_back(mut self, usage: Usage) {
        self.cost = Some(usage.input.saturating_add(usage.output.saturating_mul(ANSWER_WEIGHT)).min(MAX_COST))
            .filter(|cost| *cost > 0);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let time = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX).min(MAX_TIME);
        let usual_time = average(&self.queue.time, time);
        let cost = match self.cost {
            Some(cost) => {
                average(&self.queue.cost, cost);
                cost
            }
            // What nobody counted costs what the like of it took in as long.
            None => time.saturating_mul(self.queue.cost.load(Ordering::Relaxed)) / usual_time.max(1),
        };
        self.queue.line().release(&self.caller, cost.max(1));
    }
}

/// Adds to a moving average, and gives out the one before. Two at once lose one sample, which an average
/// bears.
fn average(of: &AtomicU64, sample: u64) -> u64 {
    let before = of.load(Ordering::Relaxed);
    of.store((before - before / 8).saturating_add(sample / 8), Ordering::Relaxed);
    before
}

/// A place in the line.
struct Turn<'q> {
    queue: &'q Arc<Queue>,
    caller: Arc<str>,
    /// `None` once its turn has come.
    ticket: Option<Ticket>,
    called: oneshot::Receiver<()>,
}

impl Turn<'_> {
    fn come(mut self) -> Slot {
        self.ticket = None;
        Slot { queue: Arc::clone(self.queue), caller: Arc::clone(&self.caller), since: Instant::now(), cost: None }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut line = self.queue.line();
        // A slot that was given at the last moment goes on to the next.
        if !line.leave(&self.caller, ticket) && self.called.try_recv().is_ok() {
            line.release(&self.caller, 0);
        }
    }
}

#[cfg(test)]
mod tests;
