//! Files of JSON: one advisory, a list of them, or one on each line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read as _};

use portcullis_osv::MAX_ADVISORY;

use super::sources::Source;
use super::{Broken, ImportError, Intake};

/// Takes every advisory in a file.
pub(super) fn take(intake: &mut Intake<'_>, source: &Source, file: File) -> Result<(), ImportError> {
    let mut reader = BufReader::new(file);
    let mut first = Vec::new();
    let done = match read_line(&mut reader, &mut first) {
        Ok(read) => {
            // What is complete on its line is one of many; what is not goes on over several lines.
            let mut scanner = Scanner::default();
            let ends = first.iter().filter(|byte| scanner.advance(**byte)).count();
            let named = source.path.extension().is_some_and(|end| end == "jsonl" || end == "ndjson");
            let lines = named || ends == 1 && !scanner.in_list && scanner.depth == 0 || read == Line::TooLong;
            let reader = Cursor::new(first).chain(reader);
            if lines { take_lines(intake, source, reader)? } else { take_elements(intake, source, reader)? }
        }
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        intake.broken(Broken::of(source, format!("cannot be read to its end: {error}")));
    }
    Ok(())
}

/// What came of reading a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads a line with its end, up to one byte more than an advisory may have.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    let most = MAX_ADVISORY as u64 + 1;
    reader.by_ref().take(most).read_until(b'\n', line)?;
    Ok(match line.last() {
        None => Line::End,
        Some(b'\n') => Line::Whole,
        Some(_) if line.len() as u64 == most => Line::TooLong,
        Some(_) => Line::Whole,
    })
}

/// One advisory on each line; empty lines are passed over. The outer error is one of the database.
fn take_lines(
    intake: &mut Intake<'_>,
    source: &Source,
    mut reader: impl BufRead,
) -> Result<io::Result<()>, ImportError> {
    let mut line = Vec::new();
    let mut into = 0u64;
    for number in 1u64.. {
        let read = match read_line(&mut reader, &mut line) {
            Ok(read) => read,
            Err(error) => return Ok(Err(error)),
        };
        into = into.saturating_add(line.len() as u64);
        let place = || Broken { line: Some(number), ..Broken::of(source, String::new()) };
        match read {
            Line::End => break,
            Line::TooLong => {
                let problem = format!("a line of more than {MAX_ADVISORY} bytes");
                intake.broken(Broken { problem, ..place() });
                match reader.skip_until(b'\n') {
                    Ok(skipped) => into = into.saturating_add(skipped as u64),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Line::Whole if line.iter().all(u8::is_ascii_whitespace) => {}
            Line::Whole => intake.take(place, &line)?,
        }
        intake.step(&source.path, into);
    }
    Ok(Ok(()))
}

/// Advisories one after the other or in a list, over any number of lines. The outer error is one of the database.
fn take_elements(
    intake: &mut Intake<'_>,
    source: &Source,
    mut reader: impl BufRead,
) -> Result<io::Result<()>, ImportError> {
    let mut scanner = Scanner::default();
    let mut element = Vec::new();
    let (mut line, mut begins, mut into) = (1u64, 1u64, 0u64);
    let mut found = false;
    loop {
        let chunk = match reader.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk.to_vec(),
            Err(error) => return Ok(Err(error)),
        };
        reader.consume(chunk.len());
        for byte in &chunk {
            let ended = scanner.advance(*byte);
            if scanner.depth > 0 || ended {
                if element.is_empty() {
                    begins = line;
                }
                // One byte more than an advisory may have is enough to see that it is too long.
                if element.len() <= MAX_ADVISORY {
                    element.push(*byte);
                }
            }
            if ended {
                found = true;
                let place = || Broken { line: Some(begins), ..Broken::of(source, String::new()) };
                intake.take(place, &element)?;
                element.clear();
            }
            line = line.saturating_add(u64::from(*byte == b'\n'));
        }
        into = into.saturating_add(chunk.len() as u64);
        intake.step(&source.path, into);
    }
    if scanner.astray || !element.is_empty() || (!found && !scanner.in_list) {
        let problem = "no JSON objects, a list of them, or one on each line".to_owned();
        let line = (!element.is_empty()).then_some(begins);
        intake.broken(Broken { line, ..Broken::of(source, problem) });
    }
    Ok(Ok(()))
}

/// Follows the braces of JSON to see where an object of the outermost level, or of a list there, ends.
#[derive(Default)]
struct Scanner {
    /// How many braces are open.
    depth: u64,
    in_list: bool,
    in_string: bool,
    escaped: bool,
    /// Whether something else stands where an object should.
    astray: bool,
}

impl Scanner {
    /// Whether an object ends with this byte.
    fn advance(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'{' => self.depth = self.depth.saturating_add(1),
            b'}' if self.depth > 0 => {
                self.depth -= 1;
                return self.depth == 0;
            }
            b'"' if self.depth > 0 => self.in_string = true,
            b'[' if self.depth == 0 && !self.in_list => self.in_list = true,
            b']' | b',' if self.depth == 0 && self.in_list => {}
            byte => self.astray |= self.depth == 0 && !byte.is_ascii_whitespace(),
        }
        false
    }
}
