//! A version of a package, in the order of its ecosystem.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr as _;

use crate::ecosystem::Ecosystem;

mod composer;
mod gem;
mod label;
mod maven;
mod nuget;
mod number;
mod semver;
#[cfg(test)]
mod tests;

use composer::Composer;
use gem::Gem;
use maven::Maven;
use nuget::NuGet;
pub(crate) use semver::Semver;

/// The longest version that is read, in bytes. Longer ones occur in no registry.
pub const MAX_VERSION: usize = 256;

/// A version. Equal are those that the ecosystem takes for the same, so `1.0` and `1.0.0` of PyPI are.
///
/// Versions are compared within one ecosystem; the order between two ecosystems means nothing.
#[derive(Clone, Debug)]
pub struct Version {
    text: Box<str>,
    order: Order,
}

/// The part of a version that decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Composer(Composer),
    Gem(Gem),
    Maven(Maven),
    NuGet(NuGet),
    /// PEP 440.
    Python(pep440_rs::Version),
    /// Semantic Versioning 2.0.0: Cargo, Go, npm.
    Semver(Semver),
}

impl Version {
    /// Reads a version of an ecosystem; none where the ecosystem's own rules cannot place it.
    #[must_use]
    pub fn parse(ecosystem: Ecosystem, text: &str) -> Option<Self> {
        let trimmed = text.trim();
        if trimmed.len() > MAX_VERSION {
            return None;
        }
        let order = match ecosystem {
            Ecosystem::CratesIo | Ecosystem::Npm => Order::Semver(Semver::parse(trimmed)?),
            Ecosystem::Go => Order::Semver(Semver::parse_go(trimmed)?),
            Ecosystem::Maven => Order::Maven(Maven::parse(trimmed)?),
            Ecosystem::NuGet => Order::NuGet(NuGet::parse(trimmed)?),
            Ecosystem::Packagist => Order::Composer(Composer::parse(trimmed)?),
            Ecosystem::PyPi => Order::Python(pep440_rs::Version::from_str(trimmed).ok()?),
            Ecosystem::RubyGems => Order::Gem(Gem::parse(trimmed)?),
        };
        Some(Self { text: trimmed.into(), order })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it came before a release, such as a beta.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        match &self.order {
            Order::Composer(version) => version.is_prerelease(),
            Order::Gem(version) => version.is_prerelease(),
            Order::Maven(version) => version.is_prerelease(),
            Order::NuGet(version) => version.is_prerelease(),
            Order::Python(version) => version.any_prerelease(),
            Order::Semver(version) => version.is_prerelease(),
        }
    }

    /// The version that was published, where a build of one's own adds a label to it: `2.0.1+cu118` is `2.0.1`.
    pub(crate) fn published(self) -> Self {
        match self.order {
            Order::Python(version) if version.is_local() => {
                let version = version.without_local();
                Self { text: version.to_string().into(), order: Order::Python(version) }
            }
            order => Self { text: self.text, order },
        }
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
