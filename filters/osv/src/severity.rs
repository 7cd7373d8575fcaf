//! How bad it is.

use std::fmt;

/// How bad a vulnerability is, in the words of CVSS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nobody said. No reason to believe that it is harmless.
    #[default]
    Unknown,
    /// 0.0 to 3.9.
    Low,
    /// 4.0 to 6.9; others say *moderate*.
    Medium,
    /// 7.0 to 8.9.
    High,
    /// 9.0 and above.
    Critical,
}

impl Severity {
    /// In lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What all the ratings of an advisory come to: the worst of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rating {
    /// In words.
    pub severity: Severity,
    /// As a CVSS score in tenths, 0 to 100, where one was given: `98` is 9.8.
    pub score: Option<u8>,
}
