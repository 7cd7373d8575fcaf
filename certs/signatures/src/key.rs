//! A node's private key, and why a key cannot be made, read or used.

use std::fmt;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use crate::public::NodePublic;

/// An Ed25519 private key. Never shown; zeroed when dropped.
pub struct SecretKey {
    key: SigningKey,
    /// The node id of the public half: writing it takes a seventh of the time of a signature.
    node_id: String,
}

/// Why a key cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not a private key.
    #[error("this is no Ed25519 key, expected a `BEGIN PRIVATE KEY` block in PKCS#8")]
    NotAKey,
    /// It is not a node id.
    #[error(
        "this is not a node id, expected `peer:` and the base58 of a 32-byte Ed25519 public key; \
         `portcullis id` shows a node's own"
    )]
    NotANodeId,
    /// It is not a public key.
    #[error("this is not an Ed25519 public key that can be used, expected the 32 bytes that `portcullis id` shows")]
    NotAPublicKey,
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
}

impl SecretKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(&mut *seed)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of this seed (RFC 8032, section 5.1.5).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self::of(SigningKey::from_bytes(seed))
    }

    /// Reads a key from PEM: PKCS#8 version 1, or version 2 with a public key that belongs to it.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_pem(pem).map(Self::of).map_err(|_| KeyError::NotAKey)
    }

    /// The key as PKCS#8 **version 1** (RFC 5208, without the public key of RFC 5958): the form that
    /// OpenSSL 3.0, and with it curl and Python, can read.
    ///
    /// # Errors
    /// Never in practice; the encoder's own.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let bytes = KeypairBytes { secret_key: self.key.to_bytes(), public_key: None };
        bytes.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::NotAKey)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> NodePublic {
        NodePublic::of(self.key.verifying_key())
    }

    /// Signs a message (RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// The key itself, for what signs in a form of its own: notes, countersignatures.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.key
    }

    /// The node id of the public half.
    #[must_use]
    pub fn node_id(&self) -> &str {
        &self.node_id
    }

    fn of(key: SigningKey) -> Self {
        let node_id = NodePublic::of(key.verifying_key()).node_id();
        Self { key, node_id }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.node_id)
    }
}
