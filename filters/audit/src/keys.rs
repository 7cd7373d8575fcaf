//! The keys of the segments: who gets one of them can check, and forge, that segment alone.

use zeroize::Zeroizing;

use crate::chain::SealKey;

/// The shortest key that a log is begun with, in bytes: as long as what is derived from it.
const MIN_KEY: usize = 32;
/// What every name of a derived key begins with.
const CONTEXT: &[u8] = b"portcullis audit ";

/// The keys of all segments. Segment 0 has a key of its own, in the form that LLMesh's verifier takes. That of each one
/// after it comes from the master key by HKDF-SHA256 (RFC 5869), without salt, with `portcullis audit segment <n>` as
/// its info.
pub struct SegmentKeys {
    first: Zeroizing<Vec<u8>>,
    /// Segment 0's key, prepared.
    zero: SealKey,
    /// The pseudorandom key that HKDF expands, prepared; the master key itself is not kept.
    expand: SealKey,
}

impl SegmentKeys {
    /// From the key of segment 0 and the master key. `None` when one of them is shorter than 32 bytes.
    #[must_use]
    pub fn new(first: &[u8], master: &[u8]) -> Option<Self> {
        if first.len() < MIN_KEY || master.len() < MIN_KEY {
            return None;
        }
        // HKDF-Extract. No salt means zeros, RFC 5869 section 2.2.
        let extracted = Zeroizing::new(SealKey::of(&[0; 32]).mac(&[master]));
        Some(Self {
            first: Zeroizing::new(first.to_vec()),
            zero: SealKey::new(first)?,
            expand: SealKey::of(&extracted),
        })
    }

    /// The key that seals the lines of a segment.
    #[must_use]
    pub fn seal_key(&self, segment: u64) -> SealKey {
        if segment == 0 { self.zero.clone() } else { SealKey::of(&self.segment(segment)) }
    }

    /// The key of a segment in hex, to be given to somebody who is to check this segment.
    #[must_use]
    pub fn hex(&self, segment: u64) -> Zeroizing<String> {
        Zeroizing::new(if segment == 0 {
            data_encoding::HEXLOWER.encode(&self.first)
        } else {
            data_encoding::HEXLOWER.encode(&*self.segment(segment))
        })
    }

    /// Another key from the master key, with `portcullis audit <label>` as its info. A label that reads like a
    /// segment's gets `purpose ` before it, so that it never yields a segment's key.
    #[must_use]
    pub fn purpose(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let apart: &[u8] = if label.starts_with("segment") { b"purpose " } else { b"" };
        self.derived(&[apart, label.as_bytes()])
    }

    fn segment(&self, segment: u64) -> Zeroizing<[u8; 32]> {
        self.derived(&[b"segment ", segment.to_string().as_bytes()])
    }

    /// HKDF-Expand for 32 bytes: as long as one hash, so its first block is all of it.
    fn derived(&self, name: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let info = name.concat();
        Zeroizing::new(self.expand.mac(&[CONTEXT, &info, &[1]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn the_derivation_is_that_of_rfc_5869() {
        // Appendix A.3: neither salt nor info.
        let extracted = SealKey::of(&[0; 32]).mac(&[&[0x0b; 22]]);
        assert_eq!(HEXLOWER.encode(&extracted), "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04");
        assert_eq!(
            HEXLOWER.encode(&SealKey::of(&extracted).mac(&[&[1]])),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
        );
    }

    #[test]
    fn every_segment_and_purpose_has_its_own_key() {
        let keys = SegmentKeys::new(&[1; 32], &[2; 32]).unwrap();
        assert_eq!(*keys.hex(0), HEXLOWER.encode(&[1; 32]));
        let purpose = |label| HEXLOWER.encode(&*keys.purpose(label));
        let mut all: Vec<String> = (0..5).map(|n| keys.hex(n).to_string()).collect();
        all.extend(["segment 1", "segment 2", "segment", "state", "export"].map(purpose));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10);
        for n in 0..3 {
            let bytes = HEXLOWER.decode(keys.hex(n).as_bytes()).unwrap();
            assert_eq!(keys.seal_key(n).mac(&[b"x"]), SealKey::new(&bytes).unwrap().mac(&[b"x"]));
        }
        assert!(SegmentKeys::new(&[1; 31], &[2; 32]).is_none());
        assert!(SegmentKeys::new(&[1; 32], &[2; 31]).is_none());
    }
}
