//! The keys of identity providers: read from a file or fetched, kept fresh, and used.
//!
//! A set that cannot be had any more stays in force for a day; a token is never judged by keys older
//! than that. A token that names a key nobody knows has the set fetched early, at most every ten
//! seconds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use portcullis_certs::jwt::{JwtError, KeySet, MAX_KEY_SET};
use portcullis_filters::identity::{TokenError, Verified};
use portcullis_policies::Scope;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::checked::Checked;
use crate::config::{Issuer, KeySource};
use crate::web::{self, is_safe};

/// How long keys that cannot be fetched anew stay in force.
const MAX_AGE: Duration = Duration::from_secs(86_400);
/// The least time between two tries.
const BREATH: Duration = Duration::from_secs(10);
/// How long one request to an issuer may take; below the time that a filter has.
const PATIENCE: Duration = Duration::from_secs(2);

/// The key sets, by issuer.
#[derive(Default)]
pub(crate) struct Issuers {
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Default)]
struct Known {
    /// Where the keys come from, and who vouches for that place.
    source: Option<(KeySource, Option<PathBuf>)>,
    keys: Option<Arc<KeySet>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    /// When the file that they came from was changed.
    modified: Option<SystemTime>,
    failing: bool,
}

impl Issuers {
    /// Checks a token of this issuer, or remembers that it was.
    pub(super) fn verify(&self, issuer: &Issuer, token: &str, checked: &Checked) -> Result<Verified, TokenError> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let keys = self.keys(issuer).ok_or(TokenError::NoKeys)?;
        if let Some(verified) = checked.find(&digest, &keys, super::now()) {
            return Ok(verified);
        }
        let holder = issuer.meant.verify(token, &keys).map_err(|error| match error {
            JwtError::Audience => TokenError::Audience,
            JwtError::Expired => TokenError::Expired,
            JwtError::Malformed => TokenError::Malformed,
            JwtError::Signature => TokenError::Signature,
            JwtError::UnknownKey => TokenError::UnknownKey,
        })?;
        let leeway = i64::try_from(issuer.meant.leeway).unwrap_or(0);
        let verified = Verified {
            identity: holder.identity,
            profile: issuer.profile.clone(),
            claims: holder.claims,
            scope: Arc::new(Scope { until: Some(holder.expires.saturating_add(leeway)), ..Scope::default() }),
        };
        checked.remember(digest, keys, verified.clone());
        Ok(verified)
    }

    /// The keys of an issuer, if they are from where the config says now, and young enough.
    fn keys(&self, issuer: &Issuer) -> Option<Arc<KeySet>> {
        let known = self.known();
        let known = known.get(&issuer.meant.issuer)?;
        // A file does not age: it is what the operator, or an agent, put there.
        let young =
            matches!(issuer.keys, KeySource::File(_)) || known.fetched.is_some_and(|at| at.elapsed() <= MAX_AGE);
        known.keys.clone().filter(|_| young && known.comes_from(issuer))
    }

    /// Brings every key set up to date that is due. Blocks.
    pub(super) fn refresh(&self, issuers: &[Issuer]) {
        self.known().retain(|name, _| issuers.iter().any(|issuer| issuer.meant.issuer == *name));
        for issuer in issuers {
            if self.is_due(issuer) {
                self.fetch(issuer);
            }
        }
    }

    /// Fetches a key set before it is due, for a token that names an unknown key. Blocks.
    pub(super) fn fetch_early(&self, issuer: &Issuer) {
        let lately = self.known().get(&issuer.meant.issuer).and_then(|k| k.tried).is_some_and(|t| t.elapsed() < BREATH);
        if !lately {
            self.fetch(issuer);
        }
    }

    fn is_due(&self, issuer: &Issuer) -> bool {
        let mut all = self.known();
        let known = all.entry(issuer.meant.issuer.clone()).or_default();
        if !known.comes_from(issuer) {
            let source = Some((issuer.keys.clone(), issuer.ca.clone()));
            *known = Known { source, ..Known::default() };
        }
        if let KeySource::File(path) = &issuer.keys {
            return known.keys.is_none() && known.tried.is_none_or(|t| t.elapsed() >= Duration::from_secs(1))
                || modified(path) != known.modified && known.tried.is_none_or(|t| t.elapsed() >= BREATH / 40);
        }
        let pause = if known.failing || known.keys.is_none() { BREATH } else { issuer.refresh };
        known.tried.is_none_or(|tried| tried.elapsed() >= pause)
    }

    fn fetch(&self, issuer: &Issuer) {
        let name = &issuer.meant.issuer;
        self.known().entry(name.clone()).or_default().tried = Some(Instant::now());
        let stamp = match &issuer.keys {
            KeySource::File(path) => modified(path),
            _ => None,
        };
        let fetched = keys_of(issuer);
        let mut all = self.known();
        // The config may have changed meanwhile.
        let Some(known) = all.get_mut(name).filter(|known| known.comes_from(issuer)) else { return };
        match fetched {
            Ok(keys) => {
                if known.failing || known.keys.is_none() {
                    tracing::info!(issuer = name, "The keys of an identity provider are at hand.");
                }
                known.keys = Some(Arc::new(keys));
                known.fetched = Some(Instant::now());
                known.modified = stamp;
                known.failing = false;
            }
            Err(why) => {
                if !known.failing {
                    tracing::error!(issuer = name, why, "The keys of an identity provider cannot be had.");
                }
                known.failing = true;
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn comes_from(&self, issuer: &Issuer) -> bool {
        self.source.as_ref().is_some_and(|(keys, ca)| *keys == issuer.keys && *ca == issuer.ca)
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// Reads or fetches an issuer's keys. Blocks.
///
/// # Errors
/// A sentence, when they cannot be had.
pub(crate) fn keys_of(issuer: &Issuer) -> Result<KeySet, String> {
    KeySet::parse(&read(issuer)?)
}

/// The text of an issuer's key set.
fn read(issuer: &Issuer) -> Result<String, String> {
    match &issuer.keys {
        KeySource::File(path) => {
            let meta = std::fs::metadata(path).map_err(|e| format!("`{}`: {e}", path.display()))?;
            if meta.len() > MAX_KEY_SET as u64 {
                return Err(format!("`{}` is larger than {MAX_KEY_SET} bytes", path.display()));
            }
            std::fs::read_to_string(path).map_err(|e| format!("`{}`: {e}", path.display()))
        }
        KeySource::Url(url) => get(url, issuer),
        KeySource::Discovery => {
            let url = format!("{}/.well-known/openid-configuration", issuer.meant.issuer.trim_end_matches('/'));
            let document: Value =
                serde_json::from_str(&get(&url, issuer)?).map_err(|_| format!("`{url}` is not a JSON document"))?;
            // OpenID Connect Discovery 1.0, section 4.3: it must speak of the issuer that was asked for.
            if document.get("issuer").and_then(Value::as_str) != Some(issuer.meant.issuer.as_str()) {
                return Err(format!("`{url}` speaks of another issuer"));
            }
            let keys = document.get("jwks_uri").and_then(Value::as_str);
            let keys = keys.filter(|uri| is_safe(uri)).ok_or_else(|| format!("`{url}` names no key set by https"))?;
            get(keys, issuer)
        }
    }
}

fn get(url: &str, issuer: &Issuer) -> Result<String, String> {
    let shown = |e: ureq::Error| format!("`{url}`: {e}");
    let agent = web::agent(issuer.ca.as_deref(), PATIENCE)?;
    let mut answer = agent.get(url).header("Accept", "application/json").call().map_err(shown)?;
    if answer.status() != 200 {
        return Err(format!("`{url}` answered {}", answer.status().as_u16()));
    }
    answer.body_mut().with_config().limit(MAX_KEY_SET as u64).read_to_string().map_err(shown)
}
