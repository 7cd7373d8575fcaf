//! Tokens cut into groups of one size: `g h p _`, `ab-cd-ef`, `[g][h]`, also with pictures in between, and what is
//! encoded in words of one width.

use std::ops::Range;

use super::{Sink, give, may_hide};
use crate::planes::{BLOCK, Planes};

/// How far apart a text is looked at. A token in groups is longer.
const STEP: usize = 16;

/// The largest group, and the longest that stands between two: three of both fit into 64 bytes.
const GROUP: usize = 12;
const GAP: usize = 8;

/// Wider groups, one a line, are lines.
const NARROW: usize = 8;

/// As many groups are joined at once, and as many of them are joined with those after them, too.
const MOST: usize = 16 << 10;
const OVERLAP: usize = 128;

/// As many groups in a row are no accident, and as many words of one size.
const LEAST: usize = 4;
const WORDS: usize = 6;

/// As many blocks of a text are looked at together.
const BLOCKS: usize = 16;

/// As many bytes around a block are looked at: every gap that is asked about begins in them.
const WINDOW: usize = 256;

/// Joins every row of groups. Of each place it is asked whether a row may go over it, and what is left of them is thinned
/// out: nothing of that is guessed at, since a processor that has guessed wrongly loses more time than that takes.
pub(super) fn each(text: &str, planes: &Planes, sink: &mut Sink<'_>) {
    let bytes = text.as_bytes();
    let mut rows = Rows { text, floor: 0, next: 0 };
    let mut places = [0; BLOCKS * BLOCK / STEP];
    let mut list = [Steps::default(); BLOCKS * BLOCK / STEP];
    let blocks = planes.blocks();
    for first in (0..blocks.len()).step_by(BLOCKS) {
        let mut here = blocks.get(first..).unwrap_or_default().iter().map(|block| block.word);
        let (mut count, mut word) = (0, here.next().unwrap_or(0));
        for number in first..blocks.len().min(first + BLOCKS) {
            let after = here.next().unwrap_or(0);
            let window = window(bytes, number * BLOCK);
            for step in (0..BLOCK).step_by(STEP) {
                let ahead = word >> step | after << 1 << (BLOCK - 1 - step);
                places.get_mut(count).into_iter().for_each(|slot| *slot = number * BLOCK + step);
                // At the ends of a text all are looked at closer.
                count += usize::from(window.is_none_or(|window| may_go_on(ahead, window, WINDOW / 2 + step)));
            }
            word = after;
        }
        let mut left = 0;
        for place in places.iter().take(count) {
            let (ahead, behind) = (planes.ahead(*place, |block| block.word), planes.behind(*place, |block| block.word));
            let (is_row, steps) = Steps::over(ahead, behind);
            let steps = Steps { place: *place, ..steps };
            list.get_mut(left).into_iter().for_each(|slot| *slot = steps);
            left += usize::from(is_row & steps.go_on(bytes));
        }
        for steps in list.iter().take(left) {
            rows.look(steps, sink);
        }
    }
}

/// The bytes around a place, which is in their middle.
fn window(bytes: &[u8], place: usize) -> Option<&[u8; WINDOW]> {
    bytes.get(place.checked_sub(WINDOW / 2)?..)?.first_chunk()
}

/// By which of the 64 bytes after a place are letters and digits: to the end of the group that is there, the gap behind
/// it, the group after that, and whether these are as large as they may be.
#[inline(always)]
fn sizes(ahead: u64) -> (u32, u32, u32, bool) {
    let first = ahead.trailing_ones();
    let rest = ahead >> (first & 63);
    let gap = rest.trailing_zeros();
    let group = (rest >> (gap & 63)).trailing_ones();
    let within = |size: u32, most: usize| size.wrapping_sub(1) < most as u32;
    (first, gap, group, (first <= GROUP as u32) & within(gap, GAP) & within(group, GROUP))
}

/// Whether any row goes on from a place in a window: two more gaps must begin as the one behind the place does, one
/// after the other.
#[inline(always)]
fn may_go_on(ahead: u64, window: &[u8; WINDOW], place: usize) -> bool {
    const { assert!(WINDOW / 2 + BLOCK - STEP + GROUP + 2 * (GROUP + GAP) < WINDOW) };
    let (first, gap, group, fits) = sizes(ahead);
    let (gap_at, step) = (place as u32 + first, group.wrapping_add(gap));
    let byte = |at: u32| window.get(usize::from(at as u8)).copied().unwrap_or(0);
    let same = |at: u32| byte(at) == byte(gap_at);
    let (after, before) = (same(gap_at.wrapping_add(step)), same(gap_at.wrapping_sub(step)));
    let two_after = after & same(gap_at.wrapping_add(step.wrapping_mul(2)));
    let two_before = before & same(gap_at.wrapping_sub(step.wrapping_mul(2)));
    fits & ((after & before) | two_after | two_before)
}

/// The rows of a text, from the first to the last.
struct Rows<'t> {
    text: &'t str,
    /// Where the next one may begin, and from where on it is looked for.
    floor: usize,
    next: usize,
}

impl Rows<'_> {
    /// Joins the row that goes over a place, if one does.
    fn look(&mut self, steps: &Steps, sink: &mut Sink<'_>) {
        let bytes = self.text.as_bytes();
        let Some(row) =
            Some(steps).filter(|steps| steps.place >= self.next).and_then(|_| Row::over(bytes, self.floor, steps))
        else {
            return;
        };
        // What stands behind the last whole group may be the first of the next row.
        self.next = row.end;
        if may_hide(bytes, row.pieces()) {
            let pieces: Vec<_> = row.pieces().collect();
            give(self.text, &pieces, sink);
        }
        // A long one is joined with what follows, too.
        self.floor = if row.len() > MOST { row.end - (OVERLAP - 1) * row.step } else { self.next };
    }
}

/// What a row would be made of that goes over a place.
#[derive(Clone, Copy, Debug, Default)]
struct Steps {
    place: usize,
    /// To the end of the group that is there.
    first: usize,
    gap: usize,
    /// The group after it.
    group: usize,
}

impl Steps {
    /// By which of the 64 bytes after and before a place are letters and digits, and whether that may be: of the groups
    /// around it, three that follow each other have one and the same gap after them.
    #[inline(always)]
    fn over(ahead: u64, behind: u64) -> (bool, Self) {
        let (first, gap, group, fits) = sizes(ahead);
        // The group before this gap has it after it; two more must.
        let step = group.wrapping_add(gap);
        let inside = !(u64::MAX << (gap & 63));
        let is_gap = |bits: u64, from: u32| bits >> (from & 63) & inside == 0;
        let after = |steps: u32| is_gap(ahead, first.wrapping_add(steps.wrapping_mul(step)));
        let begun = step.wrapping_sub(first);
        let before = |steps: u32| is_gap(behind, 0u32.wrapping_sub(begun).wrapping_sub(steps.wrapping_mul(step)));
        let whole = (group >= first) & before(0);
        let is_row = fits & ((after(1) & after(2)) | (whole & (after(1) | before(1))));
        (is_row, Self { place: 0, first: first as usize, gap: gap as usize, group: group as usize })
    }

    /// Whether as many gaps as a row has begin in the same way: that is asked before it is walked along.
    #[inline(always)]
    fn go_on(&self, bytes: &[u8]) -> bool {
        let first = self.place + self.first;
        let step = self.group + self.gap;
        let mark = bytes.get(first).copied().unwrap_or(0);
        let same = |at: usize| bytes.get(at).copied().unwrap_or(!mark) == mark;
        let (mut after, mut before, mut count) = (true, true, 1);
        for steps in 1..WORDS - 1 {
            after &= same(first + steps * step);
            before &= same(first.wrapping_sub(steps * step));
            count += usize::from(after) + usize::from(before);
        }
        count >= self.least(mark)
    }

    /// As many groups are a row, with what stands before and after them.
    fn least(&self, mark: u8) -> usize {
        let words = (self.gap == 1) & (mark == b' ') & is_word(self.group) & (self.group <= NARROW);
        if words { WORDS - 1 } else { LEAST - 1 }
    }
}

/// Whether groups of this size with a space between them are words: people cut by one, two or four.
fn is_word(group: usize) -> bool {
    !matches!(group, 1 | 2 | 4)
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
    fn over(bytes: &[u8], floor: usize, steps: &Steps) -> Option<Self> {
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
            let inner = bytes.get(at..at + group).is_some_and(|group| group.iter().all(u8::is_ascii_graphic));
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

    fn pieces(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let groups = (self.start..self.end).step_by(self.step).map(|at| at..at + self.group);
        self.before.clone().into_iter().chain(groups).chain([self.last.clone()])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a row would be made of, byte by byte, whatever comes before and after.
    fn plain(bytes: &[u8], place: usize) -> Option<Steps> {
        let inner = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let first = bytes[place..].iter().take_while(inner).count();
        let gap = bytes[place + first..].iter().take_while(|byte| !inner(byte)).count();
        let group = bytes[place + first + gap..].iter().take_while(inner).count();
        let fits = first <= GROUP && (1..=GAP).contains(&gap) && (1..=GROUP).contains(&group);
        fits.then_some(Steps { place, first, gap, group })
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
            around in prop_oneof![Just((String::new(), String::new())), ("[a-z ]{128}", "[a-z ]{128}")],
        ) {
            let groups: Vec<_> = token.as_bytes().chunks(size).map(|group| std::str::from_utf8(group).unwrap()).collect();
            let text = format!("{}{lead}{prefix}{gap}{}{end}{}", around.0, groups.join(&gap), around.1);
            let planes = Planes::of(&text);
            let bytes = text.as_bytes();
            for place in 0..bytes.len() {
                let Some(steps) = plain(bytes, place) else { continue };
                if Row::over(bytes, 0, &steps).is_some() {
                    let (ahead, behind) = (planes.ahead(place, |b| b.word), planes.behind(place, |b| b.word));
                    let (is_row, seen) = Steps::over(ahead, behind);
                    let window = window(bytes, place);
                    prop_assert!(window.is_none_or(|window| may_go_on(ahead, window, WINDOW / 2)), "{:?} at {}", text, place);
                    let seen = Some(Steps { place, ..seen }).filter(|seen| is_row && seen.go_on(bytes));
                    let seen = seen.map(|steps| (steps.first, steps.gap, steps.group));
                    prop_assert_eq!(seen, Some((steps.first, steps.gap, steps.group)), "{:?} at {}", text, place);
                }
            }
        }
    }
}
