//! Which credentials hold that stand in a request: API keys, tokens, device signatures, delegated
//! grants.

use std::sync::Arc;
use std::time::Duration;

use portcullis_certs::api_keys::{self, ApiKeys};
use portcullis_certs::{delegation, device};
use portcullis_filters::exchange::{Caller, DeviceSignature};
use portcullis_filters::identity::{
    CredentialView, Delegated, Device, DeviceProblem, Standing, TokenError, TrustView as _, Verified,
};
use portcullis_filters::store::{Nonces, WallClock};
use portcullis_policies::{Identity, IdentityMethod, KeyStanding};

use crate::config;
use crate::trust::Trust;

mod checked;
mod devices;
mod issuers;

use checked::Checked;
use devices::Devices;
use issuers::Issuers;
pub(crate) use issuers::keys_of;

/// How often the lists on disk are looked at: a key that was taken back is refused within this.
const POLL: Duration = Duration::from_millis(250);

/// The keyring of one gate, as one generation of the config uses it.
#[derive(Clone)]
pub(crate) struct Keyring {
    shared: Arc<Shared>,
    issuers: Arc<[config::Issuer]>,
    checked: Arc<Checked>,
}

/// What outlives a reload.
struct Shared {
    /// This node's id: what it signed itself it passed on in its own right.
    node: String,
    api_keys: ApiKeys,
    devices: Devices,
    issuers: Issuers,
    trust: Arc<Trust>,
}

impl Keyring {
    pub(crate) fn open(
        state: &std::path::Path,
        node: String,
        trust: Arc<Trust>,
        nonces: Arc<dyn Nonces>,
        clock: Arc<dyn WallClock>,
    ) -> Result<Self, api_keys::ApiKeyError> {
        let shared = Shared {
            node,
            api_keys: ApiKeys::open(state)?,
            devices: Devices::new(nonces, clock),
            issuers: Issuers::default(),
            trust,
        };
        Ok(Self { shared: Arc::new(shared), issuers: Arc::new([]), checked: Arc::default() })
    }

    /// The same for another generation of the config.
    pub(crate) fn with_issuers(&self, issuers: &[config::Issuer]) -> Self {
        Self { shared: Arc::clone(&self.shared), issuers: issuers.into(), checked: Arc::default() }
    }

    /// Keeps memory up with the disk and with the issuers of the config in force, until it is dropped.
    /// Runs off the workers.
    pub(crate) async fn keep(self, current: Arc<arc_swap::ArcSwap<crate::generation::Generation>>) {
        let keys = async {
            loop {
                let shared = Arc::clone(&self.shared);
                let _ = tokio::task::spawn_blocking(move || {
                    if let Err(error) = shared.api_keys.reload_if_changed() {
                        tracing::error!(%error, "The API keys on disk cannot be read; the last good ones stay in force.");
                    }
                })
                .await;
                tokio::time::sleep(POLL).await;
            }
        };
        // By itself: an identity provider that hangs must not hold up a revocation.
        let providers = async {
            loop {
                let shared = Arc::clone(&self.shared);
                let issuers = current.load().config.filters.identity.issuers.clone();
                let _ = tokio::task::spawn_blocking(move || shared.issuers.refresh(&issuers)).await;
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::join!(keys, providers);
    }

    fn issuer_of(&self, token: &str) -> Result<&config::Issuer, TokenError> {
        let claimed = portcullis_certs::jwt::claimed_issuer(token).ok_or(TokenError::Malformed)?;
        self.issuers.iter().find(|issuer| issuer.meant.issuer == claimed).ok_or(TokenError::Issuer)
    }
}

#[async_trait::async_trait]
impl CredentialView for Keyring {
    fn api_key(&self, key: &str) -> KeyStanding {
        self.shared.api_keys.look_up(key, now())
    }

    fn token(&self, token: &str) -> Result<Verified, TokenError> {
        self.shared.issuers.verify(self.issuer_of(token)?, token, &self.checked)
    }

    async fn fetch_keys(&self, token: &str) {
        let Ok(issuer) = self.issuer_of(token) else { return };
        let (shared, issuer) = (Arc::clone(&self.shared), issuer.clone());
        let _ = tokio::task::spawn_blocking(move || shared.issuers.fetch_early(&issuer)).await;
    }

    fn device(&self, signature: &DeviceSignature) -> Result<Device, DeviceProblem> {
        self.shared.devices.check_time(signature.ts)?;
        let device = device::verify(signature.proof.expose(), &signature.signed).map_err(|_| DeviceProblem::Invalid)?;
        Ok(Device { identity: device.identity, fingerprint: device.fingerprint })
    }

    async fn take_once(&self, device: &Device, signature: &DeviceSignature) -> Result<(), DeviceProblem> {
        self.shared.devices.take_once(&device.identity, signature.proof.expose(), signature.ts).await
    }

    fn grant(&self, grant: &str, to: &Identity) -> Result<Delegated, &'static str> {
        let given = delegation::verify(grant, now()).map_err(|error| match error {
            delegation::DelegationError::Broken => "it went through hands that it was not given into",
            delegation::DelegationError::Expired => "it has ended or has not begun",
            delegation::DelegationError::Malformed => "it is not a delegated grant",
            delegation::DelegationError::Signature => "a signature in it does not hold",
            delegation::DelegationError::TooLong => "it went through too many hands",
        })?;
        if given.holder != *to {
            return Err("it was given to another caller");
        }
        // From the first hand to the last: what the policy denies to any of them, it denies to the caller.
        let mut by: Option<Caller> = None;
        for hand in given.hands {
            let standing = Some(self.shared.trust.device_standing(&hand)).filter(|_| hand.as_str() != self.shared.node);
            let (name, profile) = match (standing, &by) {
                (None, _) => (None, None),
                (Some(Standing::Approved { name, profile }), _) => (name, profile),
                // Whoever handed it on and was thrown out takes it along.
                (Some(Standing::Revoked), _) => return Err("the trust in one who passed it on was taken back"),
                (Some(_), None) => return Err("the one who passed it on is not approved here"),
                (Some(_), Some(_)) => (None, None),
            };
            let hand = Caller::new(hand, IdentityMethod::Signature);
            by = Some(Caller { name, profile, delegator: by.map(Arc::new), ..hand });
        }
        let scopes = given.scopes.into_iter().map(Arc::new).collect();
        let by = by.ok_or("it went through no hands")?;
        Ok(Delegated { by, scopes })
    }
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
