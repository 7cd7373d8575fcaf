//! The keys of identity providers: read from a file or fetched, kept fresh, and used.
//!
//! A set that cannot be had any more stays in force for a day; a token is never judged by keys older
//! than that. A token that names a key nobody knows has the set fetched early, at most every ten
//! seconds.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use portcullis_certs::jwt::{JwtError, KeySet, MAX_KEY_SET};
use portcullis_filters::identity::{TokenError, Verified};
use portcullis_policies::Scope;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::config::{Issuer, KeySource};

/// How long keys that cannot be fetched anew stay in force.
const MAX_AGE: Duration = Duration::from_secs(86_400);
/// The least time between two tries.
const BREATH: Duration = Duration::from_secs(10);
/// How long one request to an issuer may take; below the time that a filter has.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most tokens whose check is remembered.
const MAX_REMEMBERED: usize = 4_096;

/// The key sets, by issuer.
#[derive(Default)]
pub(crate) struct Issuers {
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Default)]
struct Known {
    keys: Option<Arc<KeySet>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    /// When the file that they came from was changed.
    modified: Option<SystemTime>,
    /// Tokens that were checked with these keys.
    verified: HashMap<[u8; 32], Verified>,
    failing: bool,
}

impl Issuers {
    /// Checks a token of this issuer.
    pub(super) fn verify(&self, issuer: &Issuer, token: &str) -> Result<Verified, TokenError> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = super::now();
        let keys = {
            let mut known = self.known();
            let known = known.get_mut(&issuer.meant.issuer).ok_or(TokenError::NoKeys)?;
            if let Some(verified) = known.verified.get(&digest) {
                if !verified.scope.has_ended(now) {
                    return Ok(verified.clone());
                }
                known.verified.remove(&digest);
            }
            if known.fetched.is_none_or(|at| at.elapsed() > MAX_AGE) {
                return Err(TokenError::NoKeys);
            }
            known.keys.clone().ok_or(TokenError::NoKeys)?
        };
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
        let mut known = self.known();
        if let Some(known) = known.get_mut(&issuer.meant.issuer)
            && known.keys.as_ref().is_some_and(|now| Arc::ptr_eq(now, &keys))
        {
            if known.verified.len() >= MAX_REMEMBERED {
                known.verified.clear();
            }
            known.verified.insert(digest, verified.clone());
        }
        Ok(verified)
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
        let fetched = read(issuer).and_then(|text| Ok((KeySet::parse(&text)?, Sha256::digest(text.as_bytes()))));
        let mut all = self.known();
        let known = all.entry(name.clone()).or_default();
        match fetched {
            Ok((keys, _)) => {
                if known.failing || known.keys.is_none() {
                    tracing::info!(issuer = name, "The keys of an identity provider are at hand.");
                }
                known.keys = Some(Arc::new(keys));
                known.fetched = Some(Instant::now());
                known.modified = stamp;
                known.failing = false;
                // What was checked with keys that may be gone is checked again.
                known.verified.clear();
            }
            Err(why) => {
                if !known.failing {
                    tracing::error!(issuer = name, why, "The keys of an identity provider cannot be had.");
                }
                known.failing = true;
            }
        }
        // A file does not age: it is what the operator, or an agent, put there.
        if let (KeySource::File(_), Some(_)) = (&issuer.keys, &known.keys) {
            known.fetched = Some(Instant::now());
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
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
    let roots = roots(issuer.ca.as_deref())?;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .tls_config(ureq::tls::TlsConfig::builder().root_certs(roots).build())
        .build()
        .into();
    let mut answer = agent.get(url).header("Accept", "application/json").call().map_err(shown)?;
    if answer.status() != 200 {
        return Err(format!("`{url}` answered {}", answer.status().as_u16()));
    }
    answer.body_mut().with_config().limit(MAX_KEY_SET as u64).read_to_string().map_err(shown)
}

/// The authorities that vouch for the issuer: the operator's file, else the system's.
fn roots(ca: Option<&Path>) -> Result<ureq::tls::RootCerts, String> {
    let certificates: Vec<rustls_pki_types::CertificateDer<'static>> = match ca {
        Some(path) => rustls_pki_types::CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|e| format!("`{}`: {e}", path.display()))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let certificates: Vec<_> =
        certificates.iter().map(|der| ureq::tls::Certificate::from_der(der).to_owned()).collect();
    Ok(ureq::tls::RootCerts::Specific(Arc::new(certificates)))
}

/// Whether keys may be fetched from there: encrypted, or from this very machine.
pub(crate) fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        _ => false,
    }
}
