//! Reading JSON as servers write it: pieces of an answer are small, many, and all alike.
//!
//! What is rare, and all that is wrong, is left to the reader that says what is wrong with it: large documents and
//! objects, deep ones, keys with escapes or letters beyond ASCII, and keys that are alike. What is read here is read
//! as it reads it.

use std::borrow::Cow;

use serde_json::Number;

use super::Json;

/// Larger documents are not read here, and so none of them holds too many values.
const LARGE: usize = 64 << 10;
/// Nor are deeper ones, and objects with more keys.
const DEEP: usize = 16;
const KEYS: usize = 32;

/// A document, if it is one of those that are read here.
pub(super) fn read(text: &str) -> Option<Json<'_>> {
    if text.len() > LARGE {
        return None;
    }
    let mut reader = Reader { text, at: 0 };
    let mut json = Json::Null;
    reader.value(0, &mut json)?;
    reader.space().is_none().then_some(json)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes over what stands between values. Returns the byte behind it.
    fn space(&mut self) -> Option<u8> {
        loop {
            match self.byte()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Reads a value, to where it is to stand: what is moved around is slower than what is read.
    fn value(&mut self, depth: usize, into: &mut Json<'a>) -> Option<()> {
        match self.space()? {
            b'"' => self.string(into)?,
            b'{' if depth < DEEP => self.object(depth + 1, into)?,
            b'[' if depth < DEEP => self.array(depth + 1, into)?,
            b't' => *into = self.word("true", Json::Bool(true))?,
            b'f' => *into = self.word("false", Json::Bool(false))?,
            b'n' => *into = self.word("null", Json::Null)?,
            b'-' | b'0'..=b'9' => *into = Json::Number(self.number()?),
            _ => return None,
        }
        Some(())
    }

    fn word(&mut self, word: &str, says: Json<'a>) -> Option<Json<'a>> {
        let there = self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        there.then_some(says)
    }

    fn number(&mut self) -> Option<Number> {
        let rest = self.text.get(self.at..)?;
        let end = rest.bytes().position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
        let number = rest.get(..end.unwrap_or(rest.len()))?;
        self.at += number.len();
        let whole = number.len() < 19 && number.bytes().all(|byte| byte.is_ascii_digit());
        if number == "0" || whole && !number.starts_with('0') {
            let number = number.bytes().fold(0, |number: u64, digit| number * 10 + u64::from(digit - b'0'));
            return Some(number.into());
        }
        serde_json::from_str(number).ok()
    }

    fn array(&mut self, depth: usize, into: &mut Json<'a>) -> Option<()> {
        self.at += 1;
        *into = Json::Array(Vec::new());
        let Json::Array(items) = into else { return None };
        if self.space()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            items.push(Json::Null);
            self.value(depth, items.last_mut()?)?;
            let next = self.space()?;
            self.at += 1;
            match next {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn object(&mut self, depth: usize, into: &mut Json<'a>) -> Option<()> {
        self.at += 1;
        *into = Json::Object(Vec::new());
        let Json::Object(entries) = into else { return None };
        if self.space()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            if self.space()? != b'"' {
                return None;
            }
            let key = self.plain()?;
            let alike = |(known, _): &(Cow<'_, str>, _)| known.len() == key.len() && known.eq_ignore_ascii_case(key);
            if !key.is_ascii() || entries.len() >= KEYS || entries.iter().any(alike) {
                return None;
            }
            if self.space()? != b':' {
                return None;
            }
            self.at += 1;
            entries.push((Cow::Borrowed(key), Json::Null));
            self.value(depth, &mut entries.last_mut()?.1)?;
            let next = self.space()?;
            self.at += 1;
            match next {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A string, of which the first quote is the next byte.
    fn string(&mut self, into: &mut Json<'a>) -> Option<()> {
        let begin = self.at;
        if let Some(text) = self.plain() {
            *into = Json::String(Cow::Borrowed(text));
            return Some(());
        }
        let mut end = self.ends(begin + 1)?;
        loop {
            match self.text.as_bytes().get(end)? {
                b'"' => break,
                b'\\' => end = self.ends(end + 2)?,
                _ => return None,
            }
        }
        self.at = end + 1;
        *into = Json::String(serde_json::from_str(self.text.get(begin..=end)?).ok()?);
        Some(())
    }

    /// A string without escapes.
    fn plain(&mut self) -> Option<&'a str> {
        let begin = self.at + 1;
        let end = self.ends(begin)?;
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(begin..end)
    }

    /// The next place from here on that holds a quote, a backslash, or what no string may hold.
    fn ends(&self, from: usize) -> Option<usize> {
        const ONES: u64 = u64::MAX / 255;
        let rest = self.text.as_bytes().get(from..)?;
        let (eights, few) = rest.as_chunks::<8>();
        let mut at = from;
        for eight in eights {
            let bytes = u64::from_le_bytes(*eight);
            // The highest bit of each byte that is below another one; behind the first such byte it may be wrong.
            let below = |bytes: u64, most: u8| bytes.wrapping_sub(ONES * u64::from(most)) & !bytes;
            let is = |byte: u8| below(bytes ^ (ONES * u64::from(byte)), 1);
            let found = (below(bytes, b' ') | is(b'"') | is(b'\\')) & (ONES << 7);
            if found != 0 {
                return Some(at + found.trailing_zeros() as usize / 8);
            }
            at += 8;
        }
        few.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' ')).map(|more| at + more)
    }
}

#[cfg(test)]
mod tests;
