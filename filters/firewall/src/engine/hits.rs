//! What is reused from text to text, and what is left to spend on those of one request.

use std::ops::Range;

use crate::budget::Budget;
use crate::decode::Runs;
use crate::planes::Planes;

/// A literal that somebody else than a rule wants to know the places of, from the same pass.
#[derive(Clone, Debug)]
pub(crate) struct Cue {
    pub(crate) text: String,
    /// Whether in any ASCII case; other letters are as they are written.
    pub(crate) any_case: bool,
}

/// Where a cue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CueHit {
    pub(crate) at: usize,
    /// Its number, in the order in which the cues were given.
    pub(crate) cue: u32,
}

/// As many cues are kept of one view of a text.
pub(super) const MOST_CUES: usize = 1 << 20;

/// What is reused from text to text, and what is left to spend on those of one request.
#[derive(Default)]
pub(crate) struct Hits {
    pub(crate) budget: Budget,
    /// The path of the file that the texts are from, if they are from one.
    pub(crate) path: Option<String>,
    pub(super) cues: Vec<CueHit>,
    /// Whether only rules look whose findings can be sure.
    pub(super) only_sure: bool,
    /// Whether what is scanned is a text in another way, and not the text itself.
    pub(crate) again: bool,
    /// Whether nobody waits for an answer.
    pub(crate) patient: bool,
    /// Where rules look that have no keyword.
    pub(super) places: Vec<Range<usize>>,
    /// Of the view that was scanned last.
    pub(crate) planes: Planes,
    /// Room for the long runs in a view, while nobody looks at one.
    pub(crate) runs: Runs,
    pub(super) marks: Vec<Mark>,
    pub(super) turn: u64,
}

/// How far a rule has come in a text.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    turn: u64,
    /// Where it need not look again.
    pub(super) done: usize,
    /// Where it has just tried, and one more.
    pub(super) tried: usize,
    /// What its [gate](super::gate::Gate::is_open_at) has seen.
    pub(super) between: (usize, usize),
}

impl Hits {
    /// Begins with other texts, on which somebody waits who sent so many bytes.
    pub(crate) fn begin(&mut self, bytes: usize) {
        self.budget = if self.patient { Budget::patient() } else { Budget::of(bytes) };
        self.again = false;
    }

    /// Where the cues stand in the view that was scanned last, roughly in its order.
    pub(crate) fn cues(&self) -> &[CueHit] {
        &self.cues
    }

    pub(super) fn mark(&mut self, number: u32) -> Option<&mut Mark> {
        let turn = self.turn;
        let mark = self.marks.get_mut(number as usize)?;
        if mark.turn != turn {
            *mark = Mark { turn, ..Mark::default() };
        }
        Some(mark)
    }
}
