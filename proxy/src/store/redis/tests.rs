//! What nonces in a Redis promise, shown with a real one.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use portcullis_filters::store::{Claim, Claimed, Nonces, Unavailable, WallClock};

use super::server::Server;
use super::*;
use crate::store::past::Past;

const WINDOW: Duration = Duration::from_secs(2);
/// For what must not depend on how busy the machine is.
const WIDE: Duration = Duration::from_secs(60);

struct System;

impl WallClock for System {
    fn now_ms(&self) -> i64 {
        i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
    }
}

fn now() -> i64 {
    System.now_ms()
}

/// A gate's view of this server.
fn gate(settings: RedisSettings) -> (Arc<Redis>, Arc<RedisNonces>) {
    gate_of(settings, WINDOW)
}

fn gate_of(settings: RedisSettings, window: Duration) -> (Arc<Redis>, Arc<RedisNonces>) {
    let metrics = Metrics::new().unwrap();
    let store = Arc::new(Redis::open(settings, &["nonces"], &metrics).unwrap());
    let nonces = RedisNonces::open(Arc::clone(&store), Arc::new(System), window, Past::none());
    (store, nonces)
}

async fn claim_at(nonces: &RedisNonces, nonce: &str, created_ms: i64) -> Result<Claimed, Unavailable> {
    claim_within(nonces, nonce, created_ms, WINDOW).await
}

async fn claim_within(nonces: &RedisNonces, nonce: &str, made: i64, window: Duration) -> Result<Claimed, Unavailable> {
    let claim = Claim { node: "peer:a", nonce: nonce.as_bytes(), created_ms: made, now_ms: now(), window };
    nonces.claim(&claim).await
}

/// Waits until an epoch is open, and has it be so for long.
async fn opened_long_ago(server: &Server) {
    let epoch = "{test}:epoch";
    until("an epoch", || server.say(&["HEXISTS", epoch, "name"]).trim() == "1").await;
    server.say(&["HSET", epoch, "opened_at", "1"]);
}

async fn claim(nonces: &RedisNonces, nonce: &str) -> Result<Claimed, Unavailable> {
    claim_at(nonces, nonce, now()).await
}

/// Waits until fresh signatures are let in; returns when the last one that was let in was made.
async fn open(nonces: &RedisNonces) -> i64 {
    let_in(nonces, 0).await.1
}

/// The same for one that is dated so far ahead. Returns its nonce, too.
async fn let_in(nonces: &RedisNonces, ahead_ms: i64) -> (String, i64) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let (nonce, created) = (ulid::Ulid::new().to_string(), now() + ahead_ms);
        match claim_at(nonces, &nonce, created).await {
            Ok(Claimed::Fresh) => return (nonce, created),
            other => assert!(Instant::now() < until, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until(what: &str, mut met: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !met() {
        assert!(Instant::now() < until, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_good_once_in_all_gates() {
    let Some(server) = Server::start(&[]) else { return };
    let (one, two) = (gate_of(server.settings(), WIDE).1, gate_of(server.settings(), WIDE).1);
    opened_long_ago(&server).await;
    for nonces in [&one, &two] {
        // Until it has joined.
        while claim_within(nonces, &ulid::Ulid::new().to_string(), now(), WIDE).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let mut fresh = 0;
    for round in 0..200 {
        let nonce = format!("n{round}");
        let created = now();
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let nonces = Arc::clone(if n % 2 == 0 { &one } else { &two });
                let nonce = nonce.clone();
                tokio::spawn(async move { claim_within(&nonces, &nonce, created, WIDE).await.unwrap() })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Claimed::Fresh => won += 1,
                Claimed::Replayed => {}
                Claimed::Forgotten => panic!("it is inside the window"),
            }
        }
        assert_eq!(won, 1, "{nonce}");
        fresh += won;
    }
    assert_eq!(fresh, 200);
    let at = now();
    let other = Claim { node: "peer:b", nonce: b"n0", created_ms: at, now_ms: at, window: WIDE };
    assert_eq!(one.claim(&other).await.unwrap(), Claimed::Fresh, "the same nonce of two nodes is two");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_store_may_have_forgotten_is_refused() {
    for args in [&["--appendonly", "yes", "--appendfsync", "always"][..], &[]] {
        let Some(mut server) = Server::start(args) else { return };
        let (store, nonces) = gate(server.settings());
        open(&nonces).await;
        let (used, created) = let_in(&nonces, 0).await;
        let (early, ahead) = let_in(&nonces, 1_500).await;
        server.kill();
        until("it is seen to be away", || store.away().is_some()).await;
        claim(&nonces, "meanwhile").await.unwrap_err();
        server.restart();
        until("it is seen to be back", || store.away().is_none()).await;
        // Nothing that was signed before the restart gets in, used or not, until it is out of its window.
        loop {
            assert_ne!(claim_at(&nonces, &used, created).await, Ok(Claimed::Fresh), "{args:?}");
            match claim_at(&nonces, &early, ahead).await {
                Err(_) => {}
                Ok(Claimed::Forgotten | Claimed::Replayed) => break,
                Ok(Claimed::Fresh) => panic!("{args:?}: a replay was let in"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let first = open(&nonces).await;
        assert!(first > ahead, "{args:?}: whatever is let in was signed after all of that");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_killed_says_when_to_come_again() {
    let Some(mut server) = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]) else { return };
    let (store, nonces) = gate_of(server.settings(), WIDE);
    opened_long_ago(&server).await;
    server.kill();
    until("it is seen to be away", || store.away().is_some()).await;
    server.restart();
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let refused = claim_within(&nonces, "n", now(), WIDE).await.expect_err("it is opening");
        if let Some(after) = refused.retry_after {
            assert!(after <= WIDE, "{after:?}");
            break;
        }
        assert!(Instant::now() < until, "{refused}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_store_begins_anew_in_all_gates() {
    let Some(server) = Server::start(&[]) else { return };
    let (one, two) = (gate(server.settings()).1, gate(server.settings()).1);
    open(&one).await;
    open(&two).await;
    let (used, created) = let_in(&one, 0).await;
    server.say(&["FLUSHALL"]);
    for gate in [&one, &two, &one, &two] {
        match claim_at(gate, &used, created).await {
            Err(error) => assert!(error.retry_after.is_none_or(|after| after <= WINDOW), "{error:?}"),
            // A busy machine: it is out of its window.
            other => assert_eq!(other, Ok(Claimed::Forgotten)),
        }
    }
    assert!(open(&two).await > created + 2_000 - 1_000);
    open(&one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_in_time_is_a_denial_and_then_a_quick_one() {
    let Some(server) = Server::start(&[]) else { return };
    let (store, nonces) = gate(RedisSettings { timeout: Duration::from_millis(300), ..server.settings() });
    open(&nonces).await;
    server.signal("STOP");
    claim(&nonces, "stopped").await.unwrap_err();
    until("it is seen to be away", || store.away().is_some()).await;
    let error = claim(&nonces, "denied at once").await.unwrap_err();
    assert!(error.why.contains("the store at redis://127.0.0.1"), "{error}");
    server.signal("CONT");
    // The same server with all its memory: no new epoch, so what was used before is known.
    until("it is back", || store.away().is_none()).await;
    open(&nonces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_fit_is_not_used() {
    for (args, change, why) in [
        (&["--maxmemory-policy", "allkeys-lru"][..], None, "maxmemory-policy is `allkeys-lru`"),
        (&["--requirepass", "right"], Some("wrong"), "assword"),
        (&["--requirepass", "right"], None, "NOAUTH"),
    ] {
        let Some(server) = Server::start(args) else { return };
        let password = change.map(|text: &str| crate::config::Secret::new(text.to_owned()));
        let (store, nonces) = gate(RedisSettings { password, ..server.settings() });
        until(why, || store.away().is_some_and(|said| said.contains(why))).await;
        let error = claim(&nonces, "n").await.unwrap_err();
        assert!(!error.why.contains("wrong"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changes_under_way_closes_it() {
    let Some(server) = Server::start(&[]) else { return };
    let (store, nonces) = gate(server.settings());
    open(&nonces).await;
    server.say(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    until("it is seen", || store.away().is_some_and(|why| why.contains("volatile-ttl"))).await;
    claim(&nonces, "n").await.unwrap_err();
    server.say(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    open(&nonces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_gates_latest_window_is_forgotten() {
    let Some(server) = Server::start(&[]) else { return };
    let (_, nonces) = gate(server.settings());
    let peak = open(&nonces).await;
    let back = Claim {
        node: "peer:a",
        nonce: b"n",
        created_ms: peak - 2_500,
        // The gate's clock went back, so that this would be inside its window again.
        now_ms: peak - 900,
        window: WINDOW,
    };
    assert_eq!(nonces.claim(&back).await.unwrap(), Claimed::Forgotten);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_far_off_lets_nothing_in() {
    struct Fast;
    impl WallClock for Fast {
        fn now_ms(&self) -> i64 {
            now() + 1_500
        }
    }
    let Some(server) = Server::start(&[]) else { return };
    let (store, right) = gate(server.settings());
    open(&right).await;
    let fast = RedisNonces::open(store, Arc::new(Fast), WINDOW, Past::none());
    let at = Fast.now_ms();
    let claim = Claim { node: "peer:a", nonce: b"n", created_ms: at, now_ms: at, window: WINDOW };
    let error = fast.claim(&claim).await.unwrap_err();
    assert!(error.why.contains("ahead of the gate's"), "{error}");
    open(&right).await;
}

mod conformance;
mod counters;
mod grants;
