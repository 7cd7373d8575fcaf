//! Lists of packages, one in a line: `requirements.txt`, and what looks like it.

use portcullis_osv::{Ecosystem, Wanted};

use crate::command::{listed_elsewhere, registry};
use crate::format::{Format, Hint};
use crate::found::{How, LONGEST_NAME, Remote, Spec};
use crate::lines::{Line, Out};
use crate::spec;

/// Reads such a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requirements {
    /// The registry that the list names.
    own: Option<Remote>,
    /// What stood above, or the lines before, say that this is such a list: a bare name counts.
    listing: bool,
    /// The line that ends what a shell is told to write into a file.
    heredoc: Option<String>,
}

impl Requirements {
    /// The text above said that such a list follows.
    pub(crate) fn expect(&mut self) {
        self.listing = true;
    }

    /// Takes a logical line.
    pub(crate) fn line(&mut self, format: Format, line: &Line<'_>, out: &mut Out<'_>) {
        let joined;
        let text = if line.text.contains("\\\n") {
            joined = line.text.replace("\\\n", "");
            &joined
        } else {
            line.text
        };
        let text = match format {
            Format::Diff => match text.strip_prefix(['+', ' ']) {
                Some(text) => text,
                None => return,
            },
            _ => text,
        };
        let text = text.split(" #").next().unwrap_or(text).trim().trim_end_matches('\\').trim_end();
        if text.is_empty() || text.starts_with('#') {
            self.listing |= names_list(text);
            return;
        }
        match format {
            Format::Requirements => {
                let spec = self.option(text).unwrap_or_else(|| spec::pypi(text));
                self.tell(spec, How::Manifest, line, out);
            }
            Format::List(ecosystem) => {
                let text = text.trim_start_matches(['-', '*']).trim().trim_matches(['"', '\'', ',']);
                for spec in declared(ecosystem, text) {
                    self.tell(Some(spec), How::Declared, line, out);
                }
            }
            Format::Any | Format::Shell | Format::Diff => {
                // Only what cannot be anything else.
                let spec = spec::pypi(text).filter(|spec| {
                    let first = text.find(['=', '<', '>', '~', '!']).and_then(|at| text.get(at..)).unwrap_or_default();
                    let version = first.trim_start_matches(['=', '<', '>', '~', '!', ' ']);
                    let operator =
                        first.get(..2).is_some_and(|operator| ["==", "~=", ">=", "<=", "!="].contains(&operator));
                    let plain =
                        spec.wanted != Wanted::Any && operator && version.starts_with(|c: char| c.is_ascii_digit());
                    plain || (spec.remote.is_some() && text.contains(" @ "))
                });
                let option = text.starts_with("-r ") || text.starts_with("-e ") || text.starts_with("--");
                let spec = if option { self.option(text).flatten() } else { spec };
                let bare = self.listing && self.heredoc.as_deref() != Some(text) && !text.contains(char::is_whitespace);
                let spec = spec.or_else(|| spec::pypi(text).filter(|_| bare));
                // What is neither ends the list.
                self.listing = spec.is_some() || text.starts_with("-r ") || text.starts_with("-c ");
                if let Some((_, end)) = text.split_once("<<") {
                    let end = end.trim_start_matches('-').split_whitespace().next().unwrap_or_default();
                    self.heredoc = Some(end.trim_matches(['"', '\'']).chars().take(LONGEST_NAME).collect());
                    self.listing = names_list(text);
                }
                self.tell(spec, How::Manifest, line, out);
            }
            _ => {}
        }
    }

    fn tell(&mut self, spec: Option<Spec>, how: How, line: &Line<'_>, out: &mut Out<'_>) {
        if let Some(mut spec) = spec {
            if spec.remote.is_none() {
                spec.remote.clone_from(&self.own);
            }
            out.add(spec, how, line.place.clone());
        }
    }

    /// A line that is an option; what it brings in, if anything.
    fn option(&mut self, text: &str) -> Option<Option<Spec>> {
        if !text.starts_with('-') {
            return None;
        }
        let (name, value) = text.split_once(['=', ' ']).unwrap_or((text, ""));
        let value = value.trim().trim_matches(['"', '\'']);
        Some(match name {
            "-e" | "--editable" => spec::pypi(value),
            "-r" | "-c" | "--requirement" | "--constraint" => listed_elsewhere(value),
            "-i" | "--index-url" | "--extra-index-url" | "-f" | "--find-links" => {
                self.own = self.own.take().or_else(|| registry(value).map(Remote::shortened));
                self.own.clone().map(|own| Spec::remote(Ecosystem::PyPi, "", own))
            }
            _ => None,
        })
    }
}

/// Whether a line names a list of requirements: `requirements.txt`, `requirements-dev.in`.
pub(crate) fn names_list(line: &str) -> bool {
    line.split(|c: char| !(c.is_alphanumeric() || "-_./".contains(c)))
        .map(|word| word.trim_end_matches('.'))
        .any(|word| Format::of(Hint::File(word)) == Some(Format::Requirements))
}

/// A package as its ecosystem's commands name it.
fn declared(ecosystem: Ecosystem, text: &str) -> Vec<Spec> {
    let spaced = text.split_once(char::is_whitespace).map(|(name, version)| (name, version.trim()));
    let pinned = text.split_once("==");
    let spec = match ecosystem {
        Ecosystem::PyPi => spec::pypi(text),
        Ecosystem::Npm => spec::npm(text),
        Ecosystem::CratesIo => match pinned.or_else(|| text.split_once(" = ")) {
            Some((name, version)) => spec::cargo(&format!("{}@{}", name.trim(), version.trim().trim_matches('"'))),
            None => spec::cargo(&spaced.map_or_else(|| text.to_owned(), |(name, version)| format!("{name}@{version}"))),
        },
        Ecosystem::Go => {
            let module = spaced.map_or_else(|| text.to_owned(), |(name, version)| format!("{name}@{version}"));
            return spec::go_modules(&module);
        }
        Ecosystem::Maven => spec::maven(text),
        Ecosystem::NuGet => match pinned.or(spaced) {
            Some((name, version)) => spec::dotnet(name, Some(version)),
            None => spec::dotnet(text, None),
        },
        Ecosystem::Packagist => {
            spec::composer(&spaced.map_or_else(|| text.to_owned(), |(name, version)| format!("{name}:{version}")))
        }
        Ecosystem::RubyGems => match pinned.or(spaced) {
            Some((name, version)) => spec::gem(name, Some(version)),
            None => spec::gem(text, None),
        },
        _ => None,
    };
    spec.into_iter().collect()
}
