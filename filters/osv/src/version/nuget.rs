//! Versions of NuGet.

use super::label::Labels;
use super::number::Number;

/// How many numbers a version of NuGet may have: major, minor, patch and revision.
const MAX_NUMBERS: usize = 4;

/// A version of NuGet: Semantic Versioning with a fourth number, whose labels mean the same in either case.
/// <https://learn.microsoft.com/nuget/concepts/package-versioning>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NuGet {
    numbers: [Number; MAX_NUMBERS],
    labels: Labels,
}

impl NuGet {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _metadata)| version);
        let (core, labels) = match text.split_once('-') {
            Some((core, labels)) => (core, Labels::parse(&labels.to_ascii_lowercase())?),
            None => (text, Labels::default()),
        };
        let mut numbers: [Number; MAX_NUMBERS] = Default::default();
        let mut parts = core.split('.');
        for (number, part) in numbers.iter_mut().zip(&mut parts) {
            *number = Number::parse(part)?;
        }
        parts.next().is_none().then_some(Self { numbers, labels })
    }

    pub(super) fn is_prerelease(&self) -> bool {
        !self.labels.is_empty()
    }
}
