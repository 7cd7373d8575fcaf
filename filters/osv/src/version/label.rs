//! What follows the dash of a version that came before a release.

use std::cmp::Ordering;

use super::number::Number;

/// The labels of a pre-release, after section 11 of Semantic Versioning 2.0.0: fewer come first, numbers come before
/// words, and none at all is the release itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(Vec<Label>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Number(Number),
    Word(Box<str>),
}

impl Labels {
    /// Reads labels between dots; none where one is empty or holds other characters than letters, digits and dashes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.split('.').map(Label::parse).collect::<Option<_>>().map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Label {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return None;
        }
        Some(Number::parse(text).map_or_else(|| Self::Word(text.into()), Self::Number))
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.is_empty().cmp(&other.is_empty()).then_with(|| self.0.cmp(&other.0))
    }
}
