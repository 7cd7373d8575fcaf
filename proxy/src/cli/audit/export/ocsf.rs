//! Entries as events of the Open Cybersecurity Schema Framework, version 1.5.0, with its profile `security_control`.
//!
//! What was decided about a request is an API Activity (6003), what the log tells of itself an Event Log Activity (1008).
//! What the schema has no attribute for stands in `unmapped` under the name that it has in the log.

use serde_json::{Value, json};

use super::said;
use crate::cli::audit::entry::Entry;

/// The version of the schema.
const VERSION: &str = "1.5.0";

/// The keys that have an attribute, of which the first four have one in every event.
const MAPPED: [&str; 14] = [
    "entry_hmac",
    "event_type",
    "seq_no",
    "timestamp",
    "code",
    "filter",
    "method",
    "model",
    "node_id",
    "path",
    "policy_decision",
    "request_bytes",
    "request_id",
    "upstream",
];

/// Those four.
const ALWAYS: &[&str] = MAPPED.split_at(4).0;

/// What `activity_id` says where the schema has no word.
const OTHER: u32 = 99;

/// An entry as an event.
pub(super) fn event(entry: &Entry) -> Value {
    let mut event = if entry.is_of_the_log() { of_the_log(entry) } else { of_a_request(entry) };
    let severity = match entry.severity() {
        0..=1 => (1, "Informational"),
        2..=3 => (2, "Low"),
        4..=6 => (3, "Medium"),
        7..=8 => (4, "High"),
        _ => (5, "Critical"),
    };
    let time = entry.millis();
    let more = json!({
        "time": time,
        "severity_id": severity.0,
        "severity": severity.1,
        "metadata": {
            "version": VERSION,
            "product": {"name": "Portcullis", "vendor_name": "Portcullis", "version": env!("CARGO_PKG_VERSION")},
            "log_name": "audit",
            "event_code": entry.text("event_type"),
            "original_time": entry.text("timestamp"),
            "profiles": if entry.is_of_the_log() { [].as_slice() } else { &["security_control"] },
            "sequence": entry.number("seq_no"),
            "uid": entry.text("entry_hmac"),
        },
    });
    add(&mut event, more);
    let mut unmapped = entry.without(if entry.is_of_the_log() { ALWAYS } else { &MAPPED });
    if !entry.is_of_the_log() && entry.address().is_some() {
        unmapped.remove("client_address");
    }
    if !unmapped.is_empty() {
        add(&mut event, json!({"unmapped": unmapped}));
    }
    event
}

/// An API Activity.
fn of_a_request(entry: &Entry) -> Value {
    let (id, name) = activity(entry);
    let mut event = class(6, 6003, id);
    let caller = match entry.text("node_id") {
        "" => json!({"name": "unknown"}),
        id => json!({"uid": id}),
    };
    let mut source = caller.clone();
    if let Some(address) = entry.address() {
        add(&mut source, json!({"ip": address}));
    }
    let (request, code) = (entry.text("request_id"), entry.text("code"));
    let is_request = !entry.text("method").is_empty();
    let operation =
        if is_request { said(entry, &["method", "path"]).join(" ") } else { entry.text("event_type").to_owned() };
    let duration = entry.number("duration_us") / 1000;
    add(
        &mut event,
        json!({
            "activity_name": name,
            "actor": {"user": caller},
            "api": {"operation": operation, "request": {"uid": request}},
            "src_endpoint": source,
            "duration": duration,
            "message": said(entry, &["policy_decision", "code", "method", "path", "model"]).join(" "),
        }),
    );
    if is_request {
        let length = entry.number("request_bytes");
        let url = json!({"path": entry.text("path")});
        let asked = json!({"uid": request, "http_method": entry.text("method"), "url": url, "body_length": length});
        add(&mut event, json!({"http_request": asked}));
    }
    if !entry.text("model").is_empty() {
        add(&mut event, json!({"resources": [{"type": "model", "name": entry.text("model")}]}));
    }
    if !entry.text("upstream").is_empty() {
        add(&mut event, json!({"dst_endpoint": {"svc_name": entry.text("upstream")}}));
    }
    if !code.is_empty() {
        add(&mut event, json!({"status_code": code}));
    }
    if !entry.text("filter").is_empty() {
        add(&mut event, json!({"policy": {"name": entry.text("filter")}}));
    }
    let verdict = match (entry.text("policy_decision"), entry.is_shadow()) {
        ("BLOCK", _) => Some((2, "Failure", 2, "Denied", 2, "Blocked")),
        // Found, and nothing done about it.
        ("ALLOW", true) => Some((1, "Success", 1, "Allowed", 15, "Detected")),
        ("ALLOW", false) => Some((1, "Success", 1, "Allowed", 1, "Allowed")),
        _ => None,
    };
    if let Some((status_id, status, action_id, action, disposition_id, disposition)) = verdict {
        add(
            &mut event,
            json!({
                "status_id": status_id, "status": status, "action_id": action_id, "action": action,
                "disposition_id": disposition_id, "disposition": disposition,
            }),
        );
    }
    event
}

/// What an API Activity did. A question to a model is none of the schema's four words.
fn activity(entry: &Entry) -> (u32, &str) {
    match (entry.text("route_class"), entry.text("method")) {
        ("inference", _) => (OTHER, "Inference"),
        (_, "GET" | "HEAD") => (2, "Read"),
        ("read", _) => (2, "Read"),
        (_, "PUT" | "PATCH") => (3, "Update"),
        (_, "DELETE") => (4, "Delete"),
        (_, "") => (OTHER, entry.text("event_type")),
        (_, method) => (OTHER, method),
    }
}

/// An Event Log Activity.
fn of_the_log(entry: &Entry) -> Value {
    let (id, name) = match entry.text("event_type") {
        "audit.pruned" => (2, "Delete"),
        "audit.segment" => (5, "Rotate"),
        other => (OTHER, other),
    };
    let mut event = class(1, 1008, id);
    let about = json!({
        "activity_name": name, "log_name": "audit", "log_provider": "Portcullis", "message": entry.text("event_type"),
    });
    add(&mut event, about);
    event
}

/// The numbers that say what an event is.
fn class(category: u32, class: u32, activity: u32) -> Value {
    json!({"category_uid": category, "class_uid": class, "activity_id": activity, "type_uid": class * 100 + activity})
}

fn add(event: &mut Value, more: Value) {
    if let (Value::Object(event), Value::Object(more)) = (event, more) {
        event.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &Value) -> Value {
        event(&Entry::read(value.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn a_refused_request_is_an_api_activity() {
        let event = of(&json!({
            "seq_no": 7, "timestamp": "2026-11-21T08:00:00.123456+00:00", "event_type": "request", "request_id": "01R",
            "node_id": "did:key:z6Mk", "identity_method": "mtls", "listener": "gate", "route_class": "inference",
            "method": "POST", "path": "/api/chat", "model": "tiny:latest", "upstream": "local",
            "policy_decision": "BLOCK", "filter": "firewall", "code": "firewall.secret", "data_level": "L4",
            "prompt_sha256": "ab", "output_sha256": "", "request_bytes": 10, "response_bytes": 0, "duration_us": 1500,
            "task_id": "", "entry_hmac": "ff",
        }));
        assert_eq!(
            event,
            json!({
                "category_uid": 6, "class_uid": 6003, "activity_id": 99, "activity_name": "Inference",
                "type_uid": 600_399, "time": 1_795_248_000_123_i64, "severity_id": 4, "severity": "High",
                "metadata": {
                    "version": "1.5.0", "profiles": ["security_control"], "log_name": "audit", "event_code": "request",
                    "original_time": "2026-11-21T08:00:00.123456+00:00", "sequence": 7, "uid": "ff",
                    "product": {"name": "Portcullis", "vendor_name": "Portcullis", "version": env!("CARGO_PKG_VERSION")},
                },
                "actor": {"user": {"uid": "did:key:z6Mk"}},
                "src_endpoint": {"uid": "did:key:z6Mk"},
                "dst_endpoint": {"svc_name": "local"},
                "api": {"operation": "POST /api/chat", "request": {"uid": "01R"}},
                "http_request": {
                    "uid": "01R", "http_method": "POST", "url": {"path": "/api/chat"}, "body_length": 10,
                },
                "resources": [{"type": "model", "name": "tiny:latest"}],
                "policy": {"name": "firewall"},
                "duration": 1,
                "message": "BLOCK firewall.secret POST /api/chat tiny:latest",
                "status_id": 2, "status": "Failure", "status_code": "firewall.secret",
                "action_id": 2, "action": "Denied", "disposition_id": 2, "disposition": "Blocked",
                "unmapped": {
                    "identity_method": "mtls", "listener": "gate", "route_class": "inference", "data_level": "L4",
                    "prompt_sha256": "ab", "duration_us": 1500,
                },
            })
        );
    }

    #[test]
    fn what_the_schema_demands_is_always_there() {
        for (method, class, activity) in [
            ("GET", "read", 2),
            ("POST", "read", 2),
            ("POST", "inference", OTHER),
            ("POST", "admin", OTHER),
            ("PUT", "unknown", 3),
            ("DELETE", "admin", 4),
            ("", "", OTHER),
        ] {
            let event = of(&json!({"event_type": "handshake", "method": method, "route_class": class}));
            assert_eq!(event["type_uid"], 600_300 + activity, "{method} {class}");
            assert_eq!(
                (&event["actor"]["user"]["name"], &event["src_endpoint"]["name"]),
                (&"unknown".into(), &"unknown".into())
            );
            assert_ne!(event["activity_name"], "");
            assert_ne!(event["api"]["operation"], "");
        }
        let from = |address: &str| of(&json!({"event_type": "request", "client_address": address}));
        assert_eq!(from("192.0.2.7")["src_endpoint"], json!({"name": "unknown", "ip": "192.0.2.7"}));
        assert!(from("192.0.2.7").get("unmapped").is_none());
        assert_eq!(from("192.0.2.0/24")["unmapped"], json!({"client_address": "192.0.2.0/24"}), "no attribute for it");
        let shadow = of(&json!({"policy_decision": "ALLOW", "shadow": true, "code": "sca.vulnerable"}));
        assert_eq!((&shadow["action_id"], &shadow["disposition_id"]), (&1.into(), &15.into()));
    }

    #[test]
    fn what_the_log_tells_of_itself_is_an_event_log_activity() {
        for (what, id) in [("audit.segment", 5), ("audit.pruned", 2), ("audit.repaired", OTHER)] {
            let event = of(&json!({"event_type": what, "response_bytes": 5, "path": "audit-000000.jsonl"}));
            assert_eq!((&event["class_uid"], &event["category_uid"]), (&1008.into(), &1.into()));
            assert_eq!(event["type_uid"], 100_800 + id);
            assert_eq!(event["log_name"], "audit");
            assert_eq!(event["unmapped"], json!({"response_bytes": 5, "path": "audit-000000.jsonl"}));
        }
        for (what, id) in [("audit.segment", 1), ("audit.read_anew", 3), ("audit.witness_conflict", 5)] {
            assert_eq!(of(&json!({"event_type": what}))["severity_id"], id, "{what}");
        }
    }
}
