//! What was spent of budgets, on disk: `budgets.json` in the state directory.
//!
//! Written at most once a second and when the gate stops. What running requests have reserved is in it
//! as if it were spent. So a gate that is killed forgets at most what was taken in the last second, and
//! charges what ran at that moment in full.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_certs::ledger::{Document, Ledger, LedgerError};
use portcullis_filters::ratelimit::{self, BudgetStore, Counters, Memory};
use serde::{Deserialize, Serialize};

use crate::store::redis::{Redis, RedisCounters};

/// How often it is written, if anything changed.
const PAUSE: Duration = Duration::from_secs(1);
/// More than any gate has.
const MAX: usize = 1 << 17;

/// Tokens spent, by what allowed them.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spent {
    #[serde(default)]
    spent: BTreeMap<String, u64>,
}

impl Document for Spent {
    fn check(&self) -> Result<(), String> {
        if self.spent.len() > MAX { Err(format!("it holds more than {MAX} budgets")) } else { Ok(()) }
    }
}

/// The file.
pub(crate) struct Budgets(Ledger<Spent>);

impl Budgets {
    /// Opens it, and gives out what was spent so far.
    ///
    /// # Errors
    /// When it is there and cannot be read: then nobody knows what is left.
    pub(crate) fn open(state: &Path) -> Result<(Self, BTreeMap<String, u64>), LedgerError> {
        let ledger = Ledger::<Spent>::open(&state.join("budgets.json"))?;
        let spent = ledger.get().spent.clone();
        Ok((Self(ledger), spent))
    }
}

impl BudgetStore for Budgets {
    fn save(&self, spent: &[(String, u64)]) -> Result<(), String> {
        let written = self.0.change(|document| {
            document.spent.extend(spent.iter().cloned());
            let now = crate::keyring::now();
            document.spent.retain(|key, _| ratelimit::delegation(key).is_none_or(|(_, until)| until > now));
            Ok::<(), LedgerError>(())
        });
        written.map_err(|e| e.to_string())
    }
}

/// The counters of a gate: its own, or those that it shares with others.
#[derive(Clone)]
pub(crate) struct Counts {
    /// Strangers are every gate's own business.
    memory: Arc<Memory>,
    shared: Option<RedisCounters>,
}

impl Counts {
    /// Counters with budgets of which this was spent before.
    pub(crate) fn open(shared: Option<&Arc<Redis>>, spent: BTreeMap<String, u64>) -> Self {
        match shared {
            None => Self { memory: Arc::new(Memory::new(spent)), shared: None },
            Some(redis) => {
                let shared = RedisCounters::open(Arc::clone(redis), spent);
                Self { memory: Arc::new(Memory::new([])), shared: Some(shared) }
            }
        }
    }

    pub(crate) fn of_strangers(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }

    pub(crate) fn for_callers(&self) -> Arc<dyn Counters> {
        match &self.shared {
            None => Arc::clone(&self.memory) as _,
            Some(shared) => Arc::new(shared.clone()),
        }
    }
}

/// Writes what changes, for ever. Runs off the workers.
pub(crate) async fn keep(counters: Counts, store: Arc<Budgets>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let (counters, store) = (counters.clone(), Arc::clone(&store));
        let _ = tokio::task::spawn_blocking(move || save(&counters, &store)).await;
    }
}

/// Writes what changed since the last time.
pub(crate) fn save(counters: &Counts, store: &Budgets) {
    let now = crate::keyring::now();
    let saved = match &counters.shared {
        None => {
            counters.memory.forget_ended(now);
            counters.memory.save_budgets(store)
        }
        Some(shared) => {
            shared.forget_ended(now);
            shared.save_budgets(store)
        }
    };
    if let Err(error) = saved {
        tracing::error!(%error, "Budgets cannot be written; requests that use one are refused until they can.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_filters::ratelimit::{Demand, Kind};

    #[test]
    fn what_was_spent_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let demand = Demand { budget: Some(100), ..Demand::of(Kind::Quota, "key:ci") };
        let (store, spent) = Budgets::open(dir.path()).unwrap();
        let counters = Counts::open(None, spent);
        let held = counters.memory.take_now(&[demand], 60).unwrap().unwrap();
        save(&counters, &store);
        // Killed here, the whole of what ran counts as spent.
        let (_, spent) = Budgets::open(dir.path()).unwrap();
        assert!(Memory::new(spent).take_now(&[demand], 41).is_err());
        held.settle(10);
        save(&counters, &store);
        let (_, spent) = Budgets::open(dir.path()).unwrap();
        let counters = Memory::new(spent);
        assert!(counters.take_now(&[demand], 91).is_err());
        assert!(counters.take_now(&[demand], 90).is_ok());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_fresh_start() {
        let dir = tempfile::tempdir().unwrap();
        portcullis_certs::files::write_private(&dir.path().join("budgets.json"), b"{\"spent\": 5}").unwrap();
        assert!(Budgets::open(dir.path()).is_err());
    }
}
