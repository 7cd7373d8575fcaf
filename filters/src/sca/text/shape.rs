//! Whether a text that grows may yet become JSON.

/// The deepest nesting of arguments that is followed.
const DEEPEST: usize = 64;

/// Whether a text that grows is JSON so far, as its brackets and strings say.
#[derive(Clone, Default)]
pub(super) struct Shape {
    /// The brackets that stand open, by what closes them.
    open: Vec<char>,
    within: bool,
    escaped: bool,
    /// The last character outside of strings that is no blank; `"` for a string.
    last: Option<char>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Broken,
    Open,
    Whole,
}

impl Shape {
    pub(super) fn feed(&mut self, piece: &str) -> State {
        for c in piece.chars() {
            match self.step(c) {
                State::Open => {}
                done => return done,
            }
        }
        State::Open
    }

    fn step(&mut self, c: char) -> State {
        if self.within {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => {
                    self.within = false;
                    return if self.open.is_empty() { State::Whole } else { State::Open };
                }
                _ => {}
            }
            return State::Open;
        }
        if c.is_whitespace() {
            return State::Open;
        }
        let last = self.last.replace(c);
        let after_begin = matches!(last, None | Some('{' | '[' | ',' | ':'));
        let right = match c {
            '{' | '[' => last != Some('{') && after_begin && self.open.len() < DEEPEST,
            '"' => after_begin,
            '}' | ']' => self.open.last() == Some(&c) && !matches!(last, Some(',' | ':')),
            ':' => self.open.last() == Some(&'}') && last == Some('"'),
            ',' => !after_begin,
            // Numbers, `true`, `false`, `null`.
            _ => {
                (c.is_ascii_alphanumeric() || "+-.".contains(c)) && !matches!(last, None | Some('{' | '}' | ']' | '"'))
            }
        };
        if !right {
            return State::Broken;
        }
        match c {
            '"' => self.within = true,
            '{' => self.open.push('}'),
            '[' => self.open.push(']'),
            '}' | ']' => {
                self.open.pop();
                if self.open.is_empty() {
                    return State::Whole;
                }
            }
            _ => {}
        }
        State::Open
    }
}
