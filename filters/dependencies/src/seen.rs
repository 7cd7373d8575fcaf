//! A line as a tool would read it if nobody had disguised it, and where each byte of it came from.

use std::ops::Range;

use unicode_normalization::char::decompose_compatible;

/// As many ASCII characters as one character may stand for.
const LONGEST: usize = 8;

/// A text that grows, without its disguises: compatibility forms of ASCII characters are these, what cannot
/// be seen is gone. Anything else stays as it is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    text: String,
    /// Bytes of the source that were taken in.
    came: usize,
    /// For each byte of the text where the source's character begins and ends, from the first place on where they
    /// differ.
    from: Vec<(usize, usize)>,
}

impl Seen {
    pub(crate) fn of(source: &str) -> Self {
        let mut seen = Self::default();
        seen.push(source);
        seen
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.from.clear();
        self.came = 0;
    }

    /// Goes on with a piece of the source.
    pub(crate) fn push(&mut self, source: &str) {
        if self.is_same() && source.bytes().all(is_plain) {
            self.text.push_str(source);
            self.came += source.len();
            return;
        }
        for c in source.chars() {
            let mut room = ['\0'; LONGEST];
            let made = reads_as(c, &mut room);
            let same = self.is_same() && made == [c];
            for made in made {
                self.text.push(*made);
                if !same {
                    self.from.extend(std::iter::repeat_n((self.came, self.came + c.len_utf8()), made.len_utf8()));
                }
            }
            self.came += c.len_utf8();
        }
    }

    /// Whether nothing differs so far.
    fn is_same(&self) -> bool {
        self.from.is_empty() && self.text.len() == self.came
    }

    /// The byte of the source that a byte of the text came from; of its end, the source's end.
    pub(crate) fn source(&self, at: usize) -> usize {
        if at >= self.text.len() {
            return self.came;
        }
        self.differs(at).map_or(at, |(start, _)| start)
    }

    /// The end of what the text up to a place came from. What cannot be seen does not belong to it.
    pub(crate) fn source_end(&self, at: usize) -> usize {
        let Some(last) = at.checked_sub(1) else { return 0 };
        self.differs(last).map_or(at, |(_, end)| end)
    }

    fn differs(&self, at: usize) -> Option<(usize, usize)> {
        let same = self.text.len() - self.from.len();
        at.checked_sub(same).and_then(|at| self.from.get(at)).copied()
    }

    /// The part of the source that a part of the text came from.
    pub(crate) fn part(&self, part: Range<usize>) -> Range<usize> {
        let end = self.source_end(part.end);
        self.source(part.start).min(end)..end
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n')
}

/// The characters that a character stands for.
fn reads_as(c: char, ascii: &mut [char; LONGEST]) -> &[char] {
    let one = match c {
        ' '..='~' | '\t' | '\n' => c,
        '\r' => '\n',
        '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{1680}' | '\u{2800}' => ' ',
        // Editors make one dash of two; between words it parts them.
        '\u{2014}' | '\u{2015}' => return write(&['-', '-'], ascii),
        '\u{2010}'..='\u{2013}' | '\u{2212}' | '\u{FE58}' => '-',
        '\u{201C}'..='\u{201F}' => '"',
        '\u{2018}'..='\u{201B}' => '\'',
        _ if is_invisible(c) => return &[],
        _ => return compatible(c, ascii),
    };
    write(&[one], ascii)
}

/// A compatibility form of ASCII characters: full width, mathematical, circled.
fn compatible(c: char, ascii: &mut [char; LONGEST]) -> &[char] {
    let (mut parts, mut count, mut plain) = (['\0'; LONGEST], 0, true);
    decompose_compatible(c, |part| {
        if let Some(slot) = parts.get_mut(count) {
            *slot = part;
        }
        plain &= part.is_ascii() && part != '\n';
        count += 1;
    });
    let parts = if plain { parts.get(..count) } else { None };
    write(parts.unwrap_or(&[c]), ascii)
}

fn write<'a>(made: &[char], into: &'a mut [char; LONGEST]) -> &'a [char] {
    for (slot, made) in into.iter_mut().zip(made) {
        *slot = *made;
    }
    into.get(..made.len()).unwrap_or_default()
}

/// Controls, format characters and fillers: nothing is seen where they stand.
fn is_invisible(c: char) -> bool {
    matches!(c, '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}'
        | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn disguises_fall() {
        for (given, read) in [
            ("pip install x", "pip install x"),
            ("pip\u{200B} in\u{AD}stall x", "pip install x"),
            ("ｐｉｐ　ｉｎｓｔａｌｌ x", "pip install x"),
            ("pip\u{A0}install x–y", "pip install x-y"),
            ("réquests рip ℡", "réquests рip TEL"),
            ("pip install —upgrade x—y", "pip install --upgrade x--y"),
        ] {
            assert_eq!(Seen::of(given).text(), read, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn places_map_back_however_it_is_cut(text in "([ -~]|[a\u{200B}ｐé½ﷺ“\u{AD}]){0,40}", cut: usize) {
            let whole = Seen::of(&text);
            let cut = text.char_indices().map(|(at, _)| at).nth(cut % (text.chars().count() + 1)).unwrap_or(text.len());
            let mut pieces = Seen::default();
            let (first, second) = text.split_at(cut);
            pieces.push(first);
            pieces.push(second);
            prop_assert_eq!(whole.text(), pieces.text());
            let mut before = 0;
            for at in (0..=whole.text().len()).filter(|at| whole.text().is_char_boundary(*at)) {
                prop_assert_eq!(whole.source(at), pieces.source(at));
                prop_assert!(whole.source(at) >= before);
                before = whole.source(at);
                prop_assert!(text.is_char_boundary(before));
                if let Some(c) = whole.text().get(at..).and_then(|rest| rest.chars().next())
                    && c.is_alphabetic()
                {
                    let source = text[before..].chars().next().unwrap();
                    let mut room = ['\0'; LONGEST];
                    prop_assert!(reads_as(source, &mut room).contains(&c));
                }
            }
        }
    }
}
