//! What an audit log is: lines that nobody can change unnoticed, and proofs of it for others.
//!
//! 1. An [`Entry`] tells of one decision. In canonical form, without its number and its time, it is a [`Draft`].
//! 2. A [`Chain`] gives the draft both, and seals it with the line before: HMAC-SHA256, under a [`SealKey`] of the
//!    segment that the line lies in ([`SegmentKeys`]).
//! 3. A [`Line`] is read back only in the one spelling that a draft has. [`check_lines`] checks many, and can do so
//!    in [`pieces`] on several threads.
//! 4. The lines are the leaves of a Merkle [`tree`] (RFC 6962). Its root, signed by the log, is a [`Checkpoint`] in a
//!    [`Note`]; witnesses add their cosignatures ([`cosign`]), and get what they need for it in a [`Submission`].
//! 5. A [`Proof`] shows to somebody who has no key of the log that a line is in it.
//!
//! No sockets, no files, no clocks: lines, hashes and times come in, lines and hashes go out.

#![cfg_attr(test, allow(clippy::string_slice, reason = "tests slice the ASCII that they wrote"))]

mod base64;
mod canonical;
mod chain;
mod check;
mod checkpoint;
mod cosignature;
mod entry;
mod keys;
mod line;
pub mod note;
mod proof;
pub mod submission;
pub mod tree;
mod verifier_key;

pub use chain::{Chain, Position, Seal, SealKey};
pub use check::{BadLine, Checked, Piece, check_lines, pieces};
pub use checkpoint::{Checkpoint, CheckpointError, MAX_SIZE, SignedCheckpoint};
pub use cosignature::{cosign, verify_cosignature};
pub use entry::{Draft, Entry};
pub use keys::SegmentKeys;
pub use line::{Line, MAX_LINE, Value};
pub use note::{MAX_NOTE, MAX_SIGNATURES, Note, NoteError, NoteSignature};
pub use proof::{MAX_HASHES, MAX_PROOF, Proof, TlogProofError};
pub use submission::{MAX_SUBMISSION, Submission, SubmissionError};
pub use tree::{Hash, Nodes, ProofError, Tree, leaf_hash};
pub use verifier_key::{KeyKind, VerifierKey, VerifierKeyError};
