//! Signed answers: what a client that signed can prove of what came back, and that nobody else gets any of it.

use http::HeaderMap;
use portcullis_signatures::{NodePublic, SecretKey, Wanted, verify_answer};
use portcullis_tests::{Answer, Client, FakeServer, Gate, Message, Script, Signer, until};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const NDJSON: &str = "application/x-ndjson";
const SSE: &str = "text/event-stream";

fn ndjson(content: &str) -> String {
    format!(
        "{}\n",
        json!({"model": "tiny:latest", "message": {"role": "assistant", "content": content}, "done": false})
    )
}

fn sse(content: &str) -> String {
    let chunk =
        json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": content}}]});
    format!("data: {chunk}\n\n")
}

fn ollama() -> Message {
    Message::post("/api/chat", &json!({"model": "tiny", "messages": []}))
}

fn openai() -> Message {
    Message::post("/v1/chat/completions", &json!({"model": "tiny", "messages": [], "stream": true}))
}

fn wanting(message: Message, wanted: Wanted) -> Message {
    message.header("accept-signature", wanted.as_str())
}

fn secret() -> String {
    crate::firewall::github_token()
}

/// A gate, its model server, a caller who signs, and the key that answers are signed with.
struct House {
    server: FakeServer,
    gate: Gate,
    alice: Client,
    signer: Signer,
    node: NodePublic,
}

impl House {
    fn new() -> Self {
        let server = FakeServer::start();
        let gate = Gate::before(&server).start();
        let alice = gate.approved_client("alice");
        let (signer, node) = (Signer::of(&alice), gate.node());
        Self { server, gate, alice, signer, node }
    }

    /// Sends this, and returns what is proven of the answer.
    #[track_caller]
    fn proven(&self, message: Message) -> (Answer, String) {
        let (sent, answer) = self.signer.call(message);
        let content = sent.proven(&answer, &self.node).unwrap_or_else(|why| panic!("{why}: {answer:?}"));
        (answer, String::from_utf8(content).unwrap())
    }
}

/// Nothing of the head is about signatures.
#[track_caller]
fn unsigned(answer: &Answer) {
    for name in ["signature", "signature-input", "content-digest", "trailer"] {
        assert_eq!(answer.header(name), None, "{answer:?}");
    }
    assert!(!answer.text().contains("portcullis.signature") && !answer.text().contains("signature_input"));
}

#[test]
fn a_whole_answer_is_proven_with_the_request_s_nonce() {
    let house = House::new();
    let body = r#"{"model":"tiny:latest","message":{"role":"assistant","content":"Hello."},"done":true}"#;
    house.server.next(Script::json(body));
    let message = Message::post("/api/chat", &json!({"model": "tiny", "messages": [], "stream": false}));
    let (sent, answer) = house.signer.call(message);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(sent.proven(&answer, &house.node).unwrap(), body.as_bytes());
    let input = answer.header("signature-input").unwrap();
    assert!(input.starts_with("portcullis=(\"@status\" \"content-digest\""), "{input}");
    assert!(input.contains(&format!("nonce=\"{}\"", sent.nonce)), "{input}");
    assert!(input.contains(&format!("keyid=\"{}\"", house.node.node_id())), "{input}");
    assert!(input.contains(&format!("tag=\"{}\"", house.signer.id())), "{input}");
    assert_eq!(answer.header("portcullis-node"), Some(&*house.node.node_id()));

    // Nothing of it can be exchanged.
    let no = |answer: &Answer, node: &NodePublic, nonce: &str| {
        let asked = Message { nonce: nonce.to_owned(), ..sent.clone() };
        asked.proven(answer, node).unwrap_err()
    };
    let mut other = answer.clone();
    other.body[20] ^= 1;
    assert!(no(&other, &house.node, &sent.nonce).contains("content"));
    let other = Answer { status: 201, ..answer.clone() };
    no(&other, &house.node, &sent.nonce);
    no(&answer, &SecretKey::generate().unwrap().public(), &sent.nonce);
    no(&answer, &house.node, "another-nonce-of-another-request");
    for name in ["signature", "signature-input", "content-digest"] {
        let mut other = answer.clone();
        other.headers.retain(|(n, _)| n != name);
        no(&other, &house.node, &sent.nonce);
    }
}

/// A nonce is used up for its node alone: whoever saw it can use it, and has the gate sign what it likes.
#[test]
fn what_answers_another_node_with_the_same_nonce_proves_nothing() {
    let house = House::new();
    let bob = house.gate.approved_client("bob");
    for (message, script) in [
        (Message::get("/api/version"), None),
        (wanting(ollama(), Wanted::Frame), Some(Script::stream(NDJSON, &[&ndjson("false")]))),
    ] {
        if let Some(script) = script {
            house.server.next(script);
        }
        let asked = message.clone().sign(&house.signer.key);
        let stolen = Message { nonce: asked.nonce.clone(), ..message };
        let (sent, answer) = Signer::of(&bob).call(stolen);
        assert_eq!((answer.status, &sent.nonce), (200, &asked.nonce), "{}", answer.text());
        sent.proven(&answer, &house.node).unwrap();
        let why = asked.proven(&answer, &house.node).unwrap_err();
        assert!(why.contains("another request"), "{why}");
    }
}

#[test]
fn refusals_of_a_verified_request_are_proven() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("ratelimit: {requests: 6/m, tokens: off, concurrent: off, strangers: off}");
    let gate = gate.start();
    let alice = gate.approved_client("alice");
    let house = House { signer: Signer::of(&alice), node: gate.node(), server, gate, alice };
    let leak =
        Message::post("/api/chat", &json!({"model": "tiny", "messages": [{"role": "user", "content": secret()}]}));
    let (answer, content) = house.proven(leak);
    assert_eq!((answer.status, &*answer.code()), (403, "firewall.secret"));
    assert!(content.contains("firewall.secret"));
    let unreadable = b"HTTP/1.1 200 OK\r\nContent-Type: \xff\r\nContent-Length: 2\r\n\r\n{}";
    for script in [Script::whole(200, "image/png", "x"), Script::Raw(unreadable.to_vec())] {
        house.server.next(script);
        let (answer, _) = house.proven(ollama());
        assert_eq!((answer.status, &*answer.code()), (502, "upstream.invalid"));
    }
    // A refusal over HTTP/2 to a HEAD: it is the content of nothing that is signed.
    let denied = Message { method: "HEAD".to_owned(), ..Message::get("/api/blobs/sha256-00") }.sign(&house.signer.key);
    let answer = house.signer.send_h2(&denied);
    assert!(answer.status >= 400 && answer.body.is_empty(), "{answer:?}");
    denied.proven(&answer, &house.node).unwrap();
    let limited = until("the limit to bite", || {
        let (answer, _) = house.proven(Message::get("/api/tags"));
        (answer.status != 200).then_some(answer)
    });
    assert_eq!((limited.status, &*limited.code()), (429, "ratelimit.requests"));
}

#[test]
fn what_the_gate_refuses_because_it_is_broken_is_proven_too() {
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .chain("[identity, signature, policy, test_fault, firewall, audit]")
        .env("PORTCULLIS_TEST_FAULT", "1")
        .start();
    let alice = gate.approved_client("alice");
    let house = House { signer: Signer::of(&alice), node: gate.node(), server, gate, alice };
    for words in ["fault: panic now", "fault: error"] {
        let asks = json!({"model": "tiny", "messages": [{"role": "user", "content": words}]});
        let (answer, _) = house.proven(Message::post("/api/chat", &asks));
        assert_eq!((answer.status, &*answer.code()), (503, "test_fault.internal"), "{words}");
    }
    house.server.next(Script::HangUp);
    let (answer, _) = house.proven(ollama());
    assert_eq!((answer.status, &*answer.code()), (503, "upstream.unavailable"));
}

#[test]
fn who_is_not_verified_gets_no_signature() {
    let house = House::new();
    // Without a signature; asking for one is no signature.
    for message in
        [Message::get("/api/tags"), wanting(Message::get("/api/tags"), Wanted::Frame), wanting(ollama(), Wanted::Frame)]
    {
        let answer = house.signer.send(&message);
        assert_eq!(answer.status, 200, "{}", answer.text());
        unsigned(&answer);
    }
    let mut names: Vec<_> = house.alice.get("/api/tags").headers.into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "connection",
            "content-length",
            "content-type",
            "date",
            "portcullis-node",
            "portcullis-request-id",
            "portcullis-verdict"
        ]
    );
    // One that does not hold, and one that held before.
    let mut bent = ollama().sign(&house.signer.key);
    bent.target = "/api/generate".to_owned();
    let answer = house.signer.send(&bent);
    assert_eq!(answer.code(), "signature.invalid", "{}", answer.text());
    unsigned(&answer);
    let (sent, answer) = house.signer.call(Message::get("/api/tags"));
    sent.proven(&answer, &house.node).unwrap();
    let again = house.signer.send(&sent);
    assert_eq!((again.status, &*again.code()), (409, "signature.replayed"));
    unsigned(&again);
    // What is verified is a request, not its connection.
    let signed = Message::get("/api/tags").sign(&house.signer.key);
    let next = house.signer.begin(&signed).again(&Message::get("/api/tags").bytes()).expect("an answer").finish();
    assert_eq!(next.status, 200, "{}", next.text());
    unsigned(&next);
    // Liveness is anybody's.
    unsigned(&house.signer.call(Message::get("/")).1);
}

#[test]
fn the_end_of_a_stream_is_proven_by_a_last_frame_where_asked_for() {
    let house = House::new();
    let lines = [ndjson("The "), ndjson("fox "), ndjson("runs.")];
    let events = [sse("The "), sse("fox."), "data: [DONE]\n\n".to_owned()];
    for (message, media, pieces) in [(ollama(), NDJSON, &lines), (openai(), SSE, &events)] {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let (sender, script) = Script::paced(media);
        house.server.next(script);
        let sent = wanting(message, Wanted::Frame).sign(&house.signer.key);
        sender.send(pieces[0].into()).unwrap();
        let mut stream = house.signer.begin(&sent);
        // The head says what can be said of it while the model still speaks.
        let head: HeaderMap =
            stream.headers.iter().map(|(n, v)| (n.parse::<http::HeaderName>().unwrap(), v.parse().unwrap())).collect();
        assert_eq!(verify_answer(&house.node, 200, &head, &sent.asked()).unwrap().digest, None);
        assert_eq!(stream.piece().unwrap().unwrap(), pieces[0].as_bytes());
        pieces[1..].iter().for_each(|piece| sender.send((*piece).into()).unwrap());
        drop(sender);
        let rest = stream.finish();
        let answer = Answer { body: [pieces[0].as_bytes(), &rest.body].concat(), ..rest };
        assert!(answer.complete);
        let content = sent.proven(&answer, &house.node).unwrap();
        assert_eq!(content, pieces.concat().as_bytes(), "the frame comes after everything else");
        let frame = String::from_utf8(answer.body[content.len()..].to_vec()).unwrap();
        match media {
            NDJSON => assert!(frame.starts_with("{\"portcullis\":{") && frame.lines().count() == 1, "{frame}"),
            _ => assert!(frame.starts_with("event: portcullis.signature\ndata: {"), "{frame}"),
        }
        // The log counts what the model said, and not the proof.
        let entry = house.gate.audit_of(answer.header("portcullis-request-id").unwrap());
        assert_eq!(entry["response_bytes"], content.len());
        assert_eq!(entry["output_sha256"], data_encoding::HEXLOWER.encode(&Sha256::digest(&content)));

        // A frame less, a frame more, a byte changed, no end: nothing of it is proven.
        let without = |range: std::ops::Range<usize>| {
            let mut body = answer.body.clone();
            body.drain(range);
            Answer { body, ..answer.clone() }
        };
        let first = pieces[0].len();
        let mut bent = answer.clone();
        bent.body[first - 6] ^= 1;
        let doubled = Answer { body: [pieces[0].as_bytes(), &answer.body].concat(), ..answer.clone() };
        for other in [without(0..first), without(content.len()..answer.body.len()), bent, doubled] {
            assert!(sent.proven(&other, &house.node).is_err(), "{}", other.text());
        }
    }
}

#[test]
fn without_being_asked_a_stream_is_the_server_s_own_bytes() {
    let house = House::new();
    let pieces = [ndjson("one "), ndjson("two")];
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    for message in [
        ollama(),
        ollama().header("accept-signature", "other=(\"@status\")"),
        ollama().header("accept-signature", "portcullis=(\"@stat"),
        // Trailers are for HTTP/2: whoever wants them over HTTP/1.1 gets no frame instead.
        wanting(ollama(), Wanted::Trailers),
    ] {
        house.server.next(Script::stream(NDJSON, &pieces));
        let (sent, answer) = house.signer.call(message);
        assert_eq!(answer.text(), pieces.concat());
        assert_eq!(answer.header("trailer"), None);
        let head = verify_answer(&house.node, 200, &answer.header_map(), &sent.asked()).unwrap();
        assert_eq!(head.digest, None);
    }
}

#[test]
fn over_http2_a_stream_is_proven_by_its_trailers() {
    let house = House::new();
    let pieces = [sse("one "), sse("two"), "data: [DONE]\n\n".to_owned()];
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    house.server.next(Script::stream(SSE, &pieces));
    let sent = wanting(openai(), Wanted::Trailers).sign(&house.signer.key);
    let answer = house.signer.send_h2(&sent);
    assert_eq!(answer.text(), pieces.concat(), "trailers are no part of the content");
    let announced = answer.header("trailer").unwrap().to_ascii_lowercase();
    for name in ["content-digest", "signature-input", "signature"] {
        assert!(announced.split(", ").any(|n| n == name) && answer.trailers.contains_key(name), "{announced}");
    }
    assert_eq!(sent.proven(&answer, &house.node).unwrap(), answer.body);
    let mut bent = answer.clone();
    bent.body[30] ^= 1;
    assert!(sent.proven(&bent, &house.node).is_err());
    let torn = Answer { trailers: HeaderMap::new(), ..answer };
    assert!(sent.proven(&torn, &house.node).is_err());

    // A frame, where a frame was asked for.
    house.server.next(Script::stream(SSE, &pieces));
    let sent = wanting(openai(), Wanted::Frame).sign(&house.signer.key);
    let answer = house.signer.send_h2(&sent);
    assert_eq!(answer.header("trailer"), None);
    assert!(answer.trailers.is_empty());
    assert_eq!(sent.proven(&answer, &house.node).unwrap(), pieces.concat().as_bytes());
}

#[test]
fn an_answer_without_content_is_proven_too() {
    let house = House::new();
    let empty = format!("sha-256=:{}:", data_encoding::BASE64.encode(&Sha256::digest(b"")));
    let head = Message { method: "HEAD".to_owned(), ..Message::get("/api/tags") };
    let sent = head.sign(&house.signer.key);
    for (sent, answer) in [
        {
            let answer = house.signer.send(&sent);
            (sent, answer)
        },
        {
            house.server.next(Script::Raw(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()));
            house.signer.call(Message::get("/api/version"))
        },
    ] {
        assert!(answer.status < 300 && answer.body.is_empty(), "{answer:?}");
        assert_eq!(answer.header("content-digest"), Some(&*empty));
        sent.proven(&answer, &house.node).unwrap();
    }
}

#[test]
fn a_stream_that_is_cut_off_proves_its_refusal() {
    let house = House::new();
    for (message, media, first, leak) in [
        (ollama(), NDJSON, ndjson("one "), ndjson(&format!("{} ", secret()))),
        (openai(), SSE, sse("one "), sse(&format!("{} ", secret()))),
        (ollama(), NDJSON, ndjson("one "), "this is no JSON\n".to_owned()),
    ] {
        let (sender, script) = Script::paced(media);
        house.server.next(script);
        let sent = wanting(message, Wanted::Frame).sign(&house.signer.key);
        sender.send(first.clone().into_bytes()).unwrap();
        let mut stream = house.signer.begin(&sent);
        let begun = stream.piece().unwrap().unwrap();
        sender.send(leak.into_bytes()).unwrap();
        drop(sender);
        let rest = stream.finish();
        let answer = Answer { body: [begun, rest.body.clone()].concat(), ..rest };
        assert!(answer.complete, "{}", answer.text());
        let content = String::from_utf8(sent.proven(&answer, &house.node).unwrap()).unwrap();
        assert!(content.starts_with(&first) && !content.contains(&secret()), "{content}");
        let entry = house.gate.audit_of(answer.header("portcullis-request-id").unwrap());
        assert_eq!(entry["policy_decision"], "BLOCK");
        assert!(content.contains(entry["code"].as_str().unwrap()), "{content}");
        if media == SSE {
            assert!(content.ends_with("data: [DONE]\n\n"), "the seal is the last event: {content}");
        }
    }
    // Over HTTP/2, whether the first frame had left by then or not.
    let pieces = [sse("one "), sse(&format!("{} ", secret()))];
    house.server.next(Script::stream(SSE, &pieces.each_ref().map(String::as_str)));
    let sent = wanting(openai(), Wanted::Trailers).sign(&house.signer.key);
    let answer = house.signer.send_h2(&sent);
    let content = String::from_utf8(sent.proven(&answer, &house.node).unwrap()).unwrap();
    assert!(content.contains("firewall.output_secret") && !content.contains(&secret()), "{content}");
}

#[test]
fn a_last_frame_without_its_end_is_parted_from_the_proof() {
    let house = House::new();
    let tail = sse("two");
    for (message, media, first, tail) in [
        (ollama(), NDJSON, ndjson("one "), ndjson("two").trim_end().to_owned()),
        (openai(), SSE, sse("one "), tail.trim_end().to_owned()),
        (openai(), SSE, sse("one "), tail.trim_end().to_owned() + "\n"),
    ] {
        let (sender, script) = Script::paced(media);
        house.server.next(script);
        let sent = wanting(message, Wanted::Frame).sign(&house.signer.key);
        sender.send(first.clone().into_bytes()).unwrap();
        let mut stream = house.signer.begin(&sent);
        let begun = stream.piece().unwrap().unwrap();
        sender.send(tail.clone().into_bytes()).unwrap();
        drop(sender);
        let rest = stream.finish();
        let answer = Answer { body: [begun, rest.body.clone()].concat(), ..rest };
        let content = String::from_utf8(sent.proven(&answer, &house.node).unwrap()).unwrap();
        assert_eq!(content.trim_end(), (first + &tail).trim_end());
        assert!(content.ends_with(if media == SSE { "\n\n" } else { "}\n" }), "{content:?}");
    }
}

#[test]
fn an_answer_to_llmesh_s_signature_names_that_signature() {
    let house = House::new();
    let sent = Message::get("/api/tags").sign_llmesh(&house.signer.key, true);
    let answer = house.signer.send(&sent);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(sent.nonce.len(), 128);
    let listed: Value = serde_json::from_slice(&sent.proven(&answer, &house.node).unwrap()).unwrap();
    assert!(listed["models"].is_array());
}
