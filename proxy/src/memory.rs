//! The memory that request bodies share, and each caller's part of it: one that reads slowly, or sends
//! much at once, leaves room for the others.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_certs::trust::network;
use portcullis_filters::{Code, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sets strangers' keys apart from callers' names.
const STRANGERS: u8 = 0;

/// The memory that bodies share.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Shared>);

struct Shared {
    /// In KiB.
    pool: Arc<Semaphore>,
    /// What one caller may have at most, in KiB.
    share: u32,
    /// What those have together who have proven nothing yet, and what one network of them has at most, in KiB.
    strangers: u32,
    network: u32,
    /// What each caller has, in KiB, by a keyed hash of who it is; nobody who has nothing.
    taken: Mutex<HashMap<u64, u32>>,
    hasher: RandomState,
}

/// The memory, as one caller takes it.
pub(crate) struct Purse<'m> {
    memory: &'m Memory,
    owner: u64,
    /// What it may have at most, in KiB.
    share: u32,
    /// Whether its owner has proven nothing yet, and shares with all others of the kind.
    stranger: bool,
}

/// A part of the memory: given back when this is dropped.
pub(crate) struct Granted {
    memory: Memory,
    owner: u64,
    stranger: bool,
    kib: u32,
    _permit: OwnedSemaphorePermit,
}

impl Memory {
    /// So many bytes for all; for one caller a quarter of them, or two of the largest bodies where that is
    /// more.
    pub(crate) fn new(bytes: usize, largest: usize) -> Self {
        let all = (bytes / 1024).clamp(64, Semaphore::MAX_PERMITS);
        // The largest body twice, packed and unpacked.
        let share = (all / 4).max(largest / 1024 * 2 + 64).min(all);
        let strangers = (all / 4).max(largest / 1024 + 64).min(all);
        let network = (strangers / 4).max(largest / 1024 + 64).min(strangers);
        let kib = |amount| u32::try_from(amount).unwrap_or(u32::MAX);
        Self(Arc::new(Shared {
            strangers: kib(strangers),
            network: kib(network),
            pool: Arc::new(Semaphore::new(all)),
            share: kib(share),
            taken: Mutex::default(),
            hasher: RandomState::new(),
        }))
    }

    /// The memory, as this caller takes it.
    pub(crate) fn of(&self, owner: &str) -> Purse<'_> {
        Purse { memory: self, owner: self.0.hasher.hash_one(owner), share: self.0.share, stranger: false }
    }

    /// The memory, as somebody from this network takes it who has proven nothing yet: a quarter of it for all
    /// of them, so that they leave room for those who have.
    pub(crate) fn of_stranger(&self, address: IpAddr) -> Purse<'_> {
        let owner = self.0.hasher.hash_one((STRANGERS, network(address)));
        Purse { memory: self, owner, share: self.0.network, stranger: true }
    }

    /// What all strangers have together is counted under this.
    fn strangers(&self) -> u64 {
        self.0.hasher.hash_one(STRANGERS)
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Purse<'_> {
    /// Takes so many bytes.
    ///
    /// # Errors
    /// When the caller has its share already, or all of it is taken.
    pub(crate) fn take(&self, bytes: usize) -> Result<Granted, Refusal> {
        let refuse =
            |message: &'static str| Refusal::new("request", Code::RateLimitConcurrent, message).with_retry_after(1);
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
        let shared = &self.memory.0;
        let mut taken = self.memory.taken();
        let mine = taken.get(&self.owner).copied().unwrap_or_default().saturating_add(kib);
        if mine > self.share {
            return Err(refuse("too many large requests of yours are being read at once"));
        }
        let all = self.stranger.then(|| self.memory.strangers());
        let theirs = all.and_then(|all| taken.get(&all).copied()).unwrap_or_default().saturating_add(kib);
        if self.stranger && theirs > shared.strangers {
            return Err(refuse("too many requests of callers who have proven nothing yet are being read at once"));
        }
        let permit = Arc::clone(&shared.pool).try_acquire_many_owned(kib);
        let permit = permit.map_err(|_| refuse("too many large requests are being read at once"))?;
        taken.insert(self.owner, mine);
        all.map(|all| taken.insert(all, theirs));
        Ok(Granted { memory: self.memory.clone(), owner: self.owner, stranger: self.stranger, kib, _permit: permit })
    }
}

impl Granted {
    /// Whether it is of what strangers share.
    pub(crate) fn is_strangers(&self) -> bool {
        self.stranger
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let mut taken = self.memory.taken();
        for owner in [Some(self.owner), self.stranger.then(|| self.memory.strangers())].into_iter().flatten() {
            if let Some(has) = taken.get_mut(&owner) {
                *has = has.saturating_sub(self.kib);
                if *has == 0 {
                    taken.remove(&owner);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_leave_room_for_those_who_have_proven_who_they_are() {
        let memory = Memory::new(256 << 20, 16 << 20);
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let one: Vec<_> = (0..100).map_while(|_| memory.of_stranger(address(1)).take(1 << 20).ok()).collect();
        assert_eq!(one.len(), 16, "one network has a quarter of a quarter, and the largest body");
        let many: Vec<_> = (0..200).filter_map(|n| memory.of_stranger(address(n)).take(1 << 20).ok()).collect();
        assert_eq!(one.len() + many.len(), 63, "all of them a quarter");
        assert!(memory.of("alice").take(16 << 20).is_ok() && memory.of("bob").take(48 << 20).is_ok());
        drop((one, many));
        assert!(memory.taken().is_empty(), "what nobody has is not remembered");
        // All of one network, by IPv6's measure.
        let neighbour = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]);
        let some: Vec<_> = (0..100).filter_map(|n| memory.of_stranger(neighbour(n)).take(1 << 20).ok()).collect();
        assert_eq!(some.len(), 16);
    }

    #[test]
    fn one_caller_leaves_room_for_the_others() {
        let memory = Memory::new(256 << 20, 16 << 20);
        let mine: Vec<_> = (0..100).map_while(|_| memory.of("a").take(16 << 20).ok()).collect();
        assert_eq!(mine.len(), 3, "a quarter of it");
        assert!(memory.of("b").take(16 << 20).is_ok());
        drop(mine);
        assert!(memory.of("a").take(48 << 20).is_ok());
        assert!(memory.taken().is_empty(), "what nobody has is not remembered");
        let small = Memory::new(16 << 20, 16 << 20);
        assert!(small.of("a").take((16 << 20) - 1024).is_ok(), "one of the largest always fits");
    }

    #[test]
    fn all_together_have_no_more_than_there_is() {
        let memory = Memory::new(1 << 20, 1 << 10);
        let all: Vec<_> = (0..1000).map_while(|n| memory.of(&n.to_string()).take(100 << 10).ok()).collect();
        assert_eq!(all.len(), 10);
    }
}
