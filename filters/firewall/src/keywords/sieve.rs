//! Where in a text a keyword may be: one look into a small table for every two bytes, without anything to guess.
//!
//! Of the five bytes from an even place on, the three in the middle are hashed. At the even place they are a keyword's
//! last three, and its first must stand before them; at the odd one they are its first three, and its fourth must stand
//! behind them. So one look answers for both.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, i16x32, i32x16, u8x64, u16x32, u32x16};

use super::{BLOCK, CHUNK, GRAM, SMALL, rarity};

/// So many bytes say what stands at each place of a chunk.
pub(super) const SEEN: usize = CHUNK + GRAM - 1;

/// Of each block of a chunk, a bit for every place.
pub(super) type Bits = [u64; CHUNK / BLOCK];

/// Room for what the table says of each even place of a chunk.
pub(super) type Rows = [[u16; BLOCK / 2]; CHUNK / BLOCK];

/// Three bytes are hashed to a number of so many bits; of each there are two bytes in the table: 32 KiB.
const BITS: u32 = 14;
const SLOTS: usize = 1 << BITS;

/// The lowest bits of a hash are those of few bytes.
const LOW: u32 = 8;

/// The bits of three bytes that are hashed: not those that make letters small, and of the last one not all, since there
/// may be any.
const HASHED: u32 = 0x001F_DFDF;
const ANY: u32 = 0x20;

/// The first three are hashed to a number of so many bits, of each of which there is a bit for each fourth one as a small
/// letter: 8 KiB.
const SURE: u32 = 11;

/// What the first two bytes and the third one are multiplied by: one pair of these.
const FACTORS: [(i16, i16); 8] = [
    (0x05eb, 0x4a6b),
    (0x42b3, 0x2e35),
    (0x27d5, 0x6b2f),
    (0x21a7, 0x1019),
    (0x62c5, 0x0915),
    (0x1233, 0x49dd),
    (0x0147, 0x5a13),
    (0x6d79, 0x67b2),
];

/// Which four bytes the keywords may have.
pub(super) struct Sieve {
    first: i16,
    third: i16,
    /// Of each hash of three bytes: in the lower half what may stand [before](edge) them at an even place, in the
    /// upper one what may stand behind them at an odd one, all of that laid over each other.
    edges: Box<[u16; SLOTS]>,
    /// Of each hash of three bytes, which may be the fourth.
    sure: Box<[u32; 1 << SURE]>,
}

impl Sieve {
    /// For these grams; of some, any byte may be the last. Of a few ways to hash them it takes the one that common text
    /// gets past most seldom.
    pub(super) fn new(grams: &[(u32, bool)]) -> Self {
        let cost = |sieve: &Self| {
            let times = |gram: u32| u64::from(sieve.has_even(gram)) + u64::from(sieve.has_odd(gram));
            rarity::common().map(|(gram, weight)| times(gram) * u64::from(weight)).sum::<u64>()
        };
        let sieves = FACTORS.iter().map(|factors| Self::by(*factors, grams));
        sieves.min_by_key(cost).unwrap_or_else(|| Self::by((1, 1), grams))
    }

    fn by((first, third): (i16, i16), grams: &[(u32, bool)]) -> Self {
        let mut sieve = Self { first, third, edges: Box::new([0; SLOTS]), sure: Box::new([0; 1 << SURE]) };
        let mut add = |three: u32, edges: u16| {
            sieve.edges.get_mut(slot(three, first, third)).into_iter().for_each(|known| *known |= edges);
        };
        for (gram, any) in grams {
            let before = u16::from(edge(*gram as u8));
            if *any {
                (0..ANY).for_each(|last| add(gram >> 8 & 0xFFFF | last << 16, before));
                add(*gram, 0xFF00);
            } else {
                add(gram >> 8, before);
                add(*gram, u16::from(edge((gram >> 24) as u8)) << 8);
            }
            let fourth = if *any { u32::MAX } else { 1 << fourth(*gram) };
            sieve.sure.get_mut(hash_of_three(*gram)).into_iter().for_each(|known| *known |= fourth);
        }
        sieve
    }

    /// The places in so many blocks of a chunk where a keyword may have the bytes that stand there.
    pub(super) fn places(&self, level: Level, seen: &[u8; SEEN], blocks: usize, rows: &mut Rows) -> Bits {
        // Each step on its own, over all blocks: no store is waited for before it is read again.
        let rows = rows.get_mut(..blocks).unwrap_or_default();
        dispatch!(level, simd => self.slots(simd, seen, rows));
        for row in rows.iter_mut() {
            for slot in row {
                *slot = self.edges.get(usize::from(*slot) & (SLOTS - 1)).copied().unwrap_or(0);
            }
        }
        dispatch!(level, simd => wanted(simd, seen, rows))
    }

    /// Of each block, in which slots the three bytes behind each even place are.
    #[inline(always)]
    fn slots<S: Simd>(&self, simd: S, seen: &[u8; SEEN], rows: &mut [[u16; BLOCK / 2]]) {
        let factors = u32::from(self.first as u16) | u32::from(self.third as u16) << 16;
        let factors = u32x16::splat(simd, factors).bitcast();
        for (number, row) in rows.iter_mut().enumerate() {
            // Four bytes from each other.
            let low = slots(bytes(simd, seen, BLOCK * number + 1), factors);
            let high = slots(bytes(simd, seen, BLOCK * number + 3), factors);
            (low | high << 16).bitcast::<u16x32<S>>().store_array(row);
        }
    }

    /// Whether a keyword may have these bytes, for those of which a look into the small table says so: most of them
    /// are by chance.
    #[inline(always)]
    pub(super) fn surely_has(&self, gram: u32) -> bool {
        self.sure.get(hash_of_three(gram)).is_some_and(|known| known >> fourth(gram) & 1 != 0)
    }

    /// Whether a keyword may have these bytes at an even place.
    fn has_even(&self, gram: u32) -> bool {
        let before = u16::from(edge(gram as u8));
        self.edges.get(slot(gram >> 8, self.first, self.third)).is_some_and(|edges| edges & before == before)
    }

    /// Whether a keyword may have these bytes at an odd place.
    fn has_odd(&self, gram: u32) -> bool {
        let behind = u16::from(edge((gram >> 24) as u8)) << 8;
        self.edges.get(slot(gram, self.first, self.third)).is_some_and(|edges| edges & behind == behind)
    }
}

/// Where three bytes have their place.
fn slot(three: u32, first: i16, third: i16) -> usize {
    let three = three & HASHED;
    let times = |two: u32, factor: i16| i32::from(two as u16 as i16).wrapping_mul(i32::from(factor));
    let hash = times(three, first).wrapping_add(times(three >> 16, third));
    (hash as u32 >> LOW) as usize & (SLOTS - 1)
}

/// The same of the first three of every four bytes.
#[inline(always)]
fn slots<S: Simd>(grams: u8x64<S>, factors: i16x32<S>) -> u32x16<S> {
    let grams = (grams.bitcast::<u32x16<S>>() & HASHED).bitcast::<i16x32<S>>();
    let hash: i32x16<S> = grams.pairwise_dot_product(factors);
    hash.bitcast::<u32x16<S>>() >> LOW & (SLOTS as u32 - 1)
}

#[inline(always)]
fn hash_of_three(gram: u32) -> usize {
    (((gram | SMALL) << 8).wrapping_mul(0x85eb_ca6b) >> (u32::BITS - SURE)) as usize
}

/// The last byte, without the bits that tell small letters from capital ones, and from most other bytes.
#[inline(always)]
fn fourth(gram: u32) -> u32 {
    gram >> 24 & 31
}

/// The lower half of a byte, and what it is not: so all of it must be there where several are laid over each other.
fn edge(byte: u8) -> u8 {
    byte & 0x0F | !(byte << 4) & 0xF0
}

/// The same of all.
#[inline(always)]
fn edge_of_all<S: Simd>(bytes: u8x64<S>) -> u8x64<S> {
    let high = ((!bytes).bitcast::<u16x32<S>>() << 4).bitcast::<u8x64<S>>();
    bytes & 0x0F | high & 0xF0
}

/// Where of each block what the table says of the three bytes is true of the byte beside them.
#[inline(always)]
fn wanted<S: Simd>(simd: S, seen: &[u8; SEEN], rows: &[[u16; BLOCK / 2]]) -> Bits {
    let mut places = Bits::default();
    let lower: u8x64<S> = u16x32::splat(simd, 0x00FF).bitcast();
    for (number, (row, places)) in rows.iter().zip(&mut places).enumerate() {
        let begin = BLOCK * number;
        let wanted = edge_of_all(bytes(simd, seen, begin) & lower | bytes(simd, seen, begin + 3) & !lower);
        let found: u8x64<S> = u16x32::load_array_ref(simd, row).bitcast();
        *places = (found & wanted).simd_eq(wanted).to_bitmask();
    }
    places
}

/// The bytes of a block.
#[inline(always)]
fn bytes<S: Simd>(simd: S, seen: &[u8; SEEN], from: usize) -> u8x64<S> {
    let rest = seen.get(from..).and_then(|rest| rest.first_chunk());
    u8x64::load_array_ref(simd, rest.unwrap_or(&[0; BLOCK]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::levels::levels;

    proptest! {
        #[test]
        fn a_block_has_the_places_that_its_grams_have(
            grams in prop::collection::vec(("[a-zA-Z_:é. -]{4}|.{4}", any::<bool>()), 1..40),
            picks in prop::collection::vec((any::<prop::sample::Index>(), 0usize..5, "[a-zA-Z_:/é. -]{0,3}", any::<bool>()), 0..30),
            noise in prop::collection::vec(any::<u8>(), SEEN),
            blocks in 1..=CHUNK / BLOCK,
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
            let seen: &[u8; SEEN] = text.first_chunk().unwrap();
            let places = sieve.places(Level::new(), seen, blocks, &mut Rows::default());
            for level in levels() {
                prop_assert_eq!(sieve.places(level, seen, blocks, &mut Rows::default()), places);
            }
            for at in 0..BLOCK * blocks {
                let gram = u32::from_le_bytes(*seen[at..].first_chunk().unwrap());
                let has = if at % 2 == 0 { sieve.has_even(gram) } else { sieve.has_odd(gram) };
                prop_assert_eq!(places[at / BLOCK] >> (at % BLOCK) & 1 != 0, has);
                let is = |(known, any): &(u32, bool)| (known ^ gram) & if *any { 0xDF_DFDF } else { 0xDFDF_DFDF } == 0;
                prop_assert!(!grams.iter().any(is) || (sieve.has_even(gram) && sieve.has_odd(gram) && sieve.surely_has(gram)), "none is left out");
            }
        }
    }
}
