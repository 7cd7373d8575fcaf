//! Keys, certificates, and whom a person decided to trust.
//!
//! A node is an Ed25519 key ([`NodeKey`]): its node id, DID and fingerprint follow from the key and
//! can be checked by anybody who has them ([`NodePublic`]). The node keeps a small authority of its
//! own ([`Ca`]) that signs the gate's server certificate, so that a client needs one file to know the
//! gate by; or it pins the gate's key by the [`fingerprint`] that the gate's operator reads out.
//!
//! Who stands at the other end of a TLS connection is read from its certificate by [`PeerCert`];
//! that the peer holds the key was proven by the handshake, which the verifiers in [`verify`] check
//! in every mode. Whether a person ever said yes to that key is in the [`TrustStore`], one file that
//! the command line and the running gate share: a stranger is pending in it until then, and a key
//! that claims an approved peer's name without being its key is called what it is.
//!
//! Key files are private to their owner and written whole or not at all ([`files`]). No key is ever
//! printed, logged, or part of an error.

#![cfg_attr(test, allow(clippy::string_slice, reason = "tests slice the ASCII that they wrote"))]

pub mod api_keys;
pub mod authorities;
pub mod ca;
pub mod delegation;
pub mod device;
pub mod enrollment;
pub mod files;
pub mod fingerprint;
pub mod issuance;
pub mod jwt;
pub mod ledger;
pub mod node;
pub mod peer;
pub mod revocation;
pub mod token;
pub mod trust;
pub mod verify;

pub use authorities::{Authorities, AuthorityFiles, Judged};
pub use ca::{Ca, CaError, Issued, San, Use};
pub use files::FileError;
pub use ledger::{Ledger, LedgerError};
pub use node::{NodeError, NodeIdentity, NodeKey, NodePublic};
pub use peer::{PeerCert, PeerError};
pub use trust::{Standing, TrustError, TrustStore};
pub use verify::{PinMismatch, ServerCertResolver, VerifyError};
