//! One rule's expression as an automaton that is built as far as texts take it, in linear time.

use std::ops::Range;
use std::sync::OnceLock;

use regex_automata::dfa::onepass;
use regex_automata::hybrid::{LazyStateID, dfa};
use regex_automata::nfa::thompson::{self, WhichCaptures, backtrack::BoundedBacktracker, pikevm::PikeVM};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

use super::plan;
use super::split::Split;
use super::trail::{self, Trail};
use crate::budget::{Budget, cost};
use crate::scan::Exhausted;

/// How large an expression may become, and how much memory its automaton may take while it matches.
const LARGEST: usize = 16 << 20;
const CACHE: usize = 512 << 10;
const ONE_PASS: usize = 128 << 10;

/// Of a match longer than this, each further byte costs less: it is a key, of which hardly anything is tried twice.
const LONG: usize = 256;

/// What work costs, in units of the [`Budget`]: for each time, and then for each byte.
const ATTEMPT: usize = 64;
const STEPPED: usize = 2;
const ONE_PASSED: usize = 3;
const GROUPED: usize = 30;
const GROUPED_LONG: usize = 12;

/// An expression, ready to match.
pub(super) struct Automaton {
    dfa: dfa::DFA,
    /// Finds where a match begins whose end is known.
    reverse: Option<dfa::DFA>,
    /// Finds whether there stands before a place what must.
    before: Option<dfa::DFA>,
    nfa: thompson::NFA,
    split: Option<Split>,
    /// Whether much is tried at each byte of a part of its matches.
    tries_much: bool,
    groups: Option<BoundedBacktracker>,
    /// Finds the groups in one pass, where no place of a match can belong to two of them. Built when first needed.
    one_pass: OnceLock<Option<onepass::DFA>>,
}

/// What it reuses from match to match.
pub(super) struct Cache {
    dfa: dfa::Cache,
    reverse: Option<dfa::Cache>,
    before: Option<dfa::Cache>,
    split: Option<dfa::Cache>,
    groups: Option<regex_automata::nfa::thompson::backtrack::Cache>,
    one_pass: Option<onepass::Cache>,
    slots: Vec<Option<NonMaxUsize>>,
    /// Of which pass over a text the trail is.
    pass: u64,
    trail: Trail,
    /// Of the match that is looked for.
    fresh: Trail,
    open: Option<Open>,
}

/// What was not over where a range ended in which nothing matched.
struct Open {
    range: Range<usize>,
    state: LazyStateID,
    /// How often the memory had been cleared.
    since: usize,
}

impl Cache {
    /// Begins with another text.
    pub(super) fn forget(&mut self) {
        self.trail.clear();
        self.open = None;
    }

    /// Goes on in a pass over a text, which another one may have come before.
    #[inline]
    pub(super) fn go_on_in(&mut self, pass: u64) {
        if self.pass != pass {
            self.pass = pass;
            self.forget();
        }
    }
}

/// A whole match, and its group.
type Grouped = (Range<usize>, Range<usize>);

impl Automaton {
    /// Of an expression; of one that is looked for in long ranges with what finds where its matches begin. And of what
    /// must stand before its keyword.
    pub(super) fn new(hir: &Hir, ranges: bool, before: Option<&Hir>) -> Result<Self, String> {
        let nfa = nfa(hir, false)?;
        let dfa = dfa(nfa.clone(), MatchKind::LeftmostFirst)?;
        let split = Split::new(hir, |before| self::dfa(self::nfa(before, false)?, MatchKind::All))?;
        let reversed = |hir: &Hir| self::dfa(self::nfa(hir, true)?, MatchKind::All);
        let reverse = ranges.then(|| reversed(hir)).transpose()?;
        let before = before.map(reversed).transpose()?;
        let groups = match nfa.group_info().group_len(regex_automata::PatternID::ZERO) {
            ..=1 => None,
            _ => Some(BoundedBacktracker::new_from_nfa(nfa.clone()).map_err(|error| error.to_string())?),
        };
        let tries_much = plan::ends_in_many_ways(hir);
        Ok(Self { dfa, reverse, before, nfa, split, tries_much, groups, one_pass: OnceLock::new() })
    }

    pub(super) fn cache(&self) -> Cache {
        let slots = vec![None; self.nfa.group_info().slot_len().max(2)];
        let [reverse, before] = [&self.reverse, &self.before].map(|dfa| dfa.as_ref().map(dfa::DFA::create_cache));
        let split = self.split.as_ref().map(Split::cache);
        let (trail, fresh) = Default::default();
        let dfa = self.dfa.create_cache();
        Cache { dfa, reverse, before, split, groups: None, one_pass: None, slots, pass: 0, trail, fresh, open: None }
    }

    /// Where the match ends that begins at a place.
    pub(super) fn longest(
        &self,
        text: &[u8],
        at: usize,
        cache: &mut Cache,
        budget: &mut Budget,
    ) -> Result<Option<usize>, Exhausted> {
        let cleared = cache.dfa.clear_count();
        let input = Input::new(text).range(at..).anchored(Anchored::Yes);
        // The automaton never gives up, and quits at no byte: if it ever did, the text would not be judged.
        let mut state = self.dfa.start_state_forward(&mut cache.dfa, &input).map_err(|_| Exhausted)?;
        let mut end = None;
        let mut next = at;
        let mut known = false;
        cache.fresh.clear();
        'steps: loop {
            let stop = text.len().min((next / trail::STEP + 1) * trail::STEP);
            for byte in text.get(next..stop).unwrap_or_default() {
                state = self.dfa.next_state(&mut cache.dfa, state, *byte).map_err(|_| Exhausted)?;
                if state.is_tagged() {
                    if state.is_match() {
                        end = Some(next);
                    } else if state.is_dead() {
                        break 'steps;
                    } else if state.is_quit() {
                        return Err(Exhausted);
                    }
                }
                next += 1;
            }
            if next >= text.len() {
                break;
            }
            let cleared = cache.dfa.clear_count();
            if let Some(from) = cache.trail.from(next, state, cleared) {
                (end, known) = (from.or(end), true);
                break;
            }
            cache.fresh.add(next, state, cleared);
        }
        if next >= text.len() && !state.is_dead() {
            state = self.dfa.next_eoi_state(&mut cache.dfa, state).map_err(|_| Exhausted)?;
            if state.is_match() {
                end = Some(text.len());
            }
        }
        if !known && !cache.fresh.is_empty() {
            cache.fresh.end(end);
            std::mem::swap(&mut cache.trail, &mut cache.fresh);
        }
        budget.take(cost::BEGUN, 1);
        budget.take(cost::STEPPED, next - at);
        // What matches is read again by whoever judges it, from the first byte to the last, also where it was known.
        let read = end.map_or(next, |end| end.max(next)) - at;
        budget.spend(ATTEMPT + STEPPED * read)?;
        budget.clear(cache.dfa.clear_count() - cleared)?;
        Ok(end)
    }

    /// The first match within a range, from where it begins or earlier. Around the range the text is seen, but not
    /// matched. Says whether it begins there.
    pub(super) fn first(
        &self,
        text: &[u8],
        range: Range<usize>,
        cache: &mut Cache,
        budget: &mut Budget,
    ) -> Result<Option<(Range<usize>, bool)>, Exhausted> {
        let cleared = cache.dfa.clear_count();
        let begin = range.start;
        let input = Input::new(text).range(range.clone());
        let found = self.dfa.try_search_fwd(&mut cache.dfa, &input).map_err(|_| Exhausted)?;
        let end = found.map(|found| found.offset());
        // It looks at no more than it says, but for a character or two.
        pay(begin..end.unwrap_or(range.end), budget)?;
        budget.clear(cache.dfa.clear_count() - cleared)?;
        let Some(end) = end else { return Ok(None) };
        let (Some(reverse), Some(cache)) = (&self.reverse, &mut cache.reverse) else {
            return Ok(Some((begin..end, false)));
        };
        let cleared = cache.clear_count();
        let input = Input::new(text).range(begin..end).anchored(Anchored::Yes);
        let found = reverse.try_search_rev(cache, &input).map_err(|_| Exhausted)?;
        let start = found.map_or(begin, |found| found.offset());
        budget.spend(STEPPED * (end - start))?;
        budget.clear(cache.clear_count() - cleared)?;
        Ok(Some((start..end, true)))
    }

    /// Whether nothing matches within a range, if that is known once each of its bytes has been looked at. Of ranges that go on over the
    /// same bytes, each after the one before, none is looked at again: what was not over at the end of one is followed from there on.
    pub(super) fn has_none(
        &self,
        text: &[u8],
        range: Range<usize>,
        cache: &mut Cache,
        budget: &mut Budget,
    ) -> Result<bool, Exhausted> {
        let Cache { dfa, open, .. } = cache;
        let cleared = dfa.clear_count();
        // What begins before the ranges that were looked at is none of what was followed.
        let known = open.take().filter(|open| open.since == cleared && open.range.contains(&range.start));
        let (mut state, begin, next) = match known {
            Some(known) if range.end <= known.range.end => {
                budget.spend(ATTEMPT)?;
                *open = Some(known);
                return Ok(true);
            }
            Some(known) => (known.state, known.range.start, known.range.end),
            None => {
                let input = Input::new(text).range(range.clone());
                (self.dfa.start_state_forward(dfa, &input).map_err(|_| Exhausted)?, range.start, range.start)
            }
        };
        budget.take(cost::SEARCHED, 1);
        budget.take(cost::STEPPED, range.end.saturating_sub(next));
        budget.spend(ATTEMPT + STEPPED * range.end.saturating_sub(next))?;
        for byte in text.get(next..range.end).unwrap_or_default() {
            state = self.dfa.next_state(dfa, state, *byte).map_err(|_| Exhausted)?;
            if state.is_tagged() && (state.is_match() || state.is_dead() || state.is_quit()) {
                return Ok(false);
            }
        }
        let last = match text.get(range.end) {
            Some(byte) => self.dfa.next_state(dfa, state, *byte),
            None => self.dfa.next_eoi_state(dfa, state),
        };
        let last = last.map_err(|_| Exhausted)?;
        let times = dfa.clear_count() - cleared;
        budget.clear(times)?;
        let none = !last.is_match() && !last.is_quit();
        // Where the memory was full, states are others now.
        *open = (none && times == 0).then_some(Open { range: begin..range.end, state, since: cleared });
        Ok(none)
    }

    /// Whether what must stand before a keyword ends with a range, and is in it.
    #[inline(never)]
    pub(super) fn stands_before(
        &self,
        text: &[u8],
        range: Range<usize>,
        cache: &mut Cache,
        budget: &mut Budget,
    ) -> Result<bool, Exhausted> {
        let (Some(before), Some(cache)) = (&self.before, &mut cache.before) else { return Ok(true) };
        let cleared = cache.clear_count();
        let input = Input::new(text).range(range.clone()).anchored(Anchored::Yes);
        let mut state = before.start_state_reverse(cache, &input).map_err(|_| Exhausted)?;
        let mut steps = 0;
        for byte in text.get(range.clone()).unwrap_or_default().iter().rev() {
            state = before.next_state(cache, state, *byte).map_err(|_| Exhausted)?;
            if state.is_match() || state.is_dead() || state.is_quit() {
                break;
            }
            steps += 1;
        }
        if steps == range.len() {
            let next = match range.start.checked_sub(1).and_then(|last| text.get(last)) {
                Some(byte) => before.next_state(cache, state, *byte),
                None => before.next_eoi_state(cache, state),
            };
            state = next.map_err(|_| Exhausted)?;
        }
        budget.take(cost::BEFORE, 1);
        budget.take(cost::BEFORE_BYTE, steps);
        budget.clear(cache.clear_count() - cleared)?;
        if state.is_quit() { Err(Exhausted) } else { Ok(state.is_match()) }
    }

    /// Whether anything must stand before a keyword.
    pub(super) fn asks_before(&self) -> bool {
        self.before.is_some()
    }

    pub(super) fn nfa(&self) -> &thompson::NFA {
        &self.nfa
    }

    fn one_pass(&self) -> Option<&onepass::DFA> {
        let built = || {
            let config = onepass::Config::new().size_limit(Some(ONE_PASS));
            onepass::Builder::new().configure(config).build_from_nfa(self.nfa.clone()).ok()
        };
        self.one_pass.get_or_init(built).as_ref()
    }

    /// The whole match in a range that ends where a match ends, and its group: the one asked for, or the first
    /// that took part and is not empty.
    pub(super) fn groups(
        &self,
        text: &[u8],
        range: Range<usize>,
        anchored: bool,
        group: usize,
        cache: &mut Cache,
        budget: &mut Budget,
    ) -> Result<Option<Grouped>, Exhausted> {
        if self.groups.is_none() && anchored {
            return Ok(Some((range.clone(), range)));
        }
        let size = range.len();
        if let (true, Some(split), Some(cache)) = (anchored, &self.split, &mut cache.split) {
            budget.take(cost::SPLIT, 1);
            budget.take(cost::SPLIT_BYTE, size);
            budget.spend(ATTEMPT + STEPPED * size)?;
            if let Some(place) = split.place(text, range.clone(), cache, budget)? {
                return Ok(Some((range.clone(), place..range.end)));
            }
        }
        let one_pass = self.one_pass().filter(|_| anchored);
        let quick = self.groups.as_ref().filter(|groups| size < groups.max_haystack_len());
        let (each, long) = if one_pass.is_some() { (ONE_PASSED, ONE_PASSED) } else { (GROUPED, GROUPED_LONG) };
        let (once, byte) = match one_pass {
            Some(_) => (cost::ONE_PASS, cost::ONE_PASS_BYTE),
            None if self.tries_much => (cost::TRIED, cost::TRIED_MUCH_BYTE),
            None => (cost::TRIED, cost::TRIED_BYTE),
        };
        budget.take(once, 1);
        budget.take(byte, size);
        budget.spend(size.min(LONG) * each + size.saturating_sub(LONG) * long)?;
        let anchor = if anchored { Anchored::Yes } else { Anchored::No };
        let input = Input::new(text).range(range).anchored(anchor);
        let slots = &mut cache.slots;
        let found = match (one_pass, quick) {
            (Some(groups), _) => {
                let cache = cache.one_pass.get_or_insert_with(|| groups.create_cache());
                groups.try_search_slots(cache, &input, slots).map_err(|_| Exhausted)?
            }
            (None, Some(groups)) => {
                let cache = cache.groups.get_or_insert_with(|| groups.create_cache());
                groups.try_search_slots(cache, &input, slots).map_err(|_| Exhausted)?
            }
            (None, None) => {
                let slow = PikeVM::new_from_nfa(self.nfa.clone()).map_err(|_| Exhausted)?;
                slow.search_slots(&mut slow.create_cache(), &input, slots)
            }
        };
        let place = |group: usize| {
            let (from, to) = (slots.get(2 * group)?.as_ref()?, slots.get(2 * group + 1)?.as_ref()?);
            Some(from.get()..to.get())
        };
        let Some(span) = found.and_then(|_| place(0)) else { return Ok(None) };
        let secret = match group {
            0 => (1..slots.len() / 2).filter_map(place).find(|group| !group.is_empty()),
            group => place(group),
        };
        Ok(Some((span.clone(), secret.unwrap_or(span))))
    }
}

/// Pays for a search of a range.
pub(super) fn pay(range: Range<usize>, budget: &mut Budget) -> Result<(), Exhausted> {
    budget.take(cost::SEARCHED, 1);
    budget.take(cost::SEARCHED_BYTE, range.len());
    budget.spend(ATTEMPT + STEPPED * range.len())
}

fn nfa(hir: &Hir, reverse: bool) -> Result<thompson::NFA, String> {
    let captures = if reverse { WhichCaptures::None } else { WhichCaptures::All };
    let config =
        thompson::Config::new().utf8(false).nfa_size_limit(Some(LARGEST)).reverse(reverse).which_captures(captures);
    thompson::Compiler::new().configure(config).build_from_hir(hir).map_err(|error| error.to_string())
}

fn dfa(nfa: thompson::NFA, kind: MatchKind) -> Result<dfa::DFA, String> {
    let config = dfa::Config::new().match_kind(kind).cache_capacity(CACHE).skip_cache_capacity_check(true);
    let built = dfa::Builder::new().configure(config).build_from_nfa(nfa);
    built.map_err(|_| "it uses `\\b` of Unicode, which has no automaton; leave out `(?u)`".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Expressions whose matches go on over the same bytes.
    const LONG: &str = "([ab:=]|a\\*\\??|\\[ab:\\]\\{0,2\\}|\\[ab\\]\\{3,9\\}|\\(\\?::\\|=\\|\\)|\\[\\^:\\]\\*\\??|\\[ab \\]\\+|\\\\b){1,6}";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        /// What is known of one match changes nothing of the next, wherever that begins.
        #[test]
        fn a_match_is_the_same_behind_others(
            expression in LONG,
            text in "([ab]{1,40}|[ab:= ]{0,9}|[a ]{15,17}){0,8}",
            places in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
            in_order: bool,
        ) {
            let hir = crate::expression::parse(&expression).unwrap();
            let automaton = Automaton::new(&hir, false, None).unwrap();
            let mut places: Vec<_> = places.iter().map(|place| place.index(text.len() + 1)).collect();
            if in_order {
                places = (0..text.len()).collect();
            }
            let (mut cache, mut budget) = (automaton.cache(), Budget::patient());
            for at in places {
                let fast = automaton.longest(text.as_bytes(), at, &mut cache, &mut budget).unwrap();
                let slow = automaton.longest(text.as_bytes(), at, &mut automaton.cache(), &mut Budget::patient()).unwrap();
                prop_assert_eq!(fast, slow, "{} at {} of {:?}", expression, at, text);
            }
        }

        /// No match is overlooked in ranges that go on over each other.
        #[test]
        fn none_is_none_behind_others(
            expression in LONG,
            text in "([ab]{1,40}|[ab:= ]{0,9}|[a ]{15,17}){0,8}",
            ranges in prop::collection::vec((any::<prop::sample::Index>(), 0usize..50), 1..20),
            in_order: bool,
        ) {
            let hir = crate::expression::parse(&expression).unwrap();
            let automaton = Automaton::new(&hir, true, None).unwrap();
            let range = |(begin, size): &(prop::sample::Index, usize)| {
                let begin = begin.index(text.len() + 1);
                begin..text.len().min(begin + size)
            };
            let mut ranges: Vec<_> = ranges.iter().map(range).collect();
            if in_order {
                ranges.sort_by_key(|range| range.start);
            }
            let (mut cache, mut budget) = (automaton.cache(), Budget::patient());
            for range in ranges {
                let none = automaton.has_none(text.as_bytes(), range.clone(), &mut cache, &mut budget).unwrap();
                let first = automaton.first(text.as_bytes(), range.clone(), &mut automaton.cache(), &mut Budget::patient());
                prop_assert!(!none || first.unwrap().is_none(), "{} in {:?} of {:?}", expression, range, text);
            }
        }
    }

    proptest! {
        /// The same as finding the groups.
        #[test]
        fn the_secret_is_where_its_group_is(
            before in "([ab:=]|a\\*\\??|\\[ab:\\]\\{0,2\\}|\\(\\?::\\|:=\\|=\\|\\)|\\[\\^:\\]\\*\\?|=\\?| \\*|\\[ \"\\]\\?){1,6}",
            secret in "\\[ab:=\\]\\{[0-4],\\}|\\[ab\\]\\{2,3\\}\\[a:\\]|\\[ab:\\]\\+\\?",
            text in "[ab:= \"]{0,12}[ab:=]{0,9}[ ]?",
        ) {
            let hir = crate::expression::parse(&format!("{before}({secret})")).unwrap();
            let fast = Automaton::new(&hir, false, None).unwrap();
            let slow = Automaton { split: None, ..Automaton::new(&hir, false, None).unwrap() };
            let mut budget = Budget::patient();
            for at in 0..text.len() {
                let end = fast.longest(text.as_bytes(), at, &mut fast.cache(), &mut budget).unwrap();
                let groups = |of: &Automaton| {
                    let mut budget = Budget::patient();
                    end.map(|end| of.groups(text.as_bytes(), at..end, true, 0, &mut of.cache(), &mut budget).unwrap())
                };
                prop_assert_eq!(groups(&fast), groups(&slow));
            }
        }
    }
}
