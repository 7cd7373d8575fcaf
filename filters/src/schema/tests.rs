use futures::FutureExt as _;
use portcullis_policies::StreamFormat;
use serde_json::{Value, json};

use super::*;
use crate::filter::Mode;
use crate::frame::Reading;
use crate::gate::{Eye, Gate};
use crate::testkit::{Deaf, head};

mod beside;
mod decoys;
mod pieces;
mod requested;

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
        self.read(filter, stream.map_or(Reading::Json, Reading::of), stream, success, chunks)
    }

    /// As [`Exchange::answer`], of an answer that is read like this.
    fn read(
        &self,
        filter: &SchemaFilter,
        reading: Reading,
        stream: Option<StreamFormat>,
        success: bool,
        chunks: &[&str],
    ) -> (Vec<String>, Result<(), Refusal>) {
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
            let mut cut = wrap("{\"code\": \"x".to_owned());
            match cut.get_mut("choices") {
                Some(choices) => choices[0]["finish_reason"] = "length".into(),
                None => cut["done_reason"] = "length".into(),
            }
            let no = begun.answer(&filter, None, true, &[&cut.to_string()]).1.unwrap_err();
            assert_eq!((no.code, no.lasting), (Code::SchemaNotJson, true), "{tool}");
            assert!(no.message.contains("was cut off"), "{tool}: {}", no.message);
            let (_, said) = begun.answer(&filter, None, false, &[r#"{"error":"model not found"}"#]);
            assert_eq!(said.unwrap_err().code, Code::UpstreamInvalid, "an error is no answer");
        }
    }
    let none = SchemaFilter::new(SchemaSettings::default(), Arc::default(), Arc::default());
    let no = Exchange::begin(&none, UpstreamKind::Ollama, "/tools/review_code", &request("review_code")).err().unwrap();
    assert_eq!(no.code, Code::PolicyNoRoute);
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

/// Another filter's eye, which asks outside and hears nothing good.
struct Unreachable(bool);

impl Watch for Unreachable {
    fn frame(&mut self, _: u64, _: &crate::frame::Frame<'_>) -> Outcome<Bytes> {
        Ok(Verdict::Pass)
    }

    fn asks(&mut self) -> Option<futures::future::BoxFuture<'static, ()>> {
        std::mem::take(&mut self.0).then(|| std::future::ready(()).boxed())
    }

    fn told(&mut self) -> Result<Option<Refusal>, FilterError> {
        Ok(Some(Refusal::internal("sca", "nobody answers")))
    }
}

#[test]
fn an_answer_that_did_not_leave_used_no_nonce_up() {
    for tool in TOOLS {
        let filter = filter(vec![]);
        let path = format!("/tools/{tool}");
        let begun = Exchange::begin(&filter, UpstreamKind::LlMesh, &path, &request(tool)).unwrap();
        let shape = AnswerShape {
            stream: None,
            reading: Reading::Json,
            frame_bytes: 4 << 20,
            held_bytes: 1 << 20,
            success: true,
        };
        let watch = filter.watch(&begun.head, &begun.facts, &shape).unwrap().unwrap();
        let eyes =
            vec![Eye::new("schema", Mode::Enforce, watch), Eye::new("sca", Mode::Enforce, Box::new(Unreachable(true)))];
        let (mut gate, mut out) = (Gate::new(eyes, shape, Arc::new(Deaf)), Vec::new());
        gate.push(fine(tool).to_string().as_bytes(), &mut out).unwrap();
        assert!(gate.finish(&mut out).now_or_never().unwrap().is_err() && out.is_empty());
        assert_eq!(begun.whole(&filter, &fine(tool)), Ok(fine(tool)), "the same nonce is asked with again");
        assert_eq!(begun.whole(&filter, &fine(tool)), Err(Code::SchemaReplayed));
    }
}

#[test]
fn in_shadow_mode_the_path_stays_with_the_body() {
    for (mode, target) in [(Mode::Enforce, Some("/api/chat")), (Mode::Shadow, None)] {
        let member = crate::chain::Member { filter: Arc::new(filter(vec![])), mode };
        let chain = crate::chain::Chain::new(vec![member], std::time::Duration::from_secs(60), Arc::new(Deaf)).unwrap();
        let head = head(UpstreamKind::Ollama, "POST", "/tools/review_code");
        let body: Bytes = request("review_code").to_string().into();
        let judged = async {
            let admitted = chain.admit(head).await.unwrap();
            chain.clear(admitted, crate::exchange::Content::plain(body.clone())).await.unwrap()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let cleared = runtime.block_on(judged);
        assert_eq!(cleared.facts().target(), target);
        assert_eq!(*cleared.body() == body, mode == Mode::Shadow);
    }
}
