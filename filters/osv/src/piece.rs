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

/// The bound on the other side of the same cut.
fn opposite(bound: Bound<Version>) -> Option<Bound<Version>> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(version) => Some(Bound::Excluded(version)),
        Bound::Excluded(version) => Some(Bound::Included(version)),
    }
}
