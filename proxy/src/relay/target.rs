//! A judged path and query in the form in which they are sent.

/// Encodes a judged path and query again, so that the upstream decodes what was judged.
pub(super) fn encode(path: &str, query: &[(String, String)]) -> String {
    let mut target = String::with_capacity(path.len() + 16);
    escape(path, b"/-._~:@!$&'()*+,=", &mut target);
    for (position, (name, value)) in query.iter().enumerate() {
        target.push(if position == 0 { '?' } else { '&' });
        escape(name, b"-._~", &mut target);
        target.push('=');
        escape(value, b"-._~:", &mut target);
    }
    target
}

fn escape(text: &str, kept: &[u8], to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push('%');
            for digit in [byte >> 4, byte & 15] {
                to.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_was_decoded() {
        let query = [("model".to_owned(), "a b&c=d".to_owned())];
        assert_eq!(encode("/v1/models/tiny:latest", &[]), "/v1/models/tiny:latest");
        assert_eq!(encode("/v1/models/ä?", &query), "/v1/models/%C3%A4%3F?model=a%20b%26c%3Dd");
    }
}
