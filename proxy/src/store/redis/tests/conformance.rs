//! The suite that every store of nonces passes, on a real Redis.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;

use super::*;
use crate::store::conformance::{self, Subject, WINDOW};

/// The clocks of a gate, which are set together with its server's.
struct Set(Arc<AtomicI64>);

impl crate::clock::Time for Set {
    fn wall_ms(&self) -> i64 {
        self.now_ms()
    }

    fn boot_ms(&self) -> i64 {
        self.now_ms()
    }
}

impl WallClock for Set {
    fn now_ms(&self) -> i64 {
        now() + self.0.load(Ordering::Acquire)
    }
}

struct Shared<'s> {
    server: &'s Server,
    settings: RedisSettings,
    off: Arc<AtomicI64>,
    began: i64,
    /// Where the gate writes down which epoch it knows.
    folder: tempfile::TempDir,
    store: Option<(Arc<Redis>, Arc<RedisNonces>)>,
}

impl<'s> Shared<'s> {
    /// A store under a prefix of its own, whose epoch opened long ago.
    async fn make(server: &'s Server) -> Self {
        let prefix = format!("suite-{}", ulid::Ulid::new());
        let off = Arc::new(AtomicI64::new(0));
        let settings = RedisSettings { prefix, ..server.settings() };
        let mut shared =
            Self { server, settings, off, began: now(), folder: tempfile::tempdir().unwrap(), store: None };
        shared.join().await;
        shared.server.say(&["HSET", &shared.key("epoch"), "opened_at", "1"]);
        shared
    }

    fn key(&self, rest: &str) -> String {
        format!("{{{}}}:{rest}", self.settings.prefix)
    }

    /// Opens the store as a gate that starts does, and waits until it has joined.
    async fn join(&mut self) {
        self.store = None;
        let metrics = Metrics::new().unwrap();
        let store = Arc::new(Redis::open(self.settings.clone(), &["nonces"], &metrics).unwrap());
        let clock = || Set(Arc::clone(&self.off));
        let past = Past::read(self.folder.path(), "peer:gate", WINDOW, clock().now_ms()).unwrap();
        let nonces = RedisNonces::new(Arc::clone(&store), Arc::new(clock()), Box::new(clock()), WINDOW, past);
        let nonces = Arc::new(nonces);
        nonces.enter(&store.wait().await.unwrap()).await.unwrap();
        self.store = Some((store, nonces));
    }
}

#[async_trait]
impl Subject for Shared<'_> {
    fn store(&self) -> Arc<dyn Nonces> {
        Arc::clone(&self.store.as_ref().unwrap().1) as _
    }

    fn now_ms(&self) -> i64 {
        self.began
    }

    async fn at(&mut self, now_ms: i64) {
        let off = now_ms - now();
        self.off.store(off, Ordering::Release);
        self.server.say(&["SET", &self.key("shift"), &off.to_string()]);
    }

    async fn restart(&mut self) {
        self.join().await;
    }

    async fn cut(&mut self) -> bool {
        self.server.signal("STOP");
        true
    }

    async fn mend(&mut self) {
        self.server.signal("CONT");
    }

    async fn lose(&mut self) -> bool {
        let keys = self.server.say(&["--scan", "--pattern", &self.key("*")]);
        for key in keys.lines().filter(|key| !key.ends_with(":shift")) {
            self.server.say(&["DEL", key]);
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_is_a_store_of_nonces() {
    let Some(server) = Server::start(&[]) else { return };
    conformance::conform(async || Shared::make(&server).await).await;
}

#[test]
fn no_replay_whatever_the_clocks_do() {
    let Some(server) = Server::start(&[]) else { return };
    conformance::no_replay_whatever_the_clock_does(12, async || Shared::make(&server).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_window_closes_nothing_and_lets_nothing_in_again() {
    let Some(server) = Server::start(&[]) else { return };
    let mut shared = Shared::make(&server).await;
    let (store, now) = (shared.store(), shared.now_ms());
    let wide = 4 * WINDOW;
    let by = async |nonce: &str, created_ms: i64, now_ms: i64, window: Duration| {
        store.claim(&Claim { node: "peer:a", nonce: nonce.as_bytes(), created_ms, now_ms, window }).await
    };
    shared.at(now).await;
    assert_eq!(by("old", now, now, WINDOW).await, Ok(Claimed::Fresh));
    assert_eq!(by("ahead", now + 29_000, now, WINDOW).await, Ok(Claimed::Fresh));
    assert_eq!(by("wide", now, now, wide).await, Ok(Claimed::Fresh), "at once");
    assert_eq!(by("late", now - 20_000, now, wide).await, Ok(Claimed::Fresh));
    assert_eq!(by("narrow", now, now, WINDOW).await, Ok(Claimed::Fresh), "and by a gate with the smaller one");
    assert_eq!(by("old", now, now, wide).await, Ok(Claimed::Replayed));
    // Those that were let in before run out.
    for key in server.say(&["--scan", "--pattern", &shared.key("n:*")]).lines() {
        server.say(&["DEL", key]);
    }
    let later = now + 3 * 30_000 + 1;
    shared.at(later).await;
    assert_eq!(by("old", now, later, wide).await, Ok(Claimed::Forgotten));
    assert_eq!(by("ahead", now + 29_000, later, wide).await, Ok(Claimed::Forgotten));
    assert_eq!(by("full", now + 31_000, later, wide).await, Ok(Claimed::Fresh), "what is made since has all of it");
    assert_eq!(by("fresh", later, later, wide).await, Ok(Claimed::Fresh));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_comes_from_elsewhere_says_so_once_and_waits_for_its_disk() {
    let Some(server) = Server::start(&[]) else { return };
    let mut shared = Shared::make(&server).await;
    let now = shared.now_ms();
    let (right, _) = (shared.store(), shared.at(now).await);
    let claimed = async |store: &dyn Nonces, nonce: &str| conformance::claim(store, "peer:a", nonce, now, now).await;
    assert_eq!(claimed(&*right, "one").await, Ok(Claimed::Fresh));
    // The same gate again: it knows this epoch.
    shared.restart().await;
    assert_eq!(claimed(&*shared.store(), "two").await, Ok(Claimed::Fresh));
    // One without a past that is known, on a folder that takes nothing.
    let folder = tempfile::tempdir().unwrap();
    let past = Past::read(&folder.path().join("replay"), "peer:gate", WINDOW, now).unwrap();
    std::fs::write(folder.path().join("replay"), "in the way").unwrap();
    let metrics = Metrics::new().unwrap();
    let link = Arc::new(Redis::open(shared.settings.clone(), &["nonces"], &metrics).unwrap());
    let clock = || Set(Arc::clone(&shared.off));
    let nonces = RedisNonces::new(Arc::clone(&link), Arc::new(clock()), Box::new(clock()), WINDOW, past);
    nonces.enter(&link.wait().await.unwrap()).await.unwrap_err();
    let opened = server.say(&["HGET", &shared.key("epoch"), "opened_at"]);
    assert_eq!(opened.trim(), now.to_string(), "what it let in until now may be used again here");
    let later = now + 31_000;
    shared.at(later).await;
    let refused = conformance::claim(&nonces, "peer:a", "three", later, later).await.unwrap_err();
    assert!(refused.why.contains("written down"), "{refused}");
    assert_eq!(server.say(&["HGET", &shared.key("epoch"), "opened_at"]), opened, "it was said before");
    std::fs::remove_file(folder.path().join("replay")).unwrap();
    let made = conformance::claim(&nonces, "peer:a", "three", later, later).await;
    assert_eq!(made, Ok(Claimed::Fresh));
    assert!(folder.path().join("replay/shared.json").exists());
}
