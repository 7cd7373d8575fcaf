//! `portcullis osv`: the local database of advisories.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ConfigArg, Failure, Outcome};
use crate::config::ScaConfig;

mod import;
mod status;
mod sync;

/// Commands of `osv`.
#[derive(Subcommand)]
pub(crate) enum OsvCommand {
    /// Takes advisories in: OSV's JSON, one a line or one a file, directories of it, and zip exports. All or nothing.
    ///
    /// Exit code 0: all of it is in; 1: some entries are broken, and were left out; 3: nothing was changed.
    #[command(after_help = "Example:\n  portcullis osv import PyPI.zip advisories/\n  \
                            portcullis osv import --database osv.redb --json advisories.jsonl")]
    Import(import::ImportArgs),
    /// Tells what is in the database, and how old it is. 1: it is missing, or too old to be believed.
    #[command(after_help = "Example:\n  portcullis osv status --json")]
    Status(status::StatusArgs),
    /// Fetches OSV's exports of whole ecosystems, and takes them in, all or nothing.
    ///
    /// Exit code 0: all of it is in; 1: some entries are broken, and were left out; 3: nothing was changed.
    #[command(after_help = "Example:\n  portcullis osv sync --ecosystem PyPI --ecosystem npm")]
    Sync(sync::SyncArgs),
}

/// Which database.
#[derive(Args, Clone)]
pub(crate) struct DatabaseArgs {
    /// The database. Default: that of the config, `filters.sca.database`, else `osv.redb` in its state directory. With
    /// it, no config is needed.
    #[arg(long, value_name = "FILE")]
    pub(crate) database: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A database, and how old it may be.
struct Place {
    database: PathBuf,
    max_age: Duration,
    /// The authorities that the config names for OSV's servers.
    ca: Option<PathBuf>,
}

impl DatabaseArgs {
    fn place(&self) -> Outcome<Place> {
        // Whoever names the database may have no config; whoever names a config means what it says.
        let sca = match (&self.database, &self.config.config) {
            (Some(_), None) => ScaConfig::default(),
            _ => self.config.load()?.filters.sca,
        };
        let database = self.database.clone().unwrap_or(sca.database);
        if database.file_name().is_none() || database.is_dir() {
            return Err(Failure::usage(format!(
                "`{}` is no file's name, expected `--database FILE`",
                database.display()
            )));
        }
        Ok(Place { database, max_age: sca.max_age, ca: sca.api.ca })
    }
}

pub(super) fn run(command: &OsvCommand) -> Outcome {
    match command {
        OsvCommand::Import(args) => import::run(args),
        OsvCommand::Status(args) => status::run(args),
        OsvCommand::Sync(args) => sync::run(args),
    }
}
