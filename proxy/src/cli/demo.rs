//! `portcullis demo`: the whole product on a bare machine.
//!
//! A throw-away node is made by the product's own `init`, its gate is started as a process of its own,
//! and real requests go through it as a client would send them.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portcullis_policies::UpstreamKind;

use super::init::{self, InitArgs};
use super::{DemoArgs, Failure, Outcome, colour, http, say};
use crate::demo::{DemoModel, PACKAGE};

mod caller;
mod summary;
mod tour;

use caller::Caller;

/// How long the gate may take to stand.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the tour goes through.
struct Stage {
    dir: tempfile::TempDir,
    gate: Child,
    gate_port: u16,
    server: Server,
}

/// The model server behind the gate.
struct Server {
    url: String,
    kind: UpstreamKind,
    model: String,
    demo: Option<DemoModel>,
}

pub(super) fn run(args: &DemoArgs) -> Outcome {
    rustls::crypto::ring::default_provider().install_default().ok();
    let server = server()?;
    match &server.demo {
        Some(_) => {
            say!("No Ollama or llama-server answers on loopback: the embedded demo model stands in ({}).", server.url)
        }
        None => say!("Found {} at {}, model {}.", server.kind.as_str(), server.url, server.model),
    }
    let stage = Stage::set(server)?;
    say!("A gate with throw-away keys stands on https://localhost:{} in front of it.", stage.gate_port);
    say!();
    let outcomes = tour::walk(&stage, args.attack)?;
    let unexpected = outcomes.iter().filter(|o| !o.as_expected).count();
    say!();
    summary::tell(&stage, &outcomes)?;
    if !args.once {
        stay(&stage)?;
    }
    if unexpected > 0 {
        return Err(Failure::no(format!("{unexpected} of {} outcomes were not the expected ones", outcomes.len())));
    }
    Ok(())
}

/// The server that answers on its usual port and has a model, else the demo model.
fn server() -> Outcome<Server> {
    for url in ["http://127.0.0.1:11434", "http://127.0.0.1:8080", "http://127.0.0.1:9931"] {
        let Some(kind) = http::kind_of(url) else { continue };
        match installed(url, kind) {
            Some(model) => return Ok(Server { url: url.to_owned(), kind, model, demo: None }),
            None => say!("Found {} at {url}, but it has no model.", kind.as_str()),
        }
    }
    let demo = DemoModel::start()?;
    Ok(Server { url: demo.url(), kind: UpstreamKind::Ollama, model: "demo".to_owned(), demo: Some(demo) })
}

/// The first model that a server lists and that stays on the machine.
fn installed(url: &str, kind: UpstreamKind) -> Option<String> {
    let (path, list, name) = match kind {
        UpstreamKind::Ollama => ("/api/tags", "models", "name"),
        _ => ("/v1/models", "data", "id"),
    };
    let answer = http::ask(url.strip_prefix("http://")?, "GET", path, None, Duration::from_secs(2))?;
    let value: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    let models = value.get(list)?.as_array()?.iter().filter_map(|m| m.get(name)?.as_str());
    models.map(str::to_owned).find(|m| !m.ends_with("cloud"))
}

impl Stage {
    fn set(server: Server) -> Outcome<Self> {
        let dir = tempfile::Builder::new().prefix("portcullis-demo-").tempdir()?;
        let args = InitArgs {
            dir: dir.path().to_owned(),
            name: Some("demo".to_owned()),
            upstream: Some(server.url.clone()),
            kind: Some(server.kind.as_str().to_owned()),
        };
        let made = init::init(&args)?;
        let (gate_port, admin_port) = (free_port()?, free_port()?);
        let text = edited(
            std::fs::read_to_string(&made.config)?,
            &[
                ("listen: 0.0.0.0:8443", &format!("listen: 127.0.0.1:{gate_port}")),
                ("listen: 127.0.0.1:9901", &format!("listen: 127.0.0.1:{admin_port}")),
                ("drain: 30s", "drain: 5s"),
                ("accept: [mtls], trust: tofu", "accept: [mtls, api_key, ollama_key], trust: tofu"),
                ("# policy: {file: policy.yaml}", "policy: {file: policy.yaml}"),
                ("# sca: {block_at: high, source: local}", "sca: {block_at: high, source: local}"),
            ],
        )?;
        std::fs::write(&made.config, text)?;
        // The built-in policy, as a file that can be opened where an explanation points.
        std::fs::write(dir.path().join("policy.yaml"), portcullis_policies::policy::DEFAULT)?;
        advisories(dir.path())?;
        let log = std::fs::File::create(dir.path().join("gate.log"))?;
        let gate = Command::new(std::env::current_exe()?)
            .arg("run")
            .arg("--config")
            .arg(&made.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut stage = Self { dir, gate, gate_port, server };
        stage.wait(&format!("127.0.0.1:{admin_port}"))?;
        Ok(stage)
    }

    /// Waits until the gate is ready, or tells what it said before it ended.
    fn wait(&mut self, admin: &str) -> Outcome {
        let until = Instant::now() + PATIENCE;
        loop {
            if http::ask(admin, "GET", "/readyz", None, Duration::from_secs(1)).is_some_and(|a| a.status == 200) {
                return Ok(());
            }
            if self.gate.try_wait()?.is_some() || Instant::now() > until {
                let log = std::fs::read_to_string(self.dir.path().join("gate.log")).unwrap_or_default();
                let end: Vec<_> = log.lines().rev().take(5).collect();
                return Err(Failure::broken(format!(
                    "the gate does not stand: {}",
                    end.into_iter().rev().collect::<Vec<_>>().join("\n")
                )));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("portcullis.yaml")
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A caller with this name and a key of its own.
    fn caller(&self, name: &str) -> Outcome<Caller> {
        Caller::new(self.gate_port, &self.state().join("ca.crt"), Some(name))
    }

    /// A caller without a certificate.
    fn nobody(&self) -> Outcome<Caller> {
        Caller::new(self.gate_port, &self.state().join("ca.crt"), None)
    }

    /// Runs the product's own command line against this gate, and returns what it prints.
    fn command(&self, args: &[&str]) -> Outcome<String> {
        let output = Command::new(std::env::current_exe()?).args(args).arg("--config").arg(self.config()).output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(Failure::broken(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let pid = i32::try_from(self.gate.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let until = Instant::now() + Duration::from_secs(8);
        while matches!(self.gate.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.gate.kill();
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// A database with one advisory, on a package that nobody has.
fn advisories(dir: &Path) -> Outcome {
    let advisory = serde_json::json!({
        "id": "DEMO-2026-1", "modified": "2026-01-01T00:00:00Z", "summary": "an example",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{"package": {"ecosystem": "PyPI", "name": PACKAGE},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0.2.0"}]}]}],
    });
    let file = dir.join("advisory.json");
    std::fs::write(&file, advisory.to_string())?;
    let database = dir.join("state").join("osv.redb");
    let report = portcullis_advisories::import(&database, &[file], jiff::Timestamp::now(), &mut |_| ());
    report.map(drop).map_err(|error| Failure::broken(error.to_string()))
}

/// A config with these places changed, each of which must be there.
fn edited(mut text: String, places: &[(&str, &str)]) -> Outcome<String> {
    for (place, new) in places {
        if !text.contains(place) {
            return Err(Failure::broken(format!("`init` wrote a config without `{place}`")));
        }
        text = text.replace(place, new);
    }
    Ok(text)
}

/// Leaves the gate standing until it is interrupted.
fn stay(stage: &Stage) -> Outcome {
    let me = stage.caller("you")?;
    let (crt, key) = (stage.dir.path().join("you.crt"), stage.dir.path().join("you.key"));
    std::fs::write(&crt, &me.certificate)?;
    portcullis_certs::files::write_private(&key, me.key.as_bytes()).map_err(|e| Failure::broken(e.to_string()))?;
    let exe = std::env::current_exe()?;
    let path = |p: &Path| p.display().to_string();
    say!();
    say!("The gate stays up. Try it from another terminal. The first call is refused, as nobody approved its key:");
    say!("  curl --cacert {} --cert {} --key {} \\", path(&stage.state().join("ca.crt")), path(&crt), path(&key));
    say!("    https://localhost:{}/api/chat -H 'Content-Type: application/json' \\", stage.gate_port);
    say!(
        "    -d '{{\"model\": \"{}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'",
        stage.server.model
    );
    say!("Approve it, which is in force within a second, and call again:");
    say!("  {} peers pending --config {}", path(&exe), path(&stage.config()));
    say!("  {} peers approve {} --config {}", path(&exe), me.id, path(&stage.config()));
    say!("And look on:");
    say!("  {} audit tail -f --config {}", path(&exe), path(&stage.config()));
    say!("Ctrl-C ends it and removes everything.");
    let _ = std::io::stdout().flush();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended,
            _ = terminate.recv() => Ok(()),
        }
    })?;
    Ok(())
}

fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
