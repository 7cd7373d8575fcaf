//! Streams: token by token, judged before they leave, ended in their dialect, cancelled in time.

use portcullis_tests::{FakeServer, Gate, Script, until};
use serde_json::json;

fn ndjson(content: &str) -> Vec<u8> {
    format!(
        "{}\n",
        json!({"model": "tiny:latest", "message": {"role": "assistant", "content": content}, "done": false})
    )
    .into_bytes()
}

fn sse(content: &str) -> Vec<u8> {
    format!(
        "data: {}\n\n",
        json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": content}}]})
    )
    .into_bytes()
}

#[test]
fn each_token_leaves_before_the_next_one_comes() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let (sender, script) = Script::paced("application/x-ndjson");
    server.next(script);
    sender.send(ndjson("The ")).unwrap();
    let mut stream = alice.post_streamed("/api/chat", &json!({"model": "tiny", "messages": []}));
    assert_eq!(stream.status, 200);
    assert_eq!(stream.piece().unwrap().unwrap(), ndjson("The "), "the first token is not held back");
    for word in ["quick ", "brown ", "fox "] {
        // Only now does the server say the next word: had the gate held the last one, this would hang.
        sender.send(ndjson(word)).unwrap();
        assert_eq!(stream.piece().unwrap().unwrap(), ndjson(word));
    }
    assert_eq!(gate.metric("portcullis_streams_active"), 1.0);
    drop(sender);
    assert!(stream.finish().complete);
}

#[test]
fn of_a_leaking_stream_nothing_past_the_prefix_leaves() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let pem =
        "-----BEGIN RSA PRIVATE KEY-----\nMIIElQIBAAKCAQB{b64:49}\n{b64:64}\n{b64:64}\n-----END RSA PRIVATE KEY-----";
    let pem = portcullis_firewall::draw(pem, 7).unwrap();
    for secret in [crate::firewall::github_token(), crate::firewall::aws_key(), pem] {
        let text = format!("Sure: {secret} is it. And more.");
        let prefix = if secret.starts_with('-') { "-----BEGIN RSA PRIVATE KEY-----\n".len() } else { 4 };
        for size in [1, 3, 7, 13, 64] {
            for openai in [false, true] {
                let frame = if openai { sse } else { ndjson };
                let media = if openai { "text/event-stream" } else { "application/x-ndjson" };
                let (sender, script) = Script::paced(media);
                server.next(script);
                let chars: Vec<char> = text.chars().collect();
                for piece in chars.chunks(size) {
                    sender.send(frame(&piece.iter().collect::<String>())).unwrap();
                }
                drop(sender);
                let path = if openai { "/v1/chat/completions" } else { "/api/chat" };
                let answer =
                    alice.post_streamed(path, &json!({"model": "tiny", "messages": [], "stream": true})).finish();
                assert!(answer.complete, "it ends as a stream must");
                let said: String = answer
                    .text()
                    .lines()
                    .filter_map(|l| serde_json::from_str::<serde_json::Value>(l.trim_start_matches("data: ")).ok())
                    .filter_map(|v| {
                        v["message"]["content"]
                            .as_str()
                            .or(v["choices"][0]["delta"]["content"].as_str())
                            .map(str::to_owned)
                    })
                    .collect();
                assert!(said.len() <= "Sure: ".len() + prefix, "{said:?} left, of {secret} in pieces of {size}");
                assert!(answer.text().contains("firewall.output_secret"), "{}", answer.text());
                let last = answer.text();
                if answer.status == 200 {
                    assert!(if openai { last.ends_with("data: [DONE]\n\n") } else { last.ends_with("}\n") }, "{last}");
                }
                let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
                assert_eq!(
                    (entry["policy_decision"].as_str(), entry["code"].as_str()),
                    (Some("BLOCK"), Some("firewall.output_secret"))
                );
            }
        }
    }
}

#[test]
fn a_client_that_leaves_ends_the_server_s_work() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let (sender, script) = Script::paced("application/x-ndjson");
    server.next(script);
    sender.send(ndjson("one ")).unwrap();
    let mut stream = alice.post_streamed("/api/chat", &json!({"model": "tiny", "messages": []}));
    stream.piece().unwrap();
    drop(stream);
    until("the server to notice", || (server.abandoned() == 1).then_some(()));
    server.next(Script::Silence);
    let request = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"model\":\"tiny\"}";
    let mut tls = alice.connect();
    std::io::Write::write_all(&mut tls, request).unwrap();
    std::io::Write::flush(&mut tls).unwrap();
    until("the request to arrive", || server.seen().last().filter(|s| s.text().contains("tiny:latest")).map(drop));
    drop(tls);
    until("the server to notice before its first token", || (server.abandoned() == 2).then_some(()));
    until("both audit lines", || {
        (gate.audit().iter().filter(|e| e["code"] == "client.left").count() == 2).then_some(())
    });
    drop(sender);
}

#[test]
fn a_server_that_breaks_off_is_told_in_the_stream() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    for (tail, code) in [(&b"this is no JSON\n"[..], "upstream.invalid"), (b"{\"a\":1,\"a\":2}\n", "upstream.invalid")]
    {
        let (sender, script) = Script::paced("application/x-ndjson");
        server.next(script);
        sender.send(ndjson("one ")).unwrap();
        let mut stream = alice.post_streamed("/api/chat", &json!({"model": "tiny", "messages": []}));
        assert_eq!(stream.piece().unwrap().unwrap(), ndjson("one "));
        sender.send(tail.to_vec()).unwrap();
        drop(sender);
        let answer = stream.finish();
        assert!(answer.complete && answer.text().contains(code), "{}", answer.text());
        assert!(serde_json::from_str::<serde_json::Value>(answer.text().trim()).is_ok(), "one NDJSON line");
    }
    server
        .next(Script::Raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n".to_vec()));
    assert_eq!(
        alice.post("/api/chat", &json!({"model": "tiny"})).code(),
        "upstream.invalid",
        "the wrong kind of stream"
    );
}

#[test]
fn whole_and_streamed_answers_are_the_server_s_own_bytes() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let pieces = [ndjson("Größe \u{1f600} "), ndjson("\"quoted\" \\ "), ndjson("ende")];
    let (sender, script) = Script::paced("application/x-ndjson");
    server.next(script);
    let whole = pieces.concat();
    // Cut where no frame ends.
    for chunk in whole.chunks(11) {
        sender.send(chunk.to_vec()).unwrap();
    }
    drop(sender);
    let answer = alice.post_streamed("/api/chat", &json!({"model": "tiny", "messages": []})).finish();
    assert_eq!(answer.body, whole);
}

#[test]
fn an_old_client_gets_a_stream_that_ends_with_its_connection() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let body = json!({"model": "tiny", "messages": []}).to_string();
    let request = format!(
        "POST /api/chat HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = alice.raw(request.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.text().lines().count(), 3);
}
