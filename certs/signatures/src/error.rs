//! Why a message is not signed, or not as it has to be.

use crate::key::KeyError;

/// What is wrong with the form of a signature: one sentence for whoever sent it. It quotes nothing
/// that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

/// Why a well-formed signature proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// There is none.
    #[error("the answer is not signed, expected `Signature-Input` and `Signature` with the label `portcullis`")]
    Missing,
    /// It is not in the form that it must have.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It names another node.
    #[error("the signature is by another node than the one that was asked")]
    OtherNode,
    /// It answers another request.
    #[error("the signature answers another request: its `nonce` or `tag` names another than the one that was sent")]
    OtherRequest,
    /// It covers another content.
    #[error("the content is not the one that was signed")]
    OtherContent,
    /// It covers the content, whose SHA-256 was not given.
    #[error("this signature can be checked once the whole content is there")]
    ContentNeeded,
    /// It is not by that key over that text.
    #[error("the signature does not hold")]
    Signature,
}

impl From<KeyError> for Unverified {
    fn from(_: KeyError) -> Self {
        Self::Signature
    }
}

/// Why a message cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The message has no form that can be signed.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// There is no nonce to be had.
    #[error(transparent)]
    Key(#[from] KeyError),
}
