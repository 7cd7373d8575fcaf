//! Tokens written backwards, or with every letter moved by thirteen.
//!
//! Every word that looks like a token is read in both ways; all of them go through the rules together.

mod needed;

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

use wide::u8x16;

use super::{From, Piece, Set, Sink, radix};
use crate::keywords::{Keyword, Keywords};
use crate::scan::Exhausted;

/// The shortest and the longest word that is looked at: a token, and one that is encoded among others.
const WORDS: std::ops::RangeInclusive<usize> = 20..=8 << 10;

/// What stands between words: they are not lines of something that is cut into lines.
const APART: &str = "\n\n";

/// The marks of secrets, in small letters, which show once a disguised word is read.
pub(crate) struct Disguised {
    marks: Keywords,
    /// Of each, bytes that are in whatever it marks, if it is one that words often have that are not disguised.
    needed: Vec<u128>,
}

impl Disguised {
    /// Of these marks, each with the expressions of what it marks.
    pub(crate) fn new<'e>(marks: impl Iterator<Item = (Keyword, Vec<&'e str>)>) -> Self {
        let mut all = BTreeMap::<_, Vec<&str>>::new();
        for (mark, expressions) in marks {
            let small = Keyword { text: mark.text.to_ascii_lowercase(), any_case: false };
            all.entry(small).or_default().extend(expressions);
        }
        // Letters change, and so does what has them.
        let common = |mark: &Keyword| !mark.text.iter().any(u8::is_ascii_alphanumeric);
        let needed = |(mark, expressions): (&Keyword, &Vec<&str>)| match common(mark) {
            true => needed::by_all(expressions.iter().copied()),
            false => 0,
        };
        Self { needed: all.iter().map(needed).collect(), marks: Keywords::new(&all.into_keys().collect::<Vec<_>>()) }
    }

    /// Whether all that is needed beside a mark is among the bytes that there are.
    fn may_mark(&self, mark: u32, there: &LazyCell<u128, impl FnOnce() -> u128>) -> bool {
        self.needed.get(mark as usize).is_none_or(|needed| *needed == 0 || needed & !**there == 0)
    }
}

/// The words of a text, each read in both ways. Reused from text to text.
#[derive(Default)]
pub(crate) struct Words {
    /// Those read backwards, then the same with other letters.
    all: Vec<Word>,
    /// What they say, and the same in small letters.
    said: Vec<u8>,
    small: Vec<u8>,
}

/// A word that has been read in one way.
#[derive(Clone)]
struct Word {
    place: Range<usize>,
    /// Where it begins in what is said.
    begin: usize,
    /// Whether it has a mark, or may be encoded.
    counts: bool,
}

/// Reads every word that looks like a token in both ways, where that shows a mark or what may be encoded.
pub(super) fn each(
    text: &str,
    runs: &[Range<usize>],
    words: &mut Words,
    disguised: &Disguised,
    sink: &mut Sink<'_>,
) -> Result<(), Exhausted> {
    words.all.clear();
    words.said.clear();
    words.find(text, runs);
    if words.all.is_empty() {
        return Ok(());
    }
    let count = words.all.len();
    words.read(text, disguised);
    let (reversed, moved) = words.all.split_at_checked(count).unwrap_or_default();
    words.give(reversed, "reversed", sink)?;
    words.give(moved, "rot13", sink)
}

impl Words {
    /// Finds the words of a text with a long run of token characters in them.
    fn find(&mut self, text: &str, runs: &[Range<usize>]) {
        let bytes = text.as_bytes();
        let random = |run: &&Range<usize>| {
            let run = bytes.get(Range::clone(run)).unwrap_or_default();
            run.iter().any(u8::is_ascii_digit) && run.iter().any(u8::is_ascii_alphabetic)
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
                self.all.push(Word { place: start..end, begin: 0, counts: false });
            }
            floor = end;
        }
    }

    /// Reads them in both ways, and sees which count.
    fn read(&mut self, text: &str, disguised: &Disguised) {
        let Self { all, said, small } = self;
        let count = all.len();
        all.extend_from_within(..);
        for (number, word) in all.iter_mut().enumerate() {
            word.begin = said.len();
            let read = if number < count { reversed } else { moved };
            read(text.get(word.place.clone()).unwrap_or_default(), said);
            said.extend_from_slice(APART.as_bytes());
        }
        small.clone_from(said);
        small.make_ascii_lowercase();
        let mut last = 0;
        // Hardly any mark that is there needs other bytes.
        let there = LazyCell::new(|| there(said));
        let Ok(()) = disguised.marks.each(small, &mut |at, mark| {
            if !disguised.may_mark(mark, &there) {
                return Ok(());
            }
            if all.get(last).is_none_or(|word| at < word.begin || at >= word.begin + word.place.len()) {
                last = all.partition_point(|word| word.begin <= at).saturating_sub(1);
            }
            all.get_mut(last).into_iter().for_each(|word| word.counts = true);
            Ok::<_, Infallible>(())
        });
        for word in all.iter_mut().filter(|word| !word.counts) {
            word.counts = said.get(word.part()).is_some_and(radix::may_say);
        }
    }

    /// Gives those that count of words that were read in one way.
    fn give(&self, words: &[Word], name: &'static str, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
        if words.iter().all(|word| !word.counts) {
            return Ok(());
        }
        let mut made = String::new();
        let mut lines = Vec::new();
        for word in words.iter().filter(|word| word.counts) {
            lines.push((made.len(), word.place.clone()));
            made.push_str(
                self.said.get(word.part()).and_then(|said| std::str::from_utf8(said).ok()).unwrap_or_default(),
            );
            made.push_str(APART);
        }
        sink(Piece { text: &made, from: From::Words(&lines), name })
    }
}

impl Word {
    /// What it says, within all that is said: as much as there was.
    fn part(&self) -> Range<usize> {
        self.begin..self.begin + self.place.len()
    }
}

/// Which bytes of ASCII there are, a bit each.
fn there(bytes: &[u8]) -> u128 {
    let mut seen = [0; 128];
    for byte in bytes {
        seen.get_mut(usize::from(*byte)).into_iter().for_each(|slot| *slot = u8::MAX);
    }
    let parts = seen.as_chunks::<16>().0.iter().rev();
    parts.fold(0, |all, part| all << 16 | u128::from(u8x16::new(*part).to_bitmask()))
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
    said.extend(word.bytes().map(|byte| match byte {
        b'a'..=b'm' | b'A'..=b'M' => byte + 13,
        b'n'..=b'z' | b'N'..=b'Z' => byte - 13,
        _ => byte,
    }));
}

#[cfg(test)]
mod tests;
