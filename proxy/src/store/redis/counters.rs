//! Rates, places and budgets in the shared store: a caller has one allowance in all gates together.
//!
//! The same as the counters in memory: all that a request demands is taken in one step, or nothing
//! (`take.lua`), and what it used takes the place of what was set aside when it ends (`settle.lua`). The
//! time is the store's own. What a gate that died holds comes back once it has not been heard of for
//! [`LEASE`]. A taking that went unanswered is settled all the same: its record in the store sees to it that
//! this happens once, in whichever order the two arrive.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use portcullis_filters::FilterError;
use portcullis_filters::ratelimit::{BudgetStore, Counters, Demand, Denied, Held, Kind, Limit, Shortage, delegation};
use portcullis_filters::store::Unavailable;
use portcullis_policies::Rate;
use redis::Script;
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use super::Redis;

/// The name in the metrics.
pub(crate) const NAME: &str = "counters";
/// How long a gate that is not heard of keeps what it holds.
const LEASE: Duration = Duration::from_secs(15);
/// How often a gate says that it lives.
const BEAT: Duration = Duration::from_secs(3);
/// How long it pauses before it tries to settle again.
const PAUSE: Duration = Duration::from_millis(200);
/// The most counters of a kind, budgets, and budgets that one node opens by passing its rights on: as many
/// as a gate keeps in memory.
const MOST: [usize; 3] = [65_536, 16_384, 512];
/// The most demands of one request.
const MAX_DEMANDS: usize = 32;

/// Counters in a Redis.
#[derive(Clone)]
pub(crate) struct RedisCounters(Arc<Inner>);

struct Inner {
    store: Arc<Redis>,
    take: Script,
    settle: Script,
    beat: Script,
    /// Under which name this gate holds something. A gate that was held to be dead takes another one.
    gate: Mutex<Arc<str>>,
    taken: AtomicU64,
    spent: Mutex<Spent>,
}

/// What this gate knows to be spent of budgets: a store that lost it is told again.
#[derive(Default)]
struct Spent {
    known: HashMap<String, u64>,
    changed: HashSet<String>,
    /// Whether the last attempt to write it down failed.
    unsaved: bool,
}

impl RedisCounters {
    /// Counters with budgets of which this was spent before.
    pub(crate) fn open(store: Arc<Redis>, spent: impl IntoIterator<Item = (String, u64)>) -> Self {
        let script = |text: &str| Script::new(&format!("{}\n{text}", include_str!("account.lua")));
        let inner = Arc::new(Inner {
            take: script(include_str!("take.lua")),
            settle: script(include_str!("settle.lua")),
            beat: Script::new(include_str!("beat.lua")),
            gate: Mutex::new(Ulid::new().to_string().into()),
            taken: AtomicU64::new(0),
            spent: Mutex::new(Spent { known: spent.into_iter().collect(), ..Spent::default() }),
            store,
        });
        let watched = Arc::downgrade(&inner);
        inner.store.runtime().spawn(keep(watched));
        Self(inner)
    }

    /// Writes down what was spent of budgets since the last time.
    ///
    /// # Errors
    /// What the file says; it is tried again.
    pub(crate) fn save_budgets(&self, file: &dyn BudgetStore) -> Result<(), String> {
        let (changed, unsaved): (Vec<_>, _) = {
            let mut spent = self.0.spent();
            let changed = std::mem::take(&mut spent.changed);
            let now = |key: String| spent.known.get(&key).copied().map(|n| (key, n));
            (changed.into_iter().filter_map(now).collect(), spent.unsaved)
        };
        // After a failure it is tried even with nothing left to write: somebody may wait for it.
        if changed.is_empty() && !unsaved {
            return Ok(());
        }
        let saved = file.save(&changed);
        let mut spent = self.0.spent();
        spent.unsaved = saved.is_err();
        if saved.is_err() {
            spent.changed.extend(changed.into_iter().map(|(key, _)| key));
        }
        drop(spent);
        saved
    }

    /// Forgets the budgets of delegated grants that have ended by this Unix second.
    pub(crate) fn forget_ended(&self, now: i64) {
        self.0.spent().known.retain(|key, _| delegation(key).is_none_or(|(_, until)| until > now));
    }
}

#[async_trait]
impl Counters for RedisCounters {
    async fn take(&self, demands: &[Demand<'_>], tokens: u64) -> Result<Option<Box<dyn Held>>, Denied> {
        if demands.len() > MAX_DEMANDS {
            return Err(broken("one request falls under more limits than the gate counts"));
        }
        if demands.is_empty() {
            return Ok(None);
        }
        let inner = &self.0;
        // A store that loses what was spent could not be told by a gate that was started again.
        if demands.iter().any(|demand| demand.budget.is_some()) && inner.spent().unsaved {
            return Err(Denied::Unsaved);
        }
        let parts: Vec<Part> = demands.iter().map(|demand| inner.part(demand)).collect();
        for _ in 0..2 {
            let gate = inner.gate();
            let record = inner.store.key(&format!("x:{gate}:{}", inner.taken.fetch_add(1, Ordering::Relaxed)));
            // Dropped on the way, it gives back what may have been taken.
            let taken = Taken {
                inner: Arc::clone(inner),
                parts: parts.iter().filter(|part| part.is_held()).cloned().collect(),
                gate: Arc::clone(&gate),
                record,
                tokens,
                settled: AtomicBool::new(false),
            };
            let answer = inner.ask(demands, &parts, &taken).await;
            match answer.as_deref() {
                Ok([0, spent @ ..]) => {
                    inner.know(&parts, spent);
                    return Ok(if taken.parts.is_empty() { None } else { Some(Box::new(taken)) });
                }
                Ok([2]) => {
                    taken.forget();
                    inner.join(&gate).await.map_err(Denied::Away)?;
                }
                Ok([1, demand, limit, wait]) => {
                    taken.forget();
                    return Err(shortage(demands, *demand, *limit, *wait));
                }
                Ok([3]) => {
                    taken.forget();
                    return Err(broken("there are more counters than the store keeps"));
                }
                Ok(_) => return Err(broken("the store counted in a way that nobody knows")),
                Err(error) => return Err(Denied::Away(error.clone())),
            }
        }
        Err(Denied::Away(Unavailable::new("the gate could not join the others in the store")))
    }
}

impl Inner {
    async fn ask(&self, demands: &[Demand<'_>], parts: &[Part], taken: &Taken) -> Result<Vec<i64>, Unavailable> {
        let link = match self.store.link() {
            Ok(link) => link,
            Err(error) => {
                // It was never asked, so there is nothing to give back.
                taken.forget();
                return Err(error);
            }
        };
        let mut script = self.take.prepare_invoke();
        script.key(self.store.key("gates")).key(&taken.record).key(self.store.key("budgets"));
        script.arg(&*taken.gate).arg(taken.tokens).arg(&MOST[..]).arg(u8::from(!taken.parts.is_empty()));
        for (part, demand) in parts.iter().zip(demands) {
            script.key(&part.counter).key(&part.index).key(&part.purse).key(&part.root);
            rate(&mut script, demand.requests);
            rate(&mut script, demand.tokens);
            script.arg(demand.concurrent.map_or(-1, i64::from));
            let known = part.budget.as_ref().and_then(|key| self.spent().known.get(key).copied()).unwrap_or(0);
            script.arg(demand.budget.map_or(-1, whole)).arg(known).arg(part.ends_ms);
        }
        self.store.run(NAME, &link, &script).await
    }

    fn part(&self, demand: &Demand<'_>) -> Part {
        let kind = match demand.kind {
            Kind::Caller => "c",
            Kind::Global => "g",
            Kind::Model => "m",
            Kind::Quota => "q",
            Kind::Stranger => "s",
        };
        let hash = hashed(demand.key);
        let none = || self.store.key("-");
        let delegated = demand.budget.and_then(|_| delegation(demand.key));
        let counts = demand.requests.is_some() || demand.tokens.is_some() || demand.concurrent.is_some();
        Part {
            counter: if counts { self.store.key(&format!("{kind}:{hash}")) } else { none() },
            index: self.store.key(&format!("k:{kind}")),
            purse: demand.budget.map_or_else(none, |_| self.store.key(&format!("b:{hash}"))),
            root: delegated.map_or_else(none, |(root, _)| self.store.key(&format!("d:{}", hashed(root)))),
            ends_ms: delegated.map_or(-1, |(_, until)| until.max(0).saturating_mul(1000)),
            tokens: demand.tokens,
            place: demand.concurrent.is_some(),
            budget: demand.budget.map(|_| demand.key.to_owned()),
        }
    }

    /// Says that this gate lives; under another name if it was not heard of for too long.
    async fn join(&self, known: &Arc<str>) -> Result<(), Unavailable> {
        let link = self.store.link()?;
        let say = |name: Arc<str>, anew: bool| {
            let mut script = self.beat.prepare_invoke();
            script.key(self.store.key("gates")).arg(&*name).arg(LEASE.as_millis() as u64).arg(u8::from(anew));
            let link = Arc::clone(&link);
            async move { self.store.run::<bool>(NAME, &link, &script).await }
        };
        if say(Arc::clone(known), false).await? {
            return Ok(());
        }
        let name: Arc<str> = Ulid::new().to_string().into();
        say(Arc::clone(&name), true).await?;
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        // Another request may have been quicker; its name is as good.
        if Arc::ptr_eq(&gate, known) {
            *gate = name;
        }
        Ok(())
    }

    /// Remembers what the store says was spent.
    fn know(&self, parts: &[Part], spent: &[i64]) {
        if spent.is_empty() {
            return;
        }
        let mut books = self.spent();
        for (key, spent) in parts.iter().filter_map(|part| part.budget.as_ref()).zip(spent) {
            let before = books.known.get(key).copied();
            let room = books.known.len() < MOST[1] || before.is_some();
            // Two answers may come in another order than they were given: the larger one is never too little.
            let spent = u64::try_from(*spent).unwrap_or(0).max(before.unwrap_or_default());
            if room && books.known.insert(key.clone(), spent) != Some(spent) {
                books.changed.insert(key.clone());
            }
        }
    }

    fn gate(&self) -> Arc<str> {
        Arc::clone(&self.gate.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn spent(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where one demand is counted.
#[derive(Clone)]
struct Part {
    counter: String,
    index: String,
    purse: String,
    root: String,
    ends_ms: i64,
    tokens: Option<Rate>,
    place: bool,
    budget: Option<String>,
}

impl Part {
    fn is_held(&self) -> bool {
        self.tokens.is_some() || self.place || self.budget.is_some()
    }
}

/// What one exchange has taken, or may have taken.
struct Taken {
    inner: Arc<Inner>,
    parts: Vec<Part>,
    gate: Arc<str>,
    record: String,
    tokens: u64,
    settled: AtomicBool,
}

impl Taken {
    /// Nothing was taken.
    fn forget(&self) {
        self.settled.store(true, Ordering::Release);
    }
}

impl Held for Taken {
    fn settle(&self, used: u64) {
        if self.settled.swap(true, Ordering::AcqRel) || self.parts.is_empty() {
            return;
        }
        let settlement = Settlement {
            inner: Arc::clone(&self.inner),
            parts: self.parts.clone(),
            gate: Arc::clone(&self.gate),
            record: self.record.clone(),
            tokens: self.tokens,
            used,
        };
        self.inner.store.runtime().spawn(settlement.carry_out());
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.settle(0);
    }
}

struct Settlement {
    inner: Arc<Inner>,
    parts: Vec<Part>,
    gate: Arc<str>,
    record: String,
    tokens: u64,
    used: u64,
}

impl Settlement {
    /// Tries until it is done, or until the store takes the gate for dead, which gives everything back.
    async fn carry_out(self) {
        let until = Instant::now() + LEASE;
        while Instant::now() < until {
            match self.attempt().await {
                Ok(spent) => return self.inner.know(&self.parts, &spent),
                Err(error) => tracing::debug!(%error, "What a request used cannot be counted yet."),
            }
            tokio::time::sleep(PAUSE).await;
        }
        // The record stays open, so the name under which it is held has to end.
        let mut gate = self.inner.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if *gate == self.gate {
            *gate = Ulid::new().to_string().into();
        }
    }

    async fn attempt(&self) -> Result<Vec<i64>, Unavailable> {
        let link = self.inner.store.link()?;
        let mut script = self.inner.settle.prepare_invoke();
        script.key(self.inner.store.key("gates")).key(&self.record);
        script.arg(&*self.gate).arg(self.tokens).arg(self.used).arg(LEASE.as_millis() as u64 * 4);
        for part in &self.parts {
            script.key(&part.counter).key(&part.index).key(&part.purse);
            rate(&mut script, part.tokens);
            script.arg(u8::from(part.place)).arg(u8::from(part.budget.is_some()));
        }
        self.inner.store.run(NAME, &link, &script).await
    }
}

/// Says now and then that the gate lives.
async fn keep(counters: Weak<Inner>) {
    loop {
        let pause = {
            let Some(counters) = counters.upgrade() else { return };
            let joined = counters.join(&counters.gate()).await;
            if joined.is_ok() { BEAT } else { PAUSE }
        };
        tokio::time::sleep(pause).await;
    }
}

fn shortage(demands: &[Demand<'_>], demand: i64, limit: i64, wait: i64) -> Denied {
    let number = usize::try_from(demand).unwrap_or(usize::MAX);
    let limit = demands.get(number).and_then(|demand| match limit {
        1 => demand.requests.map(Limit::Requests),
        2 => demand.tokens.map(Limit::Tokens),
        3 => demand.concurrent.map(Limit::Concurrent),
        _ => demand.budget.map(Limit::Budget),
    });
    let wait = Duration::from_micros(wait.max(0).unsigned_abs());
    limit.map_or_else(
        || broken("the store named a limit that nobody asked about"),
        |limit| Denied::Short(Shortage { demand: number, limit, wait }),
    )
}

fn rate(script: &mut redis::ScriptInvocation<'_>, rate: Option<Rate>) {
    script.arg(rate.map_or(-1, |rate| whole(rate.count)));
    script.arg(rate.map_or(-1, |rate| whole(u64::try_from(rate.per.as_micros()).unwrap_or(u64::MAX))));
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The store's keys tell nobody who calls.
fn hashed(key: &str) -> String {
    BASE64URL_NOPAD.encode(Sha256::digest(key.as_bytes()).get(..16).unwrap_or_default())
}

fn broken(what: &str) -> Denied {
    Denied::Broken(FilterError::Failed(what.to_owned()))
}
