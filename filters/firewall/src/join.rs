//! Secrets in pieces: string literals that are put together, broken lines, letters with something in
//! between, and the border between one text and the next.
//!
//! Pieces are only joined where they stand in a row in one and the same way. What is found counts only
//! where it reaches over a border, and only for rules about live secrets: whatever else pieces spell by
//! chance is no finding.

mod border;
mod groups;
mod joined;
mod lines;
mod literals;
mod marks;
mod seams;
mod signs;

use std::ops::Range;

use fearless_simd::{Level, dispatch};
use memchr::memmem;

use crate::decode::Set;
use crate::planes::{BLOCK, Block, Planes};

pub(crate) use border::Border;
pub(crate) use joined::{Given, Joined, Wholes};
pub(crate) use seams::Seams;
use signs::Signs;

/// What is shorter than this when it is joined is no secret.
const LEAST: usize = 16;

/// Of what has no digit, as many letters are capital ones.
const CAPITALS: u32 = 3;

/// As many pieces are more than a secret is cut into.
const LONG: usize = 4 << 10;

/// So many bytes of a row are more than any secret is long. What stands farther from where a row may end is the same
/// wherever it ends.
const REACH: usize = 8 << 10;

/// What stands behind each of the ways in which pieces are given: an empty line, which no row goes over.
pub(crate) const APART: &str = "\n\n";

/// What stands before each row but the first, so that nothing is found from one to the next.
const BETWEEN: &str = "\0\n\n";

/// As much is given together, and the row that goes over it.
const TOGETHER: usize = 8 << 10;

/// Where pieces stand in a text, one after the other.
type Pieces<'p> = &'p [Range<usize>];

/// What is reused from text to text.
#[derive(Default)]
pub(crate) struct Room {
    signs: Signs,
    pieces: Vec<Range<usize>>,
    lines: lines::Room,
    joined: Joined,
}

/// Who takes what was joined.
struct Sink<'s> {
    joined: &'s mut Joined,
    take: &'s mut dyn FnMut(&mut Joined),
}

/// Joins whatever stands in pieces in a text. Says how many lines it has read one by one.
pub(crate) fn each(text: &str, planes: &Planes, room: &mut Room, take: &mut dyn FnMut(&mut Joined)) -> usize {
    let Room { signs, pieces, lines, joined } = room;
    signs.read(text);
    let source = Source::of(text, planes, signs);
    let sink = &mut Sink { joined, take };
    literals::each(source, pieces, sink);
    let read = lines::each(source, lines, sink);
    marks::each(source, pieces, sink);
    groups::each(source, pieces, sink);
    sink.flush();
    joined.shrink();
    read
}

impl Sink<'_> {
    /// Hands over the rows that wait for that: to look at them takes less together than one by one.
    fn flush(&mut self) {
        let Self { joined, take } = self;
        if !joined.is_empty() {
            take(joined);
            joined.clear();
        }
    }
}

/// A text, and what its bytes are.
#[derive(Clone, Copy)]
struct Source<'t> {
    text: &'t str,
    planes: &'t Planes,
    signs: &'t Signs,
    /// Whether the line that begins a key may begin somewhere in it.
    has_key: bool,
}

impl<'t> Source<'t> {
    fn of(text: &'t str, planes: &'t Planes, signs: &'t Signs) -> Self {
        Self { text, planes, signs, has_key: signs.has_dashes() && memmem::find(text.as_bytes(), b"-----B").is_some() }
    }

    fn bytes(&self) -> &'t [u8] {
        self.text.as_bytes()
    }

    /// What no more than 64 bytes have, as if they were a run.
    #[inline(always)]
    fn seen_in(&self, part: Range<usize>) -> Seen {
        let within = !u64::MAX.unbounded_shl(part.len() as u32);
        let digits = self.planes.ahead(part.start, |block| block.digit) & within;
        Seen::of(part.len() as u32, digits, self.signs.ahead(part.start, |sign| sign.capital) & within)
    }

    /// The run that a piece begins with.
    #[inline(always)]
    fn seen_from(&self, piece: &Range<usize>) -> Seen {
        let size = self.planes.ahead(piece.start, |block| !block.stop).trailing_ones();
        if size == u64::BITS && piece.len() >= BLOCK {
            return Seen::long(piece.len());
        }
        let size = size.min(piece.len() as u32);
        let within = !u64::MAX.unbounded_shl(size);
        let digits = self.planes.ahead(piece.start, |block| block.digit) & within;
        Seen::of(size, digits, self.signs.ahead(piece.start, |sign| sign.capital) & within)
    }

    /// The run that a piece ends with.
    #[inline(always)]
    fn seen_before(&self, piece: &Range<usize>) -> Seen {
        let size = self.planes.behind(piece.end, |block| !block.stop).leading_ones();
        if size == u64::BITS && piece.len() >= BLOCK {
            return Seen::long(piece.len());
        }
        let size = size.min(piece.len() as u32);
        let within = !u64::MAX.unbounded_shr(size);
        let digits = self.planes.behind(piece.end, |block| block.digit) & within;
        Seen::of(size, digits, self.signs.behind(piece.end, |sign| sign.capital) & within)
    }
}

#[inline(always)]
fn dashes(block: &Block) -> u64 {
    block.symbol & block.token & !block.word
}

/// Gives pieces as one, also without the first and the last: they may be the text around it.
fn give(source: Source<'_>, pieces: &[Range<usize>], sink: &mut Sink<'_>) {
    if pieces.len() < 2
        || !dispatch!(Level::new(), _simd => seems_to_hide(source, pieces))
        || !may_hide(source.bytes(), source.has_key, pieces)
    {
        return;
    }
    sink.joined.add(source.text, pieces);
    if sink.joined.size() >= TOGETHER {
        sink.flush();
    }
}

fn size_of(pieces: Pieces<'_>) -> usize {
    pieces.iter().map(Range::len).sum()
}

/// Whether a secret may reach over one of the borders, as far as bits say it: most that stands in pieces is prose and code.
#[inline(always)]
fn seems_to_hide(source: Source<'_>, pieces: Pieces<'_>) -> bool {
    let mut open = Seen::default();
    let mut pieces = pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        let head = source.seen_from(piece);
        let both = open.with(head);
        if (open.size > 0) & (head.size > 0) & both.may_be_secret() {
            return true;
        }
        open = if head.size == piece.len() { both } else { source.seen_before(piece) };
        let last = piece.end.checked_sub(1).and_then(|last| source.bytes().get(last));
        if pieces.peek().is_some() && (source.has_key || last == Some(&b'-')) {
            return true;
        }
    }
    false
}

/// What bits say of a run of characters that end no word in prose and code, at least.
#[derive(Clone, Copy, Default)]
struct Seen {
    size: usize,
    digits: u32,
    capitals: u32,
}

impl Seen {
    /// Of 64 bytes: which of those that it is of are digits and capital letters.
    #[inline(always)]
    fn of(size: u32, digits: u64, capitals: u64) -> Self {
        Self { size: size as usize, digits: digits.count_ones(), capitals: capitals.count_ones() }
    }

    /// What is longer than bits say, of which that is all that is known.
    fn long(size: usize) -> Self {
        Self { size, digits: 1, capitals: 0 }
    }

    #[inline(always)]
    fn with(self, next: Self) -> Self {
        Self { size: self.size + next.size, digits: self.digits + next.digits, capitals: self.capitals + next.capitals }
    }

    /// Whether [`Drawn::is_secret`] may be true of it.
    #[inline(always)]
    fn may_be_secret(self) -> bool {
        (self.size >= LEAST) & ((self.digits > 0) | (self.capitals >= CAPITALS))
    }
}

/// Whether a secret may reach over one of the borders: most that stands in pieces is prose and code, and of those
/// nothing is copied.
fn may_hide(text: &[u8], has_key: bool, pieces: Pieces<'_>) -> bool {
    let mut pieces = pieces.iter().map(|piece| text.get(piece.clone()).unwrap_or_default()).peekable();
    // What reaches up to the border that was seen last.
    let mut open = Drawn::default();
    while let Some(piece) = pieces.next() {
        let head = Drawn::of(piece.iter());
        let both = open.with(head);
        if !open.is_empty() && !head.is_empty() && both.is_secret() {
            return true;
        }
        open = match head.size == piece.len() {
            true => both,
            false => Drawn::of(piece.iter().rev()),
        };
        // The first line of a key has spaces.
        if pieces.peek().is_some() && (piece.ends_with(b"-") || (has_key && begins_key(piece))) {
            return true;
        }
    }
    false
}

/// Whether the line that begins a key may begin here.
fn begins_key(piece: &[u8]) -> bool {
    memmem::find(piece, b"-----B").is_some()
}

/// What a run of characters has that drawn ones have.
#[derive(Clone, Copy, Default)]
struct Drawn {
    size: usize,
    digits: usize,
    upper: usize,
    lower: usize,
}

impl Drawn {
    /// Of the word that comes first, as far as is looked at: passwords have other signs than tokens.
    fn of<'b>(bytes: impl Iterator<Item = &'b u8>) -> Self {
        let kinds = bytes.take(LONG).map(|byte| KINDS.get(usize::from(*byte)).copied().unwrap_or(0));
        let sum: u64 = kinds.take_while(|kind| *kind != 0).sum();
        let count = |place: u32| usize::from((sum >> (COUNT * place)) as u16);
        Self { size: count(0), digits: count(1), upper: count(2), lower: count(3) }
    }

    fn with(self, next: Self) -> Self {
        Self {
            size: self.size + next.size,
            digits: self.digits + next.digits,
            upper: self.upper + next.upper,
            lower: self.lower + next.lower,
        }
    }

    fn is_empty(self) -> bool {
        self.size == 0
    }

    /// Whether a secret may be in it: long enough, with a digit, letters in both cases, or capital ones in great number.
    fn is_secret(self) -> bool {
        let letters = (self.upper >= CAPITALS as usize && self.lower >= 3) || self.upper >= 12;
        self.size >= LEAST && (self.digits > 0 || letters)
    }
}

/// What a byte adds to the counts of what is drawn, side by side: one, and one more of its kind. Nothing where it
/// [ends](ENDS) a word.
static KINDS: [u64; 256] = {
    const { assert!(LONG < 1 << COUNT) };
    let mut table = [0; 256];
    let (mut rest, mut byte): (&mut [u64], u8) = (&mut table, 0);
    while let Some((kind, more)) = rest.split_first_mut() {
        *kind = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'`' | b',' | b'(' | b')' => 0,
            b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'|' => 0,
            b'0'..=b'9' => 1 | 1 << COUNT,
            b'A'..=b'Z' => 1 | 1 << (2 * COUNT),
            b'a'..=b'z' => 1 | 1 << (3 * COUNT),
            _ => 1,
        };
        byte = byte.wrapping_add(1);
        rest = more;
    }
    table
};

/// The bits of each count.
const COUNT: u32 = 16;

/// Characters that tokens are made of.
static TOKEN: Set = Set::word_and(b"_-+/=.:@~%");

/// Characters that end a word.
static ENDS: Set = Set::of(b" \t\r\n\"'`,()[]{}<>|");

/// Where the word that ends at a place begins.
fn word_start(bytes: &[u8], floor: usize, end: usize) -> usize {
    let before = bytes.get(floor.max(end.saturating_sub(512))..end).unwrap_or_default();
    end - before.iter().rev().take_while(|byte| !ENDS.has(**byte)).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_of_a_word_is_counted(word in prop::collection::vec(prop_oneof![33u8..127, 0u8..], 0..90), long: bool) {
            let word = if long { word.repeat(99) } else { word };
            let drawn = Drawn::of(word.iter());
            let first: Vec<u8> = word.into_iter().take(LONG).take_while(|byte| !ENDS.has(*byte)).collect();
            let count = |is: fn(&u8) -> bool| first.iter().filter(|byte| is(byte)).count();
            prop_assert_eq!(drawn.size, first.len());
            prop_assert_eq!(drawn.digits, count(u8::is_ascii_digit));
            prop_assert_eq!(drawn.upper, count(u8::is_ascii_uppercase));
            prop_assert_eq!(drawn.lower, count(u8::is_ascii_lowercase));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_may_hide_seems_to(
            parts in prop::collection::vec("[a-zA-Z0-9_`é]{0,12}|[a-z0-9]{50,70}|-{1,5}B?|[ -~]{0,4}|[A-Z0-9]{1,3}", 1..12),
            gaps in prop::collection::vec(any::<bool>(), 12),
        ) {
            let mut text = String::new();
            let mut pieces = Vec::new();
            for (part, gap) in parts.iter().zip(gaps) {
                if gap {
                    text.push_str("\", \"");
                }
                pieces.push(text.len()..text.len() + part.len());
                text.push_str(part);
            }
            let (planes, signs) = (Planes::of(&text), Signs::of(&text));
            let source = Source::of(&text, &planes, &signs);
            let hides = may_hide(text.as_bytes(), true, &pieces);
            prop_assert_eq!(may_hide(text.as_bytes(), source.has_key, &pieces), hides, "{:?} of {:?}", pieces, text);
            prop_assert!(!hides || seems_to_hide(source, &pieces), "{:?} of {:?}", pieces, text);
        }
    }

    /// A row is given whole once; without its ends only as far as a secret reaches from them.
    #[test]
    fn a_long_row_is_not_copied_for_each_way_to_end_it() {
        for (count, size) in [(3, 7), (9, 20), (600, 64), (600, 7), (30, 5000)] {
            let piece = |number: usize| format!("{number:03}{}", "aB3c".repeat(size / 4));
            let text: String = (0..count).map(|number| piece(number) + "\n").collect();
            let size = piece(0).len();
            let pieces: Vec<_> = (0..count).map(|number| number * (size + 1)..number * (size + 1) + size).collect();
            let mut given = String::new();
            let (planes, signs) = (Planes::of(&text), Signs::of(&text));
            let mut take = |joined: &mut Joined| given.push_str(joined.all(&text));
            let mut sink = Sink { joined: &mut Joined::default(), take: &mut take };
            give(Source::of(&text, &planes, &signs), &pieces, &mut sink);
            sink.flush();
            let rows: Vec<&str> = given.split(APART).filter(|row| !row.is_empty()).collect();
            assert_eq!(rows[0], (0..count).map(piece).collect::<String>());
            let begins = |number: usize| rows.iter().any(|row| row.starts_with(&(piece(number) + &piece(number + 1))));
            let ends = |number: usize| rows.iter().any(|row| row.ends_with(&(piece(number - 1) + &piece(number))));
            assert!(begins(0) && begins(1) && ends(count - 1) && ends(count - 2), "{count} pieces of {size}");
            assert!(given.len() <= text.len() + 6 * REACH + 12 * size, "{count} pieces of {size}: {}", given.len());
        }
    }

    #[test]
    fn whatever_a_secret_is_made_of_may_hide() {
        // A key of capital letters alone, a password with signs, and the header of a key cut in its dashes.
        for (one, two) in [
            ("AKIAQWERTYUI", "OPASDFGH"),
            ("pg://app:x$y!", "z%w@db5.host"),
            ("--", "---BEGIN KEY-----"),
            ("AGE-1", "QWERTYUIOPASD"),
        ] {
            let text = format!("{one} {two}");
            let pieces = [0..one.len(), one.len() + 1..text.len()];
            assert!(may_hide(text.as_bytes(), true, &pieces), "{text}");
        }
        for (one, two) in
            [("some words of", "a sentence"), ("let value", "other_value;"), ("use std::fmt;", "use std::io;")]
        {
            let text = format!("{one} {two}");
            let pieces = [0..one.len(), one.len() + 1..text.len()];
            assert!(!may_hide(text.as_bytes(), true, &pieces), "{text}");
        }
    }
}
