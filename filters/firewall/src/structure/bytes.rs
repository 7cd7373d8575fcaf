//! What single bytes give away: control characters, and brackets that are not closed.

use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};
use wide::{bytemuck, u8x16};

use super::Trait;

/// How many bytes are looked at together: few enough for a sum to fit a byte.
const BLOCK: usize = 64;

/// How many brackets may be open. Programs have a dozen, the deepest data some dozens.
const DEEPEST: i32 = 256;

/// Looks at every byte for what no text has.
pub(super) fn look(text: &str, report: &mut dyn FnMut(Trait, Range<usize>)) {
    let mut control: Option<Range<usize>> = None;
    let mut escape: Option<Range<usize>> = None;
    for (number, block) in text.as_bytes().chunks(BLOCK).enumerate() {
        let at = number * BLOCK;
        if block.iter().fold(false, |any, byte| any | is_control(*byte)) {
            for (place, byte) in (at..).zip(block).filter(|(_, byte)| is_control(**byte)) {
                let which = if *byte == 0x1b { &mut escape } else { &mut control };
                which.get_or_insert(place..place).end = place + 1;
            }
        }
    }
    for (seen, span) in [(Trait::Control, control), (Trait::Terminal, escape)] {
        if let Some(span) = span {
            report(seen, on_characters(text, span));
        }
    }
}

/// Looks for brackets that are not closed.
pub(super) fn nesting(text: &str, report: &mut dyn FnMut(Trait, Range<usize>)) {
    if !may_nest(text.as_bytes()) {
        return;
    }
    let mut depth = 0;
    // Since when brackets are open, and up to where they are too many.
    let mut since = 0;
    let mut deep: Option<Range<usize>> = None;
    let mut see = |at: usize, block: &[u8; BLOCK]| {
        depth += opened(block);
        if depth <= 0 {
            (depth, since) = (0, at);
        } else if depth > DEEPEST {
            deep.get_or_insert(since..at).end = (at + BLOCK).min(text.len());
        }
    };
    let (whole, rest) = text.as_bytes().as_chunks::<BLOCK>();
    for (number, block) in whole.iter().enumerate() {
        see(number * BLOCK, block);
    }
    if !rest.is_empty() {
        let mut last = [0; BLOCK];
        last.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
        see(whole.len() * BLOCK, &last);
    }
    if let Some(span) = deep {
        report(Trait::Nesting, on_characters(text, span));
    }
}

/// Whether as many brackets open in a text as may be open: only then it is asked where they close.
fn may_nest(bytes: &[u8]) -> bool {
    dispatch!(Level::new(), simd => opening(simd, bytes)) > DEEPEST as usize
}

/// How many brackets open in a text, or a few more.
#[inline(always)]
fn opening<S: Simd>(simd: S, bytes: &[u8]) -> usize {
    let (whole, rest) = bytes.as_chunks::<BLOCK>();
    let mut count = rest.len();
    for block in whole {
        let bytes = u8x64::load_array_ref(simd, block);
        // Braces are brackets with one more bit.
        let open = (bytes | 0x20).simd_eq(b'{') | bytes.simd_eq(b'(');
        count += open.to_bitmask().count_ones() as usize;
    }
    count
}

/// How many more brackets open in a block than close.
#[inline(always)]
fn opened(block: &[u8; BLOCK]) -> i32 {
    // So that no part of the sum is ever below zero.
    const SPARE: u8 = 4;
    let mut sum = u8x16::splat(SPARE);
    for part in block.as_chunks::<16>().0 {
        let part = u8x16::new(*part);
        // Braces are brackets with one more bit.
        let brace = part | u8x16::splat(0x20);
        let of = |bytes: u8x16, byte: u8| bytes.simd_eq(u8x16::splat(byte));
        // What is equal is -1.
        sum = sum + of(brace, b'}') + of(part, b')') - of(brace, b'{') - of(part, b'(');
    }
    let [low, high] = bytemuck::cast::<u8x16, [u64; 2]>(sum);
    let sum = (low + high).wrapping_mul(0x0101_0101_0101_0101) >> 56;
    sum as i32 - 16 * i32::from(SPARE)
}

/// Everything below the space but tabs, and ends of lines and of pages; and DEL.
fn is_control(byte: u8) -> bool {
    (byte < 0x20) & (byte.wrapping_sub(b'\t') > 4) | (byte == 0x7f)
}

/// The span, widened to whole characters.
fn on_characters(text: &str, span: Range<usize>) -> Range<usize> {
    let start = (0..=span.start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = (span.end..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    start..end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::levels::levels;

    proptest! {
        #[test]
        fn every_bracket_counts(block in "[(){}\\[\\] a;\u{1b}]{64}|\\({64}|\\}{64}|[!-~]{64}") {
            let slow = block.bytes().map(|byte| match byte {
                b'(' | b'[' | b'{' => 1,
                b')' | b']' | b'}' => -1,
                // What escapes has the bits of a bracket but one, which is not looked at.
                _ => 0,
            });
            prop_assert_eq!(opened(block.as_bytes().first_chunk().unwrap()), slow.sum::<i32>());
        }

        #[test]
        fn every_bracket_that_opens_counts(text in "[(){}\\[\\] a;\u{1b}]{0,200}|[!-~é]{0,150}") {
            let slow = text.bytes().filter(|byte| b"([{".contains(byte)).count();
            for level in levels() {
                let count = dispatch!(level, simd => opening(simd, text.as_bytes()));
                prop_assert!((slow..slow + BLOCK).contains(&count), "{count} of {slow}");
            }
        }

        #[test]
        fn no_nesting_is_overlooked(
            before in "[ -~]{0,300}",
            kinds in "[(\\[{]{1,3}",
            count in 80usize..140,
            between in "[a-z\n ]{0,40}",
        ) {
            let text = before + &(kinds + &between).repeat(count);
            let (mut depth, mut deepest) = (0, 0);
            for block in text.as_bytes().chunks(BLOCK) {
                let mut whole = [0; BLOCK];
                whole.iter_mut().zip(block).for_each(|(slot, byte)| *slot = *byte);
                depth = (depth + opened(&whole)).max(0);
                deepest = deepest.max(depth);
            }
            prop_assert!(deepest <= DEEPEST || may_nest(text.as_bytes()), "{} deep", deepest);
            let mut told = false;
            nesting(&text, &mut |_, _| told = true);
            prop_assert_eq!(told, deepest > DEEPEST);
        }
    }
}
