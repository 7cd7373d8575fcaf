//! Where what may be a row of numbers stands in a text.

use std::ops::Range;

use fearless_simd::{Level, dispatch};

use super::super::{Set, runs};
use super::{Exhausted, LEAST};
use crate::planes::{Block, Planes, begins};

/// The shortest run of numbers that is looked at.
pub(super) const LINE: usize = 40;

/// Calls `found` for every run of numbers, which says how far it has read. There are digits in all that is read.
pub(super) fn rows(
    bytes: &[u8],
    planes: &Planes,
    found: &mut dyn FnMut(Range<usize>) -> Result<usize, Exhausted>,
) -> Result<(), Exhausted> {
    dispatch!(Level::new(), _simd => each_row(bytes, planes, found))
}

#[inline(always)]
fn each_row(
    bytes: &[u8],
    planes: &Planes,
    found: &mut dyn FnMut(Range<usize>) -> Result<usize, Exhausted>,
) -> Result<(), Exhausted> {
    let code = |block: &Block| block.code;
    let mut at = 0;
    loop {
        // What was read may have ended within one.
        let mut run = at..planes.end(at, code);
        if run.len() < LINE {
            let Some(start) = planes.next(run.end, begins_long) else { return Ok(()) };
            run = start..planes.end(start, code);
        }
        at = run.end;
        if planes.count(run.clone(), |block| block.digit) >= LEAST {
            at = rows_of(bytes, run, found)?.max(at);
        }
    }
}

/// Where one begins that goes on over all of the next block, or has enough digits in both.
#[inline(always)]
fn begins_long(block: &Block, next: &Block) -> u64 {
    let digits = block.digit.count_ones() + next.digit.count_ones();
    if (digits < LEAST as u32) & (next.code != u64::MAX) {
        return 0;
    }
    begins::<{ LINE as u32 }>(block.code, next.code)
}

/// The same for a part of a text without certain letters that stand in no number.
// Hardly ever called: kept out of the loop that passes over texts.
#[inline(never)]
fn rows_of(
    bytes: &[u8],
    part: Range<usize>,
    found: &mut dyn FnMut(Range<usize>) -> Result<usize, Exhausted>,
) -> Result<usize, Exhausted> {
    let part = part.start..part.end.min(bytes.len());
    let mut read = part.end;
    runs::each(bytes.get(part.clone()).unwrap_or_default(), LINE, &CODES, &mut |row| {
        let row = part.start + row.start..part.start + row.end;
        let digits = bytes.get(row.clone()).unwrap_or_default().iter().filter(|byte| byte.is_ascii_digit()).count();
        let end = if digits >= LEAST { found(row.clone())?.max(row.end) } else { row.end };
        read = read.max(end);
        Ok(end - part.start)
    })?;
    Ok(read)
}

/// What numbers and what stands between them are made of.
pub(super) static CODES: Set = Set::of(b"0123456789abcdefABCDEF ,;:|+.&-_()[]{}'\"#\t\r\nxXhHrRuUoO\\");
