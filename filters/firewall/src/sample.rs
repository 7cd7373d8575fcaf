//! Samples of what a rule finds, as templates: drawn anew each time, so that no file holds what looks
//! like a live token.
//!
//! `{NAME:N}` and `{NAME:N-M}` draw characters of an [alphabet](ALPHABETS), `{b64of:TEXT}` and its
//! like encode a template, `{crc32}` and `{luhn}` check what stands before them, `{num:01-12}` draws a
//! number, `{one:a|b}` a choice, `{such:CHECK:TEMPLATE}` something that a check agrees with, `{{` and
//! `}}` are braces.

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};

use crate::check::{self, Candidate};

/// What the characters of a drawn body are taken from, by name.
const ALPHABETS: &[(&str, &str)] = &[
    ("digit", "0123456789"),
    ("lower", "abcdefghijklmnopqrstuvwxyz"),
    ("upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("alpha", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    ("hex", "0123456789abcdef"),
    ("HEX", "0123456789ABCDEF"),
    ("b32", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    ("b62", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    ("lownum", "0123456789abcdefghijklmnopqrstuvwxyz"),
    ("upnum", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("b64", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/"),
    ("b64url", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"),
];

/// A drawn body of at least so many characters looks random: it mixes letters and digits, and does not
/// repeat itself.
const RANDOM: usize = 12;

/// The longest body that is drawn, and the longest sample.
const LONGEST_BODY: usize = 8 << 10;
const LONGEST: usize = 64 << 10;

/// How often a template is drawn for a check to agree with one. Of numbers with two check digits, one in a
/// hundred holds.
const TRIES: usize = 4096;

/// How deep encodings may stand in each other.
const DEPTH: usize = 4;

/// Why a template cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A brace without its partner.
    #[error("a brace without its partner; a brace itself is written twice")]
    Brace,
    /// Something that cannot be drawn.
    #[error("`{{{0}}}` cannot be drawn")]
    Unknown(String),
    /// It is too long, or too deep.
    #[error("it is too long, or too deep")]
    TooLarge,
}

/// Draws a sample. The same template and seed always give the same.
///
/// # Errors
/// [`Malformed`]: the template is not one.
pub fn draw(template: &str, seed: u64) -> Result<String, Malformed> {
    let mut drawing = Drawing { rest: template, random: Random(seed) };
    let drawn = drawing.text(0)?;
    if drawing.rest.is_empty() { Ok(drawn) } else { Err(Malformed::Brace) }
}

struct Drawing<'t> {
    rest: &'t str,
    random: Random,
}

impl Drawing<'_> {
    /// Draws up to the end, or to the brace that closes the encoding around it.
    fn text(&mut self, depth: usize) -> Result<String, Malformed> {
        let mut drawn = String::new();
        loop {
            let plain = self.rest.find(['{', '}']).unwrap_or(self.rest.len());
            let (before, rest) = self.rest.split_at_checked(plain).unwrap_or((self.rest, ""));
            drawn.push_str(before);
            self.rest = rest;
            if drawn.len() > LONGEST || depth > DEPTH {
                return Err(Malformed::TooLarge);
            }
            if let Some(rest) = rest.strip_prefix("{{") {
                drawn.push('{');
                self.rest = rest;
            } else if let Some(rest) = rest.strip_prefix("}}") {
                drawn.push('}');
                self.rest = rest;
            } else if let Some(rest) = rest.strip_prefix('{') {
                self.rest = rest;
                self.placeholder(&mut drawn, depth)?;
            } else if rest.is_empty() == (depth == 0) {
                return Ok(drawn);
            } else {
                return Err(Malformed::Brace);
            }
        }
    }

    fn placeholder(&mut self, drawn: &mut String, depth: usize) -> Result<(), Malformed> {
        for (name, encode) in ENCODINGS {
            if let Some(rest) = self.rest.strip_prefix(name) {
                self.rest = rest;
                let inner = self.text(depth + 1)?;
                self.rest = self.rest.strip_prefix('}').ok_or(Malformed::Brace)?;
                drawn.push_str(&encode(inner.as_bytes()));
                return Ok(());
            }
        }
        if let Some(rest) = self.rest.strip_prefix("such:") {
            self.rest = rest;
            drawn.push_str(&self.such(depth)?);
            return Ok(());
        }
        let (inside, rest) = self.rest.split_once('}').ok_or(Malformed::Brace)?;
        self.rest = rest;
        match inside {
            "crc32" => drawn.push_str(&github_checksum(drawn)),
            "luhn" => drawn.push(luhn_digit(drawn)),
            "uuid" => self.uuid(drawn)?,
            _ => match inside.split_once(':') {
                Some(("num", range)) => drawn.push_str(&self.number(range, inside)?),
                Some(("one", choices)) => {
                    let choices: Vec<&str> = choices.split('|').collect();
                    drawn.push_str(choices.get(self.random.below(choices.len())).copied().unwrap_or_default());
                }
                _ => drawn.push_str(&self.body(inside)?),
            },
        }
        Ok(())
    }

    /// Draws what `such:CHECK:TEMPLATE}` says: the template again and again, until the check agrees.
    fn such(&mut self, depth: usize) -> Result<String, Malformed> {
        let (name, template) = self.rest.split_once(':').ok_or(Malformed::Brace)?;
        let check = check::by_name(name).ok_or_else(|| Malformed::Unknown(format!("such:{name}")))?;
        if depth > 0 {
            return Err(Malformed::TooLarge);
        }
        for _ in 0..TRIES {
            self.rest = template;
            let drawn = self.text(depth + 1)?;
            self.rest = self.rest.strip_prefix('}').ok_or(Malformed::Brace)?;
            if check(&Candidate { secret: &drawn, matched: &drawn, text: &drawn, start: 0 }) {
                return Ok(drawn);
            }
        }
        Err(Malformed::Unknown(format!("such:{name}")))
    }

    /// Draws what `num:LEAST-MOST` says: a number, with zeros in front where the smallest has them.
    fn number(&mut self, range: &str, inside: &str) -> Result<String, Malformed> {
        let unknown = || Malformed::Unknown(inside.to_owned());
        let (least, most) = range.split_once('-').ok_or_else(unknown)?;
        let width = least.len();
        let (least, most): (u32, u32) = (least.parse().map_err(|_| unknown())?, most.parse().map_err(|_| unknown())?);
        let spread = most.checked_sub(least).ok_or_else(unknown)? as usize;
        let drawn = least as usize + self.random.below(spread.saturating_add(1));
        Ok(format!("{drawn:0width$}"))
    }

    /// Draws what `NAME:N` or `NAME:N-M` says.
    fn body(&mut self, inside: &str) -> Result<String, Malformed> {
        let unknown = || Malformed::Unknown(inside.to_owned());
        let (name, length) = inside.split_once(':').ok_or_else(unknown)?;
        let (_, alphabet) = ALPHABETS.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
        let (least, most) = length.split_once('-').unwrap_or((length, length));
        let least: usize = least.parse().map_err(|_| unknown())?;
        let most: usize = most.parse().map_err(|_| unknown())?;
        if most > LONGEST_BODY {
            return Err(Malformed::TooLarge);
        }
        let spread = most.checked_sub(least).ok_or_else(unknown)?;
        let length = least + self.random.below(spread + 1);
        let mut drawn = self.random.string(alphabet, length);
        // One draw in a hundred does not look random; some dozen in a row do not happen.
        for _ in 0..64 {
            if looks_random(&drawn, alphabet) {
                break;
            }
            drawn = self.random.string(alphabet, length);
        }
        Ok(drawn)
    }

    /// Draws a random UUID: version 4, variant 1.
    fn uuid(&mut self, drawn: &mut String) -> Result<(), Malformed> {
        let variant = self.random.string("89ab", 1);
        let parts = ["hex:8", "hex:4", "hex:3", "hex:3", "hex:12"].map(|part| self.body(part));
        let [a, b, c, d, e] = parts;
        drawn.push_str(&format!("{}-{}-4{}-{variant}{}-{}", a?, b?, c?, d?, e?));
        Ok(())
    }
}

/// Encodings of what stands in them, by what opens them.
type Encoding = (&'static str, fn(&[u8]) -> String);
const ENCODINGS: &[Encoding] = &[
    ("b64of:", |bytes| BASE64.encode(bytes)),
    ("b64urlof:", |bytes| BASE64URL_NOPAD.encode(bytes)),
    ("hexof:", |bytes| HEXLOWER.encode(bytes)),
];

/// `SplitMix64`: samples need no more than that no two of them are alike.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    fn string(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..length).filter_map(|_| alphabet.get(self.below(alphabet.len())).map(|byte| char::from(*byte))).collect()
    }
}

/// Whether a drawn body holds every kind of character that its alphabet has, few of them twice, and no runs.
fn looks_random(drawn: &str, alphabet: &str) -> bool {
    if drawn.len() < RANDOM {
        return true;
    }
    let kinds: [fn(&char) -> bool; 3] = [char::is_ascii_digit, char::is_ascii_lowercase, char::is_ascii_uppercase];
    let all = kinds.iter().all(|kind| drawn.chars().any(|c| kind(&c)) || !alphabet.chars().any(|c| kind(&c)));
    let distinct = alphabet.chars().filter(|c| drawn.contains(*c)).count();
    let runs = drawn.as_bytes().windows(3).any(|three| three.iter().all(|byte| Some(byte) == three.first()));
    all && !runs && distinct * 2 >= alphabet.len().min(drawn.len())
}

/// The six base62 characters of the CRC32 over what stands since the last `_`, as GitHub counts it.
fn github_checksum(drawn: &str) -> String {
    let body = drawn.rsplit('_').next().unwrap_or_default();
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = ['0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = char::from(base62(rest % 62));
        rest /= 62;
    }
    digits.iter().collect()
}

fn base62(digit: u32) -> u8 {
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".get(digit as usize).copied().unwrap_or(b'0')
}

/// The digit that makes the digits just before it, however grouped, and itself pass Luhn's check.
fn luhn_digit(drawn: &str) -> char {
    let number = drawn.chars().rev().take_while(|c| c.is_ascii_digit() || matches!(c, ' ' | '-'));
    let sum: u32 = number
        .filter_map(|c| c.to_digit(10))
        .enumerate()
        .map(|(place, digit)| if place % 2 == 0 { digit * 2 % 10 + digit / 5 } else { digit })
        .sum();
    char::from_digit((10 - sum % 10) % 10, 10).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn draws_what_the_template_says() {
        let drawn = draw("t={{{b62:30}}} {digit:2-4} {hex:12}", 7).unwrap();
        let shape = regex_automata::meta::Regex::new(r"^t=\{[A-Za-z0-9]{30}\} [0-9]{2,4} [0-9a-f]{12}$").unwrap();
        assert!(shape.is_match(&drawn), "{drawn}");
        assert_eq!(draw("t={{{b62:30}}} {digit:2-4} {hex:12}", 7).unwrap(), drawn, "the same seed, the same sample");
        assert_ne!(draw("t={{{b62:30}}} {digit:2-4} {hex:12}", 8).unwrap(), drawn);
    }

    #[test]
    fn encodes_templates_in_templates() {
        assert_eq!(draw("{b64of:user:pass}", 1).unwrap(), "dXNlcjpwYXNz");
        assert_eq!(draw(r#"{b64urlof:{{"alg":"none"}}}."#, 1).unwrap(), "eyJhbGciOiJub25lIn0.");
        assert_eq!(draw("{hexof:a}", 1).unwrap(), "61");
        let secret = draw("{b64of:me:{b62:24}}", 3).unwrap();
        assert!(BASE64.decode(secret.as_bytes()).unwrap().starts_with(b"me:"));
    }

    #[test]
    fn checks_what_stands_before() {
        assert_eq!(draw("x 4532 0151 1283 036{luhn}", 0).unwrap(), "x 4532 0151 1283 0366");
        // The checksum of an empty body is that of nothing.
        assert_eq!(draw("ghp_{crc32}", 0).unwrap(), "ghp_000000");
        let drawn = draw("ghp_{b62:30}{crc32}", 5).unwrap();
        let (body, checksum) = drawn.split_at(34);
        assert_eq!(github_checksum(body), checksum);
    }

    #[test]
    fn draws_until_a_check_agrees() {
        for seed in 0..50 {
            let drawn = draw("{such:pii-cpf:{digit:3}.{digit:3}.{digit:3}-{digit:2}}", seed).unwrap();
            assert_eq!(drawn.len(), 14);
            let month = draw("{num:01-12}", seed).unwrap();
            assert!(month.len() == 2 && (1..=12).contains(&month.parse::<u32>().unwrap()), "{month}");
            assert!(["a", "bc"].contains(&draw("{one:a|bc}", seed).unwrap().as_str()));
        }
        assert!(draw("{such:no-check:1}", 0).is_err() && draw("{such:pii-cpf:1}", 0).is_err());
    }

    #[test]
    fn refuses_what_is_no_template() {
        for (template, why) in [
            ("a {b62:3", Malformed::Brace),
            ("a } b", Malformed::Brace),
            ("{b64of:a", Malformed::Brace),
            ("{b99:3}", Malformed::Unknown("b99:3".to_owned())),
            ("{b62:5-3}", Malformed::Unknown("b62:5-3".to_owned())),
            ("{b62:99999999}", Malformed::TooLarge),
            ("{hexof:{hexof:{hexof:{hexof:{hexof:a} } } } }", Malformed::TooLarge),
        ] {
            assert_eq!(draw(template, 0), Err(why), "{template}");
        }
    }

    proptest! {
        #[test]
        fn never_breaks(template in r"([a-z{}:-]|\{b62:[0-9]{1,3}\}|\{(b64of:|crc32\}|luhn\}|uuid\})){0,12}", seed: u64) {
            if let Ok(drawn) = draw(&template, seed) {
                prop_assert!(drawn.len() <= 4 * LONGEST);
            }
        }

        #[test]
        fn bodies_look_random(which in 0..ALPHABETS.len(), length in RANDOM..80, seed: u64) {
            let (name, alphabet) = ALPHABETS[which];
            let drawn = draw(&format!("{{{name}:{length}}}"), seed).unwrap();
            prop_assert_eq!(drawn.len(), length);
            prop_assert!(drawn.chars().all(|c| alphabet.contains(c)));
            prop_assert!(looks_random(&drawn, alphabet), "{}", drawn);
        }
    }
}
