//! Finding what the rules' expressions match: keywords first, then only the rules that can match, each
//! at its place.

mod automaton;
mod beginning;
mod compiled;
mod digits;
mod gate;
mod hits;
mod looking;
mod plan;
mod signs;
mod split;
mod starts;
mod trail;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::util::pool::Pool;

use crate::budget::cost;
use crate::decode::{Begin, Disguised, Marked};
use crate::keywords::{Keyword, Keywords};
use crate::planes::Planes;
use crate::rule::Rule;
use crate::runs;
use crate::scan::{self, Exhausted, Standing};
use crate::trigger::{self, Trigger};
use automaton::Cache;
pub(crate) use beginning::Beginning;
use compiled::Reach;
pub(crate) use compiled::{Compiled, Statement};
use hits::MOST_CUES;
pub(crate) use hits::{Cue, CueHit, Hits};
use signs::Signs;
use starts::Starts;

/// All rules, ready to match.
pub(crate) struct Engine {
    rules: Vec<Compiled>,
    /// Of each rule, whether its findings can be sure.
    sure: Vec<bool>,
    /// The keywords of all rules, and the cues; and those of the rules whose findings can be sure.
    all: Anchors,
    of_sure: Anchors,
    /// Rules that look at every text, whatever it says.
    always: Vec<usize>,
    /// Rules that look at every run of characters that tokens are made of.
    at_runs: Starts,
    /// What gives away where rules may find something that is sure.
    signs: Signs,
    disguised: Disguised,
    caches: Caches,
}

/// Keywords, and who each is for.
struct Anchors {
    keywords: Keywords,
    /// Of each keyword: where its targets begin, and where the next one's do.
    starts: Vec<u32>,
    targets: Vec<Target>,
}

type ByKeyword = BTreeMap<Keyword, Vec<Target>>;

/// What the rules' automata reuse from text to text, once for each thread at work.
type Caches = Pool<OfRules, Box<dyn Fn() -> OfRules + Send + Sync + UnwindSafe + RefUnwindSafe>>;
struct OfRules {
    caches: Vec<Option<Box<Cache>>>,
    /// How many passes over texts they were used in.
    passes: u64,
}

/// Who a keyword is for.
#[derive(Clone, Copy)]
enum Target {
    /// A rule, whose matches begin so far before it.
    Rule { number: u32, least: u32, most: u32 },
    /// Somebody else, by the number of the cue.
    Cue(u32),
}

/// A view of a text, and what its bytes are.
#[derive(Clone, Copy)]
struct Seen<'t> {
    text: &'t str,
    planes: &'t Planes,
}

/// A match in one view of a text.
#[derive(Clone)]
pub(crate) struct Match<'r> {
    pub(crate) rule: &'r Rule,
    pub(crate) span: Range<usize>,
    pub(crate) secret: Range<usize>,
    /// The rule with its expression, if it has one.
    pub(crate) compiled: Option<&'r Compiled>,
}

impl Anchors {
    /// Of these, some of whose targets only need those that stand at the edge of a word.
    fn new(by_keyword: ByKeyword, at_edge: impl Fn(&Target) -> bool) -> Self {
        let mut starts = vec![0u32];
        let mut targets = Vec::new();
        for of_one in by_keyword.values() {
            targets.extend(of_one);
            starts.push(targets.len() as u32);
        }
        let at_edges: Vec<bool> = by_keyword.values().map(|of_one| of_one.iter().all(&at_edge)).collect();
        let keywords: Vec<Keyword> = by_keyword.into_keys().collect();
        let keywords = Keywords::with_edges(&keywords, |number| at_edges.get(number as usize) == Some(&true));
        Self { keywords, starts, targets }
    }

    fn of(&self, keyword: u32) -> &[Target] {
        let of = |keyword: u32| self.starts.get(keyword as usize).map_or(0, |start| *start as usize);
        self.targets.get(of(keyword)..of(keyword + 1)).unwrap_or_default()
    }
}

/// By what findings that can be sure are told where a text is disguised: the keywords of their rules, and what a rule
/// without a keyword to look for is believed by.
fn marked<'r>(rules: &'r [Compiled], of_sure: &ByKeyword) -> impl Iterator<Item = (Keyword, Vec<Marked<'r>>)> {
    let of_rule = |target: &Target| match *target {
        Target::Rule { number, most, .. } => rules.get(number as usize).map(|rule| rule.marked(most == 0)),
        Target::Cue(_) => None,
    };
    let of_keywords =
        of_sure.iter().map(move |(mark, targets)| (mark.clone(), targets.iter().filter_map(of_rule).collect()));
    let others = rules.iter().filter(|rule| rule.anchors.is_empty() && scan::can_be_sure(rule)).flat_map(|rule| {
        scan::marks(rule).map(|mark| (Keyword::any_case(mark), vec![rule.marked(rule.beginning.is(mark.as_bytes()))]))
    });
    of_keywords.chain(others)
}

/// What rules begin with whose findings can be sure, and that have nothing that tells of them.
fn unmarked(rules: &[Compiled]) -> Vec<Begin> {
    let unmarked = rules.iter().filter(|rule| rule.is_proven() && rule.anchors.is_empty() && scan::can_be_sure(rule));
    unmarked.filter_map(|rule| rule.marked(true).begin).collect()
}

impl Engine {
    /// Of these rules, and of the cues that others look for.
    pub(crate) fn new(rules: Vec<Compiled>, cues: &[Cue]) -> Self {
        let sure: Vec<bool> = rules.iter().map(scan::can_be_sure).collect();
        let (mut all, mut of_sure) = (ByKeyword::new(), ByKeyword::new());
        let mut always = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            if rule.anchors.is_empty() && rule.trigger() != Some(Trigger::Run) {
                always.push(number);
            }
            for anchor in &rule.anchors {
                let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                let target = Target::Rule {
                    number: narrow(number),
                    least: narrow(anchor.before.0),
                    most: narrow(anchor.before.1),
                };
                if sure.get(number).is_some_and(|sure| *sure) {
                    of_sure.entry(anchor.keyword.clone()).or_default().push(target);
                }
                all.entry(anchor.keyword.clone()).or_default().push(target);
            }
        }
        always.sort_by_key(|number| rules.get(*number).and_then(Compiled::trigger).map(|trigger| trigger as u8));
        for (number, cue) in (0u32..).zip(cues) {
            let keyword = if cue.any_case { Keyword::any_case(&cue.text) } else { Keyword::exact(&cue.text) };
            all.entry(keyword).or_default().push(Target::Cue(number));
        }
        let disguised = Disguised::new(marked(&rules, &of_sure), unmarked(&rules));
        let at_runs = Starts::of(&rules, |_| true);
        let goes_over_lines = of_sure.keys().any(|keyword| keyword.text.contains(&b'\n'));
        let at_edge = |target: &Target| match *target {
            Target::Rule { number, .. } => rules.get(number as usize).is_some_and(Compiled::needs_edge),
            Target::Cue(_) => false,
        };
        let (all, of_sure) = (Anchors::new(all, at_edge), Anchors::new(of_sure, at_edge));
        let is_sure = |number: usize| sure.get(number).is_some_and(|sure| *sure);
        let anywhere = always.iter().any(|number| is_sure(*number)) || goes_over_lines;
        let signs = Signs::new(&rules, is_sure, anywhere);
        let count = rules.len();
        let caches: Caches = Pool::new(Box::new(move || OfRules {
            caches: std::iter::repeat_with(|| None).take(count).collect(),
            passes: 0,
        }));
        Self { all, of_sure, sure, always, at_runs, signs, disguised, rules, caches }
    }

    /// What gives away a token that is written backwards or with other letters.
    pub(crate) fn disguised(&self) -> &Disguised {
        &self.disguised
    }

    pub(crate) fn rules(&self) -> &[Compiled] {
        &self.rules
    }

    /// Whether there is a rule of this name.
    pub(crate) fn has(&self, rule: &str) -> bool {
        self.rules.iter().any(|known| *known.rule.id == *rule)
    }

    /// Whether the rule of this name finds anything in a text.
    pub(crate) fn finds(&self, rule: &str, text: &str, hits: &mut Hits) -> Result<bool, Exhausted> {
        let mut found = false;
        hits.begin(text.len());
        self.scan(text, hits, &mut |hit| {
            found |= *hit.rule.id == *rule;
            Standing::Open
        })?;
        Ok(found)
    }

    /// Counts the keywords in a text: how fast that is bounds everything else.
    #[cfg(test)]
    pub(crate) fn hits(&self, text: &str, count: &mut usize) {
        let each = self.all.keywords.each(text.as_bytes(), &mut |_, _| {
            *count += 1;
            Ok::<_, std::convert::Infallible>(())
        });
        each.unwrap_or_default();
    }

    /// Reads whatever has a mark, and not only what may begin with it.
    #[cfg(test)]
    pub(crate) fn open(mut self) -> Self {
        self.disguised.open();
        self
    }

    /// Every rule's name with each of the keywords that it looks at.
    #[cfg(test)]
    pub(crate) fn anchors(&self) -> Vec<(String, String)> {
        let of = |rule: &Compiled| {
            let text = |anchor: &plan::Anchor| String::from_utf8_lossy(&anchor.keyword.text).into_owned();
            rule.anchors.iter().map(|anchor| (rule.rule.id.to_string(), text(anchor))).collect::<Vec<_>>()
        };
        self.rules.iter().flat_map(of).collect()
    }

    /// Scans what a text only says when it is read in an unusual way, with the rules whose findings can be sure.
    /// No cue is looked for.
    pub(crate) fn scan_sure<'r>(
        &'r self,
        text: &str,
        hits: &mut Hits,
        found: &mut dyn FnMut(Match<'r>) -> Standing,
    ) -> Result<(), Exhausted> {
        hits.budget.look_together(text.len())?;
        self.scan_paid(text, hits, found)
    }

    /// The same, of what has been paid for.
    pub(crate) fn scan_paid<'r>(
        &'r self,
        text: &str,
        hits: &mut Hits,
        found: &mut dyn FnMut(Match<'r>) -> Standing,
    ) -> Result<(), Exhausted> {
        hits.only_sure = true;
        let done = self.pass(text, hits, found);
        hits.only_sure = false;
        done
    }

    /// Scans one view of a text.
    pub(crate) fn scan<'r>(
        &'r self,
        text: &str,
        hits: &mut Hits,
        found: &mut dyn FnMut(Match<'r>) -> Standing,
    ) -> Result<(), Exhausted> {
        match hits.again {
            true => hits.budget.look_again(text.len(), self.always.len())?,
            false => hits.budget.earn(text.len(), self.always.len()),
        }
        self.pass(text, hits, found)
    }

    /// Passes over one view of a text.
    fn pass<'r>(
        &'r self,
        text: &str,
        hits: &mut Hits,
        found: &mut dyn FnMut(Match<'r>) -> Standing,
    ) -> Result<(), Exhausted> {
        hits.cues.clear();
        hits.turn += 1;
        let mut planes = std::mem::take(&mut hits.planes);
        planes.read(text);
        let done = self.pass_over(Seen { text, planes: &planes }, hits, found);
        hits.planes = planes;
        done
    }

    fn pass_over<'r>(
        &'r self,
        seen: Seen<'_>,
        hits: &mut Hits,
        found: &mut dyn FnMut(Match<'r>) -> Standing,
    ) -> Result<(), Exhausted> {
        let text = seen.text;
        hits.budget.take(cost::PASS, 1);
        if hits.again && !hits.only_sure {
            hits.budget.take(cost::PASSED, text.len());
        }
        hits.marks.resize(self.rules.len().max(hits.marks.len()), hits::Mark::default());
        let mut caches = self.caches.get();
        caches.passes += 1;
        self.look_everywhere(text, hits, &mut caches, found)?;
        self.look_at_runs(seen, hits, &mut caches, found)?;
        let anchors = if hits.only_sure { &self.of_sure } else { &self.all };
        let looked = anchors.keywords.each(text.as_bytes(), &mut |at, keyword| {
            hits.budget.take(cost::KEYWORD, 1);
            for target in anchors.of(keyword) {
                match *target {
                    Target::Rule { number, least, most } => {
                        let Some(last) = at.checked_sub(least as usize) else { continue };
                        self.look(seen, number, at.saturating_sub(most as usize)..last, hits, &mut caches, found)?;
                    }
                    Target::Cue(cue) if hits.cues.len() < MOST_CUES => hits.cues.push(CueHit { at, cue }),
                    Target::Cue(_) => return Err(Exhausted),
                }
            }
            Ok(())
        })?;
        hits.budget.take_looked(looked);
        Ok(())
    }

    /// Whether a rule looks at the text at all.
    fn looks(&self, number: usize, rule: &Compiled, hits: &Hits) -> bool {
        let sure = || self.sure.get(number).is_some_and(|sure| *sure);
        rule.is_for(hits.path.as_deref()) && (!hits.only_sure || sure())
    }

    /// Lets the rules without keywords look where they look instead.
    fn look_everywhere<'r>(
        &'r self,
        text: &str,
        hits: &mut Hits,
        caches: &mut OfRules,
        found: &mut dyn FnMut(Match<'r>) -> Standing,
    ) -> Result<(), Exhausted> {
        let mut places = std::mem::take(&mut hits.places);
        let mut placed = None;
        for number in &self.always {
            let (Some(rule), Some(cache)) = (self.rules.get(*number), caches.caches.get_mut(*number)) else { continue };
            if !self.looks(*number, rule, hits) {
                continue;
            }
            let trigger = rule.trigger();
            // They are in force in the order of their triggers, so that each kind of place is looked for once.
            if placed.replace(trigger) != Some(trigger) {
                places.clear();
                match trigger {
                    Some(Trigger::Digits) => trigger::places(text, &mut places),
                    _ => places.push(0..text.len()),
                }
            }
            let Hits { budget, path, .. } = &mut *hits;
            let cache = cache.get_or_insert_with(|| Box::new(rule.cache()));
            cache.go_on_in(caches.passes);
            let mut looking = rule.looking(text, path.as_deref(), cache, budget);
            for place in places.iter().cloned() {
                looking.each(place, found)?;
            }
        }
        hits.places = places;
        Ok(())
    }

    /// Lets the rules look that begin with nothing that would do as a keyword.
    fn look_at_runs<'r>(
        &'r self,
        seen: Seen<'_>,
        hits: &mut Hits,
        caches: &mut OfRules,
        found: &mut dyn FnMut(Match<'r>) -> Standing,
    ) -> Result<(), Exhausted> {
        if self.at_runs.is_empty() {
            return Ok(());
        }
        let Seen { text, planes } = seen;
        let mut places = std::mem::take(&mut hits.places);
        runs::find(text, planes, &mut places);
        let mut done = Ok(());
        let mut runs = places.drain(..).peekable();
        while let Some(run) = runs.next() {
            // What it goes on with may be a run of its own.
            let until = runs.peek().map_or(run.end, |next| next.start.clamp(run.start, run.end));
            hits.budget.take(cost::RUN, until - run.start);
            done = hits.budget.spend(run.len()).and_then(|()| {
                let look = &mut |at, number| self.look(seen, number, at..at, hits, caches, found);
                self.at_runs.each(text.as_bytes(), planes, (run, until), look)
            });
            if done.is_err() {
                break;
            }
        }
        drop(runs);
        hits.places = places;
        done
    }

    /// Lets one rule look at a text, of whose matches one may begin within a range.
    fn look<'r>(
        &'r self,
        seen: Seen<'_>,
        number: u32,
        begins: Range<usize>,
        hits: &mut Hits,
        caches: &mut OfRules,
        found: &mut dyn FnMut(Match<'r>) -> Standing,
    ) -> Result<(), Exhausted> {
        let Some(rule) = self.rules.get(number as usize) else { return Ok(()) };
        hits.budget.take(cost::ASKED, 1);
        // Most of what has a keyword is something else, and shows so in its first bytes.
        let Seen { text, planes } = seen;
        let Some(mark) = hits.mark(number) else { return Ok(()) };
        if rule.reach == Reach::Here {
            let mut between = mark.between.0..mark.between.1;
            let may_match = rule.may_match_in(text.as_bytes(), planes, begins.end, &mut between);
            mark.between = (between.start, between.end);
            if !may_match {
                return Ok(());
            }
        }
        let Some(cache) = caches.caches.get_mut(number as usize) else { return Ok(()) };
        let mut done = mark.done;
        if mark.tried == begins.end + 1 || begins.end < done {
            return Ok(());
        }
        mark.tried = begins.end + 1;
        if !self.looks(number as usize, rule, hits) {
            return Ok(());
        }
        let cache = cache.get_or_insert_with(|| Box::new(rule.cache()));
        cache.go_on_in(caches.passes);
        let Hits { budget, path, .. } = hits;
        let mut looking = rule.looking(text, path.as_deref(), cache, &mut *budget);
        if rule.automaton.asks_before() && !looking.may_come_to_keyword(begins.start.max(done)..begins.end)? {
            return Ok(());
        }
        match rule.reach {
            Reach::Here => {
                if let Some(hit) = looking.matching(begins.end)? {
                    done = hit.span.end;
                    budget.heed(found(hit));
                }
            }
            Reach::Near => {
                for begin in begins.start.max(done)..=begins.end {
                    if let Some(hit) = looking.at(begin)? {
                        done = hit.span.end;
                        budget.heed(found(hit));
                        break;
                    }
                }
            }
            Reach::Window { longest } => {
                let range = begins.start.max(done)..begins.end.saturating_add(longest).min(text.len());
                if !looking.has_none(range.clone())? {
                    looking.each(range, &mut |hit| {
                        done = hit.span.end;
                        found(hit)
                    })?;
                }
            }
            Reach::Whole => {
                looking.each(0..text.len(), found)?;
                done = usize::MAX;
            }
        }
        if let Some(mark) = hits.mark(number) {
            mark.done = done;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
