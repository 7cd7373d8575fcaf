//! `portcullis config`: the schema, and the config as it is understood.

use clap::Subcommand;
use serde_json::json;

use super::{JsonArgs, Outcome, say};
use crate::config::written;

/// Commands of `config`.
#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// The JSON Schema of the config file, for editors.
    #[command(after_help = "Example:\n  portcullis config schema > portcullis.schema.json")]
    Schema,
    /// The config with every default filled in. Secrets are not shown.
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
            let config = args.config.load()?;
            let l = &config.gate.limits;
            let shown = json!({
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
                "upstreams": config.upstreams.iter().map(|u| (u.name.clone(), json!({
                    "url": u.url, "kind": u.kind.as_str(), "connect_timeout": span(u.connect_timeout),
                    "first_byte_timeout": span(u.first_byte_timeout), "idle_timeout": span(u.idle_timeout),
                    "api_key": u.api_key.as_ref().map(|_| "***"),
                    "slots": u.queue.slots.to_string(),
                    "queue": {
                        "length": u.queue.length, "per_caller": u.queue.per_caller, "wait": span(u.queue.wait),
                    },
                }))).collect::<serde_json::Map<_, _>>(),
                "routes": config.routes.iter().map(|r| json!({
                    "match": {"class": r.class}, "to": [config.upstreams.get(r.to).map(|u| &u.name)],
                })).collect::<Vec<_>>(),
                "chain": config.chain.iter().map(|l| l.name).collect::<Vec<_>>(),
                "filters": {
                    "identity": config.filters.identity.to_json(),
                    "signature": config.filters.signature.to_json(),
                    "ratelimit": config.filters.ratelimit.to_json(),
                    "policy": {"file": config.policy_source, "grants": config.filters.grants},
                    "firewall": config.filters.firewall.settings,
                    "schema": {
                        "requested": config.filters.schema.settings.requested,
                        "repair": config.filters.schema.repair,
                        "routes": config.filters.schema.settings.routes.iter().map(|r| &*r.route).collect::<Vec<_>>(),
                        "tools": {"model": config.filters.schema.settings.tools_model},
                    },
                    "sca": config.filters.sca.to_json(),
                    "audit": {"fsync": config.filters.audit.fsync, "segment_bytes": config.filters.audit.segment_bytes},
                },
                "watch": config.watch,
            });
            say!(
                "{}",
                if args.json { shown.to_string() } else { serde_json::to_string_pretty(&shown).unwrap_or_default() }
            );
        }
    }
    Ok(())
}

fn span(duration: std::time::Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}
