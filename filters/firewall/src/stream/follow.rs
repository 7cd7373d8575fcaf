//! Following a growing text byte by byte: which candidates begin, which of them live on, and which are held
//! for too long.

use std::ops::Range;

use aho_corasick::automaton::StateID;

use super::MOST_HELD;
use super::automaton::{OUTSIDE, Sides, unite};
use super::candidate::{Candidate, put, shrink};
use super::judge::Judge;
use super::kept::Kept;
use super::live::{Live, Owner};
use super::run::{Run, Word};

/// The most states that are alive in one text as it is followed in one way: more than twice what any sample of a rule takes. What needs more is decided as what is held for too long.
const MOST_THREADS: usize = 192;

/// What follows a growing text: its end, and what is alive in it.
#[derive(Default)]
pub(super) struct Follower {
    pub(super) kept: Kept,
    pub(super) words: Option<StateID>,
    pub(super) candidates: Vec<Candidate>,
    /// Rules that match what holds no keyword, of which one stood in the text.
    pub(super) contexts: Vec<usize>,
    pub(super) run: Run,
    pub(super) word: Word,
    pub(super) work: u64,
}

impl Follower {
    /// Takes in a part of the text.
    pub(super) fn follow(&mut self, judge: &mut Judge<'_, '_>, part: Range<u64>) {
        let mut at = self.pass(judge.live, part.clone());
        while let Some(byte) = self.kept.byte(at).filter(|_| at < part.end) {
            self.take(judge, at, byte);
            at = self.pass(judge.live, at + 1..part.end);
        }
    }

    /// Goes over what begins nothing where nothing is alive, and says how far: there [`Follower::take`] would only
    /// have noted where words, runs and keywords stand.
    fn pass(&mut self, live: &Live, part: Range<u64>) -> u64 {
        let Self { kept, words, candidates, run, word, .. } = self;
        let from = part.start;
        if !candidates.is_empty() {
            return from;
        }
        let mut before = from.checked_sub(1).and_then(|at| kept.byte(at));
        let bytes = kept.text().as_bytes().get(kept.index(from)..kept.index(part.end)).unwrap_or_default();
        for (at, byte) in (from..).zip(bytes.iter().copied()) {
            let (mut next_word, mut next_run) = (*word, *run);
            let late = next_word.take(at, byte).is_some();
            let begins = live.begins(before, byte, next_word.evident().is_some());
            let Some(next) = live.next(*words, byte).filter(|_| !late && !begins) else { return at };
            if next_run.take(at, byte).is_some() {
                return at;
            }
            (*words, *word, *run, before) = (Some(next), next_word, next_run, Some(byte));
        }
        part.end
    }

    /// Takes one byte in.
    pub(super) fn take(&mut self, judge: &mut Judge<'_, '_>, at: u64, byte: u8) {
        let Self { kept, words, candidates, contexts, run, word, work, .. } = self;
        let live = judge.live;
        let before = at.checked_sub(1).and_then(|at| kept.byte(at));
        let sides = Sides { before, after: Some(byte) };
        // Before this byte the word was an ordinary one: the rules that could begin in it catch up.
        let late = word.take(at, byte);
        let begins = live.beginning_with(before, byte, word.evident().is_some() && late.is_none());
        let starts =
            |place: &usize| live.rule(*place).is_some_and(|rule| !rule.class.context || contexts.contains(place));
        let mut begun = 0usize;
        for candidate in candidates.iter_mut() {
            let Some(rule) = live.rule(candidate.place()) else { continue };
            let starts = begins.contains(&candidate.place()) && starts(&candidate.place());
            begun += usize::from(starts);
            let relative = candidate.relative(at);
            let reached =
                rule.automaton.step(&mut candidate.threads, starts.then_some(relative), relative, sides, work);
            candidate.heed(kept, judge, reached, at + 1);
        }
        if begun < begins.len() {
            for place in begins.iter().filter(|place| starts(place)) {
                if candidates.iter().any(|candidate| candidate.place() == *place) {
                    continue;
                }
                let Some(rule) = live.rule(*place) else { continue };
                let mut candidate = Candidate::new(*place, at);
                let reached = rule.automaton.step(&mut candidate.threads, Some(0), 0, sides, work);
                candidate.heed(kept, judge, reached, at + 1);
                candidate.keep(candidates);
            }
        }
        let mut catch_up = |place: usize, from: u64, begins: u64, keyword: Option<u64>| {
            let Some(rule) = live.rule(place) else { return };
            let from = from.max(kept.begin());
            let known = candidates.iter().position(|candidate| candidate.place() == place);
            let base = known.and_then(|known| candidates.get(known)).map_or(from, |known| known.base.min(from));
            let mut fresh = Candidate::new(place, base);
            let mut reached = None;
            for place in from..=at {
                let before = place.checked_sub(1).and_then(|place| kept.byte(place));
                let sides = Sides { before, after: kept.byte(place) };
                let relative = fresh.relative(place);
                let first = sides.after.is_some_and(|byte| rule.begins_with(sides.before, byte));
                if fresh.threads.is_empty() && !first {
                    continue;
                }
                let start = (place <= begins && first).then_some(relative);
                reached = rule.automaton.step(&mut fresh.threads, start, relative, sides, work);
                if fresh.threads.is_empty() && place >= begins && reached.is_none() {
                    break;
                }
            }
            // The keyword may leave, and so may the little before it that is a part of its prefix.
            let after = keyword.map_or(0, |after| fresh.relative(after).saturating_sub(rule.class.prefix));
            for thread in fresh.threads.iter_mut().filter(|thread| thread.secret != OUTSIDE) {
                thread.secret = thread.secret.max(after);
            }
            if let Some(known) = known.and_then(|known| candidates.get_mut(known)) {
                known.rebase(base);
                unite(&mut known.threads, &fresh.threads);
                known.heed(kept, judge, reached, at + 1);
                put(fresh.threads);
            } else {
                fresh.heed(kept, judge, reached, at + 1);
                fresh.keep(candidates);
            }
        };
        if let Some(from) = late {
            live.word_rules().iter().for_each(|place| catch_up(*place, from, at, None));
        }
        live.keywords(words, byte, &mut |Owner { place, length, back }| {
            if live.rule(place).is_some_and(|rule| rule.class.context) && !contexts.contains(&place) {
                contexts.push(place);
            }
            let keyword = (at + 1).saturating_sub(length as u64);
            let stem = live.rule(place).and_then(|rule| rule.stem.as_ref());
            if let Some(stem) = stem {
                catch_up(place, stem.begin(kept, keyword), keyword, None);
            } else if let Some(back) = back {
                catch_up(place, keyword.saturating_sub(back as u64), keyword, Some(at + 1));
            }
        });
        if let Some(span) = run.take(at, byte) {
            judge.decode(kept, span);
        }
        if candidates.is_empty() {
            return;
        }
        candidates.retain_mut(|candidate| {
            let alive = !candidate.threads.is_empty() || candidate.is_pending();
            if !alive {
                put(std::mem::take(&mut candidate.threads));
            }
            alive
        });
        shrink(candidates);
    }

    /// Judges what is undecided as if the text ended here.
    pub(super) fn finish(&mut self, judge: &mut Judge<'_, '_>) {
        let end = self.kept.end();
        let before = end.checked_sub(1).and_then(|at| self.kept.byte(at));
        for candidate in &self.candidates {
            let Some(rule) = judge.live.rule(candidate.place()) else { continue };
            let mut threads = candidate.threads.clone();
            let at = candidate.relative(end);
            let reached = rule.automaton.finish(&mut threads, at, before, &mut self.work);
            if reached.is_some() || candidate.is_pending() {
                judge.confirm(&self.kept, candidate.place(), candidate.base, end);
            }
        }
    }

    /// From where on something is held.
    pub(super) fn held(&self, judge: &Judge<'_, '_>) -> Option<u64> {
        let held = self.candidates.iter().filter_map(|candidate| {
            let rule = judge.live.rule(candidate.place())?;
            let held = candidate.held(rule)?;
            // Of an ordinary word nothing is held before it is none.
            let held = if rule.class.words && rule.class.everywhere && rule.class.back.is_none() {
                held.max(self.word.evident()?)
            } else {
                held
            };
            let rule = judge.rules.engine.rules().get(rule.number);
            rule.is_none_or(|rule| (judge.holds)(&rule.rule)).then_some(held)
        });
        held.chain(self.stems(judge)).min().filter(|held| *held < self.kept.end())
    }

    /// Where the words begin that the text ends with and that may be a part of something, for each rule that holds them.
    fn stems(&self, judge: &Judge<'_, '_>) -> impl Iterator<Item = u64> {
        judge.live.stems().filter_map(|(live, stem)| {
            let rule = judge.rules.engine.rules().get(live.number);
            if rule.is_none_or(|rule| (judge.holds)(&rule.rule)) { stem.open(live, &self.kept) } else { None }
        })
    }

    /// Decides what is held for too long.
    pub(super) fn cap(&mut self, judge: &mut Judge<'_, '_>) {
        let Self { kept, candidates, .. } = self;
        let end = kept.end();
        let all: usize = candidates.iter().map(|candidate| candidate.threads.len()).sum();
        let largest = candidates.iter().map(|candidate| candidate.threads.len()).max().unwrap_or(0);
        let too_many = if all > MOST_THREADS { largest } else { usize::MAX };
        for candidate in candidates.iter_mut() {
            let Some(rule) = judge.live.rule(candidate.place()) else { continue };
            let held = candidate.held(rule);
            let long = held.is_some_and(|held| end.saturating_sub(held) > MOST_HELD);
            if !long && candidate.threads.len() < too_many {
                // What does not hold anything ends with what is kept of it.
                if candidate.base + u64::from(u32::MAX / 2) < end {
                    candidate.threads.clear();
                }
                continue;
            }
            candidate.decide(kept, judge, end);
            candidate.end();
        }
        candidates.retain(|candidate| !candidate.threads.is_empty());
    }
}
