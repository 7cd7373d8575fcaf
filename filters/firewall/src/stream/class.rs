//! How a rule is watched for: from its keyword on, or, where the secret begins before any keyword, from
//! everywhere it could begin.

use aho_corasick::automaton::{Automaton as _, StateID as WordsID};
use aho_corasick::{Anchored, dfa::DFA};
use regex_automata::nfa::thompson::{Compiler, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::automaton::{Automaton, SecretSlots};

/// How much of a secret may stand before its keyword, when that is still its prefix (`abc8Q~`).
const PREFIX: usize = 4;
/// How far before its keyword a match is looked for. Rules that need more are watched for from everywhere.
const BACK: usize = 64;
/// The most steps that finding this out may take for one rule.
const WORK: usize = 400_000;

/// How a rule is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Its secret lies after the keyword, or begins with it: from the keyword on. A match begins at most
    /// `back` bytes before it.
    Keyword {
        /// The longest way from where a match begins to its keyword.
        back: usize,
    },
    /// Its secret begins before its keyword, or it has none: from wherever a match may begin.
    Everywhere,
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
    let Ok(words) = DFA::builder().ascii_case_insensitive(true).prefilter(false).build(keywords) else {
        return Class::Everywhere;
    };
    let Ok(begin) = words.start_state(Anchored::No) else { return Class::Everywhere };
    if keywords.is_empty() {
        return Class::Everywhere;
    }
    let longest = keywords.iter().map(String::len).max().unwrap_or(0);
    let letters = letters(keywords);
    let nfa = automaton.nfa();
    let mut layer = vec![Place { state: nfa.start_anchored(), words: begin, secret: None }];
    let mut left = WORK;
    for read in 0..BACK + longest {
        let mut next = Vec::new();
        close(automaton, &mut layer, &mut left);
        for place in &layer {
            let secret = place.secret.map(|bytes| bytes + 1);
            let mut see = |low: u8, high: u8, to: StateID| {
                let own = letters.iter().copied().filter(|letter| (low..=high).contains(letter));
                let other = (low..=high).find(|byte| !letters.contains(byte));
                for byte in own.chain(other) {
                    left = left.saturating_sub(1);
                    let words_next = words.next_state(Anchored::No, place.words, byte);
                    if !words.is_match(words_next) {
                        next.push(Place { state: to, words: words_next, secret });
                    }
                }
            };
            match nfa.state(place.state) {
                State::ByteRange { trans } => see(trans.start, trans.end, trans.next),
                State::Sparse(sparse) => sparse.transitions.iter().for_each(|t| see(t.start, t.end, t.next)),
                State::Dense(dense) => {
                    (0..=255).for_each(|byte| {
                        if let Some(to) = dense.matches_byte(byte) {
                            see(byte, byte, to);
                        }
                    });
                }
                // Without a keyword there is no match: a rule that has one says so (the engine asks it too).
                _ => {}
            }
        }
        if next.is_empty() {
            return Class::Keyword { back: read.min(BACK) };
        }
        if left == 0 || next.iter().any(|place| place.secret.is_some_and(|bytes| bytes >= longest + PREFIX)) {
            return Class::Everywhere;
        }
        next.sort_unstable_by_key(|p| (p.state, p.words.as_u32(), std::cmp::Reverse(p.secret)));
        next.dedup_by_key(|place| (place.state, place.words));
        layer = next;
    }
    Class::Everywhere
}

/// A place before any keyword.
#[derive(Clone, Copy)]
struct Place {
    state: StateID,
    words: WordsID,
    /// How much of the secret was read.
    secret: Option<usize>,
}

/// Adds every place that is reached without reading.
fn close(automaton: &Automaton, layer: &mut Vec<Place>, left: &mut usize) {
    let mut seen = std::collections::HashMap::new();
    let mut stack = std::mem::take(layer);
    stack.reverse();
    while let Some(place) = stack.pop() {
        *left = left.saturating_sub(1);
        let key = (place.state, place.words);
        if seen.get(&key).is_some_and(|known: &Option<usize>| *known >= place.secret) {
            continue;
        }
        seen.insert(key, place.secret);
        let mut go = |state: StateID| stack.push(Place { state, ..place });
        match automaton.nfa().state(place.state) {
            State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => layer.push(place),
            State::Look { next, .. } => go(*next),
            State::Union { alternates } => alternates.iter().for_each(|next| go(*next)),
            State::BinaryUnion { alt1, alt2 } => [*alt1, *alt2].into_iter().for_each(go),
            State::Capture { next, slot, .. } => {
                let opens = place.secret.is_none() && automaton.opens(slot.as_usize());
                stack.push(Place { state: *next, secret: if opens { Some(0) } else { place.secret }, ..place });
            }
            State::Match { .. } | State::Fail => {}
        }
    }
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
