//! A look at the end of a log alone, which takes as long for a large one as for a small one.

use std::path::Path;

use portcullis_audit::{Line, Position, SegmentKeys, VerifierKey, tree};
use portcullis_certs::files;

use super::{CheckError, Doubt, io as at};
use crate::audit_log::checkpoints::{self, BadCheckpoint};
use crate::audit_log::resume::{ends_with, last_lines};
use crate::audit_log::segment;
use crate::audit_log::state::State;
use crate::audit_log::tree_file::{self, TreeFile};

/// What the end of a log says.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// How many entries there ever were, and how many of them are under the newest checkpoint.
    pub(crate) size: u64,
    pub(crate) signed: Option<u64>,
    /// The newest entry's time. Empty where the newest segment has none yet.
    pub(crate) last: String,
    pub(crate) doubt: Option<Doubt>,
}

/// Looks at what was noted when the log was signed last: that the line which stood there still does, under its seal;
/// that the tree is the one that was signed; and that nothing is shorter than that. What lies before is not read.
///
/// # Errors
/// When there is no log, or it cannot be read.
pub(crate) fn end(dir: &Path, keys: &SegmentKeys, signer: &VerifierKey) -> Result<End, CheckError> {
    let mut end = End::default();
    // In the order that the whole check takes: last what the gate writes first.
    let state = State::load(dir, keys);
    let checkpoint = match checkpoints::newest(dir, signer) {
        Ok(checkpoint) => checkpoint,
        Err(BadCheckpoint::Unread { path, why }) => return Err(CheckError::Io { what: "read", path, why }),
        Err(BadCheckpoint::Wrong { path, why }) => return Ok(doubt(end, &path, why)),
    };
    let tree = match TreeFile::read(dir) {
        Ok(tree) => Some(tree),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(at("open", &tree_file::path(dir))(error)),
    };
    let root = |size| tree.as_ref().and_then(|tree| tree::root(tree, size).ok());
    if let Some(signed) = &checkpoint {
        let over = signed.checkpoint.size;
        if root(over) != Some(signed.checkpoint.root) {
            let why = format!("the file `tree` is not the one that it was signed over, at {over} entries");
            return Ok(doubt(end, &signed.path, why));
        }
        end.signed = Some(over);
    }
    if let Some(state) = &state {
        if end.signed.is_none_or(|signed| signed < state.position.next_seq) {
            let why = format!("the checkpoint over {} entries that it tells of is not here", state.position.next_seq);
            return Ok(doubt(end, &State::path(dir), why));
        }
        if root(state.position.next_seq) != Some(state.root) {
            return Ok(doubt(end, &tree_file::path(dir), "it is not the tree that `state.json` tells of".to_owned()));
        }
        if let Some(why) = moved(dir, keys, state)? {
            return Ok(doubt(end, &segment::plain(dir, state.segment), why.to_owned()));
        }
    }
    let Some(newest) = segment::numbers(dir, ".jsonl").map_err(at("list", dir))?.last().copied() else {
        return Err(CheckError::Absent(dir.to_owned()));
    };
    let path = segment::plain(dir, newest);
    let file = files::open_regular(&path).map_err(at("open", &path))?;
    let length = file.metadata().map_err(at("look at", &path))?.len();
    let bytes = last_lines(&file, length).map_err(at("read", &path))?;
    let whole = memchr::memrchr(b'\n', &bytes).and_then(|end| bytes.get(..end)).unwrap_or_default();
    let start = memchr::memrchr(b'\n', whole).map_or(0, |end| end + 1);
    let line = whole.get(start..).unwrap_or_default();
    let known = end.signed.unwrap_or_default();
    match (Line::read(line), Position::after(line)) {
        (Some(line), Some(after)) => {
            (end.size, end.last) = (after.next_seq, line.timestamp.to_owned());
        }
        // A segment that has just begun.
        _ if bytes.is_empty() => end.size = known,
        _ => return Ok(doubt(end, &path, "its last line is not an entry in canonical form".to_owned())),
    }
    if !bytes.is_empty()
        && let Some(after) = Position::after(line)
        && !ends_with(bytes.get(..=start + line.len()).unwrap_or_default(), &keys.seal_key(newest), after)
    {
        return Ok(doubt(end, &path, "the seal of its last line does not hold".to_owned()));
    }
    if newest > 0 && (checkpoint.is_none() || state.is_none()) {
        return Ok(doubt(end, dir, "segments have ended, and there is no checkpoint or no `state.json`".to_owned()));
    }
    if end.size < known {
        let why = format!("it ends with {} entries, and a checkpoint was signed over {known}", end.size);
        return Ok(doubt(end, &path, why));
    }
    Ok(end)
}

/// Why the line is not where the state says, where it is not.
fn moved(dir: &Path, keys: &SegmentKeys, state: &State) -> Result<Option<&'static str>, CheckError> {
    let path = segment::plain(dir, state.segment);
    let file = match files::open_regular(&path) {
        Ok(file) => file,
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at("open", &path)(error)),
        // It ended there, and was compressed since, or was the last of those that were deleted.
        Err(_) if segment::compressed(dir, state.segment).exists() => return Ok(None),
        Err(_) => return Ok(Some("it is not here, and the log was signed while it was written")),
    };
    if file.metadata().map_err(at("look at", &path))?.len() < state.offset {
        return Ok(Some("its newest entries were cut off"));
    }
    let lines = last_lines(&file, state.offset).map_err(at("read", &path))?;
    let holds = ends_with(&lines, &keys.seal_key(state.segment), state.position);
    Ok((!holds).then_some("another entry stands where its newest signed one was"))
}

fn doubt(mut end: End, file: &Path, why: String) -> End {
    end.doubt = Some(Doubt { file: file.to_owned(), line: None, why });
    end
}
