//! One exchange as the filters see it: the head, the body, and the facts that filters establish.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use portcullis_policies::model::{ModelMatcher, ModelName};
use portcullis_policies::routes::Route;
use portcullis_policies::{CertificateProblem, Claims, DataLevel, Identity, IdentityMethod, Rate, Scope, UpstreamKind};
use portcullis_signatures::Asked;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::dialect::Usage;
use crate::json::Json;
use crate::signature::Signature;
use crate::verdict::FilterError;

/// A request before its body has been read.
#[derive(Debug)]
pub struct Head {
    /// The method, as the caller wrote it.
    pub method: Method,
    /// The path: percent-decoded once, without dot segments, doubled slashes or control bytes.
    pub path: String,
    /// The query, decoded once into names and values, in order.
    pub query: Vec<(String, String)>,
    /// The headers that may influence a filter; never those that claim an identity.
    pub headers: HeaderMap,
    /// What the route table says of it.
    pub route: Arc<Route>,
    /// What kind of server it goes to.
    pub upstream: UpstreamKind,
    /// Who is on the other end of the connection.
    pub presented: Presented,
    /// What the request itself brings along to say who calls.
    pub credentials: Credentials,
    /// The SHA-256 of the body as it came, where it had to be read before anybody could be judged.
    pub content: Option<[u8; 32]>,
}

/// Credentials that stand in a request. They are never forwarded, and never shown.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// `Authorization: Bearer`, the password of `Authorization: Basic`, `X-Api-Key` or `Api-Key`.
    pub bearer: Option<Credential>,
    /// Why what stands in those headers is no one credential: more than one, or not readable.
    pub broken: Option<&'static str>,
    /// The stock Ollama command line's device signature.
    pub device: Option<DeviceSignature>,
    /// `Portcullis-Enroll`: a one-time token that an operator made.
    pub enroll: Option<Credential>,
    /// `Portcullis-Grant`: a delegated grant.
    pub grant: Option<Credential>,
    /// What stands where a signature belongs.
    pub signature: Option<Signature>,
    /// A header names a node as the caller, which only a signature can show.
    pub claims_node: bool,
}

/// A text that proves something. Zeroed when dropped, and not printed.
#[derive(Clone)]
pub struct Credential(Zeroizing<String>);

impl Credential {
    /// Takes a text in.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What the stock Ollama command line sends with `OLLAMA_AUTH=1`: `<key>:<signature>`, both in base64,
/// over `METHOD,path?ts=SECONDS`.
#[derive(Clone, Debug)]
pub struct DeviceSignature {
    /// The key and the signature, as they came.
    pub proof: Credential,
    /// What the client calls the time, in Unix seconds.
    pub ts: i64,
    /// The text that was signed.
    pub signed: String,
}

/// What the connection itself proves about the caller.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The address the connection came from.
    pub address: IpAddr,
    /// The client certificate's key, when there was one; shared by all requests of a connection.
    pub certificate: Option<Arc<Certificate>>,
    /// The client's own word for itself: its `User-Agent`, unchecked.
    pub client: Option<String>,
}

/// A client certificate whose handshake signature was verified; what else is wrong with it is noted.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The identity that its key proves.
    pub identity: Identity,
    /// What a person compares: 16 bytes in hex pairs, joined by colons.
    pub fingerprint: String,
    /// The name it claims; proves nothing.
    pub common_name: Option<String>,
    /// Whether a trusted CA vouches for it.
    pub ca_validated: bool,
    /// When it begins, in Unix seconds.
    pub not_before: i64,
    /// When it, or the first one above it, ends, in Unix seconds: a connection may outlive both.
    pub not_after: i64,
    /// Why it proves nothing, where that is so: every request is refused with it.
    pub problem: Option<CertificateProblem>,
    /// Its serial number: the bytes of the integer, without leading zeros.
    pub serial: Box<[u8]>,
    /// The SHA-256 of its issuer's name in DER.
    pub issuer: [u8; 32],
}

/// A body that was read whole.
#[derive(Clone, Debug)]
pub struct Content {
    /// It, decoded from its content encoding.
    pub bytes: Bytes,
    /// The SHA-256 of the bytes that came, before they were decoded (RFC 9530: `Content-Digest`).
    pub digest: [u8; 32],
}

impl Content {
    /// A body that came as it is.
    #[must_use]
    pub fn plain(bytes: Bytes) -> Self {
        let digest = Sha256::digest(&bytes).into();
        Self { bytes, digest }
    }
}

/// A whole request: nothing of it has left for an upstream yet.
pub struct Request<'a> {
    /// The head that was admitted.
    pub head: &'a Head,
    /// The body, decoded from its content encoding.
    pub body: &'a Bytes,
    /// The body as JSON, where the route takes JSON; parsed once and strictly.
    pub json: Option<&'a Json<'a>>,
}

/// Who the caller is, as the `identity` filter established it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The identity.
    pub identity: Identity,
    /// The operator's label for it.
    pub name: Option<Arc<str>>,
    /// What proved it.
    pub method: IdentityMethod,
    /// The profile that it was enrolled with: such a caller is nobody's `*`.
    pub profile: Option<Arc<str>>,
    /// What its identity provider says of it.
    pub claims: Option<Arc<Claims>>,
    /// What its credentials allow at most; every one of them must agree.
    pub scopes: Vec<Arc<Scope>>,
    /// Whose rights it uses, where a part of them was passed on to it.
    pub delegator: Option<Arc<Caller>>,
}

impl Caller {
    /// A caller with this identity and nothing else to say of it.
    #[must_use]
    pub fn new(identity: Identity, method: IdentityMethod) -> Self {
        Self { identity, name: None, method, profile: None, claims: None, scopes: Vec::new(), delegator: None }
    }

    /// The caller whose rights are used in the end: this one, or the first that passed them on.
    #[must_use]
    pub fn owner(&self) -> &Self {
        let mut owner = self;
        while let Some(delegator) = &owner.delegator {
            owner = delegator;
        }
        owner
    }
}

/// How much one credential, rule or grant allows, and under which name that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What shares the count, such as `key:ci` or `rule:night peer:…`.
    pub key: String,
    /// Requests in a span of time.
    pub requests: Option<Rate>,
    /// Tokens in a span of time.
    pub tokens: Option<Rate>,
    /// Requests at once.
    pub concurrent: Option<u32>,
    /// Tokens in all, ever.
    pub budget: Option<u64>,
}

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
