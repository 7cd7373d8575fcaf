//! Finding every literal of the rules in a text, overlapping ones too.
//!
//! Of each byte three tables say which groups of literals may have it first, second and third; where
//! all three agree on a group, its literals are compared. Plain text hardly ever gets so far, and the
//! tables stay in the fastest cache, where an automaton over all literals does not.

/// Literals of one group have their first three bytes in common, or share the group with few others.
const GROUPS: usize = 64;

/// How many bytes are looked up before literals are compared.
const DEPTH: usize = 3;

/// As many places as are looked at together.
const STEP: usize = 4;

/// The literals, ready to be found.
pub(super) struct Literals {
    /// Of each byte, by its place in a literal: the groups that may have it there, as bits.
    tables: [[u64; 256]; DEPTH],
    groups: Vec<Vec<Literal>>,
}

struct Literal {
    number: usize,
    text: &'static [u8],
    any_case: bool,
}

impl Literals {
    /// Of these literals, each with whether it is found in any ASCII case. They are known by their
    /// numbers, in this order, from 0.
    pub(super) fn new(literals: impl Iterator<Item = (&'static [u8], bool)>) -> Self {
        let mut tables = [[0u64; 256]; DEPTH];
        let mut groups: Vec<Vec<Literal>> = (0..GROUPS).map(|_| Vec::new()).collect();
        let mut beginnings: Vec<(&[u8], bool)> = Vec::new();
        for (number, (text, any_case)) in literals.enumerate() {
            let beginning = (text.get(..DEPTH).unwrap_or(text), any_case);
            let known = beginnings.iter().position(|known| *known == beginning).unwrap_or_else(|| {
                beginnings.push(beginning);
                beginnings.len() - 1
            });
            let (group, bit) = (known % GROUPS, 1 << (known % GROUPS));
            for (place, table) in tables.iter_mut().enumerate() {
                for (byte, groups) in (0..=u8::MAX).zip(table.iter_mut()) {
                    let fits = match text.get(place) {
                        Some(wanted) if any_case => wanted.eq_ignore_ascii_case(&byte),
                        Some(wanted) => *wanted == byte,
                        None => true,
                    };
                    if fits {
                        *groups |= bit;
                    }
                }
            }
            if let Some(group) = groups.get_mut(group) {
                group.push(Literal { number, text, any_case });
            }
        }
        Self { tables, groups }
    }

    /// Calls `found` with the place and the number of every literal in a text, by place.
    pub(super) fn each(&self, text: &[u8], found: &mut impl FnMut(usize, usize)) {
        let mut next = 0;
        for (at, window) in text.windows(STEP + DEPTH - 1).enumerate().step_by(STEP) {
            let &[a, b, c, d, e, f] = window else { continue };
            let groups = [self.groups(a, b, c), self.groups(b, c, d), self.groups(c, d, e), self.groups(d, e, f)];
            if groups.iter().any(|groups| *groups != 0) {
                for (at, groups) in (at..).zip(groups) {
                    self.compare(text, at, groups, found);
                }
            }
            next = at + STEP;
        }
        let byte = |at: usize| text.get(at).copied().unwrap_or_default();
        for at in next..text.len() {
            self.compare(text, at, self.groups(byte(at), byte(at + 1), byte(at + 2)), found);
        }
    }

    /// The groups whose literals may begin with these bytes.
    fn groups(&self, first: u8, second: u8, third: u8) -> u64 {
        let [one, two, three] = &self.tables;
        let of = |table: &[u64; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or_default();
        of(one, first) & of(two, second) & of(three, third)
    }

    fn compare(&self, text: &[u8], at: usize, mut groups: u64, found: &mut impl FnMut(usize, usize)) {
        while groups != 0 {
            let group = self.groups.get(groups.trailing_zeros() as usize);
            groups &= groups - 1;
            for Literal { number, text: literal, any_case } in group.into_iter().flatten() {
                let Some(there) = text.get(at..at + literal.len()) else { continue };
                if there == *literal || (*any_case && there.eq_ignore_ascii_case(literal)) {
                    found(at, *number);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use aho_corasick::{AhoCorasick, MatchKind};
    use proptest::prelude::*;

    use super::super::rules::{Kind, RULES};
    use super::*;

    fn all() -> Vec<(&'static [u8], bool)> {
        let literals = RULES
            .iter()
            .flat_map(|rule| rule.begins.iter().map(|begin| (begin.as_bytes(), rule.kind == Kind::Assignment)));
        literals.collect()
    }

    /// What an automaton over the same literals finds.
    fn by_automaton(text: &[u8]) -> Vec<(usize, usize)> {
        static AUTOMATON: LazyLock<AhoCorasick> = LazyLock::new(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .ascii_case_insensitive(true)
                .build(all().iter().map(|(text, _)| text))
                .unwrap()
        });
        let literals = all();
        let hits = AUTOMATON.find_overlapping_iter(text).map(|hit| (hit.start(), hit.pattern().as_usize()));
        let fits = |(at, number): &(usize, usize)| {
            let (literal, any_case) = literals[*number];
            any_case || text[*at..].starts_with(literal)
        };
        let mut hits: Vec<_> = hits.filter(fits).collect();
        hits.sort_unstable();
        hits
    }

    fn by_tables(text: &[u8]) -> Vec<(usize, usize)> {
        static LITERALS: LazyLock<Literals> = LazyLock::new(|| Literals::new(all().into_iter()));
        let mut hits = Vec::new();
        LITERALS.each(text, &mut |at, number| hits.push((at, number)));
        assert!(hits.is_sorted_by_key(|(at, _)| *at), "by place");
        hits.sort_unstable();
        hits
    }

    #[test]
    fn finds_every_literal_wherever_it_stands() {
        for (literal, any_case) in all() {
            for before in 0..6 {
                for after in 0..6 {
                    let text = [&b"~~~~~~~~~"[..before], literal, &b"~~~~~~~~~"[..after]].concat();
                    assert_eq!(by_tables(&text), by_automaton(&text));
                    assert!(by_tables(&text).iter().any(|(at, _)| *at == before));
                    let loud = text.to_ascii_uppercase();
                    assert_eq!(by_tables(&loud), by_automaton(&loud));
                    assert!(!any_case || !by_tables(&loud).is_empty());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn finds_what_an_automaton_finds(
            pieces in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, "[a-zA-Z_:/. -]{0,3}", any::<bool>()), 0..12),
            noise in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let literals = all();
            let mut text = noise;
            for (which, most, between, loud) in pieces {
                let (literal, _) = literals[which.index(literals.len())];
                let piece = &literal[..literal.len().min(most)];
                text.extend(if loud { piece.to_ascii_uppercase() } else { piece.to_vec() });
                text.extend(between.bytes());
            }
            prop_assert_eq!(by_tables(&text), by_automaton(&text));
        }
    }
}
