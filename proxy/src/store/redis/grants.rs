//! A document in the shared store: what one process changes, all gates see.
//!
//! It is read whole and written whole, and a write holds only if nobody wrote in between. Its revision only
//! grows: whoever knows a later one than the store, which lost it, puts it back, so that no revocation is
//! undone by an old copy.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portcullis_certs::ledger::Document;
use portcullis_filters::store::Unavailable;
use redis::Script;

use super::{Link, Redis};

/// The name in the metrics.
pub(crate) const NAME: &str = "grants";
/// For how long the last known document holds while the store is away. After that it counts as empty.
const MAX_AGE: Duration = Duration::from_secs(30);
/// How often a change begins anew because somebody else was quicker.
const TRIES: usize = 16;

const FETCH: &str = "local known = tonumber(redis.call('HGET', KEYS[1], 'revision') or 0)
if known == tonumber(ARGV[1]) then return {known, ''} end
return {known, redis.call('HGET', KEYS[1], 'document') or ''}";
const SWAP: &str = "if tonumber(redis.call('HGET', KEYS[1], 'revision') or 0) ~= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'document', ARGV[3])
return 1";

/// A document in a Redis.
pub(crate) struct SharedDocument<D> {
    store: Arc<Redis>,
    key: String,
    fetch: Script,
    swap: Script,
    seen: Mutex<Option<Seen<D>>>,
    nothing: Arc<D>,
}

struct Seen<D> {
    document: Arc<D>,
    revision: i64,
    at: Instant,
}

/// Why the document cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SharedError {
    #[error("{0}; nothing was changed, as far as is known: look again when it is back")]
    Away(#[from] Unavailable),
    #[error("`{key}` in the store is damaged: {why}; restore it from a backup, or delete that key to begin anew")]
    Damaged { key: String, why: String },
    #[error("somebody else changes it all the time; try again")]
    Busy,
}

impl<D: Document> SharedDocument<D> {
    /// The document of this name.
    pub(crate) fn open(store: Arc<Redis>, name: &str) -> Self {
        Self {
            key: store.key(name),
            store,
            fetch: Script::new(FETCH),
            swap: Script::new(SWAP),
            seen: Mutex::new(None),
            nothing: Arc::default(),
        }
    }

    /// The newest version that is known; an empty one when nothing was heard of the store for too long.
    pub(crate) fn get(&self) -> Arc<D> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some(seen) if seen.at.elapsed() <= MAX_AGE => Arc::clone(&seen.document),
            _ => Arc::clone(&self.nothing),
        }
    }

    /// Takes in what others wrote. Blocks: not for workers.
    ///
    /// # Errors
    /// When the store is away, or the document is none.
    pub(crate) fn reload(&self) -> Result<(), SharedError> {
        let link = self.store.link()?;
        self.store.runtime().block_on(self.read(&link)).map(drop)
    }

    /// One change, from the document as it is now; in the store when it returns. Blocks: not for workers.
    ///
    /// # Errors
    /// What `apply` says, or that the store is away.
    pub(crate) fn change<T, E: From<SharedError>>(
        &self,
        mut apply: impl FnMut(&mut D) -> Result<T, E>,
    ) -> Result<T, E> {
        self.store.runtime().block_on(async {
            let link = self.store.wait().await.map_err(SharedError::from)?;
            for _ in 0..TRIES {
                let (document, revision) = self.read(&link).await?;
                let mut document = Arc::unwrap_or_clone(document);
                let outcome = apply(&mut document)?;
                if self.swap(&link, &document, revision, revision + 1).await? {
                    self.see(&Arc::new(document), revision + 1);
                    return Ok(outcome);
                }
            }
            Err(SharedError::Busy.into())
        })
    }

    /// Waits for the store, and reads. Blocks: not for workers.
    ///
    /// # Errors
    /// When the store is away, or the document is none.
    pub(crate) fn fetch(&self) -> Result<(), SharedError> {
        self.store.runtime().block_on(async {
            let link = self.store.wait().await?;
            self.read(&link).await.map(drop)
        })
    }

    async fn read(&self, link: &Arc<Link>) -> Result<(Arc<D>, i64), SharedError> {
        let known = self.known();
        let at = known.as_ref().map_or(0, |(_, revision)| *revision);
        let mut script = self.fetch.prepare_invoke();
        script.key(&self.key).arg(at);
        let (revision, text): (i64, String) = self.store.run(NAME, link, &script).await?;
        if let Some((document, at)) = known.filter(|(_, at)| *at >= revision) {
            if at > revision {
                tracing::error!(key = self.key, "The store lost changes that this gate knows; they are put back.");
                self.swap(link, &document, revision, at).await?;
            }
            self.see(&document, at);
            return Ok((document, at));
        }
        let document: Arc<D> = if revision == 0 {
            Arc::clone(&self.nothing)
        } else {
            let document: D = serde_json::from_str(&text).map_err(|e| self.damaged(e.to_string()))?;
            document.check().map_err(|why| self.damaged(why))?;
            Arc::new(document)
        };
        self.see(&document, revision);
        Ok((document, revision))
    }

    /// Writes a document in place of the one of this revision; whether it was still that.
    async fn swap(&self, link: &Arc<Link>, document: &D, from: i64, to: i64) -> Result<bool, SharedError> {
        let text = serde_json::to_string(document).map_err(|e| self.damaged(e.to_string()))?;
        let mut script = self.swap.prepare_invoke();
        script.key(&self.key).arg(from).arg(to).arg(text);
        Ok(self.store.run(NAME, link, &script).await?)
    }

    fn known(&self) -> Option<(Arc<D>, i64)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().map(|seen| (Arc::clone(&seen.document), seen.revision))
    }

    /// Remembers a version, unless a later one was seen meanwhile.
    fn see(&self, document: &Arc<D>, revision: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref().is_none_or(|seen| seen.revision <= revision) {
            *seen = Some(Seen { document: Arc::clone(document), revision, at: Instant::now() });
        }
    }

    fn damaged(&self, why: String) -> SharedError {
        SharedError::Damaged { key: self.key.clone(), why }
    }
}
