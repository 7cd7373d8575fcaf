//! Requirements of Maven and NuGet, in the notation of intervals.

use std::ops::Bound;

use super::partial::{Partial, before, version};
use super::{MAX_PIECES, Requirement};
use crate::ecosystem::Ecosystem;
use crate::piece::Piece;
use crate::version::Version;

/// What Maven takes: a version, which is taken as it is, or intervals between commas; and what Gradle takes beside
/// that. <https://maven.apache.org/pom.html#dependency-version-requirement-specification>
pub(super) fn maven(text: &str) -> Option<Requirement> {
    if matches!(text, "" | "+" | "*" | "LATEST" | "RELEASE" | "latest.release" | "latest.integration") {
        return Some(Requirement::any());
    }
    // Gradle's `1.2!!` is `1.2` and nothing else.
    let text = text.strip_suffix("!!").unwrap_or(text);
    let pieces = if text.starts_with(['[', '(', ']']) {
        intervals(Ecosystem::Maven, text)?
    } else if let Some(prefix) = text.strip_suffix('+') {
        vec![run(Ecosystem::Maven, prefix.strip_suffix('.').unwrap_or(prefix))?]
    } else {
        vec![Piece::point(Version::parse(Ecosystem::Maven, text)?)]
    };
    Some(Requirement { pieces, prereleases: true, lowest: false })
}

/// What NuGet takes: a version, an interval, or a version that floats (`1.2.*`). Of what fits it takes the lowest,
/// unless it floats. <https://learn.microsoft.com/nuget/concepts/package-versioning#version-ranges>
pub(super) fn nuget(text: &str) -> Option<Requirement> {
    if matches!(text, "" | "*" | "*-*") {
        return Some(Requirement::any());
    }
    let floats = text.contains('*');
    let pieces = if text.starts_with(['[', '(']) {
        intervals(Ecosystem::NuGet, text)?
    } else if floats {
        vec![run(Ecosystem::NuGet, text)?]
    } else {
        // A version alone means that one or a newer one, and the lowest that there is, is taken: that one.
        vec![Piece::point(Version::parse(Ecosystem::NuGet, text)?)]
    };
    Some(Requirement { pieces, prereleases: text.contains('-'), lowest: !floats })
}

/// `[1.0,2.0)`, `(,1.0]`, `[1.0]`, and more of them after commas.
fn intervals(ecosystem: Ecosystem, text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let opening = rest.chars().next()?;
        let inside = rest.strip_prefix(['[', '(', ']'])?;
        let end = inside.find([']', ')', '['])?;
        let (inside, after) = inside.split_at_checked(end)?;
        let closing = after.chars().next()?;
        let piece = match inside.split_once(',') {
            Some((low, high)) => {
                Piece::new(low_end(ecosystem, opening, low.trim())?, high_end(ecosystem, closing, high.trim())?)
            }
            None if (opening, closing) == ('[', ']') => Piece::point(Version::parse(ecosystem, inside)?),
            None => return None,
        };
        if piece.is_empty() || pieces.len() == MAX_PIECES {
            return None;
        }
        pieces.push(piece);
        rest = after.strip_prefix(closing)?.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Some(pieces)
}

fn low_end(ecosystem: Ecosystem, opening: char, text: &str) -> Option<Bound<Version>> {
    if text.is_empty() {
        return Some(Bound::Unbounded);
    }
    if text.contains('*') {
        return Some(run(ecosystem, text)?.low);
    }
    let version = Version::parse(ecosystem, text)?;
    Some(if opening == '[' { Bound::Included(version) } else { Bound::Excluded(version) })
}

fn high_end(ecosystem: Ecosystem, closing: char, text: &str) -> Option<Bound<Version>> {
    if text.is_empty() {
        return Some(Bound::Unbounded);
    }
    let version = Version::parse(ecosystem, text)?;
    Some(if closing == ']' { Bound::Included(version) } else { Bound::Excluded(version) })
}

/// All versions that begin with what is given, up to its star.
fn run(ecosystem: Ecosystem, text: &str) -> Option<Piece> {
    // `1.2.0-*` and `1.2.0-beta.*` float among what came before that release, and then up from it.
    if let Some((core, labels)) = text.split_once('-') {
        let from = labels.strip_suffix('*')?.trim_end_matches('.');
        let core = core.strip_suffix(".*").unwrap_or(core);
        let partial = Partial::parse(core)?;
        let low = if from.is_empty() { format!("{core}-0") } else { format!("{core}-{from}") };
        let next = before(ecosystem, &partial.next(partial.numbers.len().checked_sub(1)?)?)?;
        return Some(Piece::new(Bound::Included(Version::parse(ecosystem, &low)?), next));
    }
    let partial = Partial::parse(text)?;
    let Some(place) = partial.numbers.len().checked_sub(1) else { return Some(Piece::ALL) };
    let low = version(ecosystem, &partial.numbers, "")?;
    Some(Piece::new(Bound::Included(low), before(ecosystem, &partial.next(place)?)?))
}
