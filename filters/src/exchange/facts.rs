//! What filters establish of an exchange, what it holds, and what was found in it.

use std::fmt;
use std::sync::Arc;

use portcullis_policies::model::{ModelMatcher, ModelName};
use portcullis_policies::{DataLevel, Identity, IdentityMethod};
use portcullis_signatures::Asked;

use super::{Caller, Quota};
use crate::dialect::Usage;
use crate::schema::Bound;
use crate::verdict::FilterError;

/// Something that an exchange holds until it ends: a place among the caller's requests, a part of its
/// budget. Given back when dropped.
pub trait Lease: Send + Sync {
    /// What the exchange used in the end, as far as is known. Called at most once.
    fn settle(&self, usage: Usage);

    /// The exchange ended and used nothing. Called at most once, in place of `settle`.
    fn waive(&self);
}

/// What filters establish and later ones rely on. Each fact is set once; the data level only rises.
#[derive(Debug, Default)]
pub struct Facts {
    caller: Option<Caller>,
    met: Option<(Identity, IdentityMethod)>,
    model: Option<ModelName>,
    asked: Option<ModelName>,
    models: Option<Arc<ModelMatcher>>,
    signed: Option<Box<Asked>>,
    bound: Option<Arc<Bound>>,
    streams: Option<bool>,
    target: Option<String>,
    level: DataLevel,
    basis: Option<Arc<str>>,
    shadows: Vec<Shadow>,
    /// How many of them were counted.
    counted: usize,
    quotas: Vec<Quota>,
    leases: Leases,
    findings: Vec<Noted>,
    redactions: u32,
    ceiling: Option<DataLevel>,
}

/// The most findings of one exchange that are told one by one.
const MAX_FINDINGS: usize = 16;

#[derive(Default)]
struct Leases(Vec<Box<dyn Lease>>);

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} leases", self.0.len())
    }
}

/// A block that a filter in `shadow` mode would have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// The filter.
    pub filter: &'static str,
    /// The code it would have refused with.
    pub code: crate::verdict::Code,
    /// For the operator: which rule.
    pub detail: String,
}

/// Something that a filter found in a text, for the record: which rule, never what stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The filter.
    pub filter: &'static str,
    /// The rule.
    pub rule: Arc<str>,
    /// The code of its kind.
    pub code: crate::verdict::Code,
    /// How sensitive it is.
    pub level: DataLevel,
    /// What was done: `block`, `redact` or `flag`.
    pub action: &'static str,
    /// A keyed hash of what was found: the same thing has the same one, at this node.
    pub fingerprint: String,
    /// What speaks against a dependency, in a sentence: for whoever asks the running gate, never for the log.
    pub about: Option<Box<str>>,
}

impl Facts {
    /// Who calls, once the `identity` filter knows.
    #[must_use]
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// States who calls.
    ///
    /// # Errors
    /// When it was stated before: two filters must not disagree about the caller.
    pub fn set_caller(&mut self, caller: Caller) -> Result<(), FilterError> {
        set(&mut self.caller, caller, "the caller")
    }

    /// Whom a refusal met: the caller, or else the one who proved a key and was not let in.
    #[must_use]
    pub fn met(&self) -> Option<(&Identity, IdentityMethod)> {
        let caller = self.caller.as_ref().map(|caller| (&caller.identity, caller.method));
        caller.or_else(|| self.met.as_ref().map(|(identity, method)| (identity, *method)))
    }

    /// States who proved a key, before it is decided whether that one is let in.
    pub fn meet(&mut self, identity: Identity, method: IdentityMethod) {
        self.met = Some((identity, method));
    }

    /// The model that is asked for, in canonical form.
    #[must_use]
    pub fn model(&self) -> Option<&ModelName> {
        self.model.as_ref()
    }

    /// States the model.
    ///
    /// # Errors
    /// When it was stated before.
    pub fn set_model(&mut self, model: ModelName) -> Result<(), FilterError> {
        set(&mut self.model, model, "the model")
    }

    /// The model that a refusal was about, for the record.
    #[must_use]
    pub fn asked(&self) -> Option<&ModelName> {
        self.model.as_ref().or(self.asked.as_ref())
    }

    /// Notes a model that is asked for, before it is decided whether it is let through.
    pub fn ask(&mut self, model: &ModelName) {
        self.asked = Some(model.clone());
    }

    /// Which models the caller may use at all; model lists are filtered by it.
    #[must_use]
    pub fn models(&self) -> Option<&Arc<ModelMatcher>> {
        self.models.as_ref()
    }

    /// States which models the caller may use.
    ///
    /// # Errors
    /// When it was stated before.
    pub fn set_models(&mut self, models: Arc<ModelMatcher>) -> Result<(), FilterError> {
        set(&mut self.models, models, "the granted models")
    }

    /// Who signed the request and with which nonce, once that is verified and used up: the answer is signed
    /// to it.
    #[must_use]
    pub fn signed(&self) -> Option<&Asked> {
        self.signed.as_deref()
    }

    /// States what the request was signed as.
    ///
    /// # Errors
    /// When it was stated before.
    pub fn set_signed(&mut self, asked: Asked) -> Result<(), FilterError> {
        set(&mut self.signed, asked.into(), "the signature")
    }

    /// What the answer is bound to, as the request has it.
    #[must_use]
    pub fn bound(&self) -> Option<&Arc<Bound>> {
        self.bound.as_ref()
    }

    /// States what the answer is bound to.
    ///
    /// # Errors
    /// When it was stated before.
    pub fn set_bound(&mut self, bound: Arc<Bound>) -> Result<(), FilterError> {
        set(&mut self.bound, bound, "what the answer is bound to")
    }

    /// Whether the answer will be streamed, as far as the request tells.
    #[must_use]
    pub fn streams(&self) -> Option<bool> {
        self.streams
    }

    /// States whether the answer will be streamed.
    ///
    /// # Errors
    /// When it was stated before.
    pub fn set_streams(&mut self, streams: bool) -> Result<(), FilterError> {
        set(&mut self.streams, streams, "whether it streams")
    }

    /// The path that the upstream receives, where it differs from the one that came.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// States the path that the upstream receives.
    ///
    /// # Errors
    /// When it was stated before.
    pub fn set_target(&mut self, target: String) -> Result<(), FilterError> {
        set(&mut self.target, target, "the target")
    }

    /// The path is what it was after all: the filter is in `shadow` mode.
    pub(crate) fn restore_target(&mut self, target: Option<String>) {
        self.target = target;
    }

    /// The data level so far.
    #[must_use]
    pub fn level(&self) -> DataLevel {
        self.level
    }

    /// Raises the data level; it never falls.
    pub fn raise_level(&mut self, level: DataLevel) {
        self.level = self.level.max(level);
    }

    /// The highest level that may be shown to where the request goes; `None` where nothing bounds it.
    #[must_use]
    pub fn ceiling(&self) -> Option<DataLevel> {
        self.ceiling
    }

    /// States the highest level that may be shown to where the request goes. The lowest one counts.
    pub fn set_ceiling(&mut self, level: DataLevel) {
        self.ceiling = Some(self.ceiling.map_or(level, |known| known.min(level)));
    }

    /// What was found in the request's texts; the first few.
    #[must_use]
    pub fn findings(&self) -> &[Noted] {
        &self.findings
    }

    /// Notes what was found.
    pub fn note_finding(&mut self, noted: Noted) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(noted);
        }
    }

    /// How many parts of the request were taken out.
    #[must_use]
    pub fn redactions(&self) -> u32 {
        self.redactions
    }

    /// Notes that parts of the request were taken out.
    pub fn note_redactions(&mut self, count: u32) {
        self.redactions = self.redactions.saturating_add(count);
    }

    /// Nothing was taken out after all: the filter is in `shadow` mode.
    pub(crate) fn forget_redactions(&mut self, filter: &str) {
        self.redactions = 0;
        for noted in self.findings.iter_mut().filter(|noted| noted.filter == filter && noted.action == "redact") {
            noted.action = "flag";
        }
    }

    /// The rule or grant that allowed it, once the `policy` filter knows.
    #[must_use]
    pub fn basis(&self) -> Option<&Arc<str>> {
        self.basis.as_ref()
    }

    /// States the rule or grant that allowed it. Where several did, the first one is told.
    pub fn note_basis(&mut self, basis: Arc<str>) {
        self.basis.get_or_insert(basis);
    }

    /// How much what allowed this request allows.
    #[must_use]
    pub fn quotas(&self) -> &[Quota] {
        &self.quotas
    }

    /// States a quota that the request counts against.
    pub fn add_quota(&mut self, quota: Quota) {
        self.quotas.push(quota);
    }

    /// Holds something until the exchange ends.
    pub fn hold(&mut self, lease: Box<dyn Lease>) {
        self.leases.0.push(lease);
    }

    /// Tells everything that is held what the exchange used.
    pub fn settle(&self, usage: Usage) {
        self.leases.0.iter().for_each(|lease| lease.settle(usage));
    }

    /// Tells everything that is held that the exchange used nothing.
    pub fn waive(&self) {
        self.leases.0.iter().for_each(|lease| lease.waive());
    }

    /// Gives back what is held.
    pub(crate) fn release(&mut self) {
        self.leases.0.clear();
    }

    /// Blocks that filters or rules in `shadow` mode would have made.
    #[must_use]
    pub fn shadows(&self) -> &[Shadow] {
        &self.shadows
    }

    /// Notes a block that a filter or a rule in `shadow` mode would have made.
    pub(crate) fn note_shadow(&mut self, shadow: Shadow) {
        if self.shadows.len() < 16 {
            self.shadows.push(shadow);
        }
    }

    /// The shadows that were noted since this was last asked.
    pub(crate) fn uncounted_shadows(&mut self) -> &[Shadow] {
        let from = std::mem::replace(&mut self.counted, self.shadows.len());
        self.shadows.get(from..).unwrap_or_default()
    }
}

fn set<T>(slot: &mut Option<T>, value: T, what: &str) -> Result<(), FilterError> {
    if slot.is_some() {
        return Err(FilterError::Failed(format!("{what} was established twice")));
    }
    *slot = Some(value);
    Ok(())
}
