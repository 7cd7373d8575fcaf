//! What has been found, so that no view tells it again.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::rule::Rule;

/// The places of findings, by text and rule. Those of one rule in one text do not overlap.
#[derive(Default)]
pub(super) struct Reported {
    ends: BTreeMap<(usize, usize, usize), usize>,
}

impl Reported {
    pub(super) fn clear(&mut self) {
        self.ends.clear();
    }

    /// Remembers a finding, and says whether it is a new one.
    pub(super) fn add(&mut self, text: usize, rule: &Rule, span: &Range<usize>) -> bool {
        // The rules stay where they are as long as they are borrowed.
        let rule = std::ptr::from_ref(rule).addr();
        let before = self.ends.range((text, rule, 0)..(text, rule, span.end)).next_back();
        if before.is_some_and(|(_, end)| *end > span.start) {
            return false;
        }
        self.ends.insert((text, rule, span.start), span.end).is_none()
    }
}
