//! Requirements of Go: versions and queries.

use std::ops::Bound;

use super::partial::{Partial, before, version};
use super::{Requirement, split_operator};
use crate::ecosystem::Ecosystem;
use crate::piece::Piece;
use crate::version::Version;

/// What `go.mod` and `go get` take. The version in a `require` line is the lowest that will do, and the one that is
/// taken unless another module wants a newer one. <https://go.dev/ref/mod#version-queries>
pub(super) fn parse(text: &str) -> Option<Requirement> {
    if matches!(text, "" | "*" | "latest" | "upgrade" | "patch") {
        return Some(Requirement::any());
    }
    let (operator, rest) = split_operator(text);
    let exact = Version::parse(Ecosystem::Go, rest);
    let piece = match operator {
        "" => match Partial::parse(rest) {
            // `v1` and `v1.2` ask for the newest version that begins so.
            Some(partial) if rest.starts_with('v') && partial.labels.is_empty() && partial.numbers.len() < 3 => {
                let place = partial.numbers.len().checked_sub(1)?;
                let low = version(Ecosystem::Go, &partial.numbers, "")?;
                Piece::new(Bound::Included(low), before(Ecosystem::Go, &partial.next(place)?)?)
            }
            _ => Piece::point(exact?),
        },
        ">" => Piece::new(Bound::Excluded(exact?), Bound::Unbounded),
        ">=" => Piece::new(Bound::Included(exact?), Bound::Unbounded),
        "<=" => Piece::new(Bound::Unbounded, Bound::Included(exact?)),
        "<" => Piece::new(Bound::Unbounded, Bound::Excluded(exact?)),
        _ => return None,
    };
    // `>` and `>=` take the version nearest to what they compare with.
    Some(Requirement { pieces: vec![piece], prereleases: false, lowest: operator.starts_with('>') })
}
