//! Sealing entries, each with the one before.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use portcullis_audit::Entry;

use super::canonical;

/// What stands in for the previous seal before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The key that seals. Cloning shares the prepared state; the key itself is not kept.
#[derive(Clone)]
pub struct SealKey(Hmac<Sha256>);

impl SealKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(Self)
    }

    /// The seal of a line without its own, after this previous seal, in hex.
    pub(super) fn seal(&self, previous: &str, line: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(previous.as_bytes());
        mac.update(line);
        data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
    }
}

/// The end of the chain: the seal that the next entry is tied to, and its number.
pub struct Chain {
    key: SealKey,
    previous: String,
    next_seq: u64,
    buffer: Vec<u8>,
}

/// A sealed line that is not written yet. The chain moves on by [`Chain::commit`] only.
#[derive(Debug)]
pub struct Sealed {
    hmac: String,
}

impl Chain {
    /// A chain that goes on after this seal, with this number.
    #[must_use]
    pub fn resume(key: SealKey, previous: &str, next_seq: u64) -> Self {
        Self { key, previous: previous.to_owned(), next_seq, buffer: Vec::with_capacity(1024) }
    }

    /// Seals an entry at a moment, in microseconds since 1970. The line, newline included, is then in
    /// [`line`](Self::line).
    pub fn seal(&mut self, entry: &Entry<'_>, micros: u64) -> Sealed {
        self.buffer.clear();
        let gap = canonical::write(&mut self.buffer, entry, self.next_seq, &canonical::timestamp(micros));
        let hmac = self.key.seal(&self.previous, &self.buffer);
        self.buffer.splice(gap.0..gap.0, canonical::seal_text(&hmac).bytes());
        self.buffer.push(b'\n');
        Sealed { hmac }
    }

    /// The line that was sealed last.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        &self.buffer
    }

    /// The line is written: the next one will be tied to it.
    pub fn commit(&mut self, sealed: Sealed) {
        self.previous = sealed.hmac;
        self.next_seq += 1;
    }

    /// The number that the next entry gets.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The newest seal.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.previous
    }
}
