//! Deleting the oldest segments that are too old or too many: an entry says so, and is under a checkpoint before they go.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::SystemTime;

use portcullis_audit::{Checkpoint, Line};
use portcullis_filters::audit::Entry;

use super::KeepError;
use super::ended::Ended;
#[cfg(debug_assertions)]
use crate::audit_log::faults::{self, Op};
use crate::audit_log::read::{Cursor, Reader, Step, numbers};
use crate::audit_log::tree_file::{self, TreeFile};
use crate::audit_log::{AuditLog, Shared, checkpoints, pruned, segment};

/// What is to be deleted, and what is known of those that stay.
#[derive(Default)]
pub(super) struct Retention {
    announced: Option<Announced>,
    /// How many bytes the lines of a segment are, where it was shown to be the one that was written.
    lengths: BTreeMap<u64, u64>,
}

/// Segments of which an entry says that they are deleted, which may not be signed yet.
struct Announced {
    segments: RangeInclusive<u64>,
    /// Where in the log the entry is looked for, and the number that it is below.
    from: Cursor,
    below: u64,
}

impl Retention {
    /// Deletes what was announced once that is signed, and announces what is to go next. Never waits for a signature:
    /// the bell rings when there is one.
    ///
    /// # Errors
    /// When a segment is not what was written, which stays with all that came after it; or when the disk says no.
    pub(super) fn retire(&mut self, log: &Shared, ended: &Ended) -> Result<(), KeepError> {
        if let Some(announced) = &self.announced {
            let may_go = log.desk.progress().signed >= announced.below
                && log.exported().is_none_or(|up_to| *announced.segments.end() < up_to);
            if !may_go {
                return Ok(());
            }
            announced.delete(ended)?;
            self.announced = None;
        }
        self.announce(log, ended)
    }

    /// Notes how many bytes the lines of a segment are that was shown to be the one that was written.
    pub(super) fn knows(&mut self, number: u64, length: u64) {
        self.lengths.insert(number, length);
    }

    fn announce(&mut self, log: &Shared, ended: &Ended) -> Result<(), KeepError> {
        if log.settings.keep.is_none() && log.settings.keep_bytes.is_none() {
            self.lengths.clear();
            return Ok(());
        }
        // What the newest checkpoint was signed in is where a start looks; until it has moved on, that stays.
        let current = log.current_segment().min(log.desk.progress().signed_in);
        let mut here = numbers(&log.dir).map_err(KeepError::io("list", &log.dir))?;
        here.retain(|number| *number < current);
        let Some(first) = here.first().copied() else { return Ok(()) };
        self.lengths.retain(|number, _| *number >= first);
        let (last, stopped) = self.last_to_go(log, ended, &here);
        let Some(last) = last else { return stopped };
        let segments = first..=last;
        let (size, word) = word(ended, &segments)?;
        let before = *log.standing();
        let path = format!("audit-{first:06}.jsonl to audit-{last:06}.jsonl");
        let entry = Entry {
            event_type: pruned::EVENT,
            path: &path,
            prompt_sha256: &word,
            response_bytes: size,
            ..Entry::default()
        };
        let written = AuditLog::hand_over_to(log, entry.draft()).wait();
        written.map_err(|error| KeepError::io("write to the log in", &log.dir)(io::Error::other(error)))?;
        let below = log.standing().position.next_seq;
        let from = Cursor { segment: before.segment, offset: before.bytes };
        self.announced = Some(Announced { segments, from, below });
        log.want_signed(below);
        stopped
    }

    /// The last of these segments that is to go, and what stands in the way of more.
    fn last_to_go(&mut self, log: &Shared, ended: &Ended, here: &[u64]) -> (Option<u64>, Result<(), KeepError>) {
        let (mut beyond, mut stopped) = self.beyond(log, ended, here);
        let mut last = None;
        for number in here.iter().copied() {
            if log.exported().is_some_and(|up_to| number >= up_to) {
                break;
            }
            let goes = || -> Result<bool, KeepError> {
                let goes = beyond > 0 || is_old(log, ended, number)?;
                if goes {
                    ended.files(number).iter().try_for_each(|path| ended.read(number, path, |_| Ok(())).map(|_| ()))?;
                }
                Ok(goes)
            };
            match goes() {
                Ok(true) => last = Some(number),
                Ok(false) => break,
                Err(error) => {
                    stopped = Err(error);
                    break;
                }
            }
            beyond = beyond.saturating_sub(self.bytes(ended, number).unwrap_or(0));
        }
        (last, stopped)
    }

    /// How many bytes the segments are beyond what may be kept, and which one cannot be counted. The length of a file is
    /// anybody's to change, so each is looked through once before it counts; and only where that can make a difference.
    fn beyond(&mut self, log: &Shared, ended: &Ended, here: &[u64]) -> (u64, Result<(), KeepError>) {
        let Some(most) = log.settings.keep_bytes else { return (0, Ok(())) };
        let files = here.iter().flat_map(|number| ended.files(*number));
        let on_disk = files.fold(log.current_bytes(), |sum, path| sum.saturating_add(length(&path)));
        if on_disk <= most {
            return (0, Ok(()));
        }
        let (mut total, mut stopped) = (log.current_bytes(), Ok(()));
        for number in here.iter().copied() {
            match self.bytes(ended, number) {
                Ok(bytes) => total = total.saturating_add(bytes),
                Err(KeepError::Stopped) => return (0, Err(KeepError::Stopped)),
                Err(error) => stopped = stopped.and(Err(error)),
            }
        }
        (total.saturating_sub(most), stopped)
    }

    /// What a segment takes on disk: each of its files, but never more than its lines are.
    fn bytes(&mut self, ended: &Ended, number: u64) -> Result<u64, KeepError> {
        let files = ended.files(number);
        let known = match (self.lengths.get(&number), files.first()) {
            (Some(known), _) => *known,
            (None, Some(path)) => ended.read(number, path, |_| Ok(()))?,
            (None, None) => return Ok(0),
        };
        self.lengths.insert(number, known);
        Ok(files.iter().map(|path| length(path).min(known)).fold(0, u64::saturating_add))
    }
}

impl Announced {
    /// Deletes the segments. What shows that an entry tells of them is on the medium before.
    fn delete(&self, ended: &Ended) -> Result<(), KeepError> {
        let dir = ended.dir();
        let line = self.entry(ended)?;
        pruned::save(dir, &line, &ended.signer).map_err(KeepError::io("prove what is deleted in", dir))?;
        for number in numbers(dir).map_err(KeepError::io("list", dir))? {
            if self.segments.contains(&number) {
                // Each takes a slow disk its time. The next start goes on with what was announced.
                if ended.is_closed() {
                    return Err(KeepError::Stopped);
                }
                delete(ended, number)?;
            }
        }
        // The last one's says what they were.
        for number in segment::numbers(dir, ".checkpoint").map_err(KeepError::io("list", dir))? {
            if number < *self.segments.end() {
                let path = segment::checkpoint(dir, number);
                fs::remove_file(&path).map_err(KeepError::io("delete", &path))?;
            }
        }
        Ok(())
    }

    /// The entry that tells of them, without its newline: the one that a start believes.
    fn entry(&self, ended: &Ended) -> Result<Vec<u8>, KeepError> {
        let dir = ended.dir();
        let (file, signed) = (tree_of(dir)?, newest(ended)?);
        let path = segment::plain(dir, self.from.segment);
        let mut reader = Reader::from(dir, self.from);
        loop {
            let step = reader.next().map_err(|error| KeepError::io("read", &path)(io::Error::other(error)))?;
            let Step::Line(line) = step else {
                if matches!(step, Step::End { .. }) {
                    break;
                }
                continue;
            };
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let Some(read) = Line::read(line) else { continue };
            if read.seq_no >= self.below {
                break;
            }
            let told = pruned::Told::read(&read).filter(|told| told.segments == self.segments);
            if told.is_some_and(|told| told.is_by_the_gate(&ended.keys, &file, &signed)) {
                return Ok(line.to_vec());
            }
        }
        Err(KeepError::changed(&path, "the entry that says what is deleted is not in it any more"))
    }
}

/// Deletes a segment, on the medium before the one that follows it goes: whenever the power does, what is left has no gap,
/// and none comes back without its checkpoint.
fn delete(ended: &Ended, number: u64) -> Result<(), KeepError> {
    let dir = ended.dir();
    for path in ended.files(number) {
        #[cfg(debug_assertions)]
        faults::meet(Op::Delete, &path).map_err(KeepError::io("delete", &path))?;
        fs::remove_file(&path).map_err(KeepError::io("delete", &path))?;
    }
    segment::sync_folder(dir, number).map_err(KeepError::io("sync", dir))
}

/// How many entries there are up to the end of the last of these segments, and the gate's word that it deletes them.
fn word(ended: &Ended, segments: &RangeInclusive<u64>) -> Result<(u64, String), KeepError> {
    let dir = ended.dir();
    let end = ended.checkpoint(*segments.end())?.checkpoint;
    let root = pruned::root_under(&tree_of(dir)?, end.size, &newest(ended)?);
    let root = root.filter(|root| *root == end.root).ok_or_else(|| {
        let why = format!("its first {} entries are not those that were signed, or a checkpoint was changed", end.size);
        KeepError::changed(&tree_file::path(dir), why)
    })?;
    let word = pruned::word(&ended.keys, segments, end.size, &root);
    let none = || KeepError::io("tell what is deleted in", dir)(io::Error::other("there is no key for it"));
    Ok((end.size, word.ok_or_else(none)?))
}

fn tree_of(dir: &Path) -> Result<TreeFile, KeepError> {
    TreeFile::read(dir).map_err(KeepError::io("open", &tree_file::path(dir)))
}

fn newest(ended: &Ended) -> Result<Checkpoint, KeepError> {
    let dir = ended.dir();
    let signed = checkpoints::newest(dir, &ended.signer).map_err(|error| KeepError::changed(dir, error.to_string()))?;
    signed.map(|signed| signed.checkpoint).ok_or_else(|| KeepError::changed(dir, "there is no checkpoint"))
}

fn is_old(log: &Shared, ended: &Ended, number: u64) -> Result<bool, KeepError> {
    let Some(keep) = log.settings.keep else { return Ok(false) };
    let ended = ended.at(number)?;
    Ok(SystemTime::now().duration_since(ended).is_ok_and(|age| age > keep))
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |about| about.len())
}
