//! Semantic Versioning, as Cargo, Go and npm write it.

use super::label::Labels;

/// A version after Semantic Versioning 2.0.0. Build metadata is not kept: it does not count in the order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Semver {
    major: u64,
    minor: u64,
    patch: u64,
    labels: Labels,
}

impl Semver {
    /// Reads a version more leniently than the standard, as npm does in its loose mode: a `v` before it, missing
    /// parts (they are 0), and labels without a dash (`1.0.0beta1`).
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::read(text.trim_start_matches('=').trim_start(), Labels::parse)
    }

    /// Reads a version of a Go module, or of Go itself (`go1.21rc2`).
    pub(super) fn parse_go(text: &str) -> Option<Self> {
        let (text, toolchain) = text.strip_prefix("go").map_or((text, false), |rest| (rest, true));
        Self::read(text, |labels| {
            let digits = labels.find(|c: char| c.is_ascii_digit()).filter(|at| *at > 0 && !labels.contains('.'));
            match digits.and_then(|at| labels.split_at_checked(at)) {
                Some((word, number)) if toolchain => Labels::parse(&format!("{word}.{number}")),
                _ => Labels::parse(labels),
            }
        })
    }

    fn read(text: &str, labels: impl FnOnce(&str) -> Option<Labels>) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _build)| version);
        let core = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (core, rest) = text.split_at_checked(core)?;
        let mut parts = core.split('.');
        let mut part = || parts.next().map_or(Some(0), |part| part.parse().ok());
        let (major, minor, patch) = (part()?, part()?, part()?);
        if parts.next().is_some() {
            return None;
        }
        let labels = match rest.strip_prefix('-').unwrap_or(rest) {
            "" if rest.is_empty() => Labels::default(),
            text => labels(text)?,
        };
        Some(Self { major, minor, patch, labels })
    }

    pub(super) fn is_prerelease(&self) -> bool {
        !self.labels.is_empty()
    }
}
