//! Looking closer: whether what has the shape of a finding can be one.
//!
//! A rule names its checks; all of them must agree.

mod assigned;
mod checksum;
mod glance;
mod pii;
mod placeholder;
mod published;
mod random;
mod structure;
mod told;
mod unknown;
mod words;

use std::ops::Range;

pub(crate) use glance::{Behind, End, Glance, behind, end, glance, is_issued, looks_around, named, needs_digit};
pub(crate) use unknown::may_have_issued;

/// What a rule's expression matched, for its checks.
#[derive(Clone, Copy)]
pub struct Candidate<'t> {
    /// The part that is the secret.
    pub secret: &'t str,
    /// The whole match.
    pub matched: &'t str,
    /// All of the text around it, as it was scanned.
    pub text: &'t str,
    /// Where the match begins in that text.
    pub start: usize,
}

impl<'t> Candidate<'t> {
    /// What of the match stands before the secret.
    fn head(&self) -> &'t str {
        let Self { secret, matched, .. } = *self;
        let at = secret.as_ptr().addr().wrapping_sub(matched.as_ptr().addr());
        // To look for the secret takes longer than to see that it is where it is said to be.
        match matched.get(at..).filter(|rest| rest.starts_with(secret)) {
            Some(_) => part(matched, 0..at),
            None => matched.split(secret).next().unwrap_or_default(),
        }
    }
}

/// A check: whether a candidate holds up.
pub(crate) type Check = fn(&Candidate<'_>) -> bool;

/// The check of this name.
pub(crate) fn by_name(name: &str) -> Option<Check> {
    Some(match name {
        "after-slash" => |candidate| part(candidate.text, 0..candidate.start).ends_with('/'),
        "assigned" => assigned::assigned,
        "assigned-flag" => assigned::assigned_flag,
        "assigned-key" => assigned::assigned_key,
        "azure-sas" => structure::azure_sas,
        "base64-key" => structure::base64_key,
        "base64-pem" => structure::base64_pem,
        "basic-auth" => structure::basic_auth,
        "bech32" => checksum::bech32,
        "cookie" => assigned::cookie,
        "credential" => assigned::credential,
        "discord-id" => structure::discord_id,
        "flag-password" => assigned::flag_password,
        "github-crc" => checksum::github,
        "jwk" => structure::jwk,
        "jwt" => structure::jwt,
        "not-placeholder" => |candidate| !placeholder::is_placeholder(candidate.secret),
        "not-reference" => structure::not_reference,
        "password" => assigned::password,
        "password-random" => assigned::password_random,
        "pem-body" => structure::pem_body,
        "random" => random_body,
        "random-hex" => |candidate| random::is_drawn_hex(candidate.secret),
        "random-tail" => structure::random_tail,
        "seed-phrase" => structure::seed_phrase,
        "told" => assigned::told,
        "told-password" => assigned::told_password,
        "unknown-token" => unknown::unknown_token,
        "userinfo" => assigned::userinfo,
        _ => return pii::by_name(name.strip_prefix("pii-")?),
    })
}

/// Whether what this check holds for is a secret of its kind, and no chance: it says so itself, encoded.
pub(crate) fn proves(name: &str) -> bool {
    name == "jwt"
}

/// The whole of it, or the longest part behind a prefix, looks drawn.
fn random_body(candidate: &Candidate<'_>) -> bool {
    let parts = candidate.secret.split(['-', '_', '.', ':']);
    let body = parts.max_by_key(|part| part.len()).unwrap_or_default();
    random::drawn(candidate.secret, 0.2) || (body.len() >= 16 && random::drawn(body, 0.2))
}

/// Shannon's entropy of a text, in bits a byte.
pub(crate) fn entropy(text: &[u8]) -> f32 {
    let mut counts = [0u32; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = text.len().max(1) as f32;
    counts.iter().filter(|count| **count > 0).map(|count| -(*count as f32 / all) * (*count as f32 / all).log2()).sum()
}

/// The text of a range, empty where it does not lie on characters.
pub(crate) fn part(text: &str, range: Range<usize>) -> &str {
    text.get(range).unwrap_or_default()
}

/// A candidate with so many bytes of text on either side, or fewer, so that it begins and ends on characters.
fn around<'t>(candidate: &Candidate<'t>, bytes: usize) -> &'t str {
    let start =
        (candidate.start.saturating_sub(bytes)..=candidate.start).find(|at| candidate.text.is_char_boundary(*at));
    let end = candidate.start + candidate.matched.len();
    let last = (end..=end.saturating_add(bytes).min(candidate.text.len()))
        .rev()
        .find(|at| candidate.text.is_char_boundary(*at));
    part(candidate.text, start.unwrap_or(candidate.start)..last.unwrap_or(end))
}
