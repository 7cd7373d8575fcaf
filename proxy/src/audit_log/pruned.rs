//! That old segments were deleted by the gate: an entry tells of them, and a proof that it was signed lies beside the log.
//!
//! Whoever has the key of one segment could seal an entry that says so, and have a start sign it, so only one that has
//! the gate's own word ([`Told`]) is believed where that can be checked.

use std::io;
use std::path::{Path, PathBuf};

use portcullis_audit::{Checkpoint, Line, MAX_PROOF, Proof, SegmentKeys, VerifierKey, leaf_hash, tree};
use portcullis_certs::files;

use super::read::{Reader, Step, numbers};
use super::tree_file::TreeFile;
use super::{AuditLogError, beginning, checkpoints, segment};

mod told;

pub(super) use told::{Told, root_under, word};

/// The kind of entry that tells of them.
pub(super) const EVENT: &str = "audit.pruned";

/// Where the proof lies: a C2SP tlog-proof of the newest such entry, with the line itself as its extra data.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("pruned.proof")
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
/// says where the first begins, and an entry that was signed, and has the gate's own word, tells of it. Without the proof
/// all entries are read for it.
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
    let trusted = Trusted::read(dir, keys, signer);
    let tells = match &trusted {
        Some(trusted) => trusted.proves(dir, signer, gone) || trusted.searched(dir, gone)?,
        None => false,
    };
    if tells {
        return Ok(());
    }
    Err(damaged(format!(
        "`{name}` is its first segment, and no signed entry `{EVENT}` says that those before it were deleted, by the \
         gate's own word"
    )))
}

/// What an entry is held against before it is believed.
struct Trusted<'k> {
    keys: &'k SegmentKeys,
    signed: Checkpoint,
    file: TreeFile,
}

impl<'k> Trusted<'k> {
    /// `None` where nothing was signed, or the tree is not here.
    fn read(dir: &Path, keys: &'k SegmentKeys, signer: &VerifierKey) -> Option<Self> {
        let signed = checkpoints::newest(dir, signer).ok()??.checkpoint;
        Some(Self { keys, signed, file: TreeFile::read(dir).ok()? })
    }

    /// Whether the gate says in this line that this segment was deleted.
    fn believes(&self, line: &Line<'_>, gone: u64) -> bool {
        let told = Told::read(line).filter(|told| told.segments.contains(&gone));
        told.is_some_and(|told| told.is_by_the_gate(self.keys, &self.file, &self.signed))
    }

    /// Whether the proof beside the log shows that the segment was deleted.
    fn proves(&self, dir: &Path, signer: &VerifierKey, gone: u64) -> bool {
        let line = || {
            let file = files::open_regular(&path(dir)).ok()?;
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut io::Read::take(file, MAX_PROOF as u64 + 1), &mut bytes).ok()?;
            let proof = Proof::parse(&bytes).ok()?;
            let line = proof.extra.as_deref()?;
            proof.verify(&leaf_hash(line), signer).ok()?;
            Some(line.to_vec())
        };
        line().is_some_and(|line| Line::read(&line).is_some_and(|line| self.believes(&line, gone)))
    }

    /// Whether any entry that is under the newest checkpoint says that the segment was deleted.
    fn searched(&self, dir: &Path, gone: u64) -> Result<bool, AuditLogError> {
        let unread = |error| at("read", dir)(io::Error::other(error));
        let mut reader = Reader::oldest(dir).map_err(unread)?;
        loop {
            match reader.next().map_err(unread)? {
                Step::End { .. } => return Ok(false),
                Step::Line(line) if memchr::memmem::find(line, EVENT.as_bytes()).is_some() => {
                    let line = Line::read(line.strip_suffix(b"\n").unwrap_or(line));
                    if line.is_some_and(|line| self.is_signed(&line) && self.believes(&line, gone)) {
                        return Ok(true);
                    }
                }
                _ => {}
            }
        }
    }

    fn is_signed(&self, line: &Line<'_>) -> bool {
        let Checkpoint { size, root, .. } = &self.signed;
        let path = tree::inclusion(&self.file, line.seq_no, *size).ok();
        let leaf = leaf_hash(line.bytes());
        path.is_some_and(|path| tree::verify_inclusion(&leaf, line.seq_no, *size, &path, root).is_ok())
    }
}

fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuditLogError {
    let path = path.to_owned();
    move |source| AuditLogError::Io { what, path, source }
}
