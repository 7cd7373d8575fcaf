//! What was found, and what could not be read.

use std::collections::VecDeque;
use std::ops::Range;

use portcullis_osv::{Ecosystem, Package, Wanted};

/// As many dependencies as are told of one text. More is no answer, it is a flood.
pub const MOST_FOUND: usize = 10_000;
/// As many unreadable places as are told of one text; the first says enough to refuse it.
const MOST_UNREADABLE: usize = 100;
/// The longest name or version that is taken for one, in bytes. No registry takes half of it.
pub const LONGEST_NAME: usize = 512;
/// The longest address that is told, in bytes: as long as what reads addresses takes.
pub(crate) const LONGEST_ADDRESS: usize = 2048;
/// So many findings back a second telling of the same is looked for.
const LOOK_BACK: usize = 16;

/// A dependency that a text brings in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The package, by the name under which it is looked up.
    pub package: Package,
    /// Its name as it stands in the text.
    pub written: String,
    /// Whether the name is ASCII. One that is not looks like another and is none that a registry takes.
    pub ascii: bool,
    /// Which versions of it.
    pub wanted: Wanted,
    /// The bytes of the text that bring it in: in code the line or the entry, in prose the command.
    pub place: Range<usize>,
    /// What kind of text says so.
    pub how: How,
    /// Where it comes from, if that is not the ecosystem's own registry.
    pub remote: Option<Remote>,
}

/// What kind of text brings a dependency in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// A command that installs it.
    Command,
    /// It was declared apart from any text.
    Declared,
    /// Code uses a module of this name: a hint, the name may be another one.
    Import,
    /// A lock file.
    Lock,
    /// A file that lists what a project needs.
    Manifest,
    /// A word of a command that is a package for some tools, and what an option takes for others. Only advisories count
    /// against it.
    Perhaps,
}

impl How {
    /// Whether it says for certain that something is installed.
    #[must_use]
    pub const fn is_firm(self) -> bool {
        !matches!(self, Self::Import | Self::Perhaps)
    }
}

/// Where a package comes from that does not come from its ecosystem's own registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A file or a folder.
    File(String),
    /// A registry of its own.
    Registry(String),
    /// An archive at an address.
    Url(String),
    /// A repository.
    Vcs(String),
}

impl Remote {
    /// Where that is, as it was written.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::File(address) | Self::Registry(address) | Self::Url(address) | Self::Vcs(address) => address,
        }
    }
}

impl Remote {
    /// One that is told of many packages: only as much of its address as is told at all.
    pub(crate) fn shortened(mut self) -> Self {
        let (Self::File(address) | Self::Registry(address) | Self::Url(address) | Self::Vcs(address)) = &mut self;
        let end = (0..=LONGEST_ADDRESS.min(address.len())).rev().find(|end| address.is_char_boundary(*end));
        address.truncate(end.unwrap_or_default());
        self
    }
}

/// A part of a text that may bring something in, and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be read in bytes {} to {} of the text", place.start, place.end)]
pub struct Unreadable {
    /// What it is.
    pub what: What,
    /// Where it stands.
    pub place: Range<usize>,
}

/// What cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum What {
    /// Not JSON.
    #[error("broken JSON")]
    Json,
    /// More than may be held back at once.
    #[error("a line or an entry that is longer than may be held")]
    Long,
    /// No registry has such a name, or such a version.
    #[error("a name or a version that is too long")]
    Name,
    /// Not TOML.
    #[error("broken TOML")]
    Toml,
    /// A command that installs what only its run will name: by a variable, another command, its input.
    #[error("a command that installs what only its run will name")]
    Unnamed,
    /// Not XML, or with entities of its own.
    #[error("broken XML")]
    Xml,
}

/// What a text brings in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The dependencies, as they follow each other in the text.
    pub found: Vec<Found>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
    /// Whether there are more than [`MOST_FOUND`]: the rest is not told.
    pub too_many: bool,
}

impl Findings {
    /// Whether the text brings in nothing, as far as can be said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty() && self.unreadable.is_empty() && !self.too_many
    }

    pub(crate) fn fail(&mut self, what: What, place: Range<usize>) {
        if self.unreadable.len() < MOST_UNREADABLE {
            self.unreadable.push(Unreadable { what, place });
        }
    }

    /// Takes what a reader found at a place in, once.
    pub(crate) fn add(&mut self, spec: Spec, how: How, place: Range<usize>, told: &mut Told) {
        let long = |text: &str| text.len() > LONGEST_NAME;
        let name_long = match &spec.remote {
            // Without a name, the address stands for it.
            Some(remote) => spec.written.len().max(remote.address().len()) > LONGEST_ADDRESS,
            None => long(&spec.written),
        };
        let wanted_long = matches!(&spec.wanted, Wanted::Exact(text) | Wanted::Range(text) if long(text));
        if name_long || wanted_long {
            return self.fail(What::Name, place);
        }
        let found = Found {
            package: Package::new(spec.ecosystem, &spec.written),
            ascii: spec.written.is_ascii(),
            written: spec.written,
            wanted: spec.wanted,
            place,
            how: match (spec.hint, spec.perhaps) {
                (true, _) => How::Import,
                (false, true) => How::Perhaps,
                (false, false) => how,
            },
            remote: spec.remote,
        };
        if told.said(&found) {
            return;
        }
        if told.count >= MOST_FOUND {
            self.too_many = true;
            return;
        }
        told.count += 1;
        self.found.push(found);
    }
}

/// What was told of a text so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    count: usize,
    last: VecDeque<Found>,
}

impl Told {
    /// Whether the same place of the text said the same before.
    fn said(&mut self, found: &Found) -> bool {
        let same = |other: &Found| {
            other.package == found.package
                && other.wanted == found.wanted
                && other.remote == found.remote
                // A guess does not say what is said for certain.
                && (other.how.is_firm() || other.how == found.how)
                && other.place.start < found.place.end
                && found.place.start < other.place.end
        };
        if self.last.iter().any(same) {
            return true;
        }
        if self.last.len() >= LOOK_BACK {
            self.last.pop_front();
        }
        self.last.push_back(found.clone());
        false
    }
}

/// A dependency as one entry says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) ecosystem: Ecosystem,
    pub(crate) written: String,
    pub(crate) wanted: Wanted,
    pub(crate) remote: Option<Remote>,
    /// The name is a guess: it is told as an import is, whatever kind of text says it.
    pub(crate) hint: bool,
    /// It may be what an option takes: see [`How::Perhaps`].
    pub(crate) perhaps: bool,
}

impl Spec {
    pub(crate) fn new(ecosystem: Ecosystem, name: &str, wanted: Wanted) -> Self {
        Self { ecosystem, written: name.to_owned(), wanted, remote: None, hint: false, perhaps: false }
    }

    /// Something that does not come from the registry. Where no name is said, its address stands for it.
    pub(crate) fn remote(ecosystem: Ecosystem, name: &str, remote: Remote) -> Self {
        let name = if name.is_empty() { remote.address() } else { name };
        Self {
            ecosystem,
            written: name.to_owned(),
            wanted: Wanted::Any,
            remote: Some(remote),
            hint: false,
            perhaps: false,
        }
    }

    /// The same as a guess.
    pub(crate) fn guessed(self) -> Self {
        Self { hint: true, ..self }
    }
}
