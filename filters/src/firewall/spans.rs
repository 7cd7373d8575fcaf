//! Parts of a text that are taken out, to ask whether others lie within them.

use std::ops::Range;

/// Where parts begin, in order, and how far those that begin there or before reach.
pub(super) struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Of these parts.
    pub(super) fn of(parts: impl Iterator<Item = Range<u64>>) -> Self {
        let mut ends: Vec<_> = parts.map(|part| (part.start, part.end)).collect();
        ends.sort_unstable();
        let mut farthest = 0;
        for (_, end) in &mut ends {
            farthest = farthest.max(*end);
            *end = farthest;
        }
        Self(ends)
    }

    /// Whether this part lies wholly within one of them. What two of them share out does not count: either may
    /// end in the middle of it.
    pub(super) fn hold(&self, part: &Range<u64>) -> bool {
        let before = self.0.partition_point(|(start, _)| *start <= part.start);
        let farthest = before.checked_sub(1).and_then(|last| self.0.get(last));
        farthest.is_some_and(|(_, end)| part.end <= *end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_part_lies_within_one_alone(
            parts in prop::collection::vec((0u64..30, 1u64..10), 0..8), start in 0u64..40, length in 1u64..10,
        ) {
            let parts: Vec<_> = parts.into_iter().map(|(start, length)| start..start + length).collect();
            let part = start..start + length;
            let one = parts.iter().any(|other| other.start <= part.start && part.end <= other.end);
            prop_assert_eq!(Spans::of(parts.into_iter()).hold(&part), one);
        }
    }
}
