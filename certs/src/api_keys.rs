//! API keys for clients that can show neither a certificate nor a signature.
//!
//! A key is 256 random bits, shown once. What is kept is a keyed digest, so that a stolen
//! `keys.json` alone tells nothing, not even whether a key that was found elsewhere is among them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_policies::{KeyStanding, Scope};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::files::{self, FileError};
use crate::ledger::{Document, Ledger, LedgerError};
use crate::{token, trust};

/// What every key begins with, so that secret scanners know it.
pub const PREFIX: &str = "pck_";
/// The most keys of one node.
const MAX_KEYS: usize = 10_000;
/// How long a key is kept in the list after it ended, in seconds.
const KEPT: i64 = 90 * 86_400;

/// The API keys of one node.
pub struct ApiKeys {
    ledger: Ledger<Keys>,
    /// What digests are keyed with.
    pepper: Zeroizing<Vec<u8>>,
    index: ArcSwap<Index>,
}

/// The keys by digest, with the version of the document that they were read from.
struct Index {
    of: Arc<Keys>,
    by_digest: HashMap<String, usize>,
    scopes: Vec<Arc<Scope>>,
}

/// One key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// What it is called: its holder is `key:<name>`.
    pub name: String,
    digest: String,
    /// RFC 3339, in UTC.
    pub created: String,
    /// Unix seconds; `None` for ever.
    pub expires: Option<i64>,
    /// Unix seconds.
    #[serde(default)]
    pub revoked: Option<i64>,
    /// The profile of its holder.
    #[serde(default)]
    pub profile: Option<Arc<str>>,
    /// What it may be used for at most.
    #[serde(default)]
    pub scope: Scope,
}

/// Why a key cannot be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// There are too many.
    #[error("there are {MAX_KEYS} API keys already; revoke some that are no longer used")]
    Full,
    /// The list cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It cannot be a name.
    #[error("`{0}` cannot be a key's name, expected 1 to 64 letters, digits, `-`, `_` or `.`")]
    Name(String),
    /// No key has this name.
    #[error("no API key is called `{0}`; `portcullis keys list` shows them")]
    Nobody(String),
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// The name is in use.
    #[error("an API key is called `{0}` already; revoke it first, or choose another name")]
    Taken(String),
}

impl ApiKeys {
    /// Opens the key list of this state directory, and makes the secret that digests are keyed with
    /// when there is none yet.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn open(state: &Path) -> Result<Self, ApiKeyError> {
        let pepper = pepper(&state.join("keys.secret"))?;
        let ledger = Ledger::open(&state.join("keys.json"))?;
        let index = ArcSwap::from_pointee(Index::of(ledger.get()));
        Ok(Self { ledger, pepper, index })
    }

    /// What a presented key is, at this Unix second.
    #[must_use]
    pub fn look_up(&self, key: &str, now: i64) -> KeyStanding {
        if !token::has_form(key, PREFIX) {
            return KeyStanding::Unknown;
        }
        let digest = self.digest(key);
        let index = self.index.load();
        let found = index.by_digest.get(&digest).and_then(|at| Some((index.of.keys.get(*at)?, index.scopes.get(*at)?)));
        let Some((key, scope)) = found else { return KeyStanding::Unknown };
        if !bool::from(key.digest.as_bytes().ct_eq(digest.as_bytes())) {
            return KeyStanding::Unknown;
        }
        if key.revoked.is_some() {
            return KeyStanding::Revoked(key.name.as_str().into());
        }
        if key.expires.is_some_and(|end| now >= end) {
            return KeyStanding::Expired(key.name.as_str().into());
        }
        KeyStanding::Valid { name: key.name.as_str().into(), profile: key.profile.clone(), scope: Arc::clone(scope) }
    }

    /// Makes a key. The text that comes back is its only copy.
    ///
    /// # Errors
    /// When the name cannot be given or the list cannot be written.
    pub fn add(
        &self,
        name: &str,
        expires: Option<i64>,
        profile: Option<&str>,
        scope: Scope,
        now: i64,
    ) -> Result<Zeroizing<String>, ApiKeyError> {
        if !trust::is_name(name) {
            return Err(ApiKeyError::Name(crate::peer::printable(name)));
        }
        let key = token::generate(PREFIX)?;
        let made = ApiKey {
            name: name.to_owned(),
            digest: self.digest(&key),
            created: jiff::Timestamp::from_second(now).map(|t| t.to_string()).unwrap_or_default(),
            expires,
            revoked: None,
            profile: profile.map(Into::into),
            scope,
        };
        self.change(|keys| {
            keys.forget_old(now);
            if keys.keys.iter().any(|k| k.name.eq_ignore_ascii_case(name) && k.holds(now)) {
                return Err(ApiKeyError::Taken(name.to_owned()));
            }
            // A name that is free again belongs to its new key alone.
            keys.keys.retain(|k| !k.name.eq_ignore_ascii_case(name));
            if keys.keys.len() >= MAX_KEYS {
                return Err(ApiKeyError::Full);
            }
            keys.keys.push(made);
            Ok(())
        })?;
        Ok(key)
    }

    /// Takes a key back.
    ///
    /// # Errors
    /// When nobody has the name, or the list cannot be written.
    pub fn revoke(&self, name: &str, now: i64) -> Result<ApiKey, ApiKeyError> {
        self.change(|keys| {
            let found = keys.keys.iter_mut().find(|k| k.name.eq_ignore_ascii_case(name));
            let key = found.ok_or_else(|| ApiKeyError::Nobody(crate::peer::printable(name)))?;
            key.revoked.get_or_insert(now);
            Ok(key.clone())
        })
    }

    /// Every key, those that ended included.
    #[must_use]
    pub fn list(&self) -> Vec<ApiKey> {
        self.ledger.get().keys.clone()
    }

    /// Takes in what another process changed.
    ///
    /// # Errors
    /// When the list is damaged; the last good one stays in force.
    pub fn reload_if_changed(&self) -> Result<bool, ApiKeyError> {
        let changed = self.ledger.reload_if_changed()?;
        if changed {
            self.index.store(Arc::new(Index::of(self.ledger.get())));
        }
        Ok(changed)
    }

    fn change<T>(&self, apply: impl FnOnce(&mut Keys) -> Result<T, ApiKeyError>) -> Result<T, ApiKeyError> {
        let outcome = self.ledger.change(apply)?;
        self.index.store(Arc::new(Index::of(self.ledger.get())));
        Ok(outcome)
    }

    fn digest(&self, key: &str) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.pepper) else { return String::new() };
        mac.update(key.as_bytes());
        HEXLOWER.encode(&mac.finalize().into_bytes())
    }
}

impl ApiKey {
    /// Whether it can be used at this Unix second.
    #[must_use]
    pub fn holds(&self, now: i64) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|end| now < end)
    }
}

impl Index {
    fn of(keys: Arc<Keys>) -> Self {
        let by_digest = keys.keys.iter().enumerate().map(|(at, key)| (key.digest.clone(), at)).collect();
        // A key that takes another's name does not take over what that one has spent.
        let named = |key: &ApiKey| {
            let id = key.digest.get(..8).unwrap_or_default();
            Scope { name: Some(format!("key:{}#{id}", key.name).into()), ..key.scope.clone() }
        };
        let scopes = keys.keys.iter().map(|key| Arc::new(named(key))).collect();
        Self { of: keys, by_digest, scopes }
    }
}

/// `keys.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    version: u32,
    keys: Vec<ApiKey>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { version: 1, keys: Vec::new() }
    }
}

impl Keys {
    fn forget_old(&mut self, now: i64) {
        self.keys.retain(|key| {
            let ended = key.revoked.or(key.expires.filter(|end| now >= *end));
            ended.is_none_or(|end| now.saturating_sub(end) < KEPT)
        });
    }
}

impl Document for Keys {
    fn check(&self) -> Result<(), String> {
        if self.version != 1 {
            return Err(format!("it has version {}, this release reads 1", self.version));
        }
        let sound = |key: &ApiKey| {
            trust::is_name(&key.name) && HEXLOWER.decode(key.digest.as_bytes()).is_ok_and(|d| d.len() == 32)
        };
        if self.keys.iter().all(sound) { Ok(()) } else { Err("a key in it has no name or no digest".to_owned()) }
    }
}

fn pepper(path: &Path) -> Result<Zeroizing<Vec<u8>>, ApiKeyError> {
    if !path.exists() {
        let mut bytes = Zeroizing::new([0u8; 32]);
        getrandom::fill(&mut *bytes)?;
        match files::write_new_private(path, HEXLOWER.encode(&*bytes).as_bytes()) {
            // Another process was quicker: its secret is the one.
            Ok(()) | Err(FileError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let text = files::read_private(path)?;
    let bytes = HEXLOWER.decode(text.trim().as_bytes()).ok().filter(|b| b.len() == 32);
    let damaged = || LedgerError::Damaged { path: path.to_owned(), why: "it is not 32 bytes in hex".to_owned() };
    Ok(bytes.ok_or_else(damaged)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_whole_self_alone() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ApiKeys::open(dir.path()).unwrap();
        let key = keys.add("ci", Some(100), Some("chat"), Scope::default(), 50).unwrap();
        let KeyStanding::Valid { name, profile, .. } = keys.look_up(&key, 99) else { panic!() };
        assert_eq!((&*name, profile.as_deref()), ("ci", Some("chat")));
        assert_eq!(keys.look_up(&key, 100), KeyStanding::Expired("ci".into()));
        let mut other = key.to_string();
        let last = if other.pop() == Some('A') { 'B' } else { 'A' };
        for wrong in [format!("{other}{last}"), other, format!("{}x", *key), key.replace("pck_", "PCK_"), String::new()]
        {
            assert_eq!(keys.look_up(&wrong, 60), KeyStanding::Unknown, "{wrong}");
        }
        let text = std::fs::read_to_string(dir.path().join("keys.json")).unwrap();
        assert!(!text.contains(&key[4..]), "the key itself is nowhere");
        assert!(matches!(keys.add("CI", None, None, Scope::default(), 60), Err(ApiKeyError::Taken(_))));
        let again = ApiKeys::open(dir.path()).unwrap();
        assert!(matches!(again.look_up(&key, 60), KeyStanding::Valid { .. }));
        again.revoke("ci", 70).unwrap();
        assert!(keys.reload_if_changed().unwrap());
        assert_eq!(keys.look_up(&key, 60), KeyStanding::Revoked("ci".into()));
        assert!(matches!(again.revoke("nobody", 70), Err(ApiKeyError::Nobody(_))));
        let new = again.add("ci", None, None, Scope::default(), 80).unwrap();
        assert!(matches!(again.look_up(&new, 80), KeyStanding::Valid { .. }));
        assert_eq!(again.look_up(&key, 80), KeyStanding::Unknown);
        assert!(matches!(keys.add("a b", None, None, Scope::default(), 60), Err(ApiKeyError::Name(_))));
    }
}
