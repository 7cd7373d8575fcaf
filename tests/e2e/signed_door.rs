//! A door signs what it carries, and takes from its gate what proves to be the gate's.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use portcullis_certs::NodeKey;
use portcullis_signatures::{NodePublic, Seal, Signed, Target, Wanted, accept_signature, content_digest, sign_answer};
use portcullis_tests::{Door, DoorHome, FakeServer, Gate, Middle, Script, until};
use serde_json::json;

#[test]
fn a_door_signs_everything_for_its_gate() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("signature: {require: always, audience: required}").start();
    let door = DoorHome::new().open_approved(&gate);
    let chat = |text: &str| json!({"model": "tiny", "messages": [{"role": "user", "content": text}], "stream": false});
    for text in ["hi", "grüß dich", &"long ".repeat(200_000)] {
        let answer = door.post("/api/chat", &chat(text));
        assert_eq!((answer.status, answer.code().as_str()), (200, "allow"), "{}", answer.text());
        for name in ["signature", "signature-input", "accept-signature"] {
            assert_eq!(answer.header(name), None, "that is between the gate and the door");
        }
    }
    assert_eq!(door.get("/api/tags").status, 200);
    let (sender, script) = Script::paced("application/x-ndjson");
    server.next(script);
    let line = |word| {
        format!("{}\n", json!({"model": "tiny", "message": {"role": "assistant", "content": word}, "done": false}))
    };
    sender.send(line("one ").into()).unwrap();
    let mut stream = door.post_streamed("/api/chat", &json!({"model": "tiny", "messages": []}));
    assert_eq!(stream.piece().unwrap().unwrap(), line("one ").as_bytes(), "a token waits for no proof");
    sender.send(line("two ").into()).unwrap();
    drop(sender);
    let rest = stream.finish();
    assert!(rest.complete && rest.text() == line("two "), "and the proof is the door's: {}", rest.text());
    let odd = door.get("/api/t\u{e4}gs");
    assert_eq!(odd.status, 400, "it cannot be signed as it is: {}", odd.text());
    assert!(!door.log().contains("keeps trying"), "which says nothing of the gate");
    // What a program says of signatures counts for nothing.
    let lines = [
        "Content-Type: application/json",
        "Signature: portcullis=:AAAA:",
        "Signature-Input: x=()",
        "Content-Digest: x",
        "Portcullis-Audience: peer:x",
    ];
    assert_eq!(door.ask("POST", "/api/chat", &lines, &chat("hi").to_string()).status, 200);
}

#[test]
fn a_stream_that_the_gate_ends_is_the_gate_s_to_its_end() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let door = DoorHome::new().open_approved(&gate);
    let secret = crate::firewall::github_token();
    let chunk = |text: &str| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let chat = json!({"model": "tiny", "messages": [], "stream": true});
    // The model says a secret, breaks off in a frame, says nothing at all.
    for (pieces, last) in [
        (vec![chunk("Sure: "), chunk(&secret), chunk(" is it.")], "firewall.output_secret"),
        (vec![chunk("one"), "data: {\"choices\": [".to_owned()], "upstream.invalid"),
        (vec![chunk("one"), "data: [DONE]\n\n".to_owned()], "[DONE]"),
        (vec![], ""),
    ] {
        let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
        server.next(Script::stream("text/event-stream", &pieces));
        let answer = door.post("/v1/chat/completions", &chat);
        assert!(answer.complete && answer.text().contains(last), "{last}: {}", answer.text());
        assert!(!answer.text().contains("not proven"), "{last}: {}", answer.text());
        assert!(
            !answer.text().contains("portcullis.signature") && !answer.text().contains(&secret),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn a_door_leads_to_a_gate_that_knows_signatures_only() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("tls: server").filter("identity: {accept: [signature]}").start();
    let home = DoorHome::new();
    let door = home.open_approved(&gate);
    let answer = door.get("/api/tags");
    assert_eq!(answer.status, 200);
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    assert_eq!((&entry["node_id"], &entry["identity_method"]), (&home.id().into(), &"signature".into()));
    gate.restart(|| ());
    until("the door to find it again", || (door.get("/api/tags").status == 200).then_some(()));
}

#[test]
fn a_body_that_nobody_takes_stays_on_the_machine() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let door = DoorHome::new().open_approved(&gate);
    let before = gate.audit().len();
    let large = json!({"model": "tiny", "prompt": "a".repeat(34_000_000)});
    for (path, error) in [("/api/generate", "/error"), ("/v1/completions", "/error/message")] {
        let refused = door.post(path, &large);
        assert_eq!((refused.status, refused.code().as_str()), (413, "request.too_large"), "{}", refused.text());
        let said = refused.json().pointer(error).unwrap().to_string();
        assert!(refused.complete && said.contains("32 MiB"), "in its dialect: {said}");
    }
    assert_eq!(gate.audit().len(), before, "none of it was sent");
    assert_eq!(door.get("/api/tags").status, 200);
}

/// A request as it came: head and body.
type Asked = (http::request::Parts, Vec<u8>);

/// What stands in a gate's place and holds its key.
struct Impostor {
    middle: Middle,
    node: NodeKey,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// An answer that is not what it seems.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bend {
    Nothing,
    Content,
    Nonce,
    Status,
    Key,
    NoSeal,
    OtherSeal,
    HalfSigned,
    /// It is to another node, with the same nonce.
    Requester,
}

impl Impostor {
    /// Signs what it says: whole, or as a stream where the path asks for one, bent as its query says.
    fn start() -> Self {
        let node = NodeKey::generate().unwrap();
        let (certificate, key) = node.self_signed_server_cert("localhost").unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let heard = Arc::clone(&asked);
        let own = NodeKey::from_pem(&node.to_pem().unwrap(), "the test").unwrap();
        let middle = Middle::speaking(&certificate, &key, move |head, body| {
            heard.lock().unwrap().push((head.clone(), body.to_vec()));
            answer(&own, head)
        });
        Self { middle, node, asked }
    }

    fn door(&self, home: &DoorHome) -> Door {
        let url = format!("https://localhost:{}", self.middle.address.port());
        home.start(&[&url, "--listen", "127.0.0.1:0", "--pin", &self.node.public().fingerprint()]).remove(0)
    }
}

fn answer(node: &NodeKey, asked: &http::request::Parts) -> (http::Response<Vec<u8>>, Option<HeaderMap>) {
    let signed = Signed::read(&target(asked), &asked.headers).unwrap().expect("a signature");
    let streams = asked.uri.path() == "/api/chat";
    let bend = BENDS.into_iter().find(|bend| asked.uri.query() == Some(&format!("{bend:?}"))).unwrap_or(Bend::Nothing);
    let other = NodeKey::from_seed(&[9; 32]);
    let key = if bend == Bend::Key { other.secret() } else { node.secret() };
    let mut to = signed.asked();
    match bend {
        Bend::Nonce => "a-nonce-of-another-request".clone_into(&mut to.nonce),
        Bend::Requester => to.node_id = other.public().node_id(),
        _ => {}
    }
    let content = if asked.uri.path() == LARGE { vec![b' '; LARGE_BYTES] } else { b"{\"a\":1}\n".to_vec() };
    let meant = if bend == Bend::Content { b"{\"b\":2}\n".to_vec() } else { content.clone() };
    let digest = content_digest(&meant);
    let length = content.len();
    let mut answer = http::Response::new(content);
    let headers = answer.headers_mut();
    headers.insert("content-type", if streams { "application/x-ndjson" } else { "application/json" }.parse().unwrap());
    headers.insert("portcullis-node", node.public().node_id().parse().unwrap());
    headers.insert("portcullis-verdict", "allow".parse().unwrap());
    if !streams {
        headers.insert("content-length", length.into());
    }
    let created = signed.created_ms() / 1000;
    let status = if bend == Bend::Status { 201 } else { 200 };
    sign_answer(key, status, headers, (!streams).then_some(&digest), &to, created).unwrap();
    if bend == Bend::HalfSigned {
        headers.remove("signature");
    }
    let sealed = if bend == Bend::OtherSeal { content_digest(b"other") } else { digest };
    let seal = Seal::sign(node.secret(), 200, &sealed, &signed.asked(), created).unwrap().to_trailers().unwrap();
    (answer, (streams && bend != Bend::NoSeal).then_some(seal))
}

const BENDS: [Bend; 9] = [
    Bend::Nothing,
    Bend::Content,
    Bend::Nonce,
    Bend::Requester,
    Bend::Status,
    Bend::Key,
    Bend::NoSeal,
    Bend::OtherSeal,
    Bend::HalfSigned,
];

/// Where an answer is too large to be held.
const LARGE: &str = "/api/ps";
const LARGE_BYTES: usize = 3_000_000;

fn target(asked: &http::request::Parts) -> Target<'_> {
    let uri = &asked.uri;
    let authority = uri.authority().expect("an authority").as_str();
    Target { method: asked.method.as_str(), https: true, authority, path: uri.path(), query: uri.query() }
}

#[test]
fn an_answer_must_be_what_the_gate_signed() {
    let impostor = Impostor::start();
    let door = impostor.door(&DoorHome::new());
    let body = json!({"model": "tiny", "messages": []});
    for bend in BENDS {
        let whole = door.get(&format!("/api/tags?{bend:?}"));
        // A seal is for streams.
        let fine = matches!(bend, Bend::Nothing | Bend::NoSeal | Bend::OtherSeal);
        let expected = if fine { (200, "allow") } else { (502, "upstream.invalid") };
        assert_eq!((whole.status, whole.code().as_str()), expected, "{bend:?}: {}", whole.text());
        if !fine {
            assert!(
                whole.text().contains("not proven") && !whole.text().contains("\"a\""),
                "{bend:?}: {}",
                whole.text()
            );
        }
        let stream = door.post(&format!("/api/chat?{bend:?}"), &body);
        match bend {
            Bend::Nothing => assert_eq!(stream.text(), "{\"a\":1}\n", "its proof is taken out"),
            Bend::Content | Bend::NoSeal | Bend::OtherSeal => {
                let last = stream.text().lines().last().unwrap().to_owned();
                assert!(stream.complete && last.starts_with("{\"error\":"), "{bend:?}: {}", stream.text());
                assert!(last.contains("upstream.invalid"), "{bend:?}: {last}");
            }
            _ => assert_eq!((stream.status, stream.code().as_str()), (502, "upstream.invalid"), "{bend:?}"),
        }
    }
    let large = door.get(LARGE);
    assert!(large.complete && large.body.len() == LARGE_BYTES && large.status == 200);
    let large = door.get(&format!("{LARGE}?{:?}", Bend::Content));
    assert!(!large.complete && large.body.len() < LARGE_BYTES, "what proves false at its end is never whole");
}

#[test]
fn every_request_is_signed_anew_and_for_this_gate() {
    let impostor = Impostor::start();
    let home = DoorHome::new();
    let door = impostor.door(&home);
    let bodies = [json!({}), json!({"prompt": "grüß dich"}), json!({"prompt": "x".repeat(3_000_000)})];
    for body in &bodies {
        assert_eq!(door.post("/api/generate?a=%20&a", body).status, 200);
    }
    let mut nonces = HashSet::new();
    let asked = impostor.asked.lock().unwrap();
    assert!(asked.len() > bodies.len(), "the door's own question is signed, too");
    for (head, body) in asked.iter() {
        let signed = Signed::read(&target(head), &head.headers).unwrap().expect("a signature");
        signed.verify(None).unwrap();
        assert_eq!(signed.digest(), Some(&content_digest(body)));
        assert_eq!(signed.audience(), Some(&*impostor.node.public().node_id()));
        assert_eq!(*signed.node(), NodePublic::from_node_id(&home.id()).unwrap());
        assert_eq!(accept_signature(&head.headers), Some(Wanted::Trailers));
        assert!(nonces.insert(signed.nonce_text()), "a nonce is used once");
    }
}

#[test]
fn clocks_that_differ_are_told_to_the_person_and_to_the_program() {
    let node = NodeKey::generate().unwrap();
    let (certificate, key) = node.self_signed_server_cert("localhost").unwrap();
    let id = node.public().node_id();
    let ahead = jiff::Timestamp::now() + std::time::Duration::from_secs(3 * 3600 + 60);
    let date = ahead.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let stale = ("portcullis-verdict", "block; filter=signature; code=signature.stale");
    let middle = Middle::answering(&certificate, &key, &[("portcullis-node", &id), stale, ("date", &date)]);
    let url = format!("https://localhost:{}", middle.address.port());
    let home = DoorHome::new();
    let door = home.start(&[&url, "--listen", "127.0.0.1:0", "--pin", &node.public().fingerprint()]).remove(0);
    for part in ["refuses this door", "3 hours behind the gate's", "timedatectl"] {
        door.says(part);
    }
    for _ in 0..3 {
        let answer = door.post("/v1/chat/completions", &json!({"model": "tiny", "messages": []}));
        assert_eq!((answer.status, answer.code().as_str()), (403, "signature.stale"), "{}", answer.text());
        let said = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(said.contains("3 hours behind the gate's") && said.contains("then try again"), "{said}");
    }
    assert_eq!(door.said("What is signed more than 30 seconds"), 1, "a person is told once: {}", door.log());
}

#[test]
fn a_clock_that_is_right_is_not_blamed() {
    const WHY: &str = "the signature is older than what the gate remembers";
    for (date, signed) in [(true, true), (true, false), (false, true)] {
        let node = NodeKey::generate().unwrap();
        let (certificate, key) = node.self_signed_server_cert("localhost").unwrap();
        let fingerprint = node.public().fingerprint();
        let middle = Middle::speaking(&certificate, &key, move |asked, _| stale(&node, asked, date, signed));
        let url = format!("https://localhost:{}", middle.address.port());
        let home = DoorHome::new();
        let door = home.start(&[&url, "--listen", "127.0.0.1:0", "--pin", &fingerprint]).remove(0);
        door.says(&format!("refuses this door: {WHY}"));
        let answer = door.post("/v1/chat/completions", &json!({"model": "tiny", "messages": []}));
        assert_eq!((answer.status, answer.code().as_str()), (403, "signature.stale"), "{}", answer.text());
        assert_eq!(answer.json()["error"]["message"], WHY, "the gate's own words");
        assert!(!door.log().contains("clock"), "{}", door.log());
    }

    /// What a gate says whose memory begins after the request was made.
    fn stale(
        node: &NodeKey,
        asked: &http::request::Parts,
        date: bool,
        signed: bool,
    ) -> (http::Response<Vec<u8>>, Option<HeaderMap>) {
        let content = json!({"error": {"message": WHY}}).to_string().into_bytes();
        let mut answer = http::Response::builder()
            .status(403)
            .header("content-type", "application/json")
            .header("portcullis-node", node.public().node_id())
            .header("portcullis-verdict", "block; filter=signature; code=signature.stale")
            .body(content)
            .unwrap();
        if date {
            let now = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            answer.headers_mut().insert("date", now.parse().unwrap());
        }
        if signed {
            let request = Signed::read(&target(asked), &asked.headers).unwrap().expect("a signature");
            let (digest, created) = (content_digest(answer.body()), request.created_ms() / 1000);
            sign_answer(node.secret(), 403, answer.headers_mut(), Some(&digest), &request.asked(), created).unwrap();
        }
        (answer, None)
    }
}
