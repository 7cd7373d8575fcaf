//! Every kind of bad input gets a clear refusal, one audit line, and nothing reaches the server.

use http::Request;
use portcullis_tests::{Client, FakeServer, Gate};
use serde_json::json;

/// A JSON POST to a path.
fn post(path: &str, body: &[u8]) -> Vec<u8> {
    with(path, "", body)
}

/// The same with more header lines.
fn with(path: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let media =
        if lines.to_ascii_lowercase().contains("content-type") { "" } else { "Content-Type: application/json\r\n" };
    let mut bytes =
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{media}{lines}Content-Length: {}\r\n\r\n", body.len())
            .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn chat(body: &str) -> Vec<u8> {
    post("/api/chat", body.as_bytes())
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(plain).unwrap();
    packer.finish().unwrap()
}

const FINE: &str = r#"{"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":false}"#;

/// What is sent, and the status and code that must come back.
fn table() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let deep = format!("{{\"model\":\"tiny\",\"messages\":{}{}}}", "[".repeat(70), "]".repeat(70));
    let large = vec![b' '; (16 << 20) + 1];
    let bomb = gzip(&vec![b' '; (16 << 20) + 1]);
    let zbomb = zstd::encode_all(&vec![b' '; (16 << 20) + 1][..], 0).unwrap();
    let fine = FINE.as_bytes();
    let line = |text: &str| format!("{text} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
    vec![
        ("malformed JSON", chat("{\"model\":"), 400, "request.malformed"),
        ("no body", chat(""), 400, "request.malformed"),
        ("duplicate keys", chat(r#"{"model":"tiny","model":"other","messages":[]}"#), 400, "request.malformed"),
        ("duplicate keys by escape", chat(r#"{"model":"tiny","mode\u006c":"other"}"#), 400, "request.malformed"),
        ("keys equal but for case", chat(r#"{"model":"tiny","Model":"other"}"#), 400, "request.malformed"),
        ("a key in another case", chat(r#"{"Model":"tiny"}"#), 400, "request.malformed"),
        ("MESSAGES", chat(r#"{"model":"tiny","MESSAGES":[]}"#), 400, "request.malformed"),
        ("long s", chat("{\"model\":\"tiny\",\"\u{17f}tream\":false}"), 400, "request.malformed"),
        ("Kelvin sign", chat("{\"model\":\"tiny\",\"\u{212a}eep_alive\":0}"), 400, "request.malformed"),
        ("name beside model", chat(r#"{"model":"tiny","name":"other"}"#), 403, "policy.field_denied"),
        ("a cloud model", chat(r#"{"model":"tiny:cloud"}"#), 403, "policy.egress_denied"),
        ("a cloud model in capitals", chat(r#"{"model":"TINY:CLOUD"}"#), 403, "policy.egress_denied"),
        ("a cloud model by its tag", chat(r#"{"model":"gpt-oss:120b-Cloud"}"#), 403, "policy.egress_denied"),
        ("a cloud model in full", chat(r#"{"model":"https://registry.ollama.ai/library/tiny:cloud"}"#), 403, "policy.egress_denied"),
        ("a cloud model by name", chat(r#"{"name":"tiny:cloud"}"#), 403, "policy.egress_denied"),
        ("a model that is none", chat(r#"{"model":"a:b:c"}"#), 422, "schema.request"),
        ("a model that is a number", chat(r#"{"model":7}"#), 422, "schema.request"),
        ("invalid UTF-8", post("/api/chat", b"{\"model\":\"ti\xffny\"}"), 400, "request.malformed"),
        ("NaN", chat(r#"{"model":"tiny","options":{"seed":NaN}}"#), 400, "request.malformed"),
        ("a number without end", chat(r#"{"model":"tiny","options":{"seed":1e999}}"#), 400, "request.malformed"),
        ("trailing garbage", chat(&format!("{FINE}x")), 400, "request.malformed"),
        ("two documents", chat(&format!("{FINE}{FINE}")), 400, "request.malformed"),
        ("a byte order mark", chat(&format!("\u{feff}{FINE}")), 400, "request.malformed"),
        ("deep nesting", chat(&deep), 400, "request.malformed"),
        ("16 MiB and a byte", post("/api/chat", &large), 413, "request.too_large"),
        ("gzip that unpacks too far", with("/api/chat", "Content-Encoding: gzip\r\n", &bomb), 413, "request.too_large"),
        ("zstd that unpacks too far", with("/api/chat", "Content-Encoding: zstd\r\n", &zbomb), 413, "request.too_large"),
        ("brotli", with("/api/chat", "Content-Encoding: br\r\n", fine), 415, "request.unsupported_media"),
        ("two encodings", with("/api/chat", "Content-Encoding: gzip, gzip\r\n", &gzip(&gzip(fine))), 415, "request.unsupported_media"),
        ("a lying gzip", with("/api/chat", "Content-Encoding: gzip\r\n", fine), 400, "request.malformed"),
        ("a lying zstd", with("/api/chat", "Content-Encoding: zstd\r\n", fine), 400, "request.malformed"),
        ("packed, and not said", post("/api/chat", &gzip(fine)), 400, "request.malformed"),
        ("JSON as text", with("/api/chat", "Content-Type: text/plain\r\n", fine), 415, "request.unsupported_media"),
        ("JSON as a form", with("/api/chat", "Content-Type: application/x-www-form-urlencoded\r\n", fine), 415, "request.unsupported_media"),
        ("JSON in another charset", with("/api/chat", "Content-Type: application/json; charset=utf-16\r\n", fine), 415, "request.unsupported_media"),
        ("two media types", with("/api/chat", "Content-Type: application/json\r\nContent-Type: text/plain\r\n", fine), 400, "request.malformed"),
        ("two lengths", with("/api/chat", "Content-Length: 5\r\n", fine), 400, "request.malformed"),
        ("the same length twice", with("/api/chat", &format!("Content-Length: {}\r\n", fine.len()), fine), 400, "request.malformed"),
        ("a length that is none", b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nhello".to_vec(), 400, "request.malformed"),
        ("length and chunks", with("/api/chat", "Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400, "request.malformed"),
        ("an unknown transfer coding", b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n".to_vec(), 400, "request.malformed"),
        ("a folded line", b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n".to_vec(), 400, "request.malformed"),
        ("a space before the colon", b"GET /api/tags HTTP/1.1\r\nHost : localhost\r\n\r\n".to_vec(), 400, "request.malformed"),
        ("no host", b"GET /api/tags HTTP/1.1\r\n\r\n".to_vec(), 400, "request.malformed"),
        ("two hosts", b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n".to_vec(), 400, "request.malformed"),
        ("a foreign host", b"GET /api/tags HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_vec(), 400, "request.malformed"),
        ("an absolute target", line("GET http://localhost/api/tags"), 400, "request.malformed"),
        ("a doubled slash", line("GET //api/tags"), 400, "request.malformed"),
        ("a slash at the end", line("GET /api/tags/"), 400, "request.malformed"),
        ("a dot segment", line("GET /api/../api/tags"), 400, "request.malformed"),
        ("an encoded dot segment", line("GET /api/%2e%2e/api/tags"), 400, "request.malformed"),
        ("an encoded slash", line("GET /api%2ftags"), 400, "request.malformed"),
        ("a backslash", line("GET /api\\tags"), 400, "request.malformed"),
        ("a parameter in the path", post("/api/chat/..;/delete", fine), 400, "request.malformed"),
        ("encoded twice", line("GET /api/%2574ags"), 400, "request.malformed"),
        ("a control byte", line("GET /api/%00tags"), 400, "request.malformed"),
        ("another case", post("/API/chat", fine), 403, "policy.unknown_route"),
        ("another method", line("GET /api/chat"), 403, "policy.unknown_route"),
        ("an unknown route", post("/api/nonsense", fine), 403, "policy.unknown_route"),
        ("Upgrade", b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec(), 400, "request.malformed"),
        ("h2c", b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n".to_vec(), 400, "request.malformed"),
        ("CONNECT", b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n".to_vec(), 400, "request.malformed"),
        ("a query that the route does not take", line("GET /api/tags?reload=1"), 403, "policy.field_denied"),
        ("a body where none belongs", b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}".to_vec(), 400, "request.malformed"),
        ("headers above the limit", [b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nX-A: ".to_vec(), vec![b'a'; 40_000], b"\r\n\r\n".to_vec()].concat(), 413, "request.too_large"),
        ("managing models", post("/api/pull", br#"{"model":"tiny"}"#), 403, "policy.route_denied"),
        ("a field that is never let through", chat(r#"{"model":"tiny","_debug_render_only":true}"#), 403, "policy.field_denied"),
        ("a remote image", post("/v1/chat/completions", br#"{"model":"tiny","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://192.0.2.1/a.png"}}]}]}"#), 403, "policy.egress_denied"),
    ]
}

#[test]
fn every_bad_input_is_refused_told_once_and_goes_nowhere() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let before = server.seen().len();
    let mut wrong = Vec::new();
    for (what, bytes, status, code) in table() {
        let entries = gate.audit().len();
        let answer = alice.raw(&bytes);
        if (answer.status, answer.code().as_str()) != (status, code) {
            wrong.push(format!(
                "{what}: {} {} instead of {status} {code}: {}",
                answer.status,
                answer.code(),
                answer.text()
            ));
            continue;
        }
        let id = answer.header("portcullis-request-id").expect("an id").to_owned();
        let entry = gate.audit_of(&id);
        assert_eq!((entry["policy_decision"].as_str(), entry["code"].as_str()), (Some("BLOCK"), Some(code)), "{what}");
        assert_eq!(gate.audit().len(), entries + 1, "{what}: one line");
        assert!(answer.complete && answer.text().contains(code), "{what}: {}", answer.text());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.seen().len(), before, "nothing reached the server: {:?}", server.seen().last());
    assert!(gate.metric(r#"portcullis_requests_total{class="unknown",code="request.malformed",decision="block",filter="request",listener="gate"}"#) > 10.0);
    assert_eq!(
        alice.post("/api/chat", &json!({"model": "tiny", "messages": [], "stream": false})).status,
        200,
        "the gate goes on"
    );
}

#[test]
fn what_is_odd_but_clear_is_judged_as_the_server_will_see_it() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let chunked = |sizes: &[usize]| {
        let mut bytes = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let mut rest = FINE.as_bytes();
        for size in sizes.iter().copied().chain(std::iter::once(usize::MAX)) {
            let (piece, next) = rest.split_at(size.min(rest.len()));
            if !piece.is_empty() {
                bytes.extend(format!("{:x}\r\n", piece.len()).bytes().chain(piece.iter().copied()).chain(*b"\r\n"));
            }
            rest = next;
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    };
    for (what, bytes) in [
        ("an encoded letter in the path", post("/api/%63hat", FINE.as_bytes())),
        ("chunks of one byte", chunked(&[1; 70])),
        ("one chunk", chunked(&[])),
        ("gzip", with("/api/chat", "Content-Encoding: gzip\r\n", &gzip(FINE.as_bytes()))),
        ("zstd", with("/api/chat", "Content-Encoding: zstd\r\n", &zstd::encode_all(FINE.as_bytes(), 0).unwrap())),
        ("a model in capitals", chat(&FINE.replace("tiny", "TINY"))),
        ("Expect", with("/api/chat", "Expect: 100-continue\r\n", FINE.as_bytes())),
    ] {
        let answer = alice.raw(&bytes);
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.line, "POST /api/chat HTTP/1.1", "{what}");
        assert_eq!(seen.text(), FINE.replace("tiny", "tiny:latest"), "{what}");
        assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string().as_str()), "{what}");
        assert_eq!(seen.header("content-encoding"), None, "{what}");
    }
}

#[test]
fn the_same_holds_over_http_2() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_h2_client("alice");
    let send = |path: &str, media: &str, body: &[u8], length: bool| {
        let request = Request::post(format!("https://localhost{path}"))
            .header("content-type", media)
            .body(body.to_vec())
            .unwrap();
        alice.send(request, length)
    };
    let before = server.seen().len();
    for (path, media, body, status, code) in [
        ("/api/chat", "application/json", &b"{\"model\":"[..], 400, "request.malformed"),
        ("/api/chat", "text/plain", FINE.as_bytes(), 415, "request.unsupported_media"),
        ("//api/chat", "application/json", FINE.as_bytes(), 400, "request.malformed"),
        ("/api/nonsense", "application/json", FINE.as_bytes(), 403, "policy.unknown_route"),
        ("/api/chat", "application/json", br#"{"model":"tiny","MODEL":"x"}"#, 400, "request.malformed"),
    ] {
        let answer = send(path, media, body, true);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
    }
    assert_eq!(server.seen().len(), before);
    let answer = send("/api/chat", "application/json", FINE.as_bytes(), false);
    assert_eq!(answer.status, 200, "without content-length: {}", answer.text());
    assert_eq!(server.seen().pop().unwrap().text(), FINE.replace("tiny", "tiny:latest"));
}

#[test]
fn a_body_that_never_comes_ends_in_time() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("limits: {body_timeout: 1s, header_timeout: 1s}").start();
    let alice: Client = gate.approved_client("alice");
    let before = server.seen().len();
    let answer = alice.raw(
        b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
    );
    assert_eq!((answer.status, answer.code().as_str()), (400, "request.malformed"));
    let slow = alice.raw(b"GET /api/tags HTTP/1.1\r\nHost:");
    assert_eq!(slow.status, 0, "a head that never ends gets nothing");
    assert_eq!(server.seen().len(), before);
}
