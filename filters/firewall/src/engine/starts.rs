//! Which of many rules may begin at a place, by the bytes that stand there: one look into a table for
//! each byte, for all rules at once, until none is left. An automaton only runs for those that are.

use std::ops::Range;

use super::beginning::{AHEAD, Beginning};
use crate::planes::{BLOCK, Planes};

/// As many rules share their tables.
const TOGETHER: usize = 64;

/// Rules that are tried wherever they may begin.
pub(super) struct Starts {
    groups: Vec<Group>,
    /// Whether all of them begin where a word does, or ends.
    at_edges: bool,
}

/// Rules with one bit each.
struct Group {
    rules: Vec<u32>,
    /// Those whose matches begin where a word does, or ends.
    at_edge: u64,
    /// Of each place and each byte there: whose matches may have it.
    may_have: Box<[[u64; 256]; AHEAD]>,
    /// Of each place: whose matches may be over before it.
    may_end: [u64; AHEAD],
}

impl Starts {
    /// Of these rules: their numbers, what they begin with, and whether that is at the edge of a word.
    pub(super) fn new(rules: &[(u32, &Beginning, bool)]) -> Self {
        let at_edges = rules.iter().all(|(_, _, at_edge)| *at_edge);
        Self { groups: rules.chunks(TOGETHER).map(Group::new).collect(), at_edges }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Calls `found` with each place in a range, and each rule that may begin there, until it says no.
    pub(super) fn each<E>(
        &self,
        text: &[u8],
        planes: &Planes,
        range: Range<usize>,
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        for from in range.clone().step_by(BLOCK) {
            let rest = range.end - from;
            let word = planes.ahead(from, |block| block.word);
            let before = from.checked_sub(1).map_or(0, |last| planes.ahead(last, |block| block.word) & 1);
            let edges = word ^ (word << 1 | before);
            let mut places = if self.at_edges { edges } else { u64::MAX };
            if rest < BLOCK {
                places &= !(u64::MAX << rest);
            }
            while places != 0 {
                let place = places.trailing_zeros();
                places &= places - 1;
                self.at(text, from + place as usize, edges >> place & 1 != 0, found)?;
            }
        }
        Ok(())
    }

    /// Names the rules that may begin at a place.
    fn at<E>(
        &self,
        text: &[u8],
        at: usize,
        is_edge: bool,
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        for group in &self.groups {
            let mut left = group.at(text, at, is_edge);
            while left != 0 {
                let rule = group.rules.get(left.trailing_zeros() as usize);
                left &= left - 1;
                rule.map_or(Ok(()), |rule| found(at, *rule))?;
            }
        }
        Ok(())
    }
}

impl Group {
    fn new(rules: &[(u32, &Beginning, bool)]) -> Self {
        let mut group =
            Self { rules: Vec::new(), at_edge: 0, may_have: Box::new([[0; 256]; AHEAD]), may_end: [0; AHEAD] };
        for (bit, (number, beginning, at_edge)) in rules.iter().enumerate() {
            group.rules.push(*number);
            group.at_edge |= u64::from(*at_edge) << bit;
            for (place, (table, end)) in group.may_have.iter_mut().zip(&mut group.may_end).enumerate() {
                for (byte, set) in (0u8..=255).zip(table) {
                    *set |= u64::from(beginning.may_have(byte, place)) << bit;
                }
                *end |= u64::from(beginning.may_end(place)) << bit;
            }
        }
        group
    }

    /// The rules that may begin at a place.
    #[inline]
    fn at(&self, text: &[u8], at: usize, is_edge: bool) -> u64 {
        let mut left = if is_edge { u64::MAX } else { !self.at_edge };
        let mut bytes = text.get(at..).unwrap_or_default().iter();
        for (table, end) in self.may_have.iter().zip(&self.may_end) {
            let Some(byte) = bytes.next() else { return left & end };
            left &= table.get(usize::from(*byte)).copied().unwrap_or_default();
            if left == 0 {
                return 0;
            }
        }
        left
    }
}

/// Whether a word begins or ends at a place.
#[inline]
pub(super) fn is_edge(text: &[u8], at: usize) -> bool {
    let is_word = |at: Option<usize>| {
        at.and_then(|at| text.get(at)).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    is_word(at.checked_sub(1)) != is_word(Some(at))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_who_may_begin() {
        let written: Vec<(String, bool)> =
            (0..100).map(|n| (format!("\\bk{n:02}[a-z]{{4}}"), true)).chain([("x[0-9]+".to_owned(), false)]).collect();
        let beginnings: Vec<_> =
            written.iter().map(|(e, _)| Beginning::of(&crate::expression::parse(e).unwrap())).collect();
        let rules: Vec<_> =
            (0u32..).zip(&beginnings).zip(&written).map(|((number, b), (_, edge))| (number, b, *edge)).collect();
        let starts = Starts::new(&rules);
        let text = "k07abcd ak08abcd k99abcd k12abc k13abc1 ax1 k14abc";
        let (planes, text) = (Planes::of(text), text.as_bytes());
        let mut found = Vec::new();
        let each = starts.each(text, &planes, 0..text.len(), &mut |at, rule| {
            found.push((at, rule));
            Ok::<_, Infallible>(())
        });
        each.unwrap();
        assert_eq!(found, [(0, 7), (17, 99), (41, 100)]);
        let stopped = starts.each(text, &planes, 0..text.len(), &mut |at, _| if at > 0 { Err(at) } else { Ok(()) });
        assert_eq!(stopped, Err(17));
    }

    proptest! {
        /// The same as looking at every place, for rules that begin at the edge of a word and for others.
        #[test]
        fn no_place_is_left_out(text in "[ab0_é. -]{0,150}", cut in 0usize..80, edges_only: bool) {
            let beginning = |expression: &str| Beginning::of(&crate::expression::parse(expression).unwrap());
            let (word, any) = (beginning("\\b[a.]"), beginning("[b-]"));
            let mut rules = vec![(0, &word, true)];
            rules.extend((!edges_only).then_some((1, &any, false)));
            let range = cut.min(text.len())..text.len();
            let slow: Vec<_> = range
                .clone()
                .flat_map(|at| [(at, 0), (at, 1)])
                .filter(|(at, rule)| match rule {
                    0 => b"a.".contains(&text.as_bytes()[*at]) && is_edge(text.as_bytes(), *at),
                    _ => !edges_only && b"b-".contains(&text.as_bytes()[*at]),
                })
                .collect();
            let mut fast = Vec::new();
            let each = Starts::new(&rules).each(text.as_bytes(), &Planes::of(&text), range, &mut |at, rule| {
                fast.push((at, rule));
                Ok::<_, Infallible>(())
            });
            each.unwrap();
            prop_assert_eq!(fast, slow);
        }
    }
}
