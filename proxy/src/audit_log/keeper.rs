//! Looks after segments that have ended: compresses them, and deletes the oldest when they are too old or too many.

use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use portcullis_audit::{Line, MAX_LINE};
use portcullis_filters::audit::Entry;

use super::{AuditLog, segment};

/// How often it looks without being called.
const LOOK: Duration = Duration::from_secs(60);
/// zstd's level: three is its own default, and faster than the log is written.
const LEVEL: i32 = 3;

/// Calls the keeper.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<(bool, bool)>,
    heard: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
        self.heard.notify_all();
    }

    /// Ends the keeper.
    pub(super) fn close(&self) {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.heard.notify_all();
    }

    /// Waits until it is rung, or for a while. `false` when it is closed.
    fn wait(&self) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |rung: &mut (bool, bool)| !rung.0 && !rung.1;
        let mut rung = self.heard.wait_timeout_while(rung, LOOK, silent).unwrap_or_else(PoisonError::into_inner).0;
        rung.0 = false;
        !rung.1
    }

    fn closed(&self) -> bool {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// Keeps a log's segments until it is closed.
pub(super) fn keep(log: &Arc<super::Shared>) {
    loop {
        let done = tidy(log);
        if let Err(error) = done
            && !log.rotated.closed()
        {
            tracing::warn!(%error, "Segments of the audit log that have ended cannot be looked after; it is tried again.");
        }
        if !log.rotated.wait() {
            return;
        }
    }
}

fn tidy(log: &Arc<super::Shared>) -> io::Result<()> {
    let dir = &log.dir;
    let current = log.current_segment();
    if log.settings.compress {
        for number in segment::numbers(dir, ".jsonl")?.into_iter().filter(|number| *number < current) {
            compress(dir, number, &log.rotated)?;
        }
    }
    retire(log, current)
}

/// Compresses a segment: the copy is whole and durable before the segment goes.
fn compress(dir: &Path, number: u64, bell: &Bell) -> io::Result<()> {
    let (from, to) = (segment::plain(dir, number), segment::compressed(dir, number));
    let beside = to.with_extension("zst.part");
    if let Err(error) = write_compressed(&from, &beside, bell) {
        // On a disk that is full, half a copy would only be in the way.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    fs::rename(&beside, &to)?;
    File::open(dir)?.sync_all()?;
    fs::remove_file(&from)
}

fn write_compressed(from: &Path, to: &Path, bell: &Bell) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(from)?);
    let file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(to)?;
    let mut encoder = zstd::stream::write::Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    loop {
        let piece = io::BufRead::fill_buf(&mut reader)?;
        let length = piece.len();
        if length == 0 {
            break;
        }
        encoder.write_all(piece)?;
        io::BufRead::consume(&mut reader, length);
        if bell.closed() {
            return Err(io::Error::other("the gate stops"));
        }
    }
    let file = encoder.finish()?;
    file.sync_all()?;
    Ok(())
}

/// Deletes the oldest segments that are too old or too many, once an entry says so.
fn retire(log: &Arc<super::Shared>, current: u64) -> io::Result<()> {
    let settings = &log.settings;
    if settings.keep.is_none() && settings.keep_bytes.is_none() {
        return Ok(());
    }
    // What the newest checkpoint was signed in is where a start looks; until it has moved on, that stays.
    let current = current.min(log.desk.progress().signed_in);
    let ended = ended(&log.dir, current)?;
    let mut total: u64 = ended.iter().map(|segment| segment.bytes).sum::<u64>() + log.current_bytes();
    let mut last = None;
    for segment in &ended {
        let old = settings.keep.is_some_and(|keep| segment.age > keep);
        let many = settings.keep_bytes.is_some_and(|most| total > most);
        if !(old || many) || log.exported().is_some_and(|up_to| segment.number >= up_to) {
            break;
        }
        total -= segment.bytes;
        last = Some(segment.number);
    }
    let (Some(first), Some(last)) = (ended.first().map(|segment| segment.number), last) else { return Ok(()) };
    let path = format!("audit-{first:06}.jsonl to audit-{last:06}.jsonl");
    let entry = Entry { event_type: "audit.pruned", path: &path, ..Entry::default() };
    AuditLog::hand_over_to(log, entry.draft()).wait().map_err(io::Error::other)?;
    for segment in ended.iter().filter(|segment| segment.number <= last) {
        for path in &segment.files {
            fs::remove_file(path)?;
        }
    }
    // The last one's says what they were.
    for number in segment::numbers(&log.dir, ".checkpoint")?.into_iter().filter(|number| *number < last) {
        fs::remove_file(segment::checkpoint(&log.dir, number))?;
    }
    Ok(())
}

/// A segment that has ended.
struct Ended {
    number: u64,
    files: Vec<PathBuf>,
    bytes: u64,
    /// Since its last entry.
    age: Duration,
}

/// When the first entry of a segment was written; `None` where that cannot be told.
fn begun_at(dir: &Path, number: u64) -> Option<SystemTime> {
    let mut reader = super::resume::open(dir, number).ok()?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(&mut reader, MAX_LINE as u64), &mut bytes).ok()?;
    let line = Line::read(bytes.split(|byte| *byte == b'\n').next()?)?;
    Some(line.timestamp.parse::<jiff::Timestamp>().ok()?.into())
}

fn ended(dir: &Path, current: u64) -> io::Result<Vec<Ended>> {
    let mut numbers = segment::numbers(dir, ".jsonl")?;
    numbers.extend(segment::numbers(dir, ".jsonl.zst")?);
    numbers.sort_unstable();
    numbers.dedup();
    let now = SystemTime::now();
    let ended = numbers.into_iter().filter(|number| *number < current).map(|number| {
        let files: Vec<_> = [segment::plain(dir, number), segment::compressed(dir, number)]
            .into_iter()
            .filter(|p| p.exists())
            .collect();
        let about: Vec<_> = files.iter().filter_map(|path| fs::metadata(path).ok()).collect();
        // A file's own times are anybody's to set; what the next segment's first entry says is sealed.
        let ended = begun_at(dir, number + 1);
        let age = ended.and_then(|ended| now.duration_since(ended).ok()).unwrap_or_default();
        Ended { number, files, bytes: about.iter().map(fs::Metadata::len).sum(), age }
    });
    Ok(ended.collect())
}
