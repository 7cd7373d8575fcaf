//! What kind of key a certificate has.

use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::PeerError;
use crate::node::NodePublic;

/// The least RSA key that is taken, in bits.
pub(crate) const MIN_RSA_BITS: usize = 2048;
/// The OID of an Ed25519 key (RFC 8410).
const ED25519: &str = "1.3.101.112";

/// A key that can be used.
pub(crate) enum KeyKind {
    Ed25519(Box<NodePublic>),
    /// Its size in bits.
    Elliptic(usize),
    /// Of a kind that the handshake does not take either.
    Other,
    /// Its size in bits.
    Rsa(usize),
}

impl KeyKind {
    /// Reads a public-key info.
    pub(crate) fn of(key: &SubjectPublicKeyInfo<'_>) -> Result<Self, PeerError> {
        if key.algorithm.algorithm.to_id_string() == ED25519 {
            let bits = &key.subject_public_key;
            let bytes: &[u8; 32] = bits.data.as_ref().try_into().map_err(|_| PeerError::BadKey)?;
            if bits.unused_bits != 0 {
                return Err(PeerError::BadKey);
            }
            let node = NodePublic::from_bytes(bytes).map_err(|_| PeerError::BadKey)?;
            return Ok(Self::Ed25519(Box::new(node)));
        }
        match key.parsed() {
            Ok(PublicKey::RSA(rsa)) if rsa.key_size() < MIN_RSA_BITS => Err(PeerError::WeakKey),
            Ok(PublicKey::RSA(rsa)) => Ok(Self::Rsa(rsa.key_size())),
            // Its coordinates are whole bytes, its order is not.
            Ok(PublicKey::EC(point)) => {
                Ok(Self::Elliptic(if point.key_size() == 528 { 521 } else { point.key_size() }))
            }
            _ => Ok(Self::Other),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Ed25519(_) => "Ed25519".to_owned(),
            Self::Elliptic(bits) => format!("EC P-{bits}"),
            Self::Other => "of an unknown kind".to_owned(),
            Self::Rsa(bits) => format!("RSA {bits}"),
        }
    }
}
