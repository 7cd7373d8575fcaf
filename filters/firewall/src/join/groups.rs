//! Tokens cut into groups of one size: `g h p _`, `ab-cd-ef`, `[g][h]`, also with pictures in between, and what is
//! encoded in words of one width.

use super::{Sink, give};
use crate::planes::Planes;

/// How far apart a text is looked at. A token in groups is longer.
const STEP: usize = 32;

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

/// Joins every row of groups.
pub(super) fn each(text: &str, planes: &Planes, sink: &mut Sink<'_>) {
    let bytes = text.as_bytes();
    let (mut floor, mut at) = (0, 0);
    while at < bytes.len() {
        match may_be_row(bytes, planes, at).then(|| row(bytes, floor, at)).flatten() {
            Some((pieces, end)) => {
                give(text, &pieces, sink);
                let again = pieces.len().checked_sub(OVERLAP).filter(|_| pieces.len() > MOST);
                floor = again.and_then(|at| pieces.get(at)).map_or(end, |piece| piece.start);
                at = end.max(at + STEP);
            }
            None => at += STEP,
        }
    }
}

/// Whether a row may go over a place: of the groups around it, three that follow each other have one and the same gap
/// after them, as far as letters and digits tell.
fn may_be_row(bytes: &[u8], planes: &Planes, place: usize) -> bool {
    let ahead = planes.ahead(place, |block| block.word);
    let first = ahead.trailing_ones();
    let gap = (ahead >> first.min(63)).trailing_zeros();
    let group = (ahead >> (first + gap).min(63)).trailing_ones();
    let within = |size: u32, most: usize| (1..=most as u32).contains(&size);
    if first > GROUP as u32 || !within(gap, GAP) || !within(group, GROUP) {
        return false;
    }
    // The group before this gap has it after it; two more must.
    let step = group + gap;
    let inside = (1u64 << gap) - 1;
    let after = |steps: u32| ahead >> (first + steps * step) & inside == 0;
    let one = after(1);
    if one && after(2) {
        return true;
    }
    // Two words of one size stand everywhere.
    if gap == 1 && is_word(group as usize) && bytes.get(place + first as usize) == Some(&b' ') {
        return false;
    }
    let Some(short) = group.checked_sub(first) else { return false };
    let behind = planes.behind(place, |block| block.word);
    let before = |steps: u32| behind & inside << (64 - gap - short - steps * step) == 0;
    before(0) && (one || before(1))
}

/// Whether groups of this size with a space between them are words: people cut by one, two or four.
fn is_word(group: usize) -> bool {
    !matches!(group, 1 | 2 | 4)
}

/// The groups of a row that goes over a place, and where it ends.
fn row(bytes: &[u8], floor: usize, place: usize) -> Option<(Vec<std::ops::Range<usize>>, usize)> {
    let rest = bytes.get(place..)?;
    // To the end of the group that is there, then one gap and one group.
    let first = place + rest.iter().take(GROUP + 1).take_while(|byte| is_inner(**byte)).count();
    let gap = bytes.get(first..)?.iter().take(GAP + 1).take_while(|byte| !is_inner(**byte)).count();
    let begin = first + gap;
    let group = bytes.get(begin..)?.iter().take(GROUP + 1).take_while(|byte| is_inner(**byte)).count();
    if !(1..=GAP).contains(&gap) || !(1..=GROUP).contains(&group) {
        return None;
    }
    let between = bytes.get(first..begin)?;
    let words = between == b" " && is_word(group);
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
    if (end - start) / step < if words && group <= NARROW { WORDS } else { LEAST } - 1 {
        return None;
    }
    let mut pieces = Vec::new();
    // The group before the first may be longer, with the prefix; the one after the last may be of any size.
    if let Some(before) = start.checked_sub(gap).filter(|at| *at >= floor && bytes.get(*at..start) == Some(between)) {
        let word = bytes.get(floor..before)?.iter().rev().take(64).take_while(|byte| byte.is_ascii_graphic()).count();
        pieces.push(before - word..before);
    }
    pieces.extend((start..end).step_by(step).map(|at| at..at + group));
    let last = bytes.get(end..)?.iter().take(group).take_while(|byte| byte.is_ascii_graphic()).count();
    pieces.push(end..end + last);
    Some((pieces, end + last))
}

fn is_inner(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
