//! Quoted-printable (RFC 2045) and the `Q` words of mail headers.

use super::{From, Piece, Sink, TOKEN, after, before, hex_pair};
use crate::planes::{Block, Planes};
use crate::scan::Exhausted;
use crate::view::View;

/// As many escapes as are no accident: `=20` is also what code looks like.
const LEAST: usize = 2;

/// Undoes it wherever several escapes or a broken word stand.
pub(super) fn each(text: &str, planes: &Planes, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    let bytes = text.as_bytes();
    let (mut done, mut at) = (0, 0);
    while let Some(next) = planes.next(at, begins) {
        at = next + 1;
        let Some((size, _)) = read(bytes, next) else { continue };
        let (view, count, end) = undo(text, planes, before(text, done, next), next + size);
        if count >= LEAST {
            sink(Piece { text: &view.text, from: From::Parts(&view.map), name: "quoted-printable" })?;
        }
        (done, at) = (end, end);
    }
    Ok(())
}

/// Where an escape may begin: two letters or digits stand behind it, or an end of a line.
fn begins(block: &Block, next: &Block) -> u64 {
    let ahead = |here: u64, there: u64, by: u32| here >> by | there << (64 - by);
    let pair = ahead(block.word, next.word, 1) & ahead(block.word, next.word, 2);
    block.mark & (pair | ahead(block.line, next.line, 1) | ahead(block.line, next.line, 2))
}

/// The text from `start` on with the escapes undone, how many they were, and where it ends. A word that is broken
/// counts as enough.
fn undo(text: &str, planes: &Planes, start: usize, mut last: usize) -> (View, usize, usize) {
    let bytes = text.as_bytes();
    let mut view = View::default();
    let (mut done, mut at, mut count) = (start, start, 0);
    let mut end = after(text, last);
    while let Some(next) = planes.next(at, |block, _| block.mark) {
        if next >= end {
            end = end.max(after(text, last));
            if next >= end {
                break;
            }
        }
        at = next + 1;
        let Some((size, made)) = read(bytes, next) else { continue };
        view.copy(text, done..next);
        at = next + size;
        done = at;
        match made {
            Some(made) => {
                count += 1;
                view.put_char(made, next..at);
            }
            None => count += LEAST,
        }
        last = at;
    }
    let end = after(text, last).max(end).max(done);
    view.copy(text, done..end);
    (view, count, end)
}

/// The bytes that an escape takes, and the character that it stands for: none, where it only breaks a line.
pub(super) fn read(bytes: &[u8], at: usize) -> Option<(usize, Option<char>)> {
    let rest = bytes.get(at..)?.strip_prefix(b"=")?;
    if let Some(byte) = hex_pair(rest) {
        return (byte.is_ascii_graphic() || byte == b' ').then_some((3, Some(char::from(byte))));
    }
    let line = match rest {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => return None,
    };
    let broken = TOKEN.has(*bytes.get(at.checked_sub(1)?)?) && TOKEN.has(*rest.get(line)?);
    broken.then_some((1 + line, None))
}

#[cfg(test)]
mod tests;
