//! The time of day as the gate judges by it: the wall clock, carried on by the clock that nobody sets.
//!
//! Once a second the two are compared. Small differences are a clock that is being slewed and are
//! followed silently; a larger one is a step: it is followed, too, but logged and counted. What a step
//! may not do, let a used nonce in again, is the store's to see to (`store/embedded.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use portcullis_filters::store::WallClock;
use rustix::time::{ClockId, clock_gettime};

use crate::metrics::Metrics;

/// How often the two clocks are compared.
const LOOK: Duration = Duration::from_secs(1);
/// A larger difference, in milliseconds, is a step.
const STEP_MS: u64 = 1_000;

/// The two clocks of a machine.
pub(crate) trait Time: Send + Sync + 'static {
    /// What the wall clock shows, in Unix milliseconds.
    fn wall_ms(&self) -> i64;
    /// Milliseconds since the machine started, time asleep included. Nobody can set it.
    fn boot_ms(&self) -> i64;
}

/// The gate's clock.
pub(crate) struct Clock {
    time: Box<dyn Time>,
    /// The wall clock's lead over the other, when it was last looked at.
    lead_ms: AtomicI64,
}

impl Clock {
    /// A clock that begins with what the wall clock shows now.
    pub(crate) fn new(time: Box<dyn Time>) -> Self {
        let lead = time.wall_ms().saturating_sub(time.boot_ms());
        Self { time, lead_ms: AtomicI64::new(lead) }
    }

    /// This machine's clock.
    pub(crate) fn system() -> Self {
        #[cfg(debug_assertions)]
        if let Some(stepped) = crate::test_fault::SteppedTime::asked_for() {
            return Self::new(Box::new(stepped));
        }
        Self::new(Box::new(System))
    }

    /// Milliseconds since the machine started.
    pub(crate) fn boot_ms(&self) -> i64 {
        self.time.boot_ms()
    }

    /// Follows the wall clock. Returns by how many milliseconds it was set, if it was: forward is positive.
    pub(crate) fn follow(&self) -> Option<i64> {
        let lead = self.time.wall_ms().saturating_sub(self.time.boot_ms());
        let moved = lead.saturating_sub(self.lead_ms.swap(lead, Ordering::Relaxed));
        (moved.unsigned_abs() > STEP_MS).then_some(moved)
    }

    /// Follows the wall clock, and tells of its steps, for ever. Runs off the workers.
    pub(crate) async fn keep(self: Arc<Self>, metrics: Arc<Metrics>) {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(ms) = self.follow() {
                metrics.clock_stepped(ms > 0);
                tracing::warn!(
                    step_ms = ms,
                    "The machine's clock was set: what is fresh is judged by the new time; no used nonce comes in again."
                );
            }
        }
    }
}

impl WallClock for Clock {
    fn now_ms(&self) -> i64 {
        self.time.boot_ms().saturating_add(self.lead_ms.load(Ordering::Relaxed))
    }
}

/// The clocks of this machine.
pub(crate) struct System;

impl Time for System {
    fn wall_ms(&self) -> i64 {
        read(ClockId::Realtime)
    }

    fn boot_ms(&self) -> i64 {
        // Goes on while the machine sleeps: waking up does not look like a step.
        read(ClockId::Boottime)
    }
}

fn read(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000)
}

/// Clocks that a test sets.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct FakeTime {
    pub(crate) wall: Arc<AtomicI64>,
    pub(crate) boot: Arc<AtomicI64>,
}

#[cfg(test)]
impl FakeTime {
    pub(crate) fn at(wall_ms: i64) -> Self {
        let time = Self::default();
        time.wall.store(wall_ms, Ordering::Relaxed);
        time
    }

    /// Time passes on both clocks.
    pub(crate) fn pass(&self, ms: i64) {
        self.wall.fetch_add(ms, Ordering::Relaxed);
        self.boot.fetch_add(ms, Ordering::Relaxed);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn step(&self, ms: i64) {
        self.wall.fetch_add(ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Time for FakeTime {
    fn wall_ms(&self) -> i64 {
        self.wall.load(Ordering::Relaxed)
    }

    fn boot_ms(&self) -> i64 {
        self.boot.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_by_the_clock_that_nobody_sets() {
        let time = FakeTime::at(1_000_000);
        let clock = Clock::new(Box::new(time.clone()));
        time.pass(500);
        assert_eq!(clock.now_ms(), 1_000_500);
        time.step(3_600_000);
        assert_eq!(clock.now_ms(), 1_000_500, "a step counts once it was seen");
        assert_eq!(clock.follow(), Some(3_600_000));
        assert_eq!(clock.now_ms(), 4_600_500);
        time.step(-3_600_000);
        assert_eq!(clock.follow(), Some(-3_600_000));
        assert_eq!(clock.now_ms(), 1_000_500);
    }

    #[test]
    fn a_slewed_clock_is_followed_silently() {
        let time = FakeTime::at(1_000_000);
        let clock = Clock::new(Box::new(time.clone()));
        for _ in 0..10 {
            time.pass(1_000);
            time.step(900);
            assert_eq!(clock.follow(), None);
        }
        assert_eq!(clock.now_ms(), 1_019_000);
        time.step(1_000);
        assert_eq!(clock.follow(), None, "a second is no step");
        time.step(-1_001);
        assert_eq!(clock.follow(), Some(-1_001));
    }

    #[test]
    fn the_machine_s_clock_shows_the_time_of_day() {
        let jiff = jiff::Timestamp::now().as_millisecond();
        assert!(Clock::new(Box::new(System)).now_ms().abs_diff(jiff) < 60_000);
    }

    #[test]
    fn no_clock_is_too_wild_to_be_read() {
        let time = FakeTime::at(i64::MAX);
        let clock = Clock::new(Box::new(time.clone()));
        time.wall.store(i64::MIN, Ordering::Relaxed);
        assert!(clock.follow().is_some());
        time.boot.store(i64::MAX, Ordering::Relaxed);
        let _ = (clock.follow(), clock.now_ms());
    }
}
