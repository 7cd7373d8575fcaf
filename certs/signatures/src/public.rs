//! The public half of a node: what everybody may know, and what everybody can check.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::key::KeyError;

/// The prefix of a node id.
const NODE_ID: &str = "peer:";
/// The prefix of a DID: multibase `z` (base58) of the key with its multicodec.
const DID: &str = "did:llmesh:1:z";
/// The multicodec of an Ed25519 public key.
const MULTICODEC: [u8; 2] = [0xed, 0x01];
/// The bytes of a digest that a fingerprint shows: 128 bits, out of reach for whoever looks for a
/// second key with the same one.
pub const FINGERPRINT_BYTES: usize = 16;
/// The longest base58 of 32 bytes, in characters.
const MAX_BASE58: usize = 44;

/// A node's public key (RFC 8032), in its canonical encoding and not of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodePublic(VerifyingKey);

impl NodePublic {
    pub(crate) fn of(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// The key of these 32 bytes.
    ///
    /// # Errors
    /// When they are no point on the curve, one of small order, or a second spelling of one.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() && is_canonical(bytes) => Ok(Self(key)),
            _ => Err(KeyError::NotAPublicKey),
        }
    }

    /// The key that a node id names.
    ///
    /// # Errors
    /// When it is not a node id in its one spelling.
    pub fn from_node_id(id: &str) -> Result<Self, KeyError> {
        let text = id.strip_prefix(NODE_ID).filter(|t| t.len() <= MAX_BASE58);
        let mut bytes = [0; 32];
        // Base58 has one spelling for every string of bytes, so 32 bytes have one node id.
        match text.map(|t| bs58::decode(t).onto(&mut bytes)) {
            Some(Ok(32)) => Self::from_bytes(&bytes),
            _ => Err(KeyError::NotANodeId),
        }
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The 32 bytes in lower-case hex.
    #[must_use]
    pub fn to_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(self.as_bytes())
    }

    /// `peer:` and the base58 of the key.
    #[must_use]
    pub fn node_id(&self) -> String {
        format!("{NODE_ID}{}", bs58::encode(self.as_bytes()).into_string())
    }

    /// `did:llmesh:1:z` and the base58 of the key with its multicodec.
    #[must_use]
    pub fn did(&self) -> String {
        let mut bytes = MULTICODEC.to_vec();
        bytes.extend_from_slice(self.as_bytes());
        format!("{DID}{}", bs58::encode(bytes).into_string())
    }

    /// What a person compares: the first 16 bytes of the key's SHA-256, in pairs.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&Sha256::digest(self.as_bytes()))
    }

    /// Checks a signature strictly: canonical encodings only, no keys of small order.
    ///
    /// # Errors
    /// When it does not hold.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| KeyError::Signature)
    }
}

/// What a person compares of a key's SHA-256: its first 16 bytes as lower-case hex pairs joined by colons.
#[must_use]
pub fn fingerprint(digest: &[u8]) -> String {
    let pairs: Vec<_> = digest.iter().take(FINGERPRINT_BYTES).map(|b| format!("{b:02x}")).collect();
    pairs.join(":")
}

/// Whether the y of an encoded point is below the field's prime, 2^255 - 19 (RFC 8032, 5.1.3): one
/// point must not have two node ids.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    !(high & 0x7f == 0x7f && middle.iter().all(|b| *b == 0xff) && *low >= 0xed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    /// Made by running LLMesh 0.1.1: seed, public key, node id, DID, fingerprint.
    const VECTORS: [[&str; 5]; 2] = [
        [
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
            "peer:FAe4sisG95oZ42w7buUn5qEE4TAnfTTFPiguZUHmhiF",
            "did:llmesh:1:z6MkehRgf7yJbgaGfYsdoAsKdBPE3dj2CYhowQdcjqSJgvVd",
            "56:47:5a:a7:54:63:47:4c:02:85:df:5d:bf:2b:ca:b7",
        ],
        [
            "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
            "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7",
            "peer:3ogUn1GNXoASaRbxPNeVJnVv5rG4EPBtmQmX61jVorUe",
            "did:llmesh:1:z6MkhFwXNFWosLeugvSf4wcL9t3uuRXueGSFTRgSvHhWj5G2",
            "24:f6:ed:6a:cb:fe:10:09:c0:30:d7:ca:56:7c:33:ca",
        ],
    ];

    #[test]
    fn names_agree_with_llmesh() {
        for [seed, public, id, did, print] in VECTORS {
            let seed = data_encoding::HEXLOWER.decode(seed.as_bytes()).unwrap();
            let node = SecretKey::from_seed(&seed.try_into().unwrap()).public();
            assert_eq!(node.to_hex(), public);
            assert_eq!(node.node_id(), id);
            assert_eq!(node.did(), did);
            assert_eq!(node.fingerprint(), print);
            assert_eq!(NodePublic::from_node_id(id).unwrap(), node);
        }
    }

    #[test]
    fn refuses_what_is_no_node_id() {
        for id in [
            "",
            "peer:",
            "peer:0OIl",
            "FAe4sisG95oZ42w7buUn5qEE4TAnfTTFPiguZUHmhiF",
            "peer:1FAe4sisG95oZ42w7buUn5qEE4TAnfTTFPiguZUHmhiF",
            "PEER:FAe4sisG95oZ42w7buUn5qEE4TAnfTTFPiguZUHmhiF",
        ] {
            assert!(NodePublic::from_node_id(id).is_err(), "{id:?}");
        }
        assert!(NodePublic::from_bytes(&[0; 32]).is_err(), "a key of small order");
        let mut second = [0xff; 32];
        (second[0], second[31]) = (0xed + 3, 0x7f);
        assert!(!is_canonical(&second), "3 is a point's y, and so would be p + 3");
        assert!(NodePublic::from_bytes(&second).is_err());
        second[0] = 0xec;
        assert!(is_canonical(&second));
    }

    #[test]
    fn verifies_strictly() {
        let node = SecretKey::generate().unwrap();
        let mut signature = node.sign(b"message");
        node.public().verify(b"message", &signature).unwrap();
        assert!(node.public().verify(b"Message", &signature).is_err());
        signature[63] |= 0x80;
        assert!(node.public().verify(b"message", &signature).is_err(), "S out of range");
        assert!(node.public().verify(b"message", &[0; 64]).is_err());
    }
}
