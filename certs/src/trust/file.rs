//! The trust store on disk: read whole, written whole, and locked between the two.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::TrustError;
use super::document::Document;
use crate::files::{self, FileError};

/// How long a writer waits for its turn. A write takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks whether it is its turn.
const PAUSE: Duration = Duration::from_millis(5);

/// Where the trust store is.
pub(super) struct TrustFile {
    path: PathBuf,
    /// Beside it, and never replaced: the file itself is another one after every write.
    lock: PathBuf,
}

/// What tells one version of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: (i64, i64),
    length: u64,
    inode: u64,
}

impl TrustFile {
    pub(super) fn of(state: &Path) -> Self {
        Self { path: state.join("trust.json"), lock: state.join("trust.lock") }
    }

    /// The file's content, empty where there is none.
    ///
    /// The stamp is taken first: a version that comes in between is read once more, never missed.
    pub(super) fn read(&self) -> Result<(Document, Option<Stamp>), TrustError> {
        let stamp = self.stamp()?;
        if stamp.is_none() {
            return Ok((Document::default(), None));
        }
        let text = files::read_private(&self.path)?;
        let document = Document::parse(&text).map_err(|why| self.damaged(why))?;
        Ok((document, stamp))
    }

    pub(super) fn write(&self, document: &Document) -> Result<Option<Stamp>, TrustError> {
        let mut bytes = serde_json::to_vec_pretty(document).map_err(|e| self.damaged(e.to_string()))?;
        bytes.push(b'\n');
        files::write_private(&self.path, &bytes)?;
        self.stamp()
    }

    pub(super) fn stamp(&self) -> Result<Option<Stamp>, TrustError> {
        match fs::metadata(&self.path) {
            Ok(meta) => {
                Ok(Some(Stamp { modified: (meta.mtime(), meta.mtime_nsec()), length: meta.len(), inode: meta.ino() }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FileError::Io { what: "look at", path: self.path.clone(), source }.into()),
        }
    }

    /// Waits for this writer's turn, which lasts until the handle is dropped.
    pub(super) fn lock(&self) -> Result<File, TrustError> {
        let io = |source| FileError::Io { what: "lock", path: self.lock.clone(), source };
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.lock).map_err(io)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    return Err(TrustError::Busy(self.lock.clone()));
                }
                Err(error) => return Err(io(error.into()).into()),
            }
        }
    }

    fn damaged(&self, why: String) -> TrustError {
        TrustError::Damaged { path: self.path.clone(), why }
    }
}
