//! Ids of eastern Europe and Turkey.

use super::digits::{digits, is_day, number, uniform, weigh};

/// A taxpayer number of Russia: ten digits for companies, twelve for persons.
pub(super) fn inn(text: &str) -> bool {
    let check = |digits: &[u8], weights: &[u32], last: u8| weigh(digits, weights) % 11 % 10 == u32::from(last);
    if let Some(all) = digits::<12>(text) {
        let [.., first, second] = all;
        return !uniform(&all)
            && check(&all, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8], first)
            && check(&all, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8], second);
    }
    let Some(all) = digits::<10>(text) else { return false };
    let [.., last] = all;
    !uniform(&all) && check(&all, &[2, 4, 10, 3, 5, 9, 4, 6, 8], last)
}

/// An insurance number of Russia: modulo 101.
pub(super) fn snils(text: &str) -> bool {
    let Some(all) = digits::<11>(text) else { return false };
    let [.., c1, c2] = all;
    !uniform(all.get(..9).unwrap_or_default())
        && weigh(&all, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100 == number(&[c1, c2])
}

/// A person's number in Poland: the birthday, and a check digit.
pub(super) fn pesel(text: &str) -> bool {
    let Some(all) = digits::<11>(text) else { return false };
    let [y1, y2, m1, m2, d1, d2, ..] = all;
    // The century is added to the month.
    let month = number(&[m1, m2]);
    let century = match month / 20 {
        0 => 1900,
        1 => 2000,
        2 => 2100,
        3 => 2200,
        _ => 1800,
    };
    is_day(century + number(&[y1, y2]), month % 20, number(&[d1, d2]))
        && weigh(&all, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

/// A citizen's number in Turkey: two check digits.
pub(super) fn tckn(text: &str) -> bool {
    let Some(all) = digits::<11>(text) else { return false };
    let [first, .., c1, c2] = all;
    let odd = weigh(&all, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let even = weigh(&all, &[0, 1, 0, 1, 0, 1, 0, 1]);
    first != 0 && (odd * 7 + 100 - even) % 10 == u32::from(c1) && (odd + even + u32::from(c1)) % 10 == u32::from(c2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A check, how many digits it checks, and by how many.
    type Scheme = (fn(&str) -> bool, usize, usize);

    #[test]
    fn published_examples_hold() {
        assert!(inn("7707083893") && inn("500100732259") && !inn("7707083894") && !inn("500100732258"));
        assert!(snils("112-233-445 95") && !snils("112-233-445 96"));
        assert!(pesel("44051401359") && pesel("02070803628") && !pesel("44051401358") && !pesel("44131401359"));
        assert!(tckn("10000000146") && !tckn("10000000147") && !tckn("01000000146"));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_seen(body in "[1-9][0-9]{9}", at in any::<prop::sample::Index>(), by in 1u8..10) {
            let schemes: &[Scheme] = &[(tckn, 9, 2), (pesel, 10, 1)];
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
        fn nothing_breaks_them(text in "\\PC{0,30}|[0-9 .-]{0,24}") {
            for check in [inn, snils, pesel, tckn] {
                let _ = check(&text);
            }
        }
    }
}
