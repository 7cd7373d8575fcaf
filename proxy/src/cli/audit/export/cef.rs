//! Entries in the Common Event Format, version 0: `CEF:0|vendor|product|version|what|name|severity|key=value …`.
//!
//! In the header `\` and `|` are escaped, in values `\`, `=` and the ends of lines; nothing else is. Keys of ArcSight's
//! dictionary are used where one fits, its six texts and three numbers without a meaning with labels, and names of our own
//! for the rest. Keys without a value are left out.

use std::net::IpAddr;

use super::said;
use crate::cli::audit::entry::{Entry, KEYS, OPTIONAL};

/// The keys of an entry whose values are texts, and how CEF calls them.
const TEXTS: [(&str, &str); 12] = [
    ("act", "policy_decision"),
    ("cat", "event_type"),
    ("deviceFacility", "listener"),
    ("externalId", "request_id"),
    ("reason", "code"),
    ("request", "path"),
    ("requestMethod", "method"),
    ("suid", "node_id"),
    ("PortcullisEntryHmac", "entry_hmac"),
    ("PortcullisOutputSha256", "output_sha256"),
    ("PortcullisPreviousHmac", "previous_hmac"),
    ("PortcullisPromptSha256", "prompt_sha256"),
];

/// Those that have no name in CEF, but a label.
const LABELLED: [(&str, &str); 8] = [
    ("cs1", "model"),
    ("cs2", "filter"),
    ("cs3", "route_class"),
    ("cs4", "upstream"),
    ("cs5", "identity_method"),
    ("cs6", "data_level"),
    ("flexString1", "advisory_ids"),
    ("flexString2", "task_id"),
];

/// The same for numbers.
const COUNTED: [(&str, &str); 3] = [("cn1", "seq_no"), ("cn2", "duration_us"), ("cn3", "repairs")];

/// An entry as an event, without the end of its line.
pub(super) fn event(entry: &Entry) -> String {
    let mut event = "CEF:0|Portcullis|Portcullis".to_owned();
    for part in [env!("CARGO_PKG_VERSION"), what(entry), name(entry), &entry.severity().to_string()] {
        event.push('|');
        escape(&mut event, part, Part::Header);
    }
    event.push('|');
    let mut first = true;
    let mut pair = |key: &str, value: &str| {
        if !std::mem::take(&mut first) {
            event.push(' ');
        }
        event.push_str(key);
        event.push('=');
        escape(&mut event, value, Part::Value);
    };
    pair("rt", &entry.millis().to_string());
    let texts = TEXTS.into_iter().map(|(name, key)| (name, entry.text(key)));
    texts.filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| pair(name, value));
    match (entry.address(), entry.text("client_address")) {
        (Some(IpAddr::V4(address)), _) => pair("src", &address.to_string()),
        (Some(IpAddr::V6(address)), _) => {
            pair("c6a2", &address.to_string());
            pair("c6a2Label", "Source IPv6 Address");
        }
        (None, "") => {}
        (None, network) => pair("PortcullisClientNetwork", network),
    }
    match entry.text("policy_decision") {
        "ALLOW" => pair("outcome", "success"),
        "BLOCK" => pair("outcome", "failure"),
        _ => {}
    }
    for (name, key) in [("in", "request_bytes"), ("out", "response_bytes")] {
        pair(name, &entry.number(key).to_string());
    }
    for (name, key) in LABELLED {
        if !entry.text(key).is_empty() {
            pair(name, entry.text(key));
            pair(&format!("{name}Label"), key);
        }
    }
    for (name, key) in COUNTED {
        if entry.get(key).is_some() {
            pair(name, &entry.number(key).to_string());
            pair(&format!("{name}Label"), key);
        }
    }
    if entry.get("segment").is_some() {
        pair("PortcullisSegment", &entry.number("segment").to_string());
    }
    if entry.is_shadow() {
        pair("PortcullisShadow", "true");
    }
    let known: Vec<&str> = KEYS.into_iter().chain(OPTIONAL).collect();
    let other = entry.without(&known);
    if !other.is_empty() {
        pair("PortcullisOther", &serde_json::Value::Object(other).to_string());
    }
    event
}

/// What happened, as a rule of the reader's asks for it.
fn what(entry: &Entry) -> &str {
    said(entry, &["code", "event_type"]).first().copied().unwrap_or("unknown")
}

fn name(entry: &Entry) -> &'static str {
    match (entry.text("policy_decision"), entry.is_shadow()) {
        ("BLOCK", _) => "Refused",
        (_, true) => "Allowed, and would have been refused",
        ("ALLOW", false) => "Allowed",
        _ => "Event of the audit log",
    }
}

#[derive(Clone, Copy)]
enum Part {
    Header,
    Value,
}

fn escape(event: &mut String, text: &str, part: Part) {
    for c in text.chars() {
        match (c, part) {
            ('\\', _) | ('|', Part::Header) | ('=', Part::Value) => {
                event.push('\\');
                event.push(c);
            }
            ('\n', Part::Value) => event.push_str("\\n"),
            ('\r', Part::Value) => event.push_str("\\r"),
            // Nothing may end the line, or look as if it did.
            (c, _) if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => event.push(' '),
            (c, _) => event.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn entry(value: &serde_json::Value) -> Entry {
        Entry::read(value.to_string().as_bytes()).unwrap()
    }

    /// Takes an event apart as a reader does: at every `|` of the header and every ` key=` that is not escaped.
    fn read(event: &str) -> (Vec<String>, Vec<(String, String)>) {
        let (mut parts, mut part, mut chars) = (Vec::new(), String::new(), event.chars());
        while parts.len() < 7
            && let Some(c) = chars.next()
        {
            match c {
                '\\' => part.push(chars.next().unwrap()),
                '|' => parts.push(std::mem::take(&mut part)),
                c => part.push(c),
            }
        }
        let (mut pairs, mut text): (Vec<(String, String)>, _) = (Vec::new(), String::new());
        while let Some(c) = chars.next() {
            match c {
                '\\' => text.push(match chars.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    c => c,
                }),
                '=' => {
                    let (before, key) = text.rsplit_once(' ').unwrap_or(("", &text));
                    if let Some(last) = pairs.last_mut() {
                        last.1 = before.to_owned();
                    }
                    pairs.push((key.to_owned(), String::new()));
                    text = String::new();
                }
                c => text.push(c),
            }
        }
        pairs.last_mut().unwrap().1 = text;
        (parts, pairs)
    }

    #[test]
    fn an_event_reads_as_the_entry() {
        let event = event(&entry(&json!({
            "seq_no": 7, "timestamp": "2026-11-21T08:00:00.123456+00:00", "event_type": "request", "request_id": "01R",
            "node_id": "did:key:z6Mk", "listener": "gate", "route_class": "inference", "method": "POST", "path": "/api/chat",
            "model": "tiny:latest", "policy_decision": "BLOCK", "filter": "firewall", "code": "firewall.secret",
            "data_level": "L4", "request_bytes": 10, "response_bytes": 0, "duration_us": 1500, "shadow": false,
        })));
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            event,
            format!(
                "CEF:0|Portcullis|Portcullis|{version}|firewall.secret|Refused|8|rt=1795248000123 act=BLOCK cat=request \
                 deviceFacility=gate externalId=01R reason=firewall.secret request=/api/chat requestMethod=POST \
                 suid=did:key:z6Mk outcome=failure in=10 out=0 cs1=tiny:latest cs1Label=model cs2=firewall cs2Label=filter \
                 cs3=inference cs3Label=route_class cs6=L4 cs6Label=data_level cn1=7 cn1Label=seq_no cn2=1500 \
                 cn2Label=duration_us"
            )
        );
    }

    #[test]
    fn events_of_the_log_say_everything() {
        let begun = json!({"event_type": "audit.segment", "previous_hmac": "ff", "segment": 2, "more": "a|b=c"});
        let event = event(&entry(&begun));
        assert!(event.contains("|audit.segment|Event of the audit log|1|"), "{event}");
        assert!(event.contains(" PortcullisPreviousHmac=ff "), "{event}");
        assert!(event.ends_with(r#" PortcullisSegment=2 PortcullisOther={"more":"a|b\=c"}"#), "{event}");
    }

    #[test]
    fn an_address_is_told_as_far_as_the_log_does() {
        for (address, expected) in [
            ("192.0.2.7", " src=192.0.2.7 "),
            ("2001:db8::7", " c6a2=2001:db8::7 c6a2Label=Source IPv6 Address "),
            ("192.0.2.0/24", " PortcullisClientNetwork=192.0.2.0/24 "),
        ] {
            let event = event(&entry(&json!({"client_address": address})));
            assert!(event.contains(expected), "{event}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(path in "\\PC*", model in "[a-z|=\\\\ \n\r]{0,12}", code in "[a-z|=\\\\]{1,12}") {
            let text = event(&entry(&json!({"path": path, "model": model, "code": code})));
            prop_assert!(!text.contains(['\n', '\r']));
            let (header, pairs) = read(&text);
            prop_assert_eq!(&header[4], &code);
            let value = |key: &str| pairs.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value);
            // The reader of this test ends a value at the last blank before a key, and so keeps the blanks within.
            prop_assert_eq!(value("request"), path.replace(['\u{2028}', '\u{2029}'], " "));
            prop_assert_eq!(value("cs1"), model);
            prop_assert_eq!(value("reason"), code);
        }

        #[test]
        fn an_event_is_one_line(text in any::<String>()) {
            let text = event(&entry(&json!({"path": text, "code": text, "other": text})));
            prop_assert!(text.chars().all(|c| !c.is_control()), "{:?}", text);
        }
    }
}
