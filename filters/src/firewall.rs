//! The `firewall` filter: what must not leave does not leave.
//!
//! Every decoded string of a prompt is scanned, and so are the joins between the texts of its
//! messages. Of an answer, a piece of text leaves once nothing that began in it can still become a
//! secret: the scanner says from where on a text is undecided, and frames from there on are held.
//!
//! This first form knows fixed formats, assignments, and a few structural hints. Texts that are
//! encoded (base64, hex, a language's string concatenation) are not decoded yet, and a model that
//! spells a secret in words is beyond any scanner: keep secrets out of prompts in the first place.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use portcullis_policies::DataLevel;
use serde::{Deserialize, Serialize};

use crate::exchange::{Facts, Head, Request};
use crate::filter::{Filter, Phase, Watch, block};
use crate::json::Json;
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

mod alphabet;
mod check;
mod join;
mod literals;
mod plain;
mod rules;
mod scanner;
mod watch;

pub use rules::{Family, Rule};
pub use scanner::{Finding, Scanner};

/// How the filter is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FirewallSettings {
    /// Findings of this level and above are refused; those below raise the exchange's level.
    pub block_at: DataLevel,
    /// The rule sets in force. This release has one.
    pub rules: Vec<RuleSet>,
}

/// A set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleSet {
    /// The rules in the program.
    Builtin,
}

impl Default for FirewallSettings {
    fn default() -> Self {
        Self { block_at: DataLevel::L3, rules: vec![RuleSet::Builtin] }
    }
}

/// What the filter tells the world about findings: which rule, never what it matched.
pub trait FindingObserver: Send + Sync + 'static {
    /// A rule matched, and this was done: `block` or `flag`.
    fn found(&self, rule: &'static str, level: DataLevel, action: &'static str);
}

/// The rules and their levels, for label sets that start at 0.
pub fn rules() -> impl Iterator<Item = (&'static str, DataLevel)> {
    rules::RULES.iter().map(|rule| (rule.id, rule.level))
}

/// The filter.
pub struct Firewall {
    judge: Arc<Judge>,
}

/// What the filter and its watches share.
struct Judge {
    scanner: Scanner,
    block_at: DataLevel,
    observer: Arc<dyn FindingObserver>,
}

impl Firewall {
    /// A filter with these settings.
    ///
    /// # Errors
    /// When no rule set is named: a firewall without rules is a mistake.
    pub fn new(settings: FirewallSettings, observer: Arc<dyn FindingObserver>) -> Result<Self, FilterError> {
        if settings.rules.is_empty() {
            return Err(FilterError::Failed("the firewall has no rules, expected `[builtin]`".to_owned()));
        }
        let judge = Judge { scanner: Scanner::default(), block_at: settings.block_at, observer };
        Ok(Self { judge: Arc::new(judge) })
    }
}

impl Judge {
    /// Weighs a finding: whether it blocks.
    fn blocks(&self, rule: &'static Rule) -> bool {
        let blocks = rule.level >= self.block_at;
        self.observer.found(rule.id, rule.level, if blocks { "block" } else { "flag" });
        blocks
    }
}

/// What was found in a request so far.
#[derive(Default)]
struct Found {
    blocked: Option<&'static Rule>,
    level: DataLevel,
}

impl Found {
    fn take(&mut self, judge: &Judge, finding: &Finding) {
        self.level = self.level.max(finding.rule.level);
        if judge.blocks(finding.rule) && self.blocked.is_none_or(|b| b.level < finding.rule.level) {
            self.blocked = Some(finding.rule);
        }
    }
}

#[async_trait]
impl Filter for Firewall {
    fn name(&self) -> &'static str {
        "firewall"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Body, Phase::Reply]
    }

    async fn body(&self, request: &Request<'_>, facts: &mut Facts) -> Outcome<Bytes> {
        let judge = &*self.judge;
        let mut found = Found::default();
        match request.json {
            Some(json) => {
                json.each_string(&mut |text| {
                    judge.scanner.scan(text, &mut |finding| found.take(judge, &finding));
                });
                join::scan(json, &judge.scanner, &mut |finding| found.take(judge, &finding));
            }
            // A form or a blob: whatever text is in it.
            None => {
                judge.scanner.scan(&String::from_utf8_lossy(request.body), &mut |finding| found.take(judge, &finding))
            }
        }
        for (name, value) in &request.head.query {
            for text in [name, value] {
                judge.scanner.scan(text, &mut |finding| found.take(judge, &finding));
            }
        }
        facts.raise_level(found.level);
        match found.blocked {
            None => Ok(Verdict::Pass),
            Some(rule) => block(refuse(rule)),
        }
    }

    fn watch(&self, _: &Head, _: &Facts) -> Result<Option<Box<dyn Watch>>, FilterError> {
        Ok(Some(Box::new(watch::SecretWatch::new(Arc::clone(&self.judge)))))
    }
}

fn refuse(rule: &'static Rule) -> Refusal {
    let (code, message) = match rule.family {
        Family::Secret => {
            (Code::FirewallSecret, "the prompt contains what looks like a secret; take it out and try again")
        }
        Family::Structure => (Code::FirewallStructural, "the prompt contains a structure that is not let through"),
    };
    Refusal::new("firewall", code, message).with_detail(format!("rule {}", rule.id)).with_level(rule.level)
}

/// Whether a key's value is a text that models read as one with its neighbours.
fn is_prose(key: &str) -> bool {
    matches!(
        key,
        "content"
            | "text"
            | "prompt"
            | "system"
            | "input"
            | "suffix"
            | "thinking"
            | "instructions"
            | "arguments"
            | "query"
            | "template"
            | "input_prefix"
            | "input_suffix"
            | "output"
    )
}

/// A JSON value, for the files below.
type Value<'a> = Json<'a>;

#[cfg(test)]
mod tests;
