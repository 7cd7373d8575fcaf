//! `portcullis audit prove`: that a line is in the log, or that the log continues an older state of it, for somebody
//! who has neither the log nor its keys.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use portcullis_audit::{Line, Proof, Submission, leaf_hash, tree};

use super::checkpoint::{newest, tree};
use super::verify::own_vkey;
use crate::audit_log::checkpoints::Signed;
use crate::audit_log::find;
use crate::cli::{ConfigArg, Failure, Outcome};

/// Arguments of `audit prove`.
#[derive(Args)]
#[group(id = "what", required = true, multiple = false, args = ["seq", "request_id", "since"])]
pub(crate) struct ProveArgs {
    /// The number of the entry, its `seq_no`.
    seq: Option<u64>,
    /// The newest entry about this request instead.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Instead that the log continues the state that it had with so many entries: the request with which a witness is
    /// asked to countersign.
    #[arg(long, value_name = "SIZE", conflicts_with = "with_line")]
    since: Option<u64>,
    /// Writes the proof to this file. Default: standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also writes the line that is proved to this file, as it is.
    #[arg(long, value_name = "FILE")]
    with_line: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(args: &ProveArgs) -> Outcome {
    let state = args.config.state()?;
    let vkey = own_vkey(&state)?;
    let dir = state.join("audit");
    let signed = newest(&dir, &vkey)?;
    if let Some(old) = args.since {
        return write(args.output.as_deref(), &continued(&dir, signed, old)?.to_string());
    }
    let line = wanted(&dir, args)?;
    let unread = || Failure::broken("the line changed while it was read");
    let index = Line::read(&line).ok_or_else(unread)?.seq_no;
    let size = signed.checkpoint.size;
    if index >= size {
        return Err(Failure::no(format!(
            "entry {index} is not under a checkpoint yet: the newest is over {size} entries; a running gate signs the \
             next within `filters.audit.checkpoint_after`"
        )));
    }
    let path = tree::inclusion(&tree(&dir)?, index, size).map_err(|error| Failure::broken(error.to_string()))?;
    let proof = Proof { extra: None, index, path, checkpoint: signed.note };
    proof.verify(&leaf_hash(&line), &vkey).map_err(|error| {
        Failure::no(format!(
            "entry {index} is not the one that was signed: {error}; `portcullis audit verify` tells more"
        ))
    })?;
    if let Some(path) = &args.with_line {
        let mut line = line;
        line.push(b'\n');
        fs::write(path, line).map_err(|error| cannot_write(path, &error))?;
    }
    write(args.output.as_deref(), &proof.to_string())
}

/// The line that is to be proved.
fn wanted(dir: &Path, args: &ProveArgs) -> Outcome<Vec<u8>> {
    let (found, what) = match (args.seq, &args.request_id) {
        (Some(seq), _) => (find::by_number(dir, seq)?, format!("entry {seq}")),
        (None, Some(id)) => (find::by_request(dir, id)?, format!("entry about the request `{id}`")),
        (None, None) => return Err(Failure::usage("expected the number of an entry, `--request-id` or `--since`")),
    };
    if found.is_none()
        && let (Some(seq), Some(oldest)) = (args.seq, find::oldest(dir)?)
        && seq < oldest
    {
        return Err(Failure::no(format!(
            "entry {seq} is not here any more: the oldest that is here is {oldest}; whether the gate deleted what came before, \
             `portcullis audit verify` tells"
        )));
    }
    found.ok_or_else(|| Failure::no(format!("there is no {what} in `{}`", dir.display())))
}

/// What shows that the newest checkpoint continues the log as it was with so many entries.
fn continued(dir: &Path, signed: Signed, old: u64) -> Outcome<Submission> {
    let size = signed.checkpoint.size;
    if old > size {
        return Err(Failure::no(format!(
            "the newest checkpoint is over {size} entries, fewer than {old}: the newest were cut off, or are not signed yet"
        )));
    }
    let proof = tree::consistency(&tree(dir)?, old, size).map_err(|error| Failure::broken(error.to_string()))?;
    Ok(Submission { old, proof, checkpoint: signed.note })
}

fn write(path: Option<&Path>, text: &str) -> Outcome {
    match path {
        Some(path) => fs::write(path, text).map_err(|error| cannot_write(path, &error)),
        None => Ok(io::stdout().write_all(text.as_bytes())?),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::broken(format!("cannot write `{}`: {error}", path.display()))
}
