//! Reading a line back: one object, in the one spelling that a draft has.
//!
//! Written by hand, because every line of a log is read when it is checked: nothing is copied, nothing is allocated.

use std::borrow::Cow;

use crate::canonical::is_timestamp;
use crate::chain::{SEAL_MARK, Seal};

/// The longest line, newline included, in bytes: an entry whose texts all have their full length and consist of
/// quotes stays below.
pub const MAX_LINE: usize = 32 * 1024;
/// The longest name of a field, in bytes: twice the longest there is.
const MAX_NAME: usize = 32;

/// A line, without its newline, that is an entry in canonical form: an object with its names in ascending order, once
/// each; texts, whole numbers from 0, `true` and `false`; Python's separators and escapes.
#[derive(Clone, Copy, Debug)]
pub struct Line<'l> {
    text: &'l str,
    /// Where the seal's field stands, in bytes, with the comma before it.
    gap: usize,
    /// The number of the entry.
    pub seq_no: u64,
    /// When it was sealed, as `2026-11-21T02:03:04.123456+00:00`.
    pub timestamp: &'l str,
    /// Its seal. Whether that holds is not checked here.
    pub seal: Seal,
    /// What kind of entry it is, as it stands between its quotes.
    pub event_type: &'l str,
    /// In the first entry of a segment: its number, above 0.
    pub segment: Option<u64>,
    /// In the first entry of a segment: the last seal of the segment before.
    pub previous_hmac: Option<Seal>,
}

/// What a field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'l> {
    /// A whole number.
    Number(u64),
    /// A text, as it stands between its quotes, escapes included.
    Text(&'l str),
    /// `true` or `false`.
    Truth(bool),
}

impl<'l> Line<'l> {
    /// Reads a line. `None` when it is not an entry in canonical form.
    #[must_use]
    pub fn read(line: &'l [u8]) -> Option<Self> {
        // Without an early end the compiler looks at many bytes at once.
        let control = line.iter().fold(false, |found, b| found | (*b < 0x20));
        if line.len() >= MAX_LINE || control {
            return None;
        }
        let mut fields = Fields::open(std::str::from_utf8(line).ok()?)?;
        let (mut seq_no, mut timestamp, mut seal, mut event_type) = (None, None, None, None);
        let (mut segment, mut previous_hmac) = (None, None);
        let mut before = "";
        loop {
            let start = fields.at;
            let Some((name, value)) = fields.next()? else { break };
            if name <= before {
                return None;
            }
            before = name;
            match (name, value) {
                // The first field has no comma before it, so the seal cannot be that.
                ("entry_hmac", Value::Text(text)) if start > 1 => seal = Some((start, Seal::parse(text)?)),
                ("event_type", Value::Text(text)) => event_type = Some(text),
                ("previous_hmac", Value::Text(text)) => previous_hmac = Some(Seal::parse(text)?),
                ("segment", Value::Number(number)) if number > 0 => segment = Some(number),
                ("seq_no", Value::Number(number)) => seq_no = Some(number),
                ("timestamp", Value::Text(text)) if is_timestamp(text) => timestamp = Some(text),
                ("entry_hmac" | "event_type" | "previous_hmac" | "segment" | "seq_no" | "timestamp", _) => return None,
                _ => {}
            }
        }
        let (gap, seal) = seal?;
        Some(Self {
            text: fields.text,
            gap,
            seq_no: seq_no?,
            timestamp: timestamp?,
            seal,
            event_type: event_type?,
            segment,
            previous_hmac,
        })
    }

    /// What a field says.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Value<'l>> {
        self.fields().find(|(this, _)| *this == name).map(|(_, value)| value)
    }

    /// All fields, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'l str, Value<'l>)> + use<'l> {
        let mut fields = Fields::open(self.text);
        std::iter::from_fn(move || fields.as_mut()?.next()?)
    }

    /// The whole line.
    #[must_use]
    pub fn bytes(&self) -> &'l [u8] {
        self.text.as_bytes()
    }

    /// The line without its seal, which is what the seal covers: what stands before and what stands after.
    #[must_use]
    pub fn unsealed(&self) -> (&'l [u8], &'l [u8]) {
        // Its field has one length: the mark, 64 digits, a quote.
        let after = self.gap + SEAL_MARK.len() + 64 + 1;
        let bytes = self.bytes();
        (bytes.get(..self.gap).unwrap_or_default(), bytes.get(after..).unwrap_or_default())
    }
}

impl<'l> Value<'l> {
    /// A text without its escapes. `None` for a number or a truth.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'l, str>> {
        let Self::Text(raw) = *self else { return None };
        if !raw.contains('\\') {
            return Some(Cow::Borrowed(raw));
        }
        let mut text = String::with_capacity(raw.len());
        let mut chars = raw.chars();
        while let Some(c) = chars.next() {
            text.push(if c == '\\' { escaped(&mut chars)? } else { c });
        }
        Some(Cow::Owned(text))
    }

    /// A number. `None` for a text or a truth.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        if let Self::Number(number) = *self { Some(number) } else { None }
    }
}

/// The character that an escape stands for, its backslash taken already. Each has one spelling, that of Python: a short
/// escape where there is one, and `\u` with four hex digits in lower case for the other control characters.
fn escaped(rest: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match rest.next()? {
        same @ ('"' | '\\') => same,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            if (rest.next()?, rest.next()?) != ('0', '0') {
                return None;
            }
            let high = rest.next().filter(|digit| matches!(digit, '0' | '1'))?;
            let low = rest.next().filter(|digit| matches!(digit, '0'..='9' | 'a'..='f'))?;
            let code = char::from_u32(high.to_digit(16)? * 16 + low.to_digit(16)?)?;
            return (!matches!(code, '\u{8}' | '\u{c}' | '\n' | '\r' | '\t')).then_some(code);
        }
        _ => return None,
    })
}

/// The fields of an object that are still to come.
struct Fields<'l> {
    text: &'l str,
    at: usize,
}

impl<'l> Fields<'l> {
    fn open(text: &'l str) -> Option<Self> {
        text.starts_with('{').then_some(Self { text, at: 1 })
    }

    /// The next field; `Some(None)` at the end of the object and of the text. `None` when it is not in canonical form.
    fn next(&mut self) -> Option<Option<(&'l str, Value<'l>)>> {
        let rest = self.text.as_bytes().get(self.at..)?;
        if rest == b"}" {
            return Some(None);
        }
        let opening: &[u8] = if self.at == 1 { b"\"" } else { b", \"" };
        let rest = rest.strip_prefix(opening)?;
        let of_a_name = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
        // Names are short: a search for the quote would take longer.
        let length = rest.iter().take(MAX_NAME + 1).position(|b| !of_a_name(b)).filter(|length| *length > 0)?;
        let rest = rest.get(length..)?.strip_prefix(b"\": ")?;
        let from = self.at + opening.len();
        let name = self.text.get(from..from + length)?;
        self.at = from + length + 3;
        let value = match rest.first()? {
            b'"' => self.read_text()?,
            b't' => self.truth(rest, b"true", true)?,
            b'f' => self.truth(rest, b"false", false)?,
            _ => self.number(rest)?,
        };
        Some(Some((name, value)))
    }

    fn truth(&mut self, rest: &[u8], word: &[u8], truth: bool) -> Option<Value<'l>> {
        self.at += rest.starts_with(word).then_some(word.len())?;
        Some(Value::Truth(truth))
    }

    fn number(&mut self, rest: &[u8]) -> Option<Value<'l>> {
        let length = rest.iter().position(|b| !b.is_ascii_digit())?;
        let digits = rest.get(..length)?;
        if digits.is_empty() || (length > 1 && digits.starts_with(b"0")) {
            return None;
        }
        let add = |number: u64, digit: &u8| number.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        self.at += length;
        digits.iter().try_fold(0, add).map(Value::Number)
    }

    /// Reads a text from its opening quote to its closing one.
    fn read_text(&mut self) -> Option<Value<'l>> {
        let inner = self.text.get(self.at + 1..)?;
        let mut length = 0;
        loop {
            let rest = inner.get(length..)?;
            let found = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
            length += found + 1;
            if rest.as_bytes().get(found) == Some(&b'"') {
                break;
            }
            let mut after = inner.get(length..)?.chars();
            escaped(&mut after)?;
            length = inner.len() - after.as_str().len();
        }
        self.at += 1 + length;
        inner.get(..length - 1).map(Value::Text)
    }
}

#[cfg(test)]
mod tests;
