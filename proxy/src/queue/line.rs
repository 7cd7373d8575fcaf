//! The line itself: plain state, without a lock or a clock of its own.
//!
//! Every caller has a *service*: what its requests cost so far. Who comes back after a pause
//! starts at the service of the last one that was served: nobody saves up turns, and nobody pays for
//! what it took while no one else wanted it. Every step takes logarithmic time in the number of callers.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Standing;

/// Callers that are remembered though they want nothing, beside as many as want something.
const IDLE: usize = 1_024;

/// Who runs and who waits.
#[derive(Default)]
pub(super) struct Line {
    /// `None` is as many as come.
    slots: Option<usize>,
    busy: usize,
    waiting: usize,
    callers: HashMap<Arc<str>, Caller>,
    /// Callers that run or wait.
    active: usize,
    /// Callers that wait: the first one is next.
    next: BTreeSet<Rank>,
    /// Callers that wait, by how many requests: the last one has most.
    longest: BTreeSet<(usize, Arc<str>)>,
    /// The service of the last caller that was served.
    served: u64,
    tickets: Ticket,
}

/// Fewest running first, then the least service, then who came first.
type Rank = (usize, u64, Ticket, Arc<str>);

/// The number of one that waits; they rise.
pub(super) type Ticket = u64;

/// Why nobody more may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// This caller has too many in the line.
    Caller,
    /// The line is too long.
    Line,
}

#[derive(Default)]
struct Caller {
    running: usize,
    service: u64,
    waiting: VecDeque<(Ticket, oneshot::Sender<()>)>,
}

impl Caller {
    fn is_active(&self) -> bool {
        self.running > 0 || !self.waiting.is_empty()
    }
}

impl Line {
    /// Takes a free slot, under the caller's name as it is kept here. Nobody is passed by: while a slot
    /// is free nobody waits.
    pub(super) fn take(&mut self, caller: &str) -> Option<Arc<str>> {
        if !self.has_free() {
            return None;
        }
        let caller = self.known(caller);
        self.start(&caller, None);
        Some(caller)
    }

    /// Joins the line. Where it is full, the last one of whoever has most in it makes room for a caller
    /// that has fewer; its sender is dropped.
    pub(super) fn join(
        &mut self,
        caller: &str,
        say: oneshot::Sender<()>,
        length: usize,
        per_caller: usize,
    ) -> Result<(Arc<str>, Ticket), Full> {
        let mine = self.callers.get(caller).map_or(0, |c| c.waiting.len());
        if mine >= per_caller {
            return Err(Full::Caller);
        }
        if self.waiting >= length && !self.make_room(mine + 1) {
            return Err(Full::Line);
        }
        self.tickets += 1;
        let (caller, ticket) = (self.known(caller), self.tickets);
        self.change(&caller, |c| c.waiting.push_back((ticket, say)));
        self.waiting += 1;
        Ok((caller, ticket))
    }

    /// Leaves the line. Returns whether it was still in it.
    pub(super) fn leave(&mut self, caller: &Arc<str>, ticket: Ticket) -> bool {
        let mut left = false;
        self.change(caller, |c| {
            let before = c.waiting.len();
            c.waiting.retain(|(number, _)| *number != ticket);
            left = c.waiting.len() < before;
        });
        self.waiting -= usize::from(left);
        left
    }

    /// Takes a slot back that this caller had, with what that cost, and gives it to the next.
    pub(super) fn release(&mut self, caller: &Arc<str>, cost: u64) {
        self.change(caller, |c| {
            c.running = c.running.saturating_sub(1);
            c.service = c.service.saturating_add(cost);
        });
        self.busy = self.busy.saturating_sub(1);
        self.call();
    }

    /// Says how many slots there are; `None` for as many as come. What runs runs on.
    pub(super) fn set_slots(&mut self, slots: Option<usize>) {
        self.slots = slots;
        self.call();
    }

    pub(super) fn standing(&self) -> Standing {
        Standing { waiting: self.waiting, busy: self.busy, total: self.slots }
    }

    fn has_free(&self) -> bool {
        self.slots.is_none_or(|slots| self.busy < slots)
    }

    /// Calls those whose turn it is. One that left meanwhile does not hear it, and gives its slot back.
    fn call(&mut self) {
        while self.has_free()
            && let Some((_, _, _, caller)) = self.next.first().cloned()
        {
            let mut called = None;
            self.start(&caller, Some(&mut called));
            self.waiting -= 1;
            if called.is_none_or(|say| say.send(()).is_err()) {
                self.change(&caller, |c| c.running = c.running.saturating_sub(1));
                self.busy -= 1;
            }
        }
    }

    /// A request of this caller has a slot from now on: the first that waits, where one is asked for.
    fn start(&mut self, caller: &Arc<str>, first: Option<&mut Option<oneshot::Sender<()>>>) {
        let mut service = 0;
        self.change(caller, |c| {
            if let Some(first) = first {
                *first = c.waiting.pop_front().map(|(_, say)| say);
            }
            c.running += 1;
            service = c.service;
        });
        self.busy += 1;
        self.served = self.served.max(service);
    }

    /// Puts the last one out of whoever has more than this many in the line.
    fn make_room(&mut self, than: usize) -> bool {
        let Some((most, caller)) = self.longest.last().cloned() else { return false };
        if most <= than {
            return false;
        }
        self.change(&caller, |c| drop(c.waiting.pop_back()));
        self.waiting -= 1;
        true
    }

    /// The one place where a caller changes: its ranks are kept in step.
    fn change(&mut self, key: &Arc<str>, change: impl FnOnce(&mut Caller)) {
        let Some(caller) = self.callers.get_mut(key) else { return };
        if let Some((ticket, _)) = caller.waiting.front() {
            self.next.remove(&(caller.running, caller.service, *ticket, Arc::clone(key)));
            self.longest.remove(&(caller.waiting.len(), Arc::clone(key)));
        }
        let was_active = caller.is_active();
        change(caller);
        if !was_active && caller.is_active() {
            caller.service = caller.service.max(self.served);
        }
        if let Some((ticket, _)) = caller.waiting.front() {
            self.next.insert((caller.running, caller.service, *ticket, Arc::clone(key)));
            self.longest.insert((caller.waiting.len(), Arc::clone(key)));
        }
        match (was_active, caller.is_active()) {
            (false, true) => self.active += 1,
            (true, false) => self.active -= 1,
            _ => {}
        }
    }

    /// The caller's name as it is kept here; made when it is new.
    fn known(&mut self, caller: &str) -> Arc<str> {
        if let Some((name, _)) = self.callers.get_key_value(caller) {
            return Arc::clone(name);
        }
        if self.callers.len() >= 2 * self.active + IDLE {
            self.callers.retain(|_, c| c.is_active());
        }
        let name: Arc<str> = caller.into();
        self.callers.insert(Arc::clone(&name), Caller::default());
        name
    }
}
