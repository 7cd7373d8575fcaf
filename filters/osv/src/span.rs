//! Runs of affected versions.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::ecosystem::Ecosystem;
use crate::piece::Piece;
use crate::version::Version;

/// A run of affected versions, in the order of their ecosystem.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first affected version; from the very first one where there is none.
    pub from: Option<Box<str>>,
    /// Where it ends.
    pub until: End,
}

/// Where a run of affected versions ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The first version that is mended; it is not affected.
    Fixed(Box<str>),
    /// The last version that is known to be affected.
    Last(Box<str>),
    /// Versions from here on were not looked at; this one is not affected.
    Limit(Box<str>),
    /// Nowhere: there is no fix.
    Open,
}

impl Span {
    /// Every version there is.
    pub(crate) const ALL: Self = Self { from: None, until: End::Open };

    /// The versions between its bounds; none where a bound cannot be read.
    pub(crate) fn piece(&self, ecosystem: Ecosystem) -> Option<Piece> {
        let version = |text: &str| Version::parse(ecosystem, text);
        let low = match &self.from {
            None => Bound::Unbounded,
            Some(from) => Bound::Included(version(from)?),
        };
        let high = match &self.until {
            End::Open => Bound::Unbounded,
            End::Last(last) => Bound::Included(version(last)?),
            End::Fixed(end) | End::Limit(end) => Bound::Excluded(version(end)?),
        };
        Some(Piece::new(low, high))
    }

    /// The version in which it is mended, if it is.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match &self.until {
            End::Fixed(version) => Some(version),
            _ => None,
        }
    }
}

/// What happens to a package at a version, as an advisory tells it.
#[derive(Clone, Debug)]
pub(crate) enum Event<'t> {
    Introduced(&'t str),
    Fixed(&'t str),
    LastAffected(&'t str),
    Limit(&'t str),
}

/// The runs that events come to, which may be written in any order; none where a version among them cannot be read.
///
/// After the evaluation algorithm of the OSV schema: a version is affected when the last event at or before it began
/// a run, and it is below the highest limit.
pub(crate) fn spans(ecosystem: Ecosystem, events: &[Event<'_>]) -> Option<Vec<Span>> {
    let (limit, mut events) = sort(ecosystem, events)?;
    events.sort_by(|a, b| a.at.cmp(&b.at));
    let mut spans = Vec::new();
    let mut open: Option<Option<Version>> = None;
    for same in events.chunk_by(|a, b| a.at == b.at) {
        let introduced = same.iter().any(|event| event.what == What::Introduced);
        let fixed = same.iter().find(|event| event.what == What::Fixed);
        let last = same.iter().find(|event| event.what == What::LastAffected);
        match (fixed, introduced, open.is_some()) {
            // Where a run ends and begins at once, nothing changes.
            (Some(_), true, _) => {}
            (Some(fixed), false, true) => {
                let Some(at) = &fixed.at else { continue };
                spans.push(Span { from: text(open.take()?), until: End::Fixed(at.as_str().into()) });
            }
            (None, true, false) => open = Some(same.first()?.at.clone()),
            _ => {}
        }
        if let (Some(last), true) = (last, open.is_some()) {
            let Some(at) = &last.at else { continue };
            spans.push(Span { from: text(open.take()?), until: End::Last(at.as_str().into()) });
        }
    }
    if let Some(from) = open {
        spans.push(Span { from: text(from), until: End::Open });
    }
    if let Some(limit) = limit {
        spans = spans.into_iter().filter_map(|span| clip(ecosystem, span, &limit)).collect();
    }
    Some(spans)
}

struct Sorted {
    /// None is before every version.
    at: Option<Version>,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Introduced,
    Fixed,
    LastAffected,
}

/// The highest limit, if there is one, and the other events.
fn sort(ecosystem: Ecosystem, events: &[Event<'_>]) -> Option<(Option<Version>, Vec<Sorted>)> {
    let version = |text: &str| Version::parse(ecosystem, text);
    let mut limits = Vec::new();
    let mut unlimited = false;
    let mut sorted = Vec::with_capacity(events.len());
    for event in events {
        let (text, what) = match event {
            Event::Limit(text) => {
                unlimited |= text.trim() == "*";
                limits.extend(version(text));
                continue;
            }
            Event::Introduced(text) => (text, What::Introduced),
            Event::Fixed(text) => (text, What::Fixed),
            Event::LastAffected(text) => (text, What::LastAffected),
        };
        let first = what == What::Introduced && text.trim() == "0";
        sorted.push(Sorted { at: if first { None } else { Some(version(text)?) }, what });
    }
    Some((limits.into_iter().max().filter(|_| !unlimited), sorted))
}

fn text(version: Option<Version>) -> Option<Box<str>> {
    version.map(|version| version.as_str().into())
}

/// The part of a run below the limit.
fn clip(ecosystem: Ecosystem, span: Span, limit: &Version) -> Option<Span> {
    let piece = span.piece(ecosystem)?;
    let begins = match &piece.low {
        Bound::Included(low) | Bound::Excluded(low) => low.cmp(limit),
        Bound::Unbounded => Ordering::Less,
    };
    let ends = match &piece.high {
        Bound::Included(high) => high.cmp(limit),
        Bound::Excluded(high) if high <= limit => Ordering::Less,
        Bound::Excluded(_) | Bound::Unbounded => Ordering::Greater,
    };
    if begins.is_ge() {
        return None;
    }
    if ends.is_lt() {
        return Some(span);
    }
    Some(Span { from: span.from, until: End::Limit(limit.as_str().into()) })
}
