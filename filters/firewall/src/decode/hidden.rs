//! Tokens written backwards, or with every letter moved by thirteen.
//!
//! Every word that looks like a token is read in both ways; all of them go through the rules together.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{From, Piece, Runs, Set, Sink, radix};
use crate::keywords::{Keyword, Keywords};
use crate::scan::Exhausted;

/// The shortest and the longest word that is looked at: a token, and one that is encoded among others.
const WORDS: std::ops::RangeInclusive<usize> = 20..=8 << 10;

/// What the marks of secrets look like that are written so.
pub(crate) struct Disguised {
    reversed: Keywords,
    moved: Keywords,
}

impl Disguised {
    /// Of these marks.
    pub(crate) fn new(marks: impl Iterator<Item = Keyword>) -> Self {
        let marks: BTreeSet<Keyword> = marks.collect();
        let made = |read: fn(&mut Vec<u8>)| {
            let disguise = |mark: &Keyword| {
                let mut mark = mark.clone();
                read(&mut mark.text);
                mark
            };
            Keywords::new(&marks.iter().map(disguise).collect::<Vec<_>>())
        };
        let moved = |text: &mut Vec<u8>| text.iter_mut().for_each(|byte| *byte = rot13(char::from(*byte)) as u8);
        Self { reversed: made(|text| text.reverse()), moved: made(moved) }
    }
}

/// Reads every word that looks like a token in both ways, where it has a mark that is written so, or may be encoded.
pub(super) fn each(text: &str, runs: &Runs, disguised: &Disguised, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    let words = words(text, runs);
    if words.is_empty() {
        return Ok(());
    }
    let mut give = |name, marks: &Keywords, read: fn(&str, &mut String)| {
        let mut made = String::new();
        let mut lines = Vec::new();
        for word in &words {
            let said = text.get(word.clone()).unwrap_or_default();
            let begin = made.len();
            read(said, &mut made);
            let marked = marks.each(said.as_bytes(), &mut |_, _| Err(())).is_err();
            if marked || radix::may_say(made.as_bytes().get(begin..).unwrap_or_default()) {
                lines.push((begin, word.clone()));
                // Words are not lines of something that is cut into lines.
                made.push_str("\n\n");
            } else {
                made.truncate(begin);
            }
        }
        if lines.is_empty() { Ok(()) } else { sink(Piece { text: &made, from: From::Words(&lines), name }) }
    };
    give("reversed", &disguised.reversed, |word, made| made.extend(word.chars().rev()))?;
    give("rot13", &disguised.moved, |word, made| made.extend(word.chars().map(rot13)))
}

/// The words of a text with a long run of token characters in them.
fn words(text: &str, runs: &Runs) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut floor = 0;
    for run in &runs.0 {
        if run.start < floor {
            continue;
        }
        let before = bytes.get(floor..run.start).unwrap_or_default();
        let after = bytes.get(run.end..).unwrap_or_default();
        let most = *WORDS.end();
        let start = run.start - before.iter().rev().take(most).take_while(|byte| !ENDS.has(**byte)).count();
        let end = run.end + after.iter().take(most).take_while(|byte| !ENDS.has(**byte)).count();
        let inner = bytes.get(run.clone()).unwrap_or_default();
        let random = inner.iter().any(u8::is_ascii_digit) && inner.iter().any(u8::is_ascii_alphabetic);
        if random && WORDS.contains(&(end - start)) && text.get(start..end).is_some() {
            words.push(start..end);
        }
        floor = end;
    }
    words
}

static ENDS: Set = Set::of(b" \t\r\n\"'`,;<>(){}[]|\\");

fn rot13(c: char) -> char {
    match c {
        'a'..='m' | 'A'..='M' => char::from(c as u8 + 13),
        'n'..='z' | 'N'..='Z' => char::from(c as u8 - 13),
        _ => c,
    }
}
