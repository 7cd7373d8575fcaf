//! `portcullis doctor`: what usually goes wrong, one line each, with the reason and the remedy.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_certs::{NodeKey, PeerCert, files};
use portcullis_filters::sca::Handling;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use serde_json::Value;

use super::printable::printable;
use super::{Failure, JsonArgs, Outcome, audit, colour, http, say};
use crate::audit_log::check::{self, End};
use crate::audit_log::{self, AuditKey, FIRST, MASTER, checkpoints};
use crate::config::{Config, SourceWord};
use crate::store::redis::look;
use crate::store::{self, replay_dir};
use crate::witness::shelf::evidence;
use crate::witnessed::memory::{Memory, moment};
use crate::witnessed::round;

/// How one thing is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Fail,
    Ok,
    Warn,
}

/// One line.
#[derive(Serialize)]
struct Line {
    check: &'static str,
    health: Health,
    what: String,
    fix: String,
}

pub(super) fn run(args: &JsonArgs) -> Outcome {
    let mut lines = Vec::new();
    let mut line =
        |check, health, what: String, fix: &str| lines.push(Line { check, health, what, fix: fix.to_owned() });
    let config = match args.config.load() {
        Ok(config) => {
            line("config", Health::Ok, format!("{} is fine", config.file.display()), "");
            for warning in &config.warnings {
                line("config", Health::Warn, warning.clone(), "");
            }
            Some(config)
        }
        Err(failure) => {
            line("config", Health::Fail, failure.message, "mend the file; `portcullis check` reads it again");
            None
        }
    };
    if let Some(config) = &config {
        keys(config, &mut line);
        certificates(config, &mut line);
        providers(config, &mut line);
        store(config, &mut line);
        advisories(config, &mut line);
        log(config, &mut line);
        retention(config, &mut line);
        exports(config, &mut line);
        witnesses(config, &mut line);
        contradicted(config, &mut line);
        disk(&config.node.state, &mut line);
        gate(config, &mut line);
        upstreams(config, &mut line);
    }
    let failed = lines.iter().any(|l| l.health == Health::Fail);
    if args.json {
        say!("{}", serde_json::to_string(&lines).unwrap_or_default());
    } else {
        for l in &lines {
            let (word, on) = match l.health {
                Health::Ok => ("ok  ", "\u{1b}[32m"),
                Health::Warn => ("warn", "\u{1b}[33m"),
                Health::Fail => ("FAIL", "\u{1b}[31m"),
            };
            let (on, off) = if colour() { (on, "\u{1b}[0m") } else { ("", "") };
            let fix = if l.fix.is_empty() { String::new() } else { format!(" -> {}", l.fix) };
            say!("{on}{word}{off} {:<12} {}{fix}", l.check, l.what);
        }
    }
    if failed { Err(Failure::no("")) } else { Ok(()) }
}

type Say<'l> = dyn FnMut(&'static str, Health, String, &str) + 'l;

fn keys(config: &Config, line: &mut Say<'_>) {
    if let Some(why) = [FIRST, MASTER].iter().find_map(|name| audit_log::missing(&config.node.state, name)) {
        return line("keys", Health::Fail, why, "a new key would not fit the log");
    }
    for file in ["node.key", "ca.key", "server.key", "audit.key", "audit-master.key", "admin.token"] {
        let path = config.node.state.join(file);
        match files::check_private(&path) {
            Ok(()) => {}
            Err(error) => {
                return line("keys", Health::Fail, error.to_string(), "`portcullis init` makes what is missing");
            }
        }
    }
    line("keys", Health::Ok, "all there, and private".to_owned(), "");
}

fn certificates(config: &Config, line: &mut Say<'_>) {
    let state = &config.node.state;
    let server = config.gate.certificate.clone().unwrap_or_else(|| state.join("server.crt"));
    for (name, path) in [("server", server), ("CA", state.join("ca.crt"))] {
        let peer = std::fs::read(&path)
            .ok()
            .and_then(|pem| CertificateDer::from_pem_slice(&pem).ok())
            .and_then(|der| PeerCert::parse(&der, true).ok());
        let Some(peer) = peer else {
            line(
                "certificate",
                Health::Fail,
                format!("`{}` holds no certificate", path.display()),
                "`portcullis init` makes it",
            );
            continue;
        };
        let left = (peer.not_after - now()) / 86_400;
        // A running gate renews its own at two thirds of its life, which leaves 30 days of 90.
        let fix = match (name, &config.gate.certificate) {
            ("server", None) => "`portcullis cert renew`; the gate's log says why it did not renew it itself",
            ("server", Some(_)) => {
                "renew the files that `gate.certificate` and `gate.key` name; a running gate picks them up"
            }
            _ => "move `ca.crt`, `ca.key` and the server's pair away and run `portcullis init`, at a quiet hour",
        };
        let (health, fix) = match left {
            ..=0 => (Health::Fail, fix),
            1..=25 => (Health::Warn, fix),
            _ => (Health::Ok, ""),
        };
        line("certificate", health, format!("the {name} certificate ends in {left} days"), fix);
    }
}

fn providers(config: &Config, line: &mut Say<'_>) {
    for provider in &config.filters.identity.issuers {
        let name = &provider.meant.issuer;
        match crate::keyring::keys_of(provider) {
            Ok(_) => line("provider", Health::Ok, format!("the keys of `{name}` can be had"), ""),
            Err(why) => line(
                "provider",
                Health::Fail,
                format!("the keys of `{name}` cannot be had: {why}"),
                "until then its tokens are judged by the last good keys for a day, then refused",
            ),
        }
    }
}

fn store(config: &Config, line: &mut Say<'_>) {
    let Some(settings) = config.filters.signature.store.redis() else { return journal(config, line) };
    let address = settings.address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let standing = runtime.map_err(|e| e.to_string()).and_then(|runtime| runtime.block_on(look(settings)));
    let standing = match standing {
        Ok(standing) => standing,
        Err(why) => {
            let fix = "start it, or mend filters.signature.store; until then what is signed is refused";
            return line("store", Health::Fail, format!("{address} cannot be used: {why}"), fix);
        }
    };
    let window = i64::try_from(config.filters.signature.filter.window.as_millis()).unwrap_or(i64::MAX);
    let ahead = standing.clock_ms.saturating_sub(jiff::Timestamp::now().as_millisecond());
    if let Err(why) = standing.fits() {
        line("store", Health::Fail, format!("{address}: {why}"), "until then the gate uses nothing of it");
    } else if ahead.saturating_abs().saturating_mul(2) > window {
        let what = format!("the clock of {address} is {ahead} ms ahead of this one, more than half a window");
        line("store", Health::Fail, what, "set the clocks; until then what is signed is refused");
    } else {
        let what = format!(
            "{address} answers (version {}, maxmemory-policy {}, clock {ahead:+} ms)",
            standing.version, standing.policy
        );
        line("store", Health::Ok, what, "");
    }
}

fn journal(config: &Config, line: &mut Say<'_>) {
    let dir = replay_dir(&config.node.state);
    // What is wrong with the key is told with the others.
    let Ok(node) = NodeKey::load(&config.node.state.join("node.key")) else { return };
    let standing = match store::look(&dir, &node.public().node_id()) {
        Ok(standing) => standing,
        Err(error) => {
            let fix = "mend it; a gate that cannot read it does not start";
            return line("store", Health::Fail, error.to_string(), fix);
        }
    };
    let window = i64::try_from(config.filters.signature.filter.window.as_millis()).unwrap_or(i64::MAX);
    let ahead = standing.above_ms.unwrap_or_default().saturating_sub(jiff::Timestamp::now().as_millisecond());
    if let Some(why) = standing.lost {
        let what = format!("the journal of used signatures cannot be relied on: {why}");
        line("store", Health::Warn, what, "nothing: what is signed is refused for one window once the gate starts");
    } else if ahead > window {
        let what = format!("the clock was {}s ahead: what is signed is refused until it is there again", ahead / 1_000);
        line("store", Health::Fail, what, "if the clock is right now: stop the gate, remove `state/replay`, start it");
    } else {
        line("store", Health::Ok, format!("used signatures are kept in {}", dir.display()), "");
    }
}

fn advisories(config: &Config, line: &mut Say<'_>) {
    let Some(look) = crate::packages::probe(config) else { return };
    if let Some(doubt) = look.doubt {
        line("advisories", Health::Warn, doubt, "the other source is asked instead");
    }
    let Some(why) = look.trouble else { return line("advisories", Health::Ok, look.what, "") };
    let until = match config.filters.sca.settings.unavailable {
        Handling::Block => "until then answers that name packages are refused",
        Handling::Flag | Handling::Off => "until then answers that name packages pass without being looked up",
    };
    let cure = match look.source {
        SourceWord::Api => "let the gate reach `filters.sca.api.url`, or use `source: local` and `portcullis osv sync`",
        _ if crate::packages::is_beyond_repair(config) => "remove that file, then `portcullis osv sync`",
        SourceWord::Both | SourceWord::Local => "`portcullis osv sync`, once a day",
    };
    line("advisories", Health::Fail, why, &format!("{cure}: {until}"));
}

fn log(config: &Config, line: &mut Say<'_>) {
    if !config.node.state.join("audit").exists() {
        return line("audit", Health::Ok, "no log yet; `portcullis run` begins one".to_owned(), "");
    }
    match end_of_log(&config.node.state) {
        Ok(end) => match end.doubt {
            None => {
                let signed = end.signed.map_or_else(String::new, |signed| format!(", {signed} of them signed"));
                let what = format!(
                    "the end of its {} entries holds{signed}; what lies before is read by `portcullis audit verify`",
                    end.size
                );
                line("audit", Health::Ok, what, "");
                if !end.last.is_empty() {
                    clock(&end.last, line);
                }
            }
            Some(doubt) => line(
                "audit",
                Health::Fail,
                doubt.to_string(),
                "`portcullis audit verify` tells more, and `portcullis audit repair` whether a power cut may have left it; keep a copy \
                 of the folder and find out who wrote to it",
            ),
        },
        Err(failure) => line("audit", Health::Fail, failure.message, "`portcullis audit verify` tells more"),
    }
}

/// What keeps the running gate from compressing or deleting segments that have ended.
fn retention(config: &Config, line: &mut Say<'_>) {
    let status = said(config);
    if let Some(why) = status.as_ref().and_then(|status| status.pointer("/audit/kept_back_because")?.as_str()) {
        line(
            "retention",
            Health::Fail,
            printable(why),
            "put back what was written, and it goes on by itself within a minute; otherwise the disk fills",
        );
    }
}

/// The end alone: a doctor is quick, however long the log.
fn end_of_log(state: &Path) -> Outcome<End> {
    let keys = AuditKey::load(state).map_err(|error| Failure::broken(format!("{error:#}")))?;
    Ok(check::end(&state.join("audit"), &keys.segments(), &audit::own_vkey(state)?)?)
}

/// Where the log is passed on to: as the running gate tells it, else as it is kept.
fn exports(config: &Config, line: &mut Say<'_>) {
    let sinks = &config.filters.audit.export;
    if sinks.is_empty() {
        return;
    }
    let status = said(config);
    let told = status.as_ref().and_then(|status| status.pointer("/audit/export")?.as_array());
    if let Some(told) = told {
        for sink in told {
            let failing = sink.get("failing").is_some_and(serde_json::Value::is_string);
            let (health, fix) = match failing {
                true => (Health::Fail, "it is tried again by itself; nothing that it has not got is deleted"),
                false => (Health::Ok, ""),
            };
            line("export", health, super::status::export(sink), fix);
        }
        return;
    }
    for sink in sinks {
        let (to, place) = sink.to.place();
        match crate::audit_log::export::next_of(&config.node.state, &sink.name) {
            Ok(next) => {
                line("export", Health::Ok, format!("{} to {to} {place}, passed on up to entry {next}", sink.name), "");
            }
            Err(why) => {
                let fix = "delete it: the log is then passed on from its oldest entry on";
                line("export", Health::Fail, format!("{}: {why}", sink.name), fix);
            }
        }
    }
}

/// Who countersigned the log last: what is remembered, and what the running gate says of it.
fn witnesses(config: &Config, line: &mut Say<'_>) {
    let written = &config.filters.audit.witnesses;
    let key = NodeKey::load(&config.node.state.join("node.key"));
    let Some(own) = key.ok().and_then(|key| checkpoints::verifier_key(&key.public()).ok()) else { return };
    let says = said(config);
    for witness in written {
        let gate = witness.gate.to_string();
        let of = |what: &str| {
            let all = says.as_ref().and_then(|says| says.pointer("/audit/witnesses")).and_then(Value::as_array)?;
            let this = all.iter().find(|said| said.get("witness").and_then(Value::as_str) == Some(&gate))?;
            this.get(what).and_then(Value::as_str).map(str::to_owned)
        };
        if let Some(what) = of("conflict") {
            let fix = "keep the audit folder as evidence; `docs/audit.md` tells what to do after an alarm";
            line("witness", Health::Fail, format!("`{gate}` saw another log: {what}"), fix);
            continue;
        }
        let trouble = of("trouble").map(|why| format!("; now: {}", printable(&why))).unwrap_or_default();
        let fix =
            "look whether it is up, whether its operator approved this gate, and whether the fingerprint is its key's";
        match Memory::look(&config.node.state.join("audit"), &witness.fingerprint).read(&own) {
            Ok(Some(seen)) => {
                let dir = config.node.state.join("audit");
                match round::compare(&dir, &own, &seen) {
                    Ok(()) => {}
                    Err(round::Failure::Conflict(what)) => {
                        let fix = "keep the audit folder as evidence; `docs/audit.md` tells what to do after an alarm";
                        line("witness", Health::Fail, format!("`{gate}` saw another log: {what}"), fix);
                        continue;
                    }
                    Err(round::Failure::Trouble(why)) => {
                        let what = format!("the log cannot be compared with what `{gate}` countersigned: {why}");
                        line("witness", Health::Fail, what, "look with `portcullis audit verify`");
                        continue;
                    }
                }
                let at = moment(seen.time).unwrap_or_default();
                let health = if trouble.is_empty() { Health::Ok } else { Health::Warn };
                let fix = if trouble.is_empty() { "" } else { fix };
                line("witness", health, format!("`{gate}` countersigned {} entries at {at}{trouble}", seen.size), fix);
            }
            Ok(None) => {
                line("witness", Health::Warn, format!("`{gate}` has countersigned nothing yet{trouble}"), fix);
            }
            Err(error) => line("witness", Health::Warn, error.to_string(), "a running gate asks the witness anew"),
        }
    }
}

/// The logs of other nodes that this gate saw contradicted, as their witness.
fn contradicted(config: &Config, line: &mut Say<'_>) {
    let fix = "`portcullis audit witnessed` shows it; ask whoever runs that gate; `docs/audit.md`, after an alarm";
    match evidence::of_state(&config.node.state) {
        Ok(logs) => {
            for log in logs {
                let name = printable(log.name());
                line("witnessed", Health::Fail, format!("the log `{name}` was cut off or changed"), fix);
            }
        }
        Err(error) => {
            let what = format!("cannot read what was countersigned: {error}");
            line("witnessed", Health::Fail, what, "let this user read `state/witness`");
        }
    }
    for log in said(config).iter().flat_map(super::status::unkept) {
        let what = format!("the log `{log}` was cut off or changed, and the evidence cannot be kept");
        line("witnessed", Health::Fail, what, "mend the disk under `state/witness` before this gate stops");
    }
}

/// What the running gate says of itself.
fn said(config: &Config) -> Option<Value> {
    let token = files::read_private(&config.node.state.join("admin.token")).ok()?;
    let admin = config.admin.listen.to_string();
    let answer = http::ask(&admin, "GET", "/api/v1/status", Some(token.trim()), Duration::from_secs(2))?;
    serde_json::from_str(&answer.body).ok()
}

fn clock(newest: &str, line: &mut Say<'_>) {
    let newest = newest.parse::<jiff::Timestamp>().map_or(0, |t| t.as_second());
    if newest > now() + 60 {
        line(
            "clock",
            Health::Fail,
            format!("the clock is {} s before the newest audit entry", newest - now()),
            "set the clock; certificates and signatures depend on it",
        );
    } else {
        line("clock", Health::Ok, "not before the newest audit entry".to_owned(), "");
    }
}

fn disk(state: &Path, line: &mut Say<'_>) {
    match rustix::fs::statvfs(state) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
            let (health, fix) =
                if free < 256 { (Health::Warn, "make room: a full disk closes the gate") } else { (Health::Ok, "") };
            line("disk", health, format!("{free} MiB free for the state directory"), fix);
        }
        Err(error) => line(
            "disk",
            Health::Fail,
            format!("`{}`: {error}", state.display()),
            "`portcullis init` makes the state directory",
        ),
    }
}

fn gate(config: &Config, line: &mut Say<'_>) {
    let admin = config.admin.listen.to_string();
    if let Some(answer) = http::ask(&admin, "GET", "/readyz", None, Duration::from_secs(2)) {
        return if answer.status == 200 {
            line("gate", Health::Ok, format!("runs, and is ready ({})", config.gate.listen), "");
        } else {
            line(
                "gate",
                Health::Warn,
                format!("runs, and is not ready: {}", answer.body),
                "`portcullis status` tells more",
            );
        };
    }
    match std::net::TcpListener::bind(config.gate.listen) {
        Ok(_) => line("gate", Health::Ok, format!("does not run; {} is free", config.gate.listen), ""),
        Err(error) => line(
            "gate",
            Health::Fail,
            format!("does not run, and {} cannot be bound: {error}", config.gate.listen),
            "stop what uses the port, or set gate.listen",
        ),
    }
}

fn upstreams(config: &Config, line: &mut Say<'_>) {
    for upstream in &config.upstreams {
        let name = &upstream.name;
        match http::ask(&upstream.addr_text, "GET", "/", None, Duration::from_secs(3)) {
            Some(_) => line("upstream", Health::Ok, format!("`{name}` answers at {}", upstream.url), ""),
            None => line(
                "upstream",
                Health::Fail,
                format!("`{name}` does not answer at {}", upstream.url),
                "start the model server, or set its url",
            ),
        }
        let open = crate::exposure::beyond_loopback(upstream.port, config.gate.listen.port());
        if open.is_empty() {
            line("exposure", Health::Ok, format!("`{name}` is not reachable past the gate"), "");
        } else {
            line(
                "exposure",
                Health::Fail,
                format!(
                    "port {} of `{name}` also listens on {}: anybody there reaches it past the gate",
                    upstream.port,
                    open.join(", ")
                ),
                "for Ollama set OLLAMA_HOST=127.0.0.1:PORT, for llama-server --host 127.0.0.1",
            );
        }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
