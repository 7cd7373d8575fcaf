//! TOML line by line: what a project needs, and what a lock file fixed.

mod deps;
mod role;

use std::ops::Range;

use toml::{Table, Value};

use crate::found::{How, LONGEST_NAME, What};
use crate::lines::{Line, Out};
use deps::Locked;
use role::{Role, role};

/// The deepest inline tables that are looked into.
const DEEPEST: usize = 8;
/// As many parts of a key are looked at; no manifest has half as many.
const MOST_PARTS: usize = 16;
/// The longest line that is read as a whole.
const LONGEST: usize = 64 * 1024;

/// Follows TOML.
#[derive(Clone, Debug, Default)]
pub(crate) struct Toml {
    table: Vec<String>,
    /// An array that goes on over lines, and what its strings are.
    array: Option<Array>,
    stanza: Option<Stanza>,
    versions: deps::Versions,
    strict: bool,
    broken: Option<Range<usize>>,
    /// A string over several lines, and what ends it.
    string: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Array {
    role: Option<Role>,
    depth: usize,
}

/// A table that is one dependency: told at its end.
#[derive(Clone, Debug)]
struct Stanza {
    role: Role,
    name: String,
    place: Range<usize>,
    fields: Table,
}

impl Toml {
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.array.as_ref().is_some_and(|array| array.role.is_some())
            || self.stanza.is_some()
            || role(&self.table).is_some()
            || self.table.first().is_some_and(|first| matches!(first.as_str(), "project" | "build-system" | "tool"))
    }

    pub(crate) fn held(&self) -> Option<usize> {
        self.stanza.as_ref().map(|stanza| stanza.place.start)
    }

    /// Takes a line. `alone` says that nothing else may be in the text: a line that is no TOML ends it otherwise.
    pub(crate) fn line(&mut self, line: &Line<'_>, alone: bool, out: &mut Out<'_>) {
        let text = line.text.trim();
        if let Some(end) = self.string {
            if text.contains(end) {
                self.string = None;
            }
            return;
        }
        if let Some(array) = &mut self.array {
            let role = array.role;
            let strings = array.strings(text);
            if array.depth == 0 {
                self.array = None;
            }
            if let Some(role) = role {
                for string in strings {
                    deps::listed(role, &string, &mut |spec| out.add(spec, How::Manifest, line.place.clone()));
                }
            }
            self.reach(line);
            return;
        }
        if text.is_empty() || text.starts_with('#') {
            if text.is_empty() && !alone {
                self.end_stanza(out);
            }
            return;
        }
        if let Some(header) = header(text) {
            self.end_stanza(out);
            self.begin(header, line);
            return;
        }
        self.reach(line);
        let pair = text.split_once('=').filter(|(key, _)| is_key(key.trim()));
        let Some((key, value)) = pair else {
            if !alone {
                // Something else: the tables end here.
                self.end_stanza(out);
                self.table.clear();
            } else if self.broken.is_none() {
                self.broken = Some(line.place.clone());
            }
            return;
        };
        let path: Vec<String> = self.table.iter().cloned().chain(keys(key)).collect();
        let whole = if text.len() <= LONGEST { text.parse::<Table>().ok() } else { None };
        match whole {
            Some(read) => {
                let Some(value) = below(Value::Table(read), keys(key).count()) else { return };
                self.pair(&path, &value, line, key.contains('.'), out);
            }
            None => self.open(&path, value.trim(), line, out),
        }
    }

    pub(crate) fn end(&mut self, at: usize, out: &mut Out<'_>) {
        self.end_stanza(out);
        if self.strict
            && let Some(place) =
                self.broken.take().or_else(|| (self.array.is_some() || self.string.is_some()).then_some(at..at))
        {
            out.fail(What::Toml, place);
        }
        *self = Self::new(self.strict);
    }

    /// The stanza goes on to this line.
    fn reach(&mut self, line: &Line<'_>) {
        if let Some(stanza) = &mut self.stanza {
            stanza.place.end = line.place.end;
        }
    }

    fn begin(&mut self, header: Vec<String>, line: &Line<'_>) {
        self.table = header;
        let Some((name, above)) = self.table.split_last() else { return };
        let role = match role(above) {
            Some(role) if role.has_tables() => role,
            _ if above.is_empty() && name == "package" && line.text.trim().starts_with("[[") => Role::Locked,
            _ => return,
        };
        self.stanza = Some(Stanza { role, name: name.clone(), place: line.place.clone(), fields: Table::new() });
    }

    fn end_stanza(&mut self, out: &mut Out<'_>) {
        let Some(Stanza { role, name, place, fields }) = self.stanza.take() else { return };
        if role == Role::Locked {
            if let Some(spec) = Locked::of(&fields) {
                out.add(spec, How::Lock, place);
            }
        } else {
            deps::entry(role, &name, &Value::Table(fields), &self.versions, &mut |spec| {
                out.add(spec, How::Manifest, place.clone());
            });
        }
    }

    /// A key and its value.
    fn pair(&mut self, path: &[String], value: &Value, line: &Line<'_>, dotted: bool, out: &mut Out<'_>) {
        let Some((name, above)) = path.split_last() else { return };
        if let Some(stanza) = &mut self.stanza
            && above.len() == self.table.len()
        {
            stanza.fields.insert(name.clone(), value.clone());
            return;
        }
        let mut tell = |spec| out.add(spec, How::Manifest, line.place.clone());
        if let Some(Role::Versions) = role(above) {
            self.versions.keep(name, value);
        } else if let Some(role) = role(above).filter(|role| !role.is_list()) {
            deps::entry(role, name, value, &self.versions, &mut tell);
        } else if let Some(role) = list(path).filter(|_| value.is_array()) {
            deps::strings(value, &mut |string| deps::listed(role, string, &mut tell));
        } else if let Some((field, above)) = above.split_last()
            && dotted
            && let Some(role) = role(above).filter(|role| role.has_tables())
        {
            // `name.version = "1"`: the other fields say nothing of which one it is.
            if matches!(name.as_str(), "version" | "git" | "path" | "url" | "package") {
                let fields = Table::from_iter([(name.clone(), value.clone())]);
                deps::entry(role, field, &Value::Table(fields), &self.versions, &mut tell);
            }
        } else if let Value::Table(fields) = value
            && path.len() < DEEPEST
        {
            for (name, value) in fields {
                let path: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
                self.pair(&path, value, line, dotted, out);
            }
        }
    }

    /// A value that goes on in the next line, or is broken.
    fn open(&mut self, path: &[String], value: &str, line: &Line<'_>, out: &mut Out<'_>) {
        for end in ["\"\"\"", "'''"] {
            if value.starts_with(end) {
                self.string = Some(end);
                return;
            }
        }
        let above = path.split_last().map_or(&[][..], |(_, above)| above);
        let listed = list(path);
        if let Some(stanza) = &mut self.stanza
            && above.len() == self.table.len()
            && let Some(name) = path.last()
        {
            // What it holds says nothing of the package, that it is there does.
            stanza.fields.insert(name.clone(), Value::Array(Vec::new()));
        }
        if let (Some(role), Some(name), true) =
            (role(above).filter(|role| !role.is_list()), path.last(), value.starts_with('{'))
        {
            // A table that goes on in the next line: what this one says of it counts.
            let said = format!("x = {}}}", value.trim_end_matches(','));
            let said = said.parse::<Table>().ok().and_then(|read| below(Value::Table(read), 1));
            deps::entry(role, name, &said.unwrap_or_else(|| Value::Table(Table::new())), &self.versions, &mut |spec| {
                out.add(spec, How::Manifest, line.place.clone());
            });
        }
        if value.starts_with(['[', '{']) {
            let mut array = Array { role: listed, depth: 0 };
            let strings = array.strings(value);
            if let Some(role) = listed {
                for string in strings {
                    deps::listed(role, &string, &mut |spec| out.add(spec, How::Manifest, line.place.clone()));
                }
            }
            if array.depth > 0 {
                self.array = Some(array);
                return;
            }
        }
        if self.broken.is_none() {
            self.broken = Some(line.place.clone());
        }
        // What can be read of it counts.
        if let (Some(role), Some(name)) = (role(above).filter(|role| !role.is_list()), path.last()) {
            let version = value.trim_matches(['"', '\'', ' ']);
            let version = version.split(['"', '\'', '#']).next().unwrap_or(version).trim();
            deps::entry(role, name, &Value::String(version.to_owned()), &self.versions, &mut |spec| {
                out.add(spec, How::Manifest, line.place.clone());
            });
        }
    }
}

impl Array {
    /// The strings of a line of it, and how deep it is at its end.
    fn strings(&mut self, text: &str) -> Vec<String> {
        let (mut strings, mut string, mut quote) = (Vec::new(), String::new(), None);
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match quote {
                Some(open) if c == open => {
                    quote = None;
                    strings.push(std::mem::take(&mut string));
                }
                Some('"') if c == '\\' => string.extend(chars.next()),
                Some(_) => string.push(c),
                None => match c {
                    '"' | '\'' => quote = Some(c),
                    '[' | '{' => self.depth += 1,
                    ']' | '}' => {
                        self.depth = self.depth.saturating_sub(1);
                        if self.depth == 0 {
                            break;
                        }
                    }
                    '#' => break,
                    _ => {}
                },
            }
        }
        strings
    }
}

/// What the strings of an array at a path are.
fn list(path: &[String]) -> Option<Role> {
    match path {
        // A script's own: PEP 723. As a table it is Cargo's.
        [only] if only == "dependencies" || only == "requires" => Some(Role::Requirements),
        _ => role(path).filter(|role| role.is_list()),
    }
}

/// The path of a table's header.
fn header(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?;
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    let (path, rest) = inner.split_once(']')?;
    let rest = rest.strip_prefix(']').unwrap_or(rest).trim_start();
    // `target.'cfg(…)'.dependencies` may hold brackets; anything else behind is no header.
    if !(rest.is_empty() || rest.starts_with('#')) || !is_key(path.trim()) {
        return None;
    }
    Some(keys(path).collect())
}

/// Whether a text is a key, perhaps with points and quotes.
fn is_key(text: &str) -> bool {
    !text.is_empty()
        && (text.chars().all(|c| c.is_alphanumeric() || "-_. ".contains(c))
            || text.contains(['"', '\'']) && !text.starts_with(['{', '[', '(']))
        && !text.trim_matches(|c| "\"'".contains(c)).is_empty()
}

/// The parts of a key.
fn keys(text: &str) -> impl Iterator<Item = String> {
    let (mut parts, mut part, mut quote) = (Vec::new(), String::new(), None);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => part.push(c),
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if c == '.' => parts.push(std::mem::take(&mut part).trim().to_owned()),
            None => part.push(c),
        }
    }
    parts.push(part.trim().to_owned());
    // What is longer or deeper means nothing here, and would be copied for each line. A name stays too long for one.
    for part in &mut parts {
        let end = (0..=part.len().min(LONGEST_NAME + 4)).rev().find(|end| part.is_char_boundary(*end));
        part.truncate(end.unwrap_or_default());
    }
    parts.truncate(MOST_PARTS);
    parts.into_iter()
}

/// The value below as many keys.
fn below(value: Value, keys: usize) -> Option<Value> {
    (0..keys).try_fold(value, |value, _| match value {
        Value::Table(table) => table.into_iter().next().map(|(_, value)| value),
        _ => None,
    })
}
