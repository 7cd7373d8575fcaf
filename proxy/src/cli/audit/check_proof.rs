//! `portcullis audit check-proof`: that a line is in a log, without the log and without its keys.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use data_encoding::BASE64;
use portcullis_audit::{Line, MAX_LINE, MAX_PROOF, Proof, VerifierKey, leaf_hash};
use serde_json::json;

use crate::audit_log::check::witnesses;
use crate::cli::printable::printable;
use crate::cli::{Failure, Outcome, say};

/// Arguments of `audit check-proof`.
#[derive(Args)]
pub(crate) struct CheckProofArgs {
    /// The proof, as `audit prove` writes it.
    proof: PathBuf,
    /// The line, as it stands in the log.
    #[arg(long, value_name = "FILE")]
    line: PathBuf,
    /// The key that signs the log's checkpoints, as `audit checkpoint --vkey` prints it; not from whoever gave the proof.
    #[arg(long, value_name = "VKEY")]
    vkey: VerifierKey,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CheckProofArgs) -> Outcome {
    check(args).map_err(|failure| super::told(failure, args.json))
}

fn check(args: &CheckProofArgs) -> Outcome {
    let (proof, line) = (read(&args.proof, MAX_PROOF)?, read(&args.line, MAX_LINE)?);
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let no = |why: String| Failure::no(format!("it is not proved that the line is in the log: {why}"));
    let proof = Proof::parse(&proof).map_err(|error| no(error.to_string()))?;
    let checkpoint = proof.verify(&leaf_hash(line), &args.vkey).map_err(|error| no(error.to_string()))?;
    // What the proof says of its place, the line says too.
    let entry = Line::read(line).filter(|entry| entry.seq_no == proof.index);
    let entry = entry.ok_or_else(|| no(format!("the line does not say that it is entry {}", proof.index)))?;
    let witnesses: Vec<_> = witnesses(&proof.checkpoint, &args.vkey).collect();
    if args.json {
        say!(
            "{}",
            json!({
                "ok": true, "origin": checkpoint.origin, "index": proof.index, "size": checkpoint.size,
                "root": BASE64.encode(&checkpoint.root), "timestamp": entry.timestamp, "cosignatures": witnesses,
            })
        );
        return Ok(());
    }
    say!("the line is entry {} of the log `{}`, {}", proof.index, checkpoint.origin, entry.timestamp);
    say!("as its node signed it with {} entries", checkpoint.size);
    if !witnesses.is_empty() {
        say!("countersigned by {} (not checked here)", printable(&witnesses.join(", ")));
    }
    Ok(())
}

/// Reads a file that is not longer than this.
fn read(path: &Path, most: usize) -> Outcome<Vec<u8>> {
    let failed = |error: std::io::Error| Failure::broken(format!("cannot read `{}`: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > most {
        return Err(Failure::no(format!("`{}` is longer than {most} bytes, which it cannot be", path.display())));
    }
    Ok(bytes)
}
