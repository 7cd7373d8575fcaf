//! What the filter and its eyes on answers share: the rules, and what becomes of what they find.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_firewall::{Action, Direction, Kind, Rule, Rules};
use portcullis_policies::DataLevel;
use sha2::Sha256;

use super::stance::{Decision, Stance};
use crate::verdict::Code;

/// What the filter tells the world about findings: which rule, never what it matched.
pub trait FindingObserver: Send + Sync + 'static {
    /// A rule matched, and this was done: `block`, `redact` or `flag`.
    fn found(&self, rule: &str, level: DataLevel, action: &'static str);
}

/// The rules, and what becomes of what they find.
pub(super) struct Judge {
    pub(super) rules: Arc<Rules>,
    pub(super) stance: Stance,
    pub(super) prints: Fingerprints,
    pub(super) observer: Arc<dyn FindingObserver>,
    /// Some rule's findings are taken out.
    redacts: bool,
}

impl Judge {
    pub(super) fn new(
        rules: Arc<Rules>,
        stance: Stance,
        prints: Fingerprints,
        observer: Arc<dyn FindingObserver>,
    ) -> Self {
        let redacts = rules.iter().any(|rule| stance.action(rule, Direction::Request) == Some(Action::Redact));
        Self { rules, stance, prints, observer, redacts }
    }

    /// What is done about a finding in a text that goes `way`; `None` where it is nobody's business.
    pub(super) fn decide(&self, rule: &Rule, way: Direction) -> Option<Decision> {
        let decision = self.stance.decide(rule, way)?;
        // Where nothing is taken out, nothing is taken along: it need not be waited for.
        Some(if self.redacts { decision } else { Decision { by_level: false, ..decision } })
    }

    /// Counts a finding about which this was done.
    pub(super) fn count(&self, rule: &Rule, action: Action) {
        self.observer.found(&rule.id, rule.level, action.as_str());
    }

    /// Whether this rule's findings in an answer are taken out.
    pub(super) fn redacts(&self, rule: &Rule) -> bool {
        self.redacts && self.action(rule) == Some(Action::Redact)
    }

    /// Whether this rule is in force: a mark that names it may have been put by the gate.
    pub(super) fn knows(&self, rule: &str) -> bool {
        self.rules.iter().any(|known| *known.id == *rule)
    }

    /// What is done about a finding of this rule in an answer, which is not counted.
    pub(super) fn action(&self, rule: &Rule) -> Option<Action> {
        self.stance.action(rule, Direction::Response)
    }

    /// Whether more is done about a finding of this rule in an answer than to tell it.
    pub(super) fn acts(&self, rule: &Rule) -> bool {
        matches!(self.action(rule), Some(Action::Block | Action::Redact))
    }
}

/// The public code of a finding of this kind in a request.
pub(super) const fn code(kind: Kind) -> Code {
    match kind {
        Kind::Secret => Code::FirewallSecret,
        Kind::Pii => Code::FirewallPii,
        Kind::Injection => Code::FirewallInjection,
        Kind::Structural => Code::FirewallStructural,
    }
}

/// Tells findings apart without saying what they are: a keyed hash, by a key of the node. Whoever has it and
/// the finding can tell that they belong together; nobody else can guess.
#[derive(Clone)]
pub struct Fingerprints(Hmac<Sha256>);

impl Fingerprints {
    /// By this key of the node; `None` where it is none.
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        let mut mac = Hmac::new_from_slice(key).ok()?;
        // The key may have other uses.
        mac.update(b"portcullis firewall finding\0");
        Some(Self(mac))
    }

    /// The fingerprint of a finding: 16 hex digits.
    #[must_use]
    pub fn of(&self, finding: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(finding.as_bytes());
        let digest = mac.finalize().into_bytes();
        data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default())
    }
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_findings_apart_and_depend_on_the_key() {
        let (one, other) = (Fingerprints::new(b"a key").unwrap(), Fingerprints::new(b"another").unwrap());
        assert_eq!(one.of("opensesame").len(), 16);
        assert_eq!(one.of("opensesame"), one.of("opensesame"));
        assert_ne!(one.of("opensesame"), one.of("opensesamf"));
        assert_ne!(one.of("opensesame"), other.of("opensesame"));
        assert_eq!(format!("{one:?}"), "***");
    }
}
