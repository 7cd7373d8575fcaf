//! Keywords of one or two bytes: all of them are looked for at once, at 64 places at a time.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, mask8x64, u8x64};

use super::{BLOCK, Keyword, PAD};

/// So many bytes say what stands at each of them.
const SEEN: usize = BLOCK + 1;

/// Keywords of one or two bytes.
#[derive(Default)]
pub(super) struct Shorts(Vec<Short>);

struct Short {
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

impl Shorts {
    /// Adds a keyword, by its number.
    pub(super) fn add(&mut self, number: u32, keyword: &Keyword) {
        let sought = |place: usize| match keyword.text.get(place) {
            Some(byte) if keyword.any_case && byte.is_ascii_alphabetic() => Sought { value: byte & !0x20, mask: !0x20 },
            Some(byte) => Sought { value: *byte, mask: u8::MAX },
            None => Sought { value: 0, mask: 0 },
        };
        self.0.push(Short { number, length: keyword.text.len(), first: sought(0), second: sought(1) });
    }

    /// Calls `found` with every place where one stands, by place, until that says no.
    pub(super) fn each<E>(
        &self,
        level: Level,
        text: &[u8],
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = 0;
        while let Some((begin, mut here)) = self.next(level, text, from) {
            while here != 0 {
                let at = begin + here.trailing_zeros() as usize;
                here &= here - 1;
                let rest = text.get(at..).unwrap_or_default();
                self.0.iter().filter(|short| short.begins(rest)).try_for_each(|short| found(at, short.number))?;
            }
            from = begin + BLOCK;
        }
        Ok(())
    }

    /// Where from a place on the first block begins in which one may stand, and where in that.
    fn next(&self, level: Level, text: &[u8], from: usize) -> Option<(usize, u64)> {
        dispatch!(level, simd => self.next_with(simd, text, from))
    }

    #[inline(always)]
    fn next_with<S: Simd>(&self, simd: S, text: &[u8], mut from: usize) -> Option<(usize, u64)> {
        while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty() && !self.0.is_empty()) {
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

    /// The places at which one may stand in what is left of a text.
    #[inline(always)]
    fn last_places<S: Simd>(&self, simd: S, rest: &[u8]) -> u64 {
        let mut block = [PAD; SEEN];
        block.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
        self.places(simd, &block) & u64::MAX.unbounded_shr(BLOCK.saturating_sub(rest.len()) as u32)
    }

    /// The places at which one stands.
    #[inline(always)]
    fn places<S: Simd>(&self, simd: S, block: &[u8; SEEN]) -> u64 {
        let first = u8x64::load_array_ref(simd, block.first_chunk().unwrap_or(&[PAD; BLOCK]));
        let second = u8x64::load_array_ref(simd, block.last_chunk().unwrap_or(&[PAD; BLOCK]));
        let mut any = 0;
        // A loop, since what a closure does would be compiled for the least processor.
        for short in &self.0 {
            any |= (short.first.is(first) & short.second.is(second)).to_bitmask();
        }
        any
    }
}

impl Short {
    /// Whether a text begins with it.
    fn begins(&self, text: &[u8]) -> bool {
        let sought = [self.first, self.second];
        text.len() >= self.length && text.iter().zip(sought).all(|(byte, sought)| byte & sought.mask == sought.value)
    }
}

impl Sought {
    /// Which bytes of a block are it.
    #[inline(always)]
    fn is<S: Simd>(self, bytes: u8x64<S>) -> mask8x64<S> {
        (bytes & self.mask).simd_eq(self.value)
    }
}
