//! Lists that are thinned out without guessing: of places in a text, and of keywords that may stand there.

use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::{mask16x32, u16x32};

use super::{BLOCK, CHUNK, WAITING};

/// As many places of a block are listed without asking whether they are any.
const UNASKED: usize = 6;
/// As many are, where a processor lists those of half a block at once.
const AT_ONCE: usize = BLOCK / 2;
/// As many keywords at places are compared together.
const PAIRS: usize = 128;

/// Places in a part of a text, counted from where that begins.
pub(super) struct Places {
    list: [u16; WAITING + CHUNK + AT_ONCE],
    pub(super) count: usize,
}

/// Keywords that may stand at places.
pub(super) struct Pairs {
    list: [(u16, u32); PAIRS + 2],
    pub(super) count: usize,
}

impl Places {
    pub(super) const NONE: Self = Self { list: [0; WAITING + CHUNK + AT_ONCE], count: 0 };

    /// Lists the places of all blocks of a chunk, which begins at one.
    #[inline(always)]
    pub(super) fn read<S: Simd>(&mut self, simd: S, begin: u16, all: &[u64]) {
        let steps = u16x32::from_fn(simd, |step| step as u16);
        for (block, here) in (0u16..).zip(all) {
            let begin = begin + block * BLOCK as u16;
            if S::u8s::LEN == BLOCK {
                self.add_at_once(steps + begin, *here as u32);
                self.add_at_once(steps + (begin + AT_ONCE as u16), (*here >> AT_ONCE) as u32);
            } else {
                self.add(begin, *here);
            }
        }
    }

    /// Adds those of half a block, where a processor picks them at once.
    #[inline(always)]
    pub(super) fn add_at_once<S: Simd>(&mut self, places: u16x32<S>, here: u32) {
        let listed = places.compress(mask16x32::from_bitmask(places.token(), here.into()));
        let rest = self.list.get_mut(self.count..).unwrap_or_default();
        rest.first_chunk_mut::<AT_ONCE>().into_iter().for_each(|room| listed.store_array(room));
        self.count += here.count_ones() as usize;
    }

    /// Adds those of a block.
    #[inline(always)]
    pub(super) fn add(&mut self, begin: u16, here: u64) {
        let mut left = here;
        let mut next = || {
            let place = begin + left.trailing_zeros() as u16;
            left &= left.wrapping_sub(1);
            place
        };
        let rest = self.list.get_mut(self.count..).unwrap_or_default();
        if let Some(unasked) = rest.first_chunk_mut::<UNASKED>() {
            unasked.iter_mut().for_each(|slot| *slot = next());
        }
        let count = here.count_ones() as usize;
        if count > UNASKED {
            rest.iter_mut().take(count).skip(UNASKED).for_each(|slot| *slot = next());
        }
        self.count += count;
    }

    /// Leaves those of which this is true, but for so many that are known already.
    #[inline(always)]
    pub(super) fn keep(&mut self, known: usize, is: impl Fn(usize) -> bool) {
        let mut left = known;
        for number in known..self.count.min(self.list.len()) {
            let place = self.list.get(number).copied().unwrap_or(0);
            self.list.get_mut(left).into_iter().for_each(|slot| *slot = place);
            left += usize::from(is(usize::from(place)));
        }
        self.count = left;
    }

    pub(super) fn listed(&self) -> &[u16] {
        self.list.get(..self.count).unwrap_or_default()
    }
}

impl Pairs {
    pub(super) const NONE: Self = Self { list: [(0, 0); PAIRS + 2], count: 0 };

    /// Adds some keywords at a place, as many as there is room for. Returns those that are left. Two are written down without
    /// asking how many there are.
    #[inline(always)]
    pub(super) fn add(&mut self, at: u16, Range { start, end }: Range<u32>) -> Range<u32> {
        let count = ((end - start) as usize).min(PAIRS.saturating_sub(self.count));
        let rest = self.list.get_mut(self.count..).unwrap_or_default();
        if let [first, second, ..] = rest {
            (*first, *second) = ((at, start), (at, start + 1));
        }
        if count > 2 {
            for (slot, number) in rest.iter_mut().zip(start..end).take(count).skip(2) {
                *slot = (at, number);
            }
        }
        self.count += count;
        start + count as u32..end
    }

    /// Leaves those of which this is true.
    #[inline(always)]
    pub(super) fn keep(&mut self, is: impl Fn(usize, u32) -> bool) {
        let mut left = 0;
        for number in 0..self.count.min(self.list.len()) {
            let (at, entry) = self.list.get(number).copied().unwrap_or_default();
            self.list.get_mut(left).into_iter().for_each(|slot| *slot = (at, entry));
            left += usize::from(is(usize::from(at), entry));
        }
        self.count = left;
    }

    pub(super) fn listed(&self) -> &[(u16, u32)] {
        self.list.get(..self.count).unwrap_or_default()
    }
}
