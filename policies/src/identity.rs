//! Who a caller is, in policy, audit and headers.

use std::fmt;
use std::sync::Arc;

/// The identity of a caller, in its one canonical spelling:
///
/// | form | of |
/// | --- | --- |
/// | `peer:<base58>` | an Ed25519 key, by certificate or signature: the same node either way |
/// | `spiffe://…` | an X.509-SVID |
/// | `cert:<hex SHA-256>` | the public-key info of any other certificate key |
/// | `key:<name>` | an API key |
/// | `jwt:<issuer>#<subject>` | a token of an identity provider |
/// | `ollama:<fingerprint>` | the device key of a stock Ollama command line |
///
/// Names that an operator gives are labels beside it, never the identity. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Arc<str>);

/// A text that is not an identity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an identity, expected `peer:`, `cert:`, `spiffe://`, `key:`, `jwt:` or `ollama:` and a value")]
pub struct InvalidIdentity(String);

/// The longest identity that is taken, in bytes.
pub const MAX_IDENTITY_BYTES: usize = 512;

impl Identity {
    /// Reads an identity in its canonical spelling.
    ///
    /// # Errors
    /// When the scheme is unknown, the value is empty, longer than [`MAX_IDENTITY_BYTES`], or holds
    /// anything but printable ASCII without spaces.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentity> {
        let refuse = || InvalidIdentity(text.chars().filter(|c| !c.is_control()).take(80).collect());
        if text.len() > MAX_IDENTITY_BYTES || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(refuse());
        }
        let value = ["peer:", "cert:", "spiffe://", "key:", "jwt:", "ollama:"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme))
            .ok_or_else(refuse)?;
        if value.is_empty() {
            return Err(refuse());
        }
        Ok(Self(text.into()))
    }

    /// The node with this base58 Ed25519 public key.
    #[must_use]
    pub fn peer(base58: &str) -> Self {
        Self(format!("peer:{base58}").into())
    }

    /// The holder of the certificate key whose public-key info has this SHA-256, in hex.
    #[must_use]
    pub fn cert(spki_sha256_hex: &str) -> Self {
        Self(format!("cert:{spki_sha256_hex}").into())
    }

    /// The workload with this SPIFFE ID.
    ///
    /// # Errors
    /// When the text is not a `spiffe://` identity.
    pub fn spiffe(id: &str) -> Result<Self, InvalidIdentity> {
        if !id.starts_with("spiffe://") {
            return Err(InvalidIdentity(id.chars().filter(|c| !c.is_control()).take(80).collect()));
        }
        Self::parse(id)
    }

    /// The identity as it is written everywhere.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a node: an Ed25519 key.
    #[must_use]
    pub fn is_node(&self) -> bool {
        self.0.starts_with("peer:")
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What proved an identity; `as_str` is the audit entry's `identity_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityMethod {
    /// A bearer API key.
    ApiKey,
    /// A token of an identity provider.
    Jwt,
    /// A client certificate on the connection.
    Mtls,
    /// The stock Ollama command line's device signature.
    OllamaKey,
    /// A signed request.
    Signature,
}

impl IdentityMethod {
    /// Every method.
    pub const ALL: [Self; 5] = [Self::ApiKey, Self::Jwt, Self::Mtls, Self::OllamaKey, Self::Signature];

    /// The word for it in config and audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Jwt => "jwt",
            Self::Mtls => "mtls",
            Self::OllamaKey => "ollama_key",
            Self::Signature => "signature",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for text in ["peer:abc", "cert:00ff", "spiffe://td/x", "key:ci", "jwt:https://i#s", "ollama:SHA256:x"] {
            assert_eq!(Identity::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_identity() {
        for text in ["", "peer:", "root", "peer:a b", "peer:a\n", "PEER:abc", "spiffe:/x"] {
            assert!(Identity::parse(text).is_err(), "{text:?}");
        }
        assert!(Identity::parse(&format!("key:{}", "a".repeat(MAX_IDENTITY_BYTES))).is_err());
    }
}
