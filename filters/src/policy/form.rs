//! The model's name in a multipart form (RFC 7578), read strictly.

use http::header;
use memchr::memmem;
use portcullis_policies::routes::ModelPlace;

use crate::exchange::Request;
use crate::verdict::{Code, Refusal};

/// The most parts that a form may have.
const MAX_PARTS: usize = 64;

/// The model that a form names.
///
/// # Errors
/// When the form is not well-formed, names no model, or names more than one.
pub(super) fn model(request: &Request<'_>) -> Result<String, Refusal> {
    let field = request.head.route.models.iter().find_map(|place| match place {
        ModelPlace::Form(field) => Some(&**field),
        _ => None,
    });
    let field = field.ok_or_else(|| bad("this route takes no form"))?;
    let media = request.head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let boundary = boundary(media).ok_or_else(|| bad("the form's boundary is missing or not plain"))?;
    let mut found = None;
    for part in parts(request.body, boundary)? {
        let (head, content) = part;
        if name(head)?.eq_ignore_ascii_case(field) {
            let text = std::str::from_utf8(content).map_err(|_| bad("the model's name is not text"))?;
            if found.replace(text.to_owned()).is_some() {
                return Err(bad("the form names a model twice"));
            }
        }
    }
    found.ok_or_else(|| Refusal::new("policy", Code::SchemaRequest, "the request names no model"))
}

fn boundary(media: &str) -> Option<&str> {
    let mut parameters = media.split(';').skip(1).map(str::trim);
    let value =
        parameters.find_map(|p| p.split_once('=').filter(|(n, _)| n.trim().eq_ignore_ascii_case("boundary")))?.1.trim();
    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    let plain = (1..=70).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b));
    plain.then_some(value)
}

/// Cuts a form into its parts: each the head and the content.
fn parts<'b>(body: &'b [u8], boundary: &str) -> Result<Vec<(&'b str, &'b [u8])>, Refusal> {
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let mut rest =
        body.strip_prefix(first.as_bytes()).ok_or_else(|| bad("the form does not begin with its boundary"))?;
    let mut parts = Vec::new();
    loop {
        if rest == b"--" || rest == b"--\r\n" {
            return Ok(parts);
        }
        rest = rest.strip_prefix(b"\r\n").ok_or_else(|| bad("a part of the form is badly delimited"))?;
        let end = memmem::find(rest, between.as_bytes()).ok_or_else(|| bad("the form has no end"))?;
        let (part, next) = rest.split_at_checked(end).ok_or_else(|| bad("the form has no end"))?;
        let split = memmem::find(part, b"\r\n\r\n").ok_or_else(|| bad("a part of the form has no head"))?;
        let head = part
            .get(..split)
            .and_then(|h| std::str::from_utf8(h).ok())
            .ok_or_else(|| bad("the head of a part is not text"))?;
        parts.push((head, part.get(split + 4..).unwrap_or_default()));
        if parts.len() > MAX_PARTS {
            return Err(bad("the form has too many parts"));
        }
        rest = next.get(between.len()..).unwrap_or_default();
    }
}

/// The field name of a part. One that two readers could take for different names is refused.
fn name(head: &str) -> Result<&str, Refusal> {
    let mut dispositions = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .filter(|(n, _)| n.trim().eq_ignore_ascii_case("content-disposition"));
    let (Some((_, disposition)), None) = (dispositions.next(), dispositions.next()) else {
        return Err(bad("a part of the form needs one Content-Disposition"));
    };
    let mut names = disposition.split(';').map(str::trim).filter_map(|p| p.split_once('=')).filter(|(n, _)| {
        let n = n.trim().to_ascii_lowercase();
        n == "name" || n == "name*"
    });
    let (Some((key, value)), None) = (names.next(), names.next()) else {
        return Err(bad("a part of the form needs one name"));
    };
    let plain = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    plain
        .filter(|v| !key.ends_with('*') && !v.contains(['"', '\\', '%']))
        .ok_or_else(|| bad("the name of a part is not plain"))
}

fn bad(message: &'static str) -> Refusal {
    Refusal::new("request", Code::RequestMalformed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_a_form() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntiny\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\x00\xff\r\n--x--\r\n";
        let cut = parts(body, "x").unwrap();
        assert_eq!(cut.len(), 2);
        assert_eq!(name(cut[0].0).unwrap(), "model");
        assert_eq!(cut[0].1, b"tiny");
    }

    #[test]
    fn refuses_what_two_readers_could_cut_differently() {
        for body in
            [&b""[..], b"--x", b"--xy\r\n", b"preamble\r\n--x--", b"--x\r\nA: b\r\n\r\nc", b"--x\nA: b\n\nc\n--x--"]
        {
            assert!(parts(body, "x").is_err(), "{body:?}");
        }
        for head in [
            "A: b",
            "Content-Disposition: form-data",
            "Content-Disposition: form-data; name=model",
            "Content-Disposition: form-data; name=\"a\"; name*=utf-8''b",
        ] {
            assert!(name(head).is_err(), "{head}");
        }
        assert_eq!(boundary("multipart/form-data; boundary=\"a b\""), None);
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
    }
}
