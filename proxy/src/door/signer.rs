//! The door's hand: every request is signed, each time it is sent, for the one gate that is meant.

use std::sync::Arc;

use http::header::HeaderValue;
use http::request::Parts;
use portcullis_certs::NodeKey;
use portcullis_filters::{Code, Refusal};
use portcullis_signatures::{ACCEPT_SIGNATURE, Asked, SignOptions, Target, Wanted, sign_request};

use crate::keyring::now;

/// Signs with a door's key for one gate.
pub(crate) struct Signer {
    key: Arc<NodeKey>,
    /// The gate's node id.
    gate: String,
}

impl Signer {
    /// With this key, for the gate of this node id.
    pub(crate) fn new(key: Arc<NodeKey>, gate: String) -> Self {
        Self { key, gate }
    }

    /// The key.
    pub(super) fn key(&self) -> &NodeKey {
        &self.key
    }

    /// Signs a request anew, in place of what was signed before, asks for an answer that is signed to its end,
    /// and returns what that answer is to name it by.
    ///
    /// # Errors
    /// When it cannot be signed: a header of it cannot be part of a signature.
    pub(super) fn sign(&self, head: &mut Parts, content: &[u8]) -> Result<Asked, Refusal> {
        let refuse = || Refusal::new("door", Code::RequestMalformed, "the request cannot be signed as it is");
        let target = Target {
            method: head.method.as_str(),
            https: true,
            authority: head.uri.authority().ok_or_else(refuse)?.as_str(),
            path: head.uri.path(),
            query: head.uri.query(),
        };
        let options = SignOptions { created: now(), nonce: None, audience: Some(&self.gate) };
        head.headers.insert(ACCEPT_SIGNATURE, HeaderValue::from_static(Wanted::Trailers.as_str()));
        sign_request(self.key.secret(), &target, &mut head.headers, content, &options).map_err(|_| refuse())
    }
}
