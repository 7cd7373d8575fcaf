//! Finding one line in a log: by its number, or by the request that it is about.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use portcullis_audit::{Line, MAX_LINE, Position, Value};

use super::check::{CheckError, Source, of_log};

/// How much is read at once.
const BUFFER: usize = 1 << 20;

/// The line with this number, without its newline; `None` when no segment that is here has it. Of the others, the first
/// line alone is read.
pub(crate) fn by_number(dir: &Path, seq: u64) -> Result<Option<Vec<u8>>, CheckError> {
    for source in of_log(dir)?.into_iter().rev() {
        let first = Line::read(&source.first_line()?).map(|line| line.seq_no);
        if first.is_some_and(|first| first <= seq) {
            return in_source(&source, |line| line.seq_no == seq);
        }
    }
    Ok(None)
}

/// The number of the oldest line that is here; `None` where there is none.
pub(crate) fn oldest(dir: &Path) -> Result<Option<u64>, CheckError> {
    let sources = of_log(dir)?;
    let Some(first) = sources.first() else { return Ok(None) };
    Ok(Line::read(&first.first_line()?).map(|line| line.seq_no))
}

/// The newest line about a request.
pub(crate) fn by_request(dir: &Path, id: &str) -> Result<Option<Vec<u8>>, CheckError> {
    for source in of_log(dir)?.into_iter().rev() {
        let about =
            |line: &Line<'_>| line.field("request_id").and_then(|id| Value::text(&id)).is_some_and(|of| of == id);
        if let Some(line) = in_source(&source, about)? {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// How many entries there ever were, as the newest line that can be read says; 0 where there is none.
pub(crate) fn size(dir: &Path) -> Result<u64, CheckError> {
    for source in of_log(dir)?.into_iter().rev() {
        if let Some(line) = in_source(&source, |_| true)? {
            return Ok(Position::after(&line).map_or(0, |place| place.next_seq));
        }
    }
    Ok(0)
}

/// The last line of a segment that is so.
fn in_source(source: &Source, is: impl Fn(&Line<'_>) -> bool) -> Result<Option<Vec<u8>>, CheckError> {
    let failed =
        |error: std::io::Error| CheckError::Io { what: "read", path: source.path.clone(), why: error.to_string() };
    let mut reader = BufReader::with_capacity(BUFFER, source.open(&std::sync::Arc::default())?);
    let (mut found, mut line) = (None, Vec::new());
    loop {
        line.clear();
        let got = (&mut reader).take(MAX_LINE as u64).read_until(b'\n', &mut line).map_err(failed)?;
        let Some(whole) = line.strip_suffix(b"\n").filter(|_| got > 0) else { return Ok(found) };
        if Line::read(whole).is_some_and(|line| is(&line)) {
            found = Some(whole.to_vec());
        }
    }
}
