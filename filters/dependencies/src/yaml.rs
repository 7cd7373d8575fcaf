//! YAML and what looks like it: the `pip` part of Conda's files, pnpm's and Yarn's lock files.

use portcullis_osv::Ecosystem;

use crate::command::registry;
use crate::found::{How, LONGEST_NAME, Remote, Spec};
use crate::lines::{Line, Out};
use crate::spec;

/// Follows such a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Yaml {
    /// The list below `pip:`, and how far it is indented at least.
    pip: Option<usize>,
    /// `packages:` of pnpm's lock file.
    packages: bool,
    /// A stanza of Yarn's lock file: the name.
    yarn: Option<String>,
}

impl Yaml {
    pub(crate) fn is_active(&self) -> bool {
        self.pip.is_some() || self.packages || self.yarn.is_some()
    }

    pub(crate) fn line(&mut self, line: &Line<'_>, out: &mut Out<'_>) {
        let text = line.text.trim();
        let indent = line.text.len() - line.text.trim_start().len();
        if text.is_empty() {
            self.yarn = None;
            return;
        }
        if indent == 0 {
            self.packages = matches!(text, "packages:" | "snapshots:");
            self.yarn = yarn_name(text);
            if text != "- pip:" && text != "pip:" {
                self.pip = None;
            }
        }
        if matches!(text, "- pip:" | "pip:") {
            self.pip = Some(indent + usize::from(text.starts_with('-')));
        } else if let Some(above) = self.pip {
            match text.strip_prefix("- ") {
                Some(item) if indent >= above => {
                    let item = item.split(" #").next().unwrap_or(item).trim().trim_matches(['"', '\'']);
                    if let Some(spec) = spec::pypi(item).filter(|_| !item.starts_with('-')) {
                        out.add(spec, How::Manifest, line.place.clone());
                    }
                }
                _ => self.pip = None,
            }
        } else if self.packages && indent > 0 && indent <= 4 && text.ends_with(':') {
            if let Some(spec) = pnpm(text.trim_end_matches(':').trim_matches(['\'', '"'])) {
                out.add(spec, How::Lock, line.place.clone());
            }
        } else if let Some(name) = self.yarn.clone().filter(|_| indent > 0) {
            self.locked(&name, text, line, out);
        }
    }

    /// A line of a stanza of Yarn's lock file.
    fn locked(&mut self, name: &str, text: &str, line: &Line<'_>, out: &mut Out<'_>) {
        let (key, value) = text.split_once([' ', ':']).unwrap_or((text, ""));
        let value = value.trim().trim_matches(['"', '\'']);
        let spec = match key {
            // The workspace's own.
            "version" if value == "0.0.0-use.local" => None,
            "version" => spec::npm_entry(name, value),
            "resolved" => registry(value)
                .filter(|_| value.contains("://"))
                .map(|_| Spec::remote(Ecosystem::Npm, name, Remote::Url(value.to_owned()))),
            "resolution" => {
                let protocol = value.char_indices().skip(1).find(|(_, c)| *c == '@');
                let from = protocol.and_then(|(at, _)| value.get(at + 1..)).unwrap_or_default();
                let inside = from.starts_with("npm:") || from.starts_with("workspace:") || from.starts_with("patch:");
                spec::remote(from).filter(|_| !inside).map(|remote| Spec::remote(Ecosystem::Npm, name, remote))
            }
            _ => None,
        };
        if let Some(spec) = spec {
            out.add(spec, How::Lock, line.place.clone());
        }
    }
}

/// The name of a stanza: `lodash@^4.17.0, lodash@^4.17.4:`, `"@babel/core@npm:^7.0.0":`.
fn yarn_name(text: &str) -> Option<String> {
    let first = text.strip_suffix(':')?.split(',').next()?.trim_matches(['"', '\'', ' ']);
    let (at, _) = first.char_indices().skip(1).find(|(_, c)| *c == '@')?;
    let range = first.get(at + 1..)?;
    // An alias is locked under its own name.
    let alias = range.strip_prefix("npm:").and_then(|range| {
        let (at, _) = range.char_indices().skip(1).find(|(_, c)| *c == '@')?;
        range.get(..at)
    });
    let name = alias.unwrap_or(first.get(..at)?);
    spec::npm_entry(name, "")?;
    (name.len() <= LONGEST_NAME).then(|| name.to_owned())
}

/// A package of pnpm: `/lodash@4.17.20`, `lodash@4.17.20(peer@1)`, `/lodash/4.17.20_peer@1`.
fn pnpm(key: &str) -> Option<Spec> {
    let key = key.strip_prefix('/').unwrap_or(key);
    let key = key.split('(').next()?;
    let at = key.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at);
    if let Some(spec) = at.and_then(|at| spec::npm_entry(key.get(..at)?, key.get(at + 1..)?)) {
        return Some(spec);
    }
    let (name, version) = key.rsplit_once('/')?;
    spec::npm_entry(name, version.split('_').next()?)
}
