//! Finding every keyword in a text, overlapping ones too, in any ASCII case or as written.
//!
//! Of each keyword its rarest four bytes are hashed, without their case, into a small table that stays in the
//! fastest cache, where an automaton over hundreds of keywords does not. Plain text hardly ever gets past it; what
//! does is compared. Nothing of that is guessed at: places are put into a list, and the list is thinned out, since a
//! processor that has guessed wrongly loses more time than a few places take.

mod groups;
mod rarity;
mod short;
mod sieve;

use groups::{Around, Entry, Groups};
use short::Short;
use sieve::{BLOCK, Sieve};

/// How many bytes are looked at; of keywords of three bytes any byte may be the last.
const GRAM: usize = 4;

/// The places of so many bytes are listed together.
const CHUNK: usize = 512;

/// As many places of a block are listed without asking whether they are any.
const UNASKED: usize = 4;

/// Keywords are known by hashes of so many bits: of four bytes, and of three.
const OF_FOUR: u32 = 14;
const OF_THREE: u32 = 10;

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
    sieve: Sieve,
    of_four: Groups,
    of_three: Groups,
    /// What the keywords say, one after the other.
    bytes: Vec<u8>,
    /// Those of one or two bytes.
    short: Vec<Short>,
}

/// Places in a part of a text, counted from where that begins.
struct Places {
    list: [u16; CHUNK + UNASKED],
    count: usize,
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
        let (mut four, mut three, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut grams, mut short) = (Vec::new(), Vec::new());
        for (number, keyword) in (0u32..).zip(keywords) {
            let place = rarity::rarest(&keyword.text);
            let entry = Entry::new(number, place, keyword, bytes.len());
            match *keyword.text.get(place..).unwrap_or_default() {
                [a, b, c, d, ..] => {
                    let gram = u32::from_le_bytes([a, b, c, d]);
                    four.push((gram | SMALL, entry));
                    grams.push((gram, false));
                }
                [a, b, c] => {
                    let gram = u32::from_le_bytes([a, b, c, PAD]);
                    three.push((first_three(gram), entry));
                    grams.push((gram, true));
                }
                [] => continue,
                _ => short.push(Short::new(number, keyword)),
            }
            bytes.extend_from_slice(&keyword.text);
        }
        let (of_four, of_three) = (Groups::new(four, OF_FOUR), Groups::new(three, OF_THREE));
        Self { sieve: Sieve::new(&grams), of_four, of_three, bytes, short }
    }

    /// Calls `found` with the place and the number of every keyword in a text, roughly by place, until it says no.
    pub(crate) fn each<E>(&self, text: &[u8], found: &mut impl FnMut(usize, u32) -> Result<(), E>) -> Result<(), E> {
        let mut places = Places { list: [0; CHUNK + UNASKED], count: 0 };
        for from in (0..text.len()).step_by(CHUNK) {
            self.list(text, from, &mut places);
            self.thin_out(text, from, &mut places);
            for place in places.list.get(..places.count).unwrap_or_default() {
                self.compare(text, from + usize::from(*place), found)?;
            }
        }
        self.short.iter().try_for_each(|short| short.each(text, found))
    }

    /// Lists the places in a part of a text at which the rarest bytes of a keyword may stand.
    #[inline(never)]
    fn list(&self, text: &[u8], from: usize, places: &mut Places) {
        places.count = 0;
        for begin in (0..CHUNK).step_by(BLOCK) {
            let Some(rest) = text.get(from + begin..).filter(|rest| !rest.is_empty()) else { break };
            let here = match rest.first_chunk() {
                Some(block) => self.sieve.places(block),
                None => self.last_places(rest),
            };
            places.add(begin as u16, here);
        }
    }

    /// The places in what is left of a text, as if something that no keyword has stood behind it.
    #[cold]
    fn last_places(&self, rest: &[u8]) -> u64 {
        let mut block = [PAD; BLOCK + GRAM - 1];
        block.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
        self.sieve.places(&block) & u64::MAX.unbounded_shr((BLOCK.saturating_sub(rest.len())) as u32)
    }

    /// Leaves the places at which a keyword may stand by the bytes around them.
    #[inline(never)]
    fn thin_out(&self, text: &[u8], from: usize, places: &mut Places) {
        let mut left = 0;
        for number in 0..places.count {
            let place = places.list.get(number).copied().unwrap_or(0);
            let here = Around::at(text, from + usize::from(place));
            let gram = here.gram();
            let may = self.of_four.may_have(gram | SMALL, &here) | self.of_three.may_have(first_three(gram), &here);
            places.list.get_mut(left).into_iter().for_each(|slot| *slot = place);
            left += usize::from(may);
        }
        places.count = left;
    }

    fn compare<E>(&self, text: &[u8], at: usize, found: &mut impl FnMut(usize, u32) -> Result<(), E>) -> Result<(), E> {
        let here = Around::at(text, at);
        let gram = here.gram();
        for entry in self.of_four.of(gram | SMALL).iter().chain(self.of_three.of(first_three(gram))) {
            if let Some(begin) = entry.begin(text, at, &here, &self.bytes) {
                found(begin, entry.number)?;
            }
        }
        Ok(())
    }
}

impl Places {
    /// Adds those of a block.
    #[inline(always)]
    fn add(&mut self, begin: u16, here: u64) {
        let mut left = here;
        let mut next = || {
            let place = begin + left.trailing_zeros() as u16;
            left &= left.wrapping_sub(1);
            place
        };
        let rest = self.list.get_mut(self.count..).unwrap_or_default();
        if let Some(unasked) = rest.first_chunk_mut::<UNASKED>() {
            unasked.iter_mut().for_each(|slot| *slot = next());
        }
        let count = here.count_ones() as usize;
        if count > UNASKED {
            rest.iter_mut().take(count).skip(UNASKED).for_each(|slot| *slot = next());
        }
        self.count += count;
    }
}

/// What is taken for the bytes behind the end of a text.
const PAD: u8 = 0;

/// The bits that make letters small.
const SMALL: u32 = 0x2020_2020;

/// The first three of four bytes, as small letters.
#[inline(always)]
fn first_three(gram: u32) -> u32 {
    (gram | SMALL) & 0x00FF_FFFF
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
