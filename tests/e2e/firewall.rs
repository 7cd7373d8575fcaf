//! The firewall on requests: wherever in a request a token stands, in whatever dialect, it does not reach the
//! server.

use data_encoding::BASE64;
use portcullis_tests::{Answer, Client, FakeServer, Gate, GateBuilder, Script};
use serde_json::{Value, json};

/// A rule of the operator's own, with what it says about its findings besides.
pub(crate) fn rule(more: &str) -> String {
    format!(
        "[[rules]]\nid = \"ours\"\ndescription = \"Token of ours\"\nregex = '''\\b(ours_[a-z0-9]{{24}})\\b'''\n\
         keywords = [\"ours_\"]\n[rules.fw]\nlevel = \"L4\"\n{more}\n"
    )
}

/// What it finds. It stands in no file in one piece.
pub(crate) fn token() -> String {
    format!("ours_{}", "a1b2c3d4e5f6g7h8i9j0k1l2")
}

/// What the built-in rules find: with the checksum that its issuer gives it.
pub(crate) fn github_token() -> String {
    portcullis_firewall::draw("ghp_{b62:30}{crc32}", 7).unwrap()
}

/// Another one, which has none.
pub(crate) fn aws_key() -> String {
    portcullis_firewall::draw("AKIA{b32:16}", 7).unwrap()
}

/// A gate that knows the rule.
pub(crate) fn gate(server: &FakeServer, kind: &'static str, more: &str, settings: &str) -> GateBuilder {
    let settings = format!("firewall: {{rules: [builtin, ours.toml]{settings}}}");
    let url = format!("http://{}", server.address());
    Gate::before_url(&url, kind).file("ours.toml", &rule(more)).filter(&settings)
}

/// Everything is allowed to whom the operator let in: what is refused is refused by the firewall.
const OPEN: &str = "version: 1\nrules:\n  - {name: all, effect: allow, who: ['*'], classes: [inference, read, admin, egress, sensitive], models: ['*']}\n";

/// A PNG with this comment, in base64.
fn png(comment: &str) -> String {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8], data: &[u8]| {
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(name);
        bytes.extend(data);
        bytes.extend([0; 4]);
    };
    chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    chunk(b"tEXt", format!("Comment\0{comment}").as_bytes());
    chunk(b"IDAT", &[0x78, 0x9c, 0x63, 0, 0, 0, 2, 0, 1]);
    chunk(b"IEND", &[]);
    BASE64.encode(&bytes)
}

/// Requests of Ollama and those of the OpenAI and Anthropic APIs: path and body.
fn requests() -> Vec<(&'static str, Value)> {
    let token = token();
    let said = format!("it is {token}, right?");
    let numbers: Vec<u32> = said.chars().map(u32::from).collect();
    let letters: Vec<String> = said.chars().map(String::from).collect();
    let image = png(&said);
    let chat = |message: Value| ("/api/chat", json!({"model": "tiny", "messages": [message]}));
    let openai = |message: Value| ("/v1/chat/completions", json!({"model": "tiny", "messages": [message]}));
    let anthropic = |part: Value| {
        ("/v1/messages", json!({"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": [part]}]}))
    };
    let generate = |field: &str, value: Value| {
        let mut body = json!({"model": "tiny", "prompt": "hello"});
        body[field] = value;
        ("/api/generate", body)
    };
    let responses = |input: Value| ("/v1/responses", json!({"model": "tiny", "input": input}));
    let function = json!({"type": "function", "function": {"name": "f", "description": said, "parameters": {}}});
    let mut parameters = json!({"type": "object", "properties": {}});
    parameters["properties"][&token] = json!({"type": "string"});
    vec![
        chat(json!({"role": "user", "content": said})),
        chat(json!({"role": "system", "content": said})),
        chat(json!({"role": "assistant", "content": said, "thinking": "hm"})),
        chat(json!({"role": "assistant", "content": "", "thinking": said})),
        chat(json!({"role": "tool", "content": said, "tool_name": "f"})),
        chat(json!({"role": "martian", "whatever": {"deep": [said]}})),
        chat(json!({"content": said})),
        chat(
            json!({"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"x": said}}}]}),
        ),
        chat(
            json!({"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {&token: 1}}}]}),
        ),
        chat(json!({"role": "user", "content": "look", "images": [image]})),
        chat(json!({"role": "user", "content": numbers})),
        chat(json!({"role": "user", "content": letters})),
        ("/api/chat", json!({"model": "tiny", "messages": [], "tools": [function]})),
        ("/api/chat", json!({"model": "tiny", "messages": [], "format": parameters})),
        ("/api/chat", json!({"model": "tiny", "messages": [], "options": {"stop": [said]}})),
        generate("prompt", json!(said)),
        generate("system", json!(said)),
        generate("suffix", json!(said)),
        generate("template", json!(said)),
        generate("images", json!([image])),
        generate("images", json!([BASE64.encode(format!("plain words, {said}").as_bytes())])),
        generate("context", json!(numbers)),
        ("/api/embed", json!({"model": "tiny", "input": said})),
        ("/api/embed", json!({"model": "tiny", "input": ["one", said]})),
        ("/api/embeddings", json!({"model": "tiny", "prompt": said})),
        ("/api/create", json!({"model": "new", "from": "tiny", "system": said})),
        ("/api/create", json!({"model": "new", "from": "tiny", "license": [said]})),
        openai(json!({"role": "developer", "content": said})),
        openai(json!({"role": "user", "content": [{"type": "text", "text": said}]})),
        openai(
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{image}")}}]}),
        ),
        openai(
            json!({"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": json!({"x": said}).to_string()}}]}),
        ),
        openai(json!({"role": "tool", "tool_call_id": "1", "content": said})),
        openai(json!({"role": "user", "name": token, "content": "x"})),
        ("/v1/chat/completions", json!({"model": "tiny", "messages": [], "tools": [function]})),
        (
            "/v1/chat/completions",
            json!({"model": "tiny", "messages": [], "response_format": {"type": "json_schema", "json_schema": parameters}}),
        ),
        ("/v1/chat/completions", json!({"model": "tiny", "messages": [], "user": token})),
        ("/v1/completions", json!({"model": "tiny", "prompt": said})),
        ("/v1/completions", json!({"model": "tiny", "prompt": "x", "suffix": said})),
        ("/v1/embeddings", json!({"model": "tiny", "input": [said]})),
        responses(json!(said)),
        responses(json!([{"role": "user", "content": [{"type": "input_text", "text": said}]}])),
        responses(json!([{"type": "function_call_output", "call_id": "1", "output": said}])),
        ("/v1/responses", json!({"model": "tiny", "input": "x", "instructions": said})),
        ("/v1/responses", json!({"model": "tiny", "input": "x", "metadata": {"note": said}})),
        anthropic(json!({"type": "text", "text": said})),
        anthropic(json!({"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": said}]})),
        anthropic(json!({"type": "tool_use", "id": "1", "name": "f", "input": {"x": said}})),
        anthropic(json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": image}})),
        anthropic(json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": said}})),
        (
            "/v1/messages",
            json!({"model": "tiny", "max_tokens": 9, "messages": [], "system": [{"type": "text", "text": said}]}),
        ),
    ]
}

/// Requests of llama-server's own API.
fn llama_requests() -> Vec<(&'static str, Value)> {
    let said = format!("it is {}, right?", token());
    let numbers: Vec<u32> = said.chars().map(u32::from).collect();
    vec![
        ("/completion", json!({"prompt": said})),
        ("/completion", json!({"prompt": [1, 2, said, 3]})),
        ("/completion", json!({"prompt": numbers})),
        ("/completion", json!({"prompt": "x", "grammar": said})),
        ("/infill", json!({"input_prefix": said, "input_suffix": "x"})),
        ("/infill", json!({"input_prefix": "x", "input_suffix": said})),
        (
            "/infill",
            json!({"input_prefix": "x", "input_suffix": "y", "input_extra": [{"filename": "a", "text": said}]}),
        ),
        ("/tokenize", json!({"content": said})),
        ("/apply-template", json!({"messages": [{"role": "user", "content": said}]})),
        ("/rerank", json!({"query": "x", "documents": ["one", said]})),
        ("/v1/chat/completions", json!({"model": "tiny", "messages": [{"role": "user", "content": said}]})),
    ]
}

#[track_caller]
fn refused(gate: &Gate, answer: &Answer, what: &str) {
    let token = token();
    assert_eq!((answer.status, answer.code().as_str()), (403, "firewall.secret"), "{what}: {}", answer.text());
    assert!(answer.text().contains("Token of ours"), "{what}: the refusal says what was found: {}", answer.text());
    assert!(!answer.text().contains(&token[5..]), "{what}: the refusal does not repeat it");
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    let said = ["policy_decision", "filter", "data_level"].map(|key| entry[key].as_str().unwrap().to_owned());
    assert_eq!(said, ["BLOCK", "firewall", "L4"], "{what}");
}

fn all_refused(kind: &'static str, requests: Vec<(&'static str, Value)>) {
    let server = FakeServer::start();
    let gate = gate(&server, kind, "", "").policy(OPEN).start();
    let alice = if kind == "ollama" {
        gate.approved_client("alice")
    } else {
        let alice = gate.stranger("alice");
        gate.approve_by(&alice, "/v1/models");
        alice
    };
    let before = server.seen().len();
    let count = requests.len();
    for (path, body) in requests {
        let answer = alice.post(path, &body);
        refused(&gate, &answer, &format!("{path} {}", body.to_string().replace(&token(), "…")));
    }
    assert_eq!(server.seen().len(), before, "nothing went upstream");
    let found = gate.metric(r#"portcullis_firewall_findings_total{action="block",level="L4",rule="ours"}"#);
    assert!(found >= count as f64, "{found} of {count}");
    assert!(!gate.log().contains(&token()[5..]));
    let audit = serde_json::to_string(&gate.audit()).unwrap();
    assert!(!audit.contains(&token()[5..]));
}

#[test]
fn a_token_is_found_wherever_it_stands() {
    all_refused("ollama", requests());
}

#[test]
fn a_token_is_found_wherever_it_stands_for_llama_server() {
    all_refused("llamacpp", llama_requests());
}

#[test]
fn what_is_no_json_is_searched_too() {
    let server = FakeServer::start();
    let gate = gate(&server, "ollama", "", "").policy(OPEN).start();
    let alice = gate.approved_client("alice");
    let before = server.seen().len();
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntiny:latest\r\n--b\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\u{1}\u{2}\r\n--b\r\nContent-Disposition: form-data; \
         name=\"prompt\"\r\n\r\n{}\r\n--b--\r\n",
        token()
    );
    let sent = |path: &str, media: &str, body: &[u8]| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        alice.raw(&[head.as_bytes(), body].concat())
    };
    refused(&gate, &sent("/v1/audio/transcriptions", "multipart/form-data; boundary=b", form.as_bytes()), "a form");
    let blob = [&[0xff, 0xfe, 0, 1][..], token().as_bytes(), &[0xff, 0x80]].concat();
    let path = format!("/api/blobs/sha256:{}", "0".repeat(64));
    refused(&gate, &sent(&path, "application/octet-stream", &blob), "a blob");
    refused(&gate, &alice.get(&format!("/v1/models/{}", token())), "a path");
    assert_eq!(server.seen().len(), before, "nothing went upstream");
}

/// What the server got last.
#[track_caller]
fn arrived(server: &FakeServer) -> Value {
    serde_json::from_slice(&server.seen().last().expect("a request").body).expect("valid JSON")
}

#[track_caller]
fn post(gate: &Gate, client: &Client, path: &str, body: &Value) -> (Answer, Value) {
    let answer = client.post(path, body);
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    (answer, entry)
}

#[test]
fn what_is_to_be_redacted_arrives_without_it() {
    let server = FakeServer::start();
    let gate = gate(&server, "ollama", "action = \"redact\"", "").policy(OPEN).start();
    let alice = gate.approved_client("alice");
    let token = token();
    let body = json!({"model": "tiny", "stream": false, "messages": [
        {"role": "user", "content": format!("first {token}, \"then\" {token}\n.")},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"x": format!("<{token}>")}}}]},
    ]});
    let (answer, entry) = post(&gate, &alice, "/api/chat", &body);
    assert_eq!((answer.status, answer.header("portcullis-redacted")), (200, Some("3")), "{}", answer.text());
    let messages = arrived(&server)["messages"].clone();
    assert_eq!(messages[0]["content"], "first [redacted:ours], \"then\" [redacted:ours]\n.");
    assert_eq!(messages[1]["tool_calls"][0]["function"]["arguments"]["x"], "<[redacted:ours]>");
    let said = ["policy_decision", "filter", "code", "data_level"].map(|key| entry[key].as_str().unwrap().to_owned());
    assert_eq!(said, ["ALLOW", "firewall", "firewall.secret", "L4"]);
    assert!(gate.metric(r#"portcullis_firewall_findings_total{action="redact",level="L4",rule="ours"}"#) >= 3.0);
    let explained = gate.cli_json(&["explain", answer.header("portcullis-request-id").unwrap()]);
    let found = &explained["findings"][0];
    assert_eq!((found["rule"].as_str(), found["action"].as_str()), (Some("ours"), Some("redact")));
    let print = found["fingerprint"].as_str().unwrap();
    assert!(print.len() == 16 && print.bytes().all(|b| b.is_ascii_hexdigit()), "{print}");
    assert_eq!(explained["findings"][1]["fingerprint"].as_str(), Some(print), "the same token has the same one");
    assert!(!explained.to_string().contains(&token[5..]));
    // JSON in a string stays JSON.
    let arguments = json!({"x": token, "y": 1}).to_string();
    let body = json!({"model": "tiny", "messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}]}]});
    let (answer, _) = post(&gate, &alice, "/v1/chat/completions", &body);
    assert_eq!((answer.status, answer.header("portcullis-redacted")), (200, Some("1")), "{}", answer.text());
    let arguments =
        arrived(&server)["messages"][0]["tool_calls"][0]["function"]["arguments"].as_str().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"x": "[redacted:ours]", "y": 1}));
    // Where there is nothing to take out, nothing is said.
    let (answer, entry) = post(&gate, &alice, "/api/chat", &json!({"model": "tiny", "stream": false, "messages": []}));
    assert_eq!((answer.header("portcullis-redacted"), entry["code"].as_str()), (None, Some("")));
}

#[test]
fn what_cannot_be_cut_out_is_refused() {
    let server = FakeServer::start();
    let gate = gate(&server, "ollama", "action = \"redact\"", "").policy(OPEN).start();
    let alice = gate.approved_client("alice");
    let before = server.seen().len();
    let token = token();
    let numbers: Vec<u32> = token.chars().map(u32::from).collect();
    for message in [
        json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {&token: 1}}}]}),
        json!({"role": "user", "content": "x", "images": [png(&token)]}),
        json!({"role": "user", "content": numbers}),
    ] {
        let answer = alice.post("/api/chat", &json!({"model": "tiny", "messages": [message]}));
        refused(&gate, &answer, &message.to_string().replace(&token, "…"));
    }
    assert_eq!(server.seen().len(), before);
}

#[test]
fn what_is_only_flagged_passes_and_is_told() {
    let server = FakeServer::start();
    let gate = gate(&server, "ollama", "action = \"block\"", ", actions: {ours: flag}").start();
    let alice = gate.approved_client("alice");
    let body = json!({"model": "tiny", "stream": false, "messages": [{"role": "user", "content": token()}]});
    let (answer, entry) = post(&gate, &alice, "/api/chat", &body);
    assert_eq!((answer.status, answer.code().as_str(), answer.header("portcullis-redacted")), (200, "allow", None));
    assert_eq!(arrived(&server)["messages"][0]["content"], token());
    assert_eq!((entry["code"].as_str(), entry["data_level"].as_str()), (Some("firewall.secret"), Some("L4")));
    assert_eq!(gate.metric(r#"portcullis_firewall_findings_total{action="flag",level="L4",rule="ours"}"#), 1.0);
}

#[test]
fn in_shadow_nothing_is_taken_out() {
    let server = FakeServer::start();
    let gate = gate(&server, "ollama", "action = \"redact\"", ", mode: shadow").start();
    let alice = gate.approved_client("alice");
    let body = json!({"model": "tiny", "stream": false, "messages": [{"role": "user", "content": token()}]});
    let (answer, entry) = post(&gate, &alice, "/api/chat", &body);
    assert_eq!((answer.status, answer.header("portcullis-redacted")), (200, None));
    assert_eq!(arrived(&server)["messages"][0]["content"], token());
    assert_eq!(entry["code"].as_str(), Some("firewall.secret"));
}

#[test]
fn a_kind_is_handled_as_it_is_set() {
    for (kind, settings, policy, status, code, arrives) in [
        ("pii", "", "", 200, "allow", true),
        ("pii", ", pii: flag", "", 200, "allow", true),
        ("pii", ", pii: redact", "", 200, "allow", false),
        ("pii", ", pii: block", "", 403, "firewall.pii", false),
        ("pii", "", "firewall: {pii: block}", 403, "firewall.pii", false),
        ("structural", "", "", 200, "allow", true),
        ("structural", ", structural: block", "", 403, "firewall.structural", false),
        ("structural", ", structural: off", "firewall: {block_at: L2}", 403, "firewall.structural", false),
        ("structural", ", block_at: L2", "", 403, "firewall.structural", false),
        ("secret", "", "firewall: {block_at: L2}", 403, "firewall.secret", false),
    ] {
        let server = FakeServer::start();
        let url = format!("http://{}", server.address());
        let gate = Gate::before_url(&url, "ollama")
            .file("ours.toml", &rule(&format!("kind = \"{kind}\"")).replace("\"L4\"", "\"L2\""))
            .filter(&format!("firewall: {{rules: [builtin, ours.toml]{settings}}}"))
            .policy(&format!("{OPEN}{policy}\n"))
            .start();
        let alice = gate.approved_client("alice");
        let body = json!({"model": "tiny", "stream": false, "messages": [{"role": "user", "content": token()}]});
        server.next(Script::json(r#"{"message":{"role":"assistant","content":"yes"},"done":true}"#));
        let answer = alice.post("/api/chat", &body);
        let what = format!("{kind} {settings} {policy}");
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what}: {}", answer.text());
        let arrived = server.seen().iter().any(|seen| seen.text().contains(&token()));
        assert_eq!(arrived, arrives, "{what}");
    }
}
