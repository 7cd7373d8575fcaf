//! What an API key is at the moment when it is shown.

use std::sync::Arc;

use crate::scope::Scope;

/// What a presented API key turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStanding {
    /// The one of this name has ended.
    Expired(Arc<str>),
    /// The one of this name was taken back.
    Revoked(Arc<str>),
    /// No key of this gate.
    Unknown,
    /// It holds.
    Valid {
        /// What it is called.
        name: Arc<str>,
        /// The profile of its holder.
        profile: Option<Arc<str>>,
        /// What it may be used for at most.
        scope: Arc<Scope>,
    },
}
