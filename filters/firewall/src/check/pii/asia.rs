//! Ids of Asia and Australia.

use super::digits::{Bare, digits, is_day, is_short_day, number, uniform, verhoeff, weigh};

/// An Aadhaar number of India: Verhoeff's check, and never 0 or 1 in front.
pub(super) fn aadhaar(text: &str) -> bool {
    let Some(all) = digits::<12>(text) else { return false };
    !matches!(all, [0 | 1, ..]) && !all.iter().eq(all.iter().rev()) && verhoeff(&all)
}

/// A permanent account number of India: the fourth letter says whose it is.
pub(super) fn pan(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let Ok([a, b, c, holder, e, n @ .., last]) = <[u8; 10]>::try_from(bare.as_bytes()) else { return false };
    [a, b, c, holder, e, last].iter().all(u8::is_ascii_uppercase)
        && b"ABCFGHJLPT".contains(&holder)
        && n.iter().all(u8::is_ascii_digit)
        && n != *b"0000"
}

/// The provinces of China, by the first two digits of an id.
const PROVINCES: [u32; 34] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
    64, 65, 71, 81, 82,
];

/// A resident's id of China: the place, the birthday, and a check character modulo 11.
pub(super) fn resident_id(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let Ok(mut all) = <[u8; 18]>::try_from(bare.as_bytes()) else { return false };
    let [body @ .., last] = &mut all;
    for byte in body.iter_mut() {
        if !byte.is_ascii_digit() {
            return false;
        }
        *byte -= b'0';
    }
    let [p1, p2, _, _, _, _, y1, y2, y3, y4, m1, m2, d1, d2, ..] = *body;
    let year = number(&[y1, y2, y3, y4]);
    let sum = weigh(body, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    (1850..2100).contains(&year)
        && is_day(year, number(&[m1, m2]), number(&[d1, d2]))
        && PROVINCES.contains(&number(&[p1, p2]))
        && b"10X98765432".get(sum as usize % 11) == Some(last)
}

/// An individual number of Japan ("My Number").
pub(super) fn my_number(text: &str) -> bool {
    let Some(all) = digits::<12>(text) else { return false };
    let [.., last] = all;
    let rest = weigh(&all, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    !uniform(&all) && u32::from(last) == if rest <= 1 { 0 } else { 11 - rest }
}

/// A resident registration number of South Korea: the birthday, the sex, and a check digit that those given
/// out since October 2020 no longer have.
pub(super) fn rrn(text: &str) -> bool {
    let Some(all) = digits::<13>(text) else { return false };
    let [y1, y2, _, _, _, _, sex, .., last] = all;
    if !is_short_day(&all) || !(1..=8).contains(&sex) {
        return false;
    }
    let century = if matches!(sex, 3 | 4 | 7 | 8) { 2000 } else { 1900 };
    let rest = weigh(&all, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11;
    let offset = if sex >= 5 { 13 } else { 11 };
    century + number(&[y1, y2]) >= 2020 || (offset - rest) % 10 == u32::from(last)
}

/// An identity number of Singapore: a letter that checks, by the series.
pub(super) fn nric(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let Ok([series, middle @ .., last]) = <[u8; 9]>::try_from(bare.as_bytes()) else { return false };
    if !middle.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let (offset, letters) = match series {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    let sum = weigh(&middle.map(|byte| byte - b'0'), &[2, 7, 6, 5, 4, 3, 2]) + offset;
    letters.get(sum as usize % 11) == Some(&last)
}

/// An identity number of Indonesia: the place, the birthday, a serial number. Women's days count from 41.
pub(super) fn nik(text: &str) -> bool {
    let Some(all) = digits::<16>(text) else { return false };
    let [p1, p2, _, _, _, _, d1, d2, m1, m2, y1, y2, serial @ ..] = all;
    let day = number(&[d1, d2]);
    let day = if day > 40 { day - 40 } else { day };
    matches!(number(&[p1, p2]), 11..=21 | 31..=36 | 51..=53 | 61..=65 | 71..=76 | 81..=82 | 91..=97)
        && is_day(2000 + number(&[y1, y2]), number(&[m1, m2]), day)
        && number(&serial) != 0
}

/// A tax file number of Australia: modulo 11.
pub(super) fn tfn(text: &str) -> bool {
    let Some(all) = digits::<9>(text) else { return false };
    !uniform(&all) && weigh(&all, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

/// A Medicare number of Australia: the ninth digit checks, the tenth counts the cards.
pub(super) fn medicare(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let all = match bare.as_bytes() {
        [ten @ .., person] if ten.len() == 10 && (b'1'..=b'9').contains(person) => ten,
        ten => ten,
    };
    let Some(all) = std::str::from_utf8(all).ok().and_then(digits::<10>) else { return false };
    let [first, .., check, issue] = all;
    (2..=6).contains(&first) && issue != 0 && weigh(&all, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == u32::from(check)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A check, and how many digits it checks.
    type Scheme = (fn(&str) -> bool, usize);

    #[test]
    fn published_examples_hold() {
        assert!(aadhaar("2341 2341 2346") && !aadhaar("2341 2341 2347") && !aadhaar("1341 2341 2346"));
        assert!(pan("ABCPE1234F") && !pan("ABCXE1234F") && !pan("ABCPE0000F"));
        assert!(resident_id("11010519491231002X") && resident_id("440524188001010014"));
        assert!(!resident_id("110105194912310021") && !resident_id("11010519491331002X"));
        assert!(my_number("123456789018") && !my_number("123456789012"));
        assert!(rrn("900101-1234568") && !rrn("900101-1234567") && !rrn("901301-1234568") && rrn("210101-3123456"));
        assert!(nric("S1234567D") && nric("T1234567J") && nric("F1234567N") && nric("G1234567X"));
        assert!(!nric("S1234567E") && !nric("A1234567D"));
        assert!(nik("3171234567890123") ^ nik("3171015507900001"));
        assert!(tfn("123 456 782") && !tfn("123 456 783"));
        assert!(medicare("2123 45670 1") && medicare("2123 45670 1 1") && !medicare("2123 45671 1"));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_seen(body in "[2-9][0-9]{16}", at in any::<prop::sample::Index>(), by in 1u8..10) {
            let schemes: &[Scheme] = &[(aadhaar, 11), (my_number, 11), (tfn, 8)];
            for &(check, length) in schemes {
                let complete = (0..10).map(|check| format!("{}{check}", body.get(..length).unwrap()));
                let Some(whole) = complete.into_iter().find(|whole| check(whole)) else { continue };
                let mut whole = whole.into_bytes();
                let place = at.index(whole.len());
                whole[place] = (whole[place] - b'0' + by) % 10 + b'0';
                // Japan's sum gives 0 for two remainders.
                prop_assert!(!check(std::str::from_utf8(&whole).unwrap()) || whole.ends_with(b"0"));
            }
        }

        #[test]
        fn nothing_breaks_them(text in "\\PC{0,30}|[0-9A-Z .-]{0,24}") {
            for check in [aadhaar, pan, resident_id, my_number, rrn, nric, nik, tfn, medicare] {
                let _ = check(&text);
            }
        }
    }
}
