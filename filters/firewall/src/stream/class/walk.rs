//! What an automaton reads before a keyword is complete, and whether it reads one at all.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use aho_corasick::automaton::{Automaton as _, StateID as WordsID};
use aho_corasick::{Anchored, dfa::DFA};
use regex_automata::nfa::thompson::State;
use regex_automata::util::primitives::StateID;

use super::{Automaton, PREFIX};

/// How far before its keyword a match is looked for. Rules that need more are watched for from everywhere.
const BACK: usize = 64;
/// The most steps that finding this out may take for one rule.
const WORK: usize = 100_000;

/// States that were seen.
pub(super) type States = HashSet<StateID, BuildHasherDefault<Quick>>;
/// What is known of a place.
type Known = HashMap<(StateID, WordsID), (Option<usize>, u32), BuildHasherDefault<Quick>>;

/// A hash of small numbers that the rules' expressions give, and nobody chooses.
#[derive(Default)]
pub(super) struct Quick(u64);

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
pub(super) fn early(automaton: &Automaton, words: &DFA, keywords: &[String]) -> (Vec<Option<usize>>, Vec<Reading>) {
    let (mut early, mut deep) = (vec![None; keywords.len()], Vec::new());
    let longest = keywords.iter().map(String::len).max().unwrap_or(0);
    let letters = letters(keywords);
    let Ok(begin) = words.start_state(Anchored::No) else { return (early, deep) };
    let mut layer = vec![Place { state: automaton.nfa().start_anchored(), words: begin, secret: None, loose: 0 }];
    let mut work = 0;
    for read in 1..=BACK + longest {
        close(automaton, &mut layer, &mut work);
        let mut next = Known::default();
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
pub(super) fn completes(
    automaton: &Automaton,
    words: &DFA,
    keywords: &[String],
    mut stack: Vec<Reading>,
    spelt: bool,
) -> Option<bool> {
    let letters = letters(keywords);
    let mut seen: HashSet<Reading, BuildHasherDefault<Quick>> = HashSet::default();
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
    let (mut read, mut count) = ([false; 256], 0);
    let mut add = |low: u8, high: u8| {
        for byte in low..=high {
            let known = read.get_mut(usize::from(byte.to_ascii_lowercase()));
            count += usize::from(known.is_some_and(|known| !std::mem::replace(known, true)));
            if count > SPELLS {
                return true;
            }
        }
        false
    };
    match automaton.nfa().state(state) {
        State::ByteRange { trans } => add(trans.start, trans.end),
        State::Sparse(sparse) => sparse.transitions.iter().any(|t| add(t.start, t.end)),
        State::Dense(_) => true,
        _ => false,
    }
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
    let mut seen = Known::default();
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
pub(in crate::stream) fn steps(automaton: &Automaton, state: StateID, see: &mut dyn FnMut(StateID, bool)) {
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

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0.rotate_left(26) ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
