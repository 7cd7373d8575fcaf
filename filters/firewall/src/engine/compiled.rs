//! One rule, ready to match.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock};

use regex_automata::meta::Regex;
use regex_syntax::hir::Look;

use super::Match;
use super::automaton::{Automaton, Cache};
use super::beginning::{Beginning, FAR as FARTHER};
use super::digits;
use super::gate::Gate;
use super::looking::Looking;
use super::plan::{self, Anchor};
use super::starts::is_edge;
use crate::allow::Allow;
use crate::budget::Budget;
use crate::check::{Behind, Check, End, Glance};
use crate::decode::{Begin, Marked};
use crate::expression;
use crate::keywords::Keyword;
use crate::planes::Planes;
use crate::rule::Rule;
use crate::scan::{Exhausted, Standing};
use crate::trigger::Trigger;

/// As close to a keyword, each place is tried by itself.
const CLOSE: usize = 8;

/// Farther from a keyword than this, the whole text is searched at once.
const NEAR: usize = 48;
const FAR: usize = 2048;

/// As many rules' work may one of them take at a place of a growing text.
const PLACE: usize = 1024;

/// A rule, ready to match.
pub(crate) struct Compiled {
    pub(crate) rule: Rule,
    pub(super) anchors: Vec<Anchor>,
    pub(super) reach: Reach,
    pub(super) statement: Statement,
    pub(super) path: Option<Regex>,
    pub(super) allow: Vec<Arc<Allow>>,
    pub(super) automaton: Automaton,
    pub(super) stripped: bool,
    /// Whether its matches end with the secret, and that is one word.
    pub(super) ends_in_word: bool,
    /// Whether its matches begin where a word does, or ends.
    pub(super) at_edge: bool,
    /// Whether its matches go on behind the end of a line.
    goes_on: bool,
    /// The bytes of its shortest match.
    shortest: usize,
    /// What its matches begin with.
    pub(super) beginning: Box<Beginning>,
    /// As many bytes of each match are those of its keyword.
    known: usize,
    /// The same, of more places, if it looks at runs.
    pub(super) farther: Option<Box<Beginning<FARTHER>>>,
    /// Whether its matches are in one of those runs, and hold only where a token may have been issued.
    pub(super) issued: bool,
    /// What its matches come to before anything else. Told when first needed.
    gate: OnceLock<Option<Gate>>,
    /// Over how many ends of lines its matches go at most, if they need a digit.
    lines: Option<u32>,
    /// What the last one left who looked at a growing text.
    spare: Mutex<Option<Box<Cache>>>,
}

/// How a rule's matches are written.
#[derive(Default)]
pub(crate) struct Statement {
    pub(crate) expression: String,
    /// In lower case.
    pub(crate) keywords: Vec<String>,
    /// Which group is the secret; 0 for the first that took part.
    pub(crate) secret_group: usize,
    pub(crate) entropy: Option<f32>,
    pub(crate) checks: Vec<Check>,
    /// What shows at a glance of them.
    pub(crate) glances: Vec<Glance>,
    /// What shows of them by where a match begins.
    pub(crate) named: Vec<Check>,
    /// What shows of them by what stands before it.
    pub(crate) behind: Vec<Behind>,
    /// Where the secrets end that they hold for, where that shows.
    pub(crate) ends: Vec<End>,
    /// Whether one of them holds for nothing without a digit.
    pub(crate) needs_digit: bool,
    /// Whether one of them holds for nothing but what may have been issued.
    pub(crate) issued: bool,
    /// Whether one of them holds for nothing else than such a secret, whatever stands around it.
    pub(crate) proven: bool,
    /// How far from a secret one of them looks for what says of what kind it is.
    pub(crate) around: usize,
    /// An expression for the path of the file.
    pub(crate) path: Option<String>,
    /// Where it looks, if it has no keywords.
    pub(crate) trigger: Option<Trigger>,
}

/// How far from a keyword a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// A match begins with the keyword.
    Here,
    /// It begins at one of a few places before it.
    Near,
    /// It begins before it, and is not longer than this.
    Window { longest: usize },
    /// It may be anywhere.
    Whole,
}

impl Compiled {
    pub(crate) fn new(rule: Rule, statement: Statement) -> Result<Self, String> {
        let broken = |reason: String| format!("its `regex` does not compile: {reason}");
        let whole = expression::parse(&statement.expression).map_err(broken)?;
        let (hir, stripped) = plan::stripped(whole);
        if statement.secret_group > hir.properties().explicit_captures_len() {
            return Err(format!("its `regex` has no group {}, which `secretGroup` names", statement.secret_group));
        }
        let path = expression::any(statement.path.as_slice()).map_err(|reason| format!("its `path` {reason}"))?;
        let longest = hir.properties().maximum_len();
        let triggered = statement.trigger.is_some();
        let beginning = Box::new(Beginning::of(&hir));
        let at_runs = statement.trigger == Some(Trigger::Run);
        let farther = at_runs.then(|| Box::new(Beginning::of(&hir)));
        let issued = statement.issued && plan::is_in_run(&hir);
        let mut before = None;
        let (anchors, reach) = match plan::anchors(&hir, &statement.keywords).filter(|_| !triggered) {
            Some(found) => {
                let anchors = found.anchors;
                let far = anchors.iter().map(|anchor| anchor.before.1).max().unwrap_or(0);
                let reach = match longest {
                    _ if far == 0 => Reach::Here,
                    _ if far <= CLOSE => Reach::Near,
                    Some(longest) if longest <= FAR => Reach::Window { longest },
                    _ if far <= NEAR => Reach::Near,
                    _ => Reach::Whole,
                };
                // What a window cuts off of a match that another keyword is in must not depend on this.
                let whole = reach == Reach::Near || (found.last && matches!(reach, Reach::Window { .. }));
                before = found.before.filter(|_| whole);
                (anchors, reach)
            }
            None if at_runs => (Vec::new(), Reach::Here),
            None => {
                let anchor = |word: &String| Anchor { keyword: Keyword::any_case(word), before: (0, 0) };
                (statement.keywords.iter().map(anchor).collect(), Reach::Whole)
            }
        };
        // Whatever begins at a keyword has all of it.
        let known = match reach {
            Reach::Here => anchors.iter().map(|anchor| anchor.keyword.text.len()).min().unwrap_or(0),
            _ => 0,
        };
        let ranges = triggered || !matches!(reach, Reach::Here | Reach::Near);
        let automaton = Automaton::new(&hir, ranges, before.as_ref()).map_err(broken)?;
        let ends_in_word = plan::word_at_end(&hir).is_some();
        let at_edge = hir.properties().look_set_prefix().contains(Look::WordAscii);
        let goes_on = digits::goes_on(&hir);
        let shortest = hir.properties().minimum_len().unwrap_or(0);
        let lines = if statement.needs_digit { digits::lines(&hir) } else { None };
        let (allow, gate, spare) = (Vec::new(), OnceLock::new(), Mutex::new(None));
        Ok(Self {
            rule,
            anchors,
            reach,
            statement,
            path,
            allow,
            automaton,
            stripped,
            ends_in_word,
            at_edge,
            goes_on,
            shortest,
            beginning,
            known,
            farther,
            issued,
            gate,
            lines,
            spare,
        })
    }

    /// What the expression is written as.
    pub(crate) fn expression(&self) -> &str {
        &self.statement.expression
    }

    /// What it is told by where a text is disguised, if all its matches begin with that, or some may not.
    pub(super) fn marked(&self, begins: bool) -> Marked<'_> {
        let Self { beginning, at_edge, goes_on, shortest, .. } = self;
        let within = if *goes_on { 0 } else { *shortest };
        let begin = Begin { beginning: (**beginning).clone(), at_edge: *at_edge, within };
        Marked { expression: self.expression(), goes_on: *goes_on, begin: begins.then_some(begin) }
    }

    /// Its keywords, in lower case.
    pub(crate) fn keywords(&self) -> &[String] {
        &self.statement.keywords
    }

    /// Whether a match that holds is such a secret, whatever stands around it.
    pub(crate) fn is_proven(&self) -> bool {
        self.statement.proven
    }

    /// Which group is the secret; 0 for the first that took part.
    pub(crate) fn secret_group(&self) -> usize {
        self.statement.secret_group
    }

    /// Where it looks, if it has no keywords.
    pub(crate) fn trigger(&self) -> Option<Trigger> {
        self.statement.trigger
    }

    /// Whether its keywords only count at the edge of a word: each of its matches begins there, and with one of them. Where
    /// pieces [may stand together](super::Engine::each_sign), any of them may be an edge. What begins a run tells of all
    /// of it there, but not of what stands around a later piece.
    pub(super) fn needs_edge(&self) -> bool {
        self.at_edge && self.reach == Reach::Here && self.statement.around == 0
    }

    /// Whether its expression is about a value that something of any name is set to.
    pub(crate) fn is_assignment(&self) -> bool {
        self.stripped
    }

    /// Does not find what this list allows.
    pub(crate) fn allow(&mut self, list: Arc<Allow>) {
        self.allow.push(list);
    }

    /// Finds what matches within a range of a text.
    ///
    /// # Errors
    /// [`Exhausted`]: a range of its size cannot pay for it.
    pub(crate) fn confirm<'r>(
        &'r self,
        text: &str,
        range: Range<usize>,
        found: &mut dyn FnMut(Match<'r>),
    ) -> Result<(), Exhausted> {
        let left = self.spare.lock().ok().and_then(|mut spare| spare.take());
        let mut cache = left.unwrap_or_else(|| Box::new(self.cache()));
        cache.forget();
        let mut budget = Budget::default();
        // The range is short: an automaton whose memory is full must not take all that it may cost.
        budget.earn(range.len(), PLACE);
        let done = self.looking(text, None, &mut cache, &mut budget).each(range, &mut |hit| {
            found(hit);
            Standing::Open
        });
        if let Ok(mut spare) = self.spare.lock() {
            *spare = Some(cache);
        }
        done
    }

    pub(super) fn cache(&self) -> Cache {
        self.automaton.cache()
    }

    /// Whether it looks at texts that are from here.
    pub(super) fn is_for(&self, path: Option<&str>) -> bool {
        self.path.as_ref().is_none_or(|wanted| path.is_some_and(|path| wanted.is_match(path)))
    }

    /// Whether a match may begin at a place, by the bytes there and the one before it.
    #[inline]
    pub(super) fn may_match(&self, text: &[u8], at: usize) -> bool {
        let rest = text.get(at..).unwrap_or_default();
        self.may_stand(text, at)
            && self.gate().is_none_or(|gate| gate.is_open(rest))
            && self.lines.is_none_or(|lines| digits::any_ahead(rest, lines))
    }

    /// The same in a text of these planes, where looks one after the other go on over the same bytes, of which one
    /// [remembers](Gate::is_open_at) something.
    #[inline]
    pub(super) fn may_match_in(&self, text: &[u8], planes: &Planes, at: usize, between: &mut Range<usize>) -> bool {
        let any_ahead = |lines| match planes.are_plain() {
            true => digits::any_ahead_in(planes, at, text.len(), lines),
            false => digits::any_ahead(text.get(at..).unwrap_or_default(), lines),
        };
        self.may_stand(text, at)
            && self.gate().is_none_or(|gate| gate.is_open_at(text, at, between))
            && self.lines.is_none_or(any_ahead)
    }

    /// Whether a match may begin with these bytes, by what stands before its first sign.
    pub(super) fn gate_is_open(&self, bytes: &[u8]) -> bool {
        self.gate().is_none_or(|gate| gate.is_open(bytes))
    }

    /// Whether what begins a match may stand at a place.
    #[inline]
    fn may_stand(&self, text: &[u8], at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|last| text.get(last));
        (!self.at_edge || is_edge(text, at))
            && before.is_none_or(|byte| self.statement.behind.iter().all(|behind| behind(*byte)))
            && self.beginning.may_be(text.get(at..).unwrap_or_default(), self.known)
    }

    fn gate(&self) -> Option<&Gate> {
        self.gate.get_or_init(|| Gate::new(self.automaton.nfa(), self.known)).as_ref()
    }

    /// Whether anything is looked at before its automaton.
    #[cfg(test)]
    pub(super) fn looks_before(&self) -> bool {
        self.gate().is_some()
            || self.lines.is_some()
            || !self.statement.named.is_empty()
            || !self.statement.behind.is_empty()
    }

    pub(super) fn looking<'l>(
        &self,
        text: &'l str,
        path: Option<&'l str>,
        cache: &'l mut Cache,
        budget: &'l mut Budget,
    ) -> Looking<'_, 'l> {
        Looking { rule: self, text, path, cache, budget }
    }
}
