//! Signed requests and answers of Portcullis.

#![cfg_attr(test, allow(clippy::string_slice, reason = "tests slice the ASCII that they wrote"))]

mod answer;
mod base;
mod digest;
mod error;
mod field;
mod input;
mod key;
mod llmesh;
mod profile;
mod public;
mod request;
mod seal;
mod sign;
#[cfg(test)]
mod speed;
mod target;
#[cfg(test)]
mod tests;
mod wanted;

pub use answer::{Answered, sign_answer, verify_answer};
pub use base::signature_base;
pub use digest::content_digest;
pub use error::{Malformed, SignError, Unverified};
pub use key::{KeyError, SecretKey};
pub use llmesh::sign_llmesh;
pub use public::{FINGERPRINT_BYTES, NodePublic, fingerprint};
pub use request::{Scheme, Signed};
pub use seal::{MAX_SEAL, SEAL_EVENT, Seal};
pub use sign::{Nonce, SignOptions, sign_request};
pub use target::Target;
pub use wanted::{ACCEPT_SIGNATURE, Wanted, accept_signature};
