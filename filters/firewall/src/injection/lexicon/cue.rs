//! Cues: how something is written that can be part of a sign.

use std::collections::HashMap;
use std::ops::Range;

use super::Concept;
use super::file::File;
use crate::injection::fold::fold;

/// One way in which a cue is written.
pub(in crate::injection) struct Known {
    pub(in crate::injection) concept: Concept,
    pub(in crate::injection) special: Option<Special>,
    /// An order only where an order can stand.
    pub(in crate::injection) verb: bool,
    /// How many bytes of its script say as much as one of ASCII.
    pub(in crate::injection) wide: u8,
    /// Takes back its meaning when it is negated.
    pub(super) negated: bool,
    /// What follows can negate it as well: `vergiss nicht`.
    pub(super) negated_after: bool,
    border: Border,
    /// Bytes of it, folded.
    pub(super) size: usize,
    /// Whether there is one of its kind in every sign.
    pub(super) marked: bool,
}

/// What else is looked at before a cue counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::injection) enum Special {
    /// Followed by the name of a tool or by code.
    Call,
    /// At the beginning of a line.
    Line,
    /// An image or a link: by what its address carries.
    Link,
    /// A token of a chat template: not in code.
    Token,
}

/// Where a cue must not touch another word.
#[derive(Clone, Copy)]
struct Border {
    before: bool,
    after: bool,
}

/// What all cues of a kind have in common.
pub(super) struct Meaning {
    concept: Concept,
    special: Option<Special>,
    verb: bool,
    negated: bool,
}

/// All cues so far.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) cues: Vec<Known>,
    pub(super) folded: Vec<Vec<u8>>,
    /// Which cue of a meaning is written so.
    seen: HashMap<(Concept, Vec<u8>), usize>,
}

impl Known {
    /// Whether it says something by itself, or is part of another word.
    pub(super) fn fits(&self, folded: &[u8], at: &Range<usize>) -> bool {
        let before = folded.get(..at.start).unwrap_or_default();
        let after = folded.get(at.end..).unwrap_or_default();
        !(self.border.before && ends_in_word(before) || self.border.after && begins_with_word(after))
    }
}

impl Meaning {
    pub(super) fn new(number: usize, name: &str, file: &File) -> Self {
        Self {
            concept: u8::try_from(number).unwrap_or(u8::MAX),
            special: match name {
                "call" => Some(Special::Call),
                "link" => Some(Special::Link),
                "turn" | "turn-end" => Some(Special::Token),
                _ => None,
            },
            verb: file.orders.iter().any(|order| order == name),
            negated: file.negated.iter().any(|negated| negated == name),
        }
    }
}

impl Gathered {
    /// A cue as it is written: `^` binds it to a line's beginning, `*` is where other letters may
    /// follow or precede; `!` marks it.
    pub(super) fn add(&mut self, written: &str, meaning: &Meaning, english: bool) {
        let marked = written.starts_with('!');
        let written = written.trim_start_matches('!');
        let line = written.starts_with('^');
        let written = written.trim_start_matches('^');
        let word = written.trim_matches('*');
        let spaced = |end: Option<char>| end.is_some_and(|c| c.is_alphanumeric() && !is_unspaced(c));
        let border = Border {
            before: !written.starts_with('*') && spaced(word.chars().next()),
            after: !written.ends_with('*') && spaced(word.chars().next_back()),
        };
        let folded = fold(word);
        // A form that two languages share is read as the one that was first.
        if folded.is_empty() {
            return;
        }
        if let Some(known) = self.seen.get(&(meaning.concept, folded.clone())) {
            self.cues.get_mut(*known).into_iter().for_each(|known| known.marked |= marked);
            return;
        }
        self.seen.insert((meaning.concept, folded.clone()), self.cues.len());
        self.cues.push(Known {
            concept: meaning.concept,
            special: if line { Some(Special::Line) } else { meaning.special },
            verb: meaning.verb && english,
            negated: meaning.negated,
            negated_after: meaning.verb,
            wide: wide(word),
            border,
            size: folded.len(),
            marked,
        });
        self.folded.push(folded);
    }
}

/// The cues of a line in the file: commas between them.
pub(super) fn list(written: &str) -> impl Iterator<Item = &str> {
    written.split([',', '\n']).map(str::trim).filter(|cue| !cue.is_empty())
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Words, by their last byte.
pub(super) struct Endings(Vec<Vec<Vec<u8>>>);

impl Endings {
    pub(super) fn new(words: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut by_last = vec![Vec::new(); 1 << 8];
        for word in words {
            let place = word.last().and_then(|last| by_last.get_mut(usize::from(*last)));
            place.into_iter().for_each(|words: &mut Vec<Vec<u8>>| words.push(word.clone()));
        }
        Self(by_last)
    }

    /// Whether a text ends with one of them.
    pub(super) fn any(&self, text: &[u8]) -> bool {
        let words = text.last().and_then(|last| self.0.get(usize::from(*last)));
        words.into_iter().flatten().any(|word| ends_with(text, word))
    }
}

/// Words, by their first byte.
pub(super) struct Beginnings(Vec<Vec<Vec<u8>>>);

impl Beginnings {
    pub(super) fn new(words: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut by_first = vec![Vec::new(); 1 << 8];
        for word in words {
            let place = word.first().and_then(|first| by_first.get_mut(usize::from(*first)));
            place.into_iter().for_each(|words: &mut Vec<Vec<u8>>| words.push(word.clone()));
        }
        Self(by_first)
    }

    /// Whether a text begins with one of them.
    pub(super) fn any(&self, text: &[u8]) -> bool {
        let words = text.first().and_then(|first| self.0.get(usize::from(*first)));
        words.into_iter().flatten().any(|word| begins_with(text, word))
    }
}

/// Whether a text ends with a word, and not with a longer one.
fn ends_with(text: &[u8], word: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(word) else { return false };
    let spaced = std::str::from_utf8(word).ok().and_then(|word| word.chars().next()).is_some_and(|c| !is_unspaced(c));
    !spaced || before.last().is_none_or(|byte| !is_word(*byte))
}

/// Whether a text begins with a word, and not with a longer one.
fn begins_with(text: &[u8], word: &[u8]) -> bool {
    let Some(after) = text.strip_prefix(word) else { return false };
    let spaced = std::str::from_utf8(word).ok().and_then(|word| word.chars().next()).is_some_and(|c| !is_unspaced(c));
    !spaced || !begins_with_word(after)
}

/// Whether a text ends in a character that belongs to a word, in a script that puts space between words.
pub(super) fn ends_in_word(text: &[u8]) -> bool {
    match text {
        [.., byte] if byte.is_ascii() => is_word(*byte),
        // By its first byte: from U+2E80 on, nothing is spaced but Korean, whose particles join.
        [.., 0xe2..=0xef, _, _] | [.., 0xf0..=0xff, _, _, _] => false,
        [.., _] => true,
        [] => false,
    }
}

fn begins_with_word(text: &[u8]) -> bool {
    text.first().is_some_and(|byte| is_word(*byte) && *byte < 0xe2)
}

/// Characters of scripts that put no space between words, or join small words to the next one.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{6ff}' | '\u{e00}'..='\u{e7f}' | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}')
}

fn wide(word: &str) -> u8 {
    match word.chars().find(|c| !c.is_ascii()).unwrap_or('a') {
        '\u{370}'..='\u{6ff}' | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}' => 2,
        '\u{900}'..='\u{e7f}' => 3,
        _ => 1,
    }
}
