//! A number of any length.

use std::cmp::Ordering;

/// A number as versions hold them: registries bound their length no more than the dates and hashes in them are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Number(Box<str>);

impl Number {
    /// Reads one or more ASCII digits.
    pub(super) fn parse(digits: &str) -> Option<Self> {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self(digits.trim_start_matches('0').into()))
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}
