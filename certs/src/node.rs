//! A node: an Ed25519 key, and the three names that follow from it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use portcullis_policies::Identity;
use portcullis_signatures::{KeyError, SecretKey};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use zeroize::Zeroizing;

use crate::ca::{self, CaError};
use crate::files::{self, FileError};

pub use portcullis_signatures::NodePublic;

/// A node's private key. Never shown; zeroed when dropped.
pub struct NodeKey(SecretKey);

/// Why a key cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A certificate for it cannot be made.
    #[error(transparent)]
    Certificate(#[from] CaError),
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not a key.
    #[error(
        "`{0}` holds no Ed25519 key, expected a `BEGIN PRIVATE KEY` block in PKCS#8; restore the file \
         from a backup, or move it away and run `portcullis init` for a new identity"
    )]
    NotAKey(String),
    /// It is not a node id or a public key, or the system has no random bytes for a new one.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl NodeKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, NodeError> {
        Ok(Self(SecretKey::generate()?))
    }

    /// The key of this seed (RFC 8032, section 5.1.5).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SecretKey::from_seed(seed))
    }

    /// Reads a key from PEM: PKCS#8 version 1, or version 2 with a public key that belongs to it.
    ///
    /// # Errors
    /// When it is no such key; `what` says in the error where it stood.
    pub fn from_pem(pem: &str, what: &str) -> Result<Self, NodeError> {
        SecretKey::from_pem(pem).map(Self).map_err(|_| NodeError::NotAKey(what.to_owned()))
    }

    /// Reads a key from a private PEM file.
    ///
    /// # Errors
    /// When the file cannot be read, can be read by others, or holds no key.
    pub fn load(path: &Path) -> Result<Self, NodeError> {
        Self::from_pem(&files::read_private(path)?, &path.display().to_string())
    }

    /// Writes the key to a new private file; never over another.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn save_new(&self, path: &Path) -> Result<(), NodeError> {
        Ok(files::write_new_private(path, self.to_pem()?.as_bytes())?)
    }

    /// The key as PKCS#8 **version 1** (RFC 5208, without the public key of RFC 5958): the form that
    /// OpenSSL 3.0, and with it curl and Python, can read.
    ///
    /// # Errors
    /// Never in practice; the encoder's own.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, NodeError> {
        Ok(self.0.to_pem()?)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> NodePublic {
        self.0.public()
    }

    /// Signs a message (RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message)
    }

    /// The signing half, for what signs messages (`portcullis-signatures`).
    #[must_use]
    pub fn secret(&self) -> &SecretKey {
        &self.0
    }

    /// A self-signed client certificate for this key, valid a year, and the key itself, both in PEM.
    /// It proves the key and nothing else: the name is a suggestion.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn self_signed_cert(&self, name: &str) -> Result<(String, Zeroizing<String>), NodeError> {
        self.self_signed(name, ca::YEAR, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A self-signed server certificate for this key, valid as long as an authority, and the key, both
    /// in PEM: whoever pins the key looks at nothing else.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn self_signed_server_cert(&self, name: &str) -> Result<(String, Zeroizing<String>), NodeError> {
        self.self_signed(name, ca::CA_LIFETIME, ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn self_signed(
        &self,
        name: &str,
        lifetime: Duration,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<(String, Zeroizing<String>), NodeError> {
        let key = self.to_pem()?;
        let pair = Zeroizing::new(KeyPair::from_pem(&key).map_err(CaError::from)?);
        let mut params: CertificateParams = ca::params(name, lifetime)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let certificate = params.self_signed(&*pair).map_err(CaError::from)?;
        Ok((certificate.pem(), key))
    }
}

/// The caller that a node is.
pub trait NodeIdentity {
    /// The node id as a caller's identity.
    #[must_use]
    fn identity(&self) -> Identity;
}

impl NodeIdentity for NodePublic {
    fn identity(&self) -> Identity {
        Identity::peer(self.node_id().trim_start_matches("peer:"))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.public().node_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::{BASE64, HEXLOWER};

    fn pem(der: &str) -> String {
        let text = BASE64.encode(&HEXLOWER.decode(der.as_bytes()).unwrap());
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|l| str::from_utf8(l).unwrap()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }

    #[test]
    fn openssl_reads_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        let node = NodeKey::generate().unwrap();
        node.save_new(&path).unwrap();
        assert_eq!(NodeKey::load(&path).unwrap().public(), node.public());
        assert!(node.save_new(&path).is_err(), "a key is never overwritten");
        match std::process::Command::new("openssl").args(["pkey", "-noout", "-in"]).arg(&path).output() {
            Ok(out) => assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr)),
            Err(_) => eprintln!("skipped: openssl not found"),
        }
    }

    /// RFC 8410, section 10.3: one key in both versions of PKCS#8.
    #[test]
    fn reads_both_versions_and_writes_the_first() {
        let seed = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842";
        let v1 = format!("302e020100300506032b657004220420{seed}");
        let public = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        let v2 = format!("3051020101300506032b657004220420{seed}812100{public}");
        for der in [&v1, &v2] {
            let node = NodeKey::from_pem(&pem(der), "the test").unwrap();
            assert_eq!(node.public().to_hex(), public);
            assert_eq!(*node.to_pem().unwrap(), pem(&v1));
        }
        let other = v2.replace("19bf44", "19bf45");
        let error = NodeKey::from_pem(&pem(&other), "node.key").unwrap_err().to_string();
        assert!(error.contains("`node.key`") && !error.contains(seed), "{error}");
    }

    #[test]
    fn shows_no_secret() {
        let node = NodeKey::from_seed(&[7; 32]);
        assert_eq!(node.public().identity().as_str(), node.public().node_id());
        let shown = format!("{node:?}");
        assert!(shown.contains("peer:") && !shown.contains("PRIVATE") && !shown.contains("7, 7"), "{shown}");
        assert!(node.self_signed_cert("").is_err(), "a certificate needs a name");
    }
}
