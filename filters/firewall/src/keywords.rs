//! Finding every keyword in a text, overlapping ones too, in any ASCII case or as written.
//!
//! Of each keyword its rarest four bytes are hashed, without their case, into a table of bits that stays
//! in the fastest cache, where an automaton over hundreds of keywords does not. Plain text hardly
//! ever gets past it; what does is compared.

mod rarity;

/// How many bytes are looked at; of keywords of three bytes any byte may be the last.
const GRAM: usize = 4;

/// The first three of them are hashed to a number of so many bits, for which the table has a bit for each last one:
/// 32 KiB.
const BITS: u32 = 13;

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
    /// Of each hash: which bytes may stand behind what has it.
    table: Box<[u32; 1 << BITS]>,
    /// Of each hash of three bytes: where its entries begin.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    /// What the keywords say, one after the other.
    bytes: Vec<u8>,
    /// Those of one or two bytes.
    short: Vec<(u32, Keyword)>,
}

/// A keyword of three bytes or more.
struct Entry {
    /// What eight bytes of the text are, and which bits of them count.
    value: u64,
    mask: u64,
    number: u32,
    /// Where in the keyword the hashed bytes stand, and the eight.
    hashed: u32,
    eight: u32,
    /// Where the keyword begins in `bytes`, and its length.
    from: u32,
    length: u32,
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
        let (mut hashed, mut short) = (Vec::new(), Vec::new());
        let mut table = Box::new([0u32; 1 << BITS]);
        for (number, keyword) in (0u32..).zip(keywords) {
            let place = rarity::rarest(&keyword.text);
            let gram = match *keyword.text.get(place..).unwrap_or_default() {
                [a, b, c, d, ..] => [a, b, c, d],
                [a, b, c] => [a, b, c, PAD],
                _ => {
                    short.push((number, keyword.clone()));
                    continue;
                }
            };
            let (gram, any) = (u32::from_le_bytes(gram) | SMALL, keyword.text.len() < GRAM);
            if let Some(last) = table.get_mut(hash(gram)) {
                *last |= if any { u32::MAX } else { 1u32.wrapping_shl(gram >> 24) };
            }
            hashed.push((hash(gram), number, place, keyword));
        }
        hashed.sort_by_key(|(hash, number, ..)| (*hash, *number));
        let mut starts = vec![0u32; (1 << BITS) + 1];
        let (mut entries, mut bytes) = (Vec::new(), Vec::new());
        for (hash, number, place, keyword) in hashed {
            starts.iter_mut().skip(hash + 1).for_each(|start| *start += 1);
            entries.push(Entry::new(number, place, keyword, bytes.len()));
            bytes.extend_from_slice(&keyword.text);
        }
        Self { table, starts, entries, bytes, short }
    }

    /// Calls `found` with the place and the number of every keyword in a text, roughly by place, until it says no.
    pub(crate) fn each<E>(&self, text: &[u8], found: &mut impl FnMut(usize, u32) -> Result<(), E>) -> Result<(), E> {
        let mut next = 0;
        // In steps, so that the common case is one branch for several places.
        for (at, window) in text.windows(STEP + GRAM - 1).enumerate().step_by(STEP) {
            let (Some(first), Some(last)) = (window.first_chunk(), window.last_chunk()) else { break };
            // Eight bytes at a time; the last grams end three bytes behind the first eight.
            let small = u64::from(SMALL) << 32 | u64::from(SMALL);
            let (first, last) = (u64::from_le_bytes(*first) | small, u64::from_le_bytes(*last) | small);
            let gram = |place: usize| match place {
                0..=4 => (first >> (8 * place)) as u32,
                _ => (last >> (8 * (place + 1 - GRAM))) as u32,
            };
            if (0..STEP).fold(0, |any, place| any | self.has(gram(place))) & 1 != 0 {
                for place in (0..STEP).filter(|place| self.has(gram(*place)) & 1 != 0) {
                    self.compare(text, at + place, gram(place), found)?;
                }
            }
            next = at + STEP;
        }
        // The last ones, with what would stand behind the end.
        for at in next..text.len() {
            let byte = |ahead: usize| text.get(at + ahead).copied().unwrap_or(PAD);
            self.compare(text, at, u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]) | SMALL, found)?;
        }
        self.short(text, found)
    }

    /// Whether a keyword may have these bytes: the lowest bit.
    #[inline(always)]
    fn has(&self, gram: u32) -> u32 {
        self.table.get(hash(gram)).copied().unwrap_or_default().wrapping_shr(gram >> 24)
    }

    #[inline(never)]
    fn compare<E>(
        &self,
        text: &[u8],
        at: usize,
        gram: u32,
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = |hash: usize| self.starts.get(hash).map_or(0, |start| *start as usize);
        let hash = hash(gram);
        for entry in self.entries.get(start(hash)..start(hash + 1)).unwrap_or_default() {
            let Some(begin) = at.checked_sub(entry.hashed as usize) else { continue };
            let Some(there) = text.get(begin + entry.eight as usize..) else { continue };
            let eight = match there.first_chunk() {
                Some(eight) => u64::from_le_bytes(*eight),
                None => there.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)),
            };
            if eight & entry.mask == entry.value && self.is_at(text, begin, entry) {
                found(begin, entry.number)?;
            }
        }
        Ok(())
    }

    /// Whether the whole keyword stands at a place, where some of it does.
    fn is_at(&self, text: &[u8], begin: usize, entry: &Entry) -> bool {
        let (from, length) = (entry.from as usize, entry.length as usize);
        let Some(there) = text.get(begin..begin + length) else { return false };
        let keyword = self.bytes.get(from..from + length).unwrap_or_default();
        length <= EIGHT || there == keyword || (entry.any_case && there.eq_ignore_ascii_case(keyword))
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

impl Entry {
    fn new(number: u32, hashed: usize, Keyword { text, any_case }: &Keyword, from: usize) -> Self {
        // All of a short one, and what is seldom of a long one.
        let eight = hashed.min(text.len().saturating_sub(EIGHT));
        let (mut value, mut mask) = (0, 0);
        for (place, byte) in text.iter().skip(eight).take(EIGHT).enumerate() {
            // Letters of any case are compared without the bit that makes them small.
            let bits = if *any_case && byte.is_ascii_alphabetic() { !0x20 } else { u8::MAX };
            mask |= u64::from(bits) << (8 * place);
            value |= u64::from(byte & bits) << (8 * place);
        }
        let narrow = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        Self {
            value,
            mask,
            number,
            hashed: narrow(hashed),
            eight: narrow(eight),
            from: narrow(from),
            length: narrow(text.len()),
            any_case: *any_case,
        }
    }
}

/// As many bytes are compared at once.
const EIGHT: usize = 8;

/// What is taken for the bytes behind the end of a text.
const PAD: u8 = 0;

/// The bits that make letters small.
const SMALL: u32 = 0x2020_2020;

/// Of the first three of four small bytes, the first lowest.
#[inline(always)]
fn hash(gram: u32) -> usize {
    // The last byte is shifted out.
    (gram.wrapping_mul(0x85eb_ca6b << 8) >> (32 - BITS)) as usize
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
