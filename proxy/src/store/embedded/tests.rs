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

#[test]
fn a_loss_is_waited_out_by_the_clock_that_is_right() {
    let mut kept = Kept::new(SMALL);
    assert_eq!(kept.claim("before", NOW, NOW), Ok(Claimed::Fresh));
    // The machine starts anew, and its clock is a day behind until somebody puts it right.
    kept.time.step(-86_400_000);
    kept.open(&Origin { boot: "another", ..HERE });
    let behind = NOW - 86_400_000;
    assert!(kept.claim("x", behind, behind).is_err());
    kept.time.pass(10_000);
    kept.time.step(86_400_000);
    let now = NOW + 10_000;
    let refused = kept.claim("before", NOW, now).unwrap_err();
    assert_eq!(refused.retry_after, Some(Duration::from_millis(20_001)), "one window from the start, by the new time");
    assert!(kept.claim("y", NOW + 30_000, now).is_err());
    assert_eq!(kept.claim("z", NOW + 30_001, now), Ok(Claimed::Fresh));
    // A restart meanwhile changes nothing.
    kept.open(&Origin { boot: "another", ..HERE });
    assert!(kept.claim("before", NOW, now).is_err());
    kept.time.pass(20_001);
    let now = now + 20_001;
    assert_eq!(kept.claim("later", now, now), Ok(Claimed::Fresh));
}

#[test]
fn a_nonce_is_its_node_s_for_two_windows_from_when_it_was_taken() {
    let mut kept = Kept::new(SMALL);
    // Taken as late as can be.
    assert_eq!(kept.claim("nonce", NOW - 30_000, NOW), Ok(Claimed::Fresh));
    for later in [0, 1_000, 30_000, 59_999] {
        let now = NOW + later;
        kept.time.wall.store(now, std::sync::atomic::Ordering::Relaxed);
        let store = kept.store.as_ref().unwrap();
        store.clock.follow();
        store.tend();
        assert_eq!(kept.claim("nonce", now, now), Ok(Claimed::Replayed), "made anew {later} ms later");
    }
    kept.time.pass(60_000);
    let now = NOW + 120_000;
    kept.open(&HERE);
    assert_eq!(kept.store.as_ref().unwrap().tend().live, 0);
    assert_eq!(kept.claim("nonce", now, now), Ok(Claimed::Fresh));
}

#[test]
fn a_larger_window_opens_nothing() {
    let kept = Kept::new(SMALL);
    let store = kept.store.as_ref().unwrap();
    assert_eq!(kept.claim("nonce", NOW, NOW), Ok(Claimed::Fresh));
    kept.time.pass(120_000);
    assert_eq!(store.tend(), Standing { live: 0, writable: true });
    let window = Duration::from_secs(300);
    let claim = Claim { node: "peer:a", nonce: b"nonce", created_ms: NOW, now_ms: NOW + 120_000, window };
    assert_eq!(store.claim_now(&claim), Ok(Claimed::Forgotten));
}

#[test]
fn a_gate_whose_clock_was_ahead_when_it_lost_its_journal_says_why_it_refuses() {
    let mut kept = Kept::new(SMALL);
    kept.time.step(7_200_000);
    std::fs::remove_dir_all(kept.folder()).unwrap();
    kept.open(&HERE);
    let store = kept.store.as_ref().unwrap();
    store.tend();
    assert_eq!(store.away(), None, "one window of refusals needs no operator");
    kept.time.step(-7_200_000);
    store.clock.follow();
    store.tend();
    assert!(store.away().is_some_and(|why| why.contains("clock")), "{:?}", store.away());
    assert!(kept.claim("nonce", NOW, NOW).is_err());
    kept.time.pass(7_200_000);
    store.clock.follow();
    store.tend();
    assert_eq!(store.away(), None);
}

#[test]
fn a_journal_that_cannot_be_written_refuses_until_it_can() {
    let kept = Kept::new(SMALL);
    let store = kept.store.as_ref().unwrap();
    let in_the_way = kept.folder().join("journal.new");
    std::fs::create_dir(&in_the_way).unwrap();
    for _ in 0..3 {
        assert!(kept.claim("nonce", NOW, NOW).is_err());
    }
    assert!(store.away().is_some() && !store.tend().writable);
    std::fs::remove_dir(&in_the_way).unwrap();
    assert!(store.tend().writable && store.away().is_none(), "it finds out by itself");
    assert_eq!(kept.claim("nonce", NOW, NOW), Ok(Claimed::Fresh), "it was not taken before");
    assert_eq!(kept.claim("nonce", NOW, NOW), Ok(Claimed::Replayed));
}

/// What the child of the next test does: takes nonces for as long as it lives, and says which.
#[test]
#[ignore = "it is run by the test below, and does not end"]
fn takes_nonces_until_it_is_killed() {
    let Some(folder) = std::env::var_os("PORTCULLIS_TEST_REPLAY") else { return };
    let clock = Arc::new(Clock::new(Box::new(FakeTime::at(NOW))));
    let store = Embedded::open(Path::new(&folder), "peer:gate", WINDOW, clock, Bounds::DEFAULT).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let store = &store;
            scope.spawn(move || {
                for n in 0.. {
                    let nonce = format!("{thread} {n}");
                    let created_ms = NOW + n % 30_000;
                    let claim =
                        Claim { node: "peer:a", nonce: nonce.as_bytes(), created_ms, now_ms: NOW, window: WINDOW };
                    if store.claim_now(&claim) == Ok(Claimed::Fresh) {
                        println!("\ntook {nonce} {created_ms}");
                    }
                }
            });
        }
    });
}

#[test]
fn a_process_that_is_killed_forgets_nothing() {
    use std::io::BufRead as _;
    let dir = tempfile::tempdir().unwrap();
    journal::begin(dir.path(), "peer:gate").unwrap();
    let clock = || Arc::new(Clock::new(Box::new(FakeTime::at(NOW))));
    let mut all = vec![];
    for round in 1..4 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--ignored", "--exact", "--nocapture", "store::embedded::tests::takes_nonces_until_it_is_killed"]);
        child.env("PORTCULLIS_TEST_REPLAY", dir.path()).stdout(std::process::Stdio::piped());
        let mut child = child.spawn().unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let mut taken = 0;
        // What it said before it died was answered for; a last line may be torn.
        for line in lines.map_while(Result::ok) {
            let [_, thread, n, created] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
            let Ok(created) = created.parse::<i64>() else { continue };
            taken += 1;
            if taken == round * 500 {
                child.kill().unwrap();
            }
            if created >= NOW {
                all.push((format!("{thread} {n}"), created));
            }
        }
        child.wait().unwrap();
        assert!(taken >= round * 500, "only {taken} were taken");
        let store = Embedded::open(dir.path(), "peer:gate", WINDOW, clock(), Bounds::DEFAULT).unwrap();
        for (nonce, created_ms) in &all {
            let claim =
                Claim { node: "peer:a", nonce: nonce.as_bytes(), created_ms: *created_ms, now_ms: NOW, window: WINDOW };
            assert_eq!(store.claim_now(&claim), Ok(Claimed::Replayed), "{nonce} in round {round}");
        }
    }
    eprintln!("{} nonces were taken by processes that were killed", all.len());
}
