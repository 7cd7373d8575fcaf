//! One checkpoint's way to one witness: what is sent, and what the answer means.

use std::path::Path;
use std::time::Duration;

use portcullis_audit::submission::{SIZE_TYPE, read_cosignatures, read_size};
use portcullis_audit::tree::{consistency, root, verify_consistency};
use portcullis_audit::{Hash, Note, NoteSignature, Submission, VerifierKey, verify_cosignature};
use portcullis_certs::NodePublic;
use tokio::sync::watch;

use super::courier::Reply;
use super::memory::Remembered;
use crate::audit_log::checkpoints;
use crate::audit_log::tree_file::{self, TreeFile};

/// How often a witness may say that it countersigned something else last: once because nothing was remembered, once
/// because another attempt of ours reached it meanwhile.
const MOST_TRIES: u32 = 3;

/// How long a checkpoint that was found may take to be on the medium.
const DURABLE: Duration = Duration::from_secs(10);

/// A checkpoint on its way.
pub(super) struct Round {
    /// Signed by the log, and by nobody else.
    note: Note,
    size: u64,
    root: Hash,
    old: u64,
    proof: Vec<Hash>,
    witness: VerifierKey,
    /// How many entries the witness is remembered to have countersigned.
    known: u64,
    tries: u32,
}

/// What comes next.
pub(super) enum Next {
    Cosigned(Cosigned),
    /// The same with a proof from this size.
    From(u64),
}

/// A checkpoint with its cosignature, verified.
#[derive(Debug)]
pub(super) struct Cosigned {
    pub(super) note: Note,
    pub(super) signature: NoteSignature,
    pub(super) size: u64,
    /// The root of the tree over them.
    pub(super) root: Hash,
    /// When, in seconds since 1970.
    pub(super) time: u64,
}

/// Why a checkpoint is not countersigned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The witness saw another log.
    Conflict(String),
    /// Anything else: it is tried again.
    Trouble(String),
}

impl Round {
    /// With the newest checkpoint of a log, and the proof from what the witness is known to have countersigned.
    pub(super) fn begin(
        dir: &Path,
        own: &VerifierKey,
        witness: &NodePublic,
        known: Option<u64>,
    ) -> Result<Self, Failure> {
        let newest = checkpoints::newest(dir, own).map_err(trouble)?;
        let newest = newest.ok_or_else(|| Failure::Trouble("no checkpoint was signed yet".to_owned()))?;
        let by_log = newest.note.signatures.into_iter().filter(|signature| signature.is_by(own)).collect();
        let size = newest.checkpoint.size;
        let round = Self {
            note: Note { text: newest.note.text, signatures: by_log },
            size,
            root: newest.checkpoint.root,
            old: 0,
            proof: Vec::new(),
            witness: checkpoints::witness_key(witness).map_err(trouble)?,
            known: known.unwrap_or_default(),
            tries: 0,
        };
        round.anew(dir, known.filter(|known| *known <= size).unwrap_or_default())
    }

    /// The same checkpoint, with the proof from another size.
    pub(super) fn anew(self, dir: &Path, old: u64) -> Result<Self, Failure> {
        let tree = TreeFile::read(dir).map_err(trouble)?;
        let proof = consistency(&tree, old, self.size).map_err(trouble)?;
        // A witness cannot tell a wrong proof from a log that was changed, and would keep it as evidence of that.
        let before = root(&tree, old).map_err(trouble)?;
        let shown = verify_consistency(old, &before, self.size, &self.root, &proof);
        if shown.is_err() || root(&tree, self.size).map_err(trouble)? != self.root {
            return Err(damaged(dir));
        }
        Ok(Self { old, proof, tries: self.tries + 1, ..self })
    }

    /// Waits until the checkpoint is on the medium: one that a power cut could take back would come back as another log.
    ///
    /// # Errors
    /// When it does not get there within a disk's time.
    pub(super) async fn reaches_the_medium(&self, signed: &mut watch::Receiver<u64>) -> Result<(), Failure> {
        let told = tokio::time::timeout(DURABLE, signed.wait_for(|signed| *signed >= self.size)).await;
        told.is_ok_and(|told| told.is_ok()).then_some(()).ok_or_else(|| {
            Failure::Trouble(format!(
                "the newest checkpoint here, of {} entries, is not known to be on the medium, and nothing else is sent; \
                 look at the disk if that does not end",
                self.size
            ))
        })
    }

    /// What is sent.
    pub(super) fn submission(&self) -> Submission {
        Submission { old: self.old, proof: self.proof.clone(), checkpoint: self.note.clone() }
    }

    /// What the answer means.
    pub(super) fn read(&self, reply: &Reply) -> Result<Next, Failure> {
        let Self { size, old, .. } = *self;
        // A gate says why; what is none of its witness's codes says nothing of the log.
        let of_log = reply.code.as_deref().is_none_or(|code| code.starts_with("witness."));
        match reply.status {
            200 => self.cosigned(&reply.body).map(Next::Cosigned),
            409 if of_log => self.stands_elsewhere(reply),
            422 if of_log => Err(Failure::Conflict(format!(
                "it countersigned this log at {old} entries, and the newest checkpoint here, of {size}, does not \
                 continue that"
            ))),
            status => {
                let code = reply.code.as_deref().unwrap_or("no code");
                let hint = match code {
                    "identity.pending" => "; its operator approves this gate with `portcullis peers approve`",
                    "policy.route_denied" => "; its policy has to allow this gate the class `witness`",
                    _ => "",
                };
                Err(Failure::Trouble(format!("it answered {status} ({code}){hint}")))
            }
        }
    }

    /// What it means that the witness countersigned something else last. Nothing is an alarm that an honest witness
    /// answers which lost its memory, or was restored from a copy: it names a smaller size.
    fn stands_elsewhere(&self, reply: &Reply) -> Result<Next, Failure> {
        let Self { size, old, known, tries, .. } = *self;
        let Some(last) = read_size(&reply.body).filter(|_| reply.media == SIZE_TYPE) else {
            return Err(Failure::Trouble("it does not say which checkpoint it countersigned last".to_owned()));
        };
        if last > size {
            return Err(Failure::Conflict(format!(
                "it countersigned this log at {last} entries, and the newest checkpoint here has {size}"
            )));
        }
        // A witness that is no gate gives no code: the old size was right then, and the root alone is left.
        let another_root = reply.code.as_deref().map_or(old == size, |code| code == "witness.conflict");
        if last == size && another_root {
            return Err(Failure::Conflict(format!("it countersigned this log at {size} entries with another root")));
        }
        if last == old || tries >= MOST_TRIES {
            return Err(Failure::Trouble(format!(
                "it says that it countersigned {last} entries last, and refuses the proof from there"
            )));
        }
        if last < known {
            tracing::warn!(
                last,
                known,
                "A witness says that it countersigned less of the audit log than is remembered here: it forgot, or was \
                 restored from a copy. It is sent the proof from there."
            );
        }
        Ok(Next::From(last))
    }

    /// Reads the cosignatures, of which the witness's own alone counts.
    fn cosigned(&self, answer: &[u8]) -> Result<Cosigned, Failure> {
        let signatures = read_cosignatures(answer).map_err(trouble)?;
        let signature = signatures.into_iter().find(|signature| signature.is_by(&self.witness));
        let signature = signature.ok_or_else(|| Failure::Trouble("it answered without its cosignature".to_owned()))?;
        let mut note = self.note.clone();
        note.signatures.push(signature.clone());
        let time = verify_cosignature(&note, &self.witness).map_err(trouble)?;
        Ok(Cosigned { note, signature, size: self.size, root: self.root, time })
    }
}

/// Whether a log still has what a witness is remembered to have countersigned of it. It takes no witness to see that
/// it has not.
///
/// # Errors
/// A conflict when it has not, trouble when that cannot be read.
pub(crate) fn compare(dir: &Path, own: &VerifierKey, known: &Remembered) -> Result<(), Failure> {
    let newest = checkpoints::newest(dir, own).map_err(trouble)?.map(|newest| newest.checkpoint);
    let size = newest.as_ref().map_or(0, |newest| newest.size);
    if size < known.size {
        return Err(Failure::Conflict(format!(
            "it countersigned this log at {} entries, as is remembered here, and the newest checkpoint has {size}",
            known.size
        )));
    }
    let tree = TreeFile::read(dir).map_err(trouble)?;
    if root(&tree, known.size).map_err(trouble)? != known.root {
        // Hashes that do not lead to what this log signed last say nothing of what it was before.
        if let Some(newest) = newest.filter(|newest| newest.size > known.size || newest.root == known.root)
            && root(&tree, size).map_err(trouble)? != newest.root
        {
            return Err(damaged(dir));
        }
        return Err(Failure::Conflict(format!(
            "it countersigned this log at {} entries, as is remembered here, and their root is another now",
            known.size
        )));
    }
    Ok(())
}

/// The hashes on the disk are not those of the log that was signed.
fn damaged(dir: &Path) -> Failure {
    Failure::Trouble(format!(
        "the file `{}` is damaged: its hashes do not lead to the root that this log signed last; look with \
         `portcullis audit verify`, and keep the folder as evidence",
        tree_file::path(dir).display()
    ))
}

fn trouble(error: impl std::fmt::Display) -> Failure {
    Failure::Trouble(error.to_string())
}

#[cfg(test)]
mod tests;
