//! JSON as it comes, as the texts in it.

/// Reads JSON as the texts in it: what stands in a string as it reads, its borders as ends of lines. What is cut by a
/// piece's end waits for the next.
#[derive(Clone, Default)]
pub(super) struct Unquote {
    within: bool,
    /// An escape that has begun: the backslash, and the digits that came.
    escape: Option<String>,
    /// The first half of a character that takes two escapes.
    high: Option<u32>,
}

impl Unquote {
    pub(super) fn read(&mut self, piece: &str) -> String {
        let mut text = String::with_capacity(piece.len());
        for c in piece.chars() {
            if let Some(escape) = &mut self.escape {
                escape.push(c);
                let done = match escape.strip_prefix('u') {
                    Some(digits) if digits.len() == 4 || !digits.chars().all(|d| d.is_ascii_hexdigit()) => true,
                    Some(_) => false,
                    None => true,
                };
                if done {
                    let escape = self.escape.take().unwrap_or_default();
                    self.unescape(&escape, &mut text);
                }
                continue;
            }
            match c {
                '\\' if self.within => self.escape = Some(String::new()),
                '"' => {
                    self.within = !self.within;
                    text.push('\n');
                }
                c => text.push(c),
            }
        }
        text
    }

    fn unescape(&mut self, escape: &str, text: &mut String) {
        let high = self.high.take();
        match escape.chars().next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('b' | 'f') => text.push(' '),
            Some('u') => {
                let code = escape.get(1..).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                match (high, code) {
                    (_, Some(code @ 0xD800..=0xDBFF)) => self.high = Some(code),
                    (Some(high), Some(low @ 0xDC00..=0xDFFF)) => {
                        let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    (_, code) => text.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            Some(c) => text.push(c),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_a_string_is_read_as_its_texts_however_it_is_cut() {
        let text = r#"{"cmd":"pip install a==1 \u0026\u0026 x\n\"q\" \ud83d\ude00 \\ end"}"#;
        let whole = Unquote::default().read(text);
        assert_eq!(whole, "{\ncmd\n:\npip install a==1 && x\n\"q\" 😀 \\ end\n}");
        for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let mut unquote = Unquote::default();
            assert_eq!(unquote.read(&text[..cut]) + &unquote.read(&text[cut..]), whole, "{cut}");
        }
    }
}
