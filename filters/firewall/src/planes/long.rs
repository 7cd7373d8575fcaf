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

/// As many places at which such runs begin or end are in [`MANY`] blocks at most, and one more is written down.
const PLACES: usize = 2 * (MANY * BLOCK / (SHORTEST + 1) + 1) + 1;

/// Calls `found` with every run of at least `LEAST` bytes of one kind; `LEAST` is 64 at most.
#[inline(always)]
pub(super) fn each<S: Simd, const LEAST: u32>(
    simd: S,
    blocks: &[Block],
    plane: impl Fn(&Block) -> u64 + Copy,
    mut found: impl FnMut(Range<usize>),
) {
    const { assert!(LEAST as usize >= SHORTEST && LEAST <= u64::BITS) };
    // Where runs begin and end, in turn: those of many blocks are listed before anything is done with them.
    let (mut places, mut count) = ([0u16; PLACES], 0);
    // Where the run began that goes on, and what is known of the block before.
    let (mut open, mut before) = (None, 0);
    for first in (0..blocks.len()).step_by(MANY) {
        let (whole, mut some) = begins::<_, LEAST>(simd, blocks.get(first..).unwrap_or_default(), plane);
        // A run ends in the block behind the last place where one begins.
        some |= some << 1 | before >> (BLOCK - 1);
        while some != 0 {
            let number = some.trailing_zeros() as usize;
            some &= some - 1;
            let of = |number: usize| whole.get(number).copied().unwrap_or(0);
            let (here, last) = (of(number), number.checked_sub(1).map_or(before, of));
            let mut left = here ^ (here << 1 | last >> (BLOCK - 1));
            // Nearly always there is one or none, and that is not guessed.
            loop {
                let place = (number * BLOCK) as u16 + left.trailing_zeros() as u16;
                places.get_mut(count).into_iter().for_each(|slot| *slot = place);
                count += usize::from(left != 0);
                left &= left.wrapping_sub(1);
                if left == 0 {
                    break;
                }
            }
        }
        before = whole.get(MANY - 1).copied().unwrap_or(0);
        for place in places.iter().take(count) {
            let place = first * BLOCK + usize::from(*place);
            match open.take() {
                // It begins at the last place, too, from which `LEAST` bytes are of it.
                Some(start) => found(start..place + LEAST as usize - 1),
                None => open = Some(place),
            }
        }
        count = 0;
    }
}

/// Of the first [`MANY`] blocks: the places from which on `LEAST` bytes are of one kind, and in which blocks there are any.
#[inline(always)]
fn begins<S: Simd, const LEAST: u32>(
    simd: S,
    blocks: &[Block],
    plane: impl Fn(&Block) -> u64,
) -> ([u64; MANY + AT_ONCE], u64) {
    // With the block behind the last, and nothing where there is none.
    let mut bits = [0; MANY + AT_ONCE];
    // Loops, since what a closure does would be compiled for the least processor.
    for (bits, block) in bits.iter_mut().zip(blocks.iter().take(MANY + 1)) {
        *bits = plane(block);
    }
    let mut some = 0;
    for first in (0..blocks.len().min(MANY)).step_by(AT_ONCE) {
        let rest = bits.get_mut(first..).unwrap_or_default();
        let Some(next) = rest.get(1..).and_then(|rest| rest.first_chunk()) else { break };
        let next = u64x8::load_array_ref(simd, next);
        let Some(here) = rest.first_chunk_mut() else { break };
        let begins = in_eight::<_, LEAST>(u64x8::load_array_ref(simd, here), next);
        begins.store_array(here);
        some |= (!begins.simd_eq(0).to_bitmask() & 0xFF) << first;
    }
    // What is behind the last block has none.
    (bits, some & u64::MAX.unbounded_shr(MANY.saturating_sub(blocks.len()) as u32))
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
