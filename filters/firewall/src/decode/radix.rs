//! Base64 in both alphabets, base32 and hex: runs of letters and digits, also over several lines.

use std::ops::Range;

use wide::u8x16;

use super::alphabet::{Alphabet, BASE32, BASE64, HEX};
use super::{Budget, From, Piece, Sink, says};
use crate::budget::cost;
use crate::scan::Exhausted;
use says::Said;

/// The shortest line that may be a part of something longer.
pub(super) const LINE: u32 = 16;

/// The shortest that is decoded: the shortest token, encoded.
pub(crate) const LEAST: usize = 24;

/// Lines that were read as one.
#[derive(Default)]
struct Block {
    end: usize,
    /// In which alphabet, if they said something.
    read: Option<&'static str>,
}

/// Decodes every run that says something.
pub(super) fn each(text: &str, runs: &[Range<usize>], budget: &Budget, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    let bytes = text.as_bytes();
    let mut symbols = Vec::new();
    let mut block = Block::default();
    for first in runs {
        let mut give = |text: &str, end, name| sink(Piece { text, from: From::Run(first.start, end), name });
        let line = bytes.get(first.clone()).unwrap_or_default();
        if first.start >= block.end {
            if !goes_on(bytes, first) {
                if line.len() >= LEAST {
                    let end = first.end + padding(bytes.get(first.end..).unwrap_or_default());
                    decode(line, budget, &mut |text, name| give(text, end, name))?;
                }
                continue;
            }
            symbols.clear();
            symbols.extend_from_slice(line);
            let end = lines(bytes, first, &mut symbols);
            block = Block { end, read: None };
            if symbols.len() >= LEAST {
                block.read = decode(&symbols, budget, &mut |text, name| give(text, end, name))?;
            }
            if symbols.len() == line.len() {
                continue;
            }
        }
        // A line may say something that is not what those around it say, or not in their way; and a word after it may be
        // one of the text.
        let alone = matches!(bytes.get(first.end), Some(b' ' | b'\t'));
        if line.len() >= LEAST && (alone || block.read.is_none_or(|name| !is_in(line, name) || is_packed(line))) {
            decode(line, budget, &mut |text, name| give(text, first.end, name))?;
        }
    }
    Ok(())
}

/// Whether a run may say something, alone or as the first line of more.
pub(super) fn may_begin(bytes: &[u8], run: &Range<usize>) -> bool {
    let encoded = |line: &[u8]| alphabets(line).iter().any(Option::is_some);
    goes_on(bytes, run) || (run.len() >= LEAST && bytes.get(run.clone()).is_some_and(encoded))
}

/// Whether something may follow a run that is read together with it.
fn goes_on(bytes: &[u8], run: &Range<usize>) -> bool {
    match bytes.get(run.end..).unwrap_or_default() {
        [b'\n' | b'\r' | b'\\', ..] | [b' ' | b'\t', b'\n', ..] => true,
        [b' ' | b'\t', ..] => bytes.get(run.clone()).is_some_and(is_no_word),
        _ => false,
    }
}

/// Whether a run is no word, since it begins with digits among its letters.
fn is_no_word(run: &[u8]) -> bool {
    run.iter().take(LINE as usize).any(u8::is_ascii_digit)
}

/// The bytes of what fills up the last group.
fn padding(rest: &[u8]) -> usize {
    rest.iter().take(6).take_while(|byte| **byte == b'=').count()
}

/// Whether a line is most likely written in an alphabet.
fn is_in(line: &[u8], name: &str) -> bool {
    alphabets(line).into_iter().flatten().next().is_some_and(|alphabet| alphabet.name == name)
}

pub(super) fn is_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-')
}

/// Goes on over line breaks, as long as the lines have the width of the first whole one. Returns where it ends.
fn lines(bytes: &[u8], first: &Range<usize>, symbols: &mut Vec<u8>) -> usize {
    let mut end = first.end;
    let mut width = usize::MAX;
    loop {
        let rest = bytes.get(end..).unwrap_or_default();
        let padded = padding(rest);
        if padded > 0 {
            return end + padded;
        }
        let (gap, ends): (_, &[u8]) = match (line_break(rest), blank(rest)) {
            (Some(gap), _) => (gap, b"\r\n=\"'\\<`"),
            // Words are not put together, what is encoded may be.
            (None, Some(gap)) if is_no_word(symbols) => (gap, b"\r\n=\"'\\<` \t,.;"),
            _ => return end,
        };
        let rest = rest.get(gap..).unwrap_or_default();
        let line = rest.iter().take_while(|byte| is_symbol(**byte)).count();
        let whole = rest.get(line).is_none_or(|byte| ends.contains(byte));
        if line == 0 || line > width || !whole {
            return end;
        }
        symbols.extend_from_slice(rest.get(..line).unwrap_or_default());
        end += gap + line;
        if line < LINE as usize || (width != usize::MAX && line < width) {
            return end + padding(rest.get(line..).unwrap_or_default());
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
        [b' ' | b'\t', b'\n', ..] => 2,
        _ => return None,
    };
    Some(end + rest.iter().skip(end).take(32).take_while(|byte| b" \t>|#*".contains(byte)).count())
}

/// The bytes of what stands between words.
fn blank(rest: &[u8]) -> Option<usize> {
    let gap = rest.iter().take(4).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (gap > 0).then_some(gap)
}

/// Decodes a run in the alphabets that it can be written in, until one of them says something. Returns which.
fn decode(
    symbols: &[u8],
    budget: &Budget,
    give: &mut dyn FnMut(&str, &'static str) -> Result<(), Exhausted>,
) -> Result<Option<&'static str>, Exhausted> {
    for alphabet in alphabets(symbols).into_iter().flatten() {
        budget.take(cost::READ, 1);
        budget.take(cost::READ_SYMBOL, symbols.len());
        if read(alphabet, symbols, budget, give)? {
            return Ok(Some(alphabet.name));
        }
    }
    Ok(None)
}

/// Decodes a run that is written in one alphabet, and says whether it says something.
fn read(
    alphabet: &Alphabet,
    symbols: &[u8],
    budget: &Budget,
    give: &mut dyn FnMut(&str, &'static str) -> Result<(), Exhausted>,
) -> Result<bool, Exhausted> {
    let (symbols, starts) = match alphabet.name {
        // The digits of a number may stand before it, and a letter after it.
        "hex" => (bare(symbols), 0..2),
        "base32" => (symbols, 0..1),
        _ => match group_start(symbols) {
            Some(start) => (symbols, start..start + 1),
            None => return Ok(false),
        },
    };
    let (mut known, mut said_any) = (None, false);
    for start in starts {
        budget.take(cost::UNPACKED, 1);
        budget.take(cost::UNPACKED_SYMBOL, symbols.len());
        let bytes = alphabet.unpack(symbols.get(start..).unwrap_or_default());
        let said = match alphabet.name {
            name @ "base32" => says::text(&bytes).map(|text| Said { text, name, whole: true }),
            name => says::says(&bytes, name, budget)?,
        };
        if let Some(Said { text, name, whole }) = said {
            give(&text, name)?;
            said_any = true;
            known = whole.then_some(start);
            break;
        }
    }
    let others = elsewhere(alphabet, symbols, known);
    if let Some(text) = &others {
        give(text, alphabet.name)?;
    }
    Ok(said_any || others.is_some())
}

/// Whether a run may be one that says something when it is decoded.
pub(super) fn may_say(run: &[u8]) -> bool {
    alphabets(run).into_iter().flatten().any(|alphabet| alphabet.first_text(bare(run)).is_some())
}

/// What a run says apart from what was read from `known` on: something else may stand right before it.
fn elsewhere(alphabet: &Alphabet, symbols: &[u8], known: Option<usize>) -> Option<String> {
    if !alphabet.is_elsewhere(symbols, known) {
        return None;
    }
    let groups = alphabet.groups(symbols);
    let read: Vec<_> = known.into_iter().flat_map(|start| groups.streaks(start)).collect();
    let mut all = String::new();
    for start in (0..alphabet.group).filter(|start| Some(*start) != known) {
        for streak in groups.streaks(start) {
            let before = read.get(..read.partition_point(|other| other.start <= streak.start));
            if before.and_then(|before| before.last()).is_some_and(|other| other.end >= streak.end) {
                continue;
            }
            let bytes = alphabet.unpack(symbols.get(streak).unwrap_or_default());
            if let Some(text) = says::text(&bytes).or_else(|| says::stretches(&bytes)) {
                all.push_str(&text);
                all.push('\n');
            }
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Where the first group of four begins, in a run that may be base64 of something: ASCII in it shows, since the
/// first bit of every byte is 0. What else is decoded shows in its first characters.
fn group_start(symbols: &[u8]) -> Option<usize> {
    if is_packed(symbols) { Some(0) } else { BASE64.first_text(symbols) }
}

/// Whether a run begins like base64 of what is no ASCII, but known.
pub(super) fn is_packed(symbols: &[u8]) -> bool {
    match symbols {
        // gzip, and zlib at its usual settings.
        [b'H', b'4', b's', b'I', ..] | [b'e', b'J' | b'N' | b'A' | b'F', ..] => true,
        // DER, and UTF-16 with a mark.
        [b'M', b'C'..=b'I', ..] | [b'/', b'/', b'5' | b'4', ..] | [b'/', b'v', b'8', ..] => true,
        _ => false,
    }
}

/// The alphabets that a run may be written in, the likeliest first.
fn alphabets(symbols: &[u8]) -> [Option<&'static Alphabet>; 2] {
    let kinds = kinds(bare(symbols));
    let has = |kind: u8| kinds & kind != 0;
    if !has(NO_HEX) {
        return [Some(&HEX), None];
    }
    // Names and words have letters of one case, and numbers none; what is encoded has more.
    let cased = has(UPPER) && has(LOWER);
    let mixed = cased || has(DIGIT) && (has(UPPER) || has(LOWER));
    [Some(&BASE32).filter(|_| !has(NO_BASE32) && !cased), Some(&BASE64).filter(|_| mixed)]
}

/// What a symbol says about the alphabet, a bit each.
const UPPER: u8 = 1;
const LOWER: u8 = 2;
const DIGIT: u8 = 4;
const NO_HEX: u8 = 8;
const NO_BASE32: u8 = 16;

/// What any of the symbols says. The last ones may be looked at twice.
fn kinds(symbols: &[u8]) -> u8 {
    let Some(last) = symbols.last_chunk() else {
        return symbols.iter().fold(0, |kinds, byte| kinds | kinds_of(*byte));
    };
    let mut seen = [u8x16::splat(0); 5];
    for part in symbols.as_chunks().0.iter().chain([last]) {
        let bytes = u8x16::new(*part);
        let small = bytes | u8x16::splat(0x20);
        let among = |bytes: u8x16, first: u8, count: u8| {
            let moved = bytes - u8x16::splat(first);
            moved.min(u8x16::splat(count - 1)).simd_eq(moved)
        };
        let (upper, lower, digit) = (among(bytes, b'A', 26), among(bytes, b'a', 26), among(bytes, b'0', 10));
        let no_hex = !(digit | among(small, b'a', 6));
        let no_base32 = !(upper | lower | among(bytes, b'2', 6));
        seen.iter_mut().zip([upper, lower, digit, no_hex, no_base32]).for_each(|(seen, here)| *seen |= here);
    }
    let kinds = [UPPER, LOWER, DIGIT, NO_HEX, NO_BASE32];
    seen.iter().zip(kinds).fold(0, |all, (seen, kind)| if seen.any() { all | kind } else { all })
}

fn kinds_of(byte: u8) -> u8 {
    static KINDS: [u8; 256] = {
        let mut table = [0; 256];
        let (mut rest, mut byte): (&mut [u8], u8) = (&mut table, 0);
        while let Some((kinds, more)) = rest.split_first_mut() {
            *kinds = match byte {
                b'A'..=b'Z' => UPPER,
                b'a'..=b'z' => LOWER,
                b'0'..=b'9' => DIGIT,
                _ => 0,
            };
            if !byte.is_ascii_hexdigit() {
                *kinds |= NO_HEX;
            }
            if !matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'2'..=b'7') {
                *kinds |= NO_BASE32;
            }
            byte = byte.wrapping_add(1);
            rest = more;
        }
        table
    };
    KINDS.get(usize::from(byte)).copied().unwrap_or(NO_HEX | NO_BASE32)
}

/// A run without what marks it as hex.
fn bare(symbols: &[u8]) -> &[u8] {
    symbols.strip_prefix(b"0x").or_else(|| symbols.strip_prefix(b"0X")).unwrap_or(symbols)
}

#[cfg(test)]
mod tests;
