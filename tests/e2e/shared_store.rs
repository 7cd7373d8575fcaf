//! Several gates of one service, and the Redis that they share.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use portcullis_tests::pki::{Authority, hosts, uses};
use portcullis_tests::{Client, FakeServer, Gate, GateBuilder, Message, Redis, Script, Signer, Stream, until};
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::json;

/// A gate that remembers nonces in this store.
fn gate(server: &FakeServer, redis: &Redis, window: &str) -> GateBuilder {
    let store = format!("{{url: '{}', timeout: 2s}}", redis.url());
    Gate::before(server).filter(&format!("signature: {{window: {window}, store: {store}}}"))
}

/// The first claims are let in once the store's memory is a window old.
#[track_caller]
fn opened(signer: &Signer) {
    until("the store to open", || {
        let (_, answer) = signer.call(Message::get("/api/version"));
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
        (answer.status == 200).then_some(())
    });
}

/// Sends one message after the other over one connection.
struct Line {
    client: Client,
    stream: Option<Stream>,
}

impl Line {
    fn send(&mut self, bytes: &[u8]) -> u16 {
        let next = match self.stream.take() {
            Some(stream) => stream.again(bytes),
            None => self.client.begin(bytes),
        };
        let stream = next.expect("an answer");
        let status = stream.status;
        self.stream = Some(stream);
        status
    }
}

#[test]
fn two_gates_accept_each_nonce_once() {
    const LINES: usize = 4;
    const EACH: usize = 2_500;
    let Some(redis) = Redis::start(&[]) else { return };
    let server = FakeServer::start();
    let (one, two) = (gate(&server, &redis, "30s").start(), gate(&server, &redis, "30s").start());
    let alice = one.approved_client("alice");
    let twin = two.same_client(&alice);
    two.approve(&twin);
    opened_long_ago(&redis);
    opened(&Signer::of(&alice));
    opened(&Signer::of(&twin));
    let began = Instant::now();
    let counts: Vec<[usize; 2]> = std::thread::scope(|scope| {
        let lines: Vec<_> = (0..LINES)
            .map(|_| {
                let (here, there) = (alice.clone(), twin.clone());
                scope.spawn(move || {
                    // Both ends of a line send the same message at the same moment.
                    let (give, take) = mpsc::sync_channel::<Vec<u8>>(0);
                    let other = std::thread::spawn(move || {
                        let mut line = Line { client: there, stream: None };
                        take.iter().map(|bytes| line.send(&bytes)).collect::<Vec<_>>()
                    });
                    let signer = Signer::of(&here);
                    let mut line = Line { client: here, stream: None };
                    let mut ours = vec![];
                    for _ in 0..EACH {
                        let bytes = Message::get("/api/version").sign(&signer.key).bytes();
                        give.send(bytes.clone()).expect("the other end");
                        ours.push(line.send(&bytes));
                    }
                    drop(give);
                    let theirs = other.join().expect("the other end");
                    assert_eq!(theirs.len(), EACH);
                    let mut won = [0, 0];
                    for pair in ours.into_iter().zip(theirs) {
                        match pair {
                            (200, 409) => won[0] += 1,
                            (409, 200) => won[1] += 1,
                            other => panic!("each is accepted exactly once: {other:?}"),
                        }
                    }
                    won
                })
            })
            .collect();
        lines.into_iter().map(|line| line.join().expect("a line")).collect()
    });
    let sum = |side: usize| counts.iter().map(|won| won[side]).sum::<usize>();
    eprintln!(
        "{} nonces at two gates in {:?}: {} by one, {} by the other",
        sum(0) + sum(1),
        began.elapsed(),
        sum(0),
        sum(1)
    );
    assert_eq!(sum(0) + sum(1), LINES * EACH);
    let replays = one.metric("portcullis_replays_total") + two.metric("portcullis_replays_total");
    assert_eq!(replays, (LINES * EACH) as f64);
}

#[test]
fn without_the_store_what_is_signed_is_refused_at_once_and_then_goes_on() {
    let Some(redis) = Redis::start(&["--appendonly", "yes", "--appendfsync", "always"]) else { return };
    let server = FakeServer::start();
    // With the time-out that a gate has by itself: so long the first refusal may take.
    let store = format!("signature: {{window: 2s, store: '{}'}}", redis.url());
    let gate = Gate::before(&server).filter(&store).start();
    let alice = gate.approved_client("alice");
    let signer = Signer::of(&alice);
    let used = used(&signer);
    let replay = signer.send(&used);
    assert!([403, 409, 503].contains(&replay.status), "{}", replay.text());
    assert_eq!(gate.metric(r#"portcullis_store_up{store="nonces"}"#), 1.0);

    redis.kill();
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let asked = Instant::now();
        let (_, answer) = signer.call(Message::get("/api/version"));
        slowest = slowest.max(asked.elapsed());
        assert_eq!((answer.status, answer.code().as_str()), (503, "store.unavailable"), "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
    portcullis_tests::within_a_second("the slowest of twenty refusals without the store", slowest);
    let replay = signer.send(&used);
    assert!([403, 503].contains(&replay.status), "a replay is no exception: {}", replay.text());
    assert_eq!(alice.get("/api/version").status, 200, "what is not signed needs no store");
    assert_eq!(gate.metric(r#"portcullis_store_up{store="nonces"}"#), 0.0);
    let (status, reasons) = gate.ask_admin("GET", "/readyz", None);
    assert!(status == 503 && reasons.contains("the store at redis://localhost"), "{reasons}");

    redis.restart();
    opened(&signer);
    assert_eq!(gate.metric(r#"portcullis_store_up{store="nonces"}"#), 1.0);
    assert_eq!(gate.ask_admin("GET", "/readyz", None).0, 200);
    let replay = signer.send(&used);
    assert!([403, 409].contains(&replay.status), "{}", replay.text());
    let doctor = gate.cli(&["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("maxmemory-policy noeviction"), "{doctor}");
}

/// Has a gate remember nonces here from its next start on, and not there.
fn moves(gate: &Gate, from: &str, to: &str) {
    let config = std::fs::read_to_string(gate.config()).expect("a config");
    assert!(config.contains(from), "{config}");
    std::fs::write(gate.config(), config.replace(from, to)).expect("a config");
}

/// Waits until a gate has opened this store, and lets it take claims at once.
#[track_caller]
fn opened_long_ago(redis: &Redis) {
    let epoch = "{portcullis}:epoch";
    until("an epoch", || (redis.say(&["HEXISTS", epoch, "name"]).trim() == "1").then_some(()));
    redis.say(&["HSET", epoch, "opened_at", "1"]);
}

/// Waits until a gate has said that it comes from elsewhere.
#[track_caller]
fn told(redis: &Redis) {
    until("the store to be told", || {
        (redis.say(&["HGET", "{portcullis}:epoch", "opened_at"]).trim() != "1").then_some(())
    });
}

/// Sends something signed that gets in, as soon as the gate has joined its store.
#[track_caller]
fn used(signer: &Signer) -> Message {
    until("something signed to get in", || {
        let (sent, answer) = signer.call(Message::get("/api/version"));
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
        (answer.status == 200).then_some(sent)
    })
}

#[test]
fn a_gate_that_comes_back_to_a_store_lets_in_nothing_that_it_took_elsewhere() {
    let (Some(a), Some(b)) = (Redis::start(&[]), Redis::start(&[])) else { return };
    let server = FakeServer::start();
    let gate = gate(&server, &a, "30s").start();
    let signer = Signer::of(&gate.approved_client("alice"));
    opened_long_ago(&a);
    let first = used(&signer);
    gate.restart(|| ());
    assert_eq!(used(&signer).method, first.method, "started again on the same store, it goes on at once");
    assert_eq!(signer.send(&first).code(), "signature.replayed");

    gate.restart(|| moves(&gate, &a.url(), &b.url()));
    opened_long_ago(&b);
    let elsewhere = used(&signer);
    assert_eq!(signer.send(&elsewhere).code(), "signature.replayed");
    gate.restart(|| moves(&gate, &b.url(), &a.url()));
    for message in [&elsewhere, &first] {
        let replay = signer.send(message);
        assert!([409, 503].contains(&replay.status), "{}", replay.text());
    }
    // It joins the epoch that never ended, and what it took elsewhere is too young for that.
    told(&a);
    assert_eq!(signer.send(&elsewhere).code(), "store.unavailable");
}

#[test]
fn a_gate_killed_before_it_joins_a_store_still_knows_that_it_was_alone() {
    let Some(redis) = Redis::start(&[]) else { return };
    let server = FakeServer::start();
    // Another gate has opened the store.
    let _other = gate(&server, &redis, "30s").start();
    opened_long_ago(&redis);
    let gate = Gate::before(&server).filter("signature: {window: 30s, store: embedded}").start();
    let signer = Signer::of(&gate.approved_client("alice"));
    let alone = used(&signer);
    let shared = format!("{{url: '{}', timeout: 2s}}", redis.url());
    redis.signal(rustix::process::Signal::STOP);
    gate.restart_unready(|| moves(&gate, "store: embedded", &format!("store: {shared}")));
    until("the store to be missed", || {
        let (status, reasons) = gate.ask_admin("GET", "/readyz", None);
        (status == 503 && reasons.contains("the store at")).then_some(())
    });
    gate.restart(|| redis.signal(rustix::process::Signal::CONT));
    told(&redis);
    assert_eq!(signer.send(&alone).code(), "store.unavailable");
    until("the journal to be left", || (!gate.state().join("replay/journal.json").exists()).then_some(()));
}

#[test]
fn callers_have_one_allowance_and_grants_hold_in_all_gates() {
    let Some(redis) = Redis::start(&[]) else { return };
    let server = FakeServer::start();
    let start = || {
        let store = format!("{{url: '{}', timeout: 2s}}", redis.url());
        Gate::before(&server)
            .filter(&format!("signature: {{store: {store}}}"))
            .filter("ratelimit: {requests: 100/d, store: shared}")
            .filter("policy: {grants: shared}")
            .start()
    };
    let (one, two) = (start(), start());
    let alice = one.approved_client("alice");
    let twin = two.same_client(&alice);
    two.approve(&twin);
    let (mut passed, mut refused) = (0, 0);
    for n in 0..150 {
        let answer = if n % 2 == 0 { alice.get("/api/version") } else { twin.get("/api/version") };
        match (answer.status, answer.code().as_str()) {
            (200, _) => passed += 1,
            (429, "ratelimit.requests") => refused += 1,
            other => panic!("{other:?}: {}", answer.text()),
        }
    }
    assert!((50..=100).contains(&passed) && refused >= 50, "{passed} passed, {refused} refused");

    let bob = two.approved_client("bob");
    let pull = json!({"model": "tiny", "stream": false});
    assert_eq!(bob.post("/api/pull", &pull).code(), "policy.route_denied");
    let given = one.cli_json(&["grants", "add", &bob.id, "--routes", "admin", "--for", "1h"]);
    until("the grant to hold at the other gate", || (bob.post("/api/pull", &pull).status == 200).then_some(()));
    let listed = two.cli_json(&["grants", "list"]);
    assert_eq!(listed[0]["id"], given["id"]);
    let taken = two.cli(&["grants", "revoke", given["id"].as_str().expect("an id")]);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    until("it to be taken back", || (bob.post("/api/pull", &pull).code() == "policy.expired").then_some(()));

    redis.kill();
    until("limits to be out of reach", || (bob.get("/api/version").code() == "store.unavailable").then_some(()));
    let away = one.cli(&["grants", "list"]);
    assert_eq!(away.status.code(), Some(3), "{}", String::from_utf8_lossy(&away.stdout));
    let told = String::from_utf8_lossy(&away.stderr).into_owned();
    assert!(told.contains("the store at redis://localhost"), "{told}");
}

#[test]
fn a_gate_that_is_killed_leaves_its_places_to_the_others() {
    let Some(redis) = Redis::start(&[]) else { return };
    let server = FakeServer::start();
    let start = || {
        let store = format!("{{url: '{}', timeout: 2s}}", redis.url());
        Gate::before(&server)
            .filter(&format!("signature: {{store: {store}}}"))
            .filter("ratelimit: {concurrent: 1, store: shared}")
            .start()
    };
    let (one, two) = (start(), start());
    let alice = one.approved_client("alice");
    let twin = two.same_client(&alice);
    two.approve(&twin);
    let chat = json!({"model": "tiny", "messages": [], "stream": true});
    let (feed, script) = Script::paced("application/x-ndjson");
    server.next(script);
    feed.send(b"{\"model\":\"tiny\",\"done\":false}\n".to_vec()).expect("a stream");
    let held = alice.post_streamed("/api/chat", &chat);
    assert_eq!(twin.post("/api/chat", &chat).code(), "ratelimit.concurrent");
    one.signal(rustix::process::Signal::KILL);
    drop(held);
    drop(feed);
    until("the place to come back", || (twin.post("/api/chat", &chat).status == 200).then_some(()));
}

#[test]
fn a_store_proves_who_it_is_and_asks_who_calls() {
    let authority = Authority::root("a private root");
    let shown = authority.client("store", |params| {
        hosts(&["localhost"])(params);
        uses(&[ExtendedKeyUsagePurpose::ServerAuth])(params);
    });
    let Some(redis) = Redis::start_tls(&shown.pem(), &shown.key, &["--requirepass", "open-sesame"]) else { return };
    let server = FakeServer::start();
    let folder = tempfile::tempdir().expect("a folder");
    let ca = authority.save(folder.path(), "ca.pem");
    let other = Authority::root("another root").save(folder.path(), "other.pem");
    let start = |ca: &Path, password: &str| {
        let store = format!("{{url: '{}', ca: {}, password: '{password}', timeout: 2s}}", redis.url(), ca.display());
        Gate::before(&server)
            .filter(&format!("signature: {{window: 2s, store: {store}}}"))
            .env("STORE_PASSWORD", "open-sesame")
    };
    let gate = start(&ca, "${STORE_PASSWORD}").start();
    opened(&Signer::of(&gate.approved_client("alice")));
    let shown = gate.cli(&["config", "show"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(&redis.url()) && !shown.contains("open-sesame"), "{shown}");
    for (ca, password, why) in [(&other, "open-sesame", "UnknownIssuer"), (&ca, "open-simsim", "assword")] {
        let gate = start(ca, password).start_unready();
        let reasons = until("a reason", || {
            let (status, reasons) = gate.ask_admin("GET", "/readyz", None);
            (status == 503 && reasons.contains(why)).then_some(reasons)
        });
        assert!(!reasons.contains("open-"), "{reasons}");
        let doctor = gate.cli(&["doctor"]);
        let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(doctor.contains("FAIL store") && doctor.contains(why) && !doctor.contains("open-"), "{doctor}");
        assert!(!gate.log().contains("open-"), "{}", gate.log());
    }
}
