//! What may become a match of one rule in a growing text: what of it is alive, and what it holds.

use std::cell::RefCell;

use super::automaton::{OUTSIDE, Reached, Thread};
use super::judge::Judge;
use super::kept::Kept;
use super::live::LiveRule;

/// As many emptied lists does a thread keep, of so many states at most.
const MOST_SPARE: (usize, usize) = (16, 4);

/// Lists of more room than so many times what is in them, and than this, give it back.
const ROOMY: (usize, usize) = (2, 4);

/// A match was reached of which no part is the secret, as far as that is known.
const NO_SECRET: u32 = OUTSIDE - 1;

thread_local! {
    /// Emptied lists, for the next candidates of any text.
    static SPARE: RefCell<Vec<Vec<Thread>>> = const { RefCell::new(Vec::new()) };
}

/// What may become a match of one rule, from all of its beginnings.
#[derive(Clone)]
pub(super) struct Candidate {
    /// The rule's place among those that look at answers.
    place: u32,
    /// A match was reached; its secret began here. [`OUTSIDE`] where none was.
    pending: u32,
    /// Where the first of them begins.
    pub(super) base: u64,
    pub(super) threads: Vec<Thread>,
}

impl Candidate {
    pub(super) fn new(place: usize, base: u64) -> Self {
        let threads = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        // There are never so many rules.
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        Self { place, pending: OUTSIDE, base, threads }
    }

    pub(super) fn place(&self) -> usize {
        self.place as usize
    }

    /// Whether a match was reached that is not judged yet.
    pub(super) fn is_pending(&self) -> bool {
        self.pending != OUTSIDE
    }

    /// Nothing of it is alive any more.
    pub(super) fn end(&mut self) {
        self.pending = OUTSIDE;
        self.threads.clear();
    }

    /// Decides it as it stands: what is told of a match that was reached, and of a strong rule in any case.
    pub(super) fn decide(&self, kept: &Kept, judge: &mut Judge<'_, '_>, end: u64) {
        let Some(rule) = judge.live.rule(self.place()) else { return };
        let confirmed = self.is_pending() && judge.confirm(kept, self.place(), self.base, end);
        if !confirmed && rule.strong {
            judge.suspect(kept, rule, self.held(rule).unwrap_or(end));
        }
    }

    /// A place, counted from where this begins.
    pub(super) fn relative(&self, at: u64) -> u32 {
        u32::try_from(at.saturating_sub(self.base)).unwrap_or(OUTSIDE - 1).min(OUTSIDE - 1)
    }

    /// From where on it must not leave.
    pub(super) fn held(&self, rule: &LiveRule) -> Option<u64> {
        let secrets = self.threads.iter().map(|thread| thread.secret).chain([self.pending]);
        let held = secrets.min().filter(|secret| *secret != OUTSIDE)?;
        Some(self.base + u64::from(held) + u64::from(rule.class.prefix))
    }

    /// Moves where it begins.
    pub(super) fn rebase(&mut self, base: u64) {
        let by = u32::try_from(self.base.saturating_sub(base)).unwrap_or(0);
        for thread in self.threads.iter_mut().filter(|thread| thread.secret != OUTSIDE) {
            thread.secret = thread.secret.saturating_add(by);
        }
        if self.is_pending() {
            self.pending = self.pending.saturating_add(by);
        }
        self.base -= u64::from(by);
    }

    /// Takes note of a match, and judges it once nothing that comes can change it.
    pub(super) fn heed(&mut self, kept: &Kept, judge: &mut Judge<'_, '_>, reached: Option<Reached>, end: u64) {
        if let Some(reached) = reached {
            self.pending = self.pending.min(reached.secret.min(NO_SECRET));
        }
        let secret = self.pending;
        if secret == OUTSIDE {
            return;
        }
        let decided = reached.is_some_and(|reached| reached.decided);
        if decided || self.threads.iter().all(|thread| thread.secret > secret && secret != NO_SECRET) {
            self.pending = OUTSIDE;
            if judge.confirm(kept, self.place(), self.base, end) {
                self.threads.clear();
            }
        }
    }

    pub(super) fn keep(self, candidates: &mut Vec<Self>) {
        if self.threads.is_empty() && !self.is_pending() {
            put(self.threads);
        } else {
            // There may be many texts: no room is made in advance.
            candidates.reserve_exact(1);
            candidates.push(self);
        }
    }
}

/// Gives back the room of a list that has become much smaller.
pub(super) fn shrink<T>(list: &mut Vec<T>) {
    if list.capacity() > ROOMY.1.max(ROOMY.0 * list.len()) {
        list.shrink_to(ROOMY.1.max(list.len()));
    }
}

/// Keeps the room of a list for the next candidates: of a few, and of none that is large.
pub(super) fn put(mut list: Vec<Thread>) {
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < MOST_SPARE.0 && (1..=MOST_SPARE.1).contains(&list.capacity()) {
            list.clear();
            spare.push(list);
        }
    });
}
