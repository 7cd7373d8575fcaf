//! Where in a line a command may have begun, and where it ends.

use std::ops::Range;

use super::head::{Head, Step, could_begin, may_be_first};
use super::packages::{is_prose, joins};

/// As many quotes may stand open around a command.
const MOST_QUOTES: usize = 8;
/// As many low lines in a row as emphasise a word; more are a line or a name.
const LONGEST_EMPHASIS: usize = 3;
/// The longest name of a tool, with a version and what may end it, in bytes. A longer word is none: it is not looked at
/// with every character that it grows by.
const LONGEST_TOOL: usize = 24;
/// As many marks and blanks may stand before the command of a line, if it has any.
const MOST_LINE_MARKS: usize = 64;
/// The longest word that is looked up in prose; names that are longer are no words of it.
const LONGEST_WORD: usize = 24;

/// A command: bytes of the line, from the name of its tool to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) range: Range<usize>,
    /// Where what it installs begins.
    pub(crate) from: usize,
    /// Whether it stands in prose: words of it may follow.
    pub(crate) prose: bool,
    /// Whether it is a list of strings.
    pub(crate) list: bool,
}

/// What a line is that may hold commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Around {
    /// A program: a command in it stands in a string, or in the prose of a comment.
    Code,
    /// Words of prose may follow a command, unless marks stand around it.
    #[default]
    Prose,
    /// A command may be all of it.
    Shell,
}

/// Follows one line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scan {
    around: Around,
    at: usize,
    before: Option<char>,
    quotes: Vec<char>,
    state: State,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Idle,
    /// The name of a tool, perhaps.
    Word { start: usize },
    /// A tool's name, and not yet what it is asked to do.
    Head { start: usize, head: Head, word: Option<usize>, list: bool, quote: Option<char> },
    /// What it installs.
    Taking {
        start: usize,
        from: usize,
        close: Option<char>,
        quote: Option<char>,
        word: Option<usize>,
        list: bool,
        prose: bool,
        /// The last word was one that may join two packages.
        joined: bool,
        /// Brackets that it opened.
        depth: usize,
    },
}

/// What a character makes of a state.
enum Next {
    Stay,
    Idle,
    /// Nothing began: the text from here is looked at anew.
    Again(usize),
    Done(Statement),
    /// The same, and the text from here is looked at anew.
    DoneAgain(Statement, usize),
}

impl Scan {
    pub(crate) fn new(around: Around) -> Self {
        Self { around, ..Self::default() }
    }

    /// From where on the line may yet be a command.
    pub(crate) fn held(&self) -> Option<usize> {
        match &self.state {
            State::Idle => None,
            State::Word { start } | State::Head { start, .. } | State::Taking { start, .. } => Some(*start),
        }
    }

    /// Where what a command installs begins, while it is not at its end.
    pub(crate) fn taking(&self) -> Option<usize> {
        match self.state {
            State::Taking { from, .. } => Some(from),
            _ => None,
        }
    }

    /// Whether a command has begun, and is not at its end.
    pub(crate) fn is_begun(&self) -> bool {
        matches!(self.state, State::Head { .. } | State::Taking { .. })
    }

    /// Whether the line goes on in the next one: `text` ends with what says so, or a list is open.
    pub(crate) fn continues(&self, text: &str) -> bool {
        let goes_on = text.ends_with('\\') || text.ends_with(" `") || text.ends_with(" ^");
        match &self.state {
            State::Head { list, .. } | State::Taking { list, .. } => *list || goes_on,
            _ => false,
        }
    }

    /// Follows what the line has grown by.
    pub(crate) fn feed(&mut self, text: &str, done: &mut dyn FnMut(Statement)) {
        while let Some(c) = text.get(self.at..).and_then(|rest| rest.chars().next()) {
            let at = self.at;
            self.at += c.len_utf8();
            match self.step(text, c, at) {
                Next::Stay => {
                    self.quote(c);
                    self.before = Some(self.settle(c));
                }
                Next::Idle => {
                    self.state = State::Idle;
                    self.quote(c);
                    self.before = Some(self.settle(c));
                }
                Next::Again(from) => {
                    self.state = State::Idle;
                    self.at = from;
                    self.before = Some(' ');
                }
                Next::DoneAgain(statement, from) => {
                    self.state = State::Idle;
                    self.at = from;
                    self.before = Some(' ');
                    done(statement);
                }
                Next::Done(statement) => {
                    self.state = State::Idle;
                    self.quote(c);
                    self.before = Some(self.settle(c));
                    done(statement);
                }
            }
        }
    }

    /// The line has ended.
    pub(crate) fn end(&mut self, text: &str, done: &mut dyn FnMut(Statement)) {
        self.feed(text, done);
        match &self.state {
            State::Taking { start, from, list, prose, .. } => {
                done(Statement { range: *start..text.len(), from: *from, prose: *prose, list: *list });
            }
            // It names nothing: what stands before it may hand it something.
            State::Head { start, head, word: Some(from), list: false, .. } => {
                let complete = text.get(*from..).unwrap_or_default().trim_end_matches(['\\', '"', '\'', '*']);
                if !complete.is_empty() && matches!(head.clone().word(complete), Step::Yes(_)) {
                    done(Statement { range: *start..text.len(), from: text.len(), prose: false, list: false });
                }
            }
            State::Head { .. } | State::Idle | State::Word { .. } => {}
        }
        *self = Self::new(self.around);
    }

    /// What counts as the character before the next one: an escape is a blank.
    fn settle(&self, c: char) -> char {
        match self.before {
            Some('\\') if matches!(c, 'n' | 'r' | 't') => ' ',
            Some('\\') if c == '\\' => ' ',
            _ => c,
        }
    }

    /// Keeps the quotes that stand open outside of commands.
    fn quote(&mut self, c: char) {
        if !matches!(c, '"' | '\'' | '`') || self.before == Some('\\') || !matches!(self.state, State::Idle) {
            return;
        }
        // Several backticks are one mark.
        if c == '`' && self.before == Some('`') {
            return;
        }
        if let Some(open) = self.quotes.iter().position(|open| *open == c) {
            self.quotes.truncate(open);
        } else if !(c == '\'' && self.before.is_some_and(char::is_alphanumeric)) && self.quotes.len() < MOST_QUOTES {
            self.quotes.push(c);
        }
    }

    fn step(&mut self, text: &str, c: char, at: usize) -> Next {
        let before = self.before;
        match &mut self.state {
            State::Idle => {
                let escape = before == Some('\\') && matches!(c, 'n' | 'r' | 't');
                if !escape && may_be_first(c) && may_follow(before, text.get(..at).unwrap_or_default()) {
                    self.state = State::Word { start: at };
                }
                Next::Stay
            }
            State::Word { start } => {
                let start = *start;
                let word = text.get(start..at).unwrap_or_default();
                if is_word(c) {
                    if at + c.len_utf8() - start > LONGEST_TOOL {
                        return Next::Idle;
                    }
                    let longer = text.get(start..at + c.len_utf8()).unwrap_or_default();
                    let ends = [".exe", ".cmd"].iter().any(|end| may_end(longer, end));
                    return if could_begin(longer) || ends { Next::Stay } else { Next::Idle };
                }
                let Some((head, step)) = Head::of(word) else { return Next::Idle };
                let opened = text.get(..start).and_then(|before| before.chars().next_back());
                let list = matches!(c, '"' | '\'') && opened == Some(c);
                let path =
                    matches!(c, '"' | '\'') && matches!(opened, Some('/' | '\\')) && self.quotes.last() == Some(&c);
                if path {
                    self.quotes.pop();
                } else if !(c.is_whitespace() || list || (c == '*' && opened == Some('*'))) {
                    return Next::Idle;
                }
                self.state = match step {
                    Step::Yes(_) if !list => self.begin_taking(text, start, at, false),
                    _ => State::Head { start, head, word: None, list, quote: None },
                };
                Next::Stay
            }
            State::Head { head, word, list: true, quote, start } => match (*quote, c) {
                (Some(open), _) if c == open => {
                    *quote = None;
                    let from = word.take().unwrap_or(at);
                    match head.word(text.get(from..at).unwrap_or_default()) {
                        Step::More => Next::Stay,
                        Step::Yes(_) => {
                            let start = *start;
                            self.state = self.begin_taking(text, start, at, true);
                            Next::Stay
                        }
                        Step::No => Next::Again(from),
                    }
                }
                (Some(_), _) => Next::Stay,
                // In a shell no comma stands between two words.
                (None, '"' | '\'')
                    if head.is_new()
                        && text.get(*start..at).is_some_and(|name| name.trim_end().ends_with(['"', '\''])) =>
                {
                    self.state =
                        State::Head { start: *start, head: head.clone(), word: None, list: false, quote: None };
                    self.quotes.pop();
                    self.step(text, c, at)
                }
                (None, '"' | '\'') => {
                    *quote = Some(c);
                    *word = Some(at + 1);
                    Next::Stay
                }
                (None, ',' | '[' | '(' | '&' | ')' | '.') => Next::Stay,
                (None, _)
                    if c.is_whitespace() || before.is_some_and(|before| before == '.' || before.is_alphabetic()) =>
                {
                    Next::Stay
                }
                // The tool's name alone was quoted.
                (None, _) if before.is_some_and(char::is_whitespace) && head.is_new() => {
                    self.state =
                        State::Head { start: *start, head: head.clone(), word: None, list: false, quote: None };
                    self.quotes.pop();
                    self.step(text, c, at)
                }
                (None, _) => Next::Again(at),
            },
            State::Head { head, word, start, quote, .. } => {
                // Emphasis around a word is no part of it.
                if c == '\\' || c == '*' || (c == '\n' && matches!(before, Some('\\' | '`' | '^'))) {
                    return Next::Stay;
                }
                if c.is_whitespace() {
                    let Some(from) = word.take() else { return Next::Stay };
                    let complete = text.get(from..at).unwrap_or_default().trim_end_matches(['\\', '"', '\'', '*']);
                    if complete.is_empty() {
                        return Next::Stay;
                    }
                    return match head.word(complete) {
                        Step::More => Next::Stay,
                        Step::Yes(_) => {
                            let start = *start;
                            self.state = self.begin_taking(text, start, at, false);
                            Next::Stay
                        }
                        Step::No => Next::Again(from),
                    };
                }
                // A quoted word is the word.
                if matches!(c, '"' | '\'') && (word.is_none() || quote.is_some()) {
                    *quote = if quote.is_some() { None } else { Some(c) };
                    return Next::Stay;
                }
                let from = *word.get_or_insert(at);
                let begin = text.get(from..at + c.len_utf8()).unwrap_or_default();
                let ends = matches!(c, ';' | '|' | '&' | '`' | ')' | '(' | ',')
                    || (matches!(c, '"' | '\'') && !begin.starts_with('-'));
                if ends {
                    let complete = text.get(from..at).unwrap_or_default().trim_end_matches(['\\', '"', '\'', '*']);
                    // It names nothing: what stands before it may hand it something.
                    match head.clone().word(complete) {
                        Step::Yes(_) if !complete.is_empty() => {
                            let range = *start..at;
                            Next::DoneAgain(Statement { range, from: at, prose: false, list: false }, at)
                        }
                        _ => Next::Again(at),
                    }
                } else if !head.could(begin) {
                    Next::Again(from)
                } else {
                    Next::Stay
                }
            }
            State::Taking { start, from, quote, list: true, .. } => match (*quote, c) {
                (Some(open), _) if c == open && before != Some('\\') => {
                    *quote = None;
                    Next::Stay
                }
                (Some(_), _) => Next::Stay,
                (None, '"' | '\'') => {
                    *quote = Some(c);
                    Next::Stay
                }
                (None, ']' | ')' | ';') => {
                    Next::Done(Statement { range: *start..at, from: *from, prose: false, list: true })
                }
                (None, _) => Next::Stay,
            },
            State::Taking { start, from, close, quote, word, prose, joined, depth, .. } => {
                let done =
                    |end: usize| Next::Done(Statement { range: *start..end, from: *from, prose: *prose, list: false });
                if before == Some('\\') {
                    if c == '\n' && *quote == Some('\n') {
                        *quote = None;
                    }
                    // Within a string, a line ends where it says so.
                    return match c {
                        'n' | 'r' if close.is_some_and(|close| close != '`') => done(at - 1),
                        _ => Next::Stay,
                    };
                }
                if Some(c) == *close {
                    return done(at);
                }
                match *quote {
                    Some(open) if c == open => *quote = None,
                    Some(_) => {}
                    None => match c {
                        // A comment between the lines of a command: nothing in it counts before its line ends.
                        '#' if begins_line(text.get(..at).unwrap_or_default()) => *quote = Some('\n'),
                        '"' | '\'' if before.is_none_or(|before| !*prose || !before.is_alphanumeric()) => {
                            *quote = Some(c);
                            word.get_or_insert(at);
                        }
                        ';' | '|' => return done(at),
                        // The end of what the command stands in: `(cd app && npm install x)`.
                        ')' if !*prose && *depth == 0 => return done(at),
                        ')' if !*prose => *depth -= 1,
                        '(' if !*prose => {
                            *depth += 1;
                            word.get_or_insert(at);
                        }
                        // In prose as well: `npm install x&&npm start`.
                        '&' if before == Some('&') => return done(at - 1),
                        '&' if before.is_none_or(|before| before.is_whitespace() || before == '&') || !*prose => {
                            return done(at);
                        }
                        '`' if *prose => return done(at),
                        _ if c.is_whitespace() => {
                            if let Some(begin) = word.take()
                                && *prose
                            {
                                let word = text.get(begin..at).unwrap_or_default();
                                // Another command: the words between were prose.
                                if *joined && Head::of(marked(word)).is_some() {
                                    let range = *start..begin;
                                    let statement = Statement { range, from: *from, prose: true, list: false };
                                    return Next::DoneAgain(statement, begin);
                                }
                                *joined = joins(word);
                                if !*joined && ends_prose(word) {
                                    return done(at);
                                }
                            }
                        }
                        _ => {
                            word.get_or_insert(at);
                        }
                    },
                }
                Next::Stay
            }
        }
    }

    /// The state behind the beginning of a command.
    fn begin_taking(&self, text: &str, start: usize, from: usize, list: bool) -> State {
        let before = text.get(..start).unwrap_or_default();
        let brackets = before.trim_end_matches(|c: char| is_word(c) || matches!(c, '/' | '~')).ends_with('(');
        let close = self.quotes.last().copied().or(brackets.then_some(')'));
        // Between backticks or in a string of code a command stands alone.
        let alone = match self.around {
            Around::Prose => close == Some('`'),
            // A notebook's mark, a prompt, a string.
            Around::Code => close.is_some() || before.trim_end().ends_with(['!', '%', '$', '>']),
            Around::Shell => true,
        };
        let prose = !(alone && is_alone(before));
        State::Taking { start, from, close, quote: None, word: None, list, prose, joined: false, depth: 0 }
    }
}

/// Whether a tool's name may begin behind a character, and what stands before.
fn may_follow(last: Option<char>, before: &str) -> bool {
    match last {
        // Emphasis, or a part of a name.
        Some('_') => {
            let marks = before.chars().rev().take(LONGEST_EMPHASIS).take_while(|c| *c == '_').count();
            let tail = before.get(..before.len() - marks).unwrap_or_default();
            tail.chars().next_back().is_none_or(char::is_whitespace)
        }
        // `python -mpip`
        Some('m') => before.ends_with(" -m"),
        // Marks of a Makefile or a batch file before the command of a line.
        Some('@' | '-') => {
            let marks = |c: &char| matches!(c, '@' | '-' | '+' | ' ' | '\t');
            let mut before = before.chars().rev().take(MOST_LINE_MARKS).skip_while(marks);
            before.next().is_none_or(|c| c == '\n')
        }
        Some(last) => !is_word(last),
        None => true,
    }
}

/// Whether nothing stands in the line yet, and a line came before it.
fn begins_line(before: &str) -> bool {
    before.trim_end_matches([' ', '\t']).ends_with('\n')
}

/// Whether what stands before a command leaves it a command: a prompt, a quote, another command's end, an assignment.
fn is_alone(before: &str) -> bool {
    let before = before.trim_end_matches(|c: char| is_word(c) || matches!(c, '/' | '\\' | '~' | '@')).trim_end();
    if before.is_empty()
        || before.ends_with(['$', '>', '!', '%', ';', '&', '|', '(', '{', '[', ':', '"', '\'', '`', '-', '=', '+', ','])
    {
        return true;
    }
    let whole = before.rsplit(char::is_whitespace).next().unwrap_or(before);
    let lower = whole.to_ascii_lowercase();
    whole.contains('=')
        || whole.starts_with('-')
        || lower.starts_with("python")
        || ["sudo", "run", "exec", "time", "env", "then", "do", "else", "py", "nohup", "yes", "command", "xargs", "uv"]
            .contains(&lower.as_str())
}

/// Whether prose goes on behind a word of a command, or ends with it.
fn ends_prose(word: &str) -> bool {
    let bare = word.trim_matches(['*', '_', '"', '\'', '(']);
    bare.ends_with([':', '!', '?', ')', '。', '！', '？', '：', '；', '，', '、', '»', '」', '』'])
        || (bare.ends_with('.') && bare.len() > 1 && !bare.ends_with(".."))
        || (bare.len() <= LONGEST_WORD && is_prose(bare.trim_end_matches(',')))
}

/// A word without the marks and the elements that stand before it, and those behind.
fn marked(word: &str) -> &str {
    let word = word.trim_end_matches(|c: char| !c.is_alphanumeric());
    word.rsplit(|c: char| !is_word(c)).next().unwrap_or(word).trim_matches('_')
}

/// Whether a character may be a part of a tool's name or path: all of them are ASCII. In Chinese no blank stands before.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Whether a word ends with a part of what may end it, behind a tool's name.
fn may_end(word: &str, end: &str) -> bool {
    word.rfind('.').is_some_and(|dot| {
        let (name, rest) = word.split_at_checked(dot).unwrap_or_default();
        end.starts_with(&rest.to_ascii_lowercase()) && Head::of(name).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str, around: Around) -> Vec<&str> {
        let (mut scan, mut found) = (Scan::new(around), Vec::new());
        scan.end(text, &mut |statement| found.push(statement.range));
        found.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn commands_are_cut_out_of_lines() {
        for (text, found) in [
            ("Use `pip install x==1` or not.", &["pip install x==1"][..]),
            ("You can run pip install requests and then go.", &["pip install requests and then"]),
            ("run pip to install", &[]),
            ("cd a && npm i b; go get c|d", &["npm i b", "go get c"]),
            ("pip npm install x", &["npm install x"]),
            ("subprocess.run([\"pip\", 'install', \"x\"])", &["pip\", 'install', \"x\""]),
            ("os.system('pip install x')", &["pip install x"]),
            ("sudo -H /usr/bin/pip3.11 --quiet install x", &["pip3.11 --quiet install x"]),
            ("{\"cmd\": \"a\\npip install x\\nb\"}", &["pip install x"]),
            ("zpip install x, pip.install x", &[]),
            ("pipeline, goes, cargo ship", &[]),
        ] {
            assert_eq!(statements(text, Around::Prose), found, "{text}");
        }
    }
    /// 32 KiB of digits behind `pip` were read anew for each of them.
    #[test]
    fn a_word_longer_than_any_tool_is_let_go() {
        for word in ["pip3", "pip3."] {
            let mut scan = Scan::new(Around::Prose);
            let mut text = format!("x {word}");
            scan.feed(&text, &mut |_| {});
            assert_eq!(scan.held(), Some(2), "{word}");
            text.push_str(&"3.".repeat(LONGEST_TOOL));
            scan.feed(&text, &mut |_| {});
            assert_eq!(scan.held(), None, "{word}");
        }
        for name in super::super::head::names() {
            assert!(name.len() + "3.99.exe".len() <= LONGEST_TOOL, "{name}");
        }
    }
}
