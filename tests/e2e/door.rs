//! What passes a door, and what does not.

use std::io::Write as _;

use portcullis_tests::{DoorHome, FakeServer, Gate, Script, until};
use serde_json::json;

fn ndjson(content: &str) -> Vec<u8> {
    format!(
        "{}\n",
        json!({"model": "tiny:latest", "message": {"role": "assistant", "content": content}, "done": false})
    )
    .into_bytes()
}

fn chat() -> serde_json::Value {
    json!({"model": "tiny", "messages": []})
}

#[test]
fn tokens_pass_one_by_one_and_whoever_leaves_ends_the_work() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let door = DoorHome::new().open_approved(&gate);
    let (sender, script) = Script::paced("application/x-ndjson");
    server.next(script);
    sender.send(ndjson("The ")).unwrap();
    let mut stream = door.post_streamed("/api/chat", &chat());
    assert_eq!(stream.status, 200);
    assert_eq!(stream.piece().unwrap().unwrap(), ndjson("The "), "the first token is not held back");
    for word in ["quick ", "brown ", "fox "] {
        // Only now does the server say the next word: had the door held the last one, this would hang.
        sender.send(ndjson(word)).unwrap();
        assert_eq!(stream.piece().unwrap().unwrap(), ndjson(word));
    }
    drop(stream);
    until("the server to notice", || (server.abandoned() == 1).then_some(()));
    // Before the first token, too.
    server.next(Script::Silence);
    let arrived = server.seen().len();
    let mut tcp = door.connect();
    let body = chat().to_string();
    let head = format!("POST /api/chat HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", door.address);
    write!(tcp, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    until("the request to arrive", || (server.seen().len() > arrived).then_some(()));
    drop(tcp);
    until("the server to notice before its first token", || (server.abandoned() == 2).then_some(()));
}

#[test]
fn what_a_program_says_of_itself_stays_on_the_machine() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("identity: {accept: [mtls, api_key]}").start();
    let door = DoorHome::new().open_approved(&gate);
    let answer = door.ask(
        "POST",
        "/api/chat",
        &[
            "Content-Type: application/json",
            "Authorization: Bearer pck_somebody_elses",
            "X-Api-Key: pck_another",
            "Cookie: session=1",
            "Forwarded: for=10.0.0.1",
            "X-Forwarded-For: 10.0.0.1",
            "Portcullis-Enroll: pce_guess",
            "Portcullis-Grant: made-up",
            "X-LLMesh-Node-Id: peer:x",
            "Referer: http://localhost/",
            "Connection: keep-alive, X-Hop",
            "X-Hop: 1",
        ],
        &json!({"model": "tiny", "messages": [], "stream": false}).to_string(),
    );
    assert_eq!(answer.status, 200, "had one of them passed, the gate would have refused it: {}", answer.text());
    assert_eq!(answer.code(), "allow");
    assert_eq!(answer.header("portcullis-node"), gate.cli_json(&["id"])["node_id"].as_str());
}

#[test]
fn a_program_need_not_say_that_it_sends_json_and_a_page_must() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let home = DoorHome::new();
    let door = home.open_with(&gate, &["--allow-origin", "http://localhost:3000"]);
    assert!(gate.cli(&["peers", "approve", &home.id()]).status.success());
    door.says("lets this door in");
    let body = json!({"model": "tiny", "prompt": "Hi", "stream": false}).to_string();
    let form = "Content-Type: application/x-www-form-urlencoded";
    for lines in [&[][..], &[form], &["Content-Type: application/x-www-form-urlencoded; charset=UTF-8"]] {
        let answer = door.ask("POST", "/api/generate", lines, &body);
        assert_eq!(answer.status, 200, "{lines:?}: {}", answer.text());
        // It is JSON by name alone: the gate still reads it.
        let answer = door.ask("POST", "/api/generate", lines, "model=tiny&prompt=Hi");
        assert_eq!((answer.status, answer.code().as_str()), (400, "request.malformed"), "{}", answer.text());
    }
    let arrived = server.seen().len();
    let ours = "Origin: http://localhost:3000";
    for lines in [
        &["Content-Type: text/plain"][..],
        &["Content-Type: multipart/form-data; boundary=x"],
        &[form, ours],
        &[ours],
        &[form, "Sec-Fetch-Site: none"],
        &["Sec-Fetch-Site: same-origin"],
    ] {
        let answer = door.ask("POST", "/api/generate", lines, &body);
        assert_eq!((answer.status, answer.code().as_str()), (415, "request.unsupported_media"), "{lines:?}");
        assert!(answer.text().contains("send the header Content-Type: application/json"), "{}", answer.text());
    }
    assert_eq!(server.seen().len(), arrived, "none of it reached the server");
    assert_eq!(door.ask("POST", "/api/generate", &[ours, "Content-Type: application/json"], &body).status, 200);
}

#[test]
fn web_pages_stay_outside() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let home = DoorHome::new();
    let door = home.open_with(&gate, &["--allow-origin", "http://localhost:3000"]);
    assert!(gate.cli(&["peers", "approve", &home.id()]).status.success());
    door.says("lets this door in");
    let port = door.address.port();
    let before = gate.audit().len();
    let evil = "Origin: http://evil.example";
    for (lines, status, code) in [
        (vec!["Host: evil.example".to_owned()], 421, "door.host"),
        (vec![format!("Host: evil.example:{port}")], 421, "door.host"),
        (vec!["Host: localhost".to_owned()], 421, "door.host"),
        (vec![evil.to_owned()], 403, "door.origin"),
        (vec!["Origin: null".to_owned()], 403, "door.origin"),
        (vec![format!("Origin: http://localhost:{port}")], 403, "door.origin"),
        (vec!["Sec-Fetch-Site: cross-site".to_owned()], 403, "door.origin"),
        (vec!["Sec-Fetch-Site: same-site".to_owned()], 403, "door.origin"),
        (vec![evil.to_owned(), "Access-Control-Request-Method: POST".to_owned()], 403, "door.origin"),
    ] {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        for (method, path) in [("GET", "/api/tags"), ("OPTIONS", "/v1/models")] {
            let answer = door.ask(method, path, &lines, "");
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {lines:?}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{lines:?}");
            assert!(answer.json()["error"].to_string().contains(code), "in its dialect: {}", answer.text());
        }
    }
    assert_eq!(gate.audit().len(), before, "none of it left the machine");
    for host in [format!("Host: localhost:{port}"), format!("Host: 127.0.0.1:{port}"), format!("Host: [::1]:{port}")] {
        assert_eq!(door.ask("GET", "/api/tags", &[&host, "Sec-Fetch-Site: none"], "").status, 200, "{host}");
    }
    let ours = "Origin: http://localhost:3000";
    let page = door.ask("GET", "/api/tags", &[ours, "Sec-Fetch-Site: cross-site"], "");
    assert_eq!((page.status, page.header("access-control-allow-origin")), (200, Some("http://localhost:3000")));
    let asked = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"];
    let preflight = door.ask("OPTIONS", "/api/chat", &[ours, asked[0], asked[1]], "");
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("content-type"));
    assert_eq!(door.ask("GET", "http://evil.example/api/tags", &[], "").status, 400, "it is no forward proxy");
}

#[test]
fn two_doors_in_one_process_lead_to_two_gates() {
    let server = FakeServer::start();
    let (one, two) = (Gate::before(&server).start(), Gate::before(&server).start());
    let home = DoorHome::new();
    let (urls, pins) = ([one.url(), two.url()], [one.fingerprint(), two.fingerprint()]);
    let some = ["--listen", "127.0.0.1:0"];
    let short = home.run(&[&urls[0], &urls[1], some[0], some[1]]);
    assert_eq!(short.status.code(), Some(2));
    let told = String::from_utf8_lossy(&short.stderr).into_owned();
    assert!(told.contains("one --listen for each gate"), "{told}");
    let args = [&*urls[0], &urls[1], some[0], some[1], some[0], some[1], "--pin", &pins[0], "--pin", &pins[1]];
    let doors = home.start(&args);
    for (gate, door) in [&one, &two].into_iter().zip(&doors) {
        let refused = door.get("/api/tags");
        assert_eq!(refused.code(), "identity.pending");
        assert_eq!(refused.header("portcullis-node"), gate.cli_json(&["id"])["node_id"].as_str());
        assert!(gate.cli(&["peers", "approve", &home.id()]).status.success());
        until("the approval to bite", || (door.get("/api/tags").status == 200).then_some(()));
    }
}

#[test]
fn a_gate_that_was_away_is_found_again() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let home = DoorHome::new();
    let door = home.open_approved(&gate);
    assert_eq!(door.get("/api/tags").status, 200);
    // Killed in the middle of an answer: the program is told in its own words.
    let (sender, script) = Script::paced("application/x-ndjson");
    server.next(script);
    sender.send(ndjson("one ")).unwrap();
    let mut stream = door.post_streamed("/api/chat", &chat());
    assert_eq!(stream.piece().unwrap().unwrap(), ndjson("one "));
    let broken = std::cell::RefCell::new(None);
    let mut stream = Some(stream);
    gate.restart(|| {
        *broken.borrow_mut() = stream.take().map(|s| s.finish());
        let away = door.post("/v1/chat/completions", &chat());
        assert_eq!((away.status, away.code().as_str()), (503, "upstream.unavailable"), "{}", away.text());
        assert_eq!(away.json()["error"]["code"], "upstream.unavailable");
        assert!(away.header("retry-after").is_some());
        door.says("cannot be reached");
        // A door to a gate that was met opens all the same.
        let late = home.start(&[&gate.url(), "--listen", "127.0.0.1:0"]);
        late[0].says("keeps trying");
    });
    let broken = broken.into_inner().unwrap();
    assert!(broken.complete, "the stream ends as a stream must");
    let last: serde_json::Value = serde_json::from_str(broken.text().trim()).unwrap();
    assert!(last["error"].as_str().unwrap().contains("upstream.unavailable"), "{last}");
    until("the door to recover", || (door.get("/api/tags").status == 200).then_some(()));
    until("it to be said", || (door.said("lets this door in") >= 2).then_some(()));
    drop(sender);
}

#[test]
fn it_closes_gracefully() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let mut door = DoorHome::new().open_approved(&gate);
    let (sender, script) = Script::paced("application/x-ndjson");
    server.next(script);
    sender.send(ndjson("one ")).unwrap();
    let mut stream = door.post_streamed("/api/chat", &chat());
    stream.piece().unwrap();
    door.signal(rustix::process::Signal::TERM);
    door.says("closing");
    sender.send(ndjson("two ")).unwrap();
    drop(sender);
    let rest = stream.finish();
    assert!(rest.complete && rest.text().contains("two "), "{}", rest.text());
    assert_eq!(door.wait().code(), Some(0));
}

#[test]
fn large_bodies_and_their_refusals_arrive() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("limits: {body_bytes: 1MiB}").start();
    let door = DoorHome::new().open_approved(&gate);
    let body = |size: usize| json!({"model": "tiny", "stream": false, "messages": [{"role": "user", "content": "a".repeat(size)}]});
    let whole = door.post("/api/chat", &body(900_000));
    assert_eq!(whole.status, 200, "{}", whole.text());
    assert!(server.seen().last().unwrap().body.len() > 900_000);
    let refused = door.post("/api/chat", &body(20_000_000));
    assert_eq!((refused.status, refused.code().as_str()), (413, "request.too_large"), "{}", refused.text());
    assert!(refused.complete);
}

#[test]
fn a_hundred_streams_at_a_time_pass() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let door = DoorHome::new().open_approved(&gate);
    let mut open = Vec::new();
    // A number at the end may be the beginning of a token, and would wait for what comes next.
    for n in 0..100 {
        let (sender, script) = Script::paced("application/x-ndjson");
        server.next(script);
        sender.send(ndjson(&format!("first {n}!"))).unwrap();
        let mut stream = door.post_streamed("/api/chat", &chat());
        assert_eq!(stream.piece().unwrap().unwrap(), ndjson(&format!("first {n}!")));
        open.push((sender, stream));
    }
    assert_eq!(gate.metric("portcullis_streams_active"), 100.0);
    for (n, (sender, stream)) in open.iter_mut().enumerate().rev() {
        sender.send(ndjson(&format!("then {n}!"))).unwrap();
        assert_eq!(stream.piece().unwrap().unwrap(), ndjson(&format!("then {n}!")));
    }
    for (sender, stream) in open {
        drop(sender);
        assert!(stream.finish().complete);
    }
}
