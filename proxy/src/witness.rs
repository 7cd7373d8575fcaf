//! Being a witness: countersigning the checkpoints of other nodes' audit logs (C2SP tlog-witness).
//!
//! A node submits a checkpoint of its own log, with the proof that it continues the one that was countersigned before
//! ([`judge`]). What is countersigned is on the medium before it is answered ([`shelf`]). Two checkpoints that do not
//! continue each other are never countersigned; what contradicts is kept as evidence, and said loudly.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use portcullis_audit::submission::write_cosignatures;
use portcullis_audit::{Note, Submission, cosign};
use portcullis_certs::{NodeKey, NodePublic};
use portcullis_filters::store::WallClock;
use portcullis_filters::{Code, Refusal};
use tokio::sync::Mutex;

use crate::audit_log::checkpoints;

pub(crate) mod judge;
pub(crate) mod shelf;

use judge::{Evidence, Objection};
use shelf::{Shelf, ShelfError, Unkept};

/// What may come of a request, for the counter's label.
pub(crate) const RESULTS: [&str; 9] =
    ["conflict", "cosigned", "error", "full", "inconsistent", "malformed", "old_size", "signature", "unknown_log"];

/// Countersigns with this node's key.
pub(crate) struct Witness {
    /// One at a time: what is compared is what is replaced.
    shelf: Arc<Mutex<Shelf>>,
    unkept: Arc<Unkept>,
    name: String,
    key: Arc<NodeKey>,
    clock: Arc<dyn WallClock>,
}

/// What a witness answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The lines of the cosignature.
    Cosigned(String),
    /// No, and the size of the checkpoint that was countersigned last, where that is for the log to know.
    Refused(Refusal, Option<u64>),
}

impl Witness {
    /// A witness that keeps what it saw in `<state>/witness`.
    ///
    /// # Errors
    /// A sentence, when the folder cannot be made.
    pub(crate) fn open(state: &Path, key: Arc<NodeKey>, clock: Arc<dyn WallClock>) -> Result<Self, ShelfError> {
        let shelf = Shelf::open(&state.join(shelf::FOLDER), &key.public())?;
        let name = checkpoints::witness_name(&key.public().node_id());
        let unkept = Arc::clone(shelf.unkept());
        Ok(Self { shelf: Arc::new(Mutex::new(shelf)), unkept, name, key, clock })
    }

    /// What contradicted a log and could not be kept yet: who has this sees it, whenever that is.
    pub(crate) fn unkept(&self) -> &Arc<Unkept> {
        &self.unkept
    }

    /// Judges a submission of this node, and countersigns it where it continues the node's log. Says, too, what to
    /// count it as.
    pub(crate) async fn add_checkpoint(&self, caller: &NodePublic, body: Bytes) -> (Answer, &'static str) {
        let shelf = Arc::clone(&self.shelf).lock_owned().await;
        let (name, key, caller) = (self.name.clone(), Arc::clone(&self.key), *caller);
        let seconds = u64::try_from(self.clock.now_ms().div_euclid(1000)).unwrap_or_default();
        // It runs to its end, also when the caller leaves meanwhile: what is compared and replaced stays one step.
        let judged = tokio::task::spawn_blocking(move || {
            let judged = examine(&shelf, &caller, &body, |text| {
                cosign(text, &name, key.secret().signing_key(), seconds).map_err(|error| error.to_string())
            });
            drop(shelf);
            judged
        });
        match judged.await {
            Ok(Ok(lines)) => (Answer::Cosigned(lines), "cosigned"),
            Ok(Err(stop)) => stop.answer(),
            Err(_) => Stop::Broken("the judgement was cut off".to_owned()).answer(),
        }
    }
}

/// Why nothing is countersigned.
enum Stop {
    Broken(String),
    Full,
    Objection(Objection),
}

/// Judges, countersigns and keeps.
fn examine(
    shelf: &Shelf,
    caller: &NodePublic,
    body: &[u8],
    sign: impl Fn(&str) -> Result<portcullis_audit::NoteSignature, String>,
) -> Result<String, Stop> {
    let submission =
        Submission::parse(body).map_err(|error| Stop::Objection(Objection::Malformed(error.to_string())))?;
    let log = checkpoints::verifier_key(caller).map_err(|error| Stop::Broken(error.to_string()))?;
    let signed = judge::opened(&submission, &log).map_err(Stop::Objection)?;
    // Another process may forget the log meanwhile: before this, or after it.
    let _turn = shelf.lock()?;
    shelf.keep_unkept();
    let kept = shelf.last(&log)?;
    let last = kept.as_ref().map(|kept| &kept.checkpoint);
    let own = submission.checkpoint.signatures.iter().find(|signature| signature.is_by(&log)).cloned();
    let mut note = Note { text: submission.checkpoint.text.clone(), signatures: own.into_iter().collect() };
    if let Err(objection) = judge::continues(&submission, &signed, last) {
        if let Some(evidence) = objection.evidence() {
            let countersigned = last.map_or(0, |last| last.size);
            if evidence == Evidence::NotShown {
                tracing::error!(
                    log = log.name(),
                    size = signed.size,
                    countersigned,
                    "A node submitted a checkpoint of its audit log that is not shown to continue what was \
                     countersigned: its proof is wrong, or entries were changed there. The first notes of this kind are \
                     kept; `portcullis audit witnessed` shows the one that was countersigned."
                );
            } else {
                tracing::error!(
                    log = log.name(),
                    size = signed.size,
                    countersigned,
                    "A node submitted a checkpoint of its audit log that contradicts what was countersigned: entries \
                     were cut off or changed there. The first notes of this kind are kept with what they contradict; \
                     `portcullis audit witnessed` shows the one that was countersigned."
                );
            }
            if let Err(error) = shelf.keep_evidence(evidence, &note, kept.as_ref().map(|kept| &kept.note)) {
                tracing::error!(%error, log = log.name(), "The contradicting checkpoint cannot be kept; it is tried again with the next request.");
            }
        }
        return Err(Stop::Objection(objection));
    }
    let cosignature = sign(&note.text).map_err(Stop::Broken)?;
    note.signatures.push(cosignature.clone());
    shelf.keep(&note)?;
    Ok(write_cosignatures(&[cosignature]))
}

impl From<ShelfError> for Stop {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Full => Self::Full,
            other => Self::Broken(other.to_string()),
        }
    }
}

impl Stop {
    fn answer(self) -> (Answer, &'static str) {
        let (code, message, size, result) = match self {
            Self::Broken(why) => {
                tracing::error!(why, "A checkpoint of another node's audit log cannot be countersigned.");
                return (Answer::Refused(Refusal::internal("witness", why), None), "error");
            }
            Self::Full => {
                let message = "this gate is witness to as many logs as it can be".to_owned();
                (Code::WitnessFull, message, None, "full")
            }
            Self::Objection(objection) => {
                (objection.code(), objection.to_string(), objection.size(), objection.result())
            }
        };
        (Answer::Refused(Refusal::new("witness", code, message), size), result)
    }
}

#[cfg(test)]
mod tests;
