//! What every RFC 9421 signature of Portcullis has, in a request and in an answer: one label, and
//! parameters that name the node, the second and the nonce.

use data_encoding::BASE64;
use http::HeaderMap;

use crate::answer::Asked;
use crate::error::{Malformed, Unverified};
use crate::field;
use crate::input::Input;
use crate::public::NodePublic;

/// The one label.
pub(crate) const LABEL: &str = "portcullis";
/// The last second that has a date with a year of four digits.
pub(crate) const MAX_SECOND: i64 = 253_402_300_799;

const SIGNATURE_FORM: Malformed =
    Malformed("`Signature` must be `portcullis=:…:` with the padded base64 of 64 bytes, and hold nothing else");

/// What the parameters of a signature claim.
pub(crate) struct Claims {
    pub(crate) node: NodePublic,
    pub(crate) node_id: String,
    pub(crate) created: i64,
    pub(crate) expires: Option<i64>,
    pub(crate) nonce: String,
}

/// The input of the one signature in a head.
pub(crate) fn input(headers: &HeaderMap) -> Result<Input<'_>, Malformed> {
    let doubled = Malformed("`Signature-Input` must be in the head once");
    let missing = Malformed("`Signature` came without `Signature-Input`");
    labelled(field::only(headers, &field::SIGNATURE_INPUT, doubled)?.ok_or(missing)?)
}

/// Reads the value of a `Signature-Input`.
pub(crate) fn labelled(text: &str) -> Result<Input<'_>, Malformed> {
    let input = Input::parse(text)?;
    if input.label == LABEL { Ok(input) } else { Err(Malformed("the label of the signature must be `portcullis`")) }
}

/// The 64 bytes of the one signature in a head.
pub(crate) fn signature(headers: &HeaderMap) -> Result<[u8; 64], Malformed> {
    let doubled = Malformed("`Signature` must be in the head once");
    let missing = Malformed("`Signature-Input` came without `Signature`");
    parse_signature(field::only(headers, &field::SIGNATURE, doubled)?.ok_or(missing)?)
}

/// Reads the value of a `Signature`, in its one spelling.
pub(crate) fn parse_signature(text: &str) -> Result<[u8; 64], Malformed> {
    let text = text.strip_prefix("portcullis=:").and_then(|rest| rest.strip_suffix(':')).ok_or(SIGNATURE_FORM)?;
    // What decodes to more than 64 bytes and padding is not decoded.
    let mut bytes = [0; 66];
    if BASE64.decode_len(text.len()) != Ok(bytes.len()) {
        return Err(SIGNATURE_FORM);
    }
    match BASE64.decode_mut(text.as_bytes(), &mut bytes) {
        Ok(64) => bytes.first_chunk().copied().ok_or(SIGNATURE_FORM),
        _ => Err(SIGNATURE_FORM),
    }
}

/// The value of `Signature`.
pub(crate) fn signature_field(signature: &[u8; 64]) -> String {
    format!("{LABEL}=:{}:", BASE64.encode(signature))
}

/// The parameters, all of which must be there but `expires` and `tag`.
pub(crate) fn claims(input: &Input<'_>) -> Result<Claims, Malformed> {
    if input.alg.as_deref() != Some("ed25519") {
        return Err(Malformed("a signature needs the parameter `alg=\"ed25519\"`"));
    }
    let keyid = input.keyid.as_deref().ok_or(Malformed("a signature needs the parameter `keyid`, a node id"))?;
    let node = NodePublic::from_node_id(keyid)
        .map_err(|_| Malformed("`keyid` must be a node id, `peer:` and the base58 of a 32-byte Ed25519 public key"))?;
    let created = input.created.ok_or(Malformed("a signature needs the parameter `created`"))?;
    if ![Some(created), input.expires].iter().flatten().all(|second| is_second(*second)) {
        return Err(Malformed("`created` and `expires` must be Unix seconds, from 1 to 253402300799"));
    }
    if input.expires.is_some_and(|expires| expires < created) {
        return Err(Malformed("`expires` must not be before `created`"));
    }
    let nonce = input.nonce.as_deref().ok_or(Malformed("a signature needs the parameter `nonce`"))?;
    check_nonce(nonce)?;
    Ok(Claims { node, node_id: keyid.to_owned(), created, expires: input.expires, nonce: nonce.to_owned() })
}

/// A nonce of 128 bits or more in whatever alphabet, and short enough to be kept.
pub(crate) fn check_nonce(nonce: &str) -> Result<(), Malformed> {
    let fits = (22..=256).contains(&nonce.len()) && nonce.bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(()) } else { Err(Malformed("`nonce` must have 22 to 256 visible ASCII characters")) }
}

/// What an answer is to: a request with a nonce that can be quoted, by a node.
pub(crate) fn check_asked(asked: &Asked) -> Result<(), Malformed> {
    let id = asked.node_id.strip_prefix("peer:").unwrap_or_default();
    if !(1..=64).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Malformed("an answer must name the node that asked: `peer:` and the base58 of its public key"));
    }
    check_nonce(&asked.nonce)
}

/// That an answer with these parameters is to this request, and not to one of another node with the same nonce.
pub(crate) fn check_answers(input: &Input<'_>, claims: &Claims, asked: &Asked) -> Result<(), Unverified> {
    let tag = input.tag.as_deref();
    let tag = tag.ok_or(Malformed("the signature of an answer needs the parameter `tag`, the node id of who asked"))?;
    let same = tag == asked.node_id && claims.nonce == asked.nonce;
    if same { Ok(()) } else { Err(Unverified::OtherRequest) }
}

pub(crate) fn is_second(second: i64) -> bool {
    (1..=MAX_SECOND).contains(&second)
}

/// The text of a `Signature-Input` after its label.
pub(crate) fn params(components: &str, created: i64, nonce: &str, node_id: &str) -> String {
    let nonce = nonce.replace('\\', r"\\").replace('"', "\\\"");
    format!("({components});created={created};nonce=\"{nonce}\";keyid=\"{node_id}\";alg=\"ed25519\"")
}

/// The same for an answer, which names who asked. What was asked was checked.
pub(crate) fn answer_params(components: &str, created: i64, asked: &Asked, node_id: &str) -> String {
    params(components, created, &asked.nonce, node_id) + ";tag=\"" + &asked.node_id + "\""
}
