//! Which of many rules may begin at a place, by the bytes that stand there: one look into a table for
//! each byte, for all rules at once, until none is left. An automaton only runs for those that are.

use std::ops::Range;

use super::beginning::{AHEAD, Beginning, Bytes, FAR};
use super::compiled::Compiled;
use crate::check;
use crate::join::{APART, Wholes};
use crate::planes::{BLOCK, Planes};
use crate::trigger::Trigger;

/// As many rules share their tables.
const TOGETHER: usize = 64;

/// Rules that are tried wherever they may begin.
pub(super) struct Starts {
    groups: Vec<Group>,
    /// Whether all of them begin where a word does, or ends; and whether with a byte of one.
    at_edges: bool,
    with_words: bool,
    /// Whether a match may end before all the first places, or go over the end of a line there.
    may_be_short: bool,
}

/// A rule that is tried wherever it may begin.
pub(super) struct Start<'r> {
    pub(super) number: u32,
    pub(super) beginning: &'r Beginning,
    /// The same, of more places.
    pub(super) farther: &'r Beginning<FAR>,
    /// Whether its matches begin where a word does, or ends.
    pub(super) at_edge: bool,
    /// Whether its matches are in a run, and hold only where a token may have been issued.
    pub(super) issued: bool,
}

/// Rules with one bit each.
struct Group {
    rules: Vec<Rule>,
    /// Those whose matches begin where a word does, or ends.
    at_edge: u64,
    /// Of each place and each byte there: whose matches may have it.
    may_have: Box<[[u64; 256]; AHEAD]>,
    /// Of each place: whose matches may be over before it.
    may_end: [u64; AHEAD],
}

/// What is asked of a rule whose first bytes fit.
struct Rule {
    number: u32,
    /// What may stand at each place behind the first ones.
    farther: Box<[Bytes]>,
    issued: bool,
}

impl Starts {
    /// Of these rules.
    pub(super) fn new(rules: &[Start<'_>]) -> Self {
        let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let others = || (0u8..=255).filter(|byte| !in_word(byte));
        let with_word =
            |rule: &Start<'_>| !rule.beginning.may_end(0) && !others().any(|byte| rule.beginning.may_have(byte, 0));
        let may_be_short = |rule: &Start<'_>| {
            let first = rule.beginning;
            first.may_end(AHEAD - 1) || (0..AHEAD).any(|place| first.may_have(b'\n', place))
        };
        Self {
            groups: rules.chunks(TOGETHER).map(Group::new).collect(),
            at_edges: rules.iter().all(|rule| rule.at_edge),
            with_words: rules.iter().all(with_word),
            may_be_short: rules.iter().any(may_be_short),
        }
    }

    /// Of those of these rules that look at runs, as far as they are wanted.
    pub(super) fn of(rules: &[Compiled], wanted: impl Fn(usize) -> bool) -> Self {
        let at_runs = rules.iter().enumerate().filter(|(_, rule)| rule.trigger() == Some(Trigger::Run));
        let starts = at_runs.filter(|(number, _)| wanted(*number)).filter_map(|(number, rule)| {
            let Compiled { beginning, farther, at_edge, issued, .. } = rule;
            let number = u32::try_from(number).ok()?;
            Some(Start { number, beginning, farther: farther.as_deref()?, at_edge: *at_edge, issued: *issued })
        });
        Self::new(&starts.collect::<Vec<_>>())
    }

    /// Whether any of them may begin in a run of rows of pieces, in whichever way those stand together.
    pub(super) fn may_begin(&self, rows: &Wholes<'_>, planes: &Planes, run: &Range<usize>) -> bool {
        let may_begin = |at: usize, is_edge: bool| {
            self.groups.iter().any(|group| {
                let cut = rows.ends.get(rows.ends.partition_point(|cut| cut.end <= at)..).unwrap_or_default();
                let near = cut.iter().take_while(|cut| cut.start <= at && cut.end < at + FAR);
                let bytes = rows.text.as_bytes();
                let whole = bytes.get(at..).unwrap_or_default().iter();
                let mut ways =
                    near.map(|cut| bytes.get(at..cut.end).unwrap_or_default().iter().chain(APART.as_bytes()));
                group.may_begin_with(whole, is_edge) || ways.any(|way| group.may_begin_with(way, is_edge))
            })
        };
        self.may_be_short
            || rows.within(run).iter().any(|border| may_begin(*border, true))
            || run.clone().step_by(BLOCK).any(|from| {
                let (mut places, edges) = self.places(planes, from, run.end);
                while places != 0 {
                    let place = places.trailing_zeros();
                    places &= places - 1;
                    if may_begin(from + place as usize, edges >> place & 1 != 0) {
                        return true;
                    }
                }
                false
            })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Calls `found` with each place in a run, up to one, and each rule that may begin there, until it says no.
    pub(super) fn each<E>(
        &self,
        text: &[u8],
        planes: &Planes,
        (range, until): (Range<usize>, usize),
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut run = Run { text, place: range.clone(), may_be_issued: None };
        for from in (range.start..until).step_by(BLOCK) {
            let (mut places, edges) = self.places(planes, from, until);
            while places != 0 {
                let place = places.trailing_zeros();
                places &= places - 1;
                self.at(text, from + place as usize, edges >> place & 1 != 0, &mut run, found)?;
            }
        }
        Ok(())
    }

    /// At which of the 64 bytes from a place on, up to an end, any may begin; and where words begin or end.
    #[inline(always)]
    fn places(&self, planes: &Planes, from: usize, end: usize) -> (u64, u64) {
        let rest = end - from;
        let word = planes.ahead(from, |block| block.word);
        let before = from.checked_sub(1).map_or(0, |last| planes.ahead(last, |block| block.word) & 1);
        let edges = word ^ (word << 1 | before);
        let mut places = if self.at_edges { edges } else { u64::MAX };
        if self.with_words {
            places &= word;
        }
        if rest < BLOCK {
            places &= !(u64::MAX << rest);
        }
        (places, edges)
    }

    /// Names the rules that may begin at a place.
    fn at<E>(
        &self,
        text: &[u8],
        at: usize,
        is_edge: bool,
        run: &mut Run<'_>,
        found: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<(), E> {
        for group in &self.groups {
            let mut left = group.at(text, at, is_edge);
            while left != 0 {
                let rule = group.rules.get(left.trailing_zeros() as usize);
                left &= left - 1;
                let rule = rule.filter(|rule| (!rule.issued || run.may_be_issued()) && rule.may_begin(text, at));
                rule.map_or(Ok(()), |rule| found(at, rule.number))?;
            }
        }
        Ok(())
    }
}

/// A run in a text, and whether it has what may have been issued, once that is known.
struct Run<'t> {
    text: &'t [u8],
    place: Range<usize>,
    may_be_issued: Option<bool>,
}

impl Run<'_> {
    fn may_be_issued(&mut self) -> bool {
        let Self { text, place, may_be_issued } = self;
        *may_be_issued.get_or_insert_with(|| check::may_have_issued(text, place))
    }
}

impl Rule {
    /// Whether its farther bytes fit, too. Where the text ends before them, nobody knows.
    fn may_begin(&self, text: &[u8], at: usize) -> bool {
        let Some(bytes) = text.get(at + AHEAD..at + FAR) else { return true };
        bytes.iter().zip(&self.farther).all(|(byte, set)| set.has(*byte))
    }
}

impl Group {
    fn new(rules: &[Start<'_>]) -> Self {
        let mut group =
            Self { rules: Vec::new(), at_edge: 0, may_have: Box::new([[0; 256]; AHEAD]), may_end: [0; AHEAD] };
        for (bit, Start { number, beginning, farther, at_edge, issued }) in rules.iter().enumerate() {
            group.rules.push(Rule { number: *number, farther: farther.from(AHEAD), issued: *issued });
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

    /// Whether any of them may begin with these bytes, whatever follows them.
    fn may_begin_with<'b>(&self, mut bytes: impl Iterator<Item = &'b u8> + Clone, is_edge: bool) -> bool {
        let mut left = if is_edge { u64::MAX } else { !self.at_edge };
        for (table, byte) in self.may_have.iter().zip(bytes.by_ref()) {
            left &= table.get(usize::from(*byte)).copied().unwrap_or_default();
            if left == 0 {
                return false;
            }
        }
        let fits = |rule: &Rule| bytes.clone().zip(&rule.farther).all(|(byte, set)| set.has(*byte));
        (0..).zip(&self.rules).any(|(bit, rule)| left >> bit & 1 != 0 && fits(rule))
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
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::{Rules, Selection};

    static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load(true, &[], &Selection::default()).unwrap());

    /// What a rule begins with.
    struct Written {
        beginning: Beginning,
        farther: Beginning<FAR>,
    }

    impl Written {
        fn new(expression: &str) -> Self {
            let hir = crate::expression::parse(expression).unwrap();
            Self { beginning: Beginning::of(&hir), farther: Beginning::of(&hir) }
        }

        fn start(&self, number: u32, at_edge: bool, issued: bool) -> Start<'_> {
            let Self { beginning, farther } = self;
            Start { number, beginning, farther, at_edge, issued }
        }
    }

    #[test]
    fn names_who_may_begin() {
        let written: Vec<(Written, bool)> = (0..100)
            .map(|n| (format!("\\bk{n:02}[a-z]{{4}}"), true))
            .chain([("x[0-9]+".to_owned(), false)])
            .map(|(expression, edge)| (Written::new(&expression), edge))
            .collect();
        let rules: Vec<_> = (0u32..).zip(&written).map(|(n, (rule, edge))| rule.start(n, *edge, false)).collect();
        let starts = Starts::new(&rules);
        let text = "k07abcd ak08abcd k99abcd k12abc k13abc1 ax1 k14abc";
        let (planes, text) = (Planes::of(text), text.as_bytes());
        let mut found = Vec::new();
        let each = starts.each(text, &planes, (0..text.len(), text.len()), &mut |at, rule| {
            found.push((at, rule));
            Ok::<_, Infallible>(())
        });
        each.unwrap();
        assert_eq!(found, [(0, 7), (17, 99), (41, 100)]);
        let stopped =
            starts.each(text, &planes, (0..text.len(), text.len()), &mut |at, _| if at > 0 { Err(at) } else { Ok(()) });
        assert_eq!(stopped, Err(17));
    }

    proptest! {
        /// The same as looking at every place, for rules that begin at the edge of a word, or with one, and for others.
        #[test]
        fn no_place_is_left_out(text in "[ab0_é. -]{0,150}", cut in 0usize..80, edges_only: bool, words_only: bool) {
            let first = if words_only { "a" } else { "a." };
            let (word, any) = (Written::new(&format!("\\b[{first}]")), Written::new("[b-]"));
            let mut rules = vec![word.start(0, true, false)];
            rules.extend((!edges_only).then_some(any.start(1, false, false)));
            let range = cut.min(text.len())..text.len();
            let slow: Vec<_> = range
                .clone()
                .flat_map(|at| [(at, 0), (at, 1)])
                .filter(|(at, rule)| match rule {
                    0 => first.as_bytes().contains(&text.as_bytes()[*at]) && is_edge(text.as_bytes(), *at),
                    _ => !edges_only && b"b-".contains(&text.as_bytes()[*at]),
                })
                .collect();
            let mut fast = Vec::new();
            let until = range.end;
            let each = Starts::new(&rules).each(text.as_bytes(), &Planes::of(&text), (range, until), &mut |at, rule| {
                fast.push((at, rule));
                Ok::<_, Infallible>(())
            });
            each.unwrap();
            prop_assert_eq!(fast, slow);
        }

        /// Who looks where its matches may not even be issued, or shows that only far behind, matches nothing there.
        #[test]
        fn no_match_is_left_out(text in "([a-z]{2,4}[_.-]){0,3}([a-zA-Z0-9]{12,40}|[a-z]{9,30}|[0-9a-f]{32}[.-][a-z]{9,18})[_.~]?") {
            let id = |id: &str| RULES.engine.rules().iter().find(|rule| *rule.rule.id == *id).unwrap();
            for rule in [id("unknown-token"), id("zhipu-key"), id("ngrok-token"), id("asana-token")] {
                let start = Start {
                    number: 0,
                    beginning: &rule.beginning,
                    farther: rule.farther.as_ref().unwrap(),
                    at_edge: rule.at_edge,
                    issued: rule.issued,
                };
                let starts = Starts::new(&[start]);
                let (mut cache, mut budget) = (rule.cache(), crate::budget::Budget::patient());
                let mut looking = rule.looking(&text, None, &mut cache, &mut budget);
                let mut tried = Vec::new();
                let each = starts.each(text.as_bytes(), &Planes::of(&text), (0..text.len(), text.len()), &mut |at, _| {
                    tried.push(at);
                    Ok::<_, Infallible>(())
                });
                each.unwrap();
                for at in 0..text.len() {
                    prop_assert!(tried.contains(&at) || looking.at(at).unwrap().is_none(), "{} at {at}", rule.rule.id);
                }
            }
        }
    }
}
