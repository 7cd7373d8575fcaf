//! Checking a chain, line by line.

use subtle::ConstantTimeEq as _;

use super::chain::{GENESIS, SealKey};

/// Checks lines in order. Takes each exactly as it was written: a line that says the same in other
/// bytes is refused like one that says something else.
pub struct Verifier {
    key: SealKey,
    previous: String,
    next_seq: u64,
    summary: Summary,
}

/// What was seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// How many entries held.
    pub entries: u64,
    /// The time of the first.
    pub first: String,
    /// The time of the last.
    pub last: String,
    /// The newest seal.
    pub head: String,
}

/// Why a line does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// Not an entry at all.
    #[error("it is not an entry in canonical form")]
    Form,
    /// Its number is not the next.
    #[error("its number is {found}, expected {expected}: a line was removed, moved or added")]
    Sequence {
        /// The number in the line.
        found: u64,
        /// The number that had to come.
        expected: u64,
    },
    /// Its seal does not hold.
    #[error("its seal does not hold: this line or the one before was changed, or the key is another")]
    Seal,
    /// The file ends in the middle of it.
    #[error("it is torn: the file ends in the middle of the line")]
    Torn,
}

impl Verifier {
    /// A verifier that begins at the first entry.
    #[must_use]
    pub fn new(key: SealKey) -> Self {
        Self { key, previous: GENESIS.to_owned(), next_seq: 0, summary: Summary::default() }
    }

    /// Checks one line, given with its newline.
    ///
    /// # Errors
    /// Why it does not hold.
    pub fn line(&mut self, line: &[u8]) -> Result<(), BadLine> {
        let line = line.strip_suffix(b"\n").ok_or(BadLine::Torn)?;
        let parsed = Parsed::read(line).ok_or(BadLine::Form)?;
        if parsed.seq_no != self.next_seq {
            return Err(BadLine::Sequence { found: parsed.seq_no, expected: self.next_seq });
        }
        let seal = self.key.seal(&self.previous, &parsed.unsealed);
        if !bool::from(seal.as_bytes().ct_eq(parsed.hmac.as_bytes())) {
            return Err(BadLine::Seal);
        }
        if self.summary.entries == 0 {
            self.summary.first.clone_from(&parsed.timestamp);
        }
        self.summary.entries += 1;
        self.summary.last = parsed.timestamp;
        self.summary.head.clone_from(&seal);
        self.previous = seal;
        self.next_seq += 1;
        Ok(())
    }

    /// What held so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}

/// Reads the seal and the number of a line, and checks the seal against the one before it when that
/// is given. For picking a chain up at its end without reading it all.
#[must_use]
pub fn read_tail(key: &SealKey, previous: Option<&str>, line: &[u8]) -> Option<(String, u64)> {
    let parsed = Parsed::read(line.strip_suffix(b"\n")?)?;
    if let Some(previous) = previous {
        let seal = key.seal(previous, &parsed.unsealed);
        if !bool::from(seal.as_bytes().ct_eq(parsed.hmac.as_bytes())) {
            return None;
        }
    }
    Some((parsed.hmac, parsed.seq_no))
}

/// A line, taken apart: its seal, and itself without the seal, byte by byte as it stands.
struct Parsed {
    hmac: String,
    seq_no: u64,
    timestamp: String,
    unsealed: Vec<u8>,
}

impl Parsed {
    fn read(line: &[u8]) -> Option<Self> {
        const MARK: &[u8] = b", \"entry_hmac\": \"";
        let value: serde_json::Value = serde_json::from_slice(line).ok()?;
        let object = value.as_object()?;
        let Names(names) = serde_json::from_slice(line).ok()?;
        // The seal covers everything but its own text, so where that stands must be fixed: in order.
        if !names.is_sorted_by(|a, b| a < b) {
            return None;
        }
        let hmac = object.get("entry_hmac")?.as_str()?;
        if hmac.len() != 64 || !hmac.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return None;
        }
        // The seal covers the line without the seal's own text; taking out exactly those bytes leaves
        // every other byte covered, so no second spelling of the same entry can pass.
        let at = memchr::memmem::find(line, MARK)?;
        let mut unsealed = line.get(..at)?.to_vec();
        let rest = line.get(at + MARK.len()..)?;
        let rest = rest.strip_prefix(hmac.as_bytes())?.strip_prefix(b"\"")?;
        unsealed.extend_from_slice(rest);
        Some(Self {
            hmac: hmac.to_owned(),
            seq_no: object.get("seq_no")?.as_u64()?,
            timestamp: object.get("timestamp")?.as_str()?.to_owned(),
            unsealed,
        })
    }
}

/// The names in an object, in the order in which they stand in the text.
struct Names(Vec<String>);

impl<'de> serde::Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> serde::de::Visitor<'de> for InOrder {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, serde::de::IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        from.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chain, Entry};
    use super::*;
    use proptest::prelude::*;

    fn key() -> SealKey {
        SealKey::new(&[7; 32]).unwrap()
    }

    fn log(entries: u64) -> Vec<Vec<u8>> {
        let mut chain = Chain::resume(key(), GENESIS, 0);
        (0..entries)
            .map(|i| {
                let path = format!("/api/ch\u{e4}t/{i}");
                let entry = Entry {
                    event_type: "request",
                    path: &path,
                    policy_decision: "ALLOW",
                    request_bytes: i,
                    ..Entry::default()
                };
                let sealed = chain.seal(&entry, 1_700_000_000_000_000 + i);
                let line = chain.line().to_vec();
                chain.commit(sealed);
                line
            })
            .collect()
    }

    fn check(lines: &[Vec<u8>]) -> Result<u64, BadLine> {
        let mut verifier = Verifier::new(key());
        for line in lines {
            verifier.line(line)?;
        }
        Ok(verifier.summary().entries)
    }

    #[test]
    fn accepts_what_was_written_and_nothing_else() {
        let lines = log(5);
        assert_eq!(check(&lines), Ok(5));
        let mut removed = lines.clone();
        removed.remove(2);
        assert!(matches!(check(&removed), Err(BadLine::Sequence { found: 3, expected: 2 })));
        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        assert!(check(&swapped).is_err());
        let mut doubled = lines.clone();
        doubled.insert(3, lines[2].clone());
        assert!(check(&doubled).is_err());
        let mut torn = lines;
        torn[4].pop();
        assert_eq!(check(&torn), Err(BadLine::Torn));
        assert!(Verifier::new(SealKey::new(&[8; 32]).unwrap()).line(&log(1)[0]).is_err());
    }

    #[test]
    fn an_entry_that_was_not_written_leaves_no_gap() {
        let mut chain = Chain::resume(key(), GENESIS, 0);
        let entry = Entry::default();
        drop(chain.seal(&entry, 1));
        let sealed = chain.seal(&entry, 2);
        let line = chain.line().to_vec();
        chain.commit(sealed);
        assert_eq!(check(&[line]), Ok(1));
    }

    #[test]
    fn a_seal_elsewhere_in_its_line_is_refused() {
        // The bytes that the seal covers are the same, wherever its own text stands.
        let line = String::from_utf8(log(1).remove(0)).unwrap();
        let at = line.find(", \"entry_hmac\"").unwrap();
        let seal = &line[at..at + 82];
        let without = line.replacen(seal, "", 1);
        for (comma, _) in without.match_indices(", \"") {
            let mut moved = without.clone();
            moved.insert_str(comma, seal);
            assert_eq!(check(&[moved.clone().into_bytes()]).is_ok(), moved == line, "{moved}");
        }
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(at in 0usize..10_000, flip in 1u8..=255) {
            let mut lines = log(3);
            let total: usize = lines.iter().map(Vec::len).sum();
            let mut at = at % total;
            for line in &mut lines {
                if at < line.len() {
                    line[at] ^= flip;
                    break;
                }
                at -= line.len();
            }
            // A changed newline may split or join lines: check the bytes as a file would be read.
            let bytes = lines.concat();
            let read: Vec<Vec<u8>> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
            prop_assert!(check(&read).is_err());
        }
    }
}
