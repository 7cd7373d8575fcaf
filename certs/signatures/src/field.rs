//! Header fields as a signed message may have them: once, short, visible ASCII.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::error::Malformed;

pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("signature");
pub(crate) const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
pub(crate) const AUDIENCE: HeaderName = HeaderName::from_static("portcullis-audience");
pub(crate) const GRANT: HeaderName = HeaderName::from_static("portcullis-grant");
pub(crate) const ENROLL: HeaderName = HeaderName::from_static("portcullis-enroll");

/// The longest `Signature-Input`, in bytes.
pub(crate) const MAX_INPUT: usize = 8 * 1024;
/// The longest value of any other header field that is read, in bytes.
pub(crate) const MAX_VALUE: usize = 4 * 1024;
/// The longest value of a header field that is covered, in bytes: a delegated grant has up to 12 KiB.
const MAX_COVERED: usize = 16 * 1024;

/// The one value of a header field, `None` where it is not there, `doubled` where it is there twice.
pub(crate) fn only<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    doubled: Malformed,
) -> Result<Option<&'h str>, Malformed> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() { Err(doubled) } else { text(value).map(Some) }
}

/// The value of a header field, without white space around it.
pub(crate) fn text(value: &HeaderValue) -> Result<&str, Malformed> {
    if value.len() > MAX_COVERED {
        return Err(Malformed("a header of the signature, or one that it covers, is too long"));
    }
    let text = value.to_str().map_err(|_| {
        Malformed("a header of the signature, or one that it covers, has other characters than visible ASCII")
    })?;
    Ok(text.trim_matches([' ', '\t']))
}

/// A header value of text that was checked before.
pub(crate) fn value(text: &str) -> Result<HeaderValue, Malformed> {
    HeaderValue::from_str(text).map_err(|_| Malformed("a signed message has only visible ASCII in what is signed"))
}
