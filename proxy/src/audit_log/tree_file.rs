//! The hashes of the tree's whole subtrees, in one file, in the order in which they were complete.
//!
//! What stands beyond the log's size is cut off when the log is continued, and not before: until then it is evidence. A
//! proof reads a few of its hashes; a new root needs those on the right edge alone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use portcullis_audit::tree::{Hash, Nodes, stored_count};
use portcullis_certs::files;

/// The size of a hash, in bytes.
const HASH: u64 = 32;

/// How much is read at once.
const PIECE: usize = 1 << 20;

/// What stands in the file beyond the size of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Nothing but what follows by the log's lines.
    Fits,
    /// More than the log has lines for.
    More,
    /// Something else.
    Differs,
}

/// The file, open for reading; whoever opened the log writes it.
pub(crate) struct TreeFile {
    file: File,
    /// Where the next hashes are written.
    length: u64,
}

/// Where the file lies.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("tree")
}

impl TreeFile {
    /// Opens the file for reading proofs.
    pub(crate) fn read(dir: &Path) -> io::Result<Self> {
        let file = files::open_regular(&path(dir))?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// How many hashes it held when it was opened.
    pub(crate) fn stored(&self) -> u64 {
        self.length / HASH
    }

    /// Reads stored hashes, as many as there is room for, from this one on.
    pub(crate) fn read_stored(&self, index: u64, hashes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(hashes, index.saturating_mul(HASH))
    }

    /// Opens the file for a log of so many entries. `None` where it holds less, or is not there. Changes nothing yet.
    pub(super) fn open(dir: &Path, size: u64) -> io::Result<Option<Self>> {
        let file = match files::open_regular_with(OpenOptions::new().read(true).write(true), &path(dir)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(length) = stored_count(size).checked_mul(HASH) else { return Ok(None) };
        if file.metadata()?.len() < length {
            return Ok(None);
        }
        Ok(Some(Self { file, length }))
    }

    /// Holds what stands beyond the log's size against the hashes that follow by its lines. A hash of zeros is one that
    /// was under way when the power went.
    pub(super) fn beyond(&self, follow: &[u8]) -> io::Result<Beyond> {
        let mut follow = follow.as_chunks::<32>().0.iter();
        let mut piece = vec![0; PIECE];
        let (mut at, end) = (self.length, self.file.metadata()?.len());
        while end.saturating_sub(at) >= HASH {
            let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(PIECE) & !(HASH as usize - 1);
            let here = piece.get_mut(..want).unwrap_or_default();
            self.file.read_exact_at(here, at)?;
            for hash in here.as_chunks::<32>().0 {
                match (*hash == [0; 32], follow.next()) {
                    (true, _) => {}
                    (false, None) => return Ok(Beyond::More),
                    (false, Some(expected)) if hash != expected => return Ok(Beyond::Differs),
                    (false, Some(_)) => {}
                }
            }
            at += want as u64;
        }
        Ok(Beyond::Fits)
    }

    /// Makes the file, for a log of which nothing is in it yet.
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.create_new(true).read(true).write(true).mode(0o600).open(path(dir))?;
        Ok(Self { file, length: 0 })
    }

    /// The log is continued: what is beyond it goes, and these hashes of what was read follow.
    pub(super) fn accept(&mut self, hashes: &[u8]) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.append(hashes)
    }

    /// Appends hashes that are complete now, and brings them to the medium.
    pub(super) fn append(&mut self, hashes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(hashes, self.length)?;
        self.file.sync_data()?;
        self.length += hashes.len() as u64;
        Ok(())
    }
}

impl Nodes for TreeFile {
    fn node(&self, index: u64) -> io::Result<Hash> {
        let mut hash = [0; 32];
        let at = index.checked_mul(HASH).ok_or_else(|| io::Error::other("the tree is not that large"))?;
        self.file.read_exact_at(&mut hash, at)?;
        Ok(hash)
    }
}
