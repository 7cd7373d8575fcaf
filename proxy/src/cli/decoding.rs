//! Bytes as text: UTF-8, where what is none becomes U+FFFD, and UTF-16 with a byte order mark.
//!
//! Text comes in pieces; a character that is torn between two waits for its end.

/// How many bytes of a file tell whether it is text.
pub(super) const HEAD: usize = 8192;

/// Reads pieces of bytes as one text.
pub(super) struct Decoder {
    form: Form,
    /// The beginning of a character whose end has not come.
    torn: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Form {
    Utf8,
    Utf16(fn([u8; 2]) -> u16),
}

impl Decoder {
    /// For a text that begins with these bytes, and the bytes after its byte order mark.
    pub(super) fn new(head: &[u8]) -> (Self, &[u8]) {
        let (form, rest) = match head {
            [0xef, 0xbb, 0xbf, rest @ ..] => (Form::Utf8, rest),
            [0xff, 0xfe, rest @ ..] => (Form::Utf16(u16::from_le_bytes), rest),
            [0xfe, 0xff, rest @ ..] => (Form::Utf16(u16::from_be_bytes), rest),
            rest => (Form::Utf8, rest),
        };
        (Self { form, torn: Vec::new() }, rest)
    }

    /// Whether the text is none: programs, pictures, archives have a zero byte early.
    pub(super) fn is_binary(&self, head: &[u8]) -> bool {
        matches!(self.form, Form::Utf8) && head.iter().take(HEAD).any(|byte| *byte == 0)
    }

    /// Takes the next bytes; `last` when no more come.
    pub(super) fn push(&mut self, bytes: &[u8], last: bool, text: &mut String) {
        let mut held = std::mem::take(&mut self.torn);
        let bytes = if held.is_empty() {
            bytes
        } else {
            held.extend_from_slice(bytes);
            &held
        };
        self.torn = match self.form {
            Form::Utf8 => utf8(bytes, last, text),
            Form::Utf16(unit) => utf16(bytes, unit, last, text),
        };
    }
}

/// Reads UTF-8; returns what is torn.
fn utf8(bytes: &[u8], last: bool, text: &mut String) -> Vec<u8> {
    let mut seen = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        seen += chunk.valid().len() + chunk.invalid().len();
        // Only at the end can more come.
        let torn = std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
        if torn && !last && seen == bytes.len() {
            return chunk.invalid().to_vec();
        }
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Vec::new()
}

/// Reads UTF-16; returns what is torn.
fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, last: bool, text: &mut String) -> Vec<u8> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let high = |pair: &[u8; 2]| (0xd800..0xdc00).contains(&unit(*pair));
    let (pairs, torn) = match pairs.split_last() {
        Some((half, whole)) if !last && high(half) => (whole, [&half[..], odd].concat()),
        _ if !last => (pairs, odd.to_vec()),
        _ => (pairs, Vec::new()),
    };
    let units = pairs.iter().map(|pair| unit(*pair));
    text.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    if last && !odd.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    torn
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a text in pieces of this size.
    fn read(bytes: &[u8], piece: usize) -> String {
        let (mut decoder, rest) = Decoder::new(bytes);
        let mut text = String::new();
        for piece in rest.chunks(piece) {
            decoder.push(piece, false, &mut text);
        }
        decoder.push(&[], true, &mut text);
        text
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(bytes).collect()
    }

    #[test]
    fn what_is_no_text_stays_in_its_place() {
        assert_eq!(read(b"a\xffb\xe2\x82", 1), "a\u{fffd}b\u{fffd}");
        assert_eq!(read(b"\xc2\0x", 1), "\u{fffd}\0x");
        assert_eq!(read(b"\xff\xfea\0\x00\xd8b\0\x07", 3), "a\u{fffd}b\u{fffd}");
        let (decoder, rest) = Decoder::new(b"PK\x03\x04\0\0");
        assert!(decoder.is_binary(rest));
    }

    proptest! {
        #[test]
        fn pieces_read_as_the_whole(bytes in proptest::collection::vec(any::<u8>(), 0..64), piece in 1usize..9) {
            let (_, rest) = Decoder::new(&bytes);
            if !matches!(&bytes[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
                prop_assert_eq!(read(&bytes, piece), String::from_utf8_lossy(rest));
            }
        }

        #[test]
        fn utf16_reads_both_ways(text in "\\PC{0,40}", piece in 1usize..9) {
            prop_assert_eq!(&read(&utf16(&text, u16::to_le_bytes), piece), &text);
            prop_assert_eq!(&read(&utf16(&text, u16::to_be_bytes), piece), &text);
        }
    }
}
