//! What must be known beyond one exchange, and beyond one process: which nonces were used, how much was.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_filters::store::Nonces;

use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;

#[cfg(test)]
pub(crate) mod conformance;
mod embedded;
mod hashed;
mod journal;
mod live;
pub(crate) mod redis;

pub(crate) use journal::{JournalError, begin};

use embedded::{Bounds, Embedded};
use redis::{Redis, RedisNonces};

/// Where the used nonces of a node lie.
pub(crate) fn replay_dir(state: &Path) -> PathBuf {
    state.join("replay")
}

/// The stores that a config names, opened.
pub(crate) struct Stores {
    /// Which signatures were used.
    pub(crate) nonces: Arc<dyn Nonces>,
    embedded: Option<Arc<Embedded>>,
    /// The one that several gates share.
    pub(crate) shared: Option<Arc<Redis>>,
}

impl Stores {
    /// Opens them for the node with this id. A shared store that is away is no error: it is asked again and
    /// again, and until it answers, what needs it is refused.
    ///
    /// # Errors
    /// When the journal is in another process's hands, or cannot be read or written.
    pub(crate) fn open(
        config: &Config,
        node: &str,
        clock: &Arc<Clock>,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let window = config.filters.signature.filter.window;
        if let Some(settings) = config.filters.signature.store.redis() {
            let shared = Arc::new(Redis::open(settings.clone(), &["nonces"], metrics)?);
            let nonces = RedisNonces::open(Arc::clone(&shared), Arc::clone(clock) as _, window);
            return Ok(Self { nonces, embedded: None, shared: Some(shared) });
        }
        let dir = replay_dir(&config.node.state);
        let embedded = Arc::new(Embedded::open(&dir, node, window, Arc::clone(clock), Bounds::DEFAULT)?);
        Ok(Self { nonces: Arc::clone(&embedded) as _, embedded: Some(embedded), shared: None })
    }

    /// Why they do not serve; `None` when they do.
    pub(crate) fn away(&self) -> Option<String> {
        match (&self.shared, &self.embedded) {
            (Some(shared), _) => shared.away(),
            (None, Some(embedded)) if !embedded.ready() => Some("the replay journal cannot be written".to_owned()),
            _ => None,
        }
    }

    /// Forgets what is too old, for ever. Runs off the workers.
    pub(crate) async fn keep(self: Arc<Self>, metrics: Arc<Metrics>) {
        if let Some(embedded) = &self.embedded {
            Arc::clone(embedded).keep(metrics).await;
        }
    }
}
