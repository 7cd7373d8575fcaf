//! Tokens cut into groups of one size: `g h p _`, `ab-cd-ef`, `[g][h]`, also with pictures in between, and what is
//! encoded in words of one width.

mod steps;

use std::ops::Range;

use fearless_simd::Level;

use super::{CAPITALS, Sink, Source, dashes, give};
use crate::planes::{BLOCK, Block};
use steps::{BLOCKS, NARROW, Places, STEP, Steps};

/// As many groups are joined at once, and as many of them are joined with those after them, too.
const MOST: usize = 16 << 10;
const OVERLAP: usize = 128;

/// Joins every row of groups.
pub(super) fn each(source: Source<'_>, pieces: &mut Vec<Range<usize>>, sink: &mut Sink<'_>) {
    let (bytes, planes) = (source.bytes(), source.planes);
    let mut rows = Rows { source, floor: 0, next: 0 };
    let level = Level::new();
    let mut places = Places::default();
    for first in (0..planes.blocks().len()).step_by(BLOCKS) {
        places.read(level, planes.blocks(), first);
        let steps = |number: u32| places.steps(number as usize, first * BLOCK + number as usize * STEP);
        // Most do not go on, and that is hard to guess, too.
        let mut left = places.that_go_on(bytes, first * BLOCK);
        while left != 0 {
            let steps = steps(left.trailing_zeros());
            left &= left - 1;
            if steps.go_on(bytes) {
                rows.look(&steps, pieces, sink);
            }
        }
    }
}

/// The rows of a text, from the first to the last.
struct Rows<'t> {
    source: Source<'t>,
    /// Where the next one may begin, and from where on it is looked for.
    floor: usize,
    next: usize,
}

impl Rows<'_> {
    /// Joins the row that goes over a place, if one does.
    fn look(&mut self, steps: &Steps, pieces: &mut Vec<Range<usize>>, sink: &mut Sink<'_>) {
        let Some(row) = Some(steps)
            .filter(|steps| steps.place >= self.next)
            .and_then(|_| Row::over(self.source, self.floor, steps))
        else {
            return;
        };
        // What stands behind the last whole group may be the first of the next row.
        self.next = row.end;
        if row.may_hide(self.source) && !row.is_of_numbers(self.source) {
            pieces.clear();
            pieces.extend(row.pieces());
            give(self.source, pieces, sink);
        }
        // A long one is joined with what follows, too.
        self.floor = if row.len() > MOST { row.end - (OVERLAP - 1) * row.step } else { self.next };
    }
}

/// A row of groups of one size.
struct Row {
    /// What stands before the first: it may be longer, with the prefix.
    before: Option<Range<usize>>,
    start: usize,
    end: usize,
    group: usize,
    step: usize,
    /// What stands after the last: it may be of any size.
    last: Range<usize>,
}

impl Row {
    /// The row that goes over a place.
    fn over(source: Source<'_>, floor: usize, steps: &Steps) -> Option<Self> {
        let (bytes, planes) = (source.bytes(), source.planes);
        let Steps { place, first, gap, group } = *steps;
        let begin = place + first + gap;
        let between = bytes.get(place + first..begin)?;
        if group > NARROW && between.contains(&b'\n') {
            return None;
        }
        let step = group + gap;
        let fits = |at: usize| {
            // Most rows end here, without a comparison of more than a byte.
            if bytes.get(at + group) != between.first() {
                return false;
            }
            let of_word = !(u64::MAX << group);
            let inner = planes.ahead(at, |block| block.word) & of_word == of_word
                || bytes.get(at..at + group).is_some_and(|group| group.iter().all(u8::is_ascii_graphic));
            inner && (gap == 1 || bytes.get(at + group..).is_some_and(|rest| rest.starts_with(between)))
        };
        // The ones after it, and the ones before it.
        let mut end = begin;
        while fits(end) && end - begin <= MOST * step {
            end += step;
        }
        let mut start = begin;
        while start.checked_sub(step).is_some_and(|before| before >= floor && fits(before)) {
            start -= step;
        }
        if (end - start) / step < steps.least(*between.first()?) {
            return None;
        }
        let gap = start.checked_sub(gap).filter(|at| *at >= floor && bytes.get(*at..start) == Some(between));
        let before = gap.map(|end| {
            let word = bytes.get(floor..end).unwrap_or_default().iter().rev().take(64);
            end - word.take_while(|byte| byte.is_ascii_graphic()).count()..end
        });
        let last = bytes.get(end..)?.iter().take(group).take_while(|byte| byte.is_ascii_graphic()).count();
        Some(Self { before, start, end, group, step, last: end..end + last })
    }

    fn len(&self) -> usize {
        (self.end - self.start) / self.step
    }

    /// Whether a secret may be in it, or a part of what begins a key: it has a digit, capital letters, or dashes.
    fn may_hide(&self, Source { planes, signs, .. }: Source<'_>) -> bool {
        let start = self.before.as_ref().map_or(self.start, |before| before.start);
        let mut capitals = 0;
        (start..self.last.end).step_by(BLOCK).any(|at| {
            let within = !u64::MAX.unbounded_shl((self.last.end - at) as u32);
            capitals += (signs.ahead(at, |sign| sign.capital) & within).count_ones();
            planes.ahead(at, |block| block.digit | dashes(block)) & within != 0 || capitals >= CAPITALS
        })
    }

    /// Whether each group is a number, or says that it is one or a character: what these may stand for is
    /// [decoded](crate::decode), and as they are written no secret has the same mark in it every few characters, nor is it
    /// of digits alone.
    fn is_of_numbers(&self, Source { text, planes, .. }: Source<'_>) -> bool {
        let bytes = text.as_bytes();
        let mut groups = (self.start..self.end).step_by(self.step);
        let begins = bytes.get(self.start..).unwrap_or_default();
        if begins.first().is_some_and(u8::is_ascii_digit) && !planes.any(self.start..self.end, letters) {
            return true;
        }
        match begins {
            [b'0', b'x' | b'X', ..] if self.group > 2 => {
                groups.all(|at| matches!(bytes.get(at..at + 2), Some(b"0x" | b"0X")))
            }
            [b'x' | b'u' | b'U', ..] => groups.all(|at| is_escape(bytes, at, self.group)),
            _ => false,
        }
    }

    fn pieces(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let groups = (self.start..self.end).step_by(self.step).map(|at| at..at + self.group);
        self.before.clone().into_iter().chain(groups).chain([self.last.clone()])
    }
}

/// Letters, and `_`.
#[inline(always)]
fn letters(block: &Block) -> u64 {
    block.word & !block.digit
}

/// Whether a group is what stands behind the `\\` of an escape.
fn is_escape(bytes: &[u8], at: usize, group: usize) -> bool {
    let size = match bytes.get(at) {
        Some(b'x') => 3,
        Some(b'u') => 5,
        Some(b'U') => 9,
        _ => return false,
    };
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    let digits = bytes.get(at + 1..at + group).unwrap_or_default();
    group == size && before == Some(&b'\\') && digits.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::steps::{GAP, GROUP};
    use super::*;
    use crate::join::{Joined, Signs};
    use crate::planes::Planes;

    /// What a row would be made of, byte by byte, whatever comes before and after.
    fn plain(bytes: &[u8], place: usize) -> Option<Steps> {
        let inner = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let first = bytes[place..].iter().take_while(inner).count();
        let gap = bytes[place + first..].iter().take_while(|byte| !inner(byte)).count();
        let group = bytes[place + first + gap..].iter().take_while(inner).count();
        let fits = first <= GROUP && (1..=GAP).contains(&gap) && (1..=GROUP).contains(&group);
        fits.then_some(Steps { place, first, gap, group })
    }

    #[test]
    fn numbers_are_left_to_who_decodes_them() {
        for (text, given) in [
            ("{ 0x30fb40d4, 0x9fa0ff0b, 0x6beccd2f, 0x3f258c7a, 0x1e213f2f }", false),
            ("{ 0x30fb40d4, 0x9fa0ff0b, 0y6beccd2f, 0x3f258c7a, 0x1e213f2f }", true),
            ("30fb40d4, 9fa0ff0b, 6beccd2f, 3f258c7a, 1e213f2f", true),
            ("0x 0x 0x 0x 0x 0x 0x 0x 0x 1x", true),
        ] {
            let (planes, signs) = (Planes::of(text), Signs::of(text));
            let mut seen = false;
            let mut take = |_: &mut Joined| seen = true;
            let mut sink = Sink { joined: &mut Joined::default(), take: &mut take };
            each(Source::of(text, &planes, &signs), &mut Vec::new(), &mut sink);
            sink.flush();
            assert_eq!(seen, given, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_row_is_overlooked(
            lead in "([A-Za-z0-9_]{0,14}[ .,:\n-]){0,9}",
            prefix in "[a-z_]{0,20}",
            token in "[A-Za-z0-9_]{12,60}|[A-Za-z0-9+/=-]{12,60}|[a-z]{12,60}|[0-9]{12,60}",
            size in 1usize..=GROUP,
            gap in " |-|, |\n|::|\\]\\[|🔥|--------|é ",
            end in "([ .,:\n-][A-Za-z0-9_]{0,14}){0,9}",
        ) {
            let groups: Vec<_> = token.as_bytes().chunks(size).map(|group| std::str::from_utf8(group).unwrap()).collect();
            let text = format!("{lead}{prefix}{gap}{}{end}", groups.join(&gap));
            let (planes, signs) = (Planes::of(&text), Signs::of(&text));
            let source = Source::of(&text, &planes, &signs);
            let bytes = text.as_bytes();
            for place in 0..bytes.len() {
                let Some(steps) = plain(bytes, place) else { continue };
                if Row::over(source, 0, &steps).is_some() {
                    let (ahead, behind) = (planes.ahead(place, |b| b.word), planes.behind(place, |b| b.word));
                    let (is_row, seen) = Steps::over(ahead, behind);
                    let seen = Some(Steps { place, ..seen })
                        .filter(|seen| is_row && seen.goes_on_once(bytes) && seen.go_on(bytes));
                    let seen = seen.map(|steps| (steps.first, steps.gap, steps.group));
                    prop_assert_eq!(seen, Some((steps.first, steps.gap, steps.group)), "{:?} at {}", text, place);
                }
            }
        }
    }
}
