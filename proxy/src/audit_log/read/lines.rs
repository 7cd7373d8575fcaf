//! Whole lines of one file, one after the other, in a bounded amount of memory.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use super::segment::{Content, begins_line};

/// The longest line that is taken for one, in bytes, without its newline: an entry's two dozen texts are cut to 512 bytes
/// each, so four times what they can come to.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// What came next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// Nothing whole: so many bytes of a line without its end, or none.
    End { torn: u64 },
    /// A line.
    Line,
    /// A line that is longer than any entry. It was passed over.
    TooLong,
}

/// The lines of a file.
pub(crate) struct Lines {
    input: Input,
    offset: u64,
}

enum Input {
    Packed(Box<dyn BufRead + Send>),
    Plain(BufReader<Part>),
}

/// A file from a place on, and no further than another: bytes that a buffer took early may be others when their turn
/// comes.
struct Part {
    file: File,
    at: u64,
    end: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Lines {
    /// The lines that begin here: what is compressed stands at that offset.
    pub(super) fn new(content: Content, offset: u64) -> Self {
        let input = match content {
            Content::Packed(packed) => Input::Packed(packed),
            Content::Plain(file) => {
                Input::Plain(BufReader::with_capacity(MAX_LINE, Part { file, at: offset, end: u64::MAX }))
            }
        };
        Self { input, offset }
    }

    /// Reads no byte of a file that is not compressed from this offset on, unless it was read already.
    pub(super) fn end_at(&mut self, end: u64) {
        if let Input::Plain(plain) = &mut self.input {
            plain.get_mut().end = end;
        }
    }

    /// Where the next line begins, in uncompressed bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether nobody writes this file any more.
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self.input, Input::Packed(_))
    }

    /// Reads the next line, with its newline. After an end it may be asked again: a file that is being written grows, and
    /// what has no end yet is read anew, since a writer that fails in the middle of a line takes it back.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Came> {
        line.clear();
        let (mut read, mut too_long) = (0, false);
        loop {
            let input: &mut dyn BufRead = match &mut self.input {
                Input::Packed(packed) => packed,
                Input::Plain(plain) => plain,
            };
            let there = match input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                there => there?,
            };
            if there.is_empty() {
                line.clear();
                self.read_anew();
                return Ok(Came::End { torn: read });
            }
            let end = memchr::memchr(b'\n', there);
            let piece = there.get(..end.map_or(there.len(), |at| at + 1)).unwrap_or(there);
            too_long |= line.len() + piece.len() > MAX_LINE + 1;
            if !too_long {
                line.extend_from_slice(piece);
            }
            let taken = piece.len();
            input.consume(taken);
            read += taken as u64;
            if end.is_some() {
                self.offset += read;
                if too_long {
                    line.clear();
                }
                return Ok(if too_long { Came::TooLong } else { Came::Line });
            }
        }
    }

    /// Whether a line still begins where this stands: a writer that could not bring a group of lines to the disk takes
    /// them back.
    pub(super) fn stands(&self) -> io::Result<bool> {
        match &self.input {
            Input::Packed(_) => Ok(true),
            Input::Plain(plain) => begins_line(&plain.get_ref().file, self.offset),
        }
    }

    /// Whether another file was put in the place of this one: what a repair takes off, it leaves out of a new file.
    pub(super) fn are_replaced(&self, path: &Path) -> io::Result<bool> {
        let Input::Plain(plain) = &self.input else { return Ok(false) };
        let here = plain.get_ref().file.metadata()?;
        match fs::metadata(path) {
            Ok(there) => Ok((there.dev(), there.ino()) != (here.dev(), here.ino())),
            // It was compressed, or deleted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets what was read of a file after the last line.
    fn read_anew(&mut self) {
        if let Input::Plain(plain) = &mut self.input {
            plain.consume(plain.buffer().len());
            plain.get_mut().at = self.offset;
        }
    }

    /// Goes back to the last line that begins at or before this place, after what was written was taken back.
    pub(super) fn fall_back(&mut self) -> io::Result<()> {
        if let Input::Plain(plain) = &self.input {
            let file = &plain.get_ref().file;
            let mut place = self.offset.min(file.metadata()?.len());
            // At most one line's length: no entry is longer, and what is will be told.
            let lowest = place.saturating_sub(MAX_LINE as u64 + 1);
            while place > lowest && !begins_line(file, place)? {
                place -= 1;
            }
            self.offset = place;
            self.read_anew();
        }
        Ok(())
    }
}

/// Which line of a file begins at an offset, counted from 1; as far as it can be read.
pub(super) fn line_at(content: Content, offset: u64) -> u64 {
    let mut bytes: Box<dyn BufRead> = match content {
        Content::Packed(packed) => Box::new(packed.take(offset)),
        Content::Plain(file) => Box::new(BufReader::with_capacity(MAX_LINE, file.take(offset))),
    };
    let mut number = 1;
    while let Ok(there) = bytes.fill_buf()
        && !there.is_empty()
    {
        number += memchr::memchr_iter(b'\n', there).count() as u64;
        let taken = there.len();
        bytes.consume(taken);
    }
    number
}
