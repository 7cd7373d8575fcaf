//! Requirements of RubyGems.

use std::ops::Bound;

use super::partial::{Partial, before};
use super::{Builder, Requirement, split_operator};
use crate::ecosystem::Ecosystem;
use crate::piece::Piece;
use crate::version::Version;

/// What RubyGems takes: comparisons between commas. <https://guides.rubygems.org/patterns/#pessimistic-version-constraint>
pub(super) fn parse(text: &str) -> Option<Requirement> {
    let mut builder = Builder::new();
    if !text.is_empty() && text != "*" {
        for comparison in text.split(',') {
            let (operator, rest) = split_operator(comparison.trim().trim_matches(['"', '\'']));
            let exact = Version::parse(Ecosystem::RubyGems, rest.trim_end())?;
            let piece = match operator {
                "" | "=" | "==" | "!=" => Piece::point(exact),
                ">" => Piece::new(Bound::Excluded(exact), Bound::Unbounded),
                ">=" => Piece::new(Bound::Included(exact), Bound::Unbounded),
                "<=" => Piece::new(Bound::Unbounded, Bound::Included(exact)),
                "<" => Piece::new(Bound::Unbounded, below(rest.trim_end(), exact)?),
                "~>" => {
                    let partial = Partial::parse(rest.trim_end())?;
                    let place = partial.numbers.len().saturating_sub(2);
                    Piece::new(Bound::Included(exact), before(Ecosystem::RubyGems, &partial.next(place)?)?)
                }
                _ => return None,
            };
            if operator != "!=" {
                builder.and(piece);
            } else if !builder.except(piece) {
                return None;
            }
        }
    }
    builder.or();
    Some(builder.finish())
}

/// What comes before a release is taken only where it is asked for, so `< 2.0` ends before `2.0.rc1`, too.
fn below(text: &str, exact: Version) -> Option<Bound<Version>> {
    match Partial::parse(text) {
        Some(partial) if partial.labels.is_empty() => before(Ecosystem::RubyGems, &partial.numbers),
        _ => Some(Bound::Excluded(exact)),
    }
}
