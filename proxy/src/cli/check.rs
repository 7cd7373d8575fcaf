//! `portcullis check`: what the gate would do.

use portcullis_filters::Mode;
use portcullis_policies::{RouteClass, routes};
use serde_json::json;

use super::{Failure, JsonArgs, Outcome, say};

pub(super) fn run(args: &JsonArgs) -> Outcome {
    let config = match args.config.load() {
        Ok(config) => config,
        Err(failure) if args.json => {
            say!("{}", json!({"ok": false, "error": failure.message}));
            return Err(Failure { code: failure.code, message: String::new() });
        }
        Err(failure) => return Err(failure),
    };
    let mut warnings = config.warnings.clone();
    let state = &config.node.state;
    for file in ["node.key", "ca.crt", "server.crt", "server.key", "audit.key", "admin.token"] {
        if !state.join(file).exists() {
            warnings.push(format!("`{}` is missing; `portcullis init` makes it", state.join(file).display()));
        }
    }
    let routed = |class: RouteClass| {
        let rule = config.routes.iter().find(|r| r.class.is_empty() || r.class.contains(&class));
        rule.and_then(|r| config.upstreams.get(r.to)).map(|u| u.name.as_str())
    };
    if args.json {
        let chain: Vec<_> = config.chain.iter().map(|l| json!({"filter": l.name, "mode": l.mode})).collect();
        let routes: serde_json::Map<_, _> =
            RouteClass::ALL.iter().map(|c| (c.as_str().to_owned(), json!(routed(*c)))).collect();
        let rules: Vec<_> = config.policy.rule_names().collect();
        say!(
            "{}",
            json!({
                "ok": true, "config": config.file, "node": config.node.name, "listen": config.gate.listen.to_string(),
                "tls": config.gate.tls.as_str(), "chain": chain, "routes": routes, "policy": {"source": config.policy_source, "rules": rules},
                "warnings": warnings,
            })
        );
        return Ok(());
    }
    say!("{} is fine.", config.file.display());
    say!();
    say!("gate    {} ({} TLS), admin {}", config.gate.listen, config.gate.tls.as_str(), config.admin.listen);
    say!("state   {}", state.display());
    let chain: Vec<_> = config
        .chain
        .iter()
        .map(|link| match link.mode {
            Mode::Enforce => link.name.to_owned(),
            Mode::Shadow => format!("{} (shadow)", link.name),
            Mode::Off => format!("{} (off)", link.name),
        })
        .collect();
    say!("chain   {}", chain.join(" -> "));
    say!("policy  {}: {}", config.policy_source, config.policy.rule_names().collect::<Vec<_>>().join(", "));
    for upstream in &config.upstreams {
        let known = routes::builtin(upstream.kind).iter().count();
        say!("server  {}: {} ({}, {known} known routes)", upstream.name, upstream.url, upstream.kind.as_str());
    }
    for class in RouteClass::ALL {
        let to = if class == RouteClass::Public { Some("answered by the gate itself") } else { routed(class) };
        say!("route   {:<10} -> {}", class.as_str(), to.unwrap_or("refused"));
    }
    for warning in &warnings {
        say!("warning {warning}");
    }
    Ok(())
}
