//! What was found, and where.

use std::ops::Range;

use crate::rule::Rule;

/// A rule matched. Holds places, never what stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// Which of the texts that were scanned together, from 0: the one in which it begins.
    pub text: usize,
    /// The whole match, in bytes of that text as it was given.
    pub span: Range<usize>,
    /// The part of it that must not be seen, within `span`. As large as `span` for what was encoded.
    pub secret: Range<usize>,
    /// Whether it goes on in the texts after this one: `secret` is only its beginning then.
    pub goes_on: bool,
    /// How it was seen.
    pub through: Through,
    /// Of an injection, how sure the heuristic is, 0 to 100. 100 for everything else.
    pub score: u8,
}

/// How a finding was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Through {
    /// In the text as it stands.
    Plain,
    /// In the text without invisible characters and with look-alikes as what they look like.
    Normalised,
    /// In what a part of the text says when it is decoded this way.
    Decoded(&'static str),
    /// In parts of the text, or in several texts, read as one.
    Joined,
}
