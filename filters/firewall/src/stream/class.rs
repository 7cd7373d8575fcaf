//! How a rule is watched for: from its keyword on, or, where the secret begins before any keyword, from
//! everywhere it could begin.

use std::collections::{HashMap, HashSet};

use aho_corasick::automaton::{Automaton as _, StateID as WordsID};
use aho_corasick::{Anchored, dfa::DFA};
use regex_automata::nfa::thompson::{Compiler, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::{Hir, HirKind};

use super::automaton::{Automaton, SecretSlots};
use crate::expression;

/// How much of a secret may stand before its keyword and still count as its prefix: the account or the
/// name of a token rather than the token (`123456789:AA`, `abc8Q~`).
pub(super) const PREFIX: usize = 16;
/// How far before its keyword a match is looked for. Rules that need more are watched for from everywhere.
const BACK: usize = 64;
/// The most steps that finding this out may take for one rule.
const WORK: usize = 100_000;
/// The longest prefix that is told.
const PREFIX_MOST: u32 = 32;

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

/// A place, how far the keywords were read, and which of the last bytes may as well have been others.
type Reading = (StateID, WordsID, u32);

/// A place before any keyword.
#[derive(Clone, Copy)]
struct Place {
    state: StateID,
    words: WordsID,
    /// How much of the secret was read.
    secret: Option<usize>,
    /// Which of the last bytes may as well have been others: a bit each, the newest lowest.
    loose: u32,
}

/// Of each keyword that comes before the secret, or at its beginning: the most that is read before it.
/// Beside it, the places that lie too deep in a secret.
fn early(automaton: &Automaton, words: &DFA, keywords: &[String]) -> (Vec<Option<usize>>, Vec<Reading>) {
    let (mut early, mut deep) = (vec![None; keywords.len()], Vec::new());
    let longest = keywords.iter().map(String::len).max().unwrap_or(0);
    let letters = letters(keywords);
    let Ok(begin) = words.start_state(Anchored::No) else { return (early, deep) };
    let mut layer = vec![Place { state: automaton.nfa().start_anchored(), words: begin, secret: None, loose: 0 }];
    let mut work = 0;
    for read in 1..=BACK + longest {
        close(automaton, &mut layer, &mut work);
        let mut next: HashMap<(StateID, WordsID), (Option<usize>, u32)> = HashMap::new();
        for place in &layer {
            let secret = place.secret.map(|bytes| bytes + 1);
            let loose = place.loose << 1 | u32::from(is_loose(automaton, place.state));
            reads(automaton, place.state, &letters, &mut |byte, to| {
                work += 1;
                let after = words.next_state(Anchored::No, place.words, byte);
                let after = if is_lost(loose) { begin } else { after };
                if !words.is_match(after) {
                    if secret.is_none_or(|bytes| bytes < longest + PREFIX) {
                        let known = next.entry((to, after)).or_insert((secret, loose));
                        *known = (known.0.max(secret), known.1 & loose);
                    } else {
                        deep.push((to, after, loose));
                    }
                    return;
                }
                for index in 0..words.match_len(after) {
                    let keyword = words.match_pattern(after, index).as_usize();
                    let length = keywords.get(keyword).map_or(0, String::len);
                    if !is_spelt(loose, length) {
                        continue;
                    }
                    if let Some(back) = early.get_mut(keyword) {
                        *back = (*back).max(Some(read - length.min(read)));
                    }
                }
            });
        }
        if next.is_empty() || work > WORK {
            break;
        }
        layer =
            next.into_iter().map(|((state, words), (secret, loose))| Place { state, words, secret, loose }).collect();
    }
    (early, deep)
}

/// Whether a match can hold one of these keywords, and, if asked, only where it is spelt; `None` where that takes too long to find out.
fn completes(
    automaton: &Automaton,
    words: &DFA,
    keywords: &[String],
    mut stack: Vec<Reading>,
    spelt: bool,
) -> Option<bool> {
    let letters = letters(keywords);
    let mut seen = HashSet::new();
    let (mut work, mut complete) = (0, false);
    let start = words.start_state(Anchored::No).ok();
    while let Some((state, word, loose)) = stack.pop() {
        if !seen.insert((state, word, loose & 0xff)) {
            continue;
        }
        work += 1;
        let after_loose = loose << 1 | u32::from(is_loose(automaton, state));
        reads(automaton, state, &letters, &mut |byte, to| {
            work += 1;
            let after = match start {
                Some(start) if spelt && is_lost(after_loose) => start,
                _ => words.next_state(Anchored::No, word, byte),
            };
            if words.is_match(after) {
                let mut ended = (0..words.match_len(after)).map(|index| words.match_pattern(after, index).as_usize());
                let length = |keyword: usize| keywords.get(keyword).map_or(0, String::len);
                complete |= !spelt || ended.any(|keyword| is_spelt(after_loose, length(keyword)));
            }
            stack.push((to, after, after_loose));
        });
        steps(automaton, state, &mut |to, _| stack.push((to, word, loose)));
        if complete {
            return Some(true);
        }
        if work > WORK {
            return None;
        }
    }
    Some(false)
}

/// How many letters a place may read, in either case, that still spells something.
const SPELLS: usize = 10;

/// Whether a place reads so many bytes that they spell nothing: a keyword there is an accident.
fn is_loose(automaton: &Automaton, state: StateID) -> bool {
    let mut bytes = HashSet::new();
    let mut add = |low: u8, high: u8| bytes.extend((low..=high).map(|byte| byte.to_ascii_lowercase()));
    match automaton.nfa().state(state) {
        State::ByteRange { trans } => add(trans.start, trans.end),
        State::Sparse(sparse) => sparse.transitions.iter().for_each(|t| add(t.start, t.end)),
        State::Dense(_) => return true,
        _ => {}
    }
    bytes.len() > SPELLS
}

/// Whether so many of the last bytes may as well have been others that no keyword is being spelt.
fn is_lost(loose: u32) -> bool {
    loose & 0b111 == 0b111
}

/// Whether at least a half of a keyword that was just read was spelt.
fn is_spelt(loose: u32, length: usize) -> bool {
    let mask = u32::MAX.checked_shr(32 - length.clamp(1, 32) as u32).unwrap_or(u32::MAX);
    (loose & mask).count_ones() as usize * 2 <= length
}

/// Adds every place that is reached without reading.
fn close(automaton: &Automaton, layer: &mut Vec<Place>, work: &mut usize) {
    let mut seen: HashMap<(StateID, WordsID), (Option<usize>, u32)> = HashMap::new();
    let mut stack = std::mem::take(layer);
    while let Some(place) = stack.pop() {
        *work += 1;
        let key = (place.state, place.words);
        if seen.get(&key).is_some_and(|known| known.0 >= place.secret) {
            continue;
        }
        seen.insert(key, (place.secret, place.loose));
        steps(automaton, place.state, &mut |state, opens| {
            let secret = if opens { place.secret.or(Some(0)) } else { place.secret };
            stack.push(Place { state, secret, ..place });
        });
    }
    layer.extend(seen.into_iter().map(|((state, words), (secret, loose))| Place { state, words, secret, loose }));
}

/// Where a state leads to without reading, and whether the secret opens there.
fn steps(automaton: &Automaton, state: StateID, see: &mut dyn FnMut(StateID, bool)) {
    match automaton.nfa().state(state) {
        State::Look { next, .. } => see(*next, false),
        State::Union { alternates } => alternates.iter().for_each(|next| see(*next, false)),
        State::BinaryUnion { alt1, alt2 } => [*alt1, *alt2].into_iter().for_each(|next| see(next, false)),
        State::Capture { next, slot, .. } => see(*next, automaton.opens(slot.as_usize())),
        State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Match { .. } | State::Fail => {}
    }
}

/// Where a state leads to by reading: each of the keywords' letters, and one byte for all others.
fn reads(automaton: &Automaton, state: StateID, letters: &[u8], see: &mut dyn FnMut(u8, StateID)) {
    let mut read = |low: u8, high: u8, to: StateID| {
        let own = letters.iter().copied().filter(|letter| (low..=high).contains(letter));
        let other = (low..=high).find(|byte| !letters.contains(byte));
        own.chain(other).for_each(|byte| see(byte, to));
    };
    match automaton.nfa().state(state) {
        State::ByteRange { trans } => read(trans.start, trans.end, trans.next),
        State::Sparse(sparse) => sparse.transitions.iter().for_each(|t| read(t.start, t.end, t.next)),
        State::Dense(dense) => (0..=255).for_each(|byte| {
            if let Some(to) = dense.matches_byte(byte) {
                read(byte, byte, to);
            }
        }),
        _ => {}
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
