//! Whether a word may go on in the next line anywhere: in most texts none does, and that is known from bits.

use std::ops::Range;

use fearless_simd::{Level, dispatch};
use memchr::{memchr, memrchr};

use super::{inner, is_indent};
use crate::decode::Set;
use crate::join::{Drawn, ENDS, LEAST, LONG, Source};
use crate::listed::Listed;
use crate::planes::{BLOCK, Block};

/// Gives where each line begins in which something goes on that may hide a secret, or the first line of a key. In most
/// texts nothing does: of nearly all lines all that is asked is how long the words at their border are.
pub(super) fn each(source: Source<'_>, borders: &mut Borders, found: &mut dyn FnMut(usize)) {
    // What counts bits is half as long for a processor that has instructions for it.
    dispatch!(Level::new(), _simd => each_line(source, borders, found));
}

/// Those that are looked at together. Reused from text to text.
#[derive(Default)]
pub(super) struct Borders {
    ends: Listed,
    all: Vec<Border>,
}

/// The end of a line, and the words before and behind it.
#[derive(Clone, Copy)]
struct Border {
    end: usize,
    tail: usize,
    /// Where the next line begins, and where it does behind its indentation.
    next: usize,
    begin: usize,
    head: usize,
    /// Where what goes on there begins: the word before it, or those that are each all of a line before that.
    from: usize,
    /// Whether more has to be looked at than these words, and whether more lines go on in them.
    look: bool,
    held: bool,
}

/// More than a secret takes.
const UNKNOWN: usize = LEAST;

#[inline(always)]
fn each_line(source: Source<'_>, borders: &mut Borders, found: &mut dyn FnMut(usize)) {
    let (bytes, planes) = (source.bytes(), source.planes);
    let mut open = Open::default();
    let Borders { ends, all: borders } = borders;
    borders.clear();
    // Where the last line begins behind its indentation, and how much of what stands before it goes on in it.
    let (mut begun, mut held, mut held_from) = (indented(bytes, 0), 0, 0);
    for (first, last) in Listed::together(planes.blocks().len()) {
        ends.clear();
        let blocks = planes.blocks().get(first..last).unwrap_or_default();
        let mut before = first.checked_sub(1).and_then(|number| planes.blocks().get(number)).map_or(0, goes_on);
        for (number, block) in blocks.iter().enumerate() {
            let here = goes_on(block);
            // Where nothing stands before the end of a line that a word may go on from, nothing does, and that is no one
            // word.
            ends.add(number, block.line & (here << 1 | before >> (BLOCK - 1)));
            before = here;
        }
        for place in ends.places() {
            let mut end = first * BLOCK + usize::from(*place);
            let next = end + 1;
            let near = planes.near(end);
            let mut tail = near.behind(|block| !block.stop).leading_ones() as usize;
            let indent = near.ahead(|block| block.blank).trailing_ones();
            let head = near.ahead(|block| !block.stop).unbounded_shr(indent).trailing_ones();
            let (indent, mut head) = (indent as usize, head as usize);
            let mut begin = next + indent;
            if MARKS.has(byte(bytes, begin)) | (indent + head >= BLOCK) {
                begin = indented(bytes, begin);
                head = planes.ahead(begin, |block| !block.stop).trailing_ones() as usize;
            }
            let mut last = byte(bytes, end.wrapping_sub(1));
            if TRAILS.has(last) {
                end = trailed(bytes, end);
                tail = planes.behind(end, |block| !block.stop).leading_ones() as usize;
                last = byte(bytes, end.wrapping_sub(1));
            }
            // No branch for each of these, nor for all: which of them holds is hard to guess.
            let both = (tail > 0) & (head > 0);
            let long = ((tail == BLOCK) | (head == BLOCK)) & (tail > 0);
            let look = (last == b'-') | long;
            // Of what is one word, all before it counts.
            let before_it = if begun + tail >= end { held } else { 0 };
            let counts = look | (both & (before_it + tail + head >= LEAST));
            let from = if before_it > 0 { held_from } else { end - tail };
            borders.push(Border { end, tail, next, begin, head, from, look, held: before_it > 0 });
            borders.truncate(borders.len() - usize::from(!counts));
            held = if look { UNKNOWN } else { usize::from(both) * (before_it + tail) };
            held_from = if look { 0 } else { from };
            begun = begin;
        }
        for border in borders.drain(..) {
            open.cross(source, border, found);
        }
    }
}

/// Where a word may go on from, or white space stands.
#[inline(always)]
fn goes_on(block: &Block) -> u64 {
    !block.stop | block.blank
}

/// Whether a secret may go on in lines that are one word each. Of many nobody knows.
#[inline(always)]
fn may_hold(source: Source<'_>, lines: Range<usize>) -> bool {
    let first = lines.start..lines.end.min(lines.start + BLOCK);
    lines.len() > 2 * BLOCK || source.seen_in(first.clone()).with(source.seen_in(first.end..lines.end)).may_be_secret()
}

#[inline(always)]
fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(b' ')
}

fn part(bytes: &[u8], part: Range<usize>) -> std::slice::Iter<'_, u8> {
    bytes.get(part).unwrap_or_default().iter()
}

/// Where a line begins behind its indentation, which goes on from a place.
fn indented(bytes: &[u8], place: usize) -> usize {
    place + bytes.get(place..).unwrap_or_default().iter().take_while(|byte| is_indent(**byte)).count()
}

/// Where what stands between the last word of a line and its end begins, which goes up to a place.
fn trailed(bytes: &[u8], place: usize) -> usize {
    let before = bytes.get(..place).unwrap_or_default().iter().rev();
    place - before.take_while(|byte| TRAILS.has(**byte)).count()
}

/// What stands between the last word of a line and its end.
static TRAILS: Set = Set::of(b" \t\r\\");

/// What stands before the first word of a line, other than blanks.
static MARKS: Set = Set::of(b">|#*");

/// What may go on in the next line: the end of the last one, and what stood before it if it was one word.
#[derive(Default)]
struct Open {
    line: Range<usize>,
    before: Drawn,
    /// Where the next line begins.
    next: usize,
}

impl Open {
    /// Looks at a border between lines.
    #[inline(always)]
    fn cross(&mut self, source: Source<'_>, border: Border, found: &mut dyn FnMut(usize)) {
        let Border { end, tail, next, begin, head, from, look, held } = border;
        let bytes = source.bytes();
        if look || (held && may_hold(source, from..begin + head)) {
            self.look(bytes, next, found);
        }
        if look || held {
            return;
        }
        let seen = source.seen_before(&(end - tail..end)).with(source.seen_from(&(begin..begin + head)));
        if seen.may_be_secret() {
            let open = Drawn::of(part(bytes, end - tail..end).rev());
            if open.with(Drawn::of(part(bytes, begin..begin + head))).is_secret() {
                found(next);
            }
        }
    }

    /// Looks whether the line before goes on in the one that begins here, closer. It is further on from time to time.
    #[inline(never)]
    fn look(&mut self, bytes: &[u8], begin: usize, found: &mut dyn FnMut(usize)) {
        let line_start = |at: usize| memrchr(b'\n', bytes.get(..at).unwrap_or_default()).map_or(0, |end| end + 1);
        // What is one word goes on from the line before it.
        let mut first = begin;
        while first > self.next {
            let start = line_start(first - 1);
            let line = inner(bytes, start..first - 1);
            let is_word = word(bytes.get(line.clone()).unwrap_or_default().iter()) == line.len();
            if start < self.next {
                break;
            }
            if !is_word || line.is_empty() || start == 0 {
                *self = Self { line, before: Drawn::default(), next: first };
                break;
            }
            first = start;
        }
        while self.next <= begin {
            let begin = self.next;
            let rest = bytes.get(begin..).unwrap_or_default();
            let end = memchr(b'\n', rest).map_or(bytes.len(), |size| begin + size);
            self.next = end + 1;
            if self.goes_on(bytes, begin..end) {
                found(begin);
            }
        }
    }

    /// Whether it goes on in this line and may hide a secret.
    fn goes_on(&mut self, bytes: &[u8], line: Range<usize>) -> bool {
        let last = bytes.get(self.line.clone()).unwrap_or_default();
        let line = inner(bytes, line);
        let text = bytes.get(line.clone()).unwrap_or_default();
        let (mut found, mut before) = (false, Drawn::default());
        // Hardly any two words at a border are long enough, and only those are looked at closer.
        let (tail, head) = (word(last.iter().rev()), word(text.iter()));
        let goes_on = tail > 0 && head > 0;
        if last.ends_with(b"-") || (goes_on && tail == last.len()) || (goes_on && tail + head >= LEAST) {
            let drawn = Drawn::of(last.iter().rev());
            let open = if tail == last.len() { self.before.with(drawn) } else { drawn };
            found = last.ends_with(b"-") || open.with(Drawn::of(text.iter())).is_secret();
            if goes_on && head == text.len() {
                before = open;
            }
        } else if goes_on && head == text.len() {
            before = Drawn::of(last.iter().rev());
        }
        (self.line, self.before) = (line, before);
        found
    }
}

/// How long the word is that comes first.
fn word<'b>(bytes: impl Iterator<Item = &'b u8>) -> usize {
    bytes.take(LONG).take_while(|byte| !ENDS.has(**byte)).count()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::join::Signs;
    use crate::planes::Planes;

    /// What a person may write, and what of a secret may stand in a line.
    pub(in super::super) fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z ]{0,24}",
            "[a-zA-Z0-9]{0,12}\r{1,2}",
            "[ >#|*\t\r]{0,3}[a-zA-Z0-9]{1,20}[!;&$,.)\\\\ \r-]{0,2}",
            "[a-zA-Z0-9!;&$%^_/+=.:@~-]{8,16}",
            "(let|use|key|pass) [a-z0-9]{1,9} = \"?[A-Za-z0-9;]{0,14}\"?;?",
            "-{1,6}(B|BEGIN K)?",
            "[ >#|*\t\r]{0,70}[ -~é]{1,2}",
            "[<>|`A-Za-z0-9]{1,24}[<>|`][A-Za-z0-9]{1,16}",
            "([A-Za-z0-9]{1,16}[<>|`,.; ]){1,3}",
        ]
    }

    /// Where a word goes on, line by line.
    fn slow(text: &str) -> BTreeSet<usize> {
        let mut open = Open::default();
        let mut next = 0;
        let mut lines = text.split('\n').map(|line| {
            next += line.len() + 1;
            next - line.len() - 1..next - 1
        });
        let found = lines.by_ref().filter(|line| open.goes_on(text.as_bytes(), line.clone()));
        found.map(|line| line.start).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn no_word_that_goes_on_is_overlooked(
            lines in prop::collection::vec(line(), 0..9),
            short in prop::collection::vec("([ >#|*\t]{0,3}[a-z0-9]{0,15}[ \\\\-]?|[A-Z .,]{0,30}[A-Za-z0-9]{0,12})", 0..9),
        ) {
            for lines in [&lines, &short] {
                let text = lines.join("\n");
                let mut found = BTreeSet::new();
                let (planes, signs) = (Planes::of(&text), Signs::of(&text));
                each(Source::of(&text, &planes, &signs), &mut Borders::default(), &mut |line| {
                    found.insert(line);
                });
                prop_assert!(found.is_superset(&slow(&text)), "{:?}", text);
            }
        }
    }
}
