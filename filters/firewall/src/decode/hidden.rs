//! Tokens written backwards, or with every letter moved by thirteen.
//!
//! Marks of secrets are looked for backwards and moved in every word that looks like a token, as it stands. Words that have
//! one, or may be encoded, are read so, and go through the rules together.

mod needed;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use memchr::memchr2;

use super::{From, Piece, Set, Sink, radix};
use crate::engine::Beginning;
use crate::keywords::{Keyword, Keywords};
use crate::planes::Planes;
use crate::scan::Exhausted;

/// The shortest and the longest word that is looked at: a token, and one that is encoded among others.
const WORDS: std::ops::RangeInclusive<usize> = 20..=8 << 10;

/// What stands between words: they are not lines of something that is cut into lines.
const APART: &str = "\n\n";

/// Reads a word in some way.
type Read = fn(&str, &mut Vec<u8>);

/// The ways in which each is read, and what they are called.
const WAYS: [(Read, &str); 2] = [(reversed, "reversed"), (moved, "rot13")];

/// Which of them is from behind.
const BACKWARDS: usize = 0;

/// The marks of secrets, in small letters, as they stand in disguised words.
pub(crate) struct Disguised {
    marks: Keywords,
    /// Of each, how words with it are read.
    shown: Vec<Vec<Shown>>,
    /// What is found without a mark, where words are read for another one.
    unmarked: Vec<Begin>,
}

/// What a mark marks.
pub(crate) struct Marked<'e> {
    pub(crate) expression: &'e str,
    /// Whether a match may go on behind the end of a line.
    pub(crate) goes_on: bool,
    /// What those matches begin with that begin with the mark, if all do.
    pub(crate) begin: Option<Begin>,
}

/// What matches begin with.
pub(crate) struct Begin {
    pub(crate) beginning: Beginning,
    /// Whether they begin where a word does, or ends.
    pub(crate) at_edge: bool,
    /// As many bytes of a line are in each, with its end.
    pub(crate) within: usize,
}

/// A mark that shows once a word is read.
struct Shown {
    /// In which of the ways.
    way: usize,
    size: usize,
    /// Bytes that are in whatever it marks, if it is one that words often have that are not disguised.
    needed: u128,
    /// What it marks may go on in the words behind it.
    goes_on: bool,
    /// What begins with it, if it only marks that.
    begins: Option<Arc<[Begin]>>,
}

impl Disguised {
    /// Of these marks, each with what it marks.
    pub(crate) fn new<'e>(marks: impl Iterator<Item = (Keyword, Vec<Marked<'e>>)>, unmarked: Vec<Begin>) -> Self {
        let mut all = BTreeMap::<_, Vec<Marked<'e>>>::new();
        for (mark, marked) in marks {
            all.entry(mark.text.to_ascii_lowercase()).or_default().extend(marked);
        }
        let mut disguised = BTreeMap::<_, Vec<Shown>>::new();
        for (mark, marked) in all {
            // Letters change, and so does what has them.
            let common = !mark.iter().any(u8::is_ascii_alphanumeric);
            let needed = if common { needed::by_all(marked.iter().map(|marked| marked.expression)) } else { 0 };
            let goes_on = marked.iter().any(|marked| marked.goes_on);
            let begins: Option<Vec<Begin>> = marked.into_iter().map(|marked| marked.begin).collect();
            let begins: Option<Arc<[Begin]>> = begins.filter(|begins| !begins.is_empty()).map(Arc::from);
            for (way, (read, _)) in WAYS.iter().enumerate() {
                let mut text = Vec::new();
                // What is read twice is as it was.
                read(&String::from_utf8_lossy(&mark), &mut text);
                let shown = Shown { way, size: text.len(), needed, goes_on, begins: begins.clone() };
                disguised.entry(Keyword { text, any_case: false }).or_default().push(shown);
            }
        }
        let (marks, shown): (Vec<_>, _) = disguised.into_iter().unzip();
        Self { marks: Keywords::new(&marks), shown, unmarked }
    }

    /// Asks no more whether anything may begin with a mark.
    #[cfg(test)]
    pub(crate) fn open(&mut self) {
        self.shown.iter_mut().flatten().for_each(|shown| shown.begins = None);
    }
}

impl Shown {
    /// Whether what it marks may begin with it, where it stands in a word.
    fn may_begin(&self, word: &[u8], at: usize) -> bool {
        let end = at + self.size;
        let at = if self.way == BACKWARDS { end } else { at };
        self.begins.as_ref().is_none_or(|begins| begins.iter().any(|begin| begin.may_be_at(word, at, self.way)))
    }
}

impl Begin {
    /// Whether a match may begin at a place of a word that is read in some way.
    fn may_be_at(&self, word: &[u8], at: usize, way: usize) -> bool {
        let (before, after) = word.split_at_checked(at).unwrap_or_default();
        match way {
            BACKWARDS => self.may_be(after.first(), before.iter().rev().copied()),
            _ => self.may_be(before.last(), after.iter().map(|byte| other(*byte))),
        }
    }

    /// Whether one may begin anywhere in it.
    fn may_be_in(&self, word: &[u8], way: usize) -> bool {
        word.len() + 1 >= self.within && (0..=word.len()).any(|at| self.may_be_at(word, at, way))
    }

    /// Whether a match may begin where a word says this from a place on, and this before it.
    fn may_be(&self, last: Option<&u8>, said: impl ExactSizeIterator<Item = u8> + Clone) -> bool {
        let in_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_edge = || last.is_some_and(|byte| in_word(*byte)) != said.clone().next().is_some_and(in_word);
        // What is not ASCII is read in another order.
        let known = || said.clone().chain(APART.bytes()).take_while(u8::is_ascii);
        said.len() + 1 >= self.within && (!self.at_edge || is_edge()) && self.beginning.may_go_on(known())
    }
}

/// The words of a text. Reused from text to text.
#[derive(Default)]
pub(crate) struct Words {
    all: Vec<Word>,
    /// All of them as they stand, and the same in small letters.
    written: Vec<u8>,
    small: Vec<u8>,
    /// One of them as it is read.
    said: Vec<u8>,
}

/// A word.
#[derive(Clone)]
struct Word {
    place: Range<usize>,
    /// Where it begins in what is written.
    begin: usize,
    /// Of each way, whether it may be encoded, or shows a mark with which something may begin.
    counts: [bool; WAYS.len()],
    /// The same of any mark.
    shows: [bool; WAYS.len()],
}

/// Gives the words that look like tokens as they are read in either way, where that shows a mark or what may be encoded.
pub(super) fn each(text: &str, words: &mut Words, disguised: &Disguised, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    if words.all.is_empty() {
        return Ok(());
    }
    words.look(text, disguised);
    WAYS.iter().enumerate().try_for_each(|(way, (read, name))| words.give(text, way, *read, name, sink))
}

impl Words {
    /// Finds the words of a text with a long run of token characters in them.
    pub(super) fn find(&mut self, text: &str, planes: &Planes, runs: &[Range<usize>]) {
        self.all.clear();
        let bytes = text.as_bytes();
        let random = |run: &&Range<usize>| {
            planes.any(Range::clone(run), |block| block.digit)
                && bytes.get(Range::clone(run)).unwrap_or_default().iter().any(u8::is_ascii_alphabetic)
        };
        let mut floor = 0;
        for run in runs.iter().filter(random) {
            if run.start < floor {
                continue;
            }
            let before = bytes.get(floor..run.start).unwrap_or_default();
            let after = bytes.get(run.end..).unwrap_or_default();
            let most = *WORDS.end();
            let start = run.start - before.iter().rev().take(most).take_while(|byte| !ENDS.has(**byte)).count();
            let end = run.end + after.iter().take(most).take_while(|byte| !ENDS.has(**byte)).count();
            if WORDS.contains(&(end - start)) && text.get(start..end).is_some() {
                self.all.push(Word {
                    place: start..end,
                    begin: 0,
                    counts: Default::default(),
                    shows: Default::default(),
                });
            }
            floor = end;
        }
        self.find_encoded(bytes, runs);
    }

    /// Sees which of them may be encoded, read in which way.
    fn find_encoded(&mut self, bytes: &[u8], runs: &[Range<usize>]) {
        let Self { all, said, .. } = self;
        let mut words = all.iter_mut().peekable();
        for run in runs.iter().filter(|run| run.len() >= radix::LEAST) {
            while words.next_if(|word| word.place.end <= run.start).is_some() {}
            let Some(word) = words.peek_mut().filter(|word| word.place.start <= run.start) else { continue };
            let symbols = bytes.get(run.clone()).unwrap_or_default();
            let packed = are_packed(symbols).into_iter().zip(&mut word.counts);
            packed.for_each(|(is_packed, counts)| *counts |= is_packed);
            let ways = [back, moved_bytes].into_iter().zip(&mut word.counts).filter(|(_, counts)| !**counts);
            for (read, counts) in ways {
                said.clear();
                read(symbols, said);
                *counts = radix::may_say(said);
            }
        }
    }

    /// Sees which of them show a mark, read in which way.
    fn look(&mut self, text: &str, disguised: &Disguised) {
        let Self { all, written, small, .. } = self;
        written.clear();
        for word in &mut *all {
            word.begin = written.len();
            written.extend_from_slice(text.as_bytes().get(word.place.clone()).unwrap_or_default());
            written.extend_from_slice(APART.as_bytes());
        }
        small.clone_from(written);
        small.make_ascii_lowercase();
        let mut there = There { written, known: bit(b'\n'), absent: 0 };
        let mut last = 0;
        let mut go_on = [false; WAYS.len()];
        let Ok(_) = disguised.marks.each(small, &mut |at, mark| {
            for shown in disguised.shown.get(mark as usize).into_iter().flatten() {
                if !there.has(shown.needed) {
                    continue;
                }
                if all.get(last).is_none_or(|word| at < word.begin || at >= word.begin + word.place.len()) {
                    last = all.partition_point(|word| word.begin <= at).saturating_sub(1);
                }
                let Some(word) = all.get_mut(last) else { continue };
                let (begin, end) = (word.begin, word.begin + word.place.len());
                let ways = (word.counts.get_mut(shown.way), word.shows.get_mut(shown.way), go_on.get_mut(shown.way));
                let (Some(counts), Some(shows), Some(go_on)) = ways else { continue };
                *shows = true;
                if (!*counts || shown.goes_on)
                    && shown.may_begin(written.get(begin..end).unwrap_or_default(), at - begin)
                {
                    *counts = true;
                    *go_on |= shown.goes_on;
                }
            }
            Ok::<_, Infallible>(())
        });
        // What goes on may do so in any word with a mark, and what has none is found there.
        for word in all.iter_mut().filter(|word| word.shows != word.counts) {
            let written = written.get(word.begin..word.begin + word.place.len()).unwrap_or_default();
            for (way, (counts, shows)) in word.counts.iter_mut().zip(word.shows).enumerate() {
                let any = || disguised.unmarked.iter().any(|begin| begin.may_be_in(written, way));
                *counts = *counts || shows && (go_on.get(way) == Some(&true) || any());
            }
        }
    }

    /// Gives those that count of the words, read in one way.
    fn give(
        &mut self,
        text: &str,
        way: usize,
        read: Read,
        name: &'static str,
        sink: &mut Sink<'_>,
    ) -> Result<(), Exhausted> {
        let Self { all, said, .. } = self;
        let mut lines = Vec::new();
        said.clear();
        for word in all.iter().filter(|word| word.counts.get(way) == Some(&true)) {
            lines.push((said.len(), word.place.clone()));
            read(text.get(word.place.clone()).unwrap_or_default(), said);
            said.extend_from_slice(APART.as_bytes());
        }
        if lines.is_empty() {
            return Ok(());
        }
        let text = std::str::from_utf8(said).unwrap_or_default();
        sink(Piece { text, from: From::Words(&lines), name })
    }
}

/// Which bytes of ASCII there are in what words say in either way, as far as anybody has asked.
struct There<'w> {
    written: &'w [u8],
    known: u128,
    absent: u128,
}

impl There<'_> {
    /// Whether all of these are.
    fn has(&mut self, mut needed: u128) -> bool {
        needed &= !self.known;
        while needed != 0 && needed & self.absent == 0 {
            let byte = needed.trailing_zeros() as u8;
            let found = memchr2(byte, other(byte), self.written).is_some();
            *(if found { &mut self.known } else { &mut self.absent }) |= bit(byte);
            needed &= !self.known;
        }
        needed == 0
    }
}

fn bit(byte: u8) -> u128 {
    1u128.unbounded_shl(u32::from(byte))
}

static ENDS: Set = Set::of(b" \t\r\n\"'`,;<>(){}[]|\\");

fn reversed(word: &str, said: &mut Vec<u8>) {
    if word.is_ascii() {
        back(word.as_bytes(), said);
    } else {
        said.extend(word.chars().rev().collect::<String>().bytes());
    }
}

fn moved(word: &str, said: &mut Vec<u8>) {
    moved_bytes(word.as_bytes(), said);
}

/// Whether symbols begin like what is packed when they are read in each way.
fn are_packed(symbols: &[u8]) -> [bool; WAYS.len()] {
    let (Some([a, b, c, d]), Some(first)) = (symbols.last_chunk::<4>(), symbols.first_chunk::<4>()) else {
        return Default::default();
    };
    [radix::is_packed(&[*d, *c, *b, *a]), radix::is_packed(&first.map(other))]
}

/// Symbols of ASCII from behind.
fn back(symbols: &[u8], said: &mut Vec<u8>) {
    said.extend(symbols.iter().rev());
}

fn moved_bytes(bytes: &[u8], said: &mut Vec<u8>) {
    said.extend(bytes.iter().map(|byte| OTHERS.get(usize::from(*byte)).copied().unwrap_or(*byte)));
}

/// Of each byte, [the other one](other): what letters a word has is hard to guess.
static OTHERS: [u8; 256] = {
    let mut table = [0; 256];
    let (mut rest, mut byte): (&mut [u8], u8) = (&mut table, 0);
    while let Some((slot, more)) = rest.split_first_mut() {
        *slot = other(byte);
        byte = byte.wrapping_add(1);
        rest = more;
    }
    table
};

/// The letter that is thirteen away; another byte stays as it is.
const fn other(byte: u8) -> u8 {
    match byte {
        b'a'..=b'm' | b'A'..=b'M' => byte + 13,
        b'n'..=b'z' | b'N'..=b'Z' => byte - 13,
        _ => byte,
    }
}

#[cfg(test)]
mod tests;
