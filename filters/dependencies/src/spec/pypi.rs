//! Python: PEP 508, PEP 440, and what Poetry writes instead.

use portcullis_osv::{Ecosystem, Wanted};

use super::{found, is_name, is_version_like, remote};
use crate::found::{Remote, Spec};

const OPERATORS: [&str; 9] = ["===", "==", "~=", "!=", "<=", ">=", "<", ">", "="];

/// A requirement: `name[extras] (>=1, <2); markers`, `name @ address`, an address or a path.
pub(crate) fn pypi(text: &str) -> Option<Spec> {
    let text = text.trim();
    if let Some(remote) = remote(text).or_else(|| archive(text)) {
        let named = egg(text).or_else(|| file_name(text)).unwrap_or_default();
        return Some(Spec::remote(Ecosystem::PyPi, named, remote));
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c))).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    if !is_name(name, "-_.") {
        return None;
    }
    let mut rest = rest.trim_start();
    if let Some(extras) = rest.strip_prefix('[') {
        let (extras, after) = extras.split_once(']')?;
        if !extras.chars().all(|c| c.is_alphanumeric() || "-_., ".contains(c)) {
            return None;
        }
        rest = after.trim_start();
    }
    if let Some(address) = rest.strip_prefix('@') {
        let address = address.trim().split([' ', ';']).next().unwrap_or_default();
        // Poetry, uv and others: `name@latest`, `name@^1.2`.
        return match remote(address) {
            Some(remote) => Some(Spec::remote(Ecosystem::PyPi, name, remote)),
            None if address.is_empty() => None,
            None => found(Ecosystem::PyPi, name, poetry_version(address)?),
        };
    }
    let version = rest.split([';', '#']).next().unwrap_or_default().trim();
    let version = version.split(" --").next().unwrap_or(version).trim();
    let version = version.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(version);
    found(Ecosystem::PyPi, name, pypi_version(version)?)
}

/// What conda takes: `channel::name=version=build`, `name>=version`. Its packages mostly are named as on PyPI, so the
/// name is a guess.
pub(crate) fn conda(text: &str) -> Option<Spec> {
    let text = text.rsplit("::").next().unwrap_or(text);
    let single = text.split_once('=').filter(|(name, version)| {
        !version.starts_with('=') && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
    });
    let spec = match single {
        // Conda takes `1.2` for all that begin so.
        Some((name, version)) => {
            let version = version.split('=').next().unwrap_or(version).trim_end_matches('*').trim_end_matches('.');
            pypi(&format!("{name}=={version}.*"))
        }
        None => pypi(text),
    };
    spec.map(Spec::guessed)
}

/// What PEP 440 writes behind a name.
pub(crate) fn pypi_version(text: &str) -> Option<Wanted> {
    let text = text.trim();
    if text.is_empty() || text == "*" {
        return Some(Wanted::Any);
    }
    if !OPERATORS.iter().any(|operator| text.starts_with(operator)) {
        return None;
    }
    // It asks for something; what that is, nobody can say.
    if !is_version_like(text) {
        return Some(Wanted::Range(text.into()));
    }
    let exact = text.strip_prefix("===").or_else(|| text.strip_prefix("==")).or_else(|| text.strip_prefix('='));
    Some(match exact.map(str::trim) {
        Some(exact) if !exact.contains(|c: char| "*,<>=! ".contains(c)) => Wanted::Exact(exact.into()),
        _ => Wanted::Range(text.into()),
    })
}

/// What Poetry writes behind a name: a bare version is a caret range only in its own files.
pub(crate) fn poetry_version(text: &str) -> Option<Wanted> {
    let text = text.trim();
    match text {
        "" | "*" | "latest" => Some(Wanted::Any),
        _ if text.starts_with(|c: char| "^~".contains(c)) && !text.starts_with("~=") => {
            is_version_like(text).then(|| Wanted::Range(text.into()))
        }
        _ if text.starts_with(|c: char| c.is_ascii_digit()) && is_version_like(text) => {
            Some(if text.contains(|c: char| "*,<>|".contains(c)) {
                Wanted::Range(text.into())
            } else {
                Wanted::Exact(text.into())
            })
        }
        _ => pypi_version(text),
    }
}

/// The name that an address says of itself: `#egg=name`.
fn egg(text: &str) -> Option<&str> {
    let (_, name) = text.split_once("egg=")?;
    let name = name.split(['&', '[', ' ', ';']).next().unwrap_or(name);
    is_name(name, "-_.").then_some(name)
}

/// The name of a built or source archive is the package's.
fn file_name(text: &str) -> Option<&str> {
    let file = text.split(['#', '?', ' ']).next()?.rsplit(['/', '\\']).next()?;
    let stem = [".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz"].iter().find_map(|end| file.strip_suffix(end))?;
    let (name, version) = stem.split_once('-')?;
    (is_name(name, "_.") && version.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
}

/// A file by its name alone.
fn archive(text: &str) -> Option<Remote> {
    let file = text.split([' ', ';']).next()?;
    let ends =
        [".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz"].iter().any(|end| file.to_ascii_lowercase().ends_with(end));
    (ends && !file.contains(['=', '<', '>', '@'])).then(|| Remote::File(file.to_owned()))
}
