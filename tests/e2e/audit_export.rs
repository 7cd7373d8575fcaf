//! The log reaches the places that it is passed on to: in its order, without a gap.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use portcullis_tests::pki::{Authority, Shown, hosts, uses};
use portcullis_tests::{FakeServer, Gate, GateBuilder, until};
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::{Value, json};

use self::bucket::{ACCESS_KEY, FakeBucket, SECRET_KEY};
use self::receiver::Receiver;

mod bucket;
mod receiver;

fn certificate(authority: &Authority, host: &str) -> Shown {
    authority.client("receiver", |params| {
        hosts(&[host])(params);
        uses(&[ExtendedKeyUsagePurpose::ServerAuth])(params);
    })
}

fn siem(receiver: &Receiver, tls: &str) -> String {
    format!("{{name: siem, to: syslog, address: 'localhost:{}', tls: {tls}, every: 100ms}}", receiver.port())
}

fn archive(folder: &Path) -> String {
    format!("{{name: archive, to: directory, path: '{}', every: 100ms}}", folder.display())
}

fn gate(server: &FakeServer, sinks: &[String]) -> GateBuilder {
    let sinks = sinks.join(", ");
    Gate::before(server)
        .filter(&format!("audit: {{fsync: always, checkpoint_after: 500ms, export: [{sinks}]}}"))
        .env("TEST_ACCESS", ACCESS_KEY)
        .env("TEST_SECRET", SECRET_KEY)
}

/// The entries that came, each once, as they stand in the log; fails where one came before all that precede it.
#[track_caller]
fn in_order(messages: &[String]) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for message in messages {
        let line = &message[message.find("] {").expect("an entry") + 2..];
        let entry: Value = serde_json::from_str(line).expect("JSON");
        let seq = usize::try_from(entry["seq_no"].as_u64().expect("a number")).expect("a number");
        match seq.cmp(&entries.len()) {
            std::cmp::Ordering::Less => assert_eq!(entries[seq], line, "it says something else the second time"),
            std::cmp::Ordering::Equal => entries.push(line.to_owned()),
            std::cmp::Ordering::Greater => panic!("entry {seq} came, and {} did not", entries.len()),
        }
    }
    entries
}

/// The lines of the log.
fn lines(gate: &Gate) -> Vec<String> {
    let log = fs::read_to_string(gate.state().join("audit/audit-000000.jsonl")).expect("a log");
    log.lines().map(str::to_owned).collect()
}

/// The lines in objects, in the order of their names.
fn unpacked(objects: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let packed = objects.iter().filter(|(name, _)| name.ends_with(".jsonl.zst"));
    let texts =
        packed.map(|(_, bytes)| String::from_utf8(zstd::decode_all(bytes.as_slice()).expect("zstd")).expect("text"));
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The files below a folder, by their names.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            let name = entry.file_name().into_string().expect("a name");
            found.extend(files(&entry.path()).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if let Ok(bytes) = fs::read(entry.path()) {
            found.insert(entry.file_name().into_string().expect("a name"), bytes);
        }
    }
    found
}

/// Waits until the gate says of this sink that nothing waits.
#[track_caller]
fn caught_up(gate: &Gate, sink: &str) {
    let behind = format!("portcullis_audit_export_behind{{sink=\"{sink}\"}}");
    // A receiver of messages is watched for ten seconds before they count as arrived.
    let mut seen = f64::INFINITY;
    while seen > 0.0 {
        seen = until("fewer to be behind", || Some(gate.metric(&behind)).filter(|now| *now < seen || *now == 0.0));
    }
}

#[test]
fn everything_arrives_in_order_though_the_gate_is_killed() {
    let authority = Authority::root("a private root");
    let receiver = Receiver::new(Some(&certificate(&authority, "localhost")));
    receiver.start();
    let (bucket, folder) = (FakeBucket::start(), tempfile::tempdir().expect("a folder"));
    let ca = authority.save(folder.path(), "ca.pem");
    let store = folder.path().join("archive");
    fs::create_dir(&store).expect("a folder");
    let sinks = [siem(&receiver, &format!("{{ca: '{}'}}", ca.display())), archive(&store), bucket.sink("far")];
    let server = FakeServer::start();
    let gate = gate(&server, &sinks).start();
    let alice = gate.approved_client("alice");
    for _ in 0..4 {
        for _ in 0..15 {
            alice.get("/api/version");
        }
        // As hard as it gets: SIGKILL, with batches under way.
        gate.restart(|| {});
    }
    alice.get("/api/version");
    for sink in ["siem", "archive", "far"] {
        caught_up(&gate, sink);
    }
    let log = lines(&gate);
    assert!(log.len() > 60);
    assert_eq!(in_order(&receiver.messages()), log);
    assert_eq!(unpacked(&files(&store)), log);
    let objects = bucket.objects();
    assert_eq!(unpacked(&objects), log);
    assert_eq!(bucket.refused(), [""; 0]);
    let id = gate.node().node_id();
    let first = objects.keys().next().expect("an object");
    assert!(first.starts_with(&format!("gates/{id}/audit-000000/000000000000-")), "{first}");
    let noted = |objects: BTreeMap<String, Vec<u8>>| objects.keys().any(|name| name.ends_with(".checkpoint"));
    until("the checkpoints to stand beside", || (noted(bucket.objects()) && noted(files(&store))).then_some(()));
    let message = receiver.messages().pop().expect("a message");
    assert!(message.starts_with("<110>1 20") && message.contains(" portcullis "), "{message}");
    assert!(message.contains(&format!("node=\"{id}\" name=\"test-gate\"")), "{message}");
    assert_eq!(gate.metric("portcullis_audit_export_gaps_total{sink=\"siem\"}"), 0.0);
    assert!(gate.metric("portcullis_audit_export_lines_total{sink=\"far\"}") > 0.0);
}

#[test]
fn a_receiver_that_was_away_or_cut_off_gets_what_it_missed() {
    let receiver = Receiver::new(None);
    let server = FakeServer::start();
    let gate = gate(&server, &[siem(&receiver, "off")]).start();
    let alice = gate.approved_client("alice");
    for _ in 0..10 {
        assert_eq!(alice.get("/api/version").status, 200, "nobody waits for the receiver");
    }
    let failures = "portcullis_audit_export_failures_total{sink=\"siem\"}";
    until("a failure", || (gate.metric(failures) > 0.0).then_some(()));
    assert!(gate.metric("portcullis_audit_export_behind{sink=\"siem\"}") >= 10.0);
    let status = gate.cli_json(&["status"]);
    let sink = &status["audit"]["export"][0];
    assert!(sink["failing"].as_str().is_some_and(|why| why.contains("cannot reach the receiver")), "{sink}");
    let told = String::from_utf8(gate.cli(&["status"]).stdout).expect("text");
    assert!(told.contains("export    siem to syslog localhost:"), "{told}");
    let told = String::from_utf8(gate.cli(&["doctor"]).stdout).expect("text");
    assert!(told.contains("FAIL export") && told.contains("entries behind: cannot reach"), "{told}");
    receiver.start();
    until("what it missed", || (in_order(&receiver.messages()).len() == lines(&gate).len()).then_some(()));
    // In the middle of a message, with others behind it in the system's hands.
    receiver.cut_after(900);
    for _ in 0..10 {
        alice.get("/api/version");
    }
    until("the cut", || (receiver.cuts() == 1).then_some(()));
    until("what was cut off", || (in_order(&receiver.messages()).len() == lines(&gate).len()).then_some(()));
    receiver.stop();
    for _ in 0..5 {
        alice.get("/api/version");
    }
    receiver.start();
    caught_up(&gate, "siem");
    assert_eq!(in_order(&receiver.messages()), lines(&gate));
    gate.signal(rustix::process::Signal::TERM);
    assert_eq!(gate.wait().code(), Some(0));
    // The last entries of all go out before the gate is gone, and count as passed on.
    assert_eq!(in_order(&receiver.messages()), lines(&gate));
    let place: Value =
        serde_json::from_slice(&fs::read(gate.state().join("export/siem.json")).expect("its place")).expect("JSON");
    assert_eq!(place["entries"], lines(&gate).len());
}

#[test]
fn a_receiver_without_the_right_certificate_gets_nothing() {
    let authority = Authority::root("a private root");
    let folder = tempfile::tempdir().expect("a folder");
    let right = authority.save(folder.path(), "ca.pem");
    let wrong = Authority::root("another root").save(folder.path(), "other.pem");
    let server = FakeServer::start();
    for (host, ca, why) in [("localhost", &wrong, "UnknownIssuer"), ("siem.example", &right, "not valid for name")] {
        let receiver = Receiver::new(Some(&certificate(&authority, host)));
        receiver.start();
        let gate = gate(&server, &[siem(&receiver, &format!("{{ca: '{}'}}", ca.display()))]).start();
        gate.stranger("mallory").get("/api/version");
        let failing = until("the refusal", || {
            gate.cli_json(&["status"])["audit"]["export"][0]["failing"].as_str().map(str::to_owned)
        });
        assert!(failing.contains(why), "{failing}");
        assert_eq!(receiver.messages(), [""; 0]);
    }
}

#[test]
fn an_object_whose_answer_got_lost_is_put_once() {
    let bucket = FakeBucket::start();
    let server = FakeServer::start();
    bucket.keep_silent(1);
    let gate = gate(&server, &[bucket.sink("far")]).start();
    let alice = gate.approved_client("alice");
    until("it to be put again", || (bucket.repeated() > 0).then_some(()));
    alice.get("/api/version");
    caught_up(&gate, "far");
    assert_eq!(unpacked(&bucket.objects()), lines(&gate));
}

/// What attackers found: an entry that the disk took back went out, and those that were written in its place did not.
#[test]
fn what_the_disk_took_back_reaches_no_bucket_and_what_came_after_does() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: only a debug build has a disk that fails on command");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let disk = folder.path().join("disk");
    let fault = |fault: &str| {
        // In one step: a fault that is half written is another one.
        fs::write(folder.path().join("new"), fault).expect("a fault");
        fs::rename(folder.path().join("new"), &disk).expect("a fault");
    };
    let bucket = FakeBucket::start();
    let server = FakeServer::start();
    let sink = bucket.sink("far").replace("every:", "batch_lines: 1, every:");
    let gate = gate(&server, &[sink]).env("PORTCULLIS_TEST_DISK", disk.to_str().expect("text")).start();
    let alice = gate.approved_client("alice");
    caught_up(&gate, "far");
    bucket.hold_after(Some(0));
    let next = lines(&gate).len();
    assert_eq!(alice.get("/api/version").status, 200);
    until("it to be held", || (bucket.waiting() == 1).then_some(()));
    for _ in 0..2 {
        assert_eq!(alice.get("/api/version").status, 200);
    }
    fault("slow sync");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| alice.get("/api/tags").status);
        until("its line", || (lines(&gate).len() == next + 4).then_some(()));
        // The next two are read while that line stands behind them, and the first of them is held.
        let put = bucket.objects().len();
        bucket.hold_after(Some(1));
        until("the next to be held", || (bucket.waiting() == 1 && bucket.objects().len() > put).then_some(()));
        fault("eio sync");
        assert_eq!(waits.join().expect("an answer"), 503, "it is taken back");
    });
    fault("");
    let answered = |path: &str| (alice.get(path).status == 200).then_some(());
    until("service to resume", || answered("/api/version"));
    bucket.hold_after(None);
    answered("/api/version").expect("an answer");
    caught_up(&gate, "far");
    assert_eq!(unpacked(&bucket.objects()), lines(&gate));
    assert!(!lines(&gate).concat().contains("/api/tags\""), "nobody was answered");
    assert_eq!(gate.metric("portcullis_audit_export_gaps_total{sink=\"far\"}"), 0.0);
}

#[test]
fn the_keys_of_a_bucket_are_shown_to_nobody() {
    let bucket = FakeBucket::start();
    let server = FakeServer::start();
    bucket.fail(2);
    let gate = gate(&server, &[bucket.sink("far")]).start();
    gate.stranger("mallory").get("/api/version");
    until("a failure", || (gate.metric("portcullis_audit_export_failures_total{sink=\"far\"}") > 0.0).then_some(()));
    let told = |args: &[&str]| {
        let output = gate.cli(args);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let mut all: Vec<String> =
        [&["config", "show"][..], &["status"], &["status", "--json"], &["doctor"], &["check"]].map(told).into();
    assert!(all[0].contains("bucket: logs") || all[0].contains("\"bucket\""), "{}", all[0]);
    until("it to work again", || (!bucket.objects().is_empty()).then_some(()));
    all.push(gate.log());
    assert!(gate.log().contains("the server answered 503 `SlowDown`"), "{}", gate.log());
    for text in &all {
        for secret in [ACCESS_KEY, SECRET_KEY, "X-Amz-Signature", "X-Amz-Credential"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(json!(bucket.refused()).as_array().is_some_and(Vec::is_empty), "{:?}", bucket.refused());
}

#[test]
fn a_real_server_of_buckets_takes_it() {
    let Some(python) = portcullis_tests::real::python_with("moto.server", "passing the log on to moto") else { return };
    let moto = Moto::start(&python);
    let server = FakeServer::start();
    let sink = format!(
        "{{name: far, to: s3, bucket: logs, endpoint: '{}', access_key: '${{TEST_ACCESS}}', \
         secret_key: '${{TEST_SECRET}}', every: 100ms}}",
        moto.url
    );
    let gate = gate(&server, &[sink]).start();
    let alice = gate.approved_client("alice");
    for _ in 0..20 {
        alice.get("/api/version");
    }
    gate.restart(|| {});
    alice.get("/api/version");
    caught_up(&gate, "far");
    assert_eq!(unpacked(&moto.objects()), lines(&gate));
    // Put again after its place was lost, it is found to be the same.
    let place = gate.state().join("export/far.json");
    let kept: Value = serde_json::from_slice(&fs::read(&place).expect("its place")).expect("JSON");
    let first = moto.objects().keys().find(|name| name.ends_with(".jsonl.zst")).expect("an object").clone();
    let count = unpacked(&moto.objects().into_iter().filter(|(name, _)| *name == first).collect()).len();
    let end: usize = lines(&gate).iter().take(count).map(|line| line.len() + 1).sum();
    let before = moto.objects();
    gate.restart(|| {
        fs::write(&place, json!({"segment": 0, "offset": 0, "entries": 0, "until": [0, end]}).to_string())
            .expect("a file");
    });
    assert!(kept["entries"].as_u64().is_some_and(|entries| entries > 0), "{kept}");
    caught_up(&gate, "far");
    let after = moto.objects();
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)), "no object was replaced");
}

/// A real server that speaks S3, ended on drop.
struct Moto {
    child: std::process::Child,
    url: String,
}

impl Moto {
    fn start(python: &Path) -> Self {
        let port = portcullis_tests::free_port();
        let child = std::process::Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("moto starts");
        let moto = Self { child, url: format!("http://127.0.0.1:{port}") };
        until("moto to make a bucket", || ureq::put(format!("{}/logs", moto.url)).send_empty().ok());
        moto
    }

    fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let get = |path: &str| {
            // It asks who reads, and believes it.
            let reader =
                "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
            let request = ureq::get(format!("{}/logs{path}", self.url)).header("Authorization", reader);
            let mut answer = request.call().expect("an answer");
            answer.body_mut().read_to_vec().expect("a body")
        };
        let listed = String::from_utf8(get("?list-type=2")).expect("XML");
        let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        keys.map(|(key, _)| (key.to_owned(), get(&format!("/{key}")))).collect()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
