//! Where in a text a keyword may be: a look into one small table for each byte, without anything to guess.

use std::array;

use wide::bytemuck::cast;
use wide::{i16x8, i32x4, u8x16, u16x8};

use super::{GRAM, rarity};

/// As many places are looked at together.
pub(super) const BLOCK: usize = 64;

/// Four bytes are hashed to a number of so many bits; of each there is a byte in the table: 16 KiB, half of the fastest
/// cache.
const BITS: u32 = 14;
const SLOTS: usize = 1 << BITS;

/// The lowest bits of a hash are those of few bytes.
const LOW: u32 = 8;

/// The bits that are hashed of them: not those that make letters small, and two of the last byte, of which the table
/// says the rest.
const HASHED: u32 = 0x50DF_DFDF;
const OF_LAST: [u32; 4] = [0, 0x10 << 24, 0x40 << 24, 0x50 << 24];

/// What the first two bytes and the others are multiplied by: one pair of these.
const FACTORS: [(i16, i16); 12] = [
    (0x05eb, 0x4a6b),
    (0x1e37, 0x79b1),
    (0x42b3, 0x2e35),
    (0x27d5, 0x6b2f),
    (0x1657, 0x67b1),
    (0x56e9, 0x7eb9),
    (0x7feb, 0x352d),
    (0x046d, 0x268b),
    (0x617b, 0x21e5),
    (0x23d9, 0x5fa7),
    (0x5bd1, 0x6995),
    (0x1b87, 0x3593),
];

/// Which four bytes the keywords may have.
pub(super) struct Sieve {
    first: i16,
    others: i16,
    /// Of each hash: the [`last`] bytes that may be, all laid over each other.
    last: Box<[u8; SLOTS]>,
}

impl Sieve {
    /// For these grams; of some, any byte may be the last. Of a few ways to hash them it takes the one that common text
    /// gets past most seldom.
    pub(super) fn new(grams: &[(u32, bool)]) -> Self {
        let cost = |sieve: &Self| {
            rarity::common().filter(|(gram, _)| sieve.has(*gram)).map(|(_, weight)| u64::from(weight)).sum::<u64>()
        };
        let sieves = FACTORS.iter().map(|factors| Self::by(*factors, grams));
        sieves.min_by_key(cost).unwrap_or_else(|| Self::by((1, 1), grams))
    }

    fn by((first, others): (i16, i16), grams: &[(u32, bool)]) -> Self {
        let mut sieve = Self { first, others, last: Box::new([0; SLOTS]) };
        let mut add = |slot: usize, bits: u8| sieve.last.get_mut(slot).into_iter().for_each(|last| *last |= bits);
        for (gram, any) in grams {
            if *any {
                OF_LAST.iter().for_each(|last| add(slot(gram & 0xFF_FFFF | last, first, others), u8::MAX));
            } else {
                add(slot(*gram, first, others), last((gram >> 24) as u8));
            }
        }
        sieve
    }

    /// The places in a block where a keyword may have the bytes that stand there: the same as `has` for each.
    #[inline(always)]
    pub(super) fn places(&self, block: &[u8; BLOCK + GRAM - 1]) -> u64 {
        let factors = i16x8::new(array::from_fn(|at| if at % 2 == 0 { self.first } else { self.others }));
        let hashed: u8x16 = cast([HASHED; 4]);
        let mut places = 0;
        for step in 0..4u32 {
            let bytes = |from: usize| {
                let rest = block.get(16 * step as usize + from..);
                u8x16::new(rest.and_then(|rest| rest.first_chunk()).copied().unwrap_or_default())
            };
            // Four places each, four bytes from each other.
            let slots: [[i32; 4]; 4] = array::from_fn(|from| {
                let grams = bytes(from) & hashed;
                (cast::<u8x16, i16x8>(grams).dot(factors) >> LOW as i32 & i32x4::splat(SLOTS as i32 - 1)).to_array()
            });
            let found: [u8; 16] = array::from_fn(|at| {
                let slot = slots.get(at % 4).and_then(|row| row.get(at / 4)).copied().unwrap_or(0);
                self.last.get(slot as usize).copied().unwrap_or(0)
            });
            let wanted = last_of_all(bytes(GRAM - 1));
            let bits = (u8x16::new(found) & wanted).simd_eq(wanted).to_bitmask();
            places |= u64::from(bits) << (16 * step);
        }
        places
    }

    /// Whether a keyword may have these bytes.
    fn has(&self, gram: u32) -> bool {
        let wanted = last((gram >> 24) as u8);
        self.last.get(self.slot(gram)).is_some_and(|found| found & wanted == wanted)
    }

    fn slot(&self, gram: u32) -> usize {
        slot(gram, self.first, self.others)
    }
}

/// Where four bytes have their place.
fn slot(gram: u32, first: i16, others: i16) -> usize {
    let gram = gram & HASHED;
    let times = |two: u32, factor: i16| i32::from(two as u16 as i16).wrapping_mul(i32::from(factor));
    let hash = times(gram, first).wrapping_add(times(gram >> 16, others));
    (hash as u32 >> LOW) as usize & (SLOTS - 1)
}

/// The lower half of a byte, and what it is not: so all of it must be there where several are laid over each other.
fn last(byte: u8) -> u8 {
    byte & 0x0F | !(byte << 4) & 0xF0
}

/// The same of sixteen.
#[inline(always)]
fn last_of_all(bytes: u8x16) -> u8x16 {
    let high: u8x16 = cast(cast::<u8x16, u16x8>(!bytes) << 4);
    bytes & u8x16::splat(0x0F) | high & u8x16::splat(0xF0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_block_has_the_places_that_its_grams_have(
            grams in prop::collection::vec(("[a-zA-Z_:é. -]{4}|.{4}", any::<bool>()), 1..40),
            picks in prop::collection::vec((any::<prop::sample::Index>(), 0usize..5, "[a-zA-Z_:/é. -]{0,3}", any::<bool>()), 0..30),
            noise in prop::collection::vec(any::<u8>(), 67),
        ) {
            let grams: Vec<(u32, bool)> = grams
                .iter()
                .map(|(text, any)| (u32::from_le_bytes(*text.as_bytes().first_chunk().unwrap()), *any))
                .collect();
            let mut text = Vec::new();
            for (which, most, between, loud) in picks {
                let gram = grams[which.index(grams.len())].0.to_le_bytes();
                let piece = &gram[..most.min(4)];
                text.extend(if loud { piece.to_ascii_uppercase() } else { piece.to_vec() });
                text.extend(between.bytes());
            }
            text.extend(noise);
            let sieve = Sieve::new(&grams);
            let block: &[u8; 67] = text.first_chunk().unwrap();
            let places = sieve.places(block);
            for at in 0..BLOCK {
                let gram = u32::from_le_bytes(*block[at..].first_chunk().unwrap());
                prop_assert_eq!(places >> at & 1 != 0, sieve.has(gram));
                let is = |(known, any): &(u32, bool)| (known ^ gram) & if *any { 0xDF_DFDF } else { 0xDFDF_DFDF } == 0;
                prop_assert!(!grams.iter().any(is) || sieve.has(gram), "a gram gets past");
            }
        }
    }
}
