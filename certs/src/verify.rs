//! What is checked during the TLS handshake, and the certificate that the gate shows.
//!
//! In every mode the peer proves that it holds its key, and that is all: who vouches for it, and who may
//! do what, is decided later, so that a caller who is not let in gets a readable answer and not a broken
//! handshake.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, InvalidMessage, OtherError, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use sha2::{Digest as _, Sha256};
use webpki::RawPublicKeyEntity;

use crate::files::FileError;
use crate::peer::{MAX_CERTIFICATE, PeerCert, PeerError, Validity, public_key_info};

mod door;
mod server;
mod shown;

pub use crate::authorities::{read_bounded, read_bounded_by_hand};
pub use door::door_config;
pub use server::{PinMismatch, first_contact, first_contact_node, pinned_node, pinned_server};
pub use shown::{ServerCertResolver, certificates_in, first_certificate, load_certified_key, read_certificates};

/// The longest chain that a peer may send, the leaf included: as far as a path is walked.
pub const MAX_CHAIN: usize = 6;

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
    /// A revocation list cannot be used.
    #[error("a revocation list cannot be used: {0}")]
    Crl(String),
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

/// Takes any client certificate within bounds whose key the peer holds; a client without one is let
/// through, to be refused readably. What else is wrong with it is [`Authorities`](crate::Authorities)'
/// to say, after the handshake.
#[must_use]
pub fn possession() -> Arc<dyn ClientCertVerifier> {
    Arc::new(Possession { algorithms: provider().signature_verification_algorithms })
}

/// Whether a handshake failed because of the client's certificate: one that is too large, cannot be
/// read, has a key that cannot be used, or whose key the client does not hold. Takes the text of the
/// error, which is all that the layer between hands on.
#[must_use]
pub fn blames_certificate(why: &str) -> bool {
    let bad = Error::InvalidCertificate(CertificateError::BadEncoding).to_string();
    let kind = bad.split(':').next().unwrap_or_default();
    // Nothing else that a client sends in a handshake is ever that large.
    let too_large = [InvalidMessage::CertificatePayloadTooLarge, InvalidMessage::HandshakePayloadTooLarge];
    why.contains(kind) || too_large.into_iter().any(|what| why.contains(&Error::InvalidMessage(what).to_string()))
}

/// The one crypto provider of the program.
pub(crate) fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// Reads the peer's certificate, within bounds and within its time.
///
/// The key that is read is the one that the handshake's signature is checked with: two parsers look
/// at the certificate, and must agree.
fn inspect(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], now: UnixTime) -> Result<PeerCert, Error> {
    let peer = read(leaf, rest)?;
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

/// Reads a leaf whose chain is within bounds.
fn read(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<PeerCert, Error> {
    bounded(leaf, rest)?;
    PeerCert::parse(leaf, false).map_err(|why| match why {
        PeerError::NotACertificate => CertificateError::BadEncoding.into(),
        PeerError::BadKey | PeerError::WeakKey => CertificateError::Other(OtherError(Arc::new(why))).into(),
    })
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
struct Possession {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Possession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        read(leaf, rest).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = key_of(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let fitting = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signature.scheme);
        // In TLS 1.2 a scheme does not say the curve: the one that fits the key is taken.
        for algorithm in fitting.flat_map(|(_, algorithms)| *algorithms) {
            match key.verify_signature(*algorithm, message, signature.signature()) {
                Ok(()) => return Ok(HandshakeSignatureValid::assertion()),
                Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
                Err(_) => break,
            }
        }
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &key_of(certificate)?, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The key that the identity is read from is the one that the signature is checked with.
fn key_of(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let key = public_key_info(certificate).map_err(|_| CertificateError::BadEncoding)?;
    Ok(SubjectPublicKeyInfoDer::from(key))
}

#[cfg(test)]
mod tests;
