//! `portcullis explain`: which filter and rule decided a request. The running gate remembers its newest
//! decisions; what it forgot is read from the audit log and held against the policy once more.

use std::time::Duration;

use clap::Args;
use portcullis_certs::files;
use portcullis_certs::issuance::{Issuance, Issuances};
use portcullis_certs::revocation::Revocations;
use portcullis_certs::trust::TrustStore;
use portcullis_filters::policy::GrantView as _;
use portcullis_policies::routes::{self, Found};
use serde_json::Value;

use super::printable::printable;
use super::{Failure, JsonArgs, Outcome, audit, http, say};
use crate::config::{Config, Running};
use crate::decisions::Decision;
use crate::explain::{self, Explained, FoundRule, Sources};
use crate::grants::GrantBook;
use crate::record::CLIENT_LEFT;

mod advisories;

/// Arguments of `explain`.
#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// The request's id, as the answer's `Portcullis-Request-Id` and every refusal carry it.
    request: String,
    #[command(flatten)]
    args: JsonArgs,
}

pub(super) fn run(args: &ExplainArgs) -> Outcome {
    let id = args.request.as_str();
    if id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Failure::usage("a request id is 26 letters and digits, as `Portcullis-Request-Id` carries it"));
    }
    let (running, config) = args.args.config.running()?;
    let explained = match of_gate(&running, id) {
        Some(explained) => explained,
        // What a request was refused for is told by the policy, which is part of the config.
        None => of_log(&config.map_err(|_| forgotten(id))?, id)?,
    };
    let explained = located(certified(explained, &running), &running);
    if args.args.json {
        say!("{}", serde_json::to_string(&explained).unwrap_or_default());
    } else {
        show(&explained);
    }
    Ok(())
}

/// Nobody remembers the request, and the config that would explain what the log says does not hold.
fn forgotten(id: &str) -> Failure {
    Failure::usage(format!(
        "no running gate remembers the request `{id}`, and to explain what the audit log says of it takes a config that \
         holds: mend it, or see what `portcullis audit show` prints"
    ))
}

/// What the running gate says; `None` when none runs, or when it forgot.
pub(super) fn of_gate(gate: &Running, id: &str) -> Option<Explained> {
    let token = files::read_private(&gate.state.join("admin.token")).ok()?;
    let path = format!("/api/v1/decisions/{id}");
    let answer = http::ask(&gate.admin.to_string(), "GET", &path, Some(token.trim()), Duration::from_secs(5))?;
    if answer.status == 200 { serde_json::from_str(&answer.body).ok() } else { None }
}

/// The same with the place in the config, for what the policy says nothing about.
pub(super) fn located(mut explained: Explained, gate: &Running) -> Explained {
    if explained.line.is_some() || explained.decision != "BLOCK" {
        return explained;
    }
    let text = std::fs::read_to_string(&gate.file).unwrap_or_default();
    let section = match explained.filter.as_str() {
        "request" => "gate:",
        "upstream" => "upstreams:",
        "policy" => "routes:",
        _ => "filters:",
    };
    let line_of = |wanted: &str| text.lines().position(|line| line.trim_start().starts_with(wanted));
    let found = line_of(&format!("{}:", explained.filter)).or_else(|| line_of(section)).or_else(|| line_of("chain:"));
    if let Some(line) = found {
        explained.file = Some(gate.file.display().to_string());
        explained.line = u64::try_from(line + 1).ok();
    }
    explained
}

/// The same with the certificate that this node's authority took back, where it was that: its key is
/// refused as well, but to approve the key again would not bring its holder in.
fn certified(mut explained: Explained, gate: &Running) -> Explained {
    if explained.code != "identity.revoked" {
        return explained;
    }
    let state = &gate.state;
    let (Ok(issued), Ok(revoked)) = (Issuances::open(state), Revocations::open(state)) else { return explained };
    let revoked = revoked.list();
    let taken_back = |one: &Issuance| revoked.iter().any(|listed| listed.serial == one.serial);
    let newest = issued.list().into_iter().rfind(|one| one.identity == explained.node_id && taken_back(one));
    if let Some(Issuance { serial, name, .. }) = newest {
        let command = explain::issue_command(&name, &explained.node_id);
        explained.rule = format!("revoked certificates: {serial} of `{name}`");
        explained.needed = format!("a new certificate, if `{name}` is trusted again: {command}");
    }
    explained
}

fn of_log(config: &Config, id: &str) -> Outcome<Explained> {
    let entry = audit::entry_of(&config.node.state, id)?.ok_or_else(|| {
        Failure::no(format!("no request `{id}` stands in the audit log; `portcullis audit show` prints what does"))
    })?;
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let store = TrustStore::open(&config.node.state).map_err(|e| Failure::broken(e.to_string()))?;
    let peer = store.find(text("node_id")).ok();
    let grants = GrantBook::for_command(config).map_err(|e| Failure::broken(e.to_string()))?;
    let timestamp = text("timestamp");
    let decision = Decision {
        request_id: id.to_owned(),
        timestamp: timestamp.parse().unwrap_or_default(),
        policy_decision: if text("policy_decision") == "BLOCK" { "BLOCK" } else { "ALLOW" },
        filter: known(text("filter"), &FILTERS),
        code: known(text("code"), &codes()),
        shadow: entry.get("shadow").and_then(Value::as_bool).unwrap_or_default(),
        repairs: entry.get("repairs").and_then(Value::as_u64).unwrap_or_default(),
        route: route(config, &entry),
        route_class: portcullis_policies::RouteClass::ALL
            .into_iter()
            .map(portcullis_policies::RouteClass::as_str)
            .find(|class| *class == text("route_class"))
            .unwrap_or_default(),
        node_id: text("node_id").to_owned(),
        identity_method: portcullis_policies::IdentityMethod::ALL
            .into_iter()
            .map(portcullis_policies::IdentityMethod::as_str)
            .find(|method| *method == text("identity_method"))
            .unwrap_or_default(),
        method: text("method").to_owned(),
        path: text("path").to_owned(),
        model: text("model").to_owned(),
        caller: explain::caller_of(text("node_id"), text("identity_method"), peer.as_ref()),
        ..Decision::default()
    };
    let grants = grants.grants();
    let sources = Sources { policy: &config.policy, grants: &grants, peer: peer.as_ref() };
    let mut explained = explain::explain(&decision, &sources);
    explained.findings =
        advisories::named(config, text("advisory_ids"), decision.policy_decision == "ALLOW" && !decision.shadow);
    if explained.remark.is_none() {
        let remark = "from the audit log, and the policy, the grants and the trust store as they are now";
        explained.remark = Some(remark.to_owned());
    }
    Ok(explained)
}

/// The filters and parts of the gate that refuse.
const FILTERS: [&str; 10] =
    ["audit", "firewall", "identity", "policy", "ratelimit", "request", "sca", "schema", "signature", "upstream"];

fn codes() -> Vec<&'static str> {
    portcullis_filters::Code::ALL.iter().map(|code| code.as_str()).chain([CLIENT_LEFT]).collect()
}

fn known(word: &str, all: &[&'static str]) -> &'static str {
    all.iter().find(|known| **known == word).copied().unwrap_or_default()
}

fn route(config: &Config, entry: &Value) -> Option<std::sync::Arc<str>> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let upstream = config.upstreams.iter().find(|upstream| upstream.name == text("upstream"))?;
    match routes::builtin(upstream.kind).find(text("method"), text("path")) {
        Found::Route(route) => Some(std::sync::Arc::clone(&route.name)),
        Found::Unknown | Found::WrongMethod => None,
    }
}

fn show(explained: &Explained) {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let code = if explained.code.is_empty() { String::new() } else { format!(" ({})", explained.code) };
    say!("{} {}{code}", explained.decision, explained.request_id);
    say!("  when     {}", explained.timestamp);
    match &explained.name {
        Some(name) => say!("  who      {} ({})", printable(name), or_dash(&explained.node_id)),
        None => say!("  who      {}", or_dash(&explained.node_id)),
    }
    say!("  what     {} {}  model {}", explained.method, explained.path, or_dash(&explained.model));
    say!("  filter   {}", or_dash(&explained.filter));
    let place = match (&explained.file, explained.line) {
        (Some(file), Some(line)) => format!(", {file}:{line}"),
        _ => String::new(),
    };
    say!("  rule     {}{place}", or_dash(&explained.rule));
    say!("  reason   {}", or_dash(&explained.reason));
    if !explained.needed.is_empty() {
        say!("  needed   {}", explained.needed);
    }
    if explained.repairs > 0 {
        say!("  repairs  {}", explained.repairs);
    }
    for found in &explained.findings {
        let FoundRule { rule, code, level, action, fingerprint, about } = found;
        match about {
            Some(about) if action.is_empty() => say!("  found    {rule} ({code}): {}", printable(about)),
            Some(about) => say!("  found    {rule} ({code}): {action}; {}", printable(about)),
            None => say!("  found    {rule} ({code}, {level}): {action}, fingerprint {}", or_dash(fingerprint)),
        }
    }
    for near in &explained.near {
        say!("  nearest  `{}`, line {}: all but {}", near.rule, near.line, near.misses.join(" and "));
    }
    if let Some(remark) = &explained.remark {
        say!("  note     {remark}");
    }
}
