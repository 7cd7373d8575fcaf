//! What is judged: a text, what it is called, and what it is.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use portcullis_dependencies::{Hint, Reading};
use portcullis_osv::Ecosystem;

use super::{file_name, spoken};
use crate::cli::decoding::Decoder;

/// The most bytes of one text. The largest lock files have a few megabytes.
const MOST_BYTES: u64 = 64 << 20;

/// Manifests whose names have no ending.
const NAMED: [&str; 6] = ["dockerfile", "gemfile", "go.mod", "go.sum", "makefile", "pipfile"];

/// Endings of texts, of which nobody expects that they are manifests.
const TEXTS: [&str; 3] = ["log", "text", "txt"];

/// A text to judge.
#[derive(Debug)]
pub(super) struct Input {
    /// What it is called in findings.
    pub(super) name: String,
    pub(super) text: String,
    kind: Kind,
    /// Where it lies, when in a file.
    path: Option<PathBuf>,
}

/// How it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Answer,
    File(String),
    Language(&'static str),
    List(Ecosystem),
}

impl Input {
    /// A file's text.
    pub(super) fn file(path: &Path, ecosystem: Option<Ecosystem>) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder; name the files in it"));
        }
        let text = read(file)?;
        let name = path.to_string_lossy().into_owned();
        let streamed = if is_text(&name) { spoken::streamed(&text) } else { None };
        if let Some(texts) = streamed {
            return Ok(Self { name, text: texts, kind: Kind::Answer, path: Some(path.to_owned()) });
        }
        let in_folder = path.parent().is_some_and(|parent| file_name(parent) == "requirements");
        let kind = Kind::of(&name, in_folder, ecosystem, &text);
        Ok(Self { name, text, kind, path: Some(path.to_owned()) })
    }

    /// The text on standard input.
    pub(super) fn stdin(name: Option<&str>, ecosystem: Option<Ecosystem>) -> io::Result<Self> {
        let mut text = read(io::stdin().lock())?;
        let kind = match (name, ecosystem) {
            (Some(name), _) => Kind::of(name, false, ecosystem, &text),
            (None, Some(ecosystem)) => Kind::list(ecosystem, &text),
            (None, None) => Kind::Answer,
        };
        if kind == Kind::Answer
            && let Some(texts) = spoken::texts(&text).or_else(|| spoken::streamed(&text))
        {
            text = texts;
        }
        Ok(Self { name: name.unwrap_or("<stdin>").to_owned(), text, kind, path: None })
    }

    /// What is known of it before it is read.
    pub(super) fn hint(&self) -> Hint<'_> {
        match &self.kind {
            Kind::Answer => Hint::Answer,
            Kind::File(name) => Hint::File(name),
            Kind::Language(language) => Hint::Language(language),
            Kind::List(ecosystem) => Hint::Ecosystem(*ecosystem),
        }
    }

    /// Why it may bring in more than was found, where it is a file of a kind that is not known; `nothing` says that
    /// nothing at all was found in it.
    pub(super) fn doubt(&self, nothing: bool) -> Option<String> {
        let Kind::File(name) = &self.kind else { return None };
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match Reading::of(name) {
            Reading::Text if !TEXTS.contains(&ending) => {
                Some(format!("`{}` is no manifest that is known; read as text", self.name))
            }
            Reading::Form if nothing => {
                Some(format!("`{}` is no manifest that is known, and nothing in it looks like one's", self.name))
            }
            // Of both `Cargo.lock` and `uv.lock`, what comes from a registry names it.
            Reading::Manifest if nothing && name.ends_with(".lock") => {
                let own = self.text.lines().filter(|line| line.trim() == "[[package]]").count();
                (own > 1).then(|| {
                    let all = format!("`{}` lists {own} packages and says no `source` of any", self.name);
                    format!("{all}: such are a project's own, and are not looked up")
                })
            }
            Reading::Code | Reading::Form | Reading::Manifest | Reading::Text => None,
        }
    }

    /// Tells of the lists of requirements that this one names, which are not read unless they are named, too.
    pub(super) fn mention_lists(&self, read: &[Self], mention: impl Fn(&str)) {
        if !matches!(&self.kind, Kind::File(name) if is_requirements(name)) {
            return;
        }
        let folder = self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        for (number, line) in self.text.lines().enumerate() {
            let Some(other) = other_list(line) else { continue };
            let path = folder.join(other);
            if !read.iter().filter_map(|input| input.path.as_deref()).any(|read| same(read, &path)) {
                let number = number + 1;
                mention(&format!("{}:{number}: `{other}` is not followed; name that file, too", self.name));
            }
        }
    }
}

impl Kind {
    /// What a file of this name is.
    fn of(path: &str, in_folder: bool, ecosystem: Option<Ecosystem>, text: &str) -> Self {
        let name = file_name(Path::new(path));
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let says_nothing = matches!(ending, "" | "in" | "list" | "lst" | "txt") && !NAMED.contains(&name.as_str());
        match (ending, ecosystem) {
            _ if is_requirements(&name) => Self::File(name),
            ("txt" | "in", None) if in_folder => Self::File("requirements.txt".to_owned()),
            (_, Some(ecosystem)) if says_nothing => Self::list(ecosystem, text),
            ("md" | "markdown" | "mdx" | "rst" | "adoc", _) => Self::Answer,
            _ => Self::File(name),
        }
    }

    /// What a text without a telling name is, in this ecosystem: what it begins with says whether it is a list.
    fn list(ecosystem: Ecosystem, text: &str) -> Self {
        let begins = text.trim_start();
        match (begins.chars().next(), ecosystem) {
            (Some('['), Ecosystem::CratesIo | Ecosystem::PyPi) => Self::Language("toml"),
            (Some('{' | '['), _) => Self::Language("json"),
            (Some('<'), _) => Self::Language("xml"),
            (_, Ecosystem::Go) if begins.starts_with("module ") => Self::File("go.mod".to_owned()),
            // The same, with its options, markers and hashes.
            (_, Ecosystem::PyPi) => Self::File("requirements.txt".to_owned()),
            _ => Self::List(ecosystem),
        }
    }
}

/// Whether a file of this name may be what a model server sent.
fn is_text(path: &str) -> bool {
    let name = file_name(Path::new(path));
    matches!(Reading::of(&name), Reading::Text) || name.ends_with(".json")
}

fn is_requirements(name: &str) -> bool {
    let list = name.rsplit_once('.').filter(|(_, ending)| ["txt", "in"].contains(ending));
    list.is_some_and(|(stem, _)| stem.contains("requirement") || stem.contains("constraint"))
}

/// The file that a line of a list of requirements names.
fn other_list(line: &str) -> Option<&str> {
    let line = line.trim();
    let options = ["-r", "-c", "--requirement", "--constraint"];
    let value = options.iter().find_map(|option| {
        let rest = line.strip_prefix(option)?;
        let short = !option.starts_with("--");
        (short || rest.starts_with(['=', ' ', '\t'])).then_some(rest)
    })?;
    let value = value.trim_start_matches(['=', ' ', '\t']).split(" #").next().unwrap_or_default();
    let value = value.trim().trim_matches(['"', '\'']);
    // What lies at an address comes from elsewhere, and is told as that.
    (!value.is_empty() && !value.contains("://")).then_some(value)
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || std::fs::canonicalize(a).is_ok_and(|a| std::fs::canonicalize(b).is_ok_and(|b| a == b))
}

/// Reads a text: UTF-8, or UTF-16 with a byte order mark.
fn read(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("has more than {MOST_BYTES} bytes")));
    }
    let (mut decoder, rest) = Decoder::new(&bytes);
    if decoder.is_binary(rest) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "is no text"));
    }
    let mut text = String::with_capacity(rest.len());
    decoder.push(rest, true, &mut text);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_beginnings_tell_what_a_text_is() {
        let of = |name: &str, ecosystem, text: &str| Kind::of(name, false, ecosystem, text);
        let file = |name: &str| Kind::File(name.to_owned());
        assert_eq!(of("a/Requirements-dev.txt", Some(Ecosystem::Npm), ""), file("requirements-dev.txt"));
        assert_eq!(of("names.txt", Some(Ecosystem::Npm), "lodash@1"), Kind::List(Ecosystem::Npm));
        assert_eq!(of("names.txt", Some(Ecosystem::PyPi), "x==1"), file("requirements.txt"));
        assert_eq!(of("package.json", Some(Ecosystem::PyPi), "{}"), file("package.json"));
        assert_eq!(of("go.mod", Some(Ecosystem::Go), ""), file("go.mod"));
        assert_eq!(of("Gemfile", Some(Ecosystem::RubyGems), ""), file("gemfile"));
        assert_eq!(of("answer.md", None, ""), Kind::Answer);
        assert_eq!(Kind::of("requirements/dev.txt", true, None, ""), file("requirements.txt"));
        assert_eq!(Kind::list(Ecosystem::CratesIo, "\n[package]"), Kind::Language("toml"));
        assert_eq!(Kind::list(Ecosystem::Npm, "{}"), Kind::Language("json"));
        assert_eq!(Kind::list(Ecosystem::Go, "module x\n"), file("go.mod"));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let of = |name: &str, text: &str, nothing| {
            let kind = Kind::of(name, false, None, text);
            Input { name: name.to_owned(), text: text.to_owned(), kind, path: None }.doubt(nothing)
        };
        let unknown = "`a/bun.lock` is no manifest that is known; read as text";
        assert_eq!(of("a/bun.lock", "", true).as_deref(), Some(unknown));
        assert_eq!(of("a/bun.lock", "", false).as_deref(), Some(unknown), "what was found need not be all");
        assert!(of("bom.json", "{}", true).is_some_and(|said| said.contains("`bom.json` is no manifest")));
        assert_eq!(of("deploy.yaml", "", false), None);
        for fine in ["notes.txt", "answer.md", "package.json", "requirements.txt", "main.py", "Dockerfile"] {
            assert_eq!(of(fine, "", true), None, "{fine}");
        }
        let two = "[[package]]\nname = \"a\"\n\n[[package]]\nname = \"b\"\n";
        assert!(of("Cargo.lock", two, true).is_some_and(|said| said.contains("2 packages")));
        assert_eq!(of("Cargo.lock", "[[package]]\nname = \"a\"\n", true), None, "a project of its own alone");
    }

    #[test]
    fn other_lists_are_seen_however_they_are_named() {
        for (line, other) in [
            ("-r base.txt", Some("base.txt")),
            ("-rbase.txt", Some("base.txt")),
            ("  --requirement=../base.txt # all", Some("../base.txt")),
            ("--constraint 'c.txt'", Some("c.txt")),
            ("-r https://example.com/r.txt", None),
            ("--requirements-are-fine", None),
            ("requests", None),
            ("-r", None),
        ] {
            assert_eq!(other_list(line), other, "{line}");
        }
    }

    #[test]
    fn texts_of_windows_are_read() {
        let bytes: Vec<u8> =
            std::iter::once(0xfeff).chain("a==1\r\n".encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&*bytes).unwrap(), "a==1\r\n");
        assert!(read(&b"PK\x03\x04\0\0"[..]).is_err());
    }
}
