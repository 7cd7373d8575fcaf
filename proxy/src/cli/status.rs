//! `portcullis status`: what the running gate does now.

use std::time::Duration;

use clap::Args;
use portcullis_certs::files;
use serde_json::Value;

use super::printable::printable;
use super::{Failure, JsonArgs, Outcome, http, say};
use crate::witness::shelf::evidence;

/// Arguments of `status`.
#[derive(Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    args: JsonArgs,
    /// Again every second, until it is interrupted.
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(args: &StatusArgs) -> Outcome {
    let (running, _) = args.args.config.running()?;
    let admin = running.admin.to_string();
    let token = files::read_private(&running.state.join("admin.token")).map_err(|e| Failure::broken(e.to_string()))?;
    loop {
        let answer = http::ask(&admin, "GET", "/api/v1/status", Some(token.trim()), Duration::from_secs(5))
            .ok_or_else(|| Failure::broken(format!("no gate answers on {admin}; `portcullis run` starts it")))?;
        if answer.status != 200 {
            return Err(Failure::broken(format!(
                "{admin} answered {}: is another program using this port?",
                answer.status
            )));
        }
        let status: Value = serde_json::from_str(&answer.body)
            .map_err(|_| Failure::broken(format!("what answers on {admin} is not a gate")))?;
        if args.args.json {
            say!("{status}");
        } else {
            show(&status);
            // As the disk says it: it outlasts the gate that saw it.
            for log in evidence::of_state(&running.state).unwrap_or_default() {
                say!(
                    "witnessed THE LOG `{}` WAS CUT OFF OR CHANGED: `portcullis audit witnessed`",
                    printable(log.name())
                );
            }
        }
        if !args.watch {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn show(status: &Value) {
    let text = |at: &str| {
        status.pointer(at).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).unwrap_or_default()
    };
    say!(
        "{} {} on {}, up {} s, config generation {}",
        text("/node"),
        text("/version"),
        text("/gate/listen"),
        text("/uptime_s"),
        text("/generation")
    );
    say!("ready     {}", text("/ready"));
    for reason in status.pointer("/reasons").and_then(Value::as_array).into_iter().flatten() {
        say!("          {}", reason.as_str().unwrap_or_default());
    }
    for upstream in status.pointer("/upstreams").and_then(Value::as_array).into_iter().flatten() {
        let up = upstream.get("up").and_then(Value::as_bool).unwrap_or(false);
        let number = |key: &str| upstream.get(key).and_then(Value::as_u64);
        let slots = number("slots").map(|slots| format!(" of {slots}")).unwrap_or_default();
        say!(
            "upstream  {} {}, {}{slots} slots busy, {} waiting",
            upstream.get("name").and_then(Value::as_str).unwrap_or_default(),
            if up { "up" } else { "down" },
            number("busy").unwrap_or_default(),
            number("waiting").unwrap_or_default()
        );
    }
    if let Some(advisories) = status.get("advisories").filter(|advisories| advisories.is_object()) {
        say!("packages  {}", packages(advisories));
    }
    say!("requests  {} running, {} streams", text("/requests_in_flight"), text("/streams_active"));
    say!(
        "peers     {} approved, {} pending, {} revoked",
        text("/peers/approved"),
        text("/peers/pending"),
        text("/peers/revoked")
    );
    say!("audit     {} entries, {} failures", text("/audit/entries"), text("/audit/failures"));
    if let Some(why) = status.pointer("/audit/unsigned_because").and_then(Value::as_str) {
        say!("          NOT SIGNED since {} entries: {}", text("/audit/signed"), printable(why));
    }
    if let Some(why) = status.pointer("/audit/kept_back_because").and_then(Value::as_str) {
        say!("retention STOPS: {}", printable(why));
    }
    for sink in status.pointer("/audit/export").and_then(Value::as_array).into_iter().flatten() {
        say!("export    {}", export(sink));
    }
    for witness in status.pointer("/audit/witnesses").and_then(Value::as_array).into_iter().flatten() {
        say!("witness   {}", witness_of(witness));
    }
    for log in unkept(status) {
        say!("witnessed EVIDENCE AGAINST THE LOG `{log}` CANNOT BE KEPT: mend the disk before this gate stops");
    }
}

/// A sink of the audit log: what it is, how far it is, and what is in the way.
pub(super) fn export(sink: &Value) -> String {
    let text = |key: &str| sink.get(key).and_then(Value::as_str).unwrap_or_default();
    let behind = sink.get("behind").and_then(Value::as_u64).unwrap_or_default();
    let why = sink.get("failing").and_then(Value::as_str).map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} to {} {}, {behind} entries behind{why}", text("name"), text("to"), text("place"))
}

/// The logs that contradicted what this gate countersigned, of which the disk did not take the evidence.
pub(super) fn unkept(status: &Value) -> impl Iterator<Item = String> {
    let logs = status.pointer("/audit/unkept_evidence").and_then(Value::as_array);
    logs.into_iter().flatten().filter_map(Value::as_str).map(|log| printable(log).to_string())
}

/// What a witness countersigned last, and what is in the way of more.
fn witness_of(witness: &Value) -> String {
    let text = |key: &str| witness.get(key).and_then(Value::as_str);
    let who = text("witness").unwrap_or_default();
    let known = match (witness.get("entries").and_then(Value::as_u64), text("at")) {
        (Some(entries), Some(at)) => Some(format!("countersigned {entries} entries at {at}")),
        _ => None,
    };
    if let Some(what) = text("conflict") {
        // It says itself what it countersigned; nothing may be remembered of that here.
        let known = known.map(|known| format!("; as is remembered here, it {known}")).unwrap_or_default();
        return format!("{who} SAW ANOTHER LOG: {what}{known}");
    }
    let cosigned = known.unwrap_or_else(|| "has countersigned nothing yet".to_owned());
    match text("trouble") {
        Some(why) => format!("{who} {cosigned}; now: {}", printable(why)),
        None => format!("{who} {cosigned}"),
    }
}

/// Where advisories come from, what there is of them, and what is in the way.
fn packages(advisories: &Value) -> String {
    let text = |key: &str| advisories.get(key).and_then(Value::as_str);
    let source = format!("source {}", text("source").unwrap_or_default());
    match (text("trouble"), text("doubt")) {
        (Some(why), _) => format!("{source}: nothing can be looked up: {why}"),
        (None, Some(why)) => format!("{source}: {} alone: {why}", text("what").unwrap_or_default()),
        (None, None) => format!("{source}: {}", text("what").unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_alarm_does_not_say_that_nothing_was_countersigned() {
        let mut witness = json!({"witness": "b:8443", "conflict": "it countersigned this log at 283 entries"});
        assert_eq!(witness_of(&witness), "b:8443 SAW ANOTHER LOG: it countersigned this log at 283 entries");
        witness["entries"] = 12.into();
        witness["at"] = "2026-11-21T08:00:00Z".into();
        assert!(
            witness_of(&witness)
                .ends_with("as is remembered here, it countersigned 12 entries at 2026-11-21T08:00:00Z")
        );
        witness["conflict"] = Value::Null;
        assert_eq!(witness_of(&witness), "b:8443 countersigned 12 entries at 2026-11-21T08:00:00Z");
        assert_eq!(witness_of(&json!({"witness": "b:8443"})), "b:8443 has countersigned nothing yet");
    }
}
