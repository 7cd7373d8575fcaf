//! The memory that request bodies share, and each caller's part of it: one that reads slowly, or sends
//! much at once, leaves room for the others.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_filters::{Code, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The memory that bodies share.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Shared>);

struct Shared {
    /// In KiB.
    pool: Arc<Semaphore>,
    /// What one caller may have at most, in KiB.
    share: u32,
    /// What each caller has, in KiB, by a keyed hash of who it is; nobody who has nothing.
    taken: Mutex<HashMap<u64, u32>>,
    hasher: RandomState,
}

/// The memory, as one caller takes it.
pub(crate) struct Purse<'m> {
    memory: &'m Memory,
    owner: u64,
}

/// A part of the memory: given back when this is dropped.
pub(crate) struct Granted {
    memory: Memory,
    owner: u64,
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
        Self(Arc::new(Shared {
            pool: Arc::new(Semaphore::new(all)),
            share: u32::try_from(share).unwrap_or(u32::MAX),
            taken: Mutex::default(),
            hasher: RandomState::new(),
        }))
    }

    /// The memory, as this caller takes it.
    pub(crate) fn of(&self, owner: &str) -> Purse<'_> {
        Purse { memory: self, owner: self.0.hasher.hash_one(owner) }
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
        if mine > shared.share {
            return Err(refuse("too many large requests of yours are being read at once"));
        }
        let permit = Arc::clone(&shared.pool).try_acquire_many_owned(kib);
        let permit = permit.map_err(|_| refuse("too many large requests are being read at once"))?;
        taken.insert(self.owner, mine);
        Ok(Granted { memory: self.memory.clone(), owner: self.owner, kib, _permit: permit })
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let mut taken = self.memory.taken();
        if let Some(mine) = taken.get_mut(&self.owner) {
            *mine = mine.saturating_sub(self.kib);
            if *mine == 0 {
                taken.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
