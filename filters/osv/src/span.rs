//! A run of affected versions.

/// A run of affected versions, in the order of their ecosystem.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first affected version; from the very first one where there is none.
    pub from: Option<Box<str>>,
    /// Where it ends.
    pub until: End,
}

/// Where a run of affected versions ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The first version that is mended; it is not affected.
    Fixed(Box<str>),
    /// The last version that is known to be affected.
    Last(Box<str>),
    /// Versions from here on were not looked at; this one is not affected.
    Limit(Box<str>),
    /// Nowhere: there is no fix.
    Open,
}
