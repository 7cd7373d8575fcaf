//! Where one gate keeps what must be known beyond one exchange, as its config says.

use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use portcullis_filters::store::Nonces;

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
            let embedded = Embedded::open(&dir, node, window, Arc::clone(clock), Bounds::DEFAULT)?;
            let embedded = Arc::new(embedded);
            return Ok(Self { shared: None, embedded: Some(Arc::clone(&embedded)), nonces: embedded });
        };
        let used =
            [true, config.filters.ratelimit.store == Counting::Shared, config.filters.grants == Granting::Shared];
        let uses: Vec<_> = USES.into_iter().zip(used).filter_map(|(name, used)| used.then_some(name)).collect();
        let redis = Arc::new(Redis::open(settings.clone(), &uses, metrics)?);
        let alone = leave(&dir, window * 3).with_context(|| format!("cannot leave the journal `{}`", dir.display()))?;
        let nonces = RedisNonces::open(Arc::clone(&redis), Arc::clone(clock) as _, window, alone);
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

/// A gate that shares its memory from now on leaves its own behind: should it come back to it, that would
/// not know what happened meanwhile. Returns whether nonces were written there lately, which the others
/// cannot know of.
fn leave(dir: &Path, lately: Duration) -> std::io::Result<bool> {
    let files = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        files => files?,
    };
    let mut written = Vec::new();
    for file in files {
        written.push(file?.metadata()?);
    }
    written.retain(|meta| meta.len() > 0);
    let is_young = |meta: &Metadata| {
        let age = meta.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        age.is_none_or(|age| age < lately)
    };
    // Its head is there from the start; only a file beside it says that something was used.
    let used = written.len() > 1 && written.iter().any(is_young);
    std::fs::remove_dir_all(dir)?;
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_was_just_begun_is_left_without_a_word_and_a_used_one_is_not() {
        let state = tempfile::tempdir().unwrap();
        let dir = replay_dir(state.path());
        assert!(!leave(&dir, Duration::from_secs(90)).unwrap());
        super::super::begin(&dir, "peer:a").unwrap();
        assert!(!leave(&dir, Duration::from_secs(90)).unwrap());
        assert!(!dir.exists());
        super::super::begin(&dir, "peer:a").unwrap();
        std::fs::write(dir.join("1.bucket"), b"used").unwrap();
        assert!(leave(&dir, Duration::from_secs(90)).unwrap());
    }
}
