//! Keywords of one or two bytes: each is looked for by itself, at 64 places at once.

use wide::u8x16;

use super::{Keyword, PAD};

/// As many places are looked at together.
const BLOCK: usize = 64;

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
    pub(super) fn each<E>(&self, text: &[u8], found: &mut impl FnMut(usize, u32) -> Result<(), E>) -> Result<(), E> {
        let mut from = 0;
        while let Some(rest) = text.get(from..).filter(|rest| rest.len() >= self.length) {
            let mut here = match rest.first_chunk() {
                Some(block) => self.places(block),
                None => self.last_places(rest),
            };
            while here != 0 {
                found(from + here.trailing_zeros() as usize, self.number)?;
                here &= here - 1;
            }
            from += BLOCK;
        }
        Ok(())
    }

    /// The places at which it stands in what is left of a text.
    fn last_places(&self, rest: &[u8]) -> u64 {
        let mut block = [PAD; SEEN];
        block.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
        let places = (rest.len() + 1).saturating_sub(self.length);
        self.places(&block) & u64::MAX.unbounded_shr(BLOCK.saturating_sub(places) as u32)
    }

    /// The places at which it stands.
    #[inline(always)]
    fn places(&self, block: &[u8; SEEN]) -> u64 {
        let at = |from: usize| {
            let rest = block.get(from..).and_then(|rest| rest.first_chunk());
            u8x16::new(rest.copied().unwrap_or_default())
        };
        let is = |step: usize| self.first.is(at(16 * step)) & self.second.is(at(16 * step + 1));
        let all = [is(0), is(1), is(2), is(3)];
        let [a, b, c, d] = all;
        if !(a | b | c | d).any() {
            return 0;
        }
        (0u32..).zip(all).fold(0, |bits, (step, part)| bits | u64::from(part.to_bitmask()) << (16 * step))
    }
}

impl Sought {
    /// Which of sixteen bytes are it.
    #[inline(always)]
    fn is(self, bytes: u8x16) -> u8x16 {
        (bytes & u8x16::splat(self.mask)).simd_eq(u8x16::splat(self.value))
    }
}
