//! What the `ratelimit` filter costs: `cargo bench -p portcullis-filters --bench ratelimit`.
//!
//! The same exchanges go through a chain with the filter and one without it, in turns, so that a busy
//! machine slows both down; the best turn of each counts.

#![allow(clippy::expect_used, reason = "a benchmark that breaks must stop")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use portcullis_filters::chain::{Chain, Member, Observer};
use portcullis_filters::dialect::Usage;
use portcullis_filters::exchange::{Caller, Content, Credentials, Facts, Head, Presented};
use portcullis_filters::firewall::{FindingObserver, Fingerprints, Firewall, FirewallSettings};
use portcullis_filters::policy::{GrantView, PolicyFilter};
use portcullis_filters::ratelimit::{Limits, Memory, RateLimit, RateLimitSettings};
use portcullis_filters::{Code, Filter, Mode, Outcome, Phase, Verdict};
use portcullis_firewall::Rules;
use portcullis_policies::policy::{DEFAULT, Policy};
use portcullis_policies::routes::{Found, builtin};
use portcullis_policies::{DataLevel, Grants, Identity, IdentityMethod, Rate, UpstreamKind};

const TURNS: usize = 40;
const EXCHANGES: u32 = 2_000;
const CALLERS: u32 = 1_000;

/// Knows everybody.
struct Known;

#[async_trait]
impl Filter for Known {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Head]
    }

    async fn head(&self, head: &Head, facts: &mut Facts) -> Outcome<()> {
        let identity = Identity::peer(head.presented.client.as_deref().unwrap_or_default());
        facts.set_caller(Caller::new(identity, IdentityMethod::Mtls))?;
        Ok(Verdict::Pass)
    }
}

struct Quiet;

impl Observer for Quiet {
    fn ran(&self, _: &'static str, _: Phase, _: Duration) {}
    fn panicked(&self, _: &'static str) {}
    fn shadowed(&self, _: &'static str, _: Code) {}
}

impl FindingObserver for Quiet {
    fn found(&self, _: &str, _: DataLevel, _: &'static str) {}
}

impl GrantView for Quiet {
    fn grants(&self) -> Arc<Grants> {
        Arc::default()
    }

    fn now(&self) -> i64 {
        0
    }
}

fn main() {
    let settings = FirewallSettings::default();
    let rules = Arc::new(Rules::load(true, &[], &settings.selection()).expect("rules"));
    let prints = Fingerprints::new(b"a key").expect("a key");
    let firewall: Arc<dyn Filter> =
        Arc::new(Firewall::new(settings, rules, prints, Arc::new(Quiet)).expect("a firewall"));
    let policy = Arc::new(Policy::parse(DEFAULT, "built in").expect("a policy"));
    let policy: Arc<dyn Filter> = Arc::new(PolicyFilter::new(policy, Arc::new(Quiet)));
    let rate = Some(Rate { count: 1 << 40, per: Duration::from_secs(60) });
    let all = Limits { requests: rate, tokens: rate, concurrent: Some(1_000_000) };
    let usual = RateLimitSettings { caller: all, answer_tokens: 512, ..RateLimitSettings::default() };
    let limits = |settings| -> Arc<dyn Filter> { Arc::new(RateLimit::new(settings, Arc::new(Memory::new([])))) };
    let chain = |filters: Vec<Arc<dyn Filter>>| {
        let members = filters.into_iter().map(|filter| Member { filter, mode: Mode::Enforce }).collect();
        Chain::new(members, Duration::from_secs(5), Arc::new(Quiet)).expect("a chain")
    };
    let without = chain(vec![Arc::new(Known), Arc::clone(&policy), Arc::clone(&firewall)]);
    let each = RateLimitSettings { model: all, global: all, ..usual };
    let [usual, each] = [usual, each]
        .map(|settings| chain(vec![Arc::new(Known), limits(settings), Arc::clone(&policy), Arc::clone(&firewall)]));

    let Found::Route(route) = builtin(UpstreamKind::Ollama).find("POST", "/api/chat") else { return };
    let text = "A prompt of about a thousand bytes, as people write them. ".repeat(17);
    let body: Bytes =
        format!(r#"{{"model":"llama3:latest","messages":[{{"role":"user","content":"{text}"}}]}}"#).into();
    let head = |number: u32| Head {
        method: Method::POST,
        path: "/api/chat".to_owned(),
        query: vec![],
        headers: HeaderMap::new(),
        route: Arc::clone(route),
        upstream: UpstreamKind::Ollama,
        server: "local".into(),
        presented: Presented {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            certificate: None,
            client: Some(format!("caller-{}", number % CALLERS)),
        },
        credentials: Credentials::default(),
        content: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let turn = |chain: &Chain| {
        let heads: Vec<_> = (0..EXCHANGES).map(head).collect();
        let began = Instant::now();
        runtime.block_on(async {
            for head in heads {
                let admitted = chain.admit(head).await.expect("it is let in");
                let cleared = chain.clear(admitted, Content::plain(body.clone())).await.expect("it is let through");
                cleared.facts().settle(Usage { input: 250, output: 100 });
                black_box(cleared);
            }
        });
        began.elapsed() / EXCHANGES
    };
    let mut best = [Duration::MAX; 3];
    for _ in 0..TURNS {
        for (best, chain) in best.iter_mut().zip([&without, &usual, &each]) {
            *best = turn(chain).min(*best);
        }
    }
    let [without, usual, each] = best;
    println!("one exchange, 1 KB, without limits: {without:?}");
    for (what, with) in [("a caller's three limits", usual), ("those, a model's and everybody's", each)] {
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        println!("with {what}: {with:?}, {:?} more, ratio {ratio:.3}", with.saturating_sub(without));
    }
}
