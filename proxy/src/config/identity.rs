//! What proves an identity: the words of `filters.identity`, and the identity providers.

use std::path::PathBuf;
use std::time::Duration;

use portcullis_certs::jwt::{self, MAX_LEEWAY, SignatureAlgorithm};
use portcullis_filters::Mode;
use portcullis_filters::identity::Trust;
use portcullis_policies::{IdentityMethod, nearest};

use serde_json::{Value, json};

use super::check::Check;
use super::{Spiffe, Tls, written};
use crate::web::is_safe;

/// What proves an identity, and who vouches.
#[derive(Clone, Debug)]
pub(crate) struct IdentitySettings {
    pub(crate) accept: Vec<IdentityMethod>,
    pub(crate) trust: Trust,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) spiffe: Spiffe,
    /// Revocation lists of the authorities.
    pub(crate) crl: Vec<PathBuf>,
}

/// An identity provider.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) meant: jwt::Issuer,
    pub(crate) keys: KeySource,
    /// The authorities that vouch for the provider's server. Default: the system's.
    pub(crate) ca: Option<PathBuf>,
    /// The profile that everybody of this provider has.
    pub(crate) profile: Option<std::sync::Arc<str>>,
    /// How often its keys are fetched anew.
    pub(crate) refresh: Duration,
}

/// Where a provider's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// `/.well-known/openid-configuration` names the place.
    Discovery,
    /// A file that the operator, or an agent, keeps up to date.
    File(PathBuf),
    /// A JWK set at this address.
    Url(String),
}

/// The words of `accept` that this release knows.
const WORDS: [(&str, IdentityMethod); 5] = [
    ("mtls", IdentityMethod::Mtls),
    ("signature", IdentityMethod::Signature),
    ("api_key", IdentityMethod::ApiKey),
    ("jwt", IdentityMethod::Jwt),
    ("ollama_key", IdentityMethod::OllamaKey),
];
/// The algorithms that are taken where the operator names none: no issuer needs the others.
const USUAL: [SignatureAlgorithm; 4] =
    [SignatureAlgorithm::RS256, SignatureAlgorithm::ES256, SignatureAlgorithm::EdDSA, SignatureAlgorithm::PS256];
/// The most identity providers.
const MAX_ISSUERS: usize = 32;

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            accept: vec![IdentityMethod::Mtls],
            trust: Trust::default(),
            issuers: Vec::new(),
            spiffe: Spiffe::default(),
            crl: Vec::new(),
        }
    }
}

impl IdentitySettings {
    /// As it is written in a config, with every default filled in.
    pub(crate) fn to_json(&self) -> Value {
        let issuers: Vec<_> = self.issuers.iter().map(Issuer::to_json).collect();
        let accept: Vec<_> = self.accept.iter().map(|method| method.as_str()).collect();
        json!({
            "accept": accept, "trust": self.trust, "jwt": issuers,
            "spiffe": self.spiffe.to_json(), "crl": self.crl,
        })
    }
}

impl Issuer {
    fn to_json(&self) -> Value {
        let algorithms: Vec<_> = self.meant.algorithms.iter().map(|a| format!("{a:?}")).collect();
        let jwks = match &self.keys {
            KeySource::Discovery => None,
            KeySource::File(path) => Some(format!("file:{}", path.display())),
            KeySource::Url(url) => Some(url.clone()),
        };
        json!({
            "issuer": self.meant.issuer, "audience": self.meant.audience, "jwks": jwks, "ca": self.ca,
            "algorithms": algorithms, "leeway": format!("{}s", self.meant.leeway), "claims": self.meant.claims,
            "profile": self.profile, "refresh": format!("{}s", self.refresh.as_secs()),
        })
    }
}

impl IdentitySettings {
    pub(super) fn check(check: &mut Check<'_>, w: &written::Identity, tls: Tls, used: bool, signatures: Mode) -> Self {
        let mistakes = check.mistakes.len();
        let mut accept = Vec::new();
        let usual = match tls {
            Tls::Mutual => vec!["mtls".to_owned()],
            Tls::Off | Tls::Server => Vec::new(),
        };
        for word in w.accept.as_ref().unwrap_or(&usual) {
            if let Some(method) = method(check, word, tls) {
                accept.push(method);
            }
        }
        if accept.is_empty() && used && check.mistakes.len() == mistakes {
            check.wrong(
                "filters.identity.accept",
                "nothing would prove an identity, so nobody could get in".to_owned(),
                Some("write `[mtls]`, with `gate.tls: mutual`"),
            );
        }
        if used && accept.contains(&IdentityMethod::Signature) && signatures != Mode::Enforce {
            check.wrong(
                "filters.identity.accept",
                "`signature` proves who calls only where the filter `signature` is in the chain and enforced"
                    .to_owned(),
                Some("write `chain: [identity, signature, ratelimit, policy, firewall, schema, audit]`, and no `mode: off` or `shadow`"),
            );
        }
        let takes_tokens = accept.contains(&IdentityMethod::Jwt);
        if takes_tokens && w.jwt.is_empty() {
            check.wrong(
                "filters.identity.jwt",
                "`accept` has `jwt`, and no identity provider is named".to_owned(),
                Some("write `jwt: [{issuer: https://id.example, audience: [portcullis]}]`"),
            );
        }
        if !takes_tokens && !w.jwt.is_empty() {
            check.wrong(
                "filters.identity.jwt",
                "identity providers are named, and `accept` does not have `jwt`".to_owned(),
                Some("write `accept: [mtls, jwt]`"),
            );
        }
        if w.jwt.len() > MAX_ISSUERS {
            check.wrong("filters.identity.jwt", format!("there are more than {MAX_ISSUERS} identity providers"), None);
        }
        let issuers: Vec<_> = w.jwt.iter().filter_map(|i| issuer(check, i)).collect();
        for (at, one) in issuers.iter().enumerate() {
            if issuers.iter().take(at).any(|other| other.meant.issuer == one.meant.issuer) {
                check.wrong("filters.identity.jwt", format!("`{}` stands twice", one.meant.issuer), None);
            }
        }
        let crl = w.crl.iter().map(|path| check.revocation_list("filters.identity.crl", path)).collect();
        let spiffe = w.spiffe.as_ref().map(|spiffe| Spiffe::check(check, spiffe)).unwrap_or_default();
        Self { accept, trust: w.trust.unwrap_or_default(), issuers, spiffe, crl }
    }
}

fn method(check: &mut Check<'_>, word: &str, tls: Tls) -> Option<IdentityMethod> {
    let key = "filters.identity.accept";
    let Some((_, method)) = WORDS.into_iter().find(|(known, _)| *known == word) else {
        let names = WORDS.map(|(known, _)| known);
        let message = format!("`{word}` proves nothing, expected some of {}", names.join(", "));
        check.wrong(key, message, nearest(word, names).map(|h| format!("did you mean `{h}`?")).as_deref());
        return None;
    };
    match (method, tls) {
        (IdentityMethod::Mtls, Tls::Off | Tls::Server) => {
            check.wrong(
                key,
                format!("`mtls` needs client certificates, and `gate.tls` is `{}`", tls.as_str()),
                Some("write `gate.tls: mutual`, or leave `mtls` out"),
            );
        }
        (IdentityMethod::OllamaKey, Tls::Off) => {
            check.wrong(
                key,
                "a device signature does not cover what is asked, so it needs TLS, and `gate.tls` is `off`".to_owned(),
                Some("write `gate.tls: server`"),
            );
        }
        _ => {}
    }
    Some(method)
}

fn issuer(check: &mut Check<'_>, w: &written::Issuer) -> Option<Issuer> {
    let mistakes = check.mistakes.len();
    let key = "filters.identity.jwt";
    let name = w.issuer.as_str();
    if name.is_empty() || name.len() > 200 || !name.bytes().all(|b| b.is_ascii_graphic()) || name.contains('#') {
        check.wrong(
            &format!("{key}.issuer"),
            "it must be the `iss` of the provider's tokens, in printable ASCII without `#`".to_owned(),
            Some("write `issuer: https://id.example`"),
        );
    }
    if w.audience.is_empty() || w.audience.iter().any(String::is_empty) {
        check.wrong(
            &format!("{key}.audience"),
            format!("`{name}`: without an audience, a token that was made for any other service would get in"),
            Some("write `audience: [portcullis]`, as the provider puts it into `aud`"),
        );
    }
    let keys = match w.jwks.as_deref() {
        None if is_safe(name) => KeySource::Discovery,
        None => {
            check.wrong(
                &format!("{key}.jwks"),
                format!("`{name}` is no https address, so its keys cannot be discovered"),
                Some("write `jwks: file:PATH` or `jwks: https://…`"),
            );
            KeySource::Discovery
        }
        Some(text) => match text.strip_prefix("file:") {
            Some(path) => KeySource::File(check.existing(&format!("{key}.jwks"), path)),
            None if is_safe(text) => KeySource::Url(text.to_owned()),
            None => {
                check.wrong(
                    &format!("{key}.jwks"),
                    "keys are fetched by https, or in the clear from this very machine alone".to_owned(),
                    Some("write `https://…` or `file:PATH`"),
                );
                KeySource::Discovery
            }
        },
    };
    let algorithms: Vec<_> = w
        .algorithms
        .as_ref()
        .map_or(USUAL.to_vec(), |names| names.iter().filter_map(|name| algorithm(check, name)).collect());
    let leeway = check.duration(&format!("{key}.leeway"), w.leeway.as_deref(), 30).as_secs();
    if leeway > MAX_LEEWAY {
        check.wrong(
            &format!("{key}.leeway"),
            format!("clocks may differ by {MAX_LEEWAY} seconds at most"),
            Some("write `30s`"),
        );
    }
    let refresh = check.duration(&format!("{key}.refresh"), w.refresh.as_deref(), 3_600);
    if refresh < Duration::from_secs(1) || refresh > Duration::from_secs(86_400) {
        check.wrong(&format!("{key}.refresh"), "expected between a second and a day".to_owned(), Some("write `1h`"));
    }
    if let Some(profile) = &w.profile
        && !portcullis_certs::trust::is_name(profile)
    {
        check.wrong(&format!("{key}.profile"), format!("`{profile}` is not a profile's name"), None);
    }
    let meant = jwt::Issuer {
        issuer: name.to_owned(),
        audience: w.audience.clone(),
        algorithms,
        leeway,
        claims: w.claims.clone(),
    };
    let ca = w.ca.as_deref().map(|path| check.existing(&format!("{key}.ca"), path));
    (check.mistakes.len() == mistakes).then(|| Issuer {
        meant,
        keys,
        ca,
        profile: w.profile.as_deref().map(Into::into),
        refresh,
    })
}

fn algorithm(check: &mut Check<'_>, name: &str) -> Option<SignatureAlgorithm> {
    let found = SignatureAlgorithm::ALL.into_iter().find(|a| format!("{a:?}") == name);
    if found.is_none() {
        let names = SignatureAlgorithm::ALL.map(|a| format!("{a:?}"));
        check.wrong(
            "filters.identity.jwt.algorithms",
            format!("`{name}` is not taken, expected some of {}", names.join(", ")),
            Some("shared secrets (HS256 …) and `none` are never taken"),
        );
    }
    found
}
