//! What is made to take long, to grow, or to break: a clear verdict, one line in the audit log, and the gate goes on.

use data_encoding::BASE64;
use portcullis_tests::{FakeServer, Gate, Script};

use crate::firewall::{gate, token};

/// The size of what is large here: many times of what is judged on the worker's own thread.
const LARGE: usize = 4 << 20;

fn nested(mut text: String) -> String {
    for _ in 0..100 {
        if text.len() > LARGE {
            break;
        }
        text = BASE64.encode(text.as_bytes());
    }
    text
}

fn gzip_bomb() -> String {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..1_000 {
        packer.write_all(&[b' '; 64 << 10]).unwrap();
    }
    BASE64.encode(&packer.finish().unwrap())
}

/// What the content of one message is, as JSON text.
fn contents() -> Vec<(&'static str, String)> {
    let quoted = |text: &str| format!("\"{text}\"");
    vec![
        ("one character", quoted(&"a".repeat(LARGE))),
        ("one sign", quoted(&"=".repeat(LARGE))),
        ("long lines", quoted(&format!("{}\\n", "word ".repeat(200_000)).repeat(4))),
        ("escapes", quoted(&"\\u0041".repeat(LARGE / 6))),
        ("escaped line ends", quoted(&"\\n".repeat(LARGE / 2))),
        ("percent", quoted(&"%25".repeat(LARGE / 3))),
        ("entities", quoted(&"&amp;".repeat(LARGE / 5))),
        ("near-matches", quoted(&"ours_a1b2c3 ghp_a1b2 AKIAA1B2 password = ".repeat(LARGE / 40))),
        ("nested base64", quoted(&nested("hello there, is it me you are looking for".to_owned()))),
        ("a bomb", quoted(&gzip_bomb())),
        ("invisible", quoted(&"\u{200b}".repeat(LARGE / 3))),
        ("many texts", format!("[{}]", vec!["\"a\""; 100_000].join(","))),
        ("many numbers", format!("[{}]", vec!["97"; 100_000].join(","))),
    ]
}

fn request(content: &str) -> Vec<u8> {
    let body = format!(r#"{{"model":"tiny","stream":false,"messages":[{{"role":"user","content":{content}}}]}}"#);
    let head = format!(
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

#[test]
fn bad_input_gets_a_verdict() {
    let server = FakeServer::start();
    let gate = gate(&server, "ollama", "", "").start();
    let alice = gate.approved_client("alice");
    for (what, content) in contents() {
        let answer = alice.raw(&request(&content));
        let said = (answer.status, answer.code());
        assert!(
            [(200, "allow"), (503, "firewall.internal"), (422, "schema.request")].contains(&(said.0, said.1.as_str()))
                || (said.0 == 403 && said.1.starts_with("firewall.")),
            "{what}: {said:?} {}",
            answer.text()
        );
        let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
        if said.0 == 503 {
            assert_eq!(entry["data_level"].as_str(), Some("L4"), "{what}");
        }
        // The token behind all of it is found, or nothing of it is let through.
        let hidden = match content.strip_suffix('"') {
            Some(text) => format!("{text} {} \"", token()),
            None => format!("{},\"{}\"]", content.strip_suffix(']').unwrap(), token()),
        };
        let before = server.seen().len();
        let answer = alice.raw(&request(&hidden));
        assert!(
            [(403, "firewall.secret"), (503, "firewall.internal"), (422, "schema.request")]
                .contains(&(answer.status, answer.code().as_str())),
            "{what} and a token: {} {}",
            answer.status,
            answer.text()
        );
        assert_eq!(server.seen().len(), before, "{what}");
        assert!(!answer.text().contains(&token()[5..]));
    }
    assert!(!gate.log().contains(&token()[5..]));
    assert_eq!(gate.metric(r#"portcullis_filter_panics_total{filter="firewall"}"#), 0.0);
    server.next(Script::json(r#"{"message":{"role":"assistant","content":"yes"},"done":true}"#));
    assert_eq!(alice.raw(&request("\"hello\"")).status, 200, "the gate lives");
}

#[test]
fn the_largest_body_gets_a_verdict() {
    let server = FakeServer::start();
    let gate = gate(&server, "ollama", "", "").gate("limits: {body_bytes: 64MiB, buffered_bytes: 256MiB}").start();
    let alice = gate.approved_client("alice");
    let before = (server.seen().len(), gate.audit().len());
    let answer = alice.raw(&request(&format!("\"{} {}\"", "a".repeat(16 << 20), token())));
    assert!(
        [(403, "firewall.secret"), (503, "firewall.internal")].contains(&(answer.status, answer.code().as_str())),
        "{} {}",
        answer.status,
        answer.text()
    );
    assert_eq!((server.seen().len(), gate.audit().len()), (before.0, before.1 + 1));
    assert_eq!(gate.metric(r#"portcullis_filter_panics_total{filter="firewall"}"#), 0.0);
    assert_eq!(alice.raw(&request("\"hello\"")).status, 200, "the gate lives");
}

#[test]
fn text_that_is_none_is_refused() {
    let server = FakeServer::start();
    let gate = gate(&server, "ollama", "", "").start();
    let alice = gate.approved_client("alice");
    let before = server.seen().len();
    for content in [&b"\"\xff\xfe\""[..], b"\"\\ud800\"", b"\"a\x00b\"", b"\"\xc0\xaf\""] {
        let text = request("CONTENT");
        let at = text.windows(7).position(|window| window == b"CONTENT").unwrap();
        let mut bytes = text[..at].to_vec();
        bytes.extend(content);
        bytes.extend(&text[at + 7..]);
        let length =
            format!("Content-Length: {}", bytes.len() - (bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4));
        let head =
            String::from_utf8_lossy(&bytes[..bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap()]).into_owned();
        let old = head.lines().find(|line| line.starts_with("Content-Length")).unwrap().to_owned();
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let sent = [head.replace(&old, &length).as_bytes(), &bytes[end..]].concat();
        let answer = alice.raw(&sent);
        assert_eq!((answer.status, answer.code().as_str()), (400, "request.malformed"), "{}", answer.text());
        gate.audit_of(answer.header("portcullis-request-id").unwrap());
    }
    assert_eq!(server.seen().len(), before);
}

/// No rule file can make the firewall panic: the filter that breaks on command stands in for it, in the same chain.
#[test]
fn a_firewall_behind_a_fault_stays_shut() {
    let server = FakeServer::start();
    let gate: Gate = gate(&server, "ollama", "", "")
        .chain("[identity, policy, test_fault, firewall, audit]")
        .env("PORTCULLIS_TEST_FAULT", "1")
        .start();
    let alice = gate.approved_client("alice");
    let before = server.seen().len();
    // Small and large: on the worker's own thread, and off it.
    for size in [0, 512 << 10] {
        let answer = alice.raw(&request(&format!("\"fault: panic now {}\"", "a ".repeat(size / 2))));
        assert_eq!((answer.status, answer.code().as_str()), (503, "test_fault.internal"));
    }
    assert_eq!(server.seen().len(), before);
    assert_eq!(alice.raw(&request(&format!("\"{}\"", token()))).code(), "firewall.secret");
}
