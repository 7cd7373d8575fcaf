//! What may become a match of one rule in a growing text: what of it is alive, and what it holds.

use super::automaton::{OUTSIDE, Reached, Thread};
use super::judge::Judge;
use super::kept::Kept;
use super::live::LiveRule;

/// As many emptied lists are kept, of so many states at most.
const MOST_SPARE: (usize, usize) = (8, 16);

/// What may become a match of one rule, from all of its beginnings.
#[derive(Clone)]
pub(super) struct Candidate {
    /// The rule's place among those that look at answers.
    pub(super) place: usize,
    /// Where the first of them begins.
    pub(super) base: u64,
    /// A match was reached; its secret began here.
    pub(super) pending: Option<u32>,
    pub(super) threads: Vec<Thread>,
}

impl Candidate {
    pub(super) fn new(place: usize, base: u64, spare: &mut Vec<Vec<Thread>>) -> Self {
        Self { place, base, pending: None, threads: spare.pop().unwrap_or_default() }
    }

    /// A place, counted from where this begins.
    pub(super) fn relative(&self, at: u64) -> u32 {
        u32::try_from(at.saturating_sub(self.base)).unwrap_or(OUTSIDE - 1).min(OUTSIDE - 1)
    }

    /// From where on it must not leave.
    pub(super) fn held(&self, rule: &LiveRule) -> Option<u64> {
        let alive = self.threads.iter().map(|thread| thread.secret).min().filter(|secret| *secret != OUTSIDE);
        alive
            .into_iter()
            .chain(self.pending)
            .min()
            .map(|secret| self.base + u64::from(secret) + u64::from(rule.class.prefix))
    }

    /// Moves where it begins.
    pub(super) fn rebase(&mut self, base: u64) {
        let by = u32::try_from(self.base.saturating_sub(base)).unwrap_or(0);
        for thread in self.threads.iter_mut().filter(|thread| thread.secret != OUTSIDE) {
            thread.secret = thread.secret.saturating_add(by);
        }
        self.pending = self.pending.map(|secret| secret.saturating_add(by));
        self.base -= u64::from(by);
    }

    /// Takes note of a match, and judges it once nothing that comes can change it.
    pub(super) fn heed(&mut self, kept: &Kept, judge: &mut Judge<'_, '_>, reached: Option<Reached>, end: u64) {
        if let Some(reached) = reached {
            self.pending = Some(self.pending.map_or(reached.secret, |pending| pending.min(reached.secret)));
        }
        let Some(secret) = self.pending else { return };
        let decided = reached.is_some_and(|reached| reached.decided);
        if decided || self.threads.iter().all(|thread| thread.secret > secret) {
            self.pending = None;
            if judge.confirm(kept, self.place, self.base, end) {
                self.threads.clear();
            }
        }
    }

    pub(super) fn keep(self, candidates: &mut Vec<Self>, spare: &mut Vec<Vec<Thread>>) {
        if self.threads.is_empty() && self.pending.is_none() {
            put(spare, self.threads);
        } else {
            candidates.push(self);
        }
    }
}

/// Keeps the room of a list for the next candidates: of a few, and of none that is large.
pub(super) fn put(spare: &mut Vec<Vec<Thread>>, mut list: Vec<Thread>) {
    if spare.len() < MOST_SPARE.0 && (1..=MOST_SPARE.1).contains(&list.capacity()) {
        list.clear();
        spare.push(list);
    }
}
