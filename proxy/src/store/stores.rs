//! Where one gate keeps what must be known beyond one exchange, as its config says.

use std::sync::Arc;

use anyhow::Context as _;
use portcullis_filters::store::{Nonces, WallClock as _};

use super::past::{self, Past};
use super::redis::{Redis, RedisNonces, USES};
use super::share::Shares;
use super::{Bounds, Embedded, replay_dir};
use crate::clock::Clock;
use crate::config::{Config, Counting, Granting};
use crate::metrics::Metrics;

/// The stores of a running gate.
pub(crate) struct Stores {
    /// What it shares with other gates.
    pub(crate) shared: Option<Arc<Redis>>,
    /// Which signatures were used.
    pub(crate) nonces: Arc<dyn Nonces>,
    embedded: Option<Arc<Embedded>>,
}

impl Stores {
    /// Opens what the config names. A store that is away is no mistake here: what needs it is refused until
    /// it is back.
    ///
    /// # Errors
    /// When the journal, or the authorities of the store, cannot be read.
    pub(crate) fn open(
        config: &Config,
        node: &str,
        clock: &Arc<Clock>,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let window = config.filters.signature.filter.window;
        let dir = replay_dir(&config.node.state);
        let Some(settings) = config.filters.signature.store.redis() else {
            // A gate that shared its memory before begins a journal, which refuses for a window.
            let window = window.max(past::widest(&dir)?);
            let embedded = Embedded::open(&dir, node, window, Arc::clone(clock), Bounds::DEFAULT)?;
            past::forget(&dir).with_context(|| format!("cannot leave the store named in `{}`", dir.display()))?;
            let embedded = Arc::new(embedded);
            return Ok(Self { shared: None, embedded: Some(Arc::clone(&embedded)), nonces: embedded });
        };
        let used =
            [true, config.filters.ratelimit.store == Counting::Shared, config.filters.grants == Granting::Shared];
        let uses: Vec<_> = USES.into_iter().zip(used).filter_map(|(name, used)| used.then_some(name)).collect();
        let redis = Arc::new(Redis::open(settings.clone(), &uses, metrics)?);
        let past = Past::read(&dir, node, window, clock.now_ms())?;
        let nonces = RedisNonces::open(Arc::clone(&redis), Arc::clone(clock) as _, window, past);
        let nonces = Arc::new(Shares::of(nonces, Bounds::DEFAULT.node, Arc::clone(clock)));
        Ok(Self { shared: Some(redis), embedded: None, nonces })
    }

    /// Why they do not serve; `None` when they do.
    pub(crate) fn away(&self) -> Option<String> {
        match (&self.shared, &self.embedded) {
            (Some(shared), _) => shared.away(),
            (None, Some(embedded)) => embedded.away().map(str::to_owned),
            (None, None) => None,
        }
    }

    /// Tends the journal, for ever. Runs off the workers.
    pub(crate) async fn keep(self: Arc<Self>, metrics: Arc<Metrics>) {
        if let Some(embedded) = &self.embedded {
            Arc::clone(embedded).keep(metrics).await;
        }
    }
}
