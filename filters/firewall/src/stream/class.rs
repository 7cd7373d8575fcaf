//! How a rule is watched for: from its keyword on, or, where the secret begins before any keyword, from
//! everywhere it could begin. Where all that it matches begins with one of a few words, these are its keywords.

use std::collections::BTreeMap;

use aho_corasick::automaton::Automaton as _;
use aho_corasick::{Anchored, dfa::DFA};
use regex_automata::nfa::thompson::{Compiler, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::{Hir, HirKind};

use super::automaton::{Automaton, SecretSlots};
use crate::expression;

mod walk;

pub(super) use walk::steps;
use walk::{States, completes, early};

/// How much of a secret may stand before its keyword and still count as its prefix: the account or the
/// name of a token rather than the token (`123456789:AA`, `abc8Q~`).
pub(super) const PREFIX: usize = 16;
/// The longest prefix that is told.
const PREFIX_MOST: u32 = 32;
/// How long the beginnings of matches are, and how many of them a rule may have.
const LEAD: std::ops::RangeInclusive<usize> = 2..=8;
const MOST_LEADS: usize = 8;
/// As many letters may go on a beginning: where there are more, it has ended.
const FORKS: usize = 2;

/// How a rule is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Class {
    /// From its keywords on, where a secret lies behind one or begins with one: a match begins at most so
    /// many bytes before it.
    pub(super) back: Option<usize>,
    /// From wherever a match may begin: a secret begins before its keyword, or there is none.
    pub(super) everywhere: bool,
    /// Only in a text in which a keyword stood before: its matches hold none.
    pub(super) context: bool,
    /// An ordinary word may be the beginning of its matches: it is followed only from words that are none.
    pub(super) words: bool,
    /// Every secret begins with so many bytes that are always the same.
    pub(super) prefix: u32,
}

/// The automaton of an expression, without what may stand before a match and says nothing about it.
pub(super) fn automaton(written: &str, group: usize) -> Option<Automaton> {
    let hir = expression::parse(written).ok()?;
    let groups = hir.properties().explicit_captures_len();
    let secret = match group {
        0 if groups == 0 => SecretSlots::Whole,
        0 => SecretSlots::Any,
        group => SecretSlots::One(group),
    };
    let hir = if groups == 0 { hir } else { without_lead(hir) };
    let bounded = hir.properties().look_set_prefix().contains(regex_syntax::hir::Look::WordAscii);
    let config = NFA::config().utf8(false).nfa_size_limit(Some(16 << 20)).which_captures(WhichCaptures::All);
    let nfa = Compiler::new().configure(config).build_from_hir(&hir).ok()?;
    Some(Automaton::new(nfa, secret, bounded))
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

/// Finds out how a rule is watched for: walks what its automaton reads before a keyword is complete.
pub(super) fn classify(automaton: &Automaton, keywords: &[String]) -> (Class, Vec<Option<usize>>) {
    let (prefix, words) = (prefix(automaton), automaton.reads_words());
    let everywhere = Class { back: None, everywhere: true, context: false, words, prefix };
    let Some(words_dfa) = dfa(keywords) else { return (everywhere, Vec::new()) };
    let (early, deep) = early(automaton, &words_dfa, keywords);
    let far = early.iter().copied().max().flatten();
    // A keyword that never comes early comes late, unless it is none of a match at all, or one that comes
    // early is a part of it.
    let (known, rest): (Vec<_>, Vec<_>) = keywords.iter().zip(&early).partition(|(_, back)| back.is_some());
    let rest = rest.iter().map(|(keyword, _)| (*keyword).clone());
    let rest: Vec<String> = rest.filter(|keyword| !known.iter().any(|(known, _)| keyword.contains(*known))).collect();
    let begin = |dfa: &DFA| {
        Vec::from_iter(dfa.start_state(Anchored::No).map(|word| (automaton.nfa().start_anchored(), word, 0)))
    };
    let late = dfa(&rest).is_some_and(|dfa| completes(automaton, &dfa, &rest, begin(&dfa), true) != Some(false))
        || completes(automaton, &words_dfa, keywords, deep, true) != Some(false);
    let any = || completes(automaton, &words_dfa, keywords, begin(&words_dfa), false) != Some(false);
    let context = far.is_none() && !late && !any();
    let class = Class { back: far, everywhere: late || far.is_none(), context, words, prefix };
    (class, early)
}

fn dfa(keywords: &[String]) -> Option<DFA> {
    if keywords.is_empty() {
        return None;
    }
    DFA::builder().ascii_case_insensitive(true).prefilter(false).build(keywords).ok()
}

/// The few words of which each match begins with one, in small letters; none where it may begin with others.
pub(super) fn leads(automaton: &Automaton) -> Vec<String> {
    let mut leads = Vec::new();
    let mut open = vec![(Vec::new(), vec![automaton.nfa().start_anchored()])];
    while let Some((lead, states)) = open.pop() {
        let (next, ends) = following(automaton, states);
        let on = lead.len() < *LEAD.end() && !ends && next.len() <= FORKS;
        match String::from_utf8(lead) {
            Ok(lead) if !on && LEAD.contains(&lead.len()) => leads.push(lead),
            Ok(lead) if on => open.extend(next.into_iter().map(|(byte, states)| {
                let mut longer = lead.clone().into_bytes();
                longer.push(byte);
                (longer, states)
            })),
            _ => return Vec::new(),
        }
        if leads.len() + open.len() > MOST_LEADS {
            return Vec::new();
        }
    }
    leads
}

/// Where each byte leads to from these states, letters in small; and whether a match may end here, or be
/// followed by so many bytes that none of them says anything.
fn following(automaton: &Automaton, mut states: Vec<StateID>) -> (BTreeMap<u8, Vec<StateID>>, bool) {
    let (mut next, mut seen) = (BTreeMap::<u8, Vec<StateID>>::new(), States::default());
    while let Some(state) = states.pop() {
        if !seen.insert(state) {
            continue;
        }
        let mut read = |low: u8, high: u8, to: StateID| {
            // Both cases of a letter are two.
            for byte in (low..=high).take(2 * FORKS + 1) {
                next.entry(byte.to_ascii_lowercase()).or_default().push(to);
            }
        };
        match automaton.nfa().state(state) {
            State::ByteRange { trans } => read(trans.start, trans.end, trans.next),
            State::Sparse(sparse) => sparse.transitions.iter().for_each(|t| read(t.start, t.end, t.next)),
            State::Dense(_) | State::Match { .. } => return (next, true),
            _ => walk::steps(automaton, state, &mut |to, _| states.push(to)),
        }
    }
    (next, false)
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
        let mut seen = States::default();
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

#[cfg(test)]
mod tests;
