//! Keywords of one or two bytes: all of them are looked for at once, at 64 places at a time.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, mask8x64, u8x64};

use super::{BLOCK, Keyword, PAD};

/// So many bytes say what stands at each of them.
const SEEN: usize = BLOCK + 1;

/// As many are told apart by one look at two bytes.
const TOGETHER: usize = u64::BITS as usize;

/// Keywords of one or two bytes.
#[derive(Default)]
pub(super) struct Shorts(Vec<Group>);

/// As many as are told apart together, with one bit each.
struct Group {
    shorts: Vec<Short>,
    /// Of each byte, which of them it begins, and of which it is the second.
    first: Box<[u64; 256]>,
    second: Box<[u64; 256]>,
    /// Those of one byte.
    single: u64,
}

struct Short {
    number: u32,
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
        if self.0.last().is_none_or(|group| group.shorts.len() == TOGETHER) {
            let (first, second) = (Box::new([0; 256]), Box::new([0; 256]));
            self.0.push(Group { shorts: Vec::new(), first, second, single: 0 });
        }
        let Some(group) = self.0.last_mut() else { return };
        let short = Short { number, first: sought(0), second: sought(1) };
        let bit = 1 << group.shorts.len();
        group.single |= if keyword.text.len() == 1 { bit } else { 0 };
        for (table, sought) in [(&mut group.first, short.first), (&mut group.second, short.second)] {
            let those = (0..=u8::MAX).zip(table.iter_mut()).filter(|(byte, _)| byte & sought.mask == sought.value);
            those.for_each(|(_, bits)| *bits |= bit);
        }
        group.shorts.push(short);
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
                self.0.iter().flat_map(|group| group.at(rest)).try_for_each(|number| found(at, number))?;
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
        // Loops, since what a closure does would be compiled for the least processor.
        for group in &self.0 {
            for short in &group.shorts {
                any |= (short.first.is(first) & short.second.is(second)).to_bitmask();
            }
        }
        any
    }
}

impl Group {
    /// The numbers of those with which a text begins.
    fn at(&self, text: &[u8]) -> impl Iterator<Item = u32> {
        let of = |table: &[u64; 256], byte: &u8| table.get(usize::from(*byte)).copied().unwrap_or(0);
        let mut bits = text.first().map_or(0, |byte| of(&self.first, byte));
        bits &= text.get(1).map_or(self.single, |byte| of(&self.second, byte));
        std::iter::from_fn(move || {
            let short = self.shorts.get(bits.trailing_zeros() as usize)?;
            bits &= bits - 1;
            Some(short.number)
        })
    }
}

impl Sought {
    /// Which bytes of a block are it.
    #[inline(always)]
    fn is<S: Simd>(self, bytes: u8x64<S>) -> mask8x64<S> {
        (bytes & self.mask).simd_eq(self.value)
    }
}
