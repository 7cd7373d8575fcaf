//! The log cannot be rewritten.

use portcullis_tests::{FakeServer, Gate};
use serde_json::json;

#[test]
fn every_decision_leaves_one_whole_line() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let answer = alice.post(
        "/api/chat",
        &json!({"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "stream": false}),
    );
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    for (key, value) in [
        ("event_type", "request"),
        ("identity_method", "mtls"),
        ("listener", "gate"),
        ("route_class", "inference"),
        ("method", "POST"),
        ("path", "/api/chat"),
        ("model", "tiny:latest"),
        ("upstream", "local"),
        ("policy_decision", "ALLOW"),
        ("filter", ""),
        ("code", ""),
        ("data_level", "L0"),
        ("task_id", ""),
        ("node_id", &alice.id),
    ] {
        assert_eq!(entry[key], value, "{key}");
    }
    assert_eq!(entry["prompt_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(entry["output_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(entry["response_bytes"], answer.body.len());
    assert_eq!(entry["client_address"], "127.0.0.0/24");
    assert_eq!(entry.as_object().unwrap().len(), 24);
    // What people read names the request by the id that `explain` asks for.
    for command in ["show", "tail"] {
        let shown = gate.cli(&["audit", command]);
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        let line = text.lines().find(|line| line.contains("/api/chat")).unwrap_or_else(|| panic!("{command}: {text}"));
        assert!(line.contains(answer.header("portcullis-request-id").unwrap()), "{line}");
    }
    let log = std::fs::read_to_string(gate.state().join("audit/audit-000000.jsonl")).unwrap();
    assert!(!log.contains("hello") && !log.contains("Hello there"), "no prompt, no answer");
    let audit = gate.cli_json(&["audit", "verify"]);
    assert_eq!(audit["ok"], true);
    assert_eq!(audit["entries"], gate.audit().len());
}

#[test]
fn any_change_is_noticed() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    for _ in 0..5 {
        alice.get("/api/version");
    }
    gate.signal(rustix::process::Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0));
    let file = gate.state().join("audit/audit-000000.jsonl");
    let whole = std::fs::read(&file).unwrap();
    assert!(gate.cli(&["audit", "verify"]).status.success());
    let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
    let mut changed: Vec<Vec<u8>> = (0..whole.len())
        .step_by(97)
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        })
        .collect();
    let mut without = lines.clone();
    without.remove(2);
    changed.push(without.concat());
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    changed.push(swapped.concat());
    changed.push([&whole[..], b"{}\n"].concat());
    changed.push(whole[..whole.len() - 1].to_vec());
    for bytes in changed {
        std::fs::write(&file, &bytes).unwrap();
        let output = gate.cli(&["audit", "verify"]);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stderr).contains("audit-000000.jsonl:"));
    }
}

#[test]
fn llmesh_s_own_verifier_agrees() {
    let Some((python, _)) = portcullis_tests::real::prepared("the cross-check with LLMesh's verifier") else { return };
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    for _ in 0..4 {
        alice.get("/api/version");
    }
    let verify = |bytes: &[u8]| {
        let copy = gate.dir.path().join("copy.jsonl");
        std::fs::write(&copy, bytes).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/real/llmesh_verify.py");
        let key = std::fs::read_to_string(gate.state().join("audit.key")).unwrap();
        let output = std::process::Command::new(&python).arg(script).arg(&copy).arg(key.trim()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("\"ok\""), "{said} {}", String::from_utf8_lossy(&output.stderr));
        said.contains("\"ok\": true")
    };
    let whole = std::fs::read(gate.state().join("audit/audit-000000.jsonl")).unwrap();
    assert!(verify(&whole), "it accepts what the gate wrote");
    let text = String::from_utf8(whole).unwrap();
    assert!(!verify(text.replacen("ALLOW", "BLOCK", 1).as_bytes()), "a changed word");
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.swap(1, 2);
    assert!(!verify(lines.concat().as_bytes()), "two lines swapped");
    lines.swap(1, 2);
    lines.remove(1);
    assert!(!verify(lines.concat().as_bytes()), "a line removed");
}
