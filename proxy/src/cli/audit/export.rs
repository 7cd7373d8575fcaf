//! `portcullis audit export`: the log in the forms that other programs read.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::entry::Entry;
use super::output::Output;
use super::walk::walk;
use super::which::Which;
use super::{ConfigArg, Outcome};

mod cef;
mod csv;
mod ocsf;

/// What to export, and how.
#[derive(Args)]
pub(crate) struct ExportArgs {
    /// The form.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    #[command(flatten)]
    which: Which,
    /// Into this file, once everything is written, in the place of what stands there. Default: standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) config: ConfigArg,
}

/// The form of what is exported: each entry a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// ArcSight's Common Event Format.
    Cef,
    /// A table with a header (RFC 4180).
    Csv,
    /// The lines as they stand. Who is to verify them gets the segments themselves: each has a key of its own.
    Jsonl,
    /// Events of the Open Cybersecurity Schema Framework, as JSON.
    Ocsf,
}

pub(super) fn export(dir: &Path, args: &ExportArgs) -> Outcome {
    let mut output = match &args.output {
        Some(file) => Output::file(file)?,
        None => Output::standard(),
    };
    if args.format == Format::Csv {
        output.write_all(&csv::header()?).map_err(|error| output.unwritten(&error))?;
    }
    walk(dir, &args.which, output, |line, output| args.format.write(line, output))
}

impl Format {
    fn write(self, line: &[u8], output: &mut Output) -> io::Result<()> {
        if self == Self::Jsonl {
            return output.write_all(line);
        }
        // It was found to be one when it was asked whether it fits.
        let Some(entry) = Entry::read(line) else { return Ok(()) };
        match self {
            Self::Cef => writeln!(output, "{}", cef::event(&entry)),
            Self::Csv => output.write_all(&csv::record(&entry)?),
            Self::Jsonl => Ok(()),
            Self::Ocsf => writeln!(output, "{}", ocsf::event(&entry)),
        }
    }
}

/// A line of the log in the Common Event Format; none when there is no entry in it.
pub(crate) fn as_cef(line: &[u8]) -> Option<String> {
    Entry::read(line).map(|entry| cef::event(&entry))
}

/// The texts of an entry under these keys, without those that are absent.
fn said<'e>(entry: &'e Entry, keys: &[&str]) -> Vec<&'e str> {
    keys.iter().map(|key| entry.text(key)).filter(|text| !text.is_empty()).collect()
}
