//! What a secret has before its keyword, where that is one sign: of an address of e-mail, all before the `@`.
//!
//! Any word may be that, and a word that has left cannot be taken back. So the word at the end of a text is held until
//! something follows it that says what it is. Rules like that need not be followed before their sign comes.

use regex_automata::nfa::thompson::State;
use regex_automata::util::primitives::StateID;

use super::automaton::{Automaton, Sides};
use super::class::steps;
use super::kept::Kept;
use super::live::LiveRule;
use crate::view::is_mark;

/// The most bytes before the sign: a mailbox has 64 letters at most (RFC 5321, section 4.5.3.1.1), here of up to four bytes.
const LONGEST: usize = 256;
/// Signs that stand over letters and between them, in the scripts that have such.
const MARKS: std::ops::RangeInclusive<char> = '\u{300}'..='\u{1fff}';

/// What may stand in a secret before its sign.
pub(super) struct Stem {
    reads: [bool; 256],
    longest: usize,
}

impl Stem {
    /// Of a rule whose secrets have its only keyword, one sign, behind their beginning, and not too far.
    pub(super) fn of(automaton: &Automaton, keywords: &[String]) -> Option<Self> {
        let [keyword] = keywords else { return None };
        let [sign] = keyword.as_bytes() else { return None };
        if !sign.is_ascii_punctuation() || !automaton.secret_is_first() {
            return None;
        }
        let mut stem = Self { reads: [false; 256], longest: 0 };
        let mut states = vec![automaton.nfa().start_anchored()];
        while let Some(next) = stem.read(automaton, states, *sign) {
            if next.is_empty() {
                return (stem.longest > 0).then_some(stem);
            }
            stem.longest += 1;
            states = next;
        }
        None
    }

    /// The most bytes that it may have.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Where the word begins that ends at a place, as far as it may be one; there, where none does.
    pub(super) fn begin(&self, kept: &Kept, end: u64) -> u64 {
        let before = kept.text().get(..kept.index(end)).unwrap_or_default();
        let reads = |c: &char| match u8::try_from(*c) {
            Ok(byte) if byte.is_ascii() => self.reads.get(usize::from(byte)) == Some(&true),
            _ => c.is_alphanumeric() || MARKS.contains(c) || is_mark(*c),
        };
        let letters = before.chars().rev().take_while(reads).map(|c| c.len_utf8() as u64);
        let most = self.longest as u64;
        let length = letters.scan(0, |all, letter| {
            *all += letter;
            (*all <= most).then_some(*all)
        });
        end - length.last().unwrap_or(0)
    }

    /// Where it begins that the text ends with: the first place of the word at its end from which the rule's expression
    /// still goes on.
    pub(super) fn open(&self, rule: &LiveRule, kept: &Kept) -> Option<u64> {
        let end = kept.end();
        (self.begin(kept, end)..end).find(|begin| {
            let side = |at: u64| at.checked_sub(1).and_then(|at| kept.byte(at));
            if !kept.byte(*begin).is_some_and(|byte| rule.begins_with(side(*begin), byte)) {
                return false;
            }
            let mut threads = Vec::new();
            for (at, place) in (0..).zip(*begin..end) {
                let sides = Sides { before: side(place), after: kept.byte(place) };
                let start = (at == 0).then_some(0);
                rule.automaton.step(&mut threads, start, at, sides, &mut 0);
                if threads.is_empty() {
                    return false;
                }
            }
            true
        })
    }

    /// Where these states lead to by one byte that is not the sign; `None` where a match needs no sign, or has it too
    /// far from its beginning.
    fn read(&mut self, automaton: &Automaton, states: Vec<StateID>, sign: u8) -> Option<Vec<StateID>> {
        let (mut stack, mut seen, mut next) = (states, Vec::new(), Vec::new());
        while let Some(state) = stack.pop() {
            if seen.contains(&state) {
                continue;
            }
            seen.push(state);
            let mut read = |low: u8, high: u8, to: StateID| {
                for byte in (low..=high).filter(|byte| *byte != sign) {
                    self.reads.get_mut(usize::from(byte)).into_iter().for_each(|can| *can = true);
                    next.push(to);
                }
            };
            match automaton.nfa().state(state) {
                State::ByteRange { trans } => read(trans.start, trans.end, trans.next),
                State::Sparse(sparse) => sparse.transitions.iter().for_each(|t| read(t.start, t.end, t.next)),
                State::Dense(_) | State::Match { .. } => return None,
                _ => steps(automaton, state, &mut |to, _| stack.push(to)),
            }
        }
        next.sort_unstable();
        next.dedup();
        (self.longest < LONGEST).then_some(next)
    }
}
