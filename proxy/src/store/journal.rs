//! Used nonces on disk: `<node.state>/replay/`, private to its owner and to one gate.
//!
//! There is a file for each bucket of [`super::live`], to which records are only ever added, and
//! `journal.json`, which says which files count. A write is done when the system has the bytes: that
//! outlives the process. It need not outlive the machine, since a journal of another boot is not trusted.
//! Nothing is synced, therefore, and a record costs one `write`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use portcullis_certs::files::{self, FileError};
use serde::{Deserialize, Serialize};

use super::hashed::{HashKey, Hashed};
use super::live::{Live, end_ms};

mod head;
mod records;

use head::{Found, Head};

/// The most buckets at once. A window of five minutes has 77; others come of a clock that jumps about.
const MAX_BUCKETS: usize = 256;

/// Whose journal it is, and of which boot of the machine.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'o> {
    pub(crate) node: &'o str,
    pub(crate) boot: &'o str,
}

/// What was lost with a journal could still be used again: nothing is taken that was made until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quarantine {
    /// Unix milliseconds, as the clock showed them.
    pub(super) until_ms: i64,
    /// When the loss was noticed, in milliseconds since the machine started.
    pub(super) began_ms: i64,
}

/// Why a journal cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("the replay journal `{0}` is in use by another process; only one gate may write it")]
    Busy(PathBuf),
    #[error("cannot {what} the replay journal `{path}`: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a journal remembers.
pub(super) struct Opened {
    pub(super) journal: Journal,
    pub(super) live: Live,
    /// Why what it held before cannot be trusted, where that is so.
    pub(super) lost: Option<&'static str>,
}

/// An open journal.
pub(super) struct Journal {
    dir: PathBuf,
    node: String,
    boot: String,
    head: Head,
    files: BTreeMap<u32, Bucket>,
    _lock: Lock,
}

/// Held for as long as the journal is open.
struct Lock(File);

struct Bucket {
    file: File,
    /// Where the next record goes. What a failed write left behind it is written over.
    end: u64,
}

/// Where the used nonces of a node lie.
pub(crate) fn replay_dir(state: &Path) -> PathBuf {
    state.join("replay")
}

/// Makes an empty journal for a node that was just made: it has no past, so nothing is lost.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn begin(dir: &Path, node: &str) -> Result<(), JournalError> {
    begin_on(dir, &Origin { node, boot: &boot_id() })
}

/// The same on this boot of the machine.
pub(super) fn begin_on(dir: &Path, origin: &Origin<'_>) -> Result<(), JournalError> {
    files::create_private_dir(dir)?;
    if head::path(dir).exists() {
        return Ok(());
    }
    let io = |source| JournalError::Io { what: "begin", path: dir.to_owned(), source };
    Head::new().and_then(|head| head.write(dir, origin)).map_err(io)
}

/// How a journal stands, for whoever only looks.
pub(crate) struct Standing {
    /// Why a gate that starts now cannot trust it.
    pub(crate) lost: Option<&'static str>,
    /// Nothing is taken that was not made after this Unix millisecond.
    pub(crate) above_ms: Option<i64>,
}

/// Looks at a journal that a gate may be using.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn look(dir: &Path, node: &str) -> Result<Standing, JournalError> {
    Ok(match Head::read(dir, &Origin { node, boot: &boot_id() })? {
        Found::Ours(head) => {
            let above_ms = head.floor.map(end_ms).max(head.quarantine.map(|quarantine| quarantine.until_ms));
            Standing { lost: None, above_ms }
        }
        Found::Untrusted(why, _) | Found::Nothing(why) => Standing { lost: Some(why), above_ms: None },
    })
}

/// What a gate leaves behind that remembered by itself.
pub(super) enum Left {
    /// A journal as it was made with the node, on this boot of the machine: nothing was ever let in.
    Unused,
    /// Nothing is known to be younger than this Unix millisecond.
    Used(i64),
}

/// Looks at a journal that is to be given up.
///
/// # Errors
/// When it cannot be read.
pub(super) fn left(dir: &Path, node: &str) -> Result<Left, JournalError> {
    Ok(match Head::read(dir, &Origin { node, boot: &boot_id() })? {
        Found::Ours(head) if head.floor.is_none() && head.quarantine.is_none() && head.buckets.is_empty() => {
            Left::Unused
        }
        Found::Ours(head) | Found::Untrusted(_, head) => {
            Left::Used(head.floor.iter().chain(&head.buckets).copied().map(end_ms).max().unwrap_or_default())
        }
        Found::Nothing(_) => Left::Used(0),
    })
}

/// Which start of the machine this is. Where the system does not say, no two are the same.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| ulid::Ulid::new().to_string(), |text| text.trim().to_owned())
}

impl Journal {
    /// Opens the journal, or begins a new one where what is there cannot be trusted. Then everything that
    /// was made before `blind_ms` (now, and a window) may have been used.
    ///
    /// # Errors
    /// When another process has it, or the disk says no.
    pub(super) fn open(dir: &Path, origin: &Origin<'_>, blind: Quarantine) -> Result<Opened, JournalError> {
        files::create_private_dir(dir)?;
        let lock = lock(dir)?;
        let io = |what| move |source| JournalError::Io { what, path: dir.to_owned(), source };
        let (lost, former) = match Head::read(dir, origin)? {
            Found::Ours(head) => match load(dir, &head).map_err(io("read"))? {
                Some((live, files)) => {
                    let journal = Self::of(dir, origin, head, files, lock);
                    journal.remove_unnamed().map_err(io("tidy"))?;
                    return Ok(Opened { journal, live, lost: None });
                }
                None => ("it is damaged", Some(head)),
            },
            Found::Untrusted(why, head) => (why, Some(head)),
            Found::Nothing(why) => (why, None),
        };
        let mut head = Head::new().map_err(io("begin"))?;
        // A clock that is behind must not shorten it: what the old journal knew was made by then.
        let known = former.iter().flat_map(|f| f.floor.iter().chain(&f.buckets).copied().map(end_ms));
        let known = known.chain(former.as_ref().and_then(|f| f.quarantine).map(|q| q.until_ms));
        let until_ms = known.fold(blind.until_ms, i64::max);
        head.quarantine = Some(Quarantine { until_ms, ..blind });
        head.write(dir, origin).map_err(io("begin"))?;
        let journal = Self::of(dir, origin, head, BTreeMap::new(), lock);
        journal.remove_unnamed().map_err(io("tidy"))?;
        Ok(Opened { journal, live: Live::default(), lost: Some(lost) })
    }

    fn of(dir: &Path, origin: &Origin<'_>, head: Head, files: BTreeMap<u32, Bucket>, lock: Lock) -> Self {
        let (node, boot) = (origin.node.to_owned(), origin.boot.to_owned());
        Self { dir: dir.to_owned(), node, boot, head, files, _lock: lock }
    }

    /// What its nonces are hashed with.
    pub(super) fn key(&self) -> HashKey {
        HashKey::from_bytes(*self.head.key.as_bytes())
    }

    pub(super) fn quarantine(&self) -> Option<Quarantine> {
        self.head.quarantine
    }

    /// Whether a bucket can be begun.
    pub(super) fn has_room_for(&self, number: u32) -> bool {
        self.files.len() < MAX_BUCKETS || self.files.contains_key(&number)
    }

    /// Writes a nonce down. When this returns, it will be remembered.
    ///
    /// # Errors
    /// When it cannot be told whether it will be.
    pub(super) fn append(&mut self, number: u32, hashed: &Hashed, created_s: u32) -> io::Result<()> {
        if !self.files.contains_key(&number) {
            self.begin_bucket(number)?;
        }
        let bucket = self.files.get_mut(&number).ok_or(io::ErrorKind::NotFound)?;
        bucket.file.write_all_at(&records::record(hashed, created_s), bucket.end)?;
        bucket.end = bucket.end.saturating_add(records::LENGTH_64);
        Ok(())
    }

    /// Forgets this bucket and all older ones. Returns the files that may be removed now.
    ///
    /// # Errors
    /// When that cannot be written down; nothing is forgotten then.
    pub(super) fn forget(&mut self, number: u32) -> io::Result<Vec<PathBuf>> {
        let (floor, buckets) = (self.head.floor, self.head.buckets.clone());
        self.head.floor = floor.max(Some(number));
        self.head.buckets.retain(|younger| *younger > number);
        if let Err(error) = self.write_head() {
            (self.head.floor, self.head.buckets) = (floor, buckets);
            return Err(error);
        }
        let younger = number.checked_add(1).map(|next| self.files.split_off(&next)).unwrap_or_default();
        let forgotten = std::mem::replace(&mut self.files, younger);
        Ok(forgotten.into_keys().map(|number| bucket_path(&self.dir, number)).collect())
    }

    /// Whether the disk takes what is written.
    ///
    /// # Errors
    /// What it says.
    pub(super) fn probe(&self) -> io::Result<()> {
        self.write_head()
    }

    /// A bucket's file counts once it is named: a crash in between leaves a file without a record.
    fn begin_bucket(&mut self, number: u32) -> io::Result<()> {
        let mut file = begin_anew(&bucket_path(&self.dir, number))?;
        file.write_all(&records::header(self.head.journal, number))?;
        let before = self.head.buckets.clone();
        self.head.buckets.push(number);
        self.head.buckets.sort_unstable();
        if let Err(error) = self.write_head() {
            self.head.buckets = before;
            return Err(error);
        }
        self.files.insert(number, Bucket { file, end: records::LENGTH_64 });
        Ok(())
    }

    fn write_head(&self) -> io::Result<()> {
        self.head.write(&self.dir, &Origin { node: &self.node, boot: &self.boot })
    }

    /// Removes the files of buckets that do not count.
    fn remove_unnamed(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let named = self.files.keys().any(|number| bucket_path(&self.dir, *number) == path);
            let kind = path.extension().and_then(|e| e.to_str());
            if matches!(kind, Some("nonces" | "new")) && !named {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Reads every bucket that counts; `None` when one is damaged or missing.
fn load(dir: &Path, head: &Head) -> io::Result<Option<(Live, BTreeMap<u32, Bucket>)>> {
    let mut live = Live::above(head.floor);
    let mut files = BTreeMap::new();
    for number in head.buckets.iter().copied() {
        let path = bucket_path(dir, number);
        let file = match files::open_regular_with(OpenOptions::new().read(true).write(true), &path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))),
        };
        let whole = records::read(&file, head.journal, number, |hashed| live.insert(number, hashed))?;
        let Some(end) = whole else { return Ok(None) };
        // A torn record goes away for good: it must not look like more once others follow.
        file.set_len(end)?;
        files.insert(number, Bucket { file, end });
    }
    Ok(Some((live, files)))
}

fn bucket_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}.nonces"))
}

/// Puts a private file in place, whole or not at all, without waiting for the disk.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = begin_anew(&beside)?;
    file.write_all(bytes)?;
    fs::rename(&beside, path)
}

/// Makes a file in the place of what lies there, and not in it: that may be a link to something else.
fn begin_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let why = format!(
                "what lies at `{}`, where a file begins, cannot be removed: {error}; look what it is, and move it away",
                path.display()
            );
            return Err(io::Error::new(error.kind(), why));
        }
        _ => {}
    }
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
}

fn lock(dir: &Path) -> Result<Lock, JournalError> {
    let path = dir.join("lock");
    let io = |source| JournalError::Io { what: "lock", path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = files::open_regular_with(&mut options, &path).map_err(io)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::Busy(dir.to_owned())),
        Err(error) => Err(io(error.into())),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file does it, too, but not while a process that was just forked has it open as well.
        let _ = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests;
