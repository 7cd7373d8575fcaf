//! Signed requests and signed answers: what a Portcullis gate verifies, and what its clients sign with.
//!
//! A request is signed by HTTP Message Signatures ([RFC 9421]) with Ed25519, so that it can be proven to
//! come from one node, whole, for one gate, once. The gate signs its answer to that node, with the nonce of the
//! request, so that a client can prove which gate answered what. The crate knows no sockets, no TLS and no clock.
//!
//! # A client
//!
//! Sign with [`sign_request`], send exactly what was signed, and check the answer with [`verify_answer`]:
//!
//! ```
//! use http::{HeaderMap, HeaderValue, header};
//! use portcullis_signatures::{NodePublic, SecretKey, SignOptions, Target, content_digest};
//! use portcullis_signatures::{sign_request, verify_answer};
//! # use portcullis_signatures::{Signed, sign_answer};
//!
//! # let gate_key = SecretKey::from_seed(&[2; 32]);
//! # let gate_id = gate_key.public().node_id();
//! # let gate_id = gate_id.as_str();
//! # let send = |target: &Target<'_>, headers: &HeaderMap, content: &[u8]| {
//! #     let signed = Signed::read(target, headers).unwrap().unwrap();
//! #     signed.verify(None).unwrap();
//! #     assert_eq!(signed.digest(), Some(&content_digest(content)));
//! #     assert_eq!(signed.audience(), Some(gate_id));
//! #     let (mut head, said) = (HeaderMap::new(), b"{\"done\":true}".to_vec());
//! #     sign_answer(&gate_key, 200, &mut head, Some(&content_digest(&said)), &signed.asked(), 1_780_000_000)?;
//! #     Ok::<_, Box<dyn std::error::Error>>((200, head, said))
//! # };
//! # let pem = SecretKey::from_seed(&[1; 32]).to_pem()?;
//! // The key that `portcullis init` or `portcullis connect` made, and the node id of the gate.
//! let key = SecretKey::from_pem(&pem)?;
//! let gate = NodePublic::from_node_id(gate_id)?;
//!
//! // What goes over the wire, as it goes over the wire.
//! let content = br#"{"model":"llama3.2","prompt":"hello"}"#;
//! let target =
//!     Target { method: "POST", https: true, authority: "gpu-box:8443", path: "/api/generate", query: None };
//! let mut headers = HeaderMap::new();
//! headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
//!
//! // Signed for this gate, at this second, with a random nonce. A request that is sent again is signed again.
//! let created = i64::try_from(std::time::UNIX_EPOCH.elapsed()?.as_secs())?;
//! let options = SignOptions { created, nonce: None, audience: Some(gate_id) };
//! let asked = sign_request(&key, &target, &mut headers, content, &options)?;
//!
//! // However it is sent: the answer is the gate's, to this request, with this status and this content.
//! let (status, answer, said) = send(&target, &headers, content)?;
//! let answered = verify_answer(&gate, status, &answer, &asked)?;
//! assert_eq!(answered.digest, Some(content_digest(&said)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A streamed answer has no digest in its head. A client that sends `Accept-Signature`
//! ([`Wanted::as_str`]) gets one at the end: [`SealReader`] takes such a stream apart, [`Seal::verify`] proves
//! it, and [`Seal::from_trailers`] reads it from trailers.
//!
//! # The profile
//!
//! - One signature, labelled `portcullis`. Another one beside it is refused, not ignored.
//! - It covers `@method`, `@authority`, `@path`, `@query` and `content-digest` ([RFC 9530], `sha-256`, also of an
//!   empty content), and where they are there, `content-type`, `portcullis-audience` (the node id of the gate that
//!   is meant), `portcullis-grant` and `portcullis-enroll`. Further header fields and derived components may be covered, without parameters.
//! - Parameters: `created` (integer), `nonce` (22 to 256 visible characters, never the same twice), `keyid` (the
//!   signer's node id) and `alg="ed25519"`; `expires` and `tag` where wanted, no others.
//! - Base64 is padded and canonical, keys and signatures in their only encoding (RFC 8032, "strict").
//! - An answer covers `@status`, and `content-digest` where it is whole; the end of a stream covers `@status` and
//!   `"content-digest";tr`. Its `nonce` is the request's, and its `tag` the node id of who signed the request.
//!
//! The request signature of LLMesh 0.1 is read and made, too ([`sign_llmesh`]); it covers neither host nor query
//! nor type nor grant. For other profiles there is [`signature_base`].
//!
//! # A verifier
//!
//! [`Signed::read`] refuses whatever is not exactly in this form, [`Signed::verify`] checks the key. Three things
//! are the caller's: that [`Signed::created_ms`] lies in its window, that [`Signed::nonce`] of this node never came
//! before, and that the content which arrives has [`Signed::digest`].
//!
//! [RFC 9421]: https://www.rfc-editor.org/rfc/rfc9421
//! [RFC 9530]: https://www.rfc-editor.org/rfc/rfc9530

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
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod wanted;

pub use answer::{Answered, Asked, sign_answer, verify_answer};
pub use base::signature_base;
pub use digest::content_digest;
pub use error::{Malformed, SignError, Unverified};
pub use key::{KeyError, SecretKey};
pub use llmesh::sign_llmesh;
pub use public::{FINGERPRINT_BYTES, NodePublic, fingerprint};
pub use request::{Scheme, Signed};
pub use seal::{MAX_SEAL, SEAL_EVENT, Seal};
pub use sign::{Nonce, SignOptions, sign_request};
pub use stream::{Frames, SealReader, StreamEnd};
pub use target::Target;
pub use wanted::{ACCEPT_SIGNATURE, Wanted, accept_signature};
