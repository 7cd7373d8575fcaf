//! What is seen anew is followed once more: a word with letters of other scripts may turn out to be another one when
//! it goes on. How the text was followed up to the first of them is kept as long as it may. And what a reader sees as
//! something else than it is, is followed as it stands, too: what hides nothing there may be seen as a part of a word
//! that says nothing.

use std::ops::Range;

use aho_corasick::automaton::StateID;

use super::candidate::Candidate;
use super::follow::Follower;
use super::kept::Kept;
use super::run::{Run, Word};
use super::{STRIDE, Stream};

/// So much of a text must be seen as it stands before it is followed once only: what stands so far before a match does not
/// decide what it is.
const APART: u64 = 128;

/// So much of it is looked at as it stands while both ways are followed: as long as it may be between two looks, and
/// what ends before the next place at which the two are known to differ, with what is too near the end to be told.
const LOOKED: u64 = STRIDE + APART + 64;

/// How a text was followed up to a place, so that it can be followed once more from there.
pub(super) struct Before {
    pub(super) at: u64,
    words: Option<StateID>,
    pub(super) candidates: Vec<Candidate>,
    /// How many there were.
    contexts: usize,
    run: Run,
    word: Word,
}

impl Stream {
    /// Adds a piece, and says what is to be followed because of it. Where a word turns out to be another one, that is
    /// once more what came from its first letter on that might have been: all that stood before it stays as it was.
    pub(super) fn add(&mut self, piece: &str, follow: &mut dyn FnMut(&mut Follower, Range<u64>)) {
        let same = self.stood.is_none() && self.seen.kept.may_differ(piece);
        let stood = same.then(|| self.seen.kept.as_it_stands());
        let mut from = self.seen.kept.end();
        let anew = self.seen.kept.add(piece).filter(|anew| *anew < from);
        if let Some(kept) = stood.filter(|_| self.seen.kept.differs()) {
            self.stood = Some(Box::new(self.seen.beside(kept)));
        }
        if let Some(anew) = anew {
            from = self.rewind(anew);
            self.again += self.seen.kept.end().saturating_sub(from);
        }
        self.follow_seen(from, follow);
        let Some(stood) = &mut self.stood else { return };
        let from = stood.kept.end();
        stood.kept.add(piece);
        follow(stood, from..stood.kept.end());
        self.seen.work += std::mem::take(&mut stood.work);
        let needed = [stood.reaches().saturating_sub(APART), stood.kept.end().saturating_sub(LOOKED)];
        stood.kept.forget_before(stood.run.begin().into_iter().chain(needed).min().unwrap_or_default());
    }

    fn follow_seen(&mut self, mut from: u64, follow: &mut dyn FnMut(&mut Follower, Range<u64>)) {
        let Self { seen, before, .. } = self;
        if before.is_none() && seen.kept.is_plain() {
            return follow(seen, from..seen.kept.end());
        }
        match seen.kept.unsettled() {
            // It is known already how the text was followed up to there.
            Some(at) if at < from => {}
            Some(at) => {
                follow(seen, from..at);
                *before = Some(Box::new(seen.up_to(at)));
                from = at;
            }
            None => *before = None,
        }
        follow(seen, from..seen.kept.end());
    }

    /// Goes back to where nothing was seen anew yet, and says where that is.
    fn rewind(&mut self, anew: u64) -> u64 {
        // It stands at the first character that may change, or before it.
        let Some(before) = self.before.take().filter(|before| before.at <= anew) else { return anew };
        let Before { at, words, candidates, contexts, run, word } = *before;
        let seen = &mut self.seen;
        (seen.words, seen.candidates, seen.run, seen.word) = (words, candidates, run, word);
        seen.contexts.truncate(contexts);
        at
    }

    /// Whether the text has been seen as it stands for so long that both ways are the same.
    pub(super) fn is_one(&self) -> bool {
        let Self { seen, stood: Some(stood), before: None, .. } = self else { return false };
        let apart = seen.kept.end().saturating_sub(seen.kept.same()).saturating_sub(APART);
        // What is encoded may have begun where a reader sees more of its run, or less.
        let run = |follower: &Follower| follower.run.begin().map(|begin| follower.kept.end().saturating_sub(begin));
        apart > 0 && stood.kept.end().saturating_sub(stood.reaches()) <= apart && run(seen) == run(stood)
    }

    /// Follows the text once only.
    pub(super) fn join(&mut self) {
        let contexts = self.stood.take().map(|stood| stood.contexts).unwrap_or_default();
        for place in contexts {
            if !self.seen.contexts.contains(&place) {
                self.seen.contexts.push(place);
            }
        }
    }
}

impl Follower {
    /// Where the first begins of what may become a match, or the text ends.
    fn reaches(&self) -> u64 {
        self.candidates.iter().map(|candidate| candidate.base).min().unwrap_or(self.kept.end())
    }

    /// What follows another text that was the same up to here.
    fn beside(&self, kept: Kept) -> Self {
        let Self { words, run, word, .. } = *self;
        let (candidates, contexts) = (self.candidates.clone(), self.contexts.clone());
        Self { kept, words, candidates, contexts, run, word, ..Self::default() }
    }

    fn up_to(&self, at: u64) -> Before {
        let Self { words, run, word, .. } = *self;
        Before { at, words, candidates: self.candidates.clone(), contexts: self.contexts.len(), run, word }
    }
}
