//! How a number is written, and which bytes it stands for.

use super::super::hex;

/// `chr(…)`, `U+…`: words around a number.
pub(super) fn is_call(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"chr") || word.eq_ignore_ascii_case(b"u") || word.eq_ignore_ascii_case(b"x")
}

pub(super) fn hexadecimal(number: &[u8], made: &mut Vec<u8>) -> bool {
    let marked =
        number.strip_prefix(b"0x").or_else(|| number.strip_prefix(b"0X")).or_else(|| number.strip_prefix(b"x"));
    let digits = marked.unwrap_or(number);
    // `U+0067`: the number of a character, not two bytes.
    let digits = if digits.len() == 4 { digits.strip_prefix(b"00").unwrap_or(digits) } else { digits };
    let pairs = digits.as_chunks::<2>();
    if !pairs.1.is_empty() || pairs.0.is_empty() || pairs.0.len() > 8 {
        return false;
    }
    let known = made.len();
    made.extend(pairs.0.iter().map_while(|[high, low]| Some(hex(*high)? << 4 | hex(*low)?)));
    let whole = made.len() - known == pairs.0.len();
    if !whole {
        made.truncate(known);
    }
    whole
}

pub(super) fn decimal(number: &[u8], made: &mut Vec<u8>) -> bool {
    value(number, 10, 1, 3).filter(|code| matches!(code, 9 | 10 | 13 | 32..=126)).map(|code| made.push(code)).is_some()
}

pub(super) fn octal(number: &[u8], made: &mut Vec<u8>) -> bool {
    let digits = number.strip_prefix(b"0o").unwrap_or(number);
    value(digits, 8, 2, 4).filter(|code| matches!(code, 9 | 10 | 13 | 32..=126)).map(|code| made.push(code)).is_some()
}

pub(super) fn binary(number: &[u8], made: &mut Vec<u8>) -> bool {
    let digits = number.strip_prefix(b"0b").unwrap_or(number);
    value(digits, 2, 7, 8).map(|code| made.push(code)).is_some()
}

/// A number of this many digits that fits a byte.
fn value(digits: &[u8], radix: u32, least: usize, most: usize) -> Option<u8> {
    if digits.len() < least || digits.len() > most {
        return None;
    }
    let code = digits.iter().try_fold(0u32, |code, digit| {
        let digit = hex(*digit).map(u32::from).filter(|digit| *digit < radix)?;
        Some(code * radix + digit)
    })?;
    u8::try_from(code).ok()
}
