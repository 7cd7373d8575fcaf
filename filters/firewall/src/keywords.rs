//! Finding every keyword in a text, overlapping ones too, in any ASCII case or as written.
//!
//! Of each keyword its rarest four bytes are hashed, without their case, into a small table that stays in the
//! fastest cache, where an automaton over hundreds of keywords does not. Plain text hardly ever gets past it; what
//! does is compared. Nothing of that is guessed at: places are put into a list, and the list is thinned out, since a
//! processor that has guessed wrongly loses more time than a few places take.

mod groups;
mod lists;
mod rarity;
mod repeated;
mod short;
mod sieve;

use fearless_simd::{Level, dispatch};

use groups::{Around, Entry, Groups};
use lists::{Pairs, Places};
use rarity::Shared;
use repeated::Repeated;
use short::Shorts;
use sieve::{Bits, Rows, SEEN, Sieve};

/// How many bytes are looked at; of keywords of three bytes any byte may be the last.
const GRAM: usize = 4;

/// As many places are looked at together.
const BLOCK: usize = 64;

/// The places of so many bytes are listed together.
const CHUNK: usize = 512;

/// If a chunk has more places, most of them may be in runs of one letter.
const CROWDED: usize = 96;

/// If more places than these wait, they are looked at.
const WAITING: usize = 192;
/// None of them is so far from the first chunk.
const FAR: usize = 1 << 15;

/// Keywords are known by so many hashes: of four bytes, and of three.
const OF_FOUR: usize = 1 << 14;
const OF_THREE: usize = 1 << 10;

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
    repeated: Repeated,
    of_four: Groups<OF_FOUR>,
    of_three: Groups<OF_THREE>,
    /// All that are in these groups.
    entries: Vec<Entry>,
    /// What the keywords say, one after the other.
    bytes: Vec<u8>,
    /// Those of one or two bytes.
    short: Shorts,
}

/// What finding keywords took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// At so many places one might have stood.
    pub(crate) places: usize,
    /// So many keywords at places were compared.
    pub(crate) pairs: usize,
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
        Self::with_edges(keywords, |_| false)
    }

    /// The same, where those with some numbers only count at the edge of a word. Such a one that is the same letter three times
    /// or more is found only where a run of that begins.
    pub(crate) fn with_edges(keywords: &[Keyword], at_edge: impl Fn(u32) -> bool) -> Self {
        let (mut four, mut three, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut grams, mut short, mut repeated) = (Vec::new(), Shorts::default(), Repeated::default());
        let shared = Shared::new(keywords.iter().map(|keyword| keyword.text.as_slice()));
        for (number, keyword) in (0u32..).zip(keywords) {
            let place = rarity::rarest(&keyword.text, &shared);
            let begins = place == 0 && repeated::letter(&keyword.text).is_some() && at_edge(number);
            let entry = Entry::new(number, place, keyword, bytes.len(), begins);
            match *keyword.text.get(place..).unwrap_or_default() {
                [a, b, c, d, ..] => {
                    let gram = u32::from_le_bytes([a, b, c, d]);
                    four.push((gram | SMALL, entry));
                    grams.push((gram, false));
                    repeated.add(&[a, b, c, d], keyword.any_case, begins);
                }
                [a, b, c] => {
                    let gram = u32::from_le_bytes([a, b, c, PAD]);
                    three.push((first_three(gram), entry));
                    grams.push((gram, true));
                    repeated.add(&[a, b, c], keyword.any_case, begins);
                }
                [] => continue,
                _ => short.add(number, keyword),
            }
            bytes.extend_from_slice(&keyword.text);
        }
        let sieve = Sieve::new(&grams);
        let mut entries = Vec::new();
        let (of_four, of_three) = (Groups::new(four, &mut entries), Groups::new(three, &mut entries));
        Self { sieve, repeated, of_four, of_three, entries, bytes, short }
    }

    /// Calls `found` with the place and the number of every keyword in a text, roughly by place, until it says no. Says what
    /// that took.
    pub(crate) fn each<E>(
        &self,
        text: &[u8],
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<Looked, E> {
        let level = Level::new();
        let mut looked = Looked::default();
        let (mut places, mut rows, mut base) = (Places::NONE, Rows::default(), 0);
        for from in (0..text.len()).step_by(CHUNK) {
            let known = places.count;
            let part = text.get(from..).unwrap_or_default();
            self.list(level, part, (from - base) as u16, &mut rows, &mut places);
            if places.count > known + CROWDED {
                self.thin_out(text, base, known, &mut places);
            }
            looked.places += places.count - known;
            places.keep(known, |place| self.sieve.surely_has(gram(text, base + place)));
            // What is asked of few is asked of those of many chunks together: where a loop ends is hard to guess.
            if places.count > WAITING || from - base > FAR || from + CHUNK >= text.len() {
                places.keep(0, |place| self.may_have(&Around::at(text, base + place)));
                looked.pairs += self.compare(text, base, &places, found)?;
                (places.count, base) = (0, from + CHUNK);
            }
        }
        self.short.each(level, text, found)?;
        Ok(looked)
    }

    /// Lists the places in the first part of a text at which the rarest bytes of a keyword may stand, counted from so far
    /// before it.
    #[inline(never)]
    fn list(&self, level: Level, text: &[u8], begin: u16, rows: &mut Rows, places: &mut Places) {
        let all = match text.first_chunk() {
            Some(seen) => self.sieve.places(level, seen, CHUNK / BLOCK, rows),
            None => self.last_places(level, text, rows),
        };
        let some = all.get(..text.len().div_ceil(BLOCK)).unwrap_or(&all);
        dispatch!(level, simd => places.read(simd, begin, some));
    }

    /// The places in what is left of a text, as if something that no keyword has stood behind it.
    #[inline(never)]
    fn last_places(&self, level: Level, rest: &[u8], rows: &mut Rows) -> Bits {
        let mut seen = [PAD; SEEN];
        if let Some(begin) = seen.get_mut(..rest.len()) {
            begin.copy_from_slice(rest);
        }
        let mut all = self.sieve.places(level, &seen, rest.len().div_ceil(BLOCK).min(CHUNK / BLOCK), rows);
        for (begin, here) in (0..).step_by(BLOCK).zip(&mut all) {
            *here &= u64::MAX.unbounded_shr((begin + BLOCK).saturating_sub(rest.len()) as u32);
        }
        all
    }

    /// Leaves out the places, but for so many that are known already, that are within runs in which nothing is looked for.
    /// To ask that of few takes more than it saves.
    #[cold]
    fn thin_out(&self, text: &[u8], base: usize, known: usize, places: &mut Places) {
        places.keep(known, |place| {
            let at = base + place;
            !self.repeated.skips(gram(text, at.wrapping_sub(1)), gram(text, at))
        });
    }

    /// Whether a keyword may stand at a place by the bytes around it.
    #[inline(always)]
    fn may_have(&self, here: &Around) -> bool {
        let gram = here.gram();
        self.of_four.may_have(gram | SMALL, here) | self.of_three.may_have(first_three(gram), here)
    }

    /// Compares the keywords that may stand at these places. Says how many.
    fn compare<E>(
        &self,
        text: &[u8],
        base: usize,
        places: &Places,
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<usize, E> {
        let (mut pairs, mut count) = (Pairs::NONE, 0);
        for at in places.listed() {
            let gram = gram(text, base + usize::from(*at));
            let (four, three) = (self.of_four.of(gram | SMALL), self.of_three.of(first_three(gram)));
            // Hardly ever there are some of both.
            let (some, mut others) = if four.is_empty() { (three, 0..0) } else { (four, three) };
            let mut rest = pairs.add(*at, some);
            while !rest.is_empty() || !others.is_empty() {
                if rest.is_empty() {
                    rest = std::mem::take(&mut others);
                } else {
                    count += self.find(text, base, &mut pairs, found)?;
                }
                rest = pairs.add(*at, rest);
            }
        }
        Ok(count + self.find(text, base, &mut pairs, found)?)
    }

    /// Finds those that stand there, of keywords and places. Says how many it was asked about.
    fn find<E>(
        &self,
        text: &[u8],
        base: usize,
        pairs: &mut Pairs,
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<usize, E> {
        let count = pairs.count;
        let entry = |number: u32| self.entries.get(number as usize);
        pairs.keep(|at, number| entry(number).is_some_and(|entry| entry.may_be(&Around::at(text, base + at))));
        for (at, number) in pairs.listed() {
            let (at, Some(entry)) = (base + usize::from(*at), entry(*number)) else { continue };
            if let Some(begin) = entry.begin(text, at, &Around::at(text, at), &self.bytes) {
                found(begin, entry.number)?;
            }
        }
        pairs.count = 0;
        Ok(count)
    }
}

/// What is taken for the bytes behind the end of a text.
const PAD: u8 = 0;

/// The bits that make letters small.
const SMALL: u32 = 0x2020_2020;

/// The four bytes from a place on. Nothing stands before a text.
#[inline(always)]
fn gram(text: &[u8], at: usize) -> u32 {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(four) => u32::from_le_bytes(*four),
        None => rest.iter().rev().fold(u32::from(PAD), |all, byte| all << 8 | u32::from(*byte)),
    }
}

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
        with_edges(keywords, &[], text)
    }

    /// The same, where those with `true` only count at the edge of a word.
    fn with_edges(keywords: &[Keyword], at_edge: &[bool], text: &[u8]) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        let keywords = Keywords::with_edges(keywords, |number| at_edge.get(number as usize) == Some(&true));
        let each = keywords.each(text, &mut |at, number| {
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

    /// Whether a keyword only counts where a run of its letter begins, and stands within one.
    fn is_within_run(keyword: &Keyword, at_edge: bool, text: &[u8], at: usize) -> bool {
        let Keyword { text: letters, any_case } = keyword;
        let is_letter = |byte: u8| byte == letters[0] || (*any_case && byte.eq_ignore_ascii_case(&letters[0]));
        at_edge
            && letters.len() >= 3
            && letters[0].is_ascii_alphabetic()
            && letters.iter().all(|byte| *byte == letters[0])
            && at.checked_sub(1).is_some_and(|before| is_letter(text[before]))
    }

    #[test]
    fn finds_a_letter_over_and_over_where_its_run_begins() {
        let keywords = [
            Keyword::exact("AAAAAA"),
            Keyword::exact("AAAAB3"),
            Keyword::any_case("bbb"),
            Keyword::exact("cccc"),
            Keyword::exact("ccccc"),
        ];
        let at_edge = [true, true, true, true, false];
        let found = |text: &str| with_edges(&keywords, &at_edge, text.as_bytes());
        let run = "A".repeat(2000);
        assert_eq!(found(&run), [(0, 0)]);
        assert_eq!(found(&format!("x{run}B3-{run}")), [(1, 0), (1997, 1), (2004, 0)]);
        assert_eq!(found(&format!("a{run}")), [(1, 0)], "another one, to who minds the case");
        assert_eq!(found("bBbB-BBBB"), [(0, 2), (5, 2)]);
        assert_eq!(found("cccccc"), [(0, 3), (0, 4), (1, 4)], "not to who wants it anywhere");
        assert_eq!(by_table(&keywords[..1], b"AAAAAAAA"), [(0, 0), (1, 0), (2, 0)]);
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

        /// However many places wait, and however far they are apart.
        #[test]
        fn finds_the_same_in_a_long_text(
            keywords in prop::collection::vec(("[ab]{2,5}", any::<bool>()), 1..40),
            parts in prop::collection::vec(prop_oneof!["[ab]{1,600}", "[a-d]{0,90}", "[ -.]{0,40000}"], 0..6),
        ) {
            let keywords: Vec<_> = keywords
                .iter()
                .map(|(text, any_case)| if *any_case { Keyword::any_case(text) } else { Keyword::exact(text) })
                .collect();
            let text = parts.concat();
            prop_assert_eq!(by_table(&keywords, text.as_bytes()), by_automaton(&keywords, text.as_bytes()));
        }

        /// All but letters over and over where their runs go on.
        #[test]
        fn finds_the_same_where_runs_begin(
            keywords in prop::collection::vec(("[aAb]{1,4}|a{3,30}|A{3,30}|[b@`!]{3,9}|a{4,6}b|ba{4,6}|é{3}", any::<bool>(), any::<bool>()), 1..12),
            parts in prop::collection::vec(prop_oneof!["a{1,600}", "A{1,600}", "[aA]{1,90}", "[bB@`!é-]{1,90}", "[ -.]{0,600}"], 0..9),
        ) {
            let at_edge: Vec<_> = keywords.iter().map(|(_, _, at_edge)| *at_edge).collect();
            let keywords: Vec<_> = keywords
                .iter()
                .map(|(text, any_case, _)| if *any_case { Keyword::any_case(text) } else { Keyword::exact(text) })
                .collect();
            let text = parts.concat();
            let mut found = by_automaton(&keywords, text.as_bytes());
            found.retain(|(at, number)| {
                let number = *number as usize;
                !is_within_run(&keywords[number], at_edge[number], text.as_bytes(), *at)
            });
            prop_assert_eq!(with_edges(&keywords, &at_edge, text.as_bytes()), found);
        }

        /// More keywords of the same bytes than are compared together.
        #[test]
        fn finds_many_at_one_place(count in 1u32..400, text in "[ -.]{0,40}(abcd[0-9]{1,3} ?){1,9}") {
            let keywords: Vec<_> = (0..count).map(|number| Keyword::exact(&format!("abcd{number}"))).collect();
            prop_assert_eq!(by_table(&keywords, text.as_bytes()), by_automaton(&keywords, text.as_bytes()));
        }
    }
}
