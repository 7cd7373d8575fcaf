//! One growing text of an answer, and the frames that its undecided end lies in.

use std::collections::VecDeque;

use portcullis_dependencies::{Findings, Growing, Hint, Unreadable, What, find};

use crate::frame::Piece;
use crate::json::Json;

/// The most bytes of a call's arguments that are kept until they are whole: files that a call writes are longer than
/// lines.
const MOST_ARGUMENTS: usize = 256 * 1024;
/// So many bytes of them are read in all, where they stand within each other: a few times what there is.
const MOST_READ: usize = 8 * MOST_ARGUMENTS;
/// The deepest nesting of arguments that is followed.
const DEEPEST: usize = 64;

/// One growing text.
#[derive(Clone)]
pub(super) struct Text {
    /// The text as it comes.
    plain: Option<View>,
    /// For the arguments of a call, which are JSON in a string: the texts in it.
    unquoted: Option<(View, Unquote)>,
    /// The same, until they are whole: what belongs together in them.
    call: Option<Call>,
    begun: bool,
}

/// A text that is looked through, and the frames that it came in.
#[derive(Clone)]
struct View {
    growing: Growing,
    /// The frames whose pieces are not decided, and where in the text each piece ends.
    held: VecDeque<(u64, usize)>,
    /// How much came.
    came: usize,
}

/// Arguments that are not whole. They are not held: without the last of them nobody can make the call, and that piece
/// leaves only when all was judged.
#[derive(Clone)]
struct Call {
    text: String,
    shape: Shape,
}

impl Text {
    pub(super) fn new() -> Self {
        Self { plain: None, unquoted: None, call: None, begun: false }
    }

    /// Takes a piece in, and tells what was found by it.
    pub(super) fn add(&mut self, number: u64, piece: &Piece<'_>) -> Findings {
        if !self.begun
            && let Some(first) = piece.text.trim_start().chars().next()
        {
            self.begun = true;
            let arguments = matches!(piece.key, "arguments" | "partial_json") && matches!(first, '{' | '[' | '"');
            // Here the key does not tell arguments from prose: both are looked for.
            let perhaps = piece.key == "delta" && matches!(first, '{' | '[');
            if arguments || perhaps {
                self.unquoted = Some((View::new(), Unquote::default()));
                self.call = Some(Call { text: String::new(), shape: Shape::default() });
            }
            if arguments {
                self.plain = None;
            }
        }
        let mut findings = Findings::default();
        if self.unquoted.is_none() || piece.key == "delta" {
            let plain = self.plain.get_or_insert_with(View::new);
            merge(&mut findings, plain.add(number, piece.text));
        }
        if let Some((view, unquote)) = &mut self.unquoted {
            merge(&mut findings, view.add(number, &unquote.read(piece.text)));
        }
        self.follow(piece.text, &mut findings);
        findings
    }

    /// The text has ended.
    pub(super) fn end(&mut self) -> Findings {
        self.call = None;
        let mut findings = Findings::default();
        let views = self.plain.iter_mut().chain(self.unquoted.as_mut().map(|(view, _)| view));
        views.for_each(|view| merge(&mut findings, view.end()));
        findings
    }

    /// The first frame that something undecided lies in.
    pub(super) fn holds(&self) -> Option<u64> {
        let views = self.plain.iter().chain(self.unquoted.as_ref().map(|(view, _)| view));
        views.filter_map(View::holds).min()
    }

    /// Goes on with the arguments of a call, and reads them once they are whole.
    fn follow(&mut self, piece: &str, findings: &mut Findings) {
        let Some(call) = &mut self.call else { return };
        call.text.push_str(piece);
        let far = call.text.len() > MOST_ARGUMENTS;
        match call.shape.feed(piece) {
            State::Open if far => {
                let place = 0..call.text.len();
                findings.unreadable.push(Unreadable { what: What::Long, place });
            }
            State::Open => return,
            State::Whole => merge(findings, read(&call.text)),
            // Prose, or what nobody reads as arguments.
            State::Broken => {}
        }
        self.call = None;
    }
}

fn merge(findings: &mut Findings, more: Findings) {
    findings.found.extend(more.found);
    findings.unreadable.extend(more.unreadable);
    findings.too_many |= more.too_many;
}

impl View {
    fn new() -> Self {
        Self { growing: Growing::new(Hint::Answer), held: VecDeque::new(), came: 0 }
    }

    fn add(&mut self, number: u64, text: &str) -> Findings {
        self.came += text.len();
        self.growing.push(text);
        self.held.push_back((number, self.came));
        let from = self.growing.held_from().unwrap_or(usize::MAX);
        while self.held.front().is_some_and(|(_, end)| *end <= from) {
            self.held.pop_front();
        }
        self.growing.take()
    }

    fn end(&mut self) -> Findings {
        self.growing.end();
        self.held.clear();
        self.growing.take()
    }

    fn holds(&self) -> Option<u64> {
        self.held.front().map(|(number, _)| *number)
    }
}

/// Whether a text that grows is JSON so far, as its brackets and strings say.
#[derive(Clone, Default)]
struct Shape {
    /// The brackets that stand open, by what closes them.
    open: Vec<char>,
    within: bool,
    escaped: bool,
    /// The last character outside of strings that is no blank; `"` for a string.
    last: Option<char>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Broken,
    Open,
    Whole,
}

impl Shape {
    fn feed(&mut self, piece: &str) -> State {
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

/// Keys of what is run, and of what it is given.
const COMMANDS: &[&str] = &["command", "cmd", "program", "executable", "bin", "tool", "name"];
const GIVEN: &[&str] = &["args", "arguments", "argv", "parameters", "params"];
/// Keys of a file's name, and of what is written to it.
const PATHS: &[&str] =
    &["path", "filename", "file", "file_path", "filepath", "file_name", "target_file", "name", "uri"];
const CONTENTS: &[&str] = &[
    "content",
    "contents",
    "text",
    "data",
    "body",
    "code",
    "source",
    "value",
    "file_text",
    "file_content",
    "new_str",
    "new_string",
    "new_content",
    "new_text",
    "insert_text",
    "patch",
    "diff",
];

/// What whole arguments bring in by what stands beside each other in them.
fn read(text: &str) -> Findings {
    let mut findings = Findings::default();
    let Ok(json) = Json::parse_text(text) else {
        // Prose in brackets begins with a word. Whoever runs this may read it otherwise than is judged here.
        if text.trim_start_matches(|c: char| c.is_whitespace() || "[{".contains(c)).starts_with('"') {
            findings.unreadable.push(Unreadable { what: What::Json, place: 0..text.len() });
        }
        return findings;
    };
    merge(&mut findings, in_values(text, &json));
    findings
}

/// What a call brings in whose arguments are a value.
pub(super) fn of_call(arguments: &Json<'_>) -> Findings {
    in_values(&String::from_utf8_lossy(&arguments.to_bytes()), arguments)
}

/// What a value brings in, by its text and by what stands beside each other in it.
fn in_values(text: &str, value: &Json<'_>) -> Findings {
    let mut findings = without_form(find(text, Hint::Language("json")));
    together(value, &mut { MOST_READ }, &mut findings);
    findings
}

/// Looks through what stands beside each other; `room` says how much may yet be read.
fn together(json: &Json<'_>, room: &mut usize, findings: &mut Findings) {
    let shell = |line: &str, findings: &mut Findings| merge(findings, find(line, Hint::Language("sh")));
    if let Some(items) = json.as_array() {
        if let Some(line) = joined(items, " ") {
            shell(&line, findings);
        }
        items.iter().for_each(|item| together(item, room, findings));
    }
    let entries = json.as_object().unwrap_or_default();
    let of = |keys: &'static [&str]| entries.iter().filter(|(key, _)| keys.iter().any(|k| key.eq_ignore_ascii_case(k)));
    for command in of(COMMANDS).filter_map(|(_, value)| value.as_str()) {
        for (_, given) in of(GIVEN) {
            let given = given.as_str().map(str::to_owned).or_else(|| joined(given.as_array()?, " "));
            if let Some(given) = given {
                shell(&format!("{command} {given}"), findings);
            }
        }
    }
    for path in of(PATHS).filter_map(|(_, value)| value.as_str()) {
        let named = |key: &str| CONTENTS.iter().any(|content| key.eq_ignore_ascii_case(content));
        for (key, value) in entries {
            let text = match value {
                Json::String(text) if named(key) || text.contains('\n') => text.to_string(),
                Json::Array(items) if named(key) => joined(items, "\n").unwrap_or_default(),
                Json::Object(_) => String::from_utf8_lossy(&value.to_bytes()).into_owned(),
                _ => continue,
            };
            let Some(left) = room.checked_sub(text.len()) else {
                return findings.unreadable.push(Unreadable { what: What::Long, place: 0..text.len() });
            };
            *room = left;
            merge(findings, without_form(find(&text, Hint::File(path))));
        }
    }
    entries.iter().for_each(|(_, value)| together(value, room, findings));
}

/// The strings of an array, if it has nothing else.
fn joined(items: &[Json<'_>], with: &str) -> Option<String> {
    let strings: Option<Vec<&str>> = items.iter().map(Json::as_str).collect();
    strings.filter(|strings| !strings.is_empty()).map(|strings| strings.join(with))
}

/// Without what is only no whole file: a part of one is none.
fn without_form(mut findings: Findings) -> Findings {
    findings.unreadable.retain(|unreadable| !matches!(unreadable.what, What::Json | What::Toml | What::Xml));
    findings
}

/// Reads JSON as the texts in it: what stands in a string as it reads, its borders as ends of lines. What is cut by a
/// piece's end waits for the next.
#[derive(Clone, Default)]
struct Unquote {
    within: bool,
    /// An escape that has begun: the backslash, and the digits that came.
    escape: Option<String>,
    /// The first half of a character that takes two escapes.
    high: Option<u32>,
}

impl Unquote {
    fn read(&mut self, piece: &str) -> String {
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
    use crate::frame::Channel;

    fn named(key: &str, text: &str, size: usize) -> Vec<String> {
        let (mut growing, mut all) = (Text::new(), Findings::default());
        let chars: Vec<char> = text.chars().collect();
        for (number, piece) in (0..).zip(chars.chunks(size)) {
            let text: String = piece.iter().collect();
            let piece = Piece { channel: Channel::Growing(0), text: &text, key, is_key: false };
            merge(&mut all, growing.add(number, &piece));
        }
        let before = all.found.len();
        merge(&mut all, growing.end());
        // Whole arguments are judged before the last of them has left.
        assert!(key == "text" || all.found.len() == before, "{text}");
        let mut names: Vec<_> = all.found.iter().map(|found| found.package.to_string()).collect();
        names.sort();
        names.dedup();
        names
    }

    #[test]
    fn what_belongs_together_in_arguments_is_found() {
        for (text, wants) in [
            (r#"{"command":["pip","install","evilpy"]}"#, "PyPI:evilpy"),
            (r#"{"command":"pip","args":["install","evilpy"]}"#, "PyPI:evilpy"),
            (r#"{"args":["install","evilpy"],"command":"pip"}"#, "PyPI:evilpy"),
            (r#"{"command":"pip","args":"install evilpy"}"#, "PyPI:evilpy"),
            (r#"{"path":"requirements.txt","content":"evilpy\n"}"#, "PyPI:evilpy"),
            (r#"{"content":"evilpy\n","file_path":"/app/requirements.txt"}"#, "PyPI:evilpy"),
            (r#"{"path":"requirements.txt","content":["evilpy"]}"#, "PyPI:evilpy"),
            (r#"{"path":"package.json","content":{"dependencies":{"evilnpm":"1.0.0"}}}"#, "npm:evilnpm"),
            (r#"[{"deep":[{"command":["bash","-lc","pip install evilpy"]}]}]"#, "PyPI:evilpy"),
        ] {
            for key in ["arguments", "partial_json", "delta"] {
                for size in [1, 5, 1000] {
                    assert_eq!(named(key, text, size), [wants], "{key}: {text} in pieces of {size}");
                }
            }
        }
        // A word beside a path is no list of packages.
        let text = r#"{"path":"requirements.txt","mode":"overwrite"}"#;
        assert_eq!(named("arguments", text, 3), Vec::<String>::new());
    }

    #[test]
    fn prose_that_begins_like_arguments_is_read_as_prose() {
        let text = "[1] Use \"it\": `pip install evilpy`.";
        assert_eq!(named("text", text, 4), ["PyPI:evilpy"]);
        let mut growing = Text::new();
        let piece: Piece<'_> =
            Piece { channel: Channel::Growing(0), text: "[note] this is prose", key: "delta", is_key: false };
        growing.add(0, &piece);
        assert!(growing.call.is_none());
        // What has the shape of arguments and is read in two ways is told.
        let mut growing = Text::new();
        let twice = r#"{"command":"ls","command":["pip","install","evilpy"]}"#;
        let findings = growing.add(0, &Piece { text: twice, key: "arguments", ..piece });
        assert!(findings.unreadable.iter().any(|unreadable| unreadable.what == What::Json));
        // More than is kept of arguments is told.
        let mut growing = Text::new();
        let long = format!("[\"{}", "x".repeat(MOST_ARGUMENTS));
        let findings = growing.add(0, &Piece { text: &long, key: "arguments", ..piece });
        assert!(findings.unreadable.iter().any(|unreadable| unreadable.what == What::Long));
    }

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
