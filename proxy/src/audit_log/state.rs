//! Where the log stood at its newest checkpoint: what lets a start read the end alone.
//!
//! It is a shortcut, not a witness. It is sealed, so that nobody without the key can point elsewhere; what it says is
//! held against the line that stands there and the tree; and without it, the whole log is read.

use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_audit::{Hash, Position, Seal, SegmentKeys};
use portcullis_certs::files;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A place in the log that was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The segment, and how far into it.
    pub(super) segment: u64,
    pub(super) offset: u64,
    /// The next entry's number, which is the tree's size, and the seal before it.
    pub(super) position: Position,
    /// The tree's root.
    pub(super) root: Hash,
}

#[derive(Serialize, Deserialize)]
struct Written {
    segment: u64,
    offset: u64,
    entries: u64,
    seal: String,
    root: String,
    #[serde(default)]
    mac: String,
}

impl State {
    /// Where it lies.
    pub(super) fn path(dir: &Path) -> std::path::PathBuf {
        dir.join("state.json")
    }

    /// Reads it. `None` where there is none, or it is not one that this key sealed.
    pub(super) fn load(dir: &Path, keys: &SegmentKeys) -> Option<Self> {
        let text = files::read_private(&Self::path(dir)).ok()?;
        let mut written: Written = serde_json::from_str(&text).ok()?;
        let mac = data_encoding::HEXLOWER.decode(std::mem::take(&mut written.mac).as_bytes()).ok()?;
        seal(&written, keys)?.verify_slice(&mac).ok()?;
        Some(Self {
            segment: written.segment,
            offset: written.offset,
            position: Position { next_seq: written.entries, previous: Seal::parse(&written.seal)? },
            root: data_encoding::HEXLOWER.decode(written.root.as_bytes()).ok()?.try_into().ok()?,
        })
    }

    /// Writes it, whole or not at all, and durable.
    pub(super) fn save(&self, dir: &Path, keys: &SegmentKeys) -> std::io::Result<()> {
        let mut written = Written {
            segment: self.segment,
            offset: self.offset,
            entries: self.position.next_seq,
            seal: self.position.previous.as_str().to_owned(),
            root: data_encoding::HEXLOWER.encode(&self.root),
            mac: String::new(),
        };
        let mac = seal(&written, keys).ok_or_else(|| std::io::Error::other("it cannot be sealed"))?;
        written.mac = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        let text = serde_json::to_vec(&written)?;
        files::write_private(&Self::path(dir), &text).map_err(std::io::Error::other)
    }
}

/// What seals it: all that it says, without its seal.
fn seal(written: &Written, keys: &SegmentKeys) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.purpose("state")).ok()?;
    mac.update(&serde_json::to_vec(written).ok()?);
    Some(mac)
}
