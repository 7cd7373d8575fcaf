//! Characters written as numbers: arrays of codes, calls of `chr`, spaced hex and binary, dumps.

mod glance;
mod number;
mod rows;

use std::ops::Range;

use memchr::memchr;

use super::{Budget, From, Piece, Sink, dump, says};
use crate::planes::Planes;
use crate::scan::Exhausted;
use glance::Glance;
use number::{binary, decimal, hexadecimal, is_call, octal};
use rows::{LINE, rows};
use says::Said;

/// As many characters as are worth it.
const LEAST: usize = 12;

/// As much of the first row is read on its own.
const FIRST: usize = 4 << 10;

/// Reads one number, as one or more bytes.
type Read = fn(&[u8], &mut Vec<u8>) -> bool;

/// The ways in which numbers are written, and the longest number of each.
const WAYS: [(&str, usize, Read); 4] =
    [("hex", 18, hexadecimal), ("char-codes", 3, decimal), ("octal", 6, octal), ("binary", 10, binary)];

/// Numbers in a row that are all read in one way.
#[derive(Default)]
struct Series {
    made: Vec<u8>,
    start: usize,
    end: usize,
    /// Where the last two numbers begin in what was made.
    last: [usize; 2],
    breaks: Vec<Break>,
}

/// Where one row may end or another begin: what stands between the numbers changes.
struct Break {
    at: usize,
    /// The number before it, where that may as well be the first of the row that begins as the last of the one before.
    sooner: Option<usize>,
    begins: bool,
    /// An empty line is there.
    blank: bool,
}

/// What stands before each of the last numbers.
#[derive(Default)]
struct Gaps<'t>([&'t [u8]; 3]);

/// What the gap before a number says about rows, and whether each has an empty line.
#[derive(Clone, Copy, Default)]
struct Rows {
    /// That one began two numbers before.
    began: Option<bool>,
    /// That one has ended.
    ended: Option<bool>,
}

impl<'t> Gaps<'t> {
    /// Goes on.
    fn next(&mut self, gap: &'t [u8]) -> Rows {
        let Self([_, before, last]) = *self;
        *self = Self([before, last, gap]);
        let blank = |gap: &[u8]| gap.iter().filter(|byte| **byte == b'\n').count() > 1;
        Rows {
            began: (before != last && last == gap).then(|| blank(before)),
            ended: (before == last && last != gap).then(|| blank(gap)),
        }
    }
}

/// Decodes every row of numbers that says something.
pub(super) fn each(text: &str, planes: &Planes, budget: &Budget, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    let bytes = text.as_bytes();
    let mut tried = Tried::default();
    let mut glance = Glance::default();
    rows(bytes, planes, &mut |run| {
        let mut from = run.start;
        // What stands after a dump is read like what stands before it.
        loop {
            let dump = dumped(bytes, &(from..run.end), &mut tried, budget, sink)?;
            let (stop, end) = dump.unwrap_or((run.end, run.end));
            if glance.may_say(bytes, planes, from..stop) {
                numbers(bytes, from..stop, budget, sink)?;
            }
            from = end;
            if from >= run.end {
                return Ok(end);
            }
        }
    })
}

/// Decodes every row of numbers in a part of a text.
// Hardly ever called: kept out of the loop that passes over texts.
#[inline(never)]
fn numbers(bytes: &[u8], part: Range<usize>, budget: &Budget, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    let mut series: [Series; WAYS.len()] = Default::default();
    let mut gaps = Gaps::default();
    let (mut at, mut last) = (part.start, part.start);
    while at < part.end {
        let rest = bytes.get(at..part.end).unwrap_or_default();
        let size = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if size == 0 {
            at += 1;
            continue;
        }
        let number = rest.get(..size).unwrap_or_default();
        if !is_call(number) {
            let rows = gaps.next(bytes.get(last..at).unwrap_or_default());
            last = at + size;
            for ((name, longest, read), series) in WAYS.iter().zip(&mut series) {
                let known = series.made.len();
                if size <= *longest && read(number, &mut series.made) {
                    series.takes(known, at..at + size, rows);
                } else {
                    series.give(name, budget, sink)?;
                }
            }
        }
        at += size;
    }
    for ((name, ..), series) in WAYS.iter().zip(&mut series) {
        series.give(name, budget, sink)?;
    }
    Ok(())
}

/// A dump that says nothing, and from how many of its lines on that has been seen.
#[derive(Default)]
struct Tried {
    end: usize,
    times: usize,
}

/// Other numbers may stand before a dump like lines of it, but not many.
const TRIES: usize = 4;

/// Decodes the first dump in a run, whatever numbers stand before it. Returns where it begins and where it ends; where
/// it ends twice, if it says nothing.
fn dumped(
    bytes: &[u8],
    run: &Range<usize>,
    tried: &mut Tried,
    budget: &Budget,
    sink: &mut Sink<'_>,
) -> Result<Option<(usize, usize)>, Exhausted> {
    let mut line = run.start;
    while line < run.end {
        let indent = bytes.get(line..run.end).unwrap_or_default().iter().take(LINE);
        // Far from the beginning of the line nothing is a dump, and looking there for each line takes too long.
        if indent.into_iter().any(u8::is_ascii_alphanumeric)
            && let Some((made, place)) = dump::read(bytes, line)
        {
            if let Some(Said { text, name, .. }) = says::says(&made, "hexdump", budget)? {
                sink(Piece { text: &text, from: From::Run(place.start, place.end), name })?;
                return Ok(Some((line, place.end)));
            }
            let times = if tried.end == place.end { tried.times + 1 } else { 1 };
            *tried = Tried { end: place.end, times };
            if times >= TRIES && place.end > run.end {
                // From each of its lines on it would be read to its end.
                return Ok(Some((place.end, place.end)));
            }
            line = place.end.max(line + 1);
        }
        let rest = bytes.get(line..run.end).unwrap_or_default();
        let Some(next) = memchr(b'\n', rest) else { break };
        line += next + 1;
    }
    Ok(None)
}

impl Series {
    /// Takes in the number that has just been read into what was `known`.
    fn takes(&mut self, known: usize, number: Range<usize>, rows: Rows) {
        if known == 0 {
            self.start = number.start;
        }
        self.end = number.end;
        let [before, last] = self.last;
        self.last = [last, known];
        for (at, row, begins) in [(before, rows.began, true), (known, rows.ended, false)] {
            let Some(blank) = row else { continue };
            match self.breaks.last_mut() {
                Some(last) if last.at >= at => {
                    last.begins |= begins;
                    if last.at > at {
                        last.sooner = Some(at);
                        last.blank |= blank;
                    }
                }
                _ if at > 0 => self.breaks.push(Break { at, sooner: None, begins, blank }),
                _ => {}
            }
        }
    }

    /// Gives what the numbers say, and begins anew.
    #[inline]
    fn give(&mut self, name: &'static str, budget: &Budget, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
        if self.made.is_empty() {
            return Ok(());
        }
        let given = if self.made.len() < LEAST { Ok(()) } else { self.say(name, budget, sink) };
        self.made.clear();
        self.breaks.clear();
        self.last = [0; 2];
        given
    }

    fn say(&self, name: &'static str, budget: &Budget, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
        let Self { made, start, end, breaks, .. } = self;
        // Numbers that are not characters are numbers; hex and binary are also what bytes are written in.
        let (text, name) = if matches!(name, "hex" | "binary") {
            let Some(Said { text, name, .. }) = says::says(made, name, budget)? else { return Ok(()) };
            (text, name)
        } else {
            let Some(text) = says::text(made) else { return Ok(()) };
            (text, name)
        };
        let from = From::Run(*start, *end);
        sink(Piece { text: &text, from, name })?;
        match row_by_row(made, breaks) {
            Some(text) => sink(Piece { text: &text, from, name }),
            None => Ok(()),
        }
    }
}

/// The same, where other numbers stand right before a row or after it: without what is before the first one, row by
/// row, and paragraph by paragraph.
fn row_by_row(made: &[u8], breaks: &[Break]) -> Option<String> {
    let texts = |bytes: &[u8]| says::text(bytes).or_else(|| says::stretches(bytes));
    match breaks {
        [] => return None,
        // In a list, nothing stands before the first number; so little alone says nothing.
        [Break { at, begins: false, .. }] if *at < LEAST => {
            return texts(made.get(*at..made.len().min(at + FIRST)).unwrap_or_default());
        }
        _ => {}
    }
    let mut bytes = Vec::new();
    let first = breaks.iter().find(|row| row.begins);
    for first in first.into_iter().flat_map(|row| [Some(row.at), row.sooner]).flatten() {
        bytes.extend_from_slice(made.get(first..made.len().min(first + FIRST)).unwrap_or_default());
        bytes.push(b'\n');
    }
    let blank = breaks.iter().filter(|row| row.blank).count();
    for (only_blank, count) in [(false, breaks.len()), (true, blank)] {
        if count == 0 || (only_blank && count == breaks.len()) {
            continue;
        }
        let mut begins = (0, None);
        let breaks = breaks.iter().filter(|row| row.blank || !only_blank).map(|row| (row.at, row.sooner));
        for ends in breaks.chain([(made.len(), None)]) {
            // With and without each number that may belong to either of two rows.
            for start in [Some(begins.0), begins.1].into_iter().flatten() {
                for end in [Some(ends.0), ends.1].into_iter().flatten() {
                    bytes.extend_from_slice(made.get(start..end).unwrap_or_default());
                    bytes.push(b'\n');
                }
            }
            begins = ends;
        }
    }
    texts(&bytes)
}

#[cfg(test)]
mod tests;
