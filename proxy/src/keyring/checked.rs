//! Remembers tokens whose signature was checked, so that a client that sends the same one with every
//! request pays for it once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_certs::jwt::KeySet;
use portcullis_filters::identity::Verified;

/// The most tokens that are remembered.
const MAX_REMEMBERED: usize = 4_096;

/// The digest of a token.
pub(super) type Digest = [u8; 32];

/// Tokens that were checked, as one generation of the config means it.
#[derive(Default)]
pub(super) struct Checked(Mutex<HashMap<Digest, Seen>>);

struct Seen {
    /// The keys that it was checked by: when they are replaced, it is checked again.
    keys: Arc<KeySet>,
    verified: Verified,
}

impl Checked {
    /// A token that was checked by these very keys, and has not ended by this Unix second.
    pub(super) fn find(&self, digest: &Digest, keys: &Arc<KeySet>, now: i64) -> Option<Verified> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.get(digest)?;
        if Arc::ptr_eq(&seen.keys, keys) && !seen.verified.scope.has_ended(now) {
            return Some(seen.verified.clone());
        }
        all.remove(digest);
        None
    }

    /// Remembers a token that was checked by these keys.
    pub(super) fn remember(&self, digest: Digest, keys: Arc<KeySet>, verified: Verified) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_REMEMBERED {
            all.clear();
        }
        all.insert(digest, Seen { keys, verified });
    }
}
