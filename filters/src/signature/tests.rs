use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use portcullis_policies::routes::{self, Found};
use portcullis_policies::{Identity, IdentityMethod, UpstreamKind};
use portcullis_signatures::{Scheme, SecretKey, SignOptions, Target, sign_llmesh, sign_request};

use super::*;
use crate::exchange::{Caller, Content, Credentials, Presented};
use crate::store::{Unavailable, WallClock};

const NOW: i64 = 1_800_000_000;
const BODY: &[u8] = b"{}";

struct Stopped(i64);

impl WallClock for Stopped {
    fn now_ms(&self) -> i64 {
        self.0
    }
}

/// A store that says what it is told to say, and remembers whom it was asked about.
struct Told(Result<Claimed, Unavailable>, Mutex<Vec<(String, Vec<u8>)>>);

#[async_trait]
impl Nonces for Told {
    async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, Unavailable> {
        self.1.lock().unwrap().push((claim.node.to_owned(), claim.nonce.to_vec()));
        self.0.clone()
    }
}

fn told(says: Result<Claimed, Unavailable>) -> Arc<Told> {
    Arc::new(Told(says, Mutex::default()))
}

fn verifier(now_ms: i64, schemes: &[Scheme]) -> Arc<Verifier> {
    let settings =
        SignatureSettings { schemes: schemes.to_vec(), window: Duration::from_secs(30), audience_required: false };
    Arc::new(Verifier::new(settings, "peer:gate".to_owned(), Arc::new(Stopped(now_ms))))
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

/// A request that was signed at this second.
fn signed(scheme: Scheme, created: i64) -> Head {
    let mut headers = HeaderMap::new();
    let target = Target { method: "POST", https: true, authority: "localhost", path: "/api/chat", query: None };
    match scheme {
        Scheme::Rfc9421 => {
            let options = SignOptions { created, ..SignOptions::default() };
            sign_request(&key(), &target, &mut headers, BODY, &options).map(drop).unwrap();
        }
        Scheme::Llmesh => {
            sign_llmesh(&key(), &target, &mut headers, BODY, created * 1000, true).unwrap();
        }
    }
    head(Signature::read(&target, &headers))
}

fn head(signature: Option<Signature>) -> Head {
    let Found::Route(route) = routes::builtin(UpstreamKind::Ollama).find("POST", "/api/chat") else {
        panic!("no route");
    };
    Head {
        method: Method::POST,
        path: "/api/chat".to_owned(),
        query: vec![],
        headers: HeaderMap::new(),
        route: Arc::clone(route),
        upstream: UpstreamKind::Ollama,
        server: "local".into(),
        presented: Presented { address: IpAddr::from([127, 0, 0, 1]), certificate: None, client: None },
        credentials: Credentials { signature, ..Credentials::default() },
        content: Some(Content::plain(Bytes::from_static(BODY)).digest),
    }
}

/// Waits for what answers at once.
fn now<T>(call: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(call)
}

fn ask(filter: &SignatureFilter, head: &Head, facts: &mut Facts) -> Option<Refusal> {
    match now(filter.head(head, facts)).unwrap() {
        Verdict::Block(refusal) => Some(refusal),
        _ => None,
    }
}

fn filter(now_ms: i64, says: Result<Claimed, Unavailable>) -> SignatureFilter {
    let verifier = verifier(now_ms, &[Scheme::Rfc9421, Scheme::Llmesh]);
    SignatureFilter::new(Require::Peers, verifier, told(says))
}

#[test]
fn a_signature_is_good_inside_its_window_alone() {
    for scheme in [Scheme::Rfc9421, Scheme::Llmesh] {
        for (off, fine) in [(0, true), (30_000, true), (-30_000, true), (30_001, false), (-30_001, false)] {
            let filter = filter(NOW * 1000 + off, Ok(Claimed::Fresh));
            let mut facts = Facts::default();
            let refused = ask(&filter, &signed(scheme, NOW), &mut facts).map(|refusal| refusal.code);
            assert_eq!(refused, (!fine).then_some(Code::SignatureStale), "{scheme:?} {off} ms");
            assert_eq!(facts.signed().is_some(), fine);
        }
    }
}

#[test]
fn what_the_store_says_counts_and_no_answer_is_a_no() {
    let away = |after| Err(Unavailable { why: "it is away".to_owned(), retry_after: after });
    for (says, code, after) in [
        (Ok(Claimed::Replayed), Code::SignatureReplayed, None),
        (Ok(Claimed::Forgotten), Code::SignatureStale, None),
        (away(None), Code::StoreUnavailable, Some(1)),
        (away(Some(Duration::from_millis(29_001))), Code::StoreUnavailable, Some(30)),
    ] {
        let mut facts = Facts::default();
        let refusal = ask(&filter(NOW * 1000, says), &signed(Scheme::Rfc9421, NOW), &mut facts).unwrap();
        assert_eq!((refusal.code, refusal.retry_after), (code, after));
        assert_eq!(facts.signed(), None, "such an answer is not signed");
    }
}

#[test]
fn nothing_is_used_up_by_what_does_not_hold() {
    let store = told(Ok(Claimed::Fresh));
    let asks = |now, schemes: &[Scheme], head: &Head, facts: &mut Facts| {
        let filter = SignatureFilter::new(Require::Always, verifier(now, schemes), Arc::clone(&store) as _);
        ask(&filter, head, facts).map(|refusal| refusal.code)
    };
    let all = [Scheme::Rfc9421, Scheme::Llmesh];
    let mut other = Facts::default();
    other.set_caller(Caller::new(Identity::peer("somebody"), IdentityMethod::Mtls)).unwrap();
    let mut content = signed(Scheme::Llmesh, NOW);
    content.content = Some([0; 32]);
    let mut unread = signed(Scheme::Llmesh, NOW);
    unread.content = None;
    for (head, now, schemes, facts, code) in [
        (head(None), NOW, &all[..], Facts::default(), Code::SignatureMissing),
        (signed(Scheme::Rfc9421, NOW), NOW + 60, &all, Facts::default(), Code::SignatureStale),
        (signed(Scheme::Llmesh, NOW), NOW, &all[..1], Facts::default(), Code::SignatureMalformed),
        (signed(Scheme::Rfc9421, NOW), NOW, &all, other, Code::SignatureInvalid),
        (content, NOW, &all, Facts::default(), Code::SignatureInvalid),
        (unread, NOW, &all, Facts::default(), Code::SignatureInvalid),
    ] {
        let mut facts = facts;
        assert_eq!(asks(now * 1000, schemes, &head, &mut facts), Some(code));
    }
    assert!(store.1.lock().unwrap().is_empty());
    assert_eq!(asks(NOW * 1000, &all, &signed(Scheme::Llmesh, NOW), &mut Facts::default()), None);
    let asked = store.1.lock().unwrap();
    assert_eq!(asked[0].0, key().public().node_id());
    assert_eq!(asked[0].1.len(), 64, "LLMesh's nonce is the signature");
}

#[test]
fn the_body_must_be_the_one_that_was_signed() {
    let filter = filter(NOW * 1000, Ok(Claimed::Fresh));
    let head = signed(Scheme::Rfc9421, NOW);
    for (body, fine) in [(BODY, true), (&b"{ }"[..], false), (b"", false)] {
        let digest = Content::plain(Bytes::from_static(body)).digest;
        assert_eq!(filter.content(&head, &digest).is_ok(), fine, "{body:?}");
    }
}

#[test]
fn only_a_claim_to_be_a_node_must_be_signed_for_peers() {
    let filter = filter(NOW * 1000, Ok(Claimed::Fresh));
    let mut plain = head(None);
    assert_eq!(ask(&filter, &plain, &mut Facts::default()), None);
    plain.credentials.claims_node = true;
    let refusal = ask(&filter, &plain, &mut Facts::default()).unwrap();
    assert_eq!(refusal.code, Code::SignatureMissing);
}
