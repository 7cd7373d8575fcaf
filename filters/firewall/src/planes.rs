//! Which bytes of a text are of which kind, a bit for each: what looks for runs and rows reads 64 bytes at
//! once, and hardly anything of a text in which there are none.

use std::ops::Range;

use wide::{i8x16, u8x16};

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
    /// What may begin an escape: `%`, `&`, `\`, `=`; `#`, which follows some, and `$`, which only lies between them.
    pub(crate) mark: u64,
    /// Spaces, tabs, carriage returns.
    pub(crate) blank: u64,
    /// What ends a word in prose and code: white space, quotes, commas, brackets.
    pub(crate) stop: u64,
}

/// All blocks of a text. Reused from text to text.
#[derive(Debug, Default)]
pub(crate) struct Planes {
    blocks: Vec<Block>,
    plain: bool,
}

impl Planes {
    /// Begins with another text.
    pub(crate) fn read(&mut self, text: &str) {
        let (whole, rest) = text.as_bytes().as_chunks::<BLOCK>();
        let mut plain = u8x16::splat(u8::MAX);
        self.blocks.clear();
        self.blocks.extend(whole.iter().map(|bytes| Block::of(bytes, &mut plain)));
        if !rest.is_empty() {
            let mut last = [b' '; BLOCK];
            last.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
            self.blocks.push(Block::of(&last, &mut plain));
        }
        self.plain = plain.all();
    }

    /// Whether the text is of printable ASCII, tabs and ends of lines, and of nothing else.
    pub(crate) fn are_plain(&self) -> bool {
        self.plain
    }

    /// The planes of a text.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        let mut planes = Self::default();
        planes.read(text);
        planes
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The first place from one on that is a bit of what `of` says of its block, from that and the one behind it.
    #[inline]
    pub(crate) fn next(&self, from: usize, of: impl Fn(&Block, &Block) -> u64) -> Option<usize> {
        let mut number = from / BLOCK;
        let mut blocks = self.blocks.get(number..)?.iter();
        let mut block = blocks.next()?;
        let mut open = u64::MAX << (from % BLOCK);
        loop {
            let next = blocks.next();
            let bits = of(block, next.unwrap_or(&Block::NONE)) & open;
            if bits != 0 {
                return Some(number * BLOCK + bits.trailing_zeros() as usize);
            }
            block = next?;
            (number, open) = (number + 1, u64::MAX);
        }
    }

    /// The 64 bytes from a place on; that of the place is the lowest bit.
    pub(crate) fn ahead(&self, at: usize, plane: impl Fn(&Block) -> u64) -> u64 {
        let of = |number: usize| self.blocks.get(number).map_or(0, &plane);
        let (number, shift) = (at / BLOCK, at % BLOCK);
        of(number) >> shift | of(number + 1) << 1 << (BLOCK - 1 - shift)
    }

    /// The 64 bytes before a place; that of the last one is the highest bit.
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
        let mut from = 0;
        std::iter::from_fn(move || {
            let start = self.next(from, |block, next| begins::<LEAST>(plane(block), plane(next)))?;
            let ones = self.ahead(start, plane).trailing_ones() as usize;
            from = if ones < BLOCK { start + ones } else { self.end(start + ones, plane) };
            Some(start..from)
        })
    }
}

/// Where among 64 bits, of which more follow, as many begin that are all set. Of a run that goes over both, where it
/// begins; of others also places within.
#[inline(always)]
fn begins<const LEAST: u32>(bits: u64, next: u64) -> u64 {
    let (mut all, mut known) = (bits, 1);
    while known * 2 <= LEAST {
        all &= all >> known;
        known *= 2;
    }
    let inside = all & all >> (LEAST - known);
    let (last, first) = (bits.leading_ones(), next.trailing_ones());
    let over = u64::from((last > 0) & (last + first >= LEAST)).unbounded_shl(u64::BITS - last);
    inside | over
}

impl Block {
    /// Of what is behind the end.
    pub(crate) const NONE: Self =
        Self { word: 0, symbol: 0, token: 0, digit: 0, line: 0, mark: 0, blank: 0, stop: u64::MAX };

    /// What `plain` has of bits stays where the bytes are plain.
    fn of(bytes: &[u8; BLOCK], plain: &mut u8x16) -> Self {
        let mut block = Self::default();
        for (number, part) in (0u32..).zip(bytes.as_chunks::<16>().0) {
            let part = u8x16::new(*part);
            let is = |byte: u8| part.simd_eq(u8x16::splat(byte));
            let small = part | u8x16::splat(0x20);
            let letter = up_to(small, b'z', 26);
            let digit = up_to(part, b'9', 10);
            let (minus, word, line) = (is(b'-'), letter | digit | is(b'_'), is(b'\n'));
            // Tabs and carriage returns differ in one bit.
            let tab = (part & u8x16::splat(0xFB)).simd_eq(u8x16::splat(b'\t'));
            *plain &= up_to(part, b'~', 0x5F) | line | tab;
            let blank = tab | is(b' ');
            // A brace differs from its bracket as a small letter from a large one.
            let bracket = (part & u8x16::splat(0xFE)).simd_eq(u8x16::splat(b'('))
                | small.simd_eq(u8x16::splat(b'{'))
                | small.simd_eq(u8x16::splat(b'}'));
            let stop = blank | line | is(b'"') | is(b'\'') | is(b',') | bracket;
            let put = |plane: &mut u64, bits: u8x16| *plane |= u64::from(bits.to_bitmask()) << (16 * number);
            put(&mut block.word, word);
            put(&mut block.symbol, word | minus | is(b'+') | is(b'/'));
            put(&mut block.token, word | minus | is(b'.') | is(b'~') | is(b':'));
            put(&mut block.digit, digit);
            put(&mut block.line, line);
            put(&mut block.mark, up_to(part, b'&', 4) | is(b'\\') | is(b'='));
            put(&mut block.blank, blank);
            put(&mut block.stop, stop);
        }
        block
    }
}

/// Which bytes are one of so many up to a last one: moved to the end of what has no sign, they are the largest.
#[inline(always)]
fn up_to(bytes: u8x16, last: u8, count: i8) -> u8x16 {
    let moved = bytes + u8x16::splat(0x7F - last);
    moved.cast_signed().simd_gt(i8x16::splat(i8::MAX - count)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_is_of_its_kinds(text in "([ -~\n\t\u{0}é中]|\\PC|[\0-\u{FF}]){0,200}") {
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
                prop_assert_eq!(is(|block| block.mark), b"#$%&\\=".contains(&byte));
                prop_assert_eq!(is(|block| block.blank), b" \t\r".contains(&byte));
                prop_assert_eq!(is(|block| block.stop), b" \t\r\n\"',()[]{}".contains(&byte));
            }
            prop_assert_eq!(planes.ahead(text.len(), |block| block.symbol), 0);
        }

        #[test]
        fn a_text_is_plain_where_each_byte_is(text in "[ -~\n\t\r]{0,150}([\0-\u{FF}]|\\PC)?[ -~]{0,90}") {
            let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r'));
            prop_assert_eq!(Planes::of(&text).are_plain(), plain);
        }

        #[test]
        fn the_next_place_is_found_over_blocks(text in "[a-c]{0,70}(%[a-c]{0,70}){0,4}", from in 0usize..300) {
            let slow = text.bytes().enumerate().skip(from).find(|(_, byte)| *byte == b'%').map(|(at, _)| at);
            let planes = Planes::of(&text);
            prop_assert_eq!(planes.next(from, |block, _| block.mark), slow);
            let before = slow.and_then(|at| at.checked_sub(1)).filter(|at| *at >= from);
            let found = planes.next(from, |block, next| block.mark >> 1 | next.mark << 63).filter(|_| slow > Some(from));
            prop_assert_eq!(found, before);
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
