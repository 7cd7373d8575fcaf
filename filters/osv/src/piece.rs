//! Runs of versions between two bounds.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::version::Version;

/// All versions between two bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) low: Bound<Version>,
    pub(crate) high: Bound<Version>,
}

impl Piece {
    pub(crate) const ALL: Self = Self { low: Bound::Unbounded, high: Bound::Unbounded };

    pub(crate) const fn new(low: Bound<Version>, high: Bound<Version>) -> Self {
        Self { low, high }
    }

    pub(crate) fn point(version: Version) -> Self {
        Self { low: Bound::Included(version.clone()), high: Bound::Included(version) }
    }

    /// The one version that it holds, if its bounds leave but one.
    pub(crate) fn as_point(&self) -> Option<&Version> {
        match (&self.low, &self.high) {
            (Bound::Included(low), Bound::Included(high)) if low == high => Some(low),
            _ => None,
        }
    }

    /// Whether its bounds leave nothing between them.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.low, &self.high) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(low), Bound::Included(high)) => low > high,
            (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => low >= high,
        }
    }

    pub(crate) fn contains(&self, version: &Version) -> bool {
        (match &self.low {
            Bound::Unbounded => true,
            Bound::Included(low) => version >= low,
            Bound::Excluded(low) => version > low,
        }) && (match &self.high {
            Bound::Unbounded => true,
            Bound::Included(high) => version <= high,
            Bound::Excluded(high) => version < high,
        })
    }

    /// What is in both, if anything is.
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        let low = if compare_lows(&self.low, &other.low).is_ge() { &self.low } else { &other.low };
        let high = if compare_highs(&self.high, &other.high).is_le() { &self.high } else { &other.high };
        let both = Self::new(low.clone(), high.clone());
        (!both.is_empty()).then_some(both)
    }
}

/// Which of two lower bounds lets in more: that one is less.
pub(crate) fn compare_lows(a: &Bound<Version>, b: &Bound<Version>) -> Ordering {
    match (a, b) {
        (Bound::Unbounded, Bound::Unbounded) => Ordering::Equal,
        (Bound::Unbounded, _) => Ordering::Less,
        (_, Bound::Unbounded) => Ordering::Greater,
        (Bound::Included(x), Bound::Excluded(y)) => x.cmp(y).then(Ordering::Less),
        (Bound::Excluded(x), Bound::Included(y)) => x.cmp(y).then(Ordering::Greater),
        (Bound::Included(x), Bound::Included(y)) | (Bound::Excluded(x), Bound::Excluded(y)) => x.cmp(y),
    }
}

/// Which of two upper bounds lets in more: that one is greater.
pub(crate) fn compare_highs(a: &Bound<Version>, b: &Bound<Version>) -> Ordering {
    match (a, b) {
        (Bound::Unbounded, Bound::Unbounded) => Ordering::Equal,
        (Bound::Unbounded, _) => Ordering::Greater,
        (_, Bound::Unbounded) => Ordering::Less,
        (Bound::Included(x), Bound::Excluded(y)) => x.cmp(y).then(Ordering::Greater),
        (Bound::Excluded(x), Bound::Included(y)) => x.cmp(y).then(Ordering::Less),
        (Bound::Included(x), Bound::Included(y)) | (Bound::Excluded(x), Bound::Excluded(y)) => x.cmp(y),
    }
}

/// What every piece of two lists has in common, piece by piece.
pub(crate) fn intersections(these: &[Piece], those: &[Piece]) -> Vec<Piece> {
    these.iter().flat_map(|this| those.iter().filter_map(|that| this.intersection(that))).collect()
}

/// All versions that are in none of the pieces, the lowest first.
pub(crate) fn complement(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.retain(|piece| !piece.is_empty());
    pieces.sort_by(|a, b| compare_lows(&a.low, &b.low));
    let mut free = Vec::with_capacity(pieces.len() + 1);
    // Where the part begins that no piece has covered so far.
    let mut low = Bound::Unbounded;
    for piece in pieces {
        if let Some(high) = opposite(piece.low) {
            let gap = Piece::new(low.clone(), high);
            if !gap.is_empty() {
                free.push(gap);
            }
        }
        let Some(next) = opposite(piece.high) else { return free };
        if compare_lows(&next, &low).is_gt() {
            low = next;
        }
    }
    free.push(Piece::new(low, Bound::Unbounded));
    free
}

/// The same versions in pieces that do not touch, the lowest first.
pub(crate) fn merged(pieces: Vec<Piece>) -> Vec<Piece> {
    // The complement of every version is nothing, and has no pieces to start from.
    let free = complement(pieces);
    if free == [Piece::ALL] { Vec::new() } else { complement(free) }
}

/// Whether a version is in one of the pieces that [`merged`] returned.
pub(crate) fn holds(merged: &[Piece], version: &Version) -> bool {
    let after = merged.partition_point(|piece| match &piece.low {
        Bound::Unbounded => true,
        Bound::Included(low) => low <= version,
        Bound::Excluded(low) => low < version,
    });
    after.checked_sub(1).and_then(|last| merged.get(last)).is_some_and(|piece| piece.contains(version))
}

/// The bound on the other side of the same cut.
fn opposite(bound: Bound<Version>) -> Option<Bound<Version>> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(version) => Some(Bound::Excluded(version)),
        Bound::Excluded(version) => Some(Bound::Included(version)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ecosystem::Ecosystem;

    fn version(number: u8) -> Version {
        Version::parse(Ecosystem::Npm, &format!("{number}.0.0")).unwrap()
    }

    fn bound() -> impl Strategy<Value = Bound<Version>> {
        prop_oneof![
            Just(Bound::Unbounded),
            (0u8..9).prop_map(|number| Bound::Included(version(number))),
            (0u8..9).prop_map(|number| Bound::Excluded(version(number))),
        ]
    }

    fn pieces() -> impl Strategy<Value = Vec<Piece>> {
        proptest::collection::vec((bound(), bound()).prop_map(|(low, high)| Piece::new(low, high)), 0..5)
    }

    proptest! {
        /// What a version is in says the same of all that is made from it.
        #[test]
        fn sets_are_sets(a in pieces(), b in pieces()) {
            let (none, both, joined) = (complement(a.clone()), intersections(&a, &b), merged(a.clone()));
            for number in 0..10 {
                let version = version(number);
                let within = |pieces: &[Piece]| pieces.iter().any(|piece| piece.contains(&version));
                prop_assert_eq!(within(&none), !within(&a));
                prop_assert_eq!(within(&both), within(&a) && within(&b));
                prop_assert_eq!(within(&joined), within(&a));
                prop_assert_eq!(holds(&joined, &version), within(&a));
            }
        }
    }
}
