//! Characters that are written as escapes: percent, HTML entities, backslashes.
//!
//! They stand in the middle of text, so the text around them is read with all of them undone.

use std::ops::Range;

use super::{From, Piece, Sink, TOKEN, after, before, hex, hex_pair, named, quoted};
use crate::planes::{Block, Planes};
use crate::scan::Exhausted;
use crate::view::View;

/// An escape.
struct Escape {
    /// Bytes that it takes.
    size: usize,
    made: Made,
    /// Whether it alone is a reason to look at what is around it.
    strong: bool,
}

/// What an escape stands for.
#[derive(Clone, Copy)]
enum Made {
    Byte(u8),
    Char(char),
}

/// Undoes escapes wherever there are some that matter. Says whether there may be [quoted ones](quoted), too: both are
/// looked for together, and found one after the other.
pub(super) fn each(text: &str, planes: &Planes, sink: &mut Sink<'_>) -> Result<bool, Exhausted> {
    let bytes = text.as_bytes();
    let (mut done, mut at) = (0, 0);
    let mut quoted = false;
    for next in planes.places(begins) {
        if next < at {
            continue;
        }
        let name = match bytes.get(next) {
            Some(b'%') => "percent",
            Some(b'&') => "html",
            Some(b'\\') => "backslash",
            Some(b'=') => {
                quoted = quoted || quoted::read(bytes, next).is_some();
                continue;
            }
            _ => continue,
        };
        let Some(escape) = read(bytes, next) else { continue };
        at = next + escape.size;
        if escape.strong {
            let (view, end) = undo(text, planes, before(text, done, next), at);
            sink(Piece { text: &view.text, from: From::Parts(&view.map), name })?;
            (done, at) = (end, end);
            // What was undone was not looked at.
            quoted = true;
        }
    }
    Ok(quoted)
}

/// Where an escape may begin that is a reason to look: a letter, a digit, `#` or another one stands behind it, or an end
/// of a line.
fn begins(block: &Block, next: &Block) -> u64 {
    let ahead = |here: u64, there: u64, by: u32| here >> by | there << (64 - by);
    let (here, there) = (block.word | block.mark | block.line, next.word | next.mark | next.line);
    block.mark & (ahead(here, there, 1) | ahead(block.line, next.line, 2))
}

/// Undoes the escapes from `start` on, until well after the last one that matters. Says where that is.
fn undo(text: &str, planes: &Planes, start: usize, mut last: usize) -> (View, usize) {
    let bytes = text.as_bytes();
    let mut view = View::default();
    let (mut done, mut at) = (start, start);
    let mut end = after(text, last);
    while let Some(next) = planes.next(at, |block, _| block.mark) {
        if next >= end {
            end = end.max(after(text, last));
            if next >= end {
                break;
            }
        }
        at = next + 1;
        let Some(escape) = read(bytes, next) else { continue };
        view.copy(text, done..next);
        at = put(&mut view, bytes, next, &escape);
        done = at;
        if escape.strong {
            last = at;
        }
    }
    let end = after(text, last).max(end).max(done);
    view.copy(text, done..end);
    (view, end)
}

/// Writes what an escape stands for, together with those that make one character with it; returns where they end.
fn put(view: &mut View, bytes: &[u8], at: usize, escape: &Escape) -> usize {
    let mut end = at + escape.size;
    let made = match escape.made {
        Made::Char(made) => made,
        Made::Byte(byte) if byte.is_ascii() => char::from(byte),
        Made::Byte(first) => {
            let mut utf8 = [first, 0, 0, 0];
            let size = 1 + (first.leading_ones() as usize).saturating_sub(1).min(3);
            let mut till = end;
            for slot in utf8.iter_mut().take(size).skip(1) {
                if let Some(Escape { made: Made::Byte(byte), size, .. }) = read(bytes, till) {
                    *slot = byte;
                    till += size;
                }
            }
            let whole = utf8.get(..size).and_then(|utf8| std::str::from_utf8(utf8).ok());
            match whole.and_then(|text| text.chars().next()) {
                Some(made) => {
                    end = till;
                    made
                }
                None => char::REPLACEMENT_CHARACTER,
            }
        }
    };
    view.put_char(made, at..end);
    end
}

/// The escape that stands at a place.
fn read(bytes: &[u8], at: usize) -> Option<Escape> {
    let rest = bytes.get(at + 1..)?;
    match bytes.get(at)? {
        b'%' => percent(rest),
        b'&' => entity(rest),
        b'\\' => backslash(rest),
        _ => None,
    }
}

fn percent(rest: &[u8]) -> Option<Escape> {
    if let Some(byte) = hex_pair(rest) {
        let strong = byte > b' ' && byte != 0x7F || is_before_token(rest.get(2..)?);
        return Some(Escape { size: 3, made: Made::Byte(byte), strong });
    }
    let (b'u' | b'U') = rest.first()? else { return None };
    let (code, digits) = number(rest.get(1..)?, 16, 4..5)?;
    Some(Escape { size: 2 + digits, made: Made::Char(char::from_u32(code)?), strong: true })
}

fn entity(rest: &[u8]) -> Option<Escape> {
    if let Some(rest) = rest.strip_prefix(b"#") {
        let (mark, radix) = if let Some(b'x' | b'X') = rest.first() { (1, 16) } else { (0, 10) };
        let (code, digits) = number(rest.get(mark..)?, radix, 1..9)?;
        let semicolon = usize::from(rest.get(mark + digits) == Some(&b';'));
        let made = char::from_u32(code)?;
        return Some(Escape {
            size: 2 + mark + digits + semicolon,
            made: Made::Char(made),
            strong: !made.is_control(),
        });
    }
    let end = rest.iter().take(named::LONGEST).take_while(|byte| byte.is_ascii_alphabetic()).count();
    rest.get(end).filter(|byte| **byte == b';')?;
    let made = named::named(rest.get(..end)?)?;
    let rest = rest.get(end + 1..)?;
    let again = made == '&' && rest.first().is_some_and(|byte| *byte == b'#' || byte.is_ascii_alphabetic());
    let quotes = matches!(made, '&' | '<' | '>' | '"' | '\'' | '\u{A0}');
    Some(Escape { size: end + 2, made: Made::Char(made), strong: again || !quotes || is_before_token(rest) })
}

fn backslash(rest: &[u8]) -> Option<Escape> {
    let of = |digits: usize, code: u32| {
        let made = char::from_u32(code)?;
        Some(Escape { size: 1 + digits, made: Made::Char(made), strong: !made.is_control() })
    };
    match rest.first()? {
        b'u' => {
            if let Some((digits, code)) = braced(rest.get(1..)?) {
                return of(1 + digits, code);
            }
            let (code, _) = number(rest.get(1..)?, 16, 4..5)?;
            let low = || {
                let (code, _) = number(rest.get(5..)?.strip_prefix(b"\\u")?, 16, 4..5)?;
                code.checked_sub(0xDC00).filter(|low| *low < 0x400)
            };
            match code.checked_sub(0xD800) {
                Some(high @ 0..0x400) => of(11, 0x10000 + (high << 10) + low()?),
                _ => of(5, code),
            }
        }
        b'U' => number(rest.get(1..)?, 16, 8..9).and_then(|(code, _)| of(9, code)),
        b'x' => {
            if let Some((digits, code)) = braced(rest.get(1..)?) {
                return of(1 + digits, code);
            }
            let byte = hex_pair(rest.get(1..)?)?;
            Some(Escape { size: 4, made: Made::Byte(byte), strong: byte >= b' ' && byte != 0x7F })
        }
        b'0'..=b'3' => {
            let (code, _) = number(rest, 8, 3..4)?;
            let byte = u8::try_from(code).ok()?;
            Some(Escape { size: 4, made: Made::Byte(byte), strong: byte > b' ' && byte != 0x7F })
        }
        simple => {
            let made = match simple {
                b'n' => '\n',
                b't' => '\t',
                b'r' => '\r',
                b'"' | b'\'' | b'/' | b'\\' | b'`' => char::from(*simple),
                _ => return None,
            };
            let rest = rest.get(1..)?;
            let again = made == '\\'
                && (matches!(rest, [b'u' | b'x' | b'U', ..])
                    || matches!(rest, [b'n' | b't' | b'r', rest @ ..] if is_before_token(rest)));
            let strong = again || (made.is_ascii_whitespace() && is_before_token(rest));
            Some(Escape { size: 2, made: Made::Char(made), strong })
        }
    }
}

/// `{…}` with hex digits: bytes that it takes, and the number.
fn braced(rest: &[u8]) -> Option<(usize, u32)> {
    let (code, digits) = number(rest.strip_prefix(b"{")?, 16, 1..7)?;
    (rest.get(1 + digits)? == &b'}').then_some((digits + 2, code))
}

/// The number at the beginning of a text, and how many digits it has.
fn number(text: &[u8], radix: u32, digits: Range<usize>) -> Option<(u32, usize)> {
    let most = digits.end - 1;
    let value = |byte: &u8| hex(*byte).map(u32::from).filter(|value| *value < radix);
    let found = text.iter().take(most).map_while(value).try_fold((0u32, 0usize), |(number, count), value| {
        Some((number.checked_mul(radix)?.checked_add(value)?, count + 1))
    })?;
    (found.1 >= digits.start).then_some(found)
}

/// Whether what may be a token begins here: what stands before it decides whether it is seen as one.
fn is_before_token(rest: &[u8]) -> bool {
    let Some(word) = rest.get(..12) else { return false };
    word.iter().all(|byte| TOKEN.has(*byte)) && word.iter().any(|byte| byte.is_ascii_digit() || b"_-:".contains(byte))
}

#[cfg(test)]
mod tests;
