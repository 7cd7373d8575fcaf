//! A share of a store of nonces for each node, counted in the gate: a store that several gates share has
//! no bound of its own, and one node that fills it closes it to all others.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use portcullis_filters::store::{Claim, Claimed, Nonces, Unavailable};

use crate::clock::Clock;

/// How much time is counted together, in milliseconds.
const SLOT_MS: i64 = 16_000;
/// A nonce is kept for as many windows after it was taken.
const WINDOWS_KEPT: i64 = 3;

/// A store in which no node has more than its share.
pub(crate) struct Shares<S: ?Sized> {
    share: usize,
    clock: Arc<Clock>,
    hasher: RandomState,
    taken: Mutex<Taken>,
    store: Arc<S>,
}

/// Who took how much lately.
#[derive(Default)]
struct Taken {
    /// The same in all slots together.
    by: HashMap<Node, usize>,
    slots: BTreeMap<i64, HashMap<Node, usize>>,
    /// The largest window of any claim.
    window_ms: i64,
}

/// A keyed hash of who it is. It is short, so that no number of nodes takes up more than that many counts;
/// two that fall together, which nobody can choose, have one share.
type Node = u16;

impl<S: Nonces + ?Sized> Shares<S> {
    /// This store, with so many nonces for each node.
    pub(crate) fn of(store: Arc<S>, share: usize, clock: Arc<Clock>) -> Self {
        Self { share, clock, hasher: RandomState::new(), taken: Mutex::default(), store }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<S: Nonces + ?Sized> Nonces for Shares<S> {
    async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, Unavailable> {
        let [low, high, ..] = self.hasher.hash_one(claim.node).to_le_bytes();
        let node = Node::from_le_bytes([low, high]);
        // By the clock that nobody sets, as the store's own.
        let Some(slot) = self.taken().take(node, self.share, self.clock.boot_ms(), claim.window) else {
            return Err(Unavailable::new("this node holds its share of the store of nonces"));
        };
        let claimed = self.store.claim(claim).await;
        // A replay takes no room: whoever sends another's request again must not use up that one's share.
        // What cannot be told may have been taken, and counts.
        if matches!(claimed, Ok(Claimed::Replayed | Claimed::Forgotten)) {
            self.taken().give_back(node, slot);
        }
        claimed
    }
}

impl Taken {
    /// Counts a nonce of this node, and says where; `None` when it has its share.
    fn take(&mut self, node: Node, share: usize, now_ms: i64, window: Duration) -> Option<i64> {
        self.window_ms = self.window_ms.max(i64::try_from(window.as_millis()).unwrap_or(i64::MAX));
        self.forget(now_ms);
        let all = self.by.entry(node).or_default();
        if *all >= share {
            return None;
        }
        *all += 1;
        let slot = now_ms.div_euclid(SLOT_MS);
        *self.slots.entry(slot).or_default().entry(node).or_default() += 1;
        Some(slot)
    }

    fn give_back(&mut self, node: Node, slot: i64) {
        let counts = self.slots.get_mut(&slot);
        // A slot that is forgotten was given back with all that is in it.
        if counts.is_some_and(|counts| less(counts, node, 1)) {
            less(&mut self.by, node, 1);
        }
    }

    /// Forgets the slots of which the store has nothing left.
    fn forget(&mut self, now_ms: i64) {
        let kept_ms = self.window_ms.saturating_mul(WINDOWS_KEPT);
        while let Some(first) = self.slots.first_entry() {
            let end_ms = first.key().saturating_add(1).saturating_mul(SLOT_MS);
            if end_ms > now_ms.saturating_sub(kept_ms) {
                return;
            }
            for (node, count) in first.remove() {
                less(&mut self.by, node, count);
            }
        }
    }
}

/// Takes so many off a node's count; one that has none left is not kept.
fn less(counts: &mut HashMap<Node, usize>, node: Node, by: usize) -> bool {
    let Some(count) = counts.get_mut(&node) else { return false };
    *count = count.saturating_sub(by);
    if *count == 0 {
        counts.remove(&node);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::FakeTime;

    const WINDOW: Duration = Duration::from_secs(30);
    const ROOM: usize = 100;

    /// Has room for so many nonces of all nodes, and then for none, as a Redis at its `maxmemory`.
    #[derive(Default)]
    struct Small(Mutex<HashSet<(String, Vec<u8>)>>);

    #[async_trait]
    impl Nonces for Small {
        async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, Unavailable> {
            let mut used = self.0.lock().unwrap();
            let nonce = (claim.node.to_owned(), claim.nonce.to_vec());
            match used.len() {
                _ if used.contains(&nonce) => Ok(Claimed::Replayed),
                ROOM.. => Err(Unavailable::new("OOM")),
                _ => Ok(used.insert(nonce)).map(|_| Claimed::Fresh),
            }
        }
    }

    struct Subject {
        store: Arc<Small>,
        shares: Shares<dyn Nonces>,
        time: FakeTime,
    }

    impl Subject {
        fn of(share: usize) -> Self {
            let (store, time) = (Arc::new(Small::default()), FakeTime::at(1_760_000_000_000));
            let clock = Arc::new(Clock::new(Box::new(time.clone())));
            Self { shares: Shares::of(Arc::clone(&store) as _, share, clock), store, time }
        }

        async fn claim(&self, node: &str, nonce: &str) -> Result<Claimed, Unavailable> {
            let claim = Claim { node, nonce: nonce.as_bytes(), created_ms: 0, now_ms: 0, window: WINDOW };
            self.shares.claim(&claim).await
        }
    }

    #[tokio::test]
    async fn one_node_leaves_room_for_the_others() {
        let subject = Subject::of(10);
        let mut fresh = 0;
        for n in 0..2 * ROOM {
            fresh += usize::from(subject.claim("peer:busy", &n.to_string()).await.is_ok());
        }
        assert_eq!((fresh, subject.store.0.lock().unwrap().len()), (10, 10), "the store is not even asked");
        assert_eq!(subject.claim("peer:other", "n").await, Ok(Claimed::Fresh));
    }

    #[tokio::test]
    async fn another_s_replays_take_nothing_of_a_share() {
        let subject = Subject::of(3);
        assert_eq!(subject.claim("peer:a", "used").await, Ok(Claimed::Fresh));
        for _ in 0..100 {
            assert_eq!(subject.claim("peer:a", "used").await, Ok(Claimed::Replayed));
        }
        assert_eq!(subject.claim("peer:a", "new").await, Ok(Claimed::Fresh));
    }

    #[tokio::test]
    async fn a_share_is_free_again_once_the_store_forgot() {
        let subject = Subject::of(2);
        for nonce in ["first", "second"] {
            assert_eq!(subject.claim("peer:a", nonce).await, Ok(Claimed::Fresh));
        }
        subject.time.step(1_000_000);
        subject.claim("peer:a", "third").await.unwrap_err();
        subject.time.pass(3 * 30_000 - 1);
        subject.claim("peer:a", "third").await.unwrap_err();
        subject.time.pass(SLOT_MS + 1);
        assert_eq!(subject.claim("peer:a", "third").await, Ok(Claimed::Fresh));
        let taken = subject.shares.taken();
        assert_eq!((taken.by.len(), taken.slots.len()), (1, 1), "what is over is not kept");
    }

    #[tokio::test]
    async fn no_number_of_nodes_takes_up_more_than_so_many_counts() {
        let mut taken = Taken::default();
        for node in 0..=Node::MAX {
            let slot = taken.take(node, 2, 0, WINDOW).unwrap();
            taken.take(node, 2, 0, WINDOW).unwrap();
            assert_eq!(taken.take(node, 2, 0, WINDOW), None);
            taken.give_back(node, slot);
        }
        assert_eq!(taken.by.len(), 65_536);
        taken.forget(200_000);
        assert!(taken.by.is_empty() && taken.slots.is_empty());
        taken.give_back(1, 0);
        assert!(taken.by.is_empty());
    }
}
