//! Whether a segment that has ended is the one that was written.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use portcullis_audit::{Line, MAX_LINE, Position, SegmentKeys, Tree, VerifierKey, check_lines, leaf_hash, tree};

use super::KeepError;
use crate::audit_log::checkpoints::{self, BadCheckpoint, Signed};
use crate::audit_log::tree_file::{self, TreeFile};
use crate::audit_log::{Shared, beginning, segment};

/// How much is read at once, and with one line more all that is held.
const PIECE: u64 = 1 << 20;
/// Tells whether segments are what was written, by the keys of their seals and what was signed.
pub(super) struct Ended {
    log: Arc<Shared>,
    pub(super) keys: Arc<SegmentKeys>,
    pub(super) signer: VerifierKey,
}

impl Ended {
    pub(super) fn new(log: &Arc<Shared>, keys: Arc<SegmentKeys>, signer: VerifierKey) -> Self {
        Self { log: Arc::clone(log), keys, signer }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.log.dir
    }

    /// Whether the log is being closed, which waits for the keeper.
    pub(super) fn is_closed(&self) -> bool {
        self.log.rotated.closed()
    }

    /// The files that a segment lies in: plain, compressed, or both.
    pub(super) fn files(&self, number: u64) -> Vec<PathBuf> {
        let both = [segment::plain(self.dir(), number), segment::compressed(self.dir(), number)];
        both.into_iter().filter(|path| path.exists()).collect()
    }

    /// Reads a file that should hold a segment, and hands on what holds of it. Says how many bytes its lines are, once
    /// they are shown to be the ones that were written: each under its seal, from where the checkpoint of the segment
    /// before ends to where its own does, together with what the file `tree` says of those before them under the root
    /// that was signed there, and followed by the first line of the next segment.
    ///
    /// # Errors
    /// When it is another one, or cannot be read, or the log is being closed.
    pub(super) fn read(
        &self,
        number: u64,
        path: &Path,
        mut each: impl FnMut(&[u8]) -> Result<(), KeepError>,
    ) -> Result<u64, KeepError> {
        let end = self.checkpoint(number)?.checkpoint;
        let mut position = self.begins_after(number, path)?;
        let file = TreeFile::read(self.dir()).map_err(KeepError::io("open", &tree_file::path(self.dir())))?;
        let tree = Tree::resume(position.next_seq, &file);
        let mut tree = tree.map_err(|why| KeepError::changed(&tree_file::path(self.dir()), why.to_string()))?;
        let key = self.keys.seal_key(number);
        let mut reader = beginning::open(path).map_err(|error| unread(path, error))?;
        let (mut bytes, mut stored, mut length) = (Vec::new(), Vec::new(), 0);
        loop {
            if self.is_closed() {
                return Err(KeepError::Stopped);
            }
            let got = (&mut reader).take(PIECE).read_to_end(&mut bytes).map_err(|error| unread(path, error))?;
            let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
            let torn = bytes.len() - whole;
            if torn > MAX_LINE || (got == 0 && torn > 0) {
                return Err(KeepError::changed(
                    path,
                    format!("after {} entries comes what is none", position.next_seq),
                ));
            }
            if got == 0 {
                break;
            }
            let lines = bytes.get(..whole).unwrap_or_default();
            let checked = check_lines(lines, Some(&key), position);
            for leaf in checked.leaves {
                stored.clear();
                tree.push(leaf, &mut stored);
            }
            position = checked.position;
            if let Some((_, why)) = checked.bad {
                return Err(KeepError::changed(
                    path,
                    format!("the entry that should be number {}: {why}", position.next_seq),
                ));
            }
            if position.next_seq > end.size {
                return Err(KeepError::changed(path, format!("it was signed with {} entries, and has more", end.size)));
            }
            each(lines)?;
            length += whole as u64;
            bytes.drain(..whole);
        }
        if (position.next_seq, tree.root()) != (end.size, end.root) {
            let why = format!(
                "its entries are not the {} that its checkpoint was signed over, or `tree` was changed",
                end.size
            );
            return Err(KeepError::changed(path, why));
        }
        let next = self.following(number)?;
        let (_, after) = self.first_line(next)?;
        if after != position {
            let why = format!("its first entry does not follow the last one of segment {number}");
            return Err(KeepError::changed(&self.shown(next), why));
        }
        Ok(length)
    }

    /// When a segment ended: when the next one's first entry was written, which is under a checkpoint by now. A file's own
    /// times are anybody's to set, and a seal is no use against whoever was given the key of that one segment.
    ///
    /// # Errors
    /// When it is not the entry that was written, or cannot be read.
    pub(super) fn at(&self, number: u64) -> Result<SystemTime, KeepError> {
        let next = self.following(number)?;
        let (line, after) = self.first_line(next)?;
        let path = self.shown(next);
        let wrong = |why: &str| KeepError::changed(&path, why);
        let signed = self.checkpoint(next)?.checkpoint;
        let file = TreeFile::read(self.dir()).map_err(KeepError::io("open", &tree_file::path(self.dir())))?;
        let proof = tree::inclusion(&file, after.next_seq, signed.size);
        let shown = proof.ok().is_some_and(|proof| {
            tree::verify_inclusion(&leaf_hash(&line), after.next_seq, signed.size, &proof, &signed.root).is_ok()
        });
        if !shown {
            return Err(wrong(
                "its first entry is not the one that its checkpoint was signed over, or `tree` was changed",
            ));
        }
        let time = Line::read(&line).and_then(|line| line.timestamp.parse::<jiff::Timestamp>().ok());
        Ok(time.ok_or_else(|| wrong("its first entry does not say when it was written"))?.into())
    }

    /// The place before the first line of a segment, as the segment before was signed.
    fn begins_after(&self, number: u64, path: &Path) -> Result<Position, KeepError> {
        let Some(before) = number.checked_sub(1) else { return Ok(Position::START) };
        let ended = self.checkpoint(before)?.checkpoint.size;
        let (_, after) = self.first_line_of(path, number)?;
        match after.next_seq == ended {
            true => Ok(after),
            false => Err(KeepError::changed(path, format!("it does not begin after the {ended} entries before it"))),
        }
    }

    fn following(&self, number: u64) -> Result<u64, KeepError> {
        number.checked_add(1).ok_or_else(|| KeepError::changed(&self.shown(number), "no segment comes after it"))
    }

    /// The first line of a segment, without its newline, and the place before it.
    fn first_line(&self, number: u64) -> Result<(Vec<u8>, Position), KeepError> {
        self.first_line_of(&self.shown(number), number)
    }

    fn first_line_of(&self, path: &Path, number: u64) -> Result<(Vec<u8>, Position), KeepError> {
        let first = beginning::first_line(path, &self.keys, number).map_err(|error| unread(path, error))?;
        first.map_err(|why| KeepError::changed(path, why))
    }

    /// The checkpoint that this node signed when a segment ended.
    pub(super) fn checkpoint(&self, number: u64) -> Result<Signed, KeepError> {
        checkpoints::read(&segment::checkpoint(self.dir(), number), &self.signer).map_err(|error| match error {
            BadCheckpoint::Unread { path, why } => KeepError::changed(&path, why),
            BadCheckpoint::Wrong { path, why } => KeepError::changed(&path, why),
        })
    }

    /// Where a segment is read that lies there twice, or not at all.
    fn shown(&self, number: u64) -> PathBuf {
        self.files(number).into_iter().next().unwrap_or_else(|| segment::plain(self.dir(), number))
    }
}

/// What the system does not say, the bytes do.
fn unread(path: &Path, error: io::Error) -> KeepError {
    match error.raw_os_error() {
        _ if error.kind() == io::ErrorKind::NotFound => KeepError::changed(path, "it is not here"),
        None => KeepError::changed(path, format!("it cannot be read ({error})")),
        Some(_) => KeepError::io("read", path)(error),
    }
}
