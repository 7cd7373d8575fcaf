//! Findings as SARIF 2.1.0, as code hosts show them beside a change: what every report has.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// The schema that what is written here holds to.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What stands in a path of a URI as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// All of a run: the rules, each once, the findings, and what could not be looked at.
pub(super) fn log(mut rules: Vec<Value>, results: Vec<Value>, missed: &[String]) -> Value {
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

/// Where a file is: below the root of the sources, or anywhere on the machine.
pub(super) fn artifact(file: &str) -> Value {
    let path = utf8_percent_encode(file, PATH).to_string();
    if file.starts_with('/') {
        json!({"uri": format!("file://{path}")})
    } else {
        json!({"uri": path, "uriBaseId": "%SRCROOT%"})
    }
}
