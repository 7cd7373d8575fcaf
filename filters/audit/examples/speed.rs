//! How many lines one thread seals, and how many the machine checks, in a second.
//!
//! `cargo run --release -p portcullis-audit --example speed`

use std::time::Instant;

use portcullis_audit::{Chain, Entry, Line, Position, SealKey, check_lines, leaf_hash, pieces};

/// Enough for a second or so of each.
const LINES: u64 = 1_000_000;
/// Each figure is the best of so many.
const RUNS: usize = 3;

fn main() {
    let Some(key) = SealKey::new(&[7; 32]) else { return };
    let hash = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";
    let entry = Entry {
        event_type: "request",
        request_id: "01KAMQ9X2T4V6W8Y0Z1A2B3C4D",
        node_id: "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEZ3Q",
        identity_method: "mtls",
        listener: "gate",
        route_class: "chat",
        method: "POST",
        path: "/v1/chat/completions",
        model: "llama3.2:3b",
        upstream: "ollama",
        policy_decision: "ALLOW",
        data_level: "L1",
        prompt_sha256: hash,
        output_sha256: hash,
        request_bytes: 1234,
        response_bytes: 56_789,
        duration_us: 1_234_567,
        ..Entry::default()
    };
    let mut log = Vec::new();
    best("draft", || (0..LINES).map(|_| entry.draft().size()).sum::<usize>());
    best("draft and seal, with leaf hash", || {
        let mut chain = Chain::resume(key.clone(), Position::START);
        log.clear();
        for i in 0..LINES {
            chain.seal(&entry.draft(), 1_763_800_000_000_000 + i, &mut log);
        }
        log.len()
    });
    println!("{} bytes a line", log.len() as u64 / LINES);
    let lines = || log.split_inclusive(|b| *b == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or_default());
    best("split", || lines().count());
    best("read", || lines().filter_map(Line::read).count());
    best("leaf hash", || lines().map(|line| usize::from(leaf_hash(line)[0])).sum());
    best("check without seals, one thread", || check_lines(&log, None, Position::START).leaves.len());
    best("check, one thread", || check_lines(&log, Some(&key), Position::START).leaves.len());
    let shared = &key;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    best(&format!("check, {threads} threads"), || {
        std::thread::scope(|scope| {
            let running: Vec<_> = pieces(&log, Position::START, threads)
                .into_iter()
                .map(|piece| scope.spawn(move || check_lines(piece.bytes, Some(shared), piece.from)))
                .collect();
            let checked = running.into_iter().filter_map(|thread| thread.join().ok());
            let joined = checked.reduce(|mut all, next| {
                all.join(next);
                all
            });
            joined.filter(|joined| joined.bad.is_none()).map_or(0, |joined| joined.leaves.len())
        })
    });
}

/// Runs it, and says how many lines the fastest run did in a second: of the clock, and of all processors' time, which
/// others on the machine cannot take.
fn best(what: &str, mut run: impl FnMut() -> usize) {
    let (mut clock, mut spent) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        let (began, before) = (Instant::now(), processor_seconds());
        std::hint::black_box(run());
        spent = spent.min(processor_seconds() - before);
        clock = clock.min(began.elapsed().as_secs_f64());
    }
    let lines = LINES as f64;
    println!("{what:<34} {:>10.0} lines/s {:>10.0} lines per processor second", lines / clock, lines / spent);
}

fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
