//! `portcullis check`: what the gate would do.

use portcullis_certs::NodeKey;
use portcullis_certs::trust::{Entry, State, TrustStore};
use portcullis_filters::Mode;
use portcullis_filters::sca::Handling;
use portcullis_firewall::Rules;
use portcullis_policies::policy::Known;
use portcullis_policies::{RouteClass, routes};
use serde_json::json;

use super::{Failure, JsonArgs, Outcome, say};
use crate::audit_log::{self, FIRST, MASTER};
use crate::config::{Config, SchemaConfig, SourceWord};
use crate::keyring::now;

pub(super) fn run(args: &JsonArgs) -> Outcome {
    let (config, firewall) = match load(args) {
        Ok(loaded) => loaded,
        Err(failure) if args.json => {
            say!("{}", json!({"ok": false, "error": failure.message}));
            return Err(Failure { code: failure.code, message: String::new() });
        }
        Err(failure) => return Err(failure),
    };
    let mut warnings = config.warnings.clone();
    warnings
        .extend(firewall.iter().flat_map(|rules| &rules.report().inactive).map(|rule| format!("not in force: {rule}")));
    warnings.extend(firewall.iter().flat_map(|rules| &rules.report().unknown_keys).map(ToString::to_string));
    let state = &config.node.state;
    if let Some(why) = [FIRST, MASTER].iter().find_map(|name| audit_log::missing(state, name)) {
        return Err(Failure::usage(why));
    }
    for file in ["node.key", "ca.crt", "server.crt", "server.key", "audit.key", "audit-master.key", "admin.token"] {
        if !state.join(file).exists() {
            warnings.push(format!("`{}` is missing; `portcullis init` makes it", state.join(file).display()));
        }
    }
    let advisories = crate::packages::look(&config);
    if let Some(why) = advisories.as_ref().and_then(|look| look.trouble.as_ref()) {
        let fate = match config.filters.sca.settings.unavailable {
            Handling::Block => "are refused",
            Handling::Flag | Handling::Off => "pass without being looked up",
        };
        warnings.push(format!("answers that name packages {fate}: {why}"));
    }
    if let Some(why) = advisories.as_ref().and_then(|look| look.doubt.as_ref()) {
        warnings.push(format!("OSV's API is asked of every package: {why}"));
    }
    warnings.extend(doubts(&config));
    let routed = |class: RouteClass| {
        if class == RouteClass::Witness {
            return Some("gate");
        }
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
                "firewall": firewall.as_ref().map(|rules| json!({
                    "active": rules.report().active,
                    "inactive": rules.report().inactive.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })),
                "schema": schema(&config).map(|s| json!({"repair": s.repair, "tools": {"model": s.settings.tools_model}})),
                "sca": advisories.as_ref().map(|look| {
                    let block_at = config.filters.sca.settings.block_at.as_str();
                    json!({"block_at": block_at, "source": look.source, "advisories": look.what})
                }),
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
    if let Some(rules) = &firewall {
        let from = config.filters.firewall.settings.rules.join(", ");
        say!("rules   {} of the firewall are in force ({from})", rules.report().active);
    }
    if let Some(schema) = schema(&config) {
        let tools = match &schema.settings.tools_model {
            Some(model) => format!("tools are served by `{model}`"),
            None => "no tools are served".to_owned(),
        };
        say!("schema  repair {}, {tools}", schema.repair);
    }
    if let Some(look) = &advisories {
        let sca = &config.filters.sca;
        let (block_at, source) = (sca.settings.block_at, word(look.source));
        say!("sca     block_at {block_at}, source {source}: {}", look.what);
    }
    for upstream in &config.upstreams {
        let known = routes::builtin(upstream.kind).iter().count();
        say!("server  {}: {} ({}, {known} known routes)", upstream.name, upstream.url, upstream.kind.as_str());
    }
    for class in RouteClass::ALL {
        let to = if class.is_own() { Some("answered by the gate itself") } else { routed(class) };
        say!("route   {:<10} -> {}", class.as_str(), to.unwrap_or("refused"));
    }
    for warning in &warnings {
        say!("warning {warning}");
    }
    Ok(())
}

/// What answers are held to, where that is in the chain.
fn schema(config: &Config) -> Option<&SchemaConfig> {
    let judged = config.chain.iter().any(|link| link.name == "schema" && link.mode != Mode::Off);
    judged.then_some(&config.filters.schema)
}

fn word(source: SourceWord) -> &'static str {
    match source {
        SourceWord::Api => "api",
        SourceWord::Both => "both",
        SourceWord::Local => "local",
    }
}

/// The config, and the firewall's rules where it is in the chain.
fn load(args: &JsonArgs) -> Outcome<(Config, Option<Rules>)> {
    let config = args.config.load()?;
    let judged = config.chain.iter().any(|link| link.name == "firewall" && link.mode != Mode::Off);
    let rules = if judged { Some(config.filters.firewall.compile()?) } else { None };
    // Where there is no key yet, or not for this user, nobody can say which gate this one is.
    if let Ok(node) = NodeKey::load(&config.node.state.join("node.key")) {
        crate::witnessed::others(&config, &node.public()).map_err(Failure::usage)?;
    }
    Ok((config, rules))
}

/// Rules that can never match or never matter, and those about callers whom nobody knows.
fn doubts(config: &Config) -> Vec<String> {
    let tables: Vec<_> = config
        .routes
        .iter()
        .filter_map(|way| config.upstreams.get(way.to).map(|upstream| (&way.class, routes::builtin(upstream.kind))))
        .collect();
    let mut reach: Vec<(RouteClass, &str)> = routes::own().iter().map(|route| (route.class, &*route.name)).collect();
    for (classes, table) in &tables {
        for route in table.iter().filter(|route| classes.is_empty() || classes.contains(&route.class)) {
            reach.push((route.class, &route.name));
            // A model that leaves the machine asks for this besides, and so does media from elsewhere.
            if route.class == RouteClass::Inference {
                reach.push((RouteClass::Egress, &route.name));
            }
        }
    }
    let mut doubts = config.policy.warnings(&reach, now());
    let mut unruled = Vec::new();
    // Without a readable trust store nothing is said about who is known.
    if let Ok(store) = TrustStore::open(&config.node.state) {
        let peers = store.list();
        let identities: Vec<_> = peers.iter().map(|peer| peer.id.clone()).collect();
        let names: Vec<_> = peers.iter().filter_map(|peer| peer.name.as_deref().map(str::to_owned)).collect();
        doubts.extend(config.policy.unknown_callers(&Known { identities: &identities, names: &names }));
        unruled = unruled_profiles(config, &peers);
    }
    doubts.iter().map(ToString::to_string).chain(unruled).collect()
}

/// Profiles of trusted peers that no rule gives anything, so that their holders may do nothing.
fn unruled_profiles(config: &Config, peers: &[Entry]) -> Vec<String> {
    let approved = peers.iter().filter(|peer| peer.state == State::Approved);
    let mut unruled: Vec<_> = approved.filter_map(|peer| peer.profile.as_deref()).collect();
    unruled.sort_unstable();
    unruled.dedup();
    unruled.retain(|profile| !config.policy.knows_profile(profile));
    let source = &config.policy_source;
    unruled
        .iter()
        .map(|profile| {
            format!(
                "{source}: no rule allows anything to `profile:{profile}`, which some peers have (write a rule with \
                 `who: ['profile:{profile}']`)"
            )
        })
        .collect()
}
