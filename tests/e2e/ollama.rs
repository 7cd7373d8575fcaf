//! The real `ollama` command line, as it comes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use portcullis_tests::provider::now;
use portcullis_tests::real::ollama;
use portcullis_tests::{FakeServer, Gate, Script, free_port, until};

#[test]
fn the_stock_command_line_signs_itself_in() {
    let Some(program) = ollama("the device signature of the Ollama command line") else { return };
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("tls: server").filter("identity: {accept: [ollama_key]}").start();
    let home = tempfile::tempdir().unwrap();
    let list = || -> Output {
        Command::new(&program)
            .arg("list")
            .env_clear()
            .env("HOME", home.path())
            .env("OLLAMA_HOST", format!("https://{}", gate.address))
            .env("OLLAMA_AUTH", "1")
            .env("SSL_CERT_FILE", Path::new(gate.state()).join("ca.crt"))
            .output()
            .unwrap()
    };
    make_device_key(&program, home.path());
    // A signature of the second in which the gate started could have been used before it started.
    let started = now();
    until("the gate's first second to pass", || (now() > started).then_some(()));
    let first = list();
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(!first.status.success() && said.contains("identity.pending"), "{said}");
    let pending = gate.cli_json(&["peers", "pending"]);
    let id = pending[0]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("ollama:SHA256:") && said.contains(&id), "{said}");
    assert!(gate.cli(&["peers", "approve", &id, "--name", "laptop"]).status.success());
    let models = until("the approval to bite", || {
        server.next(Script::json(r#"{"models":[{"name":"tiny:latest","model":"tiny:latest","size":3,"digest":"0000000000000000","modified_at":"2026-01-01T00:00:00Z"}]}"#));
        let output = list();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    });
    assert!(models.contains("tiny:latest"), "{models}");
    let entry = gate.audit().pop().unwrap();
    assert_eq!((entry["identity_method"].as_str(), entry["node_id"].as_str()), (Some("ollama_key"), Some(id.as_str())));
}

/// Every installation has a key: its server makes it when it starts for the first time.
fn make_device_key(program: &Path, home: &Path) {
    let mut server = Command::new(program)
        .arg("serve")
        .env_clear()
        .env("HOME", home)
        .env("OLLAMA_HOST", format!("127.0.0.1:{}", free_port()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let key = home.join(".ollama/id_ed25519.pub");
    until("the device key", || std::fs::metadata(&key).is_ok_and(|file| file.len() > 0).then_some(()));
    server.kill().unwrap();
    server.wait().unwrap();
}
