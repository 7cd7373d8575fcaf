//! How one dependency is written, registry by registry.

use portcullis_osv::{Ecosystem, Wanted};

use crate::found::{Remote, Spec};

mod npm;
mod others;
mod pypi;

pub(crate) use npm::{entry as npm_entry, npm};
pub(crate) use others::{cargo, composer, dotnet, gem, go, go_modules, maven, maven_version};
pub(crate) use pypi::{conda, poetry_version, pypi};

/// Where something comes from that is written as an address or a path.
pub(crate) fn remote(text: &str) -> Option<Remote> {
    let lower = text.to_ascii_lowercase();
    let has = |prefixes: &[&str]| prefixes.iter().any(|prefix| lower.starts_with(prefix));
    let owned = || text.to_owned();
    if has(&["git+", "git:", "git@", "ssh:", "hg+", "svn+", "bzr+"])
        || (has(&["http://", "https://"])
            && std::path::Path::new(lower.split(['#', '?']).next().unwrap_or(&lower))
                .extension()
                .is_some_and(|extension| extension == "git"))
    {
        return Some(Remote::Vcs(owned()));
    }
    if has(&["github:", "gitlab:", "bitbucket:", "gist:"]) {
        return Some(Remote::Vcs(owned()));
    }
    if has(&["http://", "https://", "ftp://", "s3://"]) {
        return Some(Remote::Url(owned()));
    }
    let path = has(&["file:", "link:", "portal:", "./", "../", "/", "~/", ".\\", "..\\", "\\\\"])
        || text == "."
        || text == ".."
        || text.starts_with(".[")
        || matches!(lower.as_bytes(), [b'a'..=b'z', b':', b'\\' | b'/', ..]);
    path.then(|| Remote::File(owned()))
}

/// Whether every character may stand in a version or a range of it.
pub(crate) fn is_version_like(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-_*~^<>=!, |:/[]()@".contains(c))
        && text.chars().any(|c| c.is_ascii_alphanumeric() || c == '*')
}

/// Whether a name consists of what registries take, or of letters that look like it.
pub(crate) fn is_name(name: &str, more: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(char::is_alphanumeric)
        && chars.next_back().is_none_or(|c| c.is_alphanumeric() || more.contains(c))
        && name.chars().all(|c| c.is_alphanumeric() || more.contains(c))
}

/// A version that is exactly one: digits at first, and no sign of a range.
pub(crate) fn exact(version: &str) -> Wanted {
    let version = version.trim();
    match version {
        "" | "*" | "latest" | "latest.release" | "latest.integration" | "RELEASE" | "LATEST" | "@latest" => Wanted::Any,
        _ => Wanted::Exact(version.into()),
    }
}

/// A version, or a range where it says so.
pub(crate) fn either(version: &str) -> Wanted {
    let version = version.trim();
    let stripped = version.trim_start_matches('=').trim();
    let ranges = |c: char| "<>~^*,|! ".contains(c);
    if version.is_empty() || matches!(version, "*" | "latest" | ">= 0" | ">=0") {
        Wanted::Any
    } else if stripped.contains(ranges) {
        Wanted::Range(version.into())
    } else {
        exact(stripped)
    }
}

/// Whether a version says all three of its numbers.
fn is_full(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or(version);
    let mut parts = 0;
    core.split('.').all(|part| {
        parts += 1;
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
    }) && parts == 3
}

fn range(version: &str) -> Wanted {
    match version.trim() {
        "" | "*" | "latest" | "x" | "X" => Wanted::Any,
        version => Wanted::Range(version.into()),
    }
}

fn found(ecosystem: Ecosystem, name: &str, wanted: Wanted) -> Option<Spec> {
    Some(Spec::new(ecosystem, name, wanted))
}
