//! Which findings are believed where a text only says something when it is read in an unusual way.

use portcullis_policies::DataLevel;

use crate::engine::{Engine, Match};
use crate::rule::Kind;

/// Shorter than this, a secret with a short mark is as likely chance.
const SHORT: usize = 24;

/// Whether a match is a live secret that carries its issuer's mark: one of the rule's keywords within the secret, or
/// one that is no word next to it. Words next to each other, and random characters alone, also come about by chance.
pub(super) fn is_sure(engine: &Engine, view: &str, found: &Match<'_>) -> bool {
    let Match { rule, span, secret } = found;
    if rule.kind != Kind::Secret || rule.level < DataLevel::L4 {
        return false;
    }
    let Some(compiled) = engine.rules().iter().find(|compiled| std::ptr::eq(&raw const compiled.rule, *rule)) else {
        return false;
    };
    let lower = |part: &std::ops::Range<usize>| {
        view.as_bytes().get(part.clone()).unwrap_or_default().to_ascii_lowercase()
    };
    let (inside, around) = (lower(secret), lower(span));
    let holds = |text: &[u8], keyword: &str| memchr::memmem::find(text, keyword.as_bytes()).is_some();
    compiled.keywords().iter().any(|keyword| {
        let mark = keyword.bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte != b'_' && byte != b'-');
        let long = keyword.len() >= 3 || secret.len() >= SHORT;
        long && (holds(&inside, keyword) || (mark && keyword.len() >= 3 && holds(&around, keyword)))
    })
}
