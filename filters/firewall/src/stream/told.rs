//! What was told of the end of a growing text, so that it is not told again when that is looked at once more.

use std::collections::VecDeque;
use std::ops::Range;

use crate::rule::Rule;

/// As many findings are remembered.
const MOST: usize = 24;

/// The last findings.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: VecDeque<Known>,
    /// What ends before this place may have been forgotten.
    vague: u64,
}

/// The most memory that they take beside themselves.
pub(super) const MOST_ROOM: usize = MOST * size_of::<Known>();

#[derive(Debug)]
struct Known {
    /// By the lower half of its place in memory: the rules stay where they are as long as the text grows, and no two are that
    /// far apart.
    rule: u32,
    /// The lower half of where it begins. What is that far apart is not remembered at the same time.
    begin: u32,
    size: u32,
}

impl Known {
    /// How far its end is from a place that is near.
    fn end_from(&self, place: u64) -> i64 {
        let begin = self.begin.wrapping_sub(place as u32).cast_signed();
        i64::from(begin) + i64::from(self.size)
    }
}

impl Told {
    /// Whether all of this was told of this rule.
    pub(super) fn holds(&self, rule: &Rule, secret: &Range<u64>) -> bool {
        let (rule, size) = (mark(rule), secret.end.saturating_sub(secret.start));
        self.last.iter().any(|known| {
            let after = (secret.start as u32).wrapping_sub(known.begin);
            known.rule == rule && u64::from(after) + size <= u64::from(known.size)
        })
    }

    /// Whether something was told of this rule that reaches into this. What stands `plain` there was told when it was
    /// decided, and need not be remembered.
    pub(super) fn touches(&self, rule: &Rule, secret: &Range<u64>, plain: bool) -> bool {
        let (rule, size) = (mark(rule), secret.end.saturating_sub(secret.start));
        let same = |known: &Known| {
            let after = (secret.start as u32).wrapping_sub(known.begin);
            let before = known.begin.wrapping_sub(secret.start as u32);
            known.rule == rule && (after < known.size || u64::from(before) < size)
        };
        plain && secret.end <= self.vague || self.last.iter().any(same)
    }

    pub(super) fn add(&mut self, rule: &Rule, secret: &Range<u64>) {
        if self.last.len() >= MOST
            && let Some(forgotten) = self.last.pop_front()
        {
            // It may end behind where the new one begins: a piece is judged as a whole rule by rule.
            let end = secret.start.saturating_add_signed(forgotten.end_from(secret.start));
            self.vague = self.vague.max(secret.start).max(end);
        }
        if self.last.len() == self.last.capacity() {
            self.last.reserve_exact(MOST.min(self.last.len() + 4) - self.last.len());
        }
        let size = u32::try_from(secret.end.saturating_sub(secret.start)).unwrap_or(u32::MAX);
        self.last.push_back(Known { rule: mark(rule), begin: secret.start as u32, size });
    }
}

/// What a rule is known by.
fn mark(rule: &Rule) -> u32 {
    std::ptr::from_ref(rule).addr() as u32
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portcullis_policies::DataLevel;

    use super::*;
    use crate::rule::{Direction, Kind};

    fn rule(id: &str) -> Rule {
        let (kind, direction) = (Kind::Secret, Direction::Both);
        Rule { id: id.into(), description: Arc::default(), kind, level: DataLevel::L4, action: None, direction }
    }

    /// As they come where a piece is judged as a whole: one rule's findings, and then another one's.
    #[test]
    fn what_was_forgotten_was_told_whatever_the_order() {
        let (one, other) = (rule("one"), rule("other"));
        for base in [0u64, u64::from(u32::MAX) - 500, u64::from(u32::MAX) * 3] {
            let mut told = Told::default();
            let places = || (0..MOST as u64).map(|number| base + number * 100..base + number * 100 + 60);
            places().for_each(|place| told.add(&one, &place));
            places().for_each(|place| told.add(&other, &place));
            assert!(places().all(|place| told.touches(&one, &place, true)), "{base}");
            assert!(!places().any(|place| told.touches(&one, &place, false)), "only what is plain");
            let beyond = base + MOST as u64 * 100..base + MOST as u64 * 100 + 60;
            assert!(!told.touches(&one, &beyond, true));
        }
    }
}
