//! Budgets: tokens in all, ever. What was spent outlives the process.
//!
//! What a running exchange has reserved is written down as spent, so that a gate that is killed gives
//! nothing away but what was taken since the last write.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most budgets that are kept. One more is refused: what cannot be counted is not allowed.
const MAX: usize = 16_384;

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
        let accounts = spent.into_iter().map(|(key, spent)| (key, Account { spent, reserved: 0 })).collect();
        Self(Mutex::new(Books { accounts, ..Books::default() }))
    }

    /// Reserves this many tokens of a budget.
    pub(super) fn reserve(&self, key: &str, budget: u64, tokens: u64) -> Result<(), Short> {
        let mut books = self.books();
        if books.unsaved {
            return Err(Short::Unsaved);
        }
        if books.accounts.len() >= MAX && !books.accounts.contains_key(key) {
            return Err(Short::Full);
        }
        let account = books.accounts.entry(key.to_owned()).or_default();
        let wanted = account.spent.saturating_add(tokens);
        if wanted > budget {
            return Err(Short::Spent);
        }
        if wanted.saturating_add(account.reserved) > budget {
            return Err(Short::Reserved);
        }
        account.reserved = account.reserved.saturating_add(tokens);
        books.dirty.insert(key.to_owned());
        Ok(())
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
