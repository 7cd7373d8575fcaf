//! A caller passes a part of its rights on, and takes it back.

use portcullis_certs::{NodeKey, delegation};
use portcullis_policies::Scope;
use portcullis_policies::glob::Glob;
use portcullis_tests::provider::now;
use portcullis_tests::{Answer, Client, FakeServer, Gate, Script, until};
use serde_json::json;

fn key(client: &Client) -> NodeKey {
    NodeKey::from_pem(&client.key, "a test's key").unwrap()
}

fn scope(models: &str, seconds: i64) -> Scope {
    Scope { models: vec![Glob::new(models)], until: Some(now() + seconds), ..Scope::default() }
}

fn request(grant: &str, model: &str) -> Vec<u8> {
    let body = json!({"model": model, "messages": [], "stream": true}).to_string();
    format!(
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nPortcullis-Grant: {grant}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn chat(client: &Client, grant: &str, model: &str) -> Answer {
    client.raw(&request(grant, model))
}

#[test]
fn a_part_is_passed_on_and_no_more() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let (alice, bob, carol) = (gate.approved_client("alice"), gate.stranger("bob"), gate.stranger("carol"));
    let first = delegation::issue(&key(&alice), None, &bob.id, scope("llama3*", 600), now()).unwrap();
    assert_eq!(chat(&bob, &first, "llama3:8b").status, 200);
    assert_eq!(chat(&bob, &first, "qwen").code(), "policy.model_denied");
    assert_eq!(bob.get("/api/version").code(), "identity.pending", "without it he is nobody");
    let entry = gate.audit_of(chat(&bob, &first, "llama3").header("portcullis-request-id").unwrap());
    assert_eq!(entry["node_id"], bob.id, "the log names who called");
    assert_eq!(chat(&carol, &first, "llama3").code(), "identity.invalid", "it is for bob alone");

    let second = delegation::issue(&key(&bob), Some(&first), &carol.id, scope("*:8b", 600), now()).unwrap();
    assert_eq!(chat(&carol, &second, "llama3:8b").status, 200);
    assert_eq!(chat(&carol, &second, "llama3:70b").code(), "policy.model_denied", "less than bob");
    assert_eq!(chat(&carol, &second, "qwen:8b").code(), "policy.model_denied", "not more than bob");

    // A key that nobody approved has nothing to pass on.
    let nothing = delegation::issue(&key(&carol), None, &bob.id, scope("*", 600), now()).unwrap();
    assert_eq!(chat(&bob, &nothing, "llama3").code(), "identity.invalid");
    // Bytes that were changed, and a grant that ended.
    let (head, tail) = first.split_at(first.len() - 20);
    let changed = format!("{head}{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
    assert_eq!(chat(&bob, &changed, "llama3").code(), "identity.invalid");
    let short = delegation::issue(&key(&alice), None, &bob.id, scope("*", 1), now()).unwrap();
    until("the grant to end", || (chat(&bob, &short, "llama3").code() == "identity.invalid").then_some(()));

    // The gate's operator passes on in the gate's own name, by the command line.
    let made = gate.cli_json(&["grants", "delegate", "--to", &carol.id, "--for", "10m", "--models", "llama3*"]);
    assert_eq!(chat(&carol, made["grant"].as_str().unwrap(), "llama3").status, 200);
    assert_eq!(chat(&carol, made["grant"].as_str().unwrap(), "qwen").code(), "policy.model_denied");
}

#[test]
fn whoever_is_thrown_out_takes_along_what_was_passed_on() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let (alice, bob) = (gate.approved_client("alice"), gate.stranger("bob"));
    let grant = delegation::issue(&key(&alice), None, &bob.id, scope("*", 600), now()).unwrap();
    let (feed, script) = Script::paced("application/x-ndjson");
    server.next(script);
    let frame = "{\"model\":\"tiny\",\"message\":{\"role\":\"assistant\",\"content\":\"one \"},\"done\":false}\n";
    feed.send(frame.as_bytes().to_vec()).unwrap();
    let mut stream = bob.begin(&request(&grant, "tiny")).unwrap();
    assert_eq!(stream.piece(), Ok(Some(frame.as_bytes().to_vec())));
    assert!(gate.cli(&["peers", "revoke", &alice.id]).status.success());
    assert!(stream.finish().text().contains("identity.invalid"));
    until("the server to be let go", || (server.abandoned() == 1).then_some(()));
    assert_eq!(chat(&bob, &grant, "tiny").code(), "identity.invalid");
}
