//! Findings as SARIF 2.1.0, as code hosts show them beside a change.

use portcullis_firewall::{Kind, Rule, Rules};
use portcullis_policies::DataLevel;
use serde_json::{Value, json};

use super::judge::Told;
use super::report::through;
use crate::cli::sarif;

/// All of a run: the rules in force, the findings, and what could not be scanned.
pub(super) fn log(rules: &Rules, results: Vec<Value>, missed: &[String]) -> Value {
    sarif::log(rules.iter().map(rule).collect(), results, missed)
}

/// A finding.
pub(super) fn result(file: &str, commit: Option<&str>, told: &Told<'_>) -> Value {
    let mut properties = json!({
        "level": told.rule.level,
        "kind": told.rule.kind,
        "code": told.rule.kind.code(),
        "through": through(told.through),
        "score": told.score,
    });
    if let (Some(commit), Some(object)) = (commit, properties.as_object_mut()) {
        object.insert("commit".to_owned(), commit.into());
    }
    json!({
        "ruleId": &*told.rule.id,
        "level": severity(told.rule),
        "message": {"text": sentence(told.rule)},
        "locations": [{"physicalLocation": {
            "artifactLocation": sarif::artifact(file),
            "region": {
                "startLine": told.from.line,
                "startColumn": told.from.column,
                "endLine": told.to.line,
                "endColumn": told.to.column,
            },
        }}],
        "partialFingerprints": {"portcullis/v1": told.fingerprint},
        "properties": properties,
    })
}

/// A rule, for the list of them.
fn rule(rule: &Rule) -> Value {
    let advice = match rule.kind {
        Kind::Secret => {
            "Take it out of the file and out of the history, and revoke it: what was once shared is known. \
             A false positive is allowed by a comment with `portcullis:allow` on its line, or kept in a baseline."
        }
        Kind::Pii => "Take the person's data out, or put something invented in its place.",
        Kind::Injection => {
            "A text that a model reads gives it orders here. This is a heuristic: look at it before it is given to one."
        }
        Kind::Structural => {
            "The text is built in a way that hides something from readers, or says more than it should."
        }
    };
    json!({
        "id": &*rule.id,
        "shortDescription": {"text": sentence(rule)},
        "help": {"text": format!("{} {advice}", sentence(rule))},
        "defaultConfiguration": {"level": severity(rule)},
        "properties": {
            "tags": ["security", rule.kind],
            "level": rule.level,
            "security-severity": match rule.level {
                DataLevel::L4 => "9.0",
                DataLevel::L3 => "7.0",
                DataLevel::L2 => "5.0",
                _ => "2.0",
            },
        },
    })
}

/// What a rule says it finds; at least its name.
fn sentence(rule: &Rule) -> String {
    let text = if rule.description.is_empty() { &rule.id } else { &rule.description };
    if text.ends_with('.') { text.to_string() } else { format!("{text}.") }
}

fn severity(rule: &Rule) -> &'static str {
    match rule.level {
        DataLevel::L4 | DataLevel::L3 => "error",
        DataLevel::L2 => "warning",
        _ => "note",
    }
}
