use super::*;
use crate::testkit::head;
use portcullis_policies::routes::{Found, builtin};
use portcullis_policies::{Grants, Identity, IdentityMethod, UpstreamKind};

fn facts() -> Facts {
    let mut facts = Facts::default();
    let caller = Caller { name: Some("alice".into()), ..Caller::new(Identity::peer("abc"), IdentityMethod::Mtls) };
    facts.set_caller(caller).unwrap();
    facts
}

/// No grants, at the beginning of time.
struct Nothing;

impl GrantView for Nothing {
    fn grants(&self) -> Arc<Grants> {
        Arc::default()
    }

    fn now(&self) -> i64 {
        0
    }
}

fn filter() -> PolicyFilter {
    let text = "version: 1\nrules:\n  - {name: r, effect: allow, who: ['*'], classes: [inference, read], models: ['tiny', 'llama3*']}\nlimits:\n  num_ctx: {max: 4096}\n";
    PolicyFilter::new(Arc::new(Policy::parse(text, "p.yaml").unwrap()), Arc::new(Nothing))
}

/// Judges a whole request; what goes on, or the code.
fn judge(kind: UpstreamKind, path: &str, body: &str) -> Result<String, &'static str> {
    let head = head(kind, "POST", path);
    let (filter, mut facts) = (filter(), facts());
    let body: Bytes = body.as_bytes().to_vec().into();
    let json = match Json::parse(&body) {
        Ok(json) => json,
        Err(_) => return Err("request.malformed"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        if let Verdict::Block(no) = filter.head(&head, &mut facts).await.unwrap() {
            return Err(no.code.as_str());
        }
        let request = Request { head: &head, body: &body, json: Some(&json) };
        match filter.body(&request, &mut facts).await.unwrap() {
            Verdict::Pass => Ok(String::from_utf8(body.to_vec()).unwrap()),
            Verdict::Replace(new) => Ok(String::from_utf8(new.to_vec()).unwrap()),
            Verdict::Block(no) => Err(no.code.as_str()),
        }
    })
}

fn chat(body: &str) -> Result<String, &'static str> {
    judge(UpstreamKind::Ollama, "/api/chat", body)
}

#[test]
fn rule_03_only_exact_keys_count() {
    for body in [
        r#"{"model":"tiny","MODEL":"secret"}"#,
        r#"{"Model":"tiny"}"#,
        "{\"model\":\"tiny\",\"\u{17f}tream\":true}",
        "{\"model\":\"tiny\",\"\u{212a}eep_alive\":0}",
        r#"{"model":"tiny","MESSAGES":[]}"#,
        r#"{"model":"tiny","options":{"NUM_CTX":1}}"#,
    ] {
        assert_eq!(chat(body), Err("request.malformed"), "{body}");
    }
}

#[test]
fn rule_05_the_canonical_name_is_judged_and_goes_on() {
    for body in [
        r#"{"model":"Tiny"}"#,
        r#"{"model":" tiny "}"#,
        r#"{"model":"registry.ollama.ai/library/tiny"}"#,
        r#"{"name":"tiny"}"#,
    ] {
        assert!(chat(body).unwrap().contains(r#""tiny:latest""#), "{body}");
    }
    assert_eq!(chat(r#"{"model":"tiny:latest"}"#).unwrap(), r#"{"model":"tiny:latest"}"#);
    assert_eq!(chat(r#"{"model":"other"}"#), Err("policy.model_denied"));
    assert_eq!(chat(r#"{"model":"tiny","name":"llama3"}"#), Err("policy.field_denied"));
    assert_eq!(chat(r#"{"model":"tiny","name":"other"}"#), Err("policy.model_denied"));
    assert_eq!(chat(r#"{"model":"","name":"other"}"#), Err("policy.model_denied"));
    assert_eq!(chat(r#"{"model":"","name":"tiny"}"#).unwrap(), r#"{"model":"","name":"tiny:latest"}"#);
    assert_eq!(chat(r#"{"model":" ","name":""}"#), Err("schema.request"));
    assert_eq!(chat(r#"{"model":7}"#), Err("schema.request"));
    assert_eq!(chat("{}"), Err("schema.request"));
    assert_eq!(chat("[]"), Err("schema.request"));
}

#[test]
fn every_spelling_of_a_cloud_model_is_refused() {
    for name in [
        "tiny:cloud",
        "TINY:CLOUD",
        "llama3:120b-cloud",
        "llama3:120B-Cloud",
        "library/tiny:cloud",
        "https://registry.ollama.ai/library/tiny:cloud",
        "tiny:cloud ",
        "llama3-cloud",
    ] {
        assert_eq!(chat(&format!("{{\"model\":{name:?}}}")), Err("policy.egress_denied"), "{name}");
    }
}

#[test]
fn rule_06_models_count_wherever_they_stand() {
    let filter = filter();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let path = head(UpstreamKind::Ollama, "GET", "/v1/models/TINY");
    let mut known = facts();
    assert!(matches!(runtime.block_on(filter.head(&path, &mut known)).unwrap(), Verdict::Pass));
    assert_eq!(known.target(), Some("/v1/models/tiny:latest"));
    let other = head(UpstreamKind::Ollama, "GET", "/v1/models/other");
    assert!(matches!(runtime.block_on(filter.head(&other, &mut facts())).unwrap(), Verdict::Block(_)));
}

#[test]
fn rule_07_every_alias_is_judged_alike() {
    for path in [
        "/completion",
        "/completions",
        "/v1/completions",
        "/chat/completions",
        "/v1/chat/completions",
        "/v1/messages",
        "/responses",
        "/v1/responses",
        "/infill",
        "/embedding",
        "/embeddings",
        "/v1/embeddings",
        "/rerank",
        "/v1/reranking",
        "/tokenize",
        "/apply-template",
    ] {
        assert_eq!(judge(UpstreamKind::LlamaCpp, path, r#"{"model":"other"}"#), Err("policy.model_denied"), "{path}");
        assert!(judge(UpstreamKind::LlamaCpp, path, r#"{"model":"tiny"}"#).is_ok(), "{path}");
    }
}

#[test]
fn rule_09_reading_routes_take_no_commands() {
    let mut list = head(UpstreamKind::LlamaCpp, "GET", "/models");
    list.query = vec![("reload".to_owned(), "1".to_owned())];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let said = runtime.block_on(filter().head(&list, &mut facts())).unwrap();
    assert!(matches!(said, Verdict::Block(no) if no.code == Code::PolicyFieldDenied));
}

#[test]
fn fields_are_held_to_their_bounds() {
    let goes_on = |body: &str| -> serde_json::Value { serde_json::from_str(&chat(body).unwrap()).unwrap() };
    let body = goes_on(
        r#"{"model":"tiny","options":{"num_ctx":999999,"num_predict":-1,"num_gpu":99,"temperature":0.5},"keep_alive":-1,"unknown":1}"#,
    );
    assert_eq!(body["options"]["num_ctx"], 4096, "the policy's limit");
    assert_eq!(body["options"]["num_predict"], 32768, "without end becomes the most");
    assert_eq!(body["options"]["temperature"], 0.5);
    assert!(body["options"].get("num_gpu").is_none() && body.get("unknown").is_none());
    assert_eq!(body["keep_alive"], "3600s");
    assert_eq!(goes_on(r#"{"model":"tiny","keep_alive":0}"#)["keep_alive"], "1s");
    assert_eq!(chat(r#"{"model":"tiny","_debug_render_only":true}"#), Err("policy.field_denied"));
    assert_eq!(chat(r#"{"model":"tiny","stream":"yes"}"#), Err("schema.request"));
    let llama = |body: &str| judge(UpstreamKind::LlamaCpp, "/completion", body);
    assert_eq!(llama(r#"{"prompt":"x","n_discard":-1}"#), Err("schema.request"), "CVE-2026-21869");
    assert_eq!(llama(r#"{"prompt":"x","lora":[]}"#), Err("policy.field_denied"));
    assert_eq!(llama(r#"{"prompt":"x","id_slot":1}"#), Err("schema.request"));
    assert!(llama(r#"{"model":"tiny","prompt":"x","n_predict":-1}"#).unwrap().contains("32768"));
    // Without a name the server picks the model, and not every one is granted.
    assert_eq!(llama(r#"{"prompt":"x"}"#), Err("policy.model_denied"));
    assert_eq!(llama(r#"{"model":null,"prompt":"x"}"#), Err("policy.model_denied"));
}

#[test]
fn routes_outside_the_grant_are_refused() {
    for (path, code) in [
        ("/api/pull", "policy.route_denied"),
        ("/api/create", "policy.route_denied"),
        ("/api/push", "policy.egress_denied"),
        ("/api/experimental/web_search", "policy.egress_denied"),
    ] {
        assert_eq!(judge(UpstreamKind::Ollama, path, r#"{"model":"tiny"}"#), Err(code), "{path}");
    }
}

#[test]
fn rule_02_unknown_routes_and_methods_are_none() {
    let table = builtin(UpstreamKind::Ollama);
    assert!(matches!(table.find("POST", "/api/nonsense"), Found::Unknown));
    assert!(matches!(table.find("GET", "/api/chat"), Found::WrongMethod));
    assert!(matches!(table.find("POST", "/API/chat"), Found::Unknown));
    assert!(matches!(table.find("POST", "/debug/pprof"), Found::Unknown));
    assert!(matches!(builtin(UpstreamKind::LlamaCpp).find("POST", "/predict"), Found::Unknown));
}

#[test]
fn every_known_route_has_its_class() {
    use UpstreamKind::{LlamaCpp, Ollama};
    for (kind, method, path, class) in [
        (Ollama, "GET", "/", "public"),
        (Ollama, "GET", "/api/version", "read"),
        (Ollama, "GET", "/api/tags", "read"),
        (Ollama, "GET", "/api/ps", "read"),
        (Ollama, "POST", "/api/show", "read"),
        (Ollama, "POST", "/api/generate", "inference"),
        (Ollama, "POST", "/api/chat", "inference"),
        (Ollama, "POST", "/api/embed", "inference"),
        (Ollama, "POST", "/api/embeddings", "inference"),
        (Ollama, "POST", "/api/pull", "admin"),
        (Ollama, "POST", "/api/push", "egress"),
        (Ollama, "POST", "/api/create", "admin"),
        (Ollama, "POST", "/api/copy", "admin"),
        (Ollama, "DELETE", "/api/delete", "admin"),
        (Ollama, "POST", "/api/blobs/sha256:00", "admin"),
        (Ollama, "HEAD", "/api/blobs/sha256:00", "sensitive"),
        (Ollama, "POST", "/api/me", "egress"),
        (Ollama, "POST", "/api/signout", "admin"),
        (Ollama, "DELETE", "/api/user/keys/x", "admin"),
        (Ollama, "POST", "/api/experimental/web_fetch", "egress"),
        (Ollama, "POST", "/v1/chat/completions", "inference"),
        (Ollama, "POST", "/v1/responses", "inference"),
        (Ollama, "POST", "/v1/messages", "inference"),
        (Ollama, "POST", "/v1/audio/transcriptions", "inference"),
        (Ollama, "GET", "/v1/models", "read"),
        (LlamaCpp, "GET", "/health", "public"),
        (LlamaCpp, "GET", "/metrics", "sensitive"),
        (LlamaCpp, "GET", "/props", "sensitive"),
        (LlamaCpp, "POST", "/props", "admin"),
        (LlamaCpp, "GET", "/slots", "sensitive"),
        (LlamaCpp, "POST", "/slots/0", "admin"),
        (LlamaCpp, "POST", "/models/load", "admin"),
        (LlamaCpp, "DELETE", "/models", "admin"),
        (LlamaCpp, "POST", "/lora-adapters", "admin"),
        (LlamaCpp, "GET", "/v1/stream", "sensitive"),
        (LlamaCpp, "POST", "/tools", "admin"),
        (LlamaCpp, "GET", "/cors-proxy", "egress"),
        (LlamaCpp, "POST", "/v1/systemone", "inference"),
        (LlamaCpp, "POST", "/v1/messages/count_tokens", "read"),
    ] {
        let Found::Route(route) = builtin(kind).find(method, path) else { panic!("{method} {path}") };
        assert_eq!(route.class.as_str(), class, "{method} {path}");
    }
    assert!(builtin(Ollama).iter().count() >= 28 && builtin(LlamaCpp).iter().count() >= 50);
    assert!(builtin(UpstreamKind::OpenAi).iter().count() >= 8 && builtin(UpstreamKind::Mcp).iter().count() == 0);
}

#[test]
fn lists_show_what_is_granted() {
    let list = head(UpstreamKind::Ollama, "GET", "/api/tags");
    let (filter, mut facts) = (filter(), facts());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(matches!(runtime.block_on(filter.head(&list, &mut facts)).unwrap(), Verdict::Pass));
    let reading = crate::frame::Reading::Json;
    let shape = AnswerShape { stream: None, reading, frame_bytes: 1 << 20, held_bytes: 1 << 20, success: true };
    let mut watch = filter.watch(&list, &facts, &shape).unwrap().unwrap();
    let raw: Bytes = r#"{"models":[{"name":"tiny:latest","model":"tiny:latest"},{"name":"secret:7b","model":"secret:7b"},{"name":"tiny:latest","model":"secret"},{"name":"llama3:x-cloud"},{}],"x":1}"#.into();
    let said =
        crate::frame::with_frame(&raw, crate::frame::Reading::Json, |frame| watch.frame(0, frame)).unwrap().unwrap();
    let Verdict::Replace(shown) = said else { panic!("the list is filtered") };
    assert_eq!(shown, r#"{"models":[{"name":"tiny:latest","model":"tiny:latest"}],"x":1}"#);
}

#[test]
fn one_request_has_one_prompt() {
    use portcullis_policies::routes::builtin;
    let found = builtin(UpstreamKind::LlamaCpp).find("POST", "/completion");
    let portcullis_policies::routes::Found::Route(route) = found else { panic!("no route") };
    let table = route.fields.as_ref().unwrap();
    for (prompt, fine) in [
        (r#""x""#, true),
        ("[1, 2, 3]", true),
        (r#"[1, "x", 2]"#, true),
        (r#"["x"]"#, true),
        (r#"{"prompt_string": "x", "multimodal_data": []}"#, true),
        (r#"["x", "y"]"#, false),
        ("[[1, 2], [3]]", false),
        (r#"["x", [1]]"#, false),
        ("7", false),
    ] {
        let body = format!(r#"{{"prompt": {prompt}}}"#);
        let json = crate::json::Json::parse(body.as_bytes()).unwrap();
        let limits = Limits { fields: &[], bounds: Bounds::default() };
        assert_eq!(schema::check(&json, table, limits).is_ok(), fine, "{prompt}");
    }
    let json = crate::json::Json::parse(br#"{"prompt": "x", "n_cmpl": 4, "n_predict": 50}"#).unwrap();
    let bounds = Bounds { max_tokens: Some(100), ..Bounds::default() };
    let edits = schema::check(&json, table, Limits { fields: &[], bounds }).unwrap();
    assert_eq!(edits.len(), 1, "several answers would be several times the tokens: {edits:?}");
}
