//! The `signature` filter: a request comes from one node, whole, once.
//!
//! The signature is verified when the head comes (RFC 9421; LLMesh's own once the body is there too), and
//! its nonce is used up before anything is counted or read, so that a replay costs its victim nothing.
//! The digest that was signed is compared with the one of the bytes that came, before anything parses them.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_signatures::Signed;
use serde::{Deserialize, Serialize};

use crate::exchange::{Facts, Head};
use crate::filter::{Filter, Phase, block};
use crate::store::{Claim, Claimed, Nonces};
use crate::verdict::{Code, Outcome, Refusal, Verdict};

mod verifier;

pub use verifier::{Signature, SignatureSettings, Verifier};

/// Which requests must be signed. What is signed is verified in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// Every request.
    Always,
    /// None.
    Never,
    /// Those that claim to come from a node by a header, such as `X-LLMesh-Node-Id` or `X-Node-Id`.
    #[default]
    Peers,
}

/// The filter.
pub struct SignatureFilter {
    require: Require,
    verifier: Arc<Verifier>,
    nonces: Arc<dyn Nonces>,
}

impl SignatureFilter {
    /// A filter that judges by this verifier and remembers here.
    #[must_use]
    pub fn new(require: Require, verifier: Arc<Verifier>, nonces: Arc<dyn Nonces>) -> Self {
        Self { require, verifier, nonces }
    }

    /// A request without a signature.
    fn unsigned(&self, head: &Head) -> Result<(), Refusal> {
        let wanted = match self.require {
            Require::Always => "every request to this gate must be signed",
            Require::Peers if head.credentials.claims_node => {
                "a header says which node calls, so the request must be signed"
            }
            Require::Never | Require::Peers => return Ok(()),
        };
        Err(refuse(Code::SignatureMissing, format!("{wanted}, and this one is not")))
    }

    async fn judge(&self, head: &Head, facts: &mut Facts) -> Result<(), Refusal> {
        let Some(signed) = self.verifier.verified(head)? else { return self.unsigned(head) };
        let node = signed.node_id();
        let shown = head.presented.certificate.as_deref().map(|certificate| &certificate.identity);
        let caller = facts.caller().map(|caller| &caller.identity);
        if shown.into_iter().chain(caller).any(|identity| identity.as_str() != node) {
            return Err(of_another());
        }
        let claim = Claim {
            node,
            nonce: signed.nonce(),
            created_ms: signed.created_ms(),
            now_ms: self.verifier.now_ms(),
            window: self.verifier.window(),
        };
        match self.nonces.claim(&claim).await {
            Ok(Claimed::Fresh) => {
                facts.set_signed(signed.asked()).map_err(|e| Refusal::internal("signature", e.to_string()))
            }
            Ok(Claimed::Replayed) => {
                Err(refuse(Code::SignatureReplayed, "this signature was used before; sign anew".to_owned()))
            }
            Ok(Claimed::Forgotten) => Err(refuse(
                Code::SignatureStale,
                "the signature is older than what the gate remembers; look at the clocks, and sign anew".to_owned(),
            )),
            Err(unavailable) => Err(unavailable.refuse("signature")),
        }
    }
}

#[async_trait]
impl Filter for SignatureFilter {
    fn name(&self) -> &'static str {
        "signature"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Head]
    }

    fn may_read(&self, head: &Head) -> Result<(), Refusal> {
        self.verifier.timely(head).map(drop)
    }

    async fn head(&self, head: &Head, facts: &mut Facts) -> Outcome<()> {
        match self.judge(head, facts).await {
            Ok(()) => Ok(Verdict::Pass),
            Err(refusal) => block(refusal),
        }
    }

    fn content(&self, head: &Head, digest: &[u8; 32]) -> Result<(), Refusal> {
        let signed = head.credentials.signature.as_ref().and_then(Signature::signed);
        // LLMesh's signature was verified with the digest of what came.
        match signed.and_then(Signed::digest) {
            Some(meant) if meant != digest => {
                Err(refuse(Code::SignatureInvalid, "the body is not the one that was signed".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// The refusal of a signature beside a credential of somebody else.
pub(crate) fn of_another() -> Refusal {
    refuse(Code::SignatureInvalid, "the signature names another caller than the request's other credential".to_owned())
}

fn refuse(code: Code, message: String) -> Refusal {
    Refusal::new("signature", code, message)
}

#[cfg(test)]
mod tests;
