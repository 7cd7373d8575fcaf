//! A log that was cut or rewritten is found by another gate.

use std::fs;
use std::path::Path;

use portcullis_audit::submission::{SIZE_TYPE, read_cosignatures, read_size};
use portcullis_audit::tree::{consistency, root};
use portcullis_audit::{
    Checkpoint, Hash, KeyKind, MAX_SUBMISSION, Note, SignedCheckpoint, Submission, Tree, VerifierKey, leaf_hash, note,
    verify_cosignature,
};
use portcullis_certs::{NodeKey, NodePublic};
use portcullis_tests::{Answer, Client, FakeServer, Gate, Message, Signer, until};
use serde_json::Value;

/// A gate that may be a witness, and signs its own log as often as it can.
fn witness(server: &FakeServer) -> Gate {
    Gate::before(server).filter("audit: {checkpoint_every: 1}").start()
}

/// The setting that names witnesses.
fn audit(witnesses: &[&Gate]) -> String {
    let named = |gate: &&Gate| format!("{{url: '{}', fingerprint: '{}'}}", gate.url(), gate.fingerprint());
    let named: Vec<_> = witnesses.iter().map(named).collect();
    format!("audit: {{checkpoint_every: 1, witnesses: [{}]}}", named.join(", "))
}

fn id(gate: &Gate) -> String {
    gate.node().node_id()
}

/// The witness's operator lets the other gate in, once that has called: it has something to be countersigned then.
#[track_caller]
fn approve(witness: &Gate, gate: &Gate) {
    gate.nobody().get("/api/version");
    until("the gate to be let in", || witness.cli(&["peers", "approve", &id(gate)]).status.success().then_some(()));
}

/// What the witness keeps: it ends with 1 where that has evidence in it.
fn witnessed(witness: &Gate) -> Value {
    let output = witness.cli(&["audit", "witnessed", "--json"]);
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let is_contradicted = |one: &Value| !one["conflicts"].as_array().unwrap().is_empty();
    assert_eq!(output.status.code(), Some(i32::from(all.as_array().unwrap().iter().any(is_contradicted))));
    all
}

/// How many entries of the gate's log the witness countersigned, by its own word.
fn seen(witness: &Gate, gate: &Gate) -> Option<u64> {
    let all = witnessed(witness);
    let one = all.as_array()?.iter().find(|one| one["origin"] == origin(&gate.node()))?.clone();
    one["size"].as_u64()
}

fn origin(node: &NodePublic) -> String {
    format!("{}/audit", node.node_id())
}

fn log_key(node: &NodePublic) -> VerifierKey {
    VerifierKey::new(&origin(node), KeyKind::Ed25519, verifying(node)).unwrap()
}

fn witness_key(node: &NodePublic) -> VerifierKey {
    VerifierKey::new(&format!("{}/witness", node.node_id()), KeyKind::Cosignature, verifying(node)).unwrap()
}

fn verifying(node: &NodePublic) -> ed25519_dalek::VerifyingKey {
    ed25519_dalek::VerifyingKey::from_bytes(node.as_bytes()).unwrap()
}

/// What the gate's status says of its only witness.
fn standing(gate: &Gate) -> Value {
    gate.cli_json(&["status"])["audit"]["witnesses"][0].clone()
}

/// Waits until the witness has countersigned more entries than this.
#[track_caller]
fn countersigned_beyond(witness: &Gate, gate: &Gate, size: u64) -> u64 {
    until("a newer checkpoint to be countersigned", || seen(witness, gate).filter(|seen| *seen > size))
}

#[test]
fn two_gates_countersign_each_other_s_checkpoints() {
    let server = FakeServer::start();
    let one = witness(&server);
    let other = Gate::before(&server).filter(&audit(&[&one])).start();
    one.restart(|| {
        let config = fs::read_to_string(one.config()).unwrap();
        fs::write(one.config(), config.replace("audit: {checkpoint_every: 1}", &audit(&[&other]))).unwrap();
    });
    approve(&one, &other);
    approve(&other, &one);
    for (witness, gate) in [(&one, &other), (&other, &one)] {
        let first = countersigned_beyond(witness, gate, 0);
        // It goes on, also once the witness was started anew: what it saw is on its disk.
        witness.restart(|| {});
        assert!(seen(witness, gate).unwrap() >= first);
        let alice = gate.approved_client("alice");
        alice.get("/api/version");
        let last = countersigned_beyond(witness, gate, first);
        // The note convinces whoever knows the two public keys.
        let shown = witness.cli(&["audit", "witnessed", "--origin", &origin(&gate.node())]);
        assert!(shown.status.success());
        let note = Note::parse(&shown.stdout).unwrap();
        let signed = SignedCheckpoint::open(&note, &log_key(&gate.node())).unwrap();
        assert!(signed.checkpoint().size >= last);
        assert!(verify_cosignature(&note, &witness_key(&witness.node())).unwrap() > 1_700_000_000);
        // The gate knows, and says so.
        let known = until("the gate to note it", || standing(gate)["entries"].as_u64().filter(|known| *known >= last));
        assert_eq!(standing(gate)["name"], witness_key(&witness.node()).name());
        assert_eq!(standing(gate)["conflict"], Value::Null);
        assert!(gate.metric("portcullis_audit_witnessed") >= known as f64);
        assert_eq!(gate.metric("portcullis_audit_chain_ok"), 1.0);
        let said = String::from_utf8(gate.cli(&["status"]).stdout).unwrap();
        assert!(said.contains("countersigned") && !said.contains("ANOTHER LOG"), "{said}");
        let doctor: Value = serde_json::from_slice(&gate.cli(&["doctor", "--json"]).stdout).unwrap();
        let line = doctor.as_array().unwrap().iter().find(|line| line["check"] == "witness").unwrap();
        assert!(line["what"].as_str().unwrap().contains("countersigned"), "{line}");
        // Who does not ask any more is named.
        let aged = |age: &str| witness.cli(&["audit", "witnessed", "--max-age", age]);
        assert_eq!(aged("1h").status.code(), Some(0));
        let silent = until("the last time to be a while ago", || {
            let silent = aged("1s");
            (silent.status.code() == Some(1)).then_some(silent)
        });
        let said = String::from_utf8_lossy(&silent.stderr).into_owned();
        assert!(said.contains(&origin(&gate.node())) && said.contains("was countersigned last at 20"), "{said}");
        // Each request left a line, as any other.
        let asked = |entry: &&Value| entry["path"] == "/witness/add-checkpoint" && entry["code"] == "";
        let entry = witness.audit().iter().find(asked).unwrap().clone();
        for (key, value) in
            [("route_class", "witness"), ("policy_decision", "ALLOW"), ("upstream", ""), ("method", "POST")]
        {
            assert_eq!(entry[key], value, "{key}");
        }
        assert_eq!(entry["node_id"], id(gate));
        assert!(witness.metric("portcullis_witness_requests_total{result=\"cosigned\"}") > 0.0);
        // A cosignature stands on the checkpoint that lies beside the log, until the next takes its place.
        until("a cosigned checkpoint beside the log", || {
            let files = fs::read_dir(gate.state().join("audit")).unwrap().map(|file| file.unwrap().path());
            let mut notes = files.filter(|path| path.extension().is_some_and(|end| end == "checkpoint"));
            let by = witness_key(&witness.node());
            notes
                .any(|path| {
                    let note = Note::parse(&fs::read(path).unwrap()).unwrap();
                    note.signatures.len() == 2 && verify_cosignature(&note, &by).is_ok()
                })
                .then_some(())
        });
    }
    assert!(server.seen().iter().all(|seen| !seen.line.contains("witness")), "none of it reached a model server");
}

#[test]
fn no_gate_is_its_own_witness() {
    let server = FakeServer::start();
    let gate = witness(&server);
    let config = fs::read_to_string(gate.config()).unwrap();
    fs::write(gate.config(), config.replace("audit: {checkpoint_every: 1}", &audit(&[&gate]))).unwrap();
    let checked = gate.cli(&["check"]);
    assert_eq!(checked.status.code(), Some(2));
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(said.contains("names this gate itself") && said.contains("portcullis id"), "{said}");
}

#[test]
fn a_log_that_was_cut_is_found_by_its_witness_and_by_itself() {
    let server = FakeServer::start();
    let (witness, saved) = (witness(&server), tempfile::tempdir().unwrap());
    let gate = Gate::before(&server).filter(&audit(&[&witness])).start();
    approve(&witness, &gate);
    countersigned_beyond(&witness, &gate, 0);
    let alice = gate.approved_client("alice");
    // All that the log's folder holds, as its operator can put it back: lines, tree, state, checkpoints, keys.
    gate.restart(|| copy(&gate.state().join("audit"), saved.path()));
    let before = gate.audit().len() as u64;
    let last = until("much more to be countersigned", || {
        alice.get("/api/version");
        seen(&witness, &gate).filter(|seen| *seen > before + 30)
    });
    gate.restart(|| {
        fs::remove_dir_all(gate.state().join("audit")).unwrap();
        copy(saved.path(), &gate.state().join("audit"));
        // What would give it away at once, without anybody else.
        fs::remove_dir_all(gate.state().join("audit/witnessed")).unwrap();
    });
    assert!(gate.cli(&["audit", "verify"]).status.success(), "the log itself shows nothing");
    let conflict = until("the gate to be told", || standing(&gate)["conflict"].as_str().map(str::to_owned));
    assert!(conflict.contains(&format!("at {last} entries")), "{conflict}");
    assert_eq!(gate.metric("portcullis_audit_chain_ok"), 0.0);
    assert_eq!(gate.metric("portcullis_audit_witness_conflicts_total"), 1.0);
    assert_eq!(gate.ask_admin("GET", "/readyz", None).0, 200, "it goes on: to stop would help whoever cut it");
    assert_eq!(alice.get("/api/version").status, 200);
    assert!(gate.log().contains("A witness saw another audit log than this one"));
    let entry = until("the entry", || gate.audit().into_iter().find(|e| e["event_type"] == "audit.witness_conflict"));
    assert_eq!(entry["path"], witness_key(&witness.node()).name());
    let doctor = gate.cli(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("saw another log"));
    assert!(String::from_utf8_lossy(&gate.cli(&["status"]).stdout).contains("SAW ANOTHER LOG"));
    // The witness kept both notes, and countersigns neither anew.
    assert!(witness.log().contains("contradicts what was countersigned"));
    assert!(witness.metric("portcullis_witness_requests_total{result=\"conflict\"}") >= 1.0);
    let kept = witnessed(&witness);
    assert_eq!(kept[0]["size"], last);
    let evidence = kept[0]["conflicts"][0].as_str().unwrap();
    let evidence = Note::parse(&fs::read(evidence).unwrap()).unwrap();
    let shorter = SignedCheckpoint::open(&evidence, &log_key(&gate.node())).unwrap();
    assert!(shorter.checkpoint().size < last);
    // It is said again by the next start, and not forgotten by one.
    gate.restart(|| {});
    until("the alarm to come back", || (gate.metric("portcullis_audit_chain_ok") == 0.0).then_some(()));
    // The witness's operator sees it, too, wherever they look.
    let said = |args: &[&str]| String::from_utf8(witness.cli(args).stdout).unwrap();
    assert!(said(&["status"]).contains("WAS CUT OFF OR CHANGED"));
    let of_log = origin(&gate.node());
    assert_eq!(witness.cli(&["doctor"]).status.code(), Some(1));
    assert!(said(&["doctor"]).contains(&format!("the log `{of_log}` was cut off or changed")));
    // Once both have looked, the log may begin anew: beside the running witness, and with its next start here.
    let forgotten = witness.cli(&["audit", "witnessed", "--forget", &of_log]);
    assert_eq!(forgotten.status.code(), Some(0), "{}", String::from_utf8_lossy(&forgotten.stderr));
    assert!(witnessed(&witness)[0]["size"].is_null(), "the evidence is still told");
    gate.restart(|| {});
    let anew = until("the log to be countersigned anew", || seen(&witness, &gate));
    assert!(anew < last, "{anew}");
    assert_eq!(gate.metric("portcullis_audit_chain_ok"), 1.0);
    assert_eq!(witness.cli(&["audit", "witnessed", "--forget", &of_log, "--with-evidence"]).status.code(), Some(0));
    assert!(!said(&["status"]).contains("WAS CUT OFF OR CHANGED"));
    assert_eq!(witness.cli(&["audit", "witnessed", "--forget", "peer:nobody/audit"]).status.code(), Some(1));
}

#[test]
fn a_witness_that_forgot_is_no_alarm() {
    let server = FakeServer::start();
    let witness = witness(&server);
    let gate = Gate::before(&server).filter(&audit(&[&witness])).start();
    approve(&witness, &gate);
    let first = countersigned_beyond(&witness, &gate, 0);
    until("the gate to note it", || standing(&gate)["entries"].as_u64().filter(|known| *known >= first));
    gate.restart(|| witness.restart(|| fs::remove_dir_all(witness.state().join("witness")).unwrap()));
    let again = countersigned_beyond(&witness, &gate, 0);
    assert!(again >= first);
    until("the trouble to be over", || standing(&gate)["trouble"].is_null().then_some(()));
    assert_eq!(standing(&gate)["conflict"], Value::Null);
    assert_eq!(gate.metric("portcullis_audit_chain_ok"), 1.0);
    assert_eq!(gate.metric("portcullis_audit_witness_conflicts_total"), 0.0);
}

#[test]
fn a_witness_that_is_away_holds_up_nothing_and_is_asked_again() {
    let server = FakeServer::start();
    let witness = witness(&server);
    let gate = Gate::before(&server).filter(&audit(&[&witness])).start();
    let alice = gate.approved_client("alice");
    // Nobody approved it yet: that is no alarm.
    let trouble = |part: &str| {
        until("the trouble to be told", || {
            standing(&gate)["trouble"].as_str().filter(|why| why.contains(part)).map(str::to_owned)
        })
    };
    trouble("portcullis peers approve");
    approve(&witness, &gate);
    let first = countersigned_beyond(&witness, &gate, 0);
    witness.signal(rustix::process::Signal::TERM);
    witness.wait();
    assert_eq!(alice.get("/api/version").status, 200);
    trouble("");
    assert_eq!(gate.metric("portcullis_audit_chain_ok"), 1.0);
    assert_eq!(standing(&gate)["conflict"], Value::Null);
    // What was countersigned is remembered over a restart of this gate.
    gate.restart(|| {});
    assert!(standing(&gate)["entries"].as_u64().unwrap() >= first);
    assert!(gate.metric("portcullis_audit_witnessed") >= first as f64);
    witness.restart(|| {});
    let last = countersigned_beyond(&witness, &gate, first);
    until("the gate to note it", || standing(&gate)["entries"].as_u64().filter(|known| *known >= last));
    until("the trouble to be over", || standing(&gate)["trouble"].is_null().then_some(()));
}

/// A node that has a log, and says of it whatever the test wants said.
struct Node {
    key: NodeKey,
    client: Client,
}

impl Node {
    fn of(client: Client) -> Self {
        Self { key: NodeKey::from_pem(&client.key, "a key").unwrap(), client }
    }

    fn submit(&self, body: &[u8]) -> Answer {
        self.client.raw(&post(body))
    }

    /// A submission of a log of such entries, as this node signs it.
    fn submission(&self, (old, size): (u64, u64), way: u8) -> Submission {
        let nodes = tree(size, way);
        Submission {
            old,
            proof: consistency(&nodes[..], old.min(size), size).unwrap(),
            checkpoint: self.signed(&origin(&self.key.public()), size, root(&nodes[..], size).unwrap()),
        }
    }

    fn signed(&self, origin: &str, size: u64, root: Hash) -> Note {
        let text = Checkpoint { origin: origin.to_owned(), size, root }.to_text();
        let signature = note::sign(&text, origin, self.key.secret().signing_key()).unwrap();
        Note { text, signatures: vec![signature] }
    }

    #[track_caller]
    fn says(&self, submission: &Submission, status: u16, code: &str) -> Answer {
        let answer = self.submit(submission.to_string().as_bytes());
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
        answer
    }
}

fn post(body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST /witness/add-checkpoint HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The hashes of a log whose first ten entries are the same whatever way it goes.
fn tree(size: u64, way: u8) -> Vec<Hash> {
    let (mut tree, mut stored) = (Tree::default(), Vec::new());
    for number in 0..size {
        let way = if number < 10 { 0 } else { way };
        tree.push(leaf_hash(format!("{way} {number}").as_bytes()), &mut stored);
    }
    stored.chunks_exact(32).map(|hash| hash.try_into().unwrap()).collect()
}

#[test]
fn a_witness_countersigns_one_history_of_a_node_s_own_log() {
    let server = FakeServer::start();
    let witness = witness(&server);
    let node = Node::of(witness.approved_client("a node"));
    for (old, size) in [(0, 5), (5, 5), (5, 12), (12, 40)] {
        let submission = node.submission((old, size), 1);
        let answer = node.says(&submission, 200, "allow");
        let mut note = submission.checkpoint.clone();
        note.signatures.extend(read_cosignatures(&answer.body).unwrap());
        assert!(verify_cosignature(&note, &witness_key(&witness.node())).unwrap() > 1_700_000_000);
        assert_eq!(answer.header("portcullis-node"), Some(id(&witness).as_str()));
    }
    let sized = |answer: &Answer, size| {
        assert_eq!((answer.header("content-type"), read_size(&answer.body)), (Some(SIZE_TYPE), Some(size)));
        let entry = witness.audit_of(answer.header("portcullis-request-id").unwrap());
        assert_eq!(
            (entry["policy_decision"].as_str(), entry["code"].as_str()),
            (Some("BLOCK"), Some(answer.code().as_str()))
        );
    };
    // Replayed; without what was countersigned; a fork of the same size; one that goes on; a shorter log.
    sized(&node.says(&node.submission((5, 40), 1), 409, "witness.old_size"), 40);
    sized(&node.says(&node.submission((0, 50), 1), 409, "witness.old_size"), 40);
    sized(&node.says(&node.submission((40, 40), 2), 409, "witness.conflict"), 40);
    node.says(&node.submission((40, 60), 2), 422, "witness.inconsistent");
    sized(&node.says(&node.submission((5, 12), 1), 409, "witness.conflict"), 40);
    // Over a restart, too.
    witness.restart(|| {});
    sized(&node.says(&node.submission((40, 40), 2), 409, "witness.conflict"), 40);
    node.says(&node.submission((40, 64), 1), 200, "allow");
    let all = witnessed(&witness);
    assert_eq!((all[0]["size"].as_u64(), all[0]["conflicts"].as_array().unwrap().len()), (Some(64), 3));
    assert_eq!(witness.cli(&["audit", "witnessed", "--origin", "peer:nobody/audit"]).status.code(), Some(1));
    assert!(server.seen().iter().all(|seen| !seen.line.contains("witness")));
}

#[test]
fn nobody_has_another_s_log_countersigned_and_nobody_unknown_any() {
    let server = FakeServer::start();
    let witness = Gate::before(&server).filter("identity: {accept: [mtls, api_key, signature]}").start();
    let (node, other) = (Node::of(witness.approved_client("a node")), Node::of(witness.approved_client("another")));
    let body = node.submission((0, 20), 1);
    other.says(&body, 404, "witness.unknown_log");
    // Under another's name, with one's own key.
    let nodes = tree(20, 1);
    let theirs = node.signed(&origin(&other.key.public()), 20, root(&nodes[..], 20).unwrap());
    node.says(&Submission { checkpoint: theirs, ..body.clone() }, 404, "witness.unknown_log");
    // One's own log, signed by somebody else.
    let forged = other.signed(&origin(&node.key.public()), 20, root(&nodes[..], 20).unwrap());
    node.says(&Submission { checkpoint: forged, ..body.clone() }, 403, "witness.signature");
    // A stranger waits, nobody is asked who it is, a revoked one stays outside.
    let stranger = Node::of(witness.stranger("a stranger"));
    stranger.says(&stranger.submission((0, 20), 1), 403, "identity.pending");
    assert_eq!(witness.nobody().raw(&post(body.to_string().as_bytes())).code(), "identity.required");
    assert!(witness.cli(&["peers", "revoke", &other.client.id]).status.success());
    until("the revocation to bite", || {
        let answer = other.submit(body.to_string().as_bytes());
        (answer.code() == "identity.revoked").then_some(())
    });
    assert_eq!(witness.cli_json(&["audit", "witnessed"]).as_array().map(Vec::len), Some(0));
    // By a signature alone it may come as well, and the answer is signed.
    let signer = Signer::with(&witness.nobody(), portcullis_signatures::SecretKey::from_pem(&node.client.key).unwrap());
    let mut message = Message::get("/witness/add-checkpoint");
    message.method = "POST".to_owned();
    message.body = body.to_string().into_bytes();
    let (sent, answer) = signer.call(message);
    assert_eq!((answer.status, answer.code().as_str()), (200, "allow"), "{}", answer.text());
    assert_eq!(sent.proven(&answer, &witness.node()).unwrap(), answer.body);
    // Whoever has an API key is no node.
    let made = witness.cli_json(&["keys", "add", "ci"]);
    let key = made["key"].as_str().expect("a key").to_owned();
    let mut request = post(body.to_string().as_bytes());
    let line = format!("\r\nAuthorization: Bearer {key}\r\n\r\n");
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    request.splice(end..end + 4, line.into_bytes());
    until("the key to bite", || {
        let answer = witness.nobody().raw(&request);
        (answer.code() == "policy.route_denied").then_some(())
    });
}

#[test]
fn what_is_no_submission_is_refused_and_kept_nowhere() {
    let server = FakeServer::start();
    let witness = witness(&server);
    let node = Node::of(witness.approved_client("a node"));
    let text = node.submission((0, 20), 1).to_string();
    for body in
        ["", "old", "{}", "old 0\n\n", &text[1..], &text[..text.len() - 1], &text.replacen("old 0", "old 21", 1)]
    {
        let answer = node.submit(body.as_bytes());
        assert_eq!((answer.status, answer.code().as_str()), (400, "request.malformed"), "{body:?}: {}", answer.text());
    }
    let hash = "fsH7oFD2IjQ8KqV1cJ3mXb0Zt9LwYp4RuGdNa6ExCkM=\n";
    let proofs = text.replacen("old 0\n", &format!("old 0\n{}", hash.repeat(64)), 1);
    assert_eq!(node.submit(proofs.as_bytes()).code(), "request.malformed");
    for size in [MAX_SUBMISSION + 1, 1 << 20] {
        let answer = node.submit(&vec![b'x'; size]);
        assert_eq!((answer.status, answer.code().as_str()), (413, "request.too_large"));
    }
    // Other methods and paths there are none.
    for line in ["GET /witness/add-checkpoint", "POST /witness", "POST /witness/add-checkpoints"] {
        let answer =
            node.client.raw(format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").as_bytes());
        assert_eq!(answer.code(), "policy.unknown_route", "{line}");
    }
    assert_eq!(witness.cli_json(&["audit", "witnessed"]).as_array().map(Vec::len), Some(0));
    assert_eq!(fs::read_dir(witness.state().join("witness")).unwrap().count(), 0);
    let lines = |entry: &&Value| entry["path"] == "/witness/add-checkpoint" && entry["policy_decision"] == "BLOCK";
    assert_eq!(witness.audit().iter().filter(lines).count(), 7 + 1 + 2 + 1, "each left its line");
}

#[test]
fn a_policy_says_who_may() {
    let server = FakeServer::start();
    let policy = "version: 1\nrules:\n  - {name: reads, effect: allow, who: ['*'], classes: [read]}\n";
    let witness = Gate::before(&server).policy(policy).start();
    let node = Node::of(witness.approved_client("a node"));
    node.says(&node.submission((0, 20), 1), 403, "policy.route_denied");
    let allowing = format!("{policy}  - {{name: peers, effect: allow, who: ['peer:*'], classes: [witness]}}\n");
    fs::write(witness.dir.path().join("policy.yaml"), allowing).unwrap();
    assert_eq!(witness.ask_admin("POST", "/api/v1/reload", Some(&witness.token())).0, 200);
    node.says(&node.submission((0, 20), 1), 200, "allow");
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}
