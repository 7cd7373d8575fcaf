//! Finding every keyword in a text, overlapping ones too, in any ASCII case or as written.
//!
//! Of each keyword its rarest four bytes are hashed, without their case, into a table of bits that stays
//! in the fastest cache, where an automaton over hundreds of keywords does not. Plain text hardly
//! ever gets past it; what does is compared.

mod rarity;

use memchr::{memchr2_iter, memmem};
use wide::u16x8;

/// How many bytes are looked at; of keywords of three bytes any byte may be the last.
const GRAM: usize = 4;

/// The first three of them are hashed to a number of so many bits, for which the table has a bit for each last one:
/// 32 KiB.
const BITS: u32 = 13;

/// All four are hashed to a number of so many bits.
const SURE: u32 = 16;

/// What the first two bytes and the third one are multiplied by: one pair of these.
const FACTORS: [(u16, u16); 12] = [
    (0x85eb, 0xca6b),
    (0x9e37, 0x79b1),
    (0xc2b3, 0xae35),
    (0x27d5, 0xeb2f),
    (0x1657, 0x67b1),
    (0xd6e9, 0xfeb9),
    (0x7feb, 0x352d),
    (0x846d, 0xa68b),
    (0xe17b, 0xa1e5),
    (0xa3d9, 0x5fa7),
    (0x5bd1, 0xe995),
    (0x1b87, 0x3593),
];

/// As many places are looked at together.
const BLOCK: usize = 64;

/// As many hashes a vector holds; two of them are looked at together.
const STEP: usize = 8;

/// A keyword to find.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Keyword {
    /// What it says; where `any_case`, in lower case.
    pub(crate) text: Vec<u8>,
    /// Whether it is found in any ASCII case.
    pub(crate) any_case: bool,
}

/// All keywords, ready to be found. They are known by their numbers, in the order given, from 0.
pub(crate) struct Keywords {
    table: Table,
    of_four: Buckets,
    of_three: Buckets,
    /// What the keywords say, one after the other.
    bytes: Vec<u8>,
    /// Those of one or two bytes.
    short: Vec<Short>,
}

/// Which bytes the keywords may have.
struct Table {
    /// What the first two bytes and the third one are multiplied by.
    first: u16,
    third: u16,
    /// Of each hash of three bytes: which may stand behind them.
    last: Box<[u32; 1 << BITS]>,
    /// A bit for each hash of four bytes.
    sure: Box<[u32; 1 << (SURE - 5)]>,
}

/// A keyword of one or two bytes.
struct Short {
    number: u32,
    keyword: Vec<u8>,
    finder: Finder,
}

enum Finder {
    Exact(Box<memmem::Finder<'static>>),
    AnyCase,
}

/// Keywords by a hash of their rarest bytes.
struct Buckets {
    /// Of each hash: where its entries begin.
    starts: Vec<u32>,
    entries: Vec<Entry>,
}

/// A keyword of three bytes or more.
struct Entry {
    /// What the eight bytes are from the hashed ones on, and the eight before them, as far as they count.
    on: Eight,
    back: Eight,
    number: u32,
    /// Where in the keyword the hashed bytes stand.
    hashed: u32,
    /// Where the keyword begins in `bytes`, and its length.
    from: u32,
    length: u32,
    any_case: bool,
    /// Whether there is more of it than those bytes.
    longer: bool,
}

/// Eight bytes, and which bits of them count.
#[derive(Default)]
struct Eight {
    value: u64,
    mask: u64,
}

impl Keyword {
    /// A keyword that is found in any ASCII case.
    pub(crate) fn any_case(text: &str) -> Self {
        Self { text: text.to_ascii_lowercase().into_bytes(), any_case: true }
    }

    /// A keyword that is found as it is written.
    pub(crate) fn exact(text: &str) -> Self {
        Self { text: text.as_bytes().to_vec(), any_case: false }
    }
}

impl Keywords {
    /// Of these keywords. Empty ones are never found.
    pub(crate) fn new(keywords: &[Keyword]) -> Self {
        let (mut hashed, mut short) = (Vec::new(), Vec::new());
        for (number, keyword) in (0u32..).zip(keywords) {
            let place = rarity::rarest(&keyword.text);
            match *keyword.text.get(place..).unwrap_or_default() {
                [a, b, c, d, ..] => hashed.push((u32::from_le_bytes([a, b, c, d]) | SMALL, number, place, keyword)),
                [a, b, c] => hashed.push((u32::from_le_bytes([a, b, c, PAD]) | SMALL, number, place, keyword)),
                [] => {}
                _ => short.push(Short::new(number, keyword)),
            }
        }
        let grams: Vec<(u32, bool)> =
            hashed.iter().map(|(gram, _, _, keyword)| (*gram, keyword.text.len() < GRAM)).collect();
        let table = Table::new(&grams);
        let (mut four, mut three, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for ((gram, number, place, keyword), (_, any)) in hashed.into_iter().zip(grams) {
            let entry = Entry::new(number, place, keyword, bytes.len());
            bytes.extend_from_slice(&keyword.text);
            if any { three.push((slot(table.hash(gram)), entry)) } else { four.push((hash_of_four(gram), entry)) }
        }
        Self { table, of_four: Buckets::new(four), of_three: Buckets::new(three), bytes, short }
    }

    /// Calls `found` with the place and the number of every keyword in a text, roughly by place, until it says no.
    pub(crate) fn each<E>(&self, text: &[u8], found: &mut impl FnMut(usize, u32) -> Result<(), E>) -> Result<(), E> {
        let mut next = 0;
        for (at, window) in text.windows(BLOCK + GRAM - 1).enumerate().step_by(BLOCK) {
            let Some(window) = window.first_chunk() else { break };
            let mut places = self.table.places(window);
            while places != 0 {
                let place = at + places.trailing_zeros() as usize;
                places &= places - 1;
                let Some(gram) = text.get(place..).and_then(|rest| rest.first_chunk()) else { break };
                let gram = u32::from_le_bytes(*gram) | SMALL;
                if self.table.surely_has(gram) {
                    self.compare(text, place, gram, found)?;
                }
            }
            next = at + BLOCK;
        }
        // The last ones, with what would stand behind the end.
        for at in next..text.len() {
            let byte = |ahead: usize| text.get(at + ahead).copied().unwrap_or(PAD);
            let gram = u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]) | SMALL;
            if self.table.has(gram) & 1 != 0 {
                self.compare(text, at, gram, found)?;
            }
        }
        self.short(text, found)
    }

    #[inline(never)]
    fn compare<E>(
        &self,
        text: &[u8],
        at: usize,
        gram: u32,
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        let entries = self.of_four.of(hash_of_four(gram)).iter().chain(self.of_three.of(slot(self.table.hash(gram))));
        let (before, rest) = text.split_at_checked(at).unwrap_or_default();
        let on = match rest.first_chunk() {
            Some(eight) => u64::from_le_bytes(*eight),
            None => rest.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)),
        };
        for entry in entries.filter(|entry| entry.on.is(on)) {
            let back = match before.last_chunk() {
                Some(eight) => u64::from_le_bytes(*eight),
                None => before.iter().fold(0, |all, byte| all >> 8 | u64::from(*byte) << 56),
            };
            let Some(begin) = at.checked_sub(entry.hashed as usize).filter(|_| entry.back.is(back)) else { continue };
            if begin + entry.length as usize <= text.len() && (!entry.longer || self.is_at(text, begin, entry)) {
                found(begin, entry.number)?;
            }
        }
        Ok(())
    }

    /// Whether the whole keyword stands at a place, where some of it does.
    fn is_at(&self, text: &[u8], begin: usize, entry: &Entry) -> bool {
        let (from, length) = (entry.from as usize, entry.length as usize);
        let there = text.get(begin..begin + length).unwrap_or_default();
        let keyword = self.bytes.get(from..from + length).unwrap_or_default();
        there == keyword || (entry.any_case && there.eq_ignore_ascii_case(keyword))
    }

    fn short<E>(&self, text: &[u8], found: &mut impl FnMut(usize, u32) -> Result<(), E>) -> Result<(), E> {
        for Short { number, keyword, finder } in &self.short {
            let mut from = 0;
            while let Some(ahead) = text.get(from..).and_then(|rest| finder.find(rest, keyword)) {
                found(from + ahead, *number)?;
                from += ahead + 1;
            }
        }
        Ok(())
    }
}

impl Short {
    fn new(number: u32, keyword: &Keyword) -> Self {
        let cased = keyword.any_case && keyword.text.iter().any(u8::is_ascii_alphabetic);
        let finder = if cased {
            Finder::AnyCase
        } else {
            Finder::Exact(Box::new(memmem::Finder::new(&keyword.text).into_owned()))
        };
        Self { number, keyword: keyword.text.clone(), finder }
    }
}

impl Finder {
    fn find(&self, text: &[u8], keyword: &[u8]) -> Option<usize> {
        match self {
            Self::Exact(finder) => finder.find(text),
            Self::AnyCase => {
                let first = keyword.first()?;
                let here = |at: &usize| {
                    text.get(*at..at + keyword.len()).is_some_and(|there| there.eq_ignore_ascii_case(keyword))
                };
                memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text).find(here)
            }
        }
    }
}

impl Table {
    /// With bits for these grams; of some, any byte may be the last. Of a few ways to hash them it takes the one that
    /// common text gets past most seldom.
    fn new(grams: &[(u32, bool)]) -> Self {
        let cost = |table: &Self| {
            rarity::common().filter(|(gram, _)| table.has(*gram) & 1 != 0).map(|(_, w)| u64::from(w)).sum::<u64>()
        };
        let tables = FACTORS.iter().map(|factor| Self::by(*factor, grams));
        tables.min_by_key(cost).unwrap_or_else(|| Self::by((1, 1), grams))
    }

    fn by((first, third): (u16, u16), grams: &[(u32, bool)]) -> Self {
        let mut table = Self { first, third, last: Box::new([0; 1 << BITS]), sure: Box::new([0; 1 << (SURE - 5)]) };
        for (gram, any) in grams {
            let hash = slot(table.hash(*gram));
            let bit = if *any { u32::MAX } else { 1u32.wrapping_shl(gram >> 24) };
            table.last.get_mut(hash).into_iter().for_each(|last| *last |= bit);
            for last in 0..if *any { 256 } else { 1 } {
                let gram = (gram & 0xFF_FFFF | if *any { last << 24 } else { gram & 0xFF00_0000 }) | SMALL;
                let hash = mixed(gram) >> (32 - SURE);
                table.sure.get_mut((hash >> 5) as usize).into_iter().for_each(|bits| *bits |= 1 << (hash & 31));
            }
        }
        table
    }

    /// Of the first three bytes, the first lowest.
    #[inline(always)]
    fn hash(&self, gram: u32) -> u16 {
        (gram as u16).wrapping_mul(self.first).wrapping_add(((gram >> 16) as u16 & 0xFF).wrapping_mul(self.third))
    }

    /// What may stand behind bytes of this hash.
    #[inline(always)]
    fn last_at(&self, hash: u16) -> u32 {
        self.last.get(slot(hash)).copied().unwrap_or_default()
    }

    /// The places in a block where a keyword may have the bytes that stand there: the same as `has` for each.
    #[inline(always)]
    fn places(&self, block: &[u8; BLOCK + GRAM - 1]) -> u64 {
        let mut places = 0;
        for (step, window) in (0u32..).zip(block.windows(2 * STEP + GRAM - 1).step_by(2 * STEP)) {
            let pairs = |from: usize| {
                let bytes = window.get(from..).and_then(|bytes| bytes.first_chunk::<{ 2 * STEP }>());
                u16x8::new(bytes.map_or([0; STEP], |bytes| {
                    let (pairs, _) = bytes.as_chunks::<2>();
                    std::array::from_fn(|at| pairs.get(at).map_or(0, |pair| u16::from_le_bytes(*pair)))
                }))
            };
            let hash = |first: u16x8, third: u16x8| {
                let (first, third) = (first | u16x8::splat(0x2020), (third | u16x8::splat(0x20)) & u16x8::splat(0xFF));
                (first * u16x8::splat(self.first) + third * u16x8::splat(self.third)).to_array()
            };
            let (even, odd) = (pairs(2), pairs(3));
            let (even_hash, odd_hash) = (hash(pairs(0), even), hash(pairs(1), odd));
            let (even, odd) = (even.to_array(), odd.to_array());
            let mut bits = 0;
            for at in (0..STEP).rev() {
                let has = |hash: &[u16; STEP], pair: &[u16; STEP]| {
                    let (hash, pair) = (hash.get(at).copied().unwrap_or(0), pair.get(at).copied().unwrap_or(0));
                    self.last_at(hash).wrapping_shr(u32::from(pair >> 8)) & 1
                };
                bits = bits << 1 | has(&odd_hash, &odd);
                bits = bits << 1 | has(&even_hash, &even);
            }
            places |= u64::from(bits) << (16 * step);
        }
        places
    }

    /// The same as `has`, for those that it is true of: most of them are by chance.
    #[inline(always)]
    fn surely_has(&self, gram: u32) -> bool {
        let hash = mixed(gram) >> (32 - SURE);
        self.sure.get((hash >> 5) as usize).is_some_and(|bits| bits >> (hash & 31) & 1 != 0)
    }

    /// Whether a keyword may have these bytes: the lowest bit.
    #[inline(always)]
    fn has(&self, gram: u32) -> u32 {
        self.last_at(self.hash(gram)).wrapping_shr(gram >> 24)
    }
}

impl Buckets {
    fn new(mut hashed: Vec<(usize, Entry)>) -> Self {
        hashed.sort_by_key(|(hash, entry)| (*hash, entry.number));
        let mut starts = vec![0u32; (1 << BITS) + 1];
        for (hash, _) in &hashed {
            starts.get_mut(hash + 1).into_iter().for_each(|count| *count += 1);
        }
        let mut all = 0;
        starts.iter_mut().for_each(|start| {
            all += *start;
            *start = all;
        });
        Self { starts, entries: hashed.into_iter().map(|(_, entry)| entry).collect() }
    }

    #[inline(always)]
    fn of(&self, hash: usize) -> &[Entry] {
        let start = |hash: usize| self.starts.get(hash).map_or(0, |start| *start as usize);
        self.entries.get(start(hash)..start(hash + 1)).unwrap_or_default()
    }
}

impl Entry {
    fn new(number: u32, hashed: usize, Keyword { text, any_case }: &Keyword, from: usize) -> Self {
        let (before, rest) = text.split_at_checked(hashed).unwrap_or_default();
        let narrow = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        Self {
            on: Eight::of((0..8).zip(rest), *any_case),
            back: Eight::of((0..8).rev().zip(before.iter().rev()), *any_case),
            number,
            hashed: narrow(hashed),
            from: narrow(from),
            length: narrow(text.len()),
            any_case: *any_case,
            longer: before.len() > 8 || rest.len() > 8,
        }
    }
}

impl Eight {
    /// Of bytes and their places. Letters of any case are compared without the bit that makes them small.
    fn of<'b>(bytes: impl Iterator<Item = (u32, &'b u8)>, any_case: bool) -> Self {
        bytes.fold(Self::default(), |Self { value, mask }, (place, byte)| {
            let bits = if any_case && byte.is_ascii_alphabetic() { !0x20 } else { u8::MAX };
            let put = |byte: u8| u64::from(byte) << (8 * place);
            Self { value: value | put(byte & bits), mask: mask | put(bits) }
        })
    }

    #[inline(always)]
    fn is(&self, bytes: u64) -> bool {
        bytes & self.mask == self.value
    }
}

/// What is taken for the bytes behind the end of a text.
const PAD: u8 = 0;

/// The bits that make letters small.
const SMALL: u32 = 0x2020_2020;

/// Of four small bytes.
#[inline(always)]
fn hash_of_four(gram: u32) -> usize {
    (mixed(gram) >> (32 - BITS)) as usize
}

/// Four bytes, so that each changes the highest bits.
#[inline(always)]
fn mixed(gram: u32) -> u32 {
    gram.wrapping_mul(0x9e37_79b1)
}

/// Where a hash of three bytes has its place.
#[inline(always)]
fn slot(hash: u16) -> usize {
    usize::from(hash >> (16 - BITS))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use aho_corasick::{AhoCorasick, MatchKind};
    use proptest::prelude::*;

    use super::*;

    fn by_table(keywords: &[Keyword], text: &[u8]) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        let each = Keywords::new(keywords).each(text, &mut |at, number| {
            found.push((at, number));
            Ok::<_, Infallible>(())
        });
        each.unwrap();
        found.sort_unstable();
        found
    }

    /// What an automaton over the same keywords finds.
    fn by_automaton(keywords: &[Keyword], text: &[u8]) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        for any_case in [true, false] {
            let own: Vec<_> = (0u32..).zip(keywords).filter(|(_, k)| k.any_case == any_case).collect();
            let mut builder = AhoCorasick::builder();
            builder.match_kind(MatchKind::Standard).ascii_case_insensitive(any_case);
            let automaton = builder.build(own.iter().map(|(_, keyword)| &keyword.text)).unwrap();
            found.extend(
                automaton.find_overlapping_iter(text).map(|hit| (hit.start(), own[hit.pattern().as_usize()].0)),
            );
        }
        found.sort_unstable();
        found
    }

    #[test]
    fn finds_short_ones_at_the_very_end() {
        let keywords = [Keyword::any_case("q~"), Keyword::exact("sk-"), Keyword::any_case("x"), Keyword::exact("")];
        assert_eq!(by_table(&keywords, b"aSk-sk-Q~"), [(4, 1), (7, 0)]);
        assert_eq!(by_table(&keywords, b"...........X"), [(11, 2)]);
        assert_eq!(by_table(&keywords, b""), []);
    }

    #[test]
    fn stops_when_told() {
        let mut seen = 0;
        let stopped = Keywords::new(&[Keyword::exact("abcd")]).each(&b"abcd ".repeat(9), &mut |_, _| {
            seen += 1;
            if seen == 3 { Err("enough") } else { Ok(()) }
        });
        assert_eq!((stopped, seen), (Err("enough"), 3));
    }

    proptest! {
        #[test]
        fn finds_what_an_automaton_finds(
            keywords in prop::collection::vec(("[a-zA-Z_:é. -]{1,9}", any::<bool>()), 1..12),
            pieces in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, "[a-zA-Z_:/é. -]{0,3}", any::<bool>()), 0..12),
            noise in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let keywords: Vec<_> = keywords
                .iter()
                .map(|(text, any_case)| if *any_case { Keyword::any_case(text) } else { Keyword::exact(text) })
                .collect();
            let mut text = noise;
            for (which, most, between, loud) in pieces {
                let keyword = &keywords[which.index(keywords.len())].text;
                let piece = &keyword[..keyword.len().min(most)];
                text.extend(if loud { piece.to_ascii_uppercase() } else { piece.to_vec() });
                text.extend(between.bytes());
            }
            prop_assert_eq!(by_table(&keywords, &text), by_automaton(&keywords, &text));
        }
    }
}
