//! A Redis or Valkey that the gates of one service share: nonces, counters and grants.
//!
//! The connections are kept by a thread of their own, so that neither a busy worker nor a slow disk holds
//! up a claim. Nothing here waits long: while the store is away every question is answered at once, with
//! no. A connection that failed once, also by a time-out, is not used again; a new one takes its place, by
//! itself, as soon as the store answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use portcullis_filters::store::Unavailable;
use redis::{FromRedisValue, ScriptInvocation};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use crate::config::RedisSettings;
use crate::metrics::Metrics;

mod counters;
mod grants;
mod link;
mod nonces;
#[cfg(test)]
mod server;
mod tls;

pub(crate) use counters::RedisCounters;
pub(crate) use grants::{SharedDocument, SharedError};
use link::Link;
pub(crate) use link::look;
pub(crate) use nonces::RedisNonces;

/// What may be kept in the store, as the metrics call it.
pub(crate) const USES: [&str; 3] = [nonces::NAME, counters::NAME, grants::NAME];
/// Connections to the store: while one of them is made anew, the other serves.
const LINKS: usize = 2;
/// The most questions that wait for an answer. One more is answered with no.
const MOST_WAITING: usize = 4_096;
/// How long it waits before it tries to connect again: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// How often an idle connection is asked whether it lives, and whether the server still fits.
const BEAT: Duration = Duration::from_secs(1);

/// The way to the store.
pub(crate) struct Redis {
    shared: Arc<Shared>,
    runtime: Handle,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

struct Shared {
    settings: RedisSettings,
    links: [ArcSwapOption<Link>; LINKS],
    turn: AtomicUsize,
    waiting: Semaphore,
    /// Why there is no connection.
    why: Mutex<String>,
    /// What is kept in the store, for the metrics.
    uses: Vec<&'static str>,
    metrics: Arc<Metrics>,
}

impl Redis {
    /// Begins to connect, and keeps at it until it is dropped. `uses` are the names in the metrics of what
    /// is kept there.
    ///
    /// # Errors
    /// When the authorities cannot be read, or the thread cannot be had.
    pub(crate) fn open(settings: RedisSettings, uses: &[&'static str], metrics: &Arc<Metrics>) -> anyhow::Result<Self> {
        let tls = tls::connector(&settings)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let shared = Arc::new(Shared {
            settings,
            links: Default::default(),
            turn: AtomicUsize::new(0),
            waiting: Semaphore::new(MOST_WAITING),
            why: Mutex::new("it has not answered yet".to_owned()),
            uses: uses.to_vec(),
            metrics: Arc::clone(metrics),
        });
        uses.iter().for_each(|name| metrics.know_store(name));
        for slot in 0..LINKS {
            handle.spawn(Arc::clone(&shared).keep(slot, tls.clone()));
        }
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            // An error says that the sender is gone, which is the sign to end.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { shared, runtime: handle, _stop: stop })
    }

    /// The same for one command.
    ///
    /// # Errors
    /// As [`Redis::open`].
    pub(crate) fn for_command(settings: RedisSettings) -> anyhow::Result<Self> {
        Self::open(settings, &[], &Metrics::new()?)
    }

    /// Where tasks of the store run.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// How every key is called: in one slot, should the store be a cluster.
    pub(super) fn key(&self, rest: &str) -> String {
        format!("{{{}}}:{rest}", self.shared.settings.prefix)
    }

    /// Why the store does not serve; `None` when it does.
    pub(crate) fn away(&self) -> Option<String> {
        let up = self.shared.links.iter().any(|slot| slot.load().is_some());
        (!up).then(|| format!("the store at {}: {}", self.shared.settings.address(), self.shared.why()))
    }

    /// A connection that lives, as far as is known.
    pub(super) fn link(&self) -> Result<Arc<Link>, Unavailable> {
        let first = self.shared.turn.fetch_add(1, Ordering::Relaxed);
        (0..LINKS)
            .filter_map(|next| self.shared.links.get(first.wrapping_add(next) % LINKS))
            .find_map(|slot| slot.load_full())
            .ok_or_else(|| Unavailable::new(self.away().unwrap_or_else(|| "the store is just back".to_owned())))
    }

    /// A connection, as soon as there is one. For commands, which begin with none.
    ///
    /// # Errors
    /// When there is none within the time that connecting may take, and some.
    pub(super) async fn wait(&self) -> Result<Arc<Link>, Unavailable> {
        let until = tokio::time::Instant::now() + self.shared.settings.timeout * 4 + PAUSE.1;
        loop {
            match self.link() {
                Err(_) if tokio::time::Instant::now() < until => tokio::time::sleep(PAUSE.0 / 5).await,
                link => return link,
            }
        }
    }

    /// Runs a script over this connection. `name` says for what, in the metrics.
    ///
    /// # Errors
    /// When the answer did not come in time, or is none: what was asked may or may not have been done.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        link: &Arc<Link>,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Unavailable> {
        let _place =
            self.shared.waiting.try_acquire().map_err(|_| Unavailable::new("too many requests wait for the store"))?;
        let began = std::time::Instant::now();
        let mut connection = link.connection();
        let limit = self.shared.settings.timeout;
        // One limit over everything: the script may have to be loaded first.
        let answer = tokio::time::timeout(limit, script.invoke_async::<T>(&mut connection)).await;
        self.shared.metrics.store_asked(name, began.elapsed());
        let why = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if !link::is_over(&error) => return Err(Unavailable::new(link::told(&error))),
            Ok(Err(error)) => link::told(&error),
            Err(_) => format!("it did not answer within {limit:?}"),
        };
        self.shared.leave(link, &why);
        Err(Unavailable::new(why))
    }
}

impl Shared {
    /// Keeps one connection: makes it, watches it, and makes it anew.
    async fn keep(self: Arc<Self>, slot: usize, tls: Option<tls::Connector>) {
        let Some(place) = self.links.get(slot) else { return };
        let mut pause = PAUSE.0;
        loop {
            match link::connect(&self.settings, tls.as_ref()).await {
                Ok((link, ended)) => {
                    pause = PAUSE.0;
                    let link = Arc::new(link);
                    let was_away = self.links.iter().all(|slot| slot.load().is_none());
                    place.store(Some(Arc::clone(&link)));
                    self.tell(was_away);
                    let why = link.watch(ended, &self.settings).await;
                    self.leave(&link, &why);
                }
                Err(why) => self.note(&why),
            }
            tokio::time::sleep(pause + jitter(pause)).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Takes a connection out of use.
    fn leave(&self, link: &Arc<Link>, why: &str) {
        link.give_up();
        let mut left = false;
        for slot in &self.links {
            let mine = slot.load_full().filter(|held| Arc::ptr_eq(held, link));
            if mine.is_some() {
                // Only its keeper puts another one there, and only once this one is given up.
                slot.store(None);
                left = true;
            }
        }
        if left {
            self.note(why);
        }
    }

    /// Remembers why there is no connection, and says so where that is news.
    fn note(&self, why: &str) {
        let away = self.links.iter().all(|slot| slot.load().is_none());
        let mut known = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        if away && *known != why {
            tracing::error!(store = self.settings.address(), why, "The store is away; what needs it is refused.");
            why.clone_into(&mut known);
        }
        drop(known);
        self.uses.iter().for_each(|name| self.metrics.store_up(name, !away));
    }

    fn tell(&self, was_away: bool) {
        if was_away {
            tracing::info!(store = self.settings.address(), "The store answers.");
            self.why.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.uses.iter().for_each(|name| self.metrics.store_up(name, true));
    }

    fn why(&self) -> String {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Up to half as much again, so that many gates do not come back in step.
fn jitter(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests;
