//! Growing texts: what of an answer may leave, while it is being written.
//!
//! 1. One automaton of all keywords takes each byte in. Where nothing has begun, that is all.
//! 2. A keyword begins a candidate of its rule: the rule's own expression, followed a byte at a time.
//!    Rules whose secret begins before their keyword are followed from wherever they may begin.
//! 3. While a candidate can still become a match, nothing leaves from where its secret begins: of
//!    `password = x` the value, of a token what comes after its prefix.
//! 4. Once it cannot grow any more, the engine judges it as it judges a whole text.
//! 5. More than [`MOST_HELD`] bytes are never held, and no text takes more memory than [`MOST_STATE`]: a strong
//!    candidate is refused then, a weak one is judged as it stands. Time releases nothing.
//! 6. What only says something when it is decoded or joined, and orders to the model, are found as in a
//!    whole text: in runs when they end, in large pieces before they leave, and in the end of the text
//!    whenever it has grown by [`STRIDE`] bytes. That is late: what has left has left.

use std::ops::Range;

use crate::rule::Rule;
use crate::rules::Rules;
use crate::scan::Exhausted;

mod anew;
mod automaton;
mod candidate;
mod class;
mod escape;
mod follow;
#[cfg(test)]
mod hidden;
mod judge;
mod kept;
mod live;
mod prepare;
mod room;
mod run;
mod stem;
#[cfg(test)]
mod tests;
mod told;

pub(crate) use live::Live;

use anew::Before;
use follow::Follower;
use judge::Judge;
use kept::STEP;
use live::LiveRule;
use told::Told;

/// The most bytes of a text that are held undecided before it is decided nevertheless.
pub const MOST_HELD: u64 = 1024;
/// The most memory that one growing text takes, in bytes, whatever it says. What else an answer needs for as long as it
/// lasts must fit beside it.
pub const MOST_STATE: usize = 7 << 10;
/// After so many bytes the end of a text is looked at as a whole one, and the rest when it ends.
const STRIDE: u64 = 512;
/// From this size on, a piece is judged as a whole one before it leaves.
const LARGE: usize = 64;
/// The first piece of a text leaves at once up to this size if no letter is in it: answers begin with numbers,
/// and nothing that is known begins with so little.
const FIRST: usize = 4;
/// The most steps that one byte may cost, on average.
const WORK_PER_BYTE: u64 = 256;
/// The work that every text may cost beside that.
const WORK_AT_FIRST: u64 = 1 << 20;

/// What was found in a growing text. Places are bytes of the text as it was pushed, from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFinding<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// The part that must not be seen. Of a late finding, or one at the very end, a part of it may have
    /// left: its prefix, or what was encoded.
    pub secret: Range<u64>,
    /// Whether `secret` is known to the byte. Where it is not, it cannot be cut out.
    pub exact: bool,
    /// So much of it is a prefix, which may have left.
    pub prefix: u64,
    /// Whether it was seen when a part of the text was looked at as a whole text: nothing of it was held.
    pub late: bool,
    /// Whether a part of it was told before it had grown.
    pub again: bool,
}

/// One growing text.
#[derive(Default)]
pub struct Stream {
    /// It as a reader sees it.
    seen: Follower,
    /// It as it stands, where that is something else.
    stood: Option<Box<Follower>>,
    /// How it was followed up to the first letter of the word at its end that may be another one.
    before: Option<Box<Before>>,
    /// So many bytes were followed once more.
    again: u64,
    /// So much of its beginning left for being short.
    free: u64,
    told: Told,
    /// Up to here its end was looked at as a whole text.
    looked: u64,
    open: u64,
    /// Each piece is a whole text.
    whole: bool,
}

impl Stream {
    /// A text that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a piece in. Nothing is held for rules that `holds` denies: those that are only told.
    ///
    /// # Errors
    /// [`Exhausted`]: the text is not judged, and must not leave.
    pub fn push<'r>(
        &mut self,
        rules: &'r Rules,
        piece: &str,
        holds: &dyn Fn(&Rule) -> bool,
        found: &mut dyn FnMut(StreamFinding<'r>),
    ) -> Result<(), Exhausted> {
        let live = rules.live()?;
        let (told, free) = (std::mem::take(&mut self.told), self.free);
        // Of JSON the strings are cut as what they say, which only following them tells.
        let whole = self.whole && !self.seen.kept.reads_json();
        let begin = self.seen.kept.came();
        let mut first = Judge { rules, live, holds, found, told, free, exhausted: false };
        if whole {
            first.whole(piece, begin, false);
        }
        let Judge { told, found, exhausted, .. } = first;
        // What was found in the piece as a whole says more than what is found in parts of it.
        let mut after = |finding: StreamFinding<'r>| found(StreamFinding { late: finding.late || whole, ..finding });
        let mut judge = Judge { rules, live, holds, found: &mut after, told, free, exhausted };
        let holding = self.open < self.seen.kept.whole();
        let large = !whole && (self.whole || piece.len() >= LARGE);
        // Of what is judged as a whole only its border is to be looked at.
        let border = piece.len() as u64 > STRIDE;
        let until = if border { self.looked + STRIDE } else { u64::MAX };
        let mut rest = piece;
        while !rest.is_empty() {
            let (step, left) = rest.split_at(boundary(rest, STEP));
            rest = left;
            let was_one = self.stood.is_none();
            self.add(step, &mut |follower, part| follower.follow(&mut judge, part));
            let is_one = self.is_one();
            if is_one || (was_one && self.stood.is_some()) {
                self.look_beside(&mut judge, false);
            }
            if is_one {
                self.join();
            }
            self.cap(&mut judge);
            if self.seen.kept.end().saturating_sub(self.looked) >= STRIDE && self.looked < until {
                self.look(&mut judge, false);
            }
            let read = self.seen.kept.end() + self.again.min(self.seen.kept.end());
            if judge.exhausted || self.seen.work > WORK_AT_FIRST + WORK_PER_BYTE * read {
                return Err(Exhausted);
            }
        }
        if large {
            judge.whole(piece, begin, true);
        }
        if border {
            self.looked = self.seen.kept.end();
        }
        self.settle(&judge, holding);
        if begin == 0 && is_first(piece) {
            self.free = self.seen.kept.whole();
            self.open = self.free;
        }
        self.told = judge.told;
        if judge.exhausted { Err(Exhausted) } else { Ok(()) }
    }

    /// What comes from here on comes as a whole: it is judged as a whole text is, and beside that for what goes on over
    /// several pieces.
    pub fn read_whole(&mut self) {
        self.whole = true;
    }

    /// What comes from here on is JSON, such as the arguments of a tool call: its strings are judged as what
    /// they say.
    pub fn read_json(&mut self) {
        self.seen.kept.read_json();
    }

    /// From where on what was pushed must not leave yet.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open
    }

    /// Whether a rule that is `wanted` may still find something that holds all of this part.
    #[must_use]
    pub fn may_surround(&self, rules: &Rules, part: &Range<u64>, wanted: &dyn Fn(&Rule) -> bool) -> bool {
        let Ok(live) = rules.live() else { return false };
        let wants = |rule: &LiveRule| rules.engine.rules().get(rule.number).is_some_and(|rule| wanted(&rule.rule));
        std::iter::once(&self.seen).chain(self.stood.as_deref()).any(|follower| {
            let begins = |begin: u64| follower.kept.origin(begin) <= part.start;
            live.stems().any(|(rule, stem)| wants(rule) && stem.open(rule, &follower.kept).is_some_and(begins))
                || follower.candidates.iter().any(|candidate| {
                    let Some(rule) = live.rule(candidate.place()) else { return false };
                    let around = follower.kept.origin(candidate.base) <= part.start
                        && candidate.held(rule).is_some_and(|held| follower.kept.origin(held) < part.end);
                    around && wants(rule)
                })
        })
    }

    /// How much was pushed.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.seen.kept.came()
    }

    /// Judges what is undecided as if the text ended here. It may go on nevertheless: what is alive stays
    /// so, and is held again if it grows.
    ///
    /// # Errors
    /// [`Exhausted`]: the text is not judged, and must not leave.
    pub fn finish<'r>(&mut self, rules: &'r Rules, found: &mut dyn FnMut(StreamFinding<'r>)) -> Result<(), Exhausted> {
        let live = rules.live()?;
        let (told, free) = (std::mem::take(&mut self.told), self.free);
        let mut judge = Judge { rules, live, holds: &|_| true, found, told, free, exhausted: false };
        self.seen.finish(&mut judge);
        if let Some(stood) = &mut self.stood {
            stood.finish(&mut judge);
        }
        self.look(&mut judge, true);
        for follower in std::iter::once(&mut self.seen).chain(self.stood.as_deref_mut()) {
            if let Some(span) = follower.run.end(follower.kept.end()) {
                judge.decode(&follower.kept, span);
            }
        }
        self.open = self.seen.kept.came();
        self.told = judge.told;
        if judge.exhausted { Err(Exhausted) } else { Ok(()) }
    }

    /// Decides what is held for too long, and what takes too much room.
    fn cap(&mut self, judge: &mut Judge<'_, '_>) {
        self.seen.cap(judge);
        if let Some(stood) = &mut self.stood {
            stood.cap(judge);
        }
        self.fit(judge, MOST_STATE);
    }

    /// Judges the end of the text as a whole text.
    fn look(&mut self, judge: &mut Judge<'_, '_>, last: bool) {
        let end = self.seen.kept.end();
        let open = if last { end } else { self.seen.held(judge).unwrap_or(end) };
        self.looked = end;
        judge.look(&self.seen.kept, open, self.seen.run.begin(), last);
        self.look_beside(judge, last);
    }

    /// Judges what is encoded in the end of the text as it stands, where a reader sees something else, or did right
    /// before it: to them it goes on what stands there.
    fn look_beside(&self, judge: &mut Judge<'_, '_>, last: bool) {
        let Self { seen, stood, .. } = self;
        match stood {
            Some(stood) => judge.look_beside(&stood.kept, stood.kept.begin(), last),
            None if seen.kept.same() > 0 => judge.look_beside(&seen.kept, seen.kept.same(), last),
            None => {}
        }
    }

    /// Says from where on the text is open. Something was held before, if `holding`.
    fn settle(&mut self, judge: &Judge<'_, '_>, holding: bool) {
        let unsure = self.seen.kept.unsure();
        // What ended at a letter that may be another one has not ended, be it only because of what its word becomes.
        if holding && self.seen.kept.may_change() {
            return;
        }
        let unsure = unsure.and_then(|(begin, shows)| shows.then_some(begin));
        let held = self.seen.held(judge).into_iter().chain(unsure).min();
        let held = held.map(|held| self.seen.kept.origin(held));
        let stood = self.stood.as_ref().and_then(|stood| Some(stood.kept.origin(stood.held(judge)?)));
        let open = held.into_iter().chain(stood).min().unwrap_or(self.seen.kept.whole());
        // What was let go is not held again.
        self.open = self.open.max(open);
    }
}

/// Whether a piece leaves at once at the beginning of a text.
fn is_first(piece: &str) -> bool {
    piece.len() <= FIRST && piece.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_alphabetic())
}

/// The last place of a text at or before this one at which a character begins.
fn boundary(text: &str, most: usize) -> usize {
    let mut at = most.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
