//! Whether what is wanted is affected.

use std::cmp::Reverse;
use std::ops::Bound;

use crate::advisory::{Nature, Notice};
use crate::package::Package;
use crate::piece::{Piece, compare_highs, compare_lows, complement, intersections};
use crate::requirement::Requirement;
use crate::version::Version;
use crate::wanted::Wanted;

#[cfg(test)]
mod tests;

/// What is known of a package beside its advisories.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Its versions, in any order, as an index of the registry gives them; empty where none does.
    pub versions: &'a [Box<str>],
    /// Whether it is widely used. A malicious release of such a package was an accident that is over; a malicious
    /// release of one that nobody knows is what the package was made for.
    pub established: bool,
}

/// How a requirement is judged that several versions fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unpinned {
    /// By the version that would be installed: the newest that fits, or the lowest where the ecosystem takes that.
    #[default]
    Newest,
    /// By every version that fits: one affected one is enough.
    Strict,
}

/// An advisory that speaks against what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit<'n> {
    /// What it says.
    pub notice: &'n Notice,
    /// How it comes to be affected.
    pub because: Because,
    /// The first version that is mended and newer than what is wanted, if one is known.
    pub fixed: Option<Box<str>>,
}

/// How something that is wanted comes to be affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// The version that is asked for is affected.
    Version,
    /// The version that would be installed is affected: this one.
    Resolved(Box<str>),
    /// Versions that fit are affected, up to the one that would be installed.
    Range,
    /// Versions that fit are affected, and no newer one is known to be mended.
    NoFix,
    /// Some versions that fit are affected; reported where [`Unpinned::Strict`] asks for it.
    Possible,
    /// The version, the requirement or the advisory could not be read, so it may be affected.
    Unreadable,
}

/// Judges a package that is wanted by what advisories say of it. Notices on other packages are passed over, so none
/// can speak against the wrong one. The worst hits come first.
///
/// A version that cannot be read, or a requirement, is taken to be affected by every notice: [`Because::Unreadable`].
#[must_use]
pub fn judge<'n>(
    package: &Package,
    wanted: &Wanted,
    notices: &'n [Notice],
    known: Known<'_>,
    unpinned: Unpinned,
) -> Vec<Hit<'n>> {
    let about = || notices.iter().filter(|notice| notice.package == *package);
    if about().next().is_none() {
        return Vec::new();
    }
    let case = Case::new(package, wanted, known, unpinned);
    let mut hits: Vec<Hit<'n>> = about().filter_map(|notice| case.judge(notice)).collect();
    hits.sort_by(|a, b| {
        let worst = |hit: &Hit<'_>| Reverse((hit.notice.nature, hit.notice.rating));
        worst(a).cmp(&worst(b)).then_with(|| a.notice.id.cmp(&b.notice.id))
    });
    hits
}

/// What is wanted, read once for all notices.
enum Case<'a> {
    /// One version, whether it was asked for or is what the requirement comes to.
    Version { version: Version, resolved: bool, others: Vec<Version> },
    /// Whatever fits, where nobody knows which versions there are.
    Open { requirement: Requirement, known: Known<'a>, unpinned: Unpinned },
    /// It cannot be read. As written, it may still be what an advisory names.
    Unreadable { text: &'a str },
}

impl<'a> Case<'a> {
    fn new(package: &Package, wanted: &'a Wanted, known: Known<'a>, unpinned: Unpinned) -> Self {
        let ecosystem = package.ecosystem();
        let (requirement, text) = match wanted {
            Wanted::Exact(text) => {
                return match Version::parse(ecosystem, text) {
                    Some(version) => {
                        Self::Version { version: version.published(), resolved: false, others: Vec::new() }
                    }
                    None => Self::Unreadable { text },
                };
            }
            Wanted::Any => (Some(Requirement::any()), ""),
            Wanted::Range(text) => (Requirement::parse(ecosystem, text), &**text),
        };
        let Some(requirement) = requirement else { return Self::Unreadable { text } };
        let versions = known.versions.iter().filter_map(|text| Version::parse(ecosystem, text));
        let fitting: Vec<Version> = versions.filter(|version| requirement.contains(version)).collect();
        match resolve(&requirement, &fitting) {
            Some(version) => {
                let others = if unpinned == Unpinned::Strict { fitting } else { Vec::new() };
                Self::Version { version, resolved: true, others }
            }
            None => Self::Open { requirement, known, unpinned },
        }
    }

    fn judge<'n>(&self, notice: &'n Notice) -> Option<Hit<'n>> {
        let affected = Affected::new(notice);
        match self {
            Self::Version { version, resolved, others } => {
                let because = if affected.contains(version) {
                    if *resolved { Because::Resolved(version.as_str().into()) } else { Because::Version }
                } else if others.iter().any(|other| affected.contains(other)) {
                    Because::Possible
                } else if notice.doubtful {
                    Because::Unreadable
                } else {
                    return None;
                };
                Some(Hit { notice, because, fixed: affected.fixed_after(version) })
            }
            Self::Open { requirement, known, unpinned } => affected.judge_open(requirement, *known, *unpinned),
            Self::Unreadable { text } => {
                let named = notice.versions.iter().any(|version| **version == *text.trim());
                let because = if named { Because::Version } else { Because::Unreadable };
                // What is mended everywhere is so in the highest version that mends anything.
                Some(Hit { notice, because, fixed: affected.fixes.into_iter().max().map(|v| v.as_str().into()) })
            }
        }
    }
}

/// The version that would be installed of those that fit. One that came before a release is taken only where it is
/// asked for, or where there is nothing else.
fn resolve(requirement: &Requirement, fitting: &[Version]) -> Option<Version> {
    let best = |prereleases: bool| {
        let versions = fitting.iter().filter(|version| prereleases || !version.is_prerelease());
        if requirement.lowest { versions.min() } else { versions.max() }
    };
    best(requirement.prereleases).or_else(|| best(true)).cloned()
}

/// The affected versions of a notice, read.
struct Affected<'n> {
    notice: &'n Notice,
    pieces: Vec<Piece>,
    /// Where the runs are mended, as far as they are.
    fixes: Vec<Version>,
}

impl<'n> Affected<'n> {
    fn new(notice: &'n Notice) -> Self {
        let ecosystem = notice.package.ecosystem();
        // A bound that cannot be read holds nothing back.
        let spans = notice.spans.iter().map(|span| span.piece(ecosystem).unwrap_or(Piece::ALL));
        let points = notice.versions.iter().filter_map(|version| Version::parse(ecosystem, version));
        let pieces = spans.chain(points.map(|point| Piece::point(point.published()))).collect();
        let fixes = notice.spans.iter().filter_map(|span| Version::parse(ecosystem, span.fixed()?)).collect();
        Self { notice, pieces, fixes }
    }

    fn contains(&self, version: &Version) -> bool {
        self.pieces.iter().any(|piece| piece.contains(version))
    }

    /// The first mended version after this one that is not affected again.
    fn fixed_after(&self, version: &Version) -> Option<Box<str>> {
        let after = self.fixes.iter().filter(|fix| *fix > version && !self.contains(fix));
        after.min().map(|fix| fix.as_str().into())
    }

    /// Judges what fits a requirement by bounds alone.
    fn judge_open(&self, requirement: &Requirement, known: Known<'_>, unpinned: Unpinned) -> Option<Hit<'n>> {
        let notice = self.notice;
        let free = complement(self.pieces.clone());
        let bad = intersections(&requirement.pieces, &self.pieces);
        let good = intersections(&requirement.pieces, &free);
        let hit = |because| Some(Hit { notice, because, fixed: self.fixed_above(&bad) });
        let highest = |pieces: &[Piece]| pieces.iter().max_by(|a, b| compare_highs(&a.high, &b.high)).cloned();
        let Some(worst) = highest(&bad) else {
            let unspecified = self.pieces.is_empty() && unpinned == Unpinned::Strict;
            return match notice.doubtful {
                true => hit(Because::Unreadable),
                false if unspecified => hit(Because::Possible),
                false => None,
            };
        };
        let Some(best) = highest(&good) else { return hit(Because::Range) };
        if requirement.lowest {
            let lowest = |pieces: &[Piece]| pieces.iter().map(|piece| piece.low.clone()).min_by(compare_lows);
            if let (Some(bad), Some(good)) = (lowest(&bad), lowest(&good))
                && compare_lows(&bad, &good).is_le()
            {
                return hit(Because::Range);
            }
        } else if compare_highs(&best.high, &worst.high).is_le() {
            return hit(Because::Range);
        } else if !self.has_way_out(&best, requirement, known) {
            return hit(Because::NoFix);
        }
        if unpinned == Unpinned::Strict { hit(Because::Possible) } else { None }
    }

    /// Whether a version is known to exist among those above the affected ones.
    fn has_way_out(&self, best: &Piece, requirement: &Requirement, known: Known<'_>) -> bool {
        let asked_for = best.low != Bound::Unbounded && requirement.pieces.iter().any(|piece| piece.low == best.low);
        let accident = self.notice.nature == Nature::Malicious && known.established && best.low != Bound::Unbounded;
        self.notice.mended || asked_for || accident || self.fixes.iter().any(|fix| best.contains(fix))
    }

    /// The first mended version above all the affected ones that fit.
    fn fixed_above(&self, bad: &[Piece]) -> Option<Box<str>> {
        let above = |fix: &&Version| {
            let cut = Bound::Excluded((*fix).clone());
            !self.contains(fix) && bad.iter().all(|piece| compare_highs(&piece.high, &cut).is_le())
        };
        self.fixes.iter().filter(above).min().map(|fix| fix.as_str().into())
    }
}
