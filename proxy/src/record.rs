//! The record of one exchange: one audit entry and one round of counters, whatever happens.
//!
//! It is closed by the service, or on drop, so that a panic or a cancelled task leaves its line, too.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use portcullis_filters::audit::{AuditError, AuditSink, Entry, Receipt};
use portcullis_filters::exchange::{Caller, Content, Facts, Noted, Shadow};
use portcullis_filters::gate::Gate;
use portcullis_filters::schema::Bound;
use portcullis_filters::{Code, Refusal};
use portcullis_policies::DataLevel;
use portcullis_policies::policy::Policy;
use portcullis_signatures::Asked;
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::body::Body;
use crate::decisions::{Decision, Decisions};
use crate::metrics::{Finished, LISTENER, Metrics};
use crate::privacy::Privacy;

/// What becomes one line of the audit log.
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) class: &'static str,
    /// The route's name.
    pub(crate) route: Option<Arc<str>>,
    pub(crate) upstream: Option<Arc<str>>,
    /// The policy that decides.
    pub(crate) policy: Weak<Policy>,
    pub(crate) status: u16,
    /// Its audit entry is written together with those of others.
    pub(crate) told_with_others: bool,
    /// What its signature names it, once that was verified: what answers it is signed.
    pub(crate) asked: Option<Asked>,
    /// How often the upstream was asked once more, because its answer did not fit a schema.
    pub(crate) repairs: u64,
    caller: String,
    /// Who that is, once the `identity` filter knows.
    known: Option<Caller>,
    allowed_by: Option<Arc<str>>,
    identity_method: &'static str,
    model: String,
    level: DataLevel,
    shadow: Option<Shadow>,
    /// What was found in the request, and in the answer.
    findings: Vec<Noted>,
    answered: Vec<Noted>,
    /// How many parts of the request were taken out, and of the answer.
    redactions: (u32, u32),
    /// Where the client came from, as far as that may be told.
    from: String,
    privacy: Arc<Privacy>,
    prompt: String,
    /// The task that a tool works on.
    task: String,
    request_bytes: u64,
    response_bytes: u64,
    answer: Sha256,
    began: Instant,
    /// How it ended, once its entry was handed over.
    ended: Option<Ended>,
    counted: bool,
    sink: Arc<dyn AuditSink>,
    metrics: Arc<Metrics>,
    decisions: Arc<Decisions>,
}

/// What stands in the place of a code where the client left in the middle of an allowed answer.
pub(crate) const CLIENT_LEFT: &str = "client.left";

/// How an exchange ended.
#[derive(Clone, Copy)]
pub(crate) enum Ending<'r> {
    /// The answer was given, or is about to be.
    Allowed,
    /// The client left in the middle of an allowed answer.
    ClientLeft,
    /// It was refused.
    Refused(&'r Refusal),
}

/// How an exchange ended, as it is counted.
#[derive(Clone, Copy)]
struct Ended {
    blocked: bool,
    filter: &'static str,
    code: &'static str,
    took: Duration,
}

impl Record {
    pub(crate) fn open(
        sink: Arc<dyn AuditSink>,
        metrics: Arc<Metrics>,
        decisions: Arc<Decisions>,
        privacy: Arc<Privacy>,
        from: IpAddr,
    ) -> Self {
        metrics.requests_in_flight.inc();
        Self {
            id: Ulid::new().to_string(),
            method: String::new(),
            path: String::new(),
            class: "unknown",
            route: None,
            upstream: None,
            policy: Weak::new(),
            status: 0,
            told_with_others: false,
            asked: None,
            caller: String::new(),
            known: None,
            allowed_by: None,
            identity_method: "",
            model: String::new(),
            level: DataLevel::L0,
            shadow: None,
            findings: Vec::new(),
            answered: Vec::new(),
            redactions: (0, 0),
            repairs: 0,
            from: privacy.address(from),
            privacy,
            prompt: String::new(),
            task: String::new(),
            request_bytes: 0,
            response_bytes: 0,
            answer: Sha256::new(),
            began: Instant::now(),
            ended: None,
            counted: false,
            sink,
            metrics,
            decisions,
        }
    }

    /// Notes the request body: its size and its digest, never its text.
    pub(crate) fn prompt(&mut self, body: &Body) {
        let Content { bytes, digest } = &body.content;
        self.request_bytes = bytes.len() as u64;
        if !bytes.is_empty() {
            let digest = if body.plain { *digest } else { Sha256::digest(bytes).into() };
            self.prompt = self.privacy.digest(&digest);
        }
    }

    /// Notes a piece of the answer that is about to leave.
    pub(crate) fn answer(&mut self, piece: &[u8]) {
        self.response_bytes += piece.len() as u64;
        self.answer.update(piece);
    }

    /// The SHA-256 of the answer, so far. Asked before the entry is written, which uses it up.
    pub(crate) fn output(&self) -> [u8; 32] {
        self.answer.clone().finalize().into()
    }

    /// Notes what the filters established.
    pub(crate) fn facts(&mut self, facts: &Facts) {
        if let Some((identity, method)) = facts.met() {
            identity.as_str().clone_into(&mut self.caller);
            self.identity_method = method.as_str();
        }
        if let Some(model) = facts.asked() {
            model.as_str().clone_into(&mut self.model);
        }
        self.level = self.level.max(facts.level());
        self.asked = facts.signed().cloned();
        self.known = facts.caller().cloned();
        self.allowed_by = facts.basis().cloned();
        self.findings = facts.findings().to_vec();
        self.redactions.0 = facts.redactions();
        if let Some(Bound::Call(call)) = facts.bound().map(AsRef::as_ref) {
            call.task().clone_into(&mut self.task);
        }
        if let Some(shadow) = facts.shadows().first() {
            self.shadow(shadow.clone());
        }
    }

    /// Notes what the eyes on the answer have seen so far.
    pub(crate) fn watched(&mut self, gate: &Gate) {
        self.level = self.level.max(gate.level());
        self.answered = gate.findings();
        self.redactions.1 = gate.redactions();
    }

    /// Notes the key of a caller that no filter accepted, so that a refusal says whom it met.
    pub(crate) fn presented(&mut self, identity: &str) {
        if self.caller.is_empty() {
            identity.clone_into(&mut self.caller);
            self.identity_method = "mtls";
        }
    }

    /// Notes a block that a filter in `shadow` mode would have made; the first one is told.
    pub(crate) fn shadow(&mut self, shadow: Shadow) {
        self.shadow.get_or_insert(shadow);
    }

    /// Writes the entry. Called before the last byte of an answer leaves.
    ///
    /// # Errors
    /// When it cannot be written: then the exchange must be refused.
    pub(crate) async fn close(&mut self, ending: Ending<'_>) -> Result<(), AuditError> {
        let Some(receipt) = self.hand_over(ending) else { return Ok(()) };
        let written = receipt.await;
        told_of_loss(&written);
        self.count(written.is_err());
        written
    }

    /// Hands the entry over to be written, and tells whoever watches the gate. `None` where that was done before.
    fn hand_over(&mut self, ending: Ending<'_>) -> Option<Receipt> {
        if self.ended.is_some() {
            return None;
        }
        let mut tried = false;
        let (blocked, filter, code) = match ending {
            Ending::Allowed => {
                let shadow = self.shadow.as_ref().map(|s| (s.filter, s.code.as_str()));
                tried = shadow.is_some();
                let (filter, code) = shadow.or_else(|| self.told()).unwrap_or_default();
                (false, filter, code)
            }
            Ending::ClientLeft => (false, "request", CLIENT_LEFT),
            Ending::Refused(refusal) => {
                self.level = self.level.max(refusal.level);
                (true, refusal.filter, refusal.code.as_str())
            }
        };
        let took = self.began.elapsed();
        let output = match self.response_bytes {
            0 => String::new(),
            _ => self.privacy.digest(&std::mem::take(&mut self.answer).finalize().into()),
        };
        let entry = Entry {
            event_type: "request",
            request_id: &self.id,
            node_id: &self.caller,
            identity_method: self.identity_method,
            listener: LISTENER,
            route_class: self.class,
            method: &self.method,
            path: &self.path,
            model: &self.model,
            upstream: self.upstream.as_deref().unwrap_or_default(),
            policy_decision: if blocked { "BLOCK" } else { "ALLOW" },
            filter,
            code,
            data_level: self.level.as_str(),
            prompt_sha256: &self.prompt,
            output_sha256: &output,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            task_id: &self.task,
            advisory_ids: &self.advisories(),
            repairs: self.repairs,
            shadow: tried,
            client_address: &self.from,
            ..Entry::default()
        };
        let receipt = if self.told_with_others { Receipt::settled(Ok(())) } else { self.sink.hand_over(entry.draft()) };
        self.ended = Some(Ended { blocked, filter, code, took });
        self.tell(ending, (filter, code, tried), took);
        Some(receipt)
    }

    /// Counts the exchange, once. One whose entry was lost is refused, whatever was decided.
    fn count(&mut self, lost: bool) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        let Some(Ended { blocked, filter, code, took }) = self.ended else { return };
        // A shadow block is told in the audit log, and has a counter of its own; among the requests this one was let
        // through.
        let (blocked, filter, code) = match (lost, blocked) {
            (true, _) => (true, "audit", Code::AuditUnavailable.as_str()),
            (false, true) => (true, filter, code),
            (false, false) => (false, "", ""),
        };
        let status = if lost { 503 } else { self.status };
        self.metrics.requests_in_flight.dec();
        self.metrics.finished(&Finished { class: self.class, blocked, filter, code, status, took });
    }
}

impl Record {
    /// How many parts of the request and of the answer were taken out.
    pub(crate) fn redactions(&self) -> u32 {
        self.redactions.0.saturating_add(self.redactions.1)
    }

    /// What speaks against dependencies of the answer, in identifiers.
    fn advisories(&self) -> String {
        let mut ids: Vec<&str> = Vec::new();
        for noted in self.answered.iter().filter(|noted| noted.filter == "sca") {
            if !ids.contains(&&*noted.rule) {
                ids.push(&noted.rule);
            }
        }
        ids.join(",")
    }

    /// What was found in an exchange that passed: the most sensitive of it.
    fn told(&self) -> Option<(&'static str, &'static str)> {
        // The first of them, where several are.
        let most = self.findings.iter().chain(&self.answered).rev().max_by_key(|noted| noted.level)?;
        Some((most.filter, most.code.as_str()))
    }

    /// Tells whoever watches the gate.
    fn tell(&mut self, ending: Ending<'_>, why: (&'static str, &'static str, bool), took: Duration) {
        let (filter, code, shadow) = why;
        let now = jiff::Timestamp::now();
        let (message, detail) = match ending {
            Ending::Refused(refusal) => (refusal.message.to_string(), refusal.detail.clone()),
            _ => (String::new(), self.shadow.take().map(|shadow| shadow.detail).unwrap_or_default()),
        };
        let known = self.known.take();
        self.decisions.note(Decision {
            request_id: self.id.clone(),
            timestamp: now,
            policy_decision: if matches!(ending, Ending::Refused(_)) { "BLOCK" } else { "ALLOW" },
            filter,
            code,
            shadow,
            repairs: self.repairs,
            status: self.status,
            message,
            detail,
            allowed_by: self.allowed_by.take(),
            node_id: std::mem::take(&mut self.caller),
            name: known.as_ref().and_then(|caller| caller.name.clone()),
            identity_method: self.identity_method,
            route_class: self.class,
            route: self.route.clone(),
            method: std::mem::take(&mut self.method),
            path: std::mem::take(&mut self.path),
            model: std::mem::take(&mut self.model),
            upstream: self.upstream.as_deref().unwrap_or_default().to_owned(),
            duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            findings: self.findings.drain(..).chain(self.answered.drain(..)).collect(),
            caller: known,
            policy: self.policy.clone(),
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let broke = Refusal::internal("request", "the exchange ended in the middle");
            let ending = if std::thread::panicking() { Ending::Refused(&broke) } else { Ending::ClientLeft };
            // Nobody is left to wait for it. It is written all the same, or its loss is logged.
            if let Some(receipt) = self.hand_over(ending)
                && let Ok(runtime) = tokio::runtime::Handle::try_current()
            {
                runtime.spawn(async move { told_of_loss(&receipt.await) });
            }
        }
        self.count(false);
    }
}

/// Says that an entry was lost, once until the next one is written: in a flood each would be a line, and say the same.
fn told_of_loss(written: &Result<(), AuditError>) {
    static LOSING: AtomicBool = AtomicBool::new(false);
    match written {
        Ok(()) if LOSING.load(Ordering::Relaxed) => LOSING.store(false, Ordering::Relaxed),
        Ok(()) => {}
        Err(error) if !LOSING.swap(true, Ordering::Relaxed) => {
            tracing::error!(%error, "An audit entry was lost; nothing is said of those that follow until one is written.");
        }
        Err(_) => {}
    }
}

/// Writes the entry of a client whose certificate did not even shake hands: it never came to a request.
pub(crate) async fn broken_handshake(sink: &dyn AuditSink, privacy: &Privacy, from: IpAddr) {
    let id = Ulid::new().to_string();
    let entry = Entry {
        event_type: "handshake",
        request_id: &id,
        identity_method: "mtls",
        listener: LISTENER,
        policy_decision: "BLOCK",
        filter: "identity",
        code: Code::IdentityInvalid.as_str(),
        data_level: DataLevel::L0.as_str(),
        client_address: &privacy.address(from),
        ..Entry::default()
    };
    let receipt = sink.hand_over(entry.draft());
    told_of_loss(&receipt.await);
}
