//! What stands in documentation and configuration so that nobody uses it as it is.

use std::sync::LazyLock;

use super::published::is_published;
use super::words::Words;

/// Parts that no secret has. Short ones are found between other characters only.
const WORDS: &[&str] = &[
    "example",
    "placeholder",
    "changeme",
    "change-me",
    "change_me",
    "changeit",
    "replaceme",
    "replace_",
    "replace-",
    "redacted",
    "your-",
    "your_",
    "yourtoken",
    "yourkey",
    "yourapi",
    "yoursecret",
    "yourpass",
    "insert",
    "notasecret",
    "not-a-",
    "not_a_",
    "dummy",
    "foobar",
    "lorem",
    "sample",
    "masked",
    "deadbeef",
    "00000000",
    "11111111",
    "xxxx",
    "****",
    "....",
    "____",
    "----",
    "\u{2026}",
    "\u{2022}\u{2022}",
    "12345678",
    "abcdefgh",
    "qwerty",
    "my-secret",
    "my_secret",
    "mysecret",
    "mypassword",
    "my-password",
    "my_password",
    "supersecret",
    "super-secret",
    "super_secret",
    "secretpassword",
    "password123",
    "passw0rd",
    "p@ssw",
    "letmein",
    "s3cr3t",
    "s3cret",
    "hunter2",
    "correcthorse",
    "test_key",
    "test-key",
    "testkey",
    "testtoken",
    "test_token",
    "test-token",
    "fake_",
    "fake-",
    "bogus",
    "invalid",
];

/// Words that say nothing when they are all there is, in order.
const EMPTY: &[&str] = &[
    "a",
    "abc",
    "access",
    "account",
    "admin",
    "an",
    "and",
    "any",
    "api",
    "apikey",
    "app",
    "auth",
    "authorization",
    "bar",
    "base",
    "baz",
    "bearer",
    "bot",
    "client",
    "code",
    "config",
    "cred",
    "credential",
    "credentials",
    "current",
    "data",
    "database",
    "db",
    "default",
    "demo",
    "dev",
    "empty",
    "env",
    "fake",
    "false",
    "field",
    "file",
    "foo",
    "for",
    "get",
    "guest",
    "hash",
    "here",
    "id",
    "in",
    "input",
    "is",
    "key",
    "local",
    "localhost",
    "login",
    "me",
    "mock",
    "my",
    "mysql",
    "name",
    "new",
    "nil",
    "no",
    "none",
    "not",
    "null",
    "of",
    "old",
    "optional",
    "or",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "postgres",
    "private",
    "prod",
    "pwd",
    "random",
    "redis",
    "required",
    "root",
    "sa",
    "secret",
    "server",
    "service",
    "session",
    "set",
    "some",
    "something",
    "str",
    "string",
    "super",
    "system",
    "temp",
    "test",
    "testing",
    "the",
    "this",
    "tmp",
    "to",
    "todo",
    "token",
    "true",
    "type",
    "unset",
    "user",
    "username",
    "value",
    "with",
    "your",
];

/// Passwords of documentation, which are no part of others: RFC 7617's, and the one that everybody writes.
const PRINTED: &[&str] = &["open sesame", "p@ssword", "p@ssw0rd", "passw0rd", "pa$$word", "pa$$w0rd"];

/// Whether it is there to be replaced, or masked, or counted up, or printed for everybody.
pub(crate) fn is_placeholder(text: &str) -> bool {
    static KNOWN: LazyLock<Words> = LazyLock::new(|| Words::new(WORDS));
    KNOWN.any(text)
        || is_repetitive(text)
        || says_nothing(text)
        || PRINTED.iter().any(|printed| printed.eq_ignore_ascii_case(text))
        || is_published(text)
}

/// Whether a value stands for one that is elsewhere: a variable, a template, a call.
pub(crate) fn is_reference(text: &str) -> bool {
    const STARTS: &[&str] = &[
        "$",
        "<",
        "{",
        "[",
        "%(",
        "%{",
        "%s",
        "#{",
        "arn:",
        "op://",
        "vault:",
        "ssm:",
        "ref+",
        "file:",
        "env:",
        "enc[",
        "secretsmanager:",
        "keyvault",
        "sm://",
        "gcp-secret",
        "awssm:",
        "kms:",
        "keyring:",
    ];
    const INSIDE: &[&str] = &[
        "${",
        "{{",
        "}}",
        "$(",
        "$env",
        "{}",
        "process.env",
        "environ",
        "getenv",
        "import.meta",
        "secrets.",
        "env.",
        "env[",
        "config.",
        "settings.",
        "/run/secrets",
        "secretmanager",
        "std::",
        "self.",
        "this.",
        "props.",
        "string.",
        "&'",
        "'static",
        "undefined",
        "null",
        "<%",
        "@{",
        "system.",
    ];
    static KNOWN: LazyLock<Words> = LazyLock::new(|| Words::new(INSIDE));
    let trimmed = text.trim_start_matches(['"', '\'', '`']);
    STARTS.iter().any(|start| trimmed.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)))
        || KNOWN.any(text)
        || (trimmed.starts_with('%') && trimmed.ends_with('%'))
}

/// Whether it is found in a text, in any ASCII case.
pub(crate) fn contains(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let Some(first) = part.first() else { return true };
    text.windows(part.len())
        .any(|at| at.first().is_some_and(|byte| byte.eq_ignore_ascii_case(first)) && at.eq_ignore_ascii_case(part))
}

/// Whether the letters in it are words that say nothing: `Password123`, `my_api_key_1`.
fn says_nothing(text: &str) -> bool {
    let mut any = false;
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.flat_map(humps).all(|word| {
        any = true;
        let small = || word.bytes().map(|byte| byte.to_ascii_lowercase());
        EMPTY.binary_search_by(|empty| empty.bytes().cmp(small())).is_ok()
    }) && any
}

/// The parts of a word in camel case.
fn humps(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let bytes = rest.as_bytes();
        let small = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_lowercase);
        let end = (1..bytes.len()).find(|at| small(at - 1) && !small(*at)).unwrap_or(bytes.len());
        let (hump, after) = rest.split_at_checked(end)?;
        rest = after;
        (!hump.is_empty()).then_some(hump)
    })
}

/// Whether one character runs on, the characters count up or down, or a few of them are all there is.
fn is_repetitive(text: &str) -> bool {
    let bytes = text.as_bytes();
    let longest = |step: i16| {
        let mut run = 1;
        let runs = bytes.windows(2).map(|pair| {
            let along = matches!(pair, [a, b] if i16::from(*b) - i16::from(*a) == step);
            run = if along { run + 1 } else { 1 };
            run
        });
        runs.max().unwrap_or(0)
    };
    let few = super::random::distinct(text) * 4 <= text.len().min(24);
    longest(0) >= 6 || longest(1) >= 7 || longest(-1) >= 7 || few || is_periodic(bytes)
}

/// Whether it is one short piece, over and over.
fn is_periodic(bytes: &[u8]) -> bool {
    (1..=bytes.len() / 3).take(24).any(|period| {
        let ahead = bytes.iter().skip(period);
        bytes.len() >= 9 && bytes.iter().zip(ahead).all(|(one, other)| one == other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_secrets() {
        let nobody = [
            "your-api-key",
            "AKIAIOSFODNN7EXAMPLE",
            "xxxxxxxxxxxx",
            "changeme-now",
            "p@ssw0rd",
            "open sesame",
            "abcabcabcabc",
            "Password123",
            "my_api_key_1",
            "********",
            "0123456789abcdef0123",
            "test1234",
            "TOKEN_2",
            "aaaaaaaaaaaa1",
            "YourTokenHere",
        ];
        for text in nobody {
            assert!(is_placeholder(text), "{text}");
        }
        for seed in 0..300 {
            for template in ["{b62:20}", "{hex:32}", "{b64url:60}", "Delta*willow{digit:4}", "{upnum:16}"] {
                let text = crate::sample::draw(template, seed).unwrap();
                assert!(!is_placeholder(&text), "{template} with seed {seed}");
            }
        }
    }

    #[test]
    fn empty_words_are_in_order() {
        assert!(EMPTY.is_sorted());
        assert!(EMPTY.iter().all(|word| says_nothing(&word.to_ascii_uppercase())));
    }

    #[test]
    fn references_are_told_from_values() {
        for text in
            ["${TOKEN}", "$TOKEN", "{{ token }}", "process.env.TOKEN", "<token>", "%TOKEN%", "op://vault/x", "%s"]
        {
            assert!(is_reference(text), "{text}");
        }
        assert!(!is_reference("Delta*willow12"));
    }
}
