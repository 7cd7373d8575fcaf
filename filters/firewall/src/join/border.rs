//! The border between texts that flow into each other.

use super::literals::lead_in;
use super::{LEAST, TOKEN, word_start};

/// As much of each side as is looked at.
const REACH: usize = 512;

/// Who takes what stands across a border, how much of it stood before, and where that begins.
type Found<'f> = dyn FnMut(&str, usize, (usize, usize)) + 'f;

/// The end of what was read so far.
#[derive(Default)]
pub(crate) struct Border {
    /// The word that may go on.
    open: String,
    /// In which text it begins, and where.
    begin: (usize, usize),
}

impl Border {
    /// Forgets what was read.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }

    /// Goes on with the next text. Gives what stands across the border.
    pub(crate) fn next(&mut self, number: usize, text: &str, flows: bool, found: &mut Found<'_>) {
        if !flows {
            self.clear();
        }
        let whole = self.cross(text, found);
        let end = text.trim_end_matches(|c: char| c.is_whitespace() || "…\"'`)]>".contains(c)).len();
        let start = word_start(text.as_bytes(), 0, end);
        let word = text.get(start..end).unwrap_or_default();
        if whole && self.open.len() + word.len() <= 4 * REACH {
            // All of the text is a part of the middle.
            self.open.push_str(word);
            return;
        }
        self.open.clear();
        // What is but a word of a sentence is not looked at.
        let open = word.len() >= 3 && word.bytes().any(|byte| byte.is_ascii_digit() || b"_-:/".contains(&byte));
        if open && word.len() <= REACH {
            self.open.push_str(word);
            self.begin = (number, start);
        }
    }

    /// Looks across the border, and says whether the text is only a piece.
    fn cross(&self, text: &str, found: &mut Found<'_>) -> bool {
        if self.open.is_empty() {
            return false;
        }
        let mut whole = false;
        let plain = text.len() - text.trim_start_matches(|c: char| c.is_whitespace() || "…\"'`([<".contains(c)).len();
        let lead = lead_in(text);
        for start in [Some(plain), Some(lead).filter(|lead| *lead > 0)].into_iter().flatten() {
            let rest = text.get(start..).unwrap_or_default();
            let size = rest.bytes().take(REACH).take_while(|byte| TOKEN.has(*byte)).count();
            let piece = rest.get(..size).unwrap_or_default();
            if size >= 2 && self.open.len() + size >= LEAST {
                let joined = format!("{}{piece}", self.open);
                found(&joined, self.open.len(), self.begin);
                whole |= rest.len() - size <= 2;
            }
        }
        whole
    }
}
