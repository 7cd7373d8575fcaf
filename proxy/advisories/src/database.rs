//! The database as a running gate uses it.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_osv::{Notice, Package};
use redb::{Builder, ReadOnlyDatabase, ReadableDatabase as _};

use crate::row::Row;
use crate::tables::{
    ADVISORIES, FORMAT, NOTICES, SUMMARY, Status, Summary, THE_FORMAT, THE_SUMMARY, damaged, ecosystem, number,
};

/// How much of the file is kept in memory, in bytes. What a gate looks up again and again is far less.
const CACHE: usize = 32 * 1024 * 1024;

/// How many notices on one package there may be. The most that any package of a registry has are some hundreds.
const MAX_NOTICES: usize = 20_000;

/// A database of advisories, open for reading.
///
/// Several processes may hold it. An import replaces the file, and the next lookup finds the new one. Lookups block
/// for the time of a few reads of memory or, seldom, of the disk.
pub struct Database {
    path: PathBuf,
    current: Mutex<Arc<Opened>>,
}

struct Opened {
    database: ReadOnlyDatabase,
    file: FileId,
}

/// What tells one file of the same name from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    size: u64,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It is not there.
    #[error(
        "there is no database of advisories at `{0}`; `portcullis osv sync` fetches one, `portcullis osv import PATH` makes one of files"
    )]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("cannot read the database of advisories `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What came of it.
        source: redb::Error,
    },
    /// It was made by another version of the program.
    #[error(
        "the database of advisories `{path}` has format {found}, expected {FORMAT}; remove it, then `portcullis osv \
         sync`, or import what you have"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Its content makes no sense.
    #[error(
        "the database of advisories `{0}` is damaged; remove it, then `portcullis osv sync`, or import what you have"
    )]
    Damaged(PathBuf),
}

impl Database {
    /// Opens the database at a path.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or is none of this version's.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let opened = Opened::new(path)?;
        Ok(Self { path: path.to_owned(), current: Mutex::new(Arc::new(opened)) })
    }

    /// Everything that advisories say of a package, in the order of their identifiers.
    ///
    /// # Errors
    /// When the database cannot be read, or was replaced by one that cannot be opened. Nothing is known of the
    /// package then.
    pub fn notices(&self, package: &Package) -> Result<Vec<Notice>, DatabaseError> {
        let current = self.current()?;
        self.guard(|| {
            let table = current.database.begin_read()?.open_table(NOTICES)?;
            let Some(ecosystem) = number(package.ecosystem()) else { return Ok(Vec::new()) };
            let mut notices = Vec::new();
            for row in table.range((ecosystem, package.name(), "")..)? {
                let (key, row) = row?;
                let (number, name, id) = key.value();
                if (number, name) != (ecosystem, package.name()) {
                    break;
                }
                if notices.len() == MAX_NOTICES {
                    return Err(redb::Error::Corrupted(format!("more than {MAX_NOTICES} notices on `{package}`")));
                }
                let row: Row<'_> = postcard::from_bytes(row.value()).map_err(damaged)?;
                notices.push(row.into_notice(package.clone(), id));
            }
            Ok(notices)
        })
    }

    /// What an advisory says of each package that it names, in the order in which it names them. Nothing where there is
    /// none of this identifier.
    ///
    /// # Errors
    /// As [`Database::notices`].
    pub fn advisory(&self, id: &str) -> Result<Vec<Notice>, DatabaseError> {
        let current = self.current()?;
        self.guard(|| {
            let transaction = current.database.begin_read()?;
            let Some(named) = transaction.open_table(ADVISORIES)?.get(id)? else { return Ok(Vec::new()) };
            let named: Vec<(u8, String)> = postcard::from_bytes(named.value()).map_err(damaged)?;
            let table = transaction.open_table(NOTICES)?;
            let mut notices = Vec::with_capacity(named.len());
            for (number, name) in &named {
                let (Some(ecosystem), Some(row)) = (ecosystem(*number), table.get((*number, name.as_str(), id))?)
                else {
                    continue;
                };
                let row: Row<'_> = postcard::from_bytes(row.value()).map_err(damaged)?;
                notices.push(row.into_notice(Package::new(ecosystem, name), id));
            }
            Ok(notices)
        })
    }

    /// What is in the database, and how old it is.
    ///
    /// # Errors
    /// As [`Database::notices`].
    pub fn status(&self) -> Result<Status, DatabaseError> {
        let current = self.current()?;
        self.guard(|| {
            let table = current.database.begin_read()?.open_table(SUMMARY)?;
            let stored = table.get(THE_SUMMARY)?;
            let summary = match &stored {
                Some(stored) => postcard::from_bytes(stored.value()).map_err(damaged)?,
                None => Summary::default(),
            };
            Ok(summary.status(current.file.size))
        })
    }

    /// The database as it lies at the path now: the one that is open, unless the file was replaced.
    fn current(&self) -> Result<Arc<Opened>, DatabaseError> {
        let file = FileId::of(&self.path)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.file != file {
            *current = Arc::new(Opened::new(&self.path)?);
        }
        Ok(Arc::clone(&current))
    }

    fn guard<T>(&self, read: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, DatabaseError> {
        guard(&self.path, read)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Opened {
    fn new(path: &Path) -> Result<Self, DatabaseError> {
        // The file may be replaced between the two; then the next look finds that it is another one.
        let file = FileId::of(path)?;
        let (database, format) = guard(path, || {
            let database = Builder::new().set_cache_size(CACHE).open_read_only(path)?;
            let table = database.begin_read()?.open_table(SUMMARY)?;
            let format = table.get(THE_FORMAT)?.and_then(|stored| postcard::from_bytes::<u32>(stored.value()).ok());
            Ok((database, format))
        })?;
        match format {
            Some(FORMAT) => Ok(Self { database, file }),
            Some(found) => Err(DatabaseError::Format { path: path.to_owned(), found }),
            None => Err(DatabaseError::Damaged(path.to_owned())),
        }
    }
}

impl FileId {
    fn of(path: &Path) -> Result<Self, DatabaseError> {
        match fs::metadata(path) {
            Ok(meta) => Ok(Self {
                device: meta.dev(),
                inode: meta.ino(),
                changed: (meta.mtime(), meta.mtime_nsec()),
                size: meta.len(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DatabaseError::Missing(path.to_owned())),
            Err(error) => Err(DatabaseError::Unreadable { path: path.to_owned(), source: redb::Error::Io(error) }),
        }
    }
}

/// Runs what reads the file. The library trusts what it once wrote, and panics over a file that was altered since.
fn guard<T>(path: &Path, read: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, DatabaseError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Err(_) => Err(DatabaseError::Damaged(path.to_owned())),
        Ok(Err(source)) if is_damage(&source) => Err(DatabaseError::Damaged(path.to_owned())),
        Ok(Err(source)) => Err(DatabaseError::Unreadable { path: path.to_owned(), source }),
    }
}

/// Whether what was read makes no sense, and will make none later.
pub(crate) fn is_damage(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_) => true,
        redb::Error::Io(error) => matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof),
        // A database of the same library that is none of ours.
        redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. } => true,
        _ => false,
    }
}
