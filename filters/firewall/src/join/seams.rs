//! All texts that flow into each other as one: their ends and beginnings, and short ones whole.

use std::ops::Range;

/// As much of each side of a border as is looked at.
const EDGE: usize = 64;

/// As much as follows the header of a key, wherever it is cut.
const KEY: usize = 4 << 10;

/// Texts one after the other.
#[derive(Default)]
pub(crate) struct Seams {
    text: String,
    /// Where each part begins in it, of which text it is, and where in that text it begins.
    parts: Vec<(usize, usize, usize)>,
    /// Where two texts meet.
    borders: Vec<usize>,
}

impl Seams {
    /// Goes on with the next text.
    pub(crate) fn next(&mut self, number: usize, text: &str, flows: bool) {
        let start = text.len() - text.trim_start().len();
        let end = text.trim_end().len().max(start);
        if !flows {
            self.text.push_str("\n\n");
        } else if start < end && !self.text.is_empty() {
            self.borders.push(self.text.len());
        }
        let tail = (self.text.len().saturating_sub(EDGE)..).find(|at| self.text.is_char_boundary(*at));
        let is_key = tail.and_then(|at| self.text.get(at..)).is_some_and(|tail| tail.contains("-----BEGIN"));
        let head = if is_key { KEY } else { EDGE };
        if end - start <= head + EDGE {
            self.put(number, text, start..end);
            return;
        }
        let boundary = |least: usize| (least..=end).find(|at| text.is_char_boundary(*at)).unwrap_or(end);
        self.put(number, text, start..boundary(start + head));
        // What stands between is no border.
        self.text.push_str("\n\n");
        self.put(number, text, boundary(end - EDGE)..end);
    }

    fn put(&mut self, number: usize, text: &str, part: Range<usize>) {
        self.parts.push((self.text.len(), number, part.start));
        self.text.push_str(text.get(part).unwrap_or_default());
    }

    /// What is looked at: nothing, where no text follows another.
    pub(crate) fn text(&self) -> &str {
        if self.borders.is_empty() { "" } else { &self.text }
    }

    /// Whether a part of it reaches over a border.
    pub(crate) fn crosses(&self, part: &Range<usize>) -> bool {
        let next = self.borders.partition_point(|border| *border <= part.start);
        self.borders.get(next).is_some_and(|border| *border < part.end)
    }

    /// The text that a place is in, and the place in that text.
    pub(crate) fn source(&self, place: usize) -> Option<(usize, usize)> {
        let after = self.parts.partition_point(|(begin, ..)| *begin <= place);
        self.parts.get(after.checked_sub(1)?).map(|(begin, number, start)| (*number, start + (place - begin)))
    }
}
