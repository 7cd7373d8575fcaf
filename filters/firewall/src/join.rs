//! Secrets in pieces: string literals that are put together, broken lines, letters with something in
//! between, and the border between one text and the next.
//!
//! Pieces are only joined where they stand in a row in one and the same way. What is found counts only
//! where it reaches over a border, and only for rules about live secrets: whatever else pieces spell by
//! chance is no finding.

mod border;
mod groups;
mod lines;
mod literals;
mod marks;
mod seams;

use std::ops::Range;

use crate::decode::Set;
use crate::view::View;

pub(crate) use border::Border;
pub(crate) use seams::Seams;

/// What is shorter than this when it is joined is no secret.
const LEAST: usize = 16;

/// As many pieces are more than a secret is cut into.
const LONG: usize = 4 << 10;

/// What stands between the ways in which pieces are given: an empty line, which no row goes over.
pub(crate) const APART: &str = "\n\n";

/// Who takes what was joined, the whole of it first.
pub(crate) type Sink<'s> = dyn FnMut(&View) + 's;

/// Joins whatever stands in pieces in a text.
pub(crate) fn each(text: &str, sink: &mut Sink<'_>) {
    literals::each(text, sink);
    lines::each(text, sink);
    marks::each(text, sink);
    groups::each(text, sink);
}

/// Gives pieces as one, also without the first and the last: they may be the text around it.
fn give(text: &str, pieces: &[Range<usize>], sink: &mut Sink<'_>) {
    let size: usize = pieces.iter().map(Range::len).sum();
    if size < LEAST || pieces.len() < 2 {
        return;
    }
    let mut view = View::default();
    // What is longer than any secret is a row whatever stands at its ends.
    let inner = if pieces.len() > LONG { &[] } else { pieces.get(1..).unwrap_or_default() };
    for ways in [pieces, inner] {
        for way in [ways, ways.get(..ways.len().saturating_sub(1)).unwrap_or_default()] {
            if way.len() >= 2 && (way.len() <= LONG || way.len() == pieces.len()) {
                way.iter().for_each(|piece| view.copy(text, piece.clone()));
                let end = way.last().map_or(0, |piece| piece.end);
                view.put(APART, end..end);
            }
        }
    }
    sink(&view);
}

/// Characters that tokens are made of.
static TOKEN: Set = Set::word_and(b"_-+/=.:@~%");

/// Characters that end a word.
static ENDS: Set = Set::of(b" \t\r\n\"'`,()[]{}<>|");

/// Where the word that ends at a place begins.
fn word_start(bytes: &[u8], floor: usize, end: usize) -> usize {
    let before = bytes.get(floor.max(end.saturating_sub(512))..end).unwrap_or_default();
    end - before.iter().rev().take_while(|byte| !ENDS.has(**byte)).count()
}
