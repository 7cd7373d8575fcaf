//! Who the peer of a TLS connection is, read from its certificate.

use portcullis_policies::Identity;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::fingerprint;
use crate::node::NodePublic;

/// The largest certificate that is looked at, in bytes.
pub const MAX_CERTIFICATE: usize = 16 * 1024;

/// The most host names that are kept of one certificate.
const MAX_DNS_NAMES: usize = 64;

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
}

/// Why a certificate has no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It is no certificate.
    #[error("this is not an X.509 certificate of at most {MAX_CERTIFICATE} bytes")]
    NotACertificate,
    /// Its key is none that can be used.
    #[error(
        "the certificate's Ed25519 key is not a valid one, expected 32 bytes in canonical form (RFC 8410)"
    )]
    BadKey,
}

/// The OID of an Ed25519 key (RFC 8410).
const ED25519: &str = "1.3.101.112";

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
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| PeerError::NotACertificate)?;
        if !rest.is_empty() {
            return Err(PeerError::NotACertificate);
        }
        let key = certificate.public_key();
        let spki_sha256: [u8; 32] = Sha256::digest(key.raw).into();
        let (mut identity, fingerprint) = if key.algorithm.algorithm.to_id_string() == ED25519 {
            let bits = &key.subject_public_key;
            let bytes: &[u8; 32] = bits
                .data
                .as_ref()
                .try_into()
                .map_err(|_| PeerError::BadKey)?;
            if bits.unused_bits != 0 {
                return Err(PeerError::BadKey);
            }
            let node = NodePublic::from_bytes(bytes).map_err(|_| PeerError::BadKey)?;
            (node.identity(), node.fingerprint())
        } else {
            (
                Identity::cert(&data_encoding::HEXLOWER.encode(&spki_sha256)),
                fingerprint::of(&spki_sha256),
            )
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
        let common_name = certificate
            .subject()
            .iter_common_name()
            .next()
            .and_then(|cn| cn.as_str().ok());
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
        })
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
            GeneralName::DNSName(dns) if names.dns.len() < MAX_DNS_NAMES => {
                names.dns.push(printable(dns))
            }
            GeneralName::URI(uri) => names.uris.push(uri),
            _ => {}
        }
    }
    names
}

/// Whether this is the SPIFFE ID of a workload in its one spelling (SPIFFE-ID, section 2): a trust
/// domain in lower case, and a path without empty segments, dots, or anything to decode.
pub(crate) fn is_spiffe_id(uri: &str) -> bool {
    let Some((domain, path)) = uri
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let common = |b: u8| b.is_ascii_digit() || b"-_.".contains(&b);
    (1..=255).contains(&domain.len())
        && domain.bytes().all(|b| b.is_ascii_lowercase() || common(b))
        && path.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphabetic() || common(b))
        })
}

/// A name from outside, safe to show: printable ASCII, at most 64 characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::{Ca, San};
    use crate::node::NodeKey;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    use std::time::Duration;

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    #[test]
    fn an_ed25519_certificate_is_its_node() {
        let node = NodeKey::generate().unwrap();
        let (pem, _) = node.self_signed_cert("alice").unwrap();
        let peer = PeerCert::parse(&der(&pem), false).unwrap();
        assert_eq!(peer.identity, node.public().identity());
        assert_eq!(peer.fingerprint, node.public().fingerprint());
        assert_eq!(peer.common_name.as_deref(), Some("alice"));
        let now = jiff::Timestamp::now().as_second();
        assert_eq!(peer.validity_at(now), Validity::Holds);
        assert_eq!(peer.validity_at(peer.not_after + 1), Validity::Expired);
        assert_eq!(peer.validity_at(peer.not_before - 1), Validity::NotYet);
    }

    #[test]
    fn a_spiffe_id_counts_only_when_an_authority_vouches() {
        let ca = Ca::create("test").unwrap();
        let uri = |text: &str| San::Uri(text.to_owned());
        let issue = |names: &[San]| {
            der(&ca
                .issue_client("w", names, Duration::from_secs(60))
                .unwrap()
                .chain)
        };
        let one = issue(&[uri("spiffe://td/w"), San::Dns("w.lan".to_owned())]);
        let vouched = PeerCert::parse(&one, true).unwrap();
        assert_eq!(vouched.identity.as_str(), "spiffe://td/w");
        assert_eq!(vouched.spiffe.as_deref(), Some("spiffe://td/w"));
        assert_eq!(vouched.dns_names, ["w.lan"]);
        let alone = PeerCert::parse(&one, false).unwrap();
        let hex = data_encoding::HEXLOWER.encode(&alone.spki_sha256);
        assert_eq!(alone.identity.as_str(), format!("cert:{hex}"));
        assert_eq!(alone.fingerprint.replace(':', ""), hex[..32]);
        assert_eq!(alone.spiffe, None);
        let mut many = vec![uri("spiffe://td/w")];
        many.extend((0..100).map(|i| San::Dns(format!("h{i}.lan"))));
        many.push(uri("spiffe://td/admin"));
        for names in [&many[..], &[uri("https://td/w")]] {
            assert!(
                PeerCert::parse(&issue(names), true)
                    .unwrap()
                    .identity
                    .as_str()
                    .starts_with("cert:")
            );
        }
    }

    #[test]
    fn spiffe_ids_have_one_spelling() {
        for id in ["spiffe://td/w", "spiffe://a.b-c_1/ns/x/sa/Y.z"] {
            assert!(is_spiffe_id(id), "{id}");
        }
        for id in [
            "spiffe://td",
            "spiffe://td/",
            "spiffe:///w",
            "spiffe://TD/w",
            "spiffe://td/w/",
            "spiffe://td//w",
            "spiffe://td/../w",
            "spiffe://td/./w",
            "spiffe://td/%77",
            "spiffe://td/w?x",
            "spiffe://td/w#x",
            "spiffe://u@td/w",
            "spiffe://td:1/w",
            "SPIFFE://td/w",
            "https://td/w",
        ] {
            assert!(!is_spiffe_id(id), "{id}");
        }
    }

    #[test]
    fn garbage_has_no_identity() {
        for der in [
            &b""[..],
            b"x",
            &[0x30, 0x03, 1, 2, 3],
            &vec![0x30; MAX_CERTIFICATE + 1],
        ] {
            assert_eq!(
                PeerCert::parse(der, true).unwrap_err(),
                PeerError::NotACertificate
            );
        }
        let (pem, _) = NodeKey::generate()
            .unwrap()
            .self_signed_cert("alice")
            .unwrap();
        let good = der(&pem);
        let trailing = [&good[..], b"x"].concat();
        assert_eq!(
            PeerCert::parse(&trailing, false).unwrap_err(),
            PeerError::NotACertificate
        );
        for end in 0..good.len() {
            assert!(
                PeerCert::parse(&good[..end], false).is_err(),
                "cut at {end}"
            );
        }
        for at in 0..good.len() {
            let mut bent = good.to_vec();
            bent[at] ^= 0xff;
            let _ = PeerCert::parse(&bent, true);
        }
    }
}
