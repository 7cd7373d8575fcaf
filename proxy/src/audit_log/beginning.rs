//! How a segment begins, as its own first line says under its seal.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use portcullis_audit::{Line, MAX_LINE, Position, SegmentKeys, check_lines};
use portcullis_certs::files;

use super::resume::follows;

/// The largest window that a compressed segment may ask for, as a power of two: what zstd's own command line takes.
const MAX_WINDOW_LOG: u32 = 27;

/// Opens a segment, plain or compressed. What is no file is not waited for.
///
/// # Errors
/// What the system says; what it does not say, the file does: it is none, or not compressed.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = files::open_regular(path)?;
    if path.extension().is_some_and(|end| end == "zst") { unpacked(file) } else { Ok(Box::new(file)) }
}

fn unpacked(file: File) -> io::Result<Box<dyn Read>> {
    let mut decoder = zstd::stream::read::Decoder::new(file)?;
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    Ok(Box::new(decoder))
}

/// The first line of this segment, without its newline, and the place before it. That the seal holds says that whoever
/// wrote it had the key of this segment, and no more.
///
/// # Errors
/// As [`open`]; within, why it does not begin this segment.
pub(super) fn first_line(
    path: &Path,
    keys: &SegmentKeys,
    number: u64,
) -> io::Result<Result<(Vec<u8>, Position), &'static str>> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_LINE as u64).read_to_end(&mut bytes)?;
    Ok(begins(bytes, keys, number))
}

fn begins(mut bytes: Vec<u8>, keys: &SegmentKeys, number: u64) -> Result<(Vec<u8>, Position), &'static str> {
    let end = memchr::memchr(b'\n', &bytes).ok_or("it has no first entry")?;
    bytes.truncate(end + 1);
    let first = bytes.get(..end).unwrap_or_default();
    let begins = Line::read(first).is_some_and(|line| line.segment == Some(number));
    let after = follows(first).filter(|_| begins).ok_or("its first entry does not begin this segment")?;
    if check_lines(&bytes, Some(&keys.seal_key(number)), after).bad.is_some() {
        return Err("the seal of its first entry does not hold");
    }
    bytes.truncate(end);
    Ok((bytes, after))
}
