//! Lines of code: every reader that they may be for.

use std::ops::Range;

use crate::format::Format;
use crate::found::{Findings, How, Spec, Told, What};
use crate::json::Json;
use crate::requirements::Requirements;
use crate::seen::Seen;

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
#[derive(Debug)]
pub(crate) struct Lines {
    format: Format,
    /// The text is a file of its own: what is broken is told.
    file: bool,
    pub(crate) json: Json,
    requirements: Requirements,
}

impl Lines {
    pub(crate) fn new(format: Format, file: bool) -> Self {
        Self { format, file, json: Json::new(file && format == Format::Json), requirements: Requirements::default() }
    }

    /// Takes a logical line: one, or several that a sign at their ends joins. `at` is where it begins in the text.
    pub(crate) fn logical(&mut self, seen: &Seen, at: usize, place: Range<usize>, out: &mut Out<'_>) {
        let mut start = 0;
        for part in seen.text().split_inclusive('\n') {
            let end = start + part.len();
            let source = seen.part(start..end);
            let place = (at + source.start).max(place.start)..(at + source.end).min(place.end.max(at + source.end));
            self.line(&Line { text: part.trim_end_matches('\n'), place }, out);
            start = end;
        }
        for (index, c) in seen.text().char_indices() {
            self.json.feed(c, at + seen.source(index)..at + seen.source(index + c.len_utf8()), out);
        }
        self.json.feed('\n', place.end..place.end, out);
        self.requirements.line(self.format, &Line { text: seen.text(), place }, out);
    }

    fn line(&mut self, line: &Line<'_>, out: &mut Out<'_>) {
        let _ = (line, out);
    }

    /// From where on the text must be held.
    pub(crate) fn held(&self) -> Option<usize> {
        self.json.held()
    }

    /// Whether the next line belongs to what has begun, even where no block says so.
    pub(crate) fn active(&self) -> bool {
        false
    }

    /// The block or the file has ended.
    pub(crate) fn end(&mut self, at: usize, out: &mut Out<'_>) {
        self.json.end(at, out);
    }

    /// More is held than may be: what was read counts as it stands, and nothing of it goes on.
    pub(crate) fn cut(&mut self, at: usize, out: &mut Out<'_>) {
        self.end(at, out);
        *self = Self::new(self.format, self.file);
    }
}
