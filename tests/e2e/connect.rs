//! `portcullis connect`: whom a door trusts, and who trusts the door.

use std::process::{Command, Output};

use portcullis_certs::NodeKey;
use portcullis_tests::{DoorHome, FakeServer, Gate, Middle, free_port, portcullis, until};
use serde_json::json;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_first_contact_needs_a_person_or_a_pin() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let (home, url, pin) = (DoorHome::new(), gate.url(), gate.fingerprint());
    let dir = home.path();
    let asked = home.run(&[&url, "--listen", "127.0.0.1:0", "--name", "my laptop", "--dir", dir.to_str().unwrap()]);
    assert_eq!(asked.status.code(), Some(2), "{}", said(&asked));
    let typed = format!("connect {url} --listen 127.0.0.1:0 --name 'my laptop' --dir {} --pin {pin}\n", dir.display());
    assert!(said(&asked).contains(&typed), "it says what to write: {}", said(&asked));
    let wrong =
        home.run(&[&url, "--listen", "127.0.0.1:0", "--pin", "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"]);
    assert_eq!(wrong.status.code(), Some(1));
    for part in [&*pin, "--pin   the key 00:11:22", "never met", "misread", "`portcullis id`"] {
        assert!(said(&wrong).contains(part), "{}", said(&wrong));
    }
    // Nothing was met, so there is nothing to forget, and nothing that changed.
    assert!(!said(&wrong).contains("THAT YOU MET") && !said(&wrong).contains("--forget"), "{}", said(&wrong));
    assert!(!home.path().join("known_gates.json").exists());
    assert_eq!(gate.audit().len(), 0, "nothing was sent");
    let spelt = pin.replace(':', "").to_uppercase();
    let door = home.start(&[&url, "--listen", "127.0.0.1:0", "--pin", &spelt]).remove(0);
    door.says("is remembered by the key");
    drop(door);
    // From now on neither is needed.
    let door = home.start(&[&url, "--listen", "127.0.0.1:0"]).remove(0);
    door.says("does not know this door yet");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.path()), 0o700);
    assert_eq!((mode(home.path().join("node.key")), mode(home.path().join("known_gates.json"))), (0o600, 0o600));
}

/// Answers the question of a `connect` on a terminal of its own, and prints what it showed.
const TERMINAL: &str = r#"
import os, pty, sys
answer, command = sys.argv[1], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
shown, answered = b"", False
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    if b"[y/N]" in shown and not answered:
        os.write(terminal, answer.encode())
        answered = True
    if b" leads to " in shown:
        os.kill(pid, 15)
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

#[test]
fn a_person_at_a_terminal_is_asked_once() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let home = DoorHome::new();
    let at_terminal = |answer: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", TERMINAL, answer]).arg(portcullis());
        command.args(["connect", &gate.url(), "--listen", "127.0.0.1:0"]).env("PORTCULLIS_DOOR", home.path());
        command.output()
    };
    let Ok(refused) = at_terminal("\n") else {
        eprintln!("skipped: the question on a terminal needs python3");
        return;
    };
    let shown = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(1), "no is the default: {}", shown(&refused));
    for part in [gate.fingerprint(), gate.cli_json(&["id"])["node_id"].as_str().unwrap().to_owned()] {
        assert!(shown(&refused).contains(&part), "{}", shown(&refused));
    }
    let left = at_terminal("\x03").unwrap();
    assert_eq!(left.status.code(), Some(1), "{}", shown(&left));
    assert!(shown(&left).contains("interrupted"), "Ctrl-C is an answer, too: {}", shown(&left));
    let taken = at_terminal("y\n").unwrap();
    assert_eq!(taken.status.code(), Some(0), "{}", shown(&taken));
    assert!(shown(&taken).contains("is remembered"), "{}", shown(&taken));
    let again = at_terminal("n\n").unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", shown(&again));
    assert!(!shown(&again).contains("[y/N]"), "{}", shown(&again));
}

#[test]
fn a_pending_door_waits_and_says_when_it_is_let_in() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let home = DoorHome::new();
    let door = home.open(&gate);
    door.says(&format!("portcullis peers approve {} --name laptop", home.id()));
    let pending = door.get("/api/tags");
    assert_eq!((pending.status, pending.code().as_str()), (403, "identity.pending"));
    assert!(pending.json()["error"].as_str().unwrap().contains("not approved yet"), "{}", pending.text());
    assert_eq!(gate.cli_json(&["peers", "pending"])[0]["id"], home.id());
    assert!(gate.cli(&["peers", "approve", &home.id()]).status.success());
    door.says("lets this door in");
    let answer = door.post("/api/chat", &json!({"model": "tiny", "messages": [], "stream": false}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["message"]["content"], "Hello there.");
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    assert_eq!((entry["node_id"].as_str(), entry["identity_method"].as_str()), (Some(&*home.id()), Some("mtls")));
    assert!(gate.cli(&["peers", "revoke", &home.id()]).status.success());
    until("the revocation to bite", || (door.get("/api/tags").code() == "identity.revoked").then_some(()));
    door.says("took its trust in this door back");
}

#[test]
fn doors_of_one_machine_do_not_get_in_each_others_way() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let (url, pin) = (gate.url(), gate.fingerprint());
    let args = [&*url, "--pin", &pin, "--listen", "127.0.0.1:0"];
    let key = |home: &DoorHome| NodeKey::load(&home.path().join("node.key")).unwrap().public().fingerprint();
    let homes = [DoorHome::new(), DoorHome::new()];
    let mut names = vec![];
    for home in &homes {
        let door = home.start(&args).remove(0);
        door.says("does not know this door yet");
        // What the door tells its person to have typed.
        let line = door.log().lines().find(|line| line.contains("portcullis peers approve")).unwrap().trim().to_owned();
        let words: Vec<_> = line.split(' ').skip(1).collect();
        let digits = key(home).replace(':', "")[..4].to_owned();
        assert!(words[4].ends_with(&format!("-{digits}")), "{line}");
        assert!(gate.cli(&words).status.success(), "{line}");
        door.says("lets this door in");
        names.push(words[4].to_owned());
    }
    assert_ne!(names[0], names[1]);
    // A name that is another's: the door says the way out, and that is one.
    let third = DoorHome::new();
    let door = third.start(&[&args[..], &["--name", &names[0]]].concat()).remove(0);
    let other = format!("{}-{}", names[0], &key(&third).replace(':', "")[..4]);
    door.says(&format!("such as `--name {other}`"));
    door.says(&format!("`portcullis peers revoke {}`", names[0]));
    assert_eq!(door.get("/api/tags").code(), "identity.key_changed");
    let renamed = third.start(&[&args[..], &["--name", &other]].concat()).remove(0);
    renamed.says("does not know this door yet");
    // Or the operator gives the name up, and the first door notices by itself.
    assert!(gate.cli(&["peers", "revoke", &names[0]]).status.success());
    door.says(&format!("portcullis peers approve {} --name {}", third.id(), names[0]));
}

#[test]
fn a_token_lets_a_door_in_at_once() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let made = gate.cli_json(&["enroll"]);
    let token = made["token"].as_str().unwrap();
    let home = DoorHome::new();
    let door = home.open_with(&gate, &["--token", token]);
    door.says("lets this door in");
    assert_eq!(door.get("/api/tags").status, 200);
    assert!(!door.log().contains(token) && !gate.log().contains(token));
    // Used up: another door is refused, says why, and can be approved as any other.
    let other = DoorHome::new();
    std::fs::create_dir(other.path()).unwrap();
    let file = other.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let (url, pin, token_file) = (gate.url(), gate.fingerprint(), format!("file:{}", file.display()));
    let args = [&*url, "--pin", &pin, "--listen", "127.0.0.1:0", "--name", "desk", "--token", &token_file];
    let door = other.start(&args).remove(0);
    door.says("the enrolment token is not valid");
    door.says("does not know this door yet");
    assert!(!door.log().contains(token));
}

#[test]
fn a_delegated_grant_goes_with_every_request() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let (alice, bob) = (DoorHome::new(), DoorHome::new());
    let direct = alice.open_approved(&gate);
    assert_eq!(direct.get("/api/tags").status, 200);
    // Alice passes a part of her rights on, without asking anybody.
    std::fs::create_dir(bob.path()).unwrap();
    let to = NodeKey::generate().unwrap();
    to.save_new(&bob.path().join("node.key")).unwrap();
    let by = NodeKey::load(&alice.path().join("node.key")).unwrap();
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let scope = json!({"classes": ["inference"], "models": ["tiny"], "until": now + 3600});
    let scope = serde_json::from_value(scope).unwrap();
    let grant = portcullis_certs::delegation::issue(&by, None, &to.public().node_id(), scope, now).unwrap();
    let file = bob.path().join("grant");
    std::fs::write(&file, &grant).unwrap();
    let (url, pin) = (gate.url(), gate.fingerprint());
    let args = [&*url, "--pin", &pin, "--listen", "127.0.0.1:0", "--name", "bob", "--grant", file.to_str().unwrap()];
    let door = bob.start(&args).remove(0);
    door.says("lets this door in");
    let ask = |model: &str| door.post("/api/chat", &json!({"model": model, "messages": [], "stream": false}));
    let answer = ask("tiny");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    assert_eq!(entry["node_id"], to.public().node_id());
    assert_eq!(ask("other").code(), "policy.model_denied");
    assert_eq!(door.get("/api/tags").code(), "policy.route_denied");
    assert!(!door.log().contains(&grant) && !gate.log().contains(&grant));
    // What was passed on goes with the one who passed it on.
    assert!(gate.cli(&["peers", "revoke", &alice.id()]).status.success());
    until("the revocation to bite", || (ask("tiny").code() == "identity.invalid").then_some(()));
    door.says("the delegated grant is not valid");
}

#[test]
fn a_changed_key_is_refused_until_it_is_forgotten_on_purpose() {
    let server = FakeServer::start();
    // With another key a gate cannot know what was used before, and refuses what is signed for one window.
    let gate = Gate::before(&server).filter("signature: {window: 5s}").start();
    let home = DoorHome::new();
    let door = home.open_approved(&gate);
    assert_eq!(door.get("/api/tags").status, 200);
    let old = gate.fingerprint();
    let key = gate.state().join("node.key");
    let aside = gate.state().join("node.key.old");
    // With another key it is another node, and a log that one node signed is not continued by another.
    let another_log = || std::fs::remove_dir_all(gate.state().join("audit")).unwrap();
    gate.restart(|| {
        another_log();
        std::fs::rename(&key, &aside).unwrap();
        NodeKey::generate().unwrap().save_new(&key).unwrap();
    });
    let before = gate.audit().len();
    // While it runs:
    let refused = until("the change to be noticed", || Some(door.get("/api/tags")).filter(|a| a.status != 200));
    assert_eq!((refused.status, refused.code().as_str()), (502, "upstream.invalid"), "{}", refused.text());
    assert!(refused.json()["error"].as_str().unwrap().contains("somebody may be in between"), "{}", refused.text());
    door.says("WARNING");
    for part in [&old, &gate.fingerprint(), "connect --forget"] {
        assert!(door.log().contains(part), "{}", door.log());
    }
    // At its start:
    let args = [gate.url(), "--listen".to_owned(), "127.0.0.1:0".to_owned()];
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let again = home.run(&args);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(said(&again).contains("WARNING"), "{}", said(&again));
    // Neither does a pin replace what is remembered.
    let mut pinned = args.clone();
    let new = gate.fingerprint();
    pinned.extend(["--pin", &new]);
    let again = home.run(&pinned);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(said(&again).contains("--forget"), "{}", said(&again));
    assert_eq!(gate.audit().len(), before, "nothing was sent");
    let forgotten = home.run(&["--forget", &gate.url()]);
    assert!(forgotten.status.success(), "{}", said(&forgotten));
    assert_eq!(home.run(&["--forget", &gate.url()]).status.code(), Some(1), "there is nothing left to forget");
    let fresh = home.start(&pinned).remove(0);
    fresh.says("is remembered");
    // The first door never took the new key; with the old one back it goes on by itself.
    gate.restart(|| {
        another_log();
        std::fs::rename(&aside, &key).unwrap();
    });
    until("the first door to recover", || (door.get("/api/tags").status == 200).then_some(()));
}

#[test]
fn a_man_in_the_middle_gets_nothing() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let home = DoorHome::new();
    // Somebody who passes everything on, with a certificate of the usual kind or a node's key of his own.
    let other = Gate::before(&server).start();
    let file = |name: &str| std::fs::read_to_string(other.state().join(name)).unwrap();
    let usual = (file("server.crt"), file("server.key"));
    let (certificate, key) = NodeKey::generate().unwrap().self_signed_server_cert("localhost").unwrap();
    for (n, (certificate, key)) in [usual, (certificate, key.to_string())].into_iter().enumerate() {
        let middle = Middle::start(&certificate, &key);
        let url = format!("https://localhost:{}", middle.address.port());
        let met = home.run(&[&url, "--listen", "127.0.0.1:0", "--pin", &gate.fingerprint()]);
        assert_eq!(met.status.code(), Some(1), "{n}: {}", said(&met));
        // The gate is met where nobody is in between; then somebody takes its place.
        let direct = home.open(&gate);
        direct.says("does not know this door yet");
        let known = std::fs::read_to_string(home.path().join("known_gates.json")).unwrap();
        let known = known.replace(&gate.url()["https://".len()..], &url["https://".len()..]);
        portcullis_certs::files::write_private(&home.path().join("known_gates.json"), known.as_bytes()).unwrap();
        let later = home.run(&[&url, "--listen", "127.0.0.1:0"]);
        assert_eq!(later.status.code(), Some(1), "{n}: {}", said(&later));
        assert!(said(&later).contains("WARNING"), "{n}: {}", said(&later));
        assert_eq!(middle.read(), 0, "{n}: not a byte of a request reached him");
        std::fs::remove_file(home.path().join("known_gates.json")).unwrap();
    }
}

#[test]
fn an_answer_that_does_not_name_the_gate_is_none() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let node = NodeKey::load(&gate.state().join("node.key")).unwrap();
    let (certificate, key) = node.self_signed_server_cert("localhost").unwrap();
    let (own, other) = (node.public().node_id(), NodeKey::generate().unwrap().public().node_id());
    let verdict = ("portcullis-verdict", "allow");
    for (headers, fine) in [
        (vec![("portcullis-node", &*own), verdict], true),
        (vec![verdict], false),
        (vec![("portcullis-node", &*other), verdict], false),
        (vec![("portcullis-node", &*own), ("portcullis-node", &*other), verdict], false),
    ] {
        // The key is the gate's: whoever ends TLS for it answers in its place.
        let middle = Middle::answering(&certificate, &key, &headers);
        let url = format!("https://localhost:{}", middle.address.port());
        let args = [&*url, "--listen", "127.0.0.1:0", "--pin", &gate.fingerprint()];
        let home = DoorHome::new();
        if fine {
            let door = home.start(&args).remove(0);
            assert_eq!(door.get("/api/tags").status, 200);
        } else {
            let output = home.run(&args);
            assert_eq!(output.status.code(), Some(1), "{headers:?}: {}", said(&output));
            assert!(said(&output).contains("names another gate, or none"), "{}", said(&output));
        }
        assert!(middle.read() > 0);
    }
}

#[test]
fn wrong_usage_is_told_with_what_to_write() {
    let home = DoorHome::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let nobody = format!("https://127.0.0.1:{}", free_port());
    for (args, code, part) in [
        (vec!["https://gpu-box", "--listen", "0.0.0.0:11434"], 2, "loopback"),
        (vec!["https://gpu-box", "--listen", "192.168.1.2:11434"], 2, "loopback"),
        (vec!["https://gpu-box", "--listen", "nonsense"], 2, "127.0.0.1:11434"),
        (vec!["http://gpu-box"], 2, "expected https://HOST[:PORT]"),
        (vec!["https://gpu-box", "--pin", "56:47"], 2, "16 bytes in hex"),
        (vec!["https://gpu-box", "--allow-origin", "*"], 2, "cannot be allowed"),
        (vec!["https://gpu-box", "--token", ""], 2, "--token"),
        (vec!["https://gpu-box", "--grant", "/nonexistent"], 2, "cannot be read"),
        (vec!["https://gpu-box", "--name", ""], 2, "--name"),
        (vec!["https://a", "https://b"], 2, "one --listen for each gate"),
        (vec![], 2, "GATE_URL"),
        (vec!["https://gpu-box", "--listen", &taken], 3, "such as `--listen 127.0.0.1:11435`"),
        (vec!["https://gpu-box", "--listen", &taken], 3, "OLLAMA_HOST=127.0.0.1:11435"),
        (vec![&nobody, "--listen", "127.0.0.1:0"], 3, "cannot be reached"),
    ] {
        let output = home.run(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(part), "{args:?}: {}", said(&output));
    }
}

#[test]
fn a_name_that_the_gate_does_not_go_by_is_told() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let url = format!("https://[::ffff:127.0.0.1]:{}", gate.address.port());
    let args = [&*url, "--listen", "127.0.0.1:0", "--pin", &gate.fingerprint()];
    let door = DoorHome::new().start(&args).remove(0);
    door.says("gate.server_names");
    assert!(!door.log().contains("lets this door in"), "{}", door.log());
}
