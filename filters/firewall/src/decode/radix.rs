//! Base64 in both alphabets, base32 and hex: runs of letters and digits, also over several lines.

use std::ops::Range;

use super::{Budget, From, Piece, Runs, Sink, hex, says};
use crate::scan::Exhausted;

/// The shortest line that may be a part of something longer.
pub(super) const LINE: u32 = 16;

/// The shortest that is decoded: the shortest token, encoded.
const LEAST: usize = 24;

/// As many groups of four in a row that can be ASCII are no accident.
const STREAK: usize = 5;

/// Decodes every run that says something.
pub(super) fn each(text: &str, runs: &Runs, budget: &Budget, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    let bytes = text.as_bytes();
    let mut symbols = Vec::new();
    let mut floor = 0;
    for first in &runs.0 {
        if first.start < floor {
            continue;
        }
        symbols.clear();
        symbols.extend_from_slice(bytes.get(first.clone()).unwrap_or_default());
        let end = lines(bytes, first, &mut symbols);
        if symbols.len() < LEAST {
            continue;
        }
        let mut give = |text: &str, end, name| sink(Piece { text, from: From::Run(first.start, end), name });
        if decode(&symbols, budget, &mut |text, name| give(text, end, name))? {
            floor = end;
        } else if symbols.len() > first.len() && first.len() >= LEAST {
            // The lines do not belong together: the first one may still say something.
            symbols.truncate(first.len());
            decode(&symbols, budget, &mut |text, name| give(text, first.end, name))?;
        }
    }
    Ok(())
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
        if line < LINE as usize || (width != usize::MAX && line < width) {
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
            if let Some((text, name)) = says::says(&unpack(pairs, 4, hex), "hex", budget)? {
                give(&text, name)?;
                return Ok(true);
            }
        }
        return Ok(false);
    }
    if kinds.base32
        && let Some(text) = says::text(&unpack(symbols, 5, base32))
    {
        give(&text, "base32")?;
        return Ok(true);
    }
    if !kinds.mixed() {
        return Ok(false);
    }
    let Some(start) = group_start(symbols) else { return Ok(false) };
    let groups = symbols.get(start..).unwrap_or_default();
    let Some((text, name)) = says::says(&unpack64(groups), "base64", budget)? else { return Ok(false) };
    give(&text, name)?;
    Ok(true)
}

/// Where the first group of four begins, in a run that may be base64 of something: ASCII in it shows, since the
/// first bit of every byte is 0. What else is decoded shows in its first characters.
fn group_start(symbols: &[u8]) -> Option<usize> {
    let most = STREAK.min(symbols.len() / 4 - 1);
    let ascii = |start: &usize| {
        let mut streak = 0;
        symbols.get(*start..).unwrap_or_default().as_chunks::<4>().0.iter().any(|[a, b, c, _]| {
            let clear = |symbol: &u8, bit: u8| base64(*symbol).is_some_and(|value| value & bit == 0);
            streak = if clear(a, 0x20) && clear(b, 0x08) && clear(c, 0x02) { streak + 1 } else { 0 };
            streak >= most
        })
    };
    let magic = match symbols {
        // gzip, and zlib at its usual settings.
        [b'H', b'4', b's', b'I', ..] | [b'e', b'J' | b'N' | b'A' | b'F', ..] => true,
        // DER, and UTF-16 with a mark.
        [b'M', b'C'..=b'I', ..] | [b'/', b'/', b'5' | b'4', ..] | [b'/', b'v', b'8', ..] => true,
        _ => false,
    };
    if magic { Some(0) } else { (0..4).find(ascii) }
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
            if !kinds.hex && !kinds.base32 && kinds.upper && kinds.lower {
                break;
            }
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

/// The same for base64, four symbols at a time.
fn unpack64(symbols: &[u8]) -> Vec<u8> {
    let (groups, rest) = symbols.as_chunks::<4>();
    let mut bytes = Vec::with_capacity(symbols.len() / 4 * 3 + 3);
    for group in groups {
        let bits = group.iter().fold(0u32, |bits, symbol| bits << 6 | u32::from(base64(*symbol).unwrap_or_default()));
        let [_, a, b, c] = bits.to_be_bytes();
        bytes.extend_from_slice(&[a, b, c]);
    }
    bytes.extend(unpack(rest, 6, base64));
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
    static VALUES: [u8; 256] = values();
    VALUES.get(usize::from(byte)).copied().filter(|value| *value < 64)
}

const fn values() -> [u8; 256] {
    let mut table = [u8::MAX; 256];
    let mut rest: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0;
    while let Some((byte, more)) = rest.split_first() {
        if let Some((_, [slot, ..])) = table.split_at_mut_checked(*byte as usize) {
            *slot = value;
        }
        rest = more;
        value += 1;
    }
    // The alphabet for URLs has two symbols of its own.
    if let Some((_, [minus, ..])) = table.split_at_mut_checked(b'-' as usize) {
        *minus = 62;
    }
    if let Some((_, [line, ..])) = table.split_at_mut_checked(b'_' as usize) {
        *line = 63;
    }
    table
}
