//! The counters of one gate, in memory.
//!
//! Counters are found by a keyed hash of their kind and key: nobody can choose keys that collide, and
//! what two keys that do collide by chance lose is a limit of their own. All that one exchange demands
//! is taken under the locks of the shards concerned, in their order, so that it is all or nothing.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use portcullis_policies::Rate;

use super::bucket::Bucket;
use super::budgets::{BudgetStore, Budgets, Short};
use super::counters::{Clock, Counters, Demand, Denied, Held, Limit, Monotonic, Shortage};
use crate::verdict::FilterError;

/// Counters that are kept of each kind.
pub(super) const MAX: usize = 65_536;
const SHARDS: usize = 16;
const KINDS: usize = 5;
/// The most demands of one exchange.
pub(super) const MAX_DEMANDS: usize = 32;
/// A full shard is looked through for counters that need not be kept, this often at most.
const SWEEP: u64 = 1_000_000_000;
/// When a place may be free again: nobody knows, so soon.
const SOON: Duration = Duration::from_secs(1);
/// A budget does not fill up again.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// Counters in memory.
pub struct Memory(Arc<Inner>);

struct Inner {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    clock: Box<dyn Clock>,
    budgets: Budgets,
}

#[derive(Default)]
struct Shard {
    accounts: HashMap<u64, Account, BuildHasherDefault<AsItIs>>,
    swept: u64,
}

/// One counter. At rest, with full buckets, it is the same as an absent one.
#[derive(Clone, Copy, Default)]
struct Account {
    requests: Bucket,
    tokens: Bucket,
    running: u32,
}

/// Where a counter is.
#[derive(Clone, Copy)]
struct Place {
    shard: usize,
    key: u64,
}

impl Memory {
    /// Counters by the system's clock, with budgets of which this was spent before.
    #[must_use]
    pub fn new(spent: impl IntoIterator<Item = (String, u64)>) -> Self {
        Self::with_clock(Box::<Monotonic>::default(), spent)
    }

    /// Counters by this clock.
    #[must_use]
    pub fn with_clock(clock: Box<dyn Clock>, spent: impl IntoIterator<Item = (String, u64)>) -> Self {
        let shards = (0..KINDS * SHARDS).map(|_| Mutex::default()).collect();
        Self(Arc::new(Inner { shards, hasher: RandomState::new(), clock, budgets: Budgets::with(spent) }))
    }

    /// Writes down what was spent of budgets since the last time. While that fails, nothing that has a
    /// budget is let through.
    ///
    /// # Errors
    /// What the store says.
    pub fn save_budgets(&self, store: &dyn BudgetStore) -> Result<(), String> {
        self.0.budgets.save(store)
    }

    /// Forgets the budgets of delegated grants that have ended by this Unix second.
    pub fn forget_ended(&self, now: i64) {
        self.0.budgets.forget_ended(now);
    }

    /// The same as [`Counters::take`], which never waits here.
    ///
    /// # Errors
    /// The shortage that lasts longest; nothing was taken then.
    pub fn take_now(&self, demands: &[Demand<'_>], tokens: u64) -> Result<Option<Box<dyn Held>>, Denied> {
        let mut parts = self.0.take(demands, tokens)?;
        // A request that was counted is counted; the rest is given back.
        parts.retain(Part::is_held);
        if parts.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(Taken { counters: Arc::clone(&self.0), parts, tokens, settled: AtomicBool::new(false) })))
    }
}

#[async_trait]
impl Counters for Memory {
    async fn take(&self, demands: &[Demand<'_>], tokens: u64) -> Result<Option<Box<dyn Held>>, Denied> {
        self.take_now(demands, tokens)
    }
}

impl Inner {
    fn now(&self) -> u64 {
        u64::try_from(self.clock.now().as_nanos()).unwrap_or(u64::MAX)
    }

    fn place(&self, demand: &Demand<'_>) -> Place {
        let key = self.hasher.hash_one((demand.kind, demand.key));
        // The map below uses the hash's other end.
        let shard = usize::try_from(key >> 32).unwrap_or_default() % SHARDS;
        Place { shard: demand.kind as usize * SHARDS + shard, key }
    }

    fn shard(&self, number: usize) -> Option<MutexGuard<'_, Shard>> {
        self.shards.get(number).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, demands: &[Demand<'_>], tokens: u64) -> Result<Vec<Part>, Denied> {
        if demands.len() > MAX_DEMANDS {
            return Err(broken("one request falls under more limits than the gate counts"));
        }
        let parts: Vec<Part> = demands.iter().map(|demand| Part::of(demand, self.place(demand))).collect();
        let now = self.now();
        let mut open = Open::lock(self, &parts);
        let mut before = Vec::with_capacity(parts.len());
        match self.take_each(&mut open, &parts, demands, tokens, now, &mut before) {
            Ok(()) => Ok(parts),
            Err(denied) => {
                // From the last to the first: one counter may stand there twice.
                before.into_iter().rev().for_each(|(place, account)| open.put_back(place, account));
                Err(denied)
            }
        }
    }

    fn take_each(
        &self,
        open: &mut Open<'_>,
        parts: &[Part],
        demands: &[Demand<'_>],
        tokens: u64,
        now: u64,
        before: &mut Vec<(Place, Account)>,
    ) -> Result<(), Denied> {
        let mut worst: Option<Shortage> = None;
        for (number, (part, demand)) in parts.iter().zip(demands).enumerate() {
            let account =
                open.account(part.place, now).ok_or_else(|| broken("there are more counters than the gate keeps"))?;
            before.push((part.place, *account));
            account.take(demand, tokens, now, &mut |limit, wait| {
                if worst.is_none_or(|worst| worst.wait < wait) {
                    worst = Some(Shortage { demand: number, limit, wait });
                }
            });
        }
        worst.map_or(Ok(()), |short| Err(Denied::Short(short)))?;
        self.reserve(demands, tokens)
    }

    /// Reserves from every budget, or from none.
    fn reserve(&self, demands: &[Demand<'_>], tokens: u64) -> Result<(), Denied> {
        for (number, demand) in demands.iter().enumerate() {
            let Some(budget) = demand.budget else { continue };
            let Err(short) = self.budgets.reserve(demand.key, budget, tokens) else { continue };
            for earlier in demands.iter().take(number).filter(|d| d.budget.is_some()) {
                self.budgets.settle(earlier.key, tokens, 0);
            }
            let spent = |wait| Denied::Short(Shortage { demand: number, limit: Limit::Budget(budget), wait });
            return Err(match short {
                Short::Full => broken("there are more budgets than the gate keeps"),
                Short::Reserved => spent(SOON),
                Short::Spent => spent(LONG),
                Short::Unsaved => Denied::Unsaved,
            });
        }
        Ok(())
    }
}

impl Account {
    /// Takes what is demanded; tells every limit that stands against it, and then counts for nothing.
    fn take(&mut self, demand: &Demand<'_>, tokens: u64, now: u64, short: &mut impl FnMut(Limit, Duration)) {
        if let Some(rate) = demand.requests
            && let Err(wait) = self.requests.take(1, rate, now)
        {
            short(Limit::Requests(rate), wait);
        }
        if let Some(rate) = demand.tokens
            && let Err(wait) = self.tokens.take(tokens, rate, now)
        {
            short(Limit::Tokens(rate), wait);
        }
        if let Some(most) = demand.concurrent {
            if self.running >= most {
                short(Limit::Concurrent(most), SOON);
            }
            self.running = self.running.saturating_add(1);
        }
    }

    fn is_at_rest(&self, now: u64) -> bool {
        self.running == 0 && self.requests.is_full(now) && self.tokens.is_full(now)
    }
}

/// The shards that one exchange concerns, locked in their order.
struct Open<'m>(Vec<(usize, MutexGuard<'m, Shard>)>);

impl<'m> Open<'m> {
    fn lock(counters: &'m Inner, parts: &[Part]) -> Self {
        let mut numbers: Vec<usize> = parts.iter().map(|part| part.place.shard).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers.into_iter().filter_map(|number| Some((number, counters.shard(number)?))).collect())
    }

    fn shard(&mut self, number: usize) -> Option<&mut Shard> {
        self.0.iter_mut().find(|(open, _)| *open == number).map(|(_, shard)| &mut **shard)
    }

    /// A counter, new if need be; `None` where there is no room for one.
    fn account(&mut self, place: Place, now: u64) -> Option<&mut Account> {
        let shard = self.shard(place.shard)?;
        if shard.accounts.len() >= MAX / SHARDS && !shard.accounts.contains_key(&place.key) {
            if now < shard.swept.saturating_add(SWEEP) {
                return None;
            }
            shard.swept = now;
            shard.accounts.retain(|_, account| !account.is_at_rest(now));
            if shard.accounts.len() >= MAX / SHARDS {
                return None;
            }
        }
        Some(shard.accounts.entry(place.key).or_default())
    }

    fn put_back(&mut self, place: Place, account: Account) {
        if let Some(shard) = self.shard(place.shard) {
            shard.accounts.insert(place.key, account);
        }
    }
}

/// What one exchange has taken.
struct Taken {
    counters: Arc<Inner>,
    parts: Vec<Part>,
    tokens: u64,
    settled: AtomicBool,
}

struct Part {
    place: Place,
    tokens: Option<Rate>,
    concurrent: bool,
    budget: Option<String>,
}

impl Part {
    fn of(demand: &Demand<'_>, place: Place) -> Self {
        Self {
            place,
            tokens: demand.tokens,
            concurrent: demand.concurrent.is_some(),
            budget: demand.budget.map(|_| demand.key.to_owned()),
        }
    }

    fn is_held(&self) -> bool {
        self.tokens.is_some() || self.concurrent || self.budget.is_some()
    }
}

impl Held for Taken {
    fn settle(&self, used: u64) {
        if self.settled.swap(true, Ordering::AcqRel) {
            return;
        }
        let now = self.counters.now();
        for part in &self.parts {
            if let Some(mut shard) = self.counters.shard(part.place.shard) {
                let account = shard.accounts.entry(part.place.key).or_default();
                if part.concurrent {
                    account.running = account.running.saturating_sub(1);
                }
                if let Some(rate) = part.tokens {
                    account.tokens.settle(self.tokens, used, rate, now);
                }
            }
            if let Some(key) = &part.budget {
                self.counters.budgets.settle(key, self.tokens, used);
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.settle(0);
    }
}

fn broken(what: &str) -> Denied {
    Denied::Broken(FilterError::Failed(what.to_owned()))
}

/// The keys are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests;
