//! What must be known beyond one exchange, and beyond one process: which nonces were used, how much was.

use std::path::{Path, PathBuf};

#[cfg(test)]
pub(crate) mod conformance;
mod embedded;
mod hashed;
mod journal;
mod live;
pub(crate) mod redis;

pub(crate) use embedded::Embedded;
pub(crate) use journal::{JournalError, begin};

/// Where the used nonces of a node lie.
pub(crate) fn replay_dir(state: &Path) -> PathBuf {
    state.join("replay")
}
