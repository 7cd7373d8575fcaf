//! Finding secrets in a text, and saying from where on a growing text is undecided.

use super::alphabet::Alphabet;
use super::check::is_placeholder;
use super::literals::Literals;
use super::plain::plain;
use super::rules::{Kind, RULES, Rule};

/// What was found: the rule and the place, in bytes of the text that was scanned.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// The end of a growing text that is not decided yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undecided {
    /// From where on it must not leave.
    pub(super) hold: usize,
    /// From where on it must be scanned again: the key of a value may have left.
    pub(super) rescan: usize,
}

/// The shortest text that can hold a finding.
const SHORTEST: usize = 5;

/// All rules, compiled.
pub struct Scanner {
    literals: Literals,
    /// Of each literal: its text and its rule.
    patterns: Vec<(&'static [u8], &'static Rule)>,
    /// Literals of tokens by their first byte, for what the end of a text may be the beginning of.
    by_first: Vec<Vec<(&'static [u8], bool)>>,
    longest: usize,
}

/// What a place in a text turned out to be.
enum Place {
    /// A finding, up to this position.
    Found(usize),
    /// Nothing.
    Nothing,
    /// Not decided: the text ends first.
    Open(Undecided),
}

impl Default for Scanner {
    /// Compiles the rules.
    fn default() -> Self {
        let patterns: Vec<_> =
            RULES.iter().flat_map(|rule| rule.begins.iter().map(move |begin| (begin.as_bytes(), rule))).collect();
        let any_case = |rule: &Rule| rule.kind == Kind::Assignment;
        let literals = Literals::new(patterns.iter().map(|(literal, rule)| (*literal, any_case(rule))));
        let mut by_first = vec![Vec::new(); 256];
        let mut longest = 0;
        for (literal, rule) in &patterns {
            if matches!(rule.kind, Kind::Assignment | Kind::Hint) {
                continue;
            }
            longest = longest.max(literal.len());
            if let Some(slot) = literal.first().and_then(|b| by_first.get_mut(usize::from(*b))) {
                slot.push((*literal, rule.kind == Kind::Inner));
            }
        }
        Self { literals, patterns, by_first, longest }
    }
}

impl Scanner {
    /// Scans a whole text, as it stands and, where that differs, as a reader sees it.
    pub fn scan(&self, text: &str, found: &mut dyn FnMut(Finding)) {
        self.scan_from(text, 0, true, found);
        if !text.is_ascii() {
            let seen = plain(text);
            if seen != text {
                self.scan_from(&seen, 0, true, found);
            }
        }
    }

    /// Scans a text whose matches begin at or after `from`. Of a text that has `ended`, everything is
    /// decided; of one that may grow, returns from where on it is not.
    pub(super) fn scan_from(&self, text: &str, from: usize, ended: bool, found: &mut dyn FnMut(Finding)) -> Undecided {
        let bytes = text.as_bytes();
        let mut open = Undecided { hold: bytes.len(), rescan: bytes.len() };
        let tail = bytes.get(from..).unwrap_or_default();
        if tail.len() >= SHORTEST {
            self.literals.each(tail, &mut |at, number| {
                let Some((literal, rule)) = self.patterns.get(number) else { return };
                let (start, end) = (from + at, from + at + literal.len());
                match place(rule, text, start, end, ended) {
                    Place::Found(until) => found(Finding { rule, start, end: until }),
                    Place::Open(at) => open = open.earliest(at),
                    Place::Nothing => {}
                }
            });
        }
        if ended {
            return open;
        }
        let beginning = self.beginning(bytes);
        open.earliest(Undecided { hold: beginning, rescan: beginning.min(beginning_of_key(bytes)) })
    }

    /// Where the end of a text may be the beginning of a literal.
    fn beginning(&self, text: &[u8]) -> usize {
        let first = text.len().saturating_sub(self.longest.saturating_sub(1));
        (first..text.len())
            .find(|start| {
                let Some((byte, _)) = text.get(*start..).and_then(<[u8]>::split_first) else { return false };
                let literals = self.by_first.get(usize::from(*byte)).map(Vec::as_slice).unwrap_or_default();
                if literals.is_empty() {
                    return false;
                }
                let end = text.get(*start..).unwrap_or_default();
                let free = boundary(text, *start);
                literals
                    .iter()
                    .any(|(literal, inner)| (free || *inner) && literal.len() > end.len() && literal.starts_with(end))
            })
            .unwrap_or(text.len())
    }
}

/// Where the end of a text may be the beginning of a key: it may leave, but is scanned again.
fn beginning_of_key(text: &[u8]) -> usize {
    const LONGEST_KEY: usize = 16;
    let first = text.len().saturating_sub(LONGEST_KEY);
    if text.get(first..).unwrap_or_default().iter().any(u8::is_ascii_alphabetic) { first } else { text.len() }
}

/// Whether a token may begin here: not in the middle of a word.
fn boundary(text: &[u8], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| text.get(before)).is_none_or(|b| !b.is_ascii_alphanumeric())
}

fn place(rule: &'static Rule, text: &str, start: usize, end: usize, ended: bool) -> Place {
    let bytes = text.as_bytes();
    match rule.kind {
        Kind::Hint => return Place::Found(end),
        Kind::Assignment => return assignment(rule, text, start, end, ended),
        Kind::Token | Kind::Open if !boundary(bytes, start) && !rule.begins.contains(&":AA") => return Place::Nothing,
        _ => {}
    }
    body(rule, text, start, end, ended)
}

/// Decides a match by the body that begins at `begin`; `start` is what must be held while it is open.
fn body(rule: &'static Rule, text: &str, start: usize, begin: usize, ended: bool) -> Place {
    let bytes = text.as_bytes();
    let (min, max) = rule.length;
    let rest = bytes.get(begin..).unwrap_or_default();
    let run = rule.body.run(rest, max);
    let until = begin + run.min(max);
    let Some(body) = text.get(begin..until) else { return Place::Nothing };
    if rule.kind == Kind::Open && run >= min && (rule.check)(body) {
        return Place::Found(until);
    }
    // The run reaches the end of what has come: more of it may follow.
    if !ended && run == rest.len() && run <= max {
        return Place::Open(Undecided { hold: start, rescan: start });
    }
    // Of a URL only the password can be a placeholder, and its own check looks at that.
    let filler = rule.body != Alphabet::UserInfo && is_placeholder(body);
    let fits = run >= min && run <= max && !filler && (rule.check)(body);
    if fits { Place::Found(until) } else { Place::Nothing }
}

/// A key, then a sign, then a value: `password = "…"`, `api_key: …`. While it is open, the value is
/// held; the key may go.
fn assignment(rule: &'static Rule, text: &str, key: usize, after_key: usize, ended: bool) -> Place {
    /// How far a value may be from its key.
    const NEAR: usize = 12;
    let bytes = text.as_bytes();
    let mut at = after_key;
    let mut signs = 0;
    while let Some(byte) = bytes.get(at).filter(|_| at < after_key + NEAR) {
        match byte {
            b'=' | b':' => signs += 1,
            b' ' | b'"' | b'\'' | b'`' | b'>' | b'\t' => {}
            _ => break,
        }
        at += 1;
    }
    if signs == 0 && at < bytes.len() {
        return Place::Nothing;
    }
    if at == bytes.len() {
        return if ended || at >= after_key + NEAR {
            Place::Nothing
        } else {
            Place::Open(Undecided { hold: at, rescan: key })
        };
    }
    if at == after_key || signs > 2 {
        return Place::Nothing;
    }
    match body(rule, text, at, at, ended) {
        Place::Open(open) => Place::Open(Undecided { rescan: key, ..open }),
        decided => decided,
    }
}

impl Undecided {
    fn earliest(self, other: Self) -> Self {
        Self { hold: self.hold.min(other.hold), rescan: self.rescan.min(other.rescan).min(other.hold) }
    }
}
