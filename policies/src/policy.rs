//! The policy: who may do what. Nothing means no, and an explicit no wins.
//!
//! The document as it is written is read in `policy/document.rs`; here it is kept as it is meant, and
//! decides. A decision asks, in this order: does a rule deny it, does a grant of this caller allow it,
//! does a rule allow it. The first that allows it, in the order of the document, also says how much.

use std::sync::Arc;

mod ask;
mod decide;
mod document;
mod explain;
mod floor;
mod index;
mod rule;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
mod warnings;
mod when;

pub use ask::{Allow, Ask, Basis, Decision, Denial, Deny};
pub use explain::{Explanation, Near};
pub use floor::{FirewallFloor, Handling};
pub use rule::{Bounds, Rule, RuleLimits, Tools};
pub use warnings::{Known, Reach};

use index::Index;

/// The policy that is in force when the config names none.
pub const DEFAULT: &str = include_str!("../default.yaml");
/// The shipped policies, by file name.
pub const SHIPPED: [(&str, &str); 3] = [
    ("default.yaml", DEFAULT),
    ("homelab.yaml", include_str!("../homelab.yaml")),
    ("strict.yaml", include_str!("../strict.yaml")),
];

/// An operator's policy.
#[derive(Clone, Debug)]
pub struct Policy {
    file: Arc<str>,
    /// The line of `rules:`.
    line: u64,
    rules: Vec<Rule>,
    limits: Vec<Limit>,
    firewall: FirewallFloor,
    live: Index,
    /// Rules that are only tried; `None` without any.
    tried: Option<Index>,
}

/// An upper bound for a request field, beside that of the route's own table.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The field.
    pub field: String,
    /// The most it may be.
    pub max: f64,
}

impl Policy {
    /// The policy that allows nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::of("".into(), 0, Vec::new(), Vec::new())
    }

    fn of(file: Arc<str>, line: u64, rules: Vec<Rule>, limits: Vec<Limit>) -> Self {
        let tried = rules.iter().any(Rule::is_shadow).then(|| Index::of(&rules, true));
        let firewall = FirewallFloor::default();
        Self { file, line, live: Index::of(&rules, false), tried, rules, limits, firewall }
    }

    /// What the firewall does at least.
    #[must_use]
    pub fn firewall(&self) -> FirewallFloor {
        self.firewall
    }

    /// Upper bounds for request fields.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Where it was read from, as a person named it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line on which the rules begin.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The line of the rule of this name.
    #[must_use]
    pub fn line_of(&self, rule: &str) -> Option<u64> {
        self.rules.iter().find(|known| *known.name == *rule).map(|known| known.line)
    }

    /// The names of the rules, in order.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| &*rule.name)
    }

    /// Models that the policy spells out, with their tags: those that may be a metric's label.
    #[must_use]
    pub fn literal_models(&self) -> Vec<String> {
        let literal = self.rules.iter().flat_map(|rule| &rule.models).filter(|glob| glob.is_literal());
        literal.map(|glob| glob.as_str().to_owned()).collect()
    }

    /// Whether some rule allows something to callers who came in with this profile.
    #[must_use]
    pub fn knows_profile(&self, profile: &str) -> bool {
        let means = |who: &rule::Who| matches!(who, rule::Who::Profile(glob) if glob.matches(profile));
        self.rules.iter().any(|rule| rule.allows && !rule.shadow && rule.who.iter().any(means))
    }
}
