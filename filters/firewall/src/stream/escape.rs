//! JSON that grows inside of a text, such as the arguments of a tool call: what its strings say.

/// Where the end of growing JSON lies.
#[derive(Clone, Debug, Default)]
pub(super) struct Escapes {
    /// Within a string.
    inside: bool,
    part: Part,
    /// The first half of a character that is written as two.
    high: Option<u32>,
}

/// How much of an escape has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// None has begun.
    #[default]
    None,
    /// Its backslash.
    Backslash,
    /// So many digits of a number, and what they say so far.
    Digits(u8, u32),
}

/// What a character of the JSON says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Itself.
    Itself,
    /// Nothing yet: more of the escape is to come.
    More,
    /// It ends an escape, which says this.
    Char(char),
}

impl Escapes {
    /// Takes a character in. What is no escape that JSON knows says what no reader can see.
    pub(super) fn take(&mut self, c: char) -> Said {
        match self.part {
            Part::None => {
                match c {
                    '"' => self.inside = !self.inside,
                    '\\' if self.inside => {
                        self.part = Part::Backslash;
                        return Said::More;
                    }
                    _ => {}
                }
                self.high = None;
                Said::Itself
            }
            Part::Backslash if c == 'u' => {
                self.part = Part::Digits(0, 0);
                Said::More
            }
            Part::Backslash => {
                self.part = Part::None;
                self.high = None;
                Said::Char(match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    other => other,
                })
            }
            Part::Digits(count, value) => {
                let value = value << 4 | c.to_digit(16).unwrap_or_default();
                if count < 3 {
                    self.part = Part::Digits(count + 1, value);
                    return Said::More;
                }
                self.part = Part::None;
                self.unit(value)
            }
        }
    }

    fn unit(&mut self, unit: u32) -> Said {
        let high = self.high.take();
        match (unit, high) {
            (0xd800..=0xdbff, _) => {
                self.high = Some(unit);
                Said::More
            }
            (0xdc00..=0xdfff, Some(high)) => {
                let whole = 0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
                Said::Char(char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            (unit, _) => Said::Char(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> String {
        let mut escapes = Escapes::default();
        let said = json.chars().filter_map(|c| match escapes.take(c) {
            Said::Itself => Some(c),
            Said::More => None,
            Said::Char(c) => Some(c),
        });
        said.collect()
    }

    #[test]
    fn reads_what_strings_say() {
        assert_eq!(read(r#"{"a\"":"\u0041\n\\ \ud83d\ude00"}"#), "{\"a\"\":\"A\n\\ 😀\"}");
        assert_eq!(read(r#"\u0041 "\ud83dx\ude00""#), "\\u0041 \"x\u{fffd}\"");
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(text in "\\PC{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(read(&json), format!("\"{text}\""));
        }
    }
}
