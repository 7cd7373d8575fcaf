//! Limits: each with its code and its time, taken and given back, over reloads and restarts.

use portcullis_tests::{Answer, Client, FakeServer, Gate, Script, until};
use serde_json::{Value, json};

fn ask(client: &Client, most: u64) -> Answer {
    client
        .post("/api/chat", &json!({"model": "tiny", "messages": [], "stream": false, "options": {"num_predict": most}}))
}

/// An answer that says it took this many tokens.
fn long_answer(tokens: u64) -> Script {
    Script::json(&json!({"model": "tiny:latest", "message": {"role": "assistant", "content": "x"}, "done": true, "prompt_eval_count": 1, "eval_count": tokens}).to_string())
}

/// A refusal for a limit: its status, its time, its audit entry and its metric.
#[track_caller]
fn refused(gate: &Gate, answer: &Answer, code: &str) -> u64 {
    assert_eq!((answer.status, answer.code().as_str()), (429, code), "{}", answer.text());
    let after = answer.header("retry-after").expect("a Retry-After").parse().expect("seconds");
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    assert_eq!(
        (&entry["policy_decision"], &entry["filter"], &entry["code"]),
        (&json!("BLOCK"), &json!("ratelimit"), &json!(code))
    );
    let metric = format!(
        r#"portcullis_requests_total{{class="inference",code="{code}",decision="block",filter="ratelimit",listener="gate"}}"#
    );
    assert!(gate.metric(&metric) >= 1.0, "{metric}");
    after
}

/// The gate's only upstream, as its operator sees it.
fn upstream(gate: &Gate) -> Value {
    let (_, text) = gate.ask_admin("GET", "/api/v1/status", Some(&gate.token()));
    serde_json::from_str::<Value>(&text).expect("JSON")["upstreams"][0].clone()
}

#[test]
fn each_caller_has_so_many_requests_and_a_reload_brings_no_more() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("ratelimit: {requests: 8/h}").start();
    let (alice, bob) = (gate.approved_client("alice"), gate.approved_client("bob"));
    let answer = until("the limit", || Some(ask(&alice, 5)).filter(|answer| answer.status != 200));
    let after = refused(&gate, &answer, "ratelimit.requests");
    assert!((1..=450).contains(&after), "one of eight an hour comes after {after} s at most");
    assert!(answer.text().contains("8 requests per hour for one caller"), "{}", answer.text());
    assert_eq!(ask(&bob, 5).status, 200);
    let seen = server.seen().len();
    assert_eq!(gate.ask_admin("POST", "/api/v1/reload", Some(&gate.token())).0, 200);
    refused(&gate, &ask(&alice, 5), "ratelimit.requests");
    assert_eq!(server.seen().len(), seen, "what is refused reaches nobody");
}

#[test]
fn tokens_are_reserved_and_settled_by_what_the_server_counted() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("ratelimit: {tokens: 1000/d}").start();
    let alice = gate.approved_client("alice");
    // Each reserves most of the day's tokens and uses five.
    for _ in 0..20 {
        assert_eq!(ask(&alice, 800).status, 200);
    }
    server.next(long_answer(5_000));
    assert_eq!(ask(&alice, 10).status, 200, "nobody knew before how long it would be");
    let after = refused(&gate, &ask(&alice, 1), "ratelimit.tokens");
    assert!(after > 4 * 86_400, "a debt of four days is paid off in four days, not in {after} s");
    assert_eq!(alice.get("/api/tags").status, 200, "reads take no tokens");
    assert_eq!(ask(&gate.approved_client("bob"), 10).status, 200);
}

#[test]
fn an_error_of_the_server_costs_nothing() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("ratelimit: {tokens: 1000/d, concurrent: 1}").start();
    let alice = gate.approved_client("alice");
    for _ in 0..10 {
        server.next(Script::whole(500, "application/json", r#"{"error":"no"}"#));
        assert_eq!(ask(&alice, 800).status, 500);
        // On a connection that was kept the gate tries once more, and gets an answer.
        server.next(Script::HangUp);
        assert_ne!(ask(&alice, 800).status, 429);
    }
    assert_eq!(ask(&alice, 800).status, 200);
}

#[test]
fn who_leaves_early_still_pays() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("ratelimit: {tokens: 200/d}").start();
    let (alice, bob) = (gate.approved_client("alice"), gate.approved_client("bob"));
    let (sender, script) = Script::paced("application/x-ndjson");
    server.next(script);
    for _ in 0..150 {
        sender.send(b"{\"message\":{\"role\":\"assistant\",\"content\":\"a \"},\"done\":false}\n".to_vec()).unwrap();
    }
    let request = json!({"model": "tiny", "messages": [], "options": {"num_predict": 50}});
    let mut stream = alice.post_streamed("/api/chat", &request);
    let mut got = 0;
    while got < 150 {
        got += stream.piece().unwrap().unwrap().iter().filter(|b| **b == b'\n').count();
    }
    drop(stream);
    until("the server to notice", || (server.abandoned() == 1).then_some(()));
    until("the bill", || (ask(&alice, 45).status == 429).then_some(()));
    refused(&gate, &ask(&alice, 45), "ratelimit.tokens");
    // One who leaves before the first word has set the server to work all the same.
    server.next(Script::Silence);
    let body = json!({"model": "tiny", "stream": false, "options": {"num_predict": 150}}).to_string();
    let mut tls = bob.connect();
    let head = format!(
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    std::io::Write::write_all(&mut tls, (head + &body).as_bytes()).unwrap();
    std::io::Write::flush(&mut tls).unwrap();
    until("the request to arrive", || server.seen().last().filter(|s| s.text().contains("150")).map(drop));
    drop(tls);
    until("the server to notice", || (server.abandoned() == 2).then_some(()));
    until("the bill", || (ask(&bob, 40).status == 429).then_some(()));
    refused(&gate, &ask(&bob, 40), "ratelimit.tokens");
    drop(sender);
}

#[test]
fn places_come_back_however_an_exchange_ends() {
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .filter("ratelimit: {concurrent: 2, requests: off, tokens: off}")
        .upstream("slots: 2")
        .start();
    let alice = gate.approved_client("alice");
    let secret = format!("my token is {}", crate::firewall::github_token());
    for round in 0..10 {
        server.next(Script::HangUp);
        assert_ne!(ask(&alice, 5).status, 429);
        server.next(Script::whole(200, "text/html", "<p>"));
        assert_eq!(ask(&alice, 5).code(), "upstream.invalid");
        server.next(Script::json("no JSON"));
        assert_eq!(ask(&alice, 5).code(), "upstream.invalid");
        let leaking = json!({"model": "tiny", "messages": [{"role": "user", "content": secret}]});
        assert_eq!(alice.post("/api/chat", &leaking).code(), "firewall.secret");
        server.next(Script::json(&json!({"message": {"content": secret}, "done": true}).to_string()));
        assert_eq!(ask(&alice, 5).code(), "firewall.output_secret");
        let (sender, script) = Script::paced("application/x-ndjson");
        server.next(script);
        sender.send(b"{\"message\":{\"content\":\"a \"},\"done\":false}\n".to_vec()).unwrap();
        let mut stream = alice.post_streamed("/api/chat", &json!({"model": "tiny"}));
        stream.piece().unwrap();
        drop(stream);
        until("the server to notice", || (server.abandoned() == round + 1).then_some(()));
        assert_eq!(ask(&alice, 5).status, 200);
        drop(sender);
    }
    until("everything to be free", || (upstream(&gate)["busy"] == 0).then_some(()));
    // Both places are there, and no third one.
    server.hold();
    let running: Vec<_> = (0..2)
        .map(|_| {
            let alice = alice.clone();
            std::thread::spawn(move || ask(&alice, 5).status)
        })
        .collect();
    until("both to run", || (server.running() == 2).then_some(()));
    let after = refused(&gate, &ask(&alice, 5), "ratelimit.concurrent");
    assert_eq!(after, 1);
    assert_eq!(alice.get("/api/tags").status, 200, "reads take no place");
    server.allow(usize::MAX);
    assert!(running.into_iter().all(|one| one.join().unwrap() == 200));
    assert_eq!(ask(&alice, 5).status, 200);
}

#[test]
fn a_panic_gives_the_place_back() {
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .filter("ratelimit: {concurrent: 1}")
        .chain("[identity, ratelimit, policy, test_fault, audit]")
        .env("PORTCULLIS_TEST_FAULT", "1")
        .start();
    let alice = gate.approved_client("alice");
    for _ in 0..20 {
        server.next(Script::json(r#"{"message":{"content":"fault: panic in the answer"},"done":true}"#));
        assert_eq!(ask(&alice, 5).code(), "test_fault.internal");
    }
    assert_eq!(ask(&alice, 800).status, 200);
}

#[test]
fn models_and_everybody_together_have_limits_of_their_own() {
    let server = FakeServer::start();
    let gate =
        Gate::before(&server).filter("ratelimit: {per_model: {tokens: 100/d}, global: {requests: 30/d}}").start();
    let (alice, bob) = (gate.approved_client("alice"), gate.approved_client("bob"));
    server.next(long_answer(200));
    assert_eq!(ask(&alice, 20).status, 200);
    let answer = ask(&bob, 20);
    refused(&gate, &answer, "ratelimit.tokens");
    assert!(answer.text().contains("for this model"), "{}", answer.text());
    let answer = until("the limit for all", || Some(ask(&bob, 20)).filter(|a| a.code() == "ratelimit.requests"));
    assert!(answer.text().contains("for all callers together"), "{}", answer.text());
    refused(&gate, &ask(&alice, 20), "ratelimit.requests");
}

#[test]
fn a_budget_outlives_the_gate_and_each_way_it_ends() {
    let server = FakeServer::start();
    let policy = "version: 1\nrules:\n  - {name: look, effect: allow, who: ['*'], classes: [read]}\n";
    let gate = Gate::before(&server).policy(policy).start();
    let alice = gate.approved_client("alice");
    let granted = gate.cli(&["grants", "add", &alice.id, "--routes", "inference", "--budget", "1000", "--for", "1h"]);
    assert!(granted.status.success(), "{}", String::from_utf8_lossy(&granted.stderr));
    until("the grant to bite", || (ask(&alice, 1).status == 200).then_some(()));
    server.next(long_answer(600));
    assert_eq!(ask(&alice, 300).status, 200);
    let spent = |gate: &Gate| {
        let text = std::fs::read_to_string(gate.state().join("budgets.json")).unwrap_or_default();
        let book: Value = serde_json::from_str(&text).unwrap_or_default();
        book["spent"].as_object().and_then(|spent| spent.values().next()?.as_u64()).unwrap_or_default()
    };
    let whole = |answer: &Answer| {
        let after = refused(&gate, answer, "ratelimit.tokens");
        assert!(answer.text().contains("the budget of 1000 tokens"), "{}", answer.text());
        after
    };
    assert_eq!(whole(&ask(&alice, 500)), 86_400, "a budget does not fill up again");
    gate.signal(rustix::process::Signal::TERM);
    assert!(gate.wait().success());
    gate.restart(|| assert!((600..650).contains(&spent(&gate)), "{} were spent", spent(&gate)));
    whole(&ask(&alice, 500));
    // Killed while an answer runs: all that was set aside for it counts.
    server.next(Script::Silence);
    let request = json!({"model": "tiny", "messages": [], "options": {"num_predict": 250}}).to_string();
    let mut tls = alice.connect();
    let head = format!(
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        request.len()
    );
    std::io::Write::write_all(&mut tls, (head + &request).as_bytes()).unwrap();
    std::io::Write::flush(&mut tls).unwrap();
    until("what is set aside to be on disk", || (spent(&gate) > 850).then_some(()));
    gate.signal(rustix::process::Signal::KILL);
    gate.restart(|| {});
    drop(tls);
    whole(&ask(&alice, 150));
    assert_eq!(ask(&alice, 20).status, 200);
}

#[test]
fn a_key_has_limits_of_its_own_beside_its_holder_s() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("tls: server").filter("identity: {accept: [api_key]}").start();
    let add = |name: &str, more: &[&str]| {
        let mut args = vec!["keys", "add", name];
        args.extend(more);
        gate.cli_json(&args)["key"].as_str().expect("a key").to_owned()
    };
    let (ci, other) = (add("ci", &["--requests", "2/d"]), add("other", &[]));
    let call = |key: &str| {
        let body = r#"{"model":"tiny","stream":false}"#;
        gate.nobody().raw(format!("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
    };
    until("the keys to be known", || (call(&other).status == 200).then_some(()));
    let codes: Vec<_> = (0..3).map(|_| call(&ci)).collect();
    assert_eq!(codes.iter().map(|a| a.status).collect::<Vec<_>>(), [200, 200, 429]);
    let after = refused(&gate, &codes[2], "ratelimit.requests");
    assert!((43_000..=43_200).contains(&after), "one of two a day comes after half a day, not {after} s");
    assert_eq!(call(&other).status, 200);
}

#[test]
fn a_flood_of_strangers_fills_no_log_and_holds_up_nobody() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("ratelimit: {strangers: 40/d}").start();
    let alice = gate.approved_client("alice");
    let strangers: Vec<_> = ["eve", "mallory"].iter().map(|name| gate.stranger(name)).collect();
    let mut refusals = 0;
    for n in 0..100 {
        let answer = strangers[n % 2].get("/api/tags");
        match answer.code().as_str() {
            "identity.pending" => {}
            "ratelimit.requests" => {
                refusals += 1;
                assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 1);
            }
            other => panic!("{other}"),
        }
    }
    assert!(refusals >= 60, "{refusals}");
    assert_eq!(ask(&alice, 5).status, 200, "at the same address, and known");
    gate.signal(rustix::process::Signal::TERM);
    assert!(gate.wait().success());
    let log = gate.audit();
    let alone = log.iter().filter(|e| e["filter"] == "identity").count();
    assert!(alone <= 41, "{alone} lines of their own");
    let together: Vec<_> = log.iter().filter(|e| e["event_type"] == "request.flood").collect();
    let sum: u64 = together
        .iter()
        .filter_map(|e| e["path"].as_str()?.strip_suffix(" requests from 127.0.0.0/24")?.parse::<u64>().ok())
        .sum();
    assert_eq!(sum, refusals, "each is told, in {} lines", together.len());
    assert!(gate.cli(&["audit", "verify"]).status.success());
}

#[test]
fn a_limit_that_nothing_counts_lets_nothing_through() {
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .gate("tls: server")
        .chain("[identity, policy, firewall, audit]")
        .filter("identity: {accept: [api_key]}")
        .start();
    let key = |name: &str, more: &[&str]| {
        let made = gate.cli_json(&[&["keys", "add", name], more].concat());
        made["key"].as_str().unwrap().to_owned()
    };
    let (free, bound) = (key("free", &[]), key("bound", &["--budget", "1000"]));
    let nobody = gate.nobody();
    let get = |key: &str| {
        let request = format!("GET /api/version HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
        nobody.raw(request.as_bytes())
    };
    until("the keys to be known", || (get(&free).status == 200).then_some(()));
    let seen = server.seen().len();
    let answer = until("the second key to be known", || Some(get(&bound)).filter(|answer| answer.status != 401));
    assert_eq!((answer.status, answer.code().as_str()), (503, "ratelimit.internal"), "{}", answer.text());
    assert_eq!(server.seen().len(), seen);
}
