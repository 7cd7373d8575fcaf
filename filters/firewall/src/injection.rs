//! How much a text tries to give the model other orders: a score, not a match.
//!
//! 1. The [`Lexicon`] names cues, by what they mean and in which language, and which of them, near
//!    each other, are a sign of an injection: `policies/firewall/injection.toml`.
//! 2. The rarer cues are looked for in the whole text. Where none is, nothing else is done. Of a text with [marks] that
//!    its letters do not need, what is left without them is judged instead.
//! 3. Around them the text is [folded](fold) and all cues are looked for; the [`Tally`] adds up
//!    what stands close together.
//! 4. Who speaks is weighed: an order in a tool's result more than one by the person who asks, and
//!    one by whoever wrote the application hardly.
//!
//! A heuristic, and no more: docs/firewall.md says what it cannot see.

mod fold;
mod lexicon;
mod link;
mod marks;
mod place;
mod tally;
#[cfg(test)]
mod tests;
mod windows;

use std::ops::Range;

use crate::document::Diagnostic;
use crate::engine::{Cue as Literal, Hits};
use crate::keywords::Looked;
use crate::rule::Rule;
use crate::scan::Origin;
use crate::view::View;

use fold::Folded;
pub(crate) use fold::reads_the_same;
use lexicon::{Found, Known, Lexicon, Special};
use tally::{Cue, Tally};
use windows::{Foreign, Windows};

/// The most that is folded at once, and how much of it is seen again with what follows.
const CHUNK: usize = 4096;
const OVERLAP: usize = 128;
/// From here on the rest of the text changes nothing.
const CERTAIN: u8 = 95;

/// The injection score, ready to use.
pub(crate) struct Injection {
    lexicon: Lexicon,
    threshold: u8,
}

/// What is reused from text to text.
#[derive(Default)]
pub(crate) struct InjectionScratch {
    windows: Windows,
    /// What is near the triggers, and near letters with accents.
    near: Windows,
    accents: Windows,
    /// What is around links that carry something.
    links: Windows,
    folded: Folded,
    found: Found,
    tally: Tally,
    /// Around how many places it was looked.
    looked: usize,
}

/// What judging a text took.
pub(crate) struct Work {
    /// Around how many places it was looked.
    pub(crate) around: usize,
    /// Finding keywords there.
    pub(crate) looked: Looked,
    /// How many cues were found.
    pub(crate) cues: usize,
}

impl InjectionScratch {
    /// What judging texts took since this was asked last.
    pub(crate) fn work(&mut self) -> Work {
        let (looked, cues) = self.found.work();
        Work { around: std::mem::take(&mut self.looked), looked, cues }
    }
}

/// A text that reached the threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged<'r> {
    /// The rule of the strongest sign.
    pub(crate) rule: &'r Rule,
    /// From the first to the last cue of the strongest place.
    pub(crate) span: Range<usize>,
    /// 0 to 100.
    pub(crate) score: u8,
}

impl Injection {
    /// The score by the lexicon in the program.
    ///
    /// # Errors
    /// What is wrong with the lexicon.
    pub(crate) fn new(disabled: &[String], threshold: u8) -> Result<Self, Diagnostic> {
        Self::by(include_str!("../../../policies/firewall/injection.toml"), disabled, threshold)
    }

    fn by(lexicon: &str, disabled: &[String], threshold: u8) -> Result<Self, Diagnostic> {
        let lexicon = Lexicon::read("injection.toml", lexicon, disabled)?;
        Ok(Self { lexicon, threshold: threshold.max(1) })
    }

    /// What the engine looks for on behalf of the score.
    pub(crate) fn cues(&self) -> &[Literal] {
        self.lexicon.triggers()
    }

    /// Every rule that a finding of the score can name.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.lexicon.rules()
    }

    /// Whether there is a rule of this name, in force or not.
    pub(crate) fn has_rule(&self, name: &str) -> bool {
        self.lexicon.has_rule(name)
    }

    /// Judges one view of a text, which was scanned last. Its place is one in this view.
    pub(crate) fn scan(
        &self,
        view: &str,
        origin: Origin,
        seen: &Hits,
        scratch: &mut InjectionScratch,
    ) -> Option<Judged<'_>> {
        let stands = self.judge(view, origin, Some(seen), scratch);
        let bare = if seen.planes.are_plain() { None } else { marks::without(view) };
        let Some(View { text: bare, map }) = bare else { return stands };
        // Who writes accents apart needs them, and some cues have one: what is stronger counts.
        let judged = self.judge(&bare, origin, None, scratch);
        let bare = judged.map(|judged| Judged { span: map.source(judged.span.clone()), ..judged });
        bare.into_iter().chain(stands).max_by_key(|judged| judged.score)
    }

    /// Judges a text by what the engine has seen in it, if it has.
    fn judge(
        &self,
        view: &str,
        origin: Origin,
        seen: Option<&Hits>,
        scratch: &mut InjectionScratch,
    ) -> Option<Judged<'_>> {
        scratch.windows.clear();
        scratch.near.clear();
        scratch.accents.clear();
        match seen {
            Some(seen) => self.find_places(view, seen, scratch),
            None => self.find_all_places(view, scratch),
        }
        self.find_reasons(view, scratch);
        if scratch.windows.is_empty() {
            return None;
        }
        scratch.tally.clear();
        let windows = std::mem::take(&mut scratch.windows);
        for window in windows.iter() {
            self.look(view, window, origin, scratch);
            if scratch.tally.best() >= CERTAIN {
                break;
            }
        }
        scratch.windows = windows;
        let cluster = scratch.tally.finish(view)?;
        let rule = self.lexicon.rule(cluster.rule)?;
        (cluster.score >= self.threshold).then_some(Judged { rule, span: cluster.span, score: cluster.score })
    }

    /// Finds where there may be reason to look closer: links that carry something, other alphabets, and what is near
    /// triggers, which are only pieces of cues, the cues of which there is one in every sign.
    fn find_places(&self, view: &str, seen: &Hits, scratch: &mut InjectionScratch) {
        let InjectionScratch { windows, near, accents, links, looked, .. } = scratch;
        if !seen.planes.are_plain() {
            windows::foreign(view, &mut |at, kind| match kind {
                Foreign::Script => windows.add_script(at.start, view.len()),
                Foreign::Accent => {
                    *looked += 1;
                    accents.put(place::around(view, at, windows::ACCENTED + windows::BESIDE));
                }
            });
            accents.settle();
            // Of a text in another language, all is looked at: to ask before would take as long.
            let long = accents.iter().filter(|part| part.len() > windows::LONG);
            long.for_each(|part| windows.put(windows::around(part, view.len())));
            windows.settle();
        }
        let is_known = |at: usize| {
            let reach = at.saturating_sub(place::SPREAD)..at.saturating_add(place::SPREAD);
            !windows.is_empty() && windows.have(&windows::around(reach, view.len()))
        };
        links.clear();
        for hit in seen.cues() {
            if !self.lexicon.is_link(hit) {
                if !is_known(hit.at) {
                    self.lexicon.each_reason(view, hit, &mut |at| match at {
                        Some(at) => links.add(at, view.len()),
                        None => {
                            *looked += 1;
                            near.put(place::around(view, hit.at..hit.at, place::CUE));
                        }
                    });
                }
            } else if link::carries(view, hit.at).is_some() {
                links.add(hit.at, view.len());
            }
        }
        links.iter().for_each(|part| windows.put(part));
    }

    /// The same where no triggers are known: the cues may be wherever not all around is looked at already.
    fn find_all_places(&self, view: &str, scratch: &mut InjectionScratch) {
        let InjectionScratch { windows, accents, .. } = scratch;
        link::begin(view).filter(|at| link::carries(view, *at).is_some()).for_each(|at| windows.add(at, view.len()));
        windows::foreign(view, &mut |at, kind| {
            if kind == Foreign::Script {
                windows.add_script(at.start, view.len());
            }
        });
        windows.settle();
        windows.each_open(view.len(), &mut |part| {
            let end = part.end.saturating_add(place::SPREAD).min(view.len());
            accents.put(part.start.saturating_sub(windows::BESIDE)..end);
        });
    }

    /// Looks closer: no part of the text twice.
    fn find_reasons(&self, view: &str, scratch: &mut InjectionScratch) {
        let InjectionScratch { windows, near, accents, folded, found: cues, .. } = scratch;
        windows.settle();
        near.settle();
        accents.settle();
        accents.retain(|part| !windows.have(&windows::around(part.clone(), view.len())));
        for (part, accents) in near.iter().map(|part| (part, false)).chain(accents.iter().map(|part| (part, true))) {
            folded.fold(view, place::floor(view, part.start)..place::ceil(view, part.end));
            let found = &mut |known: &Known, at| {
                let place = folded.place(at);
                if known.special != Some(Special::Line) || place::begins_line(view, place) {
                    windows.add(place, view.len());
                }
            };
            if accents {
                let accented = |at: &Range<usize>| folded.is_accented(view, at);
                self.lexicon.each_accented(folded.bytes(), cues, &accented, found);
            } else {
                self.lexicon.each_marked(folded.bytes(), cues, found);
            }
        }
        windows.settle();
    }

    /// Looks for every cue in a part of the text.
    fn look(&self, view: &str, window: Range<usize>, origin: Origin, scratch: &mut InjectionScratch) {
        let mut from = place::floor(view, window.start);
        let end = place::ceil(view, window.end);
        loop {
            let to = place::ceil(view, from.saturating_add(CHUNK)).min(end);
            scratch.folded.fold(view, from..to);
            self.add_up(view, origin, scratch);
            if to >= end || scratch.tally.best() >= CERTAIN {
                return;
            }
            from = place::floor(view, to.saturating_sub(OVERLAP));
        }
    }

    fn add_up(&self, view: &str, origin: Origin, scratch: &mut InjectionScratch) {
        let InjectionScratch { folded, found, tally, .. } = scratch;
        for (known, at) in self.lexicon.find(folded.bytes(), found) {
            let span = folded.place(at.start)..folded.place(at.end);
            let concept = match known.special {
                None => known.concept,
                Some(Special::Link) => match self.lexicon.link(link::carries(view, span.start)) {
                    Some(concept) => concept,
                    None => continue,
                },
                Some(Special::Token) if place::in_code(view, &span) => self.lexicon.quoted_token,
                Some(Special::Line) if !place::begins_line(view, span.start) => continue,
                Some(Special::Call) if !place::names_tool(view, span.end) => continue,
                Some(_) => known.concept,
            };
            let led = !known.verb || self.lexicon.leads(view, folded.bytes(), at.start, span.start);
            tally.add(view, &Cue { concept, span, led, verb: known.verb, wide: known.wide }, &self.lexicon, origin);
        }
    }
}
