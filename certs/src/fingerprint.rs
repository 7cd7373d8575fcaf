//! What people compare: the first 16 bytes of a key's SHA-256, in hex pairs.

use data_encoding::HEXLOWER;
use portcullis_policies::Identity;

use crate::node::NodePublic;

pub use portcullis_signatures::FINGERPRINT_BYTES;
pub(crate) use portcullis_signatures::fingerprint as of;

/// A fingerprint in its one spelling, `56:47:5a:…`, from what a person wrote: colons and case do not
/// matter. `None` when it is not 32 hex digits.
#[must_use]
pub fn normalise(text: &str) -> Option<String> {
    let digits: String = text.trim().chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
    let bytes = HEXLOWER.decode(digits.as_bytes()).ok()?;
    (bytes.len() == FINGERPRINT_BYTES).then(|| of(&bytes))
}

/// The fingerprint that an identity implies: that of the key for a node, the beginning of the digest
/// for any other certificate key, `None` for an identity that names no key.
#[must_use]
pub fn implied(identity: &Identity) -> Option<String> {
    if let Some(hex) = identity.as_str().strip_prefix("cert:") {
        return HEXLOWER.decode(hex.as_bytes()).ok().filter(|d| d.len() == 32).map(|d| of(&d));
    }
    NodePublic::from_node_id(identity.as_str()).ok().map(|node| node.fingerprint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_person_writes() {
        let plain = "56475AA75463474C0285DF5DBF2BCAB7";
        let print = "56:47:5a:a7:54:63:47:4c:02:85:df:5d:bf:2b:ca:b7";
        assert_eq!(normalise(plain).as_deref(), Some(print));
        assert_eq!(normalise(&format!(" {print}\n")).as_deref(), Some(print));
        for text in ["", "56:47", "475AA75463474C0285DF5DBF2BCAB7", &format!("{plain}00"), "SHA256:abc"] {
            assert_eq!(normalise(text), None, "{text:?}");
        }
    }

    #[test]
    fn follows_from_the_identity() {
        let node = Identity::parse("peer:FAe4sisG95oZ42w7buUn5qEE4TAnfTTFPiguZUHmhiF").unwrap();
        assert_eq!(implied(&node).as_deref(), Some("56:47:5a:a7:54:63:47:4c:02:85:df:5d:bf:2b:ca:b7"));
        assert_eq!(implied(&Identity::cert(&"0a".repeat(32))).unwrap(), ["0a"; 16].join(":"));
        assert_eq!(implied(&Identity::cert("0a")), None);
        assert_eq!(implied(&Identity::parse("spiffe://td/w").unwrap()), None);
    }
}
