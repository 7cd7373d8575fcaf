//! Why a request was refused, in terms of the document: what denies it, or what comes nearest to
//! allowing it and what keeps it from doing so.

use super::rule::Rule;
use super::when::Hold;
use super::{Ask, Basis, Decision, Denial, Policy};
use crate::class::RouteClass;
use crate::model::ModelName;

/// A decision, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it is allowed.
    pub allowed: bool,
    /// What decided: a rule or a grant; `None` when nothing allows it.
    pub by: Option<String>,
    /// The line of the document: that of the rule, or that of `rules:`. 0 for a grant.
    pub line: u64,
    /// What was found, in a sentence.
    pub reason: String,
    /// What would have been needed.
    pub needed: String,
    /// The rules that come nearest to allowing it.
    pub near: Vec<Near>,
}

/// A rule that allows something of what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Its name.
    pub rule: String,
    /// Its line.
    pub line: u64,
    /// What keeps it from allowing the request.
    pub misses: Vec<&'static str>,
}

/// The most rules that are named as near.
const MAX_NEAR: usize = 3;

impl Policy {
    /// Decides, and says why. Looks at every rule: for people, not for requests.
    #[must_use]
    pub fn explain(&self, ask: &Ask<'_>) -> Explanation {
        match self.decide(ask) {
            Decision::Allow(allow) => Explanation {
                allowed: true,
                by: Some(name(allow.by)),
                line: line(allow.by),
                reason: format!("{} allows it", allow.by),
                needed: String::new(),
                near: Vec::new(),
            },
            Decision::Deny(deny) => {
                let leaves = deny.denial == Denial::Egress && ask.model.is_some_and(ModelName::is_cloud);
                let class = if leaves { RouteClass::Egress } else { ask.class };
                let near = self.near(&Ask { class, ..*ask });
                let (reason, needed) = match (deny.denial, deny.by) {
                    (Denial::Expired, Some(by)) => {
                        (format!("{by} allowed it, and has ended"), "a new grant, or a later `until`".to_owned())
                    }
                    (Denial::Later, Some(by)) => {
                        (format!("{by} allows it, but not at this time"), "another time, or a grant".to_owned())
                    }
                    (_, Some(by)) => (
                        format!("{by} denies it"),
                        "a change of that rule: an explicit deny wins over every rule and grant".to_owned(),
                    ),
                    (_, None) => (
                        format!("no rule and no grant allows it; the rules begin on line {}", self.line),
                        needed(class, ask),
                    ),
                };
                Explanation {
                    allowed: false,
                    by: deny.by.map(name),
                    line: deny.by.map_or(self.line, line),
                    reason,
                    needed,
                    near: if deny.by.is_none() { near } else { Vec::new() },
                }
            }
        }
    }

    /// The rules that miss the least of what is asked.
    fn near(&self, ask: &Ask<'_>) -> Vec<Near> {
        let rules = self.rules.iter().filter(|rule| rule.allows());
        let mut near: Vec<_> = rules.map(|rule| (misses(rule, ask), rule)).filter(|(m, _)| m.len() < 4).collect();
        near.sort_by_key(|(misses, _)| misses.len());
        near.truncate(MAX_NEAR);
        near.into_iter().map(|(misses, rule)| Near { rule: (*rule.name).to_owned(), line: rule.line, misses }).collect()
    }
}

fn misses(rule: &Rule, ask: &Ask<'_>) -> Vec<&'static str> {
    let aspects = [
        ("the caller", rule.is_about(ask)),
        ("the class", rule.classes.contains(&ask.class)),
        ("the route", rule.covers_route(ask.route)),
        ("the model", rule.fits(ask)),
        ("the time", rule.hold(ask.now) == Hold::Now),
        ("its mode, which is shadow", !rule.is_shadow()),
    ];
    aspects.into_iter().filter_map(|(aspect, met)| (!met).then_some(aspect)).collect()
}

fn needed(class: RouteClass, ask: &Ask<'_>) -> String {
    let models = ask.model.map_or_else(String::new, |m| format!(" --models '{}'", m.as_str()));
    let who = ask.identity;
    format!(
        "a rule that allows class `{}`, or `portcullis grants add {who} --routes {}{models} --for 8h`",
        class.as_str(),
        class.as_str()
    )
}

fn name(by: Basis<'_>) -> String {
    match by {
        Basis::Grant(grant) => grant.id.clone(),
        Basis::Rule(rule) => (*rule.name).to_owned(),
    }
}

fn line(by: Basis<'_>) -> u64 {
    match by {
        Basis::Grant(_) => 0,
        Basis::Rule(rule) => rule.line,
    }
}
