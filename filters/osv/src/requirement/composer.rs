//! Requirements of Composer.

use std::ops::Bound;

use super::partial::{Partial, before};
use super::{Builder, Requirement, split_operator, split_words};
use crate::ecosystem::Ecosystem;
use crate::piece::Piece;
use crate::version::Version;

/// What Composer takes: comparisons between commas or spaces, alternatives between `||` or `|`.
/// <https://getcomposer.org/doc/articles/versions.md#writing-version-constraints>
pub(super) fn parse(text: &str) -> Option<Requirement> {
    let mut builder = Builder::new();
    for alternative in text.replace("||", "|").split('|') {
        let alternative = alternative.split_once(" as ").map_or(alternative, |(version, _alias)| version);
        if let Some((from, to)) = alternative.split_once(" - ") {
            builder.and(compare(&mut false, ">=", from.trim())?);
            let to = to.trim();
            let partial = Partial::parse(to)?;
            let whole = partial.numbers.len() >= 3 || !partial.labels.is_empty();
            // `1.0 - 2.0` goes on to the end of 2.0.
            let up_to = if whole { compare(&mut false, "<=", to)? } else { run(&partial)? };
            builder.and(Piece::new(Bound::Unbounded, up_to.high));
        } else {
            for comparison in split_words(&alternative.replace(',', " ")) {
                let (operator, rest) = split_operator(&comparison);
                let mut except = false;
                let piece = compare(&mut except, operator, rest)?;
                if !except {
                    builder.and(piece);
                } else if !builder.except(piece) {
                    return None;
                }
            }
        }
        if !builder.or() {
            return None;
        }
    }
    Some(builder.finish())
}

/// The versions that one comparison lets through, or, where it sets `except`, those that it does not.
fn compare(except: &mut bool, operator: &str, text: &str) -> Option<Piece> {
    // `1.2@beta` says which versions are accepted beside releases; the version is before it.
    let text = text.split('@').next().unwrap_or(text);
    if text.is_empty() {
        return operator.is_empty().then_some(Piece::ALL);
    }
    let exact = || Version::parse(Ecosystem::Packagist, text);
    let partial = Partial::parse(text);
    *except = matches!(operator, "!=" | "<>");
    if let Some(partial) = partial.as_ref().filter(|partial| partial.wild && partial.labels.is_empty()) {
        return match operator {
            "" | "=" | "==" | ">=" if partial.numbers.is_empty() => Some(Piece::ALL),
            "" | "=" | "==" | "!=" | "<>" => run(partial),
            _ => None,
        };
    }
    let from = |version| Piece::new(Bound::Included(version), Bound::Unbounded);
    Some(match operator {
        "" | "=" | "==" | "!=" | "<>" => Piece::point(exact()?),
        ">" => Piece::new(Bound::Excluded(exact()?), Bound::Unbounded),
        ">=" => from(exact()?),
        "<=" => Piece::new(Bound::Unbounded, Bound::Included(exact()?)),
        "<" => {
            let plain = partial.filter(|partial| partial.labels.is_empty());
            let high = match plain {
                Some(partial) => before(Ecosystem::Packagist, &partial.numbers)?,
                None => Bound::Excluded(exact()?),
            };
            Piece::new(Bound::Unbounded, high)
        }
        "~" => {
            let partial = partial?;
            let place = partial.numbers.len().saturating_sub(2);
            Piece::new(from(exact()?).low, before(Ecosystem::Packagist, &partial.next(place)?)?)
        }
        "^" => {
            let partial = partial?;
            let place = partial.numbers.len().checked_sub(1)?;
            let leading = partial.numbers.iter().position(|number| *number != 0).unwrap_or(place);
            Piece::new(from(exact()?).low, before(Ecosystem::Packagist, &partial.next(leading)?)?)
        }
        _ => return None,
    })
}

/// All versions that begin with the numbers that are given.
fn run(partial: &Partial<'_>) -> Option<Piece> {
    let place = partial.numbers.len().checked_sub(1)?;
    let Bound::Excluded(low) = before(Ecosystem::Packagist, &partial.numbers)? else { return None };
    Some(Piece::new(Bound::Included(low), before(Ecosystem::Packagist, &partial.next(place)?)?))
}
