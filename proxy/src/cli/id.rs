//! `portcullis id`: who this node is.

use clap::{Args, Subcommand};
use portcullis_certs::NodeKey;
use serde_json::json;

use super::{Failure, JsonArgs, Outcome, say};

/// Arguments of `id`.
#[derive(Args)]
pub(crate) struct IdArgs {
    #[command(subcommand)]
    what: Option<IdCommand>,
    #[command(flatten)]
    args: JsonArgs,
}

#[derive(Subcommand)]
enum IdCommand {
    /// Shows it.
    #[command(after_help = "Example:\n  portcullis id show --json")]
    Show(JsonArgs),
}

pub(super) fn run(args: &IdArgs) -> Outcome {
    let args = match &args.what {
        Some(IdCommand::Show(args)) => args,
        None => &args.args,
    };
    let config = args.config.load()?;
    let node = NodeKey::load(&config.node.state.join("node.key"))
        .map_err(|e| Failure::broken(format!("{e}; `portcullis init` makes it")))?
        .public();
    if args.json {
        say!(
            "{}",
            json!({"node_id": node.node_id(), "did": node.did(), "public_key_hex": node.to_hex(), "fingerprint": node.fingerprint()})
        );
    } else {
        say!("node id      {}", node.node_id());
        say!("did          {}", node.did());
        say!("public key   {}", node.to_hex());
        say!("fingerprint  {}", node.fingerprint());
    }
    Ok(())
}
