//! `portcullis audit`: checking, reading and exporting the log, also while a gate writes it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::Value;

use self::entry::Entry;
use self::output::Output;
use self::which::Which;
use super::{ConfigArg, Failure, JsonArgs, Outcome, colour, say};
use crate::audit_log::read::{ReadError, Reader, Step, newest};

mod entry;
mod export;
mod output;
mod table;
mod tail;
mod verify;
mod walk;
mod which;

pub(crate) use export::as_cef;
pub(crate) use verify::check;

/// Commands of `audit`.
#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Checks the whole chain, or the given files as one chain. Exits with 1 on any doubt.
    #[command(after_help = "Example:\n  portcullis audit verify")]
    Verify {
        /// The files, oldest first; one whose name ends in `.zst` is compressed. Default: the log of this gate.
        files: Vec<PathBuf>,
        #[command(flatten)]
        args: JsonArgs,
    },
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
}

pub(super) fn run(command: &AuditCommand) -> Outcome {
    match command {
        AuditCommand::Verify { files, args } => verify::verify(files, args),
        AuditCommand::Show { which, args } => show(&walk::folder(&args.config)?, which, args.json),
        AuditCommand::Tail { follow, lines, args } => {
            tail::tail(&walk::folder(&args.config)?, *follow, *lines, args.json)
        }
        AuditCommand::Export(args) => export::export(&walk::folder(&args.config)?, args),
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

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::broken(error.to_string())
    }
}
