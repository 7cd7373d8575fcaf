//! Ids of western Europe.

use super::digits::{Bare, digits, mod97, uniform, value, weigh};

/// A national insurance number of the United Kingdom: some letters never begin one.
pub(super) fn nino(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let Ok([a, b, digits @ .., suffix]) = <[u8; 9]>::try_from(bare.as_bytes()) else { return false };
    a.is_ascii_uppercase()
        && b.is_ascii_uppercase()
        && !b"DFIQUV".contains(&a)
        && !b"DFIOQUV".contains(&b)
        && !["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"].iter().any(|never| never.as_bytes() == [a, b])
        && digits.iter().all(u8::is_ascii_digit)
        && (b'A'..=b'D').contains(&suffix)
}

/// A National Health Service number of England: modulo 11.
pub(super) fn nhs(text: &str) -> bool {
    let Some(digits) = digits::<10>(text) else { return false };
    !uniform(&digits) && weigh(&digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// A tax id of Germany: one digit occurs twice or three times, and the last one checks.
pub(super) fn tax_id(text: &str) -> bool {
    let Some(all) = digits::<11>(text) else { return false };
    let [body @ .., last] = all;
    let count = |digit: u8| body.iter().filter(|known| **known == digit).count();
    let repeated = (0..10).filter(|digit| count(*digit) > 1).count();
    let often = (0..10).map(count).max().unwrap_or_default();
    let product = body.iter().fold(10, |product, digit| match (u32::from(*digit) + product) % 10 {
        0 => 20 % 11,
        sum => sum * 2 % 11,
    });
    !matches!(all, [0, ..]) && repeated == 1 && often <= 3 && (11 - product) % 10 == u32::from(last)
}

/// The number on an identity card of Germany, with its check digit.
pub(super) fn id_card(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let Ok([body @ .., last]) = <[u8; 10]>::try_from(bare.as_bytes()) else { return false };
    let plausible = |byte: &u8| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte);
    let sum: u32 = body.iter().zip([7, 3, 1].into_iter().cycle()).map(|(b, w)| value(*b).unwrap_or(0) * w).sum();
    matches!(body, [b'C' | b'F'..=b'H' | b'J'..=b'N' | b'P' | b'R' | b'T' | b'V'..=b'Y', ..])
        && body.iter().all(plausible)
        && body.iter().any(u8::is_ascii_digit)
        && last.is_ascii_digit()
        && sum % 10 == u32::from(last - b'0')
}

/// A social security number of France: sex, year, month, place, and a key modulo 97.
pub(super) fn nir(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let Ok(mut all) = <[u8; 15]>::try_from(bare.as_bytes()) else { return false };
    // Corsica's places have a letter, which stands for a number in the sum.
    let [_, _, _, _, _, two, letter, ..] = &mut all;
    match (*two, *letter) {
        (b'2', b'A') => (*two, *letter) = (b'1', b'9'),
        (b'2', b'B') => (*two, *letter) = (b'1', b'8'),
        _ => {}
    }
    if !all.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let [sex, _, _, m1, m2, body @ .., k1, k2] = all;
    let pair = |a: u8, b: u8| u32::from(a - b'0') * 10 + u32::from(b - b'0');
    let Some(rest) = mod97(all.iter().take(13).copied()) else { return false };
    matches!(sex, b'1'..=b'4' | b'7' | b'8')
        && matches!(pair(m1, m2), 1..=12 | 20..=42 | 50..=99)
        && body.iter().any(|digit| *digit != b'0')
        && pair(k1, k2) == 97 - rest
}

/// What a character of an Italian fiscal code counts at an odd place, digits and letters in order.
const ODD: [u32; 26] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/// A fiscal code of Italy: name, birthday, place, and a letter that checks.
pub(super) fn fiscal_code(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let Ok(all) = <[u8; 16]>::try_from(bare.as_bytes()) else { return false };
    // Where two persons would have the same code, letters stand for digits.
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        _ => b"LMNPQRSTUV".iter().position(|letter| *letter == byte).map(|place| place as u32),
    };
    let [name @ .., y1, y2, month, d1, d2, place, p1, p2, p3, last] = all;
    let dated = match (digit(y1), digit(y2), digit(d1), digit(d2)) {
        (Some(_), Some(_), Some(d1), Some(d2)) => matches!(d1 * 10 + d2, 1..=31 | 41..=71),
        _ => false,
    };
    let mut sum = 0;
    for (index, byte) in all.iter().take(15).enumerate() {
        let Some(worth) = value(*byte) else { return false };
        let order = if worth < 10 { worth } else { worth - 10 };
        sum += if index % 2 == 0 { ODD.get(order as usize).copied().unwrap_or(0) } else { order };
    }
    name.iter().chain([&place]).all(u8::is_ascii_uppercase)
        && dated
        && b"ABCDEHLMPRST".contains(&month)
        && [p1, p2, p3].into_iter().all(|byte| digit(byte).is_some())
        && last.is_ascii_uppercase()
        && u32::from(last - b'A') == sum % 26
}

/// An id of Spain, of citizens or of foreigners: a letter that checks, modulo 23.
pub(super) fn dni(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let Ok([first, middle @ .., last]) = <[u8; 9]>::try_from(bare.as_bytes()) else { return false };
    let first = match first {
        b'0'..=b'9' => u32::from(first - b'0'),
        b'X'..=b'Z' => u32::from(first - b'X'),
        _ => return false,
    };
    if !middle.iter().all(u8::is_ascii_digit) || uniform(&middle) {
        return false;
    }
    let number = middle.iter().fold(first, |number, byte| number * 10 + u32::from(byte - b'0'));
    b"TRWAGMYFPDXBNJZSQVHLCKE".get(number as usize % 23) == Some(&last)
}

/// A citizen service number of the Netherlands: modulo 11.
pub(super) fn bsn(text: &str) -> bool {
    let Some(digits) = digits::<9>(text) else { return false };
    let [.., last] = digits;
    let sum = weigh(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    !uniform(&digits) && sum > 0 && sum % 11 == u32::from(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A check, how many digits it checks, and by how many.
    type Scheme = (fn(&str) -> bool, usize, usize);

    #[test]
    fn published_examples_hold() {
        assert!(nino("AB 12 34 56 C") && !nino("QQ123456C") && !nino("BG123456C") && !nino("AB123456E"));
        assert!(nhs("943 476 5919") && !nhs("943 476 5918"));
        assert!(tax_id("86 095 742 719") && tax_id("47036892816") && !tax_id("86095742718") && !tax_id("12345678901"));
        assert!(id_card("T220001293") && id_card("L01X00T471") && !id_card("L01X00T472"));
        assert!(nir("2 55 08 14 168 025 38") && !nir("2 55 08 14 168 025 39") && !nir("2 55 13 14 168 025 38"));
        assert!(fiscal_code("RSSMRA85T10A562S") && fiscal_code("MRTMTT25D09F205Z") && !fiscal_code("RSSMRA85T10A562T"));
        assert!(dni("12345678Z") && dni("X1234567L") && dni("X-1234567-L") && !dni("12345678A"));
        assert!(bsn("111222333") && !bsn("111222334") && !bsn("000000000"));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_seen(body in "[1-9][0-9]{12}", at in any::<prop::sample::Index>(), by in 1u8..10) {
            let schemes: &[Scheme] = &[(nhs, 9, 1), (bsn, 8, 1), (nir, 13, 2)];
            for &(check, length, checks) in schemes {
                let complete = (0..10u32.pow(checks as u32)).map(|c| format!("{}{c:0checks$}", body.get(..length).unwrap()));
                let Some(whole) = complete.into_iter().find(|whole| check(whole)) else { continue };
                let mut whole = whole.into_bytes();
                let place = at.index(whole.len());
                whole[place] = (whole[place] - b'0' + by) % 10 + b'0';
                prop_assert!(!check(std::str::from_utf8(&whole).unwrap()));
            }
        }

        #[test]
        fn nothing_breaks_them(text in "\\PC{0,30}|[0-9A-Z .-]{0,24}") {
            for check in [nino, nhs, tax_id, id_card, nir, fiscal_code, dni, bsn] {
                let _ = check(&text);
            }
        }
    }
}
