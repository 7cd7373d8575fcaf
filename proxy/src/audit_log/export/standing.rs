//! Whether a place that was kept is one in this log, which may have been replaced, restored or begun anew since.

use std::io;
use std::path::Path;

use portcullis_audit::{Line, MAX_LINE, Seal};

use super::place::Place;
use crate::audit_log::read::{Came, Cursor, ReadError, Reader, Segment, Step};

/// How far back the entry before a place is looked for: the longest one with its newline, and the newline before it.
const WINDOW: u64 = MAX_LINE as u64 + 1;

/// Why a place is none in this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Astray {
    #[error("the log ends before it")]
    Ahead,
    #[error("another entry stands there")]
    Another,
    #[error("it lies in the middle of a line")]
    Inside,
}

/// Why a place is none in this log; `None` when it is one, or when its segment is gone, which a reader tells.
///
/// # Errors
/// When the disk says no, or a file is not for this user.
pub(super) fn astray(dir: &Path, place: &Place, durable: Cursor) -> io::Result<Option<Astray>> {
    if place.cursor > durable {
        return Ok(Some(Astray::Ahead));
    }
    let Some(segment) = Segment::open(dir, place.cursor.segment)? else { return Ok(None) };
    let packed = segment.path.extension().is_some_and(|end| end == "zst");
    let met = match (place.cursor.offset, place.seal) {
        (0, None) => return Ok(None),
        (0, Some(seal)) => after(segment, seal),
        (offset, seal) => before(segment, offset, seal),
    };
    match met {
        Err(error) if packed && error.kind() == io::ErrorKind::UnexpectedEof => Ok(Some(Astray::Ahead)),
        // What cannot be decompressed is damage, which a reader tells with its place.
        Err(_) if packed => Ok(None),
        met => met,
    }
}

/// Whether a place at the beginning of a segment comes after an entry that still ends the segment before: then the log is
/// the same one, and what is missing is the beginning of this segment.
///
/// # Errors
/// When the disk says no, or a file is not for this user.
pub(super) fn ended(dir: &Path, place: &Place) -> io::Result<bool> {
    let before = place.cursor.segment.checked_sub(1).filter(|_| place.cursor.offset == 0);
    let (Some(before), Some(seal)) = (before, place.seal) else { return Ok(false) };
    let Some(segment) = Segment::open(dir, before)? else { return Ok(false) };
    let mut lines = segment.lines(0)?;
    let (mut line, mut last) = (Vec::new(), None);
    loop {
        match lines.next(&mut line) {
            Ok(Came::Line) => last = line.strip_suffix(b"\n").and_then(Line::read).map(|line| line.seal),
            Ok(Came::TooLong) => last = None,
            Ok(Came::End { .. }) => return Ok(last == Some(seal)),
            // What cannot be decompressed ends nowhere.
            Err(_) if lines.is_packed() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// The oldest place in the log, and the number of the entry that stands there.
///
/// # Errors
/// When the log cannot be read.
pub(super) fn oldest(dir: &Path) -> Result<Place, ReadError> {
    let mut reader = Reader::oldest(dir)?;
    let cursor = reader.cursor();
    let entries = match reader.next()? {
        Step::Line(line) => line.strip_suffix(b"\n").and_then(Line::read).map(|line| line.seq_no),
        _ => None,
    };
    Ok(Place { cursor, entries, seal: None })
}

/// Whether a segment's first entry names this seal as the last one of the segment before.
fn after(segment: Segment, seal: Seal) -> io::Result<Option<Astray>> {
    let mut line = Vec::new();
    let came = segment.lines(0)?.next(&mut line)?;
    let names = line.strip_suffix(b"\n").and_then(Line::read).and_then(|line| line.previous_hmac);
    Ok((came != Came::Line || names != Some(seal)).then_some(Astray::Another))
}

/// Whether a line ends at this offset, and has this seal.
fn before(segment: Segment, offset: u64, seal: Option<Seal>) -> io::Result<Option<Astray>> {
    // The first of these may be the rest of a line.
    let mut lines = segment.lines(offset.saturating_sub(WINDOW))?;
    let mut line = Vec::new();
    while lines.offset() < offset {
        if let Came::End { .. } = lines.next(&mut line)? {
            return Ok(Some(Astray::Ahead));
        }
    }
    if lines.offset() > offset {
        return Ok(Some(Astray::Inside));
    }
    let found = line.strip_suffix(b"\n").and_then(Line::read).map(|line| line.seal);
    Ok((seal.is_some() && found != seal).then_some(Astray::Another))
}
