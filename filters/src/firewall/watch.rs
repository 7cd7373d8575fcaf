//! The eye on an answer: holds what may still become a finding, lets everything else go.
//!
//! 1. Each growing text of an answer (choice, field, tool call, tokens) is a [`Stream`] of its own.
//! 2. A finding ends the answer, or is taken out of the frames that are still held.
//! 3. A frame is held while anything in it is undecided. It is amended when it leaves: by then
//!    everything that is to be taken out of it is known.
//! 4. Every other string is judged at once, as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use portcullis_firewall::{Action, Direction, Kind, Rule, Stream};
use portcullis_policies::DataLevel;

use super::judge::{Judge, code};
use super::spans::Spans;
use crate::exchange::Noted;
use crate::filter::Watch;
use crate::frame::{Channel, Frame, FrameBody, Piece};
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

mod amend;
#[cfg(test)]
mod attacks;
mod beside;
mod found;
mod growing;
mod single;
#[cfg(test)]
mod tests;

use amend::{Cut, Named};
use beside::Beside;
use found::{Found, FoundOnce, MOST_FOUND};
use growing::Growing;
use single::Singles;

/// The most growing texts that one answer may have.
const MAX_CHANNELS: usize = 256;
/// After so many frames that brought text, but none of it, a text counts as ended: a thought that stops
/// at the beginning of a word must not hold the answer that follows it. What brings no text, a comment
/// or an empty piece, does not count: it would let go what is held.
const PATIENCE: u64 = 16;
/// The most that is taken out of frames that are held at the same time.
const MAX_CUTS: usize = 4096;
/// The most findings of one answer that are told one by one.
const TOLD: usize = 16;

/// The eye on one answer.
pub(super) struct AnswerWatch {
    judge: Arc<Judge>,
    state: State,
}

/// What the eye knows of an answer.
#[derive(Default)]
struct State {
    /// Each text comes as a whole.
    whole: bool,
    /// There are one or two, as a rule.
    channels: Vec<(u64, Box<Growing>)>,
    /// How many frames brought a piece of a growing text.
    spoken: u64,
    singles: Singles,
    /// Something was found in the last frame that was read, beside its growing texts.
    found_single: bool,
    /// It lists the answer's tokens.
    lists_tokens: bool,
    /// What is to be taken out of frames that are held.
    cuts: BTreeMap<u64, Vec<Cut>>,
    /// How many there are.
    cut: usize,
    /// Frames that list the answer's tokens by their numbers, after something was taken out of it.
    listing: BTreeSet<u64>,
    redacted: bool,
    /// How many marks left.
    marks: u32,
    noted: Vec<Noted>,
    level: DataLevel,
    refusal: Option<Refusal>,
}

impl AnswerWatch {
    pub(super) fn new(judge: Arc<Judge>) -> Self {
        Self { judge, state: State::default() }
    }

    /// On an answer that comes as a whole: its texts have all come when they are judged.
    pub(super) fn whole(judge: Arc<Judge>) -> Self {
        Self { judge, state: State { whole: true, ..State::default() } }
    }
}

impl Watch for AnswerWatch {
    fn frame(&mut self, number: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        let Self { judge, state } = self;
        let mut place = 0;
        // A comment of a stream of events is a text, too, but no part of the answer.
        let mut silent = matches!(frame.body, FrameBody::Json(_));
        state.found_single = false;
        frame.each_piece(&mut |piece| {
            state.see(judge, number, place, &piece, &mut silent);
            place += 1;
        });
        state.settle_quiet(judge);
        state.lists_tokens = lists_tokens(frame);
        if state.redacted && state.lists_tokens {
            state.listing.insert(number);
        }
        Ok(state.refusal.take().map_or(Verdict::Pass, Verdict::Block))
    }

    fn likens(&self) -> bool {
        !self.state.found_single && !self.state.lists_tokens
    }

    fn glance(&mut self, number: u64, texts: &[(usize, Piece<'_>)]) -> Result<Option<Refusal>, FilterError> {
        let Self { judge, state } = self;
        let mut silent = true;
        texts.iter().for_each(|(place, piece)| state.see(judge, number, *place, piece, &mut silent));
        state.settle_quiet(judge);
        Ok(state.refusal.take())
    }

    fn holds(&self) -> Option<u64> {
        self.state.channels.iter().filter_map(|(_, text)| text.holds()).min()
    }

    fn amends(&self, number: u64) -> bool {
        self.state.cuts.contains_key(&number) || self.state.listing.contains(&number)
    }

    fn amend(&mut self, number: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        let cuts = self.state.cuts.remove(&number).unwrap_or_default();
        self.state.cut = self.state.cut.saturating_sub(cuts.len());
        self.state.listing.remove(&number);
        Ok(match amend::amend(frame, &cuts) {
            Some((bytes, marks)) => {
                self.state.marks = self.state.marks.saturating_add(marks);
                Verdict::Replace(bytes)
            }
            None => Verdict::Block(refuse_uncut(cuts.iter().find_map(|cut| Some(&*cut.rule.as_ref()?.rule)))),
        })
    }

    fn end(&mut self) -> Result<Option<Refusal>, FilterError> {
        let Self { judge, state } = self;
        let mut channels = std::mem::take(&mut state.channels);
        for (_, text) in &mut channels {
            state.finish(judge, text);
        }
        Ok(self.state.refusal.take())
    }

    fn level(&self) -> DataLevel {
        self.state.level
    }

    fn findings(&self) -> &[Noted] {
        &self.state.noted
    }

    fn redactions(&self) -> u32 {
        self.state.marks
    }
}

impl State {
    /// Judges one text of a frame, which is `silent` until it says a piece of the answer.
    fn see(&mut self, judge: &Judge, number: u64, place: usize, piece: &Piece<'_>, silent: &mut bool) {
        if *silent && matches!(piece.channel, Channel::Growing(_)) && !piece.text.is_empty() {
            *silent = false;
            self.spoken += 1;
        }
        if self.refusal.is_none() {
            self.take(judge, number, place, piece);
        }
    }

    fn take(&mut self, judge: &Judge, number: u64, place: usize, piece: &Piece<'_>) {
        match piece.channel {
            Channel::Single => self.take_single(judge, number, place, piece),
            Channel::Growing(channel) => {
                let mut channels = std::mem::take(&mut self.channels);
                if channels.iter().all(|(known, _)| *known != channel) && channels.len() < MAX_CHANNELS {
                    channels.push((channel, Box::default()));
                }
                match channels.iter_mut().find(|(known, _)| *known == channel) {
                    Some((_, text)) => self.take_growing(judge, number, place, piece, text),
                    None => self.broken("the answer has too many texts"),
                }
                self.channels = channels;
            }
        }
    }

    /// Judges a text that stands for itself.
    fn take_single(&mut self, judge: &Judge, number: u64, place: usize, piece: &Piece<'_>) {
        if self.singles.knows(piece) {
            return;
        }
        let mut found = Vec::new();
        let mut more = false;
        let said = single::scan(judge, piece, &mut |rule, secret| {
            if found.len() < MOST_FOUND { found.push((rule, secret)) } else { more = true }
        });
        if !said {
            return self.broken("a text of the answer takes more work to judge than a text of its size may take");
        }
        if more {
            return self.broken("too much was found in a text of the answer");
        }
        if found.is_empty() {
            return self.singles.remember(piece);
        }
        self.found_single = true;
        let span = |secret: &Range<usize>| secret.start as u64..secret.end as u64;
        // A key that loses a part is another key.
        let redacted = found.iter().filter(|(rule, _)| !piece.is_key && judge.redacts(rule));
        let taken = Spans::of(redacted.map(|(_, secret)| span(secret)));
        for (rule, secret) in found {
            let Some(decision) = judge.decide(rule, Direction::Response) else { continue };
            let gone = decision.yields() && taken.hold(&span(&secret));
            let action = if piece.is_key { uncut(decision.action) } else { decision.action };
            let action = if gone { Action::Redact } else { action };
            judge.count(rule, action);
            self.note(rule, action, print(judge, piece.text.get(secret.clone())));
            match action {
                Action::Flag => {}
                Action::Block => self.refuse(rule),
                Action::Redact if gone => {}
                Action::Redact => {
                    let rule = Some(Named::of(rule));
                    self.cut(number, Cut { place, part: secret, rule, goes_on: false, quoted: None });
                }
            }
        }
    }

    /// Judges a piece of a growing text.
    fn take_growing(&mut self, judge: &Judge, number: u64, place: usize, piece: &Piece<'_>, text: &mut Growing) {
        let mut found = FoundOnce::default();
        if self.whole {
            text.stream.read_whole();
        }
        text.add(number, place, piece, self.spoken);
        let rules = &*judge.rules;
        let holds = |rule: &Rule| judge.acts(rule);
        let begin = text.stream.pushed();
        let here = (begin, piece.text);
        let said = text.stream.push(rules, piece.text, &holds, &mut |f| found.take(f));
        let FoundOnce { found, more, .. } = found;
        if more {
            return self.broken("too much was found in a text of the answer");
        }
        if said.is_err() {
            return self.broken("a text of the answer takes more work to judge than a text of its size may take");
        }
        self.heed(judge, text, here, found, false);
        text.forget();
    }

    /// Decides texts that have not grown for a while as if they had ended.
    fn settle_quiet(&mut self, judge: &Judge) {
        let spoken = self.spoken;
        let mut channels = std::mem::take(&mut self.channels);
        for (_, text) in channels.iter_mut().filter(|(_, text)| text.is_quiet(spoken, PATIENCE)) {
            self.finish(judge, text);
            text.give_up();
        }
        self.channels = channels;
    }

    fn finish(&mut self, judge: &Judge, text: &mut Growing) {
        let mut found = FoundOnce::default();
        let said = text.stream.finish(&judge.rules, &mut |f| found.take(f));
        let FoundOnce { found, more, .. } = found;
        if said.is_err() || more {
            self.broken("a text of the answer takes more work to judge than a text of its size may take");
        }
        self.heed(judge, text, (0, ""), found, true);
    }

    /// Does what is to be done about what was found in a growing text, of which this piece is here.
    fn heed(&mut self, judge: &Judge, text: &mut Growing, here: (u64, &str), found: Vec<Found<'_>>, ended: bool) {
        for Found { rule, secret, exact, prefix, again } in found {
            let Some(decision) = judge.decide(rule, Direction::Response) else { continue };
            let fingerprint = print(judge, if exact { part(here, &secret) } else { None });
            if exact && decision.yields() {
                text.besides.add(Beside { rule: rule.clone(), secret, again, fingerprint });
                continue;
            }
            let redacts = decision.action == Action::Redact;
            let cuts = if redacts && exact { text.cuts(&secret, prefix, rule) } else { None };
            let action = if cuts.is_none() { uncut(decision.action) } else { decision.action };
            if !again {
                judge.count(rule, action);
            }
            self.note(rule, action, fingerprint);
            match cuts {
                _ if action == Action::Flag => {}
                Some(cuts) => {
                    text.besides.take(&secret);
                    cuts.into_iter().for_each(|(number, cut)| self.cut(number, cut));
                }
                None => self.refuse(rule),
            }
        }
        for (beside, gone) in text.besides.decided(judge, &text.stream, ended) {
            self.settle_beside(judge, beside, gone);
        }
    }

    /// Does what is to be done about a finding that is blocked by its level, unless it is gone with another one.
    fn settle_beside(&mut self, judge: &Judge, Beside { rule, again, fingerprint, .. }: Beside, gone: bool) {
        let action = if gone { Action::Redact } else { Action::Block };
        if !again {
            judge.count(&rule, action);
        }
        self.note(&rule, action, fingerprint);
        if !gone {
            self.refuse(&rule);
        }
    }

    /// Notes a finding for the record.
    fn note(&mut self, rule: &Rule, action: Action, fingerprint: String) {
        self.level = self.level.max(rule.level);
        if self.noted.len() >= TOLD {
            return;
        }
        let noted = Noted {
            filter: "firewall",
            rule: Arc::clone(&rule.id),
            code: answer_code(rule.kind),
            level: rule.level,
            action: action.as_str(),
            fingerprint,
            about: None,
        };
        // The same thing may be seen in several ways, and is told once.
        if !self.noted.contains(&noted) {
            self.noted.push(noted);
        }
    }

    fn cut(&mut self, number: u64, cut: Cut) {
        self.redacted = true;
        if self.cut >= MAX_CUTS {
            return self.broken("too much of the answer is to be taken out");
        }
        self.cut += 1;
        self.cuts.entry(number).or_default().push(cut);
    }

    fn refuse(&mut self, rule: &Rule) {
        let message = match rule.kind {
            Kind::Secret => "the answer contains what looks like a secret",
            Kind::Pii => "the answer contains personal data",
            Kind::Injection => "the answer contains what tries to carry data away or to give other orders",
            Kind::Structural => "the answer contains a structure that is not let through",
        };
        self.refusal.get_or_insert_with(|| {
            let refusal = Refusal::new("firewall", answer_code(rule.kind), message);
            refusal.with_detail(format!("rule {}", rule.id)).with_level(rule.level)
        });
    }

    fn broken(&mut self, detail: &'static str) {
        self.refusal.get_or_insert_with(|| Refusal::internal("firewall", detail));
    }
}

/// What is done about what cannot be taken out.
fn uncut(action: Action) -> Action {
    if action == Action::Redact { Action::Block } else { action }
}

/// The fingerprint of a finding. What came in several pieces is not kept, and has none.
fn print(judge: &Judge, secret: Option<&str>) -> String {
    secret.map(|secret| judge.prints.of(secret)).unwrap_or_default()
}

/// A part of a growing text that lies within one piece of it.
fn part<'p>((begin, piece): (u64, &'p str), secret: &Range<u64>) -> Option<&'p str> {
    let at = |place: u64| usize::try_from(place.checked_sub(begin)?).ok();
    piece.get(at(secret.start)?..at(secret.end)?)
}

/// The public code of a finding of this kind in an answer.
const fn answer_code(kind: Kind) -> Code {
    match kind {
        Kind::Secret | Kind::Pii => Code::FirewallOutputSecret,
        kind => code(kind),
    }
}

/// The refusal where something could not be taken out.
fn refuse_uncut(rule: Option<&str>) -> Refusal {
    let message = "the answer contains what looks like a secret, which cannot be taken out";
    Refusal::new("firewall", Code::FirewallOutputSecret, message)
        .with_detail(rule.map_or_else(String::new, |rule| format!("rule {rule}")))
        .with_level(DataLevel::L4)
}

/// Whether a frame lists the numbers of the answer's tokens.
fn lists_tokens(frame: &Frame<'_>) -> bool {
    let FrameBody::Json(json) = &frame.body else { return false };
    amend::LISTS.iter().any(|key| json.get(key).is_some())
}
