//! A real gate process in a folder of its own.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;

use portcullis_certs::{NodeKey, NodePublic};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::h2_client::H2Client;
use crate::program::{free_port, portcullis, run, until};
use crate::server::FakeServer;

/// A gate that is not started yet.
pub struct GateBuilder {
    upstream: String,
    kind: &'static str,
    gate: Vec<String>,
    filters: Vec<String>,
    chain: Option<String>,
    policy: Option<String>,
    files: Vec<(String, String)>,
    top: Vec<String>,
    server: Vec<String>,
    env: Vec<(String, String)>,
    state: Option<PathBuf>,
}

/// A running gate. Ended, and its folder removed, on drop.
pub struct Gate {
    child: Mutex<Option<Child>>,
    /// The gate's folder.
    pub dir: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its operator talks to it.
    pub admin: SocketAddr,
    state: PathBuf,
    env: Vec<(String, String)>,
}

impl Gate {
    /// A gate in front of a fake Ollama.
    pub fn before(server: &FakeServer) -> GateBuilder {
        Self::before_url(&format!("http://{}", server.address()), "ollama")
    }

    /// A gate in front of a server of this kind.
    pub fn before_url(url: &str, kind: &'static str) -> GateBuilder {
        GateBuilder {
            upstream: url.to_owned(),
            kind,
            gate: vec![],
            filters: vec![],
            chain: None,
            policy: None,
            files: vec![],
            top: vec![],
            server: vec![],
            env: vec![],
            state: None,
        }
    }

    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("portcullis.yaml")
    }

    /// What a door is opened to.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// What the gate's operator reads out: `portcullis id`.
    #[track_caller]
    pub fn fingerprint(&self) -> String {
        self.cli_json(&["id"])["fingerprint"].as_str().expect("a fingerprint").to_owned()
    }

    /// The key that signs this gate's answers.
    #[track_caller]
    pub fn node(&self) -> NodePublic {
        NodeKey::load(&self.state.join("node.key")).expect("a key").public()
    }

    /// The state directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The authority that signed the gate's certificate, in PEM.
    pub fn ca(&self) -> String {
        fs::read_to_string(self.state.join("ca.crt")).expect("ca.crt")
    }

    /// Runs a command against this gate's config.
    pub fn cli(&self, args: &[&str]) -> Output {
        let config = self.config();
        let mut all = args.to_vec();
        all.extend(["--config", config.to_str().expect("a path")]);
        let mut command = Command::new(portcullis());
        command.args(all).envs(self.env.iter().map(|(n, v)| (n, v)));
        command.output().expect("portcullis runs")
    }

    /// Runs a command that must succeed and print JSON.
    #[track_caller]
    pub fn cli_json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        let output = self.cli(&all);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// A client with a fresh Ed25519 identity that nobody knows.
    pub fn stranger(&self, name: &str) -> Client {
        let (certificate, key, id) = identity(name);
        Client::new(self.address, &self.ca(), Some((&certificate, &key)), &id)
    }

    /// A client without a certificate.
    pub fn nobody(&self) -> Client {
        Client::new(self.address, &self.ca(), None, "")
    }

    /// The same client at this gate, which may know nothing of it.
    pub fn same_client(&self, other: &Client) -> Client {
        Client::new(self.address, &self.ca(), Some((&other.certificate, &other.key)), &other.id)
    }

    /// A client whom the operator approved, by the command line.
    #[track_caller]
    pub fn approved_client(&self, name: &str) -> Client {
        let client = self.stranger(name);
        self.approve(&client);
        client
    }

    /// The same over HTTP/2.
    #[track_caller]
    pub fn approved_h2_client(&self, name: &str) -> H2Client {
        let (certificate, key, id) = identity(name);
        let client = Client::with_alpn(self.address, &self.ca(), Some((&certificate, &key)), &id, &[b"h2"]);
        let first = Client::new(self.address, &self.ca(), Some((&certificate, &key)), &id);
        self.approve(&first);
        H2Client::new(client)
    }

    /// Makes contact, then has the operator approve it.
    #[track_caller]
    pub fn approve(&self, client: &Client) {
        self.approve_by(client, "/api/version");
    }

    /// The same, by way of a route that the server behind this gate has.
    #[track_caller]
    pub fn approve_by(&self, client: &Client, path: &str) {
        let answer = client.get(path);
        assert_eq!(answer.code(), "identity.pending", "{}", answer.text());
        let output = self.cli(&["peers", "approve", &client.id]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        until("the approval to bite", || (client.get(path).status == 200).then_some(()));
    }

    /// Every entry of the audit log, oldest first.
    #[track_caller]
    pub fn audit(&self) -> Vec<Value> {
        let mut files: Vec<_> = fs::read_dir(self.state.join("audit"))
            .expect("an audit folder")
            .filter_map(|f| f.ok().map(|f| f.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
            .collect();
        files.sort();
        files
            .iter()
            .flat_map(|f| {
                let bytes = fs::read(f).expect("a log");
                // The gate may be in the middle of its newest line, which is none yet.
                let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
                whole.map(<[u8]>::to_vec).collect::<Vec<_>>()
            })
            .map(|line| serde_json::from_slice(&line).expect("an entry"))
            .collect()
    }

    /// The audit entry of this request.
    #[track_caller]
    pub fn audit_of(&self, request_id: &str) -> Value {
        until("the audit entry", || {
            let mut all: Vec<_> = self.audit().into_iter().filter(|e| e["request_id"] == request_id).collect();
            assert!(all.len() < 2, "more than one entry for {request_id}");
            all.pop()
        })
    }

    /// The metrics, by name with labels as exposed.
    #[track_caller]
    pub fn metrics(&self) -> HashMap<String, f64> {
        let (status, text) = self.ask_admin("GET", "/metrics", None);
        assert_eq!(status, 200);
        text.lines()
            .filter(|l| !l.starts_with('#'))
            .filter_map(|l| l.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// One metric; 0 when it is not there.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        self.metrics().get(name).copied().unwrap_or_default()
    }

    /// Asks the admin listener.
    pub fn ask_admin(&self, method: &str, path: &str, token: Option<&str>) -> (u16, String) {
        ask(self.admin, method, path, token).unwrap_or_default()
    }

    /// The admin token.
    pub fn token(&self) -> String {
        fs::read_to_string(self.state.join("admin.token")).expect("a token").trim().to_owned()
    }

    /// What the gate wrote to standard error so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        let child = self.child.lock().expect("the child");
        i32::try_from(child.as_ref().expect("a running gate").id()).expect("a pid")
    }

    /// Kills the gate, and starts it again with the same folder and addresses once `between` is done.
    #[track_caller]
    pub fn restart(&self, between: impl FnOnce()) {
        self.restart_unready(between);
        self.ready();
    }

    /// The same, and does not wait until it is ready: it may never be.
    #[track_caller]
    pub fn restart_unready(&self, between: impl FnOnce()) {
        let mut child = self.child.lock().expect("the child");
        if let Some(mut old) = child.take() {
            let _ = old.kill();
            let _ = old.wait();
        }
        between();
        *child = Some(spawn(self.dir.path(), &self.env));
    }

    /// Waits until the gate is ready.
    #[track_caller]
    fn ready(&self) {
        until("the gate to be ready", || {
            let ended = self.child.lock().expect("the child").as_mut().expect("a child").try_wait().expect("a child");
            assert!(ended.is_none(), "the gate ended: {}", self.log());
            (self.ask_admin("GET", "/readyz", None).0 == 200).then_some(())
        });
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("the gate runs");
    }

    /// Waits for the gate to end by itself.
    #[track_caller]
    pub fn wait(&self) -> ExitStatus {
        until("the gate to end", || {
            let mut child = self.child.lock().expect("the child");
            child.as_mut().expect("a running gate").try_wait().expect("a child")
        })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the gate's log ---\n{}", self.log());
        }
    }
}

impl GateBuilder {
    /// Adds a line to the `gate:` section.
    #[must_use]
    pub fn gate(mut self, line: &str) -> Self {
        self.gate.push(line.to_owned());
        self
    }

    /// Adds a line to the `filters:` section, such as `firewall: {mode: shadow}`.
    #[must_use]
    pub fn filter(mut self, line: &str) -> Self {
        self.filters.push(line.to_owned());
        self
    }

    /// Sets the chain.
    #[must_use]
    pub fn chain(mut self, chain: &str) -> Self {
        self.chain = Some(chain.to_owned());
        self
    }

    /// Sets the policy document.
    #[must_use]
    pub fn policy(mut self, policy: &str) -> Self {
        self.policy = Some(policy.to_owned());
        self
    }

    /// Puts a file beside the config.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Adds a line at the top of the config, such as `watch: true`.
    #[must_use]
    pub fn top(mut self, line: &str) -> Self {
        self.top.push(line.to_owned());
        self
    }

    /// Adds a setting of the upstream, such as `slots: 2`.
    #[must_use]
    pub fn upstream(mut self, setting: &str) -> Self {
        self.server.push(setting.to_owned());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Keeps the audit log elsewhere: this folder becomes `state/audit`.
    #[must_use]
    pub fn audit_in(mut self, folder: &Path) -> Self {
        self.state = Some(folder.to_owned());
        self
    }

    /// Makes the folder by `portcullis init`, writes the config, and starts the gate.
    #[track_caller]
    pub fn start(self) -> Gate {
        let gate = self.start_unready();
        gate.ready();
        gate
    }

    /// The same, and does not wait until it is ready: it may never be.
    #[track_caller]
    pub fn start_unready(self) -> Gate {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().to_str().expect("a path");
        let made =
            run(&["init", "--dir", path, "--name", "test-gate", "--upstream", &self.upstream, "--kind", self.kind]);
        assert!(made.status.success(), "init: {}", String::from_utf8_lossy(&made.stderr));
        if let Some(folder) = &self.state {
            std::os::unix::fs::symlink(folder, dir.path().join("state/audit")).expect("a link");
        }
        for (name, text) in &self.files {
            fs::write(dir.path().join(name), text).expect("a file");
        }
        let (address, admin) = (loopback(), loopback());
        fs::write(dir.path().join("portcullis.yaml"), self.yaml(&dir, address, admin)).expect("a config");
        let child = spawn(dir.path(), &self.env);
        let state = dir.path().join("state");
        Gate { child: Mutex::new(Some(child)), dir, address, admin, state, env: self.env }
    }

    fn yaml(&self, dir: &TempDir, address: SocketAddr, admin: SocketAddr) -> String {
        let mut yaml = format!(
            "node: {{name: test-gate, state: ./state}}\ngate:\n  listen: {address}\n  drain: 10s\n  threads: 2\n"
        );
        for line in &self.gate {
            let _ = writeln!(yaml, "  {line}");
        }
        let _ = writeln!(yaml, "admin: {{listen: {admin}}}");
        let more: String = self.server.iter().map(|setting| format!(", {setting}")).collect();
        let _ = writeln!(yaml, "upstreams:\n  local: {{url: {}, kind: {}{}}}", self.upstream, self.kind, more);
        let _ = writeln!(yaml, "routes:\n  - {{to: [local]}}");
        if let Some(chain) = &self.chain {
            let _ = writeln!(yaml, "chain: {chain}");
        }
        for line in &self.top {
            let _ = writeln!(yaml, "{line}");
        }
        let mut filters = self.filters.clone();
        if !filters.iter().any(|line| line.starts_with("ratelimit:")) {
            // A test that is not about limits runs into none.
            filters.push("ratelimit: {requests: off, tokens: off, concurrent: off, strangers: off}".to_owned());
        }
        if let Some(policy) = &self.policy {
            fs::write(dir.path().join("policy.yaml"), policy).expect("a policy");
            filters.push("policy: {file: policy.yaml}".to_owned());
        }
        if !filters.is_empty() {
            yaml.push_str("filters:\n");
            for line in filters {
                let _ = writeln!(yaml, "  {line}");
            }
        }
        yaml
    }
}

/// Starts the gate of this folder.
fn spawn(dir: &Path, env: &[(String, String)]) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("log")).expect("a log");
    let mut command = Command::new(portcullis());
    command.arg("run").arg("--config").arg(dir.join("portcullis.yaml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.envs(env.iter().map(|(n, v)| (n, v)));
    command.spawn().expect("portcullis starts")
}

/// A fresh identity: certificate, key, id.
pub(crate) fn identity(name: &str) -> (String, String, String) {
    let node = NodeKey::generate().expect("a key");
    let (certificate, key) = node.self_signed_cert(name).expect("a certificate");
    (certificate, key.as_str().to_owned(), node.public().node_id())
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// One plain HTTP exchange with the admin listener.
pub(crate) fn ask(admin: SocketAddr, method: &str, path: &str, token: Option<&str>) -> Option<(u16, String)> {
    use std::io::{Read as _, Write as _};
    let mut tcp = std::net::TcpStream::connect(admin).ok()?;
    tcp.set_read_timeout(Some(std::time::Duration::from_secs(10))).ok()?;
    let bearer = token.map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
    write!(tcp, "{method} {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\nContent-Length: 0\r\n{bearer}\r\n")
        .ok()?;
    let mut bytes = Vec::new();
    tcp.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body =
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_owned() };
    Some((status, body))
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
