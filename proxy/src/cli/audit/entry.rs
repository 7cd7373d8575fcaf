//! An entry as it is read, and how much it should worry somebody.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::audit_log::Concern;

/// What people read where a key has no value.
pub(super) const NOTHING: &str = "-";

/// The keys that every entry has, in the order in which they are told.
pub(super) const KEYS: [&str; 23] = [
    "seq_no",
    "timestamp",
    "event_type",
    "request_id",
    "node_id",
    "identity_method",
    "listener",
    "route_class",
    "method",
    "path",
    "model",
    "upstream",
    "policy_decision",
    "filter",
    "code",
    "data_level",
    "prompt_sha256",
    "output_sha256",
    "request_bytes",
    "response_bytes",
    "duration_us",
    "task_id",
    "entry_hmac",
];

/// The keys that some entries have besides.
pub(super) const OPTIONAL: [&str; 6] =
    ["advisory_ids", "client_address", "previous_hmac", "repairs", "segment", "shadow"];

/// An entry.
pub(super) struct Entry(Map<String, Value>);

impl Entry {
    /// The entry in a line; none when there is none in it.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().map(Self)
    }

    /// A text; empty when it is absent.
    pub(super) fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number; 0 when it is absent.
    pub(super) fn number(&self, key: &str) -> u64 {
        self.0.get(key).and_then(Value::as_u64).unwrap_or_default()
    }

    /// Whether a refusal was only tried.
    pub(super) fn is_shadow(&self) -> bool {
        self.0.get("shadow").and_then(Value::as_bool).unwrap_or_default()
    }

    /// Whether the log tells of itself.
    pub(super) fn is_of_the_log(&self) -> bool {
        self.text("event_type").starts_with("audit.")
    }

    /// From which address the caller came; none where the log does not tell it in full.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.text("client_address").parse().ok()
    }

    /// When it was written, in milliseconds since 1970; 0 when its time is none.
    pub(super) fn millis(&self) -> i64 {
        self.text("timestamp").parse::<jiff::Timestamp>().map_or(0, |time| time.as_millisecond())
    }

    /// A value as it stands.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Everything with a value whose key is none of these.
    pub(super) fn without(&self, keys: &[&str]) -> Map<String, Value> {
        let is_said = |value: &Value| value != "" && value != 0;
        let rest = self.0.iter().filter(|(key, value)| !keys.contains(&key.as_str()) && is_said(value));
        rest.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// How much it should worry somebody, from 0 to 10 as CEF counts: up to 3 little, up to 6 more, up to 8 much.
    pub(super) fn severity(&self) -> u8 {
        let level = match self.text("data_level") {
            "L2" => 1,
            "L3" => 2,
            "L4" => 3,
            _ => 0,
        };
        match (self.text("policy_decision"), self.is_shadow()) {
            ("BLOCK", _) => 5 + level,
            // It would have been refused.
            (_, true) => 3 + level,
            ("ALLOW", false) => 1 + level,
            _ => Concern::of(self.text("event_type")).cef(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_decided_and_of_how_much_worth_it_is_makes_the_severity() {
        for (decision, shadow, expected) in
            [("ALLOW", false, [1, 1, 2, 3, 4]), ("ALLOW", true, [3, 3, 4, 5, 6]), ("BLOCK", false, [5, 5, 6, 7, 8])]
        {
            for (level, expected) in expected.into_iter().enumerate() {
                let entry = json!({"policy_decision": decision, "shadow": shadow, "data_level": format!("L{level}")});
                let entry = Entry::read(entry.to_string().as_bytes()).unwrap();
                assert_eq!(entry.severity(), expected, "{decision} L{level} {shadow}");
            }
        }
        for (event, expected) in [
            ("audit.read_anew", 6),
            ("audit.recovered", 6),
            ("audit.repaired", 6),
            ("audit.segment", 1),
            ("audit.witness_conflict", 10),
        ] {
            let entry =
                Entry::read(json!({"event_type": event, "policy_decision": ""}).to_string().as_bytes()).unwrap();
            assert_eq!(entry.severity(), expected, "{event}");
        }
    }
}
