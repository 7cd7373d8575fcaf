//! The signers in `examples/signing`: they make the same signature, and a gate takes it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use portcullis_certs::NodeKey;
use portcullis_signatures::{Nonce, SecretKey, SignOptions, Signed, Target, content_digest, sign_request};
use portcullis_tests::{FakeServer, Gate, example, until};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// How many requests each signs.
const REQUESTS: usize = 300;

/// A request that every signer signs.
#[derive(Clone, Debug)]
struct Wanted {
    method: &'static str,
    url: String,
    body: Vec<u8>,
    media: Option<&'static str>,
    audience: bool,
    created: i64,
    nonce: String,
    /// Headers that are covered where they are there.
    more: Vec<(&'static str, String)>,
}

/// Requests in the one spelling that a client's URL library leaves as it is.
fn wanted() -> impl Strategy<Value = Wanted> {
    let host = prop_oneof![
        "[a-z]{1,9}(-[a-z0-9]{1,5})?(\\.[a-z]{2,5})?",
        Just("192.168.7.1".to_owned()),
        Just("[fd00::7]".to_owned())
    ];
    let port = prop_oneof![
        Just(String::new()),
        (1u16..).prop_filter("the usual one", |p| *p != 443).prop_map(|p| format!(":{p}")),
        Just(":443".to_owned())
    ];
    let path = "(/[A-Za-z0-9_~:@!$&*()+,=-]{1,8}(%[0-9A-F]{2})?){0,4}";
    let query = prop_oneof![Just(String::new()), "\\?([a-z]{1,4}=[A-Za-z0-9._~%/?:@!$&*()+,;=-]{0,9}&?){0,3}"];
    let media = prop_oneof![Just(None), Just(Some("application/json")), Just(Some("text/plain; charset=\"utf-8\""))];
    let method = prop_oneof![Just("GET"), Just("POST"), Just("DELETE"), Just("PATCH")];
    let body = proptest::collection::vec(any::<u8>(), 0..200);
    let url = (host, port, path, query).prop_map(|(host, port, path, query)| {
        format!("https://{host}{port}{}{query}", if path.is_empty() { "/" } else { &path })
    });
    let grant =
        proptest::option::of("pcg1(\\.[A-Za-z0-9_-]{1,90}){1,9}").prop_map(|grant| Some(("portcullis-grant", grant?)));
    let token = proptest::option::of("pce_[A-Za-z0-9_-]{43}").prop_map(|token| Some(("portcullis-enroll", token?)));
    let more = (grant, token).prop_map(|(grant, token)| grant.into_iter().chain(token).collect());
    (method, url, body, media, any::<bool>(), 1i64..=253_402_300_799, "[A-Za-z0-9_-]{22,60}", more).prop_map(
        |(method, url, body, media, audience, created, nonce, more)| Wanted {
            method,
            url,
            body,
            media,
            audience,
            created,
            nonce,
            more,
        },
    )
}

impl Wanted {
    fn line(&self, gate: &str) -> String {
        json!({
            "method": self.method, "url": self.url, "body": BASE64.encode(&self.body), "media": self.media,
            "gate": self.audience.then_some(gate), "created": self.created, "nonce": self.nonce,
            "more": self.more.iter().cloned().collect::<BTreeMap<_, _>>(),
        })
        .to_string()
    }

    fn signed(&self, key: &SecretKey, gate: &str) -> HeaderMap {
        let (mut headers, uri): (_, Uri) = (HeaderMap::new(), self.url.parse().unwrap());
        headers.extend(self.media.map(|media| (http::header::CONTENT_TYPE, HeaderValue::from_static(media))));
        let audience = self.audience.then_some(gate);
        headers.extend(self.more.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())));
        let nonce = Some(Nonce::parse(&self.nonce).unwrap());
        let options = SignOptions { created: self.created, nonce, audience };
        sign_request(key, &self.target(&uri), &mut headers, &self.body, &options).unwrap();
        headers
    }

    fn target<'u>(&self, uri: &'u Uri) -> Target<'u> {
        let authority = uri.authority().unwrap().as_str();
        Target { method: self.method, https: true, authority, path: uri.path(), query: uri.query() }
    }

    /// Whether the library's verifier takes these headers for this request, with this body.
    fn holds(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let uri = self.url.parse().unwrap();
        let signed = Signed::read(&self.target(&uri), headers).unwrap().expect("a signature");
        signed.verify(None).is_ok() && signed.digest() == Some(&content_digest(body))
    }
}

#[test]
fn every_client_makes_the_same_signature() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.key");
    NodeKey::generate().unwrap().save_new(&file).unwrap();
    let key = SecretKey::from_pem(&fs::read_to_string(&file).unwrap()).unwrap();
    let gate = NodeKey::generate().unwrap().public().node_id();
    let mut runner = TestRunner::default();
    let requests: Vec<_> = (0..REQUESTS).map(|_| wanted().new_tree(&mut runner).unwrap().current()).collect();
    let ours: Vec<_> = requests.iter().map(|wanted| wanted.signed(&key, &gate)).collect();
    for (wanted, headers) in requests.iter().zip(&ours) {
        assert!(wanted.holds(headers, &wanted.body), "{wanted:?}");
        assert!(!wanted.holds(headers, &[&wanted.body[..], b"x"].concat()), "{wanted:?}");
    }
    for (what, mut signer) in signers("that every client makes the same signature") {
        let lines: String = requests.iter().map(|wanted| wanted.line(&gate) + "\n").collect();
        let output = fed(signer.arg("--lines").env("KEY", &file), lines);
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let theirs: Vec<HeaderMap> = said.lines().map(headers).collect();
        assert_eq!(theirs.len(), REQUESTS, "{what}");
        for ((wanted, ours), theirs) in requests.iter().zip(&ours).zip(&theirs) {
            // Ed25519 is deterministic, so that nothing but the same text has the same signature.
            assert_eq!(ours, theirs, "{what}: {wanted:?}");
        }
    }
}

#[test]
fn a_gate_takes_what_the_examples_sign() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("tls: server").filter("identity: {accept: [signature]}").start();
    let url = format!("{}/api/chat", gate.url());
    let body =
        json!({"model": "tiny", "messages": [{"role": "user", "content": "grüß dich"}], "stream": false}).to_string();
    let id = gate.cli_json(&["id"])["node_id"].as_str().unwrap().to_owned();
    let mut all = signers("that a gate takes what the examples sign");
    all.push(("Rust", Command::new(example("sign"))));
    for (what, signer) in &mut all {
        let file = gate.dir.path().join(format!("{what}.key"));
        let key = NodeKey::generate().unwrap();
        key.save_new(&file).unwrap();
        let node = key.public().node_id();
        signer.args(["POST", &url, &body]).envs([("KEY", file), ("CA", gate.state().join("ca.crt"))]).env("GATE", &id);
        let told = signer.output().unwrap();
        let said = |output: &Output| [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
        assert!(!told.status.success() && said(&told).contains("identity.pending"), "{what}: {}", said(&told));
        assert!(gate.cli(&["peers", "approve", &node]).status.success());
        let before = server.seen().len();
        until("the approval to bite", || signer.output().unwrap().status.success().then_some(()));
        let answered = signer.output().unwrap();
        assert!(answered.status.success() && said(&answered).contains("\"message\""), "{what}: {}", said(&answered));
        assert!(server.seen().len() > before, "{what}: it reached the server");
        let entry = gate.audit().pop().unwrap();
        assert_eq!((&entry["node_id"], &entry["identity_method"]), (&node.into(), &"signature".into()), "{what}");
        // For another gate it is of no use here.
        let other = NodeKey::generate().unwrap().public().node_id();
        let refused = signer.env("GATE", other).output().unwrap();
        assert!(
            !refused.status.success() && said(&refused).contains("signature.invalid"),
            "{what}: {}",
            said(&refused)
        );
    }
}

/// The signers that can run here.
fn signers(test: &str) -> Vec<(&'static str, Command)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/signing"));
    let runs = |program: &str, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
    };
    let python = std::env::var("PORTCULLIS_REAL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut found = Vec::new();
    for (what, program, probe, script) in [
        ("Python", &*python, ["-c", "import cryptography"], "sign.py"),
        ("JavaScript", "node", ["-e", "if (parseInt(process.versions.node) < 20) process.exit(1)"], "sign.mjs"),
    ] {
        if runs(program, &probe) {
            let mut command = Command::new(program);
            command.arg(folder.join(script));
            found.push((what, command));
        } else {
            eprintln!("skipped: {test}, from {what}: it needs python3 with `cryptography`, and Node 20");
        }
    }
    found
}

fn fed(command: &mut Command, lines: String) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Beside the reading: either pipe may be full.
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    output
}

fn headers(line: &str) -> HeaderMap {
    let said: Value = serde_json::from_str(line).unwrap();
    let pair = |(name, value): (&String, &Value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap());
    said.as_object().unwrap().iter().map(pair).collect::<Vec<(http::HeaderName, HeaderValue)>>().into_iter().collect()
}
