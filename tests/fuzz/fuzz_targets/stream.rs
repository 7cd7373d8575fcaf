//! The firewall's eye on answers: no text and no bytes make it panic, however they are cut; what has left is never
//! taken back; and what holds no finding arrives whole.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::FutureExt as _;
use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use portcullis_filters::chain::{Chain, Cleared, Member, Observer};
use portcullis_filters::exchange::{Content, Credentials, Head, Presented};
use portcullis_filters::firewall::{FindingObserver, Fingerprints, Firewall, FirewallSettings};
use portcullis_filters::frame::Reading;
use portcullis_filters::gate::AnswerShape;
use portcullis_filters::{Code, Mode, Phase};
use portcullis_firewall::{Direction, Origin, Rules, Scratch, Selection, Stream, Text, draw};
use portcullis_policies::routes::{Found, builtin};
use portcullis_policies::{DataLevel, StreamFormat, UpstreamKind};

struct Quiet;

impl Observer for Quiet {
    fn ran(&self, _: &'static str, _: Phase, _: Duration) {}
    fn panicked(&self, filter: &'static str) {
        panic!("{filter} panicked");
    }
    fn shadowed(&self, _: &'static str, _: Code) {}
}

impl FindingObserver for Quiet {
    fn found(&self, _: &str, _: DataLevel, _: &'static str) {}
}

static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let selection = Selection { pii: true, ..Selection::default() };
    Arc::new(Rules::load(true, &[], &selection).ok().expect("the rules in the program are sound"))
});

/// What a rule finds, to begin with.
static SAMPLES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let templates = Rules::builtin_samples().into_iter().flat_map(|samples| samples.positive);
    templates.filter_map(|template| draw(&template, 1).ok()).collect()
});

/// A chain with the firewall alone, and a request that it let through.
static GATE: LazyLock<(Chain, Cleared)> = LazyLock::new(|| {
    let prints = Fingerprints::new(b"a key").expect("a key");
    let firewall = Firewall::new(FirewallSettings::default(), Arc::clone(&RULES), prints, Arc::new(Quiet));
    let member = Member { filter: Arc::new(firewall.expect("a firewall")), mode: Mode::Enforce };
    let chain = Chain::new(vec![member], Duration::from_secs(5), Arc::new(Quiet)).expect("a chain");
    let Found::Route(route) = builtin(UpstreamKind::Ollama).find("POST", "/api/chat") else { panic!("no route") };
    let head = Head {
        method: Method::POST,
        path: "/api/chat".to_owned(),
        query: vec![],
        headers: HeaderMap::new(),
        route: Arc::clone(route),
        upstream: UpstreamKind::Ollama,
        presented: Presented { address: IpAddr::V4(Ipv4Addr::LOCALHOST), certificate: None, client: None },
        credentials: Credentials::default(),
        content: None,
        server: "default".into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let cleared = runtime.block_on(async {
        let admitted = chain.admit(head).await.expect("it is let in");
        chain.clear(admitted, Content::plain((&br#"{"model":"m","messages":[]}"#[..]).into())).await
    });
    let cleared = cleared.expect("it is let through");
    (chain, cleared)
});

/// Sends chunks through the gate. What left, and whether the answer came to its end.
fn send(format: StreamFormat, chunks: &[&[u8]]) -> (Vec<u8>, bool) {
    let (chain, cleared) = &*GATE;
    let shape =
        AnswerShape { stream: Some(format), reading: Reading::of(format), frame_bytes: 1 << 20, held_bytes: 1 << 20, success: true };
    let mut gate = chain.watch(cleared, shape).expect("an eye");
    let mut out = Vec::new();
    let said = chunks.iter().try_for_each(|chunk| gate.push(chunk, &mut out)).and_then(|()| gate.finish(&mut out).now_or_never().expect("nothing is asked"));
    (out.iter().flat_map(|frame| frame.bytes().to_vec()).collect(), said.is_ok())
}

/// Pieces of a text, of sizes that the bytes say.
fn pieces<'t>(text: &'t str, sizes: &[u8]) -> Vec<&'t str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    for size in sizes.iter().chain(&[1, 3, 7]).cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, left) = rest.split_at(rest.ceil_char_boundary(usize::from(*size).clamp(1, rest.len())));
        pieces.push(piece);
        rest = left;
    }
    pieces
}

/// A growing text by itself. Whether nothing was found in it.
fn grow(text: &str, pieces: &[&str], json: bool) -> bool {
    let mut stream = Stream::new();
    if json {
        stream.read_json();
    }
    let (mut clean, mut open, mut pushed) = (true, 0, 0);
    for piece in pieces {
        let said = stream.push(&RULES, piece, &|_| true, &mut |finding| {
            assert!(finding.secret.end <= text.len() as u64);
            clean = false;
        });
        pushed += piece.len() as u64;
        if said.is_err() {
            return false;
        }
        assert_eq!(stream.pushed(), pushed);
        assert!(open <= stream.open() && stream.open() <= pushed, "{open} {} {pushed}", stream.open());
        open = stream.open();
    }
    let said = stream.finish(&RULES, &mut |_| clean = false);
    assert_eq!(stream.open(), pushed);
    clean && said.is_ok()
}

fuzz_target!(|input: (u16, Vec<u8>, &[u8])| {
    let (sample, sizes, bytes) = input;
    for format in [StreamFormat::Ndjson, StreamFormat::Sse] {
        let chunks: Vec<&[u8]> = bytes.chunks(usize::from(*sizes.first().unwrap_or(&9)).max(1)).collect();
        send(format, &chunks);
    }
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.push_str(SAMPLES.get(usize::from(sample)).map_or("", String::as_str));
    let pieces = pieces(&text, &sizes);
    grow(&text, &pieces, true);
    let grew = grow(&text, &pieces, false);
    let texts = [Text { text: &text, origin: Origin::Answer, flows: false }];
    let mut clean = grew;
    let said = RULES.scan(&texts, Direction::Response, &mut Scratch::default(), &mut |_| clean = false);
    let lines = pieces.iter().map(|piece| {
        format!("{{\"message\":{{\"content\":{}}}}}\n", serde_json::to_string(piece).expect("a text is JSON"))
    });
    let lines: Vec<String> = lines.collect();
    let chunks: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    let (left, ended) = send(StreamFormat::Ndjson, &chunks);
    if clean && said.is_ok() && ended {
        assert_eq!(left, lines.concat().into_bytes());
    }
});
