//! Which bytes of a text are of which kind, a bit for each: what looks for runs and rows reads 64 bytes at
//! once, and hardly anything of a text in which there are none.

use std::ops::Range;

use wide::u8x16;

/// As many bytes are looked at together.
pub(crate) const BLOCK: usize = 64;

/// Of each kind of byte, which of 64 bytes are of it; the first is the lowest bit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Block {
    /// Letters, digits, `_`.
    pub(crate) word: u64,
    /// Those and `-`, `+`, `/`: what Base64 is made of, in both alphabets.
    pub(crate) symbol: u64,
    /// Those of words and `-`, `.`, `~`, `:`: what tokens are made of.
    pub(crate) token: u64,
    pub(crate) digit: u64,
    /// Ends of lines.
    pub(crate) line: u64,
}

/// All blocks of a text. Reused from text to text.
#[derive(Debug, Default)]
pub(crate) struct Planes {
    blocks: Vec<Block>,
}

impl Planes {
    /// Begins with another text.
    pub(crate) fn read(&mut self, text: &str) {
        let (whole, rest) = text.as_bytes().as_chunks::<BLOCK>();
        self.blocks.clear();
        self.blocks.extend(whole.iter().map(Block::of));
        if !rest.is_empty() {
            let mut last = [0; BLOCK];
            last.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
            self.blocks.push(Block::of(&last));
        }
    }

    /// The planes of a text.
    pub(crate) fn of(text: &str) -> Self {
        let mut planes = Self::default();
        planes.read(text);
        planes
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The 64 bytes from a place on; that of the place is the lowest bit.
    pub(crate) fn ahead(&self, at: usize, plane: impl Fn(&Block) -> u64) -> u64 {
        let of = |number: usize| self.blocks.get(number).map_or(0, &plane);
        let (number, shift) = (at / BLOCK, at % BLOCK);
        of(number) >> shift | of(number + 1) << 1 << (BLOCK - 1 - shift)
    }

    /// The 64 bytes before a place; that of the last one is the highest bit.
    #[cfg(test)]
    pub(crate) fn behind(&self, at: usize, plane: impl Fn(&Block) -> u64) -> u64 {
        match at.checked_sub(BLOCK) {
            Some(begin) => self.ahead(begin, plane),
            None => self.blocks.first().map_or(0, plane).unbounded_shl((BLOCK - at) as u32),
        }
    }

    /// Where the run ends that goes over a place; there, if none does.
    pub(crate) fn end(&self, mut at: usize, plane: impl Fn(&Block) -> u64) -> usize {
        while let Some(block) = self.blocks.get(at / BLOCK) {
            let ones = (plane(block) >> (at % BLOCK)).trailing_ones() as usize;
            at += ones;
            if ones == 0 || !at.is_multiple_of(BLOCK) {
                break;
            }
        }
        at
    }

    /// Whether any byte of a part is of one kind.
    pub(crate) fn any(&self, part: Range<usize>, plane: impl Fn(&Block) -> u64 + Copy) -> bool {
        part.clone().step_by(BLOCK).any(|at| {
            let rest = part.end - at;
            let here = if rest < BLOCK { !(u64::MAX << rest) } else { u64::MAX };
            self.ahead(at, plane) & here != 0
        })
    }

    /// Every run of at least so many bytes of one kind, 64 at most.
    pub(crate) fn runs<'p, const LEAST: u32>(
        &'p self,
        plane: impl Fn(&Block) -> u64 + Copy + 'p,
    ) -> impl Iterator<Item = Range<usize>> + 'p {
        let mut number = 0;
        // Where the last run ended.
        let mut floor = 0usize;
        std::iter::from_fn(move || {
            loop {
                let here = plane(self.blocks.get(number)?);
                let next = self.blocks.get(number + 1).map_or(0, plane);
                let mut starts = starts::<LEAST>(u128::from(here) | u128::from(next) << BLOCK);
                if starts != 0 {
                    let known = floor.saturating_sub(number * BLOCK);
                    starts &= u64::MAX.unbounded_shl(known as u32);
                }
                if starts == 0 {
                    number += 1;
                    continue;
                }
                let start = number * BLOCK + starts.trailing_zeros() as usize;
                let end = self.end(start, plane);
                (floor, number) = (end, end / BLOCK);
                return Some(start..end);
            }
        })
    }
}

/// Where among the first 64 bits as many begin that are all set.
#[inline(always)]
fn starts<const LEAST: u32>(bits: u128) -> u64 {
    let (mut all, mut known) = (bits, 1);
    while known * 2 <= LEAST {
        all &= all >> known;
        known *= 2;
    }
    (all & all >> (LEAST - known)) as u64
}

impl Block {
    fn of(bytes: &[u8; BLOCK]) -> Self {
        let mut block = Self::default();
        for (number, part) in (0u32..).zip(bytes.as_chunks::<16>().0) {
            let part = u8x16::new(*part);
            let is = |byte: u8| part.simd_eq(u8x16::splat(byte));
            let small = part | u8x16::splat(0x20);
            let letter = (small - u8x16::splat(b'a')).simd_le(u8x16::splat(25));
            let digit = (part - u8x16::splat(b'0')).simd_le(u8x16::splat(9));
            let (minus, word) = (is(b'-'), letter | digit | is(b'_'));
            let put = |plane: &mut u64, bits: u8x16| *plane |= u64::from(bits.to_bitmask()) << (16 * number);
            put(&mut block.word, word);
            put(&mut block.symbol, word | minus | is(b'+') | is(b'/'));
            put(&mut block.token, word | minus | is(b'.') | is(b'~') | is(b':'));
            put(&mut block.digit, digit);
            put(&mut block.line, is(b'\n'));
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_is_of_its_kinds(text in "[ -~\n\t\u{0}é中]{0,200}") {
            let planes = Planes::of(&text);
            for (at, byte) in text.bytes().enumerate() {
                let is = |plane: fn(&Block) -> u64| {
                    assert_eq!(planes.ahead(at, plane) & 1, planes.behind(at + 1, plane) >> 63);
                    planes.ahead(at, plane) & 1 != 0
                };
                let word = byte.is_ascii_alphanumeric() || byte == b'_';
                prop_assert_eq!(is(|block| block.word), word);
                prop_assert_eq!(is(|block| block.symbol), word || b"+/-".contains(&byte));
                prop_assert_eq!(is(|block| block.token), word || b"-.~:".contains(&byte));
                prop_assert_eq!(is(|block| block.digit), byte.is_ascii_digit());
                prop_assert_eq!(is(|block| block.line), byte == b'\n');
            }
            prop_assert_eq!(planes.ahead(text.len(), |block| block.symbol), 0);
        }

        #[test]
        fn every_run_is_found_whole(text in "([a-z]{0,70}[ é]{1,3}){0,9}") {
            let slow = |least: u32| -> Vec<_> {
                text.split(|c: char| !c.is_ascii_lowercase())
                    .filter(|run| run.len() >= least as usize)
                    .map(|run| run.as_ptr().addr() - text.as_ptr().addr())
                    .map(|start| (start, text.bytes().skip(start).take_while(u8::is_ascii_lowercase).count()))
                    .map(|(start, size)| start..start + size)
                    .collect()
            };
            let planes = Planes::of(&text);
            let word = |block: &Block| block.word;
            prop_assert_eq!(planes.runs::<1>(word).collect::<Vec<_>>(), slow(1));
            prop_assert_eq!(planes.runs::<16>(word).collect::<Vec<_>>(), slow(16));
            prop_assert_eq!(planes.runs::<20>(word).collect::<Vec<_>>(), slow(20));
            prop_assert_eq!(planes.runs::<64>(word).collect::<Vec<_>>(), slow(64));
        }

        #[test]
        fn any_byte_of_a_part_counts(text in "([a-z]{0,70}[0-9]){0,5}[a-z]{0,70}", a: usize, b: usize) {
            let (a, b) = (a % (text.len() + 1), b % (text.len() + 1));
            let part = a.min(b)..a.max(b);
            let any = text.get(part.clone()).unwrap().bytes().any(|byte| byte.is_ascii_digit());
            prop_assert_eq!(Planes::of(&text).any(part, |block| block.digit), any);
        }
    }
}
