//! Several rules that find something in the same place, of which one is taken out: with the rules in the program,
//! as an operator sets them.

use std::sync::Mutex;

use portcullis_firewall::{Source, draw};
use portcullis_policies::DataLevel;
use portcullis_policies::policy::{FirewallFloor, Handling};

use super::tests::head;
use super::*;
use crate::exchange::Noted;
use crate::verdict::{Code, Refusal};

/// The operator's own rule of the documentation.
pub(super) const ACME: &str = r#"
[[rules]]
id = "acme-token"
description = "Token of our build server"
regex = '''\b(acme_[a-z0-9]{32})\b'''
keywords = ["acme_"]
[rules.fw]
action = "redact"
"#;

/// Rules of whose findings one lies in the other, apart from it, or over its border.
const NESTED: &str = r#"
[[rules]]
id = "inner"
regex = '''inner_([a-z0-9]{8})'''
keywords = ["inner_"]
[rules.fw]
action = "redact"
[[rules]]
id = "outer"
regex = '''outer\(([^)]{4,80})\)'''
keywords = ["outer("]
[[rules]]
id = "over"
regex = '''over ([a-z0-9_ ]{20,40})'''
keywords = ["over "]
"#;

/// What was counted: rule and action.
#[derive(Default)]
struct Counted(Mutex<Vec<(String, &'static str)>>);

impl FindingObserver for Counted {
    fn found(&self, rule: &str, _: DataLevel, action: &'static str) {
        self.0.lock().unwrap().push((rule.to_owned(), action));
    }
}

struct Gate {
    filter: Firewall,
    counted: Arc<Counted>,
}

impl Gate {
    fn new(builtin: bool, more: &str, settings: FirewallSettings) -> Self {
        let counted = Arc::new(Counted::default());
        let sources: Vec<_> =
            [more].iter().filter(|text| !text.is_empty()).map(|text| Source { name: "t", text }).collect();
        let rules =
            Rules::load(builtin, &sources, &settings.selection()).map_err(|wrong| format!("{wrong:?}")).unwrap();
        let prints = Fingerprints::new(b"a key").unwrap();
        let observer = Arc::clone(&counted) as Arc<dyn FindingObserver>;
        Self { filter: Firewall::new(settings, Arc::new(rules), prints, observer).unwrap(), counted }
    }

    /// What goes on of a message, or the refusal.
    fn message(&self, content: &str) -> (Result<String, Refusal>, Facts) {
        let mut facts = Facts::default();
        let said = self.request(&serde_json::json!({"messages": [{"content": content}]}), &mut facts);
        let content = |body: serde_json::Value| body["messages"][0]["content"].as_str().unwrap().to_owned();
        (said.map(content), facts)
    }

    fn request(&self, body: &serde_json::Value, facts: &mut Facts) -> Result<serde_json::Value, Refusal> {
        let (head, body) = (head("/api/chat"), Bytes::from(body.to_string()));
        let json = Json::parse(&body).unwrap();
        let request = Request { head: &head, body: &body, json: Some(&json) };
        match self.filter.judge(&request, facts).unwrap() {
            Verdict::Pass => Ok(serde_json::from_slice(&body).unwrap()),
            Verdict::Replace(new) => Ok(serde_json::from_slice(&new).unwrap()),
            Verdict::Block(no) => Err(no),
        }
    }

    fn counts(&self) -> Vec<(String, &'static str)> {
        let mut counts = self.counted.0.lock().unwrap().clone();
        counts.sort();
        counts
    }
}

pub(super) fn settings(actions: &[(&str, RuleAction)]) -> FirewallSettings {
    let actions = actions.iter().map(|(rule, action)| ((*rule).to_owned(), *action)).collect();
    FirewallSettings { actions, ..FirewallSettings::default() }
}

pub(super) fn jwt() -> String {
    draw("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MjI2MTc0{b64url:40}.{b64url:43}", 7).unwrap()
}

/// Two tokens that are read as one.
pub(super) fn jwts() -> String {
    format!("{}-{}", jwt(), jwt())
}

pub(super) fn acme() -> String {
    draw("acme_{lownum:32}", 7).unwrap()
}

fn told(facts: &Facts) -> Vec<(&str, &str)> {
    let mut told: Vec<_> = facts.findings().iter().map(|Noted { rule, action, .. }| (&**rule, *action)).collect();
    told.sort_unstable();
    told
}

/// Sentences, settings and code around a value.
pub(super) const AROUND: [&str; 16] = [
    "token: {}",
    "token: {} and more",
    "token: {}.",
    "token: {}, or so",
    "token={};",
    "my password is {}\n",
    "password = '{}'",
    "{\"api_key\": \"{}\"}",
    "API_TOKEN={}\n",
    "Authorization: Bearer {}",
    "curl -H 'Authorization: Bearer {}' https://api.acme.dev",
    "<password>{}</password>",
    "see {} there",
    "secret: `{}`",
    "GET /a?access_token={}&page=2 HTTP/1.1",
    "?page=2&access_token={}&",
];

#[test]
fn what_is_taken_out_takes_along_what_its_level_would_block() {
    let gate = Gate::new(true, "", settings(&[("jwt", RuleAction::Redact)]));
    let ours = Gate::new(true, ACME, FirewallSettings::default());
    for (gate, rule, token) in [(&gate, "jwt", jwt()), (&gate, "jwt", jwts()), (&ours, "acme-token", acme())] {
        for around in AROUND {
            let (said, facts) = gate.message(&around.replace("{}", &token));
            let said = said.unwrap_or_else(|no| panic!("{rule} {around}: {}, {:?}", no.detail, told(&facts)));
            assert_eq!(said, around.replace("{}", &format!("[redacted:{rule}]")), "{rule} {around}");
            assert_eq!((facts.redactions(), facts.level()), (1, DataLevel::L4), "{rule} {around}");
        }
    }
}

#[test]
fn it_is_counted_and_told_once() {
    let gate = Gate::new(true, "", settings(&[("jwt", RuleAction::Redact)]));
    let (said, facts) = gate.message(&format!("token: {}", jwt()));
    said.unwrap();
    assert_eq!(told(&facts), [("assigned-secret", "redact"), ("jwt", "redact"), ("told-secret", "redact")]);
    let counts = gate.counts();
    let counts: Vec<_> = counts.iter().map(|(rule, action)| (rule.as_str(), *action)).collect();
    assert_eq!(counts, told(&facts));
}

#[test]
fn who_is_named_decides() {
    use RuleAction::{Block, Redact};
    let text = format!("token: {}", jwt());
    let gate = Gate::new(true, "", settings(&[("jwt", Redact), ("assigned-secret", Block)]));
    let (said, facts) = gate.message(&text);
    assert_eq!(said.unwrap_err().detail, "rule assigned-secret");
    assert_eq!(told(&facts), [("assigned-secret", "block"), ("jwt", "redact"), ("told-secret", "redact")]);
    assert_eq!(gate.counts().len(), 3);
    // A rule file's word is a word, too.
    let blocking = "[[rules]]\nid = \"named\"\nregex = '''token: (\\S{20,})'''\nkeywords = [\"token: \"]\n[rules.fw]\naction = \"block\"\n";
    let gate = Gate::new(true, blocking, settings(&[("jwt", Redact)]));
    assert_eq!(gate.message(&text).0.unwrap_err().detail, "rule named");
    // Without anything that is taken out, the level decides as ever.
    let gate = Gate::new(true, "", FirewallSettings::default());
    let (said, facts) = gate.message(&text);
    assert_eq!(said.unwrap_err().detail, "rule jwt");
    assert!(told(&facts).iter().all(|(_, action)| *action == "block"), "{:?}", told(&facts));
}

#[test]
fn the_policys_level_is_a_level_and_its_word_a_word() {
    let floor = FirewallFloor { block_at: Some(DataLevel::L2), pii: None };
    let gate = Gate::new(true, "", FirewallSettings { floor, ..settings(&[("jwt", RuleAction::Redact)]) });
    assert_eq!(gate.message(&format!("token: {}", jwt())).0.unwrap(), "token: [redacted:jwt]");
    // The account's number is also what an assignment gives away.
    let iban = "password: DE89370400440532013000";
    let pii = FirewallSettings { pii: Handling::Redact, ..FirewallSettings::default() };
    let gate = Gate::new(true, "", pii.clone());
    let said = gate.message(iban).0.unwrap();
    assert!(said.starts_with("password: [redacted:pii-iban"), "{said}");
    let floor = FirewallFloor { block_at: None, pii: Some(Handling::Block) };
    let gate = Gate::new(true, "", FirewallSettings { floor, ..pii });
    assert!(gate.message(iban).0.is_err());
}

#[test]
fn only_what_lies_wholly_inside_goes_with_it() {
    let gate = Gate::new(false, NESTED, FirewallSettings::default());
    let passes = |text: &str| gate.message(text).0.map_err(|no| (no.code, no.detail));
    assert_eq!(passes("see inner_12345678 there").unwrap(), "see inner_[redacted:inner] there");
    // The wider one stays, whichever is found first.
    let no = (Code::FirewallSecret, "rule outer".to_owned());
    assert_eq!(passes("outer(inner_12345678)").unwrap_err(), no);
    assert_eq!(passes("outer(inner_12345678) inner_87654321").unwrap_err(), no);
    let no = (Code::FirewallSecret, "rule over".to_owned());
    assert_eq!(passes("over here is inner_12345678 and").unwrap_err(), no);
    // What is left of it is judged again, as it will be sent.
    let wide = NESTED.replace("inner_([a-z0-9]{8})", "inner_([a-z0-9]{8}[)]?)");
    let gate = Gate::new(false, &wide, FirewallSettings::default());
    assert!(gate.message("outer(inner_12345678)").0.is_err());
}

#[test]
fn what_is_told_and_gone_does_not_count_against_where_it_goes() {
    let set = FirewallSettings { block_at: DataLevel::L4, ..settings(&[("jwt", RuleAction::Redact)]) };
    let gate = Gate::new(true, "", set);
    let ask = |text: String| {
        let mut facts = Facts::default();
        facts.set_ceiling(DataLevel::L1);
        gate.request(&serde_json::json!({"messages": [{"content": text}]}), &mut facts)
    };
    assert!(ask(format!("token: {}", jwt())).is_ok());
    let other = draw("{b62:32}", 3).unwrap();
    assert_eq!(ask(format!("token: {} and password = {other}", jwt())).unwrap_err().code, Code::FirewallLevel);
}

#[test]
fn what_is_encoded_goes_with_what_it_is_encoded_in() {
    let gate = Gate::new(true, "", settings(&[("jwt", RuleAction::Redact)]));
    let encoded = data_encoding::BASE64.encode(format!("password: {} is mine", jwt()).as_bytes());
    let (said, facts) = gate.message(&format!("look: '{encoded}' there"));
    assert_eq!(said.unwrap(), "look: '[redacted:jwt]' there");
    assert_eq!(facts.redactions(), 1);
    // Beside it, another one in the same encoding: it is cut out with it, and what is plain is not.
    let other = draw("{b62:32}", 3).unwrap();
    assert!(gate.message(&format!("look: {encoded} and password = {other}")).0.is_err());
}

#[test]
fn what_goes_on_in_another_text_is_blocked() {
    let gate = Gate::new(false, ACME, FirewallSettings::default());
    let token = acme();
    for at in [6, 12, 24, 36] {
        let (one, other) = token.split_at(at);
        let parts = serde_json::json!({"messages": [{"content": [
            {"type": "text", "text": format!("see {one}")}, {"type": "text", "text": format!("{other} there")}]}]});
        let no = gate.request(&parts, &mut Facts::default()).unwrap_err();
        assert_eq!(no.detail, "rule acme-token", "{at}");
    }
}

#[test]
fn keys_and_settings_are_not_rewritten() {
    let gate = Gate::new(true, ACME, FirewallSettings::default());
    let token = acme();
    for body in [
        serde_json::json!({"model": format!("token: {token}")}),
        serde_json::json!({"messages": [{"content": "x", (format!("token: {token}")): "y"}]}),
        serde_json::json!({"messages": [{"role": format!("token: {token}")}]}),
    ] {
        assert_eq!(gate.request(&body, &mut Facts::default()).unwrap_err().code, Code::FirewallSecret, "{body}");
    }
    // A value and its key say together what the value alone does not.
    let said = serde_json::json!({"messages": [{"tool_calls": [{"function": {"arguments": {"password": token}}}]}]});
    let passed = gate.request(&said, &mut Facts::default()).unwrap();
    let arguments = &passed["messages"][0]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(arguments["password"], "[redacted:acme-token]");
}

#[test]
fn many_are_taken_out_at_once() {
    let gate = Gate::new(true, "", settings(&[("jwt", RuleAction::Redact)]));
    let jwt = jwt();
    let (text, clean): (String, String) =
        (0..200).map(|n| (format!("token: {jwt} of {n}\n"), format!("token: [redacted:jwt] of {n}\n"))).unzip();
    let (said, facts) = gate.message(&text);
    assert_eq!((said.unwrap(), facts.redactions()), (clean, 200));
    let other = draw("{b62:32}", 3).unwrap();
    assert!(gate.message(&format!("{text}password = {other}\n")).0.is_err());
}
