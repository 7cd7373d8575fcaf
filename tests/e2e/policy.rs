//! Who may do what, for how long and how much; and why not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use portcullis_tests::{Client, FakeServer, Gate, Script, portcullis, until, within_a_second};
use serde_json::{Value, json};

/// Everybody may look, and nothing else.
const READ_ONLY: &str = "version: 1\nrules:\n  - {name: look, effect: allow, who: ['*'], classes: [read]}\n";

fn ndjson(word: &str) -> Vec<u8> {
    format!("{{\"model\":\"tiny\",\"message\":{{\"role\":\"assistant\",\"content\":\"{word}\"}},\"done\":false}}\n")
        .into()
}

fn sse(word: &str) -> Vec<u8> {
    format!("data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n").into()
}

fn chat() -> Value {
    json!({"model": "tiny", "messages": [], "stream": true})
}

fn unix_now() -> f64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64()
}

/// A moment as Unix seconds.
fn second(text: &str) -> f64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second() as f64
}

fn grant(gate: &Gate, id: &str, more: &[&str]) -> Value {
    gate.cli_json(&[&["grants", "add", id, "--routes", "inference"], more].concat())
}

/// Waits until a chat is answered with this code.
fn until_code(client: &Client, code: &str) {
    until(code, || (client.post("/api/chat", &json!({"model": "tiny", "stream": false})).code() == code).then_some(()));
}

#[test]
fn a_grant_bites_within_a_second_and_its_end_stops_running_streams() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).policy(READ_ONLY).start();
    let alice = gate.approved_client("alice");
    assert_eq!(alice.post("/api/chat", &chat()).code(), "policy.route_denied");
    let made = grant(&gate, &alice.id, &["--models", "tiny", "--for", "4s", "--note", "for the test"]);
    let began = Instant::now();
    until_code(&alice, "allow");
    within_a_second("a grant takes effect", began.elapsed());
    assert_eq!(alice.post("/api/chat", &json!({"model": "other"})).code(), "policy.model_denied");
    let streams: Vec<_> = [("/api/chat", "application/x-ndjson", ndjson as fn(&str) -> Vec<u8>)]
        .into_iter()
        .chain([("/v1/chat/completions", "text/event-stream", sse as fn(&str) -> Vec<u8>)])
        .map(|(path, media, frame)| {
            let (sender, script) = Script::paced(media);
            server.next(script);
            sender.send(frame("one ")).unwrap();
            let mut stream = alice.post_streamed(path, &chat());
            assert_eq!((stream.status, stream.piece().unwrap().unwrap()), (200, frame("one ")));
            // The server says nothing more, and the connection stays open.
            (path, sender, stream)
        })
        .collect();
    let end = second(made["until"].as_str().unwrap());
    for (path, sender, stream) in streams {
        let answer = stream.finish();
        let late = unix_now() - end;
        assert!((0.0..1.0).contains(&late), "{path} ended {late:.2} s after its grant");
        assert!(answer.complete, "it ends as a stream must");
        let text = answer.text();
        if path.starts_with("/v1") {
            assert!(text.contains(r#""code":"policy.expired""#) && text.ends_with("data: [DONE]\n\n"), "{text}");
        } else {
            let last: Value = serde_json::from_str(text.trim()).unwrap();
            assert!(last["error"].as_str().unwrap().contains("policy.expired"), "{text}");
        }
        let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
        assert_eq!(
            (entry["policy_decision"].as_str(), entry["code"].as_str()),
            (Some("BLOCK"), Some("policy.expired"))
        );
        drop(sender);
    }
    assert_eq!(alice.post("/api/chat", &chat()).code(), "policy.expired");
    assert_eq!(gate.cli_json(&["grants", "list"]), json!([]));
    let all = gate.cli_json(&["grants", "list", "--all"]);
    assert_eq!((all[0]["id"].clone(), all[0]["state"].clone()), (made["id"].clone(), json!("ended")));
}

#[test]
fn a_rule_that_ends_and_a_deny_that_begins_stop_running_streams() {
    let server = FakeServer::start();
    let at = |ahead: i64| jiff::Timestamp::from_second(unix_now() as i64 + ahead).unwrap();
    let (end, begin) = (at(6), at(7));
    let policy = format!(
        "version: 1\nrules:\n  - {{name: look, effect: allow, who: ['*'], classes: [read]}}\n  - {{name: today, effect: \
         allow, who: ['name:alice'], classes: [inference], when: {{until: '{end}'}}}}\n  - {{name: always, effect: \
         allow, who: ['name:bob'], classes: [inference]}}\n  - {{name: no-more, effect: deny, who: ['name:bob'], \
         classes: [inference], when: {{from: '{begin}'}}}}\n"
    );
    let gate = Gate::before(&server).policy(&policy).start();
    let mut streams = Vec::new();
    for name in ["alice", "bob"] {
        let client = gate.approved_client(name);
        assert!(gate.cli(&["peers", "rename", &client.id, name]).status.success());
        until_code(&client, "allow");
        let (sender, script) = Script::paced("application/x-ndjson");
        server.next(script);
        sender.send(ndjson("one ")).unwrap();
        let mut stream = client.post_streamed("/api/chat", &chat());
        assert_eq!(stream.piece().unwrap().unwrap(), ndjson("one "));
        streams.push((stream, sender, client));
    }
    for ((stream, _sender, client), code) in streams.into_iter().zip(["policy.expired", "policy.route_denied"]) {
        let text = stream.finish().text();
        assert!(text.contains(code), "{text}");
        assert_eq!(client.post("/api/chat", &chat()).code(), code);
    }
}

#[test]
fn a_grant_that_is_taken_back_stops_the_next_request_on_an_open_http2_connection() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).policy(READ_ONLY).start();
    let alice = gate.approved_h2_client("alice");
    let id = gate.cli_json(&["peers", "list"])[0]["id"].as_str().unwrap().to_owned();
    let made = grant(&gate, &id, &["--for", "1h"]);
    let request = || {
        let body = serde_json::to_vec(&json!({"model": "tiny", "stream": false})).unwrap();
        http::Request::post("https://localhost/api/chat").header("content-type", "application/json").body(body).unwrap()
    };
    let mut session = alice.open();
    until("the grant", || (session.send(request()).status == 200).then_some(()));
    let revoked = gate.cli_json(&["grants", "revoke", made["id"].as_str().unwrap()]);
    assert_eq!(revoked["state"], "revoked");
    let began = Instant::now();
    let code = until("the end", || Some(session.send(request())).filter(|a| a.status != 200).map(|a| a.code()));
    within_a_second("the end of a right ends a stream", began.elapsed());
    assert_eq!(code, "policy.expired");
    assert!(!gate.cli(&["grants", "revoke", made["id"].as_str().unwrap()]).status.success());
}

#[test]
fn an_explicit_deny_wins_over_a_grant() {
    let server = FakeServer::start();
    let policy =
        format!("{READ_ONLY}  - {{name: never, effect: deny, who: ['*'], classes: [inference], models: [secret]}}\n");
    let gate = Gate::before(&server).policy(&policy).start();
    let alice = gate.approved_client("alice");
    grant(&gate, &alice.id, &["--for", "1h"]);
    until_code(&alice, "allow");
    let refused = alice.post("/api/chat", &json!({"model": "secret"}));
    assert_eq!(refused.code(), "policy.model_denied");
    let why = gate.cli_json(&["explain", refused.header("portcullis-request-id").unwrap()]);
    assert_eq!((why["rule"].as_str(), why["line"].as_u64()), (Some("never"), Some(4)), "{why}");
}

#[test]
fn bounds_hold_also_for_fields_that_a_request_leaves_out() {
    let server = FakeServer::start();
    let policy = "version: 1\nrules:\n  - {name: r, effect: allow, who: ['*'], classes: [inference, read], max_tokens: 50, max_context: 2048, tools: {allow: ['get_*']}}\n";
    let gate = Gate::before(&server).policy(policy).start();
    let alice = gate.approved_client("alice");
    for (path, body, place, meant) in [
        ("/api/chat", json!({}), "/options/num_predict", 50),
        ("/api/chat", json!({}), "/options/num_ctx", 2048),
        ("/api/chat", json!({"options": null}), "/options/num_predict", 50),
        ("/api/chat", json!({"options": {"num_predict": null}}), "/options/num_predict", 50),
        ("/api/chat", json!({"options": {"num_predict": -1, "num_ctx": 99999}}), "/options/num_predict", 50),
        ("/api/chat", json!({"options": {"num_predict": -1, "num_ctx": 99999}}), "/options/num_ctx", 2048),
        ("/api/generate", json!({"options": {"num_predict": 7}}), "/options/num_predict", 7),
        ("/v1/chat/completions", json!({}), "/max_tokens", 50),
        ("/v1/chat/completions", json!({"max_tokens": 100_000}), "/max_tokens", 50),
        ("/v1/chat/completions", json!({"max_completion_tokens": 9}), "/max_tokens", 9),
        ("/v1/completions", json!({"prompt": "x"}), "/max_tokens", 50),
        ("/v1/messages", json!({"max_tokens": 1000}), "/max_tokens", 50),
        ("/v1/responses", json!({"input": "x"}), "/max_output_tokens", 50),
    ] {
        let mut request = json!({"model": "tiny", "stream": false});
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let before = server.seen().len();
        alice.post(path, &request);
        let seen = until("the request", || server.seen().get(before).cloned());
        let arrived: Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(arrived.pointer(place), Some(&json!(meant)), "{path} {body} became {arrived}");
    }
    let before = server.seen().len();
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {}}});
    let offer = |name: &str| json!({"model": "tiny", "stream": false, "messages": [], "tools": [tool(name)]});
    assert_eq!(alice.post("/v1/chat/completions", &offer("exec")).code(), "policy.field_denied");
    assert_eq!(alice.post("/api/chat", &offer("exec")).code(), "policy.field_denied");
    let named =
        json!({"model": "tiny", "max_tokens": 9, "messages": [], "tools": [{"name": "exec", "input_schema": {}}]});
    assert_eq!(alice.post("/v1/messages", &named).code(), "policy.field_denied");
    assert_eq!(server.seen().len(), before, "nothing of them reached the server");
    assert_eq!(alice.post("/api/chat", &offer("get_time")).code(), "allow");
}

#[test]
fn a_rule_and_a_grant_say_how_much_each_caller_may() {
    let server = FakeServer::start();
    let policy = "version: 1\nrules:\n  - {name: look, effect: allow, who: ['*'], classes: [read], routes: ['ollama.version']}\n  - {name: some, effect: allow, who: ['*'], classes: [inference], limits: {requests: 3/h}}\n";
    let gate = Gate::before(&server).policy(policy).start();
    let (alice, bob) = (gate.approved_client("alice"), gate.approved_client("bob"));
    let ask = |client: &Client| client.post("/api/chat", &json!({"model": "tiny", "stream": false}));
    for _ in 0..3 {
        assert_eq!(ask(&alice).code(), "allow");
    }
    let refused = ask(&alice);
    assert_eq!((refused.status, refused.code().as_str()), (429, "ratelimit.requests"));
    assert!(refused.header("retry-after").is_some());
    let why = gate.cli_json(&["explain", refused.header("portcullis-request-id").unwrap()]);
    assert_eq!((why["rule"].as_str(), why["line"].as_u64()), (Some("some"), Some(4)), "{why}");
    assert!(why["file"].as_str().unwrap().ends_with("/policy.yaml"), "{why}");
    assert!(why["needed"].as_str().unwrap().contains("`limits:` of rule `some`"), "{why}");
    assert_eq!(ask(&bob).code(), "allow", "each caller has a count of its own");
    grant(&gate, &alice.id, &["--for", "1h", "--requests", "2/h"]);
    until("the grant", || (ask(&alice).code() == "allow").then_some(()));
    assert_eq!(ask(&alice).code(), "allow");
    assert_eq!(ask(&alice).code(), "ratelimit.requests");
}

#[test]
fn a_rule_in_shadow_is_audited_and_lets_pass() {
    let server = FakeServer::start();
    let policy = "version: 1\nrules:\n  - {name: r, effect: allow, who: ['*'], classes: [inference, read]}\n  - {name: tried, effect: deny, mode: shadow, who: ['*'], classes: [inference], models: ['big*']}\n";
    let gate = Gate::before(&server).policy(policy).start();
    let alice = gate.approved_client("alice");
    for (model, code) in [("tiny", ""), ("big", "policy.model_denied")] {
        let answer = alice.post("/api/chat", &json!({"model": model, "stream": false}));
        assert_eq!(answer.code(), "allow");
        let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
        assert_eq!((entry["policy_decision"].as_str(), entry["code"].as_str()), (Some("ALLOW"), Some(code)));
        let why = gate.cli_json(&["explain", answer.header("portcullis-request-id").unwrap()]);
        assert_eq!((why["rule"].as_str(), why["line"].as_u64()), (Some("r"), Some(3)));
        assert_eq!(why["reason"].as_str().unwrap().contains("rule `tried`, line 4"), !code.is_empty(), "{why}");
    }
    assert!(gate.log().contains("in shadow mode would have refused"));
}

#[test]
fn a_policy_that_is_broken_on_reload_leaves_the_old_one_in_force() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).policy(READ_ONLY).start();
    let alice = gate.approved_client("alice");
    let file = gate.dir.path().join("policy.yaml");
    let broken =
        format!("{READ_ONLY}  - {{name: more, effect: allow, who: ['nam:x', 'group:g'], classes: [inference]}}\n");
    std::fs::write(&file, broken).unwrap();
    let (status, said) = gate.ask_admin("POST", "/api/v1/reload", Some(&gate.token()));
    assert_eq!(status, 422, "{said}");
    for words in ["policy.yaml:4:39", "did you mean `name:`?", "policy.yaml:4:48", "no group of this document"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(gate.metric("portcullis_config_last_reload_successful"), 0.0);
    let check = gate.cli(&["check"]);
    assert_eq!(check.status.code(), Some(2));
    assert_eq!(alice.get("/api/version").status, 200);
    assert_eq!(alice.post("/api/chat", &chat()).code(), "policy.route_denied");
    std::fs::write(&file, READ_ONLY.replace("[read]", "[read, inference]")).unwrap();
    assert_eq!(gate.ask_admin("POST", "/api/v1/reload", Some(&gate.token())).0, 200);
    assert_eq!(alice.post("/api/chat", &json!({"model": "tiny", "stream": false})).code(), "allow");
}

#[test]
fn check_warns_of_rules_that_never_matter() {
    let server = FakeServer::start();
    let policy = "version: 1\nrules:\n  - {name: a, effect: allow, who: ['*'], classes: [read]}\n  - {name: again, effect: allow, who: ['method:mtls'], classes: [read]}\n  - {name: past, effect: allow, who: ['*'], classes: [inference], when: {until: 2020-01-01}}\n  - {name: ghost, effect: allow, who: ['name:nobody'], classes: [inference]}\n  - {name: nowhere, effect: allow, who: ['*'], classes: [inference], routes: ['mcp.*']}\n";
    let gate = Gate::before(&server).policy(policy).start();
    let guest = gate.stranger("guest");
    assert_eq!(guest.get("/api/version").code(), "identity.pending");
    assert!(gate.cli(&["peers", "approve", &guest.id, "--grant", "guest"]).status.success());
    let checked = gate.cli_json(&["check"]);
    let warnings: Vec<_> = checked["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (rule, line) in [("again", 4), ("past", 5), ("ghost", 6), ("nowhere", 7)] {
        let told = warnings
            .iter()
            .filter(|w| w.contains(&format!("rule `{rule}`:")) && w.contains(&format!("policy.yaml:{line}:")));
        assert_eq!(told.count(), 1, "{rule}: {warnings:#?}");
    }
    assert!(!warnings.iter().any(|w| w.contains("rule `a`:")), "{warnings:#?}");
    assert!(warnings.iter().any(|w| w.contains("`profile:guest`")), "{warnings:#?}");
}

#[test]
fn explain_names_filter_rule_and_line_of_every_kind_of_refusal() {
    let server = FakeServer::start();
    let policy = "version: 1\nrules:\n  - {name: look, effect: allow, who: ['*'], classes: [read, inference], models: [tiny]}\n  - {name: no-pulls, effect: deny, who: ['*'], classes: [admin]}\n";
    let gate = Gate::before(&server).policy(policy).start();
    let (alice, stranger) = (gate.approved_client("alice"), gate.stranger("mallory"));
    let key = crate::firewall::aws_key();
    let tiny = json!({"model": "tiny"});
    let secret = json!({"model": "tiny", "messages": [{"role": "user", "content": key}]});
    let mut told = Vec::new();
    for (client, path, body, filter, rule, file, line) in [
        (&alice, "/api/pull", &tiny, "policy", "no-pulls", "policy.yaml", Some(4)),
        (&alice, "/api/chat", &json!({"model": "big"}), "policy", "no rule allows it", "policy.yaml", Some(2)),
        (&alice, "/api/chat", &json!({"model": "tiny:cloud"}), "policy", "no rule allows it", "policy.yaml", Some(2)),
        (
            &alice,
            "/api/experimental/web_search",
            &json!({"query": "x"}),
            "policy",
            "no rule allows it",
            "policy.yaml",
            Some(2),
        ),
        (&alice, "/api/nonsense", &tiny, "policy", "route table", "policy.yaml", Some(2)),
        (
            &alice,
            "/api/chat",
            &json!({"model": "tiny", "_debug_render_only": true}),
            "policy",
            "request schema of ollama.chat",
            "policy.yaml",
            Some(2),
        ),
        (&alice, "/api/chat", &secret, "firewall", "aws", "portcullis.yaml", None),
        (&alice, "/api/chat", &json!({"model": "tiny", "MODEL": "x"}), "request", "", "portcullis.yaml", None),
        (&stranger, "/api/chat", &tiny, "identity", "trust store: pending", "portcullis.yaml", None),
        (&gate.nobody(), "/api/chat", &tiny, "identity", "filters.identity.accept", "portcullis.yaml", None),
    ] {
        let answer = client.post(path, body);
        let why = gate.cli_json(&["explain", answer.header("portcullis-request-id").unwrap()]);
        assert_eq!(
            (why["filter"].as_str(), why["code"].as_str()),
            (Some(filter), Some(answer.code().as_str())),
            "{why}"
        );
        assert!(why["rule"].as_str().unwrap().contains(rule) && why["rule"] != "", "{why}");
        assert!(why["file"].as_str().unwrap().ends_with(file), "{why}");
        assert!(why["line"].as_u64().is_some_and(|l| line.is_none_or(|meant| l == meant)), "{why}");
        assert!(why["reason"] != "" && why["needed"] != "", "{why}");
        assert!(!why.to_string().contains(&key), "no prompt is kept");
        told.push((answer, why));
    }
    let near = &told[1].1["near"][0];
    assert_eq!((near["rule"].as_str(), near["misses"][0].as_str()), (Some("look"), Some("the model")), "{near}");
    let text = gate.cli(&["explain", told[0].0.header("portcullis-request-id").unwrap()]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("policy.yaml:4"), "{text:?}");
    // Without the gate the audit log says what is left of it.
    gate.signal(rustix::process::Signal::TERM);
    gate.wait();
    for (answer, before) in &told[..3] {
        let why = gate.cli_json(&["explain", answer.header("portcullis-request-id").unwrap()]);
        for key in ["filter", "code", "rule", "line"] {
            assert_eq!(why[key], before[key], "{key}: {why}");
        }
        assert!(why["remark"].as_str().unwrap().contains("audit log"));
    }
    assert_eq!(gate.cli(&["explain", "01KAJ3Y7Z6M1R4T8V0X2B5D7FH"]).status.code(), Some(1));
    assert_eq!(gate.cli(&["explain", "../../etc"]).status.code(), Some(2));
}

#[test]
fn explain_says_which_command_lets_each_credential_in_again() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("identity: {accept: [mtls, api_key], trust: tofu}").start();
    let (nobody, alice) = (gate.nobody(), gate.approved_client("alice"));
    let key = |name: &str, more: &[&str]| {
        gate.cli_json(&[&["keys", "add", name], more].concat())["key"].as_str().unwrap().to_owned()
    };
    let (gone, short, slow) = (key("gone", &[]), key("short", &["--ttl", "1s"]), key("slow", &["--requests", "1/h"]));
    let send = |key: &str| {
        let request = format!("GET /api/version HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
        nobody.raw(request.as_bytes())
    };
    let until_refused = |key: &str, code: &str| until(code, || Some(send(key)).filter(|answer| answer.code() == code));
    until("the keys to be known", || (send(&slow).code() == "allow").then_some(()));
    assert!(gate.cli(&["keys", "revoke", "gone"]).status.success());
    assert!(gate.cli(&["peers", "revoke", &alice.id]).status.success());

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let issued = gate.cli_json(&["cert", "issue", "carol", "--out", out]);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let carol = Client::new(gate.address, &gate.ca(), Some((&read("carol.crt"), &read("carol.key"))), "");
    until("the certificate", || (carol.get("/api/version").code() == "allow").then_some(()));
    assert!(gate.cli(&["cert", "revoke", issued["serial"].as_str().unwrap()]).status.success());
    let refused = |client: &Client| {
        let code = "identity.revoked";
        until(code, || Some(client.get("/api/version")).filter(|answer| answer.code() == code))
    };

    let text = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}";
    let bob = gate.approved_client("bob");
    let answers = [
        (until_refused(&gone, "identity.revoked"), "API keys: `gone`", "`portcullis keys add gone`"),
        (until_refused(&short, "identity.invalid"), "API keys: `short`", "`portcullis keys add short`"),
        (send("pck_none"), "API keys: none", "`portcullis keys add NAME`"),
        (until_refused(&slow, "ratelimit.requests"), "API key `slow`", "`portcullis keys add`"),
        (refused(&alice), "trust store: revoked", "`portcullis peers approve "),
        (refused(&carol), "revoked certificates", "`portcullis cert issue carol`"),
        (bob.raw(text), "unsupported_media", "the header `Content-Type: application/json`"),
    ];
    for (answer, rule, needed) in &answers {
        let why = gate.cli_json(&["explain", answer.header("portcullis-request-id").unwrap()]);
        assert!(why["rule"].as_str().unwrap().contains(rule), "{why}");
        assert!(why["needed"].as_str().unwrap().contains(needed), "{why}");
        assert!(!why.to_string().contains("Quota"), "{why}");
    }
    // Without the gate, too, whose log knows the code and the credential.
    gate.signal(rustix::process::Signal::TERM);
    gate.wait();
    for (answer, _, needed) in [&answers[0], &answers[1], &answers[4], &answers[5], &answers[6]] {
        let why = gate.cli_json(&["explain", answer.header("portcullis-request-id").unwrap()]);
        assert!(why["needed"].as_str().unwrap().contains(needed), "{why}");
    }
}

#[test]
fn decisions_can_be_listed_and_followed() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).policy(READ_ONLY).start();
    let alice = gate.approved_client("alice");
    let mut tail = Command::new(portcullis())
        .args(["tail", "--denied", "--json", "--config"])
        .arg(gate.config())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    // The first one may fall before the follower is there; those after it do not.
    let (sender, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.next().map(|line| sender.send(line.unwrap())));
    let line = until("a decision", || {
        assert_eq!(alice.get("/api/version").status, 200);
        assert_eq!(alice.post("/api/chat", &chat()).code(), "policy.route_denied");
        seen.try_recv().ok()
    });
    let _ = tail.kill();
    let _ = tail.wait();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((told["policy_decision"].as_str(), told["code"].as_str()), (Some("BLOCK"), Some("policy.route_denied")));
    let (status, body) = gate.ask_admin("GET", "/api/v1/decisions?limit=2", Some(&gate.token()));
    let listed: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, listed.as_array().unwrap().len()), (200, 2), "{body}");
    assert!(listed[0]["timestamp"].as_str() >= listed[1]["timestamp"].as_str(), "newest first");
    assert_eq!(listed[1]["allowed_by"], "look");
    assert_eq!(gate.ask_admin("GET", "/api/v1/decisions", None).0, 401);
    assert_eq!(gate.ask_admin("GET", "/api/v1/decisions/x", Some(&gate.token())).0, 404);
}

#[test]
fn grants_can_be_given_over_the_admin_interface() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).policy(READ_ONLY).start();
    let alice = gate.approved_client("alice");
    let send = |method: &str, path: &str, token: &str, body: &Value| {
        let body = body.to_string();
        let mut tcp = TcpStream::connect(gate.admin).unwrap();
        let admin = gate.admin;
        write!(
            tcp,
            "{method} {path} HTTP/1.0\r\nHost: {admin}\r\nAuthorization: Bearer {token}\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse::<u16>().unwrap(), serde_json::from_str::<Value>(body).unwrap())
    };
    let token = gate.token();
    let wanted = json!({"id": alice.id, "routes": ["inference"], "models": ["tiny"], "requests": "60/m", "for": "1h"});
    assert_eq!(send("POST", "/api/v1/grants", "wrong", &wanted).0, 401);
    let (status, made) = send("POST", "/api/v1/grants", &token, &wanted);
    assert_eq!(
        (status, made["state"].as_str(), made["identity"].as_str()),
        (201, Some("valid"), Some(alice.id.as_str()))
    );
    assert_eq!(alice.post("/api/chat", &json!({"model": "tiny", "stream": false})).code(), "allow", "at once");
    for (key, value) in [("for", json!("soon")), ("id", json!("nobody"))] {
        let mut wrong = wanted.clone();
        wrong[key] = value;
        let (status, said) = send("POST", "/api/v1/grants", &token, &wrong);
        assert_eq!(status, 422, "{key}: {said}");
    }
    assert_eq!(send("GET", "/api/v1/grants", &token, &json!(null)).1[0]["id"], made["id"]);
    let path = format!("/api/v1/grants/{}", made["id"].as_str().unwrap());
    assert_eq!(send("DELETE", &path, &token, &json!(null)).0, 200);
    assert_eq!(alice.post("/api/chat", &json!({"model": "tiny"})).code(), "policy.expired", "at once");
    assert_eq!(send("DELETE", &path, &token, &json!(null)).0, 404);
}
