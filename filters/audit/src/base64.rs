//! Base64 in its one spelling.

use data_encoding::BASE64;

/// Decodes Base64 (RFC 4648 section 4). The library also takes several encoded texts, each with its padding, one after
/// the other: only what encodes to this text is taken here.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.as_bytes()).ok().filter(|bytes| BASE64.encode(bytes) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_spelling() {
        assert_eq!(decode("AAA="), Some(vec![0, 0]));
        assert_eq!(decode(""), Some(vec![]));
        for other in ["AAA", "AAB=", "AAA=AAA=", "AA==AA==", "AAA=\n", "A A=", "AAA==", "_A=="] {
            assert_eq!(decode(other), None, "{other}");
        }
    }
}
