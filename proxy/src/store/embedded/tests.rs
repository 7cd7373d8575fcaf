use super::*;
use crate::clock::FakeTime;
use crate::store::conformance::{self, Subject, WINDOW};

const NOW: i64 = 1_760_000_000_000;
const SMALL: Bounds = Bounds { all: 400, node: 100 };
const HERE: Origin<'static> = Origin { node: "peer:gate", boot: "this boot" };

/// A store in a folder of its own.
struct Kept {
    dir: tempfile::TempDir,
    time: FakeTime,
    bounds: Bounds,
    store: Option<Arc<Embedded>>,
}

impl Kept {
    fn new(bounds: Bounds) -> Self {
        let dir = tempfile::tempdir().unwrap();
        journal::begin_on(&dir.path().join("replay"), &HERE).unwrap();
        let mut kept = Self { dir, time: FakeTime::at(NOW), bounds, store: None };
        kept.open(&HERE);
        kept
    }

    fn folder(&self) -> std::path::PathBuf {
        self.dir.path().join("replay")
    }

    fn open(&mut self, origin: &Origin<'_>) -> &Arc<Embedded> {
        self.store = None;
        let clock = Arc::new(Clock::new(Box::new(self.time.clone())));
        let store = Embedded::open_on(&self.folder(), origin, WINDOW, clock, self.bounds).unwrap();
        self.store.insert(Arc::new(store))
    }

    fn claim(&self, nonce: &str, created_ms: i64, now_ms: i64) -> Result<Claimed, Unavailable> {
        let claim = Claim { node: "peer:a", nonce: nonce.as_bytes(), created_ms, now_ms, window: WINDOW };
        self.store.as_ref().unwrap().claim_now(&claim)
    }
}

#[async_trait]
impl Subject for Kept {
    fn store(&self) -> Arc<dyn Nonces> {
        Arc::clone(self.store.as_ref().unwrap()) as _
    }

    fn now_ms(&self) -> i64 {
        NOW
    }

    async fn at(&mut self, now_ms: i64) {
        let passed = now_ms - self.time.wall.load(std::sync::atomic::Ordering::Relaxed);
        self.time.pass(passed.max(0));
        self.time.step(passed.min(0));
        let store = self.store.as_ref().unwrap();
        store.clock.follow();
        store.tend();
    }

    async fn restart(&mut self) {
        self.open(&HERE);
    }

    async fn lose(&mut self) -> bool {
        std::fs::remove_dir_all(self.folder()).unwrap();
        self.open(&HERE);
        true
    }

    fn bounds(&self) -> Option<(usize, usize)> {
        Some((self.bounds.all, self.bounds.node))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms() {
    conformance::conform(async || Kept::new(SMALL)).await;
}

#[test]
fn no_replay_whatever_the_clock_does() {
    conformance::no_replay_whatever_the_clock_does(200, async || Kept::new(Bounds::DEFAULT));
}
