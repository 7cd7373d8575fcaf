//! The same, again and again: what fills a context, or makes a model lose its thread.

use std::ops::Range;

use wide::u8x16;

use super::Trait;

/// Shorter repetitions are rulers, indentation, tables.
const LEAST: usize = 4096;

/// Every repetition that is long enough has one of these places in it.
const STRIDE: usize = LEAST / 2;

/// The longest unit that is looked for.
const UNIT: usize = 256;

/// How much of the text must come again for a closer look.
const PROBE: usize = 8;

/// As many places are looked at together.
const WIDTH: usize = 16;

/// How many are told of one text.
const MOST: usize = 16;

/// Looks for repetitions.
pub(super) fn look(text: &str, report: &mut dyn FnMut(Trait, Range<usize>)) {
    let bytes = text.as_bytes();
    if bytes.len() < LEAST {
        return;
    }
    let mut told = 0;
    let mut from = 0;
    let mut at = 0;
    while at + LEAST / 2 <= bytes.len() && told < MOST {
        let Some(unit) = unit(bytes, at) else {
            at += STRIDE;
            continue;
        };
        let run = back(bytes, from, at, unit)..on(bytes, at, unit);
        from = run.end;
        at = run.end.max(at + STRIDE);
        if run.len() >= LEAST {
            let start = (run.start..run.end).find(|place| text.is_char_boundary(*place)).unwrap_or(run.start);
            let end = (run.end..=text.len()).find(|place| text.is_char_boundary(*place)).unwrap_or(text.len());
            report(Trait::Repetition, start..end);
            told += 1;
        }
    }
}

/// After how many bytes what stands at a place comes again.
fn unit(bytes: &[u8], at: usize) -> Option<usize> {
    let probe = bytes.get(at..at + PROBE)?;
    let rest = bytes.get(at + 1..at + UNIT + PROBE)?;
    let (first, last) = (u8x16::splat(*probe.first()?), u8x16::splat(*probe.last()?));
    (0..UNIT).step_by(WIDTH).find_map(|ahead| {
        let here = |from: usize| rest.get(from..)?.first_chunk().copied().map(u8x16::new);
        let mut same = (here(ahead)?.simd_eq(first) & here(ahead + PROBE - 1)?.simd_eq(last)).to_bitmask();
        while same != 0 {
            let distance = ahead + same.trailing_zeros() as usize;
            if rest.get(distance..distance + PROBE) == Some(probe) {
                return Some(distance + 1);
            }
            same &= same - 1;
        }
        None
    })
}

/// Where the repetition around a place begins.
fn back(bytes: &[u8], from: usize, at: usize, unit: usize) -> usize {
    let earlier = bytes.get(from..at).unwrap_or_default().iter().rev();
    let later = bytes.get(from + unit..at + unit).unwrap_or_default().iter().rev();
    at - earlier.zip(later).take_while(|(a, b)| a == b).count()
}

/// Where it ends.
fn on(bytes: &[u8], at: usize, unit: usize) -> usize {
    let earlier = bytes.get(at..).unwrap_or_default().iter();
    let later = bytes.get(at + unit..).unwrap_or_default().iter();
    let same = earlier.zip(later).take_while(|(a, b)| a == b).count();
    at + same + unit
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_nearest_repetition_is_found(start in "[ab]{0,9}", unit in "[ab]{1,9}[a-z]{0,270}", at in 0usize..9) {
            let bytes = [start.as_bytes(), &unit.as_bytes().repeat(9), &[b'.'; UNIT + PROBE]].concat();
            let rest = &bytes[at + 1..at + UNIT + PROBE];
            let slow = memchr::memmem::find(rest, &bytes[at..at + PROBE]).map(|distance| distance + 1);
            prop_assert_eq!(super::unit(&bytes, at), slow);
        }
    }
}
