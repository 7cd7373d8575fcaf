//! String literals one after the other: `"a" + "b"`, `'a' 'b'`, lists, variables, messages in JSON.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::Sink;
use crate::decode::Set;

/// The longest literal that is a piece.
const PIECE: usize = 4 << 10;

/// The longest that stands between two pieces.
const SEAM: usize = 96;

/// As much as is joined at once, and as many pieces of it are joined with what follows, too.
const MOST: usize = 64 << 10;
const OVERLAP: usize = 128;

/// Joins every row of literals.
pub(super) fn each(text: &str, sink: &mut Sink<'_>) {
    let bytes = text.as_bytes();
    let (mut floor, mut at) = (0, 0);
    while let Some(quote) = find(bytes, at) {
        at = quote + 1;
        let Some(next) = seam(bytes, quote) else { continue };
        let Some(first) = opening(bytes, floor, quote) else { continue };
        let (begin, end) = row(text, first..quote, next, sink);
        (floor, at) = (begin, end.max(at));
    }
}

fn find(bytes: &[u8], at: usize) -> Option<usize> {
    memchr2(b'"', b'\'', bytes.get(at..)?).map(|next| at + next)
}

/// Where the literal that a quote closes begins.
fn opening(bytes: &[u8], floor: usize, quote: usize) -> Option<usize> {
    let least = floor.max(quote.saturating_sub(PIECE));
    let mark = bytes.get(quote)?;
    let before = bytes.get(least..quote)?;
    Some(least + before.iter().rposition(|byte| byte == mark)? + 1)
}

/// Joins a row that goes on from a first piece. Returns where the next one may begin, and where to look for it.
fn row(text: &str, first: Range<usize>, mut next: usize, sink: &mut Sink<'_>) -> (usize, usize) {
    let bytes = text.as_bytes();
    let mut size = 0;
    let mut pieces = Vec::new();
    let mut push = |piece: Range<usize>, pieces: &mut Vec<Range<usize>>| {
        // Keys and who speaks stand between the pieces, and are none.
        let key = colon(bytes, piece.end + 1);
        let inner = text.get(piece.clone()).unwrap_or_default();
        if !key && !is_role(inner) {
            let lead = if pieces.is_empty() { 0 } else { lead_in(inner) };
            size += piece.len();
            pieces.push(piece.start + lead..piece.end);
        }
        size < MOST
    };
    let mut end = first.end + 1;
    let begin = first.start;
    push(first, &mut pieces);
    while let Some(mark) = bytes.get(next - 1) {
        let rest = bytes.get(next..bytes.len().min(next + PIECE)).unwrap_or_default();
        let Some(close) = memchr(*mark, rest) else { break };
        let quote = next + close;
        end = quote + 1;
        if !push(next..quote, &mut pieces) {
            // The row is long: the next one begins with its end, unless that is most of it.
            let again = pieces.len().checked_sub(OVERLAP).and_then(|at| pieces.get(at)).cloned();
            super::give(text, &pieces, sink);
            let again = again.filter(|piece| piece.start > begin + MOST / 2);
            return again.map_or((end, end), |piece| (piece.start.saturating_sub(1), piece.end));
        }
        match seam(bytes, quote) {
            Some(after) => next = after,
            None => break,
        }
    }
    super::give(text, &pieces, sink);
    (end, end)
}

/// Whether a key of an object ends before this place.
fn colon(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).unwrap_or_default().iter().take(4).find(|byte| **byte != b' ') == Some(&b':')
}

fn is_role(text: &str) -> bool {
    matches!(text, "user" | "assistant" | "system" | "tool" | "human" | "model" | "text" | "developer" | "function")
}

/// The bytes of `part two:` and the like before the rest of something.
pub(super) fn lead_in(text: &str) -> usize {
    let Some(end) = text.bytes().take(40).position(|byte| byte == b':') else { return 0 };
    let words =
        text.get(..end).is_some_and(|words| words.chars().all(|c| c.is_alphanumeric() || " ()#-,.'".contains(c)));
    let rest = text.get(end + 1..).unwrap_or_default();
    let space = rest.len() - rest.trim_start().len();
    if words && space > 0 { end + 1 + space } else { 0 }
}

/// What joins literals, and stands between them: signs and white space; and names.
static BETWEEN: Set = Set::of(b"+.&|,~\\()[]{};:=^ \t\n\r\x0C");
static NAME: Set = Set::word_and(b"_$");

/// Where the next literal begins, if the quote closes one and only what joins them stands between.
fn seam(bytes: &[u8], quote: usize) -> Option<usize> {
    let rest = bytes.get(quote + 1..bytes.len().min(quote + 1 + SEAM))?;
    let mut at = 0;
    loop {
        let byte = *rest.get(at)?;
        match byte {
            b'"' | b'\'' => return Some(quote + 2 + at),
            _ if BETWEEN.has(byte) => at += 1,
            _ => {
                let word = rest.iter().skip(at).take_while(|byte| NAME.has(**byte));
                let size = word.count();
                let after = at + size;
                let gap = rest.iter().skip(after).take_while(|byte| **byte == b' ').count();
                // A variable that is assigned, a call, a prefix of a literal, a number; never a value between.
                let joins = match rest.get(after + gap)? {
                    b'=' | b':' | b'(' | b'[' => true,
                    b'+' => rest.get(after + gap + 1) == Some(&b'='),
                    b'"' | b'\'' => size <= 2 || matches!(rest.get(at..after), Some(b"as" | b"let" | b"var" | b"my")),
                    _ => {
                        matches!(rest.get(at..after), Some(b"let" | b"var" | b"const" | b"my" | b"local" | b"export"))
                            || byte.is_ascii_digit()
                    }
                };
                if size == 0 || !joins {
                    return None;
                }
                at = after;
            }
        }
    }
}
