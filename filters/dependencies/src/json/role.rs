//! What the objects of a manifest or a lock file mean.

use portcullis_osv::Ecosystem;

use crate::command::registry;
use crate::found::{How, Remote, Spec};
use crate::spec;

/// Names and ranges of npm.
const NPM: &[&str] = &[
    "dependencies",
    "devDependencies",
    "optionalDependencies",
    "overrides",
    "peerDependencies",
    "bundledDependencies",
    "resolutions",
];
const COMPOSER: &[&str] = &["require", "require-dev"];
const LOCKED: &[&str] = &["packages", "packages-dev"];
const PIPFILE: &[&str] = &["default", "develop"];
const DECLARED: &[&str] = &["dependencies_added"];
/// What is given to a program that a configuration names.
const GIVEN: &[&str] = &["args"];
const PROGRAM: &str = "command";
/// As many words of it are read; no installation takes a tenth.
const MOST_GIVEN: usize = 256;

/// What an object or an array is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    None,
    /// Nothing below it counts.
    Ignored,
    Npm,
    /// A name of npm with more than a range.
    NpmEntry(String),
    /// `packages` of a lock file.
    NpmLocked,
    NpmLockedEntry(String),
    /// A framework's packages.
    NuGet,
    NuGetEntry(String),
    Composer,
    /// A list of packages that say their names themselves.
    ComposerLocked,
    ComposerEntry,
    Pipfile,
    PipfileEntry(String),
    /// What an answer says itself that it brings in.
    Declared,
    /// What a program is given that a configuration names: `{"command": "npx", "args": ["-y", "x"]}`.
    Given(String),
}

/// What an object has said so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    name: Option<String>,
    version: Option<String>,
    /// The program that a configuration names.
    program: Option<String>,
    /// What it is given.
    given: Vec<String>,
    pub(super) told: bool,
}

type Tell<'t> = &'t mut dyn FnMut(Spec, How);

impl Role {
    /// What stands below a key of it.
    pub(super) fn below(&self, key: Option<&str>, array: bool) -> Self {
        let key = key.unwrap_or_default();
        let owned = || key.to_owned();
        match self {
            Self::Ignored
            | Self::Given(_)
            | Self::NpmLockedEntry(_)
            | Self::ComposerEntry
            | Self::NuGetEntry(_)
            | Self::PipfileEntry(_) => Self::Ignored,
            Self::Npm if !array && is_framework(key) => Self::NuGet,
            Self::Npm if !array => Self::NpmEntry(owned()),
            Self::NuGet => Self::NuGetEntry(owned()),
            Self::NpmEntry(_) if key == "requires" => Self::Ignored,
            Self::NpmLocked => match key.rsplit_once("node_modules/") {
                Some((_, name)) => Self::NpmLockedEntry(name.to_owned()),
                None => Self::Ignored,
            },
            Self::ComposerLocked => Self::ComposerEntry,
            Self::Pipfile => Self::PipfileEntry(owned()),
            _ if DECLARED.contains(&key) && array => Self::Declared,
            _ if LOCKED.contains(&key) => {
                if array {
                    Self::ComposerLocked
                } else {
                    Self::NpmLocked
                }
            }
            _ if array => Self::None,
            _ if NPM.contains(&key) => Self::Npm,
            _ if COMPOSER.contains(&key) => Self::Composer,
            _ if PIPFILE.contains(&key) => Self::Pipfile,
            _ => Self::None,
        }
    }

    /// Whether its strings say what is needed.
    pub(super) fn is_section(&self) -> bool {
        !matches!(
            self,
            Self::None | Self::Ignored | Self::NpmLocked | Self::NuGet | Self::ComposerLocked | Self::Pipfile
        )
    }

    /// Whether it is one package, which is told at once.
    pub(super) fn is_entry(&self) -> bool {
        matches!(
            self,
            Self::NpmEntry(_)
                | Self::NpmLockedEntry(_)
                | Self::NuGetEntry(_)
                | Self::ComposerEntry
                | Self::PipfileEntry(_)
                | Self::Given(_)
        )
    }

    /// Whether a key, of which this is the beginning, may say that a section follows.
    pub(super) fn may_begin(key: &str) -> bool {
        [NPM, COMPOSER, LOCKED, PIPFILE, DECLARED, GIVEN]
            .iter()
            .any(|names| names.iter().any(|name| name.starts_with(key)))
    }

    /// Takes a string in it.
    pub(super) fn string(&self, object: &mut Object, key: &str, value: &str, tell: Tell<'_>) {
        match self {
            Self::Npm => tell_some(spec::npm_entry(override_name(key), value), How::Manifest, tell),
            Self::Composer if key.contains('/') => {
                tell_some(spec::composer(&format!("{key}:{value}")), How::Manifest, tell);
            }
            Self::NpmEntry(name) | Self::NpmLockedEntry(name) => match key {
                "version" => {
                    object.told = true;
                    tell_some(spec::npm_entry(name, value), How::Lock, tell);
                }
                "resolved" => {
                    let elsewhere = registry(value).filter(|_| value.contains("://"));
                    tell_some(
                        elsewhere.map(|_| Spec::remote(Ecosystem::Npm, name, Remote::Url(value.to_owned()))),
                        How::Lock,
                        tell,
                    );
                }
                "." => tell_some(spec::npm_entry(name, value), How::Manifest, tell),
                // A package that another one is to use.
                _ if matches!(self, Self::NpmEntry(_)) && !matches!(key, "integrity" | "from") => {
                    tell_some(spec::npm_entry(override_name(key), value), How::Manifest, tell);
                }
                _ => {}
            },
            Self::NuGetEntry(name) if key == "resolved" => {
                object.told = true;
                tell_some(spec::dotnet(name, Some(value)), How::Lock, tell);
            }
            Self::ComposerEntry => {
                match key {
                    "name" => object.name = Some(value.to_owned()),
                    "version" => object.version = Some(value.to_owned()),
                    _ => return,
                }
                if let (Some(name), Some(version)) = (&object.name, &object.version) {
                    object.told = true;
                    tell_some(spec::composer(&format!("{name}:{version}")), How::Lock, tell);
                }
            }
            Self::PipfileEntry(name) => match key {
                "version" if value.starts_with(['=', '<', '>', '~', '!', '*']) => {
                    object.told = true;
                    tell_some(spec::pypi(&format!("{name}{value}")), How::Lock, tell);
                }
                "git" => tell(Spec::remote(Ecosystem::PyPi, name, Remote::Vcs(value.to_owned())), How::Lock),
                "file" | "path" => tell_some(
                    spec::remote(value).map(|remote| Spec::remote(Ecosystem::PyPi, name, remote)),
                    How::Lock,
                    tell,
                ),
                _ => {}
            },
            Self::Declared => tell_some(declared(value), How::Declared, tell),
            Self::Given(_) if object.given.len() < MOST_GIVEN => object.given.push(value.to_owned()),
            Self::None if key == PROGRAM => object.program = Some(value.to_owned()),
            _ => {}
        }
    }

    /// What a program is given that the object above names, if this key of it says that.
    pub(super) fn given(&self, object: &Object, key: Option<&str>, array: bool) -> Option<Self> {
        let given = array && *self == Self::None && key.is_some_and(|key| GIVEN.contains(&key));
        object.program.clone().filter(|_| given).map(Self::Given)
    }

    /// The line that runs a program with what it is given.
    pub(super) fn run(&self, object: &Object) -> Option<String> {
        match self {
            Self::Given(program) if !object.given.is_empty() => Some(format!("{program} {}", object.given.join(" "))),
            _ => None,
        }
    }

    /// Its end: what is known by then is told.
    pub(super) fn close(&self, object: &mut Object, tell: Tell<'_>) {
        if let (Self::ComposerEntry, false, Some(name)) = (self, object.told, &object.name) {
            tell_some(spec::composer(name), How::Lock, tell);
        }
    }
}

fn tell_some(spec: Option<Spec>, how: How, tell: Tell<'_>) {
    if let Some(spec) = spec {
        tell(spec, how);
    }
}

/// `**/name`, `parent/name` and `name@1` of overrides.
fn override_name(key: &str) -> &str {
    let name = key.rsplit_once("**/").map_or(key, |(_, name)| name);
    let at = name.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at);
    at.and_then(|at| name.get(..at)).unwrap_or(name)
}

/// What an answer declares, in whichever form its ecosystem has.
fn declared(text: &str) -> Option<Spec> {
    let versioned = text.char_indices().skip(1).any(|(at, c)| {
        c == '@'
            && text
                .get(at + 1..)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || "^~v".contains(c)))
    });
    if text.contains('/') && !text.starts_with('@') {
        return spec::go(text).or_else(|| spec::composer(text));
    }
    if text.starts_with('@') || versioned { spec::npm(text) } else { spec::pypi(text) }
}

/// `net6.0`, `.NETCoreApp,Version=v3.1`.
fn is_framework(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let digits = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    lower.starts_with(".net")
        || ["net", "netstandard", "netcoreapp"].iter().any(|name| lower.strip_prefix(name).is_some_and(digits))
}
