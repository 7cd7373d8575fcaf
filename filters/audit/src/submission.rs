//! What a log sends to a witness, and what that answers (C2SP tlog-witness, `add-checkpoint`).

use std::fmt;

use crate::checkpoint::{Checkpoint, CheckpointError, decimal};
use crate::note::{MAX_NOTE, Note, NoteError, NoteSignature};
use crate::proof::{MAX_HASHES, read_hashes, write_hashes};
use crate::tree::Hash;

/// The media type of the answer that says which checkpoint the witness saw last.
pub const SIZE_TYPE: &str = "text/x.tlog.size";
/// The longest request, in bytes: a note, 63 hashes in Base64, and the line with the old size.
pub const MAX_SUBMISSION: usize = MAX_NOTE + MAX_HASHES * 45 + 64;

/// A new checkpoint for a witness, and the proof that it continues an older one. Nothing in it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The size of the checkpoint that the witness saw last, as the log knows it; 0 for none.
    pub old: u64,
    /// The consistency proof from there.
    pub proof: Vec<Hash>,
    /// The checkpoint, signed by its log.
    pub checkpoint: Note,
}

/// Why a request or an answer is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionError {
    /// It is not in the form that it must have.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// What it carries is not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its old size is above that of its checkpoint.
    #[error("its old size is {old}, which is above the {size} of its checkpoint")]
    Old {
        /// The old size.
        old: u64,
        /// The size of the checkpoint.
        size: u64,
    },
}

impl Submission {
    /// Reads the body of a request. Its note is a checkpoint that is not smaller than the old size.
    ///
    /// # Errors
    /// What is wrong with its form; a witness answers `400 Bad Request`.
    pub fn parse(bytes: &[u8]) -> Result<Self, SubmissionError> {
        use SubmissionError::Malformed;
        if bytes.len() > MAX_SUBMISSION {
            return Err(Malformed("it is longer than any request"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Malformed("it is not UTF-8"))?;
        let first = text.strip_prefix("old ").and_then(|rest| rest.split_once('\n'));
        let (old, rest) = first.ok_or(Malformed("its first line is not `old <size>`"))?;
        let old = decimal(old).ok_or(Malformed("its old size is not a number"))?;
        let (proof, rest) = read_hashes(rest).ok_or(Malformed("its hashes are not at most 63 lines of Base64"))?;
        let checkpoint = Note::parse(rest.as_bytes()).map_err(CheckpointError::Note)?;
        let submission = Self { old, proof, checkpoint };
        let size = submission.checkpoint()?.size;
        if old > size { Err(SubmissionError::Old { old, size }) } else { Ok(submission) }
    }

    /// What its note says, before anybody verified it: for finding the log's key by its origin.
    ///
    /// # Errors
    /// When the note is not a checkpoint.
    pub fn checkpoint(&self) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::parse(&self.checkpoint.text)
    }
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        write_hashes(f, &self.proof)?;
        write!(f, "{}", self.checkpoint)
    }
}

/// Reads the cosignatures that a witness answers with. None of them is verified.
///
/// # Errors
/// What is wrong with their form.
pub fn read_cosignatures(answer: &[u8]) -> Result<Vec<NoteSignature>, NoteError> {
    let lines = std::str::from_utf8(answer).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
    NoteSignature::parse_all(lines)
}

/// Writes the cosignatures that a witness answers with.
#[must_use]
pub fn write_cosignatures(signatures: &[NoteSignature]) -> String {
    signatures.iter().map(ToString::to_string).collect()
}

/// Reads the answer to a request whose old size is not that of the checkpoint which the witness saw last: that size.
#[must_use]
pub fn read_size(answer: &[u8]) -> Option<u64> {
    decimal(std::str::from_utf8(answer).ok()?.strip_suffix('\n')?)
}

/// Writes that answer.
#[must_use]
pub fn write_size(size: u64) -> String {
    format!("{size}\n")
}

#[cfg(test)]
mod tests;
