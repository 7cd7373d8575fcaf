//! The rules as growing texts see them: one automaton of all keywords, and one for each rule.

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::{Anchored, dfa::DFA};
use portcullis_policies::DataLevel;

use super::automaton::Automaton;
use super::class::{self, Class};
use super::stem::Stem;
use crate::engine::Compiled;
use crate::rule::{Direction, Kind};

/// All rules that look at answers.
pub(crate) struct Live {
    rules: Vec<LiveRule>,
    keywords: DFA,
    /// Of each keyword.
    owners: Vec<Owner>,
    /// In ordinary words: the rules that are watched for from everywhere, whatever the word.
    usual: Begin,
    /// In words that are no ordinary ones: these, and those that are watched for in such words alone.
    evident: Begin,
    /// Rules that are followed from words that are no ordinary ones.
    words: Vec<usize>,
    /// Rules for which the word at the end of a text is held.
    stems: Vec<usize>,
}

/// Of each byte: the rules whose matches may begin with it.
struct Begin {
    anywhere: Vec<Vec<usize>>,
    /// Those of them that may begin within a word.
    within: Vec<Vec<usize>>,
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
    /// With which words its secrets begin, where there are only a few.
    pub(super) leads: Vec<String>,
    /// What its secrets have before their keyword, where that may be any word.
    pub(super) stem: Option<Stem>,
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
        let (mut usual, mut evident, mut words) = (Begin::new(), Begin::new(), Vec::new());
        let mut stems = Vec::new();
        for (number, rule) in compiled.iter().enumerate() {
            let watched = matches!(rule.rule.kind, Kind::Secret | Kind::Pii);
            if !watched || !rule.rule.direction.covers(Direction::Response) {
                continue;
            }
            let automaton = class::automaton(rule.expression(), rule.secret_group())?;
            let place = rules.len();
            let (mut class, backs) = class::classify(&automaton, rule.keywords());
            let first = automaton.first_bytes();
            let mut leads = if class.everywhere && !class.context { class::leads(&automaton) } else { Vec::new() };
            let mut watch = |keyword: &str, back| {
                keywords.push(keyword.to_owned());
                owners.push(Owner { place, length: keyword.len(), back });
            };
            let any_word = leads.is_empty() && class.everywhere && class.words && !class.context;
            let stem = if any_word { Stem::of(&automaton, rule.keywords()) } else { None };
            if let Some(stem) = &stem {
                rule.keywords().iter().for_each(|keyword| watch(keyword, Some(stem.longest())));
                class = Class { back: Some(stem.longest()), everywhere: false, ..class };
                stems.push(place);
            } else if leads.is_empty() {
                let known = rule.keywords().iter().zip(backs).filter(|(_, back)| back.is_some() || class.context);
                known.for_each(|(keyword, back)| watch(keyword, back));
            } else {
                leads.iter().for_each(|lead| watch(lead, Some(0)));
                class = Class { back: Some(0), everywhere: false, ..class };
            }
            if class.everywhere {
                let bounded = automaton.begins_words();
                evident.add(place, &first, bounded);
                if class.words {
                    words.push(place);
                } else {
                    usual.add(place, &first, bounded);
                }
            }
            if !automaton.secret_is_first() {
                leads.clear();
            }
            let strong = rule.rule.level >= DataLevel::L4;
            rules.push(LiveRule { number, automaton, class, leads, stem, first, strong });
        }
        let keywords = DFA::builder().ascii_case_insensitive(true).prefilter(false).build(&keywords).ok()?;
        Some(Self { rules, keywords, owners, usual, evident, words, stems })
    }

    pub(super) fn rule(&self, place: usize) -> Option<&LiveRule> {
        self.rules.get(place)
    }

    /// Takes a byte in with which no keyword ends; `None` where one may.
    #[inline]
    pub(super) fn next(&self, state: Option<StateID>, byte: u8) -> Option<StateID> {
        let words = &self.keywords;
        let from = state.or_else(|| words.start_state(Anchored::No).ok())?;
        let next = words.next_state(Anchored::No, from, byte);
        (!words.is_match(next)).then_some(next)
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

    /// The rules that are watched for from everywhere and may begin with this byte, after that one, in an ordinary
    /// word or in one that is none.
    pub(super) fn beginning_with(&self, before: Option<u8>, byte: u8, evident: bool) -> &[usize] {
        let begin = if evident { &self.evident } else { &self.usual };
        let table = if is_within(before, byte) { &begin.within } else { &begin.anywhere };
        table.get(usize::from(byte)).map_or(&[], Vec::as_slice)
    }

    /// Whether any of these may.
    #[inline]
    pub(super) fn begins(&self, before: Option<u8>, byte: u8, evident: bool) -> bool {
        let begin = if evident { &self.evident } else { &self.usual };
        let table = |table: &[Vec<usize>]| table.get(usize::from(byte)).is_some_and(|rules| !rules.is_empty());
        table(&begin.anywhere) && (table(&begin.within) || !is_within(before, byte))
    }

    /// The rules that are followed from words that are no ordinary ones.
    pub(super) fn word_rules(&self) -> &[usize] {
        &self.words
    }

    /// The rules for which the word at the end of a text is held, each with what may be that word.
    pub(super) fn stems(&self) -> impl Iterator<Item = (&LiveRule, &Stem)> {
        let rules = self.stems.iter().filter_map(|place| self.rules.get(*place));
        rules.filter_map(|rule| Some((rule, rule.stem.as_ref()?)))
    }

    /// Every rule.
    pub(super) fn rules(&self) -> &[LiveRule] {
        &self.rules
    }
}

impl LiveRule {
    /// Whether a match may begin with this byte, after that one.
    pub(super) fn begins_with(&self, before: Option<u8>, byte: u8) -> bool {
        self.first.get(usize::from(byte)) == Some(&true) && !(self.automaton.begins_words() && is_within(before, byte))
    }
}

/// Whether a byte goes on a word.
fn is_within(before: Option<u8>, byte: u8) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    before.is_some_and(word) && word(byte)
}

impl Begin {
    fn new() -> Self {
        Self { anywhere: vec![Vec::new(); 256], within: vec![Vec::new(); 256] }
    }

    /// Adds a rule whose matches begin with these bytes, and with none of them within a word if `bounded`.
    fn add(&mut self, place: usize, first: &[bool; 256], bounded: bool) {
        for ((can, anywhere), within) in first.iter().zip(&mut self.anywhere).zip(&mut self.within) {
            anywhere.extend(can.then_some(place));
            within.extend((*can && !bounded).then_some(place));
        }
    }
}
