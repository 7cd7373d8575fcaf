//! A word for a secret beside a value: whether the value is one.
//!
//! What people call a secret says how much to ask of the value: a password may be two words and four
//! digits, a key has to look drawn. Types, variables, calls and paths are none.

use std::sync::LazyLock;

use super::checksum::is_miscounted;
use super::placeholder::{contains, is_placeholder, is_reference};
use super::random::{distinct, drawn, is_drawn_hex, is_uuid, surprise};
use super::words::Words;
use super::{Candidate, part, told};

/// Names in which the word for a secret does not mean one.
const NOT_SECRET: &[&str] = &[
    "_payload",
    "hash",
    "digest",
    "checksum",
    "public",
    "pubkey",
    "cache",
    "csrf",
    "xsrf",
    "count",
    "length",
    "limit",
    "max",
    "_min",
    "ttl",
    "expir",
    "name",
    "type",
    "_url",
    "-url",
    "url",
    "uri",
    "endpoint",
    "path",
    "file",
    "_dir",
    "field",
    "prefix",
    "suffix",
    "policy",
    "regex",
    "pattern",
    "label",
    "hint",
    "placeholder",
    "prompt",
    "message",
    "error",
    "reset",
    "tokeniz",
    "tokens",
    "keyboard",
    "version",
    "kind",
    "stream",
    "index",
    "offset",
    "span",
    "symbol",
    "arn",
    "next",
    "page",
    "contin",
    "cursor",
    "sync",
    "lock",
    "idempot",
    "primary",
    "foreign",
    "partition",
    "sort",
    "lookup",
    "ref",
    "_id",
    "-id",
    "format",
    "algorithm",
    "_at",
    "strategy",
    "service_account",
    "mint",
    "contract",
    "address",
    "balance",
    "lexer",
    "parser",
    "syntax",
    "class",
    "style",
    "color",
    "icon",
    "title",
    "column",
    "table",
    "i18n",
    "locale",
    "shortcut",
    "hotkey",
    "binding",
    "metadata",
    "annotation",
    "fingerprint",
    "thumbprint",
    "commit",
    "build",
    "etag",
    "trace",
    "request",
    "correlation",
    "visitor",
    "device",
    "tracking",
    "measurement",
    "analytics",
    "publishable",
    "anon_key",
    "site_key",
    "sitekey",
    "recaptcha",
    "map_key",
    "mapkey",
    "row_key",
    "object",
    "s3_key",
    "ciphertext",
    "encrypted",
    "sealed",
];

/// How what is shown to everybody begins.
const PUBLIC: &[&str] = &[
    "pk_",
    "pk-lf-",
    "pk.eyJ",
    "phc_",
    "sb_publishable_",
    "pub_",
    "ssh-rsa",
    "ssh-ed25519",
    "AAAA",
    "age1",
    "npub1",
    "-----",
    "sha256",
    "sha512",
    "sha1",
    "sha384",
    "md5:",
];

/// Names whose value may be chosen by a person.
const PASSWORDS: &[&str] =
    &["passw", "passphrase", "passcode", "pwd", "_pass", "pass", "psk", "credential", "requirepass", "masterauth"];

/// A value that is assigned to a word for a secret.
pub(super) fn assigned(candidate: &Candidate<'_>) -> bool {
    let name = name_of(candidate);
    let value = Value::of(candidate);
    if is_path(candidate) || !may_be_named(candidate) || is_no_password(candidate, value.text) {
        return false;
    }
    let header = contains(name, "x-api-key") || contains(name, "authorization");
    // Some issuers draw UUIDs; most UUIDs are no secret, so the name has to be a variable's for one.
    let issued = is_uuid(value.text)
        && !name.bytes().any(|byte| byte.is_ascii_lowercase())
        && ends(name, &["_token", "_api_key", "_secret_key", "_access_key"]);
    !value.stands_for_another() && (issued || value.is_secret(header || is_chosen(name), name))
}

/// Whether what a value is assigned to may be a name for a secret. It does not depend on the value.
pub(super) fn may_be_named(candidate: &Candidate<'_>) -> bool {
    !is_chained(candidate) && !is_harmless_name(name_of(candidate))
}

/// Whether a value beside the word for a password is a day, or the name of what keeps passwords.
fn is_no_password(candidate: &Candidate<'_>, value: &str) -> bool {
    let before = part(candidate.text, 0..candidate.start);
    told::is_date(value) || told::is_keeper(before, candidate.head(), value)
}

/// A value behind an option's name: `--db-password x`.
pub(super) fn assigned_flag(candidate: &Candidate<'_>) -> bool {
    is_flag(candidate) && assigned(candidate)
}

/// Whether what stands before a value is an option's name.
pub(super) fn is_flag(candidate: &Candidate<'_>) -> bool {
    name_of(candidate).starts_with('-')
}

/// A value that is assigned to what is called a key or the like: it has to look drawn.
pub(super) fn assigned_key(candidate: &Candidate<'_>) -> bool {
    let name = name_of(candidate);
    let value = Value::of(candidate);
    let shouted = name.len() >= 5 && !name.bytes().any(|byte| byte.is_ascii_lowercase());
    let trusted =
        shouted || ["api", "secret", "auth", "sign", "crypt", "access", "private"].iter().any(|w| contains(name, w));
    if is_harmless_key(candidate) || value.stands_for_another() || value.text.len() < 20 {
        return false;
    }
    if is_drawn_hex(value.text) {
        return trusted && value.text.len() >= 32;
    }
    let slashes = value.text.bytes().filter(|byte| *byte == b'/').count();
    let letters =
        value.text.bytes().any(|b| b.is_ascii_uppercase()) && value.text.bytes().any(|b| b.is_ascii_lowercase());
    let digits = value.text.bytes().any(|b| b.is_ascii_digit());
    slashes * 8 <= value.text.len()
        && digits
        && (letters || trusted)
        && surprise(value.text) >= 0.7 * value.text.len() as f32
}

/// Whether what is called a key or the like is none. It does not depend on the value.
pub(super) fn is_harmless_key(candidate: &Candidate<'_>) -> bool {
    is_harmless_name(name_of(candidate))
}

/// A value that somebody tells in a sentence.
pub(super) fn told(candidate: &Candidate<'_>) -> bool {
    let text = candidate.secret.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '*']);
    let value = Value { text, quoted: false };
    if !may_be_named(candidate)
        || value.stands_for_another()
        || is_harmless_name(candidate.head())
        || is_address(text)
        || is_uuid(text)
        || is_no_password(candidate, text)
        // The second half of a path: `Secrets::Aes128Gcm`.
        || text.starts_with(':')
        || told::is_type(candidate.head(), text)
    {
        return false;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    // Where nothing says that the word before it names it, only what nobody would write counts.
    let bare =
        !candidate.head().trim_end_matches(['"', '\'', '`', '(', '*', '_']).trim_end().contains([' ', ':', '\t'])
            && candidate.head().is_ascii();
    if bare {
        return text.len() >= 16 && digits > 0 && letters > 3 && surprise(text) >= 0.6 * text.len() as f32;
    }
    let before = || part(candidate.text, 0..candidate.start);
    is_unwritten(text)
        || (digits > 0 && text.len() >= 8 && told::is_password(before(), candidate.head(), candidate.secret))
}

/// A value of which a short word, or the sentence around it, says that it is a password.
pub(super) fn told_password(candidate: &Candidate<'_>) -> bool {
    let text = candidate.secret.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '*']);
    let value = Value { text, quoted: false };
    !value.stands_for_another() && !is_address(text) && !is_uuid(text) && !told::is_date(text) && is_unwritten(text)
}

/// Whether nobody would write it for anything else than a password: letters, digits and marks, or what was drawn.
fn is_unwritten(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let marks = text.bytes().filter(|byte| b"!@#$%^&*?~".contains(byte)).count();
    let spoken = marks > 0 && digits > 0 && letters >= 4 && text.len() >= 8 && !text.contains(['(', '[', '{', '=']);
    let random = text.len() >= 10 && digits > 0 && letters > 1 && drawn(text, 0.6) && !text.contains("::");
    spoken || random
}

/// The password of a URL or of a line of logins.
pub(super) fn userinfo(candidate: &Candidate<'_>) -> bool {
    // A token may be both; then its first place tells nothing of the second.
    let before = candidate.matched.split(candidate.secret).next().unwrap_or_default();
    let user = before.trim_end_matches([':', '/', ' ']).rsplit([':', '/', ' ']).next().unwrap_or_default();
    !candidate.matched.contains("${") && is_login_password(user, candidate.secret)
}

/// Whether a password beside a user's name can be one.
pub(super) fn is_login_password(user: &str, password: &str) -> bool {
    let digits = password.bytes().filter(u8::is_ascii_digit).count();
    let large = password.bytes().any(|byte| byte.is_ascii_uppercase());
    let marks = password.bytes().any(|byte| !byte.is_ascii_alphanumeric() && !b"-_.".contains(&byte));
    let mixed = (digits > 0 && digits < password.len()) || marks || large || surprise(password) > 8.0;
    password.len() >= 5
        && mixed
        && !password.eq_ignore_ascii_case(user)
        && !is_placeholder(password)
        && !is_reference(password)
        && !password.contains(['(', ')', '{', '}', '|'])
}

/// A password behind an option that can also mean a port or a database.
pub(super) fn flag_password(candidate: &Candidate<'_>) -> bool {
    let text = candidate.secret;
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    !text.contains([':', '/', '=', '.'])
        && digits > 0
        && surprise(text) > -0.5 * text.len() as f32
        && is_login_password("", text)
}

/// A password in quotes.
pub(super) fn password(candidate: &Candidate<'_>) -> bool {
    let value = Value { text: candidate.secret, quoted: true };
    !value.stands_for_another() && value.is_secret(true, "password")
}

/// What follows a word that has many other meanings: it has to look drawn.
pub(super) fn password_random(candidate: &Candidate<'_>) -> bool {
    let value = Value { text: candidate.secret, quoted: false };
    !value.stands_for_another()
        && drawn(candidate.secret, 0.6)
        && candidate.secret.bytes().any(|byte| byte.is_ascii_digit())
}

/// What a bearer shows.
pub(super) fn credential(candidate: &Candidate<'_>) -> bool {
    let text = candidate.secret;
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    !is_placeholder(text)
        && !is_reference(text)
        && !is_miscounted(text)
        && digits
        && (drawn(text, 0.3) || is_uuid(text))
}

/// The value of a session's cookie.
pub(super) fn cookie(candidate: &Candidate<'_>) -> bool {
    let text = candidate.secret.strip_prefix("s%3A").unwrap_or(candidate.secret);
    let text = part(text, 0..text.find(['%', '.']).unwrap_or(text.len()));
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    !is_placeholder(text)
        && !is_reference(text)
        && text.len() >= 16
        && digits
        && !is_uuid(text)
        && distinct(text) >= 8
        && drawn(text, 0.4)
}

/// Whether a text can be what a person chose for a password.
pub(super) fn can_be_chosen(text: &str) -> bool {
    Value { text, quoted: false }.is_secret(true, "")
}

/// A value, as it stands between its delimiters.
struct Value<'t> {
    text: &'t str,
    quoted: bool,
}

impl<'t> Value<'t> {
    fn of(candidate: &Candidate<'t>) -> Self {
        let before = candidate.head();
        let quoted = before.ends_with(['"', '\'', '`', '>']);
        let mut text = candidate.secret;
        if !quoted {
            // What goes on behind it is not the value's: `Password=abc;Encrypt=true`, `?token=abc&page=2`.
            text = part(text, 0..text.find([';', '&', ',', '|']).unwrap_or(text.len()));
            text = text.trim_end_matches([')', ']', '}', '.', ':']);
        }
        Self { text: text.trim_end_matches('\\'), quoted }
    }

    /// Whether it is a variable, a type, a call, a path or a stopgap.
    fn stands_for_another(&self) -> bool {
        let text = self.text;
        if PUBLIC.iter().any(|start| text.starts_with(start)) {
            return true;
        }
        let starts = if self.quoted {
            text.starts_with(['/', '~'])
        } else {
            text.starts_with(['/', '~', '.', '(', '@', '*', '&', '!', '-', '|'])
        };
        let call = text
            .bytes()
            .zip(text.bytes().skip(1))
            .any(|(a, b)| matches!(b, b'(' | b'[') && (a.is_ascii_alphanumeric() || a == b'_' || a == b'>'));
        let path = text.contains("::")
            || text.contains("->")
            || text.contains("://")
            || text.contains("=>")
            || text.contains("../");
        let dotted =
            !self.quoted && text.contains('.') && text.split('.').all(|word| surprise(word) < 0.4 * word.len() as f32);
        starts
            || path
            || dotted
            || (call && surprise(text) < 0.5 * text.len() as f32)
            || is_reference(text)
            || is_placeholder(text)
            || is_miscounted(text)
    }

    /// Whether it can be a secret: one that a person may have `chosen`, or one that was drawn.
    fn is_secret(&self, chosen: bool, name: &str) -> bool {
        let text = self.text;
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
        let large = text.bytes().any(|byte| byte.is_ascii_uppercase());
        let small = text.bytes().any(|byte| byte.is_ascii_lowercase());
        let marks = text.bytes().any(|byte| b"!@#$%^&*+=?~".contains(&byte));
        let length = text.len();
        if is_uuid(text) {
            return contains(name, "password")
                || ends(name, &["api_key", "apikey", "api-key", "secret", "access_token", "auth_token"]);
        }
        if digits == length || letters == 0 {
            return false;
        }
        let hex = length >= 16
            && length.is_multiple_of(2)
            && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            && distinct(text) >= 7;
        let random = length >= 12
            && (digits > 0 || length >= 24)
            && surprise(text.trim_end_matches('=')) >= 0.45 * length as f32 + 1.0;
        if (hex && digits > 0 && letters > 1) || random {
            return true;
        }
        let spoken = marks
            && digits > 0
            && letters >= 4
            && length >= 8
            && !text.contains(['(', ')', '{', '}', '<', '>', ',', ' ']);
        if !chosen {
            return spoken && length >= 12 && (self.quoted || !text.contains(['=', '&', '*', '?']));
        }
        let shaped = large && small && digits > 1 && length >= 8;
        let odd = digits > 0 && length >= 8 && surprise(text) >= 0.25 * length as f32;
        spoken
            || (shaped && (self.quoted || surprise(text) > -0.8 * length as f32) && !is_identifier(text))
            || odd
            || is_passphrase(text)
    }
}

/// Three words or more in a row, of the kind that a person remembers: `correct-horse-battery-9`.
fn is_passphrase(text: &str) -> bool {
    const TECHNICAL: &[&str] = &[
        "cred", "access", "control", "pass", "secret", "token", "key", "auth", "user", "login", "file", "service",
        "db", "min", "max",
    ];
    let words = text.split(['-', '.', ' ', '+']).filter(|word| !word.is_empty());
    let digits = words.clone().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()) && word.len() <= 4).count();
    let plain = words
        .clone()
        .filter(|word| word.len() >= 3 && word.bytes().skip(1).all(|byte| byte.is_ascii_lowercase()))
        .count();
    let all = words.count();
    let technical = TECHNICAL.iter().any(|word| contains(text, word));
    plain + digits == all && !technical && ((plain >= 3 && digits >= 1) || plain >= 4)
}

/// Whether the word is a part of a name of many parts: `arn:aws:secretsmanager:…:secret:shop/db`.
fn is_chained(candidate: &Candidate<'_>) -> bool {
    let mut before = part(candidate.text, 0..candidate.start).bytes().rev();
    before.next() == Some(b':') && before.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// Whether two colons lead to a variant or a function, as in `PrivateKeyDer::Pkcs8(key)`.
fn is_path(candidate: &Candidate<'_>) -> bool {
    let sign = candidate.head();
    let called = candidate.secret.strip_prefix(':').and_then(|path| path.split_once('('));
    sign.ends_with(':')
        && called
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

/// Whether it reads like a name in code: words, and a number at most.
fn is_identifier(text: &str) -> bool {
    text.contains('_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && surprise(text) < -0.5 * text.len() as f32
}

/// Whether it is the address of a person or a host, or a place in one.
fn is_address(text: &str) -> bool {
    let host = text.rsplit('@').next().unwrap_or_default();
    let named = text.contains('@')
        && host.contains('.')
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    named || text.contains("://") || text.starts_with("www.")
}

/// The whole name before the value, also what of it stands before the match.
fn name_of<'t>(candidate: &Candidate<'t>) -> &'t str {
    let bytes = candidate.text.as_bytes();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let before = bytes.get(..candidate.start).unwrap_or_default();
    let first = before.iter().rev().take(64).take_while(|byte| is_name(byte)).count();
    let start = candidate.start - first;
    let rest = bytes.get(candidate.start..).unwrap_or_default();
    let skip = rest.iter().take_while(|byte| !is_name(byte)).take(4).count();
    let length = skip + rest.iter().skip(skip).take(96).take_while(|byte| is_name(byte)).count();
    part(candidate.text, start..candidate.start + length)
}

/// Where a value ends that a query gives, since another one follows: `?token=abc&page=2`.
pub(super) fn end_in_query(candidate: &Candidate<'_>) -> Option<usize> {
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let before = candidate.text.as_bytes().get(..candidate.start).unwrap_or_default();
    let name = before.iter().rev().take(64).take_while(is_name).count();
    let asked = before.iter().rev().nth(name).is_some_and(|byte| b"?&".contains(byte));
    candidate.secret.find('&').filter(|_| asked && candidate.head().ends_with('='))
}

/// Whether a person chooses what it names.
fn is_chosen(name: &str) -> bool {
    static CHOSEN: LazyLock<Words> = LazyLock::new(|| Words::new(PASSWORDS));
    CHOSEN.any(name)
}

fn is_harmless_name(name: &str) -> bool {
    static KNOWN: LazyLock<Words> = LazyLock::new(|| Words::new(NOT_SECRET));
    KNOWN.any(name)
}

fn ends(name: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        name.len()
            .checked_sub(word.len())
            .and_then(|at| name.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(word))
    })
}
