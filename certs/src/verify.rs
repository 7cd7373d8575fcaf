//! What is checked during the TLS handshake, and the certificate that the gate shows.
//!
//! In every mode the peer proves that it holds its key. Who may do what is decided later, for each
//! request, so that a caller who is not approved gets a readable answer and not a broken handshake.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};

use crate::files::FileError;
use crate::peer::{MAX_CERTIFICATE, PeerCert, Validity};

mod door;
mod server;
mod shown;

pub use door::door_config;
pub use server::{PinMismatch, first_contact, first_contact_node, pinned_node, pinned_server};
pub use shown::{ServerCertResolver, load_certified_key};

/// The longest chain that a peer may send, the leaf included.
pub const MAX_CHAIN: usize = 4;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A key file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no fingerprint.
    #[error(
        "`{0}` is not a fingerprint, expected 16 bytes in hex such as `56:47:5a:…`; the gate's operator can read it out"
    )]
    Fingerprint(String),
    /// The certificate and the key are not a pair, or not usable.
    #[error(
        "the certificate `{certificate}` and the key `{key}` cannot be used together: {source}; expected \
         the key that the first certificate was issued for"
    )]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why.
        source: Error,
    },
    /// A file holds no certificate.
    #[error("`{0}` holds no certificate, expected one or more whole `BEGIN CERTIFICATE` blocks in PEM")]
    NoCertificate(PathBuf),
    /// A file holds no key.
    #[error("`{0}` holds no private key that can be used, expected a `BEGIN PRIVATE KEY` block in PEM, not encrypted")]
    NoKey(PathBuf),
    /// No certificate can be made for the node's own key.
    #[error("no certificate can be made for the node's own key: {0}")]
    Node(String),
    /// A certificate of an authority cannot be used.
    #[error("the authorities cannot be used: {0}; expected files with certificates of authorities in PEM")]
    Roots(String),
}

/// Takes any client certificate whose key the peer holds, self-signed or not, as long as it is within
/// its time; a client without one is let through to be refused readably. For trust on first use.
#[must_use]
pub fn tofu() -> Arc<dyn ClientCertVerifier> {
    any_key(false)
}

/// As [`tofu`]: that the key is one of the pinned ones is asked of the trust store, for each request.
#[must_use]
pub fn pinned() -> Arc<dyn ClientCertVerifier> {
    any_key(false)
}

/// As [`tofu`], and where a certificate is `mandatory` a client without one fails the handshake.
#[must_use]
pub fn any_key(mandatory: bool) -> Arc<dyn ClientCertVerifier> {
    Arc::new(AnyKey { mandatory, algorithms: provider().signature_verification_algorithms })
}

/// Takes client certificates that one of the authorities in these PEM files signed, with a chain of at
/// most [`MAX_CHAIN`]; a client without one is let through to be refused readably.
///
/// # Errors
/// When a file cannot be read or holds no certificate that can be an authority's.
pub fn ca(files: &[PathBuf]) -> Result<Arc<dyn ClientCertVerifier>, VerifyError> {
    let mut roots = RootCertStore::empty();
    for file in files {
        for certificate in shown::certificates(file)? {
            let refuse = |e| VerifyError::Roots(format!("`{}`: {e}", file.display()));
            roots.add(certificate).map_err(refuse)?;
        }
    }
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()))
        .allow_unauthenticated()
        .build()
        .map_err(|e| VerifyError::Roots(e.to_string()))?;
    Ok(Arc::new(Bounded(inner)))
}

/// The one crypto provider of the program.
fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// Reads the peer's certificate, within bounds and within its time.
///
/// The key that is read is the one that the handshake's signature is checked with: two parsers look
/// at the certificate, and must agree.
fn inspect(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], now: UnixTime) -> Result<PeerCert, Error> {
    bounded(leaf, rest)?;
    let peer = PeerCert::parse(leaf, false).map_err(|_| CertificateError::BadEncoding)?;
    let proven = ParsedCertificate::try_from(leaf)?.subject_public_key_info();
    if <[u8; 32]>::from(Sha256::digest(&*proven)) != peer.spki_sha256 {
        return Err(CertificateError::BadEncoding.into());
    }
    match peer.validity_at(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)) {
        Validity::Expired => Err(CertificateError::Expired.into()),
        Validity::NotYet => Err(CertificateError::NotValidYet.into()),
        Validity::Holds => Ok(peer),
    }
}

fn bounded(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<(), Error> {
    if rest.len() < MAX_CHAIN && std::iter::once(leaf).chain(rest).all(|c| c.len() <= MAX_CERTIFICATE) {
        return Ok(());
    }
    Err(CertificateError::Other(OtherError(Arc::new(TooLarge))).into())
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the certificate chain is too large, expected at most {MAX_CHAIN} certificates of {MAX_CERTIFICATE} bytes each"
)]
struct TooLarge;

#[derive(Debug)]
struct AnyKey {
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyKey {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        inspect(leaf, rest, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A verifier that looks at no chain above the bounds, and at no leaf without an identity.
#[derive(Debug)]
struct Bounded(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Bounded {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        inspect(leaf, rest, now)?;
        self.0.verify_client_cert(leaf, rest, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
