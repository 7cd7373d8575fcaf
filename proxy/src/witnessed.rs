//! Having one's own audit log witnessed: other gates countersign its checkpoints (C2SP tlog-witness).
//!
//! Each witness has a task of its own that sends it the newest checkpoint, one at a time ([`courier`]), and reads what
//! comes back ([`round`]). What a witness countersigned last is remembered on disk ([`memory`]), so that the next proof
//! begins there. A witness that saw another log than this one raises an alarm, which lasts until the gate is started
//! anew. None of it holds up the log or an exchange.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portcullis_audit::{MAX_SIZE, VerifierKey};
use portcullis_certs::{NodeKey, NodePublic};
use portcullis_filters::audit::{AuditSink as _, Entry};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::audit_log::{AuditLog, checkpoints};
use crate::config::{Config, WitnessSettings};
use crate::metrics::Metrics;

mod courier;
pub(crate) mod memory;
pub(crate) mod round;

use courier::Courier;
use memory::{Memory, Remembered};
use round::{Failure, Round};

/// The pause after a failure grows from the first to the last: a witness that is down for a week is not asked every
/// second of it, and one that restarts is not waited for long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// A witness is asked again after so long without a new entry: at least once an hour, whatever an attempt takes. A log
/// that stops asking is one that somebody took away, and `portcullis audit witnessed --max-age` finds it.
const ASK_AGAIN: Duration = Duration::from_secs(45 * 60);

/// This gate's witnesses.
pub(crate) struct Witnesses {
    all: Vec<Arc<Witnessed>>,
}

/// The log, as one witness sees it.
struct Witnessed {
    settings: WitnessSettings,
    /// The key that this log is signed with.
    own: VerifierKey,
    memory: Memory,
    courier: Courier,
    audit: Arc<AuditLog>,
    metrics: Arc<Metrics>,
    standing: Mutex<Standing>,
}

/// How a witness and the log stand.
#[derive(Clone, Debug, Default)]
struct Standing {
    /// Who it is, once that is known.
    name: Option<String>,
    /// What it countersigned last.
    cosigned: Option<Remembered>,
    /// Why the last attempt failed.
    trouble: Option<String>,
    /// What it saw that this log is not.
    conflict: Option<String>,
}

impl Witnesses {
    /// Those that the config names.
    ///
    /// # Errors
    /// A sentence, when one of them is this gate itself, or what is remembered of them cannot be kept.
    pub(crate) fn of(
        config: &Config,
        audit: &Arc<AuditLog>,
        node: &Arc<NodeKey>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, String> {
        others(config, &node.public())?;
        let own = checkpoints::verifier_key(&node.public()).map_err(|error| error.to_string())?;
        let made = |settings: &WitnessSettings| -> Result<Arc<Witnessed>, String> {
            let memory = Memory::open(audit.dir(), &settings.fingerprint).map_err(|error| error.to_string())?;
            let witnessed = Witnessed {
                settings: settings.clone(),
                own: own.clone(),
                memory,
                courier: Courier::new(settings, Arc::clone(node), config.node.name.clone()),
                audit: Arc::clone(audit),
                metrics: Arc::clone(metrics),
                standing: Mutex::default(),
            };
            witnessed.recall();
            Ok(Arc::new(witnessed))
        };
        let all = config.filters.audit.witnesses.iter().map(made).collect::<Result<Vec<_>, _>>()?;
        let witnesses = Self { all };
        witnesses.count(metrics);
        Ok(witnesses)
    }

    /// Sends them every checkpoint from now on.
    pub(crate) fn keep(self: &Arc<Self>) {
        for witnessed in &self.all {
            let (witnessed, all) = (Arc::clone(witnessed), Arc::clone(self));
            tokio::spawn(async move { witnessed.keep(&all).await });
        }
    }

    /// How they stand.
    pub(crate) fn status(&self) -> Value {
        let shown = |witnessed: &Arc<Witnessed>| {
            let standing = witnessed.standing().clone();
            json!({
                "witness": witnessed.settings.gate.to_string(),
                "fingerprint": witnessed.settings.fingerprint,
                "name": standing.name,
                "entries": standing.cosigned.as_ref().map(|seen| seen.size),
                "at": standing.cosigned.as_ref().and_then(|seen| memory::moment(seen.time)),
                "trouble": standing.trouble,
                "conflict": standing.conflict,
            })
        };
        self.all.iter().map(shown).collect()
    }

    /// The entries under a checkpoint that any of them countersigned.
    fn count(&self, metrics: &Metrics) {
        let sizes =
            self.all.iter().filter_map(|witnessed| witnessed.standing().cosigned.as_ref().map(|seen| seen.size));
        metrics.audit.witnessed.set(i64::try_from(sizes.max().unwrap_or_default().min(MAX_SIZE)).unwrap_or_default());
    }
}

impl Witnessed {
    /// Takes up what is remembered. What cannot be read is not trusted, and the witness is asked.
    fn recall(&self) {
        match self.memory.read(&self.own) {
            Ok(Some(remembered)) => {
                *self.standing() =
                    Standing { name: Some(remembered.name.clone()), cosigned: Some(remembered), ..Standing::default() };
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(
                %error,
                "What a witness countersigned last cannot be read; the witness is asked for it."
            ),
        }
    }

    async fn keep(self: Arc<Self>, all: &Witnesses) {
        let mut signed = self.audit.signed();
        let mut pause = FIRST_PAUSE;
        // What this process had countersigned: at its start it asks in any case, so that a log that was cut is found.
        let mut done = 0;
        // Before the first checkpoint of this process, and whether or not anybody answers.
        if let Err(Failure::Conflict(what)) = self.compare().await {
            return self.alarm(what).await;
        }
        let mut asked_at = Instant::now();
        while due(&mut signed, done, ASK_AGAIN.saturating_sub(asked_at.elapsed())).await {
            let asked = *signed.borrow_and_update();
            match self.round().await {
                Ok(size) => {
                    // Where the newest note on the disk is of less than was signed, the next one is waited for.
                    (done, pause, asked_at) = (size.max(asked), FIRST_PAUSE, Instant::now());
                    self.standing().trouble = None;
                    all.count(&self.metrics);
                }
                Err(Failure::Conflict(what)) => return self.alarm(what).await,
                Err(Failure::Trouble(why)) => {
                    tracing::warn!(
                        witness = %self.settings.gate,
                        why,
                        "A witness did not countersign the audit log; it is asked again."
                    );
                    self.standing().trouble = Some(why);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    /// Has the newest checkpoint countersigned, and says of how many entries it is.
    async fn round(self: &Arc<Self>) -> Result<u64, Failure> {
        self.compare().await?;
        let witness = self.courier.witness().await.map_err(Failure::Trouble)?;
        let name = checkpoints::witness_name(&witness.node_id());
        self.standing().name = Some(name.clone());
        let known = self.standing().cosigned.as_ref().map(|seen| seen.size);
        let mut round = self.aside(move |this| Round::begin(this.audit.dir(), &this.own, &witness, known)).await?;
        round.reaches_the_medium(&mut self.audit.signed()).await?;
        let cosigned = loop {
            let submission = round.submission();
            let reply = self.courier.submit(&submission).await.map_err(Failure::Trouble)?;
            match round.read(&reply)? {
                round::Next::Cosigned(cosigned) => break cosigned,
                // What the witness countersigned last is something else than was thought.
                round::Next::From(old) => {
                    round = self.aside(move |this| round.anew(this.audit.dir(), old)).await?;
                }
            }
        };
        self.aside(move |this| {
            this.memory.write(&cosigned.note).map_err(|error| Failure::Trouble(error.to_string()))?;
            if let Err(error) = this.audit.cosigned(&cosigned.note.text, &cosigned.signature) {
                // It is remembered; the next checkpoint gets another.
                tracing::warn!(%error, "A cosignature cannot be added to the audit log's checkpoint.");
            }
            let round::Cosigned { size, root, time, .. } = cosigned;
            this.standing().cosigned = Some(Remembered { name, size, root, time });
            Ok(size)
        })
        .await
    }

    /// Whether the log still has what the witness countersigned last.
    async fn compare(self: &Arc<Self>) -> Result<(), Failure> {
        let Some(known) = self.standing().cosigned.clone() else { return Ok(()) };
        self.aside(move |this| round::compare(this.audit.dir(), &this.own, &known)).await
    }

    /// A disk's time is not spent on a thread that others wait for.
    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.unwrap_or_else(|_| Err(Failure::Trouble("it was cut off".to_owned())))
    }

    /// A witness saw another log: said in every way there is, and not asked again before somebody has looked.
    async fn alarm(&self, what: String) {
        let name = self.standing().name.clone().unwrap_or_default();
        tracing::error!(
            witness = %self.settings.gate,
            name,
            what,
            "A witness saw another audit log than this one: entries were cut off or changed, another gate has this \
             one's key, or the witness is wrong. Keep the folder as evidence, and have the witness show the note that \
             it countersigned (`portcullis audit witnessed --origin` there): without one it has shown nothing."
        );
        self.audit.contradicted();
        self.metrics.audit.witness_conflicts.inc();
        self.standing().conflict = Some(what);
        let entry = Entry { event_type: "audit.witness_conflict", path: &name, ..Entry::default() };
        if let Err(error) = self.audit.hand_over(entry.draft()).await {
            tracing::error!(%error, "An audit entry was lost.");
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until more was signed than was countersigned, or, where anything was, for so long. `false` when the log is closed.
async fn due(signed: &mut watch::Receiver<u64>, done: u64, rest: Duration) -> bool {
    let more = tokio::time::timeout(rest, signed.wait_for(|signed| *signed > done)).await.map(|more| more.is_ok());
    match more {
        Ok(more) => more,
        // Of a log without a checkpoint nobody can be asked.
        Err(_) => signed.wait_for(|signed| *signed > 0).await.is_ok(),
    }
}

/// Whether the witnesses that the config names are other gates than this one.
///
/// # Errors
/// A sentence, when one is not.
pub(crate) fn others(config: &Config, own: &NodePublic) -> Result<(), String> {
    let own = own.fingerprint();
    match config.filters.audit.witnesses.iter().find(|witness| witness.fingerprint == own) {
        None => Ok(()),
        Some(witness) => Err(format!(
            "`filters.audit.witnesses` names this gate itself (`{}`), expected the fingerprint that `portcullis id` shows \
             on the other gate",
            witness.gate
        )),
    }
}

/// The name under which a node countersigns, where that is what the text is.
fn node_of_witness(name: &str) -> Option<NodePublic> {
    NodePublic::from_node_id(name.strip_suffix("/witness")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_witness_is_asked_for_what_is_new_and_for_nothing_new_after_a_while() {
        let (log, mut signed) = watch::channel(0);
        let week = Duration::from_secs(7 * 24 * 3600);
        assert!(
            tokio::time::timeout(Duration::ZERO, due(&mut signed, 0, Duration::ZERO)).await.is_err(),
            "no checkpoint"
        );
        log.send_replace(5);
        assert!(due(&mut signed, 4, week).await, "at once");
        assert!(due(&mut signed, 5, Duration::ZERO).await, "nothing new, and it is time");
        assert!(tokio::time::timeout(Duration::ZERO, due(&mut signed, 5, week)).await.is_err(), "not before");
        drop(log);
        assert!(!due(&mut signed, 5, week).await, "the log is closed");
    }
}
