use super::*;
use crate::exchange::{Presented, Quota};
use crate::json::Json;
use crate::verdict::{Code, Refusal};
use bytes::Bytes;
use http::{HeaderMap, Method};
use portcullis_policies::model::ModelName;
use portcullis_policies::routes::{Found, builtin};
use portcullis_policies::{Identity, IdentityMethod, UpstreamKind};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// A clock that stands still: nothing flows in during a test.
struct Still;

impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::from_secs(1)
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn head(method: &str, path: &str) -> Head {
    let Found::Route(route) = builtin(UpstreamKind::Ollama).find(method, path) else { panic!("{path} is no route") };
    Head {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        path: path.to_owned(),
        query: vec![],
        headers: HeaderMap::new(),
        route: Arc::clone(route),
        upstream: UpstreamKind::Ollama,
        server: "local".into(),
        presented: Presented { address: IpAddr::V4(Ipv4Addr::LOCALHOST), certificate: None, client: None },
        credentials: Default::default(),
        content: None,
    }
}

fn caller(name: &str) -> Caller {
    Caller::new(Identity::peer(name), IdentityMethod::Mtls)
}

fn limits(requests: &str, tokens: &str, concurrent: u32) -> Limits {
    Limits { requests: requests.parse().ok(), tokens: tokens.parse().ok(), concurrent: Some(concurrent) }
}

fn filter(settings: RateLimitSettings) -> RateLimit {
    RateLimit::new(settings, Arc::new(Memory::with_clock(Box::new(Still), [])))
}

/// One exchange up to the moment at which the upstream would be asked; what it holds, or the refusal.
fn run(filter: &RateLimit, who: Caller, path: &str, body: &str, quotas: &[Quota]) -> Result<Facts, Refusal> {
    let head = head(if body.is_empty() { "GET" } else { "POST" }, path);
    let mut facts = Facts::default();
    facts.set_caller(who).unwrap();
    let body: Bytes = body.as_bytes().to_vec().into();
    let json = (!body.is_empty()).then(|| Json::parse(&body).unwrap());
    block_on(async {
        if let Verdict::Block(no) = filter.head(&head, &mut facts).await.unwrap() {
            return Err(no);
        }
        facts.set_model(ModelName::canonical("tiny", UpstreamKind::Ollama).unwrap()).unwrap();
        facts.set_streams(true).unwrap();
        quotas.iter().for_each(|quota| facts.add_quota(quota.clone()));
        let request = Request { head: &head, body: &body, json: json.as_ref() };
        match filter.account(&request, &mut facts).await.unwrap() {
            Verdict::Block(no) => Err(no),
            _ => Ok(facts),
        }
    })
}

fn chat(filter: &RateLimit, who: &str, most: u64) -> Result<Facts, Refusal> {
    run(filter, caller(who), "/api/chat", &format!(r#"{{"model":"tiny","options":{{"num_predict":{most}}}}}"#), &[])
}

#[test]
fn every_limit_has_its_code_its_words_and_its_time() {
    let by = |limits| filter(RateLimitSettings { caller: limits, answer_tokens: 512, ..Default::default() });
    let f = by(limits("1/m", "", 9));
    chat(&f, "a", 10).unwrap();
    let no = chat(&f, "a", 10).unwrap_err();
    assert_eq!((no.code, no.retry_after), (Code::RateLimitRequests, Some(60)));
    assert_eq!(no.message, "the limit of 1 requests per minute for one caller is reached");
    chat(&f, "b", 10).unwrap();

    let f = by(limits("", "100/m", 9));
    let held = chat(&f, "a", 70).unwrap();
    let no = chat(&f, "a", 70).unwrap_err();
    assert_eq!(no.code, Code::RateLimitTokens);
    assert!(no.retry_after.unwrap() > 30, "{no:?}");
    held.settle(Usage { input: 3, output: 5 });
    chat(&f, "a", 70).unwrap();

    let f = by(limits("", "", 1));
    let held = chat(&f, "a", 10).unwrap();
    assert_eq!(chat(&f, "a", 10).unwrap_err().code, Code::RateLimitConcurrent);
    chat(&f, "b", 10).unwrap();
    drop(held);
    chat(&f, "a", 10).unwrap();
}

#[test]
fn models_and_everybody_together_are_limited_too() {
    let f = filter(RateLimitSettings { model: limits("", "", 1), ..Default::default() });
    let _held = chat(&f, "a", 10).unwrap();
    let no = chat(&f, "b", 10).unwrap_err();
    assert!(no.message.contains("for this model"), "{}", no.message);
    let f = filter(RateLimitSettings { global: limits("2/h", "", 9), ..Default::default() });
    chat(&f, "a", 10).unwrap();
    chat(&f, "b", 10).unwrap();
    let no = chat(&f, "c", 10).unwrap_err();
    assert!(no.message.contains("for all callers together"), "{}", no.message);
}

#[test]
fn reads_are_requests_and_nothing_else() {
    let f = filter(RateLimitSettings { caller: limits("3/m", "1/d", 1), answer_tokens: 512, ..Default::default() });
    let _one = run(&f, caller("a"), "/api/tags", "", &[]).unwrap();
    let _two = run(&f, caller("a"), "/api/tags", "", &[]).unwrap();
    chat(&f, "a", 1).unwrap();
    assert_eq!(run(&f, caller("a"), "/api/tags", "", &[]).unwrap_err().code, Code::RateLimitRequests);
}

#[test]
fn a_quota_is_one_more_limit_and_counts_once() {
    let f = filter(RateLimitSettings::default());
    let quota =
        Quota { key: "key:ci".to_owned(), requests: None, tokens: None, concurrent: Some(1), budget: Some(1000) };
    let body = r#"{"model":"tiny","options":{"num_predict":100}}"#;
    let ask = |quotas: &[Quota]| run(&f, caller("a"), "/api/chat", body, quotas);
    let held = ask(&[quota.clone(), quota.clone()]).unwrap();
    assert_eq!(ask(std::slice::from_ref(&quota)).unwrap_err().code, Code::RateLimitConcurrent);
    held.settle(Usage { input: 400, output: 560 });
    drop(held);
    let no = ask(std::slice::from_ref(&quota)).unwrap_err();
    assert_eq!(no.code, Code::RateLimitTokens, "a debt of an answer that was longer than it had said");
    assert!(no.message.contains("the budget of 1000 tokens"), "{}", no.message);
    let many = vec![quota; MAX_QUOTAS + 1];
    let head = head("POST", "/api/chat");
    let mut facts = Facts::default();
    many.into_iter().for_each(|quota| facts.add_quota(quota));
    let request = Request { head: &head, body: &Bytes::new(), json: None };
    assert!(block_on(f.account(&request, &mut facts)).is_err(), "more than can be counted");
}

#[test]
fn rights_that_are_passed_on_bring_no_second_allowance() {
    let f = filter(RateLimitSettings { caller: limits("1/m", "", 9), ..Default::default() });
    let passed = |name: &str| Caller { delegator: Some(Arc::new(caller("owner"))), ..caller(name) };
    run(&f, passed("one"), "/api/tags", "", &[]).unwrap();
    assert_eq!(run(&f, passed("two"), "/api/tags", "", &[]).unwrap_err().code, Code::RateLimitRequests);
    assert_eq!(run(&f, caller("owner"), "/api/tags", "", &[]).unwrap_err().code, Code::RateLimitRequests);
}

#[test]
fn what_nobody_counted_is_charged_as_it_was_estimated() {
    let head = head("POST", "/api/chat");
    let body: Bytes = format!(r#"{{"n":2,"max_tokens":7,"pad":"{}"}}"#, "x".repeat(1000)).into();
    let json = Json::parse(&body).unwrap();
    let request = Request { head: &head, body: &body, json: Some(&json) };
    let whole = Estimate::of(&request, false, 512);
    assert_eq!((whole.prompt, whole.answer), (body.len() as u64 / 4, 14));
    assert_eq!(whole.charge(Usage::default()), whole.total());
    assert_eq!(whole.charge(Usage { input: 9, output: 3 }), 12);
    let streamed = Estimate::of(&request, true, 512);
    assert_eq!(streamed.charge(Usage { input: 0, output: 3 }), streamed.prompt + 3, "three frames were seen");
}
