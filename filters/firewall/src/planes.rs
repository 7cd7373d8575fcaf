//! Which bytes of a text are of which kind, a bit for each: what looks for runs and rows reads 64 bytes at
//! once, and hardly anything of a text in which there are none.

mod long;

use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, mask8x64, u8x64};

use crate::listed::{self, MANY};

/// As many bytes are looked at together.
pub(crate) const BLOCK: usize = 64;

/// As many blocks are room that is kept.
const ROOM: usize = (64 << 10) / BLOCK;

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
    /// All but `i` to `n`, `s` and `t` in any case: such letters are in nearly every word, and in no number.
    pub(crate) code: u64,
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
        self.read_with(Level::new(), text.as_bytes());
    }

    fn read_with(&mut self, level: Level, text: &[u8]) {
        self.blocks.resize(text.len().div_ceil(BLOCK), Block::NONE);
        let Self { blocks, plain } = self;
        *plain = dispatch!(level, simd => read(simd, text, blocks));
    }

    /// Keeps no more room than common texts take.
    pub(crate) fn shrink(&mut self) {
        if self.blocks.capacity() > ROOM {
            *self = Self::default();
        }
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
    #[inline(always)]
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

    /// A bit for each of the 64 bytes from a place on; that of the place is the lowest bit.
    #[inline(always)]
    pub(crate) fn ahead(&self, at: usize, plane: impl Fn(&Block) -> u64) -> u64 {
        let (number, shift) = (at / BLOCK, at % BLOCK);
        // Nearly always there is a block behind that of the place.
        match self.blocks.get(number..number + 2) {
            Some([here, next]) => plane(here) >> shift | plane(next) << 1 << (BLOCK - 1 - shift),
            _ => self.blocks.get(number).map_or(0, plane) >> shift,
        }
    }

    /// A bit for each of the 64 bytes before a place; that of the last one is the highest bit.
    #[inline(always)]
    pub(crate) fn behind(&self, at: usize, plane: impl Fn(&Block) -> u64) -> u64 {
        match at.checked_sub(BLOCK) {
            Some(begin) => self.ahead(begin, plane),
            None => self.blocks.first().map_or(0, plane).unbounded_shl((BLOCK - at) as u32),
        }
    }

    /// What is near a place: before it, and behind the byte there.
    #[inline(always)]
    pub(crate) fn near(&self, at: usize) -> Near<'_> {
        let (number, shift) = (at / BLOCK, at % BLOCK);
        let three = number.checked_sub(1).and_then(|first| self.blocks.get(first..number + 2));
        // Nearly always there is a block on each side.
        let [before, here, after] = match three {
            Some([before, here, after]) => [before, here, after],
            _ => [number.wrapping_sub(1), number, number + 1].map(|at| self.blocks.get(at).unwrap_or(&Block::NONE)),
        };
        Near { before, here, after, shift }
    }

    /// The places that are a bit of what `of` says of their block, from that and the one behind it.
    #[inline(always)]
    pub(crate) fn places<'p>(
        &'p self,
        of: impl Fn(&Block, &Block) -> u64 + Copy + 'p,
    ) -> impl Iterator<Item = usize> + 'p {
        let near = move |number: usize| {
            let near = self.blocks.get(number..).unwrap_or_default();
            near.first().map_or(0, |here| of(here, near.get(1).unwrap_or(&Block::NONE)))
        };
        listed::places(self.blocks.len(), move |first| self.any_in(first, of), near)
    }

    /// In which of many blocks from one on anything is of a kind.
    #[inline(always)]
    fn any_in(&self, first: usize, of: impl Fn(&Block, &Block) -> u64) -> u64 {
        let blocks = self.blocks.get(first..).unwrap_or_default();
        let mut any = 0;
        // A loop, since what a closure does would be compiled for the least processor.
        for (bit, block) in blocks.iter().take(MANY).enumerate() {
            any |= u64::from(of(block, blocks.get(bit + 1).unwrap_or(&Block::NONE)) != 0) << bit;
        }
        any
    }

    /// Where the run ends that goes over a place; there, if none does.
    #[inline(always)]
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
    #[inline(always)]
    pub(crate) fn any(&self, part: Range<usize>, plane: impl Fn(&Block) -> u64 + Copy) -> bool {
        if let 1..=BLOCK = part.len() {
            return self.ahead(part.start, plane) << (BLOCK - part.len()) != 0;
        }
        part.clone().step_by(BLOCK).any(|at| {
            let rest = part.end - at;
            let here = if rest < BLOCK { !(u64::MAX << rest) } else { u64::MAX };
            self.ahead(at, plane) & here != 0
        })
    }

    /// How many bytes of a part are of one kind.
    #[inline(always)]
    pub(crate) fn count(&self, part: Range<usize>, plane: impl Fn(&Block) -> u64 + Copy) -> usize {
        let of = |at: usize| {
            let rest = part.end - at;
            let here = if rest < BLOCK { !(u64::MAX << rest) } else { u64::MAX };
            (self.ahead(at, plane) & here).count_ones() as usize
        };
        part.clone().step_by(BLOCK).map(of).sum()
    }

    /// Calls `found` with every run of at least `LEAST` bytes of one kind, in order.
    #[inline(always)]
    pub(crate) fn each_run<S: Simd, const LEAST: u32>(
        &self,
        simd: S,
        plane: impl Fn(&Block) -> u64 + Copy,
        found: impl FnMut(Range<usize>),
    ) {
        long::each::<_, LEAST>(simd, &self.blocks, plane, found);
    }
}

/// The block of a place, and those beside it.
#[derive(Clone, Copy)]
pub(crate) struct Near<'p> {
    before: &'p Block,
    here: &'p Block,
    after: &'p Block,
    shift: usize,
}

impl Near<'_> {
    /// A bit for each of the 64 bytes before the place, of a kind that nothing behind a text is of; that of the last one is
    /// the highest bit.
    #[inline(always)]
    pub(crate) fn behind(&self, plane: impl Fn(&Block) -> u64) -> u64 {
        plane(self.before) >> self.shift | plane(self.here) << (BLOCK - 1 - self.shift) << 1
    }

    /// A bit for each of the 64 bytes behind the one at the place, of such a kind; that of the first one is the lowest bit.
    #[inline(always)]
    pub(crate) fn ahead(&self, plane: impl Fn(&Block) -> u64) -> u64 {
        plane(self.here) >> self.shift >> 1 | plane(self.after) << (BLOCK - 1 - self.shift)
    }
}

/// Where in these 64 bits a row of `LEAST` set ones begins, which may go on into the next. A row that goes on is named by
/// its beginning; one within, by each place where `LEAST` of it are left.
#[inline(always)]
pub(crate) fn begins<const LEAST: u32>(bits: u64, next: u64) -> u64 {
    let (mut all, mut known) = (bits, 1);
    while known * 2 <= LEAST {
        all &= all >> known;
        known *= 2;
    }
    let inside = all & all >> (LEAST - known);
    let (last, first) = (bits.leading_ones(), next.trailing_ones());
    // Without a branch: where none goes on, nothing is shifted.
    let over = u64::from((last > 0) & (last + first >= LEAST)) << ((u64::BITS - last) % u64::BITS);
    inside | over
}

impl Block {
    /// Of what is behind the end.
    pub(crate) const NONE: Self =
        Self { word: 0, symbol: 0, token: 0, digit: 0, line: 0, mark: 0, blank: 0, stop: u64::MAX, code: 0 };

    /// Of bytes; and whether all of them are plain.
    #[inline(always)]
    fn of<S: Simd>(simd: S, bytes: &[u8; BLOCK]) -> (Self, bool) {
        let bytes = u8x64::load_array_ref(simd, bytes);
        if S::u8s::LEN == BLOCK { Self::by_kind(simd, bytes) } else { Self::by_byte(bytes) }
    }

    /// Where a processor finds 64 bytes in a table at once.
    #[inline(always)]
    fn by_kind<S: Simd>(simd: S, bytes: u8x64<S>) -> (Self, bool) {
        let [small, large] = &KINDS;
        let (small, large) = (u8x64::load_array_ref(simd, small), u8x64::load_array_ref(simd, large));
        let kinds = small.concat_swizzle_dyn_precise(large, bytes);
        let block = Self {
            word: of_kind(kinds, WORD),
            symbol: of_kind(kinds, SYMBOL),
            token: of_kind(kinds, TOKEN),
            digit: of_kind(kinds, DIGIT),
            line: bytes.simd_eq(b'\n').to_bitmask(),
            mark: of_kind(kinds, MARK),
            blank: of_kind(kinds, BLANK),
            stop: of_kind(kinds, STOP),
            code: !of_kind(kinds, LETTER),
        };
        (block, up_to(bytes, b'~', 0x5F).to_bitmask() | block.blank | block.line == u64::MAX)
    }

    /// Where bytes are rather compared than looked up.
    #[inline(always)]
    fn by_byte<S: Simd>(bytes: u8x64<S>) -> (Self, bool) {
        let small = bytes | 0x20;
        let digit = up_to(bytes, b'9', 10);
        let word = up_to(small, b'z', 26) | digit | bytes.simd_eq(b'_');
        let (minus, line) = (bytes.simd_eq(b'-'), bytes.simd_eq(b'\n'));
        // Tabs and carriage returns differ in one bit.
        let tab = (bytes & 0xFB).simd_eq(b'\t');
        let blank = tab | bytes.simd_eq(b' ');
        // A brace differs from its bracket as a small letter from a large one.
        let bracket = (bytes & 0xFE).simd_eq(b'(') | small.simd_eq(b'{') | small.simd_eq(b'}');
        let quote = bytes.simd_eq(b'"') | bytes.simd_eq(b'\'');
        let letter = up_to(small, b'n', 6) | small.simd_eq(b's') | small.simd_eq(b't');
        let block = Self {
            word: word.to_bitmask(),
            symbol: (word | minus | bytes.simd_eq(b'+') | bytes.simd_eq(b'/')).to_bitmask(),
            token: (word | minus | bytes.simd_eq(b'.') | bytes.simd_eq(b'~') | bytes.simd_eq(b':')).to_bitmask(),
            digit: digit.to_bitmask(),
            line: line.to_bitmask(),
            mark: (up_to(bytes, b'&', 4) | bytes.simd_eq(b'\\') | bytes.simd_eq(b'=')).to_bitmask(),
            blank: blank.to_bitmask(),
            stop: (blank | line | quote | bytes.simd_eq(b',') | bracket).to_bitmask(),
            code: !letter.to_bitmask(),
        };
        (block, (up_to(bytes, b'~', 0x5F) | line | tab).all_true())
    }
}

/// The kinds, a bit for each.
const WORD: u8 = 1;
const SYMBOL: u8 = 1 << 1;
const TOKEN: u8 = 1 << 2;
const DIGIT: u8 = 1 << 3;
/// Those that are in words, and in no number.
const LETTER: u8 = 1 << 4;
const MARK: u8 = 1 << 5;
const BLANK: u8 = 1 << 6;
const STOP: u8 = 1 << 7;

/// Of each byte of ASCII, of which kinds it is.
static KINDS: [[u8; BLOCK]; 2] = [kinds_from(0), kinds_from(64)];

const fn kinds_from(first: u8) -> [u8; BLOCK] {
    let mut all = [0; BLOCK];
    let (mut byte, mut rest) = (first, all.as_mut_slice());
    while let Some((kinds, behind)) = rest.split_first_mut() {
        *kinds = kinds_of(byte);
        (byte, rest) = (byte + 1, behind);
    }
    all
}

const fn kinds_of(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => WORD | SYMBOL | TOKEN | DIGIT,
        b'I'..=b'N' | b'S' | b'T' | b'i'..=b'n' | b's' | b't' => WORD | SYMBOL | TOKEN | LETTER,
        b'A'..=b'Z' | b'a'..=b'z' | b'_' => WORD | SYMBOL | TOKEN,
        b'-' => SYMBOL | TOKEN,
        b'+' | b'/' => SYMBOL,
        b'.' | b'~' | b':' => TOKEN,
        b'#' | b'$' | b'%' | b'&' | b'\\' | b'=' => MARK,
        b'\n' => STOP,
        b' ' | b'\t' | b'\r' => BLANK | STOP,
        b'"' | b'\'' | b',' | b'(' | b')' | b'[' | b']' | b'{' | b'}' => STOP,
        _ => 0,
    }
}

#[inline(always)]
fn of_kind<S: Simd>(kinds: u8x64<S>, kind: u8) -> u64 {
    (kinds & kind).simd_eq(kind).to_bitmask()
}

/// The blocks of a text, and whether all of it is plain.
#[inline(always)]
fn read<S: Simd>(simd: S, text: &[u8], blocks: &mut [Block]) -> bool {
    let (whole, rest) = text.as_chunks::<BLOCK>();
    let mut blocks = blocks.iter_mut();
    let mut all_plain = true;
    for (bytes, block) in whole.iter().zip(blocks.by_ref()) {
        let plain;
        (*block, plain) = Block::of(simd, bytes);
        all_plain &= plain;
    }
    if let Some(block) = blocks.next() {
        let mut last = [b' '; BLOCK];
        last.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
        let plain;
        (*block, plain) = Block::of(simd, &last);
        all_plain &= plain;
    }
    all_plain
}

/// Which bytes are one of so many up to a last one.
#[inline(always)]
fn up_to<S: Simd>(bytes: u8x64<S>, last: u8, count: u8) -> mask8x64<S> {
    (bytes - (last + 1 - count)).simd_lt(count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::levels::levels;

    proptest! {
        #[test]
        fn every_byte_is_of_its_kinds(text in "([ -~\n\t\u{0}é中]|\\PC|[\0-\u{FF}]){0,200}") {
            let planes = Planes::of(&text);
            for level in levels() {
                let mut other = Planes::default();
                other.read_with(level, text.as_bytes());
                prop_assert_eq!(format!("{other:?}"), format!("{planes:?}"));
            }
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
                let letter = matches!(byte.to_ascii_lowercase(), b'i'..=b'n' | b's' | b't');
                prop_assert_eq!(is(|block| block.code), !letter);
            }
            for at in 0..text.len() {
                let near = planes.near(at);
                for kind in [|block: &Block| !block.stop, |block: &Block| block.blank] {
                    prop_assert_eq!((near.behind(kind), near.ahead(kind)), (planes.behind(at, kind), planes.ahead(at + 1, kind)));
                }
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
            prop_assert_eq!(planes.places(|block, _| block.mark).find(|at| *at >= from), slow);
            let before = slow.and_then(|at| at.checked_sub(1)).filter(|at| *at >= from);
            let found = planes.next(from, |block, next| block.mark >> 1 | next.mark << 63).filter(|_| slow > Some(from));
            prop_assert_eq!(found, before);
        }

        #[test]
        fn any_byte_of_a_part_counts(text in "([a-z]{0,70}[0-9]){0,5}[a-z]{0,70}", a: usize, b: usize) {
            let (a, b) = (a % (text.len() + 1), b % (text.len() + 1));
            let part = a.min(b)..a.max(b);
            let any = text.get(part.clone()).unwrap().bytes().any(|byte| byte.is_ascii_digit());
            let count = text.get(part.clone()).unwrap().bytes().filter(u8::is_ascii_digit).count();
            prop_assert_eq!(Planes::of(&text).any(part.clone(), |block| block.digit), any);
            prop_assert_eq!(Planes::of(&text).count(part, |block| block.digit), count);
        }
    }
}
