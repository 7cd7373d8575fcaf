//! Tokens with something inside that a program skips: comments, tags, empty strings, emphasis.

use std::ops::Range;

use memchr::{memchr, memmem};

use super::{Sink, Source, TOKEN, give, word_start};
use crate::planes::BLOCK;

/// The longest that is skipped.
const MARK: usize = 64;

/// Joins every word that has such marks in it.
pub(super) fn each(source: Source<'_>, pieces: &mut Vec<Range<usize>>, sink: &mut Sink<'_>) {
    let mut floor = 0;
    places(source, &mut |place| {
        if place >= floor
            && let Some(end) = word(source, (floor, place), pieces, sink)
        {
            floor = end;
        }
    });
}

/// The places in which a mark may be: a character that ends no word stands before it.
fn places(source: Source<'_>, found: &mut dyn FnMut(usize)) {
    for place in source.signs.places(|sign| sign.mark) {
        if source.planes.behind(place, |block| !block.stop) >> (BLOCK - 1) != 0 {
            found(place);
        }
    }
}

/// Joins the word that has a mark at a place, if one does. Returns where it ends.
fn word(
    source: Source<'_>,
    (floor, place): (usize, usize),
    pieces: &mut Vec<Range<usize>>,
    sink: &mut Sink<'_>,
) -> Option<usize> {
    let bytes = source.bytes();
    let (start, mut piece) = mark(bytes, begin(bytes, place))?;
    pieces.clear();
    pieces.push(word_start(bytes, floor, start)..start);
    loop {
        let stop = piece + bytes.get(piece..).unwrap_or_default().iter().take_while(|byte| TOKEN.has(**byte)).count();
        let next = (stop..stop + 2).find_map(|at| mark(bytes, at).filter(|(start, _)| *start == stop));
        pieces.push(piece..stop);
        match next {
            Some((_, end)) => piece = end,
            None => {
                give(source, pieces, sink);
                return Some(stop);
            }
        }
    }
}

/// Where a mark begins that has a sign: `]]>` may stand before its first `<`.
fn begin(bytes: &[u8], at: usize) -> usize {
    at.checked_sub(3).filter(|before| bytes.get(*before..at) == Some(b"]]>")).unwrap_or(at)
}

/// The mark between two characters of a token around a place: where it begins and where it ends.
fn mark(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = bytes.get(at..bytes.len().min(at + MARK))?;
    let (start, until): (usize, &[u8]) = match rest {
        [b'*', b'*', ..] => (at, b"**"),
        [b'*', ..] if at > 0 && bytes.get(at - 1) == Some(&b'/') => (at - 1, b"*/"),
        [b'/', b'*', ..] => (at, b"*/"),
        [b'<', b'!', b'-', b'-', ..] => (at, b"-->"),
        [b'<', b'!', b'[', ..] => (at, b"CDATA["),
        [b'<', b'/' | b'a'..=b'z' | b'A'..=b'Z', ..] => (at, b">"),
        [b']', b']', b'>', b'<', b'!', ..] => (at, b"CDATA["),
        _ => return None,
    };
    let is_token = |byte: &&u8| TOKEN.has(**byte);
    // That is asked first: most that looks like a mark stands between words.
    bytes.get(start.checked_sub(1)?).filter(is_token)?;
    let end = match until {
        [one] => memchr(*one, rest)? + 1,
        more => memmem::find(rest, more)? + more.len(),
    };
    bytes.get(at + end).filter(is_token)?;
    Some((start, at + end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::join::Signs;
    use crate::planes::Planes;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn no_mark_is_overlooked(
            parts in prop::collection::vec("[a-z0-9]{1,3}|\\*\\*|/\\*|\\*/|<!--|-->|<[a-z]|</b|>|\\]\\]>|<!\\[CDATA\\[|[ \"/*<\\]-]", 1..14)
        ) {
            let text = parts.concat();
            let bytes = text.as_bytes();
            let mut seen = Vec::new();
            let (planes, signs) = (Planes::of(&text), Signs::of(&text));
            places(Source::of(&text, &planes, &signs), &mut |place| seen.extend(mark(bytes, begin(bytes, place))));
            // A comment is found by the star in it.
            for at in (0..bytes.len()).filter(|at| bytes[*at] != b'/') {
                let mark = mark(bytes, at);
                prop_assert!(mark.is_none_or(|mark| seen.contains(&mark)), "{:?} at {} of {:?}", mark, at, text);
            }
        }
    }
}
