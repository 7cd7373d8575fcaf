//! Reading the log, also while a gate writes it: whole lines, oldest first, from any place on, through plain and compressed
//! segments, in a bounded amount of memory.
//!
//! A reader says after each line where it stands, so that whoever took the line can go on there another day. It never
//! ends by itself: at the end it says so, and asked again it says whether something came. What is not a line is told, and
//! reading goes on after it.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

mod lines;
mod newest;
mod segment;

pub(crate) use lines::{Came, Lines};
pub(crate) use newest::newest;
pub(crate) use segment::{Segment, numbers};

/// A place in the log: where a line begins, or will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor {
    /// The number of the segment.
    pub(crate) segment: u64,
    /// The bytes before it in that segment, uncompressed.
    pub(crate) offset: u64,
}

/// What a reader met.
#[derive(Debug)]
pub(crate) enum Step<'r> {
    /// Something that is not a line. The reader stands after it.
    Damaged(Damage),
    /// Nothing more, for now. A line that has no end yet is none; a gate may be writing it.
    End {
        /// Whether there is such a line.
        #[cfg_attr(not(test), expect(dead_code, reason = "who follows a log waits either way"))]
        is_torn: bool,
    },
    /// A line, with its newline.
    Line(&'r [u8]),
    /// Segments that were to come next are gone: old ones are deleted. The reader stands at the oldest after them.
    Pruned(RangeInclusive<u64>),
    /// Lines that were read are no longer in the log: they could not be brought to the disk, and whoever asked for them was
    /// refused. The reader stands where the log goes on.
    TakenBack,
}

/// A part of the log that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {why}", file.display())]
pub(crate) struct Damage {
    /// The file.
    pub(crate) file: PathBuf,
    /// The line in it, from 1.
    pub(crate) line: u64,
    /// What is wrong.
    pub(crate) why: &'static str,
}

/// The log cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the audit log in `{dir}`: {source}")]
pub(crate) struct ReadError {
    dir: PathBuf,
    source: std::io::Error,
}

const TOO_LONG: &str = "it is longer than any entry can be";
const TORN: &str = "it has no end, and the log goes on after it";
const UNPACKED: &str = "from here on it cannot be decompressed";

/// A reader of the log.
pub(crate) struct Reader {
    dir: PathBuf,
    at: Cursor,
    open: Option<Open>,
    /// Whether the segment at which it stands is known to have been there.
    began: bool,
    /// What comes after is not looked at, in this segment or a later one.
    end: Option<Cursor>,
    line: Vec<u8>,
}

struct Open {
    path: PathBuf,
    /// None when the rest of it cannot be read.
    lines: Option<Lines>,
    /// Where its line may have been taken back: something else was looked at since.
    doubtful: bool,
    /// Whether its end was told: another file may have been put in its place since. Asked once for each time, so that a
    /// file system that gives one file two numbers keeps nobody here.
    waited: bool,
    /// The segment that follows. Once one does, this one does not grow.
    next: Option<u64>,
    /// Where reading began, how many lines were read since, and which line it was, once somebody asked.
    from: u64,
    count: u64,
    first: Option<u64>,
}

impl Reader {
    /// A reader that begins with the oldest line that is left.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub(crate) fn oldest(dir: &Path) -> Result<Self, ReadError> {
        let oldest = numbers(dir).map_err(|source| ReadError { dir: dir.to_owned(), source })?.first().copied();
        let at = Cursor { segment: oldest.unwrap_or(0), offset: 0 };
        Ok(Self { began: oldest.is_some(), ..Self::from(dir, at) })
    }

    /// A reader that begins at a place that another one told.
    pub(crate) fn from(dir: &Path, at: Cursor) -> Self {
        Self { dir: dir.to_owned(), at, open: None, began: at != Cursor::default(), end: None, line: Vec::new() }
    }

    /// Reads no further than to this place, until another one is said: what is not durable may be taken back, and others
    /// be written in its place. It says that this is the end, and goes into no later segment. What is compressed is read
    /// to its end: it was durable before.
    pub(crate) fn until(&mut self, end: Cursor) {
        self.end = Some(end);
        let cap = self.cap();
        if let Some(lines) = self.open.as_mut().and_then(|open| open.lines.as_mut()) {
            lines.end_at(cap);
        }
    }

    /// Where it stands.
    pub(crate) fn cursor(&self) -> Cursor {
        self.at
    }

    /// Reads on.
    ///
    /// # Errors
    /// When the disk says no, or a file is not for this user.
    pub(crate) fn next(&mut self) -> Result<Step<'_>, ReadError> {
        match self.advance() {
            Ok(Some(step)) => Ok(step),
            Ok(None) => Ok(Step::Line(&self.line)),
            Err(source) => Err(ReadError { dir: self.dir.clone(), source }),
        }
    }

    /// The line that was read last, with what is wrong with it.
    pub(crate) fn last(&mut self, why: &'static str) -> Damage {
        let here = self.here(why);
        Damage { line: here.line.saturating_sub(1), ..here }
    }

    /// The line at which it stands, with what is wrong with it.
    pub(crate) fn here(&mut self, why: &'static str) -> Damage {
        let Some(open) = &mut self.open else { return Damage { file: self.dir.clone(), line: 0, why } };
        // Counted from the beginning of the file at most once, however much is wrong in it.
        let first = *open.first.get_or_insert_with(|| match Segment::open(&self.dir, self.at.segment) {
            Ok(Some(segment)) => lines::line_at(segment.content, open.from),
            _ => 0,
        });
        Damage { file: open.path.clone(), line: first.saturating_add(open.count), why }
    }

    /// How far the segment at which it stands may be read.
    fn cap(&self) -> u64 {
        match self.end {
            Some(end) if end.segment < self.at.segment => 0,
            Some(end) if end.segment == self.at.segment => end.offset,
            _ => u64::MAX,
        }
    }

    /// Reads on; none when there is a line.
    fn advance(&mut self) -> std::io::Result<Option<Step<'static>>> {
        loop {
            let Some(open) = &mut self.open else {
                match self.enter()? {
                    Some(step) => return Ok(Some(step)),
                    None => continue,
                }
            };
            let Some(lines) = &mut open.lines else {
                match self.leave(0)? {
                    Some(step) => return Ok(Some(step)),
                    None => continue,
                }
            };
            let is_doubtful = std::mem::take(&mut open.doubtful);
            if std::mem::take(&mut open.waited) && lines.are_replaced(&open.path)? {
                self.open = None;
                continue;
            }
            if is_doubtful && !lines.stands()? {
                lines.fall_back()?;
                self.at.offset = lines.offset();
                (open.from, open.count, open.first) = (self.at.offset, 0, None);
                return Ok(Some(Step::TakenBack));
            }
            match lines.next(&mut self.line) {
                Ok(came @ (Came::Line | Came::TooLong)) => {
                    self.at.offset = lines.offset();
                    open.count += 1;
                    return Ok((came == Came::TooLong).then(|| Step::Damaged(self.last(TOO_LONG))));
                }
                Ok(Came::End { torn }) => {
                    if let Some(step) = self.leave(torn)? {
                        return Ok(Some(step));
                    }
                }
                Err(_) if lines.is_packed() => {
                    open.lines = None;
                    return Ok(Some(Step::Damaged(self.here(UNPACKED))));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens the segment at which it stands, or the oldest after it.
    fn enter(&mut self) -> std::io::Result<Option<Step<'static>>> {
        if self.end.is_some_and(|end| end <= self.at) {
            return Ok(Some(Step::End { is_torn: false }));
        }
        let Some(segment) = Segment::open(&self.dir, self.at.segment)? else {
            let after = numbers(&self.dir)?.into_iter().find(|number| *number > self.at.segment);
            let Some(next) = after.filter(|number| self.end.is_none_or(|end| *number <= end.segment)) else {
                return Ok(Some(Step::End { is_torn: false }));
            };
            return Ok(self.go_on_in(next, self.at.segment));
        };
        self.began = true;
        let packed = matches!(segment.content, segment::Content::Packed(_));
        let path = segment.path.clone();
        let mut lines = match segment.lines(self.at.offset) {
            Err(_) if packed => None,
            opened => Some(opened?),
        };
        if let Some(lines) = &mut lines {
            lines.end_at(self.cap());
        }
        let broken = lines.is_none();
        let from = self.at.offset;
        self.open = Some(Open { path, lines, doubtful: true, waited: false, next: None, from, count: 0, first: None });
        Ok(broken.then(|| Step::Damaged(self.here(UNPACKED))))
    }

    /// At the end of what can be read of a segment: goes on in the next when there is one, and once more through the
    /// rest of this one when that was not known before.
    fn leave(&mut self, torn: u64) -> std::io::Result<Option<Step<'static>>> {
        let (dir, end) = (&self.dir, self.end);
        let Some(open) = &mut self.open else { return Ok(None) };
        let is_last_look = open.next.is_some() || open.lines.as_ref().is_none_or(Lines::is_packed);
        if open.next.is_none() {
            // Where this one ends is not known before what comes after it may be read.
            open.next = following(dir, self.at.segment)?.filter(|next| end.is_none_or(|end| *next <= end.segment));
        }
        let Some(next) = open.next else {
            (open.doubtful, open.waited) = (true, true);
            // A compressed segment does not grow.
            if torn > 0 && is_last_look {
                open.lines = None;
                return Ok(Some(Step::Damaged(self.here(TORN))));
            }
            return Ok(Some(Step::End { is_torn: torn > 0 }));
        };
        if !is_last_look {
            return Ok(None);
        }
        let expected = self.at.segment.saturating_add(1);
        if torn > 0 {
            let damage = self.here(TORN);
            self.at = Cursor { segment: expected, offset: 0 };
            self.open = None;
            return Ok(Some(Step::Damaged(damage)));
        }
        Ok(self.go_on_in(next, expected))
    }

    /// Goes to the beginning of a segment, and tells of those before it that were to come first.
    fn go_on_in(&mut self, next: u64, expected: u64) -> Option<Step<'static>> {
        self.at = Cursor { segment: next, offset: 0 };
        self.open = None;
        let missing = expected..=next.saturating_sub(1);
        (std::mem::replace(&mut self.began, true) && !missing.is_empty()).then_some(Step::Pruned(missing))
    }
}

/// The number of the segment after this one.
fn following(dir: &Path, number: u64) -> std::io::Result<Option<u64>> {
    let found = numbers(dir)?.into_iter().find(|other| *other > number);
    let expected = number.saturating_add(1);
    // A listing is no snapshot: what is compressed meanwhile may be missing from it.
    if found.is_some_and(|found| found > expected) && Segment::open(dir, expected)?.is_some() {
        return Ok(Some(expected));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
