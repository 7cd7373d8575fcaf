//! Why the trust store cannot be used or changed.

use super::select::SelectError;
use crate::ledger::LedgerError;

/// Why the trust store cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It was decided about already.
    #[error("`{id}` is {state} already; `portcullis peers list` shows it")]
    Decided {
        /// The identity.
        id: String,
        /// What was decided.
        state: &'static str,
    },
    /// The file cannot be read, written or locked, or is damaged.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The fingerprint is not that of the identity.
    #[error("`{given}` is not the fingerprint of `{id}`, expected `{expected}`; compare both with the peer's operator")]
    Fingerprint {
        /// The identity.
        id: String,
        /// What was given.
        given: String,
        /// What follows from the identity, or the form where nothing does.
        expected: String,
    },
    /// It is not an identity that a certificate can prove.
    #[error(
        "`{0}` is not the identity of a peer, expected `peer:` and a public key, `cert:` and a digest, or a `spiffe://` id"
    )]
    Identity(String),
    /// The name cannot be given.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nobody, or more than one, is meant.
    #[error(transparent)]
    Select(#[from] SelectError),
}

/// Why a peer cannot have a name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It cannot be a name.
    #[error(
        "`{0}` cannot be a name, expected 1 to 64 letters, digits, `-`, `_` or `.` that do not look \
         like a fingerprint"
    )]
    Invalid(String),
    /// It is another's.
    #[error("the name `{name}` belongs to `{owner}`; rename or revoke that peer first")]
    Taken {
        /// The name.
        name: String,
        /// Whose it is.
        owner: String,
    },
}
