//! Finding the end of the chain without reading it all.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_filters::audit::{GENESIS, SealKey, read_tail};

use super::{AuditLogError, cut, read_end};

/// More than two lines can ever take.
const TAIL: u64 = 64 * 1024;

/// Where the chain ends.
pub(super) struct End {
    pub(super) previous: String,
    pub(super) next_seq: u64,
    /// The newest segment and its length; none in a new log.
    pub(super) segment: Option<(u64, u64)>,
    /// The bytes of a torn line that was removed.
    pub(super) repaired: Option<u64>,
}

/// The segments of a log, oldest first.
pub(crate) fn segments(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found: Vec<_> = fs::read_dir(dir)?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl") && number(path).is_some())
        .collect();
    found.sort();
    Ok(found)
}

fn number(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.strip_prefix("audit-")?.parse().ok()
}

/// Finds the end, removing a torn last line: what a power cut leaves of a write that was under way.
pub(super) fn end_of_chain(dir: &Path, key: &SealKey) -> Result<End, AuditLogError> {
    let io = |source| AuditLogError::Io { what: "list", path: dir.to_owned(), source };
    let files = segments(dir).map_err(io)?;
    let newest = files.last().and_then(|f| number(f));
    let mut repaired = None;
    let mut length = 0;
    if let Some(file) = files.last() {
        let (tail, whole) = read_end(file, TAIL)?;
        length = whole;
        let torn = tail.len() - tail.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if torn > 0 {
            if torn as u64 == TAIL {
                return Err(damaged(file, "its last line is longer than any entry"));
            }
            length -= torn as u64;
            cut(file, length)?;
            repaired = Some(torn as u64);
        }
    }
    let mut lines = Vec::new();
    for file in files.iter().rev() {
        let (tail, _) = read_end(file, TAIL)?;
        let mut here: Vec<Vec<u8>> = tail.split_inclusive(|b| *b == b'\n').rev().map(<[u8]>::to_vec).take(2).collect();
        lines.append(&mut here);
        if lines.len() >= 2 {
            break;
        }
    }
    let end = |previous: &str, next_seq| End {
        previous: previous.to_owned(),
        next_seq,
        segment: newest.map(|n| (n, length)),
        repaired,
    };
    let mut lines = lines.into_iter();
    let Some(last) = lines.next() else { return Ok(end(GENESIS, 0)) };
    let name = files.last().map_or(dir, PathBuf::as_path);
    let before = match lines.next() {
        Some(line) => Some(
            read_tail(key, None, &line).ok_or_else(|| damaged(name, "the line before its last is not an entry"))?.0,
        ),
        None => None,
    };
    let previous = before.as_deref().unwrap_or(GENESIS);
    let (hmac, seq) = read_tail(key, Some(previous), &last).ok_or_else(|| {
        damaged(name, "the seal of its last line does not hold, or `audit.key` is not the key it was written with")
    })?;
    Ok(end(&hmac, seq + 1))
}

fn damaged(path: &Path, why: &str) -> AuditLogError {
    AuditLogError::Damaged { path: path.to_owned(), why: why.to_owned() }
}
