//! JavaScript: `name@range`, scopes, aliases, and everything that is no registry.

use portcullis_osv::{Ecosystem, Wanted};

use super::{found, is_full, is_name, is_version_like, range, remote};
use crate::found::{Remote, Spec};

/// Hosts of the registry itself.
const REGISTRIES: [&str; 2] = ["registry.npmjs.org", "registry.yarnpkg.com"];

/// What stands behind `npm install`.
pub(crate) fn npm(text: &str) -> Option<Spec> {
    let text = text.trim();
    let text = text.strip_prefix("npm:").unwrap_or(text);
    if let Some(spec) = registered(text) {
        return Some(spec);
    }
    if let Some(remote) = remote(text).or_else(|| archive(text)) {
        return Some(Spec::remote(Ecosystem::Npm, "", remote));
    }
    let (name, version) = match text.char_indices().skip(1).find(|(_, c)| *c == '@') {
        Some((at, _)) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, ""),
    };
    if is_package(name) {
        return entry(name, version);
    }
    // `owner/repository` is one of GitHub.
    let (owner, repository) = text.split_once('/')?;
    let repository = repository.split('#').next().unwrap_or(repository);
    (is_name(owner, "-") && is_name(repository, "-_."))
        .then(|| Spec::remote(Ecosystem::Npm, "", Remote::Vcs(format!("github:{text}"))))
}

/// An entry of a manifest: a name, and a range, an alias or an address.
pub(crate) fn entry(name: &str, wanted: &str) -> Option<Spec> {
    if !is_package(name) {
        return None;
    }
    let wanted = wanted.trim();
    if let Some(alias) = wanted.strip_prefix("npm:") {
        return npm(alias);
    }
    if let Some(spec) = registered(wanted) {
        return Some(spec);
    }
    if let Some(inside) = ["workspace:", "catalog:"].iter().find_map(|prefix| wanted.strip_prefix(prefix)) {
        return Some(Spec::remote(Ecosystem::Npm, name, Remote::File(format!("workspace:{inside}"))));
    }
    if let Some(remote) = remote(wanted).or_else(|| archive(wanted)) {
        return Some(Spec::remote(Ecosystem::Npm, name, remote));
    }
    let single = wanted.trim_start_matches(['=', 'v', ' ']);
    if is_full(single) && is_version_like(single) {
        return found(Ecosystem::Npm, name, Wanted::Exact(single.into()));
    }
    let first = wanted.starts_with(|c: char| c.is_ascii_digit() || "<>=~^*xXv".contains(c));
    if wanted.is_empty() || (first && is_version_like(wanted)) {
        return found(Ecosystem::Npm, name, range(wanted));
    }
    if let Some((owner, repository)) = wanted.split_once('/')
        && is_name(owner, "-")
        && is_name(repository.split('#').next().unwrap_or(repository), "-_.")
    {
        return Some(Spec::remote(Ecosystem::Npm, name, Remote::Vcs(format!("github:{wanted}"))));
    }
    // A tag: whatever it stands for.
    (is_name(wanted, "-_.")).then(|| Spec::new(Ecosystem::Npm, name, Wanted::Any))
}

/// An archive at the registry's own address: `https://registry.npmjs.org/name/-/name-1.0.0.tgz`.
fn registered(address: &str) -> Option<Spec> {
    let (host, path) = address.strip_prefix("https://")?.split_once('/')?;
    if !REGISTRIES.iter().any(|registry| registry.eq_ignore_ascii_case(host)) {
        return None;
    }
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let (name, file) = path.split_once("/-/")?;
    let name = name.replace("%2f", "/").replace("%2F", "/").replace("%40", "@");
    let last = name.rsplit('/').next()?;
    let version = file.strip_suffix(".tgz")?.strip_prefix(last)?.strip_prefix('-')?;
    (is_package(&name) && is_version_like(version))
        .then(|| Spec::new(Ecosystem::Npm, &name, Wanted::Exact(version.into())))
}

/// A package's name, with its scope.
pub(crate) fn is_package(name: &str) -> bool {
    match name.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| {
            is_name(scope.trim_start_matches(['-', '_', '~']), "-_.~")
                && is_name(name.trim_start_matches(['-', '_']), "-_.~")
        }),
        None => is_name(name.trim_start_matches('-'), "-_.~"),
    }
}

fn archive(text: &str) -> Option<Remote> {
    let lower = text.to_ascii_lowercase();
    let ends = lower.ends_with(".tgz") || lower.ends_with(".tar.gz");
    (ends && !text.contains('@')).then(|| Remote::File(text.to_owned()))
}
