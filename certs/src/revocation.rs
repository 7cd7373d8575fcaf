//! Certificates that were taken back before their end.
//!
//! `<state>/revoked.json` lists serial numbers of the node's own authority. A running gate looks them
//! up for every request, so that what is open ends, too.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::ledger::{self, Ledger, LedgerError};

/// The most entries.
const MAX_ENTRIES: usize = 100_000;
/// The longest serial number (RFC 5280, section 4.1.2.2), in bytes.
const MAX_SERIAL: usize = 20;

/// What was revoked.
pub struct Revocations {
    ledger: Ledger<Document>,
    index: ArcSwap<Index>,
}

/// Serial numbers by the SHA-256 of their issuer's name.
#[derive(Default)]
struct Index(HashMap<[u8; 32], HashSet<Box<[u8]>>>);

/// One certificate that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// In lower-case hex, without leading zeros.
    pub serial: String,
    /// The SHA-256 of its issuer's name in DER, in lower-case hex.
    pub issuer: String,
    /// Unix seconds.
    pub revoked_at: i64,
    /// Whose it was, where that is known.
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    revoked: Vec<Revoked>,
}

/// Why a revocation cannot be noted.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// It is there.
    #[error("the certificate with serial {0} was revoked before")]
    Already(String),
    /// There are too many.
    #[error("{MAX_ENTRIES} certificates are revoked; make a new authority instead")]
    Full,
    /// The list cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It is no serial number.
    #[error(
        "`{0}` is no serial number, expected 1 to {MAX_SERIAL} bytes in hex, as `portcullis cert show` prints it, or a certificate file"
    )]
    Serial(String),
}

impl Revocations {
    /// Opens the list of this state directory; one that does not exist yet is empty.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(state: &Path) -> Result<Self, LedgerError> {
        let ledger = Ledger::open(&state.join("revoked.json"))?;
        let index = ArcSwap::from_pointee(Index::of(&ledger.get()));
        Ok(Self { ledger, index })
    }

    /// Whether this certificate was taken back. No lock, no I/O, no allocation.
    #[must_use]
    pub fn contains(&self, issuer_sha256: &[u8; 32], serial: &[u8]) -> bool {
        self.index.load().0.get(issuer_sha256).is_some_and(|serials| serials.contains(serial))
    }

    /// Takes one back. `serial` is in hex.
    ///
    /// # Errors
    /// When it is no serial number, was taken back before, or the list cannot be written.
    pub fn add(
        &self,
        serial: &str,
        issuer_sha256: &[u8; 32],
        name: Option<&str>,
        now: i64,
    ) -> Result<Revoked, RevocationError> {
        let bytes = read_serial(serial).ok_or_else(|| RevocationError::Serial(crate::peer::printable(serial)))?;
        let revoked = Revoked {
            serial: HEXLOWER.encode(&bytes),
            issuer: HEXLOWER.encode(issuer_sha256),
            revoked_at: now,
            name: name.map(crate::peer::printable),
        };
        let added = self.ledger.change(|document| {
            if document.revoked.iter().any(|one| one.serial == revoked.serial && one.issuer == revoked.issuer) {
                return Err(RevocationError::Already(revoked.serial.clone()));
            }
            if document.revoked.len() >= MAX_ENTRIES {
                return Err(RevocationError::Full);
            }
            document.revoked.push(revoked.clone());
            Ok(revoked)
        })?;
        self.index.store(Arc::new(Index::of(&self.ledger.get())));
        Ok(added)
    }

    /// Everything that was taken back, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Revoked> {
        self.ledger.get().revoked.clone()
    }

    /// Takes in the file if another process changed it. Returns whether it did.
    ///
    /// # Errors
    /// When it is damaged; the last good version stays in force.
    pub fn reload_if_changed(&self) -> Result<bool, LedgerError> {
        let changed = self.ledger.reload_if_changed()?;
        if changed {
            self.index.store(Arc::new(Index::of(&self.ledger.get())));
        }
        Ok(changed)
    }
}

impl Index {
    fn of(document: &Document) -> Self {
        let mut index = Self::default();
        for one in &document.revoked {
            let issuer = HEXLOWER.decode(one.issuer.as_bytes()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            if let (Some(issuer), Some(serial)) = (issuer, read_serial(&one.serial)) {
                index.0.entry(issuer).or_default().insert(serial);
            }
        }
        index
    }
}

impl ledger::Document for Document {
    fn check(&self) -> Result<(), String> {
        if self.revoked.len() > MAX_ENTRIES {
            return Err("it has too many entries".to_owned());
        }
        let fine = |one: &Revoked| {
            read_serial(&one.serial).is_some_and(|bytes| HEXLOWER.encode(&bytes) == one.serial)
                && one.issuer.len() == 64
                && HEXLOWER.decode(one.issuer.as_bytes()).is_ok()
        };
        match self.revoked.iter().position(|one| !fine(one)) {
            None => Ok(()),
            Some(at) => Err(format!("entry {at} has no serial number or issuer in lower-case hex")),
        }
    }
}

/// Reads a serial number as people and other programs write it: hex in either case, with or without
/// colons, `0x` and leading zeros.
#[must_use]
pub fn read_serial(text: &str) -> Option<Box<[u8]>> {
    let text = text.trim();
    let text = text.strip_prefix("0x").unwrap_or(text);
    if text.len() > 4 * MAX_SERIAL {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    let digits = digits.trim_start_matches('0');
    let even = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    let bytes = HEXLOWER.decode(even.as_bytes()).ok()?;
    (1..=MAX_SERIAL).contains(&bytes.len()).then(|| bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bites_in_another_process_and_only_on_its_own_issuer() {
        let dir = tempfile::tempdir().unwrap();
        let (gate, cli) = (Revocations::open(dir.path()).unwrap(), Revocations::open(dir.path()).unwrap());
        let added = cli.add("00:0A:ff", &[1; 32], Some("alice"), 7).unwrap();
        assert_eq!(added.serial, "0aff");
        assert!(!gate.contains(&[1; 32], &[0x0a, 0xff]));
        assert!(gate.reload_if_changed().unwrap());
        assert!(gate.contains(&[1; 32], &[0x0a, 0xff]));
        assert!(!gate.contains(&[2; 32], &[0x0a, 0xff]), "another authority's serial number");
        assert!(matches!(cli.add("aff", &[1; 32], None, 8), Err(RevocationError::Already(_))));
        assert!(matches!(cli.add("xyz", &[1; 32], None, 8), Err(RevocationError::Serial(_))));
    }

    #[test]
    fn a_damaged_list_is_no_empty_list() {
        let dir = tempfile::tempdir().unwrap();
        let list = Revocations::open(dir.path()).unwrap();
        list.add("0a", &[1; 32], None, 7).unwrap();
        for broken in ["", "{}", r#"{"revoked":[{"serial":"0A","issuer":"00","revoked_at":1}]}"#] {
            crate::files::write_private(&dir.path().join("revoked.json"), broken.as_bytes()).unwrap();
            assert!(list.reload_if_changed().is_err(), "{broken}");
            assert!(list.contains(&[1; 32], &[0x0a]), "the last good one stays in force");
            assert!(Revocations::open(dir.path()).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_serial_number_has_one_form(bytes in prop::collection::vec(any::<u8>(), 1..=20), zeros in 0usize..3) {
            let hex = HEXLOWER.encode(&bytes);
            let written = format!("0x{}{}", "00:".repeat(zeros), hex.to_uppercase());
            let significant = crate::peer::significant(&bytes);
            prop_assert_eq!(read_serial(&written), (!significant.is_empty()).then_some(significant));
        }

        #[test]
        fn anything_else_is_none(text in "\\PC{0,100}") {
            if let Some(bytes) = read_serial(&text) {
                prop_assert!(bytes.len() <= MAX_SERIAL && bytes[0] != 0);
            }
        }
    }
}
