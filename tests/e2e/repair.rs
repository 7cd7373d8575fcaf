//! Answers that do not fit are asked for once more, where the operator wants that: never silently, never for nothing.

use std::io::Write as _;

use portcullis_tests::{Answer, Client, FakeServer, Gate, Script, until};
use serde_json::{Value, json};

/// What a server answers that says this, having counted so many tokens.
fn said(text: &str, tokens: u64) -> Script {
    let message = json!({"role": "assistant", "content": text});
    Script::json(
        &json!({"model": "tiny:latest", "message": message, "done": true, "prompt_eval_count": 1, "eval_count": tokens})
            .to_string(),
    )
}

/// A request for `{"n": 7}`.
fn wanted(stream: bool) -> Value {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    json!({"model": "tiny", "stream": stream, "messages": [{"role": "user", "content": "how many?"}],
        "format": schema, "options": {"num_predict": 20}})
}

fn ask(client: &Client) -> Answer {
    client.post("/api/chat", &wanted(false))
}

/// How often the server was asked for an answer.
fn asked(server: &FakeServer) -> usize {
    server.seen().iter().filter(|seen| seen.line.starts_with("POST ")).count()
}

fn repairs(gate: &Gate, outcome: &str) -> f64 {
    gate.metric(&format!(r#"portcullis_schema_repairs_total{{outcome="{outcome}"}}"#))
}

/// The decision of the audit entry, its code, and how often the server was asked once more.
fn audited(gate: &Gate, answer: &Answer) -> (String, String, Option<u64>) {
    let entry = gate.audit_of(answer.header("portcullis-request-id").expect("every answer names its request"));
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    (text("policy_decision"), text("code"), entry["repairs"].as_u64())
}

#[test]
fn a_server_that_answers_wrongly_at_first_is_asked_once_more() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("schema: {repair: 2}").start();
    let alice = gate.approved_client("alice");
    server.next(said("{\"n\": 7}", 2));
    assert_eq!(audited(&gate, &ask(&alice)), ("ALLOW".into(), String::new(), None), "what fits is not asked for again");
    for wrong in [&["seven"][..], &["{\"n\": \"x\"}", "{\"n\""]] {
        let before = server.seen().len();
        for text in wrong {
            server.next(said(text, 2));
        }
        server.next(said("{\"n\": 7}", 2));
        let answer = ask(&alice);
        assert_eq!((answer.status, &answer.json()["message"]["content"]), (200, &json!("{\"n\": 7}")));
        let seen = server.seen();
        let asked: Vec<_> = seen[before..].iter().map(|seen| (&seen.line, &seen.body)).collect();
        assert_eq!(asked.len(), wrong.len() + 1);
        assert!(asked.iter().all(|again| *again == asked[0]), "what was judged is sent again, to the byte");
        assert_eq!(audited(&gate, &answer), ("ALLOW".into(), String::new(), Some(wrong.len() as u64)));
    }
    let counted = || (repairs(&gate, "fits"), repairs(&gate, "fails"));
    until("the last try to be counted", || (counted() == (2.0, 1.0)).then_some(()));
    assert!(gate.cli(&["audit", "verify"]).status.success(), "entries that tell of it hold");
}

#[test]
fn a_server_that_always_answers_wrongly_is_refused_in_the_end() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("schema: {repair: 3}").start();
    let alice = gate.approved_client("alice");
    for _ in 0..5 {
        server.next(said("I would rather not.", 2));
    }
    let refused = ask(&alice);
    assert_eq!((refused.status, refused.code().as_str()), (502, "schema.response"), "{}", refused.text());
    assert_eq!(asked(&server), 4);
    assert_eq!(audited(&gate, &refused), ("BLOCK".into(), "schema.response".into(), Some(3)));
    assert_eq!((repairs(&gate, "fits"), repairs(&gate, "fails")), (0.0, 3.0));
}

#[test]
fn without_the_operator_s_word_nothing_is_asked_twice() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    server.next(said("seven", 2));
    assert_eq!((ask(&alice).code().as_str(), asked(&server)), ("schema.response", 1));
    // Nor where it would not help: streams, what the server says of its own mistakes, what the firewall found.
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("schema: {repair: 3}").start();
    let alice = gate.approved_client("alice");
    let line = json!({"message": {"role": "assistant", "content": "seven"}, "done": true}).to_string() + "\n";
    server.next(Script::stream("application/x-ndjson", &[&line]));
    let refused = alice.post("/api/chat", &wanted(true));
    assert_eq!((refused.code().as_str(), asked(&server)), ("schema.response", 1));
    server.next(Script::whole(500, "application/json", r#"{"error":"out of memory"}"#));
    assert_eq!((ask(&alice).status, asked(&server)), (500, 2));
    server.next(said(&format!("my token is {} .", crate::firewall::github_token()), 2));
    assert_eq!((ask(&alice).code().as_str(), asked(&server)), ("firewall.output_secret", 3));
    // An answer that ended at its token limit would end there again.
    let cut = json!({"message": {"role": "assistant", "content": "{\"n\": "}, "done": true, "done_reason": "length"});
    server.next(Script::json(&cut.to_string()));
    let refused = ask(&alice);
    assert_eq!((refused.code().as_str(), asked(&server)), ("schema.response", 4));
    assert!(refused.text().contains("cut off at the token limit"), "{}", refused.text());
    assert_eq!((repairs(&gate, "fits"), repairs(&gate, "fails")), (0.0, 0.0));
}

#[test]
fn a_caller_that_has_no_more_is_refused_instead() {
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .filter("schema: {repair: 3}")
        .filter("ratelimit: {requests: 100/h, tokens: 100/d}")
        .start();
    let alice = gate.approved_client("alice");
    // The first answer takes what there is; the second would have to reserve some.
    server.next(said("seven", 90)).next(said("{\"n\": 7}", 2));
    let refused = ask(&alice);
    assert_eq!((refused.status, refused.code().as_str()), (502, "schema.response"), "what it was refused for");
    assert_eq!((asked(&server), audited(&gate, &refused).2), (1, None));
    // What was used stays used.
    assert_eq!(ask(&alice).code(), "ratelimit.tokens");
}

#[test]
fn for_a_client_that_left_nothing_is_asked_again() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("schema: {repair: 3}").start();
    let alice = gate.approved_client("alice");
    server.hold().next(said("seven", 2));
    let body = wanted(false).to_string();
    let mut wire = alice.connect();
    let head = format!(
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    wire.write_all((head + &body).as_bytes()).and_then(|()| wire.flush()).expect("the request leaves");
    until("the server to be asked", || (server.running() == 1).then_some(()));
    drop(wire);
    server.allow(1);
    let left = until("the entry", || gate.audit().into_iter().find(|entry| entry["code"] == "client.left"));
    assert_eq!((left["repairs"].as_u64(), asked(&server)), (None, 1));
    assert_eq!((repairs(&gate, "fits"), repairs(&gate, "fails")), (0.0, 0.0));
}
