//! What every match of an expression begins with: which bytes may stand at each of its first places.
//!
//! Told from the expression alone, and never too strictly: a place is left open where telling would take
//! more than counting.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

/// How many places are told apart, and of what has no keyword.
pub(crate) const AHEAD: usize = 16;
pub(super) const FAR: usize = 48;

/// What the matches of an expression begin with.
#[derive(Clone, Debug)]
pub(crate) struct Beginning<const PLACES: usize = AHEAD> {
    places: [Bytes; PLACES],
    /// Before which of the places a match may be over.
    ends: u64,
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes([u64; 4]);

impl<const PLACES: usize> Beginning<PLACES> {
    /// One bit for each of the places.
    const ALL: u64 = (1 << PLACES) - 1;

    pub(super) fn of(hir: &Hir) -> Self {
        let mut beginning = Self { places: [Bytes::default(); PLACES], ends: 0 };
        beginning.ends = beginning.follow(hir, 1);
        // What follows a match may be anything.
        beginning.open(beginning.ends);
        beginning
    }

    /// Whether a match may begin with these bytes, of which there are fewer than it tells apart only where a text ends, and
    /// the first ones are known to fit.
    #[inline]
    pub(super) fn may_be(&self, bytes: &[u8], known: usize) -> bool {
        let fits = bytes.iter().zip(&self.places).skip(known).all(|(byte, set)| set.has(*byte));
        fits && (bytes.len() >= PLACES || self.may_end(bytes.len()))
    }

    /// Whether a match may have this byte at this place.
    pub(super) fn may_have(&self, byte: u8, place: usize) -> bool {
        self.places.get(place).is_none_or(|bytes| bytes.has(byte))
    }

    /// Whether a match may begin with these bytes, whatever follows them.
    pub(crate) fn may_go_on(&self, mut bytes: impl Iterator<Item = u8>) -> bool {
        self.places.iter().all(|set| bytes.next().is_none_or(|byte| set.has(byte)))
    }

    /// Whether every match begins with these bytes.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        let is = |(set, byte): (&Bytes, &u8)| (0..=u8::MAX).all(|other| set.has(other) == (other == *byte));
        bytes.len() <= PLACES && self.places.iter().zip(bytes).all(is)
    }

    /// What may stand at each place from one on, as far as not everything may.
    pub(super) fn from(&self, place: usize) -> Box<[Bytes]> {
        self.places.iter().skip(place).copied().take_while(|bytes| *bytes != Bytes::ALL).collect()
    }

    /// Whether a match may be over before this place.
    pub(super) fn may_end(&self, place: usize) -> bool {
        self.ends & (2u64 << place).wrapping_sub(1) != 0
    }

    /// Takes in what a part adds that begins at any of these places, and says where it may end.
    fn follow(&mut self, part: &Hir, from: u64) -> u64 {
        match part.kind() {
            _ if from == 0 => 0,
            HirKind::Empty | HirKind::Look(_) => from,
            HirKind::Literal(literal) => literal.0.iter().fold(from, |at, byte| self.add(at, *byte..=*byte)),
            HirKind::Class(Class::Bytes(class)) => {
                class.ranges().iter().fold(0, |at, range| at | self.add(from, range.start()..=range.end()))
            }
            // A character of one to four bytes.
            HirKind::Class(Class::Unicode(_)) => self.open(from),
            HirKind::Repetition(repetition) => self.repeat(repetition, from),
            HirKind::Capture(capture) => self.follow(&capture.sub, from),
            HirKind::Concat(parts) => parts.iter().fold(from, |at, part| self.follow(part, at)),
            HirKind::Alternation(parts) => parts.iter().fold(0, |at, part| at | self.follow(part, from)),
        }
    }

    fn repeat(&mut self, repetition: &Repetition, from: u64) -> u64 {
        let (mut at, mut ends) = (from, 0);
        for time in 0..=repetition.max.unwrap_or(u32::MAX) {
            if time >= repetition.min {
                ends |= at;
            }
            let next = self.follow(&repetition.sub, at);
            if next == at || next == 0 {
                // Behind the last place, or of no size.
                return ends | next;
            }
            at = next;
        }
        ends
    }

    fn add(&mut self, at: u64, bytes: std::ops::RangeInclusive<u8>) -> u64 {
        for (_, set) in self.places.iter_mut().enumerate().filter(|(place, _)| at >> place & 1 != 0) {
            bytes.clone().for_each(|byte| set.add(byte));
        }
        at << 1 & Self::ALL
    }

    /// Lets everything stand from the first of these places on.
    fn open(&mut self, at: u64) -> u64 {
        let first = at.trailing_zeros() as usize;
        self.places.iter_mut().skip(first).for_each(|set| *set = Bytes::ALL);
        Self::ALL & u64::MAX.unbounded_shl(first as u32)
    }
}

impl Bytes {
    const ALL: Self = Self([u64::MAX; 4]);

    fn add(&mut self, byte: u8) {
        let Self(words) = self;
        if let Some(word) = words.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    #[inline]
    pub(super) fn has(self, byte: u8) -> bool {
        let Self(words) = self;
        words.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 != 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn may_begin(expression: &str, text: &str) -> bool {
        let beginning: Beginning = Beginning::of(&crate::expression::parse(expression).unwrap());
        beginning.may_be(text.as_bytes(), 0)
    }

    #[test]
    fn tells_what_cannot_begin_a_match() {
        for (expression, yes, no) in [
            (r"\b(sk-[0-9a-f]{32})(?:[^a-z]|$)", "sk-0123456789abcdef", "sk-x123456789abcdef"),
            (r"\b(sk-[0-9a-f]{4})(?:[^a-z]|$)", "sk-0123", "sk-012"),
            (r"(?:ab|c)d{2,}e?", "abdd", "abe"),
            (r"(?:a{3}){2}b", "aaaaaab", "aaaaab"),
            (r"(?i)Key=\w{3,}", "kEY=abc", "kEY=a-c"),
            (r"(?:a*)*b", "aab", "caa"),
            (r"(?:(?:)){20}b", "b", "a"),
        ] {
            assert!(may_begin(expression, yes), "{expression} {yes}");
            assert!(!may_begin(expression, no), "{expression} {no}");
            let beginning: Beginning = Beginning::of(&crate::expression::parse(expression).unwrap());
            assert!((0..=yes.len()).all(|end| beginning.may_go_on(yes.bytes().take(end))), "{expression} {yes}");
        }
        assert!(may_begin(r"(?u:\p{L})x{3}", "éxxx"));
    }

    proptest! {
        #[test]
        fn lets_every_match_begin(
            expression in "([a-c.]|\\(a\\|bc\\)|\\[ab\\]|a\\{2,3\\}|\\(b\\|c[+*?]\\)[+*?]){1,8}",
            text in "[abc]{0,24}",
        ) {
            if let Ok(hir) = crate::expression::parse(&expression) {
                let regex = regex_automata::meta::Regex::builder().build_from_hir(&hir).unwrap();
                let input = regex_automata::Input::new(&text).anchored(regex_automata::Anchored::Yes);
                prop_assert!(!regex.is_match(input) || may_begin(&expression, &text));
            }
        }
    }
}
