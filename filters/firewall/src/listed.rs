//! Places of a text that bits tell of, where it is not asked of each block whether it has any.
//!
//! Most blocks have none or one of them, and which have is hard to guess: a processor that has guessed wrongly loses
//! more time than it takes to see which of many blocks have some, or to write down a few places that are none.

use crate::planes::BLOCK;

/// As many blocks are looked at for whether they have any: one for each bit.
pub(crate) const MANY: usize = u64::BITS as usize;

/// The places that are bits of what `of` says of each of so many blocks, by its number, where there are few. `some` says in
/// which of [`MANY`] blocks from a first one on there are any.
#[inline(always)]
pub(crate) fn places(
    blocks: usize,
    some: impl Fn(usize) -> u64 + Copy,
    of: impl Fn(usize) -> u64 + Copy,
) -> impl Iterator<Item = usize> {
    Places { blocks, some, of, first: 0, left: some(0), number: 0, open: 0 }
}

/// The places that are left.
struct Places<S, P> {
    blocks: usize,
    some: S,
    of: P,
    /// In which blocks from a first one on there are any, of those that are left.
    first: usize,
    left: u64,
    number: usize,
    /// Which of that block are left.
    open: u64,
}

impl<S: Fn(usize) -> u64, P: Fn(usize) -> u64> Iterator for Places<S, P> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.open == 0 {
            while self.left == 0 {
                self.first += MANY;
                if self.first >= self.blocks {
                    return None;
                }
                self.left = (self.some)(self.first);
            }
            self.number = self.first + self.left.trailing_zeros() as usize;
            self.left &= self.left - 1;
            self.open = (self.of)(self.number);
        }
        let place = self.number * BLOCK + self.open.trailing_zeros() as usize;
        self.open &= self.open - 1;
        Some(place)
    }
}

/// The places of so many blocks are listed together.
const BLOCKS: usize = 16;

/// As many places of a block are written down without asking whether they are any.
const UNASKED: usize = 3;

/// Places in some blocks, counted from where these begin. For places of which a block has one or two. Reused from text to text.
#[derive(Default)]
pub(crate) struct Listed {
    list: Vec<u16>,
    count: usize,
}

impl Listed {
    /// The first of each of so many blocks that are listed together, and the one behind their last.
    #[inline(always)]
    pub(crate) fn together(blocks: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..blocks).step_by(BLOCKS).map(move |first| (first, blocks.min(first + BLOCKS)))
    }

    /// Begins with other blocks.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.list.resize(BLOCKS * BLOCK + UNASKED, 0);
        self.count = 0;
    }

    /// Goes on with the places in the block of this number, as it is counted from the first one.
    #[inline(always)]
    pub(crate) fn add(&mut self, number: usize, places: u64) {
        let begin = (number * BLOCK) as u16;
        let rest = self.list.get_mut(self.count..).unwrap_or_default();
        let mut left = places;
        if let Some(unasked) = rest.first_chunk_mut::<UNASKED>() {
            for slot in unasked {
                *slot = begin + left.trailing_zeros() as u16;
                left &= left.wrapping_sub(1);
            }
        }
        let count = places.count_ones() as usize;
        if count > UNASKED {
            for slot in rest.iter_mut().take(count).skip(UNASKED) {
                *slot = begin + left.trailing_zeros() as u16;
                left &= left.wrapping_sub(1);
            }
        }
        self.count += count;
    }

    /// The places, in order.
    #[inline(always)]
    pub(crate) fn places(&self) -> &[u16] {
        self.list.get(..self.count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_bit_is_a_place(
            blocks in prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), (0u32..64).prop_map(|bit| 1u64 << bit)], 0..140),
        ) {
            let mut found = Vec::new();
            let mut listed = Listed::default();
            for (first, end) in Listed::together(blocks.len()) {
                listed.clear();
                blocks[first..end].iter().enumerate().for_each(|(number, places)| listed.add(number, *places));
                found.extend(listed.places().iter().map(|place| first * BLOCK + usize::from(*place)));
            }
            let slow: Vec<_> = (0..blocks.len() * BLOCK).filter(|at| blocks[at / BLOCK] >> (at % BLOCK) & 1 != 0).collect();
            prop_assert_eq!(&found, &slow);
            let some = |first: usize| {
                blocks[first..].iter().take(MANY).rev().fold(0, |some, places| some << 1 | u64::from(*places != 0))
            };
            let few = places(blocks.len(), some, |number| blocks[number]);
            prop_assert_eq!(few.collect::<Vec<_>>(), slow);
        }
    }
}
