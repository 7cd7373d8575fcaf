//! A proof that a line is in a log, which holds without the log (C2SP tlog-proof).

use std::fmt;

use data_encoding::BASE64;

use crate::base64;
use crate::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, decimal, hash};
use crate::note::{MAX_NOTE, Note};
use crate::tree::{Hash, ProofError, verify_inclusion};
use crate::verifier_key::VerifierKey;

/// The first line of every proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The most hashes in a proof: no tree whose size a checkpoint can name is deeper.
pub const MAX_HASHES: usize = 63;
/// The most extra data, in bytes: a line of the log has room, and more is not a proof.
const MAX_EXTRA: usize = 64 * 1024;
/// The longest proof, in bytes.
pub const MAX_PROOF: usize = MAX_NOTE + 2 * MAX_EXTRA;

/// Where a line stands in a log, and what leads from it to a checkpoint. Nothing in it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Data that the maker added. No signature covers it.
    pub extra: Option<Vec<u8>>,
    /// The number of the line.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling to the root's child.
    pub path: Vec<Hash>,
    /// The checkpoint, with the log's signature and those of its witnesses.
    pub checkpoint: Note,
}

/// Why a proof is not one, or shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// It is not in the form of a proof.
    #[error("the proof is malformed: {0}")]
    Malformed(&'static str),
    /// Its checkpoint proves nothing.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It does not lead from the line to the checkpoint.
    #[error(transparent)]
    Path(#[from] ProofError),
}

impl Proof {
    /// Reads a proof.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        use TlogProofError::Malformed;
        if bytes.len() > MAX_PROOF {
            return Err(Malformed("it is longer than any proof"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Malformed("it is not UTF-8"))?;
        let rest = text.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n'));
        let mut rest = rest.ok_or(Malformed("its first line is not `c2sp.org/tlog-proof@v1`"))?;
        let mut extra = None;
        if let Some((line, after)) = rest.strip_prefix("extra ").and_then(|rest| rest.split_once('\n')) {
            let decoded = base64::decode(line).ok_or(Malformed("its extra data is not Base64"))?;
            if decoded.len() > MAX_EXTRA {
                return Err(Malformed("its extra data is too long"));
            }
            (extra, rest) = (Some(decoded), after);
        }
        let index = rest.strip_prefix("index ").and_then(|rest| rest.split_once('\n'));
        let (index, rest) = index.ok_or(Malformed("it has no line `index <number>`"))?;
        let index = decimal(index).ok_or(Malformed("its index is not a number"))?;
        let (path, rest) = read_hashes(rest).ok_or(Malformed("its hashes are not at most 63 lines of Base64"))?;
        let checkpoint = Note::parse(rest.as_bytes()).map_err(CheckpointError::Note)?;
        Ok(Self { extra, index, path, checkpoint })
    }

    /// Checks that this line, given by its [leaf hash](crate::leaf_hash), is in the log of this key, and says in which
    /// state of the log. Cosignatures are checked with [`verify_cosignature`](crate::verify_cosignature).
    ///
    /// # Errors
    /// Why that is not shown.
    pub fn verify(&self, leaf: &Hash, key: &VerifierKey) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = SignedCheckpoint::open(&self.checkpoint, key)?.into_checkpoint();
        verify_inclusion(leaf, self.index, checkpoint.size, &self.path, &checkpoint.root)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        write_hashes(f, &self.path)?;
        write!(f, "{}", self.checkpoint)
    }
}

/// Reads hashes, one a line, up to an empty line, and says what comes after that.
pub(crate) fn read_hashes(mut rest: &str) -> Option<(Vec<Hash>, &str)> {
    let mut hashes = Vec::new();
    loop {
        let (line, after) = rest.split_once('\n')?;
        if line.is_empty() {
            return Some((hashes, after));
        }
        if hashes.len() == MAX_HASHES {
            return None;
        }
        hashes.push(hash(line)?);
        rest = after;
    }
}

/// Writes hashes as [`read_hashes`] reads them.
pub(crate) fn write_hashes(f: &mut fmt::Formatter<'_>, hashes: &[Hash]) -> fmt::Result {
    hashes.iter().try_for_each(|hash| writeln!(f, "{}", BASE64.encode(hash)))?;
    writeln!(f)
}

#[cfg(test)]
mod tests;
