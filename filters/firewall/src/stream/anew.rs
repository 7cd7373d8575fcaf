//! What is seen anew is followed once more: a word with letters of other scripts may turn out to be another one when
//! it goes on. How the text was followed up to the first of them is kept as long as it may.

use std::ops::Range;

use aho_corasick::automaton::StateID;

use super::Stream;
#[cfg(test)]
use super::automaton::Thread;
use super::candidate::Candidate;
use super::run::{Run, Word};

/// How a text was followed up to a place, so that it can be followed once more from there.
pub(super) struct Before {
    at: u64,
    words: Option<StateID>,
    candidates: Vec<Candidate>,
    /// How many there were.
    contexts: usize,
    run: Run,
    word: Word,
}

impl Stream {
    /// Adds a piece, and says what is to be followed because of it. Where a word turns out to be another one, that is
    /// once more what came from its first letter on that might have been: all that stood before it stays as it was.
    pub(super) fn add(&mut self, piece: &str, follow: &mut dyn FnMut(&mut Self, Range<u64>)) {
        let mut from = self.kept.end();
        if let Some(anew) = self.kept.add(piece).filter(|anew| *anew < from) {
            from = self.rewind(anew);
            self.again += self.kept.end().saturating_sub(from);
        }
        if self.before.is_none() && self.kept.is_plain() {
            return follow(self, from..self.kept.end());
        }
        match self.kept.unsettled() {
            // It is known already how the text was followed up to there.
            Some(at) if at < from => {}
            Some(at) => {
                follow(self, from..at);
                self.before = Some(Box::new(self.up_to(at)));
                from = at;
            }
            None => self.before = None,
        }
        follow(self, from..self.kept.end());
    }

    /// Goes back to where nothing was seen anew yet, and says where that is.
    fn rewind(&mut self, anew: u64) -> u64 {
        // It stands at the first character that may change, or before it.
        let Some(before) = self.before.take().filter(|before| before.at <= anew) else { return anew };
        let Before { at, words, candidates, contexts, run, word } = *before;
        (self.words, self.candidates, self.run, self.word) = (words, candidates, run, word);
        self.contexts.truncate(contexts);
        at
    }

    fn up_to(&self, at: u64) -> Before {
        let Self { words, run, word, .. } = *self;
        Before { at, words, candidates: self.candidates.clone(), contexts: self.contexts.len(), run, word }
    }
}

impl Before {
    /// The memory that this takes.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let threads: usize = self.candidates.iter().map(|one| one.threads.capacity() * size_of::<Thread>()).sum();
        size_of::<Self>() + threads + self.candidates.capacity() * size_of::<Candidate>()
    }
}
