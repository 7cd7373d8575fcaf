//! Money: payment cards, accounts, banks.

use super::context::{self, Topic, beside};
use super::digits::{Bare, digits, luhn, mod97, number, uniform, weigh};
use super::{Candidate, alone};

/// The countries that have IBANs, and how long they are.
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

/// Countries whose banks have a code, beside those that have IBANs.
const OTHER_COUNTRIES: &str = "AF AG AI AM AN AO AR AS AU AW AX BB BD BF BJ BL BM BN BO BQ BS BT BW BZ CA CD CF CG CI \
CK CL CM CN CO CU CV CW DM DZ EC ER ET FJ FM GA GD GF GG GH GM GN GP GQ GU GW GY HK HT ID IM IN IR JE JM JP KE KG KH KI \
KM KN KP KR KY LA LK LR LS MA MF MG MH ML MM MO MP MQ MS MV MW MX MY MZ NA NC NE NF NG NP NR NU NZ PA PE PF PG PH PM PR \
PW PY RE RW SB SG SH SL SN SR SS SX SY SZ TC TD TG TH TJ TK TM TO TT TV TW TZ UG US UY UZ VC VE VI VN VU WF WS YT ZA ZM \
ZW";

/// Numbers that card networks and payment services publish for tests. Nobody can be charged by them, so
/// they count only where the text itself says that they are cards.
const TEST_CARDS: &[&str] = &[
    "4111111111111111",
    "4242424242424242",
    "4012888888881881",
    "4000056655665556",
    "4000000000000002",
    "5555555555554444",
    "5105105105105100",
    "5200828282828210",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "6011000990139424",
    "3056930009020004",
    "36227206271667",
    "30569309025904",
    "38520000023237",
    "3566002020360505",
    "3530111333300000",
    "6200000000000005",
    "4222222222222",
    "5431111111111111",
];

/// A card in its text. Printed in groups it is one; bare digits need a word beside them.
pub(super) fn card_in_text(candidate: &Candidate<'_>) -> bool {
    if !alone(candidate) || !card(candidate.secret) {
        return false;
    }
    let Some(bare) = Bare::read(candidate.secret) else { return false };
    let said = || beside(candidate, Topic::Card);
    if TEST_CARDS.iter().any(|test| test.as_bytes() == bare.as_bytes()) {
        return said();
    }
    bare.as_bytes().len() != candidate.secret.len() || context::whole(candidate) || said()
}

/// A card's number: the issuer's prefix, its length, Luhn's check digit.
pub(super) fn card(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let mut buffer = [0u8; 19];
    let length = bare.as_bytes().len();
    let Some(digits) = buffer.get_mut(..length) else { return false };
    for (digit, byte) in digits.iter_mut().zip(bare.as_bytes()) {
        if !byte.is_ascii_digit() {
            return false;
        }
        *digit = byte - b'0';
    }
    let Some(prefix) = digits.get(..6).map(number) else { return false };
    let fits = match (prefix, length) {
        (400_000..=499_999, 13 | 16 | 19) => true,                // Visa
        (510_000..=559_999 | 222_100..=272_099, 16) => true,      // Mastercard
        (340_000..=349_999 | 370_000..=379_999, 15) => true,      // American Express
        (300_000..=305_999 | 309_500..=309_599, 14 | 16) => true, // Diners Club
        (360_000..=369_999 | 380_000..=399_999, 14..=19) => true, // Diners Club
        (601_100..=601_199 | 644_000..=659_999, 16..=19) => true, // Discover
        (352_800..=358_999, 16..=19) => true,                     // JCB
        (620_000..=629_999 | 810_000..=817_199, 16..=19) => true, // UnionPay
        (500_000..=509_999 | 560_000..=589_999 | 630_000..=639_999 | 670_000..=679_999, 16..=19) => true, // Maestro, Elo, Verve
        (600_000..=608_999, 16) => true,      // RuPay, Hipercard
        (220_000..=220_499, 16..=19) => true, // Mir
        (979_200..=979_289, 16) => true,      // Troy
        _ => false,
    };
    fits && luhn(digits) && !uniform(digits)
}

/// So far on either side of a number a longer one is looked for: the longest account, in groups.
const REACH: usize = 48;

/// Whether a candidate is a part of a longer number, an account's or a card's, whose check digits hold.
pub(super) fn is_part_of_one(candidate: &Candidate<'_>) -> bool {
    let (before, after) = context::around(candidate);
    let fits = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-');
    let lead = before.iter().rev().take(REACH).take_while(fits).count();
    let trail = after.iter().take(REACH).take_while(fits).count();
    let start = before.len() - lead;
    let end = before.len() + candidate.secret.len();
    let text = candidate.text.as_bytes();
    let begins = |at: &usize| !at.checked_sub(1).and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    (start..=before.len()).filter(begins).any(|begin| {
        let Some(rest) = text.get(begin..end + trail).and_then(|rest| std::str::from_utf8(rest).ok()) else {
            return false;
        };
        let longer = |part: &&str| part.len() > candidate.secret.len() && begin + part.len() >= end;
        let country = |code: &str| rest.get(..2).is_some_and(|letters| letters.eq_ignore_ascii_case(code));
        let account = IBAN_LENGTHS.iter().find(|(code, _)| country(code)).and_then(|(_, length)| first(rest, *length));
        account.filter(longer).is_some_and(iban)
            || (13..=19)
                .filter_map(|length| first(rest, length))
                .filter(longer)
                .any(|part| in_groups(part) && card(part))
    })
}

/// The part of a text that ends with so many letters and digits, where a word ends there.
fn first(text: &str, length: usize) -> Option<&str> {
    let (last, _) =
        text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric()).nth(length.checked_sub(1)?)?;
    let on = text.as_bytes().get(last + 1).is_some_and(u8::is_ascii_alphanumeric);
    if on { None } else { text.get(..=last) }
}

/// Whether a card's number stands in one piece, or in groups as they are printed.
fn in_groups(text: &str) -> bool {
    let groups: Vec<usize> = text.split([' ', '-']).map(str::len).collect();
    matches!(groups.as_slice(), [_] | [4, 4, 4, 1..=7] | [4, 4, 4, 4, 1..=3] | [4, 6, 4 | 5])
}

/// An international account number: the country's length, and the check digits.
pub(super) fn iban(text: &str) -> bool {
    let Some(bare) = Bare::read(text) else { return false };
    let iban = bare.as_bytes();
    let (Some(country), Some(rest)) = (iban.get(..4), iban.get(4..)) else { return false };
    let known = IBAN_LENGTHS.iter().any(|(code, length)| country.starts_with(code.as_bytes()) && iban.len() == *length);
    known && !uniform(rest) && mod97(rest.iter().chain(country).copied()) == Some(1)
}

/// A bank's code: four letters, a country, a place, maybe a branch.
pub(super) fn bic(text: &str) -> bool {
    let code = text.as_bytes();
    let Some(country) = code.get(4..6).and_then(|country| std::str::from_utf8(country).ok()) else { return false };
    matches!(code.len(), 8 | 11)
        && code.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && code.iter().take(6).all(u8::is_ascii_uppercase)
        && (IBAN_LENGTHS.iter().any(|(code, _)| *code == country) || OTHER_COUNTRIES.split(' ').any(|c| c == country))
}

/// A routing number of the American Bankers Association.
pub(super) fn routing_number(text: &str) -> bool {
    let Some(digits) = digits::<9>(text) else { return false };
    let district = number(digits.get(..2).unwrap_or_default());
    matches!(district, 1..=12 | 21..=32 | 61..=72 | 80)
        && weigh(&digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_examples_hold() {
        for iban_example in [
            "DE89 3704 0044 0532 0130 00",
            "GB29NWBK60161331926819",
            "FR14 2004 1010 0505 0001 3M02 606",
            "NL91ABNA0417164300",
            "MT84MALT011000012345MTLCAST001S",
            "NO9386011117947",
            "gb82west12345698765432",
        ] {
            assert!(iban(iban_example), "{iban_example}");
        }
        for card_example in TEST_CARDS {
            assert!(card(card_example), "{card_example}");
        }
        assert!(bic("DEUTDEFF") && bic("CHASUS33XXX") && !bic("DEUTZZFF") && !bic("PASSWORD1"));
        assert!(routing_number("021000021") && !routing_number("021000022"));
        assert!(!card("4444444444444444444") && !card("4111-1111-1111-1112") && !card("0000000000000000"));
    }

    #[test]
    fn bare_digits_need_a_word() {
        let number = format!("4539{}", "148803436467");
        let says = |text: &str, secret: &str| {
            let start = text.find(secret).unwrap();
            let secret = text.get(start..start + secret.len()).unwrap();
            card_in_text(&Candidate { secret, matched: secret, text, start })
        };
        assert!(says(&format!("my visa is {number}."), &number));
        assert!(says(&format!("{number}, exp. 12/29"), &number));
        assert!(says(&number, &number));
        assert!(!says(&format!("row {number} of the table"), &number));
        let grouped = "4539 1488 0343 6467";
        assert!(says(&format!("row {grouped} of the table"), grouped));
        assert!(!says(&format!("row {} here", TEST_CARDS[0]), TEST_CARDS[0]));
        assert!(says(&format!("card {} here", TEST_CARDS[0]), TEST_CARDS[0]));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_of_an_iban_is_seen(bban in "[1-9][0-9]{17}", at in 2usize..22, by in 1u8..10) {
            let rest = mod97(format!("{bban}DE00").bytes()).unwrap();
            let mut whole = format!("DE{:02}{bban}", 98 - rest).into_bytes();
            prop_assume!(!uniform(bban.as_bytes()));
            prop_assert!(iban(std::str::from_utf8(&whole).unwrap()));
            whole[at] = (whole[at] - b'0' + by) % 10 + b'0';
            prop_assert!(!iban(std::str::from_utf8(&whole).unwrap()));
        }

        #[test]
        fn nothing_breaks_them(text in "\\PC{0,60}") {
            let _ = (card(&text), iban(&text), bic(&text), routing_number(&text));
        }
    }
}
