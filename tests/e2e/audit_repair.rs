//! A log in whose newest entries a power cut left a hole: a gate does not start over it, and an operator mends it.

use std::fs;

use portcullis_tests::{FakeServer, Gate};
use serde_json::{Value, json};

#[test]
fn a_hole_that_a_power_cut_left_is_taken_off_and_told() {
    let server = FakeServer::start();
    // Nothing but the start is signed, so that what comes then may be lost.
    let gate = Gate::before(&server).filter("audit: {checkpoint_every: 100000, checkpoint_after: 1h}").start();
    let alice = gate.approved_client("alice");
    let ask = json!({"model": "tiny", "stream": false, "messages": [{"role": "user", "content": "hello"}]});
    for _ in 0..4 {
        assert_eq!(alice.post("/api/chat", &ask).status, 200);
    }
    let log = gate.state().join("audit/audit-000000.jsonl");
    let mut taken = Value::Null;
    gate.restart(|| {
        let text = fs::read(&log).unwrap();
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let holds = lines[..lines.len() - 2].concat().len();
        let mut hole = text.clone();
        hole[holds..holds + 64].fill(0);
        fs::write(&log, &hole).unwrap();

        let start = gate.cli(&["run"]);
        let said = String::from_utf8_lossy(&start.stderr).into_owned();
        assert!(!start.status.success() && said.contains("portcullis audit repair"), "{said}");
        let look = gate.cli(&["audit", "repair"]);
        let said = String::from_utf8_lossy(&look.stdout).into_owned();
        assert_eq!(look.status.code(), Some(1), "{said}");
        assert!(said.contains("--yes") && said.contains("2 lines"), "{said}");
        assert_eq!(fs::read(&log).unwrap(), hole, "a look changes nothing");

        taken = gate.cli_json(&["audit", "repair", "--yes"]);
        assert_eq!(taken["damage"]["bytes"], text.len() - holds);
        let kept = taken["damage"]["kept"].as_str().expect("a path");
        assert_eq!(fs::read(kept).unwrap(), hole[holds..]);
    });
    assert_eq!(alice.post("/api/chat", &ask).status, 200);
    let kept = taken["damage"]["kept"].as_str().unwrap().to_owned();
    let told = gate.audit().into_iter().filter(|entry| entry["event_type"] == "audit.repaired");
    assert!(told.map(|entry| entry["path"].clone()).any(|path| kept.ends_with(path.as_str().unwrap_or("?"))));
    let verified = gate.cli(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    // There is nothing more to do, and a gate that runs keeps its log to itself.
    assert_eq!(gate.cli(&["audit", "repair"]).status.code(), Some(3));
    gate.restart(|| assert_eq!(gate.cli_json(&["audit", "repair"])["damage"], Value::Null));
}
