//! The request signature of LLMesh 0.1: three headers, and a fourth that brings the key.
//!
//! Signed is the method in upper case, the path, the node id, the time and the hex of the content's
//! SHA-256, each on a line. Neither query nor host nor type is covered, and there is no nonce: the
//! signature has to count as one.

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName};

use crate::digest::content_digest;
use crate::error::{Malformed, SignError};
use crate::field;
use crate::key::SecretKey;
use crate::public::NodePublic;
use crate::request::{Scheme, Signed};
use crate::target::Target;

const NODE_ID: HeaderName = HeaderName::from_static("x-llmesh-node-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-llmesh-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-llmesh-signature");
const PUBLIC_KEY: HeaderName = HeaderName::from_static("x-llmesh-public-key");

/// The most digits of a timestamp.
const MAX_DIGITS: usize = 15;

/// Signs a request as LLMesh 0.1 does; `public_key` adds `X-LLMesh-Public-Key`, from which a gate
/// that never met the node learns its key. `timestamp_ms` is in Unix milliseconds.
///
/// # Errors
/// When the target or the time has no form that can be signed.
pub fn sign_llmesh(
    key: &SecretKey,
    target: &Target<'_>,
    headers: &mut HeaderMap,
    content: &[u8],
    timestamp_ms: i64,
    public_key: bool,
) -> Result<(), SignError> {
    target.check()?;
    let timestamp = timestamp_ms.to_string();
    parse_timestamp(&timestamp)?;
    let node = key.public();
    let id = node.node_id();
    let text = base(target, &id, &timestamp) + &HEXLOWER.encode(&content_digest(content));
    let signature = key.sign(text.as_bytes());
    headers.insert(NODE_ID, field::value(&id)?);
    headers.insert(TIMESTAMP, field::value(&timestamp)?);
    headers.insert(SIGNATURE, field::value(&format!("ed25519:{}", HEXLOWER.encode(&signature)))?);
    if public_key {
        headers.insert(PUBLIC_KEY, field::value(&node.to_hex())?);
    }
    Ok(())
}

/// Whether a head has any header of the scheme.
pub(crate) fn is_there(headers: &HeaderMap) -> bool {
    [NODE_ID, TIMESTAMP, SIGNATURE, PUBLIC_KEY].iter().any(|name| headers.contains_key(name))
}

pub(crate) fn read(target: &Target<'_>, headers: &HeaderMap) -> Result<Signed, Malformed> {
    target.check()?;
    let id = required(headers, &NODE_ID)?;
    let timestamp = required(headers, &TIMESTAMP)?;
    let created_ms = parse_timestamp(timestamp)?;
    let signature = parse_signature(required(headers, &SIGNATURE)?)?;
    let public_key = one(headers, &PUBLIC_KEY)?;
    let node = NodePublic::from_node_id(id)
        .map_err(|_| Malformed("`X-LLMesh-Node-Id` must be `peer:` and the base58 of a 32-byte Ed25519 public key"))?;
    if public_key.is_some_and(|hex| hex != node.to_hex()) {
        return Err(Malformed(
            "`X-LLMesh-Public-Key` must be the key that `X-LLMesh-Node-Id` names, in 64 digits of lower-case hex",
        ));
    }
    Ok(Signed {
        scheme: Scheme::Llmesh,
        node,
        node_id: id.to_owned(),
        brings_key: public_key.is_some(),
        created_ms,
        expires_ms: None,
        nonce: String::new(),
        audience: None,
        digest: None,
        base: base(target, id, timestamp),
        signature,
    })
}

/// What is signed, up to the hash of the content.
fn base(target: &Target<'_>, id: &str, timestamp: &str) -> String {
    format!("{}\n{}\n{id}\n{timestamp}\n", target.method.to_ascii_uppercase(), target.normal_path())
}

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Malformed> {
    field::only(headers, name, Malformed("a header of LLMesh must be in the head once"))
}

fn required<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, Malformed> {
    one(headers, name)?.ok_or(Malformed(
        "a request that LLMesh signs has `X-LLMesh-Node-Id`, `X-LLMesh-Timestamp` and `X-LLMesh-Signature`",
    ))
}

fn parse_timestamp(text: &str) -> Result<i64, Malformed> {
    let digits = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number = if digits && !text.starts_with('0') { text.parse().ok() } else { None };
    number.ok_or(Malformed("`X-LLMesh-Timestamp` must be Unix milliseconds in 1 to 15 digits, without a leading zero"))
}

fn parse_signature(text: &str) -> Result<[u8; 64], Malformed> {
    let mut bytes = [0; 64];
    let hex = text.strip_prefix("ed25519:").filter(|hex| hex.len() == 128);
    match hex.map(|hex| HEXLOWER.decode_mut(hex.as_bytes(), &mut bytes)) {
        Some(Ok(64)) => Ok(bytes),
        _ => Err(Malformed("`X-LLMesh-Signature` must be `ed25519:` and 128 digits of lower-case hex")),
    }
}
