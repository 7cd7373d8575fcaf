//! The README's first session, as a newcomer types it: a gate in front of a real llama.cpp server, a
//! door on the client's machine, and the unmodified Python packages over plain HTTP. And what
//! `client-config` prints for those who take another way.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use portcullis_tests::real::{LlamaServer, ollama, prepared};
use portcullis_tests::{DoorHome, FakeServer, Gate, free_port, portcullis, until};
use serde_json::Value;

/// The server's machine: what its operator typed, and the gate that runs.
struct Server {
    dir: tempfile::TempDir,
    gate: Child,
    port: u16,
    /// What `init` told the operator to have compared.
    fingerprint: String,
    commands: usize,
}

impl Server {
    /// `portcullis init`, then `portcullis run`.
    fn start(upstream: &str, kind: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let made = portcullis_tests::run(&["init", "--dir", path, "--upstream", upstream, "--kind", kind]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let said = String::from_utf8_lossy(&made.stdout).into_owned();
        let shown = said.lines().find_map(|line| line.strip_prefix("This node's fingerprint: "));
        let fingerprint = shown.unwrap().to_owned();
        // The usual ports belong to whatever else runs on this machine.
        let (port, admin) = (free_port(), free_port());
        let config = dir.path().join("portcullis.yaml");
        let text = fs::read_to_string(&config).unwrap();
        let moved = text
            .replace("0.0.0.0:8443", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:9901", &format!("127.0.0.1:{admin}"));
        assert_ne!(text, moved);
        fs::write(&config, moved).unwrap();
        let gate = Command::new(portcullis())
            .args(["run", "--config", config.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("the gate to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { dir, gate, port, fingerprint, commands: 2 }
    }

    /// One more command of the operator's; what it printed.
    fn types(&mut self, args: &[&str]) -> String {
        self.commands += 1;
        let config = self.dir.path().join("portcullis.yaml");
        let output = Command::new(portcullis()).args(args).arg("--config").arg(config).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.gate.kill();
        let _ = self.gate.wait();
    }
}

/// What a Python package hears through a door; `None`, visibly, where it is not installed.
fn hears(python: &Path, package: &str, door: &str) -> Option<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/real/plain_client.py");
    let output = Command::new(python).args([script, package, door, "tiny"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if errors.contains("No module named") {
        eprintln!("skipped: the {package} package is not installed");
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}")))
}

#[test]
fn few_commands_with_an_approval() {
    let Some((python, models)) = prepared("the newcomer's session") else { return };
    let llama = LlamaServer::start(&python, &models.join("tiny.gguf"));
    let mut server = Server::start(&llama.url, "llamacpp");
    let client = DoorHome::new();
    let door = client.start(&[&server.url(), "--listen", "127.0.0.1:0", "--pin", &server.fingerprint]).remove(0);
    door.says("does not know this door yet");
    // What the door tells its person to have typed.
    let line = door.log().lines().find(|line| line.contains("portcullis peers approve")).unwrap().trim().to_owned();
    server.types(&line.split(' ').skip(1).collect::<Vec<_>>());
    door.says("lets this door in");
    let said = hears(&python, "openai", &format!("http://{}", door.address));
    assert!(server.commands + 2 <= 5, "init, run, connect, approve, and the client itself");
    if let Some(said) = said {
        assert!(said["whole"].as_str().unwrap().starts_with("Hello from the tiny test model"), "{said}");
        assert_eq!((&said["whole"], &said["models"][0]), (&said["streamed"], &Value::from("tiny")), "{said}");
    }
}

#[test]
fn few_commands_with_a_token() {
    let Some((python, models)) = prepared("the newcomer's session with a token") else { return };
    let llama = LlamaServer::start(&python, &models.join("tiny.gguf"));
    let upstream = llama.as_ollama(&python, "tiny");
    let mut server = Server::start(&upstream.url, "ollama");
    let token = server.types(&["enroll"]).trim().to_owned();
    let client = DoorHome::new();
    let args = [&*server.url(), "--listen", "127.0.0.1:0", "--pin", &server.fingerprint, "--token", &token];
    let door = client.start(&args).remove(0);
    door.says("lets this door in");
    let url = format!("http://{}", door.address);
    let said = hears(&python, "ollama", &url);
    assert!(server.commands + 2 <= 5, "init, run, enroll, connect, and the client itself");
    if let Some(said) = said {
        assert!(said["whole"].as_str().unwrap().starts_with("Hello from the tiny test model"), "{said}");
        assert_eq!((&said["whole"], &said["models"][0]), (&said["streamed"], &Value::from("tiny:latest")), "{said}");
    }
    let Some(program) = ollama("the stock command line through a door") else { return };
    let home = tempfile::tempdir().unwrap();
    let types = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).env_clear().env("HOME", home.path()).env("OLLAMA_HOST", &url).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(types(&["list"]).contains("tiny:latest"));
    assert!(types(&["run", "tiny", "Hi"]).contains("Hello from the tiny test model"));
}

const CLIENTS: [&str; 7] = ["ollama", "openai-python", "ollama-python", "node", "curl", "open-webui", "continue"];

#[test]
fn every_client_is_told_of_the_ways_that_the_gate_takes() {
    let server = FakeServer::start();
    for (accept, by_key) in [("[mtls]", false), ("[mtls, api_key]", true)] {
        let gate = Gate::before(&server).filter(&format!("identity: {{accept: {accept}}}")).start();
        for client in CLIENTS {
            let text = String::from_utf8_lossy(&gate.cli(&["client-config", client]).stdout).into_owned();
            assert!(
                text.contains("--listen 127.0.0.1:11435") && text.contains("OLLAMA_HOST=127.0.0.1:11435"),
                "{text}"
            );
            assert!(!text.contains("/CN=$(hostname)\""), "the name of a door, or of an earlier key: {text}");
            let shown = text.split_once("portcullis keys add NAME").map(|(_, rest)| rest);
            assert_eq!(shown.is_some(), by_key, "{client}: {text}");
            if let Some(shown) = shown.filter(|_| client != "ollama") {
                let url = format!("https://{}", gate.address);
                assert!([&*url, "KEY", "ca.crt"].iter().all(|part| shown.contains(part)), "{client}: {text}");
            }
        }
    }
}

#[test]
fn what_is_printed_for_curl_works_as_it_is_typed() {
    let present = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !["sh", "curl", "openssl", "hostname"].into_iter().all(present) {
        eprintln!("skipped: the printed recipe needs curl, openssl and hostname");
        return;
    }
    let server = FakeServer::start();
    let gate = Gate::before(&server).filter("identity: {accept: [mtls, api_key]}").start();
    let printed = String::from_utf8_lossy(&gate.cli(&["client-config", "curl"]).stdout).replace("MODEL", "tiny");
    let desk = tempfile::tempdir().unwrap();
    fs::write(desk.path().join("ca.crt"), gate.ca()).unwrap();
    let types = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).current_dir(desk.path()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // A command goes on over lines that end in a backslash.
    let command = |start: &str, comment: &str| {
        let lines = printed.lines().map(|line| line.strip_prefix(comment).unwrap_or(line));
        let rest = lines.skip_while(|line| !line.starts_with(start));
        let mut whole = String::new();
        for line in rest {
            whole += line.trim_end_matches('\\');
            if !line.ends_with('\\') {
                break;
            }
        }
        whole
    };
    let key = String::from_utf8_lossy(&gate.cli(&["keys", "add", "ci"]).stdout).trim().to_owned();
    let by_key = command("curl --cacert ca.crt -H", "").replace("KEY", &key);
    until("the key to bite", || types(&by_key).contains("Hello there.").then_some(()));
    types(&command("openssl req", "#   "));
    let by_certificate = command("curl --cacert ca.crt --cert", "");
    until("the knock to be heard", || types(&by_certificate).contains("identity.pending").then_some(()));
    let pending = gate.cli_json(&["peers", "pending"]);
    assert!(gate.cli(&["peers", "approve", pending[0]["id"].as_str().unwrap()]).status.success());
    until("the approval to bite", || types(&by_certificate).contains("Hello there.").then_some(()));
}
