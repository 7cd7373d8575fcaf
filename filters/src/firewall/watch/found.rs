//! What was found in one piece of a growing text.

use std::collections::BTreeMap;
use std::ops::Range;

use portcullis_firewall::{Rule, StreamFinding};

/// The most findings in one text of a frame. An answer with more is refused.
pub(super) const MOST_FOUND: usize = 8192;

/// A finding, and where it stands.
pub(super) struct Found<'r> {
    pub(super) rule: &'r Rule,
    pub(super) secret: Range<u64>,
    pub(super) exact: bool,
    /// So much of it may have left.
    pub(super) prefix: u64,
    /// A part of it was counted.
    pub(super) again: bool,
}

impl<'r> From<StreamFinding<'r>> for Found<'r> {
    fn from(found: StreamFinding<'r>) -> Self {
        let StreamFinding { rule, secret, exact, prefix, again, .. } = found;
        Self { rule, secret, exact, prefix, again }
    }
}

/// What was found in one piece, by two ways of looking at it.
#[derive(Default)]
pub(super) struct FoundOnce<'r> {
    pub(super) found: Vec<Found<'r>>,
    /// Of each rule: where its findings lie, begin and end. None of them overlap.
    places: BTreeMap<&'r str, BTreeMap<u64, u64>>,
    /// There was more than is kept.
    pub(super) more: bool,
}

impl<'r> FoundOnce<'r> {
    pub(super) fn take(&mut self, found: StreamFinding<'r>) {
        if found.late { self.add_new(found.into()) } else { self.add(found.into()) }
    }

    pub(super) fn add(&mut self, found: Found<'r>) {
        let places = self.places.entry(&found.rule.id).or_default();
        let Range { mut start, mut end } = found.secret;
        if overlapping(places, &found.secret) == Some((start, end)) {
            return;
        }
        if self.found.len() >= MOST_FOUND {
            self.more = true;
            return;
        }
        while let Some((first, last)) = overlapping(places, &(start..end)) {
            places.remove(&first);
            (start, end) = (start.min(first), end.max(last));
        }
        places.insert(start, end);
        self.found.push(found);
    }

    /// Adds what this rule has not found here already.
    pub(super) fn add_new(&mut self, found: Found<'r>) {
        let places = self.places.get(&*found.rule.id);
        if places.and_then(|places| overlapping(places, &found.secret)).is_none() {
            self.add(found);
        }
    }
}

/// One of these places that shares a byte with this one.
fn overlapping(places: &BTreeMap<u64, u64>, with: &Range<u64>) -> Option<(u64, u64)> {
    let (start, end) = places.range(..with.end).next_back()?;
    (*end > with.start).then_some((*start, *end))
}
