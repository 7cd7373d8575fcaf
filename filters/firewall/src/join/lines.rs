//! Broken lines: words that go on in the next line, and text cut at a fixed width.

mod open;

use std::ops::Range;

use memchr::{memchr, memchr2, memrchr};

use super::{Sink, Source, TOKEN, give, word_start};

/// The narrowest that a text is cut at.
const NARROW: usize = 8;

/// As many lines as are joined at once, and as many of them are joined with those after them, too.
const MOST: usize = 512;
const OVERLAP: usize = 128;

/// What is reused from text to text.
#[derive(Default)]
pub(super) struct Room {
    borders: open::Borders,
    words: Vec<Range<usize>>,
    cut: Vec<Range<usize>>,
}

/// Joins every row of lines that are one word each, or of one width, if something goes on in it that may hide a secret. Says
/// how many lines it has read.
pub(super) fn each(source: Source<'_>, room: &mut Room, sink: &mut Sink<'_>) -> usize {
    let Room { borders, words, cut } = room;
    let mut rows = Rows::new(words, cut);
    if !source.has_key {
        open::each(source, borders, &mut |line| rows.reach(source, line, sink));
    }
    while rows.at < source.text.len() && (source.has_key || !rows.are_idle()) {
        rows.next(source, sink);
    }
    rows.end(source, sink);
    rows.read
}

/// The rows that go on where a text has been read to.
struct Rows<'r> {
    /// Lines of one word each, and lines of one width.
    words: &'r mut Vec<Range<usize>>,
    cut: &'r mut Vec<Range<usize>>,
    width: usize,
    /// Whether one of those has a space in it.
    spaced: bool,
    last: Range<usize>,
    /// Where the next line begins.
    at: usize,
    /// How many have been read.
    read: usize,
}

impl<'r> Rows<'r> {
    fn new(words: &'r mut Vec<Range<usize>>, cut: &'r mut Vec<Range<usize>>) -> Self {
        words.clear();
        cut.clear();
        Self { words, cut, width: 0, spaced: false, last: 0..0, at: 0, read: 0 }
    }

    fn are_idle(&self) -> bool {
        self.words.is_empty() && self.cut.is_empty()
    }

    /// Reads on to a line, from where a row may begin that it is in.
    fn reach(&mut self, source: Source<'_>, line: usize, sink: &mut Sink<'_>) {
        let line = line.min(source.text.len().saturating_sub(1));
        while self.at <= line && !self.are_idle() {
            self.next(source, sink);
        }
        if self.at < line {
            self.skip(source.bytes(), line);
        }
        while self.at <= line {
            self.next(source, sink);
        }
    }

    /// Goes on at the last line before one in which no row goes on.
    fn skip(&mut self, bytes: &[u8], line: usize) {
        let before = |end: usize| {
            let end = end.checked_sub(1).filter(|_| end > self.at)?;
            let start = memrchr(b'\n', bytes.get(..end).unwrap_or_default()).map_or(0, |end| end + 1);
            Some((start, inner(bytes, start..end)))
        };
        let mut end = line;
        let mut next = before(end);
        while let Some((start, last)) = next {
            next = before(start);
            let is_last = !is_one(bytes, &last)
                && (last.len() < NARROW
                    || next.as_ref().is_some_and(|(_, line)| line.len() != last.len() && !is_one(bytes, line)));
            if is_last {
                (self.last, self.at) = (last, end);
                return;
            }
            end = start;
        }
    }

    /// Reads a line.
    fn next(&mut self, source: Source<'_>, sink: &mut Sink<'_>) {
        let bytes = source.bytes();
        let Self { words, cut, width, spaced, last, at, read } = self;
        *read += 1;
        let rest = bytes.get(*at..).unwrap_or_default();
        let end = memchr(b'\n', rest).map_or(bytes.len(), |size| *at + size);
        let line = inner(bytes, *at..end);
        *at = end + 1;
        let begin = bytes.get(line.clone()).unwrap_or_default();
        let token = may_be_word(begin);
        let one = is_one(bytes, &line);
        if one {
            if words.is_empty() {
                words.push(word_start(bytes, last.start, last.end)..last.end);
            }
            words.push(line.clone());
            go_on(source, words, sink);
        } else if !words.is_empty() || (token && is_open(bytes.get(last.clone()).unwrap_or_default())) {
            if words.is_empty() {
                words.push(word_start(bytes, last.start, last.end)..last.end);
            }
            let size = begin.iter().take_while(|byte| TOKEN.has(**byte)).count();
            words.push(line.start..line.start + size);
            give(source, words, sink);
            words.clear();
        }
        let even = line.len() == last.len() && line.len() >= NARROW;
        // A line of its own in what was cut makes a short line.
        let goes_on = !cut.is_empty() && (line.len() == *width || (one && line.len() < *width));
        let fits = (even && cut.is_empty()) || goes_on;
        if (fits || line.len() < *width) && (even || !cut.is_empty()) {
            if cut.is_empty() {
                cut.push(last.clone());
                (*width, *spaced) = (line.len(), false);
            }
            cut.push(line.clone());
            *spaced |= !one;
            if *spaced {
                go_on(source, cut, sink);
            } else if cut.len() > MOST {
                cut.drain(..cut.len() - OVERLAP);
            }
        }
        if !fits && !cut.is_empty() {
            // Without a space in it, the row has been joined above.
            if *spaced {
                give(source, cut, sink);
            }
            cut.clear();
        }
        *last = line;
    }

    /// Joins what goes on to the end.
    fn end(&self, source: Source<'_>, sink: &mut Sink<'_>) {
        give(source, self.words, sink);
        if self.spaced {
            give(source, self.cut, sink);
        }
    }
}

/// Joins a row that is long, and goes on with its end.
fn go_on(source: Source<'_>, row: &mut Vec<Range<usize>>, sink: &mut Sink<'_>) {
    if row.len() > MOST {
        give(source, row, sink);
        row.drain(..row.len() - OVERLAP);
    }
}

fn may_be_word(line: &[u8]) -> bool {
    line.first().is_some_and(|byte| TOKEN.has(*byte) || *byte == b';')
}

/// Whether a line is one word.
fn is_one(bytes: &[u8], line: &Range<usize>) -> bool {
    let line = bytes.get(line.clone()).unwrap_or_default();
    may_be_word(line) && memchr2(b' ', b'\t', line).is_none()
}

/// A line without indentation, what marks it as quoted, and what says that it goes on.
fn inner(bytes: &[u8], line: Range<usize>) -> Range<usize> {
    let text = bytes.get(line.clone()).unwrap_or_default();
    let start = line.start + text.iter().take_while(|byte| is_indent(**byte)).count();
    let text = bytes.get(start..line.end).unwrap_or_default();
    let end = line.end - text.iter().rev().take_while(|byte| is_trail(**byte)).count();
    start..end.max(start)
}

fn is_indent(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'>' | b'|' | b'#' | b'*')
}

fn is_trail(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\\')
}

/// Whether a line ends in what may be the beginning of a token.
fn is_open(line: &[u8]) -> bool {
    let word = line.iter().rev().take(64).take_while(|byte| TOKEN.has(**byte));
    let (mut size, mut marks) = (0, 0);
    for byte in word {
        size += 1;
        marks += usize::from(byte.is_ascii_digit() || *byte == b'_');
    }
    size >= NARROW && marks > 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::join::{Joined, Signs};
    use crate::planes::Planes;

    /// Lines, also of one width.
    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => open::tests::line(),
            1 => "([a-zA-Z0-9]{3} [a-zA-Z0-9]{8}|[a-zA-Z0-9]{12})",
            1 => "(word|)",
        ]
    }

    /// What each line gives, wherever something goes on.
    fn slow(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut take = |joined: &mut Joined| all.push(joined.all(text).to_owned());
        let mut sink = Sink { joined: &mut Joined::default(), take: &mut take };
        let (mut words, mut cut) = (Vec::new(), Vec::new());
        let mut rows = Rows::new(&mut words, &mut cut);
        let (planes, signs) = (Planes::of(text), Signs::of(text));
        let source = Source::of(text, &planes, &signs);
        while rows.at < text.len() {
            rows.next(source, &mut sink);
        }
        rows.end(source, &mut sink);
        sink.flush();
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn no_row_is_overlooked(lines in prop::collection::vec(line(), 0..14)) {
            let text = lines.join("\n");
            let mut all = Vec::new();
            let (planes, signs) = (Planes::of(&text), Signs::of(&text));
            let mut take = |joined: &mut Joined| all.push(joined.all(&text).to_owned());
            let mut sink = Sink { joined: &mut Joined::default(), take: &mut take };
            each(Source::of(&text, &planes, &signs), &mut Room::default(), &mut sink);
            sink.flush();
            prop_assert_eq!(all, slow(&text), "{:?}", text);
        }
    }
}
