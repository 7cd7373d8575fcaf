//! The tools of LLMesh that the gate serves itself, in front of each kind of model server.

use portcullis_tests::real::{LlamaServer, prepared};
use portcullis_tests::{Client, FakeServer, Gate, Script, until};
use serde_json::{Value, json};

use crate::schema::{TASK, TOOLS, audited, fine, nonce, request, said};

/// A gate that serves tools in front of a server of this kind, and somebody who may call them.
fn serving(url: &str, kind: &'static str, settings: &str) -> (Gate, Client) {
    let schema = format!("schema: {{tools: {{model: tiny}}{settings}}}");
    let gate = Gate::before_url(url, kind).filter(&schema).filter("sca: {}").start();
    crate::sca::import(&gate);
    let alice = gate.stranger("alice");
    gate.approve_by(&alice, if kind == "ollama" { "/api/tags" } else { "/v1/models" });
    (gate, alice)
}

/// What a server of this kind answers whose model says this.
fn answer(kind: &str, text: &str) -> String {
    let message = json!({"role": "assistant", "content": text});
    match kind {
        "ollama" => json!({"model": "tiny:latest", "message": message, "done": true}),
        _ => json!({"object": "chat.completion", "model": "tiny",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}),
    }
    .to_string()
}

/// What may be wrong with a model's answer, and how it is refused, in this order.
const FAULTS: [(&str, &str, u16); 5] = [
    ("size", "schema.too_large", 502),
    ("json", "schema.not_json", 502),
    ("schema", "schema.response", 502),
    ("replay", "schema.replayed", 409),
    ("sca", "sca.vulnerable", 502),
];

/// A server's answer with these faults.
fn faulty(kind: &str, tool: &str, faults: &[&str]) -> String {
    let has = |fault: &str| faults.contains(&fault);
    let mut value = said(tool);
    if has("sca") {
        match tool {
            "generate_code" | "generate_tests" => value["dependencies_added"] = json!(["django==3.2.1"]),
            _ => value["findings"][0]["description"] = "pip install django==3.2.1".into(),
        }
    }
    if has("schema") {
        value["more"] = "than the tool may say".into();
    }
    let mut text = value.to_string();
    if has("json") {
        text.pop();
    }
    let mut answer = answer(kind, &text);
    if has("size") {
        answer.insert_str(1, &" ".repeat(512_000));
    }
    answer
}

#[test]
fn every_stage_of_a_served_tool_s_answer_speaks_in_its_order() {
    for kind in ["ollama", "llamacpp", "openai"] {
        let server = FakeServer::start();
        let (gate, alice) = serving(&format!("http://{}", server.address()), kind, "");
        let mut number = 0;
        for tool in TOOLS {
            let path = format!("/tools/{tool}");
            for (stage, (first, code, status)) in FAULTS.iter().enumerate() {
                for (later, _, _) in &FAULTS[stage..] {
                    number += 1;
                    if [*first, *later].contains(&"replay") {
                        // The first answer to this nonce was fine.
                        server.next(Script::json(&faulty(kind, tool, &[])));
                        assert_eq!(alice.post(&path, &request(tool, number)).status, 200);
                    }
                    server.next(Script::json(&faulty(kind, tool, &[*first, *later])));
                    let refused = alice.post(&path, &request(tool, number));
                    let told = (refused.status, refused.code());
                    assert_eq!(told, (*status, (*code).to_owned()), "{kind}, {tool}: {first} and {later}");
                    assert_eq!(refused.json()["error"], *code, "in the dialect of the tools");
                    let filter = code.split('.').next().unwrap_or_default();
                    assert_eq!(audited(&gate, &refused), ["BLOCK", filter, code, TASK]);
                }
            }
            number += 1;
            // What only the gate can know, it does not take from the model.
            let mut copied = said(tool);
            copied["caller_nonce_echo"] = nonce(number + 1_000_000).into();
            copied["task_id"] = "another".into();
            server.next(Script::json(&answer(kind, &copied.to_string())));
            let passed = alice.post(&path, &request(tool, number));
            assert_eq!((passed.status, passed.json()), (200, fine(tool, number)), "{kind}, {tool}");
            let asked = server.seen().pop().expect("the model was asked");
            let body: Value = serde_json::from_slice(&asked.body).unwrap();
            let (line, schema) = match kind {
                "ollama" => ("POST /api/chat ", &body["format"]),
                _ => ("POST /v1/chat/completions ", &body["response_format"]["json_schema"]["schema"]),
            };
            assert!(asked.line.starts_with(line) && schema["properties"].is_object(), "{}", asked.line);
            assert!(!asked.text().contains(TASK), "the model need not know whose task it is");
        }
        // What is no answer at all: JSON of another form, none, the server's own mistake.
        let path = "/tools/review_code";
        for (script, code) in [
            (Script::json("{}"), "upstream.invalid"),
            (Script::json("seven"), "schema.not_json"),
            (Script::json(&answer(kind, "I would rather not.")), "schema.not_json"),
            (Script::whole(500, "application/json", r#"{"error":"out of memory"}"#), "upstream.invalid"),
        ] {
            number += 1;
            server.next(script);
            assert_eq!(alice.post(path, &request("review_code", number)).code(), code, "{kind}");
        }
    }
}

#[test]
fn a_real_llama_cpp_server_serves_the_tools() {
    let Some((python, models)) = prepared("tools that a real llama.cpp server serves") else { return };
    let llama = LlamaServer::start(&python, &models.join("coder.gguf"));
    // Its model knows one answer. All others are noise in the shape that the gate asks for: texts of it may be too long.
    let (_gate, alice) = serving(&llama.url, "llamacpp", ", repair: 3");
    let mut number = 0;
    for tool in TOOLS {
        let answer = until(tool, || {
            number += 1;
            let answer = alice.post(&format!("/tools/{tool}"), &request(tool, number));
            let refusals = ["schema.not_json", "schema.response", "schema.too_large", "sca.unavailable"];
            assert!(answer.status == 200 || refusals.contains(&answer.code().as_str()), "{tool}: {}", answer.text());
            (answer.status == 200).then_some(answer)
        });
        let (answer, known) = (answer.json(), fine(tool, number));
        for echo in ["task_id", "caller_nonce_echo", "code_sha256_echo", "candidate_output_sha256_echo"] {
            assert_eq!(answer.get(echo), known.get(echo), "{tool}: {answer}");
        }
        match tool {
            "generate_code" => assert_eq!((&answer["code"], &answer["language"]), (&json!("x=1"), &json!("python"))),
            "generate_tests" => {
                assert!(answer["test_count"].is_u64() && answer["generated_files"] == json!([]), "{answer}")
            }
            "review_code" => assert!(answer["findings"].is_array(), "{answer}"),
            _ => assert!((0.0..=1.0).contains(&answer["scores"]["overall"].as_f64().unwrap()), "{answer}"),
        }
    }
}
