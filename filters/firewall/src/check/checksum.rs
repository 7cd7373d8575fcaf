//! Checksums that issuers put into their tokens.

use super::Candidate;

/// GitHub's: the last six characters are the CRC-32 of what stands between the prefix and them, in base 62.
/// npm's tokens have it as well.
pub(super) fn github(candidate: &Candidate<'_>) -> bool {
    holds(candidate.secret)
}

/// Whether it has the shape of such a token, and the checksum is wrong: then it is none.
pub(super) fn is_miscounted(text: &str) -> bool {
    const PREFIXES: [&str; 6] = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"];
    let body = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix));
    body.is_some_and(|body| body.len() == 36 && body.bytes().all(|byte| byte.is_ascii_alphanumeric())) && !holds(text)
}

fn holds(token: &str) -> bool {
    let Some((_, body)) = token.rsplit_once('_') else { return false };
    let Some((drawn, sum)) = body.len().checked_sub(6).and_then(|at| body.split_at_checked(at)) else { return false };
    let value = sum.bytes().try_fold(0u64, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        value.checked_mul(62)?.checked_add(u64::from(digit))
    });
    value == Some(u64::from(crc32fast::hash(drawn.as_bytes())))
}

/// That of Bech32, in age's and Nostr's keys.
pub(super) fn bech32(candidate: &Candidate<'_>) -> bool {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let Some((human, data)) = candidate.secret.rsplit_once('1') else { return false };
    let human = human.bytes().map(|byte| byte.to_ascii_lowercase());
    let mut sum = human.clone().fold(1, |sum, byte| polymod(sum, u32::from(byte >> 5)));
    sum = polymod(sum, 0);
    sum = human.fold(sum, |sum, byte| polymod(sum, u32::from(byte & 31)));
    for byte in data.bytes() {
        let Some(value) = ALPHABET.iter().position(|known| byte.eq_ignore_ascii_case(known)) else { return false };
        sum = polymod(sum, u32::try_from(value).unwrap_or(0));
    }
    sum == 1
}

fn polymod(sum: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let next = ((sum & 0x01ff_ffff) << 5) ^ value;
    GENERATOR.iter().enumerate().filter(|(bit, _)| (top >> bit) & 1 == 1).fold(next, |next, (_, term)| next ^ term)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(secret: &str) -> Candidate<'_> {
        Candidate { secret, matched: secret, text: secret, start: 0 }
    }

    #[test]
    fn github_tokens_are_counted() {
        for seed in 0..50 {
            let good = crate::sample::draw("ghp_{b62:30}{crc32}", seed).unwrap();
            assert!(github(&of(&good)));
            let other = if good.as_bytes()[10] == b'a' { "b" } else { "a" };
            let bad = format!("{}{other}{}", good.get(..10).unwrap(), good.get(11..).unwrap());
            assert!(!github(&of(&bad)), "seed {seed}");
            assert!(is_miscounted(&bad) && !is_miscounted(&good));
        }
        assert!(!github(&of("ghp_")) && !github(&of("")));
    }

    #[test]
    fn bech32_is_counted() {
        // The smallest valid words of BIP 173.
        assert!(bech32(&of("A12UEL5L")) && bech32(&of("a12uel5l")));
        assert!(!bech32(&of("A12UEL5M")) && !bech32(&of("nothing")));
    }
}
