//! The bytes next to a trigger, in a text and in the cues that it stands in: eight before it and eight behind it, compared
//! at once.

use std::ops::Range;

use super::folded;

/// As many bytes on each side are compared.
const SIDE: usize = 8;
/// The lowest bit of each byte.
const ONES: u64 = u64::from_le_bytes([1; SIDE]);
/// The highest.
const HIGH: u64 = ONES << 7;

/// What stands next to a trigger in a cue, on both sides.
#[derive(Clone, Copy, Default)]
pub(super) struct Near {
    before: Side,
    after: Side,
}

/// The bytes on one side, the nearest one lowest, and which bits of them count.
#[derive(Clone, Copy, Default)]
struct Side {
    value: u64,
    mask: u64,
}

/// Which bytes of ASCII may stand right before a trigger in any of its cues, and right behind it, a bit each.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside {
    before: u128,
    after: u128,
}

/// What stands next to a trigger in a text, folded: on both sides the bytes, the nearest one lowest, and which of them are
/// as they will be read. Behind letters that are not ASCII, or more than one space, they are not.
pub(super) struct Nearest {
    before: (u64, u64),
    after: (u64, u64),
}

impl Near {
    /// Around the trigger that stands in a cue there.
    pub(super) fn of(cue: &[u8], trigger: &Range<usize>) -> Self {
        let before = cue.get(..trigger.start).unwrap_or_default().iter().rev();
        let after = cue.get(trigger.end..).unwrap_or_default().iter();
        Self { before: Side::of(before), after: Side::of(after) }
    }

    /// What both have.
    pub(super) fn common(self, other: Self) -> Self {
        Self { before: self.before.common(other.before), after: self.after.common(other.after) }
    }

    /// Whether a text may read so.
    #[inline]
    pub(super) fn may_be(&self, Nearest { before, after }: &Nearest) -> bool {
        let differs = |side: Side, (value, sure): (u64, u64)| (side.value ^ value) & side.mask & sure;
        differs(self.before, *before) | differs(self.after, *after) == 0
    }
}

impl Beside {
    /// Of the cues with these bytes beside it, as far as they have any. Where it is spaced, more space may stand there.
    pub(super) fn of(cues: impl Iterator<Item = (Option<u8>, Option<u8>)>, spaced: (bool, bool)) -> Self {
        let may_be = |wanted: Option<u8>, spaced: bool| {
            let may_be =
                |byte: &u8| wanted.is_none_or(|wanted| folded(byte) == wanted || spaced && folded(byte) == b' ');
            (0..128u8).filter(may_be).fold(0, |all, byte| all | 1u128 << byte)
        };
        cues.fold(Self::default(), |all, (before, after)| Self {
            before: all.before | may_be(before, spaced.0),
            after: all.after | may_be(after, spaced.1),
        })
    }

    /// Whether a text may have one of them around a trigger.
    #[inline]
    pub(super) fn may_be(&self, text: &[u8], trigger: &Range<usize>) -> bool {
        let may_be =
            |byte: Option<&u8>, all: u128| byte.is_none_or(|byte| !byte.is_ascii() || all >> (byte & 127) & 1 != 0);
        let before = text.get(..trigger.start).and_then(<[u8]>::last);
        may_be(text.get(trigger.end), self.after) && may_be(before, self.before)
    }
}

impl Side {
    /// Of the bytes of a cue, the nearest one first.
    fn of<'b>(bytes: impl Iterator<Item = &'b u8>) -> Self {
        bytes.take(SIDE).zip(0..).fold(Self::default(), |Self { value, mask }, (byte, place)| {
            let put = |byte: u8| u64::from(byte) << (8 * place);
            Self { value: value | put(*byte), mask: mask | put(u8::MAX) }
        })
    }

    fn common(self, other: Self) -> Self {
        let mask = self.mask & other.mask & !(self.value ^ other.value);
        Self { value: self.value & mask, mask }
    }
}

impl Nearest {
    /// Around a trigger of a text, which may itself begin or end with space.
    #[inline]
    pub(super) fn at(text: &[u8], trigger: Range<usize>, spaced: (bool, bool)) -> Self {
        let (before, after) = (text.get(..trigger.start), text.get(trigger.end..));
        let before = before.and_then(<[u8]>::last_chunk).map_or_else(|| last(before), |eight| *eight);
        let after = after.and_then(<[u8]>::first_chunk).map_or_else(|| first(after), |eight| *eight);
        let (before, after) = (fold(u64::from_be_bytes(before)), fold(u64::from_le_bytes(after)));
        Self { before: (before, sure(before, spaced.0)), after: (after, sure(after, spaced.1)) }
    }
}

/// The last bytes of a text that is shorter; what no cue has stands for those that there are not.
#[cold]
fn last(text: Option<&[u8]>) -> [u8; SIDE] {
    let mut eight = [0; SIDE];
    eight.iter_mut().rev().zip(text.unwrap_or_default().iter().rev()).for_each(|(slot, byte)| *slot = *byte);
    eight
}

/// The first bytes of a text that is shorter.
#[cold]
fn first(text: Option<&[u8]>) -> [u8; SIDE] {
    let mut eight = [0; SIDE];
    eight.iter_mut().zip(text.unwrap_or_default()).for_each(|(slot, byte)| *slot = *byte);
    eight
}

/// Eight bytes as [`super::folded`] folds each.
#[inline(always)]
fn fold(bytes: u64) -> u64 {
    let (high, low) = (bytes & HIGH, bytes & !HIGH);
    let from = |least: u8| low + ONES * u64::from(0x80 - least);
    let capital = from(b'A') & !from(b'Z' + 1) & HIGH;
    let is = |byte: u8| !((low ^ (ONES * u64::from(byte))) + !HIGH) & HIGH;
    let space = is(b'\n') | is(b'-') | is(b'\t') | is(b'\r');
    let all = |bit: u64| (bit >> 7) * 0xFF;
    (low | capital >> 2) & !all(space) | space >> 2 | all(high)
}

/// Which of folded bytes, the nearest one lowest, are as they will be read: those before the first that may be anything,
/// and before the second of two spaces, or the first, where the trigger has one there.
#[inline(always)]
fn sure(bytes: u64, spaced: bool) -> u64 {
    let any = bytes >> 7 & ONES;
    let others = ((bytes ^ (ONES * u64::from(b' '))) & !HIGH) + !HIGH;
    let spaces = !others >> 7 & ONES;
    let doubt = any | (spaces & (spaces << 8 | u64::from(spaced)));
    (doubt & doubt.wrapping_neg()).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Piece, Read, SPACES, Triggers, read};
    use super::*;

    #[test]
    fn folds_as_the_table_does() {
        for byte in 0..=u8::MAX {
            let beside = [byte, b'Z', byte, 0xFF, 0, byte, b'-', byte];
            let wanted = beside.map(|byte| folded(&byte));
            assert_eq!(fold(u64::from_le_bytes(beside)).to_le_bytes(), wanted, "{byte}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// Nor does what stands right beside it say so.
        #[test]
        fn nothing_that_reads_so_is_told_by_one_byte(
            (cue_before, cue_after) in ("[ab é]{0,2}", "[ab é]{0,2}"),
            (before, after) in ("[aAbBé \n-]{0,4}", "[aAbBé \n-]{0,4}"),
            spaced: (bool, bool),
        ) {
            let trigger = before.len()..before.len() + 1;
            let text = format!("{before}T{after}");
            let bytes = format!("{cue_before}{cue_after}");
            let piece = Piece {
                cue: 0,
                before: 0..cue_before.len(),
                after: cue_before.len()..bytes.len(),
                near: Near::default(),
            };
            let beside = (cue_before.bytes().next_back(), cue_after.bytes().next());
            let other = (Some(b'x'), Some(b'y'));
            let triggers =
                Triggers { literals: Vec::new(), written: Vec::new(), pieces: Vec::new(), bytes: bytes.into_bytes() };
            let reads = triggers.read(&piece, spaced, text.as_bytes(), trigger.clone()) != Read::Other;
            prop_assert!(!reads || Beside::of([beside].into_iter(), spaced).may_be(text.as_bytes(), &trigger));
            prop_assert!(!reads || Beside::of([other, beside].into_iter(), spaced).may_be(text.as_bytes(), &trigger));
        }

        /// Whatever reads like what stands next to a trigger in a cue may be it by its nearest bytes.
        #[test]
        fn nothing_that_reads_so_is_left_out(
            (cue_before, cue_after) in ("([ab]{1,3} ){0,3}[abé]{0,4}", "[abé]{0,4}( [ab]{1,3}){0,3} ?"),
            (before, after) in ("([aAb]{0,3}[ \n-]{1,2}){0,3}[abBé]{0,4}", "[abBé]{0,4}([ \n-]{1,2}[aAb]{0,3}){0,3}"),
            same: bool,
            spaced: (bool, bool),
        ) {
            // The cue has one space where the text has any number, and none where the trigger has it.
            let is_space = |c: char| SPACES.contains(&(c as u8));
            let cue_before = if spaced.0 { cue_before.trim_end() } else { &cue_before };
            let cue_after = if spaced.1 { cue_after.trim_start() } else { &cue_after };
            let before = if same { cue_before.replace(' ', "\n ").to_uppercase() } else { before };
            let after = if same { cue_after.replace(' ', "- ").to_uppercase() } else { after };
            let cue = format!("{cue_before}T{cue_after}");
            let text = format!("{before}T{after}");
            let near = Near::of(cue.as_bytes(), &(cue_before.len()..cue_before.len() + 1));
            let nearest = Nearest::at(text.as_bytes(), before.len()..before.len() + 1, spaced);
            let seen_before = if spaced.0 { before.trim_end_matches(is_space) } else { &before };
            let seen_after = if spaced.1 { after.trim_start_matches(is_space) } else { &after };
            let reads = read(cue_before.bytes().collect::<Vec<_>>().iter().rev(), seen_before.as_bytes().iter().rev()) != Read::Other
                && read(cue_after.as_bytes().iter(), seen_after.as_bytes().iter()) != Read::Other;
            prop_assert!(!reads || near.may_be(&nearest), "{:?} in {:?}", cue, text);
            prop_assert!(!same || reads);
            // Common to more cues is less.
            let other = Near::of(b"abTba", &(2..3));
            prop_assert!(!reads || near.common(other).may_be(&nearest));
        }
    }
}
