//! Marks that nobody needs where they stand: vowel signs and accents of one script behind letters of another, and those that
//! people leave out. A few of them between the letters of a word are hardly seen, and keep it from being found.

use std::ops::Range;

use unicode_normalization::char::compose;

use super::fold::is_left_out;
use crate::view::{View, is_alphabetic, is_combining_mark, is_mark, is_no_mark};

/// A text without them, or nothing where it has none.
pub(super) fn without(text: &str) -> Option<View> {
    let mut marks = Marks { text, at: 0, before: None }.peekable();
    marks.peek()?;
    let mut view = View::default();
    view.reserve(text.len(), 0);
    let mut done = 0;
    for mark in marks {
        view.copy(text, done..mark.start);
        done = mark.end;
    }
    view.copy(text, done..text.len());
    Some(view)
}

/// The marks of a text that are left.
struct Marks<'t> {
    text: &'t str,
    at: usize,
    /// What stands before that place.
    before: Option<char>,
}

impl Iterator for Marks<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let unmarked = unmarked(self.text.as_bytes().get(self.at..)?);
            let start = self.at + unmarked;
            let (known, rest) = self.text.split_at_checked(start)?;
            if unmarked > 0 {
                self.before = known.chars().next_back();
            }
            let c = rest.chars().next()?;
            self.at = start + c.len_utf8();
            if !is_no_mark(c) && self.before.is_some_and(|before| is_needless(before, c)) {
                return Some(start..self.at);
            }
            self.before = Some(c);
        }
    }
}

/// How many bytes a text begins with that by their first ones are ASCII, or letters.
fn unmarked(text: &[u8]) -> usize {
    let mut rest = text;
    loop {
        rest = match rest {
            [0..=0x7f, ..] => rest.get(ascii(rest)..).unwrap_or_default(),
            [0xc2..=0xcb | 0xce..=0xd1 | 0xda, _, rest @ ..] => rest,
            [0xd8, 0xa0..=0xbf, rest @ ..] | [0xd9, 0x81..=0x8a, rest @ ..] => rest,
            [0xe4..=0xe9 | 0xeb | 0xec, _, _, rest @ ..] | [0xe3, 0x81 | 0x83, _, rest @ ..] => rest,
            _ => return text.len() - rest.len(),
        };
    }
}

/// How many bytes of ASCII a text begins with.
fn ascii(text: &[u8]) -> usize {
    const STEP: usize = 32;
    let skipped = text.chunks_exact(STEP).take_while(|chunk| chunk.is_ascii()).count() * STEP;
    let rest = text.get(skipped..).unwrap_or_default();
    skipped + rest.iter().take_while(|byte| byte.is_ascii()).count()
}

/// Whether a character is a mark that what stands before it does not need.
fn is_needless(before: char, c: char) -> bool {
    let on_letter = is_alphabetic(before) || (!before.is_ascii() && is_combining_mark(before));
    on_letter && (is_left_out(c) || !is_own(before, c) && is_mark(c))
}

/// Whether marks like this one change what such a letter says.
fn is_own(letter: char, mark: char) -> bool {
    match letter {
        // Latin, Greek, Cyrillic and what has no more marks than these; Hebrew and Arabic, whose marks are left out.
        '\0'..='\u{8ff}' | '\u{1c80}'..='\u{1c8f}' | '\u{1d00}'..='\u{1dbf}' | '\u{1e00}'..='\u{2def}' => false,
        '\u{a640}'..='\u{a69f}' | '\u{a720}'..='\u{a7ff}' | '\u{ab30}'..='\u{abbf}' | '\u{fb00}'..='\u{fefc}' => false,
        '\u{ff21}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}' => false,
        // The scripts of India, Thai and Lao: each has its own.
        '\u{900}'..='\u{fff}' => {
            u32::from(letter) >> 7 == u32::from(mark) >> 7 && !matches!(mark, '\u{951}'..='\u{954}')
        }
        // Chinese, Japanese, Korean: only that of Kana makes another letter.
        '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7ff}' | '\u{ff66}'..='\u{ffdc}' | '\u{20000}'..='\u{3ffff}' => {
            compose(letter, mark).is_some()
        }
        _ => mark >= '\u{900}' && !is_common(mark),
    }
}

/// Whether it is a mark of no script of its own.
fn is_common(mark: char) -> bool {
    matches!(mark, '\u{1ab0}'..='\u{1aff}' | '\u{1cd0}'..='\u{1cff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{1d165}'..='\u{1d1ad}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_over_is_no_mark() {
        for c in '\0'..=char::MAX {
            let passed = unmarked(c.to_string().as_bytes());
            assert!(passed == 0 || passed == c.len_utf8(), "{c:?}");
            let mark = is_left_out(c) || is_mark(c) || is_combining_mark(c);
            assert!(!mark || (passed == 0 && !is_no_mark(c)), "{c:?}");
        }
    }
}
