//! Requirements of npm and Cargo.

use std::ops::Bound;

use super::partial::{Partial, before, version};
use super::{Builder, Requirement, split_operator, split_words};
use crate::ecosystem::Ecosystem;
use crate::piece::Piece;
use crate::version::Version;

/// What Cargo takes: comparisons between commas, where no operator means `^`.
/// <https://doc.rust-lang.org/cargo/reference/specifying-dependencies.html>
pub(super) fn cargo(text: &str) -> Option<Requirement> {
    let mut builder = Builder::new();
    if !text.is_empty() {
        for comparison in text.split(',') {
            let (operator, rest) = split_operator(comparison.trim());
            let partial = Partial::parse(rest.trim_end())?;
            let operator = if operator.is_empty() && !partial.wild { "^" } else { operator };
            builder.and(compare(Ecosystem::CratesIo, operator, &partial)?);
        }
    }
    builder.or();
    Some(builder.finish())
}

/// What npm takes: comparisons between spaces, alternatives between `||`, `1.2 - 1.4`, and the names of tags.
/// <https://github.com/npm/node-semver#ranges>
pub(super) fn npm(text: &str) -> Option<Requirement> {
    if is_tag(text) {
        return Some(Requirement::any());
    }
    let mut builder = Builder::new();
    for alternative in text.split("||") {
        if let Some((from, to)) = alternative.split_once(" - ") {
            builder.and(compare(Ecosystem::Npm, ">=", &Partial::parse(from.trim())?)?);
            builder.and(compare(Ecosystem::Npm, "<=", &Partial::parse(to.trim())?)?);
        } else {
            for comparison in split_words(alternative) {
                let (operator, rest) = split_operator(&comparison);
                builder.and(compare(Ecosystem::Npm, operator, &Partial::parse(rest)?)?);
            }
        }
        if !builder.or() {
            return None;
        }
    }
    Some(builder.finish())
}

/// `latest`, `next` and the like: a name that is no version.
fn is_tag(text: &str) -> bool {
    let word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    word && text.starts_with(|c: char| c.is_ascii_alphabetic()) && Partial::parse(text).is_none()
}

fn compare(ecosystem: Ecosystem, operator: &str, partial: &Partial<'_>) -> Option<Piece> {
    let whole = partial.numbers.len() >= 3 && !partial.wild;
    if partial.numbers.len() > 3 || (!whole && !partial.labels.is_empty()) {
        return None;
    }
    let exact = || Version::parse(ecosystem, partial.text);
    let lowest = || version(ecosystem, &partial.numbers, "").map(Bound::Included);
    // The run of versions that begin with the numbers that are given: up to the next such run, or all.
    let Some(place) = partial.numbers.len().checked_sub(1) else {
        return match operator {
            // These let nothing through.
            ">" | "<" => {
                let any = version(ecosystem, &[], "")?;
                Some(Piece::new(Bound::Excluded(any.clone()), Bound::Excluded(any)))
            }
            _ => Some(Piece::ALL),
        };
    };
    let next = |place| before(ecosystem, &partial.next(place)?);
    Some(match operator {
        "" | "=" | "==" if whole => Piece::point(exact()?),
        "" | "=" | "==" => Piece::new(lowest()?, next(place)?),
        ">" if whole => Piece::new(Bound::Excluded(exact()?), Bound::Unbounded),
        ">" => Piece::new(version(ecosystem, &partial.next(place)?, "").map(Bound::Included)?, Bound::Unbounded),
        ">=" if whole => Piece::new(Bound::Included(exact()?), Bound::Unbounded),
        ">=" => Piece::new(lowest()?, Bound::Unbounded),
        "<" if whole => Piece::new(Bound::Unbounded, below(ecosystem, partial)?),
        "<" => Piece::new(Bound::Unbounded, before(ecosystem, &partial.numbers)?),
        "<=" if whole => Piece::new(Bound::Unbounded, Bound::Included(exact()?)),
        "<=" => Piece::new(Bound::Unbounded, next(place)?),
        "~" | "~>" => Piece::new(start(ecosystem, partial, whole)?, next(place.min(1))?),
        "^" => {
            // Up to the next change of the first number that is not zero, or of the last one that is given.
            let leading = partial.numbers.iter().position(|number| *number != 0).unwrap_or(place);
            Piece::new(start(ecosystem, partial, whole)?, next(leading)?)
        }
        _ => return None,
    })
}

fn start(ecosystem: Ecosystem, partial: &Partial<'_>, whole: bool) -> Option<Bound<Version>> {
    let from = if whole { Version::parse(ecosystem, partial.text) } else { version(ecosystem, &partial.numbers, "") };
    from.map(Bound::Included)
}

/// Below a whole version. Releases have three numbers, so the highest one below `1.2.5` is `1.2.4`.
fn below(ecosystem: Ecosystem, partial: &Partial<'_>) -> Option<Bound<Version>> {
    if !partial.labels.is_empty() {
        return Version::parse(ecosystem, partial.text).map(Bound::Excluded);
    }
    match partial.numbers.as_slice() {
        [major, minor, patch] if *patch > 0 => {
            version(ecosystem, &[*major, *minor, patch.saturating_sub(1)], "").map(Bound::Included)
        }
        numbers => before(ecosystem, numbers),
    }
}
