//! What was countersigned, one file for each log: the newest checkpoint, and what contradicted it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use portcullis_audit::{Checkpoint, Note, SignedCheckpoint, VerifierKey, VerifierKeyError, verify_cosignature};
use portcullis_certs::{NodePublic, files};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::judge::Evidence;
use crate::audit_log::checkpoints::{self, BadCheckpoint};

pub(crate) mod evidence;
mod unkept;

pub(crate) use unkept::Unkept;

/// Where the files lie in the state directory.
pub(crate) const FOLDER: &str = "witness";
/// The most logs: each is a peer that the operator approved, and a file.
const MAX_LOGS: usize = 1_024;
/// The most contradicting checkpoints of one kind of one log that are kept: one that forks convicts already, the others
/// say how it went on.
const MAX_EVIDENCE: usize = 8;
/// What the names of files end with, or go on with.
const KEPT: &str = "checkpoint";
const EVIDENCE: &str = "conflict-";
/// The file that one locks before a note is replaced or forgotten.
const LOCK: &str = "lock";
/// How long is waited for another's turn, which lasts for a few writes to the disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is tried meanwhile.
const PAUSE: Duration = Duration::from_millis(5);
/// What the name of the note that it contradicts has instead.
const BESIDE: &str = "countersigned-";

/// The files.
pub(crate) struct Shelf {
    dir: PathBuf,
    /// Checks this witness's own cosignatures.
    own: VerifierKey,
    most: usize,
    /// Evidence that the disk did not take.
    unkept: Arc<Unkept>,
}

/// A checkpoint that this witness countersigned.
pub(crate) struct Kept {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Note,
    /// When, in seconds since 1970.
    pub(crate) time: u64,
}

/// Why nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    #[error(
        "`{0}` is locked by another process for longer than any change takes; try again, and look for one that hangs"
    )]
    Busy(PathBuf),
    #[error(
        "`{path}` is not what this gate countersigned ({why}); nothing of this log is countersigned until it is mended \
         from a copy, or moved away, which forgets what was seen of the log"
    )]
    Damaged { path: PathBuf, why: String },
    #[error(transparent)]
    File(#[from] files::FileError),
    #[error("this gate is witness to as many logs as it can be ({MAX_LOGS})")]
    Full,
    #[error("cannot read `{path}`: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("this node's key cannot countersign: {0}")]
    Key(#[from] VerifierKeyError),
}

impl Shelf {
    /// Opens the folder, and makes it where there is none. What was left there half written goes.
    ///
    /// # Errors
    /// When it cannot be made, or not be locked.
    pub(crate) fn open(dir: &Path, own: &NodePublic) -> Result<Self, ShelfError> {
        files::create_private_dir(dir)?;
        let shelf = Self::read(dir, own)?;
        let listed = fs::read_dir(dir).map_err(|source| ShelfError::Io { path: dir.to_owned(), source })?;
        if listed.flatten().any(|entry| entry.file_name().to_str().is_some_and(files::is_unfinished)) {
            let _turn = shelf.lock()?;
            files::remove_unfinished(dir)?;
        }
        Ok(shelf)
    }

    /// The same for who only reads, which makes nothing.
    ///
    /// # Errors
    /// When this node's key cannot be a witness's.
    pub(crate) fn read(dir: &Path, own: &NodePublic) -> Result<Self, ShelfError> {
        let own = checkpoints::witness_key(own)?;
        Ok(Self { dir: dir.to_owned(), own, most: MAX_LOGS, unkept: Arc::default() })
    }

    /// Waits for this one's turn to change what is kept, which lasts until the handle is dropped: the running gate
    /// compares and replaces in one turn, and nobody forgets in between.
    ///
    /// # Errors
    /// When the file cannot be locked, or another holds it for too long.
    pub(crate) fn lock(&self) -> Result<File, ShelfError> {
        let path = self.dir.join(LOCK);
        let io = |source| ShelfError::Io { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = files::open_regular_with(&mut options, &path).map_err(io)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => std::thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK | Errno::INTR) => return Err(ShelfError::Busy(path)),
                Err(error) => return Err(io(error.into())),
            }
        }
    }

    /// Forgets what was countersigned of a log, so that it may begin anew; with its evidence where that is asked for.
    /// Says which files are gone: none where nothing was kept.
    ///
    /// # Errors
    /// When one cannot be removed, or the folder not be locked.
    pub(crate) fn forget(&self, origin: &str, with_evidence: bool) -> Result<Vec<PathBuf>, ShelfError> {
        let _turn = self.lock()?;
        let mut gone = vec![self.path(origin)];
        if with_evidence {
            gone.extend(self.beginning(origin, EVIDENCE));
            gone.extend(self.beginning(origin, BESIDE));
        }
        gone.retain(|path| path.exists());
        for path in &gone {
            fs::remove_file(path).map_err(|source| ShelfError::Io { path: path.clone(), source })?;
        }
        let io = |source| ShelfError::Io { path: self.dir.clone(), source };
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(io)?;
        Ok(gone)
    }

    /// The newest checkpoint of a log.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written: then nobody knows what was countersigned.
    pub(crate) fn last(&self, log: &VerifierKey) -> Result<Option<Kept>, ShelfError> {
        let path = self.path(log.name());
        if !path.try_exists().map_err(|source| ShelfError::Io { path: path.clone(), source })? {
            return Ok(None);
        }
        self.take(&path, log).map(Some)
    }

    /// Every log's newest checkpoint, by the names of the logs.
    ///
    /// # Errors
    /// When the folder cannot be read. A file that is damaged stands in the list as that.
    pub(crate) fn all(&self) -> Result<Vec<Result<Kept, ShelfError>>, ShelfError> {
        let mut all: Vec<_> = self
            .names()?
            .into_iter()
            .filter(|name| name.ends_with(KEPT))
            .map(|name| {
                let path = self.dir.join(name);
                let damaged = |why: &str| ShelfError::Damaged { path: path.clone(), why: why.to_owned() };
                let note = checkpoints::read_note(&path).map_err(|error| damaged(&error.to_string()))?;
                let claimed = Checkpoint::parse(&note.text).map_err(|error| damaged(&error.to_string()))?;
                let node =
                    checkpoints::node_of_origin(&claimed.origin).ok_or_else(|| damaged("it is no node's log"))?;
                self.take(&path, &checkpoints::verifier_key(&node)?)
            })
            .collect();
        all.sort_by_cached_key(|kept| kept.as_ref().map(|kept| kept.checkpoint.origin.clone()).ok());
        Ok(all)
    }

    /// Puts a countersigned checkpoint in the place of the last one of its log. It is on the medium then.
    ///
    /// # Errors
    /// When it cannot be written, or there are too many logs.
    pub(crate) fn keep(&self, note: &Note) -> Result<(), ShelfError> {
        let path = self.path(origin(note));
        if !path.exists() && self.names()?.iter().filter(|name| name.ends_with(KEPT)).count() >= self.most {
            return Err(ShelfError::Full);
        }
        Ok(files::write_private(&path, note.to_string().as_bytes())?)
    }

    /// Keeps a checkpoint that contradicts, and the countersigned one of that moment beside it. The first ones of each
    /// kind stay for good: whatever is submitted later drives none of them out. What the disk does not take is
    /// [tried again](Self::keep_unkept).
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep_evidence(
        &self,
        evidence: Evidence,
        note: &Note,
        countersigned: Option<&Note>,
    ) -> Result<(), ShelfError> {
        let put = self.put_evidence(evidence, note, countersigned);
        if put.is_err() {
            self.unkept.add(evidence, note, countersigned);
        }
        put
    }

    /// Tries again to keep what the disk did not take.
    pub(crate) fn keep_unkept(&self) {
        self.unkept.retry(|evidence, note, countersigned| self.put_evidence(evidence, note, countersigned).is_ok());
    }

    /// Evidence that the disk did not take.
    pub(crate) fn unkept(&self) -> &Arc<Unkept> {
        &self.unkept
    }

    fn put_evidence(&self, evidence: Evidence, note: &Note, countersigned: Option<&Note>) -> Result<(), ShelfError> {
        let (log, kind) = (hex(origin(note).as_bytes()), evidence.as_str());
        let of_kind = format!("{log}.{EVIDENCE}{kind}-");
        let print: String = hex(note.text.as_bytes()).chars().take(32).collect();
        let path = self.dir.join(format!("{of_kind}{print}"));
        if path.exists() || self.names()?.iter().filter(|name| name.starts_with(&of_kind)).count() >= MAX_EVIDENCE {
            return Ok(());
        }
        // Before the other: where that lies, this does, too.
        if let Some(countersigned) = countersigned {
            let beside = self.dir.join(format!("{log}.{BESIDE}{kind}-{print}"));
            files::write_private(&beside, countersigned.to_string().as_bytes())?;
        }
        Ok(files::write_private(&path, note.to_string().as_bytes())?)
    }

    /// The contradicting checkpoints of a log that are kept, those that convict first.
    pub(crate) fn evidence(&self, log: &str) -> Vec<PathBuf> {
        self.beginning(log, EVIDENCE)
    }

    /// The files of a log whose names go on like this.
    fn beginning(&self, log: &str, with: &str) -> Vec<PathBuf> {
        let of_log = format!("{}.{with}", hex(log.as_bytes()));
        let names = self.names().unwrap_or_default();
        let mut names: Vec<_> = names.into_iter().filter(|name| name.starts_with(&of_log)).collect();
        names.sort_unstable();
        names.into_iter().map(|name| self.dir.join(name)).collect()
    }

    fn take(&self, path: &Path, log: &VerifierKey) -> Result<Kept, ShelfError> {
        let damaged = |why: String| ShelfError::Damaged { path: path.to_owned(), why };
        let note = checkpoints::read_note(path).map_err(|error| match error {
            BadCheckpoint::Unread { why, .. } | BadCheckpoint::Wrong { why, .. } => damaged(why),
        })?;
        let signed = SignedCheckpoint::open(&note, log).map_err(|error| damaged(error.to_string()))?;
        let time = verify_cosignature(&note, &self.own).map_err(|error| damaged(error.to_string()))?;
        Ok(Kept { checkpoint: signed.into_checkpoint(), note, time })
    }

    /// The name of a file follows from the name of the log, and has nothing in it that the log chose.
    fn path(&self, origin: &str) -> PathBuf {
        self.dir.join(format!("{}.{KEPT}", hex(origin.as_bytes())))
    }

    /// The names of the files that are whole; those that are no text are none of ours.
    fn names(&self) -> Result<Vec<String>, ShelfError> {
        let io = |source| ShelfError::Io { path: self.dir.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(io)? {
            let name = entry.map_err(io)?.file_name().into_string().ok();
            names.extend(name.filter(|name| !files::is_unfinished(name)));
        }
        Ok(names)
    }
}

/// The name of the log that a checkpoint is of: its first line.
fn origin(note: &Note) -> &str {
    note.text.lines().next().unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
impl Shelf {
    /// With room for so many logs.
    pub(super) fn with_room(self, most: usize) -> Self {
        Self { most, ..self }
    }
}
