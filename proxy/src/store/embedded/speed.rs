//! How long one claim takes, and how much memory. Run it by `cargo xtask bench --signature`.

use std::time::Instant;

use super::*;
use crate::clock::FakeTime;

const NOW: i64 = 1_760_000_000_000;
const WINDOW: Duration = Duration::from_secs(30);
/// Nonces of all nodes together, made over two windows.
const NONCES: usize = 500_000;
const NODES: usize = 8;

#[test]
#[ignore = "a measurement; cargo xtask bench --signature runs it"]
fn speed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("replay");
    journal::begin(&folder, "peer:gate").unwrap();
    let clock = Arc::new(Clock::new(Box::new(FakeTime::at(NOW))));
    let store = Embedded::open(&folder, "peer:gate", WINDOW, clock, Bounds::DEFAULT).unwrap();
    let mut took = Vec::with_capacity(NONCES);
    for n in 0..NONCES {
        let (node, nonce) = (format!("peer:{}", n % NODES), format!("{n:022}"));
        let created_ms = NOW - 30_000 + i64::try_from(n * 60_000 / NONCES).unwrap();
        let claim = Claim { node: &node, nonce: nonce.as_bytes(), created_ms, now_ms: NOW, window: WINDOW };
        let began = Instant::now();
        let claimed = store.claim_now(&claim).unwrap();
        took.push(began.elapsed());
        assert_eq!(claimed, Claimed::Fresh);
    }
    took.sort_unstable();
    let micros = |part: usize| took[NONCES / 100 * part].as_secs_f64() * 1e6;
    let bytes = store.inner().live.bytes() / NONCES;
    println!("embedded store: one claim {:.1} us (median; p99 {:.1}), {bytes} bytes a nonce", micros(50), micros(99));
}
