//! Tokens of identity providers: JWT (RFC 7519) with the keys of a JWK set (RFC 7517).
//!
//! Which issuers count, for which audience and with which algorithms is the operator's to say; the
//! token only picks among them. An algorithm is taken for keys of its own family alone, never a shared
//! secret, and `none` does not exist here (RFC 8725).

use std::collections::HashSet;
use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use portcullis_policies::{Claims, Identity};
use serde_json::Value;

mod provider;

/// The largest key set that is read, in bytes.
pub const MAX_KEY_SET: usize = 256 * 1024;
/// The most keys of a set that are looked at.
const MAX_KEYS: usize = 64;
/// The most values of one claim, and the longest of them in bytes.
const MAX_VALUES: (usize, usize) = (256, 256);
/// The largest difference between two clocks that an operator may allow, in seconds.
pub const MAX_LEEWAY: u64 = 300;

/// An identity provider that the operator trusts.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Exactly as tokens say it.
    pub issuer: String,
    /// What tokens must be meant for; one of these.
    pub audience: Vec<String>,
    /// The algorithms that are taken.
    pub algorithms: Vec<SignatureAlgorithm>,
    /// How far clocks may differ, in seconds.
    pub leeway: u64,
    /// The claims that policy may look at, with dots for what is nested.
    pub claims: Vec<String>,
}

/// A signature algorithm that tokens may use (RFC 7518, section 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum SignatureAlgorithm {
    ES256,
    ES384,
    EdDSA,
    PS256,
    PS384,
    PS512,
    RS256,
    RS384,
    RS512,
}

/// The public keys of an issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithm: Option<KeyAlgorithm>,
    key: DecodingKey,
}

/// The holder of a token.
#[derive(Clone, Debug)]
pub struct Holder {
    /// `jwt:<issuer>#<subject>`
    pub identity: Identity,
    /// What policy may look at.
    pub claims: Arc<Claims>,
    /// When the token ends, in Unix seconds, without the leeway.
    pub expires: i64,
}

/// Why a token is not taken. Says nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is meant for somebody else.
    #[error("its audience is not this gate")]
    Audience,
    /// It has ended, or has not begun.
    #[error("it has ended or has not begun")]
    Expired,
    /// It is not a signed token, or lacks what every token must have.
    #[error("it is malformed, or lacks an expiry or a subject")]
    Malformed,
    /// Its signature does not hold, or its algorithm is not taken.
    #[error("its signature does not hold, or its algorithm is not taken")]
    Signature,
    /// It names a key that the set does not have: the set may be old.
    #[error("it names a key that its issuer did not publish")]
    UnknownKey,
}

/// What a token says of its issuer, before anything of it was checked: to find the keys by.
#[must_use]
pub fn claimed_issuer(token: &str) -> Option<String> {
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

impl KeySet {
    /// Reads a JWK set. Keys that no token can be signed with are left out: shared secrets, keys for
    /// encryption, kinds that are not known.
    ///
    /// # Errors
    /// A sentence, when it is none, or none of its keys can be used.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_KEY_SET {
            return Err(format!("the key set is larger than {MAX_KEY_SET} bytes"));
        }
        let set: JwkSet = serde_json::from_str(text).map_err(|e| format!("this is no JWK set: {e}"))?;
        let keys: Vec<_> = set.keys.iter().take(MAX_KEYS).filter_map(Key::of).collect();
        if keys.is_empty() {
            return Err("the key set has no key that could sign a token".to_owned());
        }
        Ok(Self(keys))
    }
}

impl Key {
    fn of(jwk: &Jwk) -> Option<Self> {
        if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        if key.family() == AlgorithmFamily::Hmac {
            return None;
        }
        Some(Self { id: jwk.common.key_id.clone(), algorithm: jwk.common.key_algorithm, key })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.key.family().algorithms().contains(&algorithm)
            && self.algorithm.is_none_or(|own| own.to_string() == format!("{algorithm:?}"))
    }
}

impl Issuer {
    /// Checks a token of this issuer with its keys: signature, `iss`, `aud`, `exp`, `nbf`, `sub`.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn verify(&self, token: &str, keys: &KeySet) -> Result<Holder, JwtError> {
        provider::install();
        let header = jsonwebtoken::decode_header(token).map_err(|_| JwtError::Malformed)?;
        let taken = self.algorithms.iter().any(|a| a.as_jwt() == header.alg);
        // Extensions that must be understood are not (RFC 7515, section 4.1.11).
        if !taken || header.crit.is_some() {
            return Err(JwtError::Signature);
        }
        let mut candidates = keys.0.iter().filter(|key| header.kid.is_none() || key.id == header.kid).peekable();
        if candidates.peek().is_none() {
            return Err(JwtError::UnknownKey);
        }
        let validation = self.validation(header.alg);
        let mut last = JwtError::Signature;
        for key in candidates.filter(|key| key.fits(header.alg)) {
            match jsonwebtoken::decode::<Value>(token, &key.key, &validation) {
                Ok(data) => return self.holder(&data.claims),
                Err(error) => match problem(&error) {
                    JwtError::Signature => last = JwtError::Signature,
                    other => return Err(other),
                },
            }
        }
        Err(last)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway.min(MAX_LEEWAY);
        validation.validate_nbf = true;
        validation.required_spec_claims =
            ["exp", "iss", "aud", "sub"].iter().map(|c| (*c).to_owned()).collect::<HashSet<_>>();
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&self.audience);
        validation
    }

    fn holder(&self, claims: &Value) -> Result<Holder, JwtError> {
        // The library takes a list of issuers; RFC 7519 knows one.
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(JwtError::Malformed);
        }
        let subject = claims.get("sub").and_then(Value::as_str).filter(|s| !s.is_empty()).ok_or(JwtError::Malformed)?;
        let identity =
            Identity::parse(&format!("jwt:{}#{}", self.issuer, printable(subject))).map_err(|_| JwtError::Malformed)?;
        let mut shown = Claims::default();
        for name in &self.claims {
            let at = name.split('.').try_fold(claims, |at, part| at.get(part));
            shown.insert(name, at.map(values).unwrap_or_default());
        }
        let expires = claims.get("exp").and_then(Value::as_f64).ok_or(JwtError::Malformed)?;
        Ok(Holder { identity, claims: Arc::new(shown), expires: expires as i64 })
    }
}

impl SignatureAlgorithm {
    /// Every one of them.
    pub const ALL: [Self; 9] = [
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
    ];

    const fn as_jwt(self) -> Algorithm {
        match self {
            Self::ES256 => Algorithm::ES256,
            Self::ES384 => Algorithm::ES384,
            Self::EdDSA => Algorithm::EdDSA,
            Self::PS256 => Algorithm::PS256,
            Self::PS384 => Algorithm::PS384,
            Self::PS512 => Algorithm::PS512,
            Self::RS256 => Algorithm::RS256,
            Self::RS384 => Algorithm::RS384,
            Self::RS512 => Algorithm::RS512,
        }
    }
}

fn problem(error: &jsonwebtoken::errors::Error) -> JwtError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidAudience => JwtError::Audience,
        ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => JwtError::Expired,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => JwtError::Audience,
        ErrorKind::InvalidSignature
        | ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidKeyFormat
        | ErrorKind::InvalidEcdsaKey
        | ErrorKind::InvalidEddsaKey
        | ErrorKind::InvalidRsaKey(_) => JwtError::Signature,
        _ => JwtError::Malformed,
    }
}

/// The texts of a claim.
fn values(claim: &Value) -> Vec<String> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    let (most, longest) = MAX_VALUES;
    let all: Vec<String> = match claim {
        Value::Array(items) => items.iter().take(most).filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    };
    all.into_iter().filter(|text| text.len() <= longest).collect()
}

/// A subject as it may stand in an identity: what is not printable ASCII is percent-encoded, and so is
/// the percent sign, so that no two subjects have one identity.
fn printable(subject: &str) -> String {
    let mut text = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests;
