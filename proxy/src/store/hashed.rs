//! A nonce as it is remembered: 128 bits by a key that nobody outside knows.

use portcullis_filters::store::Claim;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The bytes of a key.
pub(super) const KEY: usize = 32;

/// What nonces are hashed with. Nobody who does not know it can choose nonces that collide, or that all
/// fall into one place of a table.
pub(super) struct HashKey(Zeroizing<[u8; KEY]>);

/// One nonce of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hashed {
    /// The node and the nonce.
    pub(super) nonce: u128,
    /// The node alone, to count what it holds.
    pub(super) node: u64,
}

impl HashKey {
    pub(super) fn generate() -> std::io::Result<Self> {
        let mut key = Zeroizing::new([0; KEY]);
        getrandom::fill(&mut *key).map_err(std::io::Error::other)?;
        Ok(Self(key))
    }

    pub(super) fn from_bytes(bytes: [u8; KEY]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    pub(super) fn hash(&self, claim: &Claim<'_>) -> Hashed {
        // The node's digest has one length, so that no nonce can run over into the name before it.
        let node = Sha256::new().chain_update(*self.0).chain_update(claim.node).finalize();
        let both = Sha256::new().chain_update(*self.0).chain_update(node).chain_update(claim.nonce).finalize();
        Hashed { nonce: u128::from_le_bytes(first(&both)), node: u64::from_le_bytes(first(&node)) }
    }
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn claim<'c>(node: &'c str, nonce: &'c [u8]) -> Claim<'c> {
        Claim { node, nonce, created_ms: 0, now_ms: 0, window: Duration::ZERO }
    }

    #[test]
    fn tells_nodes_nonces_and_keys_apart() {
        let key = HashKey::from_bytes([1; KEY]);
        let one = key.hash(&claim("peer:a", b"nonce"));
        assert_eq!(one, key.hash(&claim("peer:a", b"nonce")));
        let other = key.hash(&claim("peer:a", b"nonces"));
        assert!(other.nonce != one.nonce && other.node == one.node);
        let other = key.hash(&claim("peer:b", b"nonce"));
        assert!(other.nonce != one.nonce && other.node != one.node);
        let (left, right) = (key.hash(&claim("peer:ab", b"c")), key.hash(&claim("peer:a", b"bc")));
        assert_ne!(left.nonce, right.nonce);
        assert_ne!(HashKey::generate().unwrap().hash(&claim("peer:a", b"nonce")), one);
    }
}
