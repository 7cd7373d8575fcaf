//! Keys, certificates, and whom a person decided to trust.
//!
//! A node is an Ed25519 key ([`NodeKey`]): its node id, DID and fingerprint follow from the key and
//! can be checked by anybody who has them. The node keeps a small authority of its own ([`Ca`]) that
//! signs the gate's server certificate, so that a client needs one file to know the gate by.
//!
//! Who stands at the other end of a TLS connection is read from its certificate by [`PeerCert`];
//! that the peer holds the key was proven by the handshake, which the verifiers in [`verify`] check
//! in every mode. Whether a person ever said yes to that key is in the [`TrustStore`](trust::TrustStore),
//! one file that the command line and the running gate share.
//!
//! Key files are private to their owner and written whole or not at all ([`files`]). No key is ever
//! printed, logged, or part of an error.

pub mod ca;
pub mod files;
pub mod fingerprint;
pub mod node;
pub mod peer;
pub mod trust;
pub mod verify;

pub use ca::{Ca, Issued, San};
pub use node::{NodeKey, NodePublic};
pub use peer::PeerCert;
pub use trust::TrustStore;
