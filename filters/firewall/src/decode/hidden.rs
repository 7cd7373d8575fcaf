//! Tokens written backwards, or with every letter moved by thirteen.
//!
//! Marks of secrets are looked for backwards and moved in every word that looks like a token, as it stands. Words that have
//! one, or may be encoded, are read so, and go through the rules together.

mod needed;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

use memchr::memchr2;

use super::{From, Piece, Set, Sink, radix};
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

/// The marks of secrets, in small letters, as they stand in disguised words.
pub(crate) struct Disguised {
    marks: Keywords,
    /// Of each, how words with it are read.
    shown: Vec<Vec<Shown>>,
}

/// A mark that shows once a word is read.
struct Shown {
    /// In which of the ways.
    way: usize,
    /// Bytes that are in whatever it marks, if it is one that words often have that are not disguised.
    needed: u128,
}

impl Disguised {
    /// Of these marks, each with the expressions of what it marks.
    pub(crate) fn new<'e>(marks: impl Iterator<Item = (Keyword, Vec<&'e str>)>) -> Self {
        let mut all = BTreeMap::<_, Vec<&str>>::new();
        for (mark, expressions) in marks {
            all.entry(mark.text.to_ascii_lowercase()).or_default().extend(expressions);
        }
        let mut disguised = BTreeMap::<_, Vec<Shown>>::new();
        for (mark, expressions) in &all {
            // Letters change, and so does what has them.
            let common = !mark.iter().any(u8::is_ascii_alphanumeric);
            let needed = if common { needed::by_all(expressions.iter().copied()) } else { 0 };
            for (way, (read, _)) in WAYS.iter().enumerate() {
                let mut text = Vec::new();
                // What is read twice is as it was.
                read(&String::from_utf8_lossy(mark), &mut text);
                disguised.entry(Keyword { text, any_case: false }).or_default().push(Shown { way, needed });
            }
        }
        let (marks, shown): (Vec<_>, _) = disguised.into_iter().unzip();
        Self { marks: Keywords::new(&marks), shown }
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
    /// Of each way, whether it shows a mark, or may be encoded.
    counts: [bool; WAYS.len()],
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
                self.all.push(Word { place: start..end, begin: 0, counts: Default::default() });
            }
            floor = end;
        }
    }

    /// Sees which of them count, read in which way.
    fn look(&mut self, text: &str, disguised: &Disguised) {
        let Self { all, written, small, said } = self;
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
        let Ok(()) = disguised.marks.each(small, &mut |at, mark| {
            for Shown { way, needed } in disguised.shown.get(mark as usize).into_iter().flatten() {
                if !there.has(*needed) {
                    continue;
                }
                if all.get(last).is_none_or(|word| at < word.begin || at >= word.begin + word.place.len()) {
                    last = all.partition_point(|word| word.begin <= at).saturating_sub(1);
                }
                all.get_mut(last).and_then(|word| word.counts.get_mut(*way)).into_iter().for_each(|slot| *slot = true);
            }
            Ok::<_, Infallible>(())
        });
        for word in all {
            let as_written = text.get(word.place.clone()).unwrap_or_default();
            if word.counts == [true; WAYS.len()] || !radix::is_long(as_written.as_bytes()) {
                continue;
            }
            for (counts, (read, _)) in word.counts.iter_mut().zip(WAYS).filter(|(counts, _)| !**counts) {
                said.clear();
                read(as_written, said);
                *counts = radix::may_say(said);
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
        said.extend(word.bytes().rev());
    } else {
        said.extend(word.chars().rev().collect::<String>().bytes());
    }
}

fn moved(word: &str, said: &mut Vec<u8>) {
    said.extend(word.bytes().map(|byte| OTHERS.get(usize::from(byte)).copied().unwrap_or(byte)));
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
