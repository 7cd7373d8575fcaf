//! Whether a digit stands where a match that needs one may have it: on its line, or the next where it may go on there.
//!
//! Most of what stands beside a word for a secret is prose, and has none.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};
use wide::u8x16;

use crate::planes::{BLOCK, Block, Planes};

/// As many times 64 bytes are looked at; what goes on as long may have one.
const MOST: usize = 4;

/// Over how many ends of lines a match may go, empty lines counted with the one before; `None` for many.
pub(super) fn lines(hir: &Hir) -> Option<u32> {
    count(hir).filter(|lines| *lines <= 2)
}

/// Whether more than one byte of a match may stand from the end of a line on.
pub(super) fn goes_on(hir: &Hir) -> bool {
    let HirKind::Concat(parts) = hir.kind() else { return count(hir) != Some(0) };
    let ends = |last: &&Hir| last.properties().maximum_len().is_some_and(|most| most <= 1);
    let before = parts.len() - usize::from(parts.last().filter(ends).is_some());
    parts.iter().take(before).any(|part| count(part) != Some(0))
}

fn count(hir: &Hir) -> Option<u32> {
    let most = |parts: &[Hir]| parts.iter().map(count).try_fold(0, |most, lines| Some(lines?.max(most)));
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(0),
        HirKind::Literal(literal) => u32::try_from(literal.0.iter().filter(|byte| **byte == b'\n').count()).ok(),
        HirKind::Class(class) => Some(u32::from(has_line(class))),
        HirKind::Repetition(repetition) => repeated(repetition),
        HirKind::Capture(capture) => count(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(count).try_fold(0u32, |all, lines| all.checked_add(lines?)),
        HirKind::Alternation(parts) => most(parts),
    }
}

fn repeated(Repetition { max, sub, .. }: &Repetition) -> Option<u32> {
    match (sub.kind(), count(sub)?) {
        (_, 0) => Some(0),
        // However often: nothing stands between them.
        (HirKind::Class(class), _) if is_blank(class) => Some(1),
        (_, lines) => lines.checked_mul((*max)?),
    }
}

fn has_line(class: &Class) -> bool {
    match class {
        Class::Bytes(class) => class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&b'\n')),
        Class::Unicode(class) => class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&'\n')),
    }
}

fn is_blank(class: &Class) -> bool {
    let blank = |byte: u8| matches!(byte, b'\t'..=b'\r' | b' ');
    match class {
        Class::Bytes(class) => class.ranges().iter().all(|range| (range.start()..=range.end()).all(blank)),
        Class::Unicode(_) => false,
    }
}

/// Whether a digit stands before the text goes on over more ends of lines than so many.
pub(super) fn any_ahead(text: &[u8], lines: u32) -> bool {
    any_in(text.len(), lines, |from| Kinds::of(text.get(from..).unwrap_or_default()))
}

/// The same from a place on, of a text of so many bytes that is [plain](Planes::are_plain).
pub(super) fn any_ahead_in(planes: &Planes, at: usize, size: usize, lines: u32) -> bool {
    any_in(size.saturating_sub(at), lines, |from| {
        let ahead = |plane: fn(&Block) -> u64| planes.ahead(at + from, plane);
        Kinds {
            digit: ahead(|block| block.digit),
            line: ahead(|block| block.line),
            blank: ahead(|block| block.blank | block.line),
        }
    })
}

/// The same of so many bytes, of which `kinds` tells the next 64.
#[inline(always)]
fn any_in(size: usize, mut lines: u32, kinds: impl Fn(usize) -> Kinds) -> bool {
    // Whether nothing but blanks has stood since the end of a line.
    let mut ended = false;
    for from in (0..size).step_by(BLOCK).take(MOST) {
        let Kinds { digit, line, blank } = kinds(from);
        let mut open = if ended { u64::MAX.unbounded_shl(blank.trailing_ones()) } else { u64::MAX };
        loop {
            let end = (line & open).trailing_zeros();
            if digit & !u64::MAX.unbounded_shl(end) != 0 {
                return true;
            }
            if end as usize == BLOCK {
                // It may have been blank as far as it goes.
                ended = ended && open == 0;
                break;
            }
            let Some(left) = lines.checked_sub(1) else { return false };
            lines = left;
            open = u64::MAX.unbounded_shl(end + (blank >> end).trailing_ones());
            ended = true;
        }
    }
    size > MOST * BLOCK
}

/// Of 64 bytes, which are of which kind; the first is the lowest bit.
struct Kinds {
    digit: u64,
    line: u64,
    /// What a line may end with.
    blank: u64,
}

impl Kinds {
    fn of(bytes: &[u8]) -> Self {
        if let Some(whole) = bytes.first_chunk() {
            return Self::of_all(whole);
        }
        let mut block = [0; BLOCK];
        block.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        Self::of_all(&block)
    }

    fn of_all(block: &[u8; BLOCK]) -> Self {
        let mut kinds = Self { digit: 0, line: 0, blank: 0 };
        for (number, part) in (0u32..).zip(block.as_chunks::<16>().0) {
            let part = u8x16::new(*part);
            let is = |first: u8, count: u8| {
                let moved = part - u8x16::splat(first);
                moved.min(u8x16::splat(count - 1)).simd_eq(moved)
            };
            let put = |plane: &mut u64, bits: u8x16| *plane |= u64::from(bits.to_bitmask()) << (16 * number);
            put(&mut kinds.digit, is(b'0', 10));
            put(&mut kinds.line, is(b'\n', 1));
            put(&mut kinds.blank, is(b'\t', 5) | is(b' ', 1));
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_automata::meta::Regex;

    use super::*;

    #[test]
    fn counts_the_lines_that_a_match_goes_over() {
        for (expression, over) in [
            ("a[^\\n]*b", Some(0)),
            ("a[ \\t\\r\\n]{0,3}b", Some(1)),
            (r"(?:a\s+b|c\s*){1,2}", Some(2)),
            (r"(?:a\s+b\s+|c\s*)c\sd", None),
            (r"a[^x]{3}b", None),
            (r"a(?s:.)*b", None),
            ("a\n\nb", Some(2)),
        ] {
            assert_eq!(lines(&crate::expression::parse(expression).unwrap()), over, "{expression}");
        }
    }

    #[test]
    fn tells_what_goes_on_behind_a_line() {
        for (expression, on) in [
            ("ab[^x]", false),
            ("(ab)(?:[^x]|$)", false),
            ("ab(?:[^x]{2}|$)", true),
            (r"ab\s{0,3}c", true),
            ("a\n", true),
            ("[^x]*", true),
            ("a|\n", true),
        ] {
            assert_eq!(goes_on(&crate::expression::parse(expression).unwrap()), on, "{expression}");
        }
    }

    proptest! {
        /// The same, however it is told which bytes are digits.
        #[test]
        fn planes_tell_the_same(text in "([ab]{1,3}|[ab]{20,70}|[ \n]{1,3}|[ \r\n\t]{50,80}|[0-9]){0,12}", lines in 0u32..3) {
            let planes = Planes::of(&text);
            for at in 0..=text.len() {
                let slow = any_ahead(&text.as_bytes()[at..], lines);
                prop_assert_eq!(any_ahead_in(&planes, at, text.len(), lines), slow, "{:?} at {}", text, at);
            }
        }

        /// No match with a digit in it begins where none is told to be ahead.
        #[test]
        fn no_digit_of_a_match_is_passed_over(
            parts in prop::collection::vec("([ab]{1,3}|[ab]{20}|\\[ab\\]\\*|\\[\\^\\n\\]\\{0,9\\}|\\\\s\\{1,70\\}|\\[ \\n\\]\\{0,3\\}|\\[ab0-9\\]\\*|\\(\\[ 0\\]\\*\\|\\n\\))", 1..6),
            text in "([ab]{1,3}|[ab]{20,70}|[ \n]{1,3}|[ \n\t]{50,80}|[0-9]){0,9}",
        ) {
            let hir = crate::expression::parse(&parts.concat()).unwrap();
            if let Some(over) = lines(&hir) {
                let regex = Regex::builder().build_from_hir(&hir).unwrap();
                for begin in 0..text.len() {
                    let input = regex_automata::Input::new(&text).range(begin..).anchored(regex_automata::Anchored::Yes);
                    let has_digit = |found: regex_automata::Match| text[found.range()].contains(|c: char| c.is_ascii_digit());
                    if regex.find(input).is_some_and(has_digit) {
                        prop_assert!(any_ahead(&text.as_bytes()[begin..], over));
                    }
                }
            }
        }

        #[test]
        fn says_no_where_no_digit_is_near(
            word in "[a-z ]{0,60}",
            blank in "\n[ \n]{0,40}",
            next in "[a-z][a-z ]{0,60}",
            digit in "[0-9]",
        ) {
            let text = format!("{word}{blank}{next}\n{digit}");
            prop_assert!(!any_ahead(text.as_bytes(), 0));
            prop_assert!(!any_ahead(text.as_bytes(), 1));
            prop_assert!(any_ahead(text.as_bytes(), 2));
            let short = format!("{word}{blank}{next}");
            prop_assert!(!any_ahead(short.as_bytes(), 2));
        }
    }
}
