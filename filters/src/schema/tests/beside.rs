//! The filter's eye beside that of the firewall.

use portcullis_firewall::{Rules, Source};
use portcullis_policies::DataLevel;

use super::*;
use crate::firewall::{FindingObserver, Fingerprints, Firewall, FirewallSettings};

const RULES: &str = r#"
[[rules]]
id = "ours"
description = "Token of ours"
regex = '''\b(ours_[a-z0-9]{8})\b'''
keywords = ["ours_"]
[rules.fw]
action = "redact"
[[rules]]
id = "theirs"
description = "Token of theirs"
regex = '''\b(theirs_[a-z0-9]{8})\b'''
keywords = ["theirs_"]
"#;

impl FindingObserver for Deaf {
    fn found(&self, _: &str, _: DataLevel, _: &'static str) {}
}

fn firewall() -> Firewall {
    let settings = FirewallSettings::default();
    let rules = Rules::load(false, &[Source { name: "t.toml", text: RULES }], &settings.selection()).unwrap();
    Firewall::new(settings, Arc::new(rules), Fingerprints::new(b"a key").unwrap(), Arc::new(Deaf)).unwrap()
}

/// What leaves when both filters watch, in either order, and whether it was refused.
fn leaves(firewall_first: bool, begun: &Exchange, filter: &SchemaFilter, answer: &str) -> (String, Option<Code>) {
    let shape =
        AnswerShape { stream: None, reading: Reading::Json, frame_bytes: 1 << 20, held_bytes: 1 << 20, success: true };
    let eye = |filter: &dyn Filter, name| {
        Eye::new(name, Mode::Enforce, filter.watch(&begun.head, &begun.facts, &shape).unwrap().unwrap())
    };
    let mut eyes = vec![eye(&firewall(), "firewall"), eye(filter, "schema")];
    if !firewall_first {
        eyes.reverse();
    }
    let (mut gate, mut out) = (Gate::new(eyes, shape, Arc::new(Deaf)), Vec::new());
    let said = gate.push(answer.as_bytes(), &mut out).and_then(|()| gate.finish(&mut out).now_or_never().unwrap());
    let left = out.iter().map(|frame| String::from_utf8(frame.bytes().to_vec()).unwrap()).collect();
    (left, said.err().map(|no| no.code))
}

/// The layouts in which servers answer: what stands before the tool's answer moves where its texts stand in the frame.
#[test]
fn what_is_taken_out_of_a_served_answer_is_gone_from_what_leaves() {
    let recommendation = "Move the value into the environment, rotate it at once, and look at the log";
    for (kind, before) in [
        (UpstreamKind::Ollama, json!({"model": "tiny", "created_at": "2026-11-21T09:08:07Z"})),
        (UpstreamKind::Ollama, json!({})),
        (UpstreamKind::LlamaCpp, json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m"})),
    ] {
        for firewall_first in [true, false] {
            let filter = filter(vec![]);
            let begun = Exchange::begin(&filter, kind, "/tools/review_code", &request("review_code")).unwrap();
            let said = |token: &str| {
                let said = json!({"findings": [{"description": format!("Hardcoded: {token} in line 1"),
                    "recommendation": recommendation, "severity": "high"}]});
                let message = json!({"role": "assistant", "content": said.to_string()});
                let mut answer = before.clone();
                match kind {
                    UpstreamKind::Ollama => answer["message"] = message,
                    _ => answer["choices"] = json!([{"index": 0, "message": message, "finish_reason": "stop"}]),
                }
                answer.to_string()
            };
            let (left, refused) = leaves(firewall_first, &begun, &filter, &said("ours_a1b2c3d4"));
            assert_eq!(refused, None, "{before} {firewall_first}");
            let left: Value = serde_json::from_str(&left).unwrap();
            let finding = &left["findings"][0];
            assert_eq!(finding["description"], "Hardcoded: [redacted:ours] in line 1", "{before} {firewall_first}");
            assert_eq!(finding["recommendation"], recommendation);
            assert_eq!((&left["caller_nonce_echo"], &left["task_id"]), (&json!(NONCE), &json!(TASK)));
        }
    }
}

#[test]
fn an_answer_that_the_firewall_refuses_does_not_use_the_nonce_up() {
    let filter = filter(vec![]);
    let begin =
        || Exchange::begin(&filter, UpstreamKind::Ollama, "/tools/review_code", &request("review_code")).unwrap();
    let answer = |text: &str| {
        let said = format!(r#"{{"findings":[{{"description":"{text}","recommendation":"r","severity":"low"}}]}}"#);
        json!({"message": {"content": said}}).to_string()
    };
    let begun = begin();
    assert_eq!(leaves(true, &begun, &filter, &answer("theirs_a1b2c3d4")).1, Some(Code::FirewallOutputSecret));
    assert_eq!(leaves(true, &begun, &filter, &answer("fine")).1, None);
    assert_eq!(leaves(true, &begin(), &filter, &answer("fine")).1, Some(Code::SchemaReplayed));
}
