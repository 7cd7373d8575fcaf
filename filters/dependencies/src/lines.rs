//! Lines of code: every reader that they may be for.

use std::ops::Range;

use crate::command::Around;
use crate::fence::Fence;
use crate::format::Format;
use crate::found::{Findings, How, Spec, Told, What};
use crate::fragment::Fragment;
use crate::go_lines::GoLines;
use crate::gradle;
use crate::imports::{self, GoImports};
use crate::json::Json;
use crate::requirements::Requirements;
use crate::ruby::Ruby;
use crate::seen::Seen;
use crate::setup::Setup;
use crate::toml_lines::Toml;
use crate::written;
use crate::xml::Xml;
use crate::yaml::Yaml;

/// Where readers tell what they found.
pub(crate) struct Out<'o> {
    pub(crate) findings: &'o mut Findings,
    pub(crate) told: &'o mut Told,
}

impl Out<'_> {
    pub(crate) fn add(&mut self, spec: Spec, how: How, place: Range<usize>) {
        self.findings.add(spec, how, place, self.told);
    }

    pub(crate) fn fail(&mut self, what: What, place: Range<usize>) {
        self.findings.fail(what, place);
    }
}

/// A line, and the bytes of the whole text that it is.
#[derive(Clone, Debug)]
pub(crate) struct Line<'l> {
    pub(crate) text: &'l str,
    pub(crate) place: Range<usize>,
}

/// The readers of a block or a file.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    format: Format,
    /// The text is a file of its own: what is broken is told.
    file: bool,
    pub(crate) json: Json,
    requirements: Requirements,
    toml: Toml,
    xml: Xml,
    yaml: Yaml,
    ruby: Ruby,
    go: GoLines,
    go_imports: GoImports,
    setup: Setup,
    /// The manifest that a difference is of.
    fragment: Option<Fragment>,
}

impl Lines {
    pub(crate) fn new(format: Format, file: bool) -> Self {
        Self {
            format,
            file,
            json: Json::new(file && format == Format::Json),
            requirements: Requirements::default(),
            toml: Toml::new(file && format == Format::Toml),
            xml: Xml::new(file && format == Format::Xml),
            yaml: Yaml::default(),
            ruby: Ruby::default(),
            go: GoLines::default(),
            go_imports: GoImports::default(),
            setup: Setup::default(),
            fragment: None,
        }
    }

    /// Takes a logical line: one, or several that a sign at their ends joins. `at` is where it begins in the text.
    pub(crate) fn logical(
        &mut self,
        seen: &Seen,
        fence: Option<Fence>,
        at: usize,
        place: Range<usize>,
        out: &mut Out<'_>,
    ) {
        let inner = |text| fence.map_or(text, |fence: Fence| fence.inner(text));
        let mut start = 0;
        for part in seen.text().split_inclusive('\n') {
            let end = start + part.len();
            let source = seen.part(start..end);
            let place = (at + source.start).max(place.start)..(at + source.end).min(place.end.max(at + source.end));
            let text = part.trim_end_matches('\n');
            self.line(&Line { text: inner(text), place }, out);
            start = end;
        }
        let mut before = '\n';
        let mut gone = false;
        for (index, c) in seen.text().char_indices() {
            // What a difference takes away brings nothing in.
            gone = if before == '\n' { self.format == Format::Diff && c == '-' } else { gone };
            before = c;
            if gone && c != '\n' {
                continue;
            }
            let part = seen.part(index..index + c.len_utf8());
            self.json.feed(c, at + part.start..at + part.end, out);
        }
        self.json.feed('\n', place.end..place.end, out);
        let line = Line { text: inner(seen.text()), place };
        if matches!(self.format, Format::Any | Format::Shell) {
            written::line(&line, out);
        }
        self.requirements.line(self.format, &line, out);
    }

    fn line(&mut self, line: &Line<'_>, out: &mut Out<'_>) {
        use Format::{
            Any, Cfg, Go, GoMod, GoSum, Gradle, GradleLock, JavaScript, Other, Python, Ruby, Rust, Shell, Toml, Xml,
            Yaml,
        };
        if self.format == Format::Diff {
            if let Some(file) = line.text.strip_prefix("+++ ") {
                self.fragment = Fragment::of(file.split('\t').next().unwrap_or(file).trim());
            }
            if let (Some(fragment), Some(text)) = (self.fragment, line.text.strip_prefix('+')) {
                fragment.line(&Line { text, place: line.place.clone() }, out);
            }
            // What goes away brings nothing in.
            let Some(text) = line.text.strip_prefix(['+', ' ']) else { return };
            let line = Line { text, place: line.place.clone() };
            self.format = Any;
            self.line(&line, out);
            self.format = Format::Diff;
            return;
        }
        let is = |formats: &[Format]| self.format == Any || formats.contains(&self.format);
        let alone = self.format == Toml;
        if is(&[Toml, Cfg, Shell]) {
            self.toml.line(line, alone, out);
        }
        if is(&[Xml]) {
            self.xml.line(line, out);
        }
        if is(&[Yaml]) {
            self.yaml.line(line, out);
        }
        if is(&[Ruby]) {
            self.ruby.line(line, out);
        }
        // A block of Go may be its module's file.
        if is(&[Go, GoMod, GoSum]) {
            self.go.line(line, out);
        }
        if is(&[Gradle, Other]) {
            gradle::line(line, self.format == Gradle, out);
        }
        if self.format == GradleLock {
            gradle::locked(line, out);
        }
        if is(&[Python, Cfg]) {
            self.setup.line(line, self.format != Python, out);
        }
        if is(&[Python]) {
            imports::python(line, self.format == Python, out);
        }
        if is(&[Shell]) {
            imports::python_command(line, out);
        }
        if is(&[JavaScript]) {
            imports::javascript(line, out);
        }
        if is(&[Rust]) {
            imports::rust(line, out);
        }
        if is(&[Go]) {
            self.go_imports.line(line, out);
        }
    }

    /// Whether a line is one that a difference takes away.
    pub(crate) fn takes_away(&self, line: &str) -> bool {
        self.format == Format::Diff && line.starts_with('-') && !line.contains('\n')
    }

    /// The text above said that a list of requirements follows.
    pub(crate) fn expect_requirements(&mut self) {
        self.requirements.expect();
    }

    /// What commands in a line stand in.
    pub(crate) fn around(&self) -> Around {
        use Format::{Go, Gradle, JavaScript, Other, Python, Ruby, Rust};
        match self.format {
            Go | Gradle | JavaScript | Other | Python | Ruby | Rust => Around::Code,
            _ => Around::Shell,
        }
    }

    /// From where on the text must be held.
    pub(crate) fn held(&self) -> Option<usize> {
        let held = [self.json.held(), self.toml.held(), self.xml.held(), self.setup.held()];
        held.into_iter().flatten().min()
    }

    /// What a text says under names that stand for versions is known before it is read.
    pub(crate) fn know(&mut self, other: Self) {
        self.xml.know(other.xml);
    }

    /// Whether the next line belongs to what has begun, even where no block says so.
    pub(crate) fn active(&self) -> bool {
        self.toml.is_active()
            || self.xml.is_active()
            || self.yaml.is_active()
            || self.ruby.is_active()
            || self.go.is_active()
            || self.go_imports.is_active()
            || self.setup.is_active()
    }

    /// The block or the file has ended.
    pub(crate) fn end(&mut self, at: usize, out: &mut Out<'_>) {
        self.json.end(at, out);
        self.toml.end(at, out);
        self.xml.end(at, out);
    }

    /// More is held than may be: what was read counts as it stands, and nothing of it goes on.
    pub(crate) fn cut(&mut self, at: usize, out: &mut Out<'_>) {
        self.end(at, out);
        *self = Self::new(self.format, self.file);
    }
}
