//! Signing the log: the root of its tree, as a note that anybody can check who knows the node's public key.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_audit::{
    Checkpoint, KeyKind, Note, NoteSignature, SignedCheckpoint, VerifierKey, VerifierKeyError, note,
};
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

/// The name under which a node countersigns the logs of others.
pub(crate) fn witness_name(node_id: &str) -> String {
    format!("{node_id}/witness")
}

/// The key that a node's cosignatures are checked with.
///
/// # Errors
/// When it is a weak key.
pub(crate) fn witness_key(node: &NodePublic) -> Result<VerifierKey, VerifierKeyError> {
    let key = VerifyingKey::from_bytes(node.as_bytes()).map_err(|_| VerifierKeyError::Key)?;
    VerifierKey::new(&witness_name(&node.node_id()), KeyKind::Cosignature, key)
}

/// The node whose log has this name; `None` where no node's has.
pub(crate) fn node_of_origin(origin: &str) -> Option<NodePublic> {
    NodePublic::from_node_id(origin.strip_suffix("/audit")?).ok()
}

/// How many of the newest segments' checkpoints are looked through for the one that a witness countersigned: it was
/// the newest moments ago.
const LOOKED_THROUGH: usize = 8;

/// The notes beside the segments. Who signs and who adds cosignatures take turns, so that neither undoes what the other
/// wrote.
pub(super) struct Notes {
    dir: PathBuf,
    turn: Mutex<()>,
}

impl Notes {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), turn: Mutex::default() }
    }

    /// Puts a note beside a segment, in place of an older one.
    fn put(&self, segment: u64, note: &Note) -> std::io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        write(&segment::checkpoint(&self.dir, segment), note)
    }

    /// Adds a cosignature to the note with this text, in place of an older one by the same key. Says whether the note
    /// still lay there: the next one may have taken its place.
    pub(super) fn add(&self, text: &str, cosignature: &NoteSignature) -> std::io::Result<bool> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        for number in segment::numbers(&self.dir, ".checkpoint")?.into_iter().rev().take(LOOKED_THROUGH) {
            let path = segment::checkpoint(&self.dir, number);
            let mut note = read_note(&path).map_err(std::io::Error::other)?;
            if note.text == text {
                note.signatures.retain(|known| (&known.name, known.id) != (&cosignature.name, cosignature.id));
                note.signatures.push(cosignature.clone());
                write(&path, &note)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn write(path: &Path, note: &Note) -> std::io::Result<()> {
    files::write_private(path, note.to_string().as_bytes()).map_err(std::io::Error::other)
}

/// What signs the log.
pub(super) struct Signer {
    notes: Arc<Notes>,
    origin: String,
    node: Arc<NodeKey>,
}

impl Signer {
    pub(super) fn new(notes: Arc<Notes>, node: Arc<NodeKey>) -> Self {
        Self { notes, origin: origin(&node.public().node_id()), node }
    }

    /// Signs a tree of this size and root, and puts the note beside the segment that ends there.
    pub(super) fn sign(&self, size: u64, root: [u8; 32], segment: u64) -> std::io::Result<Note> {
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root };
        let text = checkpoint.to_text();
        let signature =
            note::sign(&text, &self.origin, self.node.secret().signing_key()).map_err(std::io::Error::other)?;
        let note = Note { text, signatures: vec![signature] };
        self.notes.put(segment, &note)?;
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

/// The newest checkpoint in the folder of a log; `None` where none was signed yet. A file that is none is passed over, and
/// told of: whoever can put one there stops nobody.
///
/// # Errors
/// When the folder cannot be read, or there are files and not one of them is a checkpoint of this key.
pub(crate) fn newest(dir: &Path, key: &VerifierKey) -> Result<Option<Signed>, BadCheckpoint> {
    let numbers = segment::numbers(dir, ".checkpoint")
        .map_err(|error| BadCheckpoint::Unread { path: dir.to_owned(), why: error.to_string() })?;
    // By what they say, since a name is anybody's: to verify the signatures of all takes too long.
    let over = |number: &u64| {
        let note = read_note(&segment::checkpoint(dir, *number)).ok()?;
        Checkpoint::parse(&note.text).ok().map(|checkpoint| checkpoint.size)
    };
    let mut claims: Vec<_> = numbers.iter().map(|number| (over(number), *number)).collect();
    claims.sort_unstable();
    let mut wrong = None;
    for (_, number) in claims.into_iter().rev() {
        match read(&segment::checkpoint(dir, number), key) {
            Ok(signed) => {
                if let Some(wrong) = wrong {
                    passed_over(&wrong);
                }
                return Ok(Some(signed));
            }
            Err(error) => wrong = wrong.or(Some(error)),
        }
    }
    // Where there are some and none is genuine, nobody knows what was signed.
    wrong.map_or(Ok(None), Err)
}

/// Says that a file is none of this log's checkpoints, once for each: who looks for the newest does so all the time.
fn passed_over(wrong: &BadCheckpoint) {
    /// The most files that are told apart; beyond them, the first ones were told.
    const MOST: usize = 64;
    static TOLD: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let (BadCheckpoint::Unread { path, .. } | BadCheckpoint::Wrong { path, .. }) = wrong;
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() < MOST && !told.contains(path) {
        told.push(path.clone());
        tracing::warn!(%wrong, "A file among the audit log's checkpoints is none, and is passed over.");
    }
}

/// The checkpoint that a segment ended with; `None` where there is none.
pub(crate) fn of_segment(dir: &Path, number: u64, key: &VerifierKey) -> Result<Option<Signed>, BadCheckpoint> {
    let path = segment::checkpoint(dir, number);
    if path.exists() { read(&path, key).map(Some) } else { Ok(None) }
}

/// Reads a checkpoint that was signed with this key.
pub(crate) fn read(path: &Path, key: &VerifierKey) -> Result<Signed, BadCheckpoint> {
    let note = read_note(path)?;
    let wrong = |why: String| BadCheckpoint::Wrong { path: path.to_owned(), why };
    let checkpoint = SignedCheckpoint::open(&note, key).map_err(|error| wrong(error.to_string()))?.into_checkpoint();
    Ok(Signed { checkpoint, note, path: path.to_owned() })
}

/// Reads a note, of which nothing is verified.
pub(crate) fn read_note(path: &Path) -> Result<Note, BadCheckpoint> {
    let unread = |why: String| BadCheckpoint::Unread { path: path.to_owned(), why };
    let file = files::open_regular(path).map_err(|error| unread(error.to_string()))?;
    let mut text = String::new();
    let most = note::MAX_NOTE as u64 + 1;
    let wrong = |why: String| BadCheckpoint::Wrong { path: path.to_owned(), why };
    std::io::Read::read_to_string(&mut std::io::Read::take(file, most), &mut text).map_err(|error| {
        match error.kind() {
            std::io::ErrorKind::InvalidData => wrong("it is not UTF-8".to_owned()),
            _ => unread(error.to_string()),
        }
    })?;
    Note::parse(text.as_bytes()).map_err(|error| wrong(error.to_string()))
}
