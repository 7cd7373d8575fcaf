//! What decoded bytes say as a text, if anything.

use std::fmt::Write;

use data_encoding::BASE64;

use super::inflate::{inflate, is_packed};
use super::{Budget, KEY, Set, runs};
use crate::count::count;
use crate::scan::Exhausted;

/// As many printable characters in a row are a text, even inside something else.
const STRETCH: usize = 14;

/// Larger than any private key.
const LONGEST: usize = 16 << 10;

/// What bytes say.
pub(super) struct Said {
    pub(super) text: String,
    /// How it was encoded.
    pub(super) name: &'static str,
    /// Whether they say nothing else.
    pub(super) whole: bool,
}

/// The text in these bytes: as they stand, inflated, as UTF-16, a key written as a key file, or what is printable
/// between what is not.
pub(super) fn says(bytes: &[u8], name: &'static str, budget: &Budget) -> Result<Option<Said>, Exhausted> {
    let inflated = inflate(bytes, budget)?;
    // The bytes that were inflated count, whether they are a text or not.
    budget.spend(inflated.as_ref().map_or(0, Vec::len))?;
    let bytes = inflated.as_deref().unwrap_or(bytes);
    if let Some(text) = key(bytes) {
        return Ok(Some(Said { text, name: KEY, whole: false }));
    }
    Ok(match text(bytes) {
        Some(text) => Some(Said { text, name, whole: true }),
        None => stretches(bytes).map(|text| Said { text, name, whole: false }),
    })
}

/// Whether bytes may say something. Nothing is made of those that do not.
pub(super) fn may_say(bytes: &[u8]) -> bool {
    is_packed(bytes) || kind(bytes).is_some() || text(bytes).is_some() || stretches(bytes).is_some()
}

/// Bytes that are a text and nothing else.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    // Most that is decoded is not text, and that shows at once.
    let begin = bytes.get(..bytes.len().min(64))?;
    let zeros = count(begin, |byte| byte == 0);
    if zeros * 3 > begin.len() && bytes.len() >= 2 * STRETCH {
        return utf16(bytes);
    }
    if count(begin, is_odd) * 8 > begin.len() || count(bytes, is_odd) * 20 > bytes.len() {
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(_) => {
            let ascii = count(bytes, |byte| byte.is_ascii());
            (ascii * 20 >= bytes.len() * 17).then(|| String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

/// Controls that stand in no text.
fn is_odd(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0E..=0x1A | 0x1C..=0x1F | 0x7F)
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let units = bytes.as_chunks::<2>().0;
    // What stands behind it may go on in the other order, and what stands before it may be numbers.
    let big = is_big(units.get(..units.len().min(32))?).or_else(|| is_big(units))?;
    let units = units.iter().map(|pair| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) });
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    let odd =
        text.chars().filter(|c| c.is_control() && !c.is_whitespace() || *c == char::REPLACEMENT_CHARACTER).count();
    (odd * 10 <= text.len()).then_some(text)
}

/// Whether the first byte of units is the higher one. Of letters that are in ASCII it is zero, and the other one never is; bytes
/// that are zero here and there are no text.
fn is_big(units: &[[u8; 2]]) -> Option<bool> {
    let zeros = |is: fn(&[u8; 2]) -> bool| units.iter().filter(|unit| is(unit)).count();
    let first = zeros(|[first, second]| *first == 0 && *second != 0);
    let second = zeros(|[first, second]| *second == 0 && *first != 0);
    (first.min(second) * 2 <= first.max(second)).then_some(first > second)
}

/// A private key without the lines around it, written with them, so that the rules for key files see it.
fn key(bytes: &[u8]) -> Option<String> {
    let kind = kind(bytes)?;
    let body = BASE64.encode(bytes.get(..bytes.len().min(LONGEST))?);
    let mut text = format!("-----BEGIN {kind}-----\n");
    for line in body.as_bytes().chunks(64) {
        let _ = writeln!(text, "{}", std::str::from_utf8(line).unwrap_or_default());
    }
    let _ = writeln!(text, "-----END {kind}-----");
    Some(text)
}

/// What kind of private key bytes are.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"openssh-key-v1\0") {
        return Some("OPENSSH PRIVATE KEY");
    }
    let inner = der(bytes, 0x30)?.0;
    let (version, rest) = der(inner, 0x02)?;
    match (version, rest.first()?) {
        // PKCS #8: an algorithm, and the key in an octet string.
        ([0 | 1], 0x30) => {
            let (algorithm, rest) = der(rest, 0x30)?;
            der(algorithm, 0x06)?;
            der(rest, 0x04).filter(|(key, _)| key.len() >= 32).map(|_| "PRIVATE KEY")
        }
        // PKCS #1: a modulus and an exponent.
        ([0], 0x02) => {
            let (modulus, rest) = der(rest, 0x02)?;
            (modulus.len() >= 64 && rest.first() == Some(&0x02)).then_some("RSA PRIVATE KEY")
        }
        // SEC 1: a number as long as the curve.
        ([1], 0x04) => der(rest, 0x04).filter(|(key, _)| (20..=66).contains(&key.len())).map(|_| "EC PRIVATE KEY"),
        _ => None,
    }
}

/// A value of this tag at the beginning of DER, and what follows it. The last one may be cut off.
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (size, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    let (size, rest) = match size {
        0..=0x7F => (usize::from(*size), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), rest.get(2..)?),
        _ => return None,
    };
    Some(rest.split_at_checked(size).unwrap_or((rest, &[])))
}

/// What is printable between what is not, a line each.
pub(super) fn stretches(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    static PRINTABLE: Set = Set::word_and(b" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r");
    let _ = runs::each(bytes, STRETCH, &PRINTABLE, &mut |run| {
        let end = run.end;
        if let Some(stretch) = bytes.get(run).and_then(|bytes| std::str::from_utf8(bytes).ok()) {
            text.push_str(stretch);
            text.push('\n');
        }
        Ok(end)
    });
    (!text.is_empty()).then_some(text)
}
