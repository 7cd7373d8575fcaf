//! One growing text of an answer, and the frames that its undecided end lies in.

use std::collections::VecDeque;

use portcullis_dependencies::{Findings, Growing, Hint, Unreadable, What};

use crate::frame::Piece;

mod arguments;
mod shape;
mod unquote;

pub(super) use arguments::of_call;
use arguments::read;
use shape::{Shape, State};
use unquote::Unquote;

/// The most bytes of a call's arguments that are kept until they are whole: files that a call writes are longer than
/// lines.
const MOST_ARGUMENTS: usize = 256 * 1024;

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
            (
                r#"{"file_path":"/a/requirements.txt","edits":[{"old_string":"flask\n","new_string":"evilpy\n"}]}"#,
                "PyPI:evilpy",
            ),
            (r#"{"path":"requirements.txt","edits":[{"oldText":"","newText":"evilpy"}]}"#, "PyPI:evilpy"),
            (r#"{"files":{"requirements.txt":"evilpy\n"}}"#, "PyPI:evilpy"),
            (r#"{"TargetFile":"requirements.txt","content":"evilpy\n"}"#, "PyPI:evilpy"),
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
}
