//! `portcullis tail`: decisions as they fall, from the running gate.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use clap::Args;
use portcullis_certs::files;
use serde_json::Value;

use super::{Failure, JsonArgs, Outcome, colour, say};

/// A gate that is this long silent is gone: it shows every 15 seconds that it lives.
const PATIENCE: Duration = Duration::from_secs(60);

/// Arguments of `tail`.
#[derive(Args)]
pub(crate) struct TailArgs {
    /// Only what is refused.
    #[arg(long)]
    denied: bool,
    #[command(flatten)]
    args: JsonArgs,
}

pub(super) fn run(args: &TailArgs) -> Outcome {
    let config = args.args.config.load()?;
    let admin = config.admin.listen;
    let token =
        files::read_private(&config.node.state.join("admin.token")).map_err(|e| Failure::broken(e.to_string()))?;
    let nobody = || Failure::broken(format!("no gate answers on {admin}; `portcullis run` starts it"));
    let mut tcp = TcpStream::connect_timeout(&admin, Duration::from_secs(5)).map_err(|_| nobody())?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    let only = if args.denied { "?decision=block" } else { "" };
    // HTTP/1.0: the answer comes without chunks, line by line.
    write!(
        tcp,
        "GET /api/v1/decisions{only} HTTP/1.0\r\nHost: {admin}\r\nAccept: text/event-stream\r\nAuthorization: Bearer \
         {}\r\n\r\n",
        token.trim()
    )?;
    let mut lines = BufReader::new(tcp).lines();
    let status = lines.next().ok_or_else(nobody)??;
    if status.split(' ').nth(1) != Some("200") {
        return Err(Failure::broken(format!("{admin} answered `{status}`: is another program using this port?")));
    }
    for line in lines {
        let line = line.map_err(|_| Failure::broken("the gate went away"))?;
        let Some(decision) = line.strip_prefix("data: ").and_then(|text| serde_json::from_str::<Value>(text).ok())
        else {
            continue;
        };
        if args.args.json {
            say!("{decision}");
        } else if decision.is_object() {
            show(&decision);
        } else {
            say!("({decision} decisions were missed)");
        }
    }
    Err(Failure::broken("the gate went away"))
}

fn show(decision: &Value) {
    let text = |key: &str| decision.get(key).and_then(Value::as_str).filter(|t| !t.is_empty()).unwrap_or("-");
    let (on, off) = match (colour(), text("policy_decision")) {
        (true, "BLOCK") => ("\u{1b}[31m", "\u{1b}[0m"),
        (true, "ALLOW") => ("\u{1b}[32m", "\u{1b}[0m"),
        _ => ("", ""),
    };
    let by = if text("policy_decision") == "ALLOW" { text("allowed_by") } else { text("detail") };
    let who = if text("name") == "-" { text("node_id") } else { text("name") };
    say!(
        "{} {on}{:<5}{off} {} {:<24} {who} {} {} {} {by}",
        text("timestamp"),
        text("policy_decision"),
        text("request_id"),
        text("code"),
        text("method"),
        text("path"),
        text("model"),
    );
}
