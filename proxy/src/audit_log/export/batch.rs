//! Taking the next lines from the log: only what is durable, in order, and a bounded number at once.

use std::path::{Path, PathBuf};

use portcullis_audit::Line;

use super::Trouble;
use super::place::Place;
use super::standing::{self, Astray};
use crate::audit_log::read::{Cursor, Reader, Step};

/// The most that goes out at once, in bytes, whatever a place says: the largest batch that can be set, and the line that
/// made it full.
pub(super) const MAX_BYTES: usize = (64 << 20) + (64 << 10);

const NO_ENTRY: &str = "it is no entry in canonical form";

/// Lines of one segment that go out together, whose numbers follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The segment that they lie in.
    pub(super) segment: u64,
    /// The number of the first entry.
    pub(super) first: u64,
    /// The number after the last one's.
    pub(super) next: u64,
    /// The lines as they stand, each with its newline.
    pub(super) lines: Vec<u8>,
    pub(super) count: u64,
    /// The place after them.
    pub(super) after: Place,
    /// Whether there is more where they came from.
    pub(super) more: bool,
}

/// How much goes out at once, and how far it may reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) lines: usize,
    pub(super) bytes: usize,
    /// What comes after is not durable yet.
    pub(super) durable: Cursor,
    /// Where the batch ended that is sent again: it ends there, whatever `lines` and `bytes` say, unless it would be larger
    /// than any batch can have been.
    pub(super) until: Option<Cursor>,
}

/// The log, from a place on.
pub(super) struct Source {
    dir: PathBuf,
    place: Place,
    /// Kept while there is more to read: a compressed segment is read from its beginning for each new one.
    reader: Option<Reader>,
    /// How often something that should come next was not there, since it was asked last.
    gaps: u64,
    /// Up to where they were counted: a sink that is away has them read again and again.
    counted: Cursor,
}

impl Source {
    pub(super) fn new(dir: &Path, place: Place) -> Self {
        Self { dir: dir.to_owned(), place, reader: None, gaps: 0, counted: Cursor::default() }
    }

    /// Goes to another place.
    pub(super) fn rewind(&mut self, place: Place) {
        (self.place, self.reader) = (place, None);
    }

    /// How often something that should come next was not there.
    pub(super) fn take_gaps(&mut self) -> u64 {
        std::mem::take(&mut self.gaps)
    }

    /// The number of the entry that comes next, where it is known.
    pub(super) fn entries(&self) -> Option<u64> {
        self.place.entries
    }

    /// Takes the next lines; none when there are none that are durable.
    ///
    /// # Errors
    /// [`Trouble::Astray`] when its place is none in this log; otherwise, when the log cannot be read.
    pub(super) fn gather(&mut self, bounds: &Bounds) -> Result<Option<Batch>, Trouble> {
        if self.place.cursor > bounds.durable {
            return Err(Astray::Ahead.into());
        }
        let mut reader = match self.reader.take() {
            Some(mut reader) => {
                // The segment that it comes to next may have been longer since it was made.
                reader.until(bounds.durable);
                reader
            }
            None => self.reader(bounds.durable)?,
        };
        let mut looked_again = false;
        let mut batch: Option<Batch> = None;
        while reader.cursor() < bounds.durable {
            if let Some(batch) = &mut batch {
                let full = batch.count >= bounds.lines as u64 || batch.lines.len() >= bounds.bytes;
                let due = bounds.until.map_or(full, |until| reader.cursor() >= until);
                if due || batch.lines.len() >= MAX_BYTES {
                    batch.more = true;
                    break;
                }
            }
            let line = match reader.next()? {
                Step::Line(line) => line,
                Step::End { .. } => break,
                step => {
                    // What was gathered goes out first; what was met is met again.
                    if let Some(before) = &mut batch {
                        before.more = true;
                        return Ok(self.give(batch, None));
                    }
                    let (what, lost) = told(&step);
                    let cursor = reader.cursor();
                    self.told(cursor, lost, &what);
                    self.place = Place { cursor, ..Place::default() };
                    continue;
                }
            };
            let read = line.strip_suffix(b"\n").and_then(Line::read).map(|line| (line.seq_no, line.seal));
            let line = line.to_vec();
            let after = reader.cursor();
            if after > bounds.durable {
                // It may still be taken back.
                return Ok(self.give(batch, None));
            }
            let expected = batch.as_ref().map(|batch| batch.next).or(self.place.entries);
            let other = expected.filter(|expected| read.is_some_and(|(number, _)| number != *expected));
            if read.is_none() || other.is_some() {
                if let Some(before) = &mut batch {
                    before.more = true;
                    return Ok(self.give(batch, None));
                }
                // Only what stands there when it is looked at anew is believed.
                if !std::mem::replace(&mut looked_again, true) {
                    reader = self.reader(bounds.durable)?;
                    continue;
                }
            }
            // Only an entry that follows says that nothing of the segment before is left.
            if let Some(before) = batch.as_mut().filter(|batch| batch.segment != after.segment) {
                before.after.cursor = Cursor { segment: after.segment, offset: 0 };
                before.more = true;
                return Ok(self.give(batch, None));
            }
            looked_again = false;
            let Some((number, seal)) = read else {
                let what = reader.last(NO_ENTRY).to_string();
                self.told(after, true, &what);
                self.place = Place { cursor: after, ..Place::default() };
                continue;
            };
            if let Some(expected) = other {
                self.strayed(bounds.durable)?;
                let what = format!("entry {number} stands where entry {expected} should");
                self.told(after, true, &what);
            }
            let batch = batch.get_or_insert_with(|| Batch {
                segment: after.segment,
                first: number,
                next: number,
                lines: Vec::new(),
                count: 0,
                after: self.place,
                more: false,
            });
            batch.lines.extend_from_slice(&line);
            batch.count += 1;
            batch.next = number.saturating_add(1);
            batch.after = Place { cursor: after, entries: Some(batch.next), seal: Some(seal) };
        }
        // What the writer is still at is opened anew each time.
        let reader = Some(reader).filter(|reader| reader.cursor().segment < bounds.durable.segment);
        Ok(self.give(batch, reader))
    }

    /// A reader from its place on, which takes no byte that is not durable.
    fn reader(&self, durable: Cursor) -> Result<Reader, Trouble> {
        let mut reader = match self.place == Place::default() {
            true => Reader::oldest(&self.dir)?,
            false => Reader::from(&self.dir, self.place.cursor),
        };
        reader.until(durable);
        Ok(reader)
    }

    fn give(&mut self, batch: Option<Batch>, reader: Option<Reader>) -> Option<Batch> {
        self.reader = reader.filter(|_| batch.as_ref().is_some_and(|batch| batch.more));
        if let Some(batch) = &batch {
            self.place = batch.after;
        }
        batch
    }

    /// Another entry stands where the next one should: the log is another one, unless what came before still stands.
    fn strayed(&self, durable: Cursor) -> Result<(), Trouble> {
        let astray = standing::astray(&self.dir, &self.place, durable).map_err(Trouble::Compare)?;
        match astray {
            None if self.place.seal.is_some() => Ok(()),
            Some(Astray::Another) if standing::ended(&self.dir, &self.place).map_err(Trouble::Compare)? => Ok(()),
            astray => Err(astray.unwrap_or(Astray::Another).into()),
        }
    }

    /// Tells of something that was met here, and counts it where something is missing; once.
    fn told(&mut self, cursor: Cursor, lost: bool, what: &str) {
        if cursor > self.counted {
            tracing::error!(what, "The audit log is passed on with a gap, or with entries that come twice.");
            self.gaps += u64::from(lost);
            self.counted = cursor;
        }
    }
}

/// What a reader met, and whether something is missing.
fn told(step: &Step<'_>) -> (String, bool) {
    match step {
        Step::Damaged(damage) => (damage.to_string(), true),
        Step::Pruned(gone) => (format!("segments {} to {} are gone", gone.start(), gone.end()), true),
        Step::TakenBack => ("the newest lines were taken back".to_owned(), false),
        Step::End { .. } | Step::Line(_) => (String::new(), false),
    }
}
