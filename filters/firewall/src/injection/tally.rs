//! Adding up: which cues stand near each other, and how much that is together.

use std::ops::Range;

use super::lexicon::{CONCEPTS, Concept, Lexicon, SIGNALS, Sign};
use super::place;
use crate::scan::Origin;

/// How far apart signs may stand that belong together, in bytes of ASCII.
const CLUSTER: usize = 420;
/// How far from a sign words may stand that say that it is spoken about.
const ABOUT: usize = 260;
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
            stronger |= self.complete(sign, cue, origin);
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
    fn complete(&mut self, sign: &Sign, cue: &Cue, origin: Origin) -> bool {
        if origin == Origin::Answer && !sign.answer {
            return false;
        }
        let within = sign.within * usize::from(cue.wide);
        let mut start = cue.span.start;
        let mut led = cue.led;
        for concept in sign.concepts.iter().filter(|concept| **concept != cue.concept) {
            match self.last.get(usize::from(*concept)).copied().flatten() {
                Some(other) if other.end + within >= cue.span.start => {
                    start = start.min(other.start);
                    led &= other.led;
                }
                _ => return false,
            }
        }
        let points = match (led, origin) {
            (false, _) => sign.unled,
            (true, Origin::Tool | Origin::Answer) => sign.tool,
            (true, _) => sign.points,
        };
        let points = if origin == Origin::System { percent(points, SYSTEM) } else { points };
        let seen = Seen { rule: sign.rule, start, end: cue.span.end, points };
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
        let Some(cluster) = together(&signs, &|_| true) else { return };
        let last = self.last.get(usize::from(lexicon.about)).copied().flatten();
        let mut about = last.is_some_and(|about| about.end + ABOUT * wide >= cluster.span.start);
        match &mut self.open {
            Some(open) if open.cluster.span.end + ABOUT >= cluster.span.start => {
                about |= open.about;
                if cluster.score > open.cluster.score {
                    (open.cluster, open.signs) = (cluster, signs);
                }
                open.about = about;
            }
            _ => {
                self.close(view);
                self.open = Some(Open { cluster, signs, about });
            }
        }
    }

    /// The open place can change no more.
    fn close(&mut self, view: &str) {
        let Some(Open { mut cluster, signs, about }) = self.open.take() else { return };
        if about {
            cluster.score = percent(cluster.score, SPOKEN_ABOUT);
        }
        // What stands outside of a quotation counts as it is, whatever is quoted beside it.
        let quoted = place::quotation(view, &cluster.span).or_else(|| {
            let strongest = signs.iter().flatten().max_by_key(|seen| seen.points)?;
            place::quotation(view, &(strongest.start..strongest.end))
        });
        if let Some(quoted) = quoted {
            let outside = together(&signs, &|seen| seen.end <= quoted.start || quoted.end <= seen.start);
            let outside = outside.map_or(0, |outside| outside.score);
            let outside = if about { percent(outside, SPOKEN_ABOUT) } else { outside };
            cluster.score = percent(cluster.score, SPOKEN_ABOUT).max(outside);
        } else if place::is_pattern(view, &cluster.span) {
            cluster.score = percent(cluster.score, SPOKEN_ABOUT);
        }
        if self.best.as_ref().is_none_or(|best| cluster.score > best.score) {
            self.best = Some(cluster);
        }
    }
}

/// What signs are worth together: they add up like chances.
fn together(signs: &[Option<Seen>], counts: &dyn Fn(&Seen) -> bool) -> Option<Cluster> {
    let mut missing = 10_000u32;
    let mut strongest: Option<Seen> = None;
    let mut span: Option<Range<usize>> = None;
    for seen in signs.iter().flatten().filter(|seen| counts(seen)) {
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
