//! The signature base (RFC 9421, section 2.5): the text that is signed.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName};

use crate::error::Malformed;
use crate::field;
use crate::input::Input;
use crate::target::Target;

/// The longest signature base, in bytes.
const MAX_BASE: usize = 64 * 1024;

/// Whose components a signature covers.
#[derive(Clone, Copy)]
pub(crate) enum Subject<'r> {
    Request(&'r Target<'r>),
    /// An answer with this status.
    Answer(u16),
}

/// The signature base of a request for the text of a `Signature-Input` with one label, whatever the
/// label is called and whichever parameters it has: what a signer signs and a verifier rebuilds
/// (RFC 9421, section 2.5). For debugging, and for other profiles than this crate's.
///
/// # Errors
/// When the text is no such input, or covers what is not there once.
pub fn signature_base(target: &Target<'_>, headers: &HeaderMap, signature_input: &str) -> Result<String, Malformed> {
    target.check()?;
    of(Subject::Request(target), headers, &Input::parse(signature_input)?)
}

/// The signature base of a message whose target was checked.
pub(crate) fn of(subject: Subject<'_>, headers: &HeaderMap, input: &Input<'_>) -> Result<String, Malformed> {
    let mut base = String::with_capacity(256 + 2 * input.text.len());
    for component in &input.components {
        if component.trailer {
            return Err(Malformed("a covered component must have no parameters"));
        }
        base.push('"');
        base.push_str(component.name);
        base.push_str("\": ");
        if component.name.starts_with('@') {
            derived(subject, component.name, &mut base)?;
        } else {
            base.push_str(header(headers, component.name)?);
        }
        base.push('\n');
        if base.len() > MAX_BASE {
            return Err(Malformed("what the signature covers is longer than 64 KiB"));
        }
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(&input.text);
    Ok(base)
}

fn derived(subject: Subject<'_>, name: &str, base: &mut String) -> Result<(), Malformed> {
    let known = match subject {
        Subject::Request(target) => target.write(name, base),
        Subject::Answer(status) => name == "@status" && write!(base, "{status}").is_ok(),
    };
    if known { Ok(()) } else { Err(Malformed("the signature covers a derived component that it must not cover")) }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Malformed> {
    let name = HeaderName::from_lowercase(name.as_bytes())
        .map_err(|_| Malformed("a covered component must be a header field in lower case, or a derived component"))?;
    if name == field::SIGNATURE || name == field::SIGNATURE_INPUT {
        return Err(Malformed("a signature must not cover `Signature` or `Signature-Input`"));
    }
    let doubled = Malformed("a header field that the signature covers must be in the head once");
    field::only(headers, &name, doubled)?
        .ok_or(Malformed("the signature covers a header field that is not in the head"))
}
