//! The growing texts of an answer: each by itself, and all of them in one.

use std::collections::BTreeMap;

use portcullis_dependencies::Findings;

use super::text::Text;
use crate::frame::Piece;

/// The most growing texts that one answer may have.
const MAX_CHANNELS: usize = 256;

/// The growing texts of one answer.
///
/// A server that names a text now so and now so must not cut a command into pieces that say nothing. So all of them are
/// read in one, too, as they come. As long as there is one alone, the two are the same, and it is read once.
#[derive(Default)]
pub(super) struct Texts {
    /// The first one that came. While it is alone, what is known of it stands in `all`.
    first: Option<u64>,
    all: Option<Text>,
    each: BTreeMap<u64, Text>,
}

/// An answer has more growing texts than are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Texts {
    /// Takes a piece of a text in. Tells what was found by it, with the first frame that it may lie in: what is found now
    /// lies in what was held, and in this piece.
    pub(super) fn add(&mut self, place: u64, number: u64, piece: &Piece<'_>) -> Result<Vec<(u64, Findings)>, TooMany> {
        // Servers name every text in every frame, and say nothing in most of them.
        if piece.text.is_empty() {
            return Ok(Vec::new());
        }
        let all = self.all.get_or_insert_with(Text::new);
        let first = *self.first.get_or_insert(place);
        if place != first && self.each.is_empty() {
            self.each.insert(first, all.clone());
        }
        let mut told = vec![(all.holds().unwrap_or(number), all.add(number, piece))];
        if self.each.is_empty() {
            return Ok(told);
        }
        if self.each.len() >= MAX_CHANNELS && !self.each.contains_key(&place) {
            return Err(TooMany);
        }
        let text = self.each.entry(place).or_insert_with(Text::new);
        told.push((text.holds().unwrap_or(number), text.add(number, piece)));
        Ok(told)
    }

    /// The first frame that something undecided lies in.
    pub(super) fn holds(&self) -> Option<u64> {
        self.each.values().chain(&self.all).filter_map(Text::holds).min()
    }

    /// All of them have ended. Tells what was found by that, with the first frame that it may lie in: nothing of what
    /// is held has left.
    pub(super) fn end(&mut self) -> Vec<(u64, Findings)> {
        let texts = std::mem::take(self);
        let ended = texts.each.into_values().chain(texts.all);
        ended.map(|mut text| (text.holds().unwrap_or(u64::MAX), text.end())).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::Channel;

    /// What is found in texts of which each piece goes to the text of its number, and what is held meanwhile.
    fn found(pieces: &[(u64, &str)], twice: bool) -> (Vec<String>, Vec<Option<u64>>) {
        let (mut texts, mut held, mut names) = (Texts::default(), Vec::new(), Vec::new());
        if twice {
            // Two texts of which nothing is known: each piece is read by itself and in all of them.
            let (first, second) = pieces.first().map_or((0, 1), |(place, _)| (*place, *place + 100));
            texts.first = Some(first);
            texts.each.insert(second, Text::new());
        }
        let mut take = |told: Vec<(u64, Findings)>| {
            let found = told.into_iter().flat_map(|(_, findings)| findings.found);
            names.extend(found.map(|found| found.package.to_string()));
        };
        for (number, (place, text)) in (0..).zip(pieces) {
            let piece = Piece { channel: Channel::Growing(*place), text, key: "content", is_key: false };
            take(texts.add(*place, number, &piece).unwrap());
            held.push(texts.holds());
        }
        take(texts.end());
        names.sort();
        names.dedup();
        (names, held)
    }

    #[test]
    fn a_command_that_is_cut_over_texts_is_found_whenever_the_second_comes() {
        let pieces = [(1, "Run `pip in"), (2, "stall evil"), (1, "py` and be happy.\n")];
        assert_eq!(found(&pieces, false).0, ["PyPI:evilpy"]);
        // What began before the second text came is found in its own text as well.
        let pieces = [(1, "Run `pip in"), (2, "What else? "), (1, "stall evilpy` and be happy.\n")];
        assert_eq!(found(&pieces, false).0, ["PyPI:evilpy"]);
        assert!(found(&[(1, "Run `pip in"), (2, "No.\n"), (2, "stall evilpy`\n")], false).0.is_empty());
    }

    #[test]
    fn a_text_that_is_alone_is_read_once() {
        let mut texts = Texts::default();
        let piece = |text| Piece { channel: Channel::Growing(1), text, key: "content", is_key: false };
        for (number, text) in ["so", "", " it", " goes"].into_iter().enumerate() {
            texts.add(1, number as u64, &piece(text)).unwrap();
            texts.add(2, number as u64, &piece("")).unwrap();
        }
        assert!(texts.each.is_empty());
        texts.add(2, 4, &piece("and")).unwrap();
        assert_eq!(texts.each.keys().collect::<Vec<_>>(), [&1, &2]);
        for place in 3..=MAX_CHANNELS as u64 {
            texts.add(place, 5, &piece("so")).unwrap();
        }
        assert_eq!(texts.add(0, 6, &piece("so")), Err(TooMany));
    }

    proptest! {
        #[test]
        fn what_is_read_once_says_the_same_as_what_is_read_twice(
            pieces in prop::collection::vec(
                (0u64..3, prop_oneof![
                    Just("pip "), Just("install "), Just("evilpy"), Just("\n"), Just("`"), Just("a word "), Just("```sh\n"),
                    Just("npm i x@1"), Just(""),
                ]),
                0..14,
            ),
        ) {
            prop_assert_eq!(found(&pieces, false), found(&pieces, true), "{:?}", pieces);
        }
    }
}
