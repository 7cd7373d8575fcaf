//! XML line by line: Maven's project files, and those of .NET.
//!
//! There are no external entities here, and none of a document's own: nothing is expanded.

use std::collections::BTreeMap;

use portcullis_osv::{Ecosystem, Wanted};

use crate::found::{How, LONGEST_NAME, Remote, Spec, What};
use crate::lines::{Line, Out};
use crate::spec;

/// The deepest nesting that is followed.
const DEEPEST: usize = 64;
/// The longest tag and the longest text that are kept.
const LONGEST: usize = 4096;
/// The longest name of an element that names a package, with a prefix.
const LONGEST_TAG: usize = 64;
/// As many properties and managed versions as are kept.
const MOST_KEPT: usize = 4096;
/// As often is a property looked up that stands in another one.
const DEEPEST_PROPERTY: usize = 4;

/// Elements that name a package.
const ENTRIES: &[&str] = &[
    "dependency",
    "parent",
    "plugin",
    "extension",
    "packagereference",
    "packageversion",
    "globalpackagereference",
    "dotnetclitoolreference",
    "package",
];

/// Follows XML.
#[derive(Clone, Debug, Default)]
pub(crate) struct Xml {
    levels: Vec<String>,
    entries: Vec<Entry>,
    /// A tag that is not at its end, and where it begins.
    tag: Option<(String, usize)>,
    comment: bool,
    cdata: bool,
    /// What stands in the innermost element.
    text: String,
    /// What the text says itself under a name.
    kept: BTreeMap<String, String>,
    /// It has entities of its own, or may have.
    entities: bool,
    strict: bool,
    broken: bool,
    began: bool,
}

/// An element that names a package, and what it says of it.
#[derive(Clone, Debug)]
struct Entry {
    kind: String,
    depth: usize,
    start: usize,
    fields: BTreeMap<String, String>,
}

impl Xml {
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    /// What a text says under names is known before it is read.
    pub(crate) fn know(&mut self, other: Self) {
        self.kept = other.kept;
    }

    pub(crate) fn is_active(&self) -> bool {
        !self.entries.is_empty() || self.levels.iter().any(|level| level == "dependencies" || level == "project")
    }

    pub(crate) fn held(&self) -> Option<usize> {
        let tag = self.tag.as_ref().filter(|(tag, _)| may_be_entry(tag)).map(|(_, start)| *start);
        self.entries.first().map(|entry| entry.start).into_iter().chain(tag).min()
    }

    pub(crate) fn line(&mut self, line: &Line<'_>, out: &mut Out<'_>) {
        let mut before = ['\0'; 8];
        for c in line.text.chars() {
            before.rotate_left(1);
            if let Some(last) = before.last_mut() {
                *last = c;
            }
            self.step(c, &before, line.place.start, line.place.end, out);
        }
        if self.tag.is_some() {
            self.step(' ', &before, line.place.end, line.place.end, out);
        }
    }

    pub(crate) fn end(&mut self, at: usize, out: &mut Out<'_>) {
        for entry in std::mem::take(&mut self.entries).into_iter().rev() {
            self.tell(&entry, at, out);
        }
        if self.strict && (self.broken || !self.began || !self.levels.is_empty() || self.tag.is_some() || self.comment)
        {
            out.fail(What::Xml, at..at);
        }
        let kept = std::mem::take(&mut self.kept);
        *self = Self { kept, ..Self::new(self.strict) };
    }

    fn step(&mut self, c: char, before: &[char; 8], at: usize, end: usize, out: &mut Out<'_>) {
        if self.comment {
            self.comment = !before.ends_with(&['-', '-', '>']);
            return;
        }
        if self.cdata {
            if before.ends_with(&[']', ']', '>']) {
                self.cdata = false;
                self.text.truncate(self.text.trim_end_matches(']').len());
            } else if self.text.len() < LONGEST {
                self.text.push(c);
            }
            return;
        }
        let Some((tag, start)) = &mut self.tag else {
            if c == '<' {
                self.tag = Some((String::new(), at));
            } else if self.text.len() < LONGEST {
                self.text.push(c);
            }
            return;
        };
        match c {
            '>' if tag.matches('"').count() % 2 == 0 => {
                let (tag, start) = (std::mem::take(tag), *start);
                self.tag = None;
                self.tag(&tag, start, end, out);
            }
            // No tag: a sign in code or in prose.
            '<' if !tag.contains('"') => (*tag, *start) = (String::new(), at),
            c if tag.is_empty() && !(c.is_alphabetic() || matches!(c, '/' | '!' | '?' | '_')) => {
                self.tag = None;
                self.broken = true;
            }
            c => {
                tag.push(c);
                if tag == "!--" {
                    (self.tag, self.comment) = (None, true);
                } else if tag == "![CDATA[" {
                    (self.tag, self.cdata) = (None, true);
                } else if tag.len() > LONGEST {
                    self.tag = None;
                    self.broken = true;
                }
            }
        }
    }

    fn tag(&mut self, tag: &str, start: usize, end: usize, out: &mut Out<'_>) {
        if tag.starts_with('!') {
            if tag.contains("ENTITY") || tag.contains('[') {
                // A lesson about XML is none about packages: only what names one must be read as a whole.
                self.entities = true;
                if self.strict || !self.entries.is_empty() {
                    out.fail(What::Xml, start..end);
                }
            }
            return;
        }
        if tag.starts_with('?') {
            return;
        }
        if let Some(name) = tag.strip_prefix('/') {
            return self.close(&local(name), end, out);
        }
        self.began = true;
        let (body, alone) = tag.strip_suffix('/').map_or((tag, false), |body| (body, true));
        let (name, attributes) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
        let name = local(name);
        self.text.clear();
        if self.levels.len() >= DEEPEST {
            self.broken = true;
            return;
        }
        self.levels.push(name.clone());
        if ENTRIES.contains(&name.as_str()) {
            let depth = self.levels.len();
            self.entries.push(Entry { kind: name.clone(), depth, start, fields: fields(attributes) });
        }
        if alone {
            self.close(&name, end, out);
        }
    }

    fn close(&mut self, name: &str, end: usize, out: &mut Out<'_>) {
        let Some(level) = self.levels.iter().rposition(|level| level == name) else {
            self.broken = true;
            return;
        };
        self.broken |= level + 1 != self.levels.len();
        self.levels.truncate(level);
        let text = decoded(self.text.trim());
        self.text.clear();
        let above = self.levels.last().map_or("", String::as_str);
        if matches!(above, "properties" | "propertygroup") || (level <= 1 && name == "version") {
            let key = if level <= 1 { format!("project.{name}") } else { name.to_owned() };
            self.keep(key, text.clone());
        }
        while let Some(entry) = self.entries.last_mut() {
            if entry.depth > level + 1 {
                // It was never closed.
            } else if entry.depth == level {
                entry.fields.entry(name.to_owned()).or_insert(text);
                return;
            } else if entry.depth <= level {
                return;
            }
            if let Some(entry) = self.entries.pop() {
                self.tell(&entry, end, out);
            }
        }
    }

    fn keep(&mut self, name: String, value: String) {
        if self.kept.len() < MOST_KEPT && !value.is_empty() && name.len().max(value.len()) <= LONGEST_NAME {
            self.kept.insert(name.to_ascii_lowercase(), value);
        }
    }

    /// A value with what its properties stand for, as far as the text says.
    fn resolved(&self, value: &str) -> String {
        let mut value = value.to_owned();
        for _ in 0..DEEPEST_PROPERTY {
            let opened = value.find("${").map(|at| (at, '}')).or_else(|| value.find("$(").map(|at| (at, ')')));
            let Some((at, close)) = opened else { break };
            let Some((before, rest)) = value.split_at_checked(at) else { break };
            let Some((name, after)) = rest.get(2..).and_then(|rest| rest.split_once(close)) else { break };
            let Some(known) = self.kept.get(&name.to_ascii_lowercase()) else { break };
            if known.len() + value.len() > LONGEST {
                break;
            }
            value = format!("{before}{known}{after}");
        }
        value
    }

    fn tell(&mut self, entry: &Entry, end: usize, out: &mut Out<'_>) {
        let field = |name: &str| entry.fields.get(name).map(|value| self.resolved(value)).unwrap_or_default();
        let place = entry.start..end.max(entry.start);
        if self.entities && !self.strict && !entry.fields.is_empty() {
            out.fail(What::Xml, place.clone());
        }
        let spec = if matches!(entry.kind.as_str(), "dependency" | "parent" | "plugin" | "extension")
            && field("id").is_empty()
        {
            let (mut group, artifact, version) = (field("groupid"), field("artifactid"), field("version"));
            if artifact.is_empty() {
                return;
            }
            if group.is_empty() && entry.kind == "plugin" {
                "org.apache.maven.plugins".clone_into(&mut group);
            }
            let managed = format!("managed {group}:{artifact}");
            let version = if version.is_empty() {
                self.kept.get(&managed.to_ascii_lowercase()).cloned().unwrap_or_default()
            } else {
                self.keep(managed, version.clone());
                version
            };
            let path = entry.fields.get("systempath");
            let mut spec = spec::maven(&format!("{group}:{artifact}"));
            if let Some(spec) = &mut spec {
                spec.wanted = spec::maven_version(&version);
                spec.remote = path.map(|path| Remote::File(path.clone()));
            }
            spec
        } else {
            // .NET: `Include`, `Update`, `id`.
            let name = ["include", "update", "id"].iter().map(|name| field(name)).find(|name| !name.is_empty());
            let Some(name) = name else { return };
            let version =
                ["versionoverride", "version"].iter().map(|name| field(name)).find(|version| !version.is_empty());
            let managed = format!("managed {name}");
            let version = match version {
                Some(version) => {
                    self.keep(managed, version.clone());
                    version
                }
                None => self.kept.get(&managed.to_ascii_lowercase()).cloned().unwrap_or_default(),
            };
            let unknown = version.contains("$(");
            spec::dotnet(&name, Some(&version).filter(|_| !unknown).map(String::as_str)).map(|spec| Spec {
                wanted: if unknown { Wanted::Any } else { spec.wanted },
                ecosystem: Ecosystem::NuGet,
                ..spec
            })
        };
        if let Some(spec) = spec {
            out.add(spec, How::Manifest, place);
        }
    }
}

/// Whether a tag, of which this is the beginning, may name a package.
fn may_be_entry(tag: &str) -> bool {
    let name: String = tag.chars().take(LONGEST_TAG).take_while(|c| !c.is_whitespace()).collect();
    let name = local(&name);
    ENTRIES.iter().any(|entry| entry.starts_with(&name))
}

/// An element's name without its prefix, in lower case.
fn local(name: &str) -> String {
    name.trim().rsplit(':').next().unwrap_or(name).to_ascii_lowercase()
}

/// The attributes of a tag.
fn fields(text: &str) -> BTreeMap<String, String> {
    let (mut fields, mut rest) = (BTreeMap::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let Some(quote) = after.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else { break };
        let Some((value, left)) = after.get(1..).and_then(|after| after.split_once(quote)) else { break };
        fields.insert(local(name), decoded(value));
        rest = left;
    }
    fields
}

/// A text with its predefined and numbered references read.
fn decoded(text: &str) -> String {
    let (mut read, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('&') {
        read.push_str(before);
        let known = after.split_once(';').and_then(|(name, left)| {
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                        None => number.parse(),
                    };
                    char::from_u32(code.ok()?)?
                }
            };
            Some((c, left))
        });
        match known {
            Some((c, left)) => {
                read.push(c);
                rest = left;
            }
            None => {
                read.push('&');
                rest = after;
            }
        }
    }
    read.push_str(rest);
    read
}
