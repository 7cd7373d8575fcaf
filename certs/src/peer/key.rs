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

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::FromDer as _;

    /// A value in DER: its tag, its length, and what it holds.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let mut all = vec![tag];
        match content.len() {
            short @ 0..=127 => all.push(u8::try_from(short).unwrap()),
            _ => all.extend([&[0x82][..], &length].concat()),
        }
        all.extend_from_slice(content);
        all
    }

    fn ed25519(key: &[u8; 32]) -> Vec<u8> {
        let algorithm = der(0x30, &der(0x06, &[0x2b, 0x65, 0x70]));
        der(0x30, &[algorithm, der(0x03, &[&[0][..], key].concat())].concat())
    }

    fn rsa(bits: usize) -> Vec<u8> {
        let oid = der(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]);
        let algorithm = der(0x30, &[oid, vec![0x05, 0x00]].concat());
        // An odd number with its highest bit set, positive.
        let modulus = [&[0x00, 0x80][..], &vec![0x00; bits / 8 - 2], &[0x01]].concat();
        let key = der(0x30, &[der(0x02, &modulus), der(0x02, &[1, 0, 1])].concat());
        der(0x30, &[algorithm, der(0x03, &[&[0][..], &key].concat())].concat())
    }

    fn judge(info: &[u8]) -> Result<String, PeerError> {
        let (_, info) = SubjectPublicKeyInfo::from_der(info).unwrap();
        KeyKind::of(&info).map(|kind| kind.text())
    }

    #[test]
    fn keys_that_prove_nothing_are_refused() {
        assert_eq!(judge(&rsa(2048)).unwrap(), "RSA 2048");
        for bits in [512, 1024, 2040] {
            assert!(matches!(judge(&rsa(bits)), Err(PeerError::WeakKey)), "RSA {bits}");
        }
        let good = crate::node::NodeKey::from_seed(&[7; 32]).public();
        assert_eq!(judge(&ed25519(good.as_bytes())).unwrap(), "Ed25519");
        // The neutral element, the points of order 2 and 4, and a text that is no point at all.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut two = [0xff; 32];
        (two[0], two[31]) = (0xec, 0x7f);
        for key in [neutral, two, [0; 32], [0xff; 32]] {
            assert!(matches!(judge(&ed25519(&key)), Err(PeerError::BadKey)), "{key:?}");
        }
    }
}
