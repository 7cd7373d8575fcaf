//! Takes a device signature once: it is a nonce like any other, and remembered where they are.

use std::sync::Arc;
use std::time::Duration;

use portcullis_filters::identity::DeviceProblem;
use portcullis_filters::store::{Claim, Claimed, Nonces, WallClock};
use portcullis_policies::Identity;

/// How far the client's clock may be off, either way.
const WINDOW: Duration = Duration::from_secs(30);

/// The signatures that were used.
pub(super) struct Devices {
    nonces: Arc<dyn Nonces>,
    clock: Arc<dyn WallClock>,
}

impl Devices {
    /// Remembers here, by this clock.
    pub(super) fn new(nonces: Arc<dyn Nonces>, clock: Arc<dyn WallClock>) -> Self {
        Self { nonces, clock }
    }

    /// Whether a signature of this Unix second can be taken now.
    pub(super) fn check_time(&self, ts: i64) -> Result<(), DeviceProblem> {
        let off = ts.saturating_mul(1_000).abs_diff(self.clock.now_ms());
        if u128::from(off) <= WINDOW.as_millis() { Ok(()) } else { Err(DeviceProblem::Stale) }
    }

    /// Takes a signature, once. The signature is what is remembered, not the whole header: base64 could
    /// be written in two ways, but only one of them decodes.
    pub(super) async fn take_once(&self, device: &Identity, proof: &str, ts: i64) -> Result<(), DeviceProblem> {
        let claim = Claim {
            node: device.as_str(),
            nonce: proof.as_bytes(),
            created_ms: ts.saturating_mul(1_000),
            now_ms: self.clock.now_ms(),
            window: WINDOW,
        };
        match self.nonces.claim(&claim).await {
            Ok(Claimed::Fresh) => Ok(()),
            Ok(Claimed::Replayed) => Err(DeviceProblem::Replayed),
            Ok(Claimed::Forgotten) => Err(DeviceProblem::Stale),
            Err(unavailable) => Err(DeviceProblem::Away(unavailable)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, FakeTime};
    use crate::store::{Bounds, Embedded, begin};

    const NOW: i64 = 1_760_000_000;

    #[tokio::test]
    async fn a_signature_is_good_once_and_for_a_short_time() {
        let dir = tempfile::tempdir().unwrap();
        begin(dir.path(), "peer:gate").unwrap();
        let clock = Arc::new(Clock::new(Box::new(FakeTime::at(NOW * 1_000))));
        let open = || {
            let store = Embedded::open(dir.path(), "peer:gate", WINDOW, Arc::clone(&clock), Bounds::DEFAULT).unwrap();
            Devices::new(Arc::new(store), Arc::clone(&clock) as _)
        };
        let devices = open();
        for (ts, fine) in
            [(NOW, true), (NOW - 30, true), (NOW - 31, false), (NOW + 30, true), (NOW + 31, false), (i64::MAX, false)]
        {
            assert_eq!(devices.check_time(ts), if fine { Ok(()) } else { Err(DeviceProblem::Stale) }, "{ts}");
        }
        assert!(devices.check_time(i64::MIN).is_err());
        let [one, other] = ["ollama:SHA256:one", "ollama:SHA256:other"].map(|id| Identity::parse(id).unwrap());
        assert_eq!(devices.take_once(&one, "a", NOW).await, Ok(()));
        assert_eq!(devices.take_once(&one, "a", NOW).await, Err(DeviceProblem::Replayed));
        assert_eq!(devices.take_once(&one, "b", NOW).await, Ok(()));
        assert_eq!(devices.take_once(&other, "a", NOW).await, Ok(()));
        drop(devices);
        let devices = open();
        assert_eq!(devices.take_once(&one, "a", NOW).await, Err(DeviceProblem::Replayed), "also after a restart");
        assert_eq!(devices.take_once(&one, "old", NOW - 31).await, Err(DeviceProblem::Stale));
    }
}
