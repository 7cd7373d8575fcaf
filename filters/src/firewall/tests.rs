use super::*;
use crate::verdict::{Code, Refusal};
use portcullis_firewall::{Origin, Source};
use portcullis_policies::{DataLevel, UpstreamKind};
use proptest::prelude::*;

struct Deaf;

impl FindingObserver for Deaf {
    fn found(&self, _: &str, _: DataLevel, _: &'static str) {}
}

pub(super) const RULES: &str = r#"
[[rules]]
id = "ours"
description = "Token of ours"
regex = '''\b(ours_[a-z0-9]{8})\b'''
keywords = ["ours_"]
[[rules]]
id = "cut"
regex = '''\b(cut_[a-z0-9]{8})\b'''
keywords = ["cut_"]
[rules.fw]
action = "redact"
[[rules]]
id = "hint"
regex = '''\b(hint_[a-z0-9]{8})\b'''
keywords = ["hint_"]
[rules.fw]
kind = "structural"
[[rules]]
id = "assigned"
regex = '''(?i)passphrase"?\s*[:=]\s*"([^"]{6,})"'''
keywords = ["passphrase"]
"#;

fn filter() -> &'static Firewall {
    static ONE: std::sync::LazyLock<Firewall> = std::sync::LazyLock::new(made);
    &ONE
}

fn made() -> Firewall {
    let settings = FirewallSettings::default();
    let source = Source { name: "t.toml", text: RULES };
    let rules = Rules::load(false, &[source], &settings.selection()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    Firewall::new(settings, Arc::new(rules), Fingerprints::new(b"a key").unwrap(), Arc::new(Deaf)).unwrap()
}

pub(super) fn head(path: &str) -> Head {
    crate::testkit::head(UpstreamKind::Ollama, "POST", path)
}

/// Judges a whole request: what goes on, or the refusal.
fn judge(facts: &mut Facts, body: &str) -> Result<String, Refusal> {
    let head = head("/api/chat");
    let body: Bytes = body.as_bytes().to_vec().into();
    let json = Json::parse(&body).unwrap();
    let request = Request { head: &head, body: &body, json: Some(&json) };
    match filter().judge(&request, facts).unwrap() {
        Verdict::Pass => Ok(String::from_utf8(body.to_vec()).unwrap()),
        Verdict::Replace(new) => Ok(String::from_utf8(new.to_vec()).unwrap()),
        Verdict::Block(no) => Err(no),
    }
}

/// What is read of a request: its texts, who says each, and whether it goes on from the one before.
fn read(path: &str, body: &str) -> Vec<(String, Origin, bool)> {
    let (head, body) = (head(path), Bytes::from(body.as_bytes().to_vec()));
    let json = Json::parse(&body).unwrap();
    let request = Request { head: &head, body: &body, json: Some(&json) };
    let hidden = texts::hidden(&request).unwrap();
    let texts = Texts::of(&request, &hidden);
    assert_eq!(texts.texts.len(), texts.places.len());
    texts.texts.iter().map(|text| (text.text.to_owned(), text.origin, text.flows)).collect()
}

#[test]
fn what_is_said_is_read_in_order_and_by_whom() {
    let body = r#"{"model":"tiny","suffix":"end","prompt":"mid","system":"begin","options":{"stop":["word"]}}"#;
    let said = read("/api/generate", body);
    let first: Vec<_> = said.iter().take(4).map(|(text, origin, flows)| (text.as_str(), *origin, *flows)).collect();
    assert_eq!(
        first,
        [
            ("begin", Origin::System, false),
            ("mid", Origin::User, true),
            ("end", Origin::User, true),
            ("model", Origin::Unknown, false)
        ]
    );
    assert!(said.iter().any(|(text, _, flows)| text == "word" && !flows));
    let body = r#"{"model":"tiny","messages":[{"content":"a","role":"tool"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"tool_result","content":"c"}]},{"content":"d"}]}"#;
    let said: Vec<_> = read("/api/chat", body).into_iter().take(4).map(|(text, origin, _)| (text, origin)).collect();
    let expected = [("a", Origin::Tool), ("b", Origin::User), ("c", Origin::Tool), ("d", Origin::Unknown)];
    assert_eq!(said, expected.map(|(text, origin)| (text.to_owned(), origin)));
}

#[test]
fn the_strictest_finding_refuses() {
    let mut facts = Facts::default();
    let no =
        judge(&mut facts, r#"{"messages":[{"content":"hint_12345678 ours_12345678 hint_12345678"}]}"#).unwrap_err();
    assert_eq!((no.code, no.level, no.detail.as_str()), (Code::FirewallSecret, DataLevel::L4, "rule ours"));
    assert_eq!(facts.level(), DataLevel::L4);
    let told: Vec<_> = facts.findings().iter().map(|noted| (&*noted.rule, noted.action)).collect();
    assert!(told.contains(&("ours", "block")) && told.contains(&("hint", "flag")), "{told:?}");
}

#[test]
fn what_is_cut_leaves_nothing_behind() {
    let mut facts = Facts::default();
    let body = r#"{"model":"tiny","messages":[{"role":"user","content":"a cut_12345678 b"}],"n":1.0}"#;
    let goes_on = judge(&mut facts, body).unwrap();
    assert_eq!(goes_on, body.replace("cut_12345678", "[redacted:cut]"));
    assert_eq!((facts.redactions(), facts.level()), (1, DataLevel::L4));
    assert_eq!(facts.findings()[0].action, "redact");
    // What tells the server what to do is not rewritten.
    for body in [r#"{"model":"cut_12345678"}"#, r#"{"cut_12345678":"x"}"#, r#"{"messages":[{"role":"cut_12345678"}]}"#]
    {
        assert_eq!(judge(&mut Facts::default(), body).unwrap_err().code, Code::FirewallSecret, "{body}");
    }
}

#[test]
fn a_value_is_judged_with_its_key_and_told_once() {
    let body = r#"{"messages":[{"tool_calls":[{"function":{"arguments":{"passphrase":"opensesame"}}}]}]}"#;
    let mut facts = Facts::default();
    let no = judge(&mut facts, body).unwrap_err();
    assert_eq!((no.detail.as_str(), facts.findings().len()), ("rule assigned", 1));
    let body = r#"{"messages":[{"tool_calls":[{"function":{"arguments":{"x":"see ours_12345678"}}}]}]}"#;
    let mut facts = Facts::default();
    judge(&mut facts, body).unwrap_err();
    assert_eq!(facts.findings().len(), 1, "{:?}", facts.findings());
}

#[test]
fn where_it_goes_bounds_what_may_be_shown() {
    let body = r#"{"messages":[{"content":"hint_12345678 and cut_12345678"}]}"#;
    let mut facts = Facts::default();
    facts.set_ceiling(DataLevel::L1);
    facts.set_ceiling(DataLevel::L3);
    let no = judge(&mut facts, body).unwrap_err();
    assert_eq!((no.code, no.level), (Code::FirewallLevel, DataLevel::L2));
    let mut facts = Facts::default();
    facts.set_ceiling(DataLevel::L2);
    assert!(judge(&mut facts, body).unwrap().contains("[redacted:cut]"), "what is taken out is not shown");
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let key = prop_oneof!["[a-z]{1,8}", Just("role".to_owned()), Just("content".to_owned()), Just("type".to_owned())];
    let leaf = prop_oneof!["\\PC{0,12}".prop_map(serde_json::Value::from), any::<i64>().prop_map(Into::into)];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_string_is_left_out(inner in any_json(), at in "(messages|prompt|system|input|tools|options|x)") {
        let body = serde_json::json!({"model": "tiny", at: inner}).to_string();
        let json = Json::parse(body.as_bytes()).unwrap();
        let read: std::collections::HashSet<_> = read("/api/chat", &body).into_iter().map(|(text, ..)| text).collect();
        json.each_string(&mut |text| assert!(text.len() < 4 || read.contains(text), "{text:?} of {body}"));
    }

    #[test]
    fn whatever_passes_holds_nothing(inner in any_json(), cut in "[a-z0-9]{8}", keyed in any::<bool>()) {
        let token = format!("cut_{cut}");
        let body = if keyed {
            serde_json::json!({"messages": [inner, {&token: token}]})
        } else {
            serde_json::json!({"messages": [inner, {"content": ["before", token]}]})
        };
        let mut facts = Facts::default();
        match judge(&mut facts, &body.to_string()) {
            Ok(passes) => prop_assert!(!passes.contains(&token) && !keyed && facts.redactions() == 1),
            Err(no) => prop_assert!(keyed && no.code == Code::FirewallSecret),
        }
    }
}
