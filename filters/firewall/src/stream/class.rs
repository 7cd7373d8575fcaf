//! How a rule is watched for: from its keyword on, or, where the secret begins before any keyword, from
//! everywhere it could begin.

use std::collections::{HashMap, HashSet};

use aho_corasick::automaton::{Automaton as _, StateID as WordsID};
use aho_corasick::{Anchored, dfa::DFA};
use regex_automata::nfa::thompson::{Compiler, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::automaton::{Automaton, SecretSlots};

/// How much of a secret may stand before its keyword and still count as its prefix: the account or the
/// name of a token rather than the token (`123456789:AA`, `abc8Q~`).
pub(super) const PREFIX: usize = 16;
/// How far before its keyword a match is looked for. Rules that need more are watched for from everywhere.
const BACK: usize = 64;
/// The most steps that finding this out may take for one rule.
const WORK: usize = 400_000;
/// The longest prefix that is told.
const PREFIX_MOST: u32 = 32;

/// How a rule is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Class {
    /// A match begins at most so many bytes before its keyword, and its secret lies after the keyword, or
    /// begins with it. `None` where a secret begins before the keyword that it holds, or has none: such
    /// a rule is followed from wherever a match may begin.
    pub(super) back: Option<usize>,
    /// There are matches without a keyword: they count in a text in which one stood before.
    pub(super) context: bool,
    /// Every secret begins with so many bytes that are always the same.
    pub(super) prefix: u32,
}

/// The automaton of an expression, without what may stand before a match and says nothing about it.
pub(super) fn automaton(expression: &str, group: usize) -> Result<Automaton, String> {
    let hir = ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(expression)
        .map_err(|error| format!("its `regex` cannot be read: {error}"))?;
    let groups = hir.properties().explicit_captures_len();
    let secret = match group {
        0 if groups == 0 => SecretSlots::Whole,
        0 => SecretSlots::Any,
        group => SecretSlots::One(group),
    };
    let hir = if groups == 0 { hir } else { without_lead(hir) };
    let config = NFA::config().utf8(false).nfa_size_limit(Some(16 << 20)).which_captures(WhichCaptures::All);
    let nfa = Compiler::new()
        .configure(config)
        .build_from_hir(&hir)
        .map_err(|error| format!("its `regex` is too large to be followed: {error}"))?;
    Ok(Automaton::new(nfa, secret))
}

/// Leaves out what is optional at the very beginning: it makes a match longer, never possible.
fn without_lead(hir: Hir) -> Hir {
    let HirKind::Concat(items) = hir.kind() else { return hir };
    let optional = |item: &Hir| match item.kind() {
        HirKind::Repetition(repeated) => repeated.min == 0 && item.properties().explicit_captures_len() == 0,
        _ => false,
    };
    let lead = items.iter().take_while(|item| optional(item) || matches!(item.kind(), HirKind::Look(_)));
    match lead.enumerate().filter(|(_, item)| optional(item)).last() {
        Some((last, _)) => Hir::concat(items.iter().skip(last + 1).cloned().collect()),
        None => hir,
    }
}

/// Finds out how a rule is watched for: walks everything that its automaton reads before a keyword is
/// complete.
pub(super) fn classify(automaton: &Automaton, keywords: &[String]) -> Class {
    let prefix = prefix(automaton);
    let everywhere = Class { back: None, context: false, prefix };
    let words = DFA::builder().ascii_case_insensitive(true).prefilter(false).build(keywords);
    let Some(before) =
        words.ok().filter(|_| !keywords.is_empty()).and_then(|words| Before::new(automaton, &words, keywords))
    else {
        return everywhere;
    };
    let lengths = || keywords.iter().map(String::len);
    let (shortest, longest) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
    Class { back: before.back(shortest, longest), context: before.context, prefix }
}

/// Everything that is read before a keyword is complete, as a graph.
struct Before {
    /// Where each place leads to by reading a byte.
    reads: Vec<Vec<usize>>,
    /// Where it leads to without, and whether the secret opens there.
    steps: Vec<Vec<(usize, bool)>>,
    /// The places from which a keyword can be completed.
    leads: Vec<bool>,
    /// A match was reached.
    context: bool,
}

impl Before {
    /// `None` where that is too much.
    fn new(automaton: &Automaton, words: &DFA, keywords: &[String]) -> Option<Self> {
        let letters = letters(keywords);
        let nfa = automaton.nfa();
        let mut graph = Self { reads: Vec::new(), steps: Vec::new(), leads: Vec::new(), context: false };
        let mut known = HashMap::new();
        let mut places = Vec::new();
        let mut add = |place: (StateID, WordsID), places: &mut Vec<(StateID, WordsID)>| {
            *known.entry(place).or_insert_with(|| {
                places.push(place);
                places.len() - 1
            })
        };
        add((nfa.start_anchored(), words.start_state(Anchored::No).ok()?), &mut places);
        let mut work = 0;
        while let Some(&(state, word)) = places.get(graph.reads.len()) {
            let (mut reads, mut steps, mut leads) = (Vec::new(), Vec::new(), false);
            let mut read = |low: u8, high: u8, to: StateID| {
                let own = letters.iter().copied().filter(|letter| (low..=high).contains(letter));
                let other = (low..=high).find(|byte| !letters.contains(byte));
                for byte in own.chain(other) {
                    work += 1;
                    let next = words.next_state(Anchored::No, word, byte);
                    if words.is_match(next) {
                        leads = true;
                    } else {
                        reads.push(add((to, next), &mut places));
                    }
                }
            };
            match nfa.state(state) {
                State::ByteRange { trans } => read(trans.start, trans.end, trans.next),
                State::Sparse(sparse) => sparse.transitions.iter().for_each(|t| read(t.start, t.end, t.next)),
                State::Dense(dense) => (0..=255).for_each(|byte| {
                    if let Some(to) = dense.matches_byte(byte) {
                        read(byte, byte, to);
                    }
                }),
                State::Look { next, .. } => steps.push((add((*next, word), &mut places), false)),
                State::Union { alternates } => {
                    steps.extend(alternates.iter().map(|next| (add((*next, word), &mut places), false)));
                }
                State::BinaryUnion { alt1, alt2 } => {
                    steps.extend([*alt1, *alt2].map(|next| (add((next, word), &mut places), false)));
                }
                State::Capture { next, slot, .. } => {
                    steps.push((add((*next, word), &mut places), automaton.opens(slot.as_usize())));
                }
                State::Match { .. } => graph.context = true,
                State::Fail => {}
            }
            graph.reads.push(reads);
            graph.steps.push(steps);
            graph.leads.push(leads);
            if work + places.len() > WORK {
                return None;
            }
        }
        graph.lead();
        Some(graph)
    }

    /// Finds every place from which a keyword can be completed, from the places that do so.
    fn lead(&mut self) {
        let mut from = vec![Vec::new(); self.leads.len()];
        for (place, (reads, steps)) in self.reads.iter().zip(&self.steps).enumerate() {
            for to in reads.iter().chain(steps.iter().map(|(to, _)| to)) {
                if let Some(from) = from.get_mut(*to) {
                    from.push(place);
                }
            }
        }
        let mut stack: Vec<usize> =
            (0..self.leads.len()).filter(|place| self.leads.get(*place) == Some(&true)).collect();
        while let Some(place) = stack.pop() {
            for before in from.get(place).into_iter().flatten() {
                if let Some(leads) = self.leads.get_mut(*before).filter(|leads| !**leads) {
                    *leads = true;
                    stack.push(*before);
                }
            }
        }
    }

    /// The most that is read before a keyword begins; `None` where that is too much, or too much of it is
    /// secret.
    fn back(&self, shortest: usize, longest: usize) -> Option<usize> {
        // Of each place: how much of the secret was read.
        let mut layer: HashMap<usize, Option<usize>> = HashMap::from([(0, None)]);
        let mut work = 0;
        for read in 0..=BACK + longest {
            let mut stack: Vec<_> = layer.drain().collect();
            let mut next: HashMap<usize, Option<usize>> = HashMap::new();
            while let Some((place, secret)) = stack.pop() {
                work += 1;
                let leads = self.leads.get(place) == Some(&true);
                if !leads || layer.get(&place).is_some_and(|known| *known >= secret) {
                    continue;
                }
                layer.insert(place, secret);
                let steps = self.steps.get(place).into_iter().flatten();
                stack.extend(steps.map(|(to, opens)| (*to, if *opens { secret.or(Some(0)) } else { secret })));
                for to in self.reads.get(place).into_iter().flatten() {
                    let entry = next.entry(*to).or_default();
                    *entry = (*entry).max(secret.map(|bytes| bytes + 1));
                }
            }
            next.retain(|place, _| self.leads.get(*place) == Some(&true));
            if next.is_empty() {
                return Some((read + 1).saturating_sub(shortest));
            }
            if work > WORK || next.values().flatten().any(|bytes| *bytes >= longest + PREFIX) {
                return None;
            }
            layer = next;
        }
        None
    }
}

/// With how many bytes every secret begins that are always the same, in either case.
fn prefix(automaton: &Automaton) -> u32 {
    let nfa = automaton.nfa();
    let mut states: Vec<StateID> = nfa
        .states()
        .iter()
        .filter_map(|state| match state {
            State::Capture { next, slot, .. } if automaton.opens(slot.as_usize()) => Some(*next),
            _ => None,
        })
        .collect();
    for length in 0..PREFIX_MOST {
        let (mut byte, mut next) = (None, Vec::new());
        let mut seen = HashSet::new();
        while let Some(id) = states.pop() {
            if !seen.insert(id) {
                continue;
            }
            let mut same = |low: u8, high: u8, to: StateID| {
                next.push(to);
                low == high && *byte.get_or_insert(low.to_ascii_lowercase()) == low.to_ascii_lowercase()
            };
            let same = match nfa.state(id) {
                State::ByteRange { trans } => same(trans.start, trans.end, trans.next),
                State::Sparse(sparse) => sparse.transitions.iter().all(|t| same(t.start, t.end, t.next)),
                State::Dense(_) | State::Match { .. } => false,
                State::Look { next, .. } | State::Capture { next, .. } => {
                    states.push(*next);
                    true
                }
                State::Union { alternates } => {
                    states.extend(alternates.iter());
                    true
                }
                State::BinaryUnion { alt1, alt2 } => {
                    states.extend([*alt1, *alt2]);
                    true
                }
                State::Fail => true,
            };
            if !same {
                return length;
            }
        }
        states = next;
    }
    PREFIX_MOST
}

/// The bytes that the keywords are made of, in both cases.
fn letters(keywords: &[String]) -> Vec<u8> {
    let mut letters: Vec<u8> = keywords
        .iter()
        .flat_map(|k| k.bytes())
        .flat_map(|b| [b.to_ascii_lowercase(), b.to_ascii_uppercase()])
        .collect();
    letters.sort_unstable();
    letters.dedup();
    letters
}
