//! Adding up: which cues stand near each other, and how much that is together.

use std::ops::Range;

use super::lexicon::{CONCEPTS, Concept, Lexicon, SIGNALS, Sign};
use super::place;
use crate::scan::Origin;

/// How far apart signs may stand that belong together, in bytes of ASCII.
const CLUSTER: usize = 420;
/// How far from a sign words may stand that say that it is spoken about.
const ABOUT: usize = 260;
/// How far before a quotation words may stand that ask about its wording.
const WORDED: usize = 160;
/// A verb is no further than this from what it is about, and in one sentence with it.
const OBJECT: usize = 60;
/// What is left of a score then, in percent.
const SPOKEN_ABOUT: u32 = 50;
/// What is left of a score in what the application's author wrote.
const SYSTEM: u32 = 30;

/// A cue in the text.
#[derive(Clone, Debug)]
pub(super) struct Cue {
    pub(super) concept: Concept,
    pub(super) span: Range<usize>,
    /// It is an order, or need not be one.
    pub(super) led: bool,
    /// An English verb, which what it is about follows.
    pub(super) verb: bool,
    pub(super) wide: u8,
}

/// The cues that were seen last, and the strongest place so far. Of fixed size, whatever the text is.
pub(super) struct Tally {
    last: [Option<Last>; CONCEPTS],
    signs: [Option<Seen>; SIGNALS],
    open: Option<Open>,
    best: Option<Cluster>,
}

/// Signs that stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    pub(super) rule: usize,
    pub(super) span: Range<usize>,
    pub(super) score: u8,
}

/// The place that is being added up.
struct Open {
    cluster: Cluster,
    /// The signs that it is made of.
    signs: [Option<Seen>; SIGNALS],
    /// Words near it say that it is spoken about.
    about: bool,
    /// Words before it ask about the words of a quotation.
    worded: bool,
}

#[derive(Clone, Copy)]
struct Last {
    start: usize,
    end: usize,
    led: bool,
}

#[derive(Clone, Copy)]
struct Seen {
    rule: usize,
    start: usize,
    end: usize,
    points: u8,
    /// A verb and what it is about: what is in a quotation has nothing to do with what is not.
    sentence: bool,
}

impl Default for Tally {
    fn default() -> Self {
        Self { last: [None; CONCEPTS], signs: [None; SIGNALS], open: None, best: None }
    }
}

impl Tally {
    /// Forgets the last text.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The score so far that nothing lowers any more.
    pub(super) fn best(&self) -> u8 {
        self.best.as_ref().map_or(0, |best| best.score)
    }

    /// Adds a cue. They come in the order in which they end.
    pub(super) fn add(&mut self, view: &str, cue: &Cue, lexicon: &Lexicon, origin: Origin) {
        let last = Last { start: cue.span.start, end: cue.span.end, led: cue.led };
        if let Some(place) = self.last.get_mut(usize::from(cue.concept)) {
            *place = Some(last);
        }
        if cue.concept == lexicon.about {
            let about = ABOUT * usize::from(cue.wide.min(2));
            if let Some(open) = self.open.as_mut().filter(|open| open.cluster.span.end + about >= cue.span.start) {
                open.about = true;
            }
            return;
        }
        let mut stronger = false;
        for sign in lexicon.signs(cue.concept) {
            stronger |= self.complete(view, sign, cue, origin);
        }
        if stronger {
            self.cluster(view, cue, lexicon);
        }
    }

    /// The strongest place, when the text has ended.
    pub(super) fn finish(&mut self, view: &str) -> Option<Cluster> {
        self.close(view);
        self.best.take()
    }

    /// Notes a sign whose cues are all near.
    fn complete(&mut self, view: &str, sign: &Sign, cue: &Cue, origin: Origin) -> bool {
        if origin == Origin::Answer && !sign.answer {
            return false;
        }
        let within = sign.within * usize::from(cue.wide);
        let mut start = cue.span.start;
        let mut led = cue.led;
        let mut behind = cue.verb;
        for concept in sign.concepts.iter().filter(|concept| **concept != cue.concept) {
            match self.last.get(usize::from(*concept)).copied().flatten() {
                Some(other) if other.end + within >= cue.span.start => {
                    start = start.min(other.start);
                    led &= other.led;
                    behind &= other.end <= cue.span.start;
                }
                _ => return false,
            }
        }
        let sentence = sign.unled < sign.points && sign.within <= OBJECT;
        led &= !(sentence && (behind || place::ends_sentence(view, &(start..cue.span.end))));
        let points = match (led, origin) {
            (false, _) => sign.unled,
            (true, Origin::Tool | Origin::Answer) => sign.tool,
            (true, _) => sign.points,
        };
        let points = if origin == Origin::System { percent(points, SYSTEM) } else { points };
        let seen = Seen { rule: sign.rule, start, end: cue.span.end, points, sentence };
        let Some(place) = self.signs.get_mut(sign.signal) else { return false };
        let near = place.is_some_and(|old| old.points >= points && old.end + CLUSTER >= cue.span.end);
        if !near {
            *place = Some(seen);
        }
        !near
    }

    /// Adds up the signs that stand around a cue.
    fn cluster(&mut self, view: &str, cue: &Cue, lexicon: &Lexicon) {
        let wide = usize::from(cue.wide.min(2));
        let near = |seen: &Seen| seen.end + CLUSTER * wide >= cue.span.start;
        let signs = self.signs.map(|seen| seen.filter(near));
        let Some(cluster) = together(&signs) else { return };
        let last = self.last.get(usize::from(lexicon.about)).copied().flatten();
        let about = last.is_some_and(|about| about.end + ABOUT * wide >= cluster.span.start);
        let last = self.last.get(usize::from(lexicon.wording)).copied().flatten();
        let worded = last.is_some_and(|wording| wording.end + WORDED * wide >= cluster.span.start);
        match &mut self.open {
            Some(open) if open.cluster.span.end + ABOUT >= cluster.span.start => {
                open.about |= about;
                open.worded |= worded;
                if cluster.score > open.cluster.score {
                    (open.cluster, open.signs) = (cluster, signs);
                }
            }
            _ => {
                self.close(view);
                self.open = Some(Open { cluster, signs, about, worded });
            }
        }
    }

    /// The open place can change no more.
    fn close(&mut self, view: &str) {
        let Some(Open { mut cluster, signs, about, worded }) = self.open.take() else { return };
        if self.best() >= cluster.score {
            return;
        }
        let spoken = |score| if about { percent(score, SPOKEN_ABOUT) } else { score };
        // What stands outside of quotations counts as it is, whatever is quoted beside it.
        let quoted = |seen: &Seen| {
            let within = |at: usize| place::quotation(view, &(at..at), worded).is_some();
            if seen.sentence { within(seen.start) || within(seen.end) } else { within(seen.start) && within(seen.end) }
        };
        let outside = signs.map(|seen| seen.filter(|seen| !quoted(seen)));
        let all = spoken(cluster.score);
        cluster.score = if outside.iter().flatten().count() < signs.iter().flatten().count() {
            let outside = together(&outside).map_or(0, |outside| outside.score);
            percent(all, SPOKEN_ABOUT).max(spoken(outside))
        } else if place::is_pattern(view, &cluster.span) {
            percent(all, SPOKEN_ABOUT)
        } else {
            all
        };
        if self.best() < cluster.score {
            self.best = Some(cluster);
        }
    }
}

/// What signs are worth together: they add up like chances.
fn together(signs: &[Option<Seen>]) -> Option<Cluster> {
    let mut missing = 10_000u32;
    let mut strongest: Option<Seen> = None;
    let mut span: Option<Range<usize>> = None;
    for seen in signs.iter().flatten() {
        missing = missing * u32::from(100 - seen.points.min(100)) / 100;
        span = Some(span.map_or(seen.start..seen.end, |span| span.start.min(seen.start)..span.end.max(seen.end)));
        if strongest.is_none_or(|strongest| seen.points > strongest.points) {
            strongest = Some(*seen);
        }
    }
    let score = u8::try_from((10_000 - missing).div_ceil(100)).unwrap_or(100);
    Some(Cluster { rule: strongest?.rule, span: span?, score })
}

fn percent(points: u8, left: u32) -> u8 {
    u8::try_from(u32::from(points) * left / 100).unwrap_or(100)
}
