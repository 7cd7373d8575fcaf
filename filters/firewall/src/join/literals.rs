//! String literals one after the other: `"a" + "b"`, `'a' 'b'`, lists, variables, messages in JSON.

use std::ops::Range;

use super::{Sink, Source};
use crate::decode::Set;
use crate::planes::BLOCK;

/// The longest literal that is a piece.
const PIECE: usize = 4 << 10;

/// The longest that stands between two pieces.
const SEAM: usize = 96;

/// As much as is joined at once, and as many pieces of it are joined with what follows, too.
const MOST: usize = 64 << 10;
const OVERLAP: usize = 128;

/// Joins every row of literals.
pub(super) fn each(source: Source<'_>, pieces: &mut Vec<Range<usize>>, sink: &mut Sink<'_>) {
    let (mut floor, mut at) = (0, 0);
    for quote in source.signs.places(|sign| sign.quote) {
        if quote < at {
            continue;
        }
        let Some(next) = seam(source, quote) else { continue };
        let Some(first) = opening(source, floor, quote) else { continue };
        let (begin, end) = row(source, pieces, (first..quote, next), sink);
        (floor, at) = (begin, end.max(quote + 1));
    }
}

/// Where the literal that a quote closes begins.
fn opening(source: Source<'_>, floor: usize, quote: usize) -> Option<usize> {
    let bytes = source.bytes();
    let mark = bytes.get(quote);
    let least = floor.max(quote.saturating_sub(PIECE));
    let mut before = quote;
    loop {
        before = source.signs.last(least..before, |sign| sign.quote)?;
        if bytes.get(before) == mark {
            return Some(before + 1);
        }
    }
}

/// The quote that closes the literal that begins at a place.
fn closing(source: Source<'_>, begin: usize) -> Option<usize> {
    let bytes = source.bytes();
    let mark = bytes.get(begin.checked_sub(1)?);
    let mut next = begin;
    loop {
        next = source.signs.next(next, |sign| sign.quote).filter(|quote| *quote < begin + PIECE)?;
        if bytes.get(next) == mark {
            return Some(next);
        }
        next += 1;
    }
}

/// Joins a row that goes on from a first piece. Returns where the next one may begin, and where to look for it.
fn row(
    source: Source<'_>,
    pieces: &mut Vec<Range<usize>>,
    (first, mut next): (Range<usize>, usize),
    sink: &mut Sink<'_>,
) -> (usize, usize) {
    let bytes = source.bytes();
    let mut size = 0;
    pieces.clear();
    let mut push = |piece: Range<usize>, pieces: &mut Vec<Range<usize>>| {
        // Keys and who speaks stand between the pieces, and are none.
        let key = colon(bytes, piece.end + 1);
        let inner = source.text.get(piece.clone()).unwrap_or_default();
        if !key && !is_role(inner) {
            let lead = if pieces.is_empty() || !has_colon(source, piece.start) { 0 } else { lead_in(inner) };
            size += piece.len();
            pieces.push(piece.start + lead..piece.end);
        }
        size < MOST
    };
    let mut end = first.end + 1;
    let begin = first.start;
    push(first, pieces);
    while let Some(quote) = closing(source, next) {
        end = quote + 1;
        if !push(next..quote, pieces) {
            // The row is long: the next one begins with its end, unless that is most of it.
            let again = pieces.len().checked_sub(OVERLAP).and_then(|at| pieces.get(at)).cloned();
            super::give(source, pieces, sink);
            let again = again.filter(|piece| piece.start > begin + MOST / 2);
            return again.map_or((end, end), |piece| (piece.start.saturating_sub(1), piece.end));
        }
        match seam(source, quote) {
            Some(after) => next = after,
            None => break,
        }
    }
    super::give(source, pieces, sink);
    (end, end)
}

/// Whether a key of an object ends before this place.
fn colon(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).unwrap_or_default().iter().take(4).find(|byte| **byte != b' ') == Some(&b':')
}

fn is_role(text: &str) -> bool {
    matches!(text, "user" | "assistant" | "system" | "tool" | "human" | "model" | "text" | "developer" | "function")
}

/// As many bytes may stand before the rest of something.
const LEAD: u32 = 40;

/// Whether a colon, or what is like it, is one of those from a place on.
fn has_colon(source: Source<'_>, at: usize) -> bool {
    source.planes.ahead(at, |block| block.token & !block.symbol) << (u64::BITS - LEAD) != 0
}

/// The bytes of `part two:` and the like before the rest of something.
pub(super) fn lead_in(text: &str) -> usize {
    let Some(end) = text.bytes().take(LEAD as usize).position(|byte| byte == b':') else { return 0 };
    let words =
        text.get(..end).is_some_and(|words| words.chars().all(|c| c.is_alphanumeric() || " ()#-,.'".contains(c)));
    let rest = text.get(end + 1..).unwrap_or_default();
    let space = rest.len() - rest.trim_start().len();
    if words && space > 0 { end + 1 + space } else { 0 }
}

/// What joins literals, and stands between them: signs and white space; and names.
static BETWEEN: Set = Set::of(b"+.&|,~\\()[]{};:=^ \t\n\r\x0C");
static NAME: Set = Set::word_and(b"_$");

/// Where the next literal begins, if the quote closes one and only what joins them stands between. Told from bits, if
/// the next 64 bytes say it.
fn seam(source: Source<'_>, quote: usize) -> Option<usize> {
    let begin = quote + 1;
    let bytes = source.bytes();
    let bytes = bytes.get(begin..bytes.len().min(begin + SEAM))?;
    let quotes = source.signs.ahead(begin, |sign| sign.quote);
    let between = source.planes.ahead(begin, |block| block.stop | block.token & !block.symbol) & !quotes;
    let names = source.planes.ahead(begin, |block| block.word);
    let ones = |bits: u64, at: usize| bits.unbounded_shr(at as u32).trailing_ones() as usize;
    let mut at = 0;
    loop {
        at += ones(between, at);
        if at >= BLOCK {
            return seam_by_byte(source.bytes(), quote);
        }
        let byte = *bytes.get(at)?;
        if quotes >> at & 1 != 0 {
            return Some(begin + at + 1);
        }
        if names >> at & 1 != 0 {
            let end = at + ones(names, at);
            let rest = bytes.get(end..).unwrap_or_default();
            // A name may go on with `$`.
            if end >= BLOCK || rest.first() == Some(&b'$') {
                return seam_by_byte(source.bytes(), quote);
            }
            if !joins(bytes.get(at..end)?, rest)? {
                return None;
            }
            at = end;
        } else if BETWEEN.has(byte) {
            at += 1;
        } else if byte == b'$' {
            return seam_by_byte(source.bytes(), quote);
        } else {
            return None;
        }
    }
}

/// The same, byte by byte.
fn seam_by_byte(bytes: &[u8], quote: usize) -> Option<usize> {
    let rest = bytes.get(quote + 1..bytes.len().min(quote + 1 + SEAM))?;
    let mut at = 0;
    loop {
        match *rest.get(at)? {
            b'"' | b'\'' => return Some(quote + 2 + at),
            byte if BETWEEN.has(byte) => at += 1,
            _ => {
                let end = at + rest.iter().skip(at).take_while(|byte| NAME.has(**byte)).count();
                if end == at || !joins(rest.get(at..end)?, rest.get(end..)?)? {
                    return None;
                }
                at = end;
            }
        }
    }
}

/// Whether a name is a part of what joins literals, by what stands behind it: a variable that is assigned, a call, a
/// prefix of a literal, a number; never a value between.
fn joins(name: &[u8], rest: &[u8]) -> Option<bool> {
    let gap = rest.iter().take_while(|byte| **byte == b' ').count();
    Some(match rest.get(gap)? {
        b'=' | b':' | b'(' | b'[' => true,
        b'+' => rest.get(gap + 1) == Some(&b'='),
        b'"' | b'\'' => name.len() <= 2 || matches!(name, b"as" | b"let" | b"var" | b"my"),
        _ => {
            matches!(name, b"let" | b"var" | b"const" | b"my" | b"local" | b"export")
                || name.first().is_some_and(u8::is_ascii_digit)
        }
    })
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
        fn a_seam_is_told_from_bits_as_from_bytes(
            parts in prop::collection::vec(
                "[\"']|[\"'][+.&|,~;:=]?[ \n]{0,24}|[a-z0-9_$]{1,9} {0,2}[=:+(\\[]?=?|let |const|[(){}*/é<]| {1,70}|[a-z]{60,66}",
                1..14,
            ),
        ) {
            let text = parts.concat();
            let (planes, signs) = (Planes::of(&text), Signs::of(&text));
            let source = Source::of(&text, &planes, &signs);
            for (quote, _) in text.match_indices(['"', '\'']) {
                prop_assert_eq!(seam(source, quote), seam_by_byte(text.as_bytes(), quote), "{:?} at {}", text, quote);
            }
        }

        #[test]
        fn literals_begin_and_end_at_the_next_quote(
            text in "([\"']|[a-z]{0,90}){0,14}", floor in 0usize..200,
        ) {
            let (bytes, planes, signs) = (text.as_bytes(), Planes::of(&text), Signs::of(&text));
            let source = Source::of(&text, &planes, &signs);
            for (quote, _) in text.match_indices(['"', '\'']) {
                let slow = bytes.get(floor..quote).and_then(|before| before.iter().rposition(|byte| *byte == bytes[quote]));
                prop_assert_eq!(opening(source, floor, quote), slow.map(|at| floor + at + 1));
                let slow = bytes[quote + 1..].iter().position(|byte| *byte == bytes[quote]);
                prop_assert_eq!(closing(source, quote + 1), slow.map(|at| quote + 1 + at));
            }
        }
    }
}
