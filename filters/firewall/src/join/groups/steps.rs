//! What a row of groups would be made of, told from which bytes are letters and digits: of many places at once, and then
//! of those of which it may be one.
//!
//! Of hardly any place it is, and of none that is guessed: a processor that has guessed wrongly loses more time than to
//! work it out for eight.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, mask64x8, u64x4, u64x8};

use crate::planes::{BLOCK, Block};

/// How far apart a text is looked at. A token in groups is longer.
pub(super) const STEP: usize = 16;

/// The largest group, and the longest that stands between two: three of both fit into 64 bytes.
pub(super) const GROUP: usize = 12;
pub(super) const GAP: usize = 8;

/// Wider groups, one a line, are lines.
pub(super) const NARROW: usize = 8;

/// As many groups in a row are no accident, and as many words of one size.
const LEAST: usize = 4;
const WORDS: usize = 6;

/// As many blocks of a text are looked at together.
pub(super) const BLOCKS: usize = 16;

/// Of the places in so many blocks, one every [`STEP`] bytes: of which [`Steps::over`] says that a row may go over them,
/// a bit for each, and what it would be made of.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) bits: u64,
    sizes: [[u64; 2 * BLOCK / STEP]; BLOCKS / 2],
}

impl Places {
    /// Goes on with so many blocks from a first one on.
    pub(super) fn read(&mut self, level: Level, blocks: &[Block], first: usize) {
        const { assert!(BLOCKS * BLOCK / STEP == u64::BITS as usize) };
        // With the block before them, and the one behind.
        let mut words = [0; BLOCKS + 2];
        let known = blocks.get(first.saturating_sub(1)..).unwrap_or_default().iter().map(|block| block.word);
        words.iter_mut().skip(usize::from(first == 0)).zip(known).for_each(|(slot, word)| *slot = word);
        dispatch!(level, simd => self.in_blocks(simd, &words));
    }

    #[inline(always)]
    fn in_blocks<S: Simd>(&mut self, simd: S, words: &[u64; BLOCKS + 2]) {
        self.bits = 0;
        let mut bit = 0;
        // A loop, since what a closure does would be compiled for the least processor.
        for (near, sizes) in words.windows(4).step_by(2).zip(&mut self.sizes) {
            if let Some(near) = near.first_chunk() {
                self.bits |= in_two(simd, near, sizes) << bit;
            }
            bit += 2 * BLOCK / STEP;
        }
    }

    /// Which of them [go on](Steps::goes_on_once), of a text in which the first one is at a place.
    #[inline(never)]
    pub(super) fn that_go_on(&self, bytes: &[u8], first: usize) -> u64 {
        let (mut all, mut left) = (self.bits, 0);
        while all != 0 {
            let number = all.trailing_zeros() as usize;
            all &= all - 1;
            left |= u64::from(self.steps(number, first + number * STEP).goes_on_once(bytes)) << number;
        }
        left
    }

    /// What a row would be made of that goes over one of them: its number, and where it is.
    #[inline(always)]
    pub(super) fn steps(&self, number: usize, place: usize) -> Steps {
        let sizes = self.sizes.as_flattened().get(number).copied().unwrap_or(0);
        let [first, gap, group, ..] = sizes.to_le_bytes().map(usize::from);
        Steps { place, first, gap, group }
    }
}

/// In the two blocks in the middle.
#[inline(always)]
fn in_two<S: Simd>(simd: S, [before, first, second, after]: &[u64; 4], sizes: &mut [u64; 8]) -> u64 {
    const { assert!(2 * BLOCK / STEP == 8) };
    // Where not every place can be shifted as far as it needs, it takes less to look at one after the other.
    if <S::u64s as SimdBase<S>>::LEN < 4 {
        return one_by_one([[before, first, second], [first, second, after]], sizes);
    }
    let both = |a: &u64, b: &u64| u64x4::splat(simd, *a).combine(u64x4::splat(simd, *b));
    let (from, rest) = (u64x8::load_array_ref(simd, &FROM), u64x8::load_array_ref(simd, &REST));
    let here = both(first, second);
    let ahead = here >> from | both(second, after) << 1 << rest;
    let behind = both(before, first) >> from | here << rest << 1;
    may_go_over(simd, ahead, behind, sizes)
}

#[inline(always)]
fn one_by_one(blocks: [[&u64; 3]; 2], sizes: &mut [u64; 8]) -> u64 {
    let places = blocks.iter().flat_map(|near| (0..BLOCK).step_by(STEP).map(move |step| (near, step)));
    (0..).zip(places).zip(sizes).fold(0, |all, ((bit, ([before, here, after], step)), sizes)| {
        let ahead = *here >> step | *after << 1 << (BLOCK - 1 - step);
        let behind = *before >> step | *here << (BLOCK - 1 - step) << 1;
        let (is_row, Steps { first, gap, group, .. }) = Steps::over(ahead, behind);
        *sizes = (first | gap << 8 | group << 16) as u64;
        all | u64::from(is_row) << bit
    })
}

/// Where in its block each of eight places is, and how many bytes of that are behind it.
const FROM: [u64; 8] = [0, 16, 32, 48, 0, 16, 32, 48];
const REST: [u64; 8] = [63, 47, 31, 15, 63, 47, 31, 15];

/// What [`Steps::over`] says of eight places.
#[inline(always)]
fn may_go_over<S: Simd>(simd: S, ahead: u64x8<S>, behind: u64x8<S>, sizes: &mut [u64; 8]) -> u64 {
    let first = ones(ahead);
    let rest = from(ahead, first);
    let gap = ones(!rest);
    let group = ones(from(rest, gap));
    (first | gap << 8 | group << 16).store_array(sizes);
    let step = group + gap;
    let inside = (u64x8::splat(simd, 1) << (gap & 63)) - 1;
    let (after, behind_it) = (first + step, first - step);
    let (after_one, after_two) = (is_gap(ahead, after, inside), is_gap(ahead, after + step, inside));
    let (before_none, before_one) = (is_gap(behind, behind_it, inside), is_gap(behind, behind_it - step, inside));
    // What is too large or too small comes out below zero.
    let (most, widest) = (u64x8::splat(simd, GROUP as u64), u64x8::splat(simd, GAP as u64));
    let fits = (most - first) | (gap - 1) | (widest - gap) | (group - 1) | (most - group);
    let whole = holds(group - first) & before_none;
    (holds(fits) & ((after_one & after_two) | (whole & (after_one | before_one)))).to_bitmask()
}

/// How many of the lowest bits are set.
#[inline(always)]
fn ones<S: Simd>(bits: u64x8<S>) -> u64x8<S> {
    (bits & (!bits - 1)).count_ones()
}

#[inline(always)]
fn from<S: Simd>(bits: u64x8<S>, at: u64x8<S>) -> u64x8<S> {
    bits >> (at & 63)
}

/// Whether none of the bits from a place on is set, as many as are `inside`.
#[inline(always)]
fn is_gap<S: Simd>(bits: u64x8<S>, at: u64x8<S>, inside: u64x8<S>) -> mask64x8<S> {
    (from(bits, at) & inside).simd_eq(0)
}

/// Whether a difference is not below zero.
#[inline(always)]
fn holds<S: Simd>(sizes: u64x8<S>) -> mask64x8<S> {
    (sizes & (1 << (u64::BITS - 1))).simd_eq(0)
}

/// By which of the 64 bytes after a place are letters and digits: to the end of the group that is there, the gap behind
/// it, the group after that, and whether these are as large as they may be.
#[inline(always)]
fn sizes(ahead: u64) -> (u32, u32, u32, bool) {
    let first = ahead.trailing_ones();
    let rest = ahead >> (first & 63);
    let gap = rest.trailing_zeros();
    let group = (rest >> (gap & 63)).trailing_ones();
    let within = |size: u32, most: usize| size.wrapping_sub(1) < most as u32;
    (first, gap, group, (first <= GROUP as u32) & within(gap, GAP) & within(group, GROUP))
}

/// What a row would be made of that goes over a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) place: usize,
    /// To the end of the group that is there.
    pub(super) first: usize,
    pub(super) gap: usize,
    /// The group after it.
    pub(super) group: usize,
}

impl Steps {
    /// By which of the 64 bytes after and before a place are letters and digits, and whether that may be: of the groups
    /// around it, three that follow each other have one and the same gap after them.
    #[inline(always)]
    pub(super) fn over(ahead: u64, behind: u64) -> (bool, Self) {
        let (first, gap, group, fits) = sizes(ahead);
        // The group before this gap has it after it; two more must.
        let step = group.wrapping_add(gap);
        let inside = !(u64::MAX << (gap & 63));
        let is_gap = |bits: u64, from: u32| bits >> (from & 63) & inside == 0;
        let after = |steps: u32| is_gap(ahead, first.wrapping_add(steps.wrapping_mul(step)));
        let begun = step.wrapping_sub(first);
        let before = |steps: u32| is_gap(behind, 0u32.wrapping_sub(begun).wrapping_sub(steps.wrapping_mul(step)));
        let whole = (group >= first) & before(0);
        let is_row = fits & ((after(1) & after(2)) | (whole & (after(1) | before(1))));
        (is_row, Self { place: 0, first: first as usize, gap: gap as usize, group: group as usize })
    }

    /// Whether three gaps around it begin in the same way: most end before there are as many.
    #[inline(always)]
    pub(super) fn goes_on_once(&self, bytes: &[u8]) -> bool {
        const { assert!(LEAST == 4) };
        let (first, step) = (self.place + self.first, self.group + self.gap);
        let mark = bytes.get(first).copied().unwrap_or(0);
        let is_same = |at: usize| bytes.get(at).copied().unwrap_or(!mark) == mark;
        let (after, after_two) = (is_same(first + step), is_same(first + 2 * step));
        let (before, before_two) = (is_same(first.wrapping_sub(step)), is_same(first.wrapping_sub(2 * step)));
        (after & (after_two | before)) | (before & before_two)
    }

    /// Whether a gap so many steps after the first one begins as that does.
    #[inline(always)]
    fn is_same(&self, bytes: &[u8], steps: isize) -> bool {
        let first = self.place + self.first;
        let step = (self.group + self.gap) as isize;
        let mark = bytes.get(first).copied().unwrap_or(0);
        bytes.get(first.wrapping_add_signed(steps * step)).copied().unwrap_or(!mark) == mark
    }

    /// Whether as many gaps as a row has begin in the same way, of those that [go on once](Self::goes_on_once): that is asked
    /// before it is walked along.
    #[inline(always)]
    pub(super) fn go_on(&self, bytes: &[u8]) -> bool {
        let mark = bytes.get(self.place + self.first).copied().unwrap_or(0);
        if self.least(mark) < WORDS - 1 {
            return true;
        }
        let (mut goes_on, mut came_from, mut count) = (true, true, 1);
        for steps in 1..(WORDS - 1) as isize {
            goes_on &= self.is_same(bytes, steps);
            came_from &= self.is_same(bytes, -steps);
            count += usize::from(goes_on) + usize::from(came_from);
        }
        count >= WORDS - 1
    }

    /// As many groups are a row, with what stands before and after them.
    pub(super) fn least(&self, mark: u8) -> usize {
        let words = (self.gap == 1) & (mark == b' ') & is_word(self.group) & (self.group <= NARROW);
        if words { WORDS - 1 } else { LEAST - 1 }
    }
}

/// Whether groups of this size with a space between them are words: people cut by one, two or four.
fn is_word(group: usize) -> bool {
    const CUT: usize = 1 << 1 | 1 << 2 | 1 << 4;
    CUT >> (group & 63) & 1 == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::levels::levels;
    use crate::planes::Planes;

    proptest! {
        /// However many are looked at together, the same is said of each.
        #[test]
        fn places_are_told_at_once(
            text in "([a-z]{1,14}[ .,:-]{1,9}|([a-z]{2} ){3,9}|([a-z]{5}, ){3,9}|[a-z ]{60,70}){0,60}",
        ) {
            let planes = Planes::of(&text);
            let word = |block: &Block| block.word;
            for level in levels() {
                let mut said = Places::default();
                for first in (0..planes.blocks().len()).step_by(BLOCKS) {
                    said.read(level, planes.blocks(), first);
                    for (bit, place) in (first * BLOCK..).step_by(STEP).take(u64::BITS as usize).enumerate() {
                        let (is_row, steps) = Steps::over(planes.ahead(place, word), planes.behind(place, word));
                        prop_assert_eq!(said.bits >> bit & 1 != 0, is_row, "{:?} at {}, {:?}", text, place, level);
                        if is_row {
                            prop_assert_eq!(said.steps(bit, place), Steps { place, ..steps }, "{:?}", text);
                        }
                    }
                }
            }
        }
    }
}
