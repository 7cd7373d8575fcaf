//! What a growing text is judged with: its candidates one by one, and what was said of it as a whole text is.

use std::cell::RefCell;
use std::ops::Range;

use super::StreamFinding;
use super::kept::Kept;
use super::live::{Live, LiveRule};
use super::told::Told;
use crate::engine::Compiled;
use crate::finding::{Finding, Through};
use crate::rule::{Direction, Kind, Rule};
use crate::rules::Rules;
use crate::scan::{Origin, Scratch, Text};

/// As much of the end of a text is looked at as a whole one.
const WINDOW: u64 = 1536;
/// What begins so near where the end of a text was cut off is not told: what stands before it might say that
/// it is nothing. It was told when the cut was farther away.
const LEAD: usize = 128;
/// What ends so near the end is not told before the text has grown: it may go on.
const TRAIL: usize = 64;
/// Larger texts leave no room behind that the next one would not use.
const USUAL: usize = 1 << 20;

/// What a push is judged with.
pub(super) struct Judge<'r, 'f> {
    pub(super) rules: &'r Rules,
    pub(super) live: &'r Live,
    pub(super) holds: &'f dyn Fn(&Rule) -> bool,
    pub(super) found: &'f mut dyn FnMut(StreamFinding<'r>),
    pub(super) told: Told,
    /// So much of the text's beginning left for being short: of a finding there it counts as a prefix.
    pub(super) free: u64,
    /// A part of the text took too much work.
    pub(super) exhausted: bool,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl<'r> Judge<'r, '_> {
    /// Judges what stands between two places by one rule, as the engine judges a whole text.
    pub(super) fn confirm(&mut self, kept: &Kept, place: usize, from: u64, to: u64) -> bool {
        let rules = self.rules;
        let Some(rule) = self.live.rule(place).and_then(|rule| rules.engine.rules().get(rule.number)) else {
            return false;
        };
        let mut any = false;
        let said = rule.confirm(kept.text(), kept.index(from)..kept.index(to), &mut |hit| {
            any = true;
            self.tell(kept, &rule.rule, kept.begin(), hit.secret, true, false);
        });
        self.exhausted |= said.is_err();
        any
    }

    /// Tells what may be a finding and is not known to be none, from a place on.
    pub(super) fn suspect(&mut self, kept: &Kept, rule: &LiveRule, from: u64) {
        let Some(Compiled { rule, .. }) = self.rules.engine.rules().get(rule.number) else { return };
        if (self.holds)(rule) {
            let secret = kept.origin(from)..kept.came();
            let again = self.told.touches(rule, &secret, false);
            self.told.add(rule, &secret);
            (self.found)(StreamFinding { rule, secret, exact: false, prefix: 0, late: false, again });
        }
    }

    /// Judges an encoded run by what it says.
    pub(super) fn decode(&mut self, kept: &Kept, span: Range<u64>) {
        // Where a query gives it, it ends before the next value.
        let asked = span.start.checked_sub(1).filter(|before| kept.byte(*before) == Some(b'?'));
        let begin = asked.unwrap_or(span.start);
        let Some(text) = kept.text().get(kept.index(begin)..kept.index(span.end)) else { return };
        self.scan(text, &mut |judge, finding| {
            // What stands there as it is was held like everything; of what is encoded nothing was.
            let plain = finding.through == Through::Plain;
            let secret = if plain { finding.secret } else { usize::from(asked.is_some())..text.len() };
            judge.tell(kept, finding.rule, begin, secret, plain, false);
        });
    }

    /// Judges the end of the text as a whole text is: what is encoded, in pieces, or gives other orders. `open` is
    /// from where on it is held, and `phase` where a run of letters began that goes on.
    pub(super) fn look(&mut self, kept: &Kept, open: u64, phase: Option<u64>, last: bool) {
        let begin = kept.begin().max(kept.end().saturating_sub(WINDOW));
        // What is encoded is read in blocks, of which the first must be a whole one.
        let cut = phase.filter(|_| begin > 0);
        let begin = begin + cut.map_or(0, |phase| phase.wrapping_sub(begin) & 7);
        let begin = kept.boundary(begin);
        let Some(text) = kept.text().get(kept.index(begin)..) else { return };
        let least = if begin == 0 { 0 } else { LEAD };
        let most = if last { text.len() } else { text.len().saturating_sub(TRAIL) };
        self.scan(text, &mut |judge, finding| {
            let Finding { rule, span, secret, through, .. } = finding;
            if rule.kind == Kind::Structural || span.start < least || span.end > most {
                return;
            }
            let plain = through == Through::Plain;
            let followed = plain && matches!(rule.kind, Kind::Secret | Kind::Pii);
            // What is still held is followed, and told when it is decided.
            if followed && begin + secret.end as u64 > open {
                return;
            }
            judge.tell(kept, rule, begin, secret, followed, true);
        });
    }

    /// Judges what is encoded in the end of the text from a place on, as in a whole text.
    pub(super) fn look_beside(&mut self, kept: &Kept, from: u64, last: bool) {
        let text = kept.text().get(kept.index(from)..).filter(|_| from >= kept.begin());
        let Some(text) = text else { return };
        let most = if last { text.len() } else { text.len().saturating_sub(TRAIL) };
        self.scan(text, &mut |judge, Finding { rule, span, secret, through, .. }| {
            let encoded = matches!(through, Through::Decoded(_)) && rule.kind != Kind::Structural;
            if encoded && span.end <= most {
                judge.tell(kept, rule, from, secret, false, true);
            }
        });
    }

    /// Judges a piece of the text as a whole text.
    pub(super) fn whole(&mut self, piece: &str, begin: u64, late: bool) {
        self.scan(piece, &mut |judge, Finding { rule, secret, .. }| {
            let secret = begin + secret.start as u64..begin + secret.end as u64;
            if judge.told.holds(rule, &secret) {
                return;
            }
            let again = judge.told.touches(rule, &secret, false);
            judge.told.add(rule, &secret);
            (judge.found)(StreamFinding { rule, secret, exact: true, prefix: 0, late, again });
        });
    }

    fn scan(&mut self, text: &str, found: &mut dyn FnMut(&mut Self, Finding<'r>)) {
        let rules = self.rules;
        let texts = [Text { text, origin: Origin::Answer, flows: false }];
        // What a panic leaves behind is not used again.
        let mut scratch = SCRATCH.take();
        let said = rules.scan(&texts, Direction::Response, &mut scratch, &mut |finding| found(self, finding));
        if text.len() <= USUAL {
            SCRATCH.set(scratch);
        }
        self.exhausted |= said.is_err();
    }

    /// Tells what was found in a part of what is kept that begins here; where it is `late`, what was not told before.
    fn tell(&mut self, kept: &Kept, rule: &'r Rule, from: u64, secret: Range<usize>, plain: bool, late: bool) {
        let (begin, end) = (from + secret.start as u64, from + secret.end as u64);
        let prefix =
            || Some(self.rules.prefix_of(&rule.id, kept.text().get(kept.index(begin)..kept.index(end))?)? as u64);
        let prefix = if plain { prefix().unwrap_or(0) } else { 0 };
        let secret = kept.origin(begin)..kept.origin(end);
        let prefix = kept.origin(begin + prefix).saturating_sub(secret.start);
        let prefix = if plain { prefix.max(self.free.saturating_sub(secret.start)) } else { prefix };
        let again = self.told.touches(rule, &secret, late && plain);
        let known = if late { again } else { self.told.holds(rule, &secret) };
        if known {
            return;
        }
        self.told.add(rule, &secret);
        (self.found)(StreamFinding { rule, secret, exact: kept.knows(begin), prefix, late, again });
    }
}
