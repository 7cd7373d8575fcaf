//! Long runs of bytes of one kind. Hardly any block has one, and which have is asked of eight at once.

use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::u64x8;

use super::{BLOCK, Block};
use crate::listed::MANY;

/// As many blocks are looked at at once.
const AT_ONCE: usize = 8;

/// No run is looked for that is shorter.
const SHORTEST: usize = 15;

/// Places in [`MANY`] blocks, counted from where these begin: no more than there are such runs.
struct Places {
    list: [u16; MANY * BLOCK / (SHORTEST + 1) + 1],
    count: usize,
}

/// Calls `found` with every run of at least `LEAST` bytes of one kind; `LEAST` is 64 at most.
#[inline(always)]
pub(super) fn each<S: Simd, const LEAST: u32>(
    simd: S,
    blocks: &[Block],
    plane: impl Fn(&Block) -> u64 + Copy,
    mut found: impl FnMut(Range<usize>),
) {
    const { assert!(LEAST as usize >= SHORTEST && LEAST <= u64::BITS) };
    let (mut starts, mut ends) = (Places::NONE, Places::NONE);
    // Where the run began that goes on, which one does at no end of a text, and what is known of the block before.
    let (mut open, mut before) = (None, 0);
    for first in (0..blocks.len()).step_by(MANY) {
        let (whole, mut some) = begins::<_, LEAST>(simd, blocks.get(first..).unwrap_or_default(), plane);
        // A run ends in the block behind the last place where one begins.
        some |= some << 1 | before >> (BLOCK - 1);
        (starts.count, ends.count) = (0, 0);
        while some != 0 {
            let number = some.trailing_zeros() as usize;
            some &= some - 1;
            let of = |number: usize| whole.get(number).copied().unwrap_or(0);
            let (here, last) = (of(number), number.checked_sub(1).map_or(before, of));
            let shifted = here << 1 | last >> (BLOCK - 1);
            starts.add(number, here & !shifted);
            ends.add(number, shifted & !here);
        }
        before = whole.last().copied().unwrap_or(0);
        let place = |place: &u16| first * BLOCK + usize::from(*place);
        let mut begun = starts.places().iter();
        for end in ends.places() {
            let Some(start) = open.take().or_else(|| begun.next().map(place)) else { break };
            // It begins at the last place, too, from which `LEAST` bytes are of it.
            found(start..place(end) + LEAST as usize - 1);
        }
        open = open.or_else(|| begun.next().map(place));
    }
}

impl Places {
    const NONE: Self = Self { list: [0; MANY * BLOCK / (SHORTEST + 1) + 1], count: 0 };

    /// Goes on with those of a block. Nearly always there is none or one, and that is not guessed.
    #[inline(always)]
    fn add(&mut self, number: usize, places: u64) {
        let mut left = places;
        loop {
            let place = (number * BLOCK) as u16 + left.trailing_zeros() as u16;
            self.list.get_mut(self.count).into_iter().for_each(|slot| *slot = place);
            self.count += usize::from(left != 0);
            left &= left.wrapping_sub(1);
            if left == 0 {
                return;
            }
        }
    }

    #[inline(always)]
    fn places(&self) -> &[u16] {
        self.list.get(..self.count).unwrap_or_default()
    }
}

/// Of the first [`MANY`] blocks: the places from which on `LEAST` bytes are of one kind, and in which blocks there are any.
#[inline(always)]
fn begins<S: Simd, const LEAST: u32>(simd: S, blocks: &[Block], plane: impl Fn(&Block) -> u64) -> ([u64; MANY], u64) {
    // With the block behind the last, and nothing where there is none.
    let mut bits = [0; MANY + AT_ONCE];
    // Loops, since what a closure does would be compiled for the least processor.
    for (bits, block) in bits.iter_mut().zip(blocks.iter().take(MANY + 1)) {
        *bits = plane(block);
    }
    let (mut whole, mut some) = ([0; MANY], 0);
    for (number, whole) in whole.as_chunks_mut::<AT_ONCE>().0.iter_mut().enumerate() {
        let first = number * AT_ONCE;
        if first >= blocks.len() {
            break;
        }
        let rest = bits.get(first..).unwrap_or_default();
        if let (Some(here), Some(next)) = (rest.first_chunk(), rest.get(1..).and_then(|rest| rest.first_chunk())) {
            let (here, next) = (u64x8::load_array_ref(simd, here), u64x8::load_array_ref(simd, next));
            let begins = in_eight::<_, LEAST>(here, next);
            begins.store_array(whole);
            some |= (!begins.simd_eq(0).to_bitmask() & 0xFF) << first;
        }
    }
    // What is behind the last block has none.
    (whole, some & u64::MAX.unbounded_shr(MANY.saturating_sub(blocks.len()) as u32))
}

/// From which places of eight blocks so many bits are set, by the blocks behind them, too: of twice as many with each step.
#[inline(always)]
fn in_eight<S: Simd, const LEAST: u32>(mut here: u64x8<S>, mut next: u64x8<S>) -> u64x8<S> {
    let mut known = 1;
    while known < LEAST {
        let more = known.min(LEAST - known);
        here &= here >> more | next << (u64::BITS - more);
        next &= next >> more;
        known += more;
    }
    here
}

#[cfg(test)]
mod tests {
    use fearless_simd::{Level, dispatch};
    use proptest::prelude::*;

    use super::*;
    use crate::levels::levels;

    #[inline(always)]
    fn with<S: Simd, const LEAST: u32>(simd: S, blocks: &[Block]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        each::<_, LEAST>(simd, blocks, |block| block.word, |run| found.push(run));
        found
    }

    fn runs<const LEAST: u32>(level: Level, blocks: &[Block]) -> Vec<Range<usize>> {
        dispatch!(level, simd => with::<_, LEAST>(simd, blocks))
    }

    proptest! {
        #[test]
        fn every_run_is_found_whole(
            sizes in prop::collection::vec((prop_oneof![0usize..90, 60usize..70, Just(64), 0usize..9000], 1usize..4), 0..160),
            last in 0usize..200,
        ) {
            let (mut bits, mut slow) = (Vec::new(), Vec::new());
            for (ones, zeros) in sizes.into_iter().chain([(last, 0)]) {
                slow.push(bits.len()..bits.len() + ones);
                bits.resize(bits.len() + ones, true);
                bits.resize(bits.len() + zeros, false);
            }
            let word = |bits: &[bool]| bits.iter().rev().fold(0, |word, bit| word << 1 | u64::from(*bit));
            let blocks: Vec<Block> = bits.chunks(BLOCK).map(|bits| Block { word: word(bits), ..Block::NONE }).collect();
            let slow = |least: usize| slow.iter().filter(|run| run.len() >= least).cloned().collect::<Vec<_>>();
            for level in levels() {
                prop_assert_eq!(runs::<15>(level, &blocks), slow(15));
                prop_assert_eq!(runs::<16>(level, &blocks), slow(16));
                prop_assert_eq!(runs::<20>(level, &blocks), slow(20));
                prop_assert_eq!(runs::<63>(level, &blocks), slow(63));
                prop_assert_eq!(runs::<64>(level, &blocks), slow(64));
            }
        }
    }
}
