//! A text that grows: what it brings in, and from where on it may not leave yet.

use std::ops::Range;

use crate::command::{Around, Scan, Statement, is_fed, parse};
use crate::fence::{Fence, content};
use crate::format::{Format, Hint};
use crate::found::{Findings, How, Told, What};
use crate::lines::{Lines, Out};
use crate::pins::{Pin, Pins};
use crate::requirements::names_list;
use crate::seen::Seen;
use crate::spec;
use crate::trigger::{Begins, begins};

/// The most bytes of a text that are held undecided. A longer line, or a longer entry, is read as it stands and told as
/// unreadable.
pub const MOST_HELD: usize = 64 * 1024;
/// So much of a line may be indentation and marks of lists and quotes.
const MOST_MARKS: usize = 256;

/// A text that comes in pieces. However it is cut, it brings in the same.
///
/// What [`Growing::held_from`] holds back covers the places of all that will yet be found: nothing is told of a place
/// that could have left before.
#[derive(Clone, Debug)]
pub struct Growing {
    /// A file or code; an answer is prose with blocks in it.
    file: Option<Format>,
    limit: usize,
    findings: Findings,
    told: Told,
    /// Where the line begins in the text.
    at: usize,
    /// The line as far as it came; several where they are joined.
    raw: String,
    seen: Seen,
    /// Where the last of the joined lines begins, in what is seen and as it is.
    last: (usize, usize),
    mode: Mode,
    /// Where the content of the line begins, behind marks of lists and quotes.
    content: usize,
    scan: Scan,
    pins: Pins,
    /// What the commands of the line install: bytes of what is seen.
    taken: Vec<Range<usize>>,
    /// So much of what is seen was followed.
    followed: usize,
    fence: Option<Fence>,
    /// The last line with words in it names a list of requirements.
    titled: bool,
    lines: Lines,
    /// The last character was a carriage return: a line feed belongs to it.
    returned: bool,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Its beginning does not say yet.
    Open,
    Code,
    /// It may open a block.
    Fence,
    Prose,
}

impl Growing {
    /// A text that has not begun.
    #[must_use]
    pub fn new(hint: Hint<'_>) -> Self {
        Self::bounded(hint, MOST_HELD)
    }

    /// A text that is held as a whole anyway: its lines may be of any length.
    pub(crate) fn whole(hint: Hint<'_>) -> Self {
        Self::bounded(hint, usize::MAX)
    }

    /// Reads the whole text once for what it says under names only later.
    pub(crate) fn look_ahead(&mut self, text: &str) {
        if self.file == Some(Format::Xml) {
            let mut first = Self::whole(Hint::Language("xml"));
            first.push(text);
            first.end();
            self.lines.know(first.lines);
        }
    }

    fn bounded(hint: Hint<'_>, limit: usize) -> Self {
        let file = Format::of(hint);
        let mut growing = Self {
            file,
            limit,
            findings: Findings::default(),
            told: Told::default(),
            at: 0,
            raw: String::new(),
            seen: Seen::default(),
            last: (0, 0),
            mode: Mode::Open,
            content: 0,
            scan: Scan::default(),
            pins: Pins::default(),
            taken: Vec::new(),
            followed: 0,
            fence: None,
            titled: false,
            lines: Lines::new(file.unwrap_or_default(), matches!(hint, Hint::File(_))),
            returned: false,
        };
        growing.begin();
        growing
    }

    /// Takes a piece in.
    pub fn push(&mut self, piece: &str) {
        let mut rest = piece;
        while let Some(c) = rest.chars().next() {
            if c == '\n' || c == '\r' {
                self.newline(c);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            self.returned = false;
            // A character more than fits cuts the line, wherever the piece was cut. Its end is looked for in what fits
            // only: a long piece would be read anew for each line that is cut from it.
            let room = self.limit.saturating_sub(self.raw.len()).min(rest.len());
            let room = (0..=room).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or_default();
            if room == 0 {
                self.cut();
                continue;
            }
            let fits = rest.get(..room).unwrap_or(rest);
            let end = fits.find(['\n', '\r']).unwrap_or(room);
            let (part, left) = rest.split_at_checked(end).unwrap_or((rest, ""));
            self.extend(part);
            rest = left;
        }
    }

    /// From where on nothing may leave yet; nothing is held where it is none. Everything before may.
    #[must_use]
    pub fn held_from(&self) -> Option<usize> {
        let line = match self.mode {
            Mode::Open | Mode::Code | Mode::Fence => (self.raw.len() > self.content).then_some(self.at + self.content),
            Mode::Prose => {
                let held = self.scan.held().into_iter().chain(self.pins.held()).min();
                held.map(|held| self.at + self.seen.source(held))
            }
        };
        line.into_iter().chain(self.lines.held()).min()
    }

    /// What was found since it was asked last.
    pub fn take(&mut self) -> Findings {
        std::mem::take(&mut self.findings)
    }

    /// The text has ended: what was held is read as it stands.
    pub fn end(&mut self) {
        if !self.raw.is_empty() {
            self.decide(true);
            self.finish();
        }
        let mut out = Out { findings: &mut self.findings, told: &mut self.told };
        self.lines.end(self.at, &mut out);
    }

    /// So many bytes came in.
    fn came(&self) -> usize {
        self.at + self.raw.len()
    }

    fn extend(&mut self, part: &str) {
        self.raw.push_str(part);
        self.seen.push(part);
        self.decide(false);
        if self.mode == Mode::Prose {
            self.follow();
        }
    }

    /// A line begins.
    fn begin(&mut self) {
        self.raw.clear();
        self.seen.clear();
        (self.last, self.content, self.followed) = ((0, 0), 0, 0);
        self.mode = if self.file.is_some() || self.fence.is_some() { Mode::Code } else { Mode::Open };
        self.scan = Scan::new(self.around());
        self.pins = Pins::default();
        self.taken.clear();
    }

    /// What commands of the line stand in.
    fn around(&self) -> Around {
        match self.mode {
            Mode::Open | Mode::Prose => Around::Prose,
            Mode::Fence => Around::Shell,
            Mode::Code => self.lines.around(),
        }
    }

    /// Looks what the line is, once its beginning says so.
    fn decide(&mut self, whole: bool) {
        if self.mode != Mode::Open {
            return;
        }
        let seen = self.seen.text();
        let content = content(seen);
        if content > MOST_MARKS {
            // Who indents so far may hide a line of code: it is held like one.
            let marks = (0..=MOST_MARKS).rev().find(|at| seen.is_char_boundary(*at)).unwrap_or_default();
            self.content = if self.lines.active() { 0 } else { self.seen.source(marks) };
            self.mode = Mode::Code;
            self.scan = Scan::new(self.around());
            return;
        }
        // A line of an entry is held from its beginning on: what looks like a mark may be a part of it.
        self.content = if self.lines.active() { 0 } else { self.seen.source(content) };
        self.mode = match begins(seen.get(content..).unwrap_or_default(), whole) {
            Begins::Open => return,
            Begins::Fence => Mode::Fence,
            Begins::Code => Mode::Code,
            Begins::Prose if self.lines.active() => Mode::Code,
            Begins::Prose => Mode::Prose,
        };
        self.scan = Scan::new(self.around());
    }

    /// Follows what a line of prose has grown by, a character at a time: what is told first does not depend on how the
    /// text was cut.
    fn follow(&mut self) {
        while let Some(c) = self.seen.text().get(self.followed..).and_then(|rest| rest.chars().next()) {
            let end = self.followed + c.len_utf8();
            let text = self.seen.text().get(..end).unwrap_or_default();
            let (mut statements, mut pins) = (Vec::new(), Vec::new());
            self.scan.feed(text, &mut |statement| statements.push(statement));
            self.pins.feed(text, &mut |pin| pins.push(pin));
            self.command(statements);
            let part = self.seen.part(self.followed..end);
            let place = self.at + part.start..self.at + part.end;
            let mut out = Out { findings: &mut self.findings, told: &mut self.told };
            self.lines.json.feed(c, place, &mut out);
            self.pinned(pins);
            self.followed = end;
        }
    }

    fn command(&mut self, statements: Vec<Statement>) {
        if statements.is_empty() || (self.mode == Mode::Code && self.lines.takes_away(self.seen.text())) {
            return;
        }
        let mut out = Out { findings: &mut self.findings, told: &mut self.told };
        for Statement { range, prose, list, from } in statements {
            self.taken.push(from..range.end);
            let source = self.seen.part(range.clone());
            let place = self.at + source.start..self.at + source.end;
            let text = self.seen.text();
            // Only so far: a line may hold as many commands as marks.
            let most = (0..=MOST_MARKS.min(range.start)).rev().find(|at| text.is_char_boundary(*at));
            let begin = text.get(..most.unwrap_or_default()).unwrap_or_default();
            let marks = begin.get(..content(begin)).unwrap_or_default();
            let quoted = marks.contains('>') || self.fence.is_some_and(Fence::is_quoted);
            let fed = text.get(..range.start).is_some_and(is_fed);
            let text = text.get(range).unwrap_or_default();
            let unquoted;
            let text = if quoted && text.contains('\n') {
                unquoted = text.split('\n').map(unquoted_line).collect::<Vec<_>>().join("\n");
                &unquoted
            } else {
                text
            };
            let unnamed = parse(text, prose, list, &mut |spec| out.add(spec, How::Command, place.clone()));
            if unnamed || fed {
                out.fail(What::Unnamed, place);
            }
        }
    }

    fn pinned(&mut self, pins: Vec<Pin>) {
        let mut out = Out { findings: &mut self.findings, told: &mut self.told };
        for Pin { all, held } in pins {
            // What stands in a command is the command's.
            let command = self.taken.get(self.taken.partition_point(|taken| taken.end <= all.start));
            if command.is_some_and(|taken| taken.start <= all.start)
                || self.scan.taking().is_some_and(|from| from <= all.start)
            {
                continue;
            }
            let source = self.seen.part(held);
            if let Some(spec) = self.seen.text().get(all).and_then(spec::pypi) {
                out.add(spec, How::Manifest, self.at + source.start..self.at + source.end);
            }
        }
    }

    fn newline(&mut self, c: char) {
        if c == '\n' && self.returned {
            // The second half of a line's end.
            self.returned = false;
            if self.raw.is_empty() {
                self.at += 1;
                return;
            }
            self.raw.push(c);
            self.seen.push("\n");
            self.last = (self.seen.text().len(), self.raw.len());
            return;
        }
        self.returned = c == '\r';
        self.decide(true);
        if self.mode == Mode::Prose {
            self.follow();
        }
        let last = self.seen.text().get(self.last.0..).unwrap_or_default().to_owned();
        if let Some(fence) = self.fence
            && fence.closes(&last)
        {
            return self.close();
        }
        if self.mode == Mode::Code {
            let mut statements = Vec::new();
            self.scan.feed(self.seen.text(), &mut |statement| statements.push(statement));
            self.command(statements);
        }
        let slashes = last.len() - last.trim_end_matches('\\').len();
        // A Dockerfile's comments stand between the lines of a command.
        let comment = self.last.1 > 0 && last.trim_start().starts_with('#') && self.scan.is_begun();
        let joins = match self.mode {
            Mode::Code => slashes % 2 == 1 || comment || self.scan.continues(&last),
            Mode::Prose => comment || self.scan.continues(&last),
            Mode::Open | Mode::Fence => false,
        };
        if joins && self.raw.len() >= self.limit {
            self.findings.fail(What::Long, self.at + self.content..self.came());
        } else if joins {
            self.raw.push(c);
            self.seen.push("\n");
            self.last = (self.seen.text().len(), self.raw.len());
            return;
        }
        self.finish();
        self.at += 1;
        self.begin();
        self.bound();
    }

    /// The block ends with this line; what was joined before it is read.
    fn close(&mut self) {
        let mark = self.raw.split_off(self.last.1.min(self.raw.len()));
        if !self.raw.is_empty() {
            let raw = self.raw.clone();
            self.seen = Seen::of(&raw);
            self.finish();
        }
        self.at += mark.len() + 1;
        self.fence = None;
        let mut out = Out { findings: &mut self.findings, told: &mut self.told };
        self.lines.end(self.at, &mut out);
        self.lines = Lines::new(Format::Any, false);
        self.begin();
    }

    /// The line has ended; it is read, and the text is at its end.
    fn finish(&mut self) {
        let mut statements = Vec::new();
        self.scan.end(self.seen.text(), &mut |statement| statements.push(statement));
        self.command(statements);
        let place = self.at + self.content..self.came();
        match self.mode {
            Mode::Prose => {
                self.follow_end();
            }
            Mode::Code => {
                let mut out = Out { findings: &mut self.findings, told: &mut self.told };
                self.lines.logical(&self.seen, self.fence, self.at, place, &mut out);
            }
            Mode::Fence => self.open(place),
            Mode::Open => {}
        }
        if !self.seen.text().trim().is_empty() {
            self.titled = self.file.is_none() && self.mode != Mode::Fence && names_list(self.seen.text());
        }
        self.at = self.came();
        self.raw.clear();
        self.seen.clear();
    }

    fn follow_end(&mut self) {
        let mut pins = Vec::new();
        self.pins.end(self.seen.text(), &mut |pin| pins.push(pin));
        self.pinned(pins);
        let end = self.came();
        let mut out = Out { findings: &mut self.findings, told: &mut self.told };
        self.lines.json.feed('\n', end..end, &mut out);
    }

    /// A line that may open a block.
    fn open(&mut self, place: Range<usize>) {
        let line = self.seen.text();
        let mut out = Out { findings: &mut self.findings, told: &mut self.told };
        if let Some((fence, info)) = Fence::open(line) {
            let format = Format::info(info);
            self.fence = Some(fence);
            self.lines.end(place.start, &mut out);
            self.lines = Lines::new(format, false);
            if self.titled {
                self.lines.expect_requirements();
            }
        } else {
            self.lines.logical(&self.seen, None, self.at, place, &mut out);
        }
    }

    /// The line is longer than may be held.
    fn cut(&mut self) {
        let held = self.held_from();
        let prose = self.mode == Mode::Prose;
        let end = self.came();
        let from = held.unwrap_or(end);
        if prose && from > self.at && end - from < self.limit / 2 {
            return self.go_on(from);
        }
        if let Some(held) = held {
            self.findings.fail(What::Long, held..end);
        }
        self.decide(true);
        self.finish();
        let mut out = Out { findings: &mut self.findings, told: &mut self.told };
        self.lines.cut(end, &mut out);
        self.begin();
        if prose {
            self.mode = Mode::Prose;
            self.scan = Scan::new(Around::Prose);
        }
    }

    /// A long paragraph: what was followed is let go, and a word at its end begins anew.
    fn go_on(&mut self, from: usize) {
        let tail = self.raw.split_off((from - self.at).min(self.raw.len()));
        self.begin();
        self.at = from;
        self.mode = Mode::Prose;
        self.scan = Scan::new(Around::Prose);
        self.raw = tail;
        self.seen.push(&self.raw);
        self.followed = self.seen.text().len();
        // Whatever this tells was told; it only begins again.
        self.scan.feed(self.seen.text(), &mut |_| {});
        self.pins.feed(self.seen.text(), &mut |_| {});
    }

    /// Entries of many lines are bounded as lines are.
    fn bound(&mut self) {
        if let Some(held) = self.lines.held()
            && self.at.saturating_sub(held) > self.limit
        {
            let mut out = Out { findings: &mut self.findings, told: &mut self.told };
            out.fail(What::Long, held..self.at);
            self.lines.cut(self.at, &mut out);
        }
    }
}

/// A line of a command within a quotation, without the quotation's marks.
fn unquoted_line(line: &str) -> &str {
    line.trim_start_matches([' ', '\t', '>'])
}
