//! A disk that fails, stops or comes back, and a clock that is set: no answer without a line, and service resumes.

use std::path::PathBuf;

use portcullis_tests::{Client, FakeServer, Gate, until};
use serde_json::json;

/// A gate whose disk does what a file says, and the words that were answered.
struct Faulty {
    gate: Gate,
    alice: Client,
    disk: PathBuf,
    _server: FakeServer,
    _folder: tempfile::TempDir,
}

impl Faulty {
    fn start(fsync: &str) -> Self {
        Self::with(&format!("fsync: {fsync}, batch: 20ms"))
    }

    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        let server = FakeServer::start();
        let gate = Gate::before(&server)
            .filter(&format!("audit: {{{settings}}}"))
            .env("PORTCULLIS_TEST_DISK", disk.to_str().unwrap())
            .start();
        let alice = gate.approved_client("alice");
        Self { gate, alice, disk, _server: server, _folder: folder }
    }

    fn disk(&self, fault: &str) {
        // In one step: a fault that is half written is another one.
        let beside = self.disk.with_extension("new");
        std::fs::write(&beside, fault).unwrap();
        std::fs::rename(beside, &self.disk).unwrap();
    }

    fn ask(&self) -> (u16, String, String) {
        let ask = json!({"model": "tiny", "stream": false, "messages": [{"role": "user", "content": "hello"}]});
        let answer = self.alice.post("/api/chat", &ask);
        let id = answer.header("portcullis-request-id").unwrap_or_default().to_owned();
        (answer.status, answer.code(), id)
    }

    /// Asks until it is refused. Returns the requests that were answered by then.
    fn until_refused(&self, what: &str) -> Vec<String> {
        let mut answered = Vec::new();
        until(what, || {
            let (status, code, id) = self.ask();
            if status == 200 {
                answered.push(id);
                return None;
            }
            assert_eq!((status, code.as_str()), (503, "audit.unavailable"));
            Some(())
        });
        answered
    }

    fn until_answered(&self) -> String {
        until("service to resume by itself", || {
            let (status, _, id) = self.ask();
            (status == 200).then_some(id)
        })
    }

    /// Every request that was answered is in the log, once, also after the gate is killed; and the log verifies.
    fn all_told(&self, answered: &[String]) {
        self.gate.restart(|| ());
        for id in answered {
            assert_eq!(self.gate.audit_of(id)["policy_decision"], "ALLOW");
        }
        let verified = self.gate.cli(&["audit", "verify"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    }
}

#[test]
fn a_disk_that_fails_closes_the_gate_until_it_works() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: only a debug build has a disk that fails on command");
        return;
    }
    for (fsync, fault) in [
        ("batch", "eio write"),
        ("batch", "enospc write"),
        ("batch", "erofs"),
        ("batch", "eio sync"),
        ("always", "eio sync"),
        ("always", "enospc write cut"),
        ("off", "eio write"),
    ] {
        let faulty = Faulty::start(fsync);
        let mut answered = vec![faulty.until_answered()];
        faulty.disk(fault);
        answered.extend(faulty.until_refused(fault));
        let (status, reasons) = faulty.gate.ask_admin("GET", "/readyz", None);
        assert!(status == 503 && reasons.contains("the audit log cannot be written"), "{fault}: {reasons}");
        assert_eq!(faulty.gate.metric("portcullis_audit_chain_ok"), 0.0);
        assert!(faulty.gate.metric("portcullis_audit_failures_total") >= 1.0, "{fault}");
        // It is tried again all the while, and stays shut.
        let mut tries = 0;
        until("a few refusals", || {
            tries += 1;
            assert_eq!(faulty.ask().1, "audit.unavailable", "{fault}");
            (tries == 5).then_some(())
        });
        faulty.disk("");
        answered.push(faulty.until_answered());
        assert!(faulty.gate.audit().iter().any(|entry| entry["event_type"] == "audit.recovered"), "{fault}");
        assert_eq!(faulty.gate.log().matches("An audit entry was lost").count(), 1, "{fault}: once, not for each");
        faulty.all_told(&answered);
    }
}

#[test]
fn a_disk_that_stops_holds_answers_back_and_then_everybody() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: only a debug build has a disk that fails on command");
        return;
    }
    let faulty = Faulty::start("always");
    let mut answered = vec![faulty.until_answered()];
    faulty.disk("slow sync");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| faulty.ask());
        // Others are refused once the disk has taken longer than it may; the one that waits is not answered.
        until("the gate to say so", || (faulty.gate.ask_admin("GET", "/readyz", None).0 == 503).then_some(()));
        assert_eq!(faulty.ask().1, "audit.unavailable");
        assert!(!waits.is_finished(), "its entry is not durable yet");
        faulty.disk("");
        let (status, _, id) = waits.join().unwrap();
        assert_eq!(status, 200);
        answered.push(id);
    });
    answered.push(faulty.until_answered());
    faulty.all_told(&answered);

    // In batches, answers leave for as long as a sync may take; then nobody comes in until it is done.
    let faulty = Faulty::start("batch");
    let mut answered = vec![faulty.until_answered()];
    faulty.disk("slow sync");
    answered.extend(faulty.until_refused("a sync to take too long"));
    assert!(answered.len() > 1);
    faulty.disk("");
    answered.push(faulty.until_answered());
    faulty.all_told(&answered);
}

#[test]
fn a_new_segment_that_cannot_begin_stops_nobody() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: only a debug build has a disk that fails on command");
        return;
    }
    for (fsync, fault) in [
        ("batch", "eio begin"),
        ("always", "enospc begin"),
        ("batch", "eio name"),
        ("always", "eio folder"),
        ("off", "eio sign"),
        ("batch", "erofs tree state"),
    ] {
        let faulty = Faulty::with(&format!("fsync: {fsync}, batch: 20ms, segment_bytes: 4KiB, compress: false"));
        let segment = |number: u64| faulty.gate.state().join(format!("audit/audit-{number:06}.jsonl"));
        let mut answered = vec![faulty.until_answered()];
        faulty.disk(fault);
        let said = "No new segment of the audit log can be begun";
        until("a segment that is full", || {
            let (status, code, id) = faulty.ask();
            assert_eq!(status, 200, "{fault}: {code}");
            answered.push(id);
            faulty.gate.log().contains(said).then_some(())
        });
        let there = (0..).take_while(|number| segment(*number).exists()).count() as u64;
        for _ in 0..3 {
            let (status, code, id) = faulty.ask();
            assert_eq!(status, 200, "{fault}: {code}");
            answered.push(id);
        }
        assert!(!segment(there).exists(), "{fault}: the one that is there goes on");
        faulty.disk("");
        until("new segments to begin again", || {
            let (status, code, id) = faulty.ask();
            assert_eq!(status, 200, "{fault}: {code}");
            answered.push(id);
            segment(there + 1).exists().then_some(())
        });
        let counted = faulty.gate.metric("portcullis_audit_failures_total");
        assert_eq!(counted, 0.0, "{fault}: nobody was refused");
        faulty.all_told(&answered);
    }
}

#[test]
fn a_clock_that_is_set_disturbs_nothing() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: only a debug build has a clock that is set on command");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    std::fs::write(&clock, "0").unwrap();
    let server = FakeServer::start();
    let gate = Gate::before(&server)
        .filter("audit: {segment_age: 1h, checkpoint_every: 2}")
        .env("PORTCULLIS_TEST_CLOCK", clock.to_str().unwrap())
        .start();
    let alice = gate.approved_client("alice");
    let day = 86_400_000_i64;
    let mut days = Vec::new();
    for step in [0, day, -day, 0] {
        std::fs::write(&clock, step.to_string()).unwrap();
        let ask = json!({"model": "tiny", "stream": false, "messages": []});
        let answer = alice.post("/api/chat", &ask);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
        days.push(entry["timestamp"].as_str().unwrap()[..10].to_owned());
    }
    assert!(days[1] > days[0] && days[2] < days[0] && days[3] >= days[0], "the log tells the clock: {days:?}");
    assert!(!gate.state().join("audit/audit-000001.jsonl").exists(), "no hour has passed");
    let verified = gate.cli_json(&["audit", "verify"]);
    assert_eq!(verified["ok"], true);
    gate.restart(|| ());
    assert_eq!(alice.get("/api/version").status, 200);
    assert_eq!(gate.cli_json(&["audit", "verify"])["ok"], true);
}
