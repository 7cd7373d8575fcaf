//! A growing text as a reader sees it: of each character what is known of it as it comes, and of a word
//! with look-alikes what it looks like so far.

use unicode_normalization::char::compose;

use super::confusable;
use super::fold::{ENDS, Made, compatible, goes_on, is_combining, is_invisible, is_mark, looks_like};
use super::kinds::{is_alphanumeric, stays};

/// What begins a sequence that a terminal obeys. What of it comes behind this is left to who sees it come.
pub(crate) const ESCAPE: char = '\u{1B}';

/// What a reader sees instead of a character that comes after this one; `None` for itself. Letters that
/// look like others are left to [`super::of`], which sees the word around them.
pub(crate) fn instead(c: char, before: Option<char>) -> Option<Made> {
    match c {
        ' '..='~' | '\t' | '\n' | '\r' | '\u{C}' => None,
        '\u{E0020}'..='\u{E007E}' => char::from_u32(u32::from(c) - 0xE0000).map(Made::Char),
        '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' => Some(Made::Nothing),
        _ if is_invisible(c) => Some(Made::Nothing),
        '\u{2800}' => Some(Made::Char(' ')),
        _ if is_combining(c) => {
            let disturbs = before.is_some_and(|before| before.is_ascii() && compose(before, c).is_none());
            disturbs.then_some(Made::Nothing)
        }
        _ if before.is_some_and(goes_on) && is_mark(c) => Some(Made::Nothing),
        // Letters and ideographs that have no other form.
        'À'..='ɏ' | 'Ѐ'..='ԯ' | 'Ա'..='ჿ' => None,
        _ if is_ideograph(c) => None,
        _ if stays(c) => None,
        _ => confusable::mark(c).map(Made::Char).or_else(|| compatible(c)),
    }
}

/// Whether a letter may look like one of ASCII, by the word in which it stands.
pub(crate) fn may_look_alike(c: char) -> bool {
    !c.is_ascii() && !is_ideograph(c) && (is_alphanumeric(c) || is_mark(c))
}

/// Whether the letters of a word may turn out to be what they look like: there is nothing else in it than what looks like
/// ASCII. And whether it shows that already, by two scripts, or by signs of a token; letters with marks are those of
/// most languages, and need a sign.
pub(crate) fn unsure(word: &str) -> Option<bool> {
    if word.is_ascii() {
        return None;
    }
    let signed = word.bytes().any(is_sign);
    let mixed = word.bytes().any(|byte| byte.is_ascii_alphabetic());
    let letter = |c| if signed { looks_like(c) } else { confusable::letter(c) };
    let all = word.chars().all(|c| c.is_ascii() || is_mark(c) || letter(c).is_some());
    all.then_some(signed || mixed)
}

/// What a letter is seen as that goes on a long word, of which this is the end.
pub(crate) fn seen_in_token(word: &[u8], c: char) -> Option<char> {
    let token = word.iter().any(|byte| is_sign(*byte)) && word.iter().any(u8::is_ascii_alphabetic);
    looks_like(c).filter(|_| token && !c.is_ascii())
}

fn is_sign(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// Whether a byte ends a word in which letters are looked at together.
pub(crate) fn ends_word(byte: u8) -> bool {
    ENDS.has(byte)
}

fn is_ideograph(c: char) -> bool {
    matches!(c, 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '㐀'..='鿿' | '가'..='힣')
}
