//! Whole lines of one file, one after the other, in a bounded amount of memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};

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
    Plain(BufReader<File>),
}

impl Lines {
    /// The lines that begin here: the content stands at that offset.
    pub(super) fn new(content: Content, offset: u64) -> Self {
        let input = match content {
            Content::Packed(packed) => Input::Packed(packed),
            Content::Plain(file) => Input::Plain(BufReader::with_capacity(MAX_LINE, file)),
        };
        Self { input, offset }
    }

    /// Where the next line begins, in uncompressed bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether nobody writes this file any more.
    pub(super) fn is_packed(&self) -> bool {
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
                if let Input::Plain(plain) = &mut self.input {
                    plain.seek(SeekFrom::Start(self.offset))?;
                }
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
            Input::Plain(plain) => begins_line(plain.get_ref(), self.offset),
        }
    }

    /// Goes back to the last line that begins at or before this place, after what was written was taken back.
    pub(super) fn fall_back(&mut self) -> io::Result<()> {
        if let Input::Plain(plain) = &mut self.input {
            let file = plain.get_ref();
            let mut place = self.offset.min(file.metadata()?.len());
            // At most one line's length: no entry is longer, and what is will be told.
            let lowest = place.saturating_sub(MAX_LINE as u64 + 1);
            while place > lowest && !begins_line(file, place)? {
                place -= 1;
            }
            self.offset = place;
            plain.seek(SeekFrom::Start(place))?;
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
