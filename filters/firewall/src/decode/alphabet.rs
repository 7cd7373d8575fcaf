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
    /// What each symbol stands for, and 0 for what is none.
    values: [u8; 256],
    /// Of each symbol, a bit for each place in a group at which it can stand where all bytes are ASCII.
    places: [u8; 256],
    /// The same of four places in a row, a whole byte for each; where groups are larger, of the first ones.
    keep: [u32; 256],
}

/// As many symbols in a row are looked at for where groups begin, if those are not larger.
const FOUR: usize = 4;

/// As many symbols are looked at together.
const PART: usize = 8;

/// As many groups are.
const GROUPS: usize = u64::BITS as usize;

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
        let (mut values, mut places, mut keep) = ([0; 256], [0; 256], [0; 256]);
        let (mut rows, mut first) = (rows, first);
        while let (Some((row, more)), Some((value, next))) = (rows.split_first(), first.split_first()) {
            let (mut row, mut value) = (*row, *value);
            while let Some((byte, rest)) = row.split_first() {
                set(&mut values, *byte, value);
                let at = places_of(value, high);
                set(&mut places, *byte, at);
                set(&mut keep, *byte, spread(if high.len() == FOUR / 2 { at | at << 2 } else { at }));
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
        // At some place each of them can stand.
        self.places[usize::from(byte)] != 0
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
        let may_be = self.may_be_text(symbols, None);
        (0..self.group).find(|start| may_be && self.is_text(symbols, *start))
    }

    /// Whether enough symbols in a row can be ASCII, wherever a group begins but at one of the first symbols: reads
    /// each symbol once, if any. Of large groups nobody knows.
    pub(super) fn may_be_text(&self, symbols: &[u8], but: Option<usize>) -> bool {
        const EACH: u32 = 0x0101_0101;
        if self.group > FOUR {
            return true;
        }
        let keep = |symbol: &u8| self.keep.get(usize::from(*symbol)).copied().unwrap_or_default();
        // A byte for each place in its group at which the symbol before the first one may stand.
        let start = but.map_or(u32::MAX, |start| {
            let each = if self.group == FOUR { 0xFF } else { 0x00FF_00FF };
            !u32::rotate_left(each, 8 * (FOUR - 1 - start % FOUR) as u32)
        });
        let least = self.streak * self.group;
        // One of the parts is in every streak, and begins where four symbols do.
        let step = (least - PART) / FOUR * FOUR;
        let clear = |part: &[u8]| part.iter().fold(start, |clear, symbol| clear.rotate_left(8) & keep(symbol)) != 0;
        if !(0..symbols.len()).step_by(step).any(|at| symbols.get(at..at + PART).is_some_and(clear)) {
            return false;
        }
        // How many have been clear up to here.
        let enough = EACH.wrapping_mul(0x80u32.saturating_sub(least as u32));
        let (mut counts, mut open) = (0u32, start);
        symbols.iter().any(|symbol| {
            open = open.rotate_left(8);
            counts = counts.rotate_left(8).wrapping_add(EACH) & keep(symbol) & open;
            counts.wrapping_add(enough) & EACH << 7 != 0
        })
    }

    /// Whether symbols [may be text](Self::may_be_text) when they are read from behind, and with others instead of them, as far as
    /// parts of them show. Of an alphabet with groups of four.
    pub(super) fn may_be_text_read(&self, symbols: &[u8], others: &[u8; 256]) -> [bool; 2] {
        let keep = |symbol: u8| self.keep.get(usize::from(symbol)).copied().unwrap_or_default();
        let other = |symbol: u8| others.get(usize::from(symbol)).copied().unwrap_or_default();
        let [mut behind, mut moved] = [false; 2];
        let step = (self.streak * self.group - PART) / FOUR * FOUR;
        for part in (0..symbols.len()).step_by(step).filter_map(|at| symbols.get(at..at + PART)) {
            let start = (u32::MAX, u32::MAX);
            let clear = part.iter().fold(start, |(back, on), symbol| {
                (back.rotate_right(8) & keep(*symbol), on.rotate_left(8) & keep(other(*symbol)))
            });
            behind |= clear.0 != 0;
            moved |= clear.1 != 0;
        }
        [behind, moved]
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

    /// Calls `found` for each of them until it wants no more. What may be ASCII is told of many groups at once: of what is drawn
    /// it is one in two, which nobody can guess.
    fn each_streak(&self, symbols: &[u8], start: usize, found: &mut dyn FnMut(Range<usize>) -> bool) {
        let rest = symbols.get(start..).unwrap_or_default();
        let count = rest.len() / self.group;
        // How many groups up to the next ones are in a row.
        let mut open = 0;
        for first in (0..count).step_by(GROUPS) {
            let all = (count - first).min(GROUPS);
            let part = rest.get(first * self.group..).unwrap_or_default();
            let ascii = match self.group {
                2 => self.in_groups::<2>(part),
                4 => self.in_groups::<4>(part),
                _ => self.in_groups::<8>(part),
            };
            let within = u64::MAX >> (GROUPS - all);
            let mut ends = !ascii & within;
            if open + (ascii.trailing_ones() as usize) < self.streak && !has_row(ascii & within, self.streak) {
                // None ends here, and most that is drawn has none.
                let last = (ascii << (GROUPS - all)).leading_ones() as usize;
                open = if ends == 0 { open + all } else { last };
                continue;
            }
            let mut begin = (first as isize) - open as isize;
            while ends != 0 {
                let end = first + ends.trailing_zeros() as usize;
                ends &= ends - 1;
                let size = end as isize - begin;
                if size >= self.streak as isize {
                    let from = start + begin.unsigned_abs() * self.group;
                    if !found(from..start + (end + 1) * self.group) {
                        return;
                    }
                }
                begin = end as isize + 1;
            }
            open = ((first + all) as isize - begin).unsigned_abs();
        }
        if open >= self.streak {
            found(start + (count - open) * self.group..symbols.len());
        }
    }

    /// Which of the first groups can be ASCII, a bit each.
    fn in_groups<const GROUP: usize>(&self, symbols: &[u8]) -> u64 {
        let clear = |symbol: &u8, place: u32| self.places.get(usize::from(*symbol)).map_or(0, |at| at >> place & 1);
        let groups = symbols.as_chunks::<GROUP>().0.iter().take(GROUPS);
        groups.zip(0..).fold(0, |all, (group, bit)| {
            let ascii = group.iter().zip(0..).fold(1, |ascii, (symbol, place)| ascii & clear(symbol, place));
            all | u64::from(ascii) << bit
        })
    }
}

/// Whether so many bits in a row are set.
fn has_row(bits: u64, least: usize) -> bool {
    let (mut here, mut known) = (bits, 1);
    while known < least {
        let more = known.min(least - known);
        here &= here >> more;
        known += more;
    }
    here != 0
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]
        /// The look before finds what the looks at each place find.
        #[test]
        fn no_text_is_overlooked(text in prop_oneof![crate::decode::tests::texts(), streaks()]) {
            for alphabet in [&BASE64, &BASE32, &HEX] {
                for run in text.as_bytes().split(|byte| !alphabet.has(*byte)) {
                    let slow = (0..alphabet.group).find(|start| alphabet.is_text(run, *start));
                    prop_assert_eq!(alphabet.first_text(run), slow);
                    for but in 0..alphabet.group {
                        let slow = (0..alphabet.group).any(|start| start != but && alphabet.is_text(run, start));
                        let fast = alphabet.may_be_text(run, Some(but));
                        prop_assert!(fast || !slow, "all but {} of {}", but, alphabet.name);
                    }
                }
            }
        }
    }

    /// Streaks, group by group.
    fn one_by_one(alphabet: &Alphabet, symbols: &[u8], start: usize) -> Vec<Range<usize>> {
        let group = alphabet.group;
        let mut streaks = Vec::new();
        let (mut at, mut begin) = (start, start);
        for symbols in symbols.get(start..).unwrap_or_default().chunks_exact(group) {
            let ascii = symbols
                .iter()
                .enumerate()
                .all(|(place, symbol)| alphabet.places[usize::from(*symbol)] >> place & 1 != 0);
            if !ascii {
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
        fn streaks_are_told_of_many_groups_at_once(
            parts in proptest::collection::vec(("[0-7A-P]{0,140}", "[0-9a-zA-Z]{0,140}", "[f_/]{0,4}"), 0..9), start in 0usize..9,
        ) {
            let text: String = parts.iter().map(|(low, any, high)| format!("{low}{any}{high}")).collect();
            for alphabet in [&BASE64, &BASE32, &HEX] {
                prop_assert_eq!(alphabet.streaks(text.as_bytes(), start), one_by_one(alphabet, text.as_bytes(), start));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]
        /// Nor is one that is read in another way.
        #[test]
        fn no_text_is_overlooked_that_is_read(text in prop_oneof![crate::decode::tests::texts(), streaks()], key: u8) {
            let others: [u8; 256] = std::array::from_fn(|byte| byte as u8 ^ (key & 3));
            for (way, text) in [(0, text.chars().rev().collect::<String>()), (1, text)] {
                let unread: Vec<u8> = text.bytes().map(|byte| if way == 1 { others[usize::from(byte)] } else { byte }).collect();
                for unread in unread.split(|byte| !BASE64.has(*byte)) {
                    let read: Vec<u8> = match way {
                        0 => unread.iter().rev().copied().collect(),
                        _ => unread.iter().map(|byte| others[usize::from(*byte)]).collect(),
                    };
                    let may_be = BASE64.may_be_text_read(unread, &others)[way];
                    prop_assert!(may_be || BASE64.first_text(&read).is_none());
                    // Nor behind what its symbols may begin with.
                    prop_assert!(may_be || BASE64.first_text(read.get(2..).unwrap_or_default()).is_none());
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
