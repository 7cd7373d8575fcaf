//! Who is told of each finding: once, by the characters that it touches, and only of rules about texts that go this way.

use std::ops::Range;

use super::reported::Reported;
use super::{Standing, Text};
use crate::engine::Match;
use crate::finding::{Finding, Through};
use crate::rule::{Direction, Rule};

/// Who is told of each finding, and says how the verdict stands.
pub(super) type Found<'r, 's> = dyn FnMut(Finding<'r>) -> Standing + 's;

/// What has been told, and whom.
pub(super) struct Told<'r, 's> {
    pub(super) texts: &'s [Text<'s>],
    pub(super) way: Direction,
    reported: &'s mut Reported,
    found: &'s mut Found<'r, 's>,
    /// The text that is looked at.
    pub(super) number: usize,
    /// As many times something was found.
    pub(super) finds: usize,
}

impl<'r, 's> Told<'r, 's> {
    pub(super) fn new(
        texts: &'s [Text<'s>],
        way: Direction,
        reported: &'s mut Reported,
        found: &'s mut Found<'r, 's>,
    ) -> Self {
        Self { texts, way, reported, found, number: 0, finds: 0 }
    }

    /// The text of this number.
    pub(super) fn text(&self, number: usize) -> &'s str {
        self.texts.get(number).map_or("", |text| text.text)
    }

    /// Tells a finding in the text that is looked at.
    pub(super) fn tell(
        &mut self,
        rule: &'r Rule,
        span: Range<usize>,
        secret: Range<usize>,
        through: Through,
    ) -> Standing {
        self.tell_new(Finding { rule, text: self.number, span, secret, goes_on: false, through, score: 100 })
    }

    /// Tells a finding that begins in the text of this number, and ends in another one.
    pub(super) fn tell_across(&mut self, number: usize, rule: &'r Rule, span: Range<usize>) -> Standing {
        let (secret, through) = (span.clone(), Through::Joined);
        self.tell_new(Finding { rule, text: number, span, secret, goes_on: true, through, score: 100 })
    }

    /// Tells how the text that is looked at is built.
    pub(super) fn tell_structure(&mut self, Match { rule, span, secret, .. }: Match<'r>) -> Standing {
        if !self.reported.add(self.number, rule, &span) {
            return Standing::Open;
        }
        let (through, score) = (Through::Plain, 100);
        (self.found)(Finding { rule, text: self.number, span, secret, goes_on: false, through, score })
    }

    pub(super) fn tell_new(&mut self, finding: Finding<'r>) -> Standing {
        self.finds += 1;
        if !finding.rule.direction.covers(self.way) {
            return Standing::Open;
        }
        let text = self.text(finding.text);
        let (span, secret) = (on_characters(text, finding.span), on_characters(text, finding.secret));
        if !self.reported.add(finding.text, finding.rule, &span) {
            return Standing::Open;
        }
        (self.found)(Finding { span, secret, ..finding })
    }
}

/// The characters of a text that a part of its bytes touches: rules see bytes.
fn on_characters(text: &str, part: Range<usize>) -> Range<usize> {
    let start = (0..=part.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = (part.end.min(text.len())..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    start..end.max(start)
}
