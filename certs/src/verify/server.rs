//! What a client checks of a gate: that it holds the key that was pinned, as ssh does.
//!
//! A door pins the gate's *node key*, the one whose fingerprint `portcullis id` shows. It offers nothing
//! but Ed25519 in the handshake, to which a gate answers with that key and no other server can answer
//! with a certificate of the usual kind.

use std::sync::Arc;

use portcullis_policies::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{VerifyError, inspect, provider};
use crate::fingerprint;
use crate::peer::printable;

/// Takes the one server whose certificate's key has this fingerprint, whatever name and authority the
/// certificate has, as long as it is within its time. Colons and case do not matter.
///
/// # Errors
/// When it is no fingerprint.
pub fn pinned_server(fingerprint: &str) -> Result<Arc<dyn ServerCertVerifier>, VerifyError> {
    let expected =
        fingerprint::normalise(fingerprint).ok_or_else(|| VerifyError::Fingerprint(printable(fingerprint)))?;
    Ok(pin(Some(expected), false))
}

/// As [`pinned_server`], for a gate that proves its node key, over TLS 1.3 alone.
///
/// # Errors
/// When it is no fingerprint.
pub fn pinned_node(fingerprint: &str) -> Result<Arc<dyn ServerCertVerifier>, VerifyError> {
    let expected =
        fingerprint::normalise(fingerprint).ok_or_else(|| VerifyError::Fingerprint(printable(fingerprint)))?;
    Ok(pin(Some(expected), true))
}

/// Takes no server at all: the handshake fails with a [`PinMismatch`] that says which fingerprint to
/// show to a person. That the server holds the key is proven by the next, pinned, connection.
#[must_use]
pub fn first_contact() -> Arc<dyn ServerCertVerifier> {
    pin(None, false)
}

/// As [`first_contact`], for a gate that shows its node key, over TLS 1.3 alone.
#[must_use]
pub fn first_contact_node() -> Arc<dyn ServerCertVerifier> {
    pin(None, true)
}

/// Why a server was not taken: its key is not the pinned one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinMismatch {
    /// The pinned fingerprint; `None` at the first contact.
    pub expected: Option<String>,
    /// The fingerprint of the server's key.
    pub presented: String,
    /// Who the server says it is: a node for an Ed25519 key, the key's digest for any other.
    pub identity: Identity,
}

impl PinMismatch {
    /// The mismatch that a failed handshake ended with, if that is what it failed by.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => why.downcast_ref(),
            _ => None,
        }
    }
}

impl std::fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let presented = &self.presented;
        match &self.expected {
            None => write!(
                f,
                "the server shows the key `{presented}`, and none is pinned yet; compare it with its operator's"
            ),
            Some(expected) => write!(
                f,
                "the server shows the key `{presented}`, expected the pinned `{expected}`; somebody may be in \
                 between: ask its operator before pinning another"
            ),
        }
    }
}

impl std::error::Error for PinMismatch {}

fn pin(expected: Option<String>, node: bool) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Pin { expected, node, algorithms: provider().signature_verification_algorithms })
}

#[derive(Debug)]
struct Pin {
    expected: Option<String>,
    /// Whether only a node key will do.
    node: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let peer = inspect(leaf, rest, now)?;
        if self.node && !peer.identity.is_node() {
            return Err(CertificateError::BadEncoding.into());
        }
        let (presented, identity) = (peer.fingerprint, peer.identity);
        if self.expected.as_ref() == Some(&presented) {
            return Ok(ServerCertVerified::assertion());
        }
        let mismatch = PinMismatch { expected: self.expected.clone(), presented, identity };
        Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.node {
            return Err(Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig));
        }
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
        if self.node {
            return vec![SignatureScheme::ED25519];
        }
        self.algorithms.supported_schemes()
    }
}
