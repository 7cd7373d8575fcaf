//! What travel documents say: the machine-readable zone, and numbers that only a word gives away.

use super::digits::{Bare, is_short_day, uniform, value};

/// A machine-readable zone: two lines of 44 or 36 characters, or three of 30 (ICAO 9303).
pub(super) fn mrz(text: &str) -> bool {
    let mut lines = [[].as_slice(); 4];
    for (line, place) in text.lines().map(str::trim_ascii).zip(&mut lines) {
        *place = line.as_bytes();
    }
    match lines.map(<[u8]>::len) {
        [44, 44, 0, 0] => lines.get(1).is_some_and(|line| passport(line)),
        [44, 0, 0, 0] => lines.first().is_some_and(|line| passport(line)),
        [36, 36, 0, 0] => lines.get(1).is_some_and(|line| small(line)),
        [30, 30, 30, 0] => match lines {
            [first, second, ..] => card(first, second),
        },
        _ => false,
    }
}

/// The second line of a passport.
fn passport(line: &[u8]) -> bool {
    let at = |from: usize, to: usize| line.get(from..to).unwrap_or_default();
    checked(at(0, 10))
        && dated(at(13, 20))
        && checked(at(21, 28))
        && composite(&[at(0, 10), at(13, 20), at(21, 43)], at(43, 44))
}

/// The second line of a document of two short lines.
fn small(line: &[u8]) -> bool {
    let at = |from: usize, to: usize| line.get(from..to).unwrap_or_default();
    checked(at(0, 10))
        && dated(at(13, 20))
        && checked(at(21, 28))
        && composite(&[at(0, 10), at(13, 20), at(21, 35)], at(35, 36))
}

/// The first two lines of a card.
fn card(first: &[u8], second: &[u8]) -> bool {
    let at = |from: usize, to: usize| second.get(from..to).unwrap_or_default();
    let document = first.get(5..30).unwrap_or_default();
    dated(at(0, 7)) && checked(at(8, 15)) && composite(&[document, at(0, 7), at(8, 15), at(18, 29)], at(29, 30))
}

/// Whether the last character checks those before it.
fn checked(field: &[u8]) -> bool {
    field.split_last().is_some_and(|(last, body)| composite(&[body], &[*last]))
}

/// A birthday and its check digit. Unknown days are filled up.
fn dated(field: &[u8]) -> bool {
    let digits: Vec<u8> = field.iter().map(|byte| byte.wrapping_sub(b'0')).collect();
    checked(field) && (field.contains(&b'<') || is_short_day(&digits))
}

/// Whether a check digit is that of these fields, one after the other.
fn composite(fields: &[&[u8]], check: &[u8]) -> bool {
    let characters = fields.iter().copied().flatten();
    let mut sum = 0;
    for (byte, weight) in characters.zip([7, 3, 1].into_iter().cycle()) {
        let worth = if *byte == b'<' { Some(0) } else { value(*byte) };
        let Some(worth) = worth else { return false };
        sum += worth * weight;
    }
    match check {
        [b'<'] => sum % 10 == 0,
        [digit] => digit.is_ascii_digit() && sum % 10 == u32::from(digit - b'0'),
        _ => false,
    }
}

/// A document's number that nothing checks: it has digits, and is not what people type to fill a field.
pub(super) fn document_number(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let digits = bare.as_bytes().iter().filter(|byte| byte.is_ascii_digit()).count();
    let counted = bare.as_bytes().windows(2).all(|pair| matches!(pair, [a, b] if a.wrapping_add(1) == *b));
    digits * 2 >= bare.as_bytes().len() && !uniform(bare.as_bytes()) && !counted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The specimens of ICAO 9303, of a country that does not exist.
    const PASSPORT: &str = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10";
    const CARD: &str = "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<";
    const SMALL: &str = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6";

    #[test]
    fn published_examples_hold() {
        for specimen in [PASSPORT, CARD, SMALL] {
            assert!(mrz(specimen), "{specimen}");
        }
        assert!(document_number("C01X00T47") && !document_number("123456789") && !document_number("000000000"));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_seen(at in any::<prop::sample::Index>(), by in 1u8..10, which in 0usize..3) {
            let specimen = [PASSPORT, CARD, SMALL][which];
            let digits: Vec<usize> =
                specimen.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).map(|(place, _)| place).collect();
            let mut wrong = specimen.as_bytes().to_vec();
            let place = digits[at.index(digits.len())];
            wrong[place] = (wrong[place] - b'0' + by) % 10 + b'0';
            prop_assert!(!mrz(std::str::from_utf8(&wrong).unwrap()));
        }

        #[test]
        fn nothing_breaks_them(text in "\\PC{0,100}|[0-9A-Z<\n]{0,100}") {
            let _ = (mrz(&text), document_number(&text));
        }
    }
}
