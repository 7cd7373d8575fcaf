//! Looking closer: whether what has the shape of a finding can be one.
//!
//! A rule names its checks; all of them must agree.

use std::ops::Range;

mod pii;

/// What a rule's expression matched, for its checks.
#[derive(Clone, Copy, Debug)]
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

/// A check: whether a candidate holds up.
pub(crate) type Check = fn(&Candidate<'_>) -> bool;

/// The check of this name.
pub(crate) fn by_name(name: &str) -> Option<Check> {
    Some(match name {
        "not-placeholder" => not_placeholder,
        _ => return pii::by_name(name.strip_prefix("pii-")?),
    })
}

/// Not what stands in documentation so that nobody uses it.
fn not_placeholder(candidate: &Candidate<'_>) -> bool {
    let lower = candidate.secret.to_ascii_lowercase();
    !["example", "your-", "your_", "changeme", "placeholder", "redacted", "xxxxxxxx"].iter().any(|w| lower.contains(w))
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
