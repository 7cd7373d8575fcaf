//! Taking the next lines from the log: only what is durable, in order, and a bounded number at once.

use std::path::{Path, PathBuf};

use portcullis_audit::Line;

use super::place::Place;
use crate::audit_log::read::{Cursor, ReadError, Reader, Step};

/// Lines of one segment that go out together.
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
    /// Where the batch ended that is sent again: it ends there, whatever the other bounds say.
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
}

impl Source {
    pub(super) fn new(dir: &Path, place: Place) -> Self {
        Self { dir: dir.to_owned(), place, reader: None, gaps: 0 }
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
    pub(super) fn gather(&mut self, bounds: &Bounds) -> Result<Option<Batch>, ReadError> {
        self.stay_within(bounds.durable)?;
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None if self.place == Place::default() => Reader::oldest(&self.dir)?,
            None => Reader::from(&self.dir, self.place.cursor),
        };
        let mut batch: Option<Batch> = None;
        while reader.cursor() < bounds.durable {
            if let Some(batch) = &mut batch {
                let full = batch.count >= bounds.lines as u64 || batch.lines.len() >= bounds.bytes;
                if bounds.until.map_or(full, |until| reader.cursor() >= until) {
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
                    tracing::error!(what, "The audit log is passed on with a gap, or with entries that come twice.");
                    self.gaps += u64::from(lost);
                    self.place = Place { cursor: reader.cursor(), entries: None };
                    continue;
                }
            };
            let number = line.strip_suffix(b"\n").and_then(Line::read).map(|line| line.seq_no);
            let line = line.to_vec();
            let after = reader.cursor();
            if after > bounds.durable {
                // It may still be taken back.
                return Ok(self.give(batch, None));
            }
            if let Some(before) = batch.as_mut().filter(|batch| batch.segment != after.segment) {
                before.after.cursor = Cursor { segment: after.segment, offset: 0 };
                before.more = true;
                return Ok(self.give(batch, None));
            }
            let expected = batch.as_ref().map(|batch| batch.next).or(self.place.entries);
            if let (None, Some(expected), Some(number)) = (&batch, expected, number)
                && expected != number
            {
                self.strayed(expected, number)?;
                return self.gather(bounds);
            }
            let number = number.or(expected).unwrap_or(0);
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
            batch.after = Place { cursor: after, entries: Some(batch.next) };
        }
        Ok(self.give(batch, Some(reader)))
    }

    fn give(&mut self, batch: Option<Batch>, reader: Option<Reader>) -> Option<Batch> {
        self.reader = reader.filter(|_| batch.as_ref().is_some_and(|batch| batch.more));
        if let Some(batch) = &batch {
            self.place = batch.after;
        }
        batch
    }

    /// A place behind the end is one of a log that is shorter now: what is left of its segment comes once more.
    fn stay_within(&mut self, durable: Cursor) -> Result<(), ReadError> {
        if self.place.cursor <= durable {
            return Ok(());
        }
        tracing::error!(
            segment = self.place.cursor.segment,
            "The audit log is shorter than what was passed on of it; what is there is passed on once more."
        );
        self.gaps += 1;
        let cursor = Cursor { segment: self.place.cursor.segment, offset: 0 };
        let there = cursor < durable;
        self.rewind(Place { cursor: if there { cursor } else { Reader::oldest(&self.dir)?.cursor() }, entries: None });
        Ok(())
    }

    /// Another entry stands where the next one should: the log is another one.
    fn strayed(&mut self, expected: u64, found: u64) -> Result<(), ReadError> {
        tracing::error!(
            expected,
            found,
            "Another entry stands in the audit log where the next one should; the log is passed on from its oldest one on."
        );
        self.gaps += 1;
        let cursor = Reader::oldest(&self.dir)?.cursor();
        self.rewind(Place { cursor, entries: None });
        Ok(())
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
