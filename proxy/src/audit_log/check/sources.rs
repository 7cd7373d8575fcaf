//! The files of a log, in the order in which they follow each other.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_audit::{Line, MAX_LINE, Position};
use portcullis_certs::files;

use super::{CheckError, io as at};
use crate::audit_log::resume::follows;
use crate::audit_log::segment;

/// What the name of a compressed segment ends with.
const COMPRESSED: &str = "zst";

/// A file with lines.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// Where the segment lies once it is compressed, which may happen at any moment.
    compressed: Option<PathBuf>,
    /// The segment that it is.
    pub(crate) number: u64,
    /// How much of it is looked at, where it may still grow.
    pub(super) length: Option<u64>,
    /// What it takes on disk, in bytes.
    pub(super) bytes: u64,
}

/// The segments in a folder, oldest first. One that is there plain and compressed is read plain.
pub(crate) fn of_log(dir: &Path) -> Result<Vec<Source>, CheckError> {
    let list = |ending| segment::numbers(dir, ending).map_err(at("list", dir));
    // A segment that is compressed in between is in the second list.
    let plain: BTreeSet<_> = list(".jsonl")?.into_iter().collect();
    let numbers: BTreeSet<_> = list(".jsonl.zst")?.into_iter().chain(plain.iter().copied()).collect();
    let mut sources: Vec<_> = numbers
        .into_iter()
        .map(|number| {
            let (path, compressed) = (segment::plain(dir, number), segment::compressed(dir, number));
            let (path, compressed) = match plain.contains(&number) {
                true => (path, Some(compressed)),
                false => (compressed, None),
            };
            let bytes = path.metadata().map_or(0, |about| about.len());
            Source { path, compressed, number, length: None, bytes }
        })
        .collect();
    if let Some(newest) = sources.last_mut().filter(|newest| newest.compressed.is_some()) {
        // One that is not there any more has ended, and was compressed: then all of it is looked at.
        newest.length = newest.path.metadata().ok().map(|about| about.len());
    }
    Ok(sources)
}

/// Files that were named, in the order in which they were. Which segments they are is what they say themselves.
pub(crate) fn of_files(files: &[PathBuf]) -> Result<Vec<Source>, CheckError> {
    let source = |path: &PathBuf| {
        let bytes = path.metadata().map_err(at("look at", path))?.len();
        let mut source = Source { path: path.clone(), compressed: None, number: 0, length: None, bytes };
        let first = match source.first_line() {
            // The walk comes to it, and says so.
            Err(CheckError::Packed { .. }) => Vec::new(),
            first => first?,
        };
        // What is no line says nothing: then it is taken to be what its name says.
        source.number = match Line::read(&first) {
            Some(line) => line.segment.unwrap_or(0),
            None => segment::number_in(path).unwrap_or(0),
        };
        Ok(source)
    };
    let mut sources = files.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    if let Some(newest) = sources.last_mut().filter(|newest| !newest.is_compressed()) {
        newest.length = Some(newest.bytes);
    }
    Ok(sources)
}

impl Source {
    /// Opens it at its beginning. What is read from the disk is added up in `read`.
    pub(crate) fn open(&self, read: &Arc<AtomicU64>) -> Result<Box<dyn Read + Send>, CheckError> {
        let (path, file) = match (files::open_regular(&self.path), &self.compressed) {
            (Err(error), Some(compressed)) if error.kind() == io::ErrorKind::NotFound => {
                (compressed, files::open_regular(compressed))
            }
            (opened, _) => (&self.path, opened),
        };
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CheckError::Gone(path.clone()),
            _ => at("open", path)(error),
        })?;
        let file = Counted { file, read: Arc::clone(read) };
        if path.extension().is_some_and(|ending| ending == COMPRESSED) {
            let decoder = zstd::stream::read::Decoder::new(file).map_err(at("read", path))?;
            return Ok(Box::new(decoder));
        }
        Ok(Box::new(file))
    }

    /// The place before its first line, which the line says itself; why not, where it does not.
    pub(super) fn begins_after(&self) -> Result<Result<Position, &'static str>, CheckError> {
        let line = self.first_line()?;
        if line.is_empty() && self.number == 0 {
            return Ok(Ok(Position::START));
        }
        Ok(follows(&line).ok_or("it is not the first entry of a log or of a segment, so nothing says what it follows"))
    }

    /// Its first line, without its newline; empty where there is none.
    pub(crate) fn first_line(&self) -> Result<Vec<u8>, CheckError> {
        let mut bytes = Vec::with_capacity(MAX_LINE);
        let reader = self.open(&Arc::default())?;
        reader.take(MAX_LINE as u64).read_to_end(&mut bytes).map_err(|error| self.unread(error))?;
        let end = memchr::memchr(b'\n', &bytes).unwrap_or(bytes.len());
        bytes.truncate(end);
        Ok(bytes)
    }

    /// Why it cannot be read on: what the system does not say, the bytes do.
    pub(super) fn unread(&self, error: io::Error) -> CheckError {
        // It may have been compressed since it was listed.
        let packed = if self.is_compressed() { Some(&self.path) } else { self.compressed.as_ref() };
        match packed {
            Some(path) if error.raw_os_error().is_none() => {
                CheckError::Packed { path: path.clone(), why: error.to_string() }
            }
            _ => at("read", &self.path)(error),
        }
    }

    /// Whether this is its file, plain or compressed.
    pub(super) fn lies_at(&self, path: &Path) -> bool {
        self.path == path || self.compressed.as_deref() == Some(path)
    }

    fn is_compressed(&self) -> bool {
        self.path.extension().is_some_and(|ending| ending == COMPRESSED)
    }
}

/// A file that counts what was read of it.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buffer)?;
        self.read.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}
