//! Requirements that stand in a line of prose: `name==1.2`.

use std::ops::Range;

/// Finds them while a line grows. What has no `==` counts at the beginning of a line only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins {
    at: usize,
    state: State,
    /// Whether a word came before.
    later: bool,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Between,
    Name {
        start: usize,
    },
    /// Blanks behind a first name.
    Blank {
        start: usize,
    },
    Operator {
        start: usize,
        at: usize,
    },
    Version {
        start: usize,
        at: usize,
    },
}

/// A requirement: all of it, and from where on it was held.
pub(crate) struct Pin {
    pub(crate) all: Range<usize>,
    pub(crate) held: Range<usize>,
}

impl Pins {
    pub(crate) fn held(&self) -> Option<usize> {
        match self.state {
            State::Operator { at, .. } | State::Version { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Follows what the line has grown by.
    pub(crate) fn feed(&mut self, text: &str, found: &mut dyn FnMut(Pin)) {
        while let Some(c) = text.get(self.at..).and_then(|rest| rest.chars().next()) {
            let at = self.at;
            self.at += c.len_utf8();
            self.step(text, c, at, found);
        }
    }

    /// The line has ended.
    pub(crate) fn end(&mut self, text: &str, found: &mut dyn FnMut(Pin)) {
        self.feed(text, found);
        self.step(text, '\n', text.len(), found);
        *self = Self::default();
    }

    fn step(&mut self, text: &str, c: char, at: usize, found: &mut dyn FnMut(Pin)) {
        self.state = match self.state {
            State::Between if c.is_alphanumeric() => State::Name { start: at },
            State::Between => State::Between,
            State::Name { start } if c.is_alphanumeric() || "-_.[]".contains(c) => State::Name { start },
            State::Name { start } | State::Blank { start } if "=<>~!".contains(c) => State::Operator { start, at },
            State::Name { start } | State::Blank { start } if c == ' ' && !self.later => State::Blank { start },
            State::Operator { start, at } if "=<>~! ".contains(c) => State::Operator { start, at },
            State::Operator { start, at } if c.is_ascii_digit() => State::Version { start, at },
            State::Version { start, at } if c.is_ascii_alphanumeric() || ".+*!-_,<>=~".contains(c) => {
                State::Version { start, at }
            }
            State::Version { start, at: held } => {
                self.finish(text, start, held..at, found);
                State::Between
            }
            // What is no name may be followed by one: the character begins it.
            State::Blank { .. } | State::Operator { .. } if c.is_alphanumeric() => {
                self.later = true;
                State::Name { start: at }
            }
            _ => State::Between,
        };
        if matches!(self.state, State::Between) && !c.is_whitespace() && !"-*+>`'\"".contains(c) {
            self.later = true;
        }
    }

    fn finish(&mut self, text: &str, start: usize, held: Range<usize>, found: &mut dyn FnMut(Pin)) {
        let all = text.get(start..held.end).unwrap_or_default().trim_end_matches(['.', ',', '-']);
        let operator = text.get(held.clone()).unwrap_or_default();
        let pinned = operator.starts_with("==") && operator.contains('.') && !operator.starts_with("== ");
        let compares = ["==", "~=", ">=", "<=", "!="].iter().any(|two| operator.starts_with(two));
        if pinned || (compares && !self.later) {
            found(Pin { all: start..start + all.len(), held });
        }
        self.later = true;
    }
}
