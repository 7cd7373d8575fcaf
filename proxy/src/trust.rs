//! Between the trust store on disk and the `identity` filter.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_certs::enrollment::Enrollments;
use portcullis_certs::trust::{self as store, TrustStore};
use portcullis_filters::FilterError;
use portcullis_filters::exchange::{Certificate, Credential, Presented};
use portcullis_filters::identity::{Enrolled, Proven, Standing, TrustView};
use portcullis_policies::Identity;
use tokio::sync::Notify;

use crate::certificates::Certificates;
use crate::keyring::now;
use crate::metrics::Metrics;

/// How often the store on disk is looked at: a decision made by the command line bites within this.
pub(crate) const POLL: Duration = Duration::from_millis(250);
/// The least time between two writes.
const BREATH: Duration = Duration::from_millis(25);
/// How long a first contact waits for its entry to be on disk.
const NOTED: Duration = Duration::from_secs(2);

/// The trust store, as the running gate sees it.
pub(crate) struct Trust {
    store: Arc<TrustStore>,
    invitations: Arc<Enrollments>,
    certificates: Arc<Certificates>,
    /// Wakes the writer.
    dirty: Notify,
    /// Told after every write.
    written: tokio::sync::watch::Sender<u64>,
    metrics: Arc<Metrics>,
}

impl Trust {
    pub(crate) fn new(
        store: TrustStore,
        invitations: Enrollments,
        certificates: Arc<Certificates>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (store, invitations) = (Arc::new(store), Arc::new(invitations));
        let trust = Self {
            store,
            invitations,
            certificates,
            dirty: Notify::new(),
            written: tokio::sync::watch::channel(0).0,
            metrics,
        };
        trust.count();
        trust
    }

    pub(crate) fn store(&self) -> &TrustStore {
        &self.store
    }

    /// Keeps memory and disk together until it is dropped. Runs off the workers.
    pub(crate) async fn keep(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.dirty.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
            let this = Arc::clone(&self);
            let _ = tokio::task::spawn_blocking(move || this.settle()).await;
            // Strangers that knock in a flood share their writes.
            tokio::time::sleep(BREATH).await;
        }
    }

    fn settle(&self) {
        if let Err(error) = self.store.reload_if_changed() {
            tracing::error!(%error, "The trust store on disk cannot be read; the last good one stays in force.");
            return;
        }
        if let Err(error) = self.invitations.reload_if_changed() {
            tracing::error!(%error, "The invitations on disk cannot be read; the last good ones stay in force.");
        }
        match self.store.flush() {
            Ok(()) => self.written.send_modify(|round| *round += 1),
            Err(error) => tracing::error!(%error, "The trust store cannot be written."),
        }
        self.count();
    }

    fn count(&self) {
        for (state, count) in self.store.counts() {
            self.metrics.peers(state, count);
        }
    }
}

#[async_trait]
impl TrustView for Trust {
    fn standing(&self, certificate: &Certificate) -> Standing {
        if !(certificate.not_before..=certificate.not_after).contains(&now()) {
            return Standing::Expired;
        }
        if self.certificates.revoked(certificate) {
            return Standing::Revoked;
        }
        self.decided(&certificate.identity, certificate.common_name.as_deref())
    }

    fn device_standing(&self, identity: &Identity) -> Standing {
        self.decided(identity, None)
    }

    async fn note(&self, key: &Proven<'_>, from: &Presented) -> Result<(), FilterError> {
        let mut written = self.written.subscribe();
        let round = *written.borrow_and_update();
        let known = self.store.note_pending(
            key.identity.as_str(),
            key.fingerprint,
            key.claimed_name,
            &text(from.address),
            from.client.as_deref().unwrap_or_default(),
        );
        if known {
            // Seen before: its counters reach the disk with the next round.
            return Ok(());
        }
        tracing::info!(
            caller = key.identity.as_str(),
            fingerprint = key.fingerprint,
            "Somebody new waits for a decision: `portcullis peers pending` shows who, `portcullis peers approve` lets it in."
        );
        // Two rounds: the one that is under way may have begun before this entry was made.
        let on_disk = async {
            for more in 1..=2 {
                self.dirty.notify_one();
                if written.wait_for(|now| *now >= round + more).await.is_err() {
                    return false;
                }
            }
            true
        };
        match tokio::time::timeout(NOTED, on_disk).await {
            Ok(true) => Ok(()),
            _ => Err(FilterError::Failed("the trust store cannot be written".to_owned())),
        }
    }

    fn has_window(&self) -> bool {
        self.invitations.has_window(now())
    }

    async fn enroll(&self, key: &Proven<'_>, token: Option<&Credential>) -> Result<Enrolled, FilterError> {
        let (id, fingerprint) = (key.identity.to_string(), key.fingerprint.to_owned());
        let (claimed, token) = (key.claimed_name.map(str::to_owned), token.cloned());
        let (store, invitations) = (Arc::clone(&self.store), Arc::clone(&self.invitations));
        let done = tokio::task::spawn_blocking(move || {
            // The invitation is used up first: whatever breaks after that, it is not used twice.
            let invitation = match token {
                Some(token) => invitations.redeem(token.expose(), now()),
                None => invitations.enter_window(now()),
            };
            let Some(invitation) = invitation.map_err(|e| e.to_string())? else { return Ok(Enrolled::No) };
            let (name, profile) = (invitation.name.as_deref(), invitation.profile.as_deref());
            let entry =
                store.enroll(&id, &fingerprint, claimed.as_deref(), name, profile).map_err(|e| e.to_string())?;
            Ok(Enrolled::Yes { name: entry.name, profile: entry.profile })
        });
        match done.await {
            Ok(outcome) => outcome.map_err(FilterError::Failed),
            Err(_) => Err(FilterError::Failed("the enrolment was cut off".to_owned())),
        }
    }
}

impl Trust {
    fn decided(&self, identity: &Identity, claimed_name: Option<&str>) -> Standing {
        match self.store.standing_named(identity.as_str(), claimed_name) {
            store::Standing::Approved { name, profile } => Standing::Approved { name, profile },
            store::Standing::Pending => Standing::Pending,
            store::Standing::Revoked => Standing::Revoked,
            store::Standing::Unknown => Standing::Unknown,
            store::Standing::KeyChanged { name } => Standing::KeyChanged { name },
        }
    }
}

fn text(address: IpAddr) -> String {
    address.to_canonical().to_string()
}
