//! The way that an automaton took through a text last. Where it comes to the same state at the same place once more, it
//! finds the same from there on: so matches that begin one after the other and go on over the same bytes take no longer
//! than one of them.

use regex_automata::hybrid::LazyStateID;

/// States are remembered so many bytes from each other.
pub(super) const STEP: usize = 16;

/// As many of them.
const MOST: usize = 16 << 10;

/// Which states an automaton was in at some places of a text, one every [`STEP`] bytes, and where its match ended.
#[derive(Default)]
pub(super) struct Trail {
    /// The first of those places.
    begin: usize,
    states: Vec<LazyStateID>,
    end: Option<usize>,
    /// How often the automaton's memory had been cleared: states are others after that.
    cleared: usize,
}

impl Trail {
    pub(super) fn clear(&mut self) {
        self.states.clear();
    }

    /// Goes on in a state at a place, which is a multiple of [`STEP`].
    pub(super) fn add(&mut self, place: usize, state: LazyStateID, cleared: usize) {
        if self.cleared != cleared || self.states.is_empty() {
            self.states.clear();
            (self.begin, self.cleared) = (place, cleared);
        }
        if self.states.len() < MOST {
            self.states.push(state);
        }
    }

    /// Comes to its end, with what matched on it last.
    pub(super) fn end(&mut self, end: Option<usize>) {
        self.end = end;
    }

    /// What matched from a place on, if the automaton was in this state there.
    pub(super) fn from(&self, place: usize, state: LazyStateID, cleared: usize) -> Option<Option<usize>> {
        let number = place.checked_sub(self.begin)? / STEP;
        let same = self.cleared == cleared && self.states.get(number) == Some(&state);
        same.then(|| self.end.filter(|end| *end >= place))
    }

    /// Whether it is one at all.
    pub(super) fn is_empty(&self) -> bool {
        self.states.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use crate::budget::Budget;
    use crate::engine::Hits;
    use crate::{Rules, Selection, Standing};

    /// What takes so much of one size takes four times as much of four times the size, and not sixteen times.
    #[test]
    fn words_for_secrets_that_go_on_over_each_other_are_followed_once() {
        let rules = Rules::load(true, &[], &Selection::default()).unwrap();
        let run = "aB3dE5gH7jK9mN1p".repeat(4);
        for word in ["token", "secret", "clé ", "-api-key", "jelszó"] {
            let spent = |bytes: usize| {
                let text = format!("{word}{run}").repeat(bytes / (word.len() + run.len()));
                let mut hits = Hits::default();
                hits.begin(usize::MAX);
                let mut earned = Budget::default();
                earned.earn(text.len(), 0);
                rules.engine.scan(&text, &mut hits, &mut |_| Standing::Open).unwrap();
                earned.left() - hits.budget.left()
            };
            let (small, large) = (spent(4 << 10), spent(16 << 10));
            assert!(large < 5 * small, "{word}: {small} and {large}");
        }
    }
}
