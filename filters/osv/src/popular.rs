//! Packages that everybody uses, and names that are made to be taken for theirs.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::ecosystem::Ecosystem;
use crate::likeness::{Likeness, is_one_edit_apart, plain, without_separators};
use crate::package::Package;

/// Names of fewer characters are a letter apart from too many others to be compared, unless they look the same.
const SHORTEST: usize = 5;

/// The longest name that is compared, in bytes. The longest one in the lists has less than half of that.
const LONGEST: usize = 256;

/// The lists that come with the program.
static SHIPPED: LazyLock<Popular> = LazyLock::new(|| {
    Popular::new([
        (Ecosystem::CratesIo, include_str!("../../../policies/packages/crates.io.txt")),
        (Ecosystem::Go, include_str!("../../../policies/packages/Go.txt")),
        (Ecosystem::Maven, include_str!("../../../policies/packages/Maven.txt")),
        (Ecosystem::Npm, include_str!("../../../policies/packages/npm.txt")),
        (Ecosystem::NuGet, include_str!("../../../policies/packages/NuGet.txt")),
        (Ecosystem::Packagist, include_str!("../../../policies/packages/Packagist.txt")),
        (Ecosystem::PyPi, include_str!("../../../policies/packages/PyPI.txt")),
        (Ecosystem::RubyGems, include_str!("../../../policies/packages/RubyGems.txt")),
    ])
});

/// Widely used packages.
#[derive(Debug)]
pub struct Popular {
    packages: HashSet<Package>,
    /// For each ecosystem, the names by what others may imitate about them.
    names: HashMap<Ecosystem, Names>,
}

#[derive(Debug, Default)]
struct Names {
    /// By what is seen of them.
    plain: HashMap<String, Box<str>>,
    /// By their letters and digits alone.
    joined: HashMap<String, Box<str>>,
    /// By how many characters they have.
    lengths: HashMap<usize, Vec<Box<str>>>,
}

/// A widely used package that another one resembles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resemblance<'p> {
    /// Its name, in canonical form.
    pub name: &'p str,
    /// In what way it is resembled.
    pub likeness: Likeness,
}

impl Popular {
    /// The packages that the lists in `policies/packages` name.
    #[must_use]
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// Packages from lists of names, one a line; lines that begin with `#` say nothing.
    #[must_use]
    pub fn new<'t>(lists: impl IntoIterator<Item = (Ecosystem, &'t str)>) -> Self {
        let mut popular = Self { packages: HashSet::new(), names: HashMap::new() };
        for (ecosystem, list) in lists {
            for name in list.lines().map(str::trim).filter(|name| !name.is_empty() && !name.starts_with('#')) {
                let package = Package::new(ecosystem, name);
                popular.names.entry(ecosystem).or_default().add(compared(&package));
                popular.packages.insert(package);
            }
        }
        popular
    }

    /// Whether a package is one of them. Every major version of a Go module is.
    #[must_use]
    pub fn contains(&self, package: &Package) -> bool {
        self.packages.contains(package)
            || (package.ecosystem() == Ecosystem::Go
                && self.packages.contains(&Package::new(Ecosystem::Go, compared(package))))
    }

    /// The widely used package that this one may be mistaken for; none for one that is widely used itself.
    ///
    /// A package that the registry is known to have may still resemble another one; whether that is by chance is for
    /// the caller to say.
    #[must_use]
    pub fn resembled(&self, package: &Package) -> Option<Resemblance<'_>> {
        if self.contains(package) || package.name().len() > LONGEST {
            return None;
        }
        self.names.get(&package.ecosystem())?.resembled(compared(package), package.ecosystem())
    }
}

impl Names {
    fn add(&mut self, name: &str) {
        self.plain.insert(plain(name), name.into());
        self.joined.insert(without_separators(&plain(name)), name.into());
        self.lengths.entry(name.chars().count()).or_default().push(name.into());
    }

    fn resembled(&self, name: &str, ecosystem: Ecosystem) -> Option<Resemblance<'_>> {
        let plain = plain(name);
        if let Some(other) = self.plain.get(&plain) {
            // Hosts of Go modules take either case for the same repository.
            let same = **other == *name || (ecosystem == Ecosystem::Go && other.eq_ignore_ascii_case(name));
            return (!same).then_some(Resemblance { name: other, likeness: Likeness::Looks });
        }
        let length = name.chars().count();
        if length < SHORTEST {
            return None;
        }
        let long = |other: &str| other.chars().count() >= SHORTEST;
        if let Some(other) = self.joined.get(&without_separators(&plain)).filter(|other| long(other)) {
            return Some(Resemblance { name: other, likeness: Likeness::Separators });
        }
        let near = (length.saturating_sub(1)..=length.saturating_add(1)).filter_map(|near| self.lengths.get(&near));
        let other = near.flatten().find(|other| long(other) && is_one_edit_apart(name, other))?;
        Some(Resemblance { name: other, likeness: Likeness::OneEdit })
    }
}

/// The part of a name that is compared. The major version at the end of a Go module's path is no part of its name.
fn compared(package: &Package) -> &str {
    let name = package.name();
    let is_version = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match name.rsplit_once("/v").or_else(|| name.rsplit_once(".v")) {
        Some((path, version)) if package.ecosystem() == Ecosystem::Go && is_version(version) => path,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resembled(ecosystem: Ecosystem, name: &str) -> Option<(&'static str, Likeness)> {
        let resemblance = Popular::shipped().resembled(&Package::new(ecosystem, name));
        resemblance.map(|resemblance| (resemblance.name, resemblance.likeness))
    }

    /// Names under which harmful packages were published, and the ones that they were made after.
    #[test]
    fn imitations_are_seen() {
        let imitations = [
            (Ecosystem::PyPi, "reqeusts", "requests", Likeness::OneEdit),
            (Ecosystem::PyPi, "request", "requests", Likeness::OneEdit),
            (Ecosystem::PyPi, "urlib3", "urllib3", Likeness::OneEdit),
            (Ecosystem::PyPi, "djang0", "django", Likeness::Looks),
            (Ecosystem::PyPi, "pythondateutil", "python-dateutil", Likeness::Separators),
            (Ecosystem::PyPi, "djano", "django", Likeness::OneEdit),
            (Ecosystem::PyPi, "jeilyfish", "jellyfish", Likeness::Looks),
            (Ecosystem::PyPi, "nurnpy", "numpy", Likeness::Looks),
            (Ecosystem::PyPi, "requеsts", "requests", Likeness::Looks),
            (Ecosystem::Npm, "crossenv", "cross-env", Likeness::Separators),
            (Ecosystem::Npm, "electorn", "electron", Likeness::OneEdit),
            (Ecosystem::Npm, "loadsh", "lodash", Likeness::OneEdit),
            (Ecosystem::Npm, "Express", "express", Likeness::Looks),
            (Ecosystem::Npm, "types-node", "@types/node", Likeness::Separators),
            (Ecosystem::Npm, "uuíd", "uuid", Likeness::Looks),
            (Ecosystem::CratesIo, "rustdecimal", "rust-decimal", Likeness::Separators),
            (Ecosystem::CratesIo, "tokoi", "tokio", Likeness::OneEdit),
            (Ecosystem::RubyGems, "atlas_client", "", Likeness::OneEdit),
            (Ecosystem::RubyGems, "nokogirl", "nokogiri", Likeness::Looks),
            (Ecosystem::Go, "github.com/boltdb-go/bolt", "", Likeness::OneEdit),
            (Ecosystem::Go, "github.com/spf13/cobrra/v2", "github.com/spf13/cobra", Likeness::OneEdit),
            (Ecosystem::Maven, "com.google.code.gson:gsom", "com.google.code.gson:gson", Likeness::OneEdit),
            (Ecosystem::NuGet, "NewtonsoftJson", "newtonsoft.json", Likeness::Separators),
            (Ecosystem::Packagist, "guzzlehtttp/guzzle", "guzzlehttp/guzzle", Likeness::OneEdit),
        ];
        for (ecosystem, imitation, name, likeness) in imitations {
            let expected = (!name.is_empty()).then_some((name, likeness));
            assert_eq!(resembled(ecosystem, imitation), expected, "{ecosystem} {imitation}");
        }
    }

    #[test]
    fn others_are_let_alone() {
        for (ecosystem, name) in [
            (Ecosystem::PyPi, "Requests"),
            (Ecosystem::PyPi, "ruamel.yaml"),
            (Ecosystem::PyPi, "uuids"),
            (Ecosystem::PyPi, "something-else"),
            (Ecosystem::PyPi, "boto2"),
            (Ecosystem::PyPi, "markdown2"),
            (Ecosystem::Maven, "com.squareup.okhttp:okhttp"),
            (Ecosystem::Maven, "io.netty:netty-codec-http2"),
            (Ecosystem::Npm, "colors"),
            (Ecosystem::Npm, "color"),
            (Ecosystem::Npm, "kos"),
            (Ecosystem::CratesIo, "serde_json"),
            (Ecosystem::CratesIo, "serde-json"),
            (Ecosystem::Go, "github.com/Sirupsen/logrus"),
            (Ecosystem::Go, "github.com/go-chi/chi/v5"),
            (Ecosystem::Go, "gopkg.in/yaml.v1"),
            (Ecosystem::RubyGems, "rails"),
        ] {
            assert_eq!(resembled(ecosystem, name), None, "{ecosystem} {name}");
        }
        assert_eq!(resembled(Ecosystem::Npm, &"a".repeat(100_000)), None);
    }

    #[test]
    fn no_list_is_empty_or_repeats_itself() {
        for ecosystem in Ecosystem::ALL {
            let names = &Popular::shipped().names[&ecosystem];
            let count: usize = names.lengths.values().map(Vec::len).sum();
            assert!(count >= 100, "{ecosystem} {count}");
            for name in names.lengths.values().flatten() {
                assert_eq!(resembled(ecosystem, name), None, "{ecosystem} {name}");
                assert!(name.len() <= LONGEST / 2 && !name.contains(char::is_whitespace), "{ecosystem} {name}");
            }
        }
    }
}
