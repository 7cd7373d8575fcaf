//! Nobody gets in without an identity that a person approved.

use portcullis_tests::{FakeServer, Gate, Script, until, within_a_second};
use serde_json::json;

#[test]
fn a_stranger_is_pending_until_a_person_says_yes() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.stranger("alice");
    let chat = json!({"model": "tiny", "messages": []});
    let answer = alice.post("/api/chat", &chat);
    assert_eq!((answer.status, answer.code().as_str()), (403, "identity.pending"));
    assert!(
        answer.json()["error"].as_str().unwrap().contains(&format!("portcullis peers approve {}", alice.id)),
        "in Ollama's words"
    );
    let openai = alice.post("/v1/chat/completions", &chat);
    assert_eq!(openai.json()["error"]["code"], "identity.pending", "in OpenAI's words");
    assert_eq!(openai.json()["error"]["type"], "portcullis_refused");
    assert_eq!(alice.post("/v1/messages", &chat).json()["error"]["type"], "permission_error", "in Anthropic's words");

    let pending = gate.cli_json(&["peers", "pending"]);
    assert_eq!(pending[0]["id"], alice.id, "visible as soon as it is said");
    assert_eq!(pending[0]["state"], "pending");
    for key in ["id", "name", "fingerprint", "state", "first_seen"] {
        assert!(pending[0].get(key).is_some(), "{key}");
    }
    assert!(server.seen().is_empty());
    let print: String = pending[0]["fingerprint"].as_str().unwrap().chars().take(11).collect();
    assert!(gate.cli(&["peers", "approve", &print, "--name", "alice"]).status.success());
    until("the approval to bite", || (alice.post("/api/chat", &chat).status == 200).then_some(()));
    let approved = || (gate.metric(r#"portcullis_peers{state="approved"}"#) == 1.0).then_some(());
    until("the count", approved);

    let impostor = gate.stranger("alice");
    let answer = impostor.post("/api/chat", &chat);
    assert_eq!((answer.status, answer.code().as_str()), (403, "identity.key_changed"), "{}", answer.text());
}

#[test]
fn no_certificate_is_no_identity_and_headers_are_none() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let before = server.seen().len();
    let forged = format!(
        "GET /api/tags HTTP/1.1\r\nHost: localhost\r\nPortcullis-Identity: {0}\r\nX-Forwarded-For: 127.0.0.1\r\nAuthorization: Bearer x\r\n\r\n",
        alice.id
    );
    let answer = gate.nobody().raw(forged.as_bytes());
    assert_eq!((answer.status, answer.code().as_str()), (401, "identity.required"));
    assert_eq!(server.seen().len(), before);
    assert_eq!(alice.raw(forged.as_bytes()).status, 200);
    let seen = server.seen().pop().unwrap();
    for header in ["portcullis-identity", "x-forwarded-for", "authorization", "cookie"] {
        assert_eq!(seen.header(header), None, "{header} reached the server");
    }
    assert_eq!(seen.header("host"), Some(server.address().to_string().as_str()));

    // A claim that only a signature can show is not removed, but refused.
    let claim = forged.replacen("\r\n", &format!("\r\nX-LLMesh-Node-Id: {}\r\n", alice.id), 1);
    let answer = alice.raw(claim.as_bytes());
    assert_eq!((answer.status, answer.code().as_str()), (401, "signature.malformed"), "{}", answer.text());
}

#[test]
fn a_revocation_bites_on_an_open_connection() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let request = b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = alice.begin(request).unwrap();
    assert_eq!(stream.status, 200);
    assert!(gate.cli(&["peers", "revoke", &alice.id]).status.success());
    let status = until("the revocation", || {
        let next = std::mem::replace(&mut stream, alice.begin(request).unwrap()).again(request).unwrap();
        (next.status != 200).then_some(next.status)
    });
    assert_eq!(status, 403);
    assert_eq!(alice.get("/api/version").code(), "identity.revoked");
}

#[test]
fn the_operator_s_authority_can_vouch() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("identity: {trust: ca}").start();
    let ca = portcullis_certs::Ca::load(&gate.state().join("ca.crt"), &gate.state().join("ca.key")).unwrap();
    let issued = ca
        .issue_client(
            "worker",
            &[portcullis_certs::San::Uri("spiffe://example.org/worker".to_owned())],
            std::time::Duration::from_secs(3600),
        )
        .unwrap();
    let worker = portcullis_tests::Client::new(gate.address, &gate.ca(), Some((&issued.chain, &issued.key)), "worker");
    assert_eq!(worker.get("/api/version").status, 200);
    let entry = gate.audit().pop().unwrap();
    assert_eq!(entry["node_id"], "spiffe://example.org/worker");
    let foreign = gate.stranger("x").get("/api/version");
    assert_eq!((foreign.status, foreign.code().as_str()), (401, "identity.invalid"), "{}", foreign.text());
    assert_eq!(gate.nobody().get("/api/version").code(), "identity.required");
}

#[test]
fn pinned_keys_are_the_only_ones() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("identity: {trust: pinned}").start();
    let alice = gate.stranger("alice");
    assert_eq!(alice.get("/api/version").code(), "identity.invalid");
    assert_eq!(gate.cli_json(&["peers", "list"]), json!([]), "strangers are not even noted");
    let print = portcullis_certs::NodePublic::from_node_id(&alice.id).unwrap().fingerprint();
    assert!(gate.cli(&["peers", "add", &alice.id, "--fingerprint", &print]).status.success());
    until("the pin", || (alice.get("/api/version").status == 200).then_some(()));
}

#[test]
fn a_revocation_ends_a_running_stream_within_a_second() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    for path in ["/api/chat", "/v1/chat/completions"] {
        let ollama = path == "/api/chat";
        let (feed, script) = Script::paced(if ollama { "application/x-ndjson" } else { "text/event-stream" });
        server.next(script);
        let frame = if ollama {
            "{\"model\":\"tiny\",\"message\":{\"role\":\"assistant\",\"content\":\"one \"},\"done\":false}\n"
        } else {
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one \"}}]}\n\n"
        };
        feed.send(frame.as_bytes().to_vec()).unwrap();
        let mut stream = alice.post_streamed(path, &json!({"model": "tiny", "messages": [], "stream": true}));
        assert_eq!(stream.piece(), Ok(Some(frame.as_bytes().to_vec())));
        assert!(gate.cli(&["peers", "revoke", &alice.id]).status.success());
        let revoked = std::time::Instant::now();
        let rest = stream.finish();
        within_a_second("a revocation ends a stream", revoked.elapsed());
        assert!(rest.complete && rest.text().contains("identity.revoked"), "in its dialect: {}", rest.text());
        assert!(gate.cli(&["peers", "approve", &alice.id]).status.success());
        until("the trust to be back", || (alice.get("/api/version").status == 200).then_some(()));
    }
}
