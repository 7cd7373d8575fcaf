//! Replacing one string in a body without writing the rest anew.

use bytes::Bytes;

/// The body with one of its string values replaced. `None` when the value is not a plain piece of the
/// body (it held escapes), or the new one would need some.
pub(super) fn splice(body: &Bytes, value: &str, new: &str) -> Option<Bytes> {
    if new.bytes().any(|b| b == b'"' || b == b'\\' || b < 0x20) {
        return None;
    }
    // A borrowed value points into the body: its place is the difference of the two.
    let start = (value.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let end = start.checked_add(value.len())?;
    let (before, after) = (body.get(..start)?, body.get(end..)?);
    let quoted = before.last() == Some(&b'"') && after.first() == Some(&b'"');
    if !quoted || body.get(start..end) != Some(value.as_bytes()) {
        return None;
    }
    let mut whole = Vec::with_capacity(body.len() + new.len());
    whole.extend_from_slice(before);
    whole.extend_from_slice(new.as_bytes());
    whole.extend_from_slice(after);
    Some(whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    #[test]
    fn replaces_a_borrowed_value_and_nothing_else() {
        let body = Bytes::from_static(br#"{"model":"tiny","prompt":"tiny"}"#);
        let json = Json::parse(&body).unwrap();
        let value = json.get("model").and_then(Json::as_str).unwrap();
        assert_eq!(splice(&body, value, "tiny:latest").unwrap(), &br#"{"model":"tiny:latest","prompt":"tiny"}"#[..]);
        assert_eq!(splice(&body, "tiny", "x"), None, "a text of elsewhere");
        assert_eq!(splice(&body, value, "a\"b"), None);
    }
}
