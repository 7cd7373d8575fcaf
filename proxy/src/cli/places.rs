//! Where a byte of a text is for people: line and column, both from 1, columns in characters.

use memchr::{memchr_iter, memrchr};

/// A line and a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: u64,
    /// From 1, in characters.
    pub(super) column: u64,
}

impl Place {
    /// Where texts begin.
    pub(super) const FIRST: Self = Self { line: 1, column: 1 };

    /// The place after this text.
    pub(super) fn after(self, text: &str) -> Self {
        let bytes = text.as_bytes();
        match memrchr(b'\n', bytes) {
            None => Self { line: self.line, column: self.column + characters(bytes) },
            Some(end) => {
                let lines = memchr_iter(b'\n', bytes).count() as u64;
                let rest = bytes.get(end + 1..).unwrap_or_default();
                Self { line: self.line + lines, column: 1 + characters(rest) }
            }
        }
    }
}

/// The places of some bytes of one text, found in one pass over it.
pub(super) struct Places(Vec<(usize, Place)>);

impl Places {
    /// The places of these bytes of a text that begins at `first`.
    pub(super) fn of(text: &str, first: Place, mut bytes: Vec<usize>) -> Self {
        bytes.sort_unstable();
        bytes.dedup();
        let (mut at, mut place) = (0, first);
        let step = |byte: usize| {
            // What is no character's beginning has the place of the character it is part of.
            let byte = text.floor_char_boundary_of(byte);
            place = place.after(text.get(at..byte).unwrap_or_default());
            at = byte;
            place
        };
        let places: Vec<_> = bytes.iter().copied().map(step).collect();
        Self(bytes.into_iter().zip(places).collect())
    }

    /// The place of a byte that was asked for.
    pub(super) fn at(&self, byte: usize) -> Place {
        match self.0.binary_search_by_key(&byte, |(known, _)| *known) {
            Ok(found) => self.0.get(found).map_or(Place::FIRST, |(_, place)| *place),
            Err(_) => Place::FIRST,
        }
    }
}

/// Where a text may be cut.
pub(super) trait Cut {
    /// The last beginning of a character that is not after `byte`.
    fn floor_char_boundary_of(&self, byte: usize) -> usize;
}

impl Cut for str {
    fn floor_char_boundary_of(&self, byte: usize) -> usize {
        let byte = byte.min(self.len());
        (0..=byte).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}

/// How many characters bytes of UTF-8 are: those that continue one do not count.
fn characters(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_are_characters() {
        let text = "a\nñandú: x\r\ny";
        let places = Places::of(text, Place::FIRST, vec![text.find('x').unwrap(), text.len(), 0]);
        assert_eq!(places.at(text.find('x').unwrap()), Place { line: 2, column: 8 });
        assert_eq!(places.at(text.len()), Place { line: 3, column: 2 });
        assert_eq!(places.at(0), Place::FIRST);
    }

    proptest! {
        #[test]
        fn one_pass_says_what_counting_says(text in "[a-zé\\n😀]{0,40}", bytes in proptest::collection::vec(0usize..50, 0..6)) {
            let places = Places::of(&text, Place::FIRST, bytes.clone());
            for byte in bytes {
                let before: String = text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= byte).map(|(_, c)| c).collect();
                let line = 1 + before.matches('\n').count() as u64;
                let column = 1 + before.rsplit('\n').next().unwrap().chars().count() as u64;
                prop_assert_eq!(places.at(byte), Place { line, column });
            }
        }
    }
}
