//! Binary data, written as text: long runs of Base64 or hex that decode to no text.

use std::ops::Range;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};

use wide::u8x16;

use super::Trait;

/// Shorter runs are hashes, keys and signatures, which other rules know better.
const LEAST: usize = 1024;

/// Every run that is long enough has one of these places in it.
const STRIDE: usize = LEAST / 2;

/// How much of a run is decoded to see what it is.
const PROBE: usize = 192;

/// Lines of at least this length are continued on the next one.
const LINE: usize = 56;

/// How many are told of one text.
const MOST: usize = 64;

/// Looks for runs.
pub(super) fn look(text: &str, report: &mut dyn FnMut(Trait, Range<usize>)) {
    let bytes = text.as_bytes();
    let mut told = 0;
    let mut from = 0;
    let mut at = 0;
    while at < bytes.len() && told < MOST {
        let begins = bytes.get(at..).and_then(<[u8]>::first_chunk).is_some_and(are_parts);
        if !begins {
            at += STRIDE;
            continue;
        }
        let run = run_around(bytes, from, at);
        // What was looked at is not looked at again.
        from = run.end;
        at = run.end.max(at + STRIDE);
        if run.len() >= LEAST && !is_declared(bytes, &run) && bytes.get(run.clone()).is_some_and(is_binary) {
            report(Trait::Blob, run);
            told += 1;
        }
    }
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

/// The same of all of these.
fn are_parts(probe: &[u8; 16]) -> bool {
    let bytes = u8x16::new(*probe);
    let among = |bytes: u8x16, first: u8, count: u8| {
        let moved = bytes - u8x16::splat(first);
        moved.min(u8x16::splat(count - 1)).simd_eq(moved)
    };
    let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
    let letter = among(bytes | u8x16::splat(0x20), b'a', 26);
    // `/` stands right before the digits.
    (letter | among(bytes, b'/', 11) | is(b'+') | is(b'-') | is(b'_') | is(b'=')).all()
}

/// The run around a place, over as many lines as it has: all but the last one are long.
fn run_around(bytes: &[u8], from: usize, at: usize) -> Range<usize> {
    let back = |to: usize| {
        let before = bytes.get(from..to).unwrap_or_default();
        to - before.iter().rev().take_while(|byte| is_part(**byte)).count()
    };
    let on =
        |from: usize| from + bytes.get(from..).unwrap_or_default().iter().take_while(|byte| is_part(**byte)).count();
    let line = back(at)..on(at);
    let mut run = line.clone();
    while let Some(end) = break_before(bytes, run.start) {
        let start = back(end.max(from));
        if end <= from || end - start < LINE {
            break;
        }
        run.start = start;
    }
    let mut last = line.len();
    while let Some(start) = break_after(bytes, run.end).filter(|_| last >= LINE) {
        let end = on(start);
        last = end - start;
        if last == 0 {
            break;
        }
        run.end = end;
    }
    run
}

/// Where the line before this one ends.
fn break_before(bytes: &[u8], at: usize) -> Option<usize> {
    let before = bytes.get(..at)?.strip_suffix(b"\n")?;
    Some(before.strip_suffix(b"\r").unwrap_or(before).len())
}

/// Where the line after this one begins.
fn break_after(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at..)? {
        [b'\n', ..] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    }
}

/// Whether the text says what a run is: a picture, a certificate, a public key. What is in them is for
/// other rules.
fn is_declared(bytes: &[u8], run: &Range<usize>) -> bool {
    let before = bytes.get(run.start.saturating_sub(80)..run.start).unwrap_or_default();
    let says = |word: &[u8]| before.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    let media = [&b"data:image/"[..], b"data:font/", b"data:audio/", b"data:video/", b"data:application/font"];
    let begins = |word: &[u8]| bytes.get(run.start..).is_some_and(|run| run.starts_with(word));
    (before.ends_with(b",") && media.iter().any(|word| says(word)))
        || says(b"-----BEGIN ")
        || begins(b"AAAAB3NzaC1")
        || begins(b"AAAAC3NzaC1")
}

/// Whether a run, decoded, is no text.
fn is_binary(run: &[u8]) -> bool {
    let mut probe: Vec<u8> = run.iter().copied().filter(|byte| is_part(*byte) && *byte != b'=').take(PROBE).collect();
    probe.truncate(probe.len() / 4 * 4);
    let hex = probe.iter().all(u8::is_ascii_hexdigit);
    let has = |kind: fn(&u8) -> bool| probe.iter().any(kind);
    let mut kinds = probe.clone();
    kinds.sort_unstable();
    kinds.dedup();
    let decoded = if hex {
        HEXLOWER_PERMISSIVE.decode(&probe)
    } else if has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) {
        BASE64_NOPAD.decode(&probe).or_else(|_| BASE64URL_NOPAD.decode(&probe))
    } else {
        return false;
    };
    let is_odd = |byte: &&u8| !matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r');
    let odd = |decoded: Vec<u8>| decoded.iter().filter(is_odd).count() * 4 > decoded.len();
    let is_text = |decoded: &[u8]| match std::str::from_utf8(decoded) {
        Ok(text) => !text.chars().any(|letter| letter.is_control() && !letter.is_whitespace()),
        Err(error) => error.error_len().is_none() && error.valid_up_to() + 4 > decoded.len(),
    };
    kinds.len() >= if hex { 8 } else { 24 } && decoded.is_ok_and(|decoded| !is_text(&decoded) && odd(decoded))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_part_counts(probe in "[A-Za-z0-9+/=_-]{15}([A-Za-z0-9+/=_-]|[ -~]|\\n)", turn in 0usize..16) {
            let mut probe: [u8; 16] = probe.as_bytes().try_into().unwrap();
            probe.rotate_left(turn);
            prop_assert_eq!(are_parts(&probe), probe.iter().all(|byte| is_part(*byte)));
        }

        #[test]
        fn no_other_byte_is_a_part(byte: u8) {
            prop_assert_eq!(are_parts(&[byte; 16]), is_part(byte));
        }
    }
}
