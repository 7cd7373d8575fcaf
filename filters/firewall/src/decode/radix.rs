//! Base64 in both alphabets, base32 and hex: runs of letters and digits, also over several lines.

use std::ops::Range;

use super::{Budget, From, Piece, Sink, hex, runs, says};
use crate::scan::Exhausted;

/// The shortest line that may be a part of something longer.
const LINE: usize = 16;

/// The shortest that is decoded: the shortest token, encoded.
const LEAST: usize = 24;

/// Up to here all four ways to cut a run into groups are tried, above only where it looks like text.
const SMALL: usize = 4 << 10;

/// Decodes every run that says something.
pub(super) fn each(text: &str, budget: &Budget, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    let bytes = text.as_bytes();
    let mut symbols = Vec::new();
    runs::each(bytes, LINE, is_symbol, &mut |first| {
        symbols.clear();
        symbols.extend_from_slice(bytes.get(first.clone()).unwrap_or_default());
        let end = lines(bytes, &first, &mut symbols);
        let mut give = |text: &str, name| sink(Piece { text, from: From::Run(first.start, end), name });
        if symbols.len() >= LEAST && !decode(&symbols, budget, &mut give)? && end > first.end {
            // The lines do not belong together: the first one may still say something.
            symbols.truncate(first.len());
            let mut give = |text: &str, name| sink(Piece { text, from: From::Run(first.start, first.end), name });
            if symbols.len() >= LEAST {
                decode(&symbols, budget, &mut give)?;
            }
            return Ok(first.end);
        }
        Ok(end)
    })
}

fn is_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-')
}

/// Goes on over line breaks, as long as the lines have the width of the first whole one. Returns where it ends.
fn lines(bytes: &[u8], first: &Range<usize>, symbols: &mut Vec<u8>) -> usize {
    let mut end = first.end;
    let mut width = usize::MAX;
    loop {
        let rest = bytes.get(end..).unwrap_or_default();
        let padding = rest.iter().take(6).take_while(|byte| **byte == b'=').count();
        if padding > 0 {
            return end + padding;
        }
        let Some(gap) = line_break(rest) else { return end };
        let rest = rest.get(gap..).unwrap_or_default();
        let line = rest.iter().take_while(|byte| is_symbol(**byte)).count();
        let whole = rest.get(line).is_none_or(|byte| b"\r\n=\"'\\<`".contains(byte));
        if line == 0 || line > width || !whole {
            return end;
        }
        symbols.extend_from_slice(rest.get(..line).unwrap_or_default());
        end += gap + line;
        if line < LINE || (width != usize::MAX && line < width) {
            let padding = rest.iter().skip(line).take(6).take_while(|byte| **byte == b'=').count();
            return end + padding;
        }
        width = line;
    }
}

/// The bytes of a line break, with what stands at the beginning of quoted and indented lines.
fn line_break(rest: &[u8]) -> Option<usize> {
    let end = match rest {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        [b'\\', b'\n', ..] => 2,
        _ => return None,
    };
    Some(end + rest.iter().skip(end).take(32).take_while(|byte| b" \t>|#*".contains(byte)).count())
}

/// Decodes a run in the ways that its characters allow, until one of them says something.
fn decode(
    symbols: &[u8],
    budget: &Budget,
    give: &mut dyn FnMut(&str, &'static str) -> Result<(), Exhausted>,
) -> Result<bool, Exhausted> {
    let bare = symbols.strip_prefix(b"0x").or_else(|| symbols.strip_prefix(b"0X")).unwrap_or(symbols);
    let kinds = Kinds::of(bare);
    if kinds.hex {
        // The digits of a number may stand before it, and a letter after it.
        for start in 0..2 {
            let pairs = bare.get(start..).unwrap_or_default();
            if let Some(text) = says::says(&unpack(pairs, 4, hex), budget)? {
                give(&text, "hex")?;
                return Ok(true);
            }
        }
        return Ok(false);
    }
    if kinds.base32 {
        if let Some(text) = says::text(&unpack(symbols, 5, base32)) {
            give(&text, "base32")?;
            return Ok(true);
        }
    }
    if !kinds.mixed() {
        return Ok(false);
    }
    for start in 0..4 {
        let groups = symbols.get(start..).unwrap_or_default();
        // The first way is the usual one; the others are for what stands behind something else.
        let worth = start == 0 || likely(groups) || (groups.len() <= SMALL && likely(middle(groups)));
        if !worth {
            continue;
        }
        if let Some(text) = says::says(&unpack(groups, 6, base64), budget)? {
            give(&text, "base64")?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the first groups decode to printable characters.
fn likely(groups: &[u8]) -> bool {
    let begin = unpack(groups.get(..groups.len().min(32)).unwrap_or_default(), 6, base64);
    let printable = begin.iter().filter(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')).count();
    printable * 10 >= begin.len() * 9
}

fn middle(groups: &[u8]) -> &[u8] {
    groups.get(groups.len() / 8 * 4..).unwrap_or_default()
}

/// Which alphabets a run is written in.
#[derive(Default)]
struct Kinds {
    hex: bool,
    base32: bool,
    upper: bool,
    lower: bool,
    digit: bool,
}

impl Kinds {
    fn of(symbols: &[u8]) -> Self {
        let mut kinds = Self { hex: true, base32: true, ..Self::default() };
        for byte in symbols {
            kinds.hex &= byte.is_ascii_hexdigit();
            kinds.base32 &= base32(*byte).is_some();
            kinds.upper |= byte.is_ascii_uppercase();
            kinds.lower |= byte.is_ascii_lowercase();
            kinds.digit |= byte.is_ascii_digit();
        }
        kinds.base32 &= !(kinds.upper && kinds.lower);
        kinds
    }

    /// Names and words have letters of one case, and numbers none; what is encoded has more.
    fn mixed(&self) -> bool {
        self.upper && self.lower || self.digit && (self.upper || self.lower)
    }
}

/// The bytes in symbols of so many bits each. What is left over at the end is dropped.
fn unpack(symbols: &[u8], bits: u32, value: impl Fn(u8) -> Option<u8>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(symbols.len() * bits as usize / 8 + 1);
    let (mut held, mut count) = (0u32, 0);
    for symbol in symbols {
        held = held << bits | u32::from(value(*symbol).unwrap_or_default());
        count += bits;
        if count >= 8 {
            count -= 8;
            bytes.push((held >> count) as u8);
        }
    }
    bytes
}

fn base32(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a'),
        b'2'..=b'7' => Some(byte - b'2' + 26),
        _ => None,
    }
}

fn base64(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
