//! What is told of an answer beside advisories, by the word that stands for it in the record.

use crate::verdict::Code;

/// Something that speaks against what an answer brings in, and is no advisory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A name holds letters that no registry takes.
    Disguised,
    /// A package comes from elsewhere than its registry.
    Remote,
    /// A name looks like one that is far better known.
    Resembling,
    /// What is known of a package cannot be looked up.
    Unavailable,
    /// A registry has nothing of that name.
    Unknown,
    /// A command installs what only its run will name.
    Unnamed,
    /// A part that may bring something in cannot be read.
    Unreadable,
}

impl Doubt {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Disguised,
        Self::Remote,
        Self::Resembling,
        Self::Unavailable,
        Self::Unknown,
        Self::Unnamed,
        Self::Unreadable,
    ];

    /// The one that a word stands for; none where it is the identifier of an advisory.
    #[must_use]
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|doubt| doubt.id() == id)
    }

    /// The word for it.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Disguised => "disguised-name",
            Self::Remote => "remote-source",
            Self::Resembling => "resembling-name",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown-package",
            Self::Unnamed => "unnamed-package",
            Self::Unreadable => "unreadable",
        }
    }

    /// The code of its kind.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Unavailable | Self::Unreadable => Code::ScaUnavailable,
            Self::Disguised | Self::Remote | Self::Resembling | Self::Unknown | Self::Unnamed => Code::ScaVulnerable,
        }
    }

    /// What it says, where nothing is known of the package.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Disguised => "a package has a name with letters that look like others",
            Self::Remote => "a package comes from elsewhere than its registry",
            Self::Resembling => "a package has a name that looks like a well-known one",
            Self::Unavailable => "what is known of a package cannot be looked up",
            Self::Unknown => "a package is not known to its registry",
            Self::Unnamed => "a command installs what only its run will name",
            Self::Unreadable => "a manifest or a line may bring something in, and cannot be read",
        }
    }
}
