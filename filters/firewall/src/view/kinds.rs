//! Of which kinds characters are, looked up: letters that are not Latin, Cyrillic or Chinese take a search each otherwise, and
//! in most languages that is every letter.

use std::sync::OnceLock;

use unicode_normalization::char as normal;

use super::confusable;
use super::fold::compatible;

const ALPHABETIC: u8 = 1;
const NUMERIC: u8 = 1 << 1;
const COMBINING: u8 = 1 << 2;
const STAYS: u8 = 1 << 3;

/// As many characters are told together, when one of them is first asked about.
const PAGE: usize = 256;

/// The kinds of all that two bytes can number.
static PAGES: [OnceLock<[u8; PAGE]>; PAGE] = [const { OnceLock::new() }; PAGE];

/// As [`char::is_alphabetic`].
#[inline]
pub(crate) fn is_alphabetic(c: char) -> bool {
    is(c, ALPHABETIC, char::is_alphabetic)
}

/// As [`char::is_alphanumeric`].
#[inline]
pub(crate) fn is_alphanumeric(c: char) -> bool {
    is(c, ALPHABETIC | NUMERIC, char::is_alphanumeric)
}

/// Whether it is a mark on what stands before it: of Unicode's category M.
#[inline]
pub(crate) fn is_combining_mark(c: char) -> bool {
    is(c, COMBINING, normal::is_combining_mark)
}

/// Whether a reader sees it as it stands: it is no other form of something, and no quote or dash of another kind.
#[inline]
pub(super) fn stays(c: char) -> bool {
    is(c, STAYS, is_its_own)
}

#[inline]
fn is(c: char, kinds: u8, slowly: fn(char) -> bool) -> bool {
    known(c).map_or_else(|| slowly(c), |known| known & kinds != 0)
}

#[inline]
fn known(c: char) -> Option<u8> {
    let number = u32::from(c);
    let page = PAGES.get((number >> 8) as usize)?.get_or_init(|| page(number & !0xFF));
    page.get((number & 0xFF) as usize).copied()
}

fn page(first: u32) -> [u8; PAGE] {
    std::array::from_fn(|place| char::from_u32(first + place as u32).map_or(0, kinds_of))
}

fn kinds_of(c: char) -> u8 {
    let kinds = [
        (ALPHABETIC, c.is_alphabetic()),
        (NUMERIC, c.is_numeric()),
        (COMBINING, normal::is_combining_mark(c)),
        (STAYS, is_its_own(c)),
    ];
    kinds.iter().filter(|(_, is)| *is).fold(0, |all, (kind, _)| all | kind)
}

fn is_its_own(c: char) -> bool {
    confusable::mark(c).is_none() && compatible(c).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_up_is_what_is_searched() {
        for c in '\0'..=char::MAX {
            assert_eq!(is_alphabetic(c), c.is_alphabetic(), "{c:?}");
            assert_eq!(is_alphanumeric(c), c.is_alphanumeric(), "{c:?}");
            assert_eq!(is_combining_mark(c), normal::is_combining_mark(c), "{c:?}");
            assert_eq!(stays(c), is_its_own(c), "{c:?}");
        }
    }
}
