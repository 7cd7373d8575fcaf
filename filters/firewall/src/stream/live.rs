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
    keywords: Option<DFA>,
    /// Of each keyword: its rule, and its length.
    owners: Vec<(usize, usize)>,
    /// Of each byte: the rules that are watched for from everywhere, and whose matches may begin with it.
    first: Vec<Vec<usize>>,
}

/// A rule as growing texts see it.
pub(super) struct LiveRule {
    /// Its number in the engine.
    pub(super) number: usize,
    pub(super) automaton: Automaton,
    pub(super) class: Class,
    /// Whether what may be its finding is refused where it cannot be told.
    pub(super) strong: bool,
}

impl Live {
    /// The rules of an engine.
    pub(crate) fn new(compiled: &[Compiled]) -> Result<Self, (usize, String)> {
        let mut rules = Vec::new();
        let mut keywords = Vec::new();
        let mut owners = Vec::new();
        let mut first = vec![Vec::new(); 256];
        for (number, rule) in compiled.iter().enumerate() {
            let watched = matches!(rule.rule.kind, Kind::Secret | Kind::Pii);
            if !watched || !rule.rule.direction.covers(Direction::Response) {
                continue;
            }
            let automaton =
                class::automaton(rule.expression(), rule.secret_group()).map_err(|reason| (number, reason))?;
            let place = rules.len();
            let class = class::classify(&automaton, rule.keywords());
            if class.back.is_none() || class.context {
                for (can, rules) in automaton.first_bytes().into_iter().zip(first.iter_mut()) {
                    rules.extend(can.then_some(place));
                }
            }
            if class.back.is_some() || class.context {
                for keyword in rule.keywords() {
                    keywords.push(keyword.as_str());
                    owners.push((place, keyword.len()));
                }
            }
            let strong = rule.rule.level >= DataLevel::L4;
            rules.push(LiveRule { number, automaton, class, strong });
        }
        let keywords = DFA::builder().ascii_case_insensitive(true).prefilter(false).build(&keywords).ok();
        Ok(Self { rules, keywords, owners, first })
    }

    pub(super) fn rule(&self, place: usize) -> Option<&LiveRule> {
        self.rules.get(place)
    }

    /// Takes a byte in, and says which keywords end with it: rule and length.
    pub(super) fn keywords(&self, state: &mut Option<StateID>, byte: u8, see: &mut dyn FnMut(usize, usize)) {
        let Some(words) = &self.keywords else { return };
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
                if let Some((rule, length)) = self.owners.get(words.match_pattern(next, index).as_usize()) {
                    see(*rule, *length);
                }
            }
        }
    }

    /// The rules that are watched for from everywhere and may begin with this byte.
    pub(super) fn beginning_with(&self, byte: u8) -> &[usize] {
        self.first.get(usize::from(byte)).map_or(&[], Vec::as_slice)
    }

    /// Every rule.
    pub(super) fn rules(&self) -> &[LiveRule] {
        &self.rules
    }
}
