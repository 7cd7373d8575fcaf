//! How findings are told: a table for people, one JSON object a line, or SARIF. Never what was found.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use portcullis_firewall::{Kind, Rules, Through};
use portcullis_policies::DataLevel;
use serde_json::{Value, json};

use super::baseline::replace;
use super::judge::Told;
use super::sarif;
use crate::cli::Outcome;
use crate::cli::printable::printable;

/// The form of a report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Table,
    /// One object a line.
    Json,
    /// SARIF 2.1.0.
    Sarif,
}

/// A report as it grows.
pub(super) struct Report {
    form: Form,
    /// Where it goes, when not to standard output.
    file: Option<PathBuf>,
    /// What is written when all is known.
    kept: Vec<u8>,
    results: Vec<Value>,
    /// What could not be scanned.
    missed: Vec<String>,
    bar: ProgressBar,
}

impl Report {
    /// A report; `all` is how many files there are, where that is known.
    pub(super) fn new(form: Form, file: Option<&Path>, all: Option<usize>) -> Self {
        let bar = match all {
            Some(all) if io::stderr().is_terminal() => {
                ProgressBar::with_draw_target(Some(all as u64), ProgressDrawTarget::stderr())
            }
            _ => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} files, {eta} left");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { form, file: file.map(Path::to_owned), kept: Vec::new(), results: Vec::new(), missed: Vec::new(), bar }
    }

    /// One more file is done.
    pub(super) fn step(&self) {
        self.bar.inc(1);
    }

    /// Tells a finding.
    pub(super) fn tell(&mut self, file: &Arc<str>, commit: Option<&str>, told: &Told<'_>) {
        match self.form {
            Form::Table => self.write(&line(file, commit, told, self.file.is_none() && crate::cli::colour())),
            Form::Json => self.write(&object(file, commit, told).to_string()),
            Form::Sarif => self.results.push(sarif::result(file, commit, told)),
        }
    }

    /// Tells, on standard error, about something that is no finding.
    pub(super) fn mention(&mut self, what: &str, missed: bool) {
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "portcullis: {what}");
        });
        if missed {
            self.missed.push(what.to_owned());
        }
    }

    /// The report is complete.
    pub(super) fn end(mut self, rules: &Rules) -> Outcome {
        self.bar.finish_and_clear();
        if self.form == Form::Sarif {
            let results = std::mem::take(&mut self.results);
            let log = sarif::log(rules, results, &self.missed);
            self.write(&serde_json::to_string_pretty(&log).unwrap_or_default());
        }
        self.file.as_deref().map_or(Ok(()), |file| replace(file, &self.kept))
    }

    fn write(&mut self, line: &str) {
        if self.file.is_some() {
            self.kept.extend_from_slice(line.as_bytes());
            self.kept.push(b'\n');
        } else {
            self.bar.suspend(|| {
                let _ = writeln!(io::stdout(), "{line}"); // a reader that went away is no error
            });
        }
    }
}

/// A finding for people, on two lines.
fn line(file: &str, commit: Option<&str>, told: &Told<'_>, colour: bool) -> String {
    let (bold, strong, end) = match (colour, told.rule.level) {
        (false, _) => ("", "", ""),
        (true, DataLevel::L4 | DataLevel::L3) => ("\x1b[1m", "\x1b[31m", "\x1b[0m"),
        (true, _) => ("\x1b[1m", "\x1b[33m", "\x1b[0m"),
    };
    let at = commit.and_then(|commit| commit.get(..12)).map(|commit| format!(" in {commit}")).unwrap_or_default();
    let score = if told.rule.kind == Kind::Injection { format!(", score {}", told.score) } else { String::new() };
    let seen = match told.through {
        Through::Plain => String::new(),
        how => format!(", {}", through(how)),
    };
    format!(
        "{bold}{}:{}:{}{end}{at}  {strong}{}{end}  {}{score}{seen}  {}\n    {}",
        printable(file),
        told.from.line,
        told.from.column,
        printable(&told.rule.id),
        told.rule.level,
        printable(&told.rule.description),
        told.shown
    )
}

/// A finding for programs.
fn object(file: &str, commit: Option<&str>, told: &Told<'_>) -> Value {
    let mut object = json!({
        "file": file,
        "line": told.from.line,
        "column": told.from.column,
        "end_line": told.to.line,
        "end_column": told.to.column,
        "rule": &*told.rule.id,
        "code": told.rule.kind.code(),
        "level": told.rule.level,
        "kind": told.rule.kind,
        "through": through(told.through),
        "score": told.score,
        "fingerprint": told.fingerprint,
        "description": &*told.rule.description,
    });
    if let (Some(commit), Some(object)) = (commit, object.as_object_mut()) {
        object.insert("commit".to_owned(), commit.into());
    }
    object
}

/// How a finding was seen, in one word or two.
pub(super) fn through(how: Through) -> String {
    match how {
        Through::Plain => "plain".to_owned(),
        Through::Normalised => "normalised".to_owned(),
        Through::Decoded(how) => format!("decoded {how}"),
        Through::Joined => "joined".to_owned(),
    }
}
