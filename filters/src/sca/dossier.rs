//! What is known of a package, and whom to ask.

use futures::future::BoxFuture;
use portcullis_osv::{Ecosystem, Notice, Package};

/// What is known of one package.
#[derive(Clone, Debug)]
pub struct Dossier {
    /// Which one.
    pub package: Package,
    /// What advisories say of it.
    pub notices: Vec<Notice>,
    /// Its versions, where an index of its registry is at hand.
    pub versions: Vec<Box<str>>,
    /// How it stands in its registry.
    pub standing: Standing,
}

/// How a package stands in its registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is one that everybody knows.
    Established,
    /// The registry has it; its name looks like this one's, which is far better known.
    Resembling(Box<str>),
    /// The registry has it, or there is no index that would tell.
    Ordinary,
    /// The registry has nothing of that name; it may look like this one's.
    Unknown(Option<Box<str>>),
}

/// Why nothing can be said of packages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Something is in the way, and may not be later.
    #[error("{0}")]
    Away(String),
    /// Nothing was ever brought in about packages of this ecosystem.
    #[error("the database holds no advisories of {0}; `portcullis osv sync` or `osv import` brings some")]
    Ecosystem(Ecosystem),
    /// Nobody says to which registry they belong.
    #[error("it declares dependencies of a language without advisories")]
    Language,
}

/// What is known of packages, in the order in which they were asked for.
pub type Told = Result<Vec<Dossier>, Unavailable>;

/// An answer, or the promise of one.
pub enum Lookup {
    /// It has to be asked for. The future ends in bounded time.
    Later(BoxFuture<'static, Told>),
    /// It is at hand.
    Now(Told),
}

/// Knows what is known of packages.
pub trait Advisories: Send + Sync + 'static {
    /// Looks packages up. At most a few microseconds for each, where the answer is at hand.
    fn look_up(&self, packages: Vec<Package>) -> Lookup;
}
