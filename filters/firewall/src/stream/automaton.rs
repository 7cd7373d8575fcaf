//! Whether a growing text can still become a match of one rule: the rule's own expression, run a byte
//! at a time over the states of its automaton, each with the place where its secret began.
//!
//! The states stand in the order in which the expression prefers them. Where a match is reached and no
//! state stands before it, nothing that comes can change that match: it is decided.

use std::cell::RefCell;

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;

use super::candidate::shrink;

/// A state that is alive, and where its secret began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thread {
    state: u32,
    /// Relative to where the candidate begins; [`OUTSIDE`] before the secret.
    pub(super) secret: u32,
}

/// Ordinary words: one for each letter, and one of hex digits.
const WORDS: [&str; 27] = [
    "able", "back", "call", "done", "each", "face", "find", "good", "hand", "into", "just", "kind", "life", "make",
    "name", "only", "part", "quite", "rest", "some", "town", "unit", "very", "word", "xray", "year", "zero",
];

/// The secret has not begun.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// A rule's expression as an automaton.
pub(super) struct Automaton {
    nfa: NFA,
    /// The slots of the groups that may be the secret: an even one opens it, the next closes it.
    secret: SecretSlots,
    /// Whether its matches begin only where a word begins or ends.
    bounded: bool,
}

/// Which of the expression's groups are the secret.
#[derive(Clone, Copy, Debug)]
pub(super) enum SecretSlots {
    /// The whole match.
    Whole,
    /// This group.
    One(usize),
    /// The first that took part: any.
    Any,
}

/// A match that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    /// Where its secret began.
    pub(super) secret: u32,
    /// Whether nothing that comes can change it.
    pub(super) decided: bool,
}

/// What stands on both sides of a place; `None` where the text begins or ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    pub(super) before: Option<u8>,
    pub(super) after: Option<u8>,
}

/// What is reused from step to step, by every text that a thread judges.
#[derive(Default)]
struct Scratch {
    /// Of each state: the walk in which it was last reached, and the secret that it was reached with.
    seen: Vec<(u32, u32)>,
    walk: u32,
    stack: Vec<(StateID, u32)>,
    here: Vec<Thread>,
    next: Vec<Thread>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Automaton {
    pub(super) fn new(nfa: NFA, secret: SecretSlots, bounded: bool) -> Self {
        Self { nfa, secret, bounded }
    }

    /// Takes one byte in. `start` is the place, where a match may begin at this byte. Adds to `work` what
    /// it took.
    pub(super) fn step(
        &self,
        threads: &mut Vec<Thread>,
        start: Option<u32>,
        at: u32,
        sides: Sides,
        work: &mut u64,
    ) -> Option<Reached> {
        let byte = sides.after?;
        SCRATCH.with_borrow_mut(|scratch| {
            let mut walk = Walk::begin(self, scratch);
            let mut reached = None;
            // Where nothing asks what stands beside, the states are those that read a byte already.
            let looks = start.is_some() || threads.iter().any(|thread| self.looks(*thread));
            if looks {
                reached = walk.resolve(threads, start, at, sides, work);
                threads.clear();
                threads.reserve_exact(walk.scratch.here.len());
                threads.append(&mut walk.scratch.here);
                walk.again();
            }
            for thread in threads.iter() {
                *work += 1;
                if let Some(next) = self.read(*thread, byte) {
                    let found = walk.reach(next, thread.secret, at + 1, None, work);
                    reached = merge(reached, found);
                }
            }
            threads.clear();
            // There may be many texts: no more room is made than it takes.
            threads.reserve_exact(walk.scratch.next.len());
            threads.append(&mut walk.scratch.next);
            shrink(threads);
            reached
        })
    }

    /// The text has ended: whether that makes a match of what is alive.
    pub(super) fn finish(
        &self,
        threads: &mut Vec<Thread>,
        at: u32,
        before: Option<u8>,
        work: &mut u64,
    ) -> Option<Reached> {
        SCRATCH.with_borrow_mut(|scratch| {
            let reached = Walk::begin(self, scratch).resolve(threads, None, at, Sides { before, after: None }, work);
            scratch.here.clear();
            threads.clear();
            reached
        })
    }

    /// Whether a match can begin with this byte, whatever stands beside it.
    pub(super) fn first_bytes(&self) -> [bool; 256] {
        let mut first = [false; 256];
        SCRATCH.with_borrow_mut(|scratch| {
            let mut walk = Walk::begin(self, scratch);
            walk.reach(self.nfa.start_anchored(), OUTSIDE, 0, Some(None), &mut 0);
            for thread in walk.scratch.next.drain(..) {
                for (byte, can) in (0u8..=255).zip(first.iter_mut()) {
                    *can |= self.read(thread, byte).is_some();
                }
            }
        });
        first
    }

    /// Whether an ordinary word may be the beginning of a match.
    pub(super) fn reads_words(&self) -> bool {
        let alive = |word: &str| {
            let mut threads = Vec::new();
            let mut before = Some(b' ');
            for (at, byte) in (0..).zip(word.bytes()) {
                let start = (at == 0).then_some(0);
                self.step(&mut threads, start, at, Sides { before, after: Some(byte) }, &mut 0);
                before = Some(byte);
            }
            !threads.is_empty()
        };
        let capital = |word: &str| {
            word.char_indices().map(|(at, c)| if at == 0 { c.to_ascii_uppercase() } else { c }).collect::<String>()
        };
        WORDS.into_iter().any(|word| alive(word) || alive(&capital(word)))
    }

    /// Whether the secret is where the match begins.
    pub(super) fn secret_is_first(&self) -> bool {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut walk = Walk::begin(self, scratch);
            walk.reach(self.nfa.start_anchored(), OUTSIDE, 0, Some(None), &mut 0);
            walk.scratch.next.drain(..).all(|thread| thread.secret == 0)
        })
    }

    /// Whether its matches begin only where a word begins or ends.
    pub(super) fn begins_words(&self) -> bool {
        self.bounded
    }

    pub(super) fn nfa(&self) -> &NFA {
        &self.nfa
    }

    pub(super) fn opens(&self, slot: usize) -> bool {
        match self.secret {
            SecretSlots::Whole => slot == 0,
            SecretSlots::One(group) => slot == 2 * group,
            SecretSlots::Any => slot >= 2 && slot.is_multiple_of(2),
        }
    }

    fn looks(&self, thread: Thread) -> bool {
        matches!(self.state(thread), Some(State::Look { .. }))
    }

    fn read(&self, thread: Thread, byte: u8) -> Option<StateID> {
        match self.state(thread)? {
            State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
            State::Sparse(sparse) => sparse.matches_byte(byte),
            State::Dense(dense) => dense.matches_byte(byte),
            _ => None,
        }
    }

    fn state(&self, thread: Thread) -> Option<&State> {
        self.nfa.states().get(thread.state as usize)
    }
}

/// The better of two matches: the one that was reached first, unless only the other is decided.
fn merge(one: Option<Reached>, other: Option<Reached>) -> Option<Reached> {
    match (one, other) {
        (Some(one), Some(other)) => {
            Some(Reached { secret: one.secret.min(other.secret), decided: one.decided || other.decided })
        }
        (one, other) => one.or(other),
    }
}

/// One walk over what is reached without reading.
struct Walk<'a> {
    automaton: &'a Automaton,
    scratch: &'a mut Scratch,
}

impl<'a> Walk<'a> {
    fn begin(automaton: &'a Automaton, scratch: &'a mut Scratch) -> Self {
        let states = automaton.nfa.states().len();
        if scratch.seen.len() < states {
            scratch.seen.resize(states, (0, OUTSIDE));
        }
        scratch.here.clear();
        scratch.next.clear();
        let mut walk = Self { automaton, scratch };
        walk.again();
        walk
    }

    /// Forgets what was seen.
    fn again(&mut self) {
        self.scratch.walk = self.scratch.walk.wrapping_add(1);
        if self.scratch.walk == 0 {
            self.scratch.seen.fill((0, OUTSIDE));
            self.scratch.walk = 1;
        }
    }

    /// Answers what asks what stands on both sides, and adds the start where there is one. What is left
    /// stands in `here`.
    fn resolve(
        &mut self,
        threads: &[Thread],
        start: Option<u32>,
        at: u32,
        sides: Sides,
        work: &mut u64,
    ) -> Option<Reached> {
        let mut reached = None;
        for thread in threads {
            let Ok(state) = StateID::new(thread.state as usize) else { continue };
            reached = merge(reached, self.reach(state, thread.secret, at, Some(Some(sides)), work));
        }
        if start.is_some() {
            let begin = self.automaton.nfa.start_anchored();
            reached = merge(reached, self.reach(begin, OUTSIDE, at, Some(Some(sides)), work));
        }
        std::mem::swap(&mut self.scratch.here, &mut self.scratch.next);
        reached
    }

    /// Adds every state that reads a byte and is reached from here. `sides` answers looks: `None` leaves
    /// them for later, `Some(None)` takes them to hold.
    fn reach(
        &mut self,
        from: StateID,
        secret: u32,
        at: u32,
        sides: Option<Option<Sides>>,
        work: &mut u64,
    ) -> Option<Reached> {
        let mut reached: Option<Reached> = None;
        let Scratch { seen, walk, stack, next, .. } = &mut *self.scratch;
        stack.clear();
        // Most of what is reached leads on to one state alone, or to none.
        let mut on = Some((from, secret));
        while let Some((id, secret)) = on.take().or_else(|| stack.pop()) {
            *work += 1;
            let Some(mark) = seen.get_mut(id.as_usize()) else { continue };
            // An earlier secret makes the same state hold more: it goes this way again.
            let before = (mark.0 == *walk).then_some(mark.1);
            if before.is_some_and(|known| known <= secret) {
                continue;
            }
            *mark = (*walk, secret);
            match self.automaton.nfa.state(id) {
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => {
                    add(next, id, secret, before.is_some());
                }
                State::Look { look, next: after } => match sides {
                    None => add(next, id, secret, before.is_some()),
                    Some(sides) if sides.is_none_or(|sides| holds(*look, sides)) => on = Some((*after, secret)),
                    Some(_) => {}
                },
                State::Union { alternates } => stack.extend(alternates.iter().rev().map(|next| (*next, secret))),
                State::BinaryUnion { alt1, alt2 } => {
                    stack.push((*alt2, secret));
                    on = Some((*alt1, secret));
                }
                State::Capture { next: after, slot, .. } => {
                    let opens = secret == OUTSIDE && self.automaton.opens(slot.as_usize());
                    on = Some((*after, if opens { at } else { secret }));
                }
                State::Match { .. } => {
                    let here = Reached { secret, decided: next.is_empty() };
                    reached = merge(reached, Some(here));
                }
                State::Fail => {}
            }
        }
        reached
    }
}

fn add(next: &mut Vec<Thread>, id: StateID, secret: u32, known: bool) {
    let state = id.as_u32();
    if known {
        if let Some(thread) = next.iter_mut().find(|thread| thread.state == state) {
            thread.secret = secret;
        }
    } else {
        next.push(Thread { state, secret });
    }
}

/// Adds what is alive in `more` to `threads`, each state once with its earliest secret.
pub(super) fn unite(threads: &mut Vec<Thread>, more: &[Thread]) {
    for thread in more {
        match threads.iter_mut().find(|known| known.state == thread.state) {
            Some(known) => known.secret = known.secret.min(thread.secret),
            None => threads.push(*thread),
        }
    }
}

/// Whether an assertion holds between two bytes. Of letters that are none of ASCII it is not known, and
/// so it is taken to hold.
fn holds(look: Look, Sides { before, after }: Sides) -> bool {
    let word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let (left, right) = (word(before), word(after));
    let foreign = [before, after].into_iter().flatten().any(|byte| !byte.is_ascii());
    match look {
        Look::Start => before.is_none(),
        Look::End => after.is_none(),
        Look::StartLF => before.is_none_or(|byte| byte == b'\n'),
        Look::EndLF => after.is_none_or(|byte| byte == b'\n'),
        Look::StartCRLF => before.is_none_or(|byte| byte == b'\n' || (byte == b'\r' && after != Some(b'\n'))),
        Look::EndCRLF => after.is_none_or(|byte| byte == b'\r' || (byte == b'\n' && before != Some(b'\r'))),
        Look::WordAscii => left != right,
        Look::WordAsciiNegate => left == right,
        Look::WordStartAscii => !left && right,
        Look::WordEndAscii => left && !right,
        Look::WordStartHalfAscii => !left,
        Look::WordEndHalfAscii => !right,
        Look::WordUnicode => foreign || left != right,
        Look::WordUnicodeNegate => foreign || left == right,
        Look::WordStartUnicode => foreign || (!left && right),
        Look::WordEndUnicode => foreign || (left && !right),
        Look::WordStartHalfUnicode => foreign || !left,
        Look::WordEndHalfUnicode => foreign || !right,
    }
}
