//! Seeing through disguises that cost nothing to put on: characters that nobody sees, and letters
//! that only look different.

use std::borrow::Cow;

/// The text without invisible characters, and with full-width forms and tag characters as the ASCII
/// they stand for. Borrowed when there is nothing to do, which is always so for ASCII.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || !text.chars().any(|c| seen(c) != Some(c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter_map(seen).collect())
}

/// What a reader sees of a character; nothing for one that is invisible.
fn seen(c: char) -> Option<char> {
    match c {
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' => None,
        '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0100}'..='\u{e01ef}' => None,
        // Full-width ASCII and tag characters lie at a fixed distance from what they stand for.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{e0020}'..='\u{e007e}' => char::from_u32(u32::from(c) - 0xe0000),
        '\u{e0000}'..='\u{e001f}' | '\u{e007f}' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_through() {
        assert_eq!(plain("gh\u{200b}p\u{ad}_"), "ghp_");
        assert_eq!(plain("ｇｈｐ＿"), "ghp_");
        assert_eq!(plain("a\u{e0067}\u{e0068}"), "agh");
        assert!(matches!(plain("größe"), Cow::Borrowed(_)));
    }
}
