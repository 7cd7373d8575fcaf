//! Secrets that the gate hands out once and keeps only a digest of: API keys, enrolment tokens.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The random bytes of a token: 256 bits, so that its plain digest cannot be searched.
const BYTES: usize = 32;
/// How long a token is after its prefix, in characters.
const LENGTH: usize = 43;

/// A new token with this prefix. It is shown once; what is kept is its [`digest`].
///
/// # Errors
/// When the system gives no random bytes.
pub fn generate(prefix: &str) -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0u8; BYTES]);
    getrandom::fill(&mut *bytes)?;
    Ok(Zeroizing::new(format!("{prefix}{}", BASE64URL_NOPAD.encode(&*bytes))))
}

/// Whether a text has the form of a token with this prefix.
#[must_use]
pub fn has_form(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == LENGTH && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// What is kept of a token: its SHA-256 in hex, under a name of its own for each kind. The token is
/// random and long, so that nothing is gained by trying; two digests are compared, never two tokens.
#[must_use]
pub fn digest(kind: &str, token: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"portcullis ");
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(token.as_bytes());
    HEXLOWER.encode(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_differ() {
        let (one, two) = (generate("pck_").unwrap(), generate("pck_").unwrap());
        assert_ne!(*one, *two);
        assert!(has_form(&one, "pck_") && !has_form(&one, "pce_"));
        for wrong in ["pck_", &one[..40], &format!("{}x", *one), &format!("{}=", &one[..46])] {
            assert!(!has_form(wrong, "pck_"), "{wrong}");
        }
        assert_ne!(digest("a", &one), digest("b", &one));
        assert_eq!(digest("a", &one), digest("a", &one));
    }
}
