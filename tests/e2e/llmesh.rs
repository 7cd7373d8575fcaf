//! LLMesh's own signer, as it comes from its package.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use data_encoding::HEXLOWER;
use portcullis_signatures::{NodePublic, SecretKey};
use portcullis_tests::{Answer, Client, FakeServer, Gate, Redis, real, until};
use serde_json::{Value, json};

/// A node whose requests LLMesh signs.
struct Node {
    child: Child,
    lines: (ChildStdin, BufReader<ChildStdout>),
    public: NodePublic,
}

impl Node {
    fn start(python: &Path) -> Self {
        let seed: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap() + 3);
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/real/llmesh_signer.py"))
            .arg(HEXLOWER.encode(&seed))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, lines, public: SecretKey::from_seed(&seed).public() }
    }

    /// The bytes of a request, with the headers that LLMesh makes and these.
    fn request(&mut self, path: &str, body: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let (stdin, stdout) = &mut self.lines;
        writeln!(stdin, "{}", json!({"method": "POST", "path": path, "body": body})).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let headers: Value = serde_json::from_str(&line).expect("the signer's headers");
        let mut text = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
        for (name, value) in headers.as_object().unwrap() {
            text.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap()));
        }
        for (name, value) in more {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        text.into_bytes()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn llmesh_s_own_signer_is_taken_and_its_bytes_are_taken_once() {
    let Some(python) = real::python_with("llmesh", "the requests that LLMesh's own signer signs") else { return };
    let server = FakeServer::start();
    let gate = Gate::before(&server).gate("tls: server").filter("identity: {accept: [signature]}").start();
    let client = gate.nobody();
    let mut node = Node::start(&python);
    let chat = |text: &str| {
        json!({"model": "tiny", "messages": [{"role": "user", "content": text}], "stream": false}).to_string()
    };
    let is = |answer: &Answer, status, code: &str| {
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
    };
    is(&client.raw(&node.request("/api/chat", &chat("hi"), &[])), 401, "identity.required");
    let hex = node.public.to_hex();
    is(&client.raw(&node.request("/api/chat", &chat("hi"), &[("X-LLMesh-Public-Key", &hex)])), 403, "identity.pending");
    let id = node.public.node_id();
    assert!(gate.cli(&["peers", "approve", &id]).status.success());
    until("the approval to bite", || {
        (client.raw(&node.request("/api/chat", &chat("hi"), &[])).status == 200).then_some(())
    });

    let body = chat("grüß dich");
    let bytes = node.request("/api/chat", &body, &[]);
    let answer = client.raw(&bytes);
    is(&answer, 200, "allow");
    let entry = gate.audit_of(answer.header("portcullis-request-id").unwrap());
    assert_eq!((&entry["node_id"], &entry["identity_method"]), (&id.as_str().into(), &"signature".into()));
    let arrived = server.seen().len();
    once(&client, &bytes);
    once(&client, &bytes);
    gate.restart(|| ());
    once(&client, &bytes);
    assert_eq!(gate.metric("portcullis_replays_total"), 1.0, "of the new process");
    let bent = String::from_utf8(node.request("/api/chat", &body, &[])).unwrap().replacen("dich", "euch", 1);
    is(&client.raw(bent.as_bytes()), 403, "signature.invalid");
    assert_eq!(server.seen().len(), arrived, "none of it reached the server");
    is(&client.raw(&node.request("/api/chat", &body, &[])), 200, "allow");
}

#[test]
fn what_llmesh_signed_for_one_gate_is_a_replay_at_the_other_that_shares_its_store() {
    let test = "requests of LLMesh's own signer at two gates with one Redis";
    let (Some(python), Some(redis)) = (real::python_with("llmesh", test), Redis::start(&[])) else { return };
    let server = FakeServer::start();
    let start = || {
        let store = format!("signature: {{window: 5s, store: '{}'}}", redis.url());
        Gate::before(&server).gate("tls: server").filter("identity: {accept: [signature]}").filter(&store).start()
    };
    let gates = [start(), start()];
    let mut node = Node::start(&python);
    let body = |text: &str| {
        json!({"model": "tiny", "messages": [{"role": "user", "content": text}], "stream": false}).to_string()
    };
    let (hex, id) = (node.public.to_hex(), node.public.node_id());
    for gate in &gates {
        let hello = node.request("/api/chat", &body("hi"), &[("X-LLMesh-Public-Key", &hex)]);
        assert_eq!(gate.nobody().raw(&hello).code(), "identity.pending");
        assert!(gate.cli(&["peers", "approve", &id]).status.success());
        until("the approval to bite, and the store to open", || {
            (gate.nobody().raw(&node.request("/api/chat", &body("hi"), &[])).status == 200).then_some(())
        });
    }
    let [one, two] = gates.each_ref().map(Gate::nobody);
    for (first, second) in [(&one, &two), (&two, &one)] {
        let bytes = node.request("/api/chat", &body("moin"), &[]);
        let answer = first.raw(&bytes);
        assert_eq!((answer.status, answer.code().as_str()), (200, "allow"), "{}", answer.text());
        once(second, &bytes);
        once(first, &bytes);
    }
}

fn once(client: &Client, bytes: &[u8]) {
    let again = client.raw(bytes);
    assert_eq!((again.status, again.code().as_str()), (409, "signature.replayed"), "{}", again.text());
}
