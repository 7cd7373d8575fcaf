//! A package, by the name under which it is looked up.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::ecosystem::Ecosystem;

/// A package of an ecosystem. Two names that mean the same package are equal, however they were written.
#[derive(Clone, Debug)]
pub struct Package {
    ecosystem: Ecosystem,
    name: Box<str>,
    /// How it was written, where that is not its name. It says nothing of which package it is.
    written: Option<Box<str>>,
}

impl Package {
    /// The package of this name, in any spelling that its registry takes for it.
    #[must_use]
    pub fn new(ecosystem: Ecosystem, name: &str) -> Self {
        let canonical: Box<str> = ecosystem.canonical(name).into();
        let written = Some(name.trim()).filter(|written| *written != &*canonical).map(Box::from);
        Self { ecosystem, name: canonical, written }
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

    /// Its name as it was written, for those who know packages by no other spelling than their own.
    #[must_use]
    pub fn written(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.name)
    }

    /// What it is.
    fn key(&self) -> (Ecosystem, &str) {
        (self.ecosystem, &self.name)
    }
}

impl PartialEq for Package {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Package {}

impl PartialOrd for Package {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Package {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Package {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ecosystem, self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_spelling_is_kept_and_makes_no_other_package() {
        let written = Package::new(Ecosystem::CratesIo, " Serde_Json ");
        let canonical = Package::new(Ecosystem::CratesIo, "serde-json");
        assert_eq!((written.name(), written.written()), ("serde-json", "Serde_Json"));
        assert_eq!((canonical.name(), canonical.written()), ("serde-json", "serde-json"));
        assert_eq!(written, canonical);
        assert_eq!(written.cmp(&canonical), Ordering::Equal);
        assert_eq!(HashSet::from([written, canonical]).len(), 1);
        assert_ne!(Package::new(Ecosystem::Npm, "a"), Package::new(Ecosystem::PyPi, "a"));
    }
}
