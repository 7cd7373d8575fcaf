//! Requirements of Python.

use std::ops::Bound;
use std::str::FromStr as _;

use pep440_rs::Version as Pep440;

use super::partial::{Partial, before};
use super::{Builder, Requirement, split_operator};
use crate::ecosystem::Ecosystem;
use crate::piece::Piece;
use crate::version::Version;

/// What pip takes (PEP 440), and beside it Poetry's `^1.2`, `~1.2`, `||` and versions without an operator.
/// <https://packaging.python.org/en/latest/specifications/version-specifiers/>
pub(super) fn parse(text: &str) -> Option<Requirement> {
    let text = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(text);
    if matches!(text, "" | "latest") {
        return Some(Requirement::any());
    }
    let mut builder = Builder::new();
    for alternative in text.split("||") {
        for comparison in alternative.split(',').map(str::trim).filter(|comparison| !comparison.is_empty()) {
            let (operator, rest) = split_operator(comparison);
            let piece = compare(operator, rest.trim_end())?;
            if operator != "!=" {
                builder.and(piece);
            } else if !builder.except(piece) {
                return None;
            }
        }
        if !builder.or() {
            return None;
        }
    }
    Some(builder.finish())
}

/// The versions that one comparison lets through, or, for `!=`, those that it does not.
fn compare(operator: &str, text: &str) -> Option<Piece> {
    if text == "*" {
        return matches!(operator, "" | "==" | ">=" | "^" | "~").then_some(Piece::ALL);
    }
    if let Some(prefix) = text.strip_suffix(".*") {
        return matches!(operator, "" | "=" | "==" | "!=").then(|| run(&Pep440::from_str(prefix).ok()?))?;
    }
    let exact = || Version::parse(Ecosystem::PyPi, text).map(Version::published);
    let from = || exact().map(Bound::Included);
    Some(match operator {
        "" | "=" | "==" | "===" | "!=" => Piece::point(exact()?),
        ">=" => Piece::new(from()?, Bound::Unbounded),
        "<=" => Piece::new(Bound::Unbounded, Bound::Included(exact()?)),
        ">" => {
            let version = Pep440::from_str(text).ok()?;
            // The post-releases of the version that is excluded are excluded with it.
            let release = !version.is_post() && !version.any_prerelease();
            let highest = if release { version.with_post(Some(u64::MAX)) } else { version };
            Piece::new(bound(&highest).map(Bound::Excluded)?, Bound::Unbounded)
        }
        "<" => {
            let version = Pep440::from_str(text).ok()?;
            // What comes before the version that is excluded is excluded with it.
            let lowest = if version.any_prerelease() { version } else { version.with_dev(Some(0)) };
            Piece::new(Bound::Unbounded, bound(&lowest).map(Bound::Excluded)?)
        }
        "~=" => {
            let version = Pep440::from_str(text).ok()?;
            let (_, prefix) = version.release().split_last().filter(|(_, prefix)| !prefix.is_empty())?;
            let high = run(&Pep440::new(prefix).with_epoch(version.epoch()))?.high;
            Piece::new(from()?, high)
        }
        "^" | "~" => {
            let partial = Partial::parse(text)?;
            let place = partial.numbers.len().checked_sub(1)?;
            let leading = partial.numbers.iter().position(|number| *number != 0).unwrap_or(place);
            let place = if operator == "^" { leading } else { place.min(1) };
            Piece::new(from()?, before(Ecosystem::PyPi, &partial.next(place)?)?)
        }
        _ => return None,
    })
}

/// All versions whose release begins with that of this one: `==1.2.*`.
fn run(version: &Pep440) -> Option<Piece> {
    let mut next = version.release().to_vec();
    let last = next.last_mut()?;
    *last = last.checked_add(1)?;
    let low = Pep440::new(version.release()).with_epoch(version.epoch()).with_dev(Some(0));
    let high = Pep440::new(next).with_epoch(version.epoch()).with_dev(Some(0));
    Some(Piece::new(Bound::Included(bound(&low)?), Bound::Excluded(bound(&high)?)))
}

fn bound(version: &Pep440) -> Option<Version> {
    Version::parse(Ecosystem::PyPi, &version.to_string())
}
