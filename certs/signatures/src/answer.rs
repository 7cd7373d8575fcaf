//! Signed answers: a whole answer's head and content, or the head of a stream.
//!
//! An answer names whose request it answers, beside the nonce: a nonce is unique for its node alone, and another
//! node that saw it could have an answer of its own signed under it.

use std::fmt::Write as _;

use http::HeaderMap;

use crate::base::{self, Subject};
use crate::digest::{self, CONTENT_DIGEST};
use crate::error::{Malformed, SignError, Unverified};
use crate::key::SecretKey;
use crate::public::NodePublic;
use crate::{field, profile};

/// The request that an answer is to: [`sign_request`](crate::sign_request) says it of one's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Who signed the request: the answer's `tag`.
    pub node_id: String,
    /// Its nonce, or, for LLMesh, its signature in lower-case hex.
    pub nonce: String,
}

/// What a verified answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The SHA-256 of the content; `None` for the head of a stream, whose content a [`crate::Seal`]
    /// covers. The caller compares it with the content that came.
    pub digest: Option<[u8; 32]>,
    /// When the answer was signed, in Unix seconds.
    pub created: i64,
}

/// Signs an answer to this request ([`crate::Signed::asked`]): its status, and its content where the
/// SHA-256 of it is known. `None` is the head of a stream. `created` is in Unix seconds.
///
/// # Errors
/// When something has no form that can be signed.
pub fn sign_answer(
    key: &SecretKey,
    status: u16,
    headers: &mut HeaderMap,
    content: Option<&[u8; 32]>,
    asked: &Asked,
    created: i64,
) -> Result<(), SignError> {
    profile::check_asked(asked)?;
    if !profile::is_second(created) {
        return Err(Malformed("`created` must be a Unix second, from 1 to 253402300799").into());
    }
    // Every signed request has one: the base is written straight away, as the verifier will find it.
    let mut base = String::with_capacity(384);
    let _infallible = writeln!(base, "\"@status\": {status}");
    let components = match content {
        Some(content) => {
            let digest = digest::to_field(content);
            let _infallible = writeln!(base, "\"content-digest\": {digest}");
            headers.insert(CONTENT_DIGEST, field::value(&digest)?);
            r#""@status" "content-digest""#
        }
        None => r#""@status""#,
    };
    let params = profile::answer_params(components, created, asked, key.node_id());
    base.push_str("\"@signature-params\": ");
    base.push_str(&params);
    headers.insert(field::SIGNATURE_INPUT, field::value(&format!("{}={params}", profile::LABEL))?);
    headers.insert(field::SIGNATURE, field::value(&profile::signature_field(&key.sign(base.as_bytes())))?);
    Ok(())
}

/// Checks that this node signed this answer to this request. The time is the caller's to judge: the
/// nonce already says that the answer is younger than the request.
///
/// # Errors
/// When the answer is not signed, not by this node, not for this request, or not as it must be.
pub fn verify_answer(
    node: &NodePublic,
    status: u16,
    headers: &HeaderMap,
    asked: &Asked,
) -> Result<Answered, Unverified> {
    if !headers.contains_key(field::SIGNATURE) && !headers.contains_key(field::SIGNATURE_INPUT) {
        return Err(Unverified::Missing);
    }
    let input = profile::input(headers)?;
    let signature = profile::signature(headers)?;
    let covers = |name: &str| input.components.iter().any(|c| c.name == name && !c.trailer);
    if !covers("@status") {
        return Err(Malformed("the signature of an answer must cover `@status`").into());
    }
    let digest = if covers("content-digest") { Some(digest::claimed(headers)?) } else { None };
    let base = base::of(Subject::Answer(status), headers, &input)?;
    let claims = profile::claims(&input)?;
    if claims.node != *node {
        return Err(Unverified::OtherNode);
    }
    profile::check_answers(&input, &claims, asked)?;
    node.verify(base.as_bytes(), &signature)?;
    Ok(Answered { digest, created: claims.created })
}
