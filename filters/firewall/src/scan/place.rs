//! From a view of a view of a text back to the text.

use std::ops::Range;

use crate::decode::From;
use crate::view::Map;

/// Where a view came from.
#[derive(Clone, Copy)]
pub(super) enum Place<'p> {
    /// It is the text itself.
    Source,
    /// Its parts come from parts of another view.
    Parts(&'p Map, &'p Place<'p>),
    /// All of it comes from one part of another view.
    Run(usize, usize, &'p Place<'p>),
    /// Each line comes from a word of another view.
    Words(&'p [(usize, Range<usize>)], &'p Place<'p>),
}

impl<'p> Place<'p> {
    /// The place of what was decoded from a view that is at this place.
    pub(super) fn then(&'p self, from: From<'p>) -> Self {
        match from {
            From::Run(start, end) => Place::Run(start, end, self),
            From::Parts(map) => Place::Parts(map, self),
            From::Words(words) => Place::Words(words, self),
        }
    }

    /// The part of the text that a part of the view came from.
    pub(super) fn source(&self, part: Range<usize>) -> Range<usize> {
        match self {
            Self::Source => part,
            Self::Parts(map, below) => below.source(map.source(part)),
            Self::Run(start, end, below) => below.source(*start..*end),
            Self::Words(words, below) => {
                let word = |at: usize| {
                    let after = words.partition_point(|(begin, _)| *begin <= at);
                    words.get(after.checked_sub(1)?).map(|(_, word)| word.clone())
                };
                let first = word(part.start).unwrap_or_default();
                let last = word(part.end.saturating_sub(1)).unwrap_or_else(|| first.clone());
                below.source(first.start..last.end.max(first.end))
            }
        }
    }
}
