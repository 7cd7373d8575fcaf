//! `portcullis audit repair`: taking what a power cut left off the end of the log.

use std::sync::Arc;

use clap::Args;
use portcullis_certs::NodeKey;
use serde_json::json;

use crate::audit_log::repair::{Damage, Damaged};
use crate::audit_log::{AuditKey, AuditLogError};
use crate::cli::{Failure, JsonArgs, Outcome, say};

/// Arguments of `audit repair`.
#[derive(Args)]
pub(crate) struct RepairArgs {
    /// Takes it off; without this it is only looked at.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    args: JsonArgs,
}

pub(super) fn run(args: &RepairArgs) -> Outcome {
    let as_json = args.args.json;
    let config = args.args.config.load()?;
    let state = &config.node.state;
    let dir = super::walk::begun(state.join("audit"))?;
    let broken = |error: String| super::told(Failure::broken(error), as_json);
    let key = AuditKey::load(state).map_err(|error| broken(format!("{error:#}")))?;
    let node = NodeKey::load(&state.join("node.key")).map_err(|error| broken(error.to_string()))?;
    let refused = |error: AuditLogError| match error {
        AuditLogError::Damaged { .. } => super::told(Failure::no(error.to_string()), as_json),
        _ => broken(error.to_string()),
    };
    let Some(found) = Damaged::find(&dir, &key, &node).map_err(refused)? else {
        if as_json {
            say!("{}", json!({"ok": true, "damage": null}));
        } else {
            say!("nothing to repair: a start continues this log, and takes off a torn last line by itself");
        }
        return Ok(());
    };
    if !args.yes {
        tell(&found.damage, false, as_json);
        return Err(Failure::no(String::new()));
    }
    let damage = found.take_off(&key, Arc::new(node), config.filters.audit).map_err(refused)?;
    tell(&damage, true, as_json);
    Ok(())
}

fn tell(damage: &Damage, done: bool, as_json: bool) {
    let Damage { file, holds, entries, signed, bytes, lines, why, kept } = damage;
    let (file, kept) = (file.display(), kept.display());
    if as_json {
        let damage = json!({
            "file": file.to_string(), "offset": holds, "bytes": bytes, "lines": lines, "reason": why,
            "entries": entries, "signed": signed, "kept": done.then(|| kept.to_string()),
        });
        say!("{}", json!({"ok": done, "damage": damage}));
        return;
    }
    say!("{file}: {why}");
    say!("  the log has {entries} entries before that, {signed} of them under a checkpoint, and nothing after");
    say!("  only its end was looked at: `portcullis audit verify` reads the rest");
    let bytes = format!("the {bytes} bytes from byte {holds} on, in which {lines} lines end,");
    if done {
        say!("  {bytes} were taken off and are kept in `{kept}`; an entry `audit.repaired` says so");
    } else {
        say!("  a power cut may leave that, and so may somebody who was at the file");
        say!("  `--yes` takes {bytes} off, keeps them in `{kept}`, and says so in the log");
    }
}
