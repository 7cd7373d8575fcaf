//! How to reach a person, and when they were born.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::context::{Topic, around, beside};
use super::digits::{is_day, uniform};
use super::{Candidate, alone, bank};

/// Endings that look like a domain's and are a file's, or that no one can have (RFC 2606, RFC 6762).
const NO_DOMAINS: &[&str] = &[
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "ico",
    "css",
    "js",
    "ts",
    "tsx",
    "jsx",
    "json",
    "html",
    "htm",
    "md",
    "txt",
    "py",
    "rs",
    "go",
    "java",
    "rb",
    "php",
    "sh",
    "yml",
    "yaml",
    "toml",
    "xml",
    "lock",
    "log",
    "example",
    "test",
    "invalid",
    "localhost",
    "local",
    "internal",
    "lan",
    "arpa",
    "service",
    "socket",
    "target",
    "timer",
    "mount",
];

/// Domains that are kept free for examples, and mailboxes that are no person's.
const NO_MAIL: &[&str] =
    &["@example.", "@test.com", "@domain.com", "git@", "hg@", "noreply@", "no-reply@", "@users.noreply."];

/// An address of e-mail that may be a person's.
pub(super) fn email(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some((mailbox, domain)) = lower.split_once('@') else { return false };
    let ending = domain.rsplit('.').next().unwrap_or_default();
    let tidy = |part: &str| !part.starts_with(['.', '-']) && !part.ends_with(['.', '-']) && !part.contains("..");
    tidy(mailbox)
        && domain.split('.').all(tidy)
        && ending.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !NO_DOMAINS.contains(&ending)
        && !domain.starts_with("example.")
        && !domain.contains(".example.")
        && !NO_MAIL
            .iter()
            .any(|never| if never.starts_with('@') { lower.contains(never) } else { lower.starts_with(never) })
}

/// Countries by what is dialled for them, after the `+`. Three digits not begun by any of them are nobody's.
const CALLING_CODES: &[&str] = &[
    "1", "20", "211", "212", "213", "216", "218", "22", "23", "24", "25", "26", "27", "29", "30", "31", "32", "33",
    "34", "35", "36", "37", "38", "39", "40", "41", "42", "43", "44", "45", "46", "47", "48", "49", "50", "51", "52",
    "53", "54", "55", "56", "57", "58", "59", "60", "61", "62", "63", "64", "65", "66", "67", "68", "69", "7", "800",
    "808", "81", "82", "84", "850", "852", "853", "855", "856", "86", "87", "88", "90", "91", "92", "93", "94", "95",
    "96", "97", "98", "99",
];

/// A telephone number in its text: an international one, one as North America writes it, or any other
/// that a word beside it gives away.
pub(super) fn phone_in_text(candidate: &Candidate<'_>) -> bool {
    let text = candidate.secret.trim_start_matches('+');
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    if !alone(candidate) || uniform(digits.get(3..).unwrap_or_default()) {
        return false;
    }
    if text.len() < candidate.secret.len() {
        let after_value =
            around(candidate).0.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || b")]".contains(byte));
        return (8..=15).contains(&digits.len())
            && !after_value
            && CALLING_CODES.iter().any(|code| digits.starts_with(code.as_bytes()));
    }
    let written = (american(text, &digits) && !text.contains(' '))
        || text.starts_with('(') && american(text, &digits)
        || (7..=13).contains(&digits.len()) && beside(candidate, Topic::Phone);
    // The longer number says more than the word beside a part of it.
    written && !bank::is_part_of_one(candidate)
}

/// Whether it is written as in North America: three, three and four digits, with something between them.
fn american(text: &str, digits: &[u8]) -> bool {
    let parts = text.split(|letter: char| !letter.is_ascii_digit()).filter(|part| !part.is_empty());
    let [area, _, _, exchange, ..] = digits else { return false };
    parts.map(str::len).eq([3, 3, 4]) && (b'2'..=b'9').contains(area) && (b'2'..=b'9').contains(exchange)
}

/// An address on the public internet, of somebody; not a version, not a network.
pub(super) fn public_address(candidate: &Candidate<'_>) -> bool {
    let before = around(candidate).0;
    if !alone(candidate) {
        return false;
    }
    match candidate.secret.parse() {
        Ok(IpAddr::V4(address)) => {
            let octets = address.octets();
            let version = octets.iter().all(|octet| *octet < 20) || before.ends_with(b"/") && !before.ends_with(b"//");
            is_public(address) && !octets.ends_with(&[0]) && (!version || beside(candidate, Topic::Network))
        }
        Ok(IpAddr::V6(address)) => is_public6(address),
        Err(_) => false,
    }
}

fn is_public(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (b == 18 || b == 19))
        || (a == 192 && b == 0 && c == 0))
}

fn is_public6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    (0x2000..0x4000).contains(&a) && !(a == 0x2001 && b == 0xdb8) && a != 0x3fff && !(a == 0x2001 && b < 0x200)
}

/// Months by the beginnings of their names, in the languages of the rule.
const MONTHS: [&[&str]; 12] = [
    &["jan", "ene", "gen", "янв"],
    &["feb", "fév", "fev", "фев"],
    &["mar", "mär", "мар"],
    &["apr", "abr", "avr", "апр"],
    &["may", "mai", "mag", "maj", "mei", "мая", "май"],
    &["jun", "juin", "giu", "июн"],
    &["jul", "juil", "lug", "июл"],
    &["aug", "ago", "aoû", "авг"],
    &["sep", "set", "сен"],
    &["oct", "okt", "ott", "out", "окт"],
    &["nov", "ноя"],
    &["dec", "dez", "dic", "déc", "дек"],
];

/// A day on which somebody now alive may have been born, however it is written.
pub(super) fn birthday(text: &str) -> bool {
    let lower = text.to_lowercase();
    let named =
        || (1..).zip(MONTHS).find(|(_, names)| names.iter().any(|name| lower.contains(name))).map(|(month, _)| month);
    let mut numbers = lower.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    let year = |year: u32| match year {
        0..100 => 1900 + year,
        _ => year,
    };
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(first), Some(second), Some(third)) if first > 31 => born(year(first), second, third),
        (Some(first), Some(second), Some(third)) => {
            born(year(third), second, first) || born(year(third), first, second)
        }
        (Some(first), Some(second), None) => {
            let (day, in_year) = if first > 31 { (second, first) } else { (first, second) };
            named().is_some_and(|month| born(in_year, month, day))
        }
        _ => false,
    }
}

fn born(year: u32, month: u32, day: u32) -> bool {
    (1900..2100).contains(&year) && is_day(year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(check: fn(&Candidate<'_>) -> bool, text: &str, secret: &str) -> bool {
        let start = text.find(secret).unwrap();
        let secret = text.get(start..start + secret.len()).unwrap();
        check(&Candidate { secret, matched: secret, text, start })
    }

    #[test]
    fn mail_is_a_persons() {
        for fine in ["a.b+c@mail.corp.de", "x@y.io", "first_last@sub.uni.ac.uk"] {
            assert!(email(fine), "{fine}");
        }
        for not in ["icon@2x.png", "a@example.com", "git@github.com", "a..b@c.de", "noreply@c.de", "a@b.service"] {
            assert!(!email(not), "{not}");
        }
    }

    #[test]
    fn phones_are_phones() {
        for number in [
            "+49 30 901820",
            "+1 (415) 555-2671",
            "+919876543210",
            "+86 138 0013 8000",
            "(415) 555-2671",
            "415-555-2671",
        ] {
            assert!(judge(phone_in_text, &format!("see {number} now"), number), "{number}");
        }
        for (text, number) in [("ring me: 0171 2345678", "0171 2345678"), ("電話 090-1234-5678", "090-1234-5678")] {
            assert!(judge(phone_in_text, text, number), "{text}");
        }
        for (text, number) in
            [("row 0171 2345678", "0171 2345678"), ("a+12345678", "+12345678"), ("x[1]+12345678", "+12345678")]
        {
            assert!(!judge(phone_in_text, text, number), "{text}");
        }
    }

    #[test]
    fn addresses_are_public() {
        for address in ["93.184.216.34", "203.0.112.7", "2a02:8109:9a40:1a3c::1"] {
            assert!(judge(public_address, &format!("at {address} there"), address), "{address}");
        }
        for address in [
            "10.1.2.3",
            "192.168.0.1",
            "172.16.9.9",
            "127.0.0.1",
            "203.0.113.9",
            "1.2.3.4",
            "120.0.0.0",
            "100.64.1.1",
            "2001:db8::1",
            "fe80::1",
            "::1",
        ] {
            assert!(!judge(public_address, &format!("at {address} there"), address), "{address}");
        }
        assert!(!judge(public_address, "Chrome/120.13.24.5 here", "120.13.24.5"));
        assert!(judge(public_address, "client 1.2.3.4", "1.2.3.4"));
    }

    #[test]
    fn birthdays_are_days() {
        for day in [
            "1980-03-12",
            "12.03.1980",
            "03/25/1980",
            "25/03/80",
            "March 12, 1980",
            "12 mars 1980",
            "1980年3月12日",
            "5 мая 1975",
        ] {
            assert!(birthday(day), "{day}");
        }
        for day in ["1980-13-12", "31.02.1980", "40/40/1980", "12 Foo 1980", "1780-03-12", ""] {
            assert!(!birthday(day), "{day}");
        }
    }

    proptest! {
        #[test]
        fn nothing_breaks_them(text in "\\PC{0,40}|[0-9a-z@:. +()/-]{0,40}") {
            let _ = (email(&text), birthday(&text), judge(phone_in_text, &text, &text), judge(public_address, &text, &text));
        }
    }
}
