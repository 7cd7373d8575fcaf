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
