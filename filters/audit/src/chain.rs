//! Sealing entries, each with the one before.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::canonical::{push_number, push_timestamp};
use crate::entry::Draft;
use crate::line::Line;
use crate::tree::{Hash, leaf_hash};

/// What stands before a seal in its line.
pub(crate) const SEAL_MARK: &[u8] = b", \"entry_hmac\": \"";

/// What sealing adds to a draft, in bytes: the seal's field, the number's, the time's and the newline.
const SEALING: usize = 82 + 32 + 49 + 1;

/// The key that seals. Cloning shares the prepared state; the key itself is not kept.
#[derive(Clone)]
pub struct SealKey(Hmac<Sha256>);

impl SealKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(Self)
    }

    /// A key of 32 bytes, which always is one.
    pub(crate) fn of(key: &[u8; 32]) -> Self {
        // HMAC fills a shorter key with zeros to the length of a block, RFC 2104 section 2.
        let mut block = zeroize::Zeroizing::new([0u8; 64]);
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        Self(Hmac::new((&*block).into()))
    }

    /// The MAC of these pieces, one after the other.
    pub(crate) fn mac(&self, pieces: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for piece in pieces {
            mac.update(piece);
        }
        mac.finalize().into_bytes().into()
    }

    /// The seal of a line, given in pieces without its own, after this previous one.
    fn seal(&self, previous: &Seal, before: &[u8], after: &[u8]) -> Seal {
        Seal::of(&self.mac(&[&previous.0, before, after]))
    }

    /// Whether a line bears the seal that it must have after this previous one.
    pub(crate) fn holds(&self, previous: &Seal, line: &Line<'_>) -> bool {
        let (before, after) = line.unsealed();
        self.seal(previous, before, after).is(&line.seal)
    }
}

/// A seal: an HMAC-SHA256 as 64 hex digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seal(pub [u8; 64]);

impl Seal {
    /// What stands in for the previous seal before the first entry.
    pub const GENESIS: Self = Self([b'0'; 64]);

    /// A seal from its text: 64 hex digits in lower case, nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 64] = text.as_bytes().try_into().ok()?;
        digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(digits))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether it is this one, in the same time wherever they differ: eight bytes at once.
    fn is(&self, other: &Self) -> bool {
        let (own, others) = (self.0.as_chunks::<8>().0, other.0.as_chunks::<8>().0);
        let differ = |all, (a, b): (&[u8; 8], &[u8; 8])| all | u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b);
        own.iter().zip(others).fold(0, differ).ct_eq(&0).into()
    }

    fn of(mac: &[u8; 32]) -> Self {
        let mut digits = [0; 64];
        data_encoding::HEXLOWER.encode_mut(mac, &mut digits);
        Self(digits)
    }
}

impl std::fmt::Display for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place between two lines: what the next one is tied to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The number of the next line.
    pub next_seq: u64,
    /// The seal of the line before it.
    pub previous: Seal,
}

impl Position {
    /// Before the first line.
    pub const START: Self = Self { next_seq: 0, previous: Seal::GENESIS };

    /// The place after this line, as its own text says it. The line's seal is not checked. A newline at its end may
    /// be there or not.
    #[must_use]
    pub fn after(line: &[u8]) -> Option<Self> {
        Self::of(&Line::read(line.strip_suffix(b"\n").unwrap_or(line))?)
    }

    pub(crate) fn of(line: &Line<'_>) -> Option<Self> {
        Some(Self { next_seq: line.seq_no.checked_add(1)?, previous: line.seal })
    }
}

/// The end of the chain: it seals the next line, and is then behind it.
pub struct Chain {
    key: SealKey,
    position: Position,
}

impl Chain {
    /// A chain that goes on at this place.
    #[must_use]
    pub fn resume(key: SealKey, position: Position) -> Self {
        Self { key, position }
    }

    /// Where it is.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes back to a place where it was, because what it sealed since did not get written.
    pub fn restore(&mut self, position: Position) {
        self.position = position;
    }

    /// Seals with another key from now on: a new segment begins.
    pub fn rekey(&mut self, key: SealKey) {
        self.key = key;
    }

    /// Seals a draft at a moment, in microseconds since 1970: appends the whole line with its newline to `out`, moves
    /// on, and returns the hash of the line as a leaf of the tree.
    pub fn seal(&mut self, draft: &Draft, micros: u64, out: &mut Vec<u8>) -> Hash {
        let [head, middle, tail, last] = draft.pieces();
        let start = out.len();
        out.reserve(draft.size() + SEALING);
        out.extend_from_slice(head);
        let gap = out.len();
        out.extend_from_slice(SEAL_MARK);
        out.extend_from_slice(&Seal::GENESIS.0);
        out.push(b'"');
        let rest = out.len();
        out.extend_from_slice(middle);
        out.extend_from_slice(b", \"seq_no\": ");
        push_number(out, self.position.next_seq);
        out.extend_from_slice(tail);
        out.extend_from_slice(b", \"timestamp\": \"");
        push_timestamp(out, micros);
        out.push(b'"');
        out.extend_from_slice(last);
        let piece = |from, to| out.get(from..to).unwrap_or_default();
        let seal = self.key.seal(&self.position.previous, piece(start, gap), piece(rest, out.len()));
        if let Some(digits) = out.get_mut(gap + SEAL_MARK.len()..).and_then(|from| from.first_chunk_mut::<64>()) {
            *digits = seal.0;
        }
        let leaf = leaf_hash(out.get(start..).unwrap_or_default());
        out.push(b'\n');
        self.position = Position { next_seq: self.position.next_seq.saturating_add(1), previous: seal };
        leaf
    }
}

#[cfg(test)]
mod tests;
