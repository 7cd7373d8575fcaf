use futures::FutureExt as _;
use portcullis_policies::StreamFormat;
use serde_json::{Value, json};

use super::*;
use crate::filter::Mode;
use crate::frame::Reading;
use crate::gate::{Eye, Gate};
use crate::testkit::{Deaf, head};

fn filter(routes: Vec<RouteSchema>) -> SchemaFilter {
    let settings = SchemaSettings { requested: true, routes, tools_model: Some("tiny".to_owned()) };
    SchemaFilter::new(settings, Arc::default(), Arc::default())
}

/// One exchange: what the request became, then what became of the answer.
struct Exchange {
    head: Head,
    facts: Facts,
    sent: Value,
}

impl Exchange {
    fn begin(filter: &SchemaFilter, kind: UpstreamKind, path: &str, body: &Value) -> Result<Self, Refusal> {
        let (head, mut facts) = (head(kind, "POST", path), Facts::default());
        filter.name_model(&head, &mut facts)?;
        let bytes: Bytes = body.to_string().into();
        let json = Json::parse(&bytes).unwrap();
        let sent = filter.judge(&Request { head: &head, body: &bytes, json: Some(&json) }, &mut facts)?;
        let sent = serde_json::from_slice(&sent.unwrap_or(bytes.clone())).unwrap();
        Ok(Self { head, facts, sent })
    }

    /// What of an answer in these chunks leaves, chunk by chunk.
    fn answer(
        &self,
        filter: &SchemaFilter,
        stream: Option<StreamFormat>,
        success: bool,
        chunks: &[&str],
    ) -> (Vec<String>, Result<(), Refusal>) {
        let reading = stream.map_or(Reading::Json, Reading::of);
        let shape = AnswerShape { stream, reading, frame_bytes: 4 << 20, held_bytes: 1 << 20, success };
        let watch = filter.watch(&self.head, &self.facts, &shape).unwrap();
        let eyes = watch.into_iter().map(|watch| Eye::new("schema", Mode::Enforce, watch)).collect();
        let mut gate = Gate::new(eyes, shape, Arc::new(Deaf));
        let mut left = Vec::new();
        for chunk in chunks {
            let mut out = Vec::new();
            let said = gate.push(chunk.as_bytes(), &mut out);
            left.push(out.iter().map(|frame| String::from_utf8(frame.bytes().to_vec()).unwrap()).collect());
            if said.is_err() {
                return (left, said);
            }
        }
        let mut out = Vec::new();
        let said = gate.finish(&mut out).now_or_never().expect("nothing is asked");
        left.push(out.iter().map(|frame| String::from_utf8(frame.bytes().to_vec()).unwrap()).collect());
        (left, said)
    }

    fn whole(&self, filter: &SchemaFilter, answer: &Value) -> Result<Value, Code> {
        let (left, said) = self.answer(filter, None, true, &[&answer.to_string()]);
        said.map(|()| serde_json::from_str(&left.concat()).unwrap()).map_err(|no| no.code)
    }
}

const TASK: &str = "7f3c9a1e-52d4-4c1b-9a77-0d1f2e3a4b5c";
const NONCE: &str = "00112233445566778899aabbccddeeff";

fn request(tool: &str) -> Value {
    let mut body = json!({"task_id": TASK, "caller_nonce": NONCE});
    match tool {
        "generate_code" => body["prompt"] = "write".into(),
        "generate_tests" | "review_code" => body["code"] = "fn a() {}".into(),
        _ => body["candidate_output"] = "fn a() {}".into(),
    }
    body
}

fn digest() -> String {
    use sha2::Digest as _;
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(b"fn a() {}"))
}

fn fine(tool: &str) -> Value {
    let mut answer = json!({"task_id": TASK, "caller_nonce_echo": NONCE});
    let more = match tool {
        "generate_code" => {
            json!({"code": "x = 1", "language": "python", "explanation": "it sets x", "dependencies_added": [],
                "generated_files": [], "cve_scan_requested": false})
        }
        "generate_tests" => {
            json!({"tests_code": "assert x", "test_framework": "pytest", "test_count": 1, "dependencies_added": [],
                "generated_files": [], "coverage_estimate": 0.5})
        }
        "review_code" => json!({"findings": [{"severity": "low", "description": "d", "recommendation": "r"}],
            "code_sha256_echo": digest()}),
        _ => json!({"scores": {"overall": 0.5}, "findings": [{"severity": "info", "description": "d"}],
            "candidate_output_sha256_echo": digest()}),
    };
    answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer
}

const TOOLS: [&str; 4] = ["generate_code", "generate_tests", "review_code", "critique_output"];

/// What it is, what makes it, and what it is refused with.
type Fault = (&'static str, fn(&mut Value), Code);

/// Faults in the order of the stages that find them, and what each is refused with.
fn faults() -> Vec<Fault> {
    vec![
        ("size", |answer| answer["pad"] = "x".repeat(512_000).into(), Code::SchemaTooLarge),
        ("schema", |answer| answer["more"] = 1.into(), Code::SchemaResponse),
        ("nonce", |answer| answer["caller_nonce_echo"] = "f".repeat(32).into(), Code::SchemaNonceMismatch),
        ("task", |answer| answer["task_id"] = "7f3c9a1e-52d4-4c1b-9a77-0d1f2e3a4b5d".into(), Code::SchemaTaskId),
    ]
}

#[test]
fn every_stage_refuses_and_the_earlier_one_of_two_speaks() {
    for tool in TOOLS {
        let filter = filter(vec![]);
        let path = format!("/tools/{tool}");
        let begun = || Exchange::begin(&filter, UpstreamKind::LlMesh, &path, &request(tool)).unwrap();
        let faults = faults();
        for (first, (name, spoil, code)) in faults.iter().enumerate() {
            for (second, spoil_more, _) in
                std::iter::once(&("none", (|_| ()) as fn(&mut Value), *code)).chain(&faults[first..])
            {
                let mut answer = fine(tool);
                spoil(&mut answer);
                spoil_more(&mut answer);
                assert_eq!(begun().whole(&filter, &answer), Err(*code), "{tool}: {name} and {second}");
            }
        }
        let (left, said) = begun().answer(&filter, None, true, &["{\"task_id\": tru"]);
        assert_eq!((left.concat(), said.unwrap_err().code), (String::new(), Code::SchemaNotJson), "{tool}");
        let (_, said) = begun().answer(&filter, None, true, &[&format!("{{{}", " ".repeat(512_001))]);
        assert_eq!(said.unwrap_err().code, Code::SchemaTooLarge, "the size comes before the JSON");
        for not_one in ["[]", "7", "null", ""] {
            let (_, said) = begun().answer(&filter, None, true, &[not_one]);
            assert_eq!(said.unwrap_err().code, Code::SchemaNotJson, "{tool}: {not_one}");
        }
        // None of them used the nonce up; the good one does.
        assert_eq!(begun().whole(&filter, &fine(tool)), Ok(fine(tool)));
        assert_eq!(begun().whole(&filter, &fine(tool)), Err(Code::SchemaReplayed));
        let mut other = fine(tool);
        other["task_id"] = "7f3c9a1e-52d4-4c1b-9a77-0d1f2e3a4b5d".into();
        assert_eq!(begun().whole(&filter, &other), Err(Code::SchemaTaskId), "the task comes before the replay");
    }
}

#[test]
fn what_the_answer_looked_at_is_what_was_sent() {
    for (tool, field) in [("review_code", "code_sha256_echo"), ("critique_output", "candidate_output_sha256_echo")] {
        let filter = filter(vec![]);
        let path = format!("/tools/{tool}");
        let begun = Exchange::begin(&filter, UpstreamKind::LlMesh, &path, &request(tool)).unwrap();
        let mut answer = fine(tool);
        answer[field] = "0".repeat(64).into();
        assert_eq!(begun.whole(&filter, &answer), Err(Code::SchemaResponse));
        let mut body = request(tool);
        body[if tool == "review_code" { "code_sha256" } else { "candidate_sha256" }] = "0".repeat(64).into();
        let no = Exchange::begin(&filter, UpstreamKind::LlMesh, &path, &body).err().unwrap();
        assert_eq!(no.code, Code::SchemaRequest);
        assert!(no.message.contains("is not the SHA-256 of"), "{}", no.message);
    }
}

#[test]
fn requests_that_no_tool_takes_are_refused() {
    let filter = filter(vec![]);
    for (tool, spoil) in [
        ("generate_code", json!({"task_id": "7f3c9a1e-52d4-1c1b-9a77-0d1f2e3a4b5c"})),
        ("generate_code", json!({"task_id": null})),
        ("generate_code", json!({"caller_nonce": "00112233445566778899AABBCCDDEEFF"})),
        ("generate_code", json!({"caller_nonce": "0011"})),
        ("generate_code", json!({"language": "cobol"})),
        ("generate_code", json!({"prompt": 7})),
        ("review_code", json!({"code": null})),
    ] {
        let mut body = request(tool);
        body.as_object_mut().unwrap().extend(spoil.as_object().unwrap().clone());
        let no = Exchange::begin(&filter, UpstreamKind::LlMesh, &format!("/tools/{tool}"), &body).err();
        assert_eq!(no.map(|no| no.code), Some(Code::SchemaRequest), "{body}");
    }
}

#[test]
fn the_gate_serves_the_tools_in_front_of_a_model_server() {
    for (kind, path, wrap) in [
        (
            UpstreamKind::Ollama,
            "/api/chat",
            (|text| json!({"message": {"role": "assistant", "content": text}, "done": true})) as fn(String) -> Value,
        ),
        (
            UpstreamKind::LlamaCpp,
            "/v1/chat/completions",
            |text| json!({"choices": [{"index": 0, "message": {"content": text}}]}),
        ),
    ] {
        for tool in TOOLS {
            let filter = filter(vec![]);
            let begun = Exchange::begin(&filter, kind, &format!("/tools/{tool}"), &request(tool)).unwrap();
            assert_eq!(begun.facts.target(), Some(path));
            assert!(begun.facts.model().is_some_and(|model| model.as_str().starts_with("tiny")));
            let asked = begun.sent.to_string();
            assert!(
                begun.sent["model"].as_str().is_some_and(|model| model.starts_with("tiny"))
                    && begun.sent["stream"] == false
            );
            for kept_back in [TASK, NONCE, "32768", "caller_nonce"] {
                assert!(!asked.contains(kept_back), "{kept_back}: {asked}");
            }
            // What the gate knows itself, the model need not say.
            let mut said = fine(tool);
            for known in ["task_id", "caller_nonce_echo", "code_sha256_echo", "candidate_output_sha256_echo"] {
                said.as_object_mut().unwrap().remove(known);
            }
            assert_eq!(begun.whole(&filter, &wrap(format!(" {said}\n"))), Ok(fine(tool)), "{tool}");
            let begun = Exchange::begin(&filter, kind, &format!("/tools/{tool}"), &request(tool)).unwrap();
            assert_eq!(begun.whole(&filter, &wrap(said.to_string())), Err(Code::SchemaReplayed));
            for (content, code) in [
                ("here you are: {}", Code::SchemaNotJson),
                ("[1]", Code::SchemaNotJson),
                ("{\"a\":1,\"a\":2}", Code::SchemaNotJson),
                ("{}", Code::SchemaResponse),
            ] {
                assert_eq!(begun.whole(&filter, &wrap(content.to_owned())), Err(code), "{content}");
            }
            assert_eq!(begun.whole(&filter, &json!({"done": true})), Err(Code::UpstreamInvalid));
            let (_, said) = begun.answer(&filter, None, false, &[r#"{"error":"model not found"}"#]);
            assert_eq!(said.unwrap_err().code, Code::UpstreamInvalid, "an error is no answer");
        }
    }
    let none = SchemaFilter::new(SchemaSettings::default(), Arc::default(), Arc::default());
    let no = Exchange::begin(&none, UpstreamKind::Ollama, "/tools/review_code", &request("review_code")).err().unwrap();
    assert_eq!(no.code, Code::PolicyNoRoute);
}

#[test]
fn an_answer_fits_what_its_request_asks_for() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let filter = filter(vec![]);
    type Case<'c> = (UpstreamKind, &'c str, Value, fn(&str) -> Value);
    let cases: [Case<'_>; 4] = [
        (
            UpstreamKind::Ollama,
            "/api/chat",
            json!({"model": "m", "format": schema}),
            |text| json!({"message": {"content": text}}),
        ),
        (
            UpstreamKind::Ollama,
            "/api/generate",
            json!({"model": "m", "format": schema}),
            |text| json!({"response": text}),
        ),
        (
            UpstreamKind::LlamaCpp,
            "/v1/chat/completions",
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}),
            |text| json!({"choices": [{"message": {"content": text}}]}),
        ),
        (
            UpstreamKind::LlamaCpp,
            "/completion",
            json!({"prompt": "p", "json_schema": schema}),
            |text| json!({"content": text}),
        ),
    ];
    for (kind, path, body, wrap) in cases {
        let begun = Exchange::begin(&filter, kind, path, &body).unwrap();
        let fine = wrap(" {\"n\": 7} ");
        assert_eq!(begun.whole(&filter, &fine), Ok(fine.clone()), "{path}");
        for (text, code) in [
            ("{\"n\": \"seven\"}", Code::SchemaResponse),
            ("{}", Code::SchemaResponse),
            ("{\"n\": 7", Code::SchemaResponse),
            ("{\"n\": 7, \"n\": 8}", Code::SchemaResponse),
            ("", Code::SchemaResponse),
        ] {
            assert_eq!(begun.whole(&filter, &wrap(text)), Err(code), "{path} {text}");
        }
    }
}

#[test]
fn calls_fit_the_parameters_of_tools_that_were_offered() {
    let filter = filter(vec![]);
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    let offer = json!({"model": "m", "tools": [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]});
    let openai = |name: &str, arguments: &str| json!({"choices": [{"message": {"content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}]}}]});
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, "/v1/chat/completions", &offer).unwrap();
    for (answer, fits) in [
        (openai("weather", "{\"city\":\"Rome\"}"), Ok(())),
        (openai("weather", "{\"city\":7}"), Err(Code::SchemaResponse)),
        (openai("weather", ""), Err(Code::SchemaResponse)),
        (openai("weather", "{\"city\":\"Rome\""), Err(Code::SchemaResponse)),
        (openai("delete_all", "{}"), Err(Code::SchemaResponse)),
        (json!({"choices": [{"message": {"content": "no call at all"}}]}), Ok(())),
    ] {
        assert_eq!(begun.whole(&filter, &answer).map(drop), fits, "{answer}");
    }
    let begun = Exchange::begin(&filter, UpstreamKind::Ollama, "/api/chat", &offer).unwrap();
    let ollama = |arguments: Value| json!({"message": {"content": "", "tool_calls": [{"function": {"name": "weather", "arguments": arguments}}]}});
    assert!(begun.whole(&filter, &ollama(json!({"city": "Rome"}))).is_ok());
    assert_eq!(begun.whole(&filter, &ollama(json!({"town": "Rome"}))), Err(Code::SchemaResponse));
    let offer = json!({"tools": [{"name": "weather", "input_schema": parameters}]});
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/messages", &offer).unwrap();
    let anthropic = |input: Value| json!({"type": "message", "content": [{"type": "text", "text": "well"}, {"type": "tool_use", "name": "weather", "input": input}]});
    assert!(begun.whole(&filter, &anthropic(json!({"city": "Rome"}))).is_ok());
    assert_eq!(begun.whole(&filter, &anthropic(json!({}))), Err(Code::SchemaResponse));
    let offer = json!({"tools": [{"type": "function", "name": "weather", "parameters": parameters}]});
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/responses", &offer).unwrap();
    let item =
        |arguments: &str| json!({"output": [{"type": "function_call", "name": "weather", "arguments": arguments}]});
    assert!(begun.whole(&filter, &item("{\"city\":\"Rome\"}")).is_ok());
    assert_eq!(begun.whole(&filter, &item("{\"city\":null}")), Err(Code::SchemaResponse));
}

#[test]
fn what_is_offered_no_tools_calls_none() {
    let filter = filter(vec![]);
    let (chat, ollama) = ("/v1/chat/completions", "/api/chat");
    let call = json!({"id": "1", "type": "function", "function": {"name": "sh", "arguments": "{}"}});
    let openai = |calls: Value| json!({"choices": [{"message": {"content": "so", "tool_calls": calls}}]});
    let none = json!({"model": "m", "messages": []});
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, chat, &none).unwrap();
    for (answer, fits) in [
        (openai(json!([call])), false),
        (openai(call.clone()), false),
        (openai(json!([])), true),
        (openai(Value::Null), true),
        (
            json!({"choices": [{"message": {"content": null, "function_call": {"name": "sh", "arguments": "{}"}}}]}),
            false,
        ),
        (json!({"choices": [{"message": {"content": 7, "function_call": null}}]}), true),
        (json!({"output": [{"type": "function_call", "name": "sh", "arguments": "{}"}]}), false),
        (json!({"output": [{"type": "local_shell_call"}]}), false),
        (json!({"output": "words"}), true),
        (json!({"content": [{"type": "tool_use", "name": "sh", "input": {}}]}), false),
        (json!({"content": [{"type": "text", "text": "so"}], "stop_reason": "end_turn"}), true),
        (json!({"data": [{"embedding": [1.5]}], "error": null}), true),
        (json!("seven"), true),
    ] {
        let said = begun.whole(&filter, &answer).map(drop);
        assert_eq!(said, if fits { Ok(()) } else { Err(Code::SchemaResponse) }, "{answer}");
    }
    // An answer that is none, or empty, is none of this filter's concern.
    assert!(begun.answer(&filter, None, true, &[]).1.is_ok());
    let begun = Exchange::begin(&filter, UpstreamKind::Ollama, ollama, &none).unwrap();
    let line = |message: Value| format!("{}\n", json!({"message": message}));
    let words = line(json!({"content": "let me see"}));
    let calls = line(json!({"content": "", "tool_calls": [{"function": {"name": "sh", "arguments": {}}}]}));
    let (left, said) = begun.answer(&filter, Some(StreamFormat::Ndjson), true, &[&words, &words, &calls, &words]);
    assert_eq!((left.concat(), said.unwrap_err().code), (words.repeat(2), Code::SchemaResponse));
    // Whose tools stand elsewhere, may call them; whose schema filter looks at nothing that requests ask, too.
    for elsewhere in [
        json!({"model": "m", "previous_response_id": "r"}),
        json!({"model": "m", "conversation": "c"}),
        json!({"model": "m", "prompt": {"id": "p"}}),
        json!({"model": "m", "mcp_servers": [{"url": "https://mcp.example"}]}),
    ] {
        let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/responses", &elsewhere).unwrap();
        assert!(begun.whole(&filter, &openai(json!([call]))).is_ok(), "{elsewhere}");
    }
    let blind = SchemaFilter::new(SchemaSettings::default(), Arc::default(), Arc::default());
    let begun = Exchange::begin(&blind, UpstreamKind::LlamaCpp, chat, &none).unwrap();
    assert!(begun.whole(&blind, &openai(json!([call]))).is_ok());
}

#[test]
fn of_a_stream_that_must_fit_nothing_leaves_before_its_end() {
    let filter = filter(vec![]);
    let body = json!({"model": "m", "format": {"type": "object", "required": ["n"]}});
    let begun = Exchange::begin(&filter, UpstreamKind::Ollama, "/api/chat", &body).unwrap();
    let piece = |text: &str, done: bool| format!("{}\n", json!({"message": {"content": text}, "done": done}));
    let stream = Some(StreamFormat::Ndjson);
    let chunks = [piece("{\"n\"", false), piece(": 7}", false), piece("", true)];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let (left, said) = begun.answer(&filter, stream, true, &chunks);
    assert!(said.is_ok() && left[..3].iter().all(String::is_empty), "{left:?}");
    assert_eq!(left[3], chunks.concat());
    for (pieces, code) in [
        (vec![piece("{\"m\"", false), piece(": 7}", true)], Code::SchemaResponse),
        (vec![piece("{\"n\"", false)], Code::SchemaResponse),
        (vec![piece("{\"n\":", false), piece(" 7", true)], Code::SchemaResponse),
        (vec![piece("", true)], Code::SchemaResponse),
    ] {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let (left, said) = begun.answer(&filter, stream, true, &pieces);
        assert_eq!((left.concat(), said.unwrap_err().code), (String::new(), code), "{pieces:?}");
    }
}

#[test]
fn in_a_stream_words_leave_at_once_and_calls_when_they_are_whole() {
    let filter = filter(vec![]);
    let body = json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["a"]}}}]});
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, "/v1/chat/completions", &body).unwrap();
    let delta = |delta: Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}));
    let call = |name: Option<&str>, piece: &str| {
        let mut function = json!({"arguments": piece});
        if let Some(name) = name {
            function["name"] = name.into();
        }
        delta(json!({"tool_calls": [{"index": 0, "function": function}]}))
    };
    let run = |chunks: &[String]| {
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        begun.answer(&filter, Some(StreamFormat::Sse), true, &chunks)
    };
    let words = delta(json!({"content": "let me see"}));
    let done = "data: [DONE]\n\n".to_owned();
    let (left, said) =
        run(&[words.clone(), call(Some("f"), ""), call(None, "{\"a\""), call(None, ":1}"), done.clone()]);
    assert!(said.is_ok(), "{said:?}");
    assert_eq!(left[0], words, "words are not held");
    assert!(left[1..5].iter().all(String::is_empty) && left[5].ends_with(&done), "{left:?}");
    for (chunks, code) in [
        (vec![words.clone(), call(Some("f"), "{\"b\":1}"), done.clone()], Code::SchemaResponse),
        (vec![words.clone(), call(Some("g"), "{\"a\":1}")], Code::SchemaResponse),
        (vec![words.clone(), call(Some("f"), "{\"a\":1")], Code::SchemaResponse),
        (vec![words.clone(), call(Some("f"), "{\"a\""), call(Some("g"), ":1}")], Code::SchemaResponse),
    ] {
        let (left, said) = run(&chunks);
        assert_eq!((left.concat(), said.unwrap_err().code), (words.clone(), code), "{chunks:?}");
    }
}

#[test]
fn what_a_stream_says_once_more_counts_once_more() {
    let filter = filter(vec![]);
    let body = json!({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object", "required": ["a"]}}}});
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/responses", &body).unwrap();
    let event = |event: Value| format!("data: {event}\n\n");
    let delta = event(
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "{\"a\":1}"}),
    );
    let done = |text: &str| {
        event(
            json!({"type": "response.completed", "response": {"output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}]}}),
        )
    };
    let run = |chunks: [&str; 2]| begun.answer(&filter, Some(StreamFormat::Sse), true, &chunks);
    assert!(run([&delta, &done("{\"a\":1}")]).1.is_ok());
    let (left, said) = run([&delta, &done("rm -rf")]);
    assert_eq!((left.concat(), said.unwrap_err().code), (String::new(), Code::SchemaResponse));
}

#[test]
fn errors_of_the_server_are_no_values() {
    let filter = filter(vec![]);
    let body = json!({"model": "m", "format": "json"});
    let begun = Exchange::begin(&filter, UpstreamKind::Ollama, "/api/generate", &body).unwrap();
    let (left, said) = begun.answer(&filter, None, false, &[r#"{"error":"no such model"}"#]);
    assert!(said.is_ok() && left.concat().contains("no such model"));
    let load = r#"{"response":"","done":true,"done_reason":"load"}"#;
    assert!(begun.answer(&filter, None, true, &[load]).1.is_ok());
    let broken = "{\"error\":\"out of memory\"}\n";
    assert!(begun.answer(&filter, Some(StreamFormat::Ndjson), true, &[broken]).1.is_ok());
}

#[test]
fn a_route_is_held_to_the_operator_s_schema() {
    let schema = |json: Value| Some(Arc::new(Schema::compile(&json).unwrap()));
    let own = RouteSchema {
        route: "ollama.generate".into(),
        request: schema(json!({"required": ["prompt"]})),
        answer: schema(json!({"required": ["response"], "properties": {"response": {"maxLength": 3}}})),
    };
    let filter = filter(vec![own]);
    let begin = |body: Value| Exchange::begin(&filter, UpstreamKind::Ollama, "/api/generate", &body);
    assert_eq!(begin(json!({"model": "m"})).err().unwrap().code, Code::SchemaRequest);
    let begun = begin(json!({"model": "m", "prompt": "p", "stream": false})).unwrap();
    assert!(begun.whole(&filter, &json!({"response": "yes"})).is_ok());
    assert_eq!(begun.whole(&filter, &json!({"response": "certainly"})), Err(Code::SchemaResponse));
    let (_, said) = begun.answer(&filter, None, true, &["{\"response\": "]);
    assert_eq!(said.unwrap_err().code, Code::SchemaNotJson);
}

/// A tool's answer of about this size, and what reads and judges it from its bytes on.
pub(crate) fn measured(size: usize) -> (String, impl FnMut(&Bytes)) {
    let tool = tool::of_route("llmesh.generate_code").unwrap().unwrap();
    let call = tool.ask(&Json::parse(request("generate_code").to_string().as_bytes()).unwrap(), false).unwrap();
    let mut answer = fine("generate_code");
    let line = "def add(a, b):\n    return a + b\n\n";
    answer["code"] = line.repeat(size / line.len()).into();
    answer["dependencies_added"] = json!(["requests==2.32.0", "flask==3.0.0"]);
    let judge = move |bytes: &Bytes| call.judge(&Json::parse(bytes).unwrap().to_value(), || true).unwrap();
    (answer.to_string(), judge)
}

/// What clients read under one key must not be made whole, or hidden, by what stands under another.
#[test]
fn decoys_and_odd_forms_do_not_leave() {
    let filter = filter(vec![]);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let (good, bad) = ("{\"n\":1}", "{\"n\":\"EVIL\"}");
    let form = json!({"type": "json_schema", "json_schema": {"schema": schema}});
    let chat = json!({"response_format": form});
    let native = json!({"prompt": "p", "json_schema": schema});
    let responses = json!({"text": {"format": {"type": "json_schema", "schema": schema}}});
    let ollama = json!({"model": "m", "format": schema});
    let (openai, llama) = ("/v1/chat/completions", "/completion");
    for (kind, path, body, answer) in [
        (
            UpstreamKind::LlamaCpp,
            openai,
            &chat,
            json!({"response": good, "choices": [{"message": {"content": {"n": "EVIL"}}}]}),
        ),
        (
            UpstreamKind::LlamaCpp,
            openai,
            &chat,
            json!({"response": good, "Choices": [{"message": {"content": "EVIL"}}]}),
        ),
        (UpstreamKind::LlamaCpp, llama, &native, json!({"type": "x", "content": bad, "response": good})),
        (UpstreamKind::OpenAi, "/v1/responses", &responses, json!({"output": [], "output_text": bad})),
        (
            UpstreamKind::LlamaCpp,
            openai,
            &chat,
            json!({"choices": [{"message": {"content": [{"type": "text", "text": good}, "EVIL"]}}]}),
        ),
        (UpstreamKind::Ollama, "/api/chat", &ollama, json!({"done_reason": "load", "Message": {"content": "EVIL"}})),
        (
            UpstreamKind::LlamaCpp,
            openai,
            &chat,
            json!({"choices": [{"index": 0, "message": {"content": "{\"n\":1,\"x\":"}}, {"index": 0, "message": {"content": "2}"}}]}),
        ),
        (
            UpstreamKind::LlamaCpp,
            llama,
            &native,
            json!([{"index": 0, "content": "{\"n\":1,\"x\":"}, {"index": 1, "content": "2}"}]),
        ),
    ] {
        let begun = Exchange::begin(&filter, kind, path, body).unwrap();
        assert_eq!(begun.whole(&filter, &answer), Err(Code::SchemaResponse), "{answer}");
    }
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, llama, &native).unwrap();
    assert!(begun.whole(&filter, &json!([{"index": 0, "content": good}, {"index": 1, "content": good}])).is_ok());
    assert_eq!(begun.answer(&filter, None, true, &[]).1.unwrap_err().code, Code::SchemaResponse, "nothing at all");
    // Of a stream, neither.
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, openai, &chat).unwrap();
    let frames = [
        json!({"choices": [{"index": 0, "text": "{\"n\":1,\"x\":"}]}),
        json!({"choices": [{"index": 0, "delta": {"content": bad}}]}),
        json!({"choices": [{"index": 0, "text": "}"}]}),
    ]
    .map(|frame| format!("data: {frame}\n\n"));
    let (left, said) = begun.answer(&filter, Some(StreamFormat::Sse), true, &frames.each_ref().map(String::as_str));
    assert_eq!((left.concat(), said.unwrap_err().code), (String::new(), Code::SchemaResponse));
}

#[test]
fn calls_in_any_form_must_be_offered() {
    let filter = filter(vec![]);
    let parameters = json!({"type": "object", "additionalProperties": false});
    let tool = json!([{"type": "function", "name": "rm", "function": {"name": "rm", "parameters": parameters}, "parameters": parameters}]);
    let offer = json!({"model": "m", "tools": tool});
    let call = json!({"function": {"name": "EVIL", "arguments": {}}});
    for (kind, path, answer) in [
        (UpstreamKind::Ollama, "/api/chat", json!({"message": {"content": "ok", "Tool_Calls": [call]}})),
        (UpstreamKind::Ollama, "/api/chat", json!({"Message": {"tool_calls": [call]}})),
        (UpstreamKind::OpenAi, "/v1/chat/completions", json!({"choices": [{"message": {"tool_calls": call}}]})),
        (UpstreamKind::OpenAi, "/v1/chat/completions", json!({"choices": [{"tool_calls": [call]}]})),
        (UpstreamKind::OpenAi, "/v1/chat/completions", json!({"tool_calls": [call]})),
        (
            UpstreamKind::OpenAi,
            "/v1/responses",
            json!({"output": [{"type": "Function_call", "name": "EVIL", "arguments": "{}"}]}),
        ),
        (
            UpstreamKind::OpenAi,
            "/v1/responses",
            json!({"output": [{"type": "custom_tool_call", "name": "EVIL", "input": "x"}]}),
        ),
        (UpstreamKind::OpenAi, "/v1/responses", json!({"output": [{"type": "local_shell_call", "action": {}}]})),
        (
            UpstreamKind::OpenAi,
            "/v1/messages",
            json!({"type": "Message", "content": [{"type": "tool_use", "name": "EVIL", "input": {}}]}),
        ),
        (
            UpstreamKind::OpenAi,
            "/v1/messages",
            json!({"type": "message", "content": [{"type": "computer_use", "name": "rm"}]}),
        ),
    ] {
        let begun = Exchange::begin(&filter, kind, path, &offer).unwrap();
        assert_eq!(begun.whole(&filter, &answer), Err(Code::SchemaResponse), "{answer}");
    }
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/responses", &offer).unwrap();
    let event = |event: Value| format!("data: {event}\n\n");
    let added = event(
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "name": "rm", "arguments": ""}}),
    );
    let done =
        event(json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{\"EVIL\":1}"}));
    let (left, said) = begun.answer(&filter, Some(StreamFormat::Sse), true, &[&added, &done]);
    assert_eq!((left.concat(), said.unwrap_err().code), (String::new(), Code::SchemaResponse));
    // Some servers number every call the same.
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/chat/completions", &offer).unwrap();
    let one = event(
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "rm", "arguments": "{}"}}]}}]}),
    );
    assert!(begun.answer(&filter, Some(StreamFormat::Sse), true, &[&one, &one]).1.is_ok());
    let none = json!({"tools": []});
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/chat/completions", &none).unwrap();
    assert_eq!(begun.answer(&filter, Some(StreamFormat::Sse), true, &[&one]).1.unwrap_err().code, Code::SchemaResponse);
}
