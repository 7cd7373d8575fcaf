//! A package, by the name under which it is looked up.

use std::fmt;

use crate::ecosystem::Ecosystem;

/// A package of an ecosystem. Two names that mean the same package are equal, however they were written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Package {
    ecosystem: Ecosystem,
    name: Box<str>,
}

impl Package {
    /// The package of this name, in any spelling that its registry takes for it.
    #[must_use]
    pub fn new(ecosystem: Ecosystem, name: &str) -> Self {
        Self { ecosystem, name: ecosystem.canonical(name).into() }
    }

    /// Where it comes from.
    #[must_use]
    pub const fn ecosystem(&self) -> Ecosystem {
        self.ecosystem
    }

    /// Its name in canonical form: [`Ecosystem::canonical`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ecosystem, self.name)
    }
}
