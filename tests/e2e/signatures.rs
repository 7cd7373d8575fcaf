//! Signed requests: from one node, whole, once.

use data_encoding::{BASE64, HEXLOWER};
use http::HeaderMap;
use portcullis_signatures::{SecretKey, SignOptions, Target, sign_llmesh, sign_request};
use portcullis_tests::{Answer, Client, FakeServer, Gate, until};
use sha2::{Digest as _, Sha512};

const CHAT: &str = r#"{"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":false}"#;

/// A gate that lets callers in by their signatures alone.
fn gate(server: &FakeServer) -> Gate {
    Gate::before(server).gate("tls: server").filter("identity: {accept: [signature]}").start()
}

/// A request that can be bent after it was signed.
#[derive(Clone)]
struct Message {
    method: String,
    target: String,
    host: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Message {
    fn new(method: &str, target: &str, body: &str) -> Self {
        let media = ("content-type".to_owned(), b"application/json".to_vec());
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: "localhost".to_owned(),
            headers: if body.is_empty() { vec![] } else { vec![media] },
            body: body.as_bytes().to_vec(),
        }
    }

    fn chat() -> Self {
        Self::new("POST", "/api/chat", CHAT)
    }

    /// Signs it as it is now.
    fn signed(mut self, key: &SecretKey, options: &SignOptions<'_>) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value[..].try_into().unwrap());
        }
        let target = self.target();
        sign_request(key, &target, &mut headers, &self.body, options).expect("it can be signed");
        self.headers = headers.iter().map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec())).collect();
        self
    }

    fn target(&self) -> Target<'_> {
        let (path, query) = self.target.split_once('?').map_or((&*self.target, None), |(p, q)| (p, Some(q)));
        Target { method: &self.method, https: true, authority: &self.host, path, query }
    }

    fn by(self, key: &SecretKey) -> Self {
        self.signed(key, &SignOptions { created: now(), ..SignOptions::default() })
    }

    fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8(found.1.clone()).unwrap()
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self
    }

    fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn set(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).with(name, value)
    }

    fn edit(self, name: &str, change: impl FnOnce(String) -> String) -> Self {
        let changed = change(self.header(name));
        self.set(name, changed)
    }

    fn twice(self, name: &str) -> Self {
        let value = self.header(name);
        self.with(name, value)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.target, self.host).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn send(&self, client: &Client) -> Answer {
        client.raw(&self.bytes())
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn key() -> SecretKey {
    SecretKey::generate().expect("a key")
}

/// A key that the operator approved, met by a signed request.
#[track_caller]
fn approved(gate: &Gate, client: &Client) -> SecretKey {
    let key = key();
    let first = Message::new("GET", "/api/version", "").by(&key).send(client);
    assert_eq!(first.code(), "identity.pending", "{}", first.text());
    assert!(first.text().contains(&key.public().fingerprint()), "{}", first.text());
    let output = gate.cli(&["peers", "approve", &key.public().node_id()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    until("the approval to bite", || {
        (Message::new("GET", "/api/version", "").by(&key).send(client).status == 200).then_some(())
    });
    key
}

#[test]
fn a_signed_request_gets_in_once_and_is_told() {
    let server = FakeServer::start();
    let gate = gate(&server);
    let client = gate.nobody();
    let key = approved(&gate, &client);
    let message = Message::chat().by(&key);
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
    assert_eq!(Message::chat().by(&key).send(&client).status, 200, "and a new one is welcome at once");

    let output = gate.cli(&["peers", "revoke", &key.public().node_id()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    until("the revocation to bite", || {
        (Message::chat().by(&key).send(&client).code() == "identity.revoked").then_some(())
    });
}

/// What is sent, and the status and code that must come back.
fn table(key: &SecretKey) -> Vec<(&'static str, Message, u16, &'static str)> {
    const MALFORMED: (u16, &str) = (401, "signature.malformed");
    const INVALID: (u16, &str) = (403, "signature.invalid");
    const STALE: (u16, &str) = (403, "signature.stale");
    let chat = || Message::chat().by(key);
    let at = |created| Message::chat().signed(key, &SignOptions { created, ..SignOptions::default() });
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
        let text = message.header("signature");
        let text = text.strip_prefix("portcullis=:").and_then(|t| t.strip_suffix(':')).unwrap();
        BASE64.decode(text.as_bytes()).unwrap()
    };
    let signature = |change: &dyn Fn(&mut Vec<u8>)| {
        let message = chat();
        let mut raw = bytes(&message);
        change(&mut raw);
        message.set("signature", format!("portcullis=:{}:", BASE64.encode(&raw)))
    };
    let host = |host: &str| Message { host: host.to_owned(), ..chat() };
    let body = |body: &[u8]| Message { body: body.to_vec(), ..chat() };
    let mut flipped = CHAT.as_bytes().to_vec();
    flipped[CHAT.find("hi").unwrap()] ^= 1;
    let small =
        format!("peer:{}", bs58::encode([1u8].iter().chain(&[0; 31]).copied().collect::<Vec<_>>()).into_string());
    let sha512 = format!("sha-512=:{}:", BASE64.encode(&Sha512::digest(CHAT)));
    let of = |(status, code): (u16, &'static str), what, message| (what, message, status, code);
    vec![
        ("nothing at all", Message::chat(), 401, "identity.required"),
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
            Message::chat().signed(key, &SignOptions { created: now(), ..SignOptions::default() }).edit(
                "signature-input",
                |text| {
                    let begin = text.find("nonce=\"").unwrap() + 7;
                    let end = begin + text[begin..].find('"').unwrap();
                    format!("{}short{}", &text[..begin], &text[end..])
                },
            ),
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
                ..Message::new("HEAD", "/v1/models", "").by(key)
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
        of(INVALID, "S plus the group's order", signature(&add_order)),
        of(MALFORMED, "padding that hides bits", sign(&|text| text.replacen("==:", "=:", 1))),
        of(
            INVALID,
            "for another gate",
            Message::chat().signed(
                key,
                &SignOptions {
                    created: now(),
                    audience: Some(&self::key().public().node_id()),
                    ..SignOptions::default()
                },
            ),
        ),
        of(MALFORMED, "an audience that is not covered", chat().with("portcullis-audience", "peer:x")),
    ]
}

/// Adds the order of the group to S: the same equation holds, and RFC 8032 forbids it.
fn add_order(raw: &mut Vec<u8>) {
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
    assert_eq!(Message::chat().by(&key).send(&client).status, 200, "the gate still serves");
}

/// Over a certificate, where a signature is not needed but must hold if it is there.
#[test]
fn a_certificate_and_a_signature_must_name_the_same_node() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let own = SecretKey::from_pem(&alice.key).expect("a key");
    assert_eq!(Message::chat().send(&alice).status, 200, "it need not sign");
    assert_eq!(Message::chat().by(&own).send(&alice).status, 200);
    let other = Message::chat().by(&key()).send(&alice);
    assert_eq!((other.status, other.code().as_str()), (403, "signature.invalid"), "{}", other.text());
    let bent = Message { target: "/api/generate".to_owned(), ..Message::chat().by(&own) }.send(&alice);
    assert_eq!(bent.code(), "signature.invalid", "what is signed is verified");
    let claims = Message::chat().with("x-node-id", own.public().node_id()).send(&alice);
    assert_eq!((claims.status, claims.code().as_str()), (401, "signature.missing"), "{}", claims.text());
}

#[test]
fn what_must_be_signed_is_the_operators_to_say() {
    let server = FakeServer::start();
    let always =
        Gate::before(&server).filter("signature: {require: always, schemes: [rfc9421], audience: required}").start();
    let alice = always.stranger("alice");
    let own = SecretKey::from_pem(&alice.key).expect("a key");
    assert_eq!(Message::chat().send(&alice).code(), "identity.pending");
    assert!(always.cli(&["peers", "approve", &alice.id]).status.success());
    until("the approval to bite", || (Message::chat().send(&alice).code() == "signature.missing").then_some(()));
    let plain = Message::chat().by(&own).send(&alice);
    assert_eq!(plain.code(), "signature.malformed", "it does not say for whom: {}", plain.text());
    let gate_id = always.cli_json(&["id"])["node_id"].as_str().unwrap().to_owned();
    let meant = Message::chat()
        .signed(&own, &SignOptions { created: now(), audience: Some(&gate_id), ..SignOptions::default() });
    assert_eq!(meant.send(&alice).status, 200);
    let llmesh = llmesh(&Message::chat(), &own, true).send(&alice);
    assert_eq!(llmesh.code(), "signature.malformed", "{}", llmesh.text());

    let never = Gate::before(&server).filter("signature: {require: never}").start();
    let bob = never.approved_client("bob");
    assert_eq!(Message::chat().with("x-node-id", "peer:x").send(&bob).status, 200);
}

/// Signs as LLMesh does.
fn llmesh(message: &Message, key: &SecretKey, brings_key: bool) -> Message {
    let mut headers = HeaderMap::new();
    let target = message.target();
    sign_llmesh(key, &target, &mut headers, &message.body, now() * 1000, brings_key).expect("it can be signed");
    let mut signed = message.clone();
    signed.headers.extend(headers.iter().map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec())));
    signed
}

#[test]
fn an_llmesh_node_gets_in_once_it_is_known() {
    let server = FakeServer::start();
    let gate = gate(&server);
    let client = gate.nobody();
    let key = key();
    let unknown = llmesh(&Message::chat(), &key, false).send(&client);
    assert_eq!((unknown.status, unknown.code().as_str()), (401, "identity.required"), "{}", unknown.text());
    let forged = llmesh(&Message::chat(), &key, true)
        .edit("x-llmesh-signature", |text| text.replacen("ed25519:", "ed25519:00", 1)[..136].to_owned());
    assert_eq!(forged.send(&client).code(), "signature.invalid");
    assert_eq!(gate.cli_json(&["peers", "pending"]).as_array().map(Vec::len), Some(0), "a forged one is not noted");
    let first = llmesh(&Message::chat(), &key, true).send(&client);
    assert_eq!((first.status, first.code().as_str()), (403, "identity.pending"), "{}", first.text());
    assert!(gate.cli(&["peers", "approve", &key.public().node_id()]).status.success());
    until("the approval to bite", || (llmesh(&Message::chat(), &key, false).send(&client).status == 200).then_some(()));

    let message = llmesh(&Message::new("POST", "/api/chat", &CHAT.replace("hi", "ho")), &key, false);
    assert_eq!(message.send(&client).status, 200);
    let again = message.send(&client);
    assert_eq!((again.status, again.code().as_str()), (409, "signature.replayed"));
    gate.restart(|| ());
    assert_eq!(message.send(&client).code(), "signature.replayed", "also after kill -9");

    let before = server.seen().len();
    let fine = || llmesh(&Message::new("POST", "/api/chat", &CHAT.replace("hi", "ha")), &key, false);
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
    let chunked = |message: &Message, trailers: &[(String, Vec<u8>)]| {
        let mut bytes = format!("POST /api/chat HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
        for (name, value) in &message.headers {
            bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend_from_slice(format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n", message.body.len()).as_bytes());
        bytes.extend_from_slice(&message.body);
        bytes.extend_from_slice(b"\r\n0\r\n");
        for (name, value) in trailers {
            bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend_from_slice(b"\r\n");
        client.raw(&bytes)
    };
    assert_eq!(chunked(&Message::chat().by(&key), &[]).status, 200, "a chunked body is a body");
    let message = Message::chat().by(&key);
    let mut bare = message.clone();
    bare.headers.retain(|(name, _)| name == "content-type");
    let late: Vec<_> = message.headers.iter().filter(|(name, _)| name != "content-type").cloned().collect();
    let answer = chunked(&bare, &late);
    assert_eq!((answer.status, answer.code().as_str()), (401, "identity.required"), "{}", answer.text());
    let digest = vec![("content-digest".to_owned(), message.header("content-digest").into_bytes())];
    let answer = chunked(&message.without("content-digest"), &digest);
    assert_eq!((answer.status, answer.code().as_str()), (401, "signature.malformed"), "{}", answer.text());
}
