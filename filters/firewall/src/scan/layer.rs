//! One text, layer below layer: as it stands, as it looks, and what is encoded in it.

use std::ops::Range;

use portcullis_policies::DataLevel;

use super::place::Place;
use super::reported::Reported;
use super::{Exhausted, Text};
use crate::decode::{self, Budget, Piece};
use crate::engine::{Hits, Match};
use crate::finding::{Finding, Through};
use crate::rule::Direction;
use crate::rules::Rules;
use crate::view;

/// As many encodings may lie around each other.
const DEPTH: usize = 3;

/// What is still encoded below all layers was meant to hide something, if it is as long as this.
const ABYSS: usize = 48;

/// Everything that stays the same from layer to layer.
pub(super) struct Layers<'r, 's> {
    rules: &'r Rules,
    texts: &'s [Text<'s>],
    way: Direction,
    budget: &'s Budget,
    hits: &'s mut Hits,
    reported: &'s mut Reported,
    found: &'s mut dyn FnMut(Finding<'r>),
    /// The text that is looked at.
    number: usize,
}

impl<'r, 's> Layers<'r, 's> {
    pub(super) fn new(
        rules: &'r Rules,
        texts: &'s [Text<'s>],
        way: Direction,
        budget: &'s Budget,
        hits: &'s mut Hits,
        reported: &'s mut Reported,
        found: &'s mut dyn FnMut(Finding<'r>),
    ) -> Self {
        Self { rules, texts, way, budget, hits, reported, found, number: 0 }
    }

    /// Looks at one of the texts.
    pub(super) fn text(&mut self, number: usize) -> Result<(), Exhausted> {
        self.number = number;
        let text = self.texts.get(number).map_or("", |text| text.text);
        self.layer(text, &Place::Source, Through::Plain, 0)?;
        self.structure(text);
        Ok(())
    }

    /// Looks at how a text is built, as it stands.
    fn structure(&mut self, text: &str) {
        let Self { rules, way, reported, found, number, .. } = self;
        rules.structure.scan(text, *way, &mut |Match { rule, span, secret }| {
            if reported.add(*number, rule, &span) {
                found(Finding { rule, text: *number, span, secret, through: Through::Plain, score: 100 });
            }
        });
    }

    /// Looks at a text, and below it.
    fn layer(&mut self, text: &str, place: &Place<'_>, through: Through, depth: usize) -> Result<(), Exhausted> {
        self.judge(text, place, through)?;
        let Some(view) = view::of(text) else { return self.below(text, place, through, depth) };
        let place = Place::Parts(&view.map, place);
        let through = if through == Through::Plain { Through::Normalised } else { through };
        self.judge(&view.text, &place, through)?;
        self.below(&view.text, &place, through, depth)
    }

    /// Looks at what is encoded in a text.
    fn below(&mut self, text: &str, place: &Place<'_>, through: Through, depth: usize) -> Result<(), Exhausted> {
        let budget = self.budget;
        if depth == 0 {
            decode::each_hidden(text, &mut |piece: Piece<'_>| {
                self.judge(piece.text, &place.then(piece.from), Through::Decoded(piece.name))
            })?;
        }
        decode::each(text, budget, &mut |piece: Piece<'_>| {
            if depth == DEPTH {
                // Nobody wraps anything so often who does not hide it.
                let hides = piece.name == "base64" && piece.text.len() >= ABYSS;
                return if hides { Err(Exhausted) } else { Ok(()) };
            }
            let through = if matches!(through, Through::Decoded(_)) { through } else { Through::Decoded(piece.name) };
            self.layer(piece.text, &place.then(piece.from), through, depth + 1)
        })
    }

    /// Looks at one view of a text.
    fn judge(&mut self, view: &str, place: &Place<'_>, through: Through) -> Result<(), Exhausted> {
        let Self { rules, texts, way, hits, reported, found, number, .. } = self;
        let text = texts.get(*number).map_or("", |text| text.text);
        rules.engine.scan(view, hits, &mut |Match { rule, span, secret }| {
            // Backwards and with other letters, what is drawn looks drawn as well: only what has the form of
            // something known counts there.
            let guessed = rule.level < DataLevel::L4 && matches!(through, Through::Decoded("rot13" | "reversed"));
            if guessed || !rule.direction.covers(*way) {
                return;
            }
            let whole = |part: Range<usize>| on_characters(text, place.source(part));
            let (span, secret) = (whole(span), whole(secret));
            if reported.add(*number, rule, &span) {
                found(Finding { rule, text: *number, span, secret, through, score: 100 });
            }
        })
    }
}

/// The characters of a text that a part of its bytes touches: rules see bytes.
fn on_characters(text: &str, part: Range<usize>) -> Range<usize> {
    let start = (0..=part.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = (part.end.min(text.len())..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    start..end.max(start)
}
