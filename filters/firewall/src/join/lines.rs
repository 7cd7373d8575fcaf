//! Broken lines: words that go on in the next line, and text cut at a fixed width.

use std::ops::Range;

use memchr::{memchr, memchr2, memmem};

use super::{Drawn, ENDS, LEAST, LONG, Sink, TOKEN, give, word_start};
use crate::planes::{BLOCK, Planes};

/// The narrowest that a text is cut at.
const NARROW: usize = 8;

/// As many lines as are joined at once, and as many of them are joined with those after them, too.
const MOST: usize = 512;
const OVERLAP: usize = 128;

/// Joins every row of lines that are one word each, or of one width.
pub(super) fn each(text: &str, planes: &Planes, sink: &mut Sink<'_>) {
    if may_go_on(text.as_bytes(), planes) {
        rows(text, sink);
    }
}

fn rows(text: &str, sink: &mut Sink<'_>) {
    let bytes = text.as_bytes();
    let (mut words, mut cut) = (Vec::new(), Vec::new());
    let (mut width, mut spaced) = (0, false);
    let mut last = 0..0;
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let end = memchr(b'\n', rest).map_or(bytes.len(), |size| at + size);
        let line = inner(bytes, at..end);
        at = end + 1;
        let begin = bytes.get(line.clone()).unwrap_or_default();
        let token = begin.first().is_some_and(|byte| TOKEN.has(*byte) || *byte == b';');
        let one = token && memchr2(b' ', b'\t', begin).is_none();
        if one {
            if words.is_empty() {
                words.push(word_start(bytes, last.start, last.end)..last.end);
            }
            words.push(line.clone());
            go_on(text, &mut words, sink);
        } else if !words.is_empty() || (token && is_open(bytes.get(last.clone()).unwrap_or_default())) {
            if words.is_empty() {
                words.push(word_start(bytes, last.start, last.end)..last.end);
            }
            let size = begin.iter().take_while(|byte| TOKEN.has(**byte)).count();
            words.push(line.start..line.start + size);
            give(text, &words, sink);
            words.clear();
        }
        let even = line.len() == last.len() && line.len() >= NARROW;
        // A line of its own in what was cut makes a short line.
        let goes_on = !cut.is_empty() && (line.len() == width || (one && line.len() < width));
        let fits = (even && cut.is_empty()) || goes_on;
        if (fits || line.len() < width) && (even || !cut.is_empty()) {
            if cut.is_empty() {
                cut.push(last.clone());
                (width, spaced) = (line.len(), false);
            }
            cut.push(line.clone());
            spaced |= !one;
            if spaced {
                go_on(text, &mut cut, sink);
            } else if cut.len() > MOST {
                cut.drain(..cut.len() - OVERLAP);
            }
        }
        if !fits && !cut.is_empty() {
            // Without a space in it, the row has been joined above.
            if spaced {
                give(text, &cut, sink);
            }
            cut.clear();
        }
        last = line;
    }
    give(text, &words, sink);
    if spaced {
        give(text, &cut, sink);
    }
}

/// Joins a row that is long, and goes on with its end.
fn go_on(text: &str, row: &mut Vec<Range<usize>>, sink: &mut Sink<'_>) {
    if row.len() > MOST {
        give(text, row, sink);
        row.drain(..row.len() - OVERLAP);
    }
}

/// Whether at the end of any line something goes on in the next one that may hide a secret, or the first line of a key
/// does. In most texts nothing does.
fn may_go_on(bytes: &[u8], planes: &Planes) -> bool {
    if memmem::find(bytes, b"-----B").is_some() {
        return true;
    }
    let mut open = Open { line: 0..0, before: Drawn::default() };
    let mut begin = 0;
    for (number, block) in planes.blocks().iter().enumerate() {
        let mut ends = block.line;
        while ends != 0 {
            let end = number * BLOCK + ends.trailing_zeros() as usize;
            ends &= ends - 1;
            if open.goes_on(bytes, begin..end) {
                return true;
            }
            begin = end + 1;
        }
    }
    open.goes_on(bytes, begin..bytes.len())
}

/// What may go on in the next line: the end of the last one, and what stood before it if it was one word.
struct Open {
    line: Range<usize>,
    before: Drawn,
}

impl Open {
    /// Whether it goes on in this line and may hide a secret.
    fn goes_on(&mut self, bytes: &[u8], line: Range<usize>) -> bool {
        let last = bytes.get(self.line.clone()).unwrap_or_default();
        let line = inner(bytes, line);
        let text = bytes.get(line.clone()).unwrap_or_default();
        let mut before = Drawn::default();
        // Hardly any two words at a border are long enough, and only those are looked at closer.
        let (tail, head) = (word(last.iter().rev()), word(text.iter()));
        let goes_on = tail > 0 && head > 0;
        if last.ends_with(b"-") || (goes_on && tail == last.len()) || (goes_on && tail + head >= LEAST) {
            let drawn = Drawn::of(last.iter().rev().take(LONG));
            let open = if tail == last.len() { self.before.with(drawn) } else { drawn };
            if last.ends_with(b"-") || open.with(Drawn::of(text.iter().take(LONG))).is_secret() {
                return true;
            }
            if head == text.len() {
                before = open;
            }
        } else if goes_on && head == text.len() {
            before = Drawn::of(last.iter().rev().take(LONG));
        }
        *self = Self { line, before };
        false
    }
}

/// How long the word is that comes first.
fn word<'b>(bytes: impl Iterator<Item = &'b u8>) -> usize {
    bytes.take(LONG).take_while(|byte| !ENDS.has(**byte)).count()
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

    /// What a person may write, and what of a secret may stand in a line.
    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z ]{0,24}",
            "[ >#|*\t]{0,3}[a-zA-Z0-9]{1,20}[!;&$,.)\\\\ \r-]{0,2}",
            "[a-zA-Z0-9!;&$%^_/+=.:@~-]{8,16}",
            "(let|use|key|pass) [a-z0-9]{1,9} = \"?[A-Za-z0-9;]{0,14}\"?;?",
            "-{1,6}(B|BEGIN K)?",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn no_row_is_overlooked(lines in prop::collection::vec(line(), 0..9)) {
            let text = lines.join("\n");
            let mut rows_found = false;
            rows(&text, &mut |_| rows_found = true);
            prop_assert!(!rows_found || may_go_on(text.as_bytes(), &Planes::of(&text)));
        }
    }
}
