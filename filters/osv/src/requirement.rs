//! Which versions fit a requirement, in the syntax of its ecosystem.

use crate::ecosystem::Ecosystem;
use crate::piece::{Piece, complement, intersections};
use crate::version::Version;

mod brackets;
mod composer;
mod gem;
mod go;
mod partial;
mod python;
mod semver;
#[cfg(test)]
mod tests;

/// The longest requirement that is read, in bytes. The longest ones in manifests name a few dozen versions.
const MAX_REQUIREMENT: usize = 4096;

/// How many alternatives a requirement may have; each is compared with each run of affected versions.
const MAX_PIECES: usize = 256;

/// A requirement, as the versions that fit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// The versions that fit.
    pub(crate) pieces: Vec<Piece>,
    /// Whether it names a version that came before a release; only then are others of that kind taken.
    pub(crate) prereleases: bool,
    /// Whether the lowest version that fits is taken, as NuGet does, instead of the highest.
    pub(crate) lowest: bool,
}

impl Requirement {
    /// Reads a requirement; none where it is none, such as a path or the address of a repository.
    pub(crate) fn parse(ecosystem: Ecosystem, text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > MAX_REQUIREMENT || text.contains(|c: char| c.is_control() && !c.is_whitespace()) {
            return None;
        }
        let mut requirement = match ecosystem {
            Ecosystem::CratesIo => semver::cargo(text),
            Ecosystem::Go => go::parse(text),
            Ecosystem::Maven => brackets::maven(text),
            Ecosystem::Npm => semver::npm(text),
            Ecosystem::NuGet => brackets::nuget(text),
            Ecosystem::Packagist => composer::parse(text),
            Ecosystem::PyPi => python::parse(text),
            Ecosystem::RubyGems => gem::parse(text),
        }?;
        requirement.prereleases |= names_prerelease(ecosystem, text);
        (!requirement.pieces.is_empty() && requirement.pieces.len() <= MAX_PIECES).then_some(requirement)
    }

    /// Every version.
    pub(crate) fn any() -> Self {
        Self { pieces: vec![Piece::ALL], prereleases: false, lowest: false }
    }

    pub(crate) fn is_any(&self) -> bool {
        self.pieces.contains(&Piece::ALL)
    }

    /// The one version that it asks for, if it does.
    pub(crate) fn as_version(&self) -> Option<&Version> {
        match self.pieces.as_slice() {
            [piece] => piece.as_point(),
            _ => None,
        }
    }

    pub(crate) fn contains(&self, version: &Version) -> bool {
        self.pieces.iter().any(|piece| piece.contains(version))
    }
}

/// A requirement that is put together from comparisons: all of an alternative must hold, and one of the alternatives.
struct Builder {
    done: Vec<Piece>,
    current: Vec<Piece>,
}

impl Builder {
    fn new() -> Self {
        Self { done: Vec::new(), current: vec![Piece::ALL] }
    }

    /// What is between these must hold, too.
    fn and(&mut self, piece: Piece) {
        self.current = intersections(&self.current, &[piece]);
    }

    /// What is between these must not hold. False when there are more of these than are kept.
    fn except(&mut self, piece: Piece) -> bool {
        self.current = intersections(&self.current, &complement(vec![piece]));
        self.current.len() <= MAX_PIECES
    }

    /// The alternative is complete. False when there are more of these than are kept.
    fn or(&mut self) -> bool {
        self.done.append(&mut std::mem::replace(&mut self.current, vec![Piece::ALL]));
        self.done.len() <= MAX_PIECES
    }

    /// An alternative that names no version that there can be leaves nothing, and so no requirement.
    fn finish(self) -> Requirement {
        Requirement { pieces: self.done, prereleases: false, lowest: false }
    }
}

/// Whether a requirement names a version that came before a release, other than to stay below it.
fn names_prerelease(ecosystem: Ecosystem, text: &str) -> bool {
    text.split([',', ' ', '|', '[', ']', '(', ')']).any(|word| {
        let (operator, version) = split_operator(word);
        operator != "<" && Version::parse(ecosystem, version).is_some_and(|version| version.is_prerelease())
    })
}

/// Splits the operator from what it compares with, at the first character that is part of none.
fn split_operator(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !"<>=!~^".contains(c)).unwrap_or(text.len());
    let (operator, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (operator, rest.trim_start())
}

/// Splits a list at white space, where an operator may stand apart from its version: `>= 1.2 < 2` are two.
fn split_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if split_operator(last).1.is_empty() => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
    }
    words
}
