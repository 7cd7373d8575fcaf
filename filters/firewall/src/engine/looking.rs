//! A rule that looks at a text: where it may match, what matches there, and whether that holds up.

use std::ops::Range;

use super::Match;
use super::automaton::{self, Cache};
use super::compiled::{Compiled, Reach};
use super::plan;
use crate::budget::{Budget, cost};
use crate::check::{Candidate, entropy, part};
use crate::count::count_last;
use crate::scan::{Exhausted, Standing};

/// What it takes to judge a match, and for each of its checks.
const JUDGED: usize = 100;
const CHECKED: usize = 250;
/// As many bytes has a secret that people write by hand.
const NEAR: usize = 128;

/// What the beginning of imported expressions takes in at most, which is stripped of them.
const STRIPPED: usize = 50;

/// A rule that looks at a text.
pub(super) struct Looking<'r, 'l> {
    pub(super) rule: &'r Compiled,
    pub(super) text: &'l str,
    pub(super) path: Option<&'l str>,
    pub(super) cache: &'l mut Cache,
    pub(super) budget: &'l mut Budget,
}

impl<'r> Looking<'r, '_> {
    /// Whether there stands what must before a keyword, of a match that begins within a range. The last place of that is
    /// as far from the keyword as any match is. It is paid for as if all had been searched.
    pub(super) fn may_come_to_keyword(&mut self, begins: Range<usize>) -> Result<bool, Exhausted> {
        let least = self.rule.anchors.first().map_or(0, |anchor| anchor.before.0);
        let before = begins.start..begins.end + least;
        let may = self.rule.automaton.stands_before(self.text.as_bytes(), before, self.cache, self.budget)?;
        if let (false, Reach::Window { longest }) = (may, self.rule.reach) {
            let end = begins.end.saturating_add(longest).min(self.text.len());
            automaton::pay(begins.start..end, self.budget)?;
        }
        Ok(may)
    }

    /// What matches at a place.
    pub(super) fn at(&mut self, begin: usize) -> Result<Option<Match<'r>>, Exhausted> {
        if !self.rule.may_match(self.text.as_bytes(), begin) {
            return Ok(None);
        }
        self.matching(begin)
    }

    /// What matches at a place at which a match [may](Compiled::may_match) begin.
    pub(super) fn matching(&mut self, begin: usize) -> Result<Option<Match<'r>>, Exhausted> {
        let end = self.rule.automaton.longest(self.text.as_bytes(), begin, self.cache, self.budget)?;
        self.budget.take(cost::MATCHED, end.map_or(0, |end| end - begin));
        let Some(end) = end.filter(|end| self.may_hold(begin..*end)) else { return Ok(None) };
        if !self.may_be_named(begin..end) {
            self.budget.spend(CHECKED)?;
            return Ok(None);
        }
        Ok(self.judge(begin..end, true)?.and_then(|(hit, holds)| holds.then_some(hit)))
    }

    /// Whether what matches may hold up, as far as shows at a glance.
    fn may_hold(&self, matched: Range<usize>) -> bool {
        let Compiled { statement, ends_in_word, .. } = self.rule;
        if statement.glances.is_empty() {
            return true;
        }
        let mut bytes = self.text.as_bytes().get(matched).unwrap_or_default();
        if *ends_in_word {
            let word = count_last(bytes, plan::is_in_word);
            bytes = bytes.get(bytes.len() - word..).unwrap_or_default();
        }
        statement.glances.iter().all(|glance| glance(bytes))
    }

    /// Whether what matches may hold up, as far as shows by where it begins: that is far less than to find what of it
    /// is the secret.
    fn may_be_named(&self, matched: Range<usize>) -> bool {
        let all = part(self.text, matched.clone());
        let candidate = Candidate { secret: all, matched: all, text: self.text, start: matched.start };
        self.rule.statement.named.iter().all(|named| named(&candidate))
    }

    /// Whether nothing matches within a range.
    pub(super) fn has_none(&mut self, range: Range<usize>) -> Result<bool, Exhausted> {
        self.rule.automaton.has_none(self.text.as_bytes(), range, self.cache, self.budget)
    }

    /// All that matches within a range.
    pub(super) fn each(
        &mut self,
        range: Range<usize>,
        found: &mut dyn FnMut(Match<'r>) -> Standing,
    ) -> Result<(), Exhausted> {
        let mut at = range.start;
        while at <= range.end {
            let within = at..range.end;
            let first = self.rule.automaton.first(self.text.as_bytes(), within, self.cache, self.budget)?;
            let judged = first.map(|(place, exact)| self.judge(place, exact)).transpose()?.flatten();
            let Some((hit, holds)) = judged else { break };
            // What does not hold up must not hide what begins within it.
            at = if holds { hit.span.end } else { hit.secret.start }.max(hit.span.start + 1);
            if holds {
                self.budget.heed(found(hit));
            }
        }
        Ok(())
    }

    /// The match in a range that ends where one ends, and whether it holds up.
    fn judge(&mut self, range: Range<usize>, anchored: bool) -> Result<Option<(Match<'r>, bool)>, Exhausted> {
        let Compiled { rule, statement, allow, automaton, stripped, .. } = self.rule;
        let group = statement.secret_group;
        let groups = automaton.groups(self.text.as_bytes(), range, anchored, group, self.cache, self.budget)?;
        let Some((span, secret)) = groups else { return Ok(None) };
        self.budget.take(cost::CHECKED, statement.checks.len());
        self.budget.take(cost::CHECKED_BYTE, statement.checks.len() * secret.len());
        self.budget.take(cost::CHECKED_FAR, statement.checks.len() * secret.len().saturating_sub(NEAR));
        self.budget.spend(JUDGED + CHECKED * statement.checks.len())?;
        let candidate = Candidate {
            secret: part(self.text, secret.clone()),
            matched: part(self.text, span.clone()),
            text: self.text,
            start: span.start,
        };
        let mut holds = statement.entropy.is_none_or(|least| entropy(candidate.secret.as_bytes()) >= least);
        holds = holds && statement.checks.iter().all(|check| check(&candidate));
        let mut lists = allow.iter();
        while let Some(list) = lists.next().filter(|_| holds) {
            let before = if *stripped { self.name_before(span.start) } else { 0 };
            holds = !list.allows(&candidate, before, self.path, self.budget)?;
        }
        let ends = statement.ends.iter().filter_map(|end| end(&candidate)).min().filter(|size| holds && *size > 0);
        let secret = ends.map_or(secret.clone(), |size| secret.start..secret.start + size);
        Ok(Some((Match { rule, span, secret, compiled: Some(self.rule) }, holds)))
    }

    /// How much of what stands before a match its expression would have taken in, had it not been stripped.
    fn name_before(&self, start: usize) -> usize {
        let before = self.text.as_bytes().get(start.saturating_sub(STRIPPED)..start).unwrap_or_default();
        before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte)).count()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::super::starts::is_edge;
    use super::*;
    use crate::{Rules, Selection, draw};

    static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load(true, &[], &Selection::default()).unwrap());

    /// What is written for the rules of whose matches something is looked at before.
    static TEMPLATES: LazyLock<Vec<String>> = LazyLock::new(|| templates(Compiled::looks_before));

    /// The same for those that ask what stands before a keyword.
    static BEFORE: LazyLock<Vec<String>> = LazyLock::new(|| templates(|rule| rule.automaton.asks_before()));

    fn templates(wanted: impl Fn(&Compiled) -> bool) -> Vec<String> {
        let looks = |id: &str| RULES.engine.rules().iter().any(|rule| *rule.rule.id == *id && wanted(rule));
        let samples = Rules::builtin_samples().into_iter().filter(|samples| looks(&samples.rule));
        samples.flat_map(|samples| [samples.positive, samples.negative].concat()).collect()
    }

    /// A sample as it may be spoilt.
    fn spoilt(text: &str, how: usize, at: usize) -> String {
        let chars: Vec<char> = text.chars().collect();
        let (before, after) = chars.split_at(at % (chars.len() + 1));
        let with = |between: &str| format!("{}{between}{}", String::from_iter(before), String::from_iter(after));
        match how {
            0 => text.to_owned(),
            1 => String::from_iter(before),
            2 => String::from_iter(after),
            3 => with(" "),
            4 => with("\n"),
            5 => with("\n \n"),
            6 => text.chars().rev().collect(),
            7 => text.to_ascii_uppercase(),
            8 => text.chars().map(|c| if c.is_ascii_digit() { 'x' } else { c }).collect(),
            9 => with(":"),
            10 => with("@"),
            _ => with(&"a".repeat(90)),
        }
    }

    /// Whether one of the keywords of a rule stands at a place.
    fn is_keyword(rule: &Compiled, text: &[u8]) -> bool {
        rule.anchors.iter().any(|anchor| {
            let found = text.get(..anchor.keyword.text.len()).unwrap_or_default();
            let any_case = anchor.keyword.any_case && found.eq_ignore_ascii_case(&anchor.keyword.text);
            any_case || found == anchor.keyword.text
        })
    }

    proptest! {
        /// Wherever a rule matches there is a keyword, and before it what must stand there.
        #[test]
        fn no_match_is_hidden_by_what_stands_before(
            pieces in prop::collection::vec((any::<prop::sample::Index>(), 0u64..500, 0usize..12, any::<usize>(), "[ \n:=]|, |import "), 1..5),
        ) {
            let drawn = pieces.iter().map(|(template, seed, how, at, between)| {
                let template: &String = template.get(&BEFORE[..]);
                spoilt(&draw(template, *seed).unwrap_or_default(), *how, *at) + between
            });
            let text: String = drawn.collect();
            for rule in RULES.engine.rules().iter().filter(|rule| rule.automaton.asks_before()) {
                let (mut cache, mut budget) = (rule.cache(), Budget::patient());
                let mut looking = rule.looking(&text, None, &mut cache, &mut budget);
                let (least, most) = rule.anchors[0].before;
                for begin in 0..text.len() {
                    let end = rule.automaton.longest(text.as_bytes(), begin, looking.cache, looking.budget).unwrap();
                    let places = begin + least..(begin + most + 1).min(text.len());
                    let told = places.into_iter().any(|at| {
                        let begins = at.saturating_sub(most)..at - least;
                        is_keyword(rule, &text.as_bytes()[at..]) && looking.may_come_to_keyword(begins).unwrap()
                    });
                    prop_assert!(told || end.is_none(), "{} at {} of {:?}", &rule.rule.id, begin, &text);
                }
            }
        }

        /// What is looked at before the automaton never changes what is found.
        #[test]
        fn no_look_before_hides_a_finding(
            pieces in prop::collection::vec((any::<prop::sample::Index>(), 0u64..500, 0usize..12, any::<usize>(), "[ \n:=]|, "), 1..6),
        ) {
            let drawn = pieces.iter().map(|(template, seed, how, at, between)| {
                let template: &String = template.get(&TEMPLATES[..]);
                spoilt(&draw(template, *seed).unwrap_or_default(), *how, *at) + between
            });
            let text: String = drawn.collect();
            for rule in RULES.engine.rules().iter().filter(|rule| rule.reach == Reach::Here && rule.looks_before()) {
                let (mut cache, mut budget) = (rule.cache(), Budget::patient());
                let mut looking = rule.looking(&text, None, &mut cache, &mut budget);
                for begin in 0..text.len() {
                    let bytes = &text.as_bytes()[begin..];
                    if !rule.beginning.may_be(bytes, 0) || (rule.at_edge && !is_edge(text.as_bytes(), begin)) {
                        continue;
                    }
                    let end = rule.automaton.longest(text.as_bytes(), begin, looking.cache, looking.budget).unwrap();
                    let judged = end.and_then(|end| looking.judge(begin..end, true).unwrap());
                    let slow = judged.filter(|(_, holds)| *holds).map(|(hit, _)| (hit.span, hit.secret));
                    let fast = looking.at(begin).unwrap().map(|hit| (hit.span, hit.secret));
                    prop_assert_eq!(slow, fast, "{} at {} of {:?}", &rule.rule.id, begin, &text);
                }
            }
        }
    }
}
