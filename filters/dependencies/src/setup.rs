//! What Python projects say outside of TOML: `setup.py`, `setup.cfg`, and metadata within a script (PEP 723).

use crate::found::How;
use crate::lines::{Line, Out};
use crate::spec;
use crate::strings::strings;
use crate::toml_lines::Toml;

/// Arguments and options that hold requirements.
const NAMES: &[&str] = &["install_requires", "setup_requires", "tests_require", "extras_require"];

/// Follows such a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    /// How many brackets stand open behind one of the names.
    depth: Option<usize>,
    /// Lines below an option of `setup.cfg`, which are indented.
    listed: bool,
    /// A section of `setup.cfg` whose options all are lists.
    extras: bool,
    /// The metadata of a script.
    script: Option<Toml>,
}

impl Setup {
    pub(crate) fn is_active(&self) -> bool {
        self.depth.is_some() || self.listed || self.script.is_some()
    }

    pub(crate) fn held(&self) -> Option<usize> {
        self.script.as_ref().and_then(Toml::held)
    }

    /// Takes a line. `options` says that it may be one of `setup.cfg`.
    pub(crate) fn line(&mut self, line: &Line<'_>, options: bool, out: &mut Out<'_>) {
        let text = line.text.trim();
        if self.in_script(text, line, out) {
            return;
        }
        if self.depth.is_some() {
            return self.bracketed(text, line, out);
        }
        if self.listed && options {
            let indented = line.text.starts_with([' ', '\t']);
            if indented && !text.starts_with('#') {
                return tell(text, line, out);
            }
            self.listed = indented;
        }
        if text.starts_with('[') && text.ends_with(']') && options {
            self.extras = text == "[options.extras_require]";
        }
        if self.arguments(text, line, out) {
            return;
        }
        let Some((name, value)) = text.split_once('=') else { return };
        let (name, value) = (name.trim().trim_matches(['"', '\'']), value.trim());
        if !(NAMES.contains(&name) || self.extras) {
            return;
        }
        if value.starts_with(['[', '{', '(']) {
            self.depth = Some(0);
            self.bracketed(value, line, out);
        } else if !options {
            // An expression.
        } else if value.is_empty() {
            self.listed = true;
        } else if !value.starts_with('=') && value.chars().all(|c| !"()".contains(c)) {
            value.split(';').for_each(|value| tell(value.trim_matches(['"', '\'', ',']), line, out));
            self.listed = true;
        }
    }

    /// Takes the arguments that hold requirements, wherever in the line they begin, and says whether there are any.
    fn arguments(&mut self, text: &str, line: &Line<'_>, out: &mut Out<'_>) -> bool {
        // Up to here it was read as what an argument before holds.
        let (mut read, mut any) = (0, false);
        // The names are looked for once: a line may hold thousands.
        for (at, end) in names(text) {
            let Some(value) = text.get(end..).filter(|_| at >= read).and_then(value) else { continue };
            any = true;
            self.depth = Some(0);
            read = text.len() - self.bracketed_part(value, line, out).len();
        }
        any
    }

    /// A line within brackets. What stands behind them may hold others.
    fn bracketed(&mut self, text: &str, line: &Line<'_>, out: &mut Out<'_>) {
        let rest = self.bracketed_part(text, line, out);
        self.arguments(rest, line, out);
    }

    /// A part of a line that begins within brackets; what follows their end is left.
    fn bracketed_part<'t>(&mut self, text: &'t str, line: &Line<'_>, out: &mut Out<'_>) -> &'t str {
        let (mut quote, mut depth) = (None, self.depth.unwrap_or_default());
        let mut end = text.len();
        for (at, c) in text.char_indices() {
            match quote {
                Some(open) if c == open => quote = None,
                Some(_) => {}
                None if matches!(c, '"' | '\'') => quote = Some(c),
                None if "[{(".contains(c) => depth += 1,
                None if "]})".contains(c) => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        end = at + c.len_utf8();
                        break;
                    }
                }
                None => {}
            }
        }
        self.depth = (depth > 0).then_some(depth);
        let (text, left) = text.split_at_checked(end).unwrap_or((text, ""));
        // The keys of extras are no requirements: a colon follows them.
        let mut rest = text;
        for string in strings(text) {
            let at = rest.find(&string).map_or(rest.len(), |at| (at + string.len() + 1).min(rest.len()));
            rest = rest.get(at..).unwrap_or_default();
            if !rest.trim_start().starts_with(':') {
                tell(&string, line, out);
            }
        }
        left
    }

    /// Takes a line of a script's metadata, and says whether it is one.
    fn in_script(&mut self, text: &str, line: &Line<'_>, out: &mut Out<'_>) -> bool {
        let Some(inner) = text.strip_prefix('#') else {
            if let Some(mut script) = self.script.take() {
                script.end(line.place.start, out);
            }
            return false;
        };
        let inner = inner.strip_prefix(' ').unwrap_or(inner);
        match &mut self.script {
            None if inner.trim_start().starts_with("/// script") => self.script = Some(Toml::new(false)),
            None => return false,
            Some(script) if inner.trim() == "///" => {
                script.end(line.place.end, out);
                self.script = None;
            }
            Some(script) => script.line(&Line { text: inner, place: line.place.clone() }, true, out),
        }
        true
    }
}

/// Where the names stand in a line, as they follow each other.
fn names(text: &str) -> Vec<(usize, usize)> {
    let mut names: Vec<_> =
        NAMES.iter().flat_map(|name| text.match_indices(name)).map(|(at, name)| (at, at + name.len())).collect();
    names.sort_unstable();
    names
}

/// What an argument holds, by what stands behind its name, if a bracket opens there.
fn value(behind: &str) -> Option<&str> {
    let value = behind.trim_start_matches(['"', '\'']).trim_start().strip_prefix(['=', ':'])?.trim_start();
    value.starts_with(['[', '{', '(']).then_some(value)
}

fn tell(text: &str, line: &Line<'_>, out: &mut Out<'_>) {
    if let Some(spec) = spec::pypi(text) {
        out.add(spec, How::Manifest, line.place.clone());
    }
}
