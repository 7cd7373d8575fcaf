//! Where packages come from, and how their names are written.

use std::borrow::Cow;
use std::fmt;

/// A registry of packages, with names and versions of its own form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ecosystem {
    /// Rust.
    CratesIo,
    /// Go modules, its standard library and its tool chain.
    Go,
    /// Java and its kin.
    Maven,
    /// JavaScript.
    Npm,
    /// .NET.
    NuGet,
    /// PHP.
    Packagist,
    /// Python.
    PyPi,
    /// Ruby.
    RubyGems,
}

impl Ecosystem {
    /// Every one of them.
    pub const ALL: [Self; 8] =
        [Self::CratesIo, Self::Go, Self::Maven, Self::Npm, Self::NuGet, Self::Packagist, Self::PyPi, Self::RubyGems];

    /// The name that OSV gives it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CratesIo => "crates.io",
            Self::Go => "Go",
            Self::Maven => "Maven",
            Self::Npm => "npm",
            Self::NuGet => "NuGet",
            Self::Packagist => "Packagist",
            Self::PyPi => "PyPI",
            Self::RubyGems => "RubyGems",
        }
    }

    /// The ecosystem of this name, in any case; what follows a colon is a repository of the same ecosystem.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.split(':').next().unwrap_or(name);
        Self::ALL.into_iter().find(|ecosystem| ecosystem.as_str().eq_ignore_ascii_case(name))
    }

    /// The one form of a package's name by which it is looked up: two names that mean the same package have the same
    /// one.
    #[must_use]
    pub fn canonical(self, name: &str) -> Cow<'_, str> {
        let name = name.trim();
        match self {
            // PEP 503: any run of `-`, `_` and `.` is one dash, and case does not count.
            Self::PyPi => {
                let mut canonical = String::with_capacity(name.len());
                for c in name.chars() {
                    match c {
                        '-' | '_' | '.' if canonical.ends_with('-') => {}
                        '-' | '_' | '.' => canonical.push('-'),
                        c => canonical.extend(c.to_lowercase()),
                    }
                }
                canonical.into()
            }
            // The registry takes `-` and `_` for the same.
            Self::CratesIo => name.to_ascii_lowercase().replace('_', "-").into(),
            Self::NuGet | Self::Packagist => name.to_lowercase().into(),
            // New names are in lower case, but `JSONStream` and `jsonstream` are two old packages. In addresses, the
            // slash after a scope is escaped.
            Self::Npm => name.replace("%2f", "/").replace("%2F", "/").into(),
            // Module caches and proxies write an upper-case letter as `!` and its lower-case one.
            Self::Go => unescape(name.trim_end_matches(|c: char| c == '/' || c.is_whitespace())),
            Self::Maven | Self::RubyGems => name.into(),
        }
    }
}

/// A module's path without the escapes of <https://go.dev/ref/mod#goproxy-protocol>; one that is not escaped in this
/// way stays as it is.
fn unescape(path: &str) -> Cow<'_, str> {
    let mut parts = path.split('!');
    let mut plain = String::from(parts.next().unwrap_or_default());
    for part in parts {
        match part.chars().next() {
            Some(c) if c.is_ascii_lowercase() => plain.push(c.to_ascii_uppercase()),
            _ => return path.into(),
        }
        plain.extend(part.chars().skip(1));
    }
    plain.into()
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_the_same_package_are_one() {
        for name in ["Py_YAML", "py-yaml", "py.yaml", "PY--_yaml"] {
            assert_eq!(Ecosystem::PyPi.canonical(name), "py-yaml", "{name}");
        }
        assert_eq!(Ecosystem::CratesIo.canonical("serde_json"), "serde-json");
        assert_eq!(Ecosystem::CratesIo.canonical("Inflector"), "inflector");
        assert_eq!(Ecosystem::Npm.canonical("@types%2fnode"), "@types/node");
        assert_ne!(Ecosystem::Npm.canonical("JSONStream"), Ecosystem::Npm.canonical("jsonstream"));
        assert_eq!(Ecosystem::NuGet.canonical("Newtonsoft.Json"), "newtonsoft.json");
        assert_eq!(Ecosystem::Packagist.canonical("Symfony/HTTP-Kernel"), "symfony/http-kernel");
        assert_eq!(Ecosystem::Go.canonical("github.com/!burnt!sushi/toml"), "github.com/BurntSushi/toml");
        assert_ne!(Ecosystem::Go.canonical("gopkg.in/yaml.v2"), Ecosystem::Go.canonical("gopkg.in/yaml.v3"));
        assert_eq!(Ecosystem::RubyGems.canonical("RedCloth"), "RedCloth");
        assert_eq!(Ecosystem::Maven.canonical("org.Apache:Log4j"), "org.Apache:Log4j");
    }

    proptest::proptest! {
        #[test]
        fn a_canonical_name_is_its_own_canonical_name(name in "[ !/a-zA-Z0-9._@%-]{0,16}|\\PC{0,16}") {
            for ecosystem in Ecosystem::ALL {
                let canonical = ecosystem.canonical(&name);
                proptest::prop_assert_eq!(ecosystem.canonical(&canonical), canonical.as_ref());
            }
        }
    }

    #[test]
    fn every_name_is_read_again() {
        for ecosystem in Ecosystem::ALL {
            assert_eq!(Ecosystem::named(ecosystem.as_str()), Some(ecosystem));
        }
        assert_eq!(Ecosystem::named("Maven:https://repo.example/maven2"), Some(Ecosystem::Maven));
        assert_eq!(Ecosystem::named("Debian:12"), None);
    }
}
