//! How a stranger becomes a peer: by a person's decision, by a token, through a window.

use portcullis_tests::provider::{Device, now};
use portcullis_tests::{FakeServer, Gate, until};
use serde_json::json;

fn with_token(token: &str) -> Vec<u8> {
    format!("GET /api/version HTTP/1.1\r\nHost: localhost\r\nPortcullis-Enroll: {token}\r\n\r\n").into_bytes()
}

fn peer(gate: &Gate, id: &str) -> serde_json::Value {
    let all = gate.cli_json(&["peers", "list"]);
    all.as_array().unwrap().iter().find(|p| p["id"] == id).cloned().unwrap_or_default()
}

#[test]
fn a_token_lets_one_caller_in_and_no_more() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let made = gate.cli_json(&["enroll", "--ttl", "5m", "--name", "alice"]);
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("pce_"), "{token}");
    let (alice, mallory) = (gate.stranger("laptop"), gate.stranger("other"));
    until("the token to be known", || (alice.raw(&with_token(token)).status == 200).then_some(()));
    assert_eq!(peer(&gate, &alice.id)["name"], "alice");
    assert_eq!(peer(&gate, &alice.id)["state"], "approved");
    assert_eq!(alice.get("/api/version").status, 200, "without the token from now on");
    assert_eq!(alice.raw(&with_token(token)).status, 200, "an approved caller may say it again");
    let answer = mallory.raw(&with_token(token));
    assert_eq!((answer.status, answer.code().as_str()), (401, "identity.invalid"), "used up");
    assert_eq!(peer(&gate, &mallory.id), serde_json::Value::Null, "a wrong token is not even pending");
    let stored = std::fs::read_to_string(gate.state().join("enrollments.json")).unwrap();
    assert!(!stored.contains(token) && !gate.log().contains(token), "the token itself is nowhere");
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    assert_eq!(
        (entry["node_id"].as_str(), entry["code"].as_str()),
        (Some(mallory.id.as_str()), Some("identity.invalid"))
    );
}

#[test]
fn many_at_once_do_not_share_one_token() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let made = gate.cli_json(&["enroll", "--uses", "3"]);
    let token = made["token"].as_str().unwrap().to_owned();
    let clients: Vec<_> = (0..12).map(|n| gate.stranger(&format!("c{n}"))).collect();
    let let_in = std::thread::scope(|scope| {
        let all: Vec<_> = clients.iter().map(|c| scope.spawn(|| c.raw(&with_token(&token)).status == 200)).collect();
        all.into_iter().map(|t| usize::from(t.join().unwrap())).sum::<usize>()
    });
    assert_eq!(let_in, 3);
}

#[test]
fn a_token_that_is_over_is_none() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let made = gate.cli_json(&["enroll", "--ttl", "1s"]);
    let token = made["token"].as_str().unwrap().to_owned();
    let ends: i64 = portcullis_tests::provider::now() + 2;
    until("the token to end", || (portcullis_tests::provider::now() >= ends).then_some(()));
    assert_eq!(gate.stranger("late").raw(&with_token(&token)).code(), "identity.invalid");
    for args in
        [["enroll", "--ttl", "8d"], ["enroll", "--ttl", "soon"], ["enroll", "--name", "a b"], ["enroll", "--uses", "0"]]
    {
        assert_eq!(gate.cli(&args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_window_is_for_exactly_one() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let first = gate.stranger("first");
    assert_eq!(first.get("/api/version").code(), "identity.pending");
    gate.cli_json(&["enroll", "--window", "--name", "tv"]);
    until("the window to be open", || (first.get("/api/version").status == 200).then_some(()));
    assert_eq!(peer(&gate, &first.id)["name"], "tv");
    assert_eq!(gate.stranger("second").get("/api/version").code(), "identity.pending", "it is closed again");
}

#[test]
fn the_signature_that_brings_a_device_in_is_used_up() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("identity: {accept: [ollama_key]}").start();
    let nobody = gate.nobody();
    let sends = |request: &[u8]| {
        let answer = nobody.raw(request);
        (answer.status, answer.code())
    };
    let replayed = (409, "signature.replayed".to_owned());

    let made = gate.cli_json(&["enroll"]);
    let (phone, at) = (Device::new(1), now());
    let bring = |at| {
        let head = String::from_utf8(phone.get("/api/version", at)).unwrap();
        let token = made["token"].as_str().unwrap();
        head.replace("\r\n\r\n", &format!("\r\nPortcullis-Enroll: {token}\r\n\r\n")).into_bytes()
    };
    until("the token to be known", || (sends(&bring(at)).0 == 200).then_some(()));
    assert_eq!(sends(&bring(at)), replayed);
    assert_eq!(sends(&phone.get("/api/version", at)), replayed, "also without the token");
    assert_eq!(sends(&phone.get("/api/version", at + 1)).0, 200, "signed anew");

    let tv = Device::new(2);
    assert_eq!(sends(&tv.get("/api/version", at)).1, "identity.pending");
    gate.cli_json(&["enroll", "--window"]);
    until("the window to be open", || (sends(&tv.get("/api/version", at)).0 == 200).then_some(()));
    assert_eq!(sends(&tv.get("/api/version", at)), replayed);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn pending_callers_are_dismissed_or_blocked() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let (alice, bob) = (gate.stranger("alice"), gate.stranger("bob"));
    for _ in 0..3 {
        assert_eq!(alice.get("/api/version").code(), "identity.pending");
    }
    bob.get("/api/version");
    until("the count", || (peer(&gate, &alice.id)["count"] == 3).then_some(()));
    let seen = peer(&gate, &alice.id);
    assert_eq!((&seen["presented_name"], &seen["address"]), (&json!("alice"), &json!("127.0.0.1")));
    assert!(gate.cli(&["peers", "dismiss", &alice.id]).status.success());
    assert_eq!(peer(&gate, &alice.id), serde_json::Value::Null);
    until("the dismissal", || (alice.get("/api/version").code() == "identity.pending").then_some(()));
    assert!(gate.cli(&["peers", "block", &bob.id]).status.success());
    until("the block", || (bob.get("/api/version").code() == "identity.revoked").then_some(()));
    assert_eq!(gate.cli(&["peers", "dismiss", &bob.id]).status.code(), Some(1), "a decision is not dismissed");
    assert_eq!(gate.cli_json(&["peers", "pending"]).as_array().unwrap().len(), 1);
}

#[test]
fn an_invitation_is_taken_back() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let made = gate.cli_json(&["enroll"]);
    let window = gate.cli_json(&["enroll", "--window"]);
    let open = gate.cli_json(&["enroll", "--list"]);
    assert_eq!(open.as_array().unwrap().len(), 2);
    assert!(!open.to_string().contains(made["token"].as_str().unwrap()));
    for one in [&made, &window] {
        assert!(gate.cli(&["enroll", "--cancel", one["id"].as_str().unwrap()]).status.success());
    }
    assert_eq!(gate.cli_json(&["enroll", "--list"]), json!([]));
    assert_eq!(gate.cli(&["enroll", "--cancel", "x"]).status.code(), Some(1));
    let late = gate.stranger("late");
    assert_eq!(late.raw(&with_token(made["token"].as_str().unwrap())).code(), "identity.invalid");
    until("the window to be closed", || {
        (gate.stranger("next").get("/api/version").code() == "identity.pending").then_some(())
    });
}
