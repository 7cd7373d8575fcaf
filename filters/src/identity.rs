//! The `identity` filter: who calls, and whether a person ever said yes to them.
//!
//! The connection proves a key; the trust store knows what a person decided about it. An unknown
//! key becomes *pending*, with a refusal that shows its fingerprint and the command that approves
//! it. The decision is looked up for every request, so a revocation bites on open connections.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_policies::IdentityMethod;
use serde::{Deserialize, Serialize};

use crate::exchange::{Caller, Certificate, Facts, Head, Presented};
use crate::filter::{Filter, Phase, block};
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

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

/// What was decided about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A person said yes.
    Approved {
        /// The operator's label.
        name: Option<Arc<str>>,
    },
    /// The certificate has ended, or has not begun.
    Expired,
    /// It claims the name of an approved caller whose key is another.
    KeyChanged {
        /// That name.
        name: Arc<str>,
    },
    /// Seen before, not decided.
    Pending,
    /// A person said no, or took a yes back.
    Revoked,
    /// Never seen.
    Unknown,
}

/// What the filter needs from the trust store.
#[async_trait]
pub trait TrustView: Send + Sync + 'static {
    /// What was decided about this key. Called for every request: no I/O, no allocation.
    fn standing(&self, certificate: &Certificate) -> Standing;

    /// Notes a caller that is not decided, and returns once an operator can see it.
    async fn note(&self, certificate: &Certificate, from: &Presented) -> Result<(), FilterError>;
}

/// The filter.
pub struct IdentityFilter {
    trust: Trust,
    view: Arc<dyn TrustView>,
}

impl IdentityFilter {
    /// A filter that trusts in this way.
    #[must_use]
    pub fn new(trust: Trust, view: Arc<dyn TrustView>) -> Self {
        Self { trust, view }
    }

    async fn stranger(&self, certificate: &Certificate, head: &Head) -> Outcome<()> {
        if self.trust == Trust::Pinned {
            return block(refuse(
                Code::IdentityInvalid,
                "this client certificate is not one that the operator listed".to_owned(),
            ));
        }
        self.view.note(certificate, &head.presented).await?;
        block(refuse(
            Code::IdentityPending,
            format!(
                "this caller is not approved yet. Its fingerprint is {}; the operator approves it \
                 with `portcullis peers approve {}`",
                certificate.fingerprint, certificate.identity,
            ),
        ))
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
        let Some(certificate) = &head.presented.certificate else {
            return block(refuse(
                Code::IdentityRequired,
                "this gate asks for a client certificate, and none was presented".to_owned(),
            ));
        };
        let name = match self.view.standing(certificate) {
            Standing::Approved { name } => name,
            Standing::Expired => {
                return block(refuse(
                    Code::IdentityInvalid,
                    "the client certificate has ended or has not begun".to_owned(),
                ));
            }
            Standing::KeyChanged { name } => {
                tracing::error!(
                    name = &*name,
                    fingerprint = certificate.fingerprint,
                    "A caller claims a known name with another key."
                );
                return block(refuse(
                    Code::IdentityKeyChanged,
                    "an approved caller of this name has another key; nothing was changed. If the \
                     key was renewed on purpose, the operator revokes the old one and approves this"
                        .to_owned(),
                ));
            }
            Standing::Revoked => {
                return block(refuse(Code::IdentityRevoked, "the trust in this caller was taken back".to_owned()));
            }
            Standing::Pending | Standing::Unknown if self.trust == Trust::Ca && certificate.ca_validated => None,
            Standing::Pending | Standing::Unknown => return self.stranger(certificate, head).await,
        };
        facts.set_caller(Caller { name, ..Caller::new(certificate.identity.clone(), IdentityMethod::Mtls) })?;
        Ok(Verdict::Pass)
    }
}

fn refuse(code: Code, message: String) -> Refusal {
    Refusal::new("identity", code, message)
}
