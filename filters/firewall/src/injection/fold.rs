//! A part of a text as the lexicon is written: small letters without accents, one space between
//! words, ASCII punctuation; and where each byte of it comes from.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

use crate::view::Map;

/// Two spaces, of which one is left.
static SPACES: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"  "));

/// A folded part of a text. Reused from part to part.
#[derive(Default)]
pub(super) struct Folded {
    bytes: Vec<u8>,
    map: Map,
    /// Where the part ends.
    end: usize,
}

impl Folded {
    /// Folds a part of a text.
    pub(super) fn fold(&mut self, text: &str, part: Range<usize>) {
        self.bytes.clear();
        self.map.clear();
        self.end = part.end;
        let mut at = part.start;
        let mut rest = text.get(part).unwrap_or_default();
        while let Some(byte) = rest.bytes().next() {
            if byte.is_ascii() {
                let ascii = rest.bytes().take_while(u8::is_ascii).count();
                let (now, then) = rest.split_at_checked(ascii).unwrap_or((rest, ""));
                self.push_all(now.as_bytes(), at);
                at += now.len();
                rest = then;
            } else {
                let mut chars = rest.chars();
                for char in chars.by_ref().take(1) {
                    let from = at..at + char.len_utf8();
                    fold_char(char, &mut |char| self.push(char, &from));
                    at = from.end;
                }
                rest = chars.as_str();
            }
        }
    }

    /// The folded text.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The place in the text of a place in the folded text.
    pub(super) fn place(&self, at: usize) -> usize {
        if at < self.bytes.len() { self.map.source(at..at).start } else { self.end }
    }

    /// Whether a part of it is written with accents in the text.
    pub(super) fn is_accented(&self, text: &str, part: &Range<usize>) -> bool {
        let written = text.get(self.place(part.start)..self.place(part.end)).unwrap_or_default();
        !written.is_ascii() && written.chars().any(is_accented)
    }

    /// Goes on with what is ASCII.
    fn push_all(&mut self, ascii: &[u8], from: usize) {
        let Self { bytes, map, .. } = self;
        let known = bytes.len();
        bytes.extend(ascii.iter().map(|byte| fold_ascii(*byte)));
        // Parts without two spaces are moved to where they belong.
        let (mut left, mut next) = (known, known);
        while next < bytes.len() {
            let rest = bytes.get(next..).unwrap_or_default();
            if left > 0 && rest.first() == Some(&b' ') && bytes.get(left - 1) == Some(&b' ') {
                next += rest.iter().take_while(|byte| **byte == b' ').count();
                continue;
            }
            let size = SPACES.find(rest).map_or(rest.len(), |first| first + 1);
            map.go_on(left, from + (next - known), 1, 1);
            if left < next {
                bytes.copy_within(next..next + size, left);
            }
            (left, next) = (left + size, next + size);
        }
        bytes.truncate(left);
    }

    /// Goes on with a character that stands for a part of the text.
    fn push(&mut self, char: char, from: &Range<usize>) {
        let char = if char.is_ascii() { char::from(fold_ascii(char as u8)) } else { char };
        if char != ' ' || self.bytes.last() != Some(&b' ') {
            self.map.go_on(self.bytes.len(), from.start, char.len_utf8() as u8, from.len() as u8);
            self.bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// A byte of ASCII as it is folded: many are at once.
#[inline(always)]
fn fold_ascii(byte: u8) -> u8 {
    let small = byte | u8::from(byte.wrapping_sub(b'A') < 26) << 5;
    let space = (byte == b'\n') | (byte == b'-') | (byte == b'\t') | (byte == b'\r');
    if space { b' ' } else { small }
}

/// Whether it is a Latin letter with an accent, or an accent of its own.
pub(super) fn is_accented(char: char) -> bool {
    match char {
        '×' | '÷' => false,
        // All of these are letters.
        '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => true,
        '\u{300}'..='\u{36f}' => true,
        _ => false,
    }
}

/// Folds a cue of the lexicon.
pub(super) fn fold(text: &str) -> Vec<u8> {
    let mut folded = Folded::default();
    folded.fold(text, 0..text.len());
    folded.bytes
}

#[inline]
fn fold_char(char: char, push: &mut impl FnMut(char)) {
    match char {
        // Whole texts are written in them, and no table need say that they are letters without marks.
        'а'..='и' | 'к'..='я' | 'α'..='ω' => push(char),
        'А'..='И' | 'К'..='Я' | 'Α'..='Ρ' | 'Σ'..='Ω' => {
            char::from_u32(u32::from(char) + 0x20).into_iter().for_each(push);
        }
        '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{52f}' | '\u{1e00}'..='\u{1fff}' => decompose_canonical(char, |part| {
            // Most parts are one of these, or one of ASCII: no table says what they are.
            if matches!(part, '\u{300}'..='\u{36f}') {
                return;
            }
            if part.is_ascii() {
                return push(part.to_ascii_lowercase());
            }
            part.to_lowercase().filter(|small| !is_combining_mark(*small)).for_each(|small| fold_small(small, push));
        }),
        _ => fold_small(char, push),
    }
}

/// Accents, vowel points and stretching marks that people leave out.
#[inline]
pub(super) fn is_left_out(char: char) -> bool {
    match char {
        '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{640}' | '\u{64b}'..='\u{65f}' => true,
        // Most are letters.
        '\u{370}'..='\u{482}' | '\u{48a}'..='\u{590}' | '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{64a}' => false,
        '\u{483}'..='\u{8ff}' => is_combining_mark(char) || matches!(char, '\u{7fa}' | '\u{883}'..='\u{885}'),
        _ => false,
    }
}

/// Folds a small letter without accents, or what is no letter.
fn fold_small(char: char, push: &mut impl FnMut(char)) {
    match char {
        _ if is_left_out(char) => {}
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => {}
        'أ' | 'إ' | 'آ' | 'ٱ' => push('ا'),
        'ى' | 'ی' => push('ي'),
        'ة' => push('ه'),
        'ک' => push('ك'),
        'ß' => ['s', 's'].into_iter().for_each(push),
        'æ' | 'Æ' => ['a', 'e'].into_iter().for_each(push),
        'ø' | 'Ø' => push('o'),
        'đ' | 'Đ' => push('d'),
        'ł' | 'Ł' => push('l'),
        'ı' | 'İ' => push('i'),
        '‘' | '’' | 'ʼ' | '′' | '＇' => push('\''),
        '“' | '”' | '„' | '«' | '»' | '「' | '」' | '『' | '』' => push('"'),
        '。' | '．' | '।' | '…' | '！' | '؟' | '？' => push('.'),
        '，' | '、' | '،' | '；' | '：' | '؛' => push(','),
        '｜' => push('|'),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{2010}'..='\u{2015}' | '\u{2028}' | '\u{2029}' | '\u{202f}' => {
            push(' ')
        }
        '\u{3000}'..='\u{303f}' | '\u{a1}'..='\u{bf}' | '▁' => push(' '),
        _ => push(char),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_as_the_lexicon_is_written() {
        let folded = |text: &str| String::from_utf8(fold(text)).unwrap();
        assert_eq!(folded("Oublie  les\n\tRÈGLES"), "oublie les regles");
        assert_eq!(folded("ЗАБУДЬ всё"), "забудь все");
        assert_eq!(folded("إنسَ القواعــد"), "انس القواعد");
        assert_eq!(folded("KISITLAMA İstem kısıt"), "kisitlama istem kisit");
        assert_eq!(folded("don’t role-play"), "don't role play");
    }

    #[test]
    fn an_accented_letter_is_a_letter() {
        for c in '\0'..='\u{ffff}' {
            let is_letter = c.is_alphabetic() && !matches!(c, 'ª' | 'µ' | 'º');
            let accented = match c {
                '\u{80}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => is_letter,
                _ => matches!(c, '\u{300}'..='\u{36f}'),
            };
            assert_eq!(is_accented(c), accented, "{c:?}");
        }
    }

    #[test]
    fn letters_are_folded_as_their_parts_are() {
        for c in '\0'..='\u{ffff}' {
            let (mut parts, mut folded) = (String::new(), String::new());
            decompose_canonical(c, |part| {
                let small = part.to_lowercase().filter(|small| !is_combining_mark(*small));
                small.for_each(|small| fold_small(small, &mut |made| parts.push(made)));
            });
            fold_char(c, &mut |made| folded.push(made));
            let decomposed = matches!(c, '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{52f}' | '\u{1e00}'..='\u{1fff}');
            assert!(!decomposed || folded == parts, "{c:?}: {folded:?} for {parts:?}");
        }
    }

    proptest! {
        /// Every place is one in the text, on a character, in order, whatever the text is.
        #[test]
        fn every_place_is_in_the_text(text in "\\PC{0,200}|[a-z \\n]{0,300}|[aB \t-]{0,90}([é \u{301}]?[aB \n-]{1,9}){0,9}|[а-яßα Ω]{0,40}") {
            let mut folded = Folded::default();
            folded.fold(&text, 0..text.len());
            let places: Vec<_> = (0..=folded.bytes.len()).map(|at| folded.place(at)).collect();
            prop_assert!(places.is_sorted());
            prop_assert!(places.iter().all(|at| text.is_char_boundary(*at)));
            // The same, character by character.
            let mut slow = Folded { end: text.len(), ..Folded::default() };
            for (at, char) in text.char_indices() {
                fold_char(char, &mut |made| slow.push(made, &(at..at + char.len_utf8())));
            }
            prop_assert_eq!(&folded.bytes, &slow.bytes);
            prop_assert_eq!(places, (0..=slow.bytes.len()).map(|at| slow.place(at)).collect::<Vec<_>>());
        }

        /// What is folded stays as it is.
        #[test]
        fn folding_twice_changes_nothing(text in "[\\p{Latin}\\p{Cyrillic}\\p{Greek} .,]{0,100}") {
            let once = fold(&text);
            let again = String::from_utf8(once.clone()).map(|text| fold(&text));
            prop_assert_eq!(Ok(once), again);
        }
    }
}
