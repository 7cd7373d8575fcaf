//! Where a text has quotes, capital letters, and what may begin a mark: a bit for each byte.

use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

use crate::listed::{self, MANY};
use crate::planes::BLOCK;

/// Of 64 bytes, which are signs; the first is the lowest bit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sign {
    /// `"` and `'`.
    pub(super) quote: u64,
    /// `*` and `<`.
    pub(super) mark: u64,
    /// `A` to `Z`.
    pub(super) capital: u64,
}

/// All signs of a text.
#[derive(Debug, Default)]
pub(super) struct Signs {
    blocks: Vec<Sign>,
    dashes: bool,
}

impl Signs {
    /// Begins with another text.
    pub(super) fn read(&mut self, text: &str) {
        self.read_with(Level::new(), text.as_bytes());
    }

    fn read_with(&mut self, level: Level, text: &[u8]) {
        self.blocks.resize(text.len().div_ceil(BLOCK), Sign::default());
        let Self { blocks, dashes } = self;
        *dashes = dispatch!(level, simd => read(simd, text, blocks));
    }

    /// The signs of a text.
    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        let mut signs = Self::default();
        signs.read(text);
        signs
    }

    /// Whether five dashes may stand in a row somewhere.
    pub(super) fn has_dashes(&self) -> bool {
        self.dashes
    }

    /// A bit for each of the 64 bytes from a place on; that of the place is the lowest bit.
    #[inline(always)]
    pub(super) fn ahead(&self, at: usize, of: impl Fn(&Sign) -> u64) -> u64 {
        let of = |number: usize| self.blocks.get(number).map_or(0, &of);
        let (number, shift) = (at / BLOCK, at % BLOCK);
        of(number) >> shift | of(number + 1) << 1 << (BLOCK - 1 - shift)
    }

    /// A bit for each of the 64 bytes before a place; that of the last one is the highest bit.
    #[inline(always)]
    pub(super) fn behind(&self, at: usize, of: impl Fn(&Sign) -> u64) -> u64 {
        match at.checked_sub(BLOCK) {
            Some(begin) => self.ahead(begin, of),
            None => self.blocks.first().map_or(0, of).unbounded_shl((BLOCK - at) as u32),
        }
    }

    /// The places of one kind, in order.
    #[inline(always)]
    pub(super) fn places<'s>(&'s self, of: impl Fn(&Sign) -> u64 + Copy + 's) -> impl Iterator<Item = usize> + 's {
        let some = move |first: usize| {
            let blocks = self.blocks.get(first..).unwrap_or_default().iter().take(MANY);
            blocks.rev().fold(0, |some, sign| some << 1 | u64::from(of(sign) != 0))
        };
        listed::places(self.blocks.len(), some, move |number| self.blocks.get(number).map_or(0, of))
    }

    /// The first of these from a place on.
    #[inline]
    pub(super) fn next(&self, from: usize, of: impl Fn(&Sign) -> u64) -> Option<usize> {
        let mut number = from / BLOCK;
        let mut bits = of(self.blocks.get(number)?) & u64::MAX << (from % BLOCK);
        while bits == 0 {
            number += 1;
            bits = of(self.blocks.get(number)?);
        }
        Some(number * BLOCK + bits.trailing_zeros() as usize)
    }

    /// The last of these in a part.
    #[inline]
    pub(super) fn last(&self, part: Range<usize>, of: impl Fn(&Sign) -> u64) -> Option<usize> {
        let last = part.end.checked_sub(1)?;
        let mut number = last / BLOCK;
        let mut bits = of(self.blocks.get(number)?) & u64::MAX >> (BLOCK - 1 - last % BLOCK);
        while bits == 0 && number * BLOCK > part.start {
            number -= 1;
            bits = of(self.blocks.get(number)?);
        }
        bits.checked_ilog2().map(|bit| number * BLOCK + bit as usize).filter(|place| *place >= part.start)
    }
}

/// The signs of a text, and whether three dashes stand in a row in any block, as some of five do.
#[inline(always)]
fn read<S: Simd>(simd: S, text: &[u8], blocks: &mut [Sign]) -> bool {
    let (whole, rest) = text.as_chunks::<BLOCK>();
    let mut blocks = blocks.iter_mut();
    let mut in_a_row = 0;
    for (bytes, block) in whole.iter().zip(blocks.by_ref()) {
        let dashes;
        (*block, dashes) = in_block(simd, bytes);
        in_a_row |= dashes & dashes >> 1 & dashes >> 2;
    }
    if let Some(block) = blocks.next() {
        let mut last = [b' '; BLOCK];
        last.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
        let dashes;
        (*block, dashes) = in_block(simd, &last);
        in_a_row |= dashes & dashes >> 1 & dashes >> 2;
    }
    in_a_row != 0
}

/// The signs of a block, and where it has dashes.
#[inline(always)]
fn in_block<S: Simd>(simd: S, bytes: &[u8; BLOCK]) -> (Sign, u64) {
    let bytes = u8x64::load_array_ref(simd, bytes);
    let quote = bytes.simd_eq(b'"') | bytes.simd_eq(b'\'');
    let mark = bytes.simd_eq(b'*') | bytes.simd_eq(b'<');
    let capital = (bytes - b'A').simd_lt(26);
    let sign = Sign { quote: quote.to_bitmask(), mark: mark.to_bitmask(), capital: capital.to_bitmask() };
    (sign, bytes.simd_eq(b'-').to_bitmask())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::levels::levels;

    proptest! {
        #[test]
        fn every_sign_is_found(text in "([ -~é]|[\"'*<]|[a-z]{1,90}|-{1,6}){0,40}", a: usize, b: usize) {
            let quotes: Vec<_> = text.match_indices(['"', '\'']).map(|(at, _)| at).collect();
            let marks: Vec<_> = text.match_indices(['*', '<']).map(|(at, _)| at).collect();
            let (a, b) = (a % (text.len() + 1), b % (text.len() + 1));
            let part = a.min(b)..a.max(b);
            let dashes = text.contains("-----");
            for level in levels() {
                let mut signs = Signs::default();
                signs.read_with(level, text.as_bytes());
                prop_assert!(signs.has_dashes() || !dashes);
                let from = |at: usize| signs.next(at, |sign| sign.mark);
                let all: Vec<_> = std::iter::successors(from(0), |at| from(at + 1)).collect();
                prop_assert_eq!(&all, &marks);
                prop_assert_eq!(signs.places(|sign| sign.quote).collect::<Vec<_>>(), &quotes[..]);
                let last = quotes.iter().copied().rfind(|at| part.contains(at));
                prop_assert_eq!(signs.last(part.clone(), |sign| sign.quote), last, "{:?} in {:?}", part, text);
                for (at, byte) in text.bytes().enumerate() {
                    prop_assert_eq!(signs.ahead(at, |sign| sign.quote) & 1 != 0, quotes.contains(&at));
                    prop_assert_eq!(signs.behind(at + 1, |sign| sign.capital) >> 63 != 0, byte.is_ascii_uppercase());
                }
            }
        }
    }
}
