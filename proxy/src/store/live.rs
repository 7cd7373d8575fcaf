//! The nonces that could still be used again, in memory, by the time they were made.
//!
//! A bucket holds what was made within the same 16 seconds and is forgotten whole. The number of the
//! youngest bucket that was ever forgotten is kept: nothing as old is taken again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::hashed::Hashed;

/// How much time a bucket covers, in milliseconds.
const WIDTH_MS: i64 = 16_000;
/// The tables of a bucket. One that grows holds up the others for a sixteenth of the time.
const TABLES: usize = 16;

/// The bucket of what was made at this Unix millisecond; `None` before 1970 and after 4147.
pub(super) fn number_of(created_ms: i64) -> Option<u32> {
    u32::try_from(created_ms.div_euclid(WIDTH_MS)).ok()
}

/// The first Unix millisecond that is not in this bucket any more.
pub(super) fn end_ms(number: u32) -> i64 {
    i64::from(number).saturating_add(1).saturating_mul(WIDTH_MS)
}

/// All nonces that are remembered.
#[derive(Default)]
pub(super) struct Live {
    buckets: BTreeMap<u32, Bucket>,
    len: usize,
    /// The youngest bucket that was forgotten.
    floor: Option<u32>,
}

/// What was made within the same 16 seconds.
#[derive(Default)]
pub(super) struct Bucket {
    tables: [HashSet<u128, BuildHasherDefault<AsItIs>>; TABLES],
    /// How many of them are whose.
    nodes: HashMap<u64, usize, BuildHasherDefault<AsItIs>>,
}

impl Live {
    /// Nothing is remembered, and nothing is taken that is not younger than this bucket.
    pub(super) fn above(floor: Option<u32>) -> Self {
        Self { floor, ..Self::default() }
    }

    pub(super) fn holds(&self, hashed: &Hashed) -> bool {
        // Newest first: a replay comes soon, as a rule.
        self.buckets.values().rev().any(|bucket| bucket.table(hashed).is_some_and(|t| t.contains(&hashed.nonce)))
    }

    /// Whether what was made in this bucket may have been forgotten.
    pub(super) fn is_forgotten(&self, number: u32) -> bool {
        self.floor.is_some_and(|floor| number <= floor)
    }

    /// The youngest bucket that was forgotten.
    pub(super) fn floor(&self) -> Option<u32> {
        self.floor
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many a node holds.
    pub(super) fn held_by(&self, node: u64) -> usize {
        self.buckets.values().filter_map(|bucket| bucket.nodes.get(&node)).sum()
    }

    pub(super) fn insert(&mut self, number: u32, hashed: &Hashed) {
        let bucket = self.buckets.entry(number).or_default();
        if bucket.table_mut(hashed).is_some_and(|table| table.insert(hashed.nonce)) {
            *bucket.nodes.entry(hashed.node).or_default() += 1;
            self.len += 1;
        }
    }

    /// The youngest bucket that ended by this Unix millisecond.
    pub(super) fn youngest_ended(&self, by_ms: i64) -> Option<u32> {
        self.buckets.keys().copied().take_while(|number| end_ms(*number) <= by_ms).last()
    }

    /// Forgets this bucket and all older ones. They are handed back: dropping them takes a while.
    pub(super) fn forget(&mut self, number: u32) -> BTreeMap<u32, Bucket> {
        let younger = number.checked_add(1).map(|next| self.buckets.split_off(&next)).unwrap_or_default();
        let forgotten = std::mem::replace(&mut self.buckets, younger);
        self.len = self.buckets.values().map(Bucket::len).sum();
        self.floor = self.floor.max(Some(number));
        forgotten
    }

    /// The memory that it takes, in bytes, by the layout of the standard library's tables: a power of two
    /// of places, each with a byte of its own, of which seven in eight may be taken.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let table = |capacity: usize, entry: usize| match capacity {
            0 => 0,
            1..=3 => 4 * (entry + 1) + 16,
            more => (more * 8 / 7) * (entry + 1) + 16,
        };
        let of = |bucket: &Bucket| {
            let tables: usize = bucket.tables.iter().map(|t| table(t.capacity(), size_of::<u128>())).sum();
            size_of::<Bucket>() + tables + table(bucket.nodes.capacity(), size_of::<(u64, usize)>())
        };
        self.buckets.values().map(of).sum()
    }
}

impl Bucket {
    fn len(&self) -> usize {
        self.tables.iter().map(HashSet::len).sum()
    }

    fn table(&self, hashed: &Hashed) -> Option<&HashSet<u128, BuildHasherDefault<AsItIs>>> {
        self.tables.get(place(hashed))
    }

    fn table_mut(&mut self, hashed: &Hashed) -> Option<&mut HashSet<u128, BuildHasherDefault<AsItIs>>> {
        self.tables.get_mut(place(hashed))
    }
}

/// The table uses the hash's other half.
fn place(hashed: &Hashed) -> usize {
    usize::try_from((hashed.nonce >> 64) % TABLES as u128).unwrap_or_default()
}

/// The keys are hashes already.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write_u128(&mut self, hash: u128) {
        let [low @ .., _, _, _, _, _, _, _, _] = hash.to_le_bytes();
        self.0 = u64::from_le_bytes(low);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spreads numbers as a hash does.
    fn spread(n: u64) -> u128 {
        let mix = |x: u64| {
            let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            x ^ (x >> 31)
        };
        u128::from(mix(n.wrapping_add(0x9E37_79B9_7F4A_7C15))) << 64 | u128::from(mix(!n))
    }

    #[test]
    fn a_nonce_takes_less_than_a_hundred_bytes() {
        for nodes in [1, 1000, u64::MAX] {
            let mut live = Live::default();
            let mut worst = 0;
            for n in 0..1_000_000u64 {
                // Eight buckets, as many as there are in a window of 30 s.
                live.insert(
                    u32::try_from(n % 8).unwrap(),
                    &Hashed { nonce: spread(n), node: spread(n % nodes) as u64 },
                );
                if n >= 10_000 && n % 5_000 == 0 {
                    worst = worst.max(live.bytes() / live.len());
                }
            }
            eprintln!(
                "bytes of memory for each nonce of {nodes} nodes: {} at a million, {worst} at worst",
                live.bytes() / live.len()
            );
            assert!(worst < 100, "{worst}");
        }
    }

    #[test]
    fn buckets_are_forgotten_oldest_first_and_never_taken_again() {
        let mut live = Live::default();
        let hashed = |n| Hashed { nonce: spread(n), node: n % 2 };
        for number in [5, 6, 9] {
            live.insert(number, &hashed(number.into()));
            live.insert(number, &hashed(number.into()));
        }
        assert_eq!((live.len(), live.held_by(1), live.held_by(0)), (3, 2, 1));
        assert_eq!(live.youngest_ended(end_ms(6) - 1), Some(5));
        assert_eq!(live.youngest_ended(end_ms(8)), Some(6));
        assert_eq!(live.youngest_ended(end_ms(4)), None);
        assert_eq!(live.forget(6).len(), 2);
        assert_eq!((live.len(), live.held_by(1), live.held_by(0)), (1, 1, 0));
        assert!(!live.holds(&hashed(6)) && live.holds(&hashed(9)));
        assert!(live.is_forgotten(6) && live.is_forgotten(0) && !live.is_forgotten(7));
        live.forget(2);
        assert_eq!(live.floor(), Some(6));
        live.forget(u32::MAX);
        assert!(live.is_forgotten(u32::MAX) && live.len() == 0);
    }

    #[test]
    fn every_time_has_a_bucket_or_none() {
        assert_eq!(number_of(-1), None);
        assert_eq!(number_of(0), Some(0));
        assert_eq!((number_of(15_999), number_of(16_000)), (Some(0), Some(1)));
        assert_eq!((number_of(i64::MAX), number_of(i64::MIN)), (None, None));
        assert!(end_ms(u32::MAX) > 0);
    }
}
