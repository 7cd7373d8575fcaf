//! A segment of the log: a file of whole lines that only grows, by its number.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use portcullis_audit::MAX_LINE;

#[cfg(debug_assertions)]
use super::faults::{self, Op};

/// Where a segment lies, as it is written.
pub(crate) fn plain(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("audit-{number:06}.jsonl"))
}

/// Where a segment lies once it is compressed.
pub(crate) fn compressed(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("audit-{number:06}.jsonl.zst"))
}

/// Where the checkpoint lies that was signed last while a segment was written.
pub(crate) fn checkpoint(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("audit-{number:06}.checkpoint"))
}

/// The numbers of the files with this ending, in order.
pub(crate) fn numbers(dir: &Path, ending: &str) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix("audit-")?.strip_suffix(ending)?.parse::<u64>().ok());
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}

/// A segment that is open for writing. Its writer says where, so that what could not be synced can be written anew.
pub(super) struct SegmentFile {
    file: File,
}

impl SegmentFile {
    /// Makes a segment that is not there yet, and its name durable.
    pub(super) fn create(dir: &Path, number: u64) -> io::Result<Self> {
        #[cfg(debug_assertions)]
        faults::meet(Op::Write)?;
        let path = plain(dir, number);
        let file = match options().create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => left_over(&path)?,
            made => made?,
        };
        File::open(dir)?.sync_all()?;
        Ok(Self { file })
    }

    /// Opens a segment that is there.
    pub(super) fn open(dir: &Path, number: u64) -> io::Result<Self> {
        Ok(Self { file: options().open(plain(dir, number))? })
    }

    /// Writes these bytes at this place, all of them.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(debug_assertions)]
        if let Err(error) = faults::meet(Op::Write) {
            // As a disk does that fills up: some of it was written.
            self.file.write_all_at(bytes.get(..bytes.len() / 2).unwrap_or_default(), at)?;
            return Err(error);
        }
        self.file.write_all_at(bytes, at)
    }

    /// Reads this many bytes from this place.
    pub(super) fn read(&self, length: usize, at: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    /// Brings everything that was written to the medium.
    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(debug_assertions)]
        faults::meet(Op::Sync)?;
        self.file.sync_data()
    }

    /// Cuts the segment to this length.
    pub(super) fn cut(&self, length: u64) -> io::Result<()> {
        if self.length()? == length {
            return Ok(());
        }
        #[cfg(debug_assertions)]
        faults::meet(Op::Cut)?;
        self.file.set_len(length)
    }

    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether the disk takes more than one entry again: the short one that marks a recovery may fit where the next
    /// request's would not. A file system that cannot say is tried.
    pub(super) fn has_room(&self, at: u64) -> bool {
        const ROOM: u64 = 16 * 1024;
        use rustix::io::Errno;
        let reserved = rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::KEEP_SIZE, at, ROOM);
        !matches!(reserved, Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::IO | Errno::ROFS))
    }
}

/// The file of a segment whose first entry could not be written, and that could not be removed either. One with a whole
/// entry is a segment, and is never touched.
fn left_over(path: &Path) -> io::Result<File> {
    let file = options().open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(MAX_LINE)];
    file.read_exact_at(&mut bytes, 0)?;
    if length > bytes.len() as u64 || bytes.contains(&b'\n') {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    file.set_len(0)?;
    Ok(file)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
