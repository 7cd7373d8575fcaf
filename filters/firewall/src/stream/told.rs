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
    /// Before this place findings were forgotten.
    vague: u64,
}

#[derive(Debug)]
struct Known {
    /// By the lower half of its place in memory: the rules stay where they are as long as the text grows, and no two are that
    /// far apart.
    rule: u32,
    /// The lower half of where it begins. What is that far apart is not remembered at the same time.
    begin: u32,
    size: u32,
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
        if self.last.len() >= MOST && self.last.pop_front().is_some() {
            self.vague = self.vague.max(secret.start);
        }
        if self.last.len() == self.last.capacity() {
            self.last.reserve_exact(MOST.min(self.last.len() + 4) - self.last.len());
        }
        let size = u32::try_from(secret.end.saturating_sub(secret.start)).unwrap_or(u32::MAX);
        self.last.push_back(Known { rule: mark(rule), begin: secret.start as u32, size });
    }

    /// The memory that this takes beside itself.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.last.capacity() * size_of::<Known>()
    }
}

/// What a rule is known by.
fn mark(rule: &Rule) -> u32 {
    std::ptr::from_ref(rule).addr() as u32
}
