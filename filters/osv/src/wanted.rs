//! Which versions of a package somebody asks for.

use std::fmt;

use crate::ecosystem::Ecosystem;

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
    pub fn read(_ecosystem: Ecosystem, requirement: &str) -> Self {
        match requirement.trim() {
            "" | "*" => Self::Any,
            other => Self::Range(other.into()),
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
