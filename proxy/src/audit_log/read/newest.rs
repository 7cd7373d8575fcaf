//! Finding where the newest lines begin, from the end of the log, so that a few of them cost little however long it is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::lines::{Came, Lines, MAX_LINE};
use super::segment::{Content, Segment, numbers};
use super::{Cursor, ReadError};

/// A part of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where it begins.
    pub(crate) from: Cursor,
    /// Where it ends: at the end of the newest whole line.
    pub(crate) to: Cursor,
}

/// The part of the log, as it is now, that holds the newest `count` lines that are wanted, and begins with one of them;
/// the whole of it where there are not so many.
///
/// # Errors
/// When the disk says no.
pub(crate) fn newest(dir: &Path, count: u64, wanted: impl FnMut(&[u8]) -> bool) -> Result<Span, ReadError> {
    find(dir, count, wanted).map_err(|source| ReadError { dir: dir.to_owned(), source })
}

fn find(dir: &Path, count: u64, mut wanted: impl FnMut(&[u8]) -> bool) -> io::Result<Span> {
    let mut span: Option<Span> = None;
    let mut missing = count;
    for number in numbers(dir)?.into_iter().rev() {
        // One that was deleted since it was listed went after those before it.
        let Some(segment) = Segment::open(dir, number)? else { break };
        let looked = match segment.content {
            Content::Plain(file) => backwards(&file, missing, &mut wanted)?,
            Content::Packed(_) => {
                let looked = forwards(segment.lines(0)?, u64::MAX, &mut wanted);
                let Some(again) = Segment::open(dir, number)? else { break };
                match looked.found.checked_sub(missing) {
                    Some(older) => Looked {
                        found: missing,
                        from: forwards(again.lines(0)?, older.saturating_add(1), &mut wanted).from,
                        ..looked
                    },
                    None => looked,
                }
            }
        };
        missing = missing.saturating_sub(looked.found);
        let from = Cursor { segment: number, offset: if missing == 0 { looked.from } else { 0 } };
        let to = span.map_or(Cursor { segment: number, offset: looked.end }, |span| span.to);
        span = Some(Span { from, to });
        if missing == 0 {
            break;
        }
    }
    let span = span.unwrap_or_default();
    Ok(if count == 0 { Span { from: span.to, ..span } } else { span })
}

/// What was found in one segment.
#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    /// How many lines that are wanted.
    found: u64,
    /// Where the last one that was found begins.
    from: u64,
    /// The end of the last whole line.
    end: u64,
}

/// Looks through lines in their order until so many are found. What cannot be decompressed ends them.
fn forwards(mut lines: Lines, count: u64, wanted: &mut impl FnMut(&[u8]) -> bool) -> Looked {
    let (mut looked, mut line) = (Looked::default(), Vec::new());
    while looked.found < count {
        match lines.next(&mut line) {
            Ok(Came::Line) if wanted(&line) => {
                looked.found += 1;
                looked.from = looked.end;
            }
            Ok(Came::Line | Came::TooLong) => {}
            Ok(Came::End { .. }) | Err(_) => break,
        }
        looked.end = lines.offset();
    }
    looked
}

/// Looks through the lines of a file from its last one back until so many are found. Bytes after the last newline are a
/// line without its end, and none.
fn backwards(file: &File, count: u64, wanted: &mut impl FnMut(&[u8]) -> bool) -> io::Result<Looked> {
    let mut looked = Looked::default();
    let mut buffer = vec![0; MAX_LINE];
    // What is known of the line under way, whose beginning lies before the block; and none before the first newline.
    let mut under_way: Option<UnderWay> = None;
    let mut place = file.metadata()?.len();
    while place > 0 {
        let start = place.saturating_sub(MAX_LINE as u64);
        let length = usize::try_from(place - start).unwrap_or(MAX_LINE);
        let Some(read) = buffer.get_mut(..length) else { break };
        file.read_exact_at(read, start)?;
        let mut block: &[u8] = read;
        loop {
            // The newline that ends the line under way is not the one that ends the line before it.
            let own = usize::from(under_way.as_ref().is_some_and(UnderWay::is_new));
            let before = block.get(..block.len().saturating_sub(own)).unwrap_or_default();
            let Some(at) = memchr::memrchr(b'\n', before) else { break };
            let (older, head) = block.split_at_checked(at + 1).unwrap_or((block, &[]));
            let from = start + older.len() as u64;
            match under_way.replace(UnderWay::default()) {
                Some(line) if line.whole(head).is_some_and(|line| wanted(&line)) => {
                    looked.found += 1;
                    looked.from = from;
                }
                Some(_) => {}
                None => looked.end = from,
            }
            if looked.found >= count {
                return Ok(looked);
            }
            block = older;
        }
        under_way = under_way.map(|line| line.longer(block));
        place = start;
    }
    if let Some(line) = under_way
        && line.whole(&[]).is_some_and(|line| wanted(&line))
    {
        looked.found += 1;
        looked.from = 0;
    }
    Ok(looked)
}

/// The end of a line whose beginning was not met yet.
#[derive(Default)]
struct UnderWay {
    end: Vec<u8>,
    too_long: bool,
}

impl UnderWay {
    /// Whether nothing of it is known yet, not even its newline.
    fn is_new(&self) -> bool {
        self.end.is_empty() && !self.too_long
    }

    /// The same with more of it before what is known.
    fn longer(self, head: &[u8]) -> Self {
        match self.whole(head) {
            Some(end) => Self { end, too_long: false },
            None => Self { end: Vec::new(), too_long: true },
        }
    }

    /// The line, unless it is longer than any entry can be.
    fn whole(&self, head: &[u8]) -> Option<Vec<u8>> {
        let fits = !self.too_long && head.len() + self.end.len() <= MAX_LINE + 1;
        fits.then(|| [head, &self.end].concat())
    }
}
