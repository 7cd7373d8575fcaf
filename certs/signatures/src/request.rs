//! A signature as it stands in a request, by either scheme.

use std::borrow::Cow;
use std::fmt;

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, header};

use crate::answer::Asked;
use crate::base::{self, Subject};
use crate::error::{Malformed, Unverified};
use crate::input::Input;
use crate::public::NodePublic;
use crate::target::Target;
use crate::{digest, field, llmesh, profile};

/// What a signature must cover.
pub(crate) const REQUIRED: [&str; 5] = ["@method", "@authority", "@path", "@query", "content-digest"];

/// Header fields that a signature must cover where they are there: each says what the request asks for, or in whose
/// right, and somebody on the way could have added it.
static WHERE_THERE: [(HeaderName, Malformed); 4] = [
    (header::CONTENT_TYPE, Malformed("a signature must cover `content-type` where the request has one")),
    (field::AUDIENCE, Malformed("a signature must cover `portcullis-audience` where the request has one")),
    (field::GRANT, Malformed("a signature must cover `portcullis-grant` where the request has one")),
    (field::ENROLL, Malformed("a signature must cover `portcullis-enroll` where the request has one")),
];

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP Message Signatures (RFC 9421).
    Rfc9421,
    /// The three headers of LLMesh 0.1.
    Llmesh,
}

/// A signature as it stands in a request: read strictly, not verified. It owns what it needs.
pub struct Signed {
    pub(crate) scheme: Scheme,
    pub(crate) node: NodePublic,
    pub(crate) node_id: String,
    pub(crate) brings_key: bool,
    pub(crate) created_ms: i64,
    pub(crate) expires_ms: Option<i64>,
    /// Empty where the signature is the nonce.
    pub(crate) nonce: String,
    pub(crate) audience: Option<String>,
    pub(crate) digest: Option<[u8; 32]>,
    /// What is signed; for LLMesh the hash of the content comes after it.
    pub(crate) base: String,
    pub(crate) signature: [u8; 64],
}

impl Scheme {
    /// Its name: `rfc9421` or `llmesh`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rfc9421 => "rfc9421",
            Self::Llmesh => "llmesh",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Signed {
    /// Reads the signature of a request; `None` when no header of either scheme is there.
    ///
    /// # Errors
    /// When it is not exactly in the form that it must have.
    pub fn read(target: &Target<'_>, headers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        let rfc9421 = headers.contains_key(field::SIGNATURE) || headers.contains_key(field::SIGNATURE_INPUT);
        match (rfc9421, llmesh::is_there(headers)) {
            (false, false) => Ok(None),
            (true, true) => Err(Malformed(
                "a request must be signed once: by `Signature-Input` and `Signature`, or by the headers of LLMesh",
            )),
            (true, false) => read(target, headers).map(Some),
            (false, true) => llmesh::read(target, headers).map(Some),
        }
    }

    /// How the request is signed.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The node that says it signed.
    #[must_use]
    pub fn node(&self) -> &NodePublic {
        &self.node
    }

    /// The id of that node.
    #[must_use]
    pub fn node_id(&self) -> &str {
        &self.node_id
    }

    /// Whether the request itself brings the key: an LLMesh request without `X-LLMesh-Public-Key` does
    /// not.
    #[must_use]
    pub fn brings_key(&self) -> bool {
        self.brings_key
    }

    /// When it was signed, in Unix milliseconds.
    #[must_use]
    pub fn created_ms(&self) -> i64 {
        self.created_ms
    }

    /// Until when the signer lets it hold, in Unix milliseconds.
    #[must_use]
    pub fn expires_ms(&self) -> Option<i64> {
        self.expires_ms
    }

    /// What must not come twice: the nonce's text; for LLMesh the 64 bytes of the signature.
    #[must_use]
    pub fn nonce(&self) -> &[u8] {
        match self.scheme {
            Scheme::Rfc9421 => self.nonce.as_bytes(),
            Scheme::Llmesh => &self.signature,
        }
    }

    /// What an answer names it by.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked { node_id: self.node_id.clone(), nonce: self.nonce_text() }
    }

    /// The text of [`Self::nonce`]: the nonce, or the signature in lower-case hex.
    #[must_use]
    pub fn nonce_text(&self) -> String {
        match self.scheme {
            Scheme::Rfc9421 => self.nonce.clone(),
            Scheme::Llmesh => HEXLOWER.encode(&self.signature),
        }
    }

    /// The gate that is meant: the covered `Portcullis-Audience`.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        self.audience.as_deref()
    }

    /// The SHA-256 of the content as the covered `Content-Digest` claims it; LLMesh has no such header.
    #[must_use]
    pub fn digest(&self) -> Option<&[u8; 32]> {
        self.digest.as_ref()
    }

    /// The text that is signed; LLMesh's needs the SHA-256 of the content, and ends in a line's end
    /// without it.
    #[must_use]
    pub fn base(&self, content: Option<&[u8; 32]>) -> Cow<'_, str> {
        match (self.scheme, content) {
            (Scheme::Llmesh, Some(content)) => Cow::Owned(format!("{}{}", self.base, HEXLOWER.encode(content))),
            _ => Cow::Borrowed(&self.base),
        }
    }

    /// Checks the signature strictly (RFC 8032). For LLMesh `content` is the SHA-256 of the whole
    /// content. RFC 9421 signs [`Self::digest`] instead: the caller compares that with the content.
    ///
    /// # Errors
    /// When it does not hold, or the hash of the content is needed and missing.
    pub fn verify(&self, content: Option<&[u8; 32]>) -> Result<(), Unverified> {
        if self.scheme == Scheme::Llmesh && content.is_none() {
            return Err(Unverified::ContentNeeded);
        }
        Ok(self.node.verify(self.base(content).as_bytes(), &self.signature)?)
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} by {})", self.scheme, self.node_id)
    }
}

fn read(target: &Target<'_>, headers: &HeaderMap) -> Result<Signed, Malformed> {
    target.check()?;
    let input = profile::input(headers)?;
    let signature = profile::signature(headers)?;
    check_covered(&input, headers)?;
    let digest = digest::claimed(headers)?;
    let base = base::of(Subject::Request(target), headers, &input)?;
    let audience = match headers.get(field::AUDIENCE) {
        Some(value) => Some(audience(field::text(value)?)?.to_owned()),
        None => None,
    };
    let claims = profile::claims(&input)?;
    Ok(Signed {
        scheme: Scheme::Rfc9421,
        node: claims.node,
        node_id: claims.node_id,
        brings_key: true,
        created_ms: claims.created * 1000,
        expires_ms: claims.expires.map(|second| second * 1000),
        nonce: claims.nonce,
        audience,
        digest: Some(digest),
        base,
        signature,
    })
}

fn check_covered(input: &Input<'_>, headers: &HeaderMap) -> Result<(), Malformed> {
    let covers = |name: &str| input.components.iter().any(|c| c.name == name && !c.trailer);
    if !REQUIRED.iter().all(|name| covers(name)) {
        return Err(Malformed(
            "a signature must cover `@method`, `@authority`, `@path`, `@query` and `content-digest`",
        ));
    }
    let open = WHERE_THERE.iter().find(|(name, _)| headers.contains_key(name) && !covers(name.as_str()));
    open.map_or(Ok(()), |(_, why)| Err(*why))
}

/// A name of a gate, as far as its form goes.
fn audience(text: &str) -> Result<&str, Malformed> {
    let fits = (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(text) } else { Err(Malformed("`Portcullis-Audience` must be the node id of the gate that is meant")) }
}
