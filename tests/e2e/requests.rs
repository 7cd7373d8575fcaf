//! What goes through, goes through as it was judged; what must not, does not.

use portcullis_tests::{FakeServer, Gate, Script};
use serde_json::json;

#[test]
fn a_secret_in_a_prompt_is_refused_wherever_it_hides() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let before = server.seen().len();
    let token = crate::firewall::github_token();
    let key = crate::firewall::aws_key();
    let escaped = format!(r#"{{"model":"tiny","messages":[{{"role":"user","content":"\u0041KIA{}"}}]}}"#, &key[4..]);
    let split = json!({"model": "tiny", "messages": [
        {"role": "user", "content": format!("my token begins {}", &token[..20])},
        {"role": "user", "content": format!("{} and ends there", &token[20..])},
    ]});
    let bodies = [
        json!({"model": "tiny", "messages": [{"role": "user", "content": format!("see {token}")}]}).to_string(),
        escaped,
        split.to_string(),
        json!({"model": "tiny", "messages": [], "tools": [{"type": "function", "function": {"name": token}}]})
            .to_string(),
        json!({"model": "tiny", "messages": [{"role": "user", "content": "x"}], "format": {&token: 1}}).to_string(),
    ];
    for body in bodies {
        let answer = alice.raw(&[format!("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body.as_bytes()].concat());
        assert_eq!((answer.status, answer.code().as_str()), (403, "firewall.secret"), "{body}: {}", answer.text());
        assert!(!answer.text().contains(&token[4..]), "the refusal does not repeat it");
        let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
        assert_eq!(entry["data_level"], "L4");
    }
    assert_eq!(server.seen().len(), before);
    assert!(!gate.log().contains(&token[4..]) && !gate.log().contains(&key[4..]));
    assert!(gate.metric(r#"portcullis_firewall_findings_total{action="block",level="L4",rule="github-token"}"#) >= 1.0);
}

#[test]
fn whole_answers_are_judged_too() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let chat = json!({"model": "tiny", "messages": [], "stream": false});
    let token = crate::firewall::github_token();
    server
        .next(Script::json(&format!(r#"{{"message":{{"role":"assistant","content":"here: {token}"}},"done":true}}"#)));
    let answer = alice.post("/api/chat", &chat);
    assert_eq!((answer.status, answer.code().as_str()), (502, "firewall.output_secret"), "{}", answer.text());
    for (script, code) in [
        (Script::json("{broken"), "upstream.invalid"),
        (Script::json(r#"{"a":1,"a":2}"#), "upstream.invalid"),
        (Script::whole(200, "text/html", "<html>"), "upstream.invalid"),
        (Script::whole(302, "text/plain", "elsewhere"), "upstream.invalid"),
        (Script::Raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}".to_vec()), "upstream.invalid"),
        (Script::Raw(b"garbage\r\n\r\n".to_vec()), "upstream.unavailable"),
        (Script::HangUp, "upstream.unavailable"),
    ] {
        server.next(script);
        let answer = alice.post("/api/chat", &chat);
        assert_eq!(answer.code(), code, "{} {}", answer.status, answer.text());
        assert!(answer.status >= 500);
    }
    server.next(Script::whole(404, "application/json", r#"{"error":"model 'tiny' not found"}"#));
    let answer = alice.post("/api/chat", &chat);
    assert_eq!((answer.status, answer.code().as_str()), (404, "allow"), "the server's own errors pass");
}

#[test]
fn lists_show_only_what_is_granted() {
    let server = FakeServer::start();
    let policy =
        "version: 1\nrules:\n  - {name: r, effect: allow, who: ['*'], classes: [inference, read], models: ['tiny']}\n";
    let gate = Gate::before(&server).policy(policy).start();
    let alice = gate.approved_client("alice");
    server.next(Script::json(r#"{"models":[{"name":"tiny:latest","model":"tiny:latest"},{"name":"secret:7b","model":"secret:7b"},{"name":"x:cloud","model":"x:cloud"}]}"#));
    let shown = alice.get("/api/tags").json();
    assert_eq!(shown["models"].as_array().unwrap().len(), 1);
    assert_eq!(alice.post("/api/chat", &json!({"model": "secret:7b"})).code(), "policy.model_denied");
    assert_eq!(alice.post("/api/show", &json!({"model": "secret:7b"})).code(), "policy.model_denied");
    assert_eq!(alice.post("/api/embed", &json!({"model": "secret:7b", "input": "x"})).code(), "policy.model_denied");
}

#[test]
fn liveness_is_answered_by_the_gate_itself() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let answer = gate.nobody().get("/");
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"status":"ok"}"#));
    assert!(server.seen().is_empty());
}

#[test]
fn one_connection_carries_many_requests_and_a_refusal_does_not_cost_it() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let good = b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let bad = b"GET /api/nonsense HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let stream = alice.begin(good).unwrap().again(bad).expect("the connection is kept");
    assert_eq!(stream.status, 403);
    assert_eq!(stream.again(good).expect("the connection is kept after a refusal").status, 200);
}

#[test]
fn other_sites_pages_get_no_cors() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    server.next(Script::Raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\nSet-Cookie: a=b\r\nServer: x\r\nContent-Length: 2\r\n\r\n{}".to_vec()));
    let answer = alice.raw(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n");
    assert_eq!(answer.status, 200);
    for header in ["access-control-allow-origin", "set-cookie", "server"] {
        assert_eq!(answer.header(header), None, "{header}");
    }
}

#[test]
fn pipelined_requests_are_judged_one_by_one() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let one = "GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let other = "GET /api/nonsense HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let before = gate.audit().len();
    let first = alice.begin(format!("{one}{other}{one}").as_bytes()).unwrap();
    assert_eq!(first.status, 200);
    let second = first.again(b"").expect("the second answer");
    assert_eq!(second.status, 403);
    assert_eq!(second.again(b"").expect("the third answer").status, 200);
    assert_eq!(gate.audit().len(), before + 3);
}

#[test]
fn an_answer_to_head_has_no_body() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let stranger = gate.stranger("stranger");
    let alice = gate.approved_h2_client("alice");
    let head = |path: &str| http::Request::head(format!("https://localhost{path}")).body(Vec::new()).unwrap();
    for (path, status) in [("/", 200), ("/api/blobs/sha256:00", 403), ("/nothing", 403)] {
        let answer = alice.send(head(path), false);
        assert_eq!((answer.status, answer.body.len(), answer.complete), (status, 0, true), "{path} over HTTP/2");
        assert!(answer.header("content-length").is_some_and(|length| length != "0"), "{path} over HTTP/2");
        let one =
            stranger.raw(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes());
        assert_eq!((one.status, one.body.len()), (status, 0), "{path}");
    }
}

#[test]
fn curl_reads_every_refusal_over_http_2() {
    let curl = |args: &[&str]| std::process::Command::new("curl").args(args).output().ok();
    if !curl(&["--version"]).is_some_and(|said| String::from_utf8_lossy(&said.stdout).contains("HTTP2")) {
        eprintln!("skipped: the refusals that curl reads need a curl that speaks HTTP/2");
        return;
    }
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("tls: server").filter("identity: {accept: [api_key]}").start();
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.json");
    std::fs::write(&large, format!("{{\"model\": \"{}\"}}", "x".repeat(4 << 20))).unwrap();
    let large = format!("@{}", large.display());
    let (ca, url) = (gate.state().join("ca.crt"), format!("{}/v1/chat/completions", gate.url()));
    for body in ["{\"model\": \"x\"}", &large] {
        for _ in 0..20 {
            let said = curl(&[
                "--silent",
                "--http2",
                "--cacert",
                ca.to_str().unwrap(),
                "--header",
                "Authorization: Bearer pck_x",
                "--header",
                "Content-Type: application/json",
                "--header",
                "Expect:",
                "--data-binary",
                body,
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
                &url,
            ]);
            assert_eq!(String::from_utf8_lossy(&said.unwrap().stdout), "401");
        }
    }
}
