//! Findings of a growing text that are blocked by their level alone: they go with what is taken out, if they lie
//! wholly within it.
//!
//! What is taken out may be decided later than what lies within it. While a rule that takes out may still find
//! something around it, such a finding waits, and nothing leaves from where it begins.

use std::ops::Range;

use portcullis_firewall::{Rule, Stream};

use crate::firewall::judge::Judge;
use crate::firewall::spans::Spans;

/// The most findings of one text that wait for what comes. More than these are blocked.
const MOST_WAITING: usize = 256;
/// So much of a text that was decided may be looked at again, as a part of its end or of an encoded run.
const LOOKED_AT: u64 = 4096;

/// What is taken out of one growing text, and what lies beside it.
#[derive(Default)]
pub(super) struct Besides {
    /// What was taken out, as far back as something may still be found in it.
    taken: Vec<Range<u64>>,
    waiting: Vec<Beside>,
}

/// A finding that is blocked unless it is taken out with another one.
pub(super) struct Beside {
    pub(super) rule: Rule,
    pub(super) secret: Range<u64>,
    /// A part of it was counted.
    pub(super) again: bool,
    pub(super) fingerprint: String,
}

impl Besides {
    /// Notes what is taken out.
    pub(super) fn take(&mut self, part: &Range<u64>) {
        self.taken.push(part.clone());
    }

    /// Notes what goes with what is taken out, if it lies in it.
    pub(super) fn add(&mut self, beside: Beside) {
        self.waiting.push(beside);
    }

    /// From where on something waits.
    pub(super) fn open(&self) -> Option<u64> {
        self.waiting.iter().map(|beside| beside.secret.start).min()
    }

    /// What is decided by now, and whether it was taken out. When the text has ended, or counts as ended, that is
    /// everything.
    pub(super) fn decided(&mut self, judge: &Judge, stream: &Stream, ended: bool) -> Vec<(Beside, bool)> {
        let mut decided = Vec::new();
        if !self.waiting.is_empty() {
            let spans = Spans::of(self.taken.iter().cloned());
            let redacts = |rule: &Rule| judge.redacts(rule);
            for beside in std::mem::take(&mut self.waiting) {
                let gone = spans.hold(&beside.secret);
                let full = self.waiting.len() >= MOST_WAITING;
                if gone || ended || full || !stream.may_surround(&judge.rules, &beside.secret, &redacts) {
                    decided.push((beside, gone));
                } else {
                    self.waiting.push(beside);
                }
            }
        }
        let far = stream.pushed().saturating_sub(LOOKED_AT);
        self.taken.retain(|part| part.end > far);
        decided
    }
}
