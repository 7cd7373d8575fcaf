//! `portcullis grants delegate`: passes a part of a node's rights on to another node, without asking
//! the gate. The gate checks the chain of signatures when the grant is used.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use portcullis_certs::{NodeKey, delegation};
use portcullis_policies::Scope;
use serde_json::json;

use super::scope::{ScopeArgs, duration, ends_after, shown};
use super::{Failure, JsonArgs, Outcome, say};
use crate::keyring::now;

/// Arguments of `grants delegate`.
#[derive(Args)]
pub(crate) struct DelegateArgs {
    /// Who may use it, and nobody else: a node's id.
    #[arg(long, value_name = "PEER")]
    to: String,
    /// For how long.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    ttl: Duration,
    /// A file with a grant that this node was given, to pass a part of it on.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The key of the node whose right it is. Default: this gate's own; that of a door is
    /// `node.key` in its folder.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    args: JsonArgs,
}

pub(super) fn run(args: &DelegateArgs) -> Outcome {
    let path = match &args.key {
        Some(path) => path.clone(),
        None => args.args.config.load()?.node.state.join("node.key"),
    };
    let key = NodeKey::load(&path).map_err(|e| Failure::usage(e.to_string()))?;
    let parent = args
        .from
        .as_ref()
        .map(|file| std::fs::read_to_string(file).map_err(|e| Failure::usage(format!("`{}`: {e}", file.display()))))
        .transpose()?;
    let until = ends_after(args.ttl, now());
    let scope = Scope { until: Some(until), ..args.scope.scope() };
    let grant = delegation::issue(&key, parent.as_deref(), &args.to, scope, now())
        .map_err(|e| Failure::usage(e.to_string()))?;
    if args.args.json {
        say!("{}", json!({"grant": grant, "by": key.public().node_id(), "to": args.to, "until": shown(until)}));
    } else {
        // The grant alone on standard output, so that it can go into a file.
        say!("{grant}");
        use std::io::Write as _;
        let _ = writeln!(
            std::io::stderr(),
            "Good until {} for {} alone, as `Portcullis-Grant: …`, or by `portcullis connect … --grant FILE`.",
            shown(until),
            args.to
        );
    }
    Ok(())
}
