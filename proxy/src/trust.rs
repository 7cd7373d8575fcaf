//! Between the trust store on disk and the `identity` filter.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use portcullis_certs::trust::{self as store, TrustStore};
use portcullis_filters::FilterError;
use portcullis_filters::exchange::{Certificate, Presented};
use portcullis_filters::identity::{Standing, TrustView};
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::service::Peer;

/// How often the store on disk is looked at: a decision made by the command line bites within this.
pub(crate) const POLL: Duration = Duration::from_millis(250);
/// The least time between two writes.
const BREATH: Duration = Duration::from_millis(25);
/// How long a first contact waits for its entry to be on disk.
const NOTED: Duration = Duration::from_secs(2);

/// The trust store, as the running gate sees it.
pub(crate) struct Trust {
    store: TrustStore,
    /// Wakes the writer.
    dirty: Notify,
    /// Told after every write.
    written: tokio::sync::watch::Sender<u64>,
    metrics: Arc<Metrics>,
}

impl Trust {
    pub(crate) fn new(store: TrustStore, metrics: Arc<Metrics>) -> Self {
        let trust = Self { store, dirty: Notify::new(), written: tokio::sync::watch::channel(0).0, metrics };
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
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(i64::MAX, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
        if now > certificate.not_after {
            return Standing::Expired;
        }
        match self.store.standing_named(certificate.identity.as_str(), certificate.common_name.as_deref()) {
            store::Standing::Approved { name } => Standing::Approved { name },
            store::Standing::Pending => Standing::Pending,
            store::Standing::Revoked => Standing::Revoked,
            store::Standing::Unknown => Standing::Unknown,
            store::Standing::KeyChanged { name } => Standing::KeyChanged { name },
        }
    }

    async fn note(&self, certificate: &Certificate, from: &Presented) -> Result<(), FilterError> {
        let mut written = self.written.subscribe();
        let round = *written.borrow_and_update();
        let known = self.store.note_pending(
            certificate.identity.as_str(),
            &certificate.fingerprint,
            certificate.common_name.as_deref(),
            &text(from.address),
            from.client.as_deref().unwrap_or_default(),
        );
        if known {
            // Seen before: its counters reach the disk with the next round.
            return Ok(());
        }
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
}

fn text(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

/// Reads who the peer of a finished handshake is.
pub(crate) struct Admission {
    /// Whether the verifier checked the chain against the operator's authorities.
    pub(crate) ca_validated: bool,
}

impl Admission {
    /// The peer's certificate, or `None` for one that cannot be read: it then has no identity.
    pub(crate) fn peer(&self, der: &[u8]) -> Option<Peer> {
        let peer = portcullis_certs::PeerCert::parse(der, self.ca_validated).ok()?;
        Some(Peer(Arc::new(Certificate {
            identity: peer.identity,
            fingerprint: peer.fingerprint,
            common_name: peer.common_name,
            ca_validated: self.ca_validated,
            not_after: peer.not_after,
        })))
    }
}
