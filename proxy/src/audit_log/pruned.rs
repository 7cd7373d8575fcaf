//! That old segments were deleted by the gate: an entry tells of them, and a proof that it was signed lies beside the log.
//!
//! Without it, whoever deletes old segments could seal an entry that says so with the newest segment's key alone, and
//! have the next start sign it.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use portcullis_audit::{Line, MAX_PROOF, Proof, SegmentKeys, Value, VerifierKey, leaf_hash, tree};
use portcullis_certs::files;

use super::read::{Reader, Step, numbers};
use super::tree_file::TreeFile;
use super::{AuditLogError, beginning, checkpoints, segment};

/// The kind of entry that tells of them.
pub(super) const EVENT: &str = "audit.pruned";

/// Where the proof lies: a C2SP tlog-proof of the newest such entry, with the line itself as its extra data.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("pruned.proof")
}

/// The segments that an entry says were deleted; `None` where it says nothing of the kind.
pub(super) fn told(line: &Line<'_>) -> Option<RangeInclusive<u64>> {
    let Some(Value::Text(path)) = line.field("path").filter(|_| line.event_type == EVENT) else { return None };
    let (from, to) = path.split_once(" to ")?;
    let number = |name: &str| name.strip_prefix("audit-")?.strip_suffix(".jsonl")?.parse().ok();
    Some(number(from)?..=number(to)?)
}

/// Proves a line by the newest checkpoint, and puts the proof beside the log, on the medium.
///
/// # Errors
/// When the line is not under it, or the disk says no.
pub(super) fn save(dir: &Path, line: &[u8], signer: &VerifierKey) -> io::Result<()> {
    let signed = checkpoints::newest(dir, signer).map_err(io::Error::other)?;
    let signed = signed.ok_or_else(|| io::Error::other("there is no checkpoint"))?;
    let index = Line::read(line).map(|line| line.seq_no).ok_or_else(|| io::Error::other("it is no entry"))?;
    let path = tree::inclusion(&TreeFile::read(dir)?, index, signed.checkpoint.size)?;
    let proof = Proof { extra: Some(line.to_vec()), index, path, checkpoint: signed.note };
    proof.verify(&leaf_hash(line), signer).map_err(io::Error::other)?;
    files::write_private(&self::path(dir), proof.to_string().as_bytes()).map_err(io::Error::other)
}

/// Sees to it that the segments before the first that is here were deleted by the gate: the checkpoint of the last of them
/// says where the first begins, and an entry that was signed tells of it. Without the proof all entries are read for it.
///
/// # Errors
/// When that is not so, or the disk says no.
pub(super) fn accounts_for_the_beginning(
    dir: &Path,
    keys: &SegmentKeys,
    signer: &VerifierKey,
) -> Result<(), AuditLogError> {
    let damaged = |why: String| AuditLogError::Damaged { path: dir.to_owned(), why };
    let here = numbers(dir).map_err(at("list", dir))?;
    let Some((first, gone)) = here.first().and_then(|first| Some((*first, first.checked_sub(1)?))) else {
        return Ok(());
    };
    let name = format!("audit-{first:06}.jsonl");
    let signed = checkpoints::of_segment(dir, gone, signer).map_err(|error| damaged(error.to_string()))?;
    let Some(signed) = signed else {
        let why = format!(
            "`{name}` is its first segment, and `audit-{gone:06}.checkpoint`, which says what it follows, is gone"
        );
        return Err(damaged(why));
    };
    let path = Some(segment::plain(dir, first)).filter(|path| path.exists());
    let path = path.unwrap_or_else(|| segment::compressed(dir, first));
    let (_, after) = match beginning::first_line(&path, keys, first) {
        Ok(begins) => begins.map_err(|why| damaged(format!("in `{name}`, {why}")))?,
        Err(error) if error.raw_os_error().is_none() => {
            return Err(damaged(format!("`{name}` cannot be read ({error})")));
        }
        Err(error) => return Err(at("read", &path)(error)),
    };
    if after.next_seq != signed.checkpoint.size {
        let why = format!(
            "`{name}` is its first segment, and does not begin after the {} entries that `{}` was signed over",
            signed.checkpoint.size,
            signed.path.display()
        );
        return Err(damaged(why));
    }
    if proved(dir, signer).is_some_and(|told| told.contains(&gone)) || searched(dir, signer, gone)? {
        return Ok(());
    }
    Err(damaged(format!(
        "`{name}` is its first segment, and no signed entry `{EVENT}` says that those before it were deleted"
    )))
}

/// The segments that the proof shows to have been deleted; `None` where there is none, or it shows nothing.
fn proved(dir: &Path, signer: &VerifierKey) -> Option<RangeInclusive<u64>> {
    let file = files::open_regular(&path(dir)).ok()?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MAX_PROOF as u64 + 1), &mut bytes).ok()?;
    let proof = Proof::parse(&bytes).ok()?;
    let line = proof.extra.as_deref()?;
    proof.verify(&leaf_hash(line), signer).ok()?;
    told(&Line::read(line)?)
}

/// Whether any entry that is under the newest checkpoint says that a segment was deleted.
fn searched(dir: &Path, signer: &VerifierKey, gone: u64) -> Result<bool, AuditLogError> {
    let (Ok(Some(signed)), Ok(file)) = (checkpoints::newest(dir, signer), TreeFile::read(dir)) else {
        return Ok(false);
    };
    let signed = signed.checkpoint;
    let is_signed = |line: &Line<'_>| {
        let path = tree::inclusion(&file, line.seq_no, signed.size).ok();
        let leaf = leaf_hash(line.bytes());
        path.is_some_and(|path| tree::verify_inclusion(&leaf, line.seq_no, signed.size, &path, &signed.root).is_ok())
    };
    let unread = |error| at("read", dir)(io::Error::other(error));
    let mut reader = Reader::oldest(dir).map_err(unread)?;
    loop {
        match reader.next().map_err(unread)? {
            Step::End { .. } => return Ok(false),
            Step::Line(line) if memchr::memmem::find(line, EVENT.as_bytes()).is_some() => {
                let line = Line::read(line.strip_suffix(b"\n").unwrap_or(line));
                if line.is_some_and(|line| told(&line).is_some_and(|told| told.contains(&gone)) && is_signed(&line)) {
                    return Ok(true);
                }
            }
            _ => {}
        }
    }
}

fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuditLogError {
    let path = path.to_owned();
    move |source| AuditLogError::Io { what, path, source }
}
