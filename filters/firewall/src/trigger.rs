//! Where rules look that have no keyword: numbers have none.
//!
//! A text has few places where digits stand close together. The rules for numbers look only there.

use std::ops::Range;

use serde::Deserialize;

/// What must stand somewhere for a rule without keywords to look there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trigger {
    /// Eight digits, with no more than two of `` .-/()`` between any two of them; or digits with three dots.
    Digits,
    /// A run of twenty or more characters that tokens are made of (`runs.rs`).
    Run,
}

/// How many digits make a number that is worth a look.
const ENOUGH: usize = 8;

/// How much of the text around digits belongs to them: the letters of an id, and what stands before it.
const AROUND: usize = 64;

/// How much is looked at together. Two neighbouring blocks hold every number that begins in the first.
const BLOCK: usize = 64;

/// The places with enough digits, in order, none touching another.
pub(crate) fn places(text: &str, places: &mut Vec<Range<usize>>) {
    places.clear();
    let bytes = text.as_bytes();
    // The text up to here has been looked at closely.
    let mut seen = 0;
    let mut before = 0;
    for (number, block) in bytes.chunks(BLOCK).enumerate() {
        let here = count(block);
        // An address of the internet has at least four digits and three dots.
        if here + before >= 4 {
            let from = (number.saturating_sub(1) * BLOCK).max(seen);
            seen = runs(bytes, from, number * BLOCK + block.len(), places);
        }
        before = here;
    }
    for place in places.iter_mut() {
        *place = place.start.saturating_sub(AROUND)..(place.end + AROUND).min(bytes.len());
    }
    places.dedup_by(|next, last| {
        let touch = next.start <= last.end;
        if touch {
            last.end = last.end.max(next.end);
        }
        touch
    });
}

/// How many digits a block has. The loop is one that the compiler makes of wide instructions.
fn count(block: &[u8]) -> usize {
    usize::from(block.iter().map(|byte| u8::from(byte.is_ascii_digit())).sum::<u8>())
}

/// Finds runs that begin between `from` and `to`, and says up to where the text has been looked at.
fn runs(bytes: &[u8], from: usize, to: usize, places: &mut Vec<Range<usize>>) -> usize {
    let mut at = from;
    while at < to {
        let Some(start) = bytes.get(at..to).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) else { break };
        let start = at + start;
        let (mut end, mut digits, mut dots, mut gap) = (start, 0, 0, 0);
        for (place, byte) in bytes.iter().enumerate().skip(start) {
            match byte {
                b'0'..=b'9' => {
                    (end, gap) = (place + 1, 0);
                    digits += 1;
                }
                b' ' | b'.' | b'-' | b'/' | b'(' | b')' if gap < 2 => {
                    gap += 1;
                    dots += usize::from(*byte == b'.');
                }
                _ => break,
            }
        }
        if digits >= ENOUGH || (dots >= 3 && digits >= 4) {
            places.push(start..end);
        }
        at = end;
    }
    at.max(to)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        places(text, &mut found);
        found
    }

    #[test]
    fn finds_numbers_and_addresses() {
        for text in ["536-22-8741", "4539 1488 0343 6467", "(415) 555-2671", "8.8.8.8", "x DE89370400440532013000"] {
            assert_eq!(of(text).len(), 1, "{text}");
        }
        for text in ["", "no digits", "21:10:00.001", "1.2.3", "1234567", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"] {
            assert!(of(text).is_empty(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn finds_a_number_wherever_it_stands(
            before in "([a-z ]{0,90}|[0-9]{1,4}[a-z]){0,4}",
            number in "[0-9]([ -]?[0-9]){8,18}",
            after in "[a-z][a-z0-9 ]{0,100}",
        ) {
            let text = format!("{before},{number}{after}");
            let number = before.len() + 1..before.len() + 1 + number.len();
            let found = of(&text);
            prop_assert!(found.iter().any(|place| place.start <= number.start && number.end <= place.end));
            prop_assert!(found.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert!(found.iter().all(|place| place.end <= text.len()));
        }
    }
}
