//! Findings as SARIF 2.1.0, as code hosts show them beside a change.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_firewall::{Kind, Rule, Rules};
use portcullis_policies::DataLevel;
use serde_json::{Value, json};

use super::judge::Told;
use super::report::through;

/// The schema that what is written here holds to.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What stands in a path of a URI as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// All of a run: the rules in force, the findings, and what could not be scanned.
pub(super) fn log(rules: &Rules, results: Vec<Value>, missed: &[String]) -> Value {
    let mut rules: Vec<_> = rules.iter().map(rule).collect();
    rules.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    rules.dedup_by(|a, b| a["id"] == b["id"]);
    let notes: Vec<_> = missed.iter().map(|what| json!({"level": "error", "message": {"text": what}})).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "Portcullis",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "invocations": [{"executionSuccessful": missed.is_empty(), "toolExecutionNotifications": notes}],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
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
            "artifactLocation": artifact(file),
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

/// Where a file is: below the root of the sources, or anywhere on the machine.
fn artifact(file: &str) -> Value {
    let path = utf8_percent_encode(file, PATH).to_string();
    if file.starts_with('/') {
        json!({"uri": format!("file://{path}")})
    } else {
        json!({"uri": path, "uriBaseId": "%SRCROOT%"})
    }
}
