//! The queue in front of the upstream's slots: fair, bounded, left at any time.

use portcullis_tests::real::{LlamaServer, prepared};
use portcullis_tests::{Client, FakeServer, Gate, H2Client, until};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

fn chat(words: &str) -> Value {
    json!({"model": "tiny", "messages": [{"role": "user", "content": words}], "stream": false})
}

/// The bytes of a chat request.
fn bytes(words: &str) -> Vec<u8> {
    let body = chat(words).to_string();
    format!(
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The gate's only upstream, as its operator sees it.
fn upstream(gate: &Gate, token: &str) -> Value {
    let (_, text) = gate.ask_admin("GET", "/api/v1/status", Some(token));
    serde_json::from_str::<Value>(&text).map(|status| status["upstreams"][0].clone()).unwrap_or_default()
}

#[track_caller]
fn waiting(gate: &Gate, count: usize) {
    let token = gate.token();
    until("the line to be so long", || (upstream(gate, &token)["waiting"] == count).then_some(()));
}

fn ask(client: &Client, words: &'static str) -> JoinHandle<portcullis_tests::Answer> {
    let client = client.clone();
    std::thread::spawn(move || client.post("/api/chat", &chat(words)))
}

#[test]
fn one_that_floods_takes_nothing_from_31_others() {
    const SLOTS: usize = 3;
    const FLOOD: usize = 60;
    const ROUNDS: usize = 20;
    let server = FakeServer::start();
    let gate = Gate::before(&server).upstream(&format!("slots: {SLOTS}")).start();
    let callers: Vec<Client> = (0..32).map(|n| gate.approved_client(&format!("caller-{n}"))).collect();
    let before = server.seen().len();
    server.hold();
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for (number, caller) in callers.iter().enumerate() {
        // The first one keeps many requests going at any time, the others one each.
        for _ in 0..if number == 0 { FLOOD } else { 1 } {
            let (caller, over) = (caller.clone(), Arc::clone(&over));
            clients.push(std::thread::spawn(move || {
                let request = bytes(&format!("I am {number}."));
                let mut stream = caller.begin(&request).expect("an answer");
                while !over.load(Ordering::Acquire) {
                    assert_eq!(stream.status, 200);
                    stream = stream.again(&request).expect("an answer");
                }
            }));
        }
    }
    let token = gate.token();
    let backlog = 31 + FLOOD - SLOTS;
    for _ in 0..32 * ROUNDS {
        // All want something all the time, and the server always works on as much as it can.
        until("everybody to be there", || {
            (server.running() == SLOTS && upstream(&gate, &token)["waiting"] == backlog).then_some(())
        });
        server.allow(1);
    }
    let seen: Vec<_> = server.seen().into_iter().skip(before).take(32 * ROUNDS).collect();
    over.store(true, Ordering::Release);
    server.allow(usize::MAX);
    clients.into_iter().for_each(|client| client.join().unwrap());
    let mut served: HashMap<u32, usize> = HashMap::new();
    for request in seen {
        let text = request.text();
        let number = text.split("I am ").nth(1).and_then(|t| t.split('.').next()).unwrap().parse().unwrap();
        *served.entry(number).or_default() += 1;
    }
    eprintln!("of {} requests each caller had (fair: {ROUNDS}): {served:?}", 32 * ROUNDS);
    for number in 1..32 {
        let got = served.get(&number).copied().unwrap_or_default();
        assert!(got * 10 >= ROUNDS * 9, "caller {number} had {got} of its fair {ROUNDS}: {served:?}");
    }
    assert_eq!(gate.metric(r#"portcullis_slots{state="total",upstream="local"}"#), SLOTS as f64);
    until("every slot to be free", || (upstream(&gate, &token)["busy"] == 0).then_some(()));
}

#[test]
fn the_line_has_an_end_and_so_has_the_wait() {
    let server = FakeServer::start();
    let gate =
        Gate::before(&server).upstream("slots: 1").upstream("queue: {length: 3, per_caller: 2, wait: 4s}").start();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| gate.approved_client(name));
    server.hold();
    let first = ask(&alice, "first");
    until("the slot to be busy", || (server.running() == 1).then_some(()));
    let seen = server.seen().len();
    let mut out: Vec<_> = (0..2).map(|_| ask(&alice, "waits")).collect();
    waiting(&gate, 2);
    let answer = alice.post("/api/chat", &chat("one too many"));
    assert_eq!((answer.status, answer.code().as_str()), (429, "ratelimit.concurrent"));
    assert!(answer.text().contains("too many of your requests wait"), "{}", answer.text());
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    assert_eq!((&entry["filter"], &entry["code"]), (&json!("ratelimit"), &json!("ratelimit.concurrent")));
    out.extend([ask(&bob, "waits"), ask(&carol, "waits")]);
    // Nobody is answered in these seconds: all of them are told to come again.
    for one in out {
        let answer = one.join().unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (429, "ratelimit.concurrent"), "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
    waiting(&gate, 0);
    assert_eq!(server.seen().len(), seen, "the server saw none of them");
    server.allow(usize::MAX);
    assert_eq!(first.join().unwrap().status, 200);
    assert_eq!(bob.post("/api/chat", &chat("now")).status, 200);
    assert!(gate.metric(r#"portcullis_queue_wait_seconds_count{upstream="local"}"#) >= 6.0);
}

#[test]
fn who_leaves_or_is_revoked_while_it_waits_is_gone() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).upstream("slots: 1").start();
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(|name| gate.approved_client(name));
    server.hold();
    let first = ask(&alice, "first");
    until("the slot to be busy", || (server.running() == 1).then_some(()));
    for _ in 0..20 {
        let mut tls = bob.connect();
        std::io::Write::write_all(&mut tls, &bytes("I leave")).unwrap();
        std::io::Write::flush(&mut tls).unwrap();
        waiting(&gate, 1);
        drop(tls);
        waiting(&gate, 0);
    }
    // A stream that is reset leaves as well, and its connection lives on.
    let mut h2 = H2Client::of(&bob).open();
    for _ in 0..20 {
        let body = chat("I leave").to_string();
        let request = http::Request::post("https://localhost/api/chat").header("content-type", "application/json");
        let request = request.header("content-length", body.len()).body(body.into_bytes()).unwrap();
        h2.send_and_reset(request, || waiting(&gate, 1));
        waiting(&gate, 0);
    }
    assert_eq!(h2.get("/api/tags").status, 200);
    let out = ask(&eve, "I am thrown out");
    waiting(&gate, 1);
    assert!(gate.cli(&["peers", "revoke", &eve.id]).status.success());
    assert_eq!(out.join().unwrap().code(), "identity.revoked");
    waiting(&gate, 0);
    let last = ask(&bob, "I stay");
    waiting(&gate, 1);
    server.allow(1);
    assert_eq!(first.join().unwrap().status, 200);
    until("the next one's turn", || (server.running() == 1).then_some(()));
    server.allow(1);
    assert_eq!(last.join().unwrap().status, 200);
    let seen = server.seen();
    assert!(!seen.iter().any(|s| s.text().contains("I leave") || s.text().contains("thrown out")));
    assert_eq!(alice.get("/api/tags").status, 200, "reads do not wait");
    until("the slot to be free", || (upstream(&gate, &gate.token())["busy"] == 0).then_some(()));
}

#[test]
fn the_slots_are_the_server_s_own() {
    for (kind, path, body, slots) in [
        ("llamacpp", "/slots", r#"[{"id":0},{"id":1},{"id":2}]"#, 3),
        ("llamacpp", "/props", r#"{"total_slots":2,"chat_template":"x"}"#, 2),
        ("ollama", "/api/ps", r#"{"models":[{"name":"a"},{"name":"b"}]}"#, 8),
    ] {
        let server = FakeServer::start();
        server.says(path, body);
        let gate = Gate::before_url(&format!("http://{}", server.address()), kind).start();
        let token = gate.token();
        until("the slots", || (upstream(&gate, &token)["slots"] == slots).then_some(()));
    }
}

#[test]
fn a_real_server_s_slots_are_shared() {
    let Some((python, models)) = prepared("the slots of a real llama.cpp server") else { return };
    let llama = LlamaServer::start(&python, &models.join("tiny.gguf"));
    let gate = Gate::before_url(&llama.url, "llamacpp").start();
    let callers: Vec<_> = (0..3)
        .map(|n| {
            let caller = gate.stranger(&format!("caller-{n}"));
            gate.approve_by(&caller, "/v1/models");
            caller
        })
        .collect();
    let token = gate.token();
    let slots = until("the slots", || upstream(&gate, &token)["slots"].as_u64());
    eprintln!("the server says it has {slots} slots");
    let answers: Vec<_> = (0..24)
        .map(|n| {
            let caller = callers[n % callers.len()].clone();
            std::thread::spawn(move || {
                let body = json!({"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 20});
                caller.post("/v1/chat/completions", &body).status
            })
        })
        .collect();
    assert!(answers.into_iter().all(|one| one.join().unwrap() == 200), "all are served in turn");
    until("every slot to be free", || (upstream(&gate, &token)["busy"] == 0).then_some(()));
}
