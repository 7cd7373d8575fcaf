//! A gate that is killed at any moment has told of every answer that a client saw.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use portcullis_tests::{Client, FakeServer, Gate};
use serde_json::{Value, json};

/// How often the gate is killed where `PORTCULLIS_CRASH_RUNS` says nothing. The full test has 1,000.
const RUNS: u64 = 12;
/// As often one gate is killed, since all of its log is read each time; then another is.
const SERIES: u64 = 50;
/// Clients that ask at the same time.
const CLIENTS: usize = 4;

/// What clients saw.
#[derive(Default)]
struct Seen {
    /// Requests that were answered to the end.
    answered: Mutex<HashSet<String>>,
    asked: AtomicU64,
    stop: AtomicBool,
}

/// A seeded source of numbers (splitmix64), so that a run can be had again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % below
    }
}

#[test]
fn a_killed_gate_has_told_of_every_answer_that_was_seen() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let runs = number("PORTCULLIS_CRASH_RUNS").unwrap_or(RUNS);
    let seed = number("PORTCULLIS_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("{runs} runs, PORTCULLIS_CRASH_SEED={seed}");
    for (fsync, runs) in [("batch", runs / 2), ("always", runs / 4), ("off", runs.div_ceil(4))] {
        let dice = &mut Dice(seed);
        let mut sum = (0, 0);
        for first in (0..runs).step_by(SERIES as usize) {
            let (asked, answered) = kill_again_and_again(fsync, first..runs.min(first + SERIES), dice);
            sum = (sum.0 + asked, sum.1 + answered);
            eprintln!("{fsync}: {} of {runs} kills, {} asked, {} answered", runs.min(first + SERIES), sum.0, sum.1);
        }
        assert!(runs < 8 || sum.1 > 0, "the load was none");
    }
}

/// Says how many requests were sent, and how many of them answered.
fn kill_again_and_again(fsync: &str, runs: Range<u64>, dice: &mut Dice) -> (u64, usize) {
    let server = FakeServer::start();
    // Small segments and frequent checkpoints, so that many a kill meets a new segment or a signature.
    let settings =
        format!("audit: {{fsync: {fsync}, segment_bytes: 64KiB, checkpoint_every: 20, checkpoint_after: 1s}}");
    let gate = Gate::before(&server).filter(&settings).start();
    let client = gate.approved_client("alice");
    let seen = Seen::default();
    for run in runs {
        let moment = Duration::from_millis(20 + dice.roll(280));
        seen.stop.store(false, Ordering::Release);
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| ask_until_it_ends(&client, &seen));
            }
            // The moment is random: not something that is waited for.
            std::thread::park_timeout(moment);
            gate.restart(|| seen.stop.store(true, Ordering::Release));
        });
        check(&gate, &seen, &format!("{fsync}, run {run}, killed after {moment:?}"));
    }
    let answered = seen.answered.lock().unwrap().len();
    (seen.asked.load(Ordering::Acquire), answered)
}

fn ask_until_it_ends(client: &Client, seen: &Seen) {
    let body = json!({"model": "tiny", "stream": false, "messages": [{"role": "user", "content": "hello"}]});
    let bytes = format!(
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.to_string().len()
    );
    while !seen.stop.load(Ordering::Acquire) {
        let mut next = client.try_post("/api/chat", &body);
        seen.asked.fetch_add(1, Ordering::AcqRel);
        // On one connection for as long as the gate lives.
        while let Some(mut answer) = next {
            let id = answer.headers.iter().find(|(name, _)| name == "portcullis-request-id").map(|(_, id)| id.clone());
            let complete = loop {
                match answer.piece() {
                    Ok(Some(_)) => {}
                    ended => break ended.is_ok(),
                }
            };
            if complete && answer.status == 200 {
                seen.answered.lock().unwrap().insert(id.expect("an id"));
            }
            // A client that found no gate may meet the next one.
            if seen.stop.load(Ordering::Acquire) {
                return;
            }
            seen.asked.fetch_add(1, Ordering::AcqRel);
            next = answer.again(bytes.as_bytes());
        }
    }
}

/// The log verifies, tells of every answer that was seen, and of none twice.
fn check(gate: &Gate, seen: &Seen, when: &str) {
    let verified = gate.cli(&["audit", "verify"]);
    assert!(verified.status.success(), "{when}: {}", String::from_utf8_lossy(&verified.stderr));
    let mut told: HashMap<String, u64> = HashMap::new();
    let mut decided = 0;
    for entry in entries(gate) {
        if entry["event_type"] == "request" {
            *told.entry(entry["request_id"].as_str().expect("an id").to_owned()).or_default() += 1;
            decided += u64::from(entry["path"] == "/api/chat" && entry["policy_decision"] == "ALLOW");
        }
    }
    assert!(told.values().all(|times| *times == 1), "{when}: an entry twice");
    let answered = seen.answered.lock().unwrap();
    let missing: Vec<_> = answered.iter().filter(|id| !told.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{when}: answered, and not in the log: {missing:?}");
    assert!(decided <= seen.asked.load(Ordering::Acquire), "{when}: more entries than requests");
}

/// All entries, by the command that reads compressed segments, too.
fn entries(gate: &Gate) -> Vec<Value> {
    let mut command = Command::new(portcullis_tests::portcullis());
    command.args(["audit", "show", "--json", "--config"]).arg(gate.config());
    let output = command.output().expect("portcullis runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("an entry")).collect()
}
