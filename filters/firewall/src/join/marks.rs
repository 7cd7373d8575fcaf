//! Tokens with something inside that a program skips: comments, tags, empty strings, emphasis.

use memchr::{memchr3, memmem};

use super::{ENDS, Sink, TOKEN, give, word_start};

/// The longest that is skipped.
const MARK: usize = 64;

/// Joins every word that has such marks in it.
pub(super) fn each(text: &str, sink: &mut Sink<'_>) {
    let bytes = text.as_bytes();
    let (mut floor, mut at) = (0, 0);
    while let Some(next) = find(bytes, at) {
        at = next + 1;
        let Some((start, end)) = mark(bytes, next) else { continue };
        let mut pieces = Vec::new();
        pieces.push(word_start(bytes, floor, start)..start);
        let mut piece = end;
        loop {
            let stop =
                piece + bytes.get(piece..).unwrap_or_default().iter().take_while(|byte| TOKEN.has(**byte)).count();
            let next = (stop..stop + 2).find_map(|at| mark(bytes, at).filter(|(start, _)| *start == stop));
            pieces.push(piece..stop);
            at = stop;
            match next {
                Some((_, end)) => piece = end,
                None => break,
            }
        }
        floor = at;
        give(text, &pieces, sink);
    }
}

fn find(bytes: &[u8], at: usize) -> Option<usize> {
    memchr3(b'*', b'<', b']', bytes.get(at..)?).map(|next| at + next)
}

/// The mark between two characters of a token around a place: where it begins and where it ends.
fn mark(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = bytes.get(at..bytes.len().min(at + MARK))?;
    let until = |end: &[u8]| memmem::find(rest, end).map(|found| at + found + end.len());
    let (start, end) = match rest {
        [b'*', b'*', ..] => (at, at + 2),
        [b'*', ..] if at > 0 && bytes.get(at - 1) == Some(&b'/') => (at - 1, until(b"*/")?),
        [b'/', b'*', ..] => (at, until(b"*/")?),
        [b'<', b'!', b'-', b'-', ..] => (at, until(b"-->")?),
        [b'<', b'!', b'[', ..] => (at, until(b"CDATA[")?),
        [b'<', b'/' | b'a'..=b'z' | b'A'..=b'Z', ..] => (at, until(b">")?),
        [b']', b']', b'>', b'<', b'!', ..] => (at, until(b"CDATA[")?),
        _ => return None,
    };
    let inside = |place: Option<usize>| place.and_then(|at| bytes.get(at)).is_some_and(|byte| TOKEN.has(*byte));
    let closed = inside(start.checked_sub(1)) && inside(Some(end));
    (closed && !bytes.get(end).is_some_and(|byte| ENDS.has(*byte))).then_some((start, end))
}
