//! Budgets: tokens in all, ever. What was spent outlives the process.
//!
//! What a running exchange has reserved is written down as spent, so that a gate that is killed gives
//! nothing away but what was taken since the last write.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most budgets that are kept. One more is refused: what cannot be counted is not allowed.
const MAX: usize = 16_384;
/// The most of them that one node may open by passing its rights on.
const MAX_DELEGATED: usize = 512;

/// Where spending is written down.
pub trait BudgetStore: Send + Sync {
    /// Writes down what was spent in all under each of these keys.
    ///
    /// # Errors
    /// Why it could not; it is asked again.
    fn save(&self, spent: &[(String, u64)]) -> Result<(), String>;
}

/// Every budget that somebody has used.
#[derive(Default)]
pub(super) struct Budgets(Mutex<Books>);

#[derive(Default)]
struct Books {
    accounts: HashMap<String, Account>,
    /// How many accounts each node has opened by passing its rights on.
    delegated: HashMap<String, usize>,
    /// Keys that changed since they were written down.
    dirty: HashSet<String>,
    /// Whether the last attempt to write failed.
    unsaved: bool,
}

#[derive(Clone, Copy, Default)]
struct Account {
    spent: u64,
    reserved: u64,
}

/// Why a budget does not give what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Short {
    /// There are more budgets than the gate keeps.
    Full,
    /// It is used up.
    Spent,
    /// What is left is reserved by requests that run.
    Reserved,
    /// It cannot be written down.
    Unsaved,
}

impl Budgets {
    /// Budgets of which this was spent before.
    pub(super) fn with(spent: impl IntoIterator<Item = (String, u64)>) -> Self {
        let accounts: HashMap<_, _> =
            spent.into_iter().map(|(key, spent)| (key, Account { spent, reserved: 0 })).collect();
        let mut delegated: HashMap<String, usize> = HashMap::new();
        for (root, _) in accounts.keys().filter_map(|key| delegation(key)) {
            *delegated.entry(root.to_owned()).or_default() += 1;
        }
        Self(Mutex::new(Books { accounts, delegated, ..Books::default() }))
    }

    /// Reserves this many tokens of a budget.
    pub(super) fn reserve(&self, key: &str, budget: u64, tokens: u64) -> Result<(), Short> {
        let mut books = self.books();
        if books.unsaved {
            return Err(Short::Unsaved);
        }
        // What gives nothing takes up no room either.
        let known = books.accounts.get(key).copied();
        let account = known.unwrap_or_default();
        let wanted = account.spent.saturating_add(tokens);
        if wanted > budget {
            return Err(Short::Spent);
        }
        if wanted.saturating_add(account.reserved) > budget {
            return Err(Short::Reserved);
        }
        if known.is_none() {
            books.make_room(key)?;
        }
        let account = books.accounts.entry(key.to_owned()).or_default();
        account.reserved = account.reserved.saturating_add(tokens);
        books.dirty.insert(key.to_owned());
        Ok(())
    }

    /// Forgets the budgets of delegated grants that have ended by this Unix second.
    pub(super) fn forget_ended(&self, now: i64) {
        let mut books = self.books();
        let Books { accounts, delegated, .. } = &mut *books;
        accounts.retain(|key, account| {
            let Some((root, _)) = delegation(key).filter(|(_, until)| *until <= now) else { return true };
            if account.reserved > 0 {
                return true;
            }
            if let Some(count) = delegated.get_mut(root) {
                *count = count.saturating_sub(1);
            }
            false
        });
        delegated.retain(|_, count| *count > 0);
    }

    /// Puts what was used in place of what was reserved.
    pub(super) fn settle(&self, key: &str, reserved: u64, used: u64) {
        let mut books = self.books();
        if let Some(account) = books.accounts.get_mut(key) {
            account.reserved = account.reserved.saturating_sub(reserved);
            account.spent = account.spent.saturating_add(used);
            books.dirty.insert(key.to_owned());
        }
    }

    /// Writes down what changed; the lock is not held meanwhile.
    pub(super) fn save(&self, store: &dyn BudgetStore) -> Result<(), String> {
        let changed: Vec<(String, u64)> = {
            let mut books = self.books();
            let dirty = std::mem::take(&mut books.dirty);
            let now = |key: String| {
                let account = books.accounts.get(&key).copied().unwrap_or_default();
                (key, account.spent.saturating_add(account.reserved))
            };
            dirty.into_iter().map(now).collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        let saved = store.save(&changed);
        let mut books = self.books();
        books.unsaved = saved.is_err();
        if saved.is_err() {
            books.dirty.extend(changed.into_iter().map(|(key, _)| key));
        }
        saved
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Makes sure that there is room for one more account.
    fn make_room(&mut self, key: &str) -> Result<(), Short> {
        if self.accounts.len() >= MAX {
            return Err(Short::Full);
        }
        if let Some((root, _)) = delegation(key) {
            let count = self.delegated.entry(root.to_owned()).or_default();
            if *count >= MAX_DELEGATED {
                return Err(Short::Spent);
            }
            *count += 1;
        }
        Ok(())
    }
}

/// Whose right a delegated grant's budget is, and until when, by the key that it is counted under:
/// `delegated:<root>:<until>:<id>`.
#[must_use]
pub fn delegation(key: &str) -> Option<(&str, i64)> {
    let mut parts = key.strip_prefix("delegated:")?.rsplitn(3, ':');
    let (_, until, root) = (parts.next()?, parts.next()?, parts.next()?);
    Some((root, until.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Paper(Mutex<Vec<(String, u64)>>, bool);

    impl BudgetStore for Paper {
        fn save(&self, spent: &[(String, u64)]) -> Result<(), String> {
            if self.1 {
                return Err("the pen is broken".to_owned());
            }
            self.0.lock().unwrap().extend_from_slice(spent);
            Ok(())
        }
    }

    #[test]
    fn one_node_cannot_open_every_account() {
        let budgets = Budgets::default();
        let key = |root: &str, until: i64, n: usize| format!("delegated:peer:{root}:{until}:{n:016x}");
        assert_eq!(budgets.reserve(&key("a", 50, 0), 1, 2), Err(Short::Spent));
        assert!(budgets.books().accounts.is_empty(), "what gives nothing takes up nothing");
        for n in 0..MAX_DELEGATED {
            budgets.reserve(&key("a", 50, n), 10, 5).unwrap();
            budgets.settle(&key("a", 50, n), 5, 5);
        }
        assert_eq!(budgets.reserve(&key("a", 50, 9_999), 10, 5), Err(Short::Spent));
        budgets.reserve(&key("b", 50, 1), 10, 5).unwrap();
        budgets.reserve("key:ci#1", 10, 5).unwrap();
        budgets.forget_ended(49);
        assert_eq!(budgets.reserve(&key("a", 90, 1), 10, 5), Err(Short::Spent));
        budgets.forget_ended(50);
        budgets.reserve(&key("a", 90, 1), 10, 5).unwrap();
        assert_eq!(budgets.books().accounts.len(), 3, "one runs, one has begun, one is no delegation");
    }

    #[test]
    fn gives_out_what_there_is_and_no_more() {
        let budgets = Budgets::with([("old".to_owned(), 90)]);
        assert_eq!(budgets.reserve("old", 100, 11), Err(Short::Spent));
        budgets.reserve("old", 100, 6).unwrap();
        assert_eq!(budgets.reserve("old", 100, 6), Err(Short::Reserved));
        budgets.settle("old", 6, 2);
        budgets.reserve("old", 100, 6).unwrap();
        budgets.settle("old", 6, 0);
        assert_eq!(budgets.reserve("old", 100, 9), Err(Short::Spent), "92 are spent");
    }

    #[test]
    fn what_is_reserved_is_written_down_as_spent() {
        let budgets = Budgets::default();
        let paper = Paper(Mutex::default(), false);
        budgets.reserve("k", 100, 60).unwrap();
        budgets.save(&paper).unwrap();
        budgets.settle("k", 60, 10);
        budgets.save(&paper).unwrap();
        budgets.save(&paper).unwrap();
        assert_eq!(*paper.0.lock().unwrap(), [("k".to_owned(), 60), ("k".to_owned(), 10)]);
    }

    #[test]
    fn what_cannot_be_written_down_is_not_given_out() {
        let budgets = Budgets::default();
        budgets.reserve("k", 100, 1).unwrap();
        budgets.save(&Paper(Mutex::default(), true)).unwrap_err();
        assert_eq!(budgets.reserve("k", 100, 1), Err(Short::Unsaved));
        budgets.save(&Paper(Mutex::default(), false)).unwrap();
        budgets.reserve("k", 100, 1).unwrap();
    }
}
