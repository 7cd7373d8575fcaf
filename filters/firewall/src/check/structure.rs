//! Tokens and keys that say by their inside what they are.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};

use super::placeholder::{contains, is_placeholder, is_reference};
use super::random::{drawn, surprise};
use super::{Candidate, part};

/// A private key's body: DER, or the magic of OpenSSH, or encrypted and so random.
pub(super) fn pem_body(candidate: &Candidate<'_>) -> bool {
    let body = base64_of(candidate.secret);
    let Some(head) = body.get(..40) else { return false };
    let bytes = BASE64.decode(head.as_bytes()).unwrap_or_default();
    let der = matches!(bytes.as_slice(), [0x30, 0x80..=0x84, ..] | [0x30, 0x20..=0x7f, 0x02, ..]);
    let known = bytes.starts_with(b"openssh-key-v1\0") || der;
    // A row of words has letters as well.
    (known && surprise(&body) > 0.0) || drawn(&body, 0.8)
}

/// A token whose first part is a JSON object with an `alg`, and that is not the one of all textbooks.
pub(super) fn jwt(candidate: &Candidate<'_>) -> bool {
    let mut parts = candidate.secret.split('.');
    let mut json = || parts.next().and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
    let Some(header) = json().and_then(|bytes| String::from_utf8(bytes).ok()) else { return false };
    let claims = json().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    header.starts_with('{') && header.contains("\"alg\"") && !(claims.contains("1234567890") && claims.contains("John"))
}

/// So far from a secret stands what says of what kind it is: in a JSON Web Key, and in a query.
pub(super) const NEAR_KEY: usize = 2048;
pub(super) const NEAR_SIGNATURE: usize = 512;

/// The private part of a JSON Web Key: it says of what kind the key is, close by.
pub(super) fn jwk(candidate: &Candidate<'_>) -> bool {
    let near = super::around(candidate, NEAR_KEY);
    near.contains("kty") && drawn(candidate.secret, 0.5)
}

/// Base64 of a key: 32 or 64 bytes.
pub(super) fn base64_key(candidate: &Candidate<'_>) -> bool {
    let bytes = BASE64.decode(candidate.secret.as_bytes()).map(|bytes| bytes.len());
    // The corpus of a careless generator sets bits beyond the end.
    let length = candidate.secret.trim_end_matches('=').len() * 6 / 8;
    matches!(bytes.unwrap_or(length), 32 | 48 | 64)
}

/// The signature of a shared access signature: 32 bytes, and the version or the end beside it.
pub(super) fn azure_sas(candidate: &Candidate<'_>) -> bool {
    let plain = candidate.secret.replace("%2B", "+").replace("%2b", "+").replace("%2F", "/").replace("%2f", "/");
    let plain = plain.replace("%3D", "=").replace("%3d", "=");
    let near = super::around(candidate, NEAR_SIGNATURE);
    let companion = ["sv=", "se=", "skoid", "skn="].iter().any(|name| near.contains(name));
    companion && plain.trim_end_matches('=').len() == 43 && drawn(plain.trim_end_matches('='), 0.5)
}

/// Credentials of HTTP Basic authentication: `user:password` in base64.
pub(super) fn basic_auth(candidate: &Candidate<'_>) -> bool {
    let encoded = candidate.secret.trim_end_matches('=');
    let Some(text) = credentials(encoded.as_bytes()) else { return false };
    let Some((user, password)) = text.split_once(':') else { return drawn(&text, 0.5) };
    !user.contains(' ') && super::assigned::is_login_password(user, password)
}

/// Whether the last word of these bytes may be such credentials: most words of a text are base64 of nothing.
pub(super) fn may_be_basic_auth(bytes: &[u8]) -> bool {
    let is_symbol = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let end = bytes.iter().rposition(is_symbol).map_or(0, |last| last + 1);
    let before = bytes.get(..end).unwrap_or_default();
    let start = before.iter().rposition(|byte| !is_symbol(byte)).map_or(0, |last| last + 1);
    before.get(start..).and_then(credentials).is_some()
}

/// What these symbols say in base64, if it may be credentials: with a colon, or long.
fn credentials(encoded: &[u8]) -> Option<String> {
    let text = String::from_utf8(BASE64_NOPAD.decode(encoded).ok()?).ok()?;
    ((text.contains(':') || text.len() >= 24) && !text.chars().any(char::is_control)).then_some(text)
}

/// Base64 of something in PEM.
pub(super) fn base64_pem(candidate: &Candidate<'_>) -> bool {
    let head = candidate.secret.get(..16).and_then(|head| BASE64.decode(head.as_bytes()).ok());
    head.is_some_and(|head| head.starts_with(b"-----BEGIN"))
}

/// A Discord token: its first part is the number of the bot's account.
pub(super) fn discord_id(candidate: &Candidate<'_>) -> bool {
    let first = candidate.secret.split('.').next().unwrap_or_default();
    let decoded = BASE64URL_NOPAD.decode(first.as_bytes()).unwrap_or_default();
    decoded.len() >= 15 && decoded.iter().all(u8::is_ascii_digit)
}

/// Words of a wallet: none of them comes often, and none is a word that holds sentences together.
pub(super) fn seed_phrase(candidate: &Candidate<'_>) -> bool {
    const GLUE: &[&str] =
        &["the", "and", "for", "was", "were", "are", "that", "this", "with", "when", "who", "which", "has"];
    let words: Vec<&str> = candidate.secret.split(' ').collect();
    let repeated = words.iter().any(|word| words.iter().filter(|other| *other == word).count() > 2);
    let counted = matches!(words.len(), 12 | 15 | 18 | 21 | 24);
    counted && !repeated && !words.iter().any(|word| GLUE.contains(word))
}

/// Whether a value is given here, and does not stand for one that is elsewhere.
pub(super) fn not_reference(candidate: &Candidate<'_>) -> bool {
    !is_reference(candidate.secret) && !is_placeholder(candidate.secret) && !contains(candidate.secret, "token")
}

/// The part behind the last dot looks drawn.
pub(super) fn random_tail(candidate: &Candidate<'_>) -> bool {
    drawn(candidate.secret.rsplit('.').next().unwrap_or_default(), 0.5)
}

/// The first some hundred characters of base64 in a block: without line breaks, escapes and quotes.
fn base64_of(block: &str) -> String {
    let mut out = String::new();
    let mut escaped = false;
    // Lines about the key come before it, and have a colon.
    let body = block.rfind(": ").map_or(block, |at| {
        let after = part(block, at..block.len());
        after.find(['\n', '\\']).map_or(block, |end| part(after, end..after.len()))
    });
    for c in body.chars().filter(|c| !c.is_whitespace()) {
        match c {
            '\\' => escaped = true,
            'n' | 'r' | 't' if escaped => escaped = false,
            '=' => break,
            c if c.is_ascii_alphanumeric() || c == '+' || c == '/' => {
                escaped = false;
                out.push(c);
            }
            _ => escaped = false,
        }
        if out.len() >= 400 {
            break;
        }
    }
    out
}
