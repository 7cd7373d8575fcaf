//! The end of a signed stream: the digest of everything that came before it, signed.
//!
//! Three values make it: `Content-Digest`, `Signature-Input` and `Signature`, with a signature over
//! `"@status"` and `"content-digest";tr`. They stand in the trailers of the answer, or, where a
//! client cannot read trailers, as its last frame.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::answer::Asked;
use crate::digest::{self, CONTENT_DIGEST};
use crate::error::{Malformed, SignError, Unverified};
use crate::input::Component;
use crate::key::SecretKey;
use crate::public::NodePublic;
use crate::{field, profile};

/// The name of the last event of a signed stream of server-sent events.
pub const SEAL_EVENT: &str = "portcullis.signature";

/// The longest frame that can be a seal, in bytes.
pub const MAX_SEAL: usize = 4 * 1024;

const COVERED: &str = r#""@status" "content-digest";tr"#;

/// The end of a signed stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    content_digest: String,
    signature_input: String,
    signature: String,
}

/// The line of NDJSON that a seal is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<S> {
    portcullis: S,
}

impl Seal {
    /// Signs the end of an answer with this status to this request. `digest` is the SHA-256 of all
    /// content before the seal, `created` is in Unix seconds.
    ///
    /// # Errors
    /// When something has no form that can be signed.
    pub fn sign(
        key: &SecretKey,
        status: u16,
        digest: &[u8; 32],
        asked: &Asked,
        created: i64,
    ) -> Result<Self, SignError> {
        profile::check_asked(asked)?;
        let params = profile::answer_params(COVERED, created, asked, key.node_id());
        let content_digest = digest::to_field(digest);
        let signature = key.sign(base(status, &content_digest, &params).as_bytes());
        Ok(Self {
            content_digest,
            signature_input: format!("{}={params}", profile::LABEL),
            signature: profile::signature_field(&signature),
        })
    }

    /// Checks that this node ended this answer, to this request, after content with this SHA-256.
    /// Returns when, in Unix seconds.
    ///
    /// # Errors
    /// When it did not.
    pub fn verify(&self, node: &NodePublic, status: u16, digest: &[u8; 32], asked: &Asked) -> Result<i64, Unverified> {
        let input = profile::labelled(&self.signature_input)?;
        let covered =
            [Component { name: "@status", trailer: false }, Component { name: "content-digest", trailer: true }];
        if input.components != covered {
            return Err(Malformed(r#"the seal of a stream must cover `"@status" "content-digest";tr`"#).into());
        }
        let signature = profile::parse_signature(&self.signature)?;
        let claimed = digest::parse(&self.content_digest)?;
        let claims = profile::claims(&input)?;
        if claims.node != *node {
            return Err(Unverified::OtherNode);
        }
        profile::check_answers(&input, &claims, asked)?;
        node.verify(base(status, &self.content_digest, &input.text).as_bytes(), &signature)?;
        if claimed == *digest { Ok(claims.created) } else { Err(Unverified::OtherContent) }
    }

    /// The last line of a stream of NDJSON, with its line end.
    #[must_use]
    pub fn to_ndjson(&self) -> String {
        serde_json::to_string(&Line { portcullis: self }).unwrap_or_default() + "\n"
    }

    /// The last event of a stream of server-sent events.
    #[must_use]
    pub fn to_sse(&self) -> String {
        format!("event: {SEAL_EVENT}\ndata: {}\n\n", serde_json::to_string(self).unwrap_or_default())
    }

    /// The trailers of an answer.
    ///
    /// # Errors
    /// Never for a seal of [`Self::sign`]; one that came from elsewhere may have no such form.
    pub fn to_trailers(&self) -> Result<HeaderMap, Malformed> {
        let mut trailers = HeaderMap::with_capacity(3);
        trailers.insert(CONTENT_DIGEST, field::value(&self.content_digest)?);
        trailers.insert(field::SIGNATURE_INPUT, field::value(&self.signature_input)?);
        trailers.insert(field::SIGNATURE, field::value(&self.signature)?);
        Ok(trailers)
    }

    /// Reads a line of NDJSON; `None` when it is no seal.
    #[must_use]
    pub fn from_ndjson(line: &[u8]) -> Option<Self> {
        let line: Line<Self> = serde_json::from_slice(short(line)?).ok()?;
        Some(line.portcullis)
    }

    /// Reads the data of an event that is called [`SEAL_EVENT`]; `None` when it is no seal.
    #[must_use]
    pub fn from_sse(data: &[u8]) -> Option<Self> {
        serde_json::from_slice(short(data)?).ok()
    }

    /// Reads the trailers of an answer; `None` when they hold no signature.
    ///
    /// # Errors
    /// When they hold a signature, and not in the form that it must have.
    pub fn from_trailers(trailers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        if !trailers.contains_key(field::SIGNATURE) && !trailers.contains_key(field::SIGNATURE_INPUT) {
            return Ok(None);
        }
        let one = |name| {
            let wrong = Malformed("signed trailers hold `Content-Digest`, `Signature-Input` and `Signature` once each");
            field::only(trailers, name, wrong)?.map(str::to_owned).ok_or(wrong)
        };
        Ok(Some(Self {
            content_digest: one(&CONTENT_DIGEST)?,
            signature_input: one(&field::SIGNATURE_INPUT)?,
            signature: one(&field::SIGNATURE)?,
        }))
    }
}

fn short(frame: &[u8]) -> Option<&[u8]> {
    (frame.len() <= MAX_SEAL).then_some(frame)
}

fn base(status: u16, content_digest: &str, params: &str) -> String {
    format!("\"@status\": {status}\n\"content-digest\";tr: {content_digest}\n\"@signature-params\": {params}")
}
