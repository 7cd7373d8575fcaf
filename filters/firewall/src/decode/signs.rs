//! In which rows of pieces something may be encoded, over a border between pieces: of hardly any is more asked than this.

use std::ops::Range;

use fearless_simd::{Level, Simd, dispatch};

use super::alphabet::BASE64;
use super::radix::{LEAST, LINE, is_packed};
use crate::join::Wholes;
use crate::planes::Planes;

/// What may stand before so much is no symbol of it: `0x`.
const MARKED: usize = LEAST - 2;

/// As many characters has the shortest token that may be digits alone in hex.
const PRINTED: usize = 16;

/// Names a part of each row, at least, in which something is decoded that has letters, in any way in which some of its
/// pieces stand together.
pub(crate) fn each_sign(rows: &Wholes<'_>, planes: &Planes, found: &mut dyn FnMut(Range<usize>)) {
    dispatch!(Level::new(), simd => each_sign_with(simd, rows, planes, found));
}

#[inline(always)]
fn each_sign_with<S: Simd>(simd: S, rows: &Wholes<'_>, planes: &Planes, found: &mut dyn FnMut(Range<usize>)) {
    let bytes = rows.text.as_bytes();
    let take = |run: Range<usize>| {
        let borders = rows.within(&run);
        if !borders.is_empty() && (goes_on(bytes, planes, &run) || may_say(bytes, &run, borders)) {
            found(run);
        }
    };
    planes.each_run::<_, LINE>(simd, |block| block.symbol, take);
}

/// Whether more of the row may be read together with a run.
fn goes_on(bytes: &[u8], planes: &Planes, run: &Range<usize>) -> bool {
    match bytes.get(run.end..).unwrap_or_default() {
        // The end of the row.
        [b'\n', b'\n', ..] | [b' ' | b'\t', b'\n', b'\n', ..] => false,
        [b'\n' | b'\r' | b'\\', ..] | [b' ' | b'\t', b'\n', ..] => true,
        [b' ' | b'\t', ..] => planes.any(run.clone(), |block| block.digit),
        _ => false,
    }
}

/// Whether a run may say something, or a part of it between these borders.
fn may_say(bytes: &[u8], run: &Range<usize>, borders: &[usize]) -> bool {
    let Some(symbols) = bytes.get(run.clone()).filter(|symbols| symbols.len() >= LEAST) else { return false };
    let begins = |border: &usize| bytes.get(*border..run.end).is_some_and(is_packed);
    let [hex, upper, lower] = longest(symbols).map(|size| size >= MARKED);
    (hex && (symbols.iter().any(u8::is_ascii_alphabetic) || are_printed(symbols)))
        || upper
        || lower
        || BASE64.first_text(symbols).is_some()
        || is_packed(symbols)
        || borders.iter().any(begins)
}

/// Whether digits alone may be hex of a token: as many pairs in a row stand for what is printed.
fn are_printed(digits: &[u8]) -> bool {
    (0..2).any(|start| {
        let mut row = 0;
        digits.get(start..).unwrap_or_default().as_chunks().0.iter().any(|[high, low]| {
            let is_printed = matches!(high, b'2'..=b'7') && low.is_ascii_digit();
            row = if is_printed { row + 1 } else { 0 };
            row >= PRINTED
        })
    })
}

/// How many symbols in a row are of each [kind](HEX), at most.
fn longest(symbols: &[u8]) -> [usize; 3] {
    let (mut most, mut here) = ([0; 3], [0; 3]);
    for symbol in symbols {
        let kinds = KINDS.get(usize::from(*symbol)).copied().unwrap_or(0);
        for ((here, most), kind) in here.iter_mut().zip(&mut most).zip([HEX, UPPER, LOWER]) {
            *here = (*here + 1) * usize::from(kinds & kind != 0);
            *most = (*most).max(*here);
        }
    }
    most
}

/// What hex and base32 are written in, in letters of either case.
const HEX: u8 = 1;
const UPPER: u8 = 2;
const LOWER: u8 = 4;

static KINDS: [u8; 256] = {
    let mut table = [0; 256];
    let (mut rest, mut byte): (&mut [u8], u8) = (&mut table, 0);
    while let Some((kinds, more)) = rest.split_first_mut() {
        *kinds = match byte {
            b'2'..=b'7' => UPPER | LOWER,
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            _ => 0,
        };
        if byte.is_ascii_hexdigit() {
            *kinds |= HEX;
        }
        byte = byte.wrapping_add(1);
        rest = more;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::{Budget, each_run};
    use crate::join::APART;

    fn pieces() -> impl Strategy<Value = Vec<String>> {
        let written = (crate::decode::tests::texts(), 0u8..6, 1usize..30).prop_map(|(text, way, size)| {
            let text = text.chars().take(60).collect::<String>();
            let text = match way {
                0 => data_encoding::HEXLOWER.encode(text.as_bytes()),
                1 => data_encoding::BASE64_NOPAD.encode(text.as_bytes()),
                2 => data_encoding::BASE32_NOPAD.encode(text.as_bytes()),
                3 => "0x".to_owned() + &data_encoding::HEXUPPER.encode(text.as_bytes()),
                4 => "H4sIAAAA".to_owned() + &data_encoding::BASE64_NOPAD.encode(text.as_bytes()),
                _ => text,
            };
            let chars: Vec<char> = text.chars().collect();
            chars.chunks(size).map(|piece| piece.iter().collect()).collect::<Vec<String>>()
        });
        let around = || prop::collection::vec("[A-Za-z0-9]{0,9}|[a-z_]{0,9}|[0-9]{0,20}|[ -~\n]{0,3}", 0..3);
        (around(), written, around()).prop_map(|(before, row, after)| [before, row, after].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        /// Whichever pieces stand together.
        #[test]
        fn no_row_in_which_something_is_decoded_is_passed_over(row in pieces()) {
            let text = row.concat() + APART;
            let borders: Vec<usize> =
                row.iter().scan(0, |next, piece| Some(std::mem::replace(next, *next + piece.len()))).collect();
            let mut seen = false;
            each_sign(&Wholes { text: &text, borders: &borders, ends: &[] }, &Planes::of(&text), &mut |_| seen = true);
            let ways = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (1, 2)];
            for (first, last) in ways.into_iter().filter(|(first, last)| first + last + 2 <= row.len()) {
                let row = &row[first..row.len() - last];
                let way = row.concat() + APART;
                let begin = borders[first];
                let wanted = |run: &Range<usize>| {
                    (run.len() >= LEAST || !way[run.end..].starts_with(APART))
                        && (way[run.clone()].contains(|c: char| c.is_ascii_alphabetic())
                            || are_printed(way[run.clone()].as_bytes()))
                        && borders.iter().any(|at| run.start + begin < *at && *at < run.end + begin)
                };
                let mut any = false;
                let done = each_run(&way, &Planes::of(&way), &wanted, &Budget::of(way.len()), &mut |_| {
                    any = true;
                    Ok(())
                });
                prop_assert!(done.is_ok() && (seen || !any), "{:?} of {:?}", way, row);
            }
        }
    }
}
