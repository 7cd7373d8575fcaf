//! Checkpoints (C2SP tlog-checkpoint): which log, how many lines, which root.

use data_encoding::BASE64;

use crate::base64;
use crate::note::{Note, NoteError};
use crate::tree::Hash;
use crate::verifier_key::VerifierKey;

/// The largest tree that a checkpoint can be of: what the signed 64-bit numbers of other implementations hold.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// A state of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: not empty, one line.
    pub origin: String,
    /// How many lines it has.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// Why a checkpoint is not one, or proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is not in the form of a checkpoint.
    #[error("the checkpoint is malformed: {0}")]
    Malformed(&'static str),
    /// It is of another log.
    #[error("the checkpoint is of the log `{found}`, expected `{expected}`")]
    Origin {
        /// The log that it is of.
        found: String,
        /// The log that it should be of.
        expected: String,
    },
    /// The note around it proves nothing.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Checkpoint {
    /// Reads the text of a checkpoint: three lines, each with its newline, and no more.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        crate::note::check_text(text)?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Malformed("it has not exactly three lines"));
        };
        if origin.is_empty() {
            return Err(CheckpointError::Malformed("its origin is empty"));
        }
        let size = decimal(size).filter(|size| *size <= MAX_SIZE);
        let size = size.ok_or(CheckpointError::Malformed("its second line is not a number of lines"))?;
        let root = hash(root).ok_or(CheckpointError::Malformed("its third line is not a hash in Base64"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root))
    }
}

/// A checkpoint whose signature by its log was verified. There is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint(Checkpoint);

impl SignedCheckpoint {
    /// Opens a note by the key of a log, whose name is the origin that the checkpoint must have.
    ///
    /// # Errors
    /// When the signature does not hold, or the note is not a checkpoint of this log.
    pub fn open(note: &Note, key: &VerifierKey) -> Result<Self, CheckpointError> {
        note.verify(key)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        if checkpoint.origin != key.name() {
            return Err(CheckpointError::Origin { found: checkpoint.origin, expected: key.name().to_owned() });
        }
        Ok(Self(checkpoint))
    }

    /// What was signed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.0
    }

    /// What was signed.
    #[must_use]
    pub fn into_checkpoint(self) -> Checkpoint {
        self.0
    }
}

/// A number in the one spelling that it has in these texts.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}

/// A hash in Base64.
pub(crate) fn hash(text: &str) -> Option<Hash> {
    base64::decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests;
