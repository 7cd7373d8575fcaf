//! Runs of the characters that tokens are made of, for rules whose tokens begin with nothing that would
//! do as a keyword: `trigger = "run"` in `[rules.fw]`.
//!
//! Almost nothing in prose and code is so long without a space. So only every twentieth byte is looked
//! at, until one of them is in such a run.

use std::ops::Range;

/// The shortest run that is looked at.
const SHORTEST: usize = 20;

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

/// Every run of at least twenty such characters that may be drawn, with the character behind it.
pub(crate) fn runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let probe = at + SHORTEST - 1;
            if !is_token(*bytes.get(probe)?) {
                at = probe + 1;
                continue;
            }
            let back = bytes.get(at..probe)?.iter().rev().take_while(|byte| is_token(**byte)).count();
            let ahead = bytes.get(probe..)?.iter().take_while(|byte| is_token(**byte)).count();
            let run = probe - back..probe + ahead;
            at = run.end + 1;
            if run.len() >= SHORTEST && may_be_drawn(bytes.get(run.clone())?) {
                // What base64 may go on with, and the character that ends it.
                let more = bytes.get(run.end..)?.iter().take(SPARE);
                let more = more.take_while(|byte| is_token(**byte) || b"+/=".contains(byte)).count();
                let behind = text.get(run.end + more..).and_then(|rest| rest.chars().next());
                return Some(run.start..run.end + more + behind.map_or(0, char::len_utf8));
            }
        }
    })
}

/// Whether it has a digit, or capital letters in great number: most identifiers end here.
fn may_be_drawn(run: &[u8]) -> bool {
    run.iter().any(u8::is_ascii_digit)
        || (run.len() >= 32 && run.iter().filter(|byte| byte.is_ascii_uppercase()).count() >= 6)
}

fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The same as looking at every byte.
        #[test]
        fn no_run_is_jumped_over(text in "([a-zA-Z0-9_.]{0,45}[ (,é]{1,2}){0,6}") {
            let slow: Vec<&str> = text
                .split(|c: char| !c.is_ascii() || !is_token(c as u8))
                .filter(|run| run.len() >= SHORTEST && may_be_drawn(run.as_bytes()))
                .collect();
            let fast: Vec<&str> = runs(&text)
                .map(|range| text.get(range).unwrap().trim_end_matches(|c: char| !c.is_ascii() || !is_token(c as u8)))
                .collect();
            prop_assert_eq!(slow, fast);
        }
    }
}
