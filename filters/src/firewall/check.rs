//! Looking closer: whether what has the shape of a secret can be one.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};

/// Placeholders are no secrets: what stands in documentation so that nobody uses it.
pub(super) fn is_placeholder(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    let filler = |b: u8| b"x0*.-_#".contains(&b);
    let plain = lower.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    lower.bytes().all(filler)
        || lower.starts_with("your")
        || [
            "example",
            "your-",
            "your_",
            "changeme",
            "placeholder",
            "redacted",
            "xxxxxxxx",
            "dummy",
            "insert",
            "00000000000000",
        ]
        .iter()
        .any(|word| lower.contains(word))
        || matches!(plain, "" | "null" | "none" | "true" | "false" | "undefined" | "secret" | "password" | "token")
        || body.contains("...")
        || body.contains("***")
}

/// Whether a body mixes letters and digits, as random ones do and words do not.
pub(super) fn mixed(body: &str) -> bool {
    body.bytes().any(|b| b.is_ascii_digit()) && body.bytes().any(|b| b.is_ascii_alphabetic())
}

/// A body that was drawn at random, not typed: enough different characters for its length.
pub(super) fn random(body: &str) -> bool {
    let mut seen = [false; 256];
    for b in body.bytes() {
        if let Some(slot) = seen.get_mut(usize::from(b)) {
            *slot = true;
        }
    }
    let different = seen.iter().filter(|s| **s).count();
    different * 5 >= body.len().min(40) && different >= 5
}

pub(super) fn any(_: &str) -> bool {
    true
}

/// An AWS key id: in the base32 alphabet, and not the sample that every manual shows.
pub(super) fn aws_key_id(body: &str) -> bool {
    !body.ends_with("EXAMPLE") && mixed_upper(body)
}

fn mixed_upper(body: &str) -> bool {
    body.bytes().any(|b| b.is_ascii_digit()) || random(body)
}

/// OpenAI keys carry the name of the company in base64 in their middle; newer ones a longer prefix.
pub(super) fn openai(body: &str) -> bool {
    body.contains("T3BlbkFJ") || (body.len() == 48 && body.bytes().all(|b| b.is_ascii_alphanumeric()) && mixed(body))
}

/// `SG.`, 22 characters, a dot, 43 characters.
pub(super) fn sendgrid(body: &str) -> bool {
    body.split_once('.')
        .is_some_and(|(a, b)| (20..=24).contains(&a.len()) && (39..=50).contains(&b.len()) && !b.contains('.'))
}

/// Slack: groups of digits and letters between dashes.
pub(super) fn slack(body: &str) -> bool {
    body.contains('-') && mixed(body) && body.split('-').filter(|p| p.len() >= 8).count() >= 2
}

/// A webhook: three parts, the last of them long.
pub(super) fn slack_hook(body: &str) -> bool {
    let mut parts = body.split('/');
    let (Some(team), Some(app), Some(secret)) = (parts.next(), parts.next(), parts.next()) else { return false };
    team.starts_with('T') && app.starts_with('B') && secret.len() >= 20
}

/// Grafana: 32 characters, an underscore, a checksum of 8 hex digits.
pub(super) fn grafana(body: &str) -> bool {
    body.rsplit_once('_')
        .is_some_and(|(key, sum)| key.len() >= 32 && sum.len() == 8 && sum.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `.` and `_` stand where a format has them.
pub(super) fn has_dot(body: &str) -> bool {
    body.contains('.') && mixed(body)
}

/// A JSON web token: three parts, and a header that says how it is signed (RFC 7519).
pub(super) fn jwt(body: &str) -> bool {
    let mut parts = body.split('.');
    let (Some(head), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    // The rule's literal is the beginning of the header.
    let header = format!("eyJ{head}");
    claims.len() >= 8
        && signature.len() >= 16
        && decode(&header)
            .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
            .is_some_and(|h| h.get("alg").is_some())
}

/// `user:password` in front of a host, and the password is meant.
pub(super) fn userinfo(body: &str) -> bool {
    let Some((credentials, _)) = body.rsplit_once('@') else { return false };
    let Some((user, password)) = credentials.split_once(':') else { return false };
    password.len() >= 3
        && !is_placeholder(password)
        && !is_variable(password)
        && password != user
        && !password.starts_with("//")
}

/// `Basic` and base64 of `user:password`.
pub(super) fn basic(body: &str) -> bool {
    decode(body.trim_end_matches('=')).is_some_and(|bytes| {
        std::str::from_utf8(&bytes).is_ok_and(|text| {
            text.split_once(':').is_some_and(|(user, password)| {
                !user.is_empty()
                    && password.len() >= 3
                    && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
                    && !is_placeholder(password)
            })
        })
    })
}

/// 64 bytes in base64: an Azure storage key.
pub(super) fn storage_key(body: &str) -> bool {
    BASE64.decode(body.as_bytes()).is_ok_and(|bytes| bytes.len() == 64)
}

/// 32 bytes in base64: a WireGuard key.
pub(super) fn wireguard(body: &str) -> bool {
    BASE64.decode(body.as_bytes()).is_ok_and(|bytes| bytes.len() == 32)
}

/// The header of a private key block.
pub(super) fn private_key(body: &str) -> bool {
    body.contains("PRIVATE KEY")
}

/// A value that somebody assigned to something called a password: long enough, and not a variable, a
/// path, a call or a word.
pub(super) fn assigned(body: &str) -> bool {
    let body = body.trim_end_matches(['.', ':', '!', '\\']);
    body.len() >= 8
        && !is_variable(body)
        && !body.starts_with(['/', '.', '@', '&', '*', '-', '='])
        && !body.contains("://")
        && !body.contains("()")
        && !body.contains("::")
        && !body.contains("->")
        && body.bytes().any(|b| b.is_ascii_digit())
        && body.bytes().any(|b| b.is_ascii_alphabetic())
        && random(body)
        && !looks_like_code(body)
}

/// A bearer token: long, and drawn at random.
pub(super) fn bearer(body: &str) -> bool {
    mixed(body) && random(body) && !is_variable(body)
}

fn is_variable(text: &str) -> bool {
    text.starts_with(['$', '%', '{', '<'])
        || text.contains("${")
        || text.contains("{{")
        || text.contains("process.env")
        || text.contains("os.environ")
}

/// `config.password`, `get_secret_2`: names, not values.
fn looks_like_code(text: &str) -> bool {
    let words = text.bytes().all(|b| b.is_ascii_lowercase() || b"._".contains(&b) || b.is_ascii_digit());
    words && text.contains(['.', '_']) && text.bytes().filter(u8::is_ascii_digit).count() <= 2
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).or_else(|_| BASE64_NOPAD.decode(text.as_bytes())).ok()
}
