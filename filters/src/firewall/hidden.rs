//! Texts that no string of the request holds as it stands: numbers that spell one, the words in an image, a
//! value together with its key.

use std::fmt::Write as _;

use portcullis_firewall::Origin;

use super::Value;
use super::speaker::{Context, is_vocabulary};
use super::texts::Place;

mod packed;

use packed::Packed;

/// A run of characters in bytes that are no text counts from this length on.
const SHORTEST_RUN: usize = 8;
/// As many numbers or pieces in a row may spell something.
const FEWEST: usize = 8;
/// The longest value that is looked at together with its key, and the longest key.
const LONGEST: (usize, usize) = (512, 64);

/// A text that was made.
pub(super) struct Made<'r> {
    pub(super) text: String,
    pub(super) origin: Origin,
    pub(super) place: Place<'r>,
}

/// What is packed takes too much to unpack.
#[derive(Debug)]
pub(super) struct TooMuch;

/// Texts that were made so far.
#[derive(Default)]
pub(super) struct Hidden<'r> {
    pub(super) made: Vec<Made<'r>>,
    packed: Packed,
}

impl<'r> Hidden<'r> {
    /// Looks for what a JSON document hides.
    pub(super) fn json(&mut self, json: &'r Value<'r>, context: Context) -> Result<(), TooMuch> {
        self.under("", json, context)
    }

    /// What stands under this key.
    fn under(&mut self, key: &str, json: &'r Value<'r>, context: Context) -> Result<(), TooMuch> {
        match json {
            Value::Object(entries) => {
                let inside = context.of_object(entries);
                for (key, value) in entries {
                    self.labelled(key, value, inside.origin);
                    self.numbers(key, std::slice::from_ref(value), inside.origin);
                    self.under(key, value, inside.under(key))?;
                }
            }
            Value::Array(items) => {
                self.spelt(items, context.origin);
                self.numbers(key, items, context.origin);
                for item in items {
                    self.under(key, item, context)?;
                }
            }
            Value::String(text) => {
                if let Some(bytes) = image(text) {
                    self.image(&bytes, context.origin)?;
                }
            }
            Value::Bool(_) | Value::Null | Value::Number(_) => {}
        }
        Ok(())
    }

    /// Looks at a body that is not JSON: a form, a blob. What is no text in it is left out.
    pub(super) fn bytes(&mut self, body: &[u8]) {
        let text: String = body.utf8_chunks().map(|chunk| chunk.valid()).collect();
        self.add(text, Origin::Unknown, Place::Fixed);
    }

    fn add(&mut self, text: String, origin: Origin, place: Place<'r>) {
        if !text.is_empty() {
            self.made.push(Made { text, origin, place });
        }
    }

    /// A value under a key that no dialect has: `{"db_password": "…"}` says more than its two strings.
    fn labelled(&mut self, key: &str, value: &'r Value<'r>, origin: Origin) {
        let (longest, longest_key) = LONGEST;
        if key.len() > longest_key || is_vocabulary(key) {
            return;
        }
        if let Value::String(text) = value
            && (6..=longest).contains(&text.len())
        {
            let before = format!("\"{key}\": \"");
            let place = Place::Within(value, before.len());
            self.add(format!("{before}{text}\""), origin, place);
        }
    }

    /// The numbers of cards, of accounts, of persons, whatever key they stand under.
    fn numbers(&mut self, key: &str, items: &[Value<'_>], origin: Origin) {
        let key = if key.len() > LONGEST.1 { "" } else { key };
        let mut text = String::new();
        for number in items.iter().filter_map(Value::long_number) {
            let _ = match text.is_empty() {
                true => write!(text, "\"{key}\": {number}"),
                false => write!(text, ", {number}"),
            };
        }
        self.add(text, origin, Place::Fixed);
    }

    /// A text as the numbers of its characters, or in pieces. What is neither is left out: a few of them do
    /// not keep a model from reading the rest.
    fn spelt(&mut self, items: &[Value<'_>], origin: Origin) {
        if items.len() < FEWEST {
            return;
        }
        let (mut text, mut usual) = (String::new(), 0);
        for item in items {
            let number = item.as_whole().and_then(|number| u32::try_from(number).ok());
            let character = number.and_then(char::from_u32).filter(|c| !c.is_control() || c.is_ascii_whitespace());
            let piece = item.as_str().filter(|text| text.len() <= 32);
            text.extend(character);
            text.push_str(piece.unwrap_or_default());
            // Numbers of tokens go far beyond those of letters.
            usual += usize::from(piece.is_some() || character.is_some_and(|c| c.is_ascii()));
        }
        if usual * 4 >= items.len() * 3 {
            self.add(text, origin, Place::Fixed);
        }
    }

    /// The words in an image or another file: comments, camera data, what was put behind the end.
    fn image(&mut self, bytes: &[u8], origin: Origin) -> Result<(), TooMuch> {
        let mut words = String::new();
        runs(bytes, &mut words);
        self.packed.words(bytes, &mut words)?;
        // What a picture says is said by nobody who is known to ask.
        let origin = if origin == Origin::User { Origin::Unknown } else { origin };
        self.add(words, origin, Place::Fixed);
        Ok(())
    }
}

/// The bytes of a file that stands in a string: in a `data:` address, or known by how it begins.
fn image(text: &str) -> Option<Vec<u8>> {
    const BEGINS: [&str; 9] = ["iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk", "SUkq", "TU0A", "JVBERi0", "AAAA"];
    let encoded = match text.get(..5) {
        Some(scheme) if scheme.eq_ignore_ascii_case("data:") => text.split_once("base64,")?.1,
        _ if text.len() >= 32 && BEGINS.iter().any(|begin| text.trim_start().starts_with(begin)) => text,
        _ => return None,
    };
    Some(decode(encoded))
}

/// Base64 as the most lenient reader takes it: either alphabet, and what is in neither left out.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in text.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

/// Runs of printable characters, one a line; also those with a zero after each, as Windows writes them.
fn runs(bytes: &[u8], words: &mut String) {
    for run in bytes.split(|byte| !is_text(*byte)).filter(|run| run.len() >= SHORTEST_RUN) {
        words.extend(run.iter().map(|byte| char::from(*byte)));
        words.push('\n');
    }
    let mut wide = String::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = match after.split_first() {
            Some((0, beyond)) if is_text(*first) => {
                wide.push(char::from(*first));
                beyond
            }
            _ => {
                end_wide(&mut wide, words);
                after
            }
        };
    }
    end_wide(&mut wide, words);
}

fn end_wide(wide: &mut String, words: &mut String) {
    if wide.len() >= SHORTEST_RUN {
        let _ = writeln!(words, "{wide}");
    }
    wide.clear();
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte == b'\n' || byte == b'\r' || (b' '..=b'~').contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::packed::MAX_UNPACKED;
    use super::*;

    fn made(text: &str) -> Vec<String> {
        let json = Value::parse(text.as_bytes()).unwrap();
        let mut hidden = Hidden::default();
        hidden.json(&json, Context { origin: Origin::User, said: false }).unwrap();
        hidden.made.into_iter().map(|made| made.text).collect()
    }

    #[test]
    fn numbers_and_pieces_spell_a_text() {
        assert_eq!(made("[104,101,108,108,111,32,121,111,117]"), ["hello you"]);
        assert_eq!(made(r#"["h","e","l","lo"," ","y","o","u"]"#), ["hello you"]);
        assert_eq!(made("[15496,11,995,290,345,389,257,922,530]"), Vec::<String>::new(), "tokens are no letters");
        assert_eq!(made("[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]"), Vec::<String>::new());
        assert_eq!(made("[104,101]"), Vec::<String>::new());
        assert_eq!(made("[104,101,108,108,111,32,121,111,117,0]"), ["hello you"], "one that is no letter");
        assert_eq!(made(r#"[104,101,108,108,111.0,32,null,"you"]"#), ["hello you"]);
    }

    #[test]
    fn a_value_is_seen_with_its_key() {
        assert_eq!(made(r#"{"arguments":{"db_password":"opensesame"}}"#), ["\"db_password\": \"opensesame\""]);
        for (json, text) in [
            (r#"{"account":12345678901}"#, "\"account\": 12345678901"),
            (r#"{"id":12345678901}"#, "\"id\": 12345678901"),
            (r#"{"input":12345678901.0}"#, "\"input\": 12345678901"),
            (r#"{"input":-12345678901}"#, "\"input\": 12345678901"),
            (r#"{"cards":[7,12345678901,[12345678902],12345678903]}"#, "\"cards\": 12345678901, 12345678903"),
        ] {
            assert_eq!(made(json).first().map(String::as_str), Some(text), "{json}");
        }
        assert_eq!(made("[[12345678901]]"), ["\"\": 12345678901"]);
        assert_eq!(made(r#"{"content":"opensesame","model":"tiny:latest","n":7}"#), Vec::<String>::new());
    }

    fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> String {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        for (name, data) in chunks {
            bytes.extend((data.len() as u32).to_be_bytes());
            bytes.extend(name.as_slice());
            bytes.extend(data);
            bytes.extend([0; 4]);
        }
        data_encoding::BASE64.encode(&bytes)
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut packed = flate2::read::ZlibEncoder::new(text, flate2::Compression::best());
        let mut bytes = b"Comment\0\0".to_vec();
        packed.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn images_are_read_for_words() {
        let plain = png(&[(b"IHDR", vec![0; 13]), (b"tEXt", b"Comment\0opensesame is it".to_vec())]);
        for text in [format!("[\"{plain}\"]"), format!("[\"data:image/png;base64,{plain}\"]")] {
            assert!(made(&text).iter().any(|made| made.contains("opensesame is it")), "{text}");
        }
        let zipped = png(&[(b"zTXt", packed(b"opensesame, packed"))]);
        assert!(made(&format!("[\"{zipped}\"]")).iter().any(|made| made.contains("opensesame, packed")));
        let mut jpeg = b"\xff\xd8\xff\xe1\x00\x20Exif\0\0".to_vec();
        jpeg.extend("opensesame, wide".bytes().flat_map(|byte| [byte, 0]));
        let jpeg = data_encoding::BASE64.encode(&jpeg);
        assert!(made(&format!("[\"{jpeg}\"]")).iter().any(|made| made.contains("opensesame, wide")));
    }

    #[test]
    fn a_bomb_in_an_image_is_too_much() {
        let bomb = png(&[(b"zTXt", packed(&vec![b'a'; 2 * MAX_UNPACKED]))]);
        let text = format!("[\"{bomb}\"]");
        let json = Value::parse(text.as_bytes()).unwrap();
        assert!(Hidden::default().json(&json, Context { origin: Origin::User, said: false }).is_err());
    }

    proptest! {
        #[test]
        fn base64_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&data_encoding::BASE64.encode(&bytes)), bytes.clone());
            prop_assert_eq!(decode(&data_encoding::BASE64URL_NOPAD.encode(&bytes)), bytes);
        }

        #[test]
        fn no_file_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), name in 0usize..2) {
            let mut hidden = Hidden::default();
            let mut file = b"zTXt".to_vec();
            if name == 1 { file = b"iTXt".to_vec(); }
            file.splice(0..0, bytes.iter().copied().take(7));
            file.extend(&bytes);
            let _ = hidden.image(&file, Origin::Tool);
            hidden.bytes(&bytes);
        }
    }
}
