//! The firewall's rules as files: loaded all or not at all, named where they are broken, and reloaded while the
//! gate runs.

use std::fs;

use portcullis_tests::{Client, FakeServer, Gate, until};
use serde_json::json;

use crate::firewall::{gate, rule, token};

fn ask(alice: &Client) -> String {
    let body = json!({"model": "tiny", "stream": false, "messages": [{"role": "user", "content": token()}]});
    alice.post("/api/chat", &body).code()
}

const BROKEN: &str = "\n[[rules]]\nid = \"broken\"\nregex = '''a(b'''\n";

#[test]
fn rules_are_reloaded_all_or_not_at_all() {
    let server = FakeServer::start();
    let gate = gate(&server, "ollama", "", "").start();
    let alice = gate.approved_client("alice");
    let file = gate.dir.path().join("ours.toml");
    let found =
        |action: &str| format!(r#"portcullis_firewall_findings_total{{action="{action}",level="L4",rule="ours"}}"#);
    for action in ["block", "flag", "redact"] {
        assert_eq!(gate.metrics().get(&found(action)), Some(&0.0), "watched sets start at 0: {action}");
    }
    assert_eq!(ask(&alice), "firewall.secret");
    // A broken rule beside one that would let it through: nothing of the file is taken.
    fs::write(&file, rule("action = \"flag\"") + BROKEN).unwrap();
    gate.signal(rustix::process::Signal::HUP);
    let failed = || gate.metric(r#"portcullis_config_reloads_total{result="failure"}"#) >= 1.0;
    until("the reload to fail", || failed().then_some(()));
    assert_eq!(gate.metric("portcullis_config_last_reload_successful"), 0.0);
    assert!(gate.log().contains("rule `broken`: its `regex` does not compile"), "{}", gate.log());
    assert_eq!(ask(&alice), "firewall.secret", "the old rules stay");
    let checked = gate.cli(&["check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(2), "{said}");
    let line = rule("action = \"flag\"").lines().count() + 2;
    assert!(said.contains(&format!("ours.toml:{line}:1: rule `broken`: its `regex` does not compile")), "{said}");
    let (status, text) = gate.ask_admin("POST", "/api/v1/reload", Some(&gate.token()));
    assert!(status >= 400 && text.contains("broken"), "{status} {text}");
    // The operator repairs it.
    fs::write(&file, rule("action = \"flag\"")).unwrap();
    let (status, text) = gate.ask_admin("POST", "/api/v1/reload", Some(&gate.token()));
    assert_eq!(status, 200, "{text}");
    assert_eq!(ask(&alice), "allow");
    assert_eq!(gate.cli(&["check"]).status.code(), Some(0));
    // A rule that is gone takes its metrics along.
    fs::write(&file, rule("").replace("\"ours\"", "\"theirs\"")).unwrap();
    assert_eq!(gate.ask_admin("POST", "/api/v1/reload", Some(&gate.token())).0, 200);
    assert!(!gate.metrics().contains_key(&found("block")));
    assert!(gate.metrics().contains_key(&found("block").replace("ours", "theirs")));
    assert_eq!(ask(&alice), "firewall.secret");
}

#[test]
fn a_rule_file_is_watched() {
    let server = FakeServer::start();
    let url = format!("http://{}", server.address());
    let gate = Gate::before_url(&url, "ollama")
        .file("ours.toml", &rule(""))
        .filter("firewall: {rules: ['*.toml']}")
        .top("watch: true")
        .start();
    let alice = gate.approved_client("alice");
    assert_eq!(ask(&alice), "firewall.secret");
    fs::write(gate.dir.path().join("ours.toml"), rule("action = \"flag\"")).unwrap();
    until("the change to be seen", || (ask(&alice) == "allow").then_some(()));
    let other = rule("").replace("\"ours\"", "\"another\"");
    fs::write(gate.dir.path().join("zother.toml"), other).unwrap();
    until("the new file to be seen", || (ask(&alice) == "firewall.secret").then_some(()));
}

#[test]
fn check_names_what_is_not_in_force() {
    let server = FakeServer::start();
    let only_paths = "[[rules]]\nid = \"only-paths\"\ndescription = \"A file\"\npath = '''\\.p12$'''\n";
    let gate = gate(&server, "ollama", "", "").start();
    fs::write(gate.dir.path().join("ours.toml"), rule("") + only_paths).unwrap();
    let checked = gate.cli_json(&["check"]);
    let inactive = checked["firewall"]["inactive"].to_string();
    assert!(inactive.contains("only-paths"), "{checked}");
    assert!(checked["warnings"].to_string().contains("only-paths"));
    assert!(checked["firewall"]["active"].as_u64().unwrap() >= 2);
}
