//! Whether a word looks drawn or written.
//!
//! A model of what people write in code and prose, letter after letter, against chance: how many bits
//! more likely the word is when it was drawn. Words and identifiers come out below zero, drawn text at
//! about two bits a character. It knows better than entropy does: `getElementById` has more entropy than
//! many a password.

use std::sync::LazyLock;

/// How likely a letter follows another in code and prose, against chance: `s` is as likely as by
/// chance, each step is half a bit. One row for each letter that goes before. Counted in some million
/// words of published source text.
const PAIRS: [&[u8; 26]; 26] = [
    b"kruukoshrgovsuhtfvuwronqph",
    b"vmpnvlkhvrjwokvpdtsswlhhsf",
    b"vmqmvplvrcutpmxqjtqvrojhpb",
    b"uoptyoqlwjjrpotpittpropkpd",
    b"totuqqqkohltsvmqpxvumrospf",
    b"umoruuqgwfiwoowniuursjkfpa",
    b"rmomynpsvdjrptsokuvrtlkjli",
    b"xlnpyljkvbknqnvletptsnpdpk",
    b"rputrssfjekttxvrhqtvirfoas",
    b"rklizlmmrinkmkwqhluouisjgj",
    b"soqpzpnlvehoosoojourpnoilg",
    b"wnmsxqniwamvmlvpdmrtsmlgsf",
    b"xrppxmmjuckprnuvlnsptkjgjd",
    b"tltvvsvksgqsmquogmuwrpmgoh",
    b"opusnqpgqjptuxrtbwstuqslic",
    b"wlpowolqtbnuolvtfwsuspmkpa",
    b"pmqqqlqkoigorosoloqmzimfhh",
    b"vlqrypqhveoorsvohsturpljrd",
    b"rksmxlosvcpponssiouxtlmism",
    b"vkrpxojuwajqpmtpevssskmntg",
    b"qssrurqbtadutwmtcvwwiddnch",
    b"xlqnzqkmwdhqrnrphnoohgiqfe",
    b"wopqunjvxelqpuuqjwuokjpjfg",
    b"vpusvslqtghrqmpwmpqxmlmqpe",
    b"rpqorollrhjrrvsyhqxulmogij",
    b"smoozmkirfinmmsogovkmkkhop",
];
const CHANCE: f32 = b's' as f32;

/// How likely a digit, a small or a capital letter follows each of them in code and prose.
const CLASSES: [[f32; 3]; 3] = [[0.85, 0.124, 0.026], [0.014, 0.96, 0.027], [0.014, 0.11, 0.875]];
const SIZES: [f32; 3] = [10.0, 26.0, 26.0];

/// How many bits a digit, a small or a capital letter behind each of them speaks for chance, of a text in which some of
/// them are: its number has a bit for each.
static STEPS: LazyLock<[[[f32; 3]; 3]; 8]> = LazyLock::new(|| {
    std::array::from_fn(|kinds| {
        let present = SIZES.iter().enumerate().filter(|(class, _)| kinds >> class & 1 != 0);
        let all: f32 = present.map(|(_, size)| size).sum();
        CLASSES.map(|row| {
            let mut sizes = SIZES.iter();
            row.map(|written| (sizes.next().copied().unwrap_or(all) / all / written).log2())
        })
    })
});

/// By how many bits a text is more likely drawn than written. Only letters and digits that touch count.
pub(crate) fn surprise(text: &str) -> f32 {
    let kinds = text.bytes().filter_map(class_of).fold(0, |kinds, class| kinds | 1 << class);
    let Some(steps) = STEPS.get(kinds) else { return 0.0 };
    let mut bits = 0.0;
    let mut last: Option<(usize, u8)> = None;
    for byte in text.bytes() {
        let this = class_of(byte).map(|class| (class, byte));
        if let (Some((before, first)), Some((class, second))) = (last, this) {
            let step = steps.get(before).and_then(|row| row.get(class)).copied().unwrap_or(0.0);
            bits += step - pair(first, second);
        }
        last = this;
    }
    bits
}

/// Whether a text is surely drawn: `least` bits a character more likely than written.
pub(crate) fn drawn(text: &str, least: f32) -> bool {
    is_drawn_hex(text) || surprise(text) >= least * text.len() as f32
}

/// Whether it is hexadecimal, long enough to be a key, and not a number.
pub(crate) fn is_drawn_hex(text: &str) -> bool {
    let small = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let large = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    (small || large) && text.len() >= 20 && letters >= 3 && letters + 3 <= text.len() && distinct(text) >= 7
}

/// How many different characters there are.
pub(crate) fn distinct(text: &str) -> usize {
    let seen = text.bytes().fold(0u128, |seen, byte| seen | (1u128 << (byte & 127)));
    seen.count_ones() as usize
}

/// Whether it has the shape of a UUID.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn class_of(byte: u8) -> Option<usize> {
    match byte {
        b'0'..=b'9' => Some(0),
        b'a'..=b'z' => Some(1),
        b'A'..=b'Z' => Some(2),
        _ => None,
    }
}

/// The bits that two letters in a row speak for writing.
fn pair(first: u8, second: u8) -> f32 {
    let place = |byte: u8| usize::from(byte.to_ascii_lowercase().wrapping_sub(b'a'));
    let row = PAIRS.get(place(first));
    row.and_then(|row| row.get(place(second))).map_or(0.0, |step| (f32::from(*step) - CHANCE) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_told_from_what_is_drawn() {
        let written = [
            "internationalization",
            "XMLHttpRequestEventTarget",
            "SECURITY_AUTH_TOKEN_V2",
            "x86_64-unknown-linux-gnu",
            "use_of_very_long_snake_case_identifier",
            "_ZN4core3ptr85drop_in_place",
            "EVP_PKEY_CTX_set_rsa_pss_keygen_md",
            "Tundra",
        ];
        for word in written {
            assert!(surprise(word) < 0.0, "{word}: {}", surprise(word));
        }
        for seed in 0..500 {
            for template in ["{b62:32}", "{alpha:34}", "{b32:32}", "{b64url:40}"] {
                let word = crate::sample::draw(template, seed).unwrap();
                assert!(drawn(&word, 0.5), "{template} with seed {seed}: {}", surprise(&word));
            }
            assert!(drawn(&crate::sample::draw("{hex:32}", seed).unwrap(), 0.5));
        }
    }

    #[test]
    fn a_uuid_has_one_shape() {
        assert!(is_uuid(&crate::sample::draw("{uuid}", 1).unwrap()));
        assert!(!is_uuid("00000000-0000-0000-0000-00000000000g"));
    }
}
