//! `portcullis audit checkpoint`: the newest signed state of the log, to be kept by somebody else.

use std::io::{self, Write as _};
use std::path::Path;

use clap::Args;
use data_encoding::BASE64;
use portcullis_audit::{VerifierKey, tree};
use serde_json::json;

use super::verify::own_vkey;
use crate::audit_log::check::witnesses;
use crate::audit_log::checkpoints::{self, BadCheckpoint, Signed};
use crate::audit_log::{find, tree_file::TreeFile};
use crate::cli::{Failure, JsonArgs, Outcome, say};

/// Arguments of `audit checkpoint`.
#[derive(Args)]
pub(crate) struct CheckpointArgs {
    /// Prints the key that checkpoints are checked with, and nothing else.
    #[arg(long)]
    vkey: bool,
    #[command(flatten)]
    args: JsonArgs,
}

pub(super) fn run(args: &CheckpointArgs) -> Outcome {
    let state = args.args.config.state()?;
    let vkey = own_vkey(&state)?;
    if args.vkey {
        match args.args.json {
            true => say!("{}", json!({"vkey": vkey.to_string()})),
            false => say!("{vkey}"),
        }
        return Ok(());
    }
    let dir = state.join("audit");
    let signed = newest(&dir, &vkey)?;
    let checkpoint = &signed.checkpoint;
    if args.args.json {
        let cosignatures: Vec<_> = witnesses(&signed.note, &vkey).collect();
        say!(
            "{}",
            json!({
                "origin": checkpoint.origin, "size": checkpoint.size, "root": BASE64.encode(&checkpoint.root),
                "vkey": vkey.to_string(), "note": signed.note.to_string(), "cosignatures": cosignatures,
            })
        );
    } else {
        // As it is, to the byte: it goes into a pipe or a file.
        io::stdout().write_all(signed.note.to_string().as_bytes())?;
    }
    let next = find::size(&dir)?;
    if let Some(beyond) = next.checked_sub(checkpoint.size).filter(|beyond| *beyond > 0) {
        let _ = writeln!(
            io::stderr(),
            "portcullis: {beyond} newer entries are not under it yet; a running gate signs them before long"
        );
    }
    Ok(())
}

/// The newest checkpoint of a log, which its tree still leads to.
pub(super) fn newest(dir: &Path, vkey: &VerifierKey) -> Outcome<Signed> {
    if !dir.is_dir() {
        return Err(Failure::no(format!("there is no audit log in `{}`; `portcullis run` begins one", dir.display())));
    }
    let newest = checkpoints::newest(dir, vkey).map_err(|error| match error {
        BadCheckpoint::Unread { .. } => Failure::broken(error.to_string()),
        BadCheckpoint::Wrong { .. } => Failure::no(format!("{error}; `portcullis audit verify` tells more")),
    })?;
    let signed = newest.ok_or_else(|| {
        Failure::no("no checkpoint was signed yet; a running gate signs one within `filters.audit.checkpoint_after`")
    })?;
    let root = tree::root(&tree(dir)?, signed.checkpoint.size).ok();
    if root != Some(signed.checkpoint.root) {
        return Err(Failure::no(format!(
            "the file `tree` is not the one that `{}` was signed over; `portcullis audit verify` tells more",
            signed.path.display()
        )));
    }
    Ok(signed)
}

/// The tree of a log.
pub(super) fn tree(dir: &Path) -> Outcome<TreeFile> {
    let path = crate::audit_log::tree_file::path(dir);
    TreeFile::read(dir).map_err(|error| Failure::broken(format!("cannot open `{}`: {error}", path.display())))
}
