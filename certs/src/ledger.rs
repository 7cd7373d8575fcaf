//! A small JSON document that the command line and the running gate share.
//!
//! It is written whole or not at all, under an advisory lock, and every change starts from the file as
//! it is then, so that two writers lose nothing of each other's. Readers look at an immutable version
//! without a lock; a running gate takes in what others wrote by [`Ledger::reload_if_changed`].

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::{self, FileError};

/// How long a writer waits for its turn. A write takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks whether it is its turn.
const PAUSE: Duration = Duration::from_millis(5);

/// What a ledger holds.
pub trait Document: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static {
    /// Looks for what no writer of ours would leave; the error says what is wrong.
    ///
    /// # Errors
    /// When the document must not be used.
    fn check(&self) -> Result<(), String>;
}

/// A document on disk, and its newest version in memory.
pub struct Ledger<D> {
    file: LedgerFile,
    current: ArcSwap<Version<D>>,
    /// Keeps this process's changes and reloads in order: an older file never replaces a newer one.
    order: Mutex<()>,
}

struct Version<D> {
    document: Arc<D>,
    stamp: Option<Stamp>,
}

/// Why a ledger cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process holds the lock.
    #[error("`{0}` is being changed by another process for too long; look who holds it and try again")]
    Busy(PathBuf),
    /// The file is not what it should be.
    #[error("`{path}` is damaged: {why}; restore it from a backup, or move it away to begin anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl<D: Document> Ledger<D> {
    /// Opens the document at this path; one that does not exist yet is empty.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let file = LedgerFile::at(path);
        let version = read(&file)?;
        Ok(Self { file, current: ArcSwap::from_pointee(version), order: Mutex::default() })
    }

    /// The newest version that this process knows. No lock, no I/O.
    #[must_use]
    pub fn get(&self) -> Arc<D> {
        Arc::clone(&self.current.load().document)
    }

    /// Takes in the file if another process changed it. Returns whether it did.
    ///
    /// # Errors
    /// When it is damaged; the last good version stays in force.
    pub fn reload_if_changed(&self) -> Result<bool, LedgerError> {
        let _ordered = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if self.file.stamp()? == self.current.load().stamp {
            return Ok(false);
        }
        self.current.store(Arc::new(read(&self.file)?));
        Ok(true)
    }

    /// One change: under the lock, from the file as it is now, on disk before it is in force.
    ///
    /// # Errors
    /// What `apply` says, or that the file cannot be read or written; nothing was changed then.
    pub fn change<T, E: From<LedgerError>>(&self, apply: impl FnOnce(&mut D) -> Result<T, E>) -> Result<T, E> {
        let _ordered = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let _locked = self.file.lock()?;
        let mut document = Arc::unwrap_or_clone(read::<D>(&self.file)?.document);
        let outcome = apply(&mut document)?;
        let stamp = self.file.write(&document)?;
        self.current.store(Arc::new(Version { document: Arc::new(document), stamp }));
        Ok(outcome)
    }
}

fn read<D: Document>(file: &LedgerFile) -> Result<Version<D>, LedgerError> {
    let (text, stamp) = file.read()?;
    let document = match text {
        None => D::default(),
        Some(text) => {
            let document: D = serde_json::from_str(&text).map_err(|e| file.damaged(e.to_string()))?;
            document.check().map_err(|why| file.damaged(why))?;
            document
        }
    };
    Ok(Version { document: Arc::new(document), stamp })
}

/// The file of a ledger: read whole, written whole, and locked between the two.
pub(crate) struct LedgerFile {
    path: PathBuf,
    /// Beside it, and never replaced: the file itself is another one after every write.
    lock: PathBuf,
}

/// What tells one version of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: (i64, i64),
    length: u64,
    inode: u64,
}

impl LedgerFile {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: path.with_extension("lock") }
    }

    /// The file's text, `None` where there is none.
    ///
    /// The stamp is taken first: a version that comes in between is read once more, never missed.
    pub(crate) fn read(&self) -> Result<(Option<zeroize::Zeroizing<String>>, Option<Stamp>), LedgerError> {
        let stamp = self.stamp()?;
        if stamp.is_none() {
            return Ok((None, None));
        }
        Ok((Some(files::read_private(&self.path)?), stamp))
    }

    pub(crate) fn write(&self, document: &impl Serialize) -> Result<Option<Stamp>, LedgerError> {
        let mut bytes = serde_json::to_vec_pretty(document).map_err(|e| self.damaged(e.to_string()))?;
        bytes.push(b'\n');
        files::write_private(&self.path, &bytes)?;
        self.stamp()
    }

    pub(crate) fn stamp(&self) -> Result<Option<Stamp>, LedgerError> {
        match fs::metadata(&self.path) {
            Ok(meta) => {
                Ok(Some(Stamp { modified: (meta.mtime(), meta.mtime_nsec()), length: meta.len(), inode: meta.ino() }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FileError::Io { what: "look at", path: self.path.clone(), source }.into()),
        }
    }

    /// Waits for this writer's turn, which lasts until the handle is dropped.
    pub(crate) fn lock(&self) -> Result<File, LedgerError> {
        let io = |source| FileError::Io { what: "lock", path: self.lock.clone(), source };
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = files::open_regular_with(&mut options, &self.lock).map_err(io)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK | Errno::INTR) => return Err(LedgerError::Busy(self.lock.clone())),
                Err(error) => return Err(io(error.into()).into()),
            }
        }
    }

    pub(crate) fn damaged(&self, why: String) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Words(Vec<String>);

    impl Document for Words {
        fn check(&self) -> Result<(), String> {
            if self.0.iter().any(String::is_empty) { Err("a word is empty".to_owned()) } else { Ok(()) }
        }
    }

    fn add(ledger: &Ledger<Words>, word: &str) -> Result<usize, LedgerError> {
        ledger.change(|words| {
            words.0.push(word.to_owned());
            Ok(words.0.len())
        })
    }

    #[test]
    fn two_writers_lose_nothing_of_each_other_s() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("words.json");
        let (one, two) = (Ledger::open(&path).unwrap(), Ledger::open(&path).unwrap());
        assert_eq!(add(&one, "a").unwrap(), 1);
        assert_eq!(add(&two, "b").unwrap(), 2);
        assert_eq!(*one.get(), Words(vec!["a".to_owned()]));
        assert!(one.reload_if_changed().unwrap());
        assert!(!one.reload_if_changed().unwrap());
        assert_eq!(one.get(), two.get());
        files::check_private(&path).unwrap();
    }

    #[test]
    fn a_damaged_file_is_said_to_be_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("words.json");
        let ledger = Ledger::open(&path).unwrap();
        add(&ledger, "a").unwrap();
        for broken in ["[\"", "[\"\"]"] {
            files::write_private(&path, broken.as_bytes()).unwrap();
            assert!(matches!(ledger.reload_if_changed(), Err(LedgerError::Damaged { .. })));
            assert!(matches!(add(&ledger, "b"), Err(LedgerError::Damaged { .. })));
            assert_eq!(ledger.get().0, ["a"]);
            assert!(Ledger::<Words>::open(&path).is_err());
        }
    }

    #[test]
    fn a_pipe_in_its_place_or_its_lock_s_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("words.json");
        let ledger = Arc::new(Ledger::open(&path).unwrap());
        let pipe = |at: &Path| {
            rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        };
        // In a thread of its own, so that what never ends fails.
        let added = |ledger: &Arc<Ledger<Words>>| {
            let (ledger, (done, told)) = (Arc::clone(ledger), std::sync::mpsc::channel());
            thread::spawn(move || done.send(add(&ledger, "a")));
            told.recv_timeout(Duration::from_secs(30)).expect("it does not end")
        };
        pipe(&path.with_extension("lock"));
        assert!(matches!(added(&ledger), Err(LedgerError::File(FileError::Io { what: "lock", .. }))));
        fs::remove_file(path.with_extension("lock")).unwrap();
        pipe(&path);
        assert!(matches!(added(&ledger), Err(LedgerError::File(FileError::NotAFile(_)))));
        fs::remove_file(&path).unwrap();
        assert_eq!(added(&ledger).unwrap(), 1);
        // Nor is a lock made where a link leads.
        let elsewhere = dir.path().join("elsewhere");
        fs::remove_file(path.with_extension("lock")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, path.with_extension("lock")).unwrap();
        assert!(add(&ledger, "b").is_err() && !elsewhere.exists());
    }
}
