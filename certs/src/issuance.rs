//! What the node's authority issued: `<state>/issued.json`, so that a certificate can be found by whom
//! it is for, and taken back by that.

use std::path::Path;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::ca::Use;
use crate::ledger::{self, Ledger, LedgerError};
use crate::peer::{PeerCert, printable, printable_uri};

/// The most entries. The oldest that have ended make room.
const MAX_ENTRIES: usize = 100_000;
/// How long a certificate is kept in the register after it ended, in seconds.
const KEPT: i64 = 90 * 86_400;

/// The register.
pub struct Issuances(Ledger<Document>);

/// One certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuance {
    /// In lower-case hex, without leading zeros.
    pub serial: String,
    /// The name that it was asked for.
    pub name: String,
    /// What it is for.
    pub usage: Use,
    /// Who its holder is here.
    pub identity: String,
    /// What a person compares.
    pub fingerprint: String,
    /// The other names in it.
    pub names: Vec<String>,
    /// Unix seconds.
    pub issued_at: i64,
    /// Unix seconds.
    pub not_after: i64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    issued: Vec<Issuance>,
}

impl Issuances {
    /// Opens the register of this state directory; one that does not exist yet is empty.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(state: &Path) -> Result<Self, LedgerError> {
        Ledger::open(&state.join("issued.json")).map(Self)
    }

    /// Enters a certificate.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, name: &str, usage: Use, certificate: &PeerCert, now: i64) -> Result<Issuance, LedgerError> {
        let names = certificate.dns_names.iter().map(|name| printable(name));
        let entry = Issuance {
            serial: HEXLOWER.encode(&certificate.serial),
            name: printable(name),
            usage,
            identity: certificate.identity.to_string(),
            fingerprint: certificate.fingerprint.clone(),
            names: names.chain(certificate.uris.iter().map(|uri| printable_uri(uri))).collect(),
            issued_at: now,
            not_after: certificate.not_after,
        };
        self.0.change(|document| {
            document.issued.retain(|one| one.not_after.saturating_add(KEPT) > now);
            let over = (document.issued.len() + 1).saturating_sub(MAX_ENTRIES);
            document.issued.drain(..over);
            document.issued.push(entry.clone());
            Ok(entry)
        })
    }

    /// The one with this serial number, in lower-case hex without leading zeros.
    #[must_use]
    pub fn find(&self, serial: &str) -> Option<Issuance> {
        self.0.get().issued.iter().find(|one| one.serial == serial).cloned()
    }

    /// Everything, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Issuance> {
        self.0.get().issued.clone()
    }
}

impl ledger::Document for Document {
    fn check(&self) -> Result<(), String> {
        if self.issued.len() > MAX_ENTRIES { Err("it has too many entries".to_owned()) } else { Ok(()) }
    }
}
