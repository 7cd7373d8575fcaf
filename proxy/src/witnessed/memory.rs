//! What a witness countersigned last: the note with its cosignature, in a file of its own.
//!
//! The checkpoint beside a segment is replaced by the next one, cosigned or not. This one stays until the same witness
//! countersigned a newer one: a proof of what it saw, and where the next consistency proof begins.

use std::path::{Path, PathBuf};

use portcullis_audit::{Hash, Note, SignedCheckpoint, VerifierKey, verify_cosignature};
use portcullis_certs::files::{self, FileError};

use super::node_of_witness;
use crate::audit_log::checkpoints::{self, BadCheckpoint};

/// Where the files lie in the folder of the log.
pub(crate) const FOLDER: &str = "witnessed";

/// The file of one witness.
pub(crate) struct Memory {
    path: PathBuf,
    fingerprint: String,
}

/// What is in it, verified.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    /// The witness's name.
    pub(crate) name: String,
    /// How many entries it countersigned.
    pub(crate) size: u64,
    /// The root of the tree over them.
    pub(crate) root: Hash,
    /// When, in seconds since 1970.
    pub(crate) time: u64,
}

impl Memory {
    /// Of the witness with this fingerprint, in the folder of a log.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn open(audit: &Path, fingerprint: &str) -> Result<Self, FileError> {
        files::create_private_dir(&audit.join(FOLDER))?;
        Ok(Self::look(audit, fingerprint))
    }

    /// The same for who only reads, which makes nothing.
    pub(crate) fn look(audit: &Path, fingerprint: &str) -> Self {
        // A fingerprint has one spelling, of hex digits and colons.
        let name: String = fingerprint.chars().filter(char::is_ascii_hexdigit).collect();
        Self { path: audit.join(FOLDER).join(format!("{name}.checkpoint")), fingerprint: fingerprint.to_owned() }
    }

    /// What the witness countersigned last, of the log that is signed with this key.
    ///
    /// # Errors
    /// When it cannot be read, or is nothing that this witness countersigned.
    pub(crate) fn read(&self, own: &VerifierKey) -> Result<Option<Remembered>, BadCheckpoint> {
        if !self.path.exists() {
            return Ok(None);
        }
        let note = checkpoints::read_note(&self.path)?;
        let wrong = |why: String| BadCheckpoint::Wrong { path: self.path.clone(), why };
        let signed = SignedCheckpoint::open(&note, own).map_err(|error| wrong(error.to_string()))?;
        let names = note.signatures.iter().filter_map(|signature| node_of_witness(&signature.name));
        let node = names.into_iter().find(|node| node.fingerprint() == self.fingerprint);
        let node = node.ok_or_else(|| wrong("the witness did not countersign it".to_owned()))?;
        let key = checkpoints::witness_key(&node).map_err(|error| wrong(error.to_string()))?;
        let time = verify_cosignature(&note, &key).map_err(|error| wrong(error.to_string()))?;
        let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
        Ok(Some(Remembered { name: key.name().to_owned(), size, root, time }))
    }

    /// Puts a countersigned note in the place of the last one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, note: &Note) -> Result<(), FileError> {
        files::write_private(&self.path, note.to_string().as_bytes())
    }
}

/// A time in seconds since 1970, as people read it; `None` for one that no calendar has.
pub(crate) fn moment(seconds: u64) -> Option<String> {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
