//! How advisories come into the database.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use portcullis_osv::Advisory;
use redb::backends::FileBackend;
use redb::{Builder, ReadableDatabase as _};

use self::beside::{Beside, lock};
use crate::database::is_damage;
use crate::tables::{FORMAT, Outcome, SUMMARY, THE_FORMAT, THE_SUMMARY, Tables, damaged};

mod archive;
mod beside;
mod documents;
mod sources;
#[cfg(test)]
mod tests;

/// How much of the new file is kept in memory while it is written, in bytes.
const CACHE: usize = 64 * 1024 * 1024;

/// How many broken places are named; more are counted.
const MAX_NAMED: usize = 1_000;

/// How far an import has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file that is read.
    pub file: &'a Path,
    /// How many advisories were read so far, from all files.
    pub advisories: u64,
    /// How much of the files was read, in bytes.
    pub read: u64,
    /// How much there is to read, in bytes.
    pub total: u64,
}

/// What came of an import.
#[derive(Debug, Default)]
pub struct Report {
    /// Advisories that were not there before.
    pub added: u64,
    /// Advisories that took the place of what was there.
    pub replaced: u64,
    /// Advisories that were taken back; what was there of them is gone.
    pub withdrawn: u64,
    /// Advisories that name no package of an ecosystem that is kept.
    pub elsewhere: u64,
    /// What could not be read, and was left out: the first thousand.
    pub broken: Vec<Broken>,
    /// How much could not be read.
    pub broken_total: u64,
}

impl Report {
    /// How many advisories were read, whatever came of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let known = self.added.saturating_add(self.replaced).saturating_add(self.withdrawn);
        known.saturating_add(self.elsewhere)
    }
}

/// A part of what was to be imported that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub file: PathBuf,
    /// The entry of an archive.
    pub entry: Option<String>,
    /// The line of the file or entry, from 1, where it has several advisories.
    pub line: Option<u64>,
    /// What is wrong with it.
    pub problem: String,
}

/// Why nothing was imported. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Another import is at work.
    #[error("another import holds `{0}`; wait until it is done and try again")]
    Busy(PathBuf),
    /// A file or directory cannot be read or written.
    #[error("cannot {what} `{path}`: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// The database that is there cannot be added to.
    #[error(
        "the database of advisories `{path}` cannot be added to: {source}; {}",
        if is_damage(.source) { "remove it, then `portcullis osv sync`, or import everything again" } else { "try again" }
    )]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: redb::Error,
    },
    /// It was made by another version of the program.
    #[error(
        "the database of advisories `{path}` has format {found}, expected {FORMAT}; remove it, then `portcullis osv \
         sync`, or import everything again"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// An archive was made to fill the disk.
    #[error("`{path}` {problem}; this is no export of a database of advisories, so nothing of it was taken")]
    Bomb {
        /// The archive.
        path: PathBuf,
        /// What is too much about it.
        problem: String,
    },
    /// There are more files than any database has.
    #[error("`{path}` holds more than {most} files; import the directories in it one by one")]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// How many files are taken at once.
        most: usize,
    },
}

/// Reads the advisories in files, directories and archives into the database at a path, which is made where there is
/// none. An advisory takes the place of what was stored under its identifier; one that was taken back leaves nothing.
///
/// All of it becomes visible at once, at the end. What cannot be read is left out and named in the report. Where there
/// is no advisory at all, nothing changes.
///
/// # Errors
/// When a source does not exist, an archive is a bomb, or the database cannot be written. Nothing has changed then.
pub fn import(
    path: &Path,
    sources: &[PathBuf],
    now: Timestamp,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Report, ImportError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(io_error("make the directory", directory))?;
    let _lock = lock(path)?;
    let files = sources::files(sources)?;
    let beside = Beside::new(path)?;
    let report = fill(&beside, path, &files, now, progress)?;
    // What brings nothing makes nothing newer: the database would look younger than what it knows.
    if report.total() > 0 {
        beside.put_in_place(path, directory)?;
    }
    Ok(report)
}

/// Reads everything into the new file.
fn fill(
    beside: &Beside,
    path: &Path,
    files: &[sources::Source],
    now: Timestamp,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Report, ImportError> {
    let store = |source: redb::Error| ImportError::Store { path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).write(true).open(&beside.path).map_err(io_error("open", &beside.path))?;
    let backend = FileBackend::new(file).map_err(|error| store(error.into()))?;
    let mut database =
        Builder::new().set_cache_size(CACHE).create_with_backend(backend).map_err(|error| store(error.into()))?;
    check_format(&database, path)?;
    let transaction = database.begin_write().map_err(|error| store(error.into()))?;
    let (mut summary, report) = {
        let tables = Tables::open(&transaction).map_err(store)?;
        let total = files.iter().map(|source| source.size).sum();
        let mut intake = Intake { path, tables, report: Report::default(), advisories: 0, read: 0, total, progress };
        for source in files {
            intake.take_file(source)?;
        }
        (intake.tables.summary, intake.report)
    };
    summary.imported_at(now);
    (move || {
        let mut table = transaction.open_table(SUMMARY)?;
        table.insert(THE_SUMMARY, postcard::to_allocvec(&summary).map_err(damaged)?.as_slice())?;
        table.insert(THE_FORMAT, postcard::to_allocvec(&FORMAT).map_err(damaged)?.as_slice())?;
        drop(table);
        transaction.commit()?;
        database.compact()?;
        database.close()?;
        Ok(())
    })()
    .map_err(store)?;
    Ok(report)
}

/// Refuses a database that has another layout. A new one has none yet.
fn check_format(database: &redb::Database, path: &Path) -> Result<(), ImportError> {
    let found = (|| {
        let transaction = database.begin_read()?;
        let table = match transaction.open_table(SUMMARY) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let format = table.get(THE_FORMAT)?;
        format.map(|format| postcard::from_bytes(format.value()).map_err(damaged)).transpose()
    })();
    match found {
        Ok(None | Some(FORMAT)) => Ok(()),
        Ok(Some(found)) => Err(ImportError::Format { path: path.to_owned(), found }),
        Err(source) => Err(ImportError::Store { path: path.to_owned(), source }),
    }
}

/// An import at work.
struct Intake<'a> {
    path: &'a Path,
    tables: Tables<'a>,
    report: Report,
    advisories: u64,
    /// Bytes of the files before this one.
    read: u64,
    total: u64,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl Intake<'_> {
    fn take_file(&mut self, source: &sources::Source) -> Result<(), ImportError> {
        self.step(&source.path, 0);
        let file = match File::open(&source.path) {
            Ok(file) => file,
            Err(error) => {
                self.broken(Broken::of(source, format!("cannot be opened: {error}")));
                return Ok(());
            }
        };
        if archive::is_archive(&file) {
            archive::take(self, source, file)?
        } else {
            documents::take(self, source, file)?
        }
        self.read = self.read.saturating_add(source.size);
        self.step(&source.path, 0);
        Ok(())
    }

    /// Takes one advisory, or notes that it is none.
    fn take(&mut self, place: impl FnOnce() -> Broken, bytes: &[u8]) -> Result<(), ImportError> {
        let advisory = std::str::from_utf8(bytes).map_err(|error| error.to_string());
        let advisory = advisory.and_then(|text| Advisory::parse(text).map_err(|error| error.to_string()));
        let advisory = match advisory {
            Ok(advisory) => advisory,
            Err(problem) => {
                self.broken(Broken { problem, ..place() });
                return Ok(());
            }
        };
        let outcome = self.tables.put(&advisory);
        let outcome = outcome.map_err(|source| ImportError::Store { path: self.path.to_owned(), source })?;
        let count = match outcome {
            Outcome::Added => &mut self.report.added,
            Outcome::Elsewhere => &mut self.report.elsewhere,
            Outcome::Replaced => &mut self.report.replaced,
            Outcome::Withdrawn => &mut self.report.withdrawn,
        };
        *count = count.saturating_add(1);
        self.advisories = self.advisories.saturating_add(1);
        Ok(())
    }

    fn broken(&mut self, broken: Broken) {
        self.report.broken_total = self.report.broken_total.saturating_add(1);
        if self.report.broken.len() < MAX_NAMED {
            self.report.broken.push(broken);
        }
    }

    /// Tells how far it has come: so many bytes into this file.
    fn step(&mut self, file: &Path, into: u64) {
        let read = self.read.saturating_add(into).min(self.total);
        (self.progress)(Progress { file, advisories: self.advisories, read, total: self.total });
    }
}

impl Broken {
    fn of(source: &sources::Source, problem: String) -> Self {
        Self { file: source.path.clone(), entry: None, line: None, problem }
    }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImportError {
    move |source| ImportError::Io { what, path: path.to_owned(), source }
}
