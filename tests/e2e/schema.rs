//! Answers that have the shape that was asked for: tools of LLMesh, structured outputs, calls of tools.

use portcullis_tests::real::{LlamaServer, prepared, python_with};
use portcullis_tests::{Answer, Client, FakeServer, Gate, Script, until};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const TASK: &str = "7f3c9a1e-52d4-4c1b-9a77-0d1f2e3a4b5c";
pub(crate) const TOOLS: [&str; 4] = ["generate_code", "generate_tests", "review_code", "critique_output"];

/// A nonce of its own for each number.
pub(crate) fn nonce(number: u64) -> String {
    format!("{number:032x}")
}

pub(crate) fn request(tool: &str, number: u64) -> Value {
    let mut body = json!({"task_id": TASK, "caller_nonce": nonce(number)});
    match tool {
        "generate_code" => body["prompt"] = "add two numbers".into(),
        "critique_output" => body["candidate_output"] = "fn a() {}".into(),
        _ => body["code"] = "fn a() {}".into(),
    }
    body
}

/// What a model says, without what only the gate or a node can know.
pub(crate) fn said(tool: &str) -> Value {
    match tool {
        "generate_code" => {
            json!({"code": "x = 1", "language": "python", "explanation": "it sets x", "dependencies_added": [],
                "generated_files": [], "cve_scan_requested": false})
        }
        "generate_tests" => {
            json!({"tests_code": "assert x", "test_framework": "pytest", "test_count": 1, "dependencies_added": [],
                "generated_files": []})
        }
        "review_code" => json!({"findings": [{"severity": "low", "description": "d", "recommendation": "r"}]}),
        _ => json!({"scores": {"overall": 0.5}, "findings": [{"severity": "info", "description": "d"}]}),
    }
}

/// The whole answer of a tool.
pub(crate) fn fine(tool: &str, number: u64) -> Value {
    let mut answer = said(tool);
    answer["task_id"] = TASK.into();
    answer["caller_nonce_echo"] = nonce(number).into();
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(b"fn a() {}"));
    match tool {
        "review_code" => answer["code_sha256_echo"] = digest.into(),
        "critique_output" => answer["candidate_output_sha256_echo"] = digest.into(),
        _ => {}
    }
    answer
}

#[track_caller]
pub(crate) fn audited(gate: &Gate, answer: &Answer) -> [String; 4] {
    let entry = gate.audit_of(answer.header("portcullis-request-id").expect("every answer names its request"));
    ["policy_decision", "filter", "code", "task_id"].map(|key| entry[key].as_str().unwrap_or_default().to_owned())
}

#[test]
fn every_stage_of_a_tool_s_answer_speaks_in_its_order() {
    let server = FakeServer::start();
    let gate = Gate::before_url(&format!("http://{}", server.address()), "llmesh").filter("sca: {}").start();
    crate::sca::import(&gate);
    let alice = gate.stranger("alice");
    gate.approve_by(&alice, "/identity");
    let mut number = 0;
    for tool in TOOLS {
        let spoilt: [(&str, &str, u16); 7] = [
            ("size", "schema.too_large", 502),
            ("json", "schema.not_json", 502),
            ("schema", "schema.response", 502),
            ("nonce", "schema.nonce_mismatch", 502),
            ("task", "schema.task_id", 502),
            ("replay", "schema.replayed", 409),
            ("sca", "sca.vulnerable", 502),
        ];
        for (stage, (_, code, status)) in spoilt.iter().enumerate() {
            for (later, _, _) in &spoilt[stage..] {
                number += 1;
                let mut answer = fine(tool, number);
                let faulty = |name: &str| name == spoilt[stage].0 || name == *later;
                if faulty("replay") {
                    // The first answer to this nonce was fine.
                    server.next(Script::json(&answer.to_string()));
                    let first = alice.post(&format!("/tools/{tool}"), &request(tool, number));
                    assert_eq!(first.status, 200, "{}", first.text());
                }
                if faulty("sca") {
                    match tool {
                        "generate_code" | "generate_tests" => answer["dependencies_added"] = json!(["django==3.2.1"]),
                        _ => answer["findings"][0]["description"] = "pip install django==3.2.1".into(),
                    }
                }
                if faulty("task") {
                    answer["task_id"] = "7f3c9a1e-52d4-4c1b-9a77-0d1f2e3a4b5d".into();
                }
                if faulty("nonce") {
                    answer["caller_nonce_echo"] = nonce(number + 1_000_000).into();
                }
                if faulty("schema") {
                    answer["more"] = "than the tool may say".into();
                }
                let mut text = answer.to_string();
                if faulty("json") {
                    text.pop();
                }
                if faulty("size") {
                    text.insert_str(1, &" ".repeat(512_000));
                }
                server.next(Script::json(&text));
                let refused = alice.post(&format!("/tools/{tool}"), &request(tool, number));
                let told = (refused.status, refused.code());
                assert_eq!(
                    told,
                    (*status, (*code).to_owned()),
                    "{tool}: {} and {later}: {}",
                    spoilt[stage].0,
                    refused.text()
                );
                assert_eq!(refused.json()["error"], *code, "in the dialect of the tools");
                let filter = code.split('.').next().unwrap_or_default();
                assert_eq!(audited(&gate, &refused), ["BLOCK", filter, code, TASK]);
            }
        }
        number += 1;
        server.next(Script::json(&fine(tool, number).to_string()));
        let answer = alice.post(&format!("/tools/{tool}"), &request(tool, number));
        assert_eq!((answer.status, answer.json()), (200, fine(tool, number)), "{tool}");
        assert_eq!(audited(&gate, &answer), ["ALLOW", "", "", TASK]);
    }
    let refusals = gate.metric(r#"portcullis_requests_total{class="inference",code="schema.response",decision="block",filter="schema",listener="gate"}"#);
    assert_eq!(refusals, 20.0, "five for each tool");
}

#[test]
fn the_gate_serves_the_tools_with_a_model() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("schema: {tools: {model: tiny}}").start();
    let alice = gate.approved_client("alice");
    for (number, tool) in (1..).zip(TOOLS) {
        let ollama =
            |content: String| json!({"message": {"role": "assistant", "content": content}, "done": true}).to_string();
        server.next(Script::json(&ollama(said(tool).to_string())));
        let answer = alice.post(&format!("/tools/{tool}"), &request(tool, number));
        assert_eq!((answer.status, answer.json()), (200, fine(tool, number)), "{tool}: {}", answer.text());
        let asked = server.seen().pop().expect("the model was asked");
        assert!(asked.line.starts_with("POST /api/chat "), "{}", asked.line);
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!((&body["model"], &body["stream"]), (&json!("tiny:latest"), &json!(false)));
        assert!(body["format"]["properties"].is_object() && !asked.text().contains(TASK), "{}", asked.text());
        server.next(Script::json(&ollama("I would rather not.".to_owned())));
        let refused = alice.post(&format!("/tools/{tool}"), &request(tool, number + 100));
        assert_eq!((refused.status, refused.code().as_str()), (502, "schema.not_json"));
        server.next(Script::json(&ollama("{}".to_owned())));
        let refused = alice.post(&format!("/tools/{tool}"), &request(tool, number + 100));
        assert_eq!((refused.status, refused.code().as_str()), (502, "schema.response"));
    }
    let before = server.seen().len();
    for (path, body, status, code) in [
        ("/tools/generate_code", json!({"task_id": TASK}), 422, "schema.request"),
        (
            "/tools/generate_code",
            json!({"task_id": "not one", "caller_nonce": nonce(1), "prompt": "p"}),
            422,
            "schema.request",
        ),
        ("/tools/format_disk", request("generate_code", 1), 403, "policy.unknown_route"),
    ] {
        let refused = alice.post(path, &body);
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{}", refused.text());
    }
    assert_eq!(server.seen().len(), before, "none of it reached the server");
    let mute = FakeServer::start();
    let gate = Gate::before(&mute).start();
    let alice = gate.approved_client("alice");
    let refused = alice.post("/tools/review_code", &request("review_code", 1));
    assert_eq!((refused.status, refused.code().as_str()), (403, "policy.no_route"));
    assert!(refused.text().contains("filters.schema.tools.model"), "{}", refused.text());
}

#[test]
fn tools_run_on_a_model_that_the_caller_may_use() {
    let server = FakeServer::start();
    let policy = "version: 1\nrules:\n  - {name: some, effect: allow, who: ['*'], classes: [inference, read], models: [other]}\n";
    let gate = Gate::before(&server).policy(policy).filter("schema: {tools: {model: tiny}}").start();
    let alice = gate.approved_client("alice");
    let refused = alice.post("/tools/review_code", &request("review_code", 1));
    assert_eq!((refused.status, refused.code().as_str()), (403, "policy.model_denied"), "{}", refused.text());
    assert!(!server.seen().iter().any(|seen| seen.line.starts_with("POST ")), "it was refused before");
}

fn chat(text: &str, done: bool) -> String {
    json!({"model": "tiny:latest", "message": {"role": "assistant", "content": text}, "done": done}).to_string()
}

#[test]
fn an_answer_fits_the_schema_that_its_client_asked_for() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let ask = |stream: bool| {
        alice.post("/api/chat", &json!({"model": "tiny", "stream": stream, "messages": [], "format": schema}))
    };
    server.next(Script::json(&chat("{\"n\": 7}", true)));
    let answer = ask(false);
    assert_eq!((answer.status, answer.text()), (200, chat("{\"n\": 7}", true)), "it passes as it came");
    for (text, code) in
        [("{\"n\": \"x\"}", "schema.response"), ("seven", "schema.response"), ("{\"n\": 7", "schema.response")]
    {
        server.next(Script::json(&chat(text, true)));
        let refused = ask(false);
        assert_eq!((refused.status, refused.code().as_str()), (502, code), "{text}");
        assert!(refused.json()["error"].as_str().unwrap().contains(code) && !refused.text().contains("seven"));
        assert_eq!(audited(&gate, &refused)[..3], ["BLOCK".to_owned(), "schema".to_owned(), code.to_owned()]);
    }
    // Of a stream nothing leaves before it fits: a refusal still has its status.
    let lines = ["{\"n\"", ": 7}"].map(|text| chat(text, false) + "\n");
    let end = chat("", true) + "\n";
    server.next(Script::stream("application/x-ndjson", &[&lines[0], &lines[1], &end]));
    let answer = ask(true);
    assert_eq!((answer.status, answer.text()), (200, lines.concat() + &end));
    server.next(Script::stream("application/x-ndjson", &[&lines[0], &end]));
    let refused = ask(true);
    assert_eq!((refused.status, refused.code().as_str()), (502, "schema.response"));
    // What cannot be watched is not asked for.
    let before = server.seen().len();
    for schema in [json!({"$ref": "https://example.com/s.json"}), json!({"type": "nonsense"}), json!({"$ref": "#"})] {
        let refused = alice.post("/api/chat", &json!({"model": "tiny", "messages": [], "format": schema}));
        assert_eq!((refused.status, refused.code().as_str()), (422, "schema.request"), "{}", refused.text());
    }
    assert_eq!(server.seen().len(), before);
    // Others' errors are no answers.
    server.next(Script::whole(404, "application/json", r#"{"error":"model 'tiny' not found"}"#));
    let answer = ask(false);
    assert_eq!((answer.status, answer.text().contains("not found")), (404, true));
}

#[test]
fn a_stream_is_cut_before_a_call_that_does_not_fit() {
    let server = FakeServer::start();
    let gate = Gate::before_url(&format!("http://{}", server.address()), "openai").start();
    let alice = gate.stranger("alice");
    gate.approve_by(&alice, "/v1/models");
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters":
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}}]);
    let delta = |delta: Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}));
    let call =
        |piece: &str| delta(json!({"tool_calls": [{"index": 0, "function": {"name": "weather", "arguments": piece}}]}));
    let words = delta(json!({"content": "let me look"}));
    let ask = || {
        alice.post("/v1/chat/completions", &json!({"model": "tiny", "stream": true, "messages": [], "tools": tools}))
    };
    let good = [words.clone(), call("{\"city\""), call(":\"Rome\"}"), "data: [DONE]\n\n".to_owned()];
    server.next(Script::stream("text/event-stream", &good.each_ref().map(String::as_str)));
    let answer = ask();
    assert_eq!((answer.status, answer.text()), (200, good.concat()));
    let bad = [words.clone(), call("{\"city\""), call(":\"Rome\",\"rm\":\"-rf\"}"), "data: [DONE]\n\n".to_owned()];
    server.next(Script::stream("text/event-stream", &bad.each_ref().map(String::as_str)));
    let cut = ask();
    assert!(cut.text().starts_with(&words) && cut.text().ends_with("data: [DONE]\n\n"), "{}", cut.text());
    assert!(cut.text().contains("schema.response") && !cut.text().contains("city"), "{}", cut.text());
    assert_eq!(audited(&gate, &cut)[..3], ["BLOCK", "schema", "schema.response"].map(str::to_owned));
}

#[test]
fn a_route_is_held_to_the_operator_s_own_schema() {
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .file("ask.json", r#"{"properties": {"prompt": {"maxLength": 5}}}"#)
        .file("say.json", r#"{"properties": {"response": {"enum": ["yes", "no"]}}}"#)
        .filter("schema: {routes: {ollama.generate: {request: ask.json, answer: say.json}}}")
        .start();
    let alice = gate.approved_client("alice");
    let ask = |prompt: &str, stream: bool| {
        alice.post("/api/generate", &json!({"model": "tiny", "stream": stream, "prompt": prompt}))
    };
    server.next(Script::json(r#"{"response":"yes","done":true}"#));
    assert_eq!(ask("well?", false).status, 200);
    server.next(Script::json(r#"{"response":"perhaps","done":true}"#));
    assert_eq!(ask("well?", false).code(), "schema.response");
    let before = server.seen().len();
    let refused = ask("well, well", false);
    assert_eq!((refused.status, refused.code().as_str()), (422, "schema.request"));
    assert!(refused.text().contains("`maxLength` does not hold at `/prompt`"), "{}", refused.text());
    assert_eq!(ask("well?", true).status, 422, "a stream is no whole answer");
    assert_eq!(server.seen().len(), before);
}

#[test]
fn a_real_llama_cpp_server_answers_in_a_schema_through_the_gate() {
    let Some((python, models)) = prepared("structured answers of a real llama.cpp server") else { return };
    let llama = LlamaServer::start(&python, &models.join("tiny.gguf"));
    let gate = Gate::before_url(&llama.url, "llamacpp").start();
    let alice = gate.stranger("alice");
    gate.approve_by(&alice, "/v1/models");
    let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false});
    let ask = |stream: bool, format: Value| {
        alice.post(
            "/v1/chat/completions",
            &json!({"model": "tiny", "stream": stream, "max_tokens": 60, "seed": 1,
            "messages": [{"role": "user", "content": "Hi"}], "response_format": format}),
        )
    };
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema}});
    let answer = ask(false, format.clone());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let value: Value = serde_json::from_str(&text).expect("the answer is JSON");
    assert!(value["ok"].is_boolean(), "{text}");
    let streamed = ask(true, format);
    assert_eq!((streamed.status, streamed.complete), (200, true), "{}", streamed.text());
    assert!(streamed.text().ends_with("data: [DONE]\n\n"));
    // A server that ignores what it was asked: the gate does not.
    let ignored = json!({"type": "json_object", "schema": {"type": "object", "required": ["never"], "properties": {"never": {"type": "null"}}}});
    let told = json!({"model": "tiny", "stream": false, "max_tokens": 3, "messages": [{"role": "user", "content": "Hi"}], "response_format": ignored});
    let refused = alice.post("/v1/chat/completions", &told);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (502, "schema.response"),
        "cut off after 3 tokens: {}",
        refused.text()
    );
}

/// An LLMesh node of its own package, with the fake server as its model.
struct Node {
    child: std::process::Child,
    url: String,
}

impl Node {
    fn start(python: &std::path::Path, model: &FakeServer) -> Self {
        use std::io::BufRead as _;
        let mut child = std::process::Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/real/llmesh_node.py"))
            .env("LLMESH_BACKEND", "ollama")
            .env("LLMESH_BACKEND_URL", format!("http://{}", model.address()))
            .env("LLMESH_MODEL", "tiny")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the node says where it listens").unwrap();
        std::thread::spawn(move || for _ in lines {});
        let said: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: said["listening"].as_str().unwrap().to_owned() }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(alice: &Client, tool: &str, number: u64) -> Answer {
    alice.post(&format!("/tools/{tool}"), &request(tool, number))
}

#[test]
fn a_real_llmesh_node_answers_through_the_gate() {
    let Some(python) = python_with("llmesh", "an LLMesh node behind the gate") else { return };
    let model = FakeServer::start();
    let node = Node::start(&python, &model);
    let gate = Gate::before_url(&node.url, "llmesh").filter("sca: {}").start();
    crate::sca::import(&gate);
    let alice = gate.stranger("alice");
    assert_eq!(alice.get("/identity").code(), "identity.pending");
    assert!(gate.cli(&["peers", "approve", &alice.id]).status.success());
    until("the approval to bite", || (alice.get("/identity").status != 403).then_some(()));
    let says = |value: &Value| {
        json!({"message": {"role": "assistant", "content": value.to_string()}, "done": true}).to_string()
    };
    for (number, tool) in (1..).zip(TOOLS) {
        model.next(Script::json(&says(&fine(tool, number))));
        let answer = ask(&alice, tool, number);
        assert_eq!((answer.status, answer.json()), (200, fine(tool, number)), "{tool}: {}", answer.text());
    }
    // What the node itself refuses passes in its own words.
    model.next(Script::json(&says(&json!({"nothing": "of it"}))));
    let refused = ask(&alice, "generate_code", 50);
    assert_eq!(refused.status, 502, "{}", refused.text());
    assert!(refused.text().contains("llm_output_invalid"), "{}", refused.text());
    // What it lets pass though it is wrong, the gate does not: a digest of another text, a package with advisories (what
    // is declared it looks up itself). An answer with both is refused for the first.
    let digests = [("review_code", "code_sha256_echo"), ("critique_output", "candidate_output_sha256_echo")];
    let faults = [(true, false), (false, true), (true, true)];
    let all = digests.iter().flat_map(|digest| faults.map(|faults| (*digest, faults)));
    for (number, ((tool, digest), (wrong, vulnerable))) in (60..).zip(all) {
        let mut value = fine(tool, number);
        if wrong {
            value[digest] = "0".repeat(64).into();
        }
        if vulnerable {
            value["findings"][0]["description"] = "pip install django==3.2.1".into();
        }
        model.next(Script::json(&says(&value)));
        let refused = ask(&alice, tool, number);
        let code = if wrong { "schema.response" } else { "sca.vulnerable" };
        assert_eq!((refused.status, refused.code()), (502, code.to_owned()), "{tool}: {}", refused.text());
    }
}
