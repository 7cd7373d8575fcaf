//! The certificate that the gate shows, and how it is read.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{VerifyError, provider};
use crate::files;
use crate::node::NodeKey;

/// Reads a certificate chain and its key, both in PEM.
///
/// # Errors
/// When a file is missing, too open, empty, or the two do not belong together.
pub fn load_certified_key(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, VerifyError> {
    let chain = read_certificates(certificate)?;
    let pem = files::read_private(key)?;
    let private = PrivateKeyDer::from_pem_slice(pem.as_bytes());
    let private = private.map_err(|_| VerifyError::NoKey(key.to_owned()))?;
    let signing = provider().key_provider.load_private_key(private);
    let certified = CertifiedKey::new(chain, signing.map_err(|_| VerifyError::NoKey(key.to_owned()))?);
    certified.keys_match().map_err(|source| VerifyError::Mismatch {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })?;
    Ok(Arc::new(certified))
}

/// The certificate that the gate shows, swappable while connections run: a handshake takes the one
/// that is in force when it begins.
#[derive(Debug)]
pub struct ServerCertResolver {
    shown: ArcSwap<CertifiedKey>,
    /// The node's own key, self-signed, for who asks for nothing but Ed25519: a door, which pins it.
    node: Option<Arc<CertifiedKey>>,
}

impl ServerCertResolver {
    /// Shows this certificate.
    #[must_use]
    pub fn new(certified: Arc<CertifiedKey>) -> Self {
        Self { shown: ArcSwap::new(certified), node: None }
    }

    /// Proves the node's own key to those who ask for nothing but Ed25519. Its fingerprint is the one
    /// that the operator reads out, and stays when the shown certificate is renewed.
    ///
    /// # Errors
    /// When no certificate can be made for the key.
    pub fn with_node(mut self, node: &NodeKey, name: &str) -> Result<Self, VerifyError> {
        let refuse = |why: String| VerifyError::Node(why);
        let (certificate, key) = node.self_signed_server_cert(name).map_err(|e| refuse(e.to_string()))?;
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|e| refuse(e.to_string()))?];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| refuse(e.to_string()))?;
        let signing = provider().key_provider.load_private_key(key).map_err(|e| refuse(e.to_string()))?;
        self.node = Some(Arc::new(CertifiedKey::new(chain, signing)));
        Ok(self)
    }

    /// Shows another from now on.
    pub fn swap(&self, certified: Arc<CertifiedKey>) {
        self.shown.store(certified);
    }

    /// The one that is shown.
    #[must_use]
    pub fn current(&self) -> Arc<CertifiedKey> {
        self.shown.load_full()
    }
}

impl ResolvesServerCert for ServerCertResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(node) = &self.node
            && hello.signature_schemes().iter().all(|scheme| *scheme == SignatureScheme::ED25519)
        {
            return Some(Arc::clone(node));
        }
        Some(self.current())
    }
}

/// The first certificate of a PEM text, in DER.
#[must_use]
pub fn first_certificate(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// The certificates in a PEM file, at least one.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, VerifyError> {
    certificates_in(&crate::authorities::read_bounded(file)?, file)
}

/// The certificates in this text, which was read from that PEM file; at least one.
///
/// # Errors
/// When it holds none.
pub fn certificates_in(text: &[u8], file: &Path) -> Result<Vec<CertificateDer<'static>>, VerifyError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(VerifyError::NoCertificate(file.to_owned())),
    }
}
