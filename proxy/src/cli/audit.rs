//! `portcullis audit`: checking, reading and exporting the log, also while a gate writes it.

use std::io::Write as _;
use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};

use self::entry::Entry;
use self::output::Output;
use self::which::Which;
use super::{ConfigArg, Failure, JsonArgs, Outcome, colour, say};
use crate::audit_log::read::{ReadError, Reader, Step, newest};

mod check_proof;
mod checkpoint;
mod entry;
mod export;
mod output;
mod prove;
mod repair;
mod segment_key;
mod table;
mod tail;
mod verify;
mod walk;
mod which;
mod witnessed;

pub(crate) use export::as_cef;
pub(super) use verify::{own_vkey, whole};

/// Commands of `audit`.
#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Checks the whole log, or the given files as one chain: every line, link, seal and checkpoint. 1: something is in
    /// doubt; 3: it cannot be read.
    #[command(
        after_help = "Example:\n  portcullis audit verify\n  portcullis audit verify --checkpoint kept.checkpoint\n  portcullis audit verify copy/audit --no-key --vkey 'peer:…/audit+0a1b2c3d+AQ…'\n  portcullis audit verify audit-000003.jsonl --segment-key segment-3.key"
    )]
    Verify(verify::VerifyArgs),
    /// Prints the newest checkpoint as it is: what somebody else keeps, so that nobody can rewrite what came before.
    #[command(
        after_help = "Example:\n  portcullis audit checkpoint > kept.checkpoint\n  portcullis audit checkpoint --vkey"
    )]
    Checkpoint(checkpoint::CheckpointArgs),
    /// Proves that an entry is in the log, or that the log continues an older state, to somebody who has neither the log
    /// nor its keys.
    #[command(
        after_help = "Example:\n  portcullis audit prove 4711 --output entry.proof --with-line entry.jsonl\n  portcullis audit prove --request-id 01KAJ3Y7Z6M1R4T8V0X2B5D7FH\n  portcullis audit prove --since 4000"
    )]
    Prove(prove::ProveArgs),
    /// Checks such a proof, without the log and without its keys. 1: it shows nothing.
    #[command(
        after_help = "Example:\n  portcullis audit check-proof entry.proof --line entry.jsonl --vkey 'peer:…/audit+0a1b2c3d+AQ…'"
    )]
    CheckProof(check_proof::CheckProofArgs),
    /// Prints the key of one segment, for somebody who is to check that segment alone; it can forge it, too.
    #[command(after_help = "Example:\n  portcullis audit segment-key 3 > segment-3.key")]
    SegmentKey(segment_key::SegmentKeyArgs),
    /// Takes off the end of the log what is no entry and under no checkpoint, as a power cut may leave it, once the gate
    /// is stopped. Without `--yes` it only looks. 1: there is something.
    #[command(after_help = "Example:\n  portcullis audit repair\n  portcullis audit repair --yes")]
    Repair(repair::RepairArgs),
    /// Prints entries, oldest first.
    #[command(
        after_help = "Example:\n  portcullis audit show --decision block --since 10m\n  portcullis audit show --node z6MkhaXg --code policy.model_denied --limit 20\n  portcullis audit show --since 2026-11-21T08:00:00Z --until 2026-11-21T09:00:00Z --json\n  portcullis audit show --request-id 01KAJ3Y7Z6M1R4T8V0X2B5D7FH"
    )]
    Show {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Prints the newest entries, and with `-f` those to come.
    #[command(after_help = "Example:\n  portcullis audit tail -f\n  portcullis audit tail -n 100 --json")]
    Tail {
        /// Keeps on.
        #[arg(short, long)]
        follow: bool,
        /// How many to begin with.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: u64,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Writes entries, oldest first, in a form that other programs read.
    #[command(
        after_help = "Example:\n  portcullis audit export --format csv --since 30d --output audit.csv\n  portcullis audit export --format ocsf --decision block"
    )]
    Export(export::ExportArgs),
    /// Shows what this gate countersigned of other nodes' logs, as their witness, and what contradicted it. 1: something
    /// did, or one was countersigned longer ago than `--max-age`.
    #[command(
        after_help = "Example:\n  portcullis audit witnessed\n  portcullis audit witnessed --origin 'peer:…/audit' > seen.checkpoint\n  portcullis audit witnessed --max-age 2h\n  portcullis audit witnessed --forget 'peer:…/audit'"
    )]
    Witnessed(witnessed::WitnessedArgs),
}

pub(super) fn run(command: &AuditCommand) -> Outcome {
    match command {
        AuditCommand::Verify(args) => verify::run(args),
        AuditCommand::Checkpoint(args) => checkpoint::run(args),
        AuditCommand::Prove(args) => prove::run(args),
        AuditCommand::CheckProof(args) => check_proof::run(args),
        AuditCommand::SegmentKey(args) => segment_key::run(args),
        AuditCommand::Repair(args) => repair::run(args),
        AuditCommand::Show { which, args } => show(&walk::folder(&args.config)?, which, args.json),
        AuditCommand::Tail { follow, lines, args } => {
            tail::tail(&walk::folder(&args.config)?, *follow, *lines, args.json)
        }
        AuditCommand::Export(args) => export::export(&walk::folder(&args.config)?, args),
        AuditCommand::Witnessed(args) => witnessed::run(args),
    }
}

fn show(dir: &Path, which: &Which, as_json: bool) -> Outcome {
    let colour = colour();
    walk::walk(dir, which, Output::standard(), |line, output| {
        if as_json {
            return output.write_all(line);
        }
        Entry::read(line).map_or(Ok(()), |entry| writeln!(output, "{}", table::row(&entry, colour)))
    })
}

/// The log's entry about a request, the newest where there is more than one.
pub(crate) fn entry_of(state: &Path, request: &str) -> Outcome<Option<Value>> {
    let dir = walk::begun(state.join("audit"))?;
    let which = Which::of_request(request)?;
    let span = newest(&dir, 1, |line| which.fits(line).unwrap_or(false))?;
    let mut reader = Reader::from(&dir, span.from);
    while reader.cursor() < span.to {
        match reader.next()? {
            Step::Line(line) if which.fits(line).unwrap_or(false) => return Ok(serde_json::from_slice(line).ok()),
            Step::End { .. } => break,
            _ => {}
        }
    }
    Ok(None)
}

/// Tells why nothing could be said: as an object where one was asked for, which then is all that is said.
fn told(failure: Failure, as_json: bool) -> Failure {
    if !as_json {
        return failure;
    }
    say!("{}", json!({"ok": false, "reason": failure.message}));
    Failure { message: String::new(), ..failure }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::broken(error.to_string())
    }
}
