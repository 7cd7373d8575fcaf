//! The entries of TOML files.

use std::collections::BTreeMap;

use portcullis_osv::{Ecosystem, Wanted};
use toml::{Table, Value};

use super::role::Role;
use crate::command::registry;
use crate::found::{LONGEST_NAME, Remote, Spec};
use crate::spec;

/// As many versions as are kept for others to refer to.
const MOST_KEPT: usize = 4096;

/// Versions under names.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions(BTreeMap<String, String>);

impl Versions {
    pub(super) fn keep(&mut self, name: &str, value: &Value) {
        let text = value.as_str().or_else(|| value.get("strictly").or_else(|| value.get("require"))?.as_str());
        if let Some(text) = text.filter(|text| self.0.len() < MOST_KEPT && text.len() <= LONGEST_NAME) {
            self.0.insert(name.to_owned(), text.to_owned());
        }
    }

    fn of(&self, value: Option<&Value>) -> String {
        let reference = value.and_then(|value| value.get("ref")).and_then(Value::as_str);
        let known = reference.and_then(|name| self.0.get(name)).map(String::as_str);
        let said = value.and_then(|value| value.as_str().or_else(|| value.get("strictly")?.as_str()));
        known.or(said).unwrap_or_default().to_owned()
    }
}

/// All strings of an array, however deep.
pub(super) fn strings(value: &Value, each: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, each)),
        _ => {}
    }
}

/// A string of an array.
pub(super) fn listed(role: Role, text: &str, tell: &mut dyn FnMut(Spec)) {
    if role == Role::Requirements
        && let Some(spec) = spec::pypi(text)
    {
        tell(spec);
    }
}

/// A name and what is said of it.
pub(super) fn entry(role: Role, name: &str, value: &Value, versions: &Versions, tell: &mut dyn FnMut(Spec)) {
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    let spec = match role {
        Role::Cargo => cargo(name, value),
        Role::Poetry => {
            if let Value::Array(values) = value {
                return values.iter().for_each(|value| entry(role, name, value, versions, tell));
            }
            poetry(name, value)
        }
        Role::Sources => address(value).map(|remote| Spec::remote(Ecosystem::PyPi, name, remote)),
        Role::Catalog => {
            let module = match (field("module"), field("group"), field("name")) {
                (Some(module), ..) => module.to_owned(),
                (None, Some(group), Some(name)) => format!("{group}:{name}"),
                _ => value.as_str().unwrap_or_default().to_owned(),
            };
            spec::maven(&module).map(|spec| match versions.of(value.get("version")) {
                version if version.is_empty() => spec,
                version => Spec { wanted: spec::maven_version(&version), ..spec },
            })
        }
        Role::Plugins => {
            let short = value.as_str().and_then(|text| text.rsplit_once(':'));
            let (id, version) = match (field("id"), short) {
                (Some(id), _) => (id.to_owned(), versions.of(value.get("version"))),
                (None, Some((id, version))) => (id.to_owned(), version.to_owned()),
                (None, None) => return,
            };
            spec::maven(&format!("{id}:{id}.gradle.plugin"))
                .map(|spec| Spec { wanted: spec::maven_version(&version), ..spec })
        }
        Role::Locked | Role::Requirements | Role::Versions => None,
    };
    if let Some(spec) = spec {
        tell(spec);
    }
}

/// Where a table says that something comes from.
fn address(value: &Value) -> Option<Remote> {
    let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    field("git")
        .or_else(|| field("hg"))
        .or_else(|| field("github"))
        .map(Remote::Vcs)
        .or_else(|| field("url").map(Remote::Url))
        .or_else(|| {
            field("path").or_else(|| field("file")).map(|path| spec::remote(&path).unwrap_or(Remote::File(path)))
        })
        .or_else(|| field("registry-index").or_else(|| field("registry")).and_then(|at| registry(&at)))
        .or_else(|| field("index").or_else(|| field("source")).map(Remote::Registry))
}

fn cargo(name: &str, value: &Value) -> Option<Spec> {
    let renamed = value.get("package").and_then(Value::as_str).unwrap_or(name);
    let version = match value {
        Value::String(version) => version.as_str(),
        Value::Table(fields) => {
            // The workspace says which one.
            if fields.get("workspace").and_then(Value::as_bool) == Some(true) {
                return None;
            }
            fields.get("version").and_then(Value::as_str).unwrap_or_default()
        }
        _ => return None,
    };
    let asked = spec::cargo(&format!("{renamed}@{version}")).or_else(|| spec::cargo(renamed))?;
    Some(Spec { remote: address(value), ..asked })
}

fn poetry(name: &str, value: &Value) -> Option<Spec> {
    if name == "python" {
        return None;
    }
    let version = match value {
        Value::String(version) => version.as_str(),
        Value::Table(fields) => fields.get("version").and_then(Value::as_str).unwrap_or_default(),
        _ => return None,
    };
    let spec = spec::pypi(name)?;
    let wanted = spec::poetry_version(version).unwrap_or_else(|| Wanted::Range(version.into()));
    Some(Spec { wanted, remote: address(value), ..spec })
}

/// A stanza of a lock file.
pub(super) struct Locked;

impl Locked {
    /// What it fixes: Cargo's, Poetry's, uv's and PDM's are told apart by what else they say. The project's own
    /// packages say no source.
    pub(super) fn of(fields: &Table) -> Option<Spec> {
        let field = |name: &str| fields.get(name).and_then(Value::as_str);
        let (name, version) = (field("name")?, field("version").unwrap_or_default());
        match fields.get("source") {
            Some(Value::String(source)) => {
                let mut spec = Spec::new(Ecosystem::CratesIo, name, spec::exact(version));
                spec.remote = match source.split_once('+') {
                    Some(("git", address)) => Some(Remote::Vcs(address.to_owned())),
                    Some((_, address)) => registry(address),
                    None => registry(source),
                };
                Some(spec)
            }
            Some(source) => {
                let mut spec = Spec::new(Ecosystem::PyPi, name, spec::exact(version));
                if ["editable", "virtual", "directory"].iter().any(|own| source.get(own).is_some()) {
                    return None;
                }
                let said = source.get("registry").and_then(Value::as_str);
                let legacy = source.get("type").is_some();
                spec.remote = match said {
                    Some(at) => registry(at),
                    None if legacy => poetry_source(source),
                    None => address(source),
                };
                Some(spec)
            }
            None if field("checksum").is_some() => Some(Spec::new(Ecosystem::CratesIo, name, spec::exact(version))),
            None => {
                let python =
                    ["files", "python-versions", "optional", "groups", "requires_python", "category", "summary"];
                let is_python = python.iter().any(|key| fields.contains_key(*key));
                is_python.then(|| Spec::new(Ecosystem::PyPi, name, spec::exact(version)))
            }
        }
    }
}

fn poetry_source(source: &Value) -> Option<Remote> {
    let url = source.get("url").and_then(Value::as_str)?.to_owned();
    match source.get("type").and_then(Value::as_str) {
        Some("git") => Some(Remote::Vcs(url)),
        Some("url") => Some(Remote::Url(url)),
        Some("file" | "directory") => Some(Remote::File(url)),
        _ => registry(&url),
    }
}
