//! Runs of the characters that tokens are made of, for rules whose tokens begin with nothing that would
//! do as a keyword: `trigger = "run"` in `[rules.fw]`.
//!
//! Almost nothing in prose and code is so long without a space.

use std::ops::Range;

use fearless_simd::{Level, Simd, dispatch};

use crate::planes::Planes;

/// The shortest run that is looked at.
const SHORTEST: u32 = 20;

/// The shortest of letters alone.
const MIXED: usize = 32;

/// How much more of it may be base64.
const SPARE: usize = 64;

/// The bytes that tokens are made of.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        #[allow(clippy::indexing_slicing, reason = "a constant, checked when it is compiled")]
        {
            table[byte] = c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.' | b'~' | b':');
        }
        byte += 1;
    }
    table
};

/// Finds every run of at least twenty such characters that may be drawn, with the character behind it: one with a digit,
/// or with capital letters in great number. Most identifiers have neither.
pub(crate) fn find(text: &str, planes: &Planes, found: &mut Vec<Range<usize>>) {
    found.clear();
    let bytes = text.as_bytes();
    dispatch!(Level::new(), simd => drawn(simd, bytes, planes, found));
    for run in found {
        // What base64 may go on with, and the character that ends it.
        let more = more(bytes, planes, run.end);
        let behind = text.get(run.end + more..).and_then(|rest| rest.chars().next());
        run.end += more + behind.map_or(0, char::len_utf8);
    }
}

/// As many bytes from a place on may be base64, [at most](SPARE).
fn more(bytes: &[u8], planes: &Planes, from: usize) -> usize {
    const { assert!(SPARE == u64::BITS as usize) };
    let count = planes.ahead(from, |block| block.symbol | block.token).trailing_ones() as usize;
    match bytes.get(from + count) {
        Some(b'=') if count < SPARE => {
            let rest = bytes.get(from..).unwrap_or_default().iter().take(SPARE);
            rest.take_while(|byte| is_token(**byte) || b"+/=".contains(byte)).count()
        }
        _ => count,
    }
}

#[inline(always)]
fn drawn<S: Simd>(simd: S, bytes: &[u8], planes: &Planes, found: &mut Vec<Range<usize>>) {
    let take = |run: Range<usize>| {
        let mixed = || run.len() >= MIXED && bytes.get(run.clone()).is_some_and(is_mixed);
        if planes.any(run.clone(), |block| block.digit) || mixed() {
            found.push(run);
        }
    };
    planes.each_run::<_, SHORTEST>(simd, |block| block.token, take);
}

/// Whether it has capital letters in great number.
fn is_mixed(run: &[u8]) -> bool {
    run.len() >= MIXED && run.iter().filter(|byte| byte.is_ascii_uppercase()).count() >= 6
}

fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn base64_goes_on_as_far_as_its_bytes(text in "[a-z0-9+/=_.~:-]{0,80}([ é=][a-z+/=]{0,70})?", from in 0usize..90) {
            let from = from.min(text.len());
            let rest = text.as_bytes()[from..].iter().take(SPARE);
            let slow = rest.take_while(|byte| is_token(**byte) || b"+/=".contains(byte)).count();
            prop_assert_eq!(more(text.as_bytes(), &Planes::of(&text), from), slow);
        }

        /// The same as looking at every byte.
        #[test]
        fn no_run_is_left_out(text in "(([a-zA-Z0-9_.]{0,45}|[a-z]{19,30}[0-9]?)[ (,é]{1,2}){0,6}") {
            let drawn = |run: &str| run.contains(|c: char| c.is_ascii_digit()) || is_mixed(run.as_bytes());
            let slow: Vec<&str> = text
                .split(|c: char| !c.is_ascii() || !is_token(c as u8))
                .filter(|run| run.len() >= SHORTEST as usize && drawn(run))
                .collect();
            let mut found = Vec::new();
            find(&text, &Planes::of(&text), &mut found);
            let fast: Vec<&str> = found
                .into_iter()
                .map(|range| text.get(range).unwrap().trim_end_matches(|c: char| !c.is_ascii() || !is_token(c as u8)))
                .collect();
            prop_assert_eq!(slow, fast);
        }
    }
}
