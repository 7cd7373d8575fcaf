//! The `identity` filter: who calls, and whether a person ever said yes to them.
//!
//! A caller shows one credential: a client certificate, a signed request, a device signature, an API key, or
//! a token of an identity provider. Two that would name different callers are refused. A key that nobody decided
//! about becomes *pending*, with a refusal that shows its fingerprint and the command that approves
//! it, unless it comes with an invitation. Every decision is looked up for every request, and again
//! while an answer streams, so that a revocation bites on what is open.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_policies::{CertificateProblem, Identity, IdentityMethod, KeyStanding};
use portcullis_signatures::Signed;
use serde::{Deserialize, Serialize};

use crate::exchange::{Caller, Certificate, Credential, DeviceSignature, Facts, Head};
use crate::filter::{Filter, Phase, block};
use crate::signature::{self, Signature, Verifier};
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

mod world;

pub use world::{
    CredentialView, Delegated, Device, DeviceProblem, Enrolled, Proven, Standing, TokenError, TrustView, Verified,
};

/// How a certificate becomes trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// A certificate authority vouches for it.
    Ca,
    /// The operator listed its key beforehand; strangers are not even noted.
    Pinned,
    /// Trust on first use, by a person: strangers are pending until they are approved.
    #[default]
    Tofu,
}

/// What the filter is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySettings {
    /// What proves an identity; nothing else is looked at.
    pub accept: Vec<IdentityMethod>,
    /// How a certificate becomes trusted.
    pub trust: Trust,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self { accept: vec![IdentityMethod::Mtls], trust: Trust::default() }
    }
}

/// The filter.
pub struct IdentityFilter {
    settings: IdentitySettings,
    trust: Arc<dyn TrustView>,
    credentials: Arc<dyn CredentialView>,
    signatures: Option<Arc<Verifier>>,
}

/// What every API key begins with.
const API_KEY: &str = "pck_";

/// The one credential that a request is judged by.
enum Shown<'h> {
    ApiKey(&'h Credential),
    Certificate(&'h Certificate),
    Device(&'h DeviceSignature),
    Signature(&'h Signature),
    Token(&'h Credential),
}

impl IdentityFilter {
    /// A filter with these settings.
    #[must_use]
    pub fn new(settings: IdentitySettings, trust: Arc<dyn TrustView>, credentials: Arc<dyn CredentialView>) -> Self {
        Self { settings, trust, credentials, signatures: None }
    }

    /// Where a signed request proves who calls, this says whether the signature holds.
    #[must_use]
    pub fn with_signatures(self, verifier: Arc<Verifier>) -> Self {
        Self { signatures: Some(verifier), ..self }
    }

    fn accepts(&self, method: IdentityMethod) -> bool {
        self.settings.accept.contains(&method)
    }

    /// Finds the credential to judge by. One that is not in a form of this gate's, as client libraries
    /// send it when they must send something, does not count beside a certificate.
    fn shown<'h>(&self, head: &'h Head) -> Result<Shown<'h>, Refusal> {
        let certificate = head.presented.certificate.as_deref().filter(|_| self.accepts(IdentityMethod::Mtls));
        let device = head.credentials.device.as_ref().filter(|_| self.accepts(IdentityMethod::OllamaKey));
        // Beside a certificate it names the same caller: the `signature` filter sees to that.
        let signature = head
            .credentials
            .signature
            .as_ref()
            .filter(|_| certificate.is_none() && self.accepts(IdentityMethod::Signature));
        let bearer = head.credentials.bearer.as_ref();
        let key = bearer.filter(|b| self.accepts(IdentityMethod::ApiKey) && b.expose().starts_with(API_KEY));
        let token = bearer.filter(|b| self.accepts(IdentityMethod::Jwt) && looks_like_token(b.expose()));
        let takes_bearer = self.accepts(IdentityMethod::ApiKey) || self.accepts(IdentityMethod::Jwt);
        if let Some(why) = head.credentials.broken.filter(|_| takes_bearer) {
            return Err(refuse(Code::IdentityInvalid, why.to_owned()));
        }
        let mut all = certificate
            .map(Shown::Certificate)
            .into_iter()
            .chain(signature.map(Shown::Signature))
            .chain(device.map(Shown::Device))
            .chain(key.map(Shown::ApiKey))
            .chain(token.map(Shown::Token));
        match (all.next(), all.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(refuse(
                Code::IdentityInvalid,
                "the request shows two credentials that name different callers; leave one out".to_owned(),
            )),
            (None, _) if bearer.is_some() && takes_bearer => {
                Err(refuse(Code::IdentityInvalid, "this is no credential of this gate".to_owned()))
            }
            (None, _) if head.credentials.signature.is_some() => Err(refuse(
                Code::IdentityRequired,
                format!("{}; a signature is no credential here (`filters.identity.accept`)", self.wanted()),
            )),
            (None, _) => Err(refuse(Code::IdentityRequired, self.wanted())),
        }
    }

    /// What this gate asks for, in words.
    fn wanted(&self) -> String {
        let words: Vec<_> = self
            .settings
            .accept
            .iter()
            .filter_map(|method| match method {
                IdentityMethod::ApiKey => Some("an API key"),
                IdentityMethod::Jwt => Some("a token of an identity provider"),
                IdentityMethod::Mtls => Some("a client certificate"),
                IdentityMethod::OllamaKey => Some("a device signature (OLLAMA_AUTH=1)"),
                IdentityMethod::Signature => Some("a signed request"),
                _ => None,
            })
            .collect();
        format!("this gate asks for {}, and none was presented", words.join(" or "))
    }

    async fn certificate(&self, certificate: &Certificate, head: &Head) -> Result<Caller, Stop> {
        if let Some(problem) = certificate.problem {
            return Err(unproven(problem).into());
        }
        let key = Proven {
            identity: &certificate.identity,
            fingerprint: &certificate.fingerprint,
            claimed_name: certificate.common_name.as_deref(),
        };
        self.proven(&key, self.trust.standing(certificate), certificate.ca_validated, IdentityMethod::Mtls, head).await
    }

    /// A signed request. A node that nobody met must say its key once: LLMesh's signature does not.
    async fn signature(&self, signature: &Signature, head: &Head, facts: &mut Facts) -> Result<Caller, Stop> {
        let (identity, standing) = self.signer(signature, head)?;
        let verifier = self.verifier()?;
        let Some(signed) = verifier.verified(head)? else { return Err(unread().into()) };
        facts.meet(identity.clone(), IdentityMethod::Signature);
        let fingerprint = signed.node().fingerprint();
        let key = Proven { identity: &identity, fingerprint: &fingerprint, claimed_name: None };
        self.proven(&key, standing, false, IdentityMethod::Signature, head).await
    }

    /// Who is said to have signed, and what was decided about that one. Nothing is proven by it.
    fn signer(&self, signature: &Signature, head: &Head) -> Result<(Identity, Standing), Refusal> {
        let Some(signed) = self.verifier()?.timely(head)? else { return Err(unread()) };
        let identity = Identity::parse(signed.node_id()).map_err(|_| unread())?;
        let standing = self.trust.device_standing(&identity);
        if standing == Standing::Unknown && !signature.signed().is_some_and(Signed::brings_key) {
            return Err(refuse(
                Code::IdentityRequired,
                "this gate has not met that node yet: announce it, or send its key once, as 64 hex digits in \
                 X-LLMesh-Public-Key"
                    .to_owned(),
            ));
        }
        Ok((identity, standing))
    }

    fn verifier(&self) -> Result<&Verifier, Refusal> {
        self.signatures.as_deref().ok_or_else(|| Refusal::internal("identity", "nothing verifies signatures"))
    }

    async fn device(&self, signature: &DeviceSignature, head: &Head, facts: &mut Facts) -> Result<Caller, Stop> {
        let device = self.credentials.device(signature).map_err(unusable)?;
        facts.meet(device.identity.clone(), IdentityMethod::OllamaKey);
        let key = Proven { identity: &device.identity, fingerprint: &device.fingerprint, claimed_name: None };
        let standing = self.trust.device_standing(&device.identity);
        let caller = self.proven(&key, standing, false, IdentityMethod::OllamaKey, head).await?;
        // Only those who get in take up memory: anybody can make a key and sign with it.
        self.credentials.take_once(&device, signature).await.map_err(unusable)?;
        Ok(caller)
    }

    /// What becomes of a caller who proved a key.
    async fn proven(
        &self,
        key: &Proven<'_>,
        standing: Standing,
        vouched_for: bool,
        method: IdentityMethod,
        head: &Head,
    ) -> Result<Caller, Stop> {
        let caller = |name, profile| Caller { name, profile, ..Caller::new(key.identity.clone(), method) };
        match standing {
            Standing::Approved { name, profile } => self.with_grant(caller(name, profile), head),
            Standing::Pending | Standing::Unknown if vouched_for => self.with_grant(caller(None, None), head),
            Standing::Pending | Standing::Unknown => self.stranger(key, method, head).await,
            undecided => Err(unwelcome(&undecided).into()),
        }
    }

    /// Somebody whom nobody decided about: let in by an invitation or in another's right, or noted.
    async fn stranger(&self, key: &Proven<'_>, method: IdentityMethod, head: &Head) -> Result<Caller, Stop> {
        let token = head.credentials.enroll.as_ref();
        if token.is_some() || (self.settings.trust == Trust::Tofu && self.trust.has_window()) {
            match (self.trust.enroll(key, token).await?, token) {
                (Enrolled::Yes { name, profile }, _) => {
                    tracing::info!(caller = key.identity.as_str(), "A caller came in by an invitation.");
                    return Ok(Caller { name, profile, ..Caller::new(key.identity.clone(), method) });
                }
                (Enrolled::No, Some(_)) => {
                    // Two requests at once may bring the same token: the other used it up, for this caller.
                    if let Standing::Approved { name, profile } = self.trust.device_standing(key.identity) {
                        return Ok(Caller { name, profile, ..Caller::new(key.identity.clone(), method) });
                    }
                    return Err(refuse(
                        Code::IdentityInvalid,
                        "the enrolment token is not valid: it is over, used up, or none of this gate's".to_owned(),
                    )
                    .into());
                }
                // Somebody else went through the window.
                (Enrolled::No, None) => {}
            }
        }
        if head.credentials.grant.is_some() {
            return self.with_grant(Caller::new(key.identity.clone(), method), head);
        }
        if self.settings.trust == Trust::Pinned {
            return Err(refuse(Code::IdentityInvalid, "this key is not one that the operator listed".to_owned()).into());
        }
        self.trust.note(key, &head.presented).await?;
        Err(refuse(
            Code::IdentityPending,
            format!(
                "this caller is not approved yet. Its fingerprint is {}; the operator approves it \
                 with `portcullis peers approve {}`",
                key.fingerprint, key.identity,
            ),
        )
        .into())
    }

    /// Adds whose rights the caller uses, where it brings a delegated grant along.
    fn with_grant(&self, caller: Caller, head: &Head) -> Result<Caller, Stop> {
        let Some(grant) = &head.credentials.grant else { return Ok(caller) };
        match self.credentials.grant(grant.expose(), &caller.identity) {
            Ok(Delegated { by, scopes }) => Ok(Caller { delegator: Some(Arc::new(by)), scopes, ..caller }),
            Err(why) => Err(refuse(Code::IdentityInvalid, format!("the delegated grant is not valid: {why}")).into()),
        }
    }

    /// Whose key it is, also where it does not let anybody in any more.
    fn api_key(&self, key: &Credential, facts: &mut Facts) -> Result<Caller, Refusal> {
        let standing = self.credentials.api_key(key.expose());
        let (KeyStanding::Expired(name) | KeyStanding::Revoked(name) | KeyStanding::Valid { name, .. }) = &standing
        else {
            return Err(refuse(Code::IdentityInvalid, "this is no API key of this gate".to_owned()));
        };
        let identity =
            Identity::parse(&format!("key:{name}")).map_err(|e| Refusal::internal("identity", e.to_string()))?;
        facts.meet(identity.clone(), IdentityMethod::ApiKey);
        self.unless_blocked(&identity)?;
        match standing {
            KeyStanding::Valid { name, profile, scope } => Ok(Caller {
                name: Some(name),
                profile,
                scopes: vec![scope],
                ..Caller::new(identity, IdentityMethod::ApiKey)
            }),
            KeyStanding::Revoked(_) => Err(refuse(Code::IdentityRevoked, "this API key was taken back".to_owned())),
            _ => Err(refuse(Code::IdentityInvalid, "this API key has ended".to_owned())),
        }
    }

    fn still_key(&self, key: &Credential) -> Result<(), Refusal> {
        self.api_key(key, &mut Facts::default()).map(drop)
    }

    /// An operator can take anybody's trust back by the identity, whoever vouches for it.
    fn unless_blocked(&self, identity: &Identity) -> Result<(), Refusal> {
        match self.trust.device_standing(identity) {
            Standing::Revoked => Err(unwelcome(&Standing::Revoked)),
            _ => Ok(()),
        }
    }

    fn token(&self, token: &Credential, facts: &mut Facts) -> Result<Caller, Refusal> {
        match self.credentials.token(token.expose()) {
            Ok(Verified { identity, profile, claims, scope }) => {
                facts.meet(identity.clone(), IdentityMethod::Jwt);
                self.unless_blocked(&identity)?;
                let caller = Caller::new(identity, IdentityMethod::Jwt);
                Ok(Caller { profile, claims: Some(claims), scopes: vec![scope], ..caller })
            }
            Err(TokenError::NoKeys) => Err(Refusal::internal("identity", TokenError::NoKeys.to_string())),
            Err(error) => Err(refuse(Code::IdentityInvalid, error.to_string())),
        }
    }
}

#[async_trait]
impl Filter for IdentityFilter {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Head]
    }

    async fn head(&self, head: &Head, facts: &mut Facts) -> Outcome<()> {
        let judged = match self.shown(head) {
            Ok(Shown::Certificate(certificate)) => self.certificate(certificate, head).await,
            Ok(Shown::Signature(signature)) => self.signature(signature, head, facts).await,
            Ok(Shown::Device(signature)) => self.device(signature, head, facts).await,
            Ok(Shown::ApiKey(key)) => self.api_key(key, facts).map_err(Stop::from),
            Ok(Shown::Token(token)) => {
                if self.credentials.token(token.expose()).err() == Some(TokenError::UnknownKey) {
                    self.credentials.fetch_keys(token.expose()).await;
                }
                self.token(token, facts).map_err(Stop::from)
            }
            Err(refusal) => Err(refusal.into()),
        };
        match judged {
            Ok(caller) => {
                facts.set_caller(caller)?;
                Ok(Verdict::Pass)
            }
            Err(Stop::Refused(refusal)) => block(*refusal),
            Err(Stop::Broken(error)) => Err(error),
        }
    }

    fn may_read(&self, head: &Head) -> Result<(), Refusal> {
        let standing = match self.shown(head)? {
            Shown::Signature(signature) => self.signer(signature, head)?.1,
            Shown::Certificate(certificate) => match certificate.problem {
                Some(problem) => return Err(unproven(problem)),
                None => self.trust.standing(certificate),
            },
            // Neither names a node, so the signature would name another caller.
            Shown::ApiKey(_) | Shown::Device(_) | Shown::Token(_) => return Err(signature::of_another()),
        };
        match standing {
            Standing::Approved { .. } | Standing::Pending | Standing::Unknown => Ok(()),
            decided => Err(unwelcome(&decided)),
        }
    }

    fn still(&self, head: &Head, facts: &Facts) -> Result<(), Refusal> {
        let Some(caller) = facts.caller() else { return Ok(()) };
        match (caller.method, &head.presented.certificate, &head.credentials.bearer) {
            (IdentityMethod::Mtls, Some(certificate), _) => {
                let (standing, vouched_for) = (self.trust.standing(certificate), certificate.ca_validated);
                self.still_stands(caller, standing, vouched_for)?;
            }
            (IdentityMethod::OllamaKey | IdentityMethod::Signature, _, _) => {
                self.still_stands(caller, self.trust.device_standing(&caller.identity), false)?;
            }
            (IdentityMethod::ApiKey, _, Some(key)) => self.still_key(key)?,
            (IdentityMethod::Jwt, _, Some(token)) => drop(self.token(token, &mut Facts::default())?),
            _ => return Err(Refusal::internal("identity", "the caller's credential is gone")),
        }
        match (&caller.delegator, &head.credentials.grant) {
            (Some(_), Some(grant)) => self
                .credentials
                .grant(grant.expose(), &caller.identity)
                .map(drop)
                .map_err(|why| refuse(Code::IdentityInvalid, format!("the delegated grant is not valid: {why}"))),
            _ => Ok(()),
        }
    }
}

impl IdentityFilter {
    fn still_stands(&self, caller: &Caller, standing: Standing, vouched_for: bool) -> Result<(), Refusal> {
        match standing {
            Standing::Approved { .. } => Ok(()),
            // In another's right, or vouched for by an authority: it was never approved by itself.
            Standing::Pending | Standing::Unknown if vouched_for || caller.delegator.is_some() => Ok(()),
            Standing::Pending | Standing::Unknown => {
                Err(refuse(Code::IdentityRevoked, "the trust in this caller was taken back".to_owned()))
            }
            other => Err(unwelcome(&other)),
        }
    }
}

fn unread() -> Refusal {
    Refusal::internal("identity", "a signature was taken for one that can be read")
}

/// The refusal of a certificate that proves nothing.
fn unproven(problem: CertificateProblem) -> Refusal {
    let code = match problem {
        CertificateProblem::Revoked => Code::IdentityRevoked,
        _ => Code::IdentityInvalid,
    };
    refuse(code, problem.to_string())
}

/// The refusal of a key that somebody decided against, or that is not what it claims.
fn unwelcome(standing: &Standing) -> Refusal {
    match standing {
        Standing::Expired => {
            refuse(Code::IdentityInvalid, "the client certificate has ended or has not begun".to_owned())
        }
        Standing::KeyChanged { name } => refuse(
            Code::IdentityKeyChanged,
            format!(
                "an approved caller called `{name}` has another key, and nothing was changed. If this is \
                     somebody else, use another name (in the certificate: another CN); if the key was renewed on \
                     purpose, the operator runs `portcullis peers revoke {name}` and approves this one"
            ),
        ),
        _ => refuse(Code::IdentityRevoked, "the trust in this caller was taken back".to_owned()),
    }
}

/// The refusal of a device signature.
fn unusable(problem: DeviceProblem) -> Refusal {
    match problem {
        DeviceProblem::Invalid => refuse(Code::IdentityInvalid, "the device signature does not hold".to_owned()),
        DeviceProblem::Away(unavailable) => unavailable.refuse("identity"),
        DeviceProblem::Replayed => {
            refuse(Code::SignatureReplayed, "this device signature was used before; sign anew".to_owned())
        }
        DeviceProblem::Stale => refuse(
            Code::SignatureStale,
            "the device signature is too old or from the future; look at the clocks".to_owned(),
        ),
    }
}

/// Why a caller is not let in.
enum Stop {
    Broken(FilterError),
    Refused(Box<Refusal>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<FilterError> for Stop {
    fn from(error: FilterError) -> Self {
        Self::Broken(error)
    }
}

/// Three parts of base64url with dots between, as a signed token is (RFC 7515, section 7.1).
fn looks_like_token(text: &str) -> bool {
    let mut parts = 0;
    text.split('.').all(|part| {
        parts += 1;
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }) && parts == 3
}

fn refuse(code: Code, message: String) -> Refusal {
    Refusal::new("identity", code, message)
}
