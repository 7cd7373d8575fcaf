//! A segment of the log: a file of whole lines that only grows, by its number.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use portcullis_audit::{MAX_LINE, Position};
use portcullis_certs::files;
use portcullis_filters::audit::Entry;

#[cfg(debug_assertions)]
use super::faults::{self, Op};

/// How much is copied at once.
const PIECE: usize = 1 << 20;

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

/// The number in the name of a checkpoint.
pub(crate) fn number_of(checkpoint: &Path) -> Option<u64> {
    number(checkpoint.file_name()?.to_str()?, ".checkpoint")
}

/// The number in the name of a segment, plain or compressed.
pub(crate) fn number_in(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    number(name.strip_suffix(".zst").unwrap_or(name), ".jsonl")
}

/// The number in a name with this ending; only in the one spelling in which names are made.
fn number(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_prefix("audit-")?.strip_suffix(ending)?;
    let number = digits.parse::<u64>().ok()?;
    (digits == format!("{number:06}")).then_some(number)
}

/// The numbers of the files with this ending, in order.
pub(crate) fn numbers(dir: &Path, ending: &str) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| number(name, ending));
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}

/// A segment that is open for writing. Its writer says where, so that what could not be synced can be written anew.
pub(super) struct SegmentFile {
    file: File,
    /// Where it was opened, for whoever has its disk fail.
    #[cfg(debug_assertions)]
    path: PathBuf,
}

impl SegmentFile {
    /// Makes a segment that is not there yet, and its name durable.
    pub(super) fn create(dir: &Path, number: u64) -> io::Result<Self> {
        let path = plain(dir, number);
        #[cfg(debug_assertions)]
        faults::meet(Op::Begin, &path)?;
        let file = options().create_new(true).open(&path)?;
        File::open(dir)?.sync_all()?;
        Ok(Self::at(file, &path))
    }

    /// Begins a segment that nobody sees before [`put_in_place`].
    pub(super) fn begin(dir: &Path, number: u64) -> io::Result<Self> {
        if plain(dir, number).exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Self::begin_beside(dir, number)
    }

    /// Puts a segment in the place of this one that has so many of its bytes, and these behind them: whole, or not at all.
    /// What has [another name](Self::has_other_names) stays as it is under that.
    pub(super) fn replace(&self, dir: &Path, number: u64, holds: u64, bytes: &[u8]) -> io::Result<Self> {
        let written = Self::begin_beside(dir, number).and_then(|file| {
            let mut at = 0;
            while at < holds {
                let piece = usize::try_from(holds - at).unwrap_or(usize::MAX).min(PIECE);
                file.write(&self.read(piece, at)?, at)?;
                at += piece as u64;
            }
            file.write(bytes, holds)?;
            file.sync()?;
            put_in_place(dir, number)?;
            Ok(file)
        });
        if written.is_err() {
            // The next attempt removes it, too, but the disk may be full until then.
            let _ = fs::remove_file(begun(dir, number));
        }
        written
    }

    /// What is left of another time goes, and is not written through: it may be a link to something else.
    fn begin_beside(dir: &Path, number: u64) -> io::Result<Self> {
        let path = begun(dir, number);
        #[cfg(debug_assertions)]
        faults::meet(Op::Begin, &path)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let why = format!(
                    "what lies at `{}`, where it would begin, cannot be removed: {error}; look what it is, and move it away",
                    path.display()
                );
                return Err(io::Error::new(error.kind(), why));
            }
            _ => {}
        }
        Ok(Self::at(options().create_new(true).open(&path)?, &path))
    }

    /// Opens a segment that is there.
    pub(super) fn open(dir: &Path, number: u64) -> io::Result<Self> {
        let path = plain(dir, number);
        Ok(Self::at(files::open_regular_with(&mut options(), &path)?, &path))
    }

    /// The segment that a start goes on in, behind so many bytes of whole lines and these lines, which take the place of
    /// what is torn there: one line behind others, and any number where there is none.
    pub(super) fn go_on(found: Option<Self>, dir: &Path, number: u64, whole: u64, lines: &[u8]) -> io::Result<Self> {
        let Some(file) = found else { return Self::create(dir, number) };
        if whole == 0 && (!lines.is_empty() || file.has_other_names()?) {
            return file.replace(dir, number, 0, lines);
        }
        if let Some((newline, line)) = lines.split_last() {
            // Whenever this ends, either a torn line is what stands here, or the entry that tells of one, on the medium.
            file.write(line, whole)?;
            file.sync()?;
            let end = whole + line.len() as u64;
            file.write(&[*newline], end)?;
            file.sync()?;
            file.cut(end + 1)?;
            file.sync()?;
        }
        Ok(file)
    }

    fn at(file: File, path: &Path) -> Self {
        #[cfg(not(debug_assertions))]
        let _ = path;
        Self {
            file,
            #[cfg(debug_assertions)]
            path: path.to_owned(),
        }
    }

    /// Writes these bytes at this place, all of them.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(debug_assertions)]
        if let Err(error) = faults::meet(Op::Write, &self.path) {
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
        faults::meet(Op::Sync, &self.path)?;
        self.file.sync_data()
    }

    /// Cuts the segment to this length.
    pub(super) fn cut(&self, length: u64) -> io::Result<()> {
        if self.length()? == length {
            return Ok(());
        }
        #[cfg(debug_assertions)]
        faults::meet(Op::Cut, &self.path)?;
        self.file.set_len(length)
    }

    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether it can be reached by another name, too. Where lines in it hold it is the log's own, and that is a backup of
    /// hard links, which gets what is added as well: no reason to let nobody in. Where none does, nothing shows whose file
    /// it is, and what has another name must be neither cut nor written. Its owner says less: files that were restored, or
    /// lie on a network share, may belong to anybody, and the seals say whose lines they hold.
    pub(super) fn has_other_names(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() > 1)
    }

    /// Whether it ends like this: so many bytes of whole lines, and so many of one that has no end.
    pub(super) fn ends_with(&self, whole: u64, torn: u64) -> io::Result<bool> {
        // With the newline before it, where there is one.
        let from = whole.saturating_sub(1);
        let length = self.length()?;
        let end = usize::try_from(length.saturating_sub(from)).unwrap_or(usize::MAX);
        if whole.checked_add(torn) != Some(length) || end > MAX_LINE {
            return Ok(false);
        }
        Ok(memchr::memrchr(b'\n', &self.read(end, from)?) == (whole > 0).then_some(0))
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

/// Hands over the entry that ties a new segment to the one before, which ended here.
pub(super) fn link<T>(ended: u64, before: Position, to: impl FnOnce(&Entry<'_>) -> T) -> T {
    let name = format!("audit-{ended:06}.jsonl");
    to(&Entry {
        event_type: "audit.segment",
        path: &name,
        segment: ended.saturating_add(1),
        previous_hmac: before.previous.as_str(),
        ..Entry::default()
    })
}

/// Where a segment lies until its first entry is written: who reads the log follows only into one that has it.
pub(super) fn begun(dir: &Path, number: u64) -> PathBuf {
    plain(dir, number).with_extension("jsonl.part")
}

/// Gives a segment that has its first entry its name.
pub(super) fn put_in_place(dir: &Path, number: u64) -> io::Result<()> {
    let path = plain(dir, number);
    #[cfg(debug_assertions)]
    faults::meet(Op::Name, &path)?;
    fs::rename(begun(dir, number), &path)?;
    sync_folder(dir, number)
}

/// Brings names to the medium: that of this segment at least, or that it is gone.
pub(super) fn sync_folder(dir: &Path, number: u64) -> io::Result<()> {
    #[cfg(debug_assertions)]
    faults::meet(Op::Folder, &plain(dir, number))?;
    #[cfg(not(debug_assertions))]
    let _ = number;
    File::open(dir)?.sync_all()
}

/// Removes a segment that was begun and is not to be, under either name: nothing but the entry that ties it to the one
/// before is in it, and nobody waited for that.
pub(super) fn take_back(dir: &Path, number: u64) -> io::Result<()> {
    for path in [begun(dir, number), plain(dir, number)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    File::open(dir)?.sync_all()
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
