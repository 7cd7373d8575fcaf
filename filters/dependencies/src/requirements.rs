//! Lists of packages, one in a line: `requirements.txt`, and what looks like it.

use portcullis_osv::{Ecosystem, Wanted};

use crate::command::{listed_elsewhere, registry};
use crate::format::Format;
use crate::found::{How, Remote, Spec};
use crate::lines::{Line, Out};
use crate::spec;

/// Reads such a list.
#[derive(Debug, Default)]
pub(crate) struct Requirements {
    /// The registry that the list names.
    own: Option<Remote>,
}

impl Requirements {
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
            return;
        }
        match format {
            Format::Requirements => {
                let spec = self.option(text).unwrap_or_else(|| spec::pypi(text));
                self.tell(spec, How::Manifest, line, out);
            }
            Format::List(ecosystem) => {
                let text = text.trim_start_matches(['-', '*']).trim().trim_matches(['"', '\'', ',']);
                self.tell(declared(ecosystem, text), How::Declared, line, out);
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

/// A package as its ecosystem's commands name it.
fn declared(ecosystem: Ecosystem, text: &str) -> Option<Spec> {
    let spaced = text.split_once(char::is_whitespace).map(|(name, version)| (name, version.trim()));
    let pinned = text.split_once("==");
    match ecosystem {
        Ecosystem::PyPi => spec::pypi(text),
        Ecosystem::Npm => spec::npm(text),
        Ecosystem::CratesIo => match pinned.or_else(|| text.split_once(" = ")) {
            Some((name, version)) => spec::cargo(&format!("{}@{}", name.trim(), version.trim().trim_matches('"'))),
            None => spec::cargo(&spaced.map_or_else(|| text.to_owned(), |(name, version)| format!("{name}@{version}"))),
        },
        Ecosystem::Go => {
            spec::go(&spaced.map_or_else(|| text.to_owned(), |(name, version)| format!("{name}@{version}")))
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
    }
}
