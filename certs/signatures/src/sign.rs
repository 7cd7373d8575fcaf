//! How a request is signed by RFC 9421.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, header};

use crate::answer::Asked;
use crate::base::{self, Subject};
use crate::digest::{self, CONTENT_DIGEST, content_digest};
use crate::error::{Malformed, SignError};
use crate::key::{KeyError, SecretKey};
use crate::target::Target;
use crate::{field, profile};

/// A text that is never signed twice by one node: 22 to 256 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Nonce(String);

/// How a request is signed.
#[derive(Clone, Debug, Default)]
pub struct SignOptions<'o> {
    /// When, in Unix seconds.
    pub created: i64,
    /// The nonce; 128 random bits when `None`.
    pub nonce: Option<Nonce>,
    /// The gate that is meant, by its node id. It is sent as `Portcullis-Audience`: another gate
    /// refuses the request, so that nobody can use it there.
    pub audience: Option<&'o str>,
}

impl Nonce {
    /// 128 random bits, in 22 characters.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(BASE64URL_NOPAD.encode(&bytes)))
    }

    /// A nonce of the caller's own.
    ///
    /// # Errors
    /// When it is too short, too long, or not of visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        profile::check_nonce(text).map(|()| Self(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Signs a request: sets `Content-Digest`, `Signature-Input` and `Signature`, and
/// `Portcullis-Audience` where an audience is named; without one, none is sent. Covered are the
/// method, host, path, query and content, and where there are any, the type, audience and encoding, the
/// delegated grant (`Portcullis-Grant`) and the invitation (`Portcullis-Enroll`). What is
/// covered must not change after this. Returns what the answer will name the request by.
///
/// # Errors
/// When something of the request has no form that can be signed; the headers may be half set then.
pub fn sign_request(
    key: &SecretKey,
    target: &Target<'_>,
    headers: &mut HeaderMap,
    content: &[u8],
    options: &SignOptions<'_>,
) -> Result<Asked, SignError> {
    target.check()?;
    if !profile::is_second(options.created) {
        return Err(Malformed("`created` must be a Unix second, from 1 to 253402300799").into());
    }
    let nonce = match &options.nonce {
        Some(nonce) => nonce.clone(),
        None => Nonce::random()?,
    };
    let mut components = r#""@method" "@authority" "@path" "@query" "content-digest""#.to_owned();
    headers.insert(CONTENT_DIGEST, field::value(&digest::to_field(&content_digest(content)))?);
    if headers.contains_key(header::CONTENT_TYPE) {
        components.push_str(r#" "content-type""#);
    }
    headers.remove(field::AUDIENCE);
    if let Some(audience) = options.audience {
        headers.insert(field::AUDIENCE, field::value(audience)?);
        components.push_str(r#" "portcullis-audience""#);
    }
    for name in [header::CONTENT_ENCODING, field::ENROLL, field::GRANT] {
        if headers.contains_key(&name) {
            components.extend([" \"", name.as_str(), "\""]);
        }
    }
    let params = profile::params(&components, options.created, nonce.as_str(), key.node_id());
    sign_head(key, Subject::Request(target), headers, &params)?;
    Ok(Asked { node_id: key.node_id().to_owned(), nonce: nonce.0 })
}

/// Sets `Signature-Input` and `Signature` over what `params` covers.
fn sign_head(key: &SecretKey, subject: Subject<'_>, headers: &mut HeaderMap, params: &str) -> Result<(), Malformed> {
    let text = format!("{}={params}", profile::LABEL);
    let base = base::of(subject, headers, &profile::labelled(&text)?)?;
    let signature = key.sign(base.as_bytes());
    headers.insert(field::SIGNATURE_INPUT, field::value(&text)?);
    headers.insert(field::SIGNATURE, field::value(&profile::signature_field(&signature))?);
    Ok(())
}
