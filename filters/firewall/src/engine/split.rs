//! Where the secret begins with which a match ends: often there is but one place where what stands before it may end,
//! and then no groups have to be found.

use std::ops::Range;

use regex_automata::hybrid::dfa;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;

use super::plan;
use crate::budget::Budget;
use crate::scan::Exhausted;

/// An expression whose matches end with a secret that is [one word](plan::is_in_word).
pub(super) struct Split {
    /// Finds each place where what stands before the secret may end.
    before: dfa::DFA,
    /// As many bytes has the secret.
    least: usize,
}

impl Split {
    /// Of an expression, with what makes an automaton of a part of it that finds all matches.
    pub(super) fn new(hir: &Hir, built: impl Fn(&Hir) -> Result<dfa::DFA, String>) -> Result<Option<Self>, String> {
        let Some((before, word)) = plan::word_at_end(hir) else { return Ok(None) };
        let Some(least @ 1..) = word.properties().minimum_len() else { return Ok(None) };
        Ok(Some(Self { before: built(&before)?, least }))
    }

    pub(super) fn cache(&self) -> dfa::Cache {
        self.before.create_cache()
    }

    /// Where the secret of a match begins, if it can begin at one place alone.
    pub(super) fn place(
        &self,
        text: &[u8],
        matched: Range<usize>,
        cache: &mut dfa::Cache,
        budget: &mut Budget,
    ) -> Result<Option<usize>, Exhausted> {
        let bytes = text.get(matched.clone()).unwrap_or_default();
        let word = bytes.iter().rev().take_while(|byte| plan::is_in_word(**byte)).count();
        let first = matched.end - word;
        let cleared = cache.clear_count();
        let input = Input::new(text).range(matched.clone()).anchored(Anchored::Yes);
        let mut state = self.before.start_state_forward(cache, &input).map_err(|_| Exhausted)?;
        let mut found = None;
        // A match is told of by the byte behind it.
        for (at, byte) in (matched.start..).zip(bytes.iter().take((bytes.len() + 1).saturating_sub(self.least))) {
            state = self.before.next_state(cache, state, *byte).map_err(|_| Exhausted)?;
            if state.is_match() && at >= first && found.replace(at).is_some() {
                found = None;
                break;
            } else if state.is_dead() {
                break;
            } else if state.is_quit() {
                return Err(Exhausted);
            }
        }
        budget.clear(cache.clear_count() - cleared)?;
        Ok(found)
    }
}
