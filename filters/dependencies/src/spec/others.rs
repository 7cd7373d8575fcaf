//! Rust, Go, Java, .NET, PHP, Ruby.

use portcullis_osv::{Ecosystem, Wanted};

use super::{either, exact, found, is_full, is_name, is_version_like, range, remote};
use crate::found::{LONGEST_NAME, Remote, Spec};

/// `name`, `name@version`, as `cargo add` takes it; a bare version is a caret range, as in a manifest.
pub(crate) fn cargo(text: &str) -> Option<Spec> {
    if let Some(remote) = remote(text) {
        return Some(Spec::remote(Ecosystem::CratesIo, "", remote));
    }
    let (name, version) = text.split_once('@').unwrap_or((text, ""));
    if !is_name(name, "-_") || !(version.is_empty() || is_version_like(version)) {
        return None;
    }
    let wanted = match version.strip_prefix('=') {
        Some(version) if is_full(version.trim()) => Wanted::Exact(version.trim().into()),
        _ => range(version),
    };
    found(Ecosystem::CratesIo, name, wanted)
}

/// `module/path@version`. The first part of a path is a host; the standard library has none.
pub(crate) fn go(text: &str) -> Option<Spec> {
    let (path, version) = text.split_once('@').unwrap_or((text, ""));
    let path = path.trim_end_matches("/...").trim_end_matches('/');
    let (host, rest) = path.split_once('/').unwrap_or((path, ""));
    let is_host = host.split_once('.').is_some_and(|(name, end)| {
        !name.is_empty() && end.len() >= 2 && host.chars().all(|c| c.is_alphanumeric() || "-.".contains(c))
    });
    let is_path = rest.chars().all(|c| c.is_alphanumeric() || "-_.~/!+".contains(c));
    if !is_host || !is_path || (rest.is_empty() && version.is_empty()) {
        return None;
    }
    let wanted = match version {
        "" | "latest" | "upgrade" | "patch" => Wanted::Any,
        "none" => return None,
        _ if version.starts_with('v') && is_version_like(version) => Wanted::Exact(version.into()),
        // A branch, a commit or a comparison.
        _ if is_version_like(version) => Wanted::Range(version.into()),
        _ => return None,
    };
    found(Ecosystem::Go, path, wanted)
}

/// Hosts of many modules, and of how many parts the path of one is at least.
const GO_HOSTS: &[(&str, usize)] = &[
    ("bitbucket.org", 3),
    ("cloud.google.com", 2),
    ("codeberg.org", 3),
    ("github.com", 3),
    ("gitlab.com", 3),
    ("go.etcd.io", 2),
    ("go.mongodb.org", 2),
    ("go.opentelemetry.io", 2),
    ("go.uber.org", 2),
    ("golang.org", 3),
    ("google.golang.org", 2),
    ("gopkg.in", 2),
    ("gorm.io", 2),
    ("k8s.io", 2),
    ("sigs.k8s.io", 2),
];

/// A package of Go, and every module that it may be in: a path does not say where its module ends. On a host of many
/// the shortest that it can be counts like the path itself; the others are guesses.
pub(crate) fn go_modules(text: &str) -> Vec<Spec> {
    let Some(spec) = go(text) else { return Vec::new() };
    // A name of no registry is told as such, once.
    if spec.written.len() > LONGEST_NAME {
        return vec![spec];
    }
    let path = spec.written.clone();
    let host = path.split('/').next().unwrap_or_default();
    let known = GO_HOSTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(host)).map(|(_, parts)| *parts);
    let least = known.unwrap_or(1);
    let mut specs = vec![spec.clone()];
    for (parts, (end, _)) in (1..).zip(path.match_indices('/')) {
        let Some(prefix) = path.get(..end).filter(|_| parts >= least) else { continue };
        let module = Spec::new(Ecosystem::Go, prefix, spec.wanted.clone());
        specs.push(if known == Some(parts) { module } else { module.guessed() });
    }
    specs
}

/// `vendor/package`, and a constraint behind `:` or `=`.
pub(crate) fn composer(text: &str) -> Option<Spec> {
    let at = text.find([':', '=']).unwrap_or(text.len());
    let (name, version) = text.split_at_checked(at)?;
    let version = version.trim_start_matches([':', '=']).trim();
    let (vendor, package) = name.split_once('/')?;
    if !is_name(vendor, "-_.") || !is_name(package, "-_.") {
        return None;
    }
    let version = version.split('@').next().unwrap_or(version);
    let begins = |c: char| c.is_ascii_digit() || "^~<>=!*v(".contains(c);
    if !(version.is_empty() || version.starts_with(begins) || version.starts_with("dev-")) {
        return None;
    }
    let wanted = match version.strip_prefix('v').unwrap_or(version) {
        bare if version.starts_with("dev-") || bare.ends_with("-dev") => Wanted::Range(version.into()),
        bare if bare.starts_with(|c: char| c.is_ascii_digit()) => either(bare),
        _ => range(version),
    };
    found(Ecosystem::Packagist, name, wanted)
}

/// `name`, `name:version` and the version that a command says for all.
pub(crate) fn gem(text: &str, version: Option<&str>) -> Option<Spec> {
    if let Some(remote) = remote(text) {
        return Some(Spec::remote(Ecosystem::RubyGems, "", remote));
    }
    let (name, own) = text.split_once(':').unwrap_or((text, ""));
    if !is_name(name, "-_.") {
        return None;
    }
    if let Some(name) = name.strip_suffix(".gem") {
        return Some(Spec::remote(Ecosystem::RubyGems, name, Remote::File(text.to_owned())));
    }
    let version = if own.is_empty() { version.unwrap_or_default() } else { own };
    found(Ecosystem::RubyGems, name, either(version))
}

/// A package of .NET and the version that a command says, which is exactly that.
pub(crate) fn dotnet(name: &str, version: Option<&str>) -> Option<Spec> {
    let (name, own) = name.split_once('@').unwrap_or((name, ""));
    if !is_name(name, "-_.") {
        return None;
    }
    found(Ecosystem::NuGet, name, nuget_version(if own.is_empty() { version.unwrap_or_default() } else { own }))
}

/// What NuGet writes: a bare version is the lowest of those that fit, so it is the one that comes.
pub(crate) fn nuget_version(text: &str) -> Wanted {
    let text = text.trim();
    match text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) if !inner.contains(',') => exact(inner),
        _ if text.contains(['*', '[', '(', ',', ')', ']']) => range(text),
        _ => exact(text),
    }
}

/// `group:artifact`, `group:artifact:version`, `group:artifact:version:classifier@type`, and the order of Maven's own
/// goal (`group:artifact:packaging:version` has no digit third).
pub(crate) fn maven(text: &str) -> Option<Spec> {
    let text = text.split('@').next().unwrap_or(text);
    let mut parts = text.split(':');
    let (group, artifact) = (parts.next()?, parts.next()?);
    if !is_name(group, "-_.") || !is_name(artifact, "-_.") || !group.chars().any(char::is_alphabetic) {
        return None;
    }
    let version = parts
        .find(|part| part.contains(|c: char| c.is_ascii_digit() || "+$[(".contains(c)) || part.starts_with("latest"));
    found(Ecosystem::Maven, &format!("{group}:{artifact}"), maven_version(version.unwrap_or_default()))
}

/// What Maven and Gradle write: a bare version is the one that comes.
pub(crate) fn maven_version(text: &str) -> Wanted {
    let text = text.trim().trim_end_matches("!!");
    match text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) if !inner.contains(',') => exact(inner),
        // A property that nobody set.
        _ if text.contains('$') => Wanted::Any,
        _ if text.starts_with(['[', '(', ']']) || text.ends_with('+') => range(text),
        _ => exact(text),
    }
}
