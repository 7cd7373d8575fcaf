//! What the `identity` filter needs from the world: what a person decided about a key, and which
//! credentials hold.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_policies::{Claims, Identity, KeyStanding, Scope};

use crate::exchange::{Caller, Certificate, Credential, DeviceSignature, Presented};
use crate::store::Unavailable;
use crate::verdict::FilterError;

/// What was decided about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A person said yes.
    Approved {
        /// The operator's label.
        name: Option<Arc<str>>,
        /// The profile that it came in with.
        profile: Option<Arc<str>>,
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

/// A key whose possession was proven, by a certificate or by a device signature.
#[derive(Clone, Copy, Debug)]
pub struct Proven<'p> {
    /// The identity that it proves.
    pub identity: &'p Identity,
    /// What a person compares.
    pub fingerprint: &'p str,
    /// The name that it claims; proves nothing.
    pub claimed_name: Option<&'p str>,
}

/// What the filter needs from the trust store.
#[async_trait]
pub trait TrustView: Send + Sync + 'static {
    /// What was decided about this certificate's key. Called for every request: no I/O, no allocation.
    fn standing(&self, certificate: &Certificate) -> Standing;

    /// What was decided about a device. The same holds.
    fn device_standing(&self, identity: &Identity) -> Standing;

    /// Notes a caller that is not decided, and returns once an operator can see it.
    async fn note(&self, key: &Proven<'_>, from: &Presented) -> Result<(), FilterError>;

    /// Whether the operator opened a window for the next caller. No I/O.
    fn has_window(&self) -> bool;

    /// Lets a caller in by an invitation: the token, or the open window where there is none. On disk
    /// when it returns.
    async fn enroll(&self, key: &Proven<'_>, token: Option<&Credential>) -> Result<Enrolled, FilterError>;
}

/// What became of an invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// It is none, is over, or was used up.
    No,
    /// The caller is approved from now on.
    Yes {
        /// The operator's label.
        name: Option<Arc<str>>,
        /// The profile that the invitation gives.
        profile: Option<Arc<str>>,
    },
}

/// What the filter needs to judge credentials that stand in a request. No I/O but where it says so.
#[async_trait]
pub trait CredentialView: Send + Sync + 'static {
    /// What an API key is.
    fn api_key(&self, key: &str) -> KeyStanding;

    /// Who holds a token of an identity provider.
    ///
    /// # Errors
    /// [`TokenError::NoKeys`] when the provider's keys are not known: nobody can be judged then.
    fn token(&self, token: &str) -> Result<Verified, TokenError>;

    /// Fetches the keys of a token's issuer anew, if that was not tried a moment ago.
    async fn fetch_keys(&self, token: &str);

    /// Which device made a signature.
    ///
    /// # Errors
    /// Why it is not taken.
    fn device(&self, signature: &DeviceSignature) -> Result<Device, DeviceProblem>;

    /// Uses a device's signature up, once.
    ///
    /// # Errors
    /// When it was used before, or that cannot be told.
    async fn take_once(&self, device: &Device, signature: &DeviceSignature) -> Result<(), DeviceProblem>;

    /// Whose rights a delegated grant passes on to this caller, and how much of them.
    ///
    /// # Errors
    /// A sentence about what is wrong with it.
    fn grant(&self, grant: &str, to: &Identity) -> Result<Delegated, &'static str>;
}

/// The holder of a verified token.
#[derive(Clone, Debug)]
pub struct Verified {
    /// `jwt:<issuer>#<subject>`
    pub identity: Identity,
    /// The profile that the operator gives to everybody of this issuer.
    pub profile: Option<Arc<str>>,
    /// What policy may look at.
    pub claims: Arc<Claims>,
    /// Until when the token holds.
    pub scope: Arc<Scope>,
}

/// Why a token is not taken. Says nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It has no audience that is this gate, or no gate at all.
    #[error("the token is not meant for this gate (its audience)")]
    Audience,
    /// It has ended, or has not begun.
    #[error("the token has ended or has not begun")]
    Expired,
    /// No key of its issuer made its signature, or it asks for an algorithm that is not taken.
    #[error("the token's signature does not hold, or its algorithm is not taken")]
    Signature,
    /// Its issuer is none that the operator named.
    #[error("the token's issuer is none that this gate trusts")]
    Issuer,
    /// It is not a signed token, or lacks what every token must have.
    #[error("the token is malformed, or lacks an expiry or a subject")]
    Malformed,
    /// The issuer's keys are not known yet, or too old.
    #[error("the keys of the token's issuer are not at hand")]
    NoKeys,
    /// It names a key that its issuer did not publish when it was last asked.
    #[error("the token names a key that its issuer did not publish")]
    UnknownKey,
}

/// A device whose signature holds.
#[derive(Clone, Debug)]
pub struct Device {
    /// `ollama:SHA256:…`
    pub identity: Identity,
    /// What a person compares.
    pub fingerprint: String,
}

/// Why a device signature is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceProblem {
    /// Whether it was used before cannot be told.
    Away(Unavailable),
    /// It is not one, or does not hold.
    Invalid,
    /// It was used before.
    Replayed,
    /// Its time is outside the window.
    Stale,
}

/// A part of somebody's rights, passed on.
#[derive(Clone, Debug)]
pub struct Delegated {
    /// Whose rights they are.
    pub by: Caller,
    /// What each hand on the way left of them.
    pub scopes: Vec<Arc<Scope>>,
}
