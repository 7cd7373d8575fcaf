//! A part of a text as the lexicon is written: small letters without accents, one space between
//! words, ASCII punctuation; and where each byte of it comes from.

use std::cell::Cell;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem;
use unicode_normalization::char::decompose_canonical;

use crate::view::{Map, View, is_alphabetic, is_combining_mark};

/// Two spaces, of which one is left.
static SPACES: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"  "));

/// A folded part of a text. Reused from part to part.
#[derive(Default)]
pub(super) struct Folded {
    bytes: Vec<u8>,
    map: Map,
    /// Where the part ends.
    end: usize,
    /// Where in the map a place was looked for last.
    last: Cell<usize>,
}

impl Folded {
    /// Folds a part of a text.
    pub(super) fn fold(&mut self, text: &str, part: Range<usize>) {
        self.bytes.clear();
        self.map.clear();
        self.last.set(0);
        self.end = part.end;
        let mut at = part.start;
        let mut rest = text.get(part).unwrap_or_default();
        while let Some(byte) = rest.bytes().next() {
            let size = if byte.is_ascii() {
                let ascii = count_ascii(rest.as_bytes());
                self.push_all(rest.as_bytes().get(..ascii).unwrap_or_default(), at);
                ascii
            } else {
                self.push_foreign(rest, at)
            };
            at += size;
            rest = rest.get(size..).unwrap_or_default();
        }
    }

    /// Goes on with the beginning of what is not ASCII; how many bytes of it.
    fn push_foreign(&mut self, rest: &str, at: usize) -> usize {
        let mut chars = rest.chars();
        let Some(first) = chars.next() else { return 0 };
        let size = first.len_utf8();
        if !stands(first) {
            let from = at..at + size;
            match latin(first) {
                Some([one, 0]) => self.push(char::from(*one), &from),
                Some(both) => both.iter().for_each(|part| self.push(char::from(*part), &from)),
                None => fold_char(first, &mut |char| self.push(char, &from)),
            }
            return size;
        }
        let others = chars.take_while(|char| char.len_utf8() == size && stands(*char)).count();
        let all = size + others * size;
        self.map.go_on_all(self.bytes.len(), at, size as u8, all);
        self.bytes.extend_from_slice(rest.as_bytes().get(..all).unwrap_or_default());
        all
    }

    /// The folded text.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The place in the text of a place in the folded text.
    pub(super) fn place(&self, at: usize) -> usize {
        if at < self.bytes.len() { self.map.start(at, &self.last) } else { self.end }
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

/// How many bytes of ASCII come first: many are looked at at once.
fn count_ascii(bytes: &[u8]) -> usize {
    const PART: usize = 32;
    let whole = bytes.as_chunks::<PART>().0.iter().take_while(|part| part.is_ascii()).count() * PART;
    whole + bytes.iter().skip(whole).take_while(|byte| byte.is_ascii()).count()
}

/// Whether it is a letter that is folded to itself, as most are of texts in some alphabets.
#[inline]
fn stands(char: char) -> bool {
    match char {
        'й' | '\u{629}' | '\u{649}' => false,
        'а'..='я' | '\u{626}'..='\u{63f}' | '\u{641}'..='\u{64a}' => true,
        '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => true,
        _ => false,
    }
}

/// The first letter that is not ASCII, and what each from there on is folded to, where that is one or two letters of ASCII.
const FIRST: u32 = 0xc0;
static LATIN: LazyLock<Vec<[u8; 2]>> = LazyLock::new(|| (FIRST..0x250).filter_map(char::from_u32).map(two).collect());

#[inline]
fn latin(char: char) -> Option<&'static [u8; 2]> {
    let number = u32::from(char).checked_sub(FIRST)?;
    LATIN.get(number as usize).filter(|[first, _]| *first != 0)
}

fn two(char: char) -> [u8; 2] {
    let mut parts = String::new();
    fold_char(char, &mut |part| parts.push(part));
    match *parts.as_bytes() {
        [one] if parts.is_ascii() => [one, 0],
        [one, two] if parts.is_ascii() => [one, two],
        _ => [0; 2],
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

/// Whether a view of a text is folded as the text is, has its letters where the text has them, and quotes and ends sentences
/// as the text does: then it is enough to judge the view.
pub(crate) fn reads_the_same(text: &str, view: &View) -> bool {
    view.changes(text.len()).all(|(made, place)| {
        let (made, given) = (view.text.get(made).unwrap_or_default(), text.get(place.clone()).unwrap_or_default());
        let has_letters = |part: &str| part.chars().any(is_alphabetic);
        let is_sign = |part: &str| part.chars().any(is_weighed);
        few(made).is_some_and(|folded| few(given) == Some(folded))
            && has_letters(made) == has_letters(given)
            && (!(is_sign(made) || is_sign(given)) || given == "…" || is_apostrophe(text, &place))
    })
}

/// Whether a sign may quote what stands beside it, lead to it, or end a sentence.
fn is_weighed(char: char) -> bool {
    matches!(char, '"' | '`' | '\'' | '“' | '”' | '„' | '«' | '»' | '「' | '」' | '『' | '』' | '(' | ')')
        || matches!(char, '.' | '!' | '?' | ',' | ':' | '=' | '。' | '！' | '？' | '।' | '，' | '\\' | '\n')
}

/// Whether a part of a text is an apostrophe within a word.
fn is_apostrophe(text: &str, place: &Range<usize>) -> bool {
    let (before, after) = (text.get(..place.start).unwrap_or_default(), text.get(place.end..).unwrap_or_default());
    let is_inner = |char: Option<char>| char.is_some_and(char::is_alphabetic);
    text.get(place.clone()) == Some("’") && is_inner(before.chars().next_back()) && is_inner(after.chars().next())
}

/// A few characters as they are folded, and how many there are.
fn few(text: &str) -> Option<([char; 16], usize)> {
    let (mut folded, mut count) = (['\0'; 16], 0);
    let mut put = |char| {
        folded.get_mut(count).into_iter().for_each(|slot| *slot = char);
        count += 1;
    };
    text.chars().for_each(|char| match char {
        '\0'..='\u{7f}' => put(char::from(fold_ascii(char as u8))),
        char => fold_char(char, &mut put),
    });
    (count <= folded.len()).then_some((folded, count))
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
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => {}
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
        '…' => ['.'; 3].into_iter().for_each(push),
        '！' | '？' | '：' | '；' => char::from_u32(u32::from(char) - 0xfee0).into_iter().for_each(push),
        '‘' | '’' | 'ʼ' | '′' | '＇' => push('\''),
        '“' | '”' | '„' | '«' | '»' | '「' | '」' | '『' | '』' => push('"'),
        '。' | '．' | '।' | '؟' => push('.'),
        '，' | '、' | '،' | '؛' => push(','),
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

    proptest! {
        #[test]
        fn ascii_is_counted_as_byte_by_byte(text in "[ -~]{0,150}(é|中)?[ -~é]{0,40}") {
            prop_assert_eq!(count_ascii(text.as_bytes()), text.bytes().take_while(u8::is_ascii).count());
        }
    }

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
        fn every_place_is_in_the_text(text in "\\PC{0,200}|[a-z \\n]{0,300}|[aB \t-]{0,90}([é \u{301}]?[aB \n-]{1,9}){0,9}|[а-яßα Ω]{0,40}|([а-яا-يېًـ中-仿あかガ각é ]|ǆ){0,40}") {
            let mut folded = Folded::default();
            folded.fold(&text, 0..text.len());
            let places: Vec<_> = (0..=folded.bytes.len()).map(|at| folded.place(at)).collect();
            prop_assert!(places.is_sorted());
            prop_assert!((0..folded.bytes.len()).rev().all(|at| folded.place(at) == folded.map.source(at..at).start));
            prop_assert!(places.iter().all(|at| text.is_char_boundary(*at)));
            // The same, character by character.
            let mut slow = Folded { end: text.len(), ..Folded::default() };
            for (at, char) in text.char_indices() {
                fold_char(char, &mut |made| slow.push(made, &(at..at + char.len_utf8())));
            }
            prop_assert_eq!(&folded.bytes, &slow.bytes);
            prop_assert_eq!(places, (0..=slow.bytes.len()).map(|at| slow.place(at)).collect::<Vec<_>>());
        }

        /// A view that is said to read the same is folded to the same.
        #[test]
        fn what_reads_the_same_is_folded_so(text in "([a-z ]{0,9}[’“”–…！：\u{a0}\u{200b}❤\u{fe0f}ａ½ﬁаʼ\u{0}é\u{336}é-]{1,2}){0,9}|\\PC{0,20}") {
            if let Some(view) = crate::view::of(&text).filter(|view| reads_the_same(&text, view)) {
                prop_assert_eq!(fold(&view.text), fold(&text));
            }
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
