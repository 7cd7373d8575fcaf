//! Keywords of one or two bytes: each is looked for by itself, at 64 places at once.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, mask8x64, u8x64};

use super::{BLOCK, Keyword, PAD};

/// So many bytes say what stands at each of them.
const SEEN: usize = BLOCK + 1;

/// A keyword of one or two bytes.
pub(super) struct Short {
    number: u32,
    length: usize,
    first: Sought,
    second: Sought,
}

/// A byte, and which bits of it count.
#[derive(Clone, Copy)]
struct Sought {
    value: u8,
    mask: u8,
}

impl Short {
    pub(super) fn new(number: u32, keyword: &Keyword) -> Self {
        let sought = |place: usize| match keyword.text.get(place) {
            Some(byte) if keyword.any_case && byte.is_ascii_alphabetic() => Sought { value: byte & !0x20, mask: !0x20 },
            Some(byte) => Sought { value: *byte, mask: u8::MAX },
            None => Sought { value: 0, mask: 0 },
        };
        Self { number, length: keyword.text.len(), first: sought(0), second: sought(1) }
    }

    /// Calls `found` with every place where it stands, until that says no.
    pub(super) fn each<E>(
        &self,
        level: Level,
        text: &[u8],
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = 0;
        while let Some((begin, mut here)) = self.next(level, text, from) {
            while here != 0 {
                found(begin + here.trailing_zeros() as usize, self.number)?;
                here &= here - 1;
            }
            from = begin + BLOCK;
        }
        Ok(())
    }

    /// Where from a place on the first block begins in which it stands, and where in that.
    fn next(&self, level: Level, text: &[u8], from: usize) -> Option<(usize, u64)> {
        dispatch!(level, simd => self.next_with(simd, text, from))
    }

    #[inline(always)]
    fn next_with<S: Simd>(&self, simd: S, text: &[u8], mut from: usize) -> Option<(usize, u64)> {
        while let Some(rest) = text.get(from..).filter(|rest| rest.len() >= self.length) {
            let here = match rest.first_chunk() {
                Some(block) => self.places(simd, block),
                None => self.last_places(simd, rest),
            };
            if here != 0 {
                return Some((from, here));
            }
            from += BLOCK;
        }
        None
    }

    /// The places at which it stands in what is left of a text.
    #[inline(always)]
    fn last_places<S: Simd>(&self, simd: S, rest: &[u8]) -> u64 {
        let mut block = [PAD; SEEN];
        block.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
        let places = (rest.len() + 1).saturating_sub(self.length);
        self.places(simd, &block) & u64::MAX.unbounded_shr(BLOCK.saturating_sub(places) as u32)
    }

    /// The places at which it stands.
    #[inline(always)]
    fn places<S: Simd>(&self, simd: S, block: &[u8; SEEN]) -> u64 {
        let first = block.first_chunk().unwrap_or(&[PAD; BLOCK]);
        let second = block.last_chunk().unwrap_or(&[PAD; BLOCK]);
        (self.first.is(simd, first) & self.second.is(simd, second)).to_bitmask()
    }
}

impl Sought {
    /// Which bytes of a block are it.
    #[inline(always)]
    fn is<S: Simd>(self, simd: S, bytes: &[u8; BLOCK]) -> mask8x64<S> {
        (u8x64::load_array_ref(simd, bytes) & self.mask).simd_eq(self.value)
    }
}
