//! The bytes without which an expression matches nothing.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Bytes of ASCII that are in whatever any of these expressions matches, a bit each.
pub(super) fn by_all<'e>(expressions: impl Iterator<Item = &'e str>) -> u128 {
    let needed = expressions.map(|expression| crate::expression::parse(expression).map_or(0, |hir| by(&hir)));
    needed.reduce(|a, b| a & b).unwrap_or(0)
}

fn by(part: &Hir) -> u128 {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Unicode(_)) => 0,
        HirKind::Literal(literal) => literal.0.iter().fold(0, |all, byte| all | bit(*byte)),
        HirKind::Class(Class::Bytes(class)) => match class.ranges() {
            [only] if only.start() == only.end() => bit(only.start()),
            _ => 0,
        },
        HirKind::Repetition(repeated) if repeated.min == 0 => 0,
        HirKind::Repetition(repeated) => by(&repeated.sub),
        HirKind::Capture(capture) => by(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(by).fold(0, |a, b| a | b),
        HirKind::Alternation(parts) => parts.iter().map(by).fold(u128::MAX, |a, b| a & b),
    }
}

fn bit(byte: u8) -> u128 {
    1u128.unbounded_shl(u32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_every_match_is_needed() {
        for (expressions, bytes) in [
            (&["://[^@ ]*:([^ ]+)@[a-z]"][..], ":/@"),
            (&["a(b|cb)d?e{2}f{0,2}"], "abe"),
            (&["(?i)a1", "2?1"], "1"),
            (&["a|"], ""),
            (&[], ""),
            (&["é#"], "#"),
        ] {
            let all = bytes.bytes().fold(0, |all, byte| all | bit(byte));
            assert_eq!(by_all(expressions.iter().copied()), all, "{expressions:?}");
        }
    }
}
