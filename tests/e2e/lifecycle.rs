//! Starting, reloading, stopping.

use portcullis_tests::{FakeServer, Gate, Script, free_port, until};
use rustix::process::Signal;
use serde_json::json;
use std::time::Instant;

#[test]
fn stopping_lets_fifty_streams_finish() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let frame = b"{\"message\":{\"content\":\"word \"},\"done\":false}\n".to_vec();
    let mut senders = Vec::new();
    let streams: Vec<_> = (0..50)
        .map(|_| {
            let (sender, script) = Script::paced("application/x-ndjson");
            sender.send(frame.clone()).unwrap();
            server.next(script);
            senders.push(sender);
            let mut stream = alice.post_streamed("/api/chat", &json!({"model": "tiny", "messages": []}));
            assert_eq!(stream.piece().unwrap().unwrap(), frame);
            stream
        })
        .collect();
    let idle = alice.begin(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    gate.signal(Signal::TERM);
    until("the gate to stop accepting", || {
        let closed = std::net::TcpStream::connect(gate.address).is_err();
        closed.then_some(())
    });
    for sender in senders {
        sender.send(frame.clone()).unwrap();
    }
    for stream in streams {
        let answer = stream.finish();
        assert!(answer.complete, "the stream finished");
        assert_eq!(answer.body, frame);
    }
    let began = Instant::now();
    assert_eq!(gate.wait().code(), Some(0));
    assert!(began.elapsed().as_secs() < 10, "it does not sit out gate.drain when nothing runs");
    drop(idle);
    let output = gate.cli(&["audit", "verify"]);
    assert!(output.status.success());
    assert_eq!(gate.audit().iter().filter(|e| e["path"] == "/api/chat" && e["policy_decision"] == "ALLOW").count(), 50);
}

#[test]
fn what_does_not_finish_in_time_is_cut_and_told() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    std::fs::write(gate.config(), std::fs::read_to_string(gate.config()).unwrap().replace("drain: 10s", "drain: 1s"))
        .unwrap();
    drop(gate);
    let gate = Gate::before(&server).gate("filter_timeout: 5s").start();
    let alice = gate.approved_client("alice");
    let (sender, script) = Script::paced("application/x-ndjson");
    server.next(script);
    sender.send(b"{\"message\":{\"content\":\"word \"}}\n".to_vec()).unwrap();
    let mut stream = alice.post_streamed("/api/chat", &json!({"model": "tiny", "messages": []}));
    stream.piece().unwrap();
    gate.signal(Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0));
    assert!(!stream.finish().complete);
    assert!(gate.audit().iter().any(|e| e["code"] == "client.left"), "it has its line");
    drop(sender);
}

#[test]
fn a_broken_config_on_disk_does_not_keep_the_gate_from_being_asked() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let answer = alice.post("/api/pull", &json!({"model": "tiny"}));
    let id = answer.header("portcullis-request-id").unwrap().to_owned();
    let good = std::fs::read_to_string(gate.config()).unwrap();
    std::fs::write(gate.config(), good.replace("routes:", "rutes:")).unwrap();
    for args in [&["status", "--json"][..], &["explain", &id, "--json"]] {
        let said = gate.cli(args);
        let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert_eq!(said.status.code(), Some(0), "{args:?}: {err}");
        assert!(err.contains("did you mean `routes`?") && err.contains("does not hold"), "{args:?}: {err}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap();
    }
    // What nobody remembers takes a config that holds.
    let said = gate.cli(&["explain", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.code() == Some(2) && err.contains("takes a config that holds"), "{err}");
    // Where not even that is to be read, the place is named.
    std::fs::write(gate.config(), format!("node: [\n{good}")).unwrap();
    let said = gate.cli(&["status"]);
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.code() == Some(2) && err.contains(&format!("{}:", gate.config().display())), "{err}");
}

#[test]
fn a_reload_is_all_or_nothing() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let good = std::fs::read_to_string(gate.config()).unwrap();
    std::fs::write(gate.config(), good.replace("routes:", "rutes:")).unwrap();
    gate.signal(Signal::HUP);
    until("the failure to be counted", || {
        (gate.metric(r#"portcullis_config_reloads_total{result="failure"}"#) == 1.0).then_some(())
    });
    assert_eq!(gate.metric("portcullis_config_last_reload_successful"), 0.0);
    assert_eq!(alice.get("/api/version").status, 200, "the old config stays in force");
    assert!(gate.log().contains("did you mean `routes`?"), "{}", gate.log());
    assert_eq!(gate.cli(&["check"]).status.code(), Some(2));

    let policy = "version: 1\nrules: []\n";
    std::fs::write(gate.dir.path().join("none.yaml"), policy).unwrap();
    std::fs::write(gate.config(), good.replace("filters:\n", "filters:\n  policy: {file: none.yaml}\n")).unwrap();
    gate.signal(Signal::HUP);
    until("the new policy", || (alice.get("/api/version").code() == "policy.route_denied").then_some(()));
    assert_eq!(gate.metric("portcullis_config_last_reload_successful"), 1.0);
    std::fs::write(gate.config(), &good).unwrap();
    let (status, _) = gate.ask_admin("POST", "/api/v1/reload", Some(&gate.token()));
    assert_eq!(status, 200);
    assert_eq!(alice.get("/api/version").status, 200);
    std::fs::write(gate.config(), good.replace("threads: 2", "threads: 3")).unwrap();
    let (status, text) = gate.ask_admin("POST", "/api/v1/reload", Some(&gate.token()));
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("takes a restart"), "{text}");
}

#[test]
fn a_gate_that_cannot_start_says_why_in_a_sentence() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let second = gate.cli(&["run"]);
    assert_eq!(second.status.code(), Some(3));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("in use by another process"), "{said}");
    drop(gate);

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let made = portcullis_tests::run(&["init", "--dir", dir, "--upstream", "http://127.0.0.1:1", "--kind", "ollama"]);
    assert!(made.status.success());
    let config = folder.path().join("portcullis.yaml");
    let path = config.to_str().unwrap().to_owned();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace("0.0.0.0:8443", &taken.local_addr().unwrap().to_string())
        .replace("127.0.0.1:9901", &format!("127.0.0.1:{}", free_port()));
    std::fs::write(&config, &text).unwrap();
    let run = || portcullis_tests::run(&["run", "--config", &path]);
    let used = run();
    assert_eq!(used.status.code(), Some(3));
    assert!(
        String::from_utf8_lossy(&used.stderr).contains("another program using this port"),
        "{}",
        String::from_utf8_lossy(&used.stderr)
    );
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    let missing = run();
    assert_eq!(missing.status.code(), Some(3));
    assert!(
        String::from_utf8_lossy(&missing.stderr).contains("portcullis init"),
        "{}",
        String::from_utf8_lossy(&missing.stderr)
    );
    std::fs::write(&config, "gate: {listn: x}\n").unwrap();
    let wrong = run();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&wrong.stderr).contains("portcullis.yaml:1:"),
        "{}",
        String::from_utf8_lossy(&wrong.stderr)
    );
}
