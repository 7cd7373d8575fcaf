//! `portcullis sign` and `portcullis verify`: a person sees what is signed, and why it does not hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portcullis_certs::NodeKey;
use portcullis_tests::{FakeServer, Gate, run, until};
use serde_json::{Value, json};

/// Two node ids.
const GATE: &str = "peer:FAe4sisG95oZ42w7buUn5qEE4TAnfTTFPiguZUHmhiF";
const OTHER: &str = "peer:3ogUn1GNXoASaRbxPNeVJnVv5rG4EPBtmQmX61jVorUe";

const BODY: &str = r#"{"model":"tiny","messages":[],"stream":false}"#;

/// A folder with a key and a body.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        NodeKey::generate().unwrap().save_new(&dir.path().join("node.key")).unwrap();
        fs::write(dir.path().join("body"), BODY).unwrap();
        Self(dir)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Signs a chat to this URL.
    fn sign(&self, url: &str, more: &[&str]) -> Output {
        let (key, body) = (self.file("node.key"), self.file("body"));
        let args = ["sign", "POST", url, "--key", key.to_str().unwrap(), "--body", body.to_str().unwrap()];
        let media = ["-H", "content-type: application/json"];
        run(&[&args[..], &media, more].concat())
    }

    /// The signed request as somebody captured it.
    fn captured(&self, more: &[&str]) -> String {
        let output = self.sign("https://gpu-box:8443/api/chat?x=1", &[&["--json"], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let lines: String = said["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(n, v)| format!("{n}: {}\r\n", v.as_str().unwrap()))
            .collect();
        let length = BODY.len();
        format!(
            "POST /api/chat?x=1 HTTP/1.1\r\nHost: gpu-box:8443\r\nContent-Type: application/json\r\n{lines}Content-Length: {length}\r\n\r\n{BODY}"
        )
    }

    fn verify(&self, request: &str, more: &[&str]) -> (Value, i32) {
        fs::write(self.file("request"), request).unwrap();
        let file = self.file("request");
        let output = run(&[&["verify", "--json", "--request", file.to_str().unwrap()], more].concat());
        (serde_json::from_slice(&output.stdout).expect("JSON"), output.status.code().unwrap())
    }
}

/// The steps that do not hold.
fn broken(said: &Value) -> Vec<&str> {
    let steps = said["checks"].as_array().unwrap().iter();
    steps.filter(|step| step["holds"] == false).map(|step| step["check"].as_str().unwrap()).collect()
}

#[test]
fn what_is_signed_holds_and_what_was_changed_is_named() {
    let desk = Desk::new();
    let request = desk.captured(&["--audience", GATE]);
    let (said, code) = desk.verify(&request, &["--audience", GATE]);
    assert_eq!((code, said["holds"].as_bool(), broken(&said).len()), (0, Some(true), 0), "{said}");
    assert_eq!(said["node_id"], NodeKey::load(&desk.file("node.key")).unwrap().public().node_id());
    let covered = ["@method", "@authority", "@path", "@query", "content-digest", "content-type", "portcullis-audience"];
    assert_eq!(said["covered"], json!(covered));
    for (from, to, more, steps) in [
        ("POST /api", "PUT /api", &[][..], &["signature"][..]),
        ("?x=1", "?x=2", &[], &["signature"]),
        ("Host: gpu-box:8443", "Host: gpu-box", &[], &["signature"]),
        ("application/json", "text/plain", &[], &["signature"]),
        ("\"tiny\"", "\"tinY\"", &[], &["digest"]),
        (GATE, "peer:gat3", &[], &["signature"]),
        ("", "", &["--audience", OTHER], &["audience"]),
        ("", "", &["--at", "2001-01-01T00:00:00Z"], &["window"]),
        ("nonce=", "nunce=", &[], &["form"]),
        ("\"@query\" ", "", &[], &["form"]),
        ("signature: ", "x-signature: ", &[], &["form"]),
    ] {
        let (said, code) = desk.verify(&request.replacen(from, to, 1), more);
        assert_eq!(
            (code, &broken(&said)[..], said["holds"].as_bool()),
            (1, steps, Some(false)),
            "{from} {more:?}: {said}"
        );
    }
    let llmesh = desk.captured(&["--scheme", "llmesh"]);
    assert_eq!(desk.verify(&llmesh, &[]).1, 0, "{llmesh}");
    let (said, code) = desk.verify(&llmesh.replacen("tiny", "tinY", 1), &[]);
    assert_eq!((code, &broken(&said)[..]), (1, &["signature"][..]), "its signature covers the body itself");
    let unsigned = run(&["verify", "GET", "https://gpu-box:8443/api/tags"]);
    assert_eq!(unsigned.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unsigned.stdout).contains("not signed"));
}

#[test]
fn a_person_reads_the_text_that_is_signed_and_no_key() {
    let desk = Desk::new();
    let fixed = ["--created", "2026-11-21T12:00:00Z", "--nonce", "a-nonce-of-22-letters-"];
    let output = desk.sign("https://GPU-box:443/api/chat", &fixed);
    let said = String::from_utf8(output.stdout).unwrap();
    for part in [
        "\"@authority\": gpu-box\n",
        "\"@query\": ?\n",
        ";created=1795262400;nonce=\"a-nonce-of-22-letters-\";",
        "\nsignature: portcullis=:",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let key = fs::read_to_string(desk.file("node.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(!said.contains(secret));
    assert_eq!(desk.sign("https://GPU-box:443/api/chat", &fixed).stdout, said.as_bytes(), "the same again");
    for (args, part) in [
        (&["--nonce", "short"][..], "22 to 256"),
        (&["--created", "soon"], "RFC 3339"),
        (&["--created", "0"], "Unix second"),
        (&["--scheme", "llmesh", "--audience", GATE], "--scheme rfc9421"),
        (&["--audience", "gpu-box"], "not a node id"),
        (&["-H", "no colon"], "name: value"),
    ] {
        let output = desk.sign("https://gpu-box/", args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains(part) && !told.contains(secret), "{args:?}: {told}");
    }
    for url in ["gpu-box/api", "ftp://gpu-box/", "https://gpu-box/a b", "/api/chat"] {
        let output = desk.sign(url, &[]);
        assert!(
            output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("expected http"),
            "{url}"
        );
    }
    let file = desk.file("node.key");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let output = desk.sign("https://gpu-box/", &[]);
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("chmod 600"));
}

#[test]
fn a_gate_takes_the_line_for_curl() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: the line that `sign --curl` prints needs curl");
        return;
    }
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("tls: server").filter("identity: {accept: [signature]}").start();
    let desk = Desk::new();
    let url = format!("{}/api/chat", gate.url());
    let ask = |ca: &Path| {
        let line = String::from_utf8(desk.sign(&url, &["--curl"]).stdout).unwrap();
        let output = Command::new("sh").args(["-c", &line]).env("CURL_CA_BUNDLE", ca).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let ca = gate.state().join("ca.crt");
    assert!(ask(&ca).contains("identity.pending"), "{}", ask(&ca));
    let id = NodeKey::load(&desk.file("node.key")).unwrap().public().node_id();
    assert!(gate.cli(&["peers", "approve", &id]).status.success());
    until("the approval to bite", || ask(&ca).contains("\"message\"").then_some(()));
    // A `Host` that is given is what curl sends, and so what is signed.
    let other = desk.sign(&url, &["--curl", "-H", "Host: localhost"]);
    let line = String::from_utf8(other.stdout).unwrap();
    let answered = Command::new("sh").args(["-c", &line]).env("CURL_CA_BUNDLE", &ca).output().unwrap();
    let answered = String::from_utf8_lossy(&answered.stdout).into_owned();
    assert!(line.contains("'host: localhost'") && answered.contains("\"message\":{"), "{line}\n{answered}");
    // With the gate's own key and config, its authority is named, too.
    let own = gate.cli(&["sign", "GET", &url, "--curl"]);
    let line = String::from_utf8(own.stdout).unwrap();
    assert!(line.contains("--cacert") && line.contains("state/ca.crt"), "{line}");
}

#[test]
fn a_host_that_is_given_is_signed_and_verified() {
    let desk = Desk::new();
    let (url, host) = ("https://127.0.0.1:8443/api/chat", ["-H", "Host: gpu-box"]);
    let signed = desk.sign(url, &[&host[..], &["--json"]].concat());
    let signed: Value = serde_json::from_slice(&signed.stdout).unwrap();
    assert!(signed["base"].as_str().unwrap().contains("\"@authority\": gpu-box\n"), "{signed}");
    let lines = signed["headers"].as_object().unwrap().iter().map(|(n, v)| format!("{n}: {}", v.as_str().unwrap()));
    let lines: Vec<_> = lines.chain(["content-type: application/json".to_owned()]).collect();
    let body = desk.file("body");
    let mut plain = vec!["verify", "POST", url, "--body", body.to_str().unwrap()];
    plain.extend(lines.iter().flat_map(|line| ["-H", line]));
    assert_eq!(run(&[&plain[..], &host].concat()).status.code(), Some(0));
    assert_eq!(run(&plain).status.code(), Some(1), "with the URL's host it is another request");
    let wrong = desk.sign(url, &["-H", "Host: a/b"]);
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && told.contains("HOST[:PORT]"), "{told}");
}
