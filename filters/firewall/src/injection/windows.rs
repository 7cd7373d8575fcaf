//! The parts of a text that are looked at closer: what stands around a trigger.

use std::ops::Range;

use super::fold::is_accented;
use super::place;
use crate::view::is_alphabetic;

/// How far around a trigger the other cues are looked for, in bytes.
const BEFORE: usize = 300;
const AFTER: usize = 420;
/// So much behind letters of another alphabet nothing else is looked for.
const SKIPPED: usize = AFTER / 2;
/// No marked cue takes as many bytes where it is written with its accents.
pub(super) const ACCENTED: usize = 65;
/// Parts near accents that are longer need not have a cue to be looked at.
pub(super) const LONG: usize = BEFORE + AFTER;
/// As much more is seen around them: who writes one cue with accents hides another one beside it.
pub(super) const BESIDE: usize = 32;
/// Accents nearer to each other are seen to together: what is near them touches.
const TOGETHER: usize = 2 * (ACCENTED + BESIDE) - 8;

/// Parts of a text. Once they are [settled](Windows::settle): in order, and none touches another.
#[derive(Default)]
pub(super) struct Windows(Vec<Range<usize>>);

/// A part, and what stands around triggers in it.
pub(super) fn around(part: Range<usize>, length: usize) -> Range<usize> {
    part.start.saturating_sub(BEFORE)..part.end.saturating_add(AFTER).min(length)
}

impl Windows {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what stands around a trigger. Triggers come in any order, mostly from the left.
    pub(super) fn add(&mut self, at: usize, length: usize) {
        self.put(around(at..at, length));
    }

    /// Adds what stands around letters of another alphabet, and around whatever is [not looked for](SKIPPED) behind them.
    pub(super) fn add_script(&mut self, at: usize, length: usize) {
        self.put(at.saturating_sub(BEFORE)..at.saturating_add(SKIPPED + AFTER).min(length));
    }

    /// Adds a part of the text.
    pub(super) fn put(&mut self, part: Range<usize>) {
        match self.0.last_mut() {
            Some(last) if last.start <= part.start && part.start <= last.end => last.end = last.end.max(part.end),
            _ => self.0.push(part),
        }
    }

    /// Leaves the parts of which this is true.
    pub(super) fn retain(&mut self, is: impl Fn(&Range<usize>) -> bool) {
        self.0.retain(is);
    }

    /// Whether a part is in one of these.
    pub(super) fn have(&self, part: &Range<usize>) -> bool {
        let before = self.0.partition_point(|known| known.start <= part.start);
        before.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|known| part.end <= known.end)
    }

    /// Puts the parts in order, and joins those that touch.
    pub(super) fn settle(&mut self) {
        if !self.0.is_sorted_by(|a, b| a.end < b.start) {
            self.0.sort_unstable_by_key(|part| part.start);
            self.0.dedup_by(|next, part| {
                let touches = next.start <= part.end;
                if touches {
                    part.end = part.end.max(next.end);
                }
                touches
            });
        }
    }

    /// Calls `found` with the parts of a text around which not everything is in these: what stands [around](Windows::add) a
    /// trigger there is not.
    pub(super) fn each_open(&self, length: usize, found: &mut dyn FnMut(Range<usize>)) {
        let mut open = 0;
        for part in &self.0 {
            let from = if part.start == 0 { 0 } else { part.start.saturating_add(BEFORE) };
            let to = if part.end >= length { length } else { part.end.saturating_sub(AFTER - 1) };
            if from < to {
                if open < from {
                    found(open..from);
                }
                open = to;
            }
        }
        if open < length {
            found(open..length);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().cloned()
    }
}

/// What letters that are not ASCII ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Letters of another alphabet beside each other: what is written in one has no triggers.
    Script,
    /// A Latin letter with an accent, which may stand where a trigger has one without: like a trigger.
    Accent,
}

/// Calls `found` with places so that whatever stands near a letter that is not ASCII is seen to: of letters with accents,
/// with the first and the last of many.
pub(super) fn foreign(text: &str, found: &mut impl FnMut(Range<usize>, Foreign)) {
    if text.is_ascii() {
        return;
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut accents: Option<Range<usize>> = None;
    while let Some(ahead) = bytes.get(at..).and_then(first_foreign) {
        at += ahead;
        let mut chars = text.get(at..).unwrap_or_default().chars();
        let Some(char) = chars.next() else {
            at += 1;
            continue;
        };
        at = match kind(char) {
            Some(Foreign::Accent) => {
                match &mut accents {
                    Some(accents) if at - accents.end <= TOGETHER => accents.end = at,
                    _ => accents.replace(at..at).into_iter().for_each(|accents| found(accents, Foreign::Accent)),
                }
                at + char.len_utf8()
            }
            // One alone is a sign in a formula: no cue is.
            Some(Foreign::Script) if chars.next().and_then(kind) == Some(Foreign::Script) => {
                found(at..at, Foreign::Script);
                place::floor(text, at + SKIPPED)
            }
            _ => at + char.len_utf8(),
        };
    }
    accents.into_iter().for_each(|accents| found(accents, Foreign::Accent));
}

/// The first byte that is not ASCII.
fn first_foreign(bytes: &[u8]) -> Option<usize> {
    const STEP: usize = 32;
    let skipped = bytes.chunks_exact(STEP).take_while(|chunk| chunk.is_ascii()).count() * STEP;
    let rest = bytes.get(skipped..)?;
    rest.iter().position(|byte| !byte.is_ascii()).map(|ahead| skipped + ahead)
}

fn kind(char: char) -> Option<Foreign> {
    match char {
        // Most of the letters of whole texts.
        '\u{400}'..='\u{481}' | '\u{620}'..='\u{657}' | '\u{4e00}'..='\u{9fff}' => Some(Foreign::Script),
        '\0'..='\u{7f}' | 'ª' | 'µ' | 'º' => None,
        _ if is_accented(char) => Some(Foreign::Accent),
        _ => is_alphabetic(char).then_some(Foreign::Script),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn letters_are_foreign() {
        for c in '\0'..='\u{ffff}' {
            let is_letter = !c.is_ascii() && c.is_alphabetic() && !matches!(c, 'ª' | 'µ' | 'º');
            let known = if is_accented(c) { Some(Foreign::Accent) } else { is_letter.then_some(Foreign::Script) };
            assert_eq!(kind(c), known, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn cover_every_trigger_once(mut places in prop::collection::vec(0usize..9000, 0..60), shuffle: bool) {
            if !shuffle {
                places.sort_unstable();
            }
            let mut windows = Windows::default();
            places.iter().for_each(|at| windows.add(*at, 9000));
            windows.settle();
            let all: Vec<_> = windows.iter().collect();
            prop_assert!(all.is_sorted_by(|a, b| a.end < b.start));
            for at in places {
                let (from, to) = (at.saturating_sub(BEFORE), (at + AFTER).min(9000));
                prop_assert_eq!(all.iter().filter(|window| window.start <= from && to <= window.end).count(), 1);
            }
        }

        /// Around whatever is not open, everything is looked at, and around nothing else.
        #[test]
        fn what_is_open_is_not_looked_at_all_around(places in prop::collection::vec(0usize..9000, 0..12)) {
            let mut windows = Windows::default();
            places.iter().for_each(|at| windows.add_script(*at, 9000));
            windows.settle();
            let mut open = vec![false; 9000];
            windows.each_open(9000, &mut |part| open[part].fill(true));
            for (at, open) in open.into_iter().enumerate() {
                let (from, to) = (at.saturating_sub(BEFORE), (at + AFTER).min(9000));
                let all_around = windows.iter().any(|window| window.start <= from && to <= window.end);
                prop_assert_eq!(open, !all_around, "{}", at);
            }
        }

        #[test]
        fn every_foreign_letter_is_near(text in "([a-zé中—🙂αü ]{0,9}|[a-z ]{30,60}|中[a-z]|é){0,30}") {
            let (mut windows, mut near) = (Windows::default(), Windows::default());
            foreign(&text, &mut |at, kind| match kind {
                Foreign::Script => windows.add_script(at.start, text.len()),
                Foreign::Accent => near.put(at.start..at.end + 1),
            });
            let letters: Vec<_> = text.char_indices().collect();
            for pair in letters.windows(2) {
                let script = |c: char| c.is_alphabetic() && kind(c) == Some(Foreign::Script);
                if script(pair[0].1) && script(pair[1].1) {
                    prop_assert!(windows.iter().any(|window| window.contains(&pair[0].0)));
                }
            }
            for (at, _) in letters.iter().filter(|(_, c)| "éü".contains(*c)) {
                let seen = windows.iter().any(|window| window.contains(at));
                prop_assert!(seen || near.iter().any(|part| part.contains(at)));
            }
        }
    }
}
