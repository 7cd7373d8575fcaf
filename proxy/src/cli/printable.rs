//! Texts from outside, and numbers, as people are shown them.

/// A text as a terminal may show it.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// A character without what would move a terminal's cursor, or cannot be seen.
pub(super) fn visible(c: char) -> char {
    let hidden = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}');
    if c.is_control() || hidden { '\u{fffd}' } else { c }
}

/// So many of something.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
