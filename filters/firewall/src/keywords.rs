//! Finding every keyword in a text, overlapping ones too, in any ASCII case or as written.
//!
//! Of each keyword its rarest four bytes are hashed, without their case, into a table of bits that stays
//! in the fastest cache, where an automaton over hundreds of keywords does not. Plain text hardly
//! ever gets past it; what does is compared. Keywords of three bytes have a table of their own.

/// How many bytes are hashed.
const GRAM: usize = 4;

/// The table has two to this power of bits: 16 KiB.
const BITS: u32 = 17;

/// That of keywords of three bytes: 4 KiB.
const SHORT_BITS: u32 = 15;

/// Keywords are kept in two to this power of buckets.
const BUCKET_BITS: u32 = 12;

/// As many places as are looked at together.
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
    four: Box<[u64; 1 << (BITS - 6)]>,
    three: Box<[u64; 1 << (SHORT_BITS - 6)]>,
    of_four: Buckets,
    of_three: Buckets,
    /// Those of one or two bytes.
    short: Vec<(u32, Keyword)>,
}

/// Keywords by the hash of some of their bytes.
struct Buckets {
    /// Of each bucket: where its entries begin.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    /// What the keywords say, one after the other.
    bytes: Vec<u8>,
}

struct Entry {
    /// Of the hashed bytes.
    hash: u32,
    number: u32,
    /// Where the keyword begins in `bytes`, and its length.
    from: usize,
    length: usize,
    /// Where in the keyword the hashed bytes stand.
    offset: usize,
    any_case: bool,
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
        let mut four = Box::new([0u64; 1 << (BITS - 6)]);
        let mut three = Box::new([0u64; 1 << (SHORT_BITS - 6)]);
        let (mut long, mut middle, mut short) = (Vec::new(), Vec::new(), Vec::new());
        for (number, keyword) in (0u32..).zip(keywords) {
            let offset = rarest(&keyword.text);
            match *keyword.text.get(offset..).unwrap_or_default() {
                [a, b, c, d, ..] => {
                    let hash = hash(u32::from_le_bytes([a, b, c, d]));
                    set(&mut four[..], hash >> (32 - BITS));
                    long.push((hash, number, offset, keyword));
                }
                [a, b, c] => {
                    let hash = hash_of_three(u32::from_le_bytes([a, b, c, PAD]));
                    set(&mut three[..], hash >> (32 - SHORT_BITS));
                    middle.push((hash, number, offset, keyword));
                }
                _ => short.push((number, keyword.clone())),
            }
        }
        Self { four, three, of_four: Buckets::new(long), of_three: Buckets::new(middle), short }
    }

    /// Calls `found` with the place and the number of every keyword in a text, roughly by place, until it says no.
    pub(crate) fn each<E>(&self, text: &[u8], found: &mut impl FnMut(usize, u32) -> Result<(), E>) -> Result<(), E> {
        let mut next = 0;
        // In steps, so that the common case is one branch for several places.
        for (at, window) in text.windows(STEP + GRAM - 1).enumerate().step_by(STEP) {
            let (Some(first), Some(last)) = (window.first_chunk(), window.last_chunk()) else { break };
            // Eight bytes at a time; the last grams end three bytes behind the first eight.
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            let gram = |place: usize| match place {
                0..=4 => (first >> (8 * place)) as u32,
                _ => (last >> (8 * (place + 1 - GRAM))) as u32,
            };
            let mut hits = 0;
            for place in 0..STEP {
                let gram = gram(place);
                let hit = self.has_four(hash(gram)) | self.has_three(hash_of_three(gram));
                hits |= (hit & 1) << place;
            }
            while hits != 0 {
                let place = hits.trailing_zeros() as usize;
                hits &= hits - 1;
                self.compare(text, at + place, gram(place), found)?;
            }
            next = at + STEP;
        }
        // The last ones, with what would stand behind the end.
        for at in next..text.len() {
            let byte = |ahead: usize| text.get(at + ahead).copied().unwrap_or(PAD);
            self.compare(text, at, u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]), found)?;
        }
        self.short(text, found)
    }

    #[inline(always)]
    fn has_four(&self, hash: u32) -> u64 {
        let place = hash >> (32 - BITS);
        self.four.get((place >> 6) as usize).copied().unwrap_or_default() >> (place & 63)
    }

    #[inline(always)]
    fn has_three(&self, hash: u32) -> u64 {
        let place = hash >> (32 - SHORT_BITS);
        self.three.get((place >> 6) as usize).copied().unwrap_or_default() >> (place & 63)
    }

    #[inline(always)]
    fn compare<E>(
        &self,
        text: &[u8],
        at: usize,
        gram: u32,
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        let (four, three) = (hash(gram), hash_of_three(gram));
        if self.has_four(four) & 1 != 0 {
            self.of_four.compare(text, at, four, found)?;
        }
        if self.has_three(three) & 1 != 0 {
            self.of_three.compare(text, at, three, found)?;
        }
        Ok(())
    }

    fn short<E>(&self, text: &[u8], found: &mut impl FnMut(usize, u32) -> Result<(), E>) -> Result<(), E> {
        for (number, Keyword { text: keyword, any_case }) in &self.short {
            let Some(first) = keyword.first() else { continue };
            let other = if *any_case { first.to_ascii_uppercase() } else { *first };
            for at in memchr::memchr2_iter(*first, other, text) {
                let Some(there) = text.get(at..at + keyword.len()) else { continue };
                if there == keyword || (*any_case && there.eq_ignore_ascii_case(keyword)) {
                    found(at, *number)?;
                }
            }
        }
        Ok(())
    }
}

impl Buckets {
    /// Of keywords with their hash, their number, and where in them the hashed bytes stand.
    fn new(mut keywords: Vec<(u32, u32, usize, &Keyword)>) -> Self {
        keywords.sort_by_key(|(hash, number, ..)| (hash >> (32 - BUCKET_BITS), *number));
        let mut starts = vec![0u32; (1 << BUCKET_BITS) + 1];
        let (mut entries, mut bytes) = (Vec::new(), Vec::new());
        for (hash, number, offset, Keyword { text, any_case }) in keywords {
            let bucket = (hash >> (32 - BUCKET_BITS)) as usize;
            starts.iter_mut().skip(bucket + 1).for_each(|start| *start += 1);
            entries.push(Entry { hash, number, from: bytes.len(), length: text.len(), offset, any_case: *any_case });
            bytes.extend_from_slice(text);
        }
        Self { starts, entries, bytes }
    }

    #[inline(never)]
    fn compare<E>(
        &self,
        text: &[u8],
        at: usize,
        hash: u32,
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        let bucket = (hash >> (32 - BUCKET_BITS)) as usize;
        let start = |bucket: usize| self.starts.get(bucket).map_or(0, |start| *start as usize);
        let entries = self.entries.get(start(bucket)..start(bucket + 1)).unwrap_or_default();
        // Other bytes do not have this hash: what it takes is multiplied by an odd number.
        for entry in entries.iter().filter(|entry| entry.hash == hash) {
            let Some(begin) = at.checked_sub(entry.offset) else { continue };
            let Some(there) = text.get(begin..begin + entry.length) else { continue };
            let Some(keyword) = self.bytes.get(entry.from..entry.from + entry.length) else { continue };
            if there == keyword || (entry.any_case && there.eq_ignore_ascii_case(keyword)) {
                found(begin, entry.number)?;
            }
        }
        Ok(())
    }
}

/// What is taken for the bytes behind the end of a text.
const PAD: u8 = 0;

/// Of four bytes, the first lowest, without the bit that makes letters small.
#[inline(always)]
fn hash(gram: u32) -> u32 {
    (gram | 0x2020_2020).wrapping_mul(0x9e37_79b1)
}

/// Of the first three of four bytes.
#[inline(always)]
fn hash_of_three(gram: u32) -> u32 {
    ((gram << 8) | 0x2020_2000).wrapping_mul(0x85eb_ca6b)
}

fn set(table: &mut [u64], place: u32) {
    if let Some(word) = table.get_mut((place >> 6) as usize) {
        *word |= 1 << (place & 63);
    }
}

/// Where the four bytes of a keyword stand that are seen least in prose and code.
fn rarest(keyword: &[u8]) -> usize {
    let grams = keyword.windows(GRAM).enumerate();
    grams.min_by_key(|(_, gram)| gram.iter().map(|byte| commonness(*byte)).sum::<u32>()).map_or(0, |(at, _)| at)
}

/// Roughly how often a byte is seen: ten times the logarithm.
fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b' ' => 72,
        b'e' => 67,
        b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 62,
        b'l' | b'c' | b'd' | b'u' | b'm' | b'p' => 56,
        b'f' | b'h' | b'g' | b'_' | b'b' | b'\n' | b'=' | b'-' | b'/' | b'.' | b':' | b'"' => 50,
        b'y' | b'w' | b'v' | b'k' | b'x' | b'(' | b')' | b',' => 45,
        b'0' | b'1' | b'2' => 42,
        b'j' | b'q' | b'z' | b'3'..=b'9' => 36,
        0x80.. => 40,
        _ => 30,
    }
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
