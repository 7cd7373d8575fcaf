//! The injection score of a text: that of its strongest view, told once.

use std::ops::Range;

use super::Origin;
use super::place::Place;
use crate::engine::Hits;
use crate::finding::Through;
use crate::injection::{self, Injection, InjectionScratch, Work};
use crate::rule::Rule;
use crate::view::View;

/// The rule, the place in the text, how it was seen, and the score.
type Strongest<'r> = (&'r Rule, Range<usize>, Through, u8);

/// Judges the views of one text after the other.
pub(super) struct Injected<'r, 's> {
    injection: Option<&'r Injection>,
    scratch: &'s mut InjectionScratch,
    strongest: Option<Strongest<'r>>,
}

impl<'r, 's> Injected<'r, 's> {
    pub(super) fn new(injection: Option<&'r Injection>, scratch: &'s mut InjectionScratch) -> Self {
        Self { injection, scratch, strongest: None }
    }

    /// Whether nothing is lost where a text is not judged, but what a reader sees of it.
    pub(super) fn is_seen_in(&self, text: &str, view: &View) -> bool {
        self.injection.is_none() || injection::reads_the_same(text, view)
    }

    /// Judges one view of the text, which was scanned last. Says what that took.
    pub(super) fn judge(&mut self, view: &str, by: Origin, seen: &Hits, place: &Place<'_>, through: Through) -> Work {
        if let Some(judged) = self.injection.and_then(|injection| injection.scan(view, by, seen, self.scratch))
            && self.strongest.as_ref().is_none_or(|(.., score)| judged.score > *score)
        {
            self.strongest = Some((judged.rule, place.source(judged.span), through, judged.score));
        }
        self.scratch.work()
    }

    /// The strongest of its views, when all have been judged.
    pub(super) fn take(&mut self) -> Option<Strongest<'r>> {
        self.strongest.take()
    }
}
