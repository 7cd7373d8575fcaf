//! How fast the log is written, checked and opened: for people to look at, not for the suite.
//!
//! `cargo xtask bench --audit`. The size of the log that is opened is `PORTCULLIS_LOG_BYTES`, 10 GB by default; it lies
//! where `TMPDIR` says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_certs::NodeKey;
use portcullis_filters::audit::{AuditSink as _, Draft, Entry};

use super::check::{self, SealKeys};
use super::{AuditKey, AuditLog, checkpoints};
use crate::config::{AuditSettings, Fsync};

/// An entry as an inference leaves it.
fn entry(number: u64) -> Draft {
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    Entry {
        event_type: "request",
        request_id: "01KAN3W9T8Y5ZJ6K2M4Q7R1V0C",
        node_id: "peer:2e5d8c1f0a7b4963",
        identity_method: "mtls",
        listener: "gate",
        route_class: "inference",
        method: "POST",
        path: "/api/chat",
        model: "llama3.2:latest",
        upstream: "local",
        policy_decision: "ALLOW",
        data_level: "L0",
        prompt_sha256: digest,
        output_sha256: digest,
        request_bytes: number,
        response_bytes: 1_234,
        duration_us: 567_890,
        client_address: "192.0.2.0/24",
        ..Entry::default()
    }
    .draft()
}

struct Home {
    dir: tempfile::TempDir,
    node: Arc<NodeKey>,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), node: Arc::new(NodeKey::generate().unwrap()) }
    }

    fn open(&self, settings: AuditSettings) -> AuditLog {
        let key = AuditKey::load_or_create(self.dir.path()).unwrap();
        AuditLog::open(&self.dir.path().join("audit"), &key, Arc::clone(&self.node), settings).unwrap().0
    }
}

/// As a gate writes with its default settings, but that ended segments stay as they are.
fn settings(fsync: Fsync) -> AuditSettings {
    AuditSettings { fsync, compress: false, ..AuditSettings::default() }
}

/// Writes so many entries, each waited for by one of many tasks. Returns how long it took.
fn write(log: &Arc<AuditLog>, entries: u64, tasks: u64) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let began = Instant::now();
    let writing = (0..tasks).map(|task| {
        let log = Arc::clone(log);
        runtime.spawn(async move {
            for number in (task..entries).step_by(usize::try_from(tasks).unwrap()) {
                log.room().await;
                log.hand_over(entry(number)).await.unwrap();
            }
        })
    });
    runtime.block_on(futures::future::join_all(writing.collect::<Vec<_>>()));
    began.elapsed()
}

#[test]
#[ignore = "a measurement"]
fn lines_a_second() {
    for (fsync, entries) in [(Fsync::Batch, 2_000_000), (Fsync::Off, 1_000_000), (Fsync::Always, 100_000)] {
        let home = Home::new();
        let log = Arc::new(home.open(settings(fsync)));
        let took = write(&log, entries, 512);
        println!("{fsync:?}: {:.0} lines/s, {entries} entries of 512 tasks", entries as f64 / took.as_secs_f64());
    }
}

#[test]
#[ignore = "a measurement"]
fn what_one_exchange_waits() {
    for fsync in [Fsync::Batch, Fsync::Always] {
        let home = Home::new();
        let log = home.open(settings(fsync));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let rounds = if fsync == Fsync::Always { 500 } else { 20_000 };
        let mut times: Vec<Duration> = runtime.block_on(async {
            let measured = tokio::spawn(async move {
                let mut times = Vec::new();
                for number in 0..rounds {
                    let began = Instant::now();
                    log.room().await;
                    log.hand_over(entry(number)).await.unwrap();
                    times.push(began.elapsed());
                }
                times
            });
            measured.await.unwrap()
        });
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
        println!("{fsync:?}: one exchange waits p50 {:.1} us, p99 {:.1} us", at(0.5), at(0.99));
    }
}

#[test]
#[ignore = "a measurement"]
fn a_large_log_is_opened_and_checked() {
    let bytes = std::env::var("PORTCULLIS_LOG_BYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_u64 << 30);
    let home = Home::new();
    let log = Arc::new(home.open(settings(Fsync::Off)));
    let line = 720;
    write(&log, bytes / line, 512);
    log.close();
    drop(log);
    let lies: u64 = std::fs::read_dir(home.dir.path().join("audit"))
        .unwrap()
        .map(|file| file.unwrap())
        .filter(|file| file.path().extension().is_some_and(|ending| ending == "jsonl"))
        .map(|file| file.metadata().unwrap().len())
        .sum();
    let began = Instant::now();
    let log = home.open(settings(Fsync::Batch));
    println!("a log of {:.1} GB is opened in {:.1} ms", lies as f64 / 1e9, began.elapsed().as_secs_f64() * 1e3);
    log.close();
    drop(log);
    let keys = SealKeys::All(AuditKey::load(home.dir.path()).unwrap().segments());
    let signer = checkpoints::verifier_key(&home.node.public()).unwrap();
    let began = Instant::now();
    let report = check::log(&home.dir.path().join("audit"), &keys, &signer, &[], &mut |_, _| {}).unwrap();
    assert_eq!(report.doubts, []);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "its {} entries are checked in {seconds:.1} s: {:.0} lines/s",
        report.entries,
        report.entries as f64 / seconds
    );
}
