//! The gate under test, set up as a user would: `init`, two addresses, a client that asks and is
//! approved.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::Bench;
use super::arm::{Arm, ClientFiles, GATE};
use crate::process::{Background, free_address, output, with_descriptors};

/// Limits that no load of ours reaches; the filter itself stays in the chain.
const NO_LIMIT: &str = "{requests: 1000000000/m, tokens: 1000000000000/h, concurrent: 100000}";

/// How often an approved client tries before the approval counts as failed.
const PATIENCE: usize = 20;

/// Starts the gate with its default chain and gets the client with these files approved.
pub(crate) fn start(bench: &Bench, upstream: SocketAddr, client: &str) -> anyhow::Result<Arm> {
    let dir = bench.dir.join("gate");
    let portcullis = bench.program("portcullis");
    let url = format!("http://{upstream}");
    let mut init = Command::new(&portcullis);
    init.arg("init").arg("--dir").arg(&dir);
    output(init.args(["--name", "bench", "--upstream", &url, "--kind", "ollama"]))?;

    let config = dir.join("portcullis.yaml");
    let (listen, admin) = (free_address()?, free_address()?);
    let written = fs::read_to_string(&config).context("`portcullis init` wrote no config")?;
    fs::write(&config, adapt(&written, listen, admin)?)?;

    let mut gate = with_descriptors(&portcullis);
    gate.arg("run").arg("--config").arg(&config).current_dir(&dir);
    let mut process = Background::start(GATE, &mut gate, &bench.log("gate"))?;
    process
        .wait_until(|| is_ready(admin))
        .with_context(|| format!("the gate is not ready, its log is {}", bench.log("gate").display()))?;
    let [cert, key] = ["crt", "key"].map(|kind| bench.pki(&format!("{client}.{kind}")));
    let tls = ClientFiles { ca: dir.join("state/ca.crt"), cert, key };
    let arm = Arm::proxy(GATE, process, listen, tls);
    approve(bench, &portcullis, &config, &arm)?;
    Ok(arm)
}

/// Puts the addresses into the generated config, and lifts the rate limits where it sets any.
fn adapt(yaml: &str, listen: SocketAddr, admin: SocketAddr) -> anyhow::Result<String> {
    let yaml = set(yaml, ["gate", "listen"], &listen.to_string()).context("the config has no `gate.listen`")?;
    let yaml = set(&yaml, ["admin", "listen"], &admin.to_string()).context("the config has no `admin.listen`")?;
    Ok(set(&yaml, ["filters", "ratelimit"], NO_LIMIT).unwrap_or(yaml))
}

/// Replaces the value of a key in a top-level block, and what is nested below it; `None` when the
/// key is not there. Enough of YAML for the file that `portcullis init` writes.
fn set(yaml: &str, [block, key]: [&str; 2], value: &str) -> Option<String> {
    let mut text = String::new();
    let mut in_block = false;
    let mut found = false;
    let mut nested_below = None;
    for line in yaml.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        let is_entry = !content.is_empty() && !content.starts_with('#');
        match nested_below {
            Some(parent) if is_entry && indent > parent => continue,
            _ if is_entry => nested_below = None,
            _ => {}
        }
        if is_entry && indent == 0 {
            in_block = content.split_once(':').is_some_and(|(name, _)| name == block);
        }
        let is_key = content.split_once(':').is_some_and(|(name, _)| name.trim() == key);
        if in_block && is_entry && indent > 0 && is_key && !found {
            found = true;
            nested_below = Some(indent);
            text.push_str(&format!("{}{key}: {value}\n", " ".repeat(indent)));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    found.then_some(text)
}

/// Whether `/readyz` answers with 200.
fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&admin, Duration::from_millis(500))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut status = vec![0; 12];
        stream.read_exact(&mut status)?;
        Ok(status)
    };
    ask().is_ok_and(|status| status.ends_with(b" 200"))
}

/// One request makes the client pending, the operator approves it, a second one must pass.
fn approve(bench: &Bench, portcullis: &Path, config: &Path, arm: &Arm) -> anyhow::Result<()> {
    let operator = |args: &[&str]| output(Command::new(portcullis).args(args).arg("--config").arg(config));
    knock(bench, arm, "idle")?;
    let pending: Value = serde_json::from_str(&operator(&["peers", "pending", "--json"])?)?;
    let id = pending.pointer("/0/id").and_then(Value::as_str);
    let id = id.context("the client did not become pending at the gate")?;
    operator(&["peers", "approve", id])?;
    // A running gate may need a moment to see what the command line has written.
    let mut refusal = None;
    for _ in 0..PATIENCE {
        let report = knock(bench, arm, "run")?;
        refusal = report.get("error_sample").and_then(Value::as_str).map(str::to_owned);
        if refusal.is_none() {
            return Ok(());
        }
        sleep(Duration::from_millis(250));
    }
    bail!("the gate refuses the approved client: {}", refusal.unwrap_or_default())
}

/// A single connection of the load client: `idle` sends one request, whatever the answer.
fn knock(bench: &Bench, arm: &Arm, command: &str) -> anyhow::Result<Value> {
    let mut load = Command::new(bench.program("perf-loadgen"));
    load.arg(command).args(["--url", &arm.url("/api/chat")]);
    load.args(["-c", "1", "-d", "0.2", "-w", "0", "--prime", "--hold", "0"]);
    if let Some(tls) = &arm.tls {
        let files: [(&str, &PathBuf); 3] = [("--ca", &tls.ca), ("--cert", &tls.cert), ("--key", &tls.key)];
        for (flag, file) in files {
            load.arg(flag).arg(file);
        }
    }
    Ok(serde_json::from_str(&output(&mut load)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATED: &str = "\
# Written by init.
node:
  name: bench
gate:
  # where others reach it
  listen: 0.0.0.0:8443
  tls: mutual
admin:
  listen: 127.0.0.1:9901
filters:
  ratelimit:
    requests: 600/m
    concurrent: 16

  audit: {fsync: batch}
";

    #[test]
    fn addresses_and_limits_are_replaced_and_nothing_else() {
        let (listen, admin) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        let adapted = adapt(GENERATED, listen, admin).unwrap();
        let expected = GENERATED
            .replace("0.0.0.0:8443", "127.0.0.1:1")
            .replace("127.0.0.1:9901", "127.0.0.1:2")
            .replace("ratelimit:\n    requests: 600/m\n    concurrent: 16\n", &format!("ratelimit: {NO_LIMIT}\n"));
        assert_eq!(adapted, expected);
    }

    #[test]
    fn a_key_of_another_block_is_not_taken() {
        assert_eq!(set("gate:\n  tls: off\nadmin:\n  listen: a\n", ["gate", "listen"], "b"), None);
        assert_eq!(set("listen: a\n", ["gate", "listen"], "b"), None);
    }
}
