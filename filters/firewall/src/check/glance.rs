//! What must be there for a check to hold, as far as it shows at a glance: most of what stands beside a word for
//! a secret is a type, a variable or a sentence, and ends here, before it is looked at in parts.

use super::{Candidate, Check, assigned, structure, unknown};
use crate::count::any;

/// Whether a secret may hold that lies within these bytes.
pub(crate) type Glance = fn(&[u8]) -> bool;

/// Whether a match may hold that begins behind this byte.
pub(crate) type Behind = fn(u8) -> bool;

/// How much of a secret is one, where what goes on behind it is known to be something else.
pub(crate) type End = fn(&Candidate<'_>) -> Option<usize>;

/// No longer value is looked at as one: a password, a token or a key is a small part of this. What is longer is a file,
/// which other rules know by what is in it; to look at it again from each name for a secret within it takes too long.
const LONGEST: usize = 16 << 10;

/// What shows at a glance for the check of this name, if anything does.
pub(crate) fn glance(check: &str) -> Option<Glance> {
    Some(match check {
        // Words that a person remembers, or letters that are drawn.
        "assigned" | "assigned-flag" => {
            |bytes| (15..LONGEST).contains(&bytes.len()) || ((8..15).contains(&bytes.len()) && has_digit(bytes))
        }
        "assigned-key" => |bytes| (20..LONGEST).contains(&bytes.len()) && has_digit(bytes),
        "told" => |bytes| (8..LONGEST).contains(&bytes.len()) && has_digit(bytes),
        "cookie" => |bytes| bytes.len() >= 16 && has_digit(bytes),
        "credential" | "flag-password" | "password-random" => has_digit,
        "unknown-token" => unknown::may_be_issued,
        "basic-auth" => structure::may_be_basic_auth,
        _ => return None,
    })
}

/// What shows of the check of this name by what stands before a match, if anything does.
pub(crate) fn behind(check: &str) -> Option<Behind> {
    (check == "unknown-token").then_some(unknown::may_stand_behind)
}

/// What shows of a check by where a match begins alone, before it is known what of it is the secret.
pub(crate) fn named(check: &str) -> Option<Check> {
    Some(match check {
        "assigned" | "told" => assigned::may_be_named,
        "assigned-flag" => |candidate| assigned::is_flag(candidate) && assigned::may_be_named(candidate),
        "assigned-key" => |candidate| !assigned::is_harmless_key(candidate),
        _ => return None,
    })
}

/// Where secrets end that the check of this name holds for, if that shows.
pub(crate) fn end(check: &str) -> Option<End> {
    ["assigned", "assigned-key"].contains(&check).then_some(assigned::end_in_query)
}

/// How far from a secret the check of this name looks for what says of what kind it is.
pub(crate) fn looks_around(check: &str) -> Option<usize> {
    match check {
        "azure-sas" => Some(structure::NEAR_SIGNATURE),
        "jwk" => Some(structure::NEAR_KEY),
        _ => None,
    }
}

/// Whether the check of this name holds for nothing without a digit.
pub(crate) fn needs_digit(check: &str) -> bool {
    ["assigned-key", "told", "cookie", "credential", "flag-password", "password-random"].contains(&check)
}

/// Whether the check of this name holds for nothing but what [may have been issued](super::may_have_issued).
pub(crate) fn is_issued(check: &str) -> bool {
    check == "unknown-token"
}

fn has_digit(bytes: &[u8]) -> bool {
    any(bytes, |byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::by_name;

    const CHECKS: [&str; 10] = [
        "assigned",
        "assigned-flag",
        "assigned-key",
        "told",
        "cookie",
        "credential",
        "flag-password",
        "password-random",
        "unknown-token",
        "basic-auth",
    ];

    proptest! {
        /// Whatever holds has what shows at a glance.
        #[test]
        fn nothing_that_holds_is_passed_over(
            before in "(|x |arn:|a: |--|my_|.|a/|é)",
            name in "(db_password|API_TOKEN|--secret|ORDERS_KEY|the password|session|orb_live|quill_pat|token_hash|key)",
            sign in "(=|: |='| is |_)",
            secret in prop_oneof![
                "[a-zA-Z0-9]{5,32}",
                "[a-zA-Z]{5,32}",
                "[a-f0-9]{7,40}",
                "[a-z]{2,7}([-. +][a-z]{2,7}){1,5}([-.][0-9]{1,4})?",
                "[A-Z][a-z]{3,7}[*%$!][a-z]{3,7}[0-9]{0,4}",
                "[a-zA-Z0-9]{14,40}[-._~]{1,2}",
                "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}",
                "[a-z]{2,7}:?[a-zA-Z0-9]{8,24}".prop_map(|said| data_encoding::BASE64.encode(said.as_bytes())),
            ],
        ) {
            let matched = format!("{name}{sign}{secret}");
            let text = format!("{before}{matched}\n");
            let candidate = Candidate { secret: &secret, matched: &matched, text: &text, start: before.len() };
            let all = Candidate { secret: &matched, ..candidate };
            for check in CHECKS {
                let bytes = match check {
                    "unknown-token" | "basic-auth" => matched.as_bytes(),
                    _ => secret.as_bytes(),
                };
                if by_name(check).is_some_and(|holds| holds(&candidate)) {
                    prop_assert!(glance(check).is_none_or(|glance| glance(bytes)), "{check}");
                    prop_assert!(named(check).is_none_or(|named| named(&all)), "{check}");
                    let last = before.bytes().next_back();
                    prop_assert!(behind(check).is_none_or(|behind| last.is_none_or(behind)), "{check}");
                    prop_assert!(!needs_digit(check) || has_digit(secret.as_bytes()), "{check}");
                }
            }
        }
    }
}
