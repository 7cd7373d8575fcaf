//! What breaks, blocks; and the gate goes on.

use portcullis_tests::{FakeServer, Gate, Script, until};
use serde_json::json;

fn ask(words: &str) -> serde_json::Value {
    json!({"model": "tiny", "stream": false, "messages": [{"role": "user", "content": words}]})
}

#[test]
fn a_filter_that_panics_errs_or_hangs_refuses() {
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .chain("[identity, policy, test_fault, firewall, audit]")
        .gate("filter_timeout: 500ms")
        .env("PORTCULLIS_TEST_FAULT", "1")
        .start();
    let alice = gate.approved_client("alice");
    let before = server.seen().len();
    for words in ["fault: panic now", "fault: error", "fault: hang"] {
        let answer = alice.post("/api/chat", &ask(words));
        assert_eq!((answer.status, answer.code().as_str()), (503, "test_fault.internal"), "{words}");
        let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
        assert_eq!((entry["filter"].as_str(), entry["data_level"].as_str()), (Some("test_fault"), Some("L4")));
    }
    assert_eq!(server.seen().len(), before, "nothing went upstream");
    assert_eq!(gate.metric(r#"portcullis_filter_panics_total{filter="test_fault"}"#), 1.0);
    server.next(Script::json(r#"{"message":{"content":"fault: panic in the answer"},"done":true}"#));
    assert_eq!(alice.post("/api/chat", &ask("hello")).code(), "test_fault.internal");
    assert_eq!(gate.metric(r#"portcullis_filter_panics_total{filter="test_fault"}"#), 2.0);
    assert_eq!(alice.post("/api/chat", &ask("hello")).status, 200, "the gate goes on serving");
}

#[test]
fn a_filter_in_shadow_is_heard_and_not_obeyed() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("firewall: {mode: shadow}").start();
    let alice = gate.approved_client("alice");
    let token = crate::firewall::github_token();
    let answer = alice.post("/api/chat", &ask(&token));
    assert_eq!((answer.status, answer.code().as_str()), (200, "allow"));
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    assert_eq!((entry["policy_decision"].as_str(), entry["code"].as_str()), (Some("ALLOW"), Some("firewall.secret")));
}

#[test]
fn a_dead_server_is_said_to_be_dead() {
    let gate = {
        let server = FakeServer::start();
        let gate = Gate::before(&server).start();
        gate.approved_client("alice");
        gate
    };
    until("the gate to notice", || (gate.ask_admin("GET", "/readyz", None).0 == 503).then_some(()));
    assert_eq!(gate.ask_admin("GET", "/startupz", None).0, 200, "it does not wait for the server");
    assert_eq!(gate.ask_admin("GET", "/livez", None).0, 200);
    assert_eq!(gate.metric(r#"portcullis_upstream_up{upstream="local"}"#), 0.0);
}

#[test]
fn a_full_disk_closes_the_gate_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(folder.path())
        .output()
        .is_ok_and(|o| o.status.success());
    if !mounted {
        eprintln!("skipped: a small file system cannot be mounted here (this needs root)");
        return;
    }
    struct Unmount<'p>(&'p std::path::Path);
    impl Drop for Unmount<'_> {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
        }
    }
    let _unmount = Unmount(folder.path());
    let server = FakeServer::start();
    let gate = Gate::before(&server).audit_in(folder.path()).start();
    let alice = gate.approved_client("alice");
    let filler = folder.path().join("filler");
    let mut room = vec![0u8; 64 * 1024];
    while std::fs::write(&filler, &room).is_err() {
        room.truncate(room.len() - 512);
    }
    let refused = until("the disk to be full", || {
        let answer = alice.post("/api/chat", &ask("hello"));
        (answer.status != 200).then_some(answer)
    });
    assert_eq!((refused.status, refused.code().as_str()), (503, "audit.unavailable"), "{}", refused.text());
    let before = server.seen().len();
    assert_eq!(alice.post("/api/chat", &ask("hello")).code(), "audit.unavailable");
    assert_eq!(server.seen().len(), before, "once it is known, nothing goes upstream");
    assert!(gate.metric("portcullis_audit_failures_total") >= 1.0);
    assert_eq!(gate.ask_admin("GET", "/readyz", None).0, 503);
    std::fs::remove_file(&filler).unwrap();
    until("the gate to open again", || (alice.post("/api/chat", &ask("hello")).status == 200).then_some(()));
    drop(alice);
    let output = gate.cli(&["audit", "verify"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
