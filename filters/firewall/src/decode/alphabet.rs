//! The alphabets in which bytes are written as letters and digits.

use std::ops::Range;

/// One of them.
pub(super) struct Alphabet {
    pub(super) name: &'static str,
    /// Bits that a symbol stands for.
    bits: u32,
    /// Symbols that make whole bytes together.
    pub(super) group: usize,
    /// As many groups in a row that can be ASCII are no accident.
    streak: usize,
    /// What each symbol stands for.
    values: [u8; 256],
    /// Of each symbol, a bit for each place in a group at which it can stand where all bytes are ASCII.
    places: [u8; 256],
    /// The same of the first four places, a whole byte for each.
    keep: [u32; 256],
}

/// The symbols in a group of the alphabet that is met most.
const FOUR: usize = 4;

/// In the alphabet for mail and in the one for URLs.
pub(super) static BASE64: Alphabet = Alphabet::new(
    "base64",
    6,
    5,
    &[b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", b"-_"],
    &[0, 62],
    &[0x20, 0x08, 0x02, 0],
);

pub(super) static BASE32: Alphabet = Alphabet::new(
    "base32",
    5,
    3,
    &[b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"abcdefghijklmnopqrstuvwxyz"],
    &[0, 0],
    &[0x10, 0x02, 0, 0x08, 0x01, 0, 0x04, 0],
);

pub(super) static HEX: Alphabet = Alphabet::new("hex", 4, 12, &[b"0123456789abcdef", b"ABCDEF"], &[0, 10], &[0x08, 0]);

impl Alphabet {
    /// An alphabet of these symbols; `first` is what the first of each row stands for, `high` the bit of each
    /// symbol in a group that is the highest of a byte.
    const fn new(
        name: &'static str,
        bits: u32,
        streak: usize,
        rows: &[&[u8]],
        first: &[u8],
        high: &'static [u8],
    ) -> Self {
        let (mut values, mut places, mut keep) = ([u8::MAX; 256], [0; 256], [0; 256]);
        let (mut rows, mut first) = (rows, first);
        while let (Some((row, more)), Some((value, next))) = (rows.split_first(), first.split_first()) {
            let (mut row, mut value) = (*row, *value);
            while let Some((byte, rest)) = row.split_first() {
                set(&mut values, *byte, value);
                let at = places_of(value, high);
                set(&mut places, *byte, at);
                set(&mut keep, *byte, spread(at));
                row = rest;
                value += 1;
            }
            (rows, first) = (more, next);
        }
        Self { name, bits, group: high.len(), streak, values, places, keep }
    }

    /// Whether a byte is one of its symbols.
    #[cfg(test)]
    pub(super) fn has(&self, byte: u8) -> bool {
        self.value(byte).is_some()
    }

    fn value(&self, byte: u8) -> Option<u8> {
        self.values.get(usize::from(byte)).copied().filter(|value| *value != u8::MAX)
    }

    /// The bytes that symbols stand for. What is left over at the end is dropped.
    pub(super) fn unpack(&self, symbols: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(symbols.len() * self.bits as usize / 8 + 1);
        let (mut held, mut count) = (0u32, 0);
        for symbol in symbols {
            held = held << self.bits | u32::from(self.value(*symbol).unwrap_or_default());
            count += self.bits;
            if count >= 8 {
                count -= 8;
                bytes.push((held >> count) as u8);
            }
        }
        bytes
    }

    /// At which of the first symbols a group begins so that what follows holds what no accident is.
    pub(super) fn first_text(&self, symbols: &[u8]) -> Option<usize> {
        let may_be = self.group != FOUR || self.may_be_text(symbols);
        (0..self.group).find(|start| may_be && self.is_text(symbols, *start))
    }

    /// Whether enough symbols in a row can be ASCII, wherever a group of four begins: reads each symbol once.
    fn may_be_text(&self, symbols: &[u8]) -> bool {
        const EACH: u32 = 0x0101_0101;
        let enough = EACH.wrapping_mul(0x80u32.saturating_sub((self.streak * FOUR) as u32));
        // A byte for each place in its group at which the symbol may stand: how many have been clear up to here.
        let mut counts = 0u32;
        symbols.iter().any(|symbol| {
            let clear = self.keep.get(usize::from(*symbol)).copied().unwrap_or_default();
            counts = counts.rotate_left(8).wrapping_add(EACH) & clear;
            counts.wrapping_add(enough) & EACH << 7 != 0
        })
    }

    /// Whether something that begins at a symbol holds what no accident is.
    fn is_text(&self, symbols: &[u8], start: usize) -> bool {
        let mut any = false;
        self.each_streak(symbols, start, &mut |_| {
            any = true;
            false
        });
        any
    }

    /// Where groups in a row can be ASCII, if the first group begins at this symbol; each with what follows it, of
    /// which the beginning may be, too.
    pub(super) fn streaks(&self, symbols: &[u8], start: usize) -> Vec<Range<usize>> {
        let mut streaks = Vec::new();
        self.each_streak(symbols, start, &mut |streak| {
            streaks.push(streak);
            true
        });
        streaks
    }

    /// Calls `found` for each of them until it wants no more.
    fn each_streak(&self, symbols: &[u8], start: usize, found: &mut dyn FnMut(Range<usize>) -> bool) {
        let clear =
            |symbol: &u8, place: u8| self.places.get(usize::from(*symbol)).is_some_and(|at| at >> place & 1 == 1);
        let mut at = start;
        let mut begin = start;
        for group in symbols.get(start..).unwrap_or_default().chunks_exact(self.group) {
            let ascii = group.iter().zip(0..).all(|(symbol, place)| clear(symbol, place));
            if !ascii {
                if at - begin >= self.streak * self.group && !found(begin..at + self.group) {
                    return;
                }
                begin = at + self.group;
            }
            at += self.group;
        }
        if at - begin >= self.streak * self.group {
            found(begin..symbols.len());
        }
    }
}

const fn set<T: Copy>(table: &mut [T; 256], byte: u8, value: T) {
    if let Some((_, [slot, ..])) = table.split_at_mut_checked(byte as usize) {
        *slot = value;
    }
}

/// A whole byte for each of the lowest four bits.
const fn spread(bits: u8) -> u32 {
    let bits = bits as u32;
    ((bits & 1) | (bits & 2) << 7 | (bits & 4) << 14 | (bits & 8) << 21) * 0xFF
}

/// The places in a group at which a value leaves the highest bit of a byte clear.
const fn places_of(value: u8, high: &[u8]) -> u8 {
    let (mut places, mut bit) = (0, 1u8);
    let mut rest = high;
    while let Some((mask, more)) = rest.split_first() {
        if value & *mask == 0 {
            places |= bit;
        }
        bit = bit.wrapping_shl(1);
        rest = more;
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The look before finds what the looks at each place find.
        #[test]
        fn no_text_is_overlooked(text in crate::decode::tests::texts()) {
            for alphabet in [&BASE64, &BASE32, &HEX] {
                for run in text.as_bytes().split(|byte| alphabet.value(*byte).is_none()) {
                    let slow = (0..alphabet.group).find(|start| alphabet.is_text(run, *start));
                    prop_assert_eq!(alphabet.first_text(run), slow);
                }
            }
        }
    }

    #[test]
    fn reads_what_others_write() {
        let text = b"what others write, in letters and digits";
        for (alphabet, written) in [
            (&BASE64, data_encoding::BASE64_NOPAD.encode(text)),
            (&BASE64, data_encoding::BASE64URL_NOPAD.encode(text)),
            (&BASE32, data_encoding::BASE32_NOPAD.encode(text)),
            (&BASE32, data_encoding::BASE32_NOPAD.encode(text).to_lowercase()),
            (&HEX, data_encoding::HEXLOWER.encode(text)),
            (&HEX, data_encoding::HEXUPPER.encode(text)),
        ] {
            assert_eq!(alphabet.unpack(written.as_bytes()), text, "{written}");
            let streaks = alphabet.streaks(written.as_bytes(), 0);
            assert_eq!((streaks.len(), streaks.first()), (1, Some(&(0..written.len()))), "{written}");
            let high = written.bytes().map(|_| if alphabet.group == 2 { 'f' } else { '7' }).collect::<String>();
            let around = format!("{high}{written}{high}");
            assert!(alphabet.is_text(around.as_bytes(), high.len() % alphabet.group), "{around}");
            assert!(alphabet.first_text(around.as_bytes()).is_some(), "{around}");
            assert!(!alphabet.is_text(high.as_bytes(), 0), "{high}");
        }
    }
}
