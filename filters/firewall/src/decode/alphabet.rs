//! The alphabets in which bytes are written as letters and digits.

mod groups;

use groups::{Groups, every, highest};

/// One of them.
pub(super) struct Alphabet {
    pub(super) name: &'static str,
    /// Bits that a symbol stands for.
    bits: u32,
    /// Symbols that make whole bytes together.
    pub(super) group: usize,
    /// As many groups in a row that can be ASCII are no accident.
    streak: usize,
    /// What each symbol stands for, and 0 for what is none.
    values: [u8; 256],
}

/// In the alphabet for mail and in the one for URLs.
pub(super) static BASE64: Alphabet = Alphabet::new(
    "base64",
    6,
    5,
    &[b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", b"-_"],
    &[0, 62],
);

pub(super) static BASE32: Alphabet =
    Alphabet::new("base32", 5, 3, &[b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"abcdefghijklmnopqrstuvwxyz"], &[0, 0]);

pub(super) static HEX: Alphabet = Alphabet::new("hex", 4, 12, &[b"0123456789abcdef", b"ABCDEF"], &[0, 10]);

impl Alphabet {
    /// An alphabet of these symbols; `first` is what the first of each row stands for.
    const fn new(name: &'static str, bits: u32, streak: usize, rows: &[&[u8]], first: &[u8]) -> Self {
        let mut values = [0; 256];
        let (mut rows, mut first) = (rows, first);
        while let (Some((row, more)), Some((value, next))) = (rows.split_first(), first.split_first()) {
            let (mut row, mut value) = (*row, *value);
            while let Some((byte, rest)) = row.split_first() {
                if let Some((_, [slot, ..])) = values.split_at_mut_checked(*byte as usize) {
                    *slot = value;
                }
                row = rest;
                value += 1;
            }
            (rows, first) = (more, next);
        }
        Self { name, bits, group: highest(bits).0, streak, values }
    }

    /// The bytes that symbols stand for. What is left over at the end is dropped.
    pub(super) fn unpack(&self, symbols: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(symbols.len() * self.bits as usize / 8 + 1);
        let of = |symbol: u8| u32::from(self.values.get(usize::from(symbol)).copied().unwrap_or(0));
        let rest = match self.bits {
            4 => {
                let (pairs, rest) = symbols.as_chunks::<2>();
                bytes.extend(pairs.iter().map(|[high, low]| (of(*high) << 4 | of(*low)) as u8));
                rest
            }
            6 => {
                let (fours, rest) = symbols.as_chunks::<4>();
                bytes.resize(fours.len() * 3, 0);
                for ([first, second, third], [a, b, c, d]) in bytes.as_chunks_mut::<3>().0.iter_mut().zip(fours) {
                    let all = of(*a) << 18 | of(*b) << 12 | of(*c) << 6 | of(*d);
                    (*first, *second, *third) = ((all >> 16) as u8, (all >> 8) as u8, all as u8);
                }
                rest
            }
            _ => {
                let (eights, rest) = symbols.as_chunks::<8>();
                bytes.resize(eights.len() * 5, 0);
                for (five, eight) in bytes.as_chunks_mut::<5>().0.iter_mut().zip(eights) {
                    let all = eight.iter().fold(0, |all, symbol| all << 5 | u64::from(of(*symbol)));
                    let [_, _, _, whole @ ..] = all.to_be_bytes();
                    *five = whole;
                }
                rest
            }
        };
        let (mut held, mut count) = (0u32, 0);
        for symbol in rest {
            held = held << self.bits | of(*symbol);
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
        let rows = self.rows(symbols);
        (0..self.group).find(|start| rows & every(self.group, *start) != 0)
    }

    /// Whether what no accident is may begin anywhere but where groups do of which the first one begins at this symbol.
    pub(super) fn is_elsewhere(&self, symbols: &[u8], but: Option<usize>) -> bool {
        self.rows(symbols) & !but.map_or(0, |start| every(self.group, start)) != 0
    }

    /// Where groups of symbols can be ASCII.
    pub(super) fn groups(&self, symbols: &[u8]) -> Groups {
        Groups::of(self, symbols)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;

    /// Streaks that are hardly long enough, between symbols that end them.
    fn streaks() -> impl Strategy<Value = String> {
        (proptest::collection::vec(("[0-9/+_]{0,17}", "[8-9a-f]{0,9}", "[ -~]{11,19}"), 1..4), any::<bool>()).prop_map(
            |(parts, hex)| {
                let write = |(high, odd, text): &(String, String, String)| match hex {
                    true => odd.clone() + &data_encoding::HEXLOWER.encode(text.as_bytes()),
                    false => high.clone() + &data_encoding::BASE64_NOPAD.encode(text.as_bytes()),
                };
                parts.iter().map(write).collect::<String>() + if hex { "ffff" } else { "/////" }
            },
        )
    }

    impl Alphabet {
        pub(in crate::decode) fn has(&self, byte: u8) -> bool {
            match self.bits {
                4 => byte.is_ascii_hexdigit(),
                6 => byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte),
                _ => byte.is_ascii_alphabetic() || (b'2'..=b'7').contains(&byte),
            }
        }

        /// Whether a group can be ASCII.
        pub(super) fn is_ascii(&self, group: &[u8]) -> bool {
            let clear = |symbol: &u8, high: u8| self.has(*symbol) && self.values[usize::from(*symbol)] & high == 0;
            group.iter().zip(highest(self.bits).1).all(|(symbol, high)| high == 0 || clear(symbol, high))
        }
    }

    /// Streaks, group by group.
    fn one_by_one(alphabet: &Alphabet, symbols: &[u8], start: usize) -> Vec<Range<usize>> {
        let group = alphabet.group;
        let mut streaks = Vec::new();
        let (mut at, mut begin) = (start, start);
        for symbols in symbols.get(start..).unwrap_or_default().chunks_exact(group) {
            if !alphabet.is_ascii(symbols) {
                if at - begin >= alphabet.streak * group {
                    streaks.push(begin..at + group);
                }
                begin = at + group;
            }
            at += group;
        }
        if at - begin >= alphabet.streak * group {
            streaks.push(begin..symbols.len());
        }
        streaks
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn no_text_is_overlooked(text in prop_oneof![crate::decode::tests::texts(), streaks()]) {
            for alphabet in [&BASE64, &BASE32, &HEX] {
                for run in text.as_bytes().split(|byte| !alphabet.has(*byte)) {
                    let is_text = |start: &usize| !one_by_one(alphabet, run, *start).is_empty();
                    prop_assert_eq!(alphabet.first_text(run), (0..alphabet.group).find(is_text));
                    for but in 0..alphabet.group {
                        let slow = (0..alphabet.group).filter(|start| *start != but).any(|start| is_text(&start));
                        prop_assert_eq!(alphabet.is_elsewhere(run, Some(but)), slow, "all but {} of {}", but, alphabet.name);
                    }
                }
            }
        }

        #[test]
        fn streaks_are_told_of_many_groups_at_once(
            parts in proptest::collection::vec(("[0-7A-P]{0,140}", "[0-9a-zA-Z]{0,140}", "[f_/]{0,4}"), 0..9), start in 0usize..9,
        ) {
            let text: String = parts.iter().map(|(low, any, high)| format!("{low}{any}{high}")).collect();
            for alphabet in [&BASE64, &BASE32, &HEX] {
                for run in text.as_bytes().split(|byte| !alphabet.has(*byte)) {
                    let streaks: Vec<_> = alphabet.groups(run).streaks(start).collect();
                    prop_assert_eq!(streaks, one_by_one(alphabet, run, start), "{} in {:?}", alphabet.name, text);
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
            let streaks = alphabet.groups(written.as_bytes()).streaks(0).collect::<Vec<_>>();
            assert_eq!((streaks.len(), streaks.first()), (1, Some(&(0..written.len()))), "{written}");
            let high = written.bytes().map(|_| if alphabet.group == 2 { 'f' } else { '7' }).collect::<String>();
            let around = format!("{high}{written}{high}");
            assert!(!one_by_one(alphabet, around.as_bytes(), high.len() % alphabet.group).is_empty(), "{around}");
            assert!(alphabet.first_text(around.as_bytes()).is_some(), "{around}");
            assert_eq!(alphabet.first_text(high.as_bytes()), None, "{high}");
        }
    }
}
