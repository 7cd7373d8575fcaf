//! Which versions of a package somebody asks for.

use std::fmt;

use crate::ecosystem::Ecosystem;
use crate::requirement::Requirement;

/// Which versions of a package are asked for.
///
/// Lock files and resolved lists fix a version: [`Wanted::Exact`]. What a manifest or a command line asks for is
/// written in the requirement syntax of its ecosystem: [`Wanted::read`] tells the three apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Whichever there is: no requirement, or one that every version fits.
    Any,
    /// This version and no other, as written.
    Exact(Box<str>),
    /// What fits this requirement, as written in the syntax of its ecosystem.
    Range(Box<str>),
}

impl Wanted {
    /// What a requirement asks for: nothing, a star or a name such as `latest` is [`Wanted::Any`], one version is
    /// [`Wanted::Exact`]. What is no requirement stays a [`Wanted::Range`], which [`judge`](crate::judge) then finds
    /// unreadable.
    #[must_use]
    pub fn read(ecosystem: Ecosystem, requirement: &str) -> Self {
        let text = requirement.trim();
        match Requirement::parse(ecosystem, text) {
            Some(requirement) if requirement.is_any() => Self::Any,
            Some(requirement) => match requirement.as_version() {
                Some(version) => Self::Exact(version.as_str().into()),
                None => Self::Range(text.into()),
            },
            None => Self::Range(text.into()),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::Exact(version) => f.write_str(version),
            Self::Range(requirement) => f.write_str(requirement),
        }
    }
}
