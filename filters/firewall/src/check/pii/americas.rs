//! Ids of the Americas: United States, Canada, Brazil, Mexico.

use super::digits::{Bare, digits, is_short_day, luhn, number, uniform, value, weigh};

/// Numbers that were printed as samples, and that the issuer has declared void.
const VOID_SSNS: &[[u8; 9]] = &[[0, 7, 8, 0, 5, 1, 1, 2, 0], [2, 1, 9, 0, 9, 9, 9, 9, 9]];

/// A Social Security number of the United States: no part is all zeros, and some areas were never given out.
pub(super) fn ssn(text: &str) -> bool {
    let Some(all) = digits::<9>(text) else { return false };
    let [a, b, c, group @ .., w, x, y, z] = all;
    let area = number(&[a, b, c]);
    !matches!(area, 0 | 666 | 900..)
        && number(&group) != 0
        && number(&[w, x, y, z]) != 0
        && !VOID_SSNS.contains(&all)
        && !uniform(&all)
}

/// An individual taxpayer number of the United States.
pub(super) fn itin(text: &str) -> bool {
    let Some([9, _, _, a, b, ..]) = digits::<9>(text) else { return false };
    matches!(number(&[a, b]), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// A Medicare beneficiary identifier of the United States: which of its places hold letters.
pub(super) fn mbi(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let letter = |byte: u8| byte.is_ascii_uppercase() && !b"SLOIBZ".contains(&byte);
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'C' => (b'1'..=b'9').contains(byte),
        b'A' => letter(*byte),
        b'N' => byte.is_ascii_digit(),
        _ => byte.is_ascii_digit() || letter(*byte),
    };
    bare.as_bytes().len() == 11 && bare.as_bytes().iter().zip(b"CA*NA*NAANN").all(fits)
}

/// A social insurance number of Canada.
pub(super) fn sin(text: &str) -> bool {
    let Some(digits) = digits::<9>(text) else { return false };
    !matches!(digits, [0 | 8, ..]) && luhn(&digits) && !uniform(&digits)
}

/// A person's tax number in Brazil: two check digits.
pub(super) fn cpf(text: &str) -> bool {
    let Some(digits) = digits::<11>(text) else { return false };
    let [.., first, second] = digits;
    let check = |weights: &[u32]| weigh(&digits, weights) * 10 % 11 % 10;
    !uniform(&digits)
        && check(&[10, 9, 8, 7, 6, 5, 4, 3, 2]) == u32::from(first)
        && check(&[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) == u32::from(second)
}

/// A company's tax number in Brazil: two check digits; since 2026 with letters.
pub(super) fn cnpj(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let Ok(mut all) = <[u8; 14]>::try_from(bare.as_bytes()) else { return false };
    for byte in &mut all {
        *byte -= b'0';
    }
    let [.., first, second] = all;
    let check = |weights: &[u32]| match weigh(&all, weights) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    !uniform(&all)
        && check(&[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == u32::from(first)
        && check(&[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == u32::from(second)
}

/// The states of Mexico in a CURP.
const MEXICAN_STATES: &str =
    "AS BC BS CC CS CH CL CM DF DG GT GR HG JC MC MN MS NT NL OC PL QT QR SP SL SR TC TS TL VZ YN ZS NE";

/// A person's key in Mexico: the birthday, the sex, the state, a check digit.
pub(super) fn curp(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let Ok(all) = <[u8; 18]>::try_from(bare.as_bytes()) else { return false };
    let [n @ .., _, last] = all;
    let [_, _, _, _, date @ .., sex, s1, s2, _, _, _] = n;
    let letters = all.iter().take(4).all(u8::is_ascii_uppercase);
    let date = date.map(|byte| byte.wrapping_sub(b'0'));
    let state = MEXICAN_STATES.split(' ').any(|known| known.as_bytes() == [s1, s2]);
    // The alphabet of the sum has an Ñ behind the N.
    let worth = |byte: u8| value(byte).map(|worth| worth + u32::from(byte > b'N'));
    let mut sum = 0;
    for (byte, weight) in all.iter().take(17).zip((2..=18).rev()) {
        let Some(worth) = worth(*byte) else { return false };
        sum += worth * weight;
    }
    letters
        && date.iter().all(|digit| *digit < 10)
        && is_short_day(&date)
        && matches!(sex, b'H' | b'M' | b'X')
        && state
        && last.is_ascii_digit()
        && (10 - sum % 10) % 10 == u32::from(last - b'0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_examples_hold() {
        assert!(ssn("536-22-8741") && ssn("536228741"));
        for never in ["078-05-1120", "219-09-9999", "000-12-3456", "666-12-3456", "912-12-3456", "536-00-8741"] {
            assert!(!ssn(never), "{never}");
        }
        assert!(!ssn("536-22-0000") && !ssn("1-2-3"));
        assert!(itin("912-70-1234") && !itin("912-69-1234") && !itin("812-70-1234"));
        assert!(mbi("1EG4-TE5-MK73") && !mbi("1EG4-TE5-MK7S") && !mbi("0EG4TE5MK73"));
        assert!(sin("130 692 544") && !sin("130 692 545") && !sin("046 454 286"));
        assert!(cpf("529.982.247-25") && !cpf("529.982.247-26") && !cpf("111.111.111-11"));
        assert!(cnpj("11.222.333/0001-81") && cnpj("12.ABC.345/01DE-35") && !cnpj("11.222.333/0001-82"));
        assert!(curp("HEGG560427MVZRRL04") && !curp("HEGG560427MVZRRL05") && !curp("HEGG561327MVZRRL04"));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_seen(body in prop::collection::vec(1u8..8, 8), at in 0usize..9, by in 1u8..10) {
            let spell = |digits: &[u8]| digits.iter().map(|digit| char::from(b'0' + digit)).collect::<String>();
            prop_assume!(!uniform(&body));
            let mut whole = (0..10).map(|check| [&body[..], &[check]].concat()).find(|whole| sin(&spell(whole))).unwrap();
            whole[at] = (whole[at] + by) % 10;
            prop_assert!(!sin(&spell(&whole)));
        }

        #[test]
        fn nothing_breaks_them(text in "\\PC{0,30}|[0-9A-Z .-]{0,24}") {
            for check in [ssn, itin, mbi, sin, cpf, cnpj, curp] {
                let _ = check(&text);
            }
        }
    }
}
