//! `portcullis config`: the schema, and the config as it is understood.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{JsonArgs, Outcome, say};
use crate::config::{BUILT_IN, Config, HIDDEN, Slots, Upstream, span, written};

/// Commands of `config`.
#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// The JSON Schema of the config file, for editors.
    #[command(after_help = "Example:\n  portcullis config schema > portcullis.schema.json")]
    Schema,
    /// The config with every default filled in, so that it can be read back. Secrets are not shown.
    #[command(after_help = "Example:\n  portcullis config show --json")]
    Show(JsonArgs),
}

pub(super) fn run(command: &ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Schema => {
            let schema = schemars::schema_for!(written::Config);
            say!("{}", serde_json::to_string_pretty(&schema).unwrap_or_default());
        }
        ConfigCommand::Show(args) => {
            let shown = shown(&args.config.load()?);
            say!(
                "{}",
                if args.json { shown.to_string() } else { serde_json::to_string_pretty(&shown).unwrap_or_default() }
            );
        }
    }
    Ok(())
}

/// The config as it could be written, with every default filled in and every path from the root on. What it says nothing
/// of has no key.
fn shown(config: &Config) -> Value {
    let l = &config.gate.limits;
    let mut shown = json!({
        "node": {"name": config.node.name, "state": config.node.state},
        "gate": {
            "listen": config.gate.listen.to_string(), "tls": config.gate.tls.as_str(),
            "drain": span(config.gate.drain), "threads": config.gate.threads,
            "filter_timeout": span(config.gate.filter_timeout), "server_names": config.gate.server_names,
            "client_ca": config.gate.client_ca, "certificate": config.gate.certificate, "key": config.gate.key,
            "certificate_lifetime": span(config.gate.certificate_lifetime),
            "limits": {
                "connections": l.connections, "header_bytes": l.header_bytes, "body_bytes": l.body_bytes,
                "answer_bytes": l.answer_bytes, "held_bytes": l.held_bytes, "buffered_bytes": l.buffered_bytes,
                "header_timeout": span(l.header_timeout), "body_timeout": span(l.body_timeout),
                "idle_timeout": span(l.idle_timeout), "h2_streams": l.h2_streams,
            },
        },
        "admin": {"listen": config.admin.listen.to_string()},
        "upstreams": config.upstreams.iter().map(|u| (u.name.clone(), upstream(u))).collect::<Map<_, _>>(),
        "routes": config.routes.iter().map(|r| json!({
            "match": {"class": r.class}, "to": [config.upstreams.get(r.to).map(|u| &u.name)],
        })).collect::<Vec<_>>(),
        "chain": config.chain.iter().map(|l| l.name).collect::<Vec<_>>(),
        "filters": filters(config),
        "watch": config.watch,
    });
    prune(&mut shown);
    shown
}

fn upstream(u: &Upstream) -> Value {
    let slots = match u.queue.slots {
        Slots::Count(count) => json!(count),
        Slots::Auto | Slots::Unlimited => json!(u.queue.slots.to_string()),
    };
    json!({
        "url": u.url, "kind": u.kind.as_str(), "connect_timeout": span(u.connect_timeout),
        "first_byte_timeout": span(u.first_byte_timeout), "idle_timeout": span(u.idle_timeout),
        "api_key": u.api_key.as_ref().map(|_| HIDDEN),
        "slots": slots,
        "queue": {"length": u.queue.length, "per_caller": u.queue.per_caller, "wait": span(u.queue.wait)},
    })
}

fn filters(config: &Config) -> Value {
    let f = &config.filters;
    let policy = Some(&config.policy_source).filter(|source| *source != BUILT_IN);
    let mut filters = json!({
        "identity": f.identity.to_json(),
        "signature": f.signature.to_json(),
        "ratelimit": f.ratelimit.to_json(),
        "policy": {"file": policy, "grants": f.grants},
        "firewall": f.firewall.to_json(),
        "schema": f.schema.to_json(),
        "sca": f.sca.to_json(),
        "audit": f.audit.shown(),
    });
    for (name, said) in filters.as_object_mut().into_iter().flatten() {
        match (config.chain.iter().find(|link| link.name == name), said.as_object_mut()) {
            (Some(link), Some(said)) => drop(said.insert("mode".to_owned(), json!(link.mode))),
            // These judge nothing then, and to write them would say otherwise.
            (None, _) if ["firewall", "schema", "sca"].contains(&name.as_str()) => *said = Value::Null,
            _ => {}
        }
    }
    filters
}

/// Leaves out the keys that have no value: written so, they would be refused.
fn prune(shown: &mut Value) {
    match shown {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::load;

    fn parse(folder: &Path, text: &str) -> Config {
        let file = folder.join("p.yaml");
        std::fs::write(&file, text).unwrap();
        load(&file).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn what_is_shown_can_be_read_back_and_means_the_same() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |name: &str, text: &str| std::fs::write(here.path().join(name), text).unwrap();
        write("answer.json", r#"{"required": ["response"]}"#);
        write("policy.yaml", "version: 1\nrules:\n  - {name: all, effect: allow, who: ['*'], classes: [read]}\n");
        write("own.toml", "[[rules]]\nid = \"own\"\nregex = 'own-[0-9]{8}'\nkeywords = [\"own-\"]\n");
        std::fs::create_dir(here.path().join("names")).unwrap();
        write("names/PyPI.txt", "requests\n");
        let usual = "upstreams:\n  local: {url: 'http://127.0.0.1:11434', kind: ollama}\n";
        let more = "\
gate: {listen: '127.0.0.1:8443', tls: server, drain: 1500ms, certificate_lifetime: 20d, limits: {body_bytes: 1MiB}}
upstreams:
  a: {url: 'http://127.0.0.1:11434', kind: ollama, slots: 4, queue: {length: 9, wait: 3s}}
  b: {url: 'http://127.0.0.1:11435', kind: openai, slots: off}
routes:
  - {match: {class: [inference, read]}, to: [a]}
  - {to: [b]}
filters:
  identity:
    accept: [signature, jwt, api_key]
    jwt: [{issuer: 'https://id.example', audience: [gate], leeway: 5s, claims: [groups], refresh: 2h}]
  signature: {mode: enforce, window: 1500ms, schemes: [rfc9421], audience: required}
  ratelimit: {requests: 600/m, concurrent: 3, per_model: {tokens: 5/s}, strangers: off, answer_tokens: 9}
  policy: {file: policy.yaml}
  firewall: {mode: shadow, block_at: L2, rules: [builtin, own.toml], disable: [jwt], actions: {own: redact}, \
             pii: redact, injection: {threshold: 60, action: block}, structural: off}
  schema: {repair: 2, requested: false, routes: {ollama.generate: {answer: answer.json}}, tools: {model: tiny}}
  sca: {mode: shadow, block_at: low, source: both, max_age: 3d, database: osv.redb, index: names, unpinned: strict, \
        unknown: block, api: {url: 'https://osv.example', timeout: 700ms, keep: 2h}}
  audit: {fsync: always, segment_bytes: 1MiB}
watch: true
";
        let bare = format!("gate: {{listen: '127.0.0.1:8443'}}\nchain: [identity, policy, audit]\n{usual}");
        for text in [usual, more, &bare] {
            let config = parse(here.path(), text);
            let first = shown(&config);
            let read = parse(there.path(), &serde_json::to_string_pretty(&first).unwrap());
            assert_eq!(shown(&read), first, "{text}");
            let means = |config: &Config| format!("{:?} {:?}", config.chain, config.filters.sca);
            assert_eq!(means(&read), means(&config));
            assert_eq!(read.warnings, config.warnings);
        }
    }

    #[test]
    fn a_hidden_secret_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let text = "upstreams:\n  a: {url: 'http://127.0.0.1:1', kind: ollama, api_key: hunter22}\n";
        let first = shown(&parse(folder.path(), text)).to_string();
        assert!(!first.contains("hunter22"), "{first}");
        let file = folder.path().join("shown.yaml");
        std::fs::write(&file, first).unwrap();
        let said = load(&file).err().unwrap().to_string();
        assert!(said.contains("config show") && said.contains("write `${ENV_NAME}`"), "{said}");
    }
}
