//! The rules as growing texts see them: one automaton of all keywords, and one for each rule.

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::{Anchored, dfa::DFA};
use portcullis_policies::DataLevel;

use super::automaton::Automaton;
use super::class::{self, Class};
use crate::engine::Compiled;
use crate::rule::{Direction, Kind};

/// All rules that look at answers.
pub(crate) struct Live {
    rules: Vec<LiveRule>,
    keywords: DFA,
    /// Of each keyword.
    owners: Vec<Owner>,
    /// Of each byte: the rules that are watched for from everywhere, and whose matches may begin with it.
    first: Vec<Vec<usize>>,
    /// Those of them that may begin within a word.
    within: Vec<Vec<usize>>,
    /// Rules that are followed from words that are no ordinary ones.
    words: Vec<usize>,
}

/// The rule of a keyword.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) place: usize,
    pub(super) length: usize,
    /// How far before the keyword a match may begin; `None` where it says only that the rule counts.
    pub(super) back: Option<usize>,
}

/// A rule as growing texts see it.
pub(super) struct LiveRule {
    /// Its number in the engine.
    pub(super) number: usize,
    pub(super) automaton: Automaton,
    pub(super) class: Class,
    /// With which bytes its matches begin.
    pub(super) first: [bool; 256],
    /// Whether what may be its finding is refused where it cannot be told.
    pub(super) strong: bool,
}

impl Live {
    /// The rules of an engine.
    pub(crate) fn new(compiled: &[Compiled]) -> Option<Self> {
        let mut rules = Vec::new();
        let mut keywords = Vec::new();
        let mut owners = Vec::new();
        let mut first = vec![Vec::new(); 256];
        let (mut within, mut words) = (vec![Vec::new(); 256], Vec::new());
        for (number, rule) in compiled.iter().enumerate() {
            let watched = matches!(rule.rule.kind, Kind::Secret | Kind::Pii);
            if !watched || !rule.rule.direction.covers(Direction::Response) {
                continue;
            }
            let automaton = class::automaton(rule.expression(), rule.secret_group())?;
            let place = rules.len();
            let (class, backs) = class::classify(&automaton, rule.keywords());
            let first_bytes = automaton.first_bytes();
            if class.everywhere {
                let bounded = automaton.begins_words();
                for ((can, all), within) in first_bytes.into_iter().zip(first.iter_mut()).zip(within.iter_mut()) {
                    all.extend(can.then_some(place));
                    within.extend((can && !bounded).then_some(place));
                }
            }
            if class.everywhere && class.words {
                words.push(place);
            }
            for (keyword, back) in rule.keywords().iter().zip(backs) {
                if back.is_some() || class.context {
                    keywords.push(keyword.as_str());
                    owners.push(Owner { place, length: keyword.len(), back });
                }
            }
            let strong = rule.rule.level >= DataLevel::L4;
            rules.push(LiveRule { number, automaton, class, first: first_bytes, strong });
        }
        let keywords = DFA::builder().ascii_case_insensitive(true).prefilter(false).build(&keywords).ok()?;
        Some(Self { rules, keywords, owners, first, within, words })
    }

    pub(super) fn rule(&self, place: usize) -> Option<&LiveRule> {
        self.rules.get(place)
    }

    /// Takes a byte in, and says which keywords end with it.
    pub(super) fn keywords(&self, state: &mut Option<StateID>, byte: u8, see: &mut dyn FnMut(Owner)) {
        let words = &self.keywords;
        let from = match *state {
            Some(state) => state,
            None => match words.start_state(Anchored::No) {
                Ok(start) => start,
                Err(_) => return,
            },
        };
        let next = words.next_state(Anchored::No, from, byte);
        *state = Some(next);
        if words.is_special(next) && words.is_match(next) {
            for index in 0..words.match_len(next) {
                if let Some(owner) = self.owners.get(words.match_pattern(next, index).as_usize()) {
                    see(*owner);
                }
            }
        }
    }

    /// The rules that are watched for from everywhere and may begin with this byte, after that one.
    pub(super) fn beginning_with(&self, before: Option<u8>, byte: u8) -> &[usize] {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let table = if before.is_some_and(word) && word(byte) { &self.within } else { &self.first };
        table.get(usize::from(byte)).map_or(&[], Vec::as_slice)
    }

    /// The rules that are followed from words that are no ordinary ones.
    pub(super) fn word_rules(&self) -> &[usize] {
        &self.words
    }

    /// Every rule.
    pub(super) fn rules(&self) -> &[LiveRule] {
        &self.rules
    }
}
