//! JSON as it grows: where it says what a project needs.
//!
//! It is followed a character at a time, wherever it stands: a manifest, one within another document, code. What is
//! no JSON makes it give up the string it is in, not the rest.

mod role;

use std::ops::Range;

use crate::format::Hint;
use crate::found::{Spec, What};
use crate::lines::Out;
use crate::written;
use role::{Object, Role};

/// The deepest nesting that is followed; no manifest goes half as deep.
const DEEPEST: usize = 64;
/// The longest string that is kept: two names and an address fit in.
const LONGEST: usize = 2048;

/// Follows JSON.
#[derive(Clone, Debug, Default)]
pub(crate) struct Json {
    levels: Vec<Level>,
    /// So many levels deeper than what is followed.
    deeper: usize,
    string: Option<Text>,
    /// A string that is a key if a colon follows.
    before: Option<Text>,
    /// The key whose value comes.
    key: Option<Text>,
    began: bool,
    /// The text is nothing but JSON.
    strict: bool,
    broken: bool,
}

/// An object or an array.
#[derive(Clone, Debug)]
struct Level {
    role: Role,
    start: usize,
    object: Object,
    array: bool,
}

/// A string, and where it stands.
#[derive(Clone, Debug, Default)]
struct Text {
    text: String,
    place: Range<usize>,
    long: bool,
    escape: Escape,
}

#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    No,
    Begun,
    Code {
        digits: u8,
        value: u32,
    },
}

impl Json {
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    /// Takes a character at a place of the whole text.
    pub(crate) fn feed(&mut self, c: char, place: Range<usize>, out: &mut Out<'_>) {
        if let Some(mut string) = self.string.take() {
            if c == '\n' {
                // No string goes on in the next line.
                return self.fail();
            }
            string.place.end = place.end;
            if string.push(c) {
                self.end_string(string, out)
            } else {
                self.string = Some(string)
            }
            return;
        }
        match c {
            '"' => self.string = Some(Text { place, ..Text::default() }),
            ':' => {
                if let Some(before) = self.before.take() {
                    self.key = Some(before);
                }
            }
            '{' | '[' => self.open(c == '[', place.start),
            '}' | ']' => self.close(c == ']', place.end, out),
            ',' => {
                self.key = None;
                self.before = None;
            }
            _ if c.is_whitespace() => {}
            _ => self.before = None,
        }
    }

    /// From where on it must be held: the entry that is not read to its end.
    pub(crate) fn held(&self) -> Option<usize> {
        let entry =
            self.levels.iter().find(|level| level.role.is_entry() && !level.object.told).map(|level| level.start);
        let section = self.levels.last().is_some_and(|level| level.role.is_section());
        let key = self.key.as_ref().filter(|key| section || Role::may_begin(&key.text));
        let string = self.string.as_ref().or(self.before.as_ref());
        let string = string.filter(|string| {
            section || (self.key.is_none() && Role::may_begin(&string.text)) || may_be_npm(&string.text)
        });
        entry.into_iter().chain(key.map(|key| key.place.start)).chain(string.map(|string| string.place.start)).min()
    }

    /// The text has ended, or what follows is another one.
    pub(crate) fn end(&mut self, at: usize, out: &mut Out<'_>) {
        let open = !self.levels.is_empty() || self.string.is_some() || self.deeper > 0;
        if self.strict && (open || self.broken || !self.began) {
            out.fail(What::Json, at..at);
        }
        *self = Self::new(self.strict);
    }

    fn fail(&mut self) {
        self.broken = true;
        self.before = None;
        self.key = None;
    }

    fn open(&mut self, array: bool, at: usize) {
        self.began = true;
        self.before = None;
        let key = self.key.take();
        if self.levels.len() >= DEEPEST {
            self.deeper += 1;
            self.broken = true;
            return;
        }
        let name = key.as_ref().map(|key| key.text.as_str());
        let role = self.levels.last().map_or_else(
            || Role::None.below(name, array),
            |above| above.role.given(&above.object, name, array).unwrap_or_else(|| above.role.below(name, array)),
        );
        let start = key.map_or(at, |key| key.place.start);
        self.levels.push(Level { role, start, object: Object::default(), array });
    }

    fn close(&mut self, array: bool, at: usize, out: &mut Out<'_>) {
        self.key = None;
        self.before = None;
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        let Some(mut level) = self.levels.pop() else {
            self.broken = true;
            return;
        };
        self.broken |= level.array != array;
        let start = level.start;
        if let Some(line) = level.role.run(&level.object) {
            let findings = crate::find(&line, Hint::Language("sh"));
            findings.unreadable.into_iter().for_each(|unreadable| out.fail(unreadable.what, start..at));
            for found in findings.found {
                let how = found.how;
                out.add(written::spec(found), how, start..at);
            }
        }
        level.role.close(&mut level.object, &mut |spec, how| out.add(spec, how, start..at));
    }

    fn end_string(&mut self, string: Text, out: &mut Out<'_>) {
        let key = self.key.take();
        let Some(level) = self.levels.last_mut() else {
            match key {
                // A part of a document, without its brackets.
                Some(_) => {}
                None => self.before = Some(string),
            }
            return;
        };
        let place = key.as_ref().map_or(string.place.start, |key| key.place.start)..string.place.end;
        if key.is_none() && !level.array {
            self.before = Some(string);
            return;
        }
        let key = key.unwrap_or_default();
        if (string.long || key.long) && level.role.is_section() {
            return out.fail(What::Name, place);
        }
        let place = if level.role.is_entry() && !level.object.told { level.start..place.end } else { place };
        let npm = string.text.strip_prefix("npm:").filter(|_| !level.role.is_section()).and_then(crate::spec::npm);
        if let Some(spec) = npm {
            out.add(spec, crate::How::Manifest, place.clone());
        }
        level.role.string(&mut level.object, &key.text, &string.text, &mut |spec: Spec, how| {
            out.add(spec, how, place.clone());
        });
    }
}

/// Whether a string is, or may become, one of a registry that code names.
fn may_be_npm(text: &str) -> bool {
    text.starts_with("npm:") || "npm:".starts_with(text)
}

impl Text {
    /// Takes a character in, and says whether the string ends with it.
    fn push(&mut self, c: char) -> bool {
        self.escape = match self.escape {
            Escape::No if c == '\\' => Escape::Begun,
            Escape::No if c == '"' => return true,
            Escape::No => {
                self.put(c);
                Escape::No
            }
            Escape::Begun if c == 'u' => Escape::Code { digits: 0, value: 0 },
            Escape::Begun => {
                self.put(match c {
                    'n' | 'r' | 't' | 'b' | 'f' => ' ',
                    c => c,
                });
                Escape::No
            }
            Escape::Code { digits, value } => match c.to_digit(16) {
                Some(digit) if digits < 3 => Escape::Code { digits: digits + 1, value: value * 16 + digit },
                Some(digit) => {
                    self.put(char::from_u32(value * 16 + digit).unwrap_or('\u{FFFD}'));
                    Escape::No
                }
                None => Escape::No,
            },
        };
        false
    }

    fn put(&mut self, c: char) {
        if self.text.len() < LONGEST { self.text.push(c) } else { self.long = true }
    }
}
