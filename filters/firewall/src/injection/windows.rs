//! The parts of a text that are looked at closer: what stands around a trigger.

use std::ops::Range;

/// How far around a trigger the other cues are looked for, in bytes.
const BEFORE: usize = 300;
const AFTER: usize = 420;

/// Parts of a text, in order, that do not touch. Of no more than its size.
#[derive(Default)]
pub(super) struct Windows(Vec<Range<usize>>);

impl Windows {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what stands around a trigger. Triggers come in any order, mostly from the left.
    pub(super) fn add(&mut self, at: usize, length: usize) {
        self.put(at.saturating_sub(BEFORE)..at.saturating_add(AFTER).min(length));
    }

    /// Adds a part of the text.
    pub(super) fn put(&mut self, part: Range<usize>) {
        let (from, to) = (part.start, part.end);
        let mut place = self.0.len();
        while place.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|window| window.start > to) {
            place -= 1;
        }
        match place.checked_sub(1).and_then(|last| self.0.get_mut(last)) {
            Some(window) if window.end >= from => {
                window.start = window.start.min(from);
                window.end = window.end.max(to);
                self.join(place - 1);
            }
            _ => self.0.insert(place, from..to),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().cloned()
    }

    /// Joins a window that has grown with its neighbours.
    fn join(&mut self, mut place: usize) {
        while let Some([before, after]) = place.checked_sub(1).and_then(|before| self.0.get(before..=place)) {
            if before.end < after.start {
                break;
            }
            let joined = before.start.min(after.start)..before.end.max(after.end);
            self.0.remove(place);
            place -= 1;
            self.0.get_mut(place).into_iter().for_each(|window| *window = joined.clone());
        }
        while let Some([before, after]) = self.0.get(place..place.saturating_add(2)) {
            if before.end < after.start {
                return;
            }
            let joined = before.start.min(after.start)..before.end.max(after.end);
            self.0.remove(place + 1);
            self.0.get_mut(place).into_iter().for_each(|window| *window = joined.clone());
        }
    }
}

/// Calls `found` with places so that whatever stands near a letter that is not ASCII is looked at:
/// what is written in other alphabets has no triggers.
pub(super) fn foreign(text: &str, found: &mut impl FnMut(usize)) {
    if text.is_ascii() {
        return;
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(ahead) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| !byte.is_ascii())) {
        at += ahead;
        let Some(char) = text.get(at..).and_then(|rest| rest.chars().next()) else {
            at += 1;
            continue;
        };
        if char.is_alphabetic() {
            found(at);
            // As far as that has been seen to.
            at += AFTER / 2;
        } else {
            at += char.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cover_every_trigger_once(mut places in prop::collection::vec(0usize..9000, 0..60), shuffle: bool) {
            if !shuffle {
                places.sort_unstable();
            }
            let mut windows = Windows::default();
            places.iter().for_each(|at| windows.add(*at, 9000));
            let all: Vec<_> = windows.iter().collect();
            prop_assert!(all.is_sorted_by(|a, b| a.end < b.start));
            for at in places {
                let (from, to) = (at.saturating_sub(BEFORE), (at + AFTER).min(9000));
                prop_assert_eq!(all.iter().filter(|window| window.start <= from && to <= window.end).count(), 1);
            }
        }

        #[test]
        fn every_foreign_letter_is_near(text in "[a-zé中—🙂 ]{0,900}") {
            let mut windows = Windows::default();
            foreign(&text, &mut |at| windows.add(at, text.len()));
            for (at, _) in text.char_indices().filter(|(_, c)| c.is_alphabetic() && !c.is_ascii()) {
                prop_assert!(windows.iter().any(|window| window.contains(&at)));
            }
        }
    }
}
