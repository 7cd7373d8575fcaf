//! One text, layer below layer: as it stands, as it looks, and what is encoded in it.

use std::ops::Range;

use super::injected::Injected;
use super::place::Place;
use super::seen::Seen;
use super::sure::is_sure;
use super::told::{Found, Told};
use super::{Exhausted, Origin, Scratch, Standing, Text};
use crate::budget::cost;
use crate::count::count;
use crate::decode::{self, Budget, From, KEY, Piece, Runs};
use crate::engine::{Hits, Match};
use crate::finding::{Finding, Through};
use crate::injection::Work;
use crate::join::{self, Border, Given, Joined, Seams};
use crate::planes::Planes;
use crate::rule::Direction;
use crate::rules::Rules;
use crate::view::{self, View};

/// As many encodings may lie around each other.
const DEPTH: usize = 4;

/// As often may one kind of escape be undone in a row: JSON in JSON in JSON hides nothing.
const PEELS: usize = 16;

/// What is still encoded below all layers was meant to hide something, if it is longer than this.
const ABYSS: usize = 16;

/// How far below the text something lies.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct Depth {
    layers: usize,
    peels: usize,
    /// How it was encoded.
    name: &'static str,
}

impl Depth {
    /// One deeper. Escapes of one kind in a row count as one layer.
    fn below(self, piece: &Piece<'_>) -> Result<Self, Exhausted> {
        if piece.name == self.name && matches!(piece.name, "backslash" | "percent" | "html") {
            let peels = self.peels + 1;
            return if peels <= PEELS { Ok(Self { peels, ..self }) } else { Err(Exhausted) };
        }
        Ok(Self { layers: self.layers + 1, peels: 0, name: piece.name })
    }
}

/// What a reader sees of a text that does not stand so.
struct Another {
    view: View,
    /// Whether an injection in the text is one in this.
    same: bool,
}

/// Everything that stays the same from layer to layer.
pub(super) struct Layers<'r, 's> {
    rules: &'r Rules,
    budget: &'s Budget,
    hits: &'s mut Hits,
    border: &'s mut Border,
    /// While nobody looks at what stands in pieces.
    joining: &'s mut join::Room,
    /// While nobody looks at a part of a text.
    spare: &'s mut Planes,
    seen: &'s mut Seen<Depth>,
    injected: Injected<'r, 's>,
    told: Told<'r, 's>,
}

impl<'r, 's> Layers<'r, 's> {
    pub(super) fn new(
        rules: &'r Rules,
        texts: &'s [Text<'s>],
        way: Direction,
        budget: &'s Budget,
        scratch: &'s mut Scratch,
        found: &'s mut Found<'r, 's>,
    ) -> Self {
        let Scratch { hits, reported, border, joining, seen, injection, spare, .. } = scratch;
        let injected = Injected::new(rules.injection.as_ref(), injection);
        let told = Told::new(texts, way, reported, found);
        Self { rules, budget, hits, border, joining, spare, seen, injected, told }
    }

    /// Looks at all texts, one by one and as they go on.
    pub(super) fn all(&mut self) -> Result<(), Exhausted> {
        let count = self.told.texts.len();
        for number in 0..count {
            self.text(number)?;
            self.border(number)?;
        }
        if count > 1 {
            self.seams()?;
        }
        self.take_time();
        // What took too long is refused, also where that was the last that was done.
        self.hits.budget.spend(0)
    }

    /// Looks at one of the texts.
    fn text(&mut self, number: usize) -> Result<(), Exhausted> {
        self.told.number = number;
        self.seen.clear();
        let text = self.told.text(number);
        let view = self.judge_unless_seen(text, &Place::Source, Through::Plain)?;
        let plain = self.hits.planes.are_plain();
        self.seen(text, view, &Place::Source, Through::Plain, Depth::default())?;
        if let Some((rule, span, through, score)) = self.injected.take() {
            let secret = span.clone();
            let standing =
                self.told.tell_new(Finding { rule, text: number, span, secret, goes_on: false, through, score });
            self.hits.budget.heed(standing);
        }
        self.structure(text, plain);
        Ok(())
    }

    /// Looks at how a text is built, as it stands.
    fn structure(&mut self, text: &str, plain: bool) {
        let Self { rules, hits, told, .. } = self;
        let way = told.way;
        rules.structure.scan(text, plain, way, &mut |found| hits.budget.heed(told.tell_structure(found)));
    }

    /// Looks at a text, and below it.
    fn layer(&mut self, text: &str, place: &Place<'_>, through: Through, depth: Depth) -> Result<(), Exhausted> {
        let view = self.judge_unless_seen(text, place, through)?;
        self.seen(text, view, place, through, depth)
    }

    /// Looks at a text, and says what a reader sees of it, if that is something else. What reads the same is judged there
    /// alone.
    fn judge_unless_seen(
        &mut self,
        text: &str,
        place: &Place<'_>,
        through: Through,
    ) -> Result<Option<Another>, Exhausted> {
        self.scan(text, place, through, None)?;
        // Most texts are seen as they stand.
        let view = if self.hits.planes.are_plain() { None } else { self.seen_of(text) };
        let same = view.as_ref().is_some_and(|view| self.injected.is_seen_in(text, view));
        if !same {
            self.judge_scanned(text, place, through);
        }
        Ok(view.map(|view| Another { view, same }))
    }

    /// What a reader sees of a text that is not plain.
    fn seen_of(&mut self, text: &str) -> Option<View> {
        let foreign = count(text.as_bytes(), |byte| !byte.is_ascii());
        self.hits.budget.take(cost::SEEN, text.len());
        self.hits.budget.take(cost::SEEN_FOREIGN, foreign);
        let view = view::of(text);
        self.hits.budget.take(cost::CHANGED, view.as_ref().map_or(0, View::parts));
        view
    }

    /// Looks at what a reader sees of a text that was scanned last, and below that.
    fn seen(
        &mut self,
        text: &str,
        view: Option<Another>,
        place: &Place<'_>,
        through: Through,
        depth: Depth,
    ) -> Result<(), Exhausted> {
        let Some(Another { view, same }) = view else { return self.below(text, place, through, depth) };
        // A dash that becomes `-`, or a letter that loses its accent, would belong to what is encoded beside it.
        let planes = self.put_aside();
        let mut runs = std::mem::take(&mut self.hits.runs);
        self.encoded(text, &planes, &mut runs, (place, through, depth))?;
        self.take_up(planes);
        self.hidden(text, &mut runs, place, through, depth)?;
        self.hits.runs = runs;
        let place = Place::Parts(&view.map, place);
        let stands = through;
        let through = if through == Through::Plain { Through::Normalised } else { through };
        self.scan(&view.text, &place, through, None)?;
        self.judge_scanned(&view.text, &place, if same { stands } else { through });
        self.below(&view.text, &place, through, depth)
    }

    /// The planes of the view that was scanned last, while parts of it are looked at.
    fn put_aside(&mut self) -> Planes {
        std::mem::replace(&mut self.hits.planes, std::mem::take(self.spare))
    }

    fn take_up(&mut self, planes: Planes) {
        *self.spare = std::mem::replace(&mut self.hits.planes, planes);
        self.spare.shrink();
    }

    /// Takes the time that reading symbols took.
    fn take_time(&mut self) {
        self.hits.budget.take(1, self.budget.time());
    }

    /// Looks at what is encoded in a text.
    fn encoded(
        &mut self,
        text: &str,
        planes: &Planes,
        runs: &mut Runs,
        (place, through, depth): (&Place<'_>, Through, Depth),
    ) -> Result<(), Exhausted> {
        runs.read(text, planes);
        let done = decode::each(text, planes, runs, self.budget, &mut |piece: Piece<'_>| {
            let through = outermost(through, piece.name);
            self.decoded(&piece, place, through, depth)
        });
        self.take_time();
        done
    }

    /// Looks at what is in pieces or encoded in a text.
    fn below(&mut self, text: &str, place: &Place<'_>, through: Through, depth: Depth) -> Result<(), Exhausted> {
        // It was scanned last.
        let planes = self.put_aside();
        let mut runs = std::mem::take(&mut self.hits.runs);
        self.encoded(text, &planes, &mut runs, (place, through, depth))?;
        let mut done = Ok(());
        let mut room = std::mem::take(self.joining);
        let lines = join::each(text, &planes, &mut room, &mut |joined: &mut Joined| {
            if done.is_ok() {
                done = self.joined(text, joined, place, depth);
            }
        });
        self.hits.budget.take(cost::LINE, lines);
        *self.joining = room;
        done?;
        self.take_up(planes);
        self.hidden(text, &mut runs, place, through, depth)?;
        self.hits.runs = runs;
        Ok(())
    }

    /// Looks at what is written backwards or with other letters.
    fn hidden(
        &mut self,
        text: &str,
        runs: &mut Runs,
        place: &Place<'_>,
        through: Through,
        depth: Depth,
    ) -> Result<(), Exhausted> {
        // It may be encoded, or have been.
        if depth.layers > 1 {
            return Ok(());
        }
        runs.find_words(text, &self.hits.planes);
        decode::each_hidden(text, runs, self.rules.engine.disguised(), &mut |piece: Piece<'_>| {
            let through = outermost(through, piece.name);
            let place = place.then(piece.from);
            self.judge_if(piece.text, &place, through, |found| is_sure(piece.text, found))?;
            self.hits.budget.decode_again(piece.text.len())?;
            // It was scanned last.
            let planes = self.put_aside();
            let done = decode::each_run(piece.text, &planes, &|_| true, self.budget, &mut |piece| {
                self.decoded(&piece, &place, through, depth)
            });
            self.take_up(planes);
            self.take_time();
            done
        })
    }

    /// Looks at what a part of a text says when it is decoded.
    fn decoded(
        &mut self,
        piece: &Piece<'_>,
        place: &Place<'_>,
        through: Through,
        depth: Depth,
    ) -> Result<(), Exhausted> {
        let place = place.then(piece.from);
        if piece.name == KEY {
            return self.judge(piece.text, &place, through);
        }
        let below = depth.below(piece)?;
        self.hits.budget.take(cost::DECODED, piece.text.len());
        self.take_time();
        if below.layers > DEPTH {
            // Nobody wraps anything so often who does not hide it.
            return if piece.text.len() > ABYSS { Err(Exhausted) } else { Ok(()) };
        }
        if self.seen.has(piece.text, below) {
            return Ok(());
        }
        let finds = self.told.finds;
        self.layer(piece.text, &place, through, below)?;
        if self.told.finds == finds {
            self.seen.add(piece.text, below);
        }
        Ok(())
    }

    /// Looks at what stood in pieces of a text, and at what is encoded in it. What does not reach over a border has been
    /// found where it stands.
    fn joined(&mut self, text: &str, joined: &mut Joined, place: &Place<'_>, depth: Depth) -> Result<(), Exhausted> {
        let size = joined.size();
        self.hits.budget.take(cost::JOINED, 1);
        self.hits.budget.take(cost::JOINED_BYTE, size);
        self.hits.budget.take(cost::PIECE, joined.count());
        self.hits.budget.look_together(size)?;
        joined.look(|rows, found| {
            self.rules.engine.each_sign(rows, self.hits, found);
            decode::each_sign(rows, &self.hits.planes, found);
        });
        match joined.given(text) {
            Some(given) => self.given(given, size, place, depth),
            None => self.hits.budget.decode_again(size),
        }
    }

    /// Looks at the rows of pieces that count, of all that have so many bytes.
    fn given(&mut self, given: &Given, size: usize, place: &Place<'_>, depth: Depth) -> Result<(), Exhausted> {
        let view = &given.view;
        let place = Place::Parts(&view.map, place);
        let across = |part: &Range<usize>| !view.map.is_copied(part);
        let Self { rules, hits, told, .. } = &mut *self;
        hits.again = true;
        rules.engine.scan_paid(&view.text, hits, &mut |found| {
            if !across(&found.secret) || !is_sure(&view.text, &found) {
                return Standing::Open;
            }
            told.tell(found.rule, place.source(found.span), place.source(found.secret), Through::Joined)
        })?;
        // A word before it shows in base64 as it does in a text; what else it is written in does not go over one.
        let bytes = view.text.as_bytes();
        let is_apart = |at: usize| bytes.get(at..).is_some_and(|rest| rest.starts_with(join::APART.as_bytes()));
        let wanted = |run: &Range<usize>| {
            // What is short says nothing, unless it goes on.
            (run.len() >= decode::LEAST || !is_apart(run.end))
                && (given.is_of_whole(run) || view.text.get(run.clone()).is_some_and(decode::is_one_case))
                && across(run)
        };
        self.hits.budget.decode_again(size)?;
        // It was scanned last.
        let planes = self.put_aside();
        let done = decode::each_run(&view.text, &planes, &wanted, self.budget, &mut |piece| {
            self.decoded(&piece, &place, Through::Joined, depth)
        });
        self.take_up(planes);
        self.take_time();
        done
    }

    /// Looks across the border before one of the texts.
    fn border(&mut self, number: usize) -> Result<(), Exhausted> {
        let Some(Text { text, flows, .. }) = self.told.texts.get(number) else { return Ok(()) };
        let mut done = Ok(());
        let mut border = std::mem::take(self.border);
        border.next(number, text, *flows, &mut |joined, before, (number, start)| {
            let Self { rules, hits, told, .. } = self;
            let end = told.text(number).len();
            let mut across = Vec::new();
            let scanned = rules.engine.scan_sure(joined, hits, &mut |hit| {
                let reaches = hit.secret.start < before && hit.secret.end > before;
                if reaches && is_sure(joined, &hit) {
                    // It may begin in a later one of several texts: then the word that they go on is where it is.
                    let begin = start + hit.span.start;
                    across.push((hit.rule, if begin < end { begin } else { start }..end));
                }
                Standing::Open
            });
            done = done.and(scanned);
            for (rule, span) in across {
                hits.budget.heed(told.tell_across(number, rule, span));
            }
        });
        *self.border = border;
        done
    }

    /// Looks across all borders at once: secrets in many pieces, or encoded ones.
    fn seams(&mut self) -> Result<(), Exhausted> {
        let rules = self.rules;
        let of = |origin: Option<Origin>| {
            let mut seams = Seams::default();
            for (number, text) in self.told.texts.iter().enumerate() {
                // Who speaks in turns with somebody else still says one thing after the other.
                if origin.is_none_or(|origin| origin == text.origin) {
                    seams.next(number, text.text, text.flows);
                }
            }
            seams
        };
        let alternate = self
            .told
            .texts
            .windows(3)
            .any(|near| matches!(near, [a, b, c] if a.origin == c.origin && a.origin != b.origin));
        let mut views = vec![of(None)];
        if alternate {
            views.extend([Origin::User, Origin::Tool, Origin::Answer].map(|origin| of(Some(origin))));
        }
        for seams in &views {
            let text = seams.text();
            let mut across = Vec::new();
            rules.engine.scan_sure(text, self.hits, &mut |hit| {
                // A key is found by its header, and is in what follows.
                if seams.crosses(&hit.secret) && is_sure(text, &hit) {
                    across.push((hit.rule, hit.span.start));
                }
                Standing::Open
            })?;
            let hits = &mut *self.hits;
            let planes = std::mem::take(&mut hits.planes);
            let done = decode::each_run(text, &planes, &|run| seams.crosses(run), self.budget, &mut |piece| {
                let From::Run(start, _) = piece.from else { return Ok(()) };
                rules.engine.scan_sure(piece.text, hits, &mut |hit| {
                    if is_sure(piece.text, &hit) {
                        across.push((hit.rule, start));
                    }
                    Standing::Open
                })
            });
            hits.planes = planes;
            done?;
            for (rule, place) in across {
                let Some((number, start)) = seams.source(place) else { continue };
                let end = self.told.text(number).len();
                let standing = self.told.tell_across(number, rule, start..end);
                self.hits.budget.heed(standing);
            }
        }
        Ok(())
    }

    /// Looks at one view of a text.
    fn judge(&mut self, view: &str, place: &Place<'_>, through: Through) -> Result<(), Exhausted> {
        self.scan(view, place, through, None)?;
        self.judge_scanned(view, place, through);
        Ok(())
    }

    /// Judges one view of a text, which was scanned last.
    fn judge_scanned(&mut self, view: &str, place: &Place<'_>, through: Through) {
        if let Some(text) = self.told.texts.get(self.told.number) {
            let Work { around, looked, cues } = self.injected.judge(view, text.origin, self.hits, place, through);
            let budget = &mut self.hits.budget;
            budget.take(cost::JUDGED, view.len());
            budget.take(cost::AROUND, around);
            budget.take(cost::CUE, cues);
            budget.take_looked(looked);
        }
    }

    /// Looks at one view of a text that is only believed in part: where a finding is sure.
    fn judge_if(
        &mut self,
        view: &str,
        place: &Place<'_>,
        through: Through,
        believes: impl Fn(&Match<'r>) -> bool,
    ) -> Result<(), Exhausted> {
        self.scan(view, place, through, Some(&believes))
    }

    fn scan(
        &mut self,
        view: &str,
        place: &Place<'_>,
        through: Through,
        believes: Option<&dyn Fn(&Match<'r>) -> bool>,
    ) -> Result<(), Exhausted> {
        let Self { rules, hits, told, .. } = self;
        hits.again = !matches!(place, Place::Source);
        let mut tell = |found: Match<'r>| {
            if believes.is_some_and(|believes| !believes(&found)) {
                return Standing::Open;
            }
            told.tell(found.rule, place.source(found.span), place.source(found.secret), through)
        };
        match believes {
            Some(_) => rules.engine.scan_sure(view, hits, &mut tell),
            None => rules.engine.scan(view, hits, &mut tell),
        }
    }
}

/// How something is seen that was decoded from what is seen in some way: the outermost says most.
fn outermost(through: Through, name: &'static str) -> Through {
    match through {
        Through::Plain | Through::Normalised => Through::Decoded(name),
        Through::Joined | Through::Decoded(_) => through,
    }
}
