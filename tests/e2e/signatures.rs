//! Signed requests: from one node, whole, once.

use std::io::{Read as _, Write as _};

use data_encoding::{BASE64, HEXLOWER};
use http::HeaderValue;
use portcullis_signatures::SecretKey;
use portcullis_tests::{Answer, Client, FakeServer, Gate, Message, now_ms, until};
use sha2::{Digest as _, Sha512};

const CHAT: &str = r#"{"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":false}"#;

/// A gate that lets callers in by their signatures alone.
fn gate(server: &FakeServer) -> Gate {
    Gate::before(server).gate("tls: server").filter("identity: {accept: [signature]}").start()
}

fn chat() -> Message {
    say("hi")
}

fn say(word: &str) -> Message {
    Message::post("/api/chat", &CHAT.replace("hi", word).parse().expect("JSON"))
}

/// How a message is bent after it was signed.
trait Bend {
    fn value(&self, name: &str) -> String;
    fn without(self, name: &str) -> Self;
    fn with(self, name: &'static str, value: impl AsRef<[u8]>) -> Self;
    fn set(self, name: &'static str, value: impl AsRef<[u8]>) -> Self;
    fn edit(self, name: &'static str, change: impl FnOnce(String) -> String) -> Self;
    fn twice(self, name: &'static str) -> Self;
    fn send(&self, client: &Client) -> Answer;
}

impl Bend for Message {
    fn value(&self, name: &str) -> String {
        self.headers[name].to_str().expect("text").to_owned()
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    fn with(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).expect("a header's value"));
        self
    }

    fn set(self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).with(name, value)
    }

    fn edit(self, name: &'static str, change: impl FnOnce(String) -> String) -> Self {
        let changed = change(self.value(name));
        self.set(name, changed)
    }

    fn twice(self, name: &'static str) -> Self {
        let value = self.value(name);
        self.with(name, value)
    }

    fn send(&self, client: &Client) -> Answer {
        client.raw(&self.bytes())
    }
}

fn now() -> i64 {
    now_ms() / 1000
}

fn key() -> SecretKey {
    SecretKey::generate().expect("a key")
}

/// A key that the operator approved, met by a signed request.
#[track_caller]
fn approved(gate: &Gate, client: &Client) -> SecretKey {
    let key = key();
    let first = Message::get("/api/version").sign(&key).send(client);
    assert_eq!(first.code(), "identity.pending", "{}", first.text());
    assert!(first.text().contains(&key.public().fingerprint()), "{}", first.text());
    let output = gate.cli(&["peers", "approve", &key.public().node_id()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    until("the approval to bite", || {
        (Message::get("/api/version").sign(&key).send(client).status == 200).then_some(())
    });
    key
}

#[test]
fn a_signed_request_gets_in_once_and_is_told() {
    let server = FakeServer::start();
    let gate = gate(&server);
    let client = gate.nobody();
    let key = approved(&gate, &client);
    let message = chat().sign(&key);
    let answer = message.send(&client);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    assert_eq!((&entry["node_id"], &entry["identity_method"]), (&key.public().node_id().into(), &"signature".into()));
    let seen = server.seen();
    let upstream = seen.last().expect("it reached the server");
    for name in ["signature", "signature-input", "content-digest"] {
        assert_eq!(upstream.header(name), None, "{name} is not forwarded");
    }

    let again = message.send(&client);
    assert_eq!((again.status, again.code().as_str()), (409, "signature.replayed"));
    assert_eq!(server.seen().len(), seen.len(), "the replay went nowhere");
    assert_eq!(gate.metric("portcullis_replays_total"), 1.0);
    let entry = gate.audit_of(again.header("portcullis-request-id").unwrap());
    assert_eq!((&entry["filter"], &entry["code"]), (&"signature".into(), &"signature.replayed".into()));

    gate.restart(|| ());
    let after = message.send(&client);
    assert_eq!((after.status, after.code().as_str()), (409, "signature.replayed"), "also after kill -9");
    assert_eq!(chat().sign(&key).send(&client).status, 200, "and a new one is welcome at once");

    let output = gate.cli(&["peers", "revoke", &key.public().node_id()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    until("the revocation to bite", || (chat().sign(&key).send(&client).code() == "identity.revoked").then_some(()));
}

/// What is sent, and the status and code that must come back.
fn table(key: &SecretKey) -> Vec<(&'static str, Message, u16, &'static str)> {
    const MALFORMED: (u16, &str) = (401, "signature.malformed");
    const INVALID: (u16, &str) = (403, "signature.invalid");
    const STALE: (u16, &str) = (403, "signature.stale");
    let unsigned = chat;
    let chat = || unsigned().sign(key);
    let at = |created| Message { created, ..unsigned() }.sign(key);
    let input = |change: &dyn Fn(String) -> String| chat().edit("signature-input", change);
    let sign = |change: &dyn Fn(String) -> String| chat().edit("signature", change);
    let replace = |what: &str, by: &str| {
        let (what, by) = (what.to_owned(), by.to_owned());
        chat().edit("signature-input", move |text| {
            assert!(text.contains(&what), "{what} in {text}");
            text.replacen(&what, &by, 1)
        })
    };
    let bytes = |message: &Message| {
        let text = message.value("signature");
        let text = text.strip_prefix("portcullis=:").and_then(|t| t.strip_suffix(':')).unwrap();
        BASE64.decode(text.as_bytes()).unwrap()
    };
    let signature = |change: &dyn Fn(&mut Vec<u8>)| {
        let message = chat();
        let mut raw = bytes(&message);
        change(&mut raw);
        message.set("signature", format!("portcullis=:{}:", BASE64.encode(&raw)))
    };
    let host = |host: &str| Message { authority: host.to_owned(), ..chat() };
    let body = |body: &[u8]| Message { body: body.to_vec(), ..chat() };
    let mut flipped = CHAT.as_bytes().to_vec();
    flipped[CHAT.find("hi").unwrap()] ^= 1;
    let small =
        format!("peer:{}", bs58::encode([1u8].iter().chain(&[0; 31]).copied().collect::<Vec<_>>()).into_string());
    let sha512 = format!("sha-512=:{}:", BASE64.encode(&Sha512::digest(CHAT)));
    let of = |(status, code): (u16, &'static str), what, message| (what, message, status, code);
    vec![
        ("nothing at all", unsigned(), 401, "identity.required"),
        of(MALFORMED, "no Signature-Input", chat().without("signature-input")),
        of(MALFORMED, "no Signature", chat().without("signature")),
        of(MALFORMED, "no digest", chat().without("content-digest")),
        of(MALFORMED, "Signature-Input twice", chat().twice("signature-input")),
        of(MALFORMED, "Signature twice", chat().twice("signature")),
        of(MALFORMED, "the digest twice", chat().twice("content-digest")),
        of(MALFORMED, "an empty Signature-Input", chat().set("signature-input", "")),
        of(MALFORMED, "an empty Signature", chat().set("signature", "")),
        of(MALFORMED, "an empty digest", chat().set("content-digest", "")),
        of(MALFORMED, "a huge Signature-Input", input(&|text| format!("{text};x=\"{}\"", "a".repeat(20_000)))),
        of(
            MALFORMED,
            "a Signature-Input that is not ASCII",
            chat().set("signature-input", "portcullis=(\"@method\");tag=\"\u{e4}\""),
        ),
        of(MALFORMED, "a Signature that is not UTF-8", chat().set("signature", b"portcullis=:\xff:")),
        of(MALFORMED, "a signature that is not base64", chat().set("signature", "portcullis=:!!!!:")),
        of(MALFORMED, "a signature in hex", chat().set("signature", format!("portcullis={}", "ab".repeat(64)))),
        of(MALFORMED, "a signature of 63 bytes", signature(&|raw| raw.truncate(63))),
        of(MALFORMED, "a signature of 65 bytes", signature(&|raw| raw.push(0))),
        of(MALFORMED, "a structured field that ends early", input(&|text| text.trim_end_matches('"').to_owned())),
        of(STALE, "from the future", at(now() + 120)),
        of(STALE, "from the past", at(now() - 120)),
        of(STALE, "from the day that time began", at(1)),
        of(MALFORMED, "a time before all time", replace("created=", "created=-")),
        of(
            MALFORMED,
            "a time with a fraction",
            input(&|text| {
                let begin = text.find("created=").unwrap() + 8;
                let end = begin + text[begin..].find(';').unwrap();
                format!("{}.5{}", &text[..end], &text[end..])
            }),
        ),
        of(
            MALFORMED,
            "a time that is a text",
            input(&|text| {
                let begin = text.find("created=").unwrap() + 8;
                let end = begin + text[begin..].find(';').unwrap();
                format!("{}\"{}\"{}", &text[..begin], &text[begin..end], &text[end..])
            }),
        ),
        of(MALFORMED, "no time", replace("created=", "creation=")),
        of(MALFORMED, "no nonce", replace("nonce=", "nunce=")),
        of(
            MALFORMED,
            "a short nonce",
            chat().edit("signature-input", |text| {
                let begin = text.find("nonce=\"").unwrap() + 7;
                let end = begin + text[begin..].find('"').unwrap();
                format!("{}short{}", &text[..begin], &text[end..])
            }),
        ),
        of(MALFORMED, "a nonce of 20 kB", replace("nonce=\"", &format!("nonce=\"{}", "n".repeat(20_000)))),
        (
            "a nonce of 1 MB",
            replace("nonce=\"", &format!("nonce=\"{}", "n".repeat(1_000_000))),
            413,
            "request.too_large",
        ),
        of(INVALID, "another nonce", replace("nonce=\"", "nonce=\"A")),
        of(MALFORMED, "no key id", replace("keyid=", "keyed=")),
        of(
            INVALID,
            "another's key id",
            input(&|text| text.replacen(&key.public().node_id(), &self::key().public().node_id(), 1)),
        ),
        of(MALFORMED, "a key id that is none", input(&|text| text.replacen(&key.public().node_id(), "somebody", 1))),
        of(MALFORMED, "a key of small order", input(&|text| text.replacen(&key.public().node_id(), &small, 1))),
        of(MALFORMED, "no algorithm", replace("alg=", "algo=")),
        of(MALFORMED, "an unknown algorithm", replace("\"ed25519\"", "\"rsa-pss-sha512\"")),
        of(
            MALFORMED,
            "an unknown label",
            chat()
                .edit("signature-input", |t| t.replacen("portcullis=", "sig1=", 1))
                .edit("signature", |t| t.replacen("portcullis=", "sig1=", 1)),
        ),
        of(
            MALFORMED,
            "two signatures",
            chat()
                .edit("signature-input", |t| format!("{t}, other={}", &t[11..]))
                .edit("signature", |t| format!("{t}, other={}", &t[11..])),
        ),
        of(MALFORMED, "the same label twice", input(&|text| format!("{text}, {text}"))),
        of(MALFORMED, "both schemes at once", chat().with("x-llmesh-node-id", key.public().node_id())),
        of(MALFORMED, "the method is not covered", replace("\"@method\" ", "")),
        of(MALFORMED, "the host is not covered", replace("\"@authority\" ", "")),
        of(MALFORMED, "the path is not covered", replace("\"@path\" ", "")),
        of(MALFORMED, "the query is not covered", replace("\"@query\" ", "")),
        of(MALFORMED, "a grant that somebody added", chat().with("portcullis-grant", "pcg1.x.y")),
        of(MALFORMED, "an invitation that somebody added", chat().with("portcullis-enroll", "pce_x")),
        of(MALFORMED, "a part is covered twice", replace("\"@method\" ", "\"@method\" \"@method\" ")),
        of(MALFORMED, "a part that nobody knows", replace("\"@method\" ", "\"@method\" \"@magic\" ")),
        of(MALFORMED, "a header that is not there", replace("\"@method\" ", "\"@method\" \"x-none\" ")),
        of(MALFORMED, "a part with a parameter", replace("\"@method\"", "\"@method\";req")),
        of(INVALID, "in another order", replace("\"@method\" \"@authority\"", "\"@authority\" \"@method\"")),
        of(INVALID, "another path", Message { target: "/api/generate".to_owned(), ..chat() }),
        of(INVALID, "the same path, spelled otherwise", Message { target: "/api/%63hat".to_owned(), ..chat() }),
        of(INVALID, "another query", Message { target: "/api/chat?x=1".to_owned(), ..chat() }),
        of(INVALID, "a query that says nothing", Message { target: "/api/chat?a".to_owned(), ..chat() }),
        of(
            INVALID,
            "another method",
            Message {
                method: "GET".to_owned(),
                target: "/v1/models".to_owned(),
                ..Message { method: "HEAD".to_owned(), ..Message::get("/v1/models") }.sign(key)
            },
        ),
        of(INVALID, "another host", host("127.0.0.1")),
        of(INVALID, "another port", host("localhost:1")),
        of(INVALID, "another type", chat().set("content-type", "application/json; charset=utf-8")),
        of(
            MALFORMED,
            "a type that is not covered",
            chat().edit("signature-input", |t| t.replacen(" \"content-type\"", "", 1)),
        ),
        of(INVALID, "one bit of the body", body(&flipped)),
        of(INVALID, "a body that is longer", body(format!("{CHAT} ").as_bytes())),
        of(INVALID, "half the body", body(&CHAT.as_bytes()[..CHAT.len() / 2])),
        of(INVALID, "no body", body(b"")),
        of(
            INVALID,
            "another digest",
            chat().edit("content-digest", |text| {
                text.replacen(text.chars().nth(12).unwrap(), if text.as_bytes()[12] == b'A' { "B" } else { "A" }, 1)
            }),
        ),
        of(MALFORMED, "a digest of another algorithm", chat().set("content-digest", sha512)),
        of(
            MALFORMED,
            "a digest of half the length",
            chat().set("content-digest", format!("sha-256=:{}:", BASE64.encode(&[7; 16]))),
        ),
        of(INVALID, "a signature of zeros", signature(&|raw| raw.fill(0))),
        of(INVALID, "one bit of the signature", signature(&|raw| raw[5] ^= 1)),
        of(INVALID, "S out of range", signature(&|raw| raw[63] |= 0x80)),
        of(INVALID, "S plus the group's order", signature(&|raw| add_order(raw))),
        of(MALFORMED, "padding that hides bits", sign(&|text| text.replacen("==:", "=:", 1))),
        of(
            INVALID,
            "for another gate",
            Message { audience: Some(self::key().public().node_id()), ..unsigned() }.sign(key),
        ),
        of(MALFORMED, "an audience that is not covered", chat().with("portcullis-audience", "peer:x")),
    ]
}

/// Adds the order of the group to S: the same equation holds, and RFC 8032 forbids it.
fn add_order(raw: &mut [u8]) {
    let order = HEXLOWER.decode(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (byte, more) in raw[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
}

#[test]
fn every_bad_signature_is_refused_told_once_and_goes_nowhere() {
    let server = FakeServer::start();
    let gate = gate(&server);
    let client = gate.nobody();
    let key = approved(&gate, &client);
    let before = server.seen().len();
    let mut wrong = Vec::new();
    let rows = table(&key);
    println!("{} rows", rows.len());
    for (what, message, status, code) in rows {
        let entries = gate.audit().len();
        let answer = message.send(&client);
        if (answer.status, answer.code().as_str()) != (status, code) {
            wrong.push(format!(
                "{what}: {} {} instead of {status} {code}: {}",
                answer.status,
                answer.code(),
                answer.text()
            ));
            continue;
        }
        let entry = gate.audit_of(answer.header("portcullis-request-id").expect("an id"));
        assert_eq!((entry["policy_decision"].as_str(), entry["code"].as_str()), (Some("BLOCK"), Some(code)), "{what}");
        assert_eq!(gate.audit().len(), entries + 1, "{what}: one line");
        assert!(answer.complete && answer.text().contains(code), "{what}: {}", answer.text());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.seen().len(), before, "nothing of it reached the server");
    assert_eq!(chat().sign(&key).send(&client).status, 200, "the gate still serves");
}

/// Over a certificate, where a signature is not needed but must hold if it is there.
#[test]
fn a_certificate_and_a_signature_must_name_the_same_node() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let own = SecretKey::from_pem(&alice.key).expect("a key");
    assert_eq!(chat().send(&alice).status, 200, "it need not sign");
    assert_eq!(chat().sign(&own).send(&alice).status, 200);
    let other = chat().sign(&key()).send(&alice);
    assert_eq!((other.status, other.code().as_str()), (403, "signature.invalid"), "{}", other.text());
    let bent = Message { target: "/api/generate".to_owned(), ..chat().sign(&own) }.send(&alice);
    assert_eq!(bent.code(), "signature.invalid", "what is signed is verified");
    let claims = chat().with("x-node-id", own.public().node_id()).send(&alice);
    assert_eq!((claims.status, claims.code().as_str()), (401, "signature.missing"), "{}", claims.text());
}

#[test]
fn what_must_be_signed_is_the_operators_to_say() {
    let server = FakeServer::start();
    let always =
        Gate::before(&server).filter("signature: {require: always, schemes: [rfc9421], audience: required}").start();
    let alice = always.stranger("alice");
    let own = SecretKey::from_pem(&alice.key).expect("a key");
    assert_eq!(chat().send(&alice).code(), "identity.pending");
    assert!(always.cli(&["peers", "approve", &alice.id]).status.success());
    until("the approval to bite", || (chat().send(&alice).code() == "signature.missing").then_some(()));
    let plain = chat().sign(&own).send(&alice);
    assert_eq!(plain.code(), "signature.malformed", "it does not say for whom: {}", plain.text());
    let gate_id = always.cli_json(&["id"])["node_id"].as_str().unwrap().to_owned();
    let meant = Message { audience: Some(gate_id), ..chat() }.sign(&own);
    assert_eq!(meant.send(&alice).status, 200);
    let llmesh = chat().sign_llmesh(&own, true).send(&alice);
    assert_eq!(llmesh.code(), "signature.malformed", "{}", llmesh.text());

    let never = Gate::before(&server).filter("signature: {require: never}").start();
    let bob = never.approved_client("bob");
    assert_eq!(chat().with("x-node-id", "peer:x").send(&bob).status, 200);
}

#[test]
fn an_llmesh_node_gets_in_once_it_is_known() {
    let server = FakeServer::start();
    let gate = gate(&server);
    let client = gate.nobody();
    let key = key();
    let unknown = chat().sign_llmesh(&key, false).send(&client);
    assert_eq!((unknown.status, unknown.code().as_str()), (401, "identity.required"), "{}", unknown.text());
    let forged = chat()
        .sign_llmesh(&key, true)
        .edit("x-llmesh-signature", |text| text.replacen("ed25519:", "ed25519:00", 1)[..136].to_owned());
    assert_eq!(forged.send(&client).code(), "signature.invalid");
    assert_eq!(gate.cli_json(&["peers", "pending"]).as_array().map(Vec::len), Some(0), "a forged one is not noted");
    let first = chat().sign_llmesh(&key, true).send(&client);
    assert_eq!((first.status, first.code().as_str()), (403, "identity.pending"), "{}", first.text());
    assert!(gate.cli(&["peers", "approve", &key.public().node_id()]).status.success());
    until("the approval to bite", || (chat().sign_llmesh(&key, false).send(&client).status == 200).then_some(()));

    let message = say("ho").sign_llmesh(&key, false);
    assert_eq!(message.send(&client).status, 200);
    let again = message.send(&client);
    assert_eq!((again.status, again.code().as_str()), (409, "signature.replayed"));
    gate.restart(|| ());
    assert_eq!(message.send(&client).code(), "signature.replayed", "also after kill -9");

    let before = server.seen().len();
    let fine = || say("ha").sign_llmesh(&key, false);
    for (what, message, status, code) in [
        ("another body", Message { body: CHAT.as_bytes().to_vec(), ..fine() }, 403, "signature.invalid"),
        ("an empty body", Message { body: vec![], ..fine() }, 403, "signature.invalid"),
        ("another path", Message { target: "/api/generate".to_owned(), ..fine() }, 403, "signature.invalid"),
        ("no node id", fine().without("x-llmesh-node-id"), 401, "signature.malformed"),
        ("no time", fine().without("x-llmesh-timestamp"), 401, "signature.malformed"),
        ("no signature", fine().without("x-llmesh-signature"), 401, "signature.malformed"),
        ("the time twice", fine().twice("x-llmesh-timestamp"), 401, "signature.malformed"),
        ("a time in seconds", fine().set("x-llmesh-timestamp", now().to_string()), 403, "signature.stale"),
        (
            "a time with a fraction",
            fine().set("x-llmesh-timestamp", format!("{}.0", now() * 1000)),
            401,
            "signature.malformed",
        ),
        (
            "a time with a sign",
            fine().set("x-llmesh-timestamp", format!("+{}", now() * 1000)),
            401,
            "signature.malformed",
        ),
        (
            "another time",
            fine().edit("x-llmesh-timestamp", |t| (t.parse::<i64>().unwrap() + 1).to_string()),
            403,
            "signature.invalid",
        ),
        (
            "a signature in base64",
            fine().set("x-llmesh-signature", format!("ed25519:{}", BASE64.encode(&[7; 64]))),
            401,
            "signature.malformed",
        ),
        (
            "another prefix",
            fine().edit("x-llmesh-signature", |t| t.replacen("ed25519:", "rsa:", 1)),
            401,
            "signature.malformed",
        ),
        (
            "another's key",
            fine().with("x-llmesh-public-key", self::key().public().to_hex()),
            401,
            "signature.malformed",
        ),
        (
            "upper-case hex",
            fine().edit("x-llmesh-signature", |t| t.to_uppercase().replacen("ED25519", "ed25519", 1)),
            401,
            "signature.malformed",
        ),
    ] {
        let answer = message.send(&client);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what}: {}", answer.text());
    }
    assert_eq!(server.seen().len(), before, "nothing of it reached the server");
}

/// A chunked body may end in trailers: nothing that stands there counts.
#[test]
fn trailers_of_a_chunked_body_are_no_headers() {
    let server = FakeServer::start();
    let gate = gate(&server);
    let client = gate.nobody();
    let key = approved(&gate, &client);
    let chunked = |message: &Message, late: &[&str]| {
        let (mut head, mut trailers) = (String::new(), String::new());
        for (name, value) in &message.headers {
            let line = format!("{name}: {}\r\n", value.to_str().unwrap());
            if late.contains(&name.as_str()) { &mut trailers } else { &mut head }.push_str(&line);
        }
        let body = String::from_utf8(message.body.clone()).unwrap();
        let body = format!("{:x}\r\n{body}\r\n0\r\n{trailers}\r\n", body.len());
        let line = "POST /api/chat HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n";
        client.raw(format!("{line}{head}\r\n{body}").as_bytes())
    };
    let signed = || chat().sign(&key);
    assert_eq!(chunked(&signed(), &[]).status, 200, "a chunked body is a body");
    for (late, status, code) in [
        (&["signature", "signature-input", "content-digest"][..], 401, "identity.required"),
        (&["content-digest"], 401, "signature.malformed"),
        (&["signature"], 401, "signature.malformed"),
    ] {
        let answer = chunked(&signed(), late);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{late:?}: {}", answer.text());
    }
}

/// Whoever claims to be a node has a body read before anything is proven: that must cost the gate little.
#[test]
fn what_is_read_before_anybody_is_known_is_neither_unpacked_nor_taken_from_callers() {
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .gate("tls: server")
        .gate("limits: {body_bytes: 1MiB, buffered_bytes: 8MiB, body_timeout: 20s}")
        .filter("identity: {accept: [signature, api_key]}")
        .start();
    let client = gate.nobody();
    let key = approved(&gate, &client);

    // A packing that nobody looks into before the signature holds.
    let mut bomb = Message { body: b"not gzip at all".to_vec(), ..chat() }.sign_llmesh(&self::key(), true);
    bomb.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
    bomb.body.push(b'.');
    let answer = bomb.send(&client);
    assert_eq!((answer.status, answer.code().as_str()), (403, "signature.invalid"), "{}", answer.text());
    let mut held = Message { body: b"not gzip at all".to_vec(), ..chat() }.sign_llmesh(&key, false);
    held.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
    assert_eq!(held.send(&client).code(), "request.malformed", "whose signature holds is looked into");

    // An API key beside such a signature is refused before a byte of the body is read.
    let mut keyed = chat().sign_llmesh(&self::key(), true);
    keyed.headers.insert("authorization", HeaderValue::from_static("Bearer pck_nobody"));
    assert_eq!(keyed.send(&client).status, 401, "two credentials");

    // Strangers who never end their bodies.
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..16 {
        let stranger = Message { body: vec![b' '; 900 << 10], ..chat() }.sign_llmesh(&self::key(), true);
        let mut bytes = stranger.bytes();
        bytes.pop();
        let mut wire = client.connect();
        wire.write_all(&bytes).expect("it takes them in");
        wire.flush().expect("it takes them in");
        open.push(wire);
    }
    for wire in &mut open {
        wire.sock.set_read_timeout(Some(std::time::Duration::from_millis(200))).expect("a time-out");
        let mut first = [0; 12];
        refused += usize::from(wire.read_exact(&mut first).is_ok() && first.ends_with(b"429"));
    }
    assert!(refused >= 8, "{refused} of 16 strangers were told to wait");
    assert_eq!(chat().sign(&key).send(&client).status, 200, "there is room for a caller");
    assert_eq!(say(&"x".repeat(700 << 10)).sign(&key).send(&client).status, 200, "also for a large one");
}

/// A captured request that is sent again and again leaves a line for the first ones, and their number.
#[test]
fn replays_in_a_flood_are_told_together() {
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .gate("tls: server")
        .filter("identity: {accept: [signature]}")
        .filter("ratelimit: {requests: off, tokens: off, concurrent: off, strangers: 20/m}")
        .start();
    let client = gate.nobody();
    let key = approved(&gate, &client);
    let message = chat().sign(&key);
    assert_eq!(message.send(&client).status, 200);
    let before = gate.audit().len();
    for _ in 0..60 {
        assert_eq!(message.send(&client).code(), "signature.replayed");
    }
    let lines = gate.audit().len() - before;
    assert!(lines <= 30, "{lines} lines for 60 replays");
    assert_eq!(gate.metric("portcullis_replays_total"), 60.0, "each is counted");
    assert_eq!(chat().sign(&key).send(&client).status, 200, "their victim is served");
}
