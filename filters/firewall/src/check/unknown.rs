//! Tokens of issuers that no rule names: a short prefix, and a body that was drawn.
//!
//! Most of what looks like that is none: names of objects in an issuer's API, hashes, builds, parts of
//! URLs. So the prefix has to say what it is, or the body has to be long and mixed, and nothing around
//! it may say that it is something else.

use std::ops::Range;
use std::sync::LazyLock;

use wide::u8x16;

use super::checksum::is_miscounted;
use super::placeholder::is_placeholder;
use super::random::{is_uuid, surprise};
use super::words::Words;
use super::{Candidate, part};

/// As many bytes are looked at together.
const BLOCK: usize = 64;

/// Words in a prefix that only credentials have.
const CREDENTIAL: &[&str] = &[
    "sk", "rk", "sec", "secret", "key", "pat", "tok", "token", "api", "apikey", "live", "auth", "access", "priv", "rt",
    "refresh", "deploy", "whs", "whsec", "bot", "admin", "root", "pwd", "pass", "prod", "svc", "sa", "cred", "oauth",
];

/// Prefixes of what is shown to everybody: names of objects, public keys, files, hashes.
const HARMLESS: &[&str] = &[
    "pk",
    "pub",
    "public",
    "publishable",
    "phc",
    "cache",
    "build",
    "commit",
    "sha",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "md5",
    "blake2",
    "blake3",
    "h1",
    "css",
    "jsx",
    "js",
    "chunk",
    "main",
    "index",
    "bundle",
    "vendor",
    "img",
    "image",
    "asset",
    "assets",
    "file",
    "page",
    "user",
    "usr",
    "cus",
    "customer",
    "pi",
    "ch",
    "acct",
    "req",
    "evt",
    "event",
    "msg",
    "message",
    "run",
    "thread",
    "asst",
    "chatcmpl",
    "cmpl",
    "call",
    "toolu",
    "srvtoolu",
    "resp",
    "rs",
    "fc",
    "ws",
    "batch",
    "step",
    "vs",
    "org",
    "proj",
    "project",
    "txn",
    "sub",
    "price",
    "product",
    "in",
    "ii",
    "seti",
    "pm",
    "ba",
    "card",
    "cs",
    "we",
    "src",
    "i",
    "ami",
    "vol",
    "sg",
    "subnet",
    "vpc",
    "snap",
    "eni",
    "rtb",
    "acl",
    "urn",
    "arn",
    "id",
    "uid",
    "uuid",
    "guid",
    "session",
    "trace",
    "span",
    "request",
    "node",
    "pod",
    "job",
    "task",
    "deployment",
    "replicaset",
    "sym",
    "fn",
    "func",
    "type",
    "struct",
    "zn",
    "r",
    "gen",
    "ft",
    "model",
    "dataset",
    "layer",
    "etag",
    "rev",
    "hash",
    "digest",
    "nonce",
    "ver",
    "version",
    "release",
    "tag",
    "branch",
    "merge",
    "diff",
    "patch",
    "doc",
    "ref",
    "link",
    "item",
    "list",
    "group",
    "team",
    "order",
    "invoice",
    "payment",
    "charge",
    "refund",
    "plan",
    "coupon",
    "cls",
    "container",
    "img",
    "network",
    "volume",
    "secretsmanager",
    "bkt",
    "bucket",
    "test",
    "spec",
    "mock",
    "fixture",
    "seed",
    "mcpl",
    "mcp",
    "conv",
    "conversation",
    "chat",
    "upload",
    "blob",
    "track",
    "album",
    "playlist",
    "video",
    "channel",
    "cdn",
    "static",
    "font",
    "icon",
    "svg",
    "png",
    "age1",
    "bc1q",
    "npub1",
    "did",
    "peer",
    "cid",
    "tx",
    "addr",
    "ulid",
];

/// Words before it on its line that say what else it is.
const OTHER: &[&str] = &[
    "sha1",
    "sha256",
    "sha384",
    "sha512",
    "sha-",
    "md5",
    "integrity",
    "checksum",
    "digest",
    "hash",
    "base64",
    "etag",
    "nonce",
    "commit",
    "revision",
    "trace",
    "cache",
    "fingerprint",
    "public",
    "publishable",
    "-id:",
    "ssh-",
    "ecdsa-",
    "url(",
    "src=",
    "href=",
    "://",
    "resolved",
    "narhash",
    "cid",
    "ipfs",
    "symbol",
    "page",
    "contin",
    "cursor",
    "csrf",
    "xsrf",
    "verification",
];

/// Whether it looks like the token of an issuer that no rule names.
pub(super) fn unknown_token(candidate: &Candidate<'_>) -> bool {
    let run = candidate.matched.trim_matches(['.', '-', '_', '~']);
    // Most of what is seen here is a name or a path: what takes little to tell comes first.
    if !may_be_issued(run.as_bytes()) || !is_free(candidate) {
        return false;
    }
    let Some((prefix, body)) = split(run) else { return false };
    let mut credential = false;
    for word in prefix.split(['_', '-', '.']) {
        if HARMLESS.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            return false;
        }
        credential |= CREDENTIAL.iter().any(|known| known.eq_ignore_ascii_case(word));
    }
    if !looks_issued(prefix, body, credential) || is_placeholder(run) || is_miscounted(run) {
        return false;
    }
    let before = line_before(candidate);
    static KNOWN: LazyLock<Words> = LazyLock::new(|| Words::new(OTHER));
    !KNOWN.any(before) && !is_name_of_object(before)
}

/// Whether any end of it can be a body as `looks_issued` wants it: mixed, or in one piece, or a UUID.
pub(super) fn may_be_issued(run: &[u8]) -> bool {
    let is_mark = |byte: &u8| matches!(*byte, b'_' | b'-' | b'.' | b'~');
    let end = run.iter().rposition(|byte| !is_mark(byte)).map_or(0, |last| last + 1);
    let run = run.get(..end).unwrap_or_default();
    let (mut large, mut small, mut digits, mut last) = (0, 0, 0, 0);
    for byte in run {
        large += usize::from(byte.is_ascii_uppercase());
        small += usize::from(byte.is_ascii_lowercase());
        digits += usize::from(byte.is_ascii_digit());
        last = if is_mark(byte) { 0 } else { last + 1 };
    }
    match digits {
        _ if run.len() < 20 => false,
        0 => last >= 32 && large > 4 && small > 4,
        _ => (large > 1 && small > 1) || last >= 20 || (last == 12 && run.len() > 36),
    }
}

/// Whether any part of a run in a text may [be issued](may_be_issued), as far as 64 bytes show.
pub(crate) fn may_have_issued(text: &[u8], run: &Range<usize>) -> bool {
    let Some(block) = text.get(run.start..).and_then(<[u8]>::first_chunk).filter(|_| run.len() <= BLOCK) else {
        return true;
    };
    let here = u64::MAX >> (BLOCK - run.len().max(1));
    let [large, small, digit] = kinds(block).map(|bits| bits & here);
    let more_than = |count: u32| large.count_ones() > count && small.count_ones() > count;
    let any_row = |least: u32| has_row(large | small | digit, least);
    match digit {
        _ if run.len() < 20 => false,
        0 => more_than(4) && any_row(32),
        _ => more_than(1) || any_row(if run.len() > 36 { 12 } else { 20 }),
    }
}

/// Whether so many bits are set in a row.
fn has_row(mut bits: u64, least: u32) -> bool {
    let mut known = 1;
    while known * 2 <= least {
        bits &= bits >> known;
        known *= 2;
    }
    bits & bits >> (least - known) != 0
}

/// Which of 64 bytes are large letters, small ones, and digits.
fn kinds(block: &[u8; BLOCK]) -> [u64; 3] {
    let mut kinds = [0; 3];
    for (number, part) in (0u32..).zip(block.as_chunks::<16>().0) {
        let part = u8x16::new(*part);
        for (bits, (first, count)) in kinds.iter_mut().zip([(b'A', 26), (b'a', 26), (b'0', 10)]) {
            let moved = part - u8x16::splat(first);
            let within = moved.min(u8x16::splat(count - 1)).simd_eq(moved);
            *bits |= u64::from(within.to_bitmask()) << (16 * number);
        }
    }
    kinds
}

/// Whether the body is drawn well enough for what the prefix says.
fn looks_issued(prefix: &str, body: &str, credential: bool) -> bool {
    let count = |class: fn(&u8) -> bool| body.bytes().filter(class).count();
    let digits = count(u8::is_ascii_digit);
    let (large, small) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    let mixed = large > 1 && small > 1 && digits > 0;
    let single = !body.contains(['_', '-', '.', '~']);
    let underscore = prefix.ends_with('_');
    let length = body.len();
    let bits = surprise(body) / length.max(1) as f32;
    if is_uuid(body) {
        return ["sec", "secret", "key", "pat", "tok", "token", "apikey"]
            .iter()
            .any(|word| prefix.trim_end_matches(['_', '-']).ends_with(word));
    }
    if body.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return digits > 2
            && large + small > 2
            && length >= 32
            && (credential || underscore)
            && super::random::distinct(body) >= 7;
    }
    if digits == 0 {
        return single && large > 4 && small > 4 && length >= 32 && bits >= 1.2;
    }
    match (mixed, credential) {
        (true, true) => length >= 16 && bits >= 0.6,
        (true, false) => length >= if underscore && single { 20 } else { 28 } && digits > 1 && bits >= 0.9,
        (false, true) => length >= 20 && bits >= 0.6 && single,
        (false, false) => length >= 30 && bits >= 0.8 && single && digits > 2,
    }
}

/// Divides into a prefix of short words of one case and the body behind them.
fn split(run: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    for (words, segment) in run.split_inclusive(['_', '-', '.']).enumerate() {
        let word = segment.trim_end_matches(['_', '-', '.']);
        let one_case =
            !word.bytes().any(|byte| byte.is_ascii_uppercase()) || !word.bytes().any(|byte| byte.is_ascii_lowercase());
        let begins = words > 0 || word.bytes().filter(u8::is_ascii_alphabetic).count() >= 2;
        let short = word.len() <= 5 || (word.len() <= 10 && surprise(word) < 0.5 * word.len() as f32);
        let last = at + segment.len() == run.len();
        if words >= 4 || last || !begins || !one_case || !short || word.is_empty() {
            break;
        }
        at += segment.len();
    }
    let (prefix, body) = run.split_at_checked(at)?;
    (prefix.len() >= 3 && body.len() >= 16).then_some((prefix, body))
}

/// Whether nothing touches it that makes it a part of something larger: a path, an address, base64.
fn is_free(candidate: &Candidate<'_>) -> bool {
    let bytes = candidate.text.as_bytes();
    let before = candidate.start.checked_sub(1).and_then(|at| bytes.get(at));
    let after = bytes.get(candidate.start + candidate.matched.len());
    let goes_on = |byte: &u8| b"/+(@%<{[\\".contains(byte) || !byte.is_ascii();
    before.is_none_or(|byte| may_stand_behind(*byte)) && !after.is_some_and(goes_on)
}

/// Whether one may begin behind this byte.
pub(super) fn may_stand_behind(byte: u8) -> bool {
    byte.is_ascii() && !b"/+%@$#\\&{<.-~_".contains(&byte)
}

/// What stands before it on its line, some dozen bytes of it.
fn line_before<'t>(candidate: &Candidate<'t>) -> &'t str {
    let bytes = candidate.text.as_bytes();
    let before = bytes.get(..candidate.start).unwrap_or_default();
    let length = before.iter().rev().take(72).take_while(|byte| **byte != b'\n' && byte.is_ascii()).count();
    part(candidate.text, candidate.start - length..candidate.start)
}

/// Whether the name that it is given ends like that of an object: `"id": "`, `messageId=`, `user_id: `.
fn is_name_of_object(before: &str) -> bool {
    let name = before.trim_end_matches([' ', '"', '\'', '`', ':', '=', '\\', '\t', '>']);
    ["id", "ids", "uid", "sid", "ref", "hash", "name", "slug", "url", "path", "file"].iter().any(|end| {
        name.len() < before.len()
            && name
                .len()
                .checked_sub(end.len())
                .and_then(|at| name.get(at..))
                .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]
        /// Where no part of a run may have been issued, none may be.
        #[test]
        fn no_part_of_a_run_is_passed_over(
            before in "[a-z]{0,9} ?",
            run in "([a-z]{2,9}[_.~-]){0,3}([a-zA-Z0-9]{10,40}|[a-z0-9]{12,20}|[a-zA-Z]{30,40}|[a-z]{9,30}|[0-9]{1,9})[_.~]?([a-z0-9]{0,9}:?){0,3}",
            behind in "[^a-z]{64}",
        ) {
            let text = format!("{before}{run}{behind}");
            let place = before.len()..before.len() + run.len();
            if !may_have_issued(text.as_bytes(), &place) {
                for (from, to) in (0..run.len()).flat_map(|from| (from..=run.len()).map(move |to| (from, to))) {
                    let part = &run[from..to];
                    prop_assert!(part.contains(':') || !may_be_issued(part.as_bytes()), "{part} in {run}");
                }
            }
        }
    }
}
