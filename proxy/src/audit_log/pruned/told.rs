//! What an entry says of deleted segments, and the gate's own word for it.
//!
//! The seal of an entry does not tell who wrote it: the key of one segment may be handed out, and a start takes whole
//! lines that it did not sign yet for its own and signs them. So the gate adds what takes a key that is never handed out:
//! an HMAC over the segments and over all entries up to their end, which says nothing of another range or another log.

use std::ops::RangeInclusive;

use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_audit::{Checkpoint, Hash, Line, SegmentKeys, Value, tree};
use sha2::Sha256;

use super::EVENT;
use crate::audit_log::tree_file::TreeFile;

/// What the key of the word is derived for.
const PURPOSE: &str = "pruned";

/// What an entry says of deleted segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit_log) struct Told {
    pub(in crate::audit_log) segments: RangeInclusive<u64>,
    /// How many entries there were up to the end of the last of them.
    pub(in crate::audit_log) size: u64,
    /// The word; `None` where there stands no such thing.
    word: Option<[u8; 32]>,
}

impl Told {
    /// `None` where it says nothing of the kind.
    pub(in crate::audit_log) fn read(line: &Line<'_>) -> Option<Self> {
        let Some(Value::Text(path)) = line.field("path").filter(|_| line.event_type == EVENT) else { return None };
        let (from, to) = path.split_once(" to ")?;
        let number = |name: &str| name.strip_prefix("audit-")?.strip_suffix(".jsonl")?.parse().ok();
        let size = match line.field("response_bytes") {
            Some(Value::Number(size)) => size,
            _ => 0,
        };
        let word = match line.field("prompt_sha256") {
            Some(Value::Text(hex)) => data_encoding::HEXLOWER.decode(hex.as_bytes()).ok(),
            _ => None,
        };
        Some(Self { segments: number(from)?..=number(to)?, size, word: word.and_then(|word| word.try_into().ok()) })
    }

    /// Whether the gate whose keys these are wrote it, of the log that was signed so: where the tree of its size is the
    /// beginning of the one that was signed, and the word is over that.
    pub(in crate::audit_log) fn is_by_the_gate(
        &self,
        keys: &SegmentKeys,
        file: &TreeFile,
        signed: &Checkpoint,
    ) -> bool {
        let root = root_under(file, self.size, signed);
        let (Some(root), Some(word)) = (root, self.word) else { return false };
        mac(keys, &self.segments, self.size, &root).is_some_and(|mac| mac.verify_slice(&word).is_ok())
    }
}

/// The gate's word that it deletes these segments, of which the last ends with the tree of this size and root, in hex.
/// `None` where there is none, which is never: HMAC takes a key of any length.
pub(in crate::audit_log) fn word(
    keys: &SegmentKeys,
    segments: &RangeInclusive<u64>,
    size: u64,
    root: &Hash,
) -> Option<String> {
    Some(data_encoding::HEXLOWER.encode(&mac(keys, segments, size, root)?.finalize().into_bytes()))
}

/// The root of the log's tree when it had this size. `None` where the tree cannot be read, or that is not the beginning
/// of what was signed: the file is anybody's to change.
pub(in crate::audit_log) fn root_under(file: &TreeFile, size: u64, signed: &Checkpoint) -> Option<Hash> {
    let root = tree::root(file, size).ok()?;
    let proof = tree::consistency(file, size, signed.size).ok()?;
    tree::verify_consistency(size, &root, signed.size, &signed.root, &proof).ok().map(|()| root)
}

/// Over pieces of fixed lengths, so that no two of them read alike: three numbers of 8 bytes, big-endian, and the root.
fn mac(keys: &SegmentKeys, segments: &RangeInclusive<u64>, size: u64, root: &Hash) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.purpose(PURPOSE)).ok()?;
    for number in [*segments.start(), *segments.end(), size] {
        mac.update(&number.to_be_bytes());
    }
    mac.update(root);
    Some(mac)
}
