//! An advisory, and what it says of each package.

use crate::package::Package;
use crate::severity::Rating;
use crate::span::Span;

mod read;
#[cfg(test)]
mod tests;
mod written;

/// The longest text of an advisory that is read, in bytes. The longest ones list every version of hundreds of
/// packages.
pub const MAX_ADVISORY: usize = 8 * 1024 * 1024;

/// An advisory, with what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory {
    /// Its identifier: `GHSA-…`, `PYSEC-…`, `MAL-…`.
    pub id: Box<str>,
    /// When it was last changed, as written (RFC 3339).
    pub modified: Option<Box<str>>,
    /// Whether it was taken back. Then it says nothing of any package: `notices` is empty.
    pub withdrawn: bool,
    /// What it says of each package of a known ecosystem; a package comes once.
    pub notices: Vec<Notice>,
}

/// What one advisory says of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Of which package.
    pub package: Package,
    /// The identifier of the advisory.
    pub id: Box<str>,
    /// What else it is called (`CVE-…`); the first few.
    pub aliases: Vec<Box<str>>,
    /// How bad it is.
    pub rating: Rating,
    /// What kind of thing it is.
    pub nature: Nature,
    /// The runs of affected versions.
    pub spans: Vec<Span>,
    /// Affected versions one by one: those that are in none of the runs.
    pub versions: Vec<Box<str>>,
    /// Whether it says that there is a fix without saying in which version.
    pub mended: bool,
    /// Whether a part of it could not be read: then what it does not name may be affected, too.
    pub doubtful: bool,
}

/// What an advisory tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nature {
    /// That nobody looks after the package, or something else that is worth knowing; no vulnerability.
    Informational,
    /// A mistake that can be used.
    Vulnerability,
    /// A package that was made to harm: blocked whatever its severity, which is seldom given.
    Malicious,
}

/// Why a text is no advisory.
#[derive(Debug, thiserror::Error)]
pub enum BrokenAdvisory {
    /// It is far longer than any of its kind.
    #[error("an advisory of {0} bytes, expected at most {MAX_ADVISORY}")]
    TooLong(usize),
    /// It is no JSON, or a field has another type than the OSV schema gives it.
    #[error("expected one advisory in the OSV format: {0}")]
    Json(#[from] serde_json::Error),
    /// A field is missing, empty or too long.
    #[error("`{field}` is {problem}, expected {expected}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
        /// What should stand there.
        expected: &'static str,
    },
}
