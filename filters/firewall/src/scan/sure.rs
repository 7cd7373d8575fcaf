//! Which findings are believed where a text only says something when it is read in an unusual way.

use std::ops::Range;

use memchr::memmem;
use portcullis_policies::DataLevel;

use crate::engine::{Compiled, Match};
use crate::rule::{Kind, Rule};

/// Shorter than this, a secret with a short mark is as likely chance.
const SHORT: usize = 24;

/// Whether what a rule finds can be believed there.
pub(crate) fn can_be_sure(rule: &Compiled) -> bool {
    let Compiled { rule: Rule { kind, level, .. }, .. } = rule;
    let marked = rule.is_proven() || !rule.keywords().is_empty() || prefix(rule.expression()).is_some();
    *kind == Kind::Secret && *level >= DataLevel::L4 && marked
}

/// What the secrets of such a rule have in them: its keywords, and what its expression begins with.
pub(crate) fn marks(rule: &Compiled) -> impl Iterator<Item = &str> {
    rule.keywords().iter().map(String::as_str).chain(prefix(rule.expression()))
}

/// Whether a match is a live secret that is proven to be one, or carries its issuer's mark: one of the rule's keywords within the secret, or
/// one that is no word next to it. Words next to each other, and random characters alone, also come about by chance.
pub(crate) fn is_sure(view: &str, found: &Match<'_>) -> bool {
    let Match { rule, span, secret, compiled } = found;
    if rule.kind != Kind::Secret || rule.level < DataLevel::L4 {
        return false;
    }
    let Some(compiled) = compiled else { return false };
    if compiled.is_proven() {
        return true;
    }
    let text = |part: &Range<usize>| view.as_bytes().get(part.clone()).unwrap_or_default().to_ascii_lowercase();
    let (inside, before) = (text(secret), text(&(span.start..secret.start)));
    compiled.keywords().iter().map(String::as_bytes).any(|keyword| {
        let long = keyword.len() >= 3 || secret.len() >= SHORT;
        let inside = memmem::find(&inside, keyword).is_some();
        // A word does not count before the secret, unless it is right before it.
        let mark = keyword.iter().any(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-'));
        let before = memmem::rfind(&before, keyword).is_some_and(|at| mark || before.len() - at - keyword.len() <= 2);
        long && (inside || (before && keyword.len() >= 3))
    }) || prefix(compiled.expression()).is_some_and(|prefix| inside.starts_with(prefix.to_ascii_lowercase().as_bytes()))
}

/// What every match of an expression begins with, where it is written plainly.
fn prefix(expression: &str) -> Option<&str> {
    let mut rest = expression;
    while let Some(inner) = rest.strip_prefix("\\b").or_else(|| rest.strip_prefix('(')) {
        rest = inner.strip_prefix("?:").unwrap_or(inner);
    }
    let size = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).count();
    let next = rest.as_bytes().get(size);
    rest.get(..size).filter(|prefix| prefix.len() >= 2 && !matches!(next, Some(b'?' | b'*' | b'|' | b'{')))
}
