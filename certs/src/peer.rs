//! Who the peer of a TLS connection is, read from its certificate.

use std::net::IpAddr;

use portcullis_policies::{CertificateProblem, Identity};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::fingerprint;
use crate::node::NodeIdentity as _;

mod described;
mod key;
mod usage;

pub use described::Described;
pub(crate) use key::{KeyKind, MIN_RSA_BITS};
pub(crate) use usage::Usage;

/// The largest certificate that is looked at, in bytes.
pub const MAX_CERTIFICATE: usize = 16 * 1024;

/// The most host names, and the most URIs, that are kept of one certificate.
const MAX_NAMES: usize = 64;
/// The longest URI that is shown, in characters.
const MAX_URI: usize = 512;

/// What a peer's certificate says.
#[derive(Clone, Debug)]
pub struct PeerCert {
    /// The identity: a node for an Ed25519 key, the SPIFFE ID where an authority vouches for one, the
    /// key's digest for any other.
    pub identity: Identity,
    /// What a person compares: 16 bytes in hex pairs, of the key's SHA-256 for a node, of
    /// [`spki_sha256`](Self::spki_sha256) for any other key.
    pub fingerprint: String,
    /// The SHA-256 of the public-key info in DER (RFC 5280, section 4.1.2.7).
    pub spki_sha256: [u8; 32],
    /// The SPIFFE ID, where an authority vouches for one; then it is the identity too.
    pub spiffe: Option<String>,
    /// The name it claims, safe to show. Proves nothing by itself.
    pub common_name: Option<String>,
    /// When it begins, in Unix seconds.
    pub not_before: i64,
    /// When it ends, in Unix seconds.
    pub not_after: i64,
    /// The host names in it, safe to show.
    pub dns_names: Vec<String>,
    /// The URIs in it, safe to show.
    pub uris: Vec<String>,
    /// Its serial number: the bytes of the integer, without leading zeros.
    pub serial: Box<[u8]>,
    /// The SHA-256 of its issuer's name in DER.
    pub issuer_sha256: [u8; 32],
    /// The SHA-256 of its own name in DER.
    pub subject_sha256: [u8; 32],
    /// What kind of key it has, for people.
    pub key: String,
    /// What it says it may be used for.
    pub(crate) usage: Usage,
}

/// Why a certificate has no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It is no certificate.
    #[error("this is not an X.509 certificate of at most {MAX_CERTIFICATE} bytes")]
    NotACertificate,
    /// Its key is none that can be used.
    #[error("the certificate's Ed25519 key is not a valid one, expected 32 bytes in canonical form (RFC 8410)")]
    BadKey,
    /// Its key can be broken.
    #[error(
        "the certificate's RSA key is shorter than {MIN_RSA_BITS} bits; expected a longer one, or P-256 or Ed25519"
    )]
    WeakKey,
}

impl PeerCert {
    /// Reads a certificate. `ca_validated` says whether an authority that the operator trusts vouches
    /// for it: only then does a SPIFFE ID in it count.
    ///
    /// # Errors
    /// When it is not a certificate, or its key is not a key.
    pub fn parse(der: &[u8], ca_validated: bool) -> Result<Self, PeerError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(PeerError::NotACertificate);
        }
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| PeerError::NotACertificate)?;
        if !rest.is_empty() {
            return Err(PeerError::NotACertificate);
        }
        let key = certificate.public_key();
        let spki_sha256: [u8; 32] = Sha256::digest(key.raw).into();
        let kind = KeyKind::of(key)?;
        let (mut identity, fingerprint) = match &kind {
            KeyKind::Ed25519(node) => (node.identity(), node.fingerprint()),
            _ => (Identity::cert(&data_encoding::HEXLOWER.encode(&spki_sha256)), fingerprint::of(&spki_sha256)),
        };
        let names = alternative_names(&certificate);
        let mut spiffe = None;
        if ca_validated
            && let [uri] = names.uris.as_slice()
            && is_spiffe_id(uri)
            && let Ok(id) = Identity::spiffe(uri)
        {
            spiffe = Some((*uri).to_owned());
            identity = id;
        }
        let common_name = certificate.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok());
        let common_name = common_name.map(printable).filter(|name| !name.is_empty());
        Ok(Self {
            identity,
            fingerprint,
            spki_sha256,
            spiffe,
            common_name,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            dns_names: names.dns,
            uris: names.uris.iter().take(MAX_NAMES).map(|uri| printable_uri(uri)).collect(),
            serial: significant(certificate.raw_serial()),
            subject_sha256: Sha256::digest(certificate.subject().as_raw()).into(),
            issuer_sha256: Sha256::digest(certificate.issuer().as_raw()).into(),
            key: kind.text(),
            usage: Usage::of(&certificate),
        })
    }

    /// What is wrong with it by itself at this Unix second, whoever issued it: its time, its encoding,
    /// what it is for, and what it demands to be understood.
    #[must_use]
    pub fn problem_at(&self, unix_seconds: i64) -> Option<CertificateProblem> {
        match self.validity_at(unix_seconds) {
            Validity::Expired => Some(CertificateProblem::Expired),
            Validity::NotYet => Some(CertificateProblem::NotYetValid),
            Validity::Holds => self.usage.problem(),
        }
    }

    /// Whether it is within its time at this Unix second, or on which side of it.
    #[must_use]
    pub fn validity_at(&self, unix_seconds: i64) -> Validity {
        if unix_seconds > self.not_after {
            Validity::Expired
        } else if unix_seconds < self.not_before {
            Validity::NotYet
        } else {
            Validity::Holds
        }
    }
}

/// What is needed of an authority's certificate beside its name and key.
#[derive(Clone, Copy)]
pub(crate) struct AuthorityCert {
    pub(crate) is_ca: bool,
    /// Whether its key may sign certificates: its key usage says so, or says nothing.
    pub(crate) may_issue: bool,
    /// How many authorities may stand below it, where it says so.
    pub(crate) path_length: Option<u32>,
    /// In Unix seconds.
    pub(crate) not_before: i64,
    /// In Unix seconds.
    pub(crate) not_after: i64,
}

impl AuthorityCert {
    /// Reads a certificate of a bundle or a chain.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, PeerError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| PeerError::NotACertificate)?;
        let usage = certificate.key_usage().map_err(|_| PeerError::NotACertificate)?;
        let basic = certificate.basic_constraints().map_err(|_| PeerError::NotACertificate)?;
        Ok(Self {
            is_ca: certificate.is_ca(),
            may_issue: usage.is_none_or(|usage| usage.value.key_cert_sign()),
            path_length: basic.and_then(|basic| basic.value.path_len_constraint),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }
}

/// The public-key info of a certificate in DER.
pub(crate) fn public_key_info(der: &[u8]) -> Result<Vec<u8>, PeerError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| PeerError::NotACertificate)?;
    Ok(certificate.public_key().raw.to_vec())
}

/// Where a moment lies against a certificate's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// After its end.
    Expired,
    /// Within it.
    Holds,
    /// Before its beginning.
    NotYet,
}

#[derive(Default)]
struct Names<'c> {
    dns: Vec<String>,
    /// All of them: that there is exactly one is what makes it an identity.
    uris: Vec<&'c str>,
}

fn alternative_names<'c>(certificate: &'c X509Certificate<'_>) -> Names<'c> {
    let mut names = Names::default();
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return names;
    };
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(dns) if names.dns.len() < MAX_NAMES => names.dns.push(printable(dns)),
            GeneralName::URI(uri) => names.uris.push(uri),
            _ => {}
        }
    }
    names
}

/// Whether this is the SPIFFE ID of a workload in its one spelling (SPIFFE-ID, section 2): a trust
/// domain in lower case, and a path without empty segments, dots, or anything to decode.
pub(crate) fn is_spiffe_id(uri: &str) -> bool {
    let Some((domain, path)) = uri.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let common = |b: u8| b.is_ascii_digit() || b"-_.".contains(&b);
    (1..=255).contains(&domain.len())
        && domain.bytes().all(|b| b.is_ascii_lowercase() || common(b))
        && path.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..") && segment.bytes().all(|b| b.is_ascii_alphabetic() || common(b))
        })
}

/// A serial number as revocation lists and people compare it: without the zero that DER puts before a
/// high bit.
pub(crate) fn significant(serial: &[u8]) -> Box<[u8]> {
    let zeros = serial.iter().take_while(|b| **b == 0).count();
    serial.get(zeros..).unwrap_or_default().into()
}

/// A URI from outside, safe to show. What cannot be shown becomes a `?`, and one that is too long ends
/// with one: neither may turn into another URI that is valid.
pub(crate) fn printable_uri(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_URI).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
    if text.len() > MAX_URI {
        shown.push('?');
    }
    shown
}

/// The address in a name of a certificate.
pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// A name from outside, safe to show: printable ASCII, at most 64 characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(64).collect()
}

#[cfg(test)]
mod tests;
