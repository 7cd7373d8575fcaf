//! Characters that nobody sees, and those that turn round what stands beside them (Trojan Source).
//!
//! Many scripts need some of them: Persian and the scripts of India join and part letters with them,
//! emoji are put together with them, Arabic and Hebrew prose is set with marks. Where they are needed
//! they are not counted.

use std::ops::Range;

use super::Trait;

/// How many a text may have that hide nothing: an editor or a web page leaves some behind.
const FEW: usize = 4;

/// Looks at every character that is not ASCII.
pub(super) fn look(text: &str, report: &mut dyn FnMut(Trait, Range<usize>)) {
    let mut unseen = Unseen::default();
    let mut bidi = Bidi::default();
    let mut last = None;
    let mut at = 0;
    while let Some(next) = next_high(text.as_bytes(), at) {
        if next > at {
            let skipped = text.get(at..next).unwrap_or_default();
            bidi.line_ends(skipped, at);
            last = skipped.chars().next_back();
        }
        let mut characters = text.get(next..).unwrap_or_default().chars();
        let Some(letter) = characters.next() else { break };
        at = next + letter.len_utf8();
        // Letters, most of what is written in most scripts.
        if matches!(letter, '\u{ae}'..='\u{34e}' | '\u{350}'..='\u{58f}' | '\u{3165}'..='\u{d7ff}') {
            last = Some(letter);
            continue;
        }
        if let Some(kind) = kind(letter) {
            match kind {
                Kind::Direction => bidi.see(letter, next..at),
                Kind::Tag => {
                    let end = next + flag(text, next);
                    if end > next {
                        at = end;
                    } else {
                        unseen.hides(next..at);
                    }
                }
                _ => unseen.see(kind, last, characters.next(), next..at),
            }
        }
        bidi.letter(letter);
        last = Some(letter);
    }
    bidi.line_ends(text.get(at..).unwrap_or_default(), at);
    bidi.end(text.len());
    if let Some(span) = unseen.span.filter(|_| unseen.hiding > 0 || unseen.idle > FEW) {
        report(Trait::Invisible, span);
    }
    if let Some(span) = bidi.span {
        report(Trait::Bidi, span);
    }
}

/// The next byte from `at` on that is not ASCII.
fn next_high(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at).is_some_and(|byte| *byte >= 0x80) {
        return Some(at);
    }
    let mut from = at;
    for block in bytes.get(at..)?.chunks(32) {
        if block.iter().fold(0, |all, byte| all | byte) >= 0x80 {
            return block.iter().position(|byte| *byte >= 0x80).map(|place| from + place);
        }
        from += block.len();
    }
    None
}

/// Kinds of characters that are not seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Joins or parts the letters beside it.
    Joiner,
    /// Says how the character before it looks.
    Variation,
    /// A place where a word may be parted.
    Hyphen,
    /// Takes no room, and nobody needs it inside a word.
    Blank,
    /// Stands for a letter of Korean that is not there.
    Filler,
    /// Writes ASCII that is not shown.
    Tag,
    /// Sets the direction of what follows.
    Direction,
}

fn kind(letter: char) -> Option<Kind> {
    Some(match letter {
        '\u{200c}' | '\u{200d}' | '\u{34f}' => Kind::Joiner,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180d}' => Kind::Variation,
        '\u{ad}' => Kind::Hyphen,
        '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{180e}' | '\u{2800}' => {
            Kind::Blank
        }
        '\u{17b4}' | '\u{17b5}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' => Kind::Blank,
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => Kind::Filler,
        '\u{e0000}'..='\u{e007f}' => Kind::Tag,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Kind::Direction,
        _ => return None,
    })
}

/// The characters that nobody sees and nothing needs.
#[derive(Default)]
struct Unseen {
    /// How many hide something.
    hiding: usize,
    /// How many do not.
    idle: usize,
    span: Option<Range<usize>>,
}

impl Unseen {
    fn see(&mut self, kind: Kind, before: Option<char>, after: Option<char>, span: Range<usize>) {
        let word = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        let foreign =
            |letter: Option<char>| letter.is_some_and(|letter| !letter.is_ascii() && self::kind(letter).is_none());
        // What an emoji's variation follows may be followed by a joiner.
        let varied = before.is_some_and(|letter| self::kind(letter) == Some(Kind::Variation));
        let again = before.is_some_and(|letter| self::kind(letter) == Some(kind));
        let needed = match kind {
            Kind::Joiner => foreign(before) || varied,
            Kind::Variation => foreign(before) || before.is_some_and(|b| b.is_ascii_digit() || matches!(b, '#' | '*')),
            // A word is parted in the middle, not at every letter.
            Kind::Hyphen => word(before) == word(after) && !again,
            Kind::Blank => span.start == 0 || (foreign(before) && foreign(after)),
            Kind::Filler => foreign(before) || foreign(after),
            Kind::Tag | Kind::Direction => false,
        };
        if needed {
            return;
        }
        let inside = word(before) && word(after) && kind != Kind::Hyphen;
        if inside || again {
            self.hiding += 1;
        } else {
            self.idle += 1;
        }
        self.widen(span);
    }

    fn hides(&mut self, span: Range<usize>) {
        self.hiding += 1;
        self.widen(span);
    }

    fn widen(&mut self, span: Range<usize>) {
        self.span.get_or_insert(span.clone()).end = span.end;
    }
}

/// The bytes of the tags from a place on, where they are those of a flag: a black flag before them, a few
/// letters, an end. 0 where they are not.
fn flag(text: &str, at: usize) -> usize {
    let black = text.get(..at).is_some_and(|before| before.ends_with('\u{1f3f4}'));
    let tags = text.get(at..).unwrap_or_default().chars().take_while(|c| ('\u{e0030}'..='\u{e007f}').contains(c));
    let mut written = [0u8; 8];
    let mut length = 0;
    for (tag, place) in tags.zip(&mut written) {
        *place = (u32::from(tag) & 0x7f) as u8;
        length += tag.len_utf8();
        if *place == 0x7f {
            break;
        }
    }
    let known = [*b"gbeng\x7f\0\0", *b"gbsct\x7f\0\0", *b"gbwls\x7f\0\0"];
    if black && known.contains(&written) { length } else { 0 }
}

/// The characters that set a direction, line by line.
#[derive(Default)]
struct Bidi {
    /// Isolates and embeddings that are open in this line.
    open: usize,
    /// Where the first of this line stands.
    first: Option<usize>,
    /// Where the last one ends.
    last: usize,
    /// Whether this line has a letter that is read from right to left.
    arabic: bool,
    /// Whether one of this line's cannot be for anything good.
    bad: bool,
    /// Only a mark, not a turn, stands in this line.
    turns: bool,
    span: Option<Range<usize>>,
}

impl Bidi {
    fn see(&mut self, letter: char, span: Range<usize>) {
        self.first.get_or_insert(span.start);
        self.last = span.end;
        match letter {
            // An override shows letters in an order in which they do not stand.
            '\u{202d}' | '\u{202e}' => self.bad = true,
            '\u{202a}' | '\u{202b}' | '\u{2066}'..='\u{2068}' => {
                self.open += 1;
                self.turns = true;
            }
            '\u{202c}' | '\u{2069}' => match self.open.checked_sub(1) {
                Some(open) => self.open = open,
                None => self.turns = true,
            },
            _ => {}
        }
    }

    fn letter(&mut self, letter: char) {
        self.arabic |= matches!(letter, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
            && letter != '\u{61c}';
    }

    /// Takes in text that is ASCII, which may end lines.
    fn line_ends(&mut self, ascii: &str, at: usize) {
        if self.first.is_none() && !self.arabic {
            return;
        }
        if let Some(place) = memchr::memchr(b'\n', ascii.as_bytes()) {
            self.end(at + place);
        }
    }

    /// Judges the line that ends here.
    fn end(&mut self, at: usize) {
        if let Some(first) = self.first.filter(|_| self.bad || self.open > 0 || (self.turns && !self.arabic)) {
            let end = if self.open > 0 { at } else { self.last };
            self.span.get_or_insert(first..end).end = end;
        }
        *self = Self { span: self.span.take(), ..Self::default() };
    }
}
