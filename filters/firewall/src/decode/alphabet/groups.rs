//! Where groups of symbols begin that can be ASCII, told of 64 symbols at once: of what is drawn each second group can be,
//! which no processor guesses.

use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

use super::Alphabet;

/// As many symbols are looked at together.
const BLOCK: usize = 64;

/// As many of these blocks, where nothing is kept of them.
const BLOCKS: usize = 8;

/// The symbols of the largest group.
const LARGEST: usize = 8;

/// What is no symbol.
const NONE: u8 = b' ';

/// Of a run of symbols, with which of them groups begin of which all bytes can be ASCII: a bit for each.
pub(in crate::decode) struct Groups {
    begins: Vec<u64>,
    /// The symbols of a group, and as many groups in a row that are no accident.
    group: usize,
    streak: usize,
    count: usize,
}

impl Groups {
    pub(super) fn of(alphabet: &Alphabet, symbols: &[u8]) -> Self {
        // With one block behind the last, which goes on in none.
        let mut begins = vec![0; symbols.len().div_ceil(BLOCK) + 1];
        alphabet.read(Level::new(), symbols, &mut begins);
        Self { begins, group: alphabet.group, streak: alphabet.streak, count: symbols.len() }
    }

    /// Where as many of them are in a row as are no accident, if the first group begins at this symbol; each with what follows
    /// it, of which the beginning may be, too.
    pub(in crate::decode) fn streaks(&self, start: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut at = start;
        let each = every(self.group, start);
        std::iter::from_fn(move || {
            let begin = next(at, self.begins.len(), |block| self.rows(block) & each)?;
            // The first one that cannot be.
            let from = begin + self.streak * self.group;
            let end = next(from, self.begins.len(), |block| !self.begins_in(block) & each);
            let end = end.map(|end| end + self.group).filter(|end| *end <= self.count);
            at = end.unwrap_or(usize::MAX);
            Some(begin..end.unwrap_or(self.count))
        })
    }

    fn begins_in(&self, block: usize) -> u64 {
        self.begins.get(block).copied().unwrap_or(0)
    }

    /// With which symbols of a block a row of groups begins that is no accident.
    fn rows(&self, block: usize) -> u64 {
        rows(self.begins_in(block), self.begins_in(block + 1), (self.group, self.streak))
    }
}

/// The first bit from a place on, in so many blocks.
fn next(at: usize, blocks: usize, bits: impl Fn(usize) -> u64) -> Option<usize> {
    let first = at / BLOCK;
    let mut within = u64::MAX << (at % BLOCK);
    for block in first..blocks {
        let here = bits(block) & within;
        if here != 0 {
            return Some(block * BLOCK + here.trailing_zeros() as usize);
        }
        within = u64::MAX;
    }
    None
}

/// The places of a block at which groups begin, if one begins at this symbol.
pub(super) fn every(group: usize, start: usize) -> u64 {
    let first = match group {
        2 => 0x5555_5555_5555_5555,
        4 => 0x1111_1111_1111_1111,
        _ => 0x0101_0101_0101_0101,
    };
    first << (start % group)
}

/// With which symbols so many groups in a row begin.
#[inline(always)]
fn rows(begins: u64, next: u64, (group, streak): (usize, usize)) -> u64 {
    let mut here = u128::from(begins) | u128::from(next) << BLOCK;
    let mut known = 1;
    while known < streak {
        let more = known.min(streak - known);
        here &= here >> (more * group);
        known += more;
    }
    here as u64
}

impl Alphabet {
    /// At which places in a block rows of groups begin that are no accident, in any block.
    pub(super) fn rows(&self, symbols: &[u8]) -> u64 {
        self.rows_with(Level::new(), symbols)
    }

    fn rows_with(&self, level: Level, symbols: &[u8]) -> u64 {
        let mut any = 0;
        for from in (0..symbols.len()).step_by(BLOCKS * BLOCK) {
            let mut begins = [0; BLOCKS + 1];
            let part = symbols.get(from..).unwrap_or_default();
            let blocks = part.len().div_ceil(BLOCK).min(BLOCKS) + 1;
            let begins = begins.get_mut(..blocks).unwrap_or_default();
            self.read(level, part, begins);
            for near in begins.windows(2) {
                if let [here, next] = near {
                    any |= rows(*here, *next, (self.group, self.streak));
                }
            }
        }
        any
    }

    /// Reads as many blocks of symbols.
    fn read(&self, level: Level, symbols: &[u8], begins: &mut [u64]) {
        match self.bits {
            4 => dispatch!(level, simd => read::<_, 4>(simd, symbols, begins)),
            6 => dispatch!(level, simd => read::<_, 6>(simd, symbols, begins)),
            _ => dispatch!(level, simd => read::<_, 5>(simd, symbols, begins)),
        }
    }
}

/// In the alphabet of which a symbol stands for so many bits.
#[inline(always)]
fn read<S: Simd, const BITS: u32>(simd: S, symbols: &[u8], begins: &mut [u64]) {
    let (group, high) = highest(BITS);
    let mut rest = symbols;
    let mut here = clear::<_, BITS>(simd, &mut rest);
    // As many symbols a group may begin with.
    let mut left = (symbols.len() + 1).saturating_sub(group);
    for begins in begins {
        let next = clear::<_, BITS>(simd, &mut rest);
        let mut all = !u64::MAX.unbounded_shl(u32::try_from(left).unwrap_or(u32::MAX));
        for (place, ((high, here), next)) in (0u32..).zip(high.iter().zip(here).zip(next)) {
            if *high != 0 {
                all &= here >> place | next.unbounded_shl(u64::BITS - place);
            }
        }
        *begins = all;
        left = left.saturating_sub(BLOCK);
        here = next;
    }
}

/// The size of a group, and of each symbol in it the bit that is the highest of a byte, if one is.
pub(super) const fn highest(bits: u32) -> (usize, [u8; LARGEST]) {
    match bits {
        4 => (2, [0x08, 0, 0, 0, 0, 0, 0, 0]),
        6 => (4, [0x20, 0x08, 0x02, 0, 0, 0, 0, 0]),
        _ => (8, [0x10, 0x02, 0, 0x08, 0x01, 0, 0x04, 0]),
    }
}

/// Of the next 64 symbols, for each place in a group, which leave the highest bit of a byte clear there.
#[inline(always)]
fn clear<S: Simd, const BITS: u32>(simd: S, rest: &mut &[u8]) -> [u64; LARGEST] {
    let mut clear = [0; LARGEST];
    if rest.is_empty() {
        return clear;
    }
    let values = match rest.split_first_chunk() {
        Some((block, more)) => {
            *rest = more;
            values::<_, BITS>(u8x64::load_array_ref(simd, block))
        }
        None => {
            let mut last = [NONE; BLOCK];
            last.iter_mut().zip(*rest).for_each(|(slot, symbol)| *slot = *symbol);
            *rest = &[];
            values::<_, BITS>(u8x64::load_array_ref(simd, &last))
        }
    };
    for (clear, high) in clear.iter_mut().zip(highest(BITS).1) {
        if high != 0 {
            *clear = (values & high).simd_eq(0).to_bitmask();
        }
    }
    clear
}

/// What symbols stand for. What is none stands for as much as any can.
#[inline(always)]
fn values<S: Simd, const BITS: u32>(bytes: u8x64<S>) -> u8x64<S> {
    let most = u8x64::splat(bytes.token(), (1 << BITS) - 1);
    let small = bytes | 0x20;
    let among = |bytes: u8x64<S>, first: u8, count: u8| (bytes - first).simd_lt(count);
    match BITS {
        4 => among(bytes, b'0', 10).select(bytes - b'0', among(small, b'a', 6).select(small - (b'a' - 10), most)),
        6 => {
            let letter = among(bytes, b'A', 26).select(bytes - b'A', small - (b'a' - 26));
            // Both last symbols have all of the bits that are asked for.
            among(small, b'a', 26).select(letter, among(bytes, b'0', 10).select(bytes + (52 - b'0'), most))
        }
        _ => among(small, b'a', 26).select(small - b'a', among(bytes, b'2', 6).select(bytes - (b'2' - 26), most)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{BASE32, BASE64, HEX};
    use super::*;
    use crate::levels::levels;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// However many symbols are read together.
        #[test]
        fn groups_are_told_at_once(
            parts in proptest::collection::vec("[0-9A-Za-z+/_-]{0,90}|[2-7A-Z]{0,90}|[0-7a-f]{0,90}|[é .]{0,3}", 0..20),
        ) {
            let text = parts.concat();
            let symbols = text.as_bytes();
            for alphabet in [&BASE64, &BASE32, &HEX] {
                let blocks = symbols.len().div_ceil(BLOCK) + 1;
                // What is no symbol may stand where any may: nobody asks for more.
                let is_ascii = |group: &[u8]| alphabet.is_ascii(group);
                let slow: Vec<bool> =
                    (0..blocks * BLOCK).map(|at| symbols.get(at..at + alphabet.group).is_some_and(is_ascii)).collect();
                for level in levels() {
                    let mut begins = vec![0; blocks];
                    alphabet.read(level, symbols, &mut begins);
                    let fast: Vec<bool> = (0..blocks * BLOCK).map(|at| begins[at / BLOCK] >> (at % BLOCK) & 1 != 0).collect();
                    prop_assert_eq!(&fast, &slow, "{} of {:?}", alphabet.name, text);
                    prop_assert_eq!(alphabet.rows_with(level, symbols), alphabet.rows(symbols));
                }
            }
        }
    }
}
