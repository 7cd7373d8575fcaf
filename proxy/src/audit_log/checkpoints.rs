//! Signing the log: the root of its tree, as a note that anybody can check who knows the node's public key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_audit::{Checkpoint, KeyKind, Note, SignedCheckpoint, VerifierKey, VerifierKeyError, note};
use portcullis_certs::{NodeKey, NodePublic, files};

use ed25519_dalek::VerifyingKey;

use super::segment;

/// The name of a node's log, and of the key that signs it: the node id, which follows from the key.
pub(crate) fn origin(node_id: &str) -> String {
    format!("{node_id}/audit")
}

/// The key that a node's checkpoints are checked with.
///
/// # Errors
/// Never for a node's own key: it is not a weak one.
pub(crate) fn verifier_key(node: &NodePublic) -> Result<VerifierKey, VerifierKeyError> {
    let key = VerifyingKey::from_bytes(node.as_bytes()).map_err(|_| VerifierKeyError::Key)?;
    VerifierKey::new(&origin(&node.node_id()), KeyKind::Ed25519, key)
}

/// What signs the log.
pub(super) struct Signer {
    dir: PathBuf,
    origin: String,
    node: Arc<NodeKey>,
}

impl Signer {
    pub(super) fn new(dir: &Path, node: Arc<NodeKey>) -> Self {
        Self { dir: dir.to_owned(), origin: origin(&node.public().node_id()), node }
    }

    /// Signs a tree of this size and root, and puts the note beside the segment that ends there.
    pub(super) fn sign(&self, size: u64, root: [u8; 32], segment: u64) -> std::io::Result<Note> {
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root };
        let text = checkpoint.to_text();
        let signature =
            note::sign(&text, &self.origin, self.node.secret().signing_key()).map_err(std::io::Error::other)?;
        let note = Note { text, signatures: vec![signature] };
        let path = segment::checkpoint(&self.dir, segment);
        files::write_private(&path, note.to_string().as_bytes()).map_err(std::io::Error::other)?;
        Ok(note)
    }
}

/// A checkpoint that this node signed, as it lies beside a segment.
pub(crate) struct Signed {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Note,
    pub(crate) path: PathBuf,
}

/// Why a checkpoint does not count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadCheckpoint {
    #[error("cannot read `{path}`: {why}")]
    Unread { path: PathBuf, why: String },
    #[error("`{path}` is no checkpoint of this node: {why}")]
    Wrong { path: PathBuf, why: String },
}

/// The newest checkpoint in the folder of a log; `None` where none was signed yet.
pub(crate) fn newest(dir: &Path, key: &VerifierKey) -> Result<Option<Signed>, BadCheckpoint> {
    let numbers = segment::numbers(dir, ".checkpoint")
        .map_err(|error| BadCheckpoint::Unread { path: dir.to_owned(), why: error.to_string() })?;
    numbers.last().map(|number| read(&segment::checkpoint(dir, *number), key)).transpose()
}

/// Reads a checkpoint that was signed with this key.
pub(crate) fn read(path: &Path, key: &VerifierKey) -> Result<Signed, BadCheckpoint> {
    let unread = |why: String| BadCheckpoint::Unread { path: path.to_owned(), why };
    let wrong = |why: String| BadCheckpoint::Wrong { path: path.to_owned(), why };
    let file = std::fs::File::open(path).map_err(|error| unread(error.to_string()))?;
    let mut text = String::new();
    let most = note::MAX_NOTE as u64 + 1;
    std::io::Read::read_to_string(&mut std::io::Read::take(file, most), &mut text)
        .map_err(|error| unread(error.to_string()))?;
    let note = Note::parse(text.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let checkpoint = SignedCheckpoint::open(&note, key).map_err(|error| wrong(error.to_string()))?.into_checkpoint();
    Ok(Signed { checkpoint, note, path: path.to_owned() })
}
