//! A look at a row of numbers before it is read: most rows are tables, which say nothing in any way.

use std::ops::Range;

use super::super::says;
use super::LEAST;
use super::number::{binary, decimal, hexadecimal, is_call, octal};
use crate::planes::{BLOCK, Planes};

/// No shorter part of a row says anything: numbers of one digit, and one character between them.
const SHORTEST: usize = 2 * LEAST - 1;

/// What numbers in a row stand for, in each way. Reused from row to row.
#[derive(Default)]
pub(super) struct Glance {
    hex: Vec<u8>,
    decimal: Vec<u8>,
    octal: Vec<u8>,
    binary: Vec<u8>,
}

impl Glance {
    /// Whether the numbers in a part of a text may say something, in any way.
    pub(super) fn may_say(&mut self, bytes: &[u8], planes: &Planes, part: Range<usize>) -> bool {
        let mut at = part.start;
        // Whether no way reads the last number.
        let mut broken = true;
        for made in [&mut self.hex, &mut self.decimal, &mut self.octal, &mut self.binary] {
            made.clear();
        }
        while at < part.end {
            if broken {
                at = skip(bytes, planes, at);
            }
            let word = planes.ahead(at, |block| block.word);
            let Some(gap) = (word != 0).then(|| word.trailing_zeros() as usize) else {
                at += BLOCK;
                continue;
            };
            at += gap;
            let mut end = at + (word >> gap).trailing_ones() as usize;
            // A number ends at a `_`, however far the word goes on: that far nobody need look.
            let ends_here = bytes.get(at..end).is_some_and(|word| word.contains(&b'_'));
            if end - at + gap == BLOCK && !ends_here {
                end = planes.end(end, |block| block.word);
            }
            let word = bytes.get(at..end.min(part.end)).unwrap_or_default();
            // Numbers have no `_` in them.
            let size = word.iter().position(|byte| *byte == b'_').unwrap_or(word.len());
            let number = word.get(..size).unwrap_or_default();
            at += size.max(1);
            if size > 0 && !is_call(number) {
                let read = self.read(number);
                if self.ended(read) {
                    return true;
                }
                broken = read == [false; 4];
            }
        }
        self.ended([false; 4])
    }

    /// Reads a number in each way, and says which can. The sizes are those that any number has.
    fn read(&mut self, number: &[u8]) -> [bool; 4] {
        let size = number.len();
        [
            size <= 18 && hexadecimal(number, &mut self.hex),
            size <= 3 && decimal(number, &mut self.decimal),
            size <= 6 && octal(number, &mut self.octal),
            matches!(size, 7..=10) && binary(number, &mut self.binary),
        ]
    }

    /// Whether what was made in one of those ways that do not go on may say something.
    fn ended(&mut self, go_on: [bool; 4]) -> bool {
        let ways = [&mut self.hex, &mut self.decimal, &mut self.octal, &mut self.binary];
        ways.into_iter().zip(go_on).filter(|(_, goes_on)| !goes_on).any(|(made, _)| {
            let says = made.len() >= LEAST && says::may_say(made);
            made.clear();
            says
        })
    }
}

/// Goes on from where no number is known to the last place before which none can say anything: a digit that stands
/// alone and is no tab ends what is read in any way.
fn skip(bytes: &[u8], planes: &Planes, mut at: usize) -> usize {
    loop {
        let (digit, word) = (planes.ahead(at, |block| block.digit), planes.ahead(at, |block| block.word));
        let mut alone = digit & !(word << 1) & !(word >> 1) & !(u64::MAX << SHORTEST);
        let tab = |ahead: usize| bytes.get(at + ahead) == Some(&b'9');
        while alone != 0 && tab(alone.ilog2() as usize) {
            alone ^= 1 << alone.ilog2();
        }
        let Some(last) = alone.checked_ilog2() else { return at };
        at += last as usize + 1;
    }
}
