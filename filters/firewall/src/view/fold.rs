//! Where a text does not look as it stands, place after place.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{compose, decompose_canonical, decompose_compatible};

use super::confusable;
use super::kinds::{is_alphanumeric, is_combining_mark, stays};
use crate::decode::Set;

/// As many characters as one may become: some forms stand for whole sentences.
const LONGEST: usize = 8;

/// As many hidden characters in a row as are a text of their own.
const HIDDEN: usize = 4;

/// A place where a reader sees something else.
pub(super) struct Change {
    pub(super) at: Range<usize>,
    pub(super) made: Made,
}

/// What a reader sees there.
pub(crate) enum Made {
    Nothing,
    Char(char),
    Text(String),
}

/// The places of a text, one after the other.
pub(super) struct Changes<'t> {
    text: &'t str,
    at: usize,
    /// Where the last change ended, and what is seen before that place.
    before: (usize, Option<char>),
    /// The word that was looked at last: up to white space, a quote or a bracket.
    word: Range<usize>,
    token: bool,
    /// Whether it has a letter of ASCII.
    mixed: bool,
    /// Within it, the letters around the place.
    letters: Range<usize>,
    ascii: bool,
    /// Where the hidden characters end that are read as a text.
    hidden: usize,
}

pub(super) fn changes(text: &str) -> Changes<'_> {
    Changes {
        text,
        at: 0,
        before: (0, None),
        word: 0..0,
        token: false,
        mixed: false,
        letters: 0..0,
        ascii: false,
        hidden: 0,
    }
}

/// Whether a byte is seen as it stands.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r' | 0x0C)
}

impl Iterator for Changes<'_> {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        loop {
            self.skip();
            let c = self.text.get(self.at..)?.chars().next()?;
            let start = self.at;
            self.at += c.len_utf8();
            if let Some(made) = self.look(c, start) {
                let seen = match &made {
                    Made::Nothing => self.before(start),
                    Made::Char(made) => Some(*made),
                    Made::Text(made) => made.chars().next_back(),
                };
                self.before = (self.at, seen);
                return Some(Change { at: start..self.at, made });
            }
        }
    }
}

impl Changes<'_> {
    /// Goes to the next character that is not plain ASCII.
    fn skip(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.first().is_some_and(|byte| !is_plain(*byte)) {
            return;
        }
        for block in rest.chunks(64) {
            if block.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
                self.at += block.len();
            } else {
                self.at += block.iter().position(|byte| !is_plain(*byte)).unwrap_or_default();
                return;
            }
        }
    }

    /// What a reader sees instead of a character.
    fn look(&mut self, c: char, at: usize) -> Option<Made> {
        match c {
            // The most of what is not English: letters and ideographs that are seen and have no other form.
            'À'..='ɏ'
            | 'Ѐ'..='\u{482}'
            | '\u{48A}'..='ԯ'
            | '\u{620}'..='\u{63F}'
            | '\u{641}'..='\u{64A}'
            | '\u{671}'..='\u{6D5}'
            | 'ぁ'..='ゖ'
            | 'ァ'..='ヺ'
            | '㐀'..='鿿'
            | '가'..='힣' => self.letter(at, c),
            '\u{1B}' => {
                self.at += terminal(self.text.get(self.at..).unwrap_or_default());
                Some(Made::Nothing)
            }
            '\u{E0020}'..='\u{E007E}' => Some(self.hidden(at, u32::from(c) - 0xE0000)),
            '\u{FE00}'..='\u{FE0F}' => Some(self.hidden(at, u32::from(c) - 0xFE00)),
            '\u{E0100}'..='\u{E01EF}' => Some(self.hidden(at, u32::from(c) - 0xE0100 + 16)),
            _ if is_invisible(c) => Some(Made::Nothing),
            '\u{2800}' => Some(Made::Char(' ')),
            _ if is_combining(c) => self.combining(at, c),
            _ if self.before(at).is_some_and(goes_on) && is_mark(c) => Some(Made::Nothing),
            'Ա'..='ჿ' => self.letter(at, c),
            // Lines, boxes, arrows, signs and faces, but for a stroke, a plus and a minus.
            '\u{2500}'..='\u{2570}' | '\u{2572}'..='\u{2794}' | '\u{2798}'..='\u{27BF}' => None,
            '\u{1F300}'..='\u{1F64F}' | '\u{1F680}'..='\u{1FAFF}' => None,
            _ if stays(c) => self.letter(at, c),
            _ => confusable::mark(c).map(Made::Char).or_else(|| compatible(c)).or_else(|| self.letter(at, c)),
        }
    }

    /// A letter: what it looks like, where it stands among ASCII ones.
    fn letter(&mut self, at: usize, c: char) -> Option<Made> {
        self.enter(at);
        if self.token {
            return looks_like(c).map(Made::Char);
        }
        if !self.mixed {
            self.at += letters(self.text.as_bytes().get(self.at..self.word.end).unwrap_or_default());
            return None;
        }
        if c < '\u{370}' {
            return None;
        }
        self.enter_letters(at);
        (self.ascii && confusable::is_foreign(c)).then(|| confusable::letter(c).map(Made::Char))?
    }

    /// A mark above or through a character. What does not make a letter of its own is there to disturb.
    fn combining(&mut self, at: usize, c: char) -> Option<Made> {
        self.enter(at);
        let before = self.before(at)?;
        (before.is_ascii() && (self.token || compose(before, c).is_none())).then_some(Made::Nothing)
    }

    /// What is seen before a place: a full-width letter is one of ASCII, and what is dropped is none.
    fn before(&self, at: usize) -> Option<char> {
        let (end, seen) = self.before;
        if end == at { seen } else { self.text.get(..at)?.chars().next_back() }
    }

    /// A hidden character that stands for a byte: read where many follow each other.
    fn hidden(&mut self, at: usize, byte: u32) -> Made {
        let mut first = false;
        if at >= self.hidden {
            let rest = self.text.get(at..).unwrap_or_default();
            let run: usize = rest.chars().take_while(|c| is_hidden(*c)).map(char::len_utf8).sum();
            first = true;
            self.hidden = at + run;
            if run < HIDDEN * 3 && !rest.starts_with(|c| matches!(c, '\u{E0020}'..='\u{E007E}')) {
                self.at = self.hidden;
                return Made::Nothing;
            }
        }
        let Some(read) = char::from_u32(byte).filter(|c| matches!(c, ' '..='~' | '\n' | '\t')) else {
            return Made::Nothing;
        };
        // A hidden text does not go on a word that is seen; a single hidden letter may.
        let long = self.hidden - at >= 2 * HIDDEN * 3;
        if first && long { Made::Text(format!("\n{read}")) } else { Made::Char(read) }
    }

    /// Looks at the word around a place, once.
    fn enter(&mut self, at: usize) {
        if self.word.contains(&at) {
            return;
        }
        let bytes = self.text.as_bytes();
        let before = bytes.get(self.word.end..at).unwrap_or_default();
        let start = at - before.iter().rev().take_while(|byte| !ENDS.has(**byte)).count();
        let after = bytes.get(at..).unwrap_or_default();
        let end = at + after.iter().take_while(|byte| !ENDS.has(**byte)).count();
        let word = bytes.get(start..end).unwrap_or_default();
        self.word = start..end;
        self.mixed = word.iter().any(u8::is_ascii_alphabetic);
        self.token = self.mixed && word.len() >= 12 && word.iter().any(|byte| byte.is_ascii_digit() || *byte == b'_');
    }

    /// Looks at the letters around a place, once.
    fn enter_letters(&mut self, at: usize) {
        if self.letters.contains(&at) {
            return;
        }
        let from = self.letters.end.max(self.word.start).min(at);
        let before = self.text.get(from..at).unwrap_or_default();
        let size = |letters: usize, c: char| letters + c.len_utf8();
        let start = at - before.chars().rev().take_while(|c| is_letter(*c)).fold(0, size);
        let after = self.text.get(at..self.word.end).unwrap_or_default();
        let end = at + after.chars().take_while(|c| is_letter(*c)).fold(0, size).max(1);
        self.letters = start..end;
        let letters = self.text.as_bytes().get(start..end).unwrap_or_default();
        self.ascii = letters.iter().any(u8::is_ascii_alphabetic);
    }
}

/// How many bytes a text begins with that by their first ones are letters that have no other form.
pub(super) fn letters(text: &[u8]) -> usize {
    let mut rest = text;
    loop {
        rest = match rest {
            [0xC4..=0xC8 | 0xD0 | 0xD1 | 0xD9..=0xDB, _, rest @ ..] | [0xD8, 0xA0..=0xBF, rest @ ..] => rest,
            [0xE4..=0xE9 | 0xEB | 0xEC, _, _, rest @ ..] => rest,
            _ => return text.len() - rest.len(),
        };
    }
}

/// The letter or digit of ASCII that a letter looks like, or is but for a mark.
pub(super) fn looks_like(c: char) -> Option<char> {
    let base = || {
        let mut first = None;
        decompose_canonical(c, |part| first = first.or(Some(part)));
        first.filter(char::is_ascii_alphanumeric).or_else(|| confusable::letter(first?))
    };
    confusable::letter(c).or_else(base)
}

/// What a compatibility form stands for.
pub(super) fn compatible(c: char) -> Option<Made> {
    if matches!(c, '\u{1F300}'..='\u{1F64F}' | '\u{1F680}'..='\u{1FAFF}' | '\u{2500}'..='\u{27BF}') {
        return None;
    }
    // Most of what people type in another width has its own place.
    if matches!(c, '\u{FF01}'..='\u{FF5E}') {
        return char::from_u32(u32::from(c) - 0xFEE0).map(Made::Char);
    }
    let (mut parts, mut count, mut marked) = (['\0'; LONGEST], 0, false);
    decompose_compatible(c, |part| {
        if let Some(slot) = parts.get_mut(count) {
            *slot = part;
        }
        count += 1;
        marked |= is_combining(part);
    });
    let parts = parts.get(..count)?;
    match parts {
        [one] => (*one != c).then_some(Made::Char(*one)),
        // Letters with marks are put together again.
        _ if marked => {
            let text: String = std::iter::once(c).nfkc().collect();
            (!text.chars().eq(std::iter::once(c))).then_some(Made::Text(text))
        }
        _ => Some(Made::Text(parts.iter().collect())),
    }
}

/// Bytes of a terminal's escape sequence, after its first.
fn terminal(text: &str) -> usize {
    let Some(rest) = text.strip_prefix('[') else { return 0 };
    let inner = rest.bytes().take(32).take_while(|byte| matches!(byte, b' '..=b'?')).count();
    rest.as_bytes().get(inner).filter(|byte| matches!(byte, b'@'..=b'~')).map_or(0, |_| inner + 2)
}

pub(super) static ENDS: Set = Set::of(b" \t\r\n\"'`,;<>(){}[]|=");

fn is_letter(c: char) -> bool {
    c == '_' || is_alphanumeric(c) || is_mark(c) || is_invisible(c)
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{E0020}'..='\u{E007E}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

/// Whether a character is a letter, a digit or a sign of ASCII: marks of scripts that are no Latin do not belong to it.
pub(super) fn goes_on(before: char) -> bool {
    before.is_ascii_graphic()
}

/// Marks of every script: accents, vowel signs, and what stretches a word.
pub(crate) fn is_mark(c: char) -> bool {
    if is_no_mark(c) {
        return false;
    }
    let stretches = matches!(c, '\u{640}' | '\u{7FA}' | '\u{883}'..='\u{885}' | '\u{180A}');
    stretches || is_combining(c) || is_combining_mark(c)
}

/// Most of what is no mark: letters.
pub(crate) fn is_no_mark(c: char) -> bool {
    matches!(c, '\0'..='\u{2FF}' | '\u{370}'..='\u{482}' | '\u{48A}'..='\u{590}' | '\u{5D0}'..='\u{5EA}'
        | '\u{620}'..='\u{63F}' | '\u{641}'..='\u{64A}' | '\u{1E00}'..='\u{20CF}' | '\u{3041}'..='\u{3096}'
        | '\u{30A0}'..='\u{A4FF}' | '\u{AC00}'..='\u{D7FF}')
}

/// Marks that letters of Latin, Greek and Cyrillic have, and signs.
pub(super) fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

/// Controls, format characters and fillers: nothing is seen where they stand.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{E}'..='\u{1F}' | '\u{7F}'..='\u{84}' | '\u{86}'..='\u{9F}'
        | '\u{AD}' | '\u{34F}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{70F}' | '\u{115F}' | '\u{1160}'
        | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E001F}'
        | '\u{E007F}'..='\u{E00FF}' | '\u{E01F0}'..='\u{E0FFF}')
}
