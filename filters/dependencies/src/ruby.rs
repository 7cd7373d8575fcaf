//! Ruby's `Gemfile`, its lock file and gem specifications, line by line.

use portcullis_osv::{Ecosystem, Wanted};

use crate::command::registry;
use crate::found::{How, Remote, Spec};
use crate::lines::{Line, Out};
use crate::spec;
use crate::strings::strings;

/// Follows such a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ruby {
    /// The registry that the file names.
    own: Option<Remote>,
    /// Where the gems of a lock file's section come from, within its `specs`.
    section: Option<Option<Remote>>,
    specs: bool,
}

impl Ruby {
    pub(crate) fn is_active(&self) -> bool {
        self.specs
    }

    pub(crate) fn line(&mut self, line: &Line<'_>, out: &mut Out<'_>) {
        let text = line.text.trim();
        let indent = line.text.len() - line.text.trim_start().len();
        match text {
            "GEM" | "GIT" | "PATH" | "PLUGIN SOURCE" if indent == 0 => {
                self.section = Some(None);
                self.specs = false;
                return;
            }
            "specs:" => {
                self.specs = true;
                return;
            }
            _ if indent == 0 && !text.is_empty() => (self.section, self.specs) = (None, false),
            _ => {}
        }
        if let Some(from) = text.strip_prefix("remote:").filter(|_| self.section.is_some() && !self.specs) {
            let from = from.trim();
            self.section = Some(
                spec::remote(from)
                    .and_then(|remote| match remote {
                        Remote::Url(address) => registry(&address),
                        other => Some(other),
                    })
                    .map(Remote::shortened),
            );
            return;
        }
        if self.specs {
            // Four blanks are a gem, six are what it needs.
            if let Some((name, version)) = text.split_once(" (")
                && indent <= 4
                && let Some(spec) = spec::gem(name, version.strip_suffix(')'))
            {
                out.add(Spec { remote: self.section.clone().flatten(), ..spec }, How::Lock, line.place.clone());
            }
            return;
        }
        self.source(text, line, out);
    }

    /// A line of Ruby.
    fn source(&mut self, text: &str, line: &Line<'_>, out: &mut Out<'_>) {
        let code = text.split(" #").next().unwrap_or(text);
        if code.starts_with("source ") || code.starts_with("source(") {
            self.own = strings(code).first().and_then(|address| registry(address)).map(Remote::shortened);
            return;
        }
        let is_gem = code.starts_with("gem ") || code.starts_with("gem(");
        let adds = ["add_dependency", "add_runtime_dependency", "add_development_dependency"]
            .iter()
            .any(|add| code.contains(add));
        if !(is_gem || adds) {
            return;
        }
        // Options of the gem follow its versions.
        let mut quoted = strings(code).into_iter();
        let Some(name) = quoted.next() else { return };
        let options =
            ["git:", "github:", "path:", "source:", ":git", ":github", ":path", ":source", "gist:", "bitbucket:"];
        let option = options.iter().filter_map(|option| Some((code.find(option)?, *option))).min();
        let versions: Vec<String> = quoted
            .filter(|version| {
                version.trim_start_matches(['~', '>', '<', '=', '!', ' ']).starts_with(|c: char| c.is_ascii_digit())
            })
            .collect();
        let Some(mut spec) = spec::gem(&name, None) else { return };
        spec.wanted = match versions.as_slice() {
            [] => Wanted::Any,
            [one] => spec::gem("x", Some(one)).map_or(Wanted::Any, |spec| spec.wanted),
            several => Wanted::Range(several.join(", ").into()),
        };
        spec.remote = option.and_then(|(at, option)| {
            let value = strings(code.get(at..)?).into_iter().next()?;
            Some(match option.trim_matches(':') {
                "path" => Remote::File(value),
                "source" => return registry(&value),
                _ => Remote::Vcs(value),
            })
        });
        spec.remote = spec.remote.or_else(|| self.own.clone());
        debug_assert_eq!(spec.ecosystem, Ecosystem::RubyGems);
        out.add(spec, How::Manifest, line.place.clone());
    }
}
