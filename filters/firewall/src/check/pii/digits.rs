//! Numbers as they are written: their characters without the separators, and sums over them.

/// The longest number that is looked at, without its separators.
const LONGEST: usize = 48;

/// A number without its separators, in capitals.
pub(super) struct Bare {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Bare {
    /// Reads a number. `None` where it is too long or has characters that no number has.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut bare = Self { bytes: [0; LONGEST], len: 0 };
        for byte in text.bytes() {
            match byte {
                b' ' | b'-' | b'.' | b'/' => continue,
                _ if byte.is_ascii_alphanumeric() => {}
                _ => return None,
            }
            *bare.bytes.get_mut(bare.len)? = byte.to_ascii_uppercase();
            bare.len += 1;
        }
        Some(bare)
    }

    /// Its characters.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The digits of a number that has just these many and nothing else.
pub(super) fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut digits: [u8; N] = Bare::read(text)?.as_bytes().try_into().ok()?;
    for digit in &mut digits {
        *digit = digit.is_ascii_digit().then(|| *digit - b'0')?;
    }
    Some(digits)
}

/// The value of a digit or a capital: 0 to 35.
pub(super) fn value(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(36).filter(|_| !byte.is_ascii_lowercase())
}

/// The digits times the weights, summed up, as far as both go.
pub(super) fn weigh(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum()
}

/// The number that digits write.
pub(super) fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number: u32, digit| number.saturating_mul(10).saturating_add(u32::from(*digit)))
}

/// Whether they are all the same: what people type where they have to type something.
pub(super) fn uniform(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| matches!(pair, [a, b] if a == b))
}

/// Luhn's check: payment cards, and many others.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = (digits.iter().rev().enumerate())
        .map(|(place, digit)| {
            let doubled = u32::from(*digit) << (place % 2);
            doubled / 10 + doubled % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Verhoeff's check: every wrong digit and every swap of neighbours is seen.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    // The symmetries of a pentagon: 0 to 4 turn it, 5 to 9 mirror it.
    let then = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b) % 5,
        (false, true) => 5 + (a - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let permute = |digit: u8| [1, 5, 7, 6, 2, 8, 3, 0, 9, 4].get(usize::from(digit)).copied().unwrap_or(0);
    let fold =
        |sum: u8, (place, digit): (usize, &u8)| then(sum, (0..place % 8).fold(*digit, |digit, _| permute(digit)));
    digits.iter().rev().enumerate().fold(0, fold) == 0
}

/// The remainder by 97 of a number that may hold letters, each standing for two digits.
pub(super) fn mod97(characters: impl Iterator<Item = u8>) -> Option<u32> {
    let mut rest = 0;
    for character in characters {
        let value = value(character)?;
        rest = (rest * if value < 10 { 10 } else { 100 } + value) % 97;
    }
    Some(rest)
}

/// Whether there is such a day.
pub(super) fn is_day(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    (1..=last).contains(&day)
}

/// Whether there is such a day in any century: two digits each of year, month and day.
pub(super) fn is_short_day(digits: &[u8]) -> bool {
    let [y1, y2, m1, m2, d1, d2, ..] = digits else { return false };
    is_day(2000 + number(&[*y1, *y2]), number(&[*m1, *m2]), number(&[*d1, *d2]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_examples_hold() {
        assert!(luhn(&digits::<11>("79927398713").unwrap()));
        assert!(verhoeff(&digits::<4>("2363").unwrap()));
        assert_eq!(mod97(b"3214282912345698765432161182".iter().copied()), Some(1));
        assert!(is_day(2024, 2, 29) && !is_day(2023, 2, 29) && !is_day(1900, 2, 29) && is_day(2000, 2, 29));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_seen(
            digits in prop::collection::vec(0u8..10, 2..20),
            place in any::<prop::sample::Index>(),
            by in 1u8..10,
        ) {
            for check in [luhn, verhoeff] {
                let completes = |last: &u8| {
                    let mut whole = digits.clone();
                    whole.push(*last);
                    check(&whole)
                };
                let fitting: Vec<u8> = (0..10).filter(completes).collect();
                prop_assert_eq!(fitting.len(), 1);
                let mut whole = digits.clone();
                whole.extend(&fitting);
                let at = place.index(whole.len());
                whole[at] = (whole[at] + by) % 10;
                prop_assert!(!check(&whole));
            }
        }
    }
}
