//! What the log is asked: filters, forms for other programs, and all of it across segments, compressed or not.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portcullis_tests::{FakeServer, Gate, portcullis, until};
use serde_json::Value;

/// A gate that allowed and refused something, and does not run any more.
fn stopped() -> (Gate, FakeServer) {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let bob = gate.approved_client("bob");
    for _ in 0..3 {
        alice.get("/api/version");
        bob.get("/api/tags");
        alice.get("/api/nothing-of-that-name");
    }
    gate.stranger("eve").get("/api/version");
    gate.signal(rustix::process::Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0));
    (gate, server)
}

fn entries(gate: &Gate, args: &[&str]) -> Vec<Value> {
    let mut all = vec!["audit", "show", "--json"];
    all.extend(args);
    lines(&gate.cli(&all)).iter().map(|line| serde_json::from_str(line).expect("an entry")).collect()
}

#[track_caller]
fn lines(output: &std::process::Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

/// The segment that the gate wrote, and its number.
fn segment(gate: &Gate) -> (PathBuf, u64) {
    let named = fs::read_dir(gate.state().join("audit")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = named.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    let path = found.pop().expect("a segment");
    assert!(found.is_empty(), "one segment");
    let number = path.file_stem().unwrap().to_str().unwrap().strip_prefix("audit-").unwrap().parse().unwrap();
    (path, number)
}

fn name(dir: &Path, number: u64, end: &str) -> PathBuf {
    dir.join(format!("audit-{number:06}.jsonl{end}"))
}

/// Puts a log's lines into three segments, the first two of them compressed, as after two rotations.
fn rotate(gate: &Gate) {
    let (path, number) = segment(gate);
    let dir = path.parent().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for (at, third) in lines.chunks(lines.len().div_ceil(3)).enumerate() {
        let (number, bytes) = (number + at as u64, third.concat().into_bytes());
        if at < 2 {
            fs::write(name(dir, number, ".zst"), zstd::encode_all(&*bytes, 3).unwrap()).unwrap();
        } else {
            fs::write(name(dir, number, ""), bytes).unwrap();
        }
    }
}

#[test]
fn filters_choose_entries_also_from_compressed_segments() {
    let (gate, _server) = stopped();
    let all = gate.audit();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let middle = all[all.len() / 2].clone();
    let (when, who, which) = (text(&middle, "timestamp"), text(&middle, "node_id"), text(&middle, "request_id"));
    for rotated in [false, true] {
        if rotated {
            rotate(&gate);
        }
        let check = |args: &[&str], fits: &dyn Fn(&Value) -> bool| {
            let expected: Vec<_> = all.iter().filter(|entry| fits(entry)).cloned().collect();
            assert!(!expected.is_empty() && (args.is_empty() || expected.len() < all.len()), "{args:?} says something");
            assert_eq!(entries(&gate, args), expected, "{args:?}");
            // The table has the same lines.
            let mut plain = vec!["audit", "show"];
            plain.extend(args);
            let table = lines(&gate.cli(&plain));
            assert_eq!(table.len(), expected.len(), "{args:?}");
            for (row, entry) in table.iter().zip(&expected) {
                assert!(row.contains(entry["request_id"].as_str().unwrap()), "{row}");
            }
        };
        check(&[], &|_| true);
        check(&["--since", &when], &|e| text(e, "timestamp") >= when);
        check(&["--until", &when], &|e| text(e, "timestamp") < when);
        check(&["--node", &who[who.len() - 12..]], &|e| text(e, "node_id") == who);
        check(&["--decision", "block"], &|e| e["policy_decision"] == "BLOCK");
        check(&["--decision", "allow", "--node", &who], &|e| e["policy_decision"] == "ALLOW" && e["node_id"] == who);
        check(&["--code", "policy.unknown_route"], &|e| e["code"] == "policy.unknown_route");
        check(&["--request-id", &which], &|e| e["request_id"] == which);
        let blocked: Vec<_> = all.iter().filter(|e| e["policy_decision"] == "BLOCK").cloned().collect();
        assert_eq!(entries(&gate, &["--decision", "block", "--limit", "2"]), blocked[blocked.len() - 2..]);
        assert_eq!(entries(&gate, &["--limit", "1000"]), all);
        assert!(entries(&gate, &["--until", "2000-01-01T00:00:00Z"]).is_empty());
        let newest = lines(&gate.cli(&["audit", "tail", "--json", "-n", "7"]));
        let newest: Vec<Value> = newest.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(newest, all[all.len() - 7..]);
        // What a gate that was started again does not remember is explained from the log.
        let explained = gate.cli_json(&["explain", &which]);
        assert_eq!((&explained["request_id"], &explained["code"]), (&middle["request_id"], &middle["code"]));
    }
}

#[test]
fn what_cannot_be_meant_is_told() {
    let (gate, _server) = stopped();
    for (args, expected) in [
        (&["show", "--decision", "denied"][..], "[possible values: allow, block]"),
        (&["show", "--since", "yesterday"], "expected such as `2026-11-21T08:00:00Z` or `10m`"),
        (&["show", "--request-id", "01R\""], "expected 26 letters and digits"),
        (&["export", "--format", "xml"], "[possible values: cef, csv, jsonl, ocsf]"),
        (&["export", "--output", "/dev/null"], "is not a regular file"),
    ] {
        let output = gate.cli(&[&["audit"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    // A line that is none is told with its place; the others are shown all the same.
    let (path, _) = segment(&gate);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen('{', "<", 1)).unwrap();
    let output = gate.cli(&["audit", "show", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("{}:1: it is not an entry", path.display())), "{said}");
    assert_eq!(output.stdout, text.split_once('\n').unwrap().1.as_bytes());
}

#[test]
fn the_log_is_exported_in_every_form() {
    let (gate, _server) = stopped();
    let (path, _) = segment(&gate);
    let text = fs::read_to_string(&path).unwrap();
    let all = gate.audit();
    rotate(&gate);
    let export = |args: &[&str]| gate.cli(&[&["audit", "export"], args].concat());
    assert_eq!(export(&[]).stdout, text.as_bytes(), "byte by byte");

    let csv = String::from_utf8(export(&["--format", "csv"]).stdout).unwrap();
    let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(rows.len(), all.len() + 1);
    assert!(rows[0].starts_with("seq_no,timestamp,event_type,request_id,node_id,"), "{}", rows[0]);
    for (row, entry) in rows[1..].iter().zip(&all) {
        let expected = ["seq_no", "timestamp", "event_type", "request_id", "node_id"].map(|key| match &entry[key] {
            Value::String(text) => text.clone(),
            number => number.to_string(),
        });
        assert!(row.starts_with(&format!("{},", expected.join(","))), "{row}");
        assert_eq!(row.split(',').count(), rows[0].split(',').count(), "{row}");
    }

    let cef = lines(&export(&["--format", "cef", "--decision", "block"]));
    let ocsf = lines(&export(&["--format", "ocsf", "--decision", "block"]));
    let blocked: Vec<_> = all.iter().filter(|e| e["policy_decision"] == "BLOCK").collect();
    assert_eq!((cef.len(), ocsf.len()), (blocked.len(), blocked.len()));
    for ((cef, ocsf), entry) in cef.iter().zip(&ocsf).zip(&blocked) {
        let (code, id) = (entry["code"].as_str().unwrap(), entry["request_id"].as_str().unwrap());
        assert!(cef.starts_with("CEF:0|Portcullis|Portcullis|"), "{cef}");
        assert!(cef.contains(&format!("|{code}|Refused|")) && cef.contains(&format!(" externalId={id} ")), "{cef}");
        let event: Value = serde_json::from_str(ocsf).unwrap();
        assert_eq!((&event["class_uid"], &event["category_uid"]), (&6003.into(), &6.into()));
        assert_eq!((&event["metadata"]["sequence"], &event["status_code"]), (&entry["seq_no"], &entry["code"]));
        assert_eq!(event["action_id"], 2);
        let time = entry["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert_eq!(event["time"], time.as_millisecond());
    }

    let file = gate.dir.path().join("audit.csv");
    fs::write(&file, "of yesterday").unwrap();
    let output = export(&["--format", "csv", "--output", file.to_str().unwrap()]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert_eq!(fs::read_to_string(&file).unwrap(), csv);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// A `portcullis audit tail -f` that runs.
struct Follower {
    child: Child,
    out: Option<BufReader<std::process::ChildStdout>>,
}

impl Follower {
    fn start(gate: &Gate, count: &str) -> Self {
        let mut child = Command::new(portcullis())
            .args(["audit", "tail", "-f", "--json", "-n", count, "--config"])
            .arg(gate.config())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = child.stdout.take().map(BufReader::new);
        Self { child, out }
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.out.as_mut().unwrap().read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("it ended: {:?}", self.child.wait()))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_follower_sees_what_a_running_gate_writes() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let alice = gate.approved_client("alice");
    let first = alice.get("/api/version");
    gate.audit_of(first.header("portcullis-request-id").unwrap());
    let mut follower = Follower::start(&gate, "1");
    assert_eq!(follower.next()["request_id"], first.header("portcullis-request-id").unwrap());
    for _ in 0..3 {
        let answer = alice.get("/api/version");
        assert_eq!(follower.next()["request_id"], answer.header("portcullis-request-id").unwrap());
    }
    // Whoever read it goes away: it ends, without a word, although nothing more is written.
    drop(follower.out.take());
    let ended = until("the end of the follower", || follower.child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_follower_goes_on_over_rotation_and_compression() {
    let (gate, _server) = stopped();
    let (path, number) = segment(&gate);
    let dir = path.parent().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let all = gate.audit();
    let append = |number: u64, text: &str| {
        use std::io::Write as _;
        let file = fs::OpenOptions::new().append(true).create(true).open(name(dir, number, ""));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    };
    let pack = |number: u64| {
        let plain = name(dir, number, "");
        fs::write(name(dir, number, ".zst"), zstd::encode_all(&*fs::read(&plain).unwrap(), 3).unwrap()).unwrap();
        fs::remove_file(&plain).unwrap();
    };
    fs::write(&path, lines[0]).unwrap();
    let mut follower = Follower::start(&gate, "5");
    assert_eq!(follower.next(), all[0]);
    append(number, lines[1]);
    append(number + 1, lines[2]);
    pack(number);
    assert_eq!((follower.next(), follower.next()), (all[1].clone(), all[2].clone()));
    // Two rotations at once, and a line that comes in two pieces.
    append(number + 2, lines[3]);
    pack(number + 1);
    append(number + 3, &lines[4][..10]);
    assert_eq!(follower.next(), all[3]);
    append(number + 3, &lines[4][10..]);
    assert_eq!(follower.next(), all[4]);
}
