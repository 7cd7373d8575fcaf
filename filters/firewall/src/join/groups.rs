//! Tokens cut into groups of one size: `g h p _`, `ab-cd-ef`, `[g][h]`, also with pictures in between, and what is
//! encoded in words of one width.

mod steps;

use std::ops::Range;

use fearless_simd::{Level, dispatch};

use super::{Sink, give, may_hide};
use crate::planes::{BLOCK, Planes};
use steps::{BLOCKS, NARROW, STEP, Steps};

/// As many groups are joined at once, and as many of them are joined with those after them, too.
const MOST: usize = 16 << 10;
const OVERLAP: usize = 128;

/// Joins every row of groups.
pub(super) fn each(text: &str, planes: &Planes, sink: &mut Sink<'_>) {
    let bytes = text.as_bytes();
    let mut rows = Rows { text, floor: 0, next: 0 };
    let level = Level::new();
    for first in (0..planes.blocks().len()).step_by(BLOCKS) {
        let mut places = steps::places(level, planes.blocks(), first);
        while let Some(steps) = dispatch!(level, _simd => next(bytes, planes, first, &mut places)) {
            rows.look(&steps, sink);
        }
    }
}

/// The next of these places at which a row goes on.
#[inline(always)]
fn next(bytes: &[u8], planes: &Planes, first: usize, places: &mut u64) -> Option<Steps> {
    while *places != 0 {
        let place = first * BLOCK + places.trailing_zeros() as usize * STEP;
        *places &= *places - 1;
        let steps = Steps::at(planes, place);
        if steps.go_on(bytes) {
            return Some(steps);
        }
    }
    None
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

    use super::steps::{GAP, GROUP};
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
        ) {
            let groups: Vec<_> = token.as_bytes().chunks(size).map(|group| std::str::from_utf8(group).unwrap()).collect();
            let text = format!("{lead}{prefix}{gap}{}{end}", groups.join(&gap));
            let planes = Planes::of(&text);
            let bytes = text.as_bytes();
            for place in 0..bytes.len() {
                let Some(steps) = plain(bytes, place) else { continue };
                if Row::over(bytes, 0, &steps).is_some() {
                    let (ahead, behind) = (planes.ahead(place, |b| b.word), planes.behind(place, |b| b.word));
                    let (is_row, seen) = Steps::over(ahead, behind);
                    let seen = Some(Steps { place, ..seen }).filter(|seen| is_row && seen.go_on(bytes));
                    let seen = seen.map(|steps| (steps.first, steps.gap, steps.group));
                    prop_assert_eq!(seen, Some((steps.first, steps.gap, steps.group)), "{:?} at {}", text, place);
                }
            }
        }
    }
}
