//! Where what may be a row of numbers stands in a text.

use std::ops::Range;

use wide::{i8x16, u8x16};

use super::super::Set;
use super::{Exhausted, LEAST};
use crate::planes::{BLOCK, Planes};

/// The shortest run of numbers that is looked at.
pub(super) const LINE: usize = 40;

/// Calls `found` for every run of numbers, which says how far it has read. There are digits in all that is read.
pub(super) fn rows(
    bytes: &[u8],
    planes: &Planes,
    found: &mut dyn FnMut(Range<usize>) -> Result<usize, Exhausted>,
) -> Result<(), Exhausted> {
    let mut floor = 0;
    for (number, block) in planes.blocks().iter().enumerate() {
        if block.digit == 0 {
            continue;
        }
        let begin = number * BLOCK;
        let words = bytes.get(begin..).and_then(<[u8]>::first_chunk).map_or(0, letters);
        // Of digits that stand together the first is enough, and no letter of a word may follow soon.
        let digits = block.digit & !soon(words);
        let mut open = digits & !(digits << 1);
        while open != 0 {
            let at = begin + open.trailing_zeros() as usize;
            open &= open - 1;
            if at < floor {
                let rest = digits & u64::MAX.unbounded_shl((floor - begin) as u32);
                open = rest & !(rest << 1);
                continue;
            }
            let after = bytes.get(at..).unwrap_or_default();
            if !may_be_row(after, planes.ahead(at, |block| block.digit)) {
                continue;
            }
            let (start, end) = row(bytes, floor, at);
            floor = end;
            if let Some(start) = start {
                floor = found(start..end)?.max(end);
            }
        }
    }
    Ok(())
}

/// Where what may be a row ends that has its first digit at a place, and where it begins, if it is long enough.
// As seldom.
#[inline(never)]
fn row(bytes: &[u8], floor: usize, at: usize) -> (Option<usize>, usize) {
    let (before, after) = bytes.get(floor..).unwrap_or_default().split_at_checked(at - floor).unwrap_or_default();
    let size = after.iter().take_while(|byte| CODES.has(**byte)).count();
    let digits = || after.iter().take(size).filter(|byte| byte.is_ascii_digit()).count();
    if size < LEAST || digits() < LEAST {
        return (None, at + size);
    }
    let start = at - before.iter().rev().take_while(|byte| CODES.has(**byte)).count();
    (Some(start).filter(|start| at + size - start >= LINE), at + size)
}

/// Whether a row may go on from its first digit: its other digits are behind it, and nothing else than what rows have.
/// A few of the bytes say so nearly always. `digits` are those among the next ones.
fn may_be_row(rest: &[u8], digits: u64) -> bool {
    let Some([_, _, a, _, _, b, _, _, c, _, _, d]) = rest.first_chunk::<LEAST>() else { return false };
    if !(CODES.has(*a) & CODES.has(*b) & CODES.has(*c) & CODES.has(*d)) {
        return false;
    }
    // Where they are too few, the row is longer than that.
    let goes_on =
        || [16, 24, 32, 40, 48, BLOCK - 1].iter().all(|ahead| rest.get(*ahead).is_some_and(|b| CODES.has(*b)));
    digits.count_ones() as usize >= LEAST || goes_on()
}

/// Which of 64 bytes are letters that stand in no number.
#[inline(always)]
fn letters(block: &[u8; BLOCK]) -> u64 {
    let mut letters = 0;
    for (number, part) in (0u32..).zip(block.as_chunks::<16>().0) {
        let small = u8x16::new(*part) | u8x16::splat(0x20);
        // Moved to the end of what has no sign.
        let letter = (small + u8x16::splat(0x7F - b'z')).cast_signed();
        let above_f = letter.simd_gt(i8x16::splat(i8::MAX - 20)).cast_unsigned();
        let is = |byte: u8| small.simd_eq(u8x16::splat(byte));
        let marks = is(b'h') | is(b'o') | is(b'r') | is(b'u') | is(b'x');
        letters |= u64::from((above_f & !marks).to_bitmask()) << (16 * number);
    }
    letters
}

/// Those bits, and as many before each as are behind the first digit of any row.
fn soon(mut bits: u64) -> u64 {
    const { assert!(LEAST == 12) };
    bits |= bits >> 1;
    bits |= bits >> 2;
    bits |= bits >> 4;
    bits | bits >> 4
}

/// What numbers and what stands between them are made of.
pub(super) static CODES: Set = Set::of(b"0123456789abcdefABCDEF ,;:|+.&-_()[]{}'\"#\t\r\nxXhHrRuUoO\\");
