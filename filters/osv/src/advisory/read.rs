//! From an advisory as it is written to what is kept of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::written::{Written, WrittenAffected, WrittenRange, WrittenSeverity};
use super::{Advisory, BrokenAdvisory, MAX_ADVISORY, Nature, Notice};
use crate::ecosystem::Ecosystem;
use crate::package::Package;
use crate::piece::{holds, merged};
use crate::severity::Rating;
use crate::span::{Event, Span, spans};
use crate::version::{MAX_VERSION, Version};

/// The longest identifier, in bytes; those that there are have less than 40.
const MAX_ID: usize = 128;

/// How many aliases are kept: enough to find an advisory by.
const MAX_ALIASES: usize = 8;

/// The longest name of a package, in bytes. Maven's are the longest, a group and an artifact.
const MAX_NAME: usize = 512;

/// How many packages an advisory may name. The largest ones name every package of a project of hundreds.
const MAX_PACKAGES: usize = 10_000;

/// How many runs of affected versions and single versions are kept of a package; more are taken for all versions.
const MAX_PARTS: usize = 20_000;

impl Advisory {
    /// Reads an advisory from its JSON text. Unknown fields, ecosystems and kinds of ranges are passed over.
    ///
    /// # Errors
    /// When the text is not one advisory in the OSV format, or exceeds a bound.
    pub fn parse(text: &str) -> Result<Self, BrokenAdvisory> {
        if text.len() > MAX_ADVISORY {
            return Err(BrokenAdvisory::TooLong(text.len()));
        }
        Self::read(&serde_json::from_str(text)?)
    }

    fn read(written: &Written<'_>) -> Result<Self, BrokenAdvisory> {
        let id = check_id(&written.id)?;
        let modified = written.modified.as_deref().filter(|text| text.len() <= MAX_ID).map(Box::from);
        let withdrawn = written.withdrawn.as_deref().is_some_and(|when| !when.trim().is_empty());
        let mut advisory = Self { id: id.into(), modified, withdrawn, notices: Vec::new() };
        let affected = written.affected.as_deref().unwrap_or_default();
        if affected.len() > MAX_PACKAGES {
            return Err(BrokenAdvisory::Field { field: "affected", problem: "too long", expected: "at most 10000" });
        }
        if !withdrawn {
            let mut notices = BTreeMap::new();
            for affected in affected {
                add(written, affected, &mut notices)?;
            }
            advisory.notices = notices.into_values().collect();
        }
        advisory.notices.iter_mut().for_each(complete);
        Ok(advisory)
    }
}

fn check_id(id: &str) -> Result<&str, BrokenAdvisory> {
    let problem = match id.trim() {
        "" => "empty",
        id if id.len() > MAX_ID => "too long",
        id if id.contains(|c: char| c.is_control() || c.is_whitespace()) => "no identifier",
        id => return Ok(id),
    };
    Err(BrokenAdvisory::Field { field: "id", problem, expected: "one such as `GHSA-jfh8-c2jp-5v3q`" })
}

/// Adds what an entry of `affected` says of its package, if it is of a known ecosystem.
fn add(
    written: &Written<'_>,
    affected: &WrittenAffected<'_>,
    notices: &mut BTreeMap<Package, Notice>,
) -> Result<(), BrokenAdvisory> {
    let Some(package) = &affected.package else { return Ok(()) };
    let Some(ecosystem) = Ecosystem::named(&package.ecosystem) else { return Ok(()) };
    let problem = match package.name.trim() {
        "" => Some("empty"),
        name if name.len() > MAX_NAME => Some("too long"),
        _ => None,
    };
    if let Some(problem) = problem {
        return Err(BrokenAdvisory::Field {
            field: "affected.package.name",
            problem,
            expected: "the name of a package",
        });
    }
    let package = Package::new(ecosystem, &package.name);
    let notice = notices.entry(package.clone()).or_insert_with(|| Notice {
        package,
        id: written.id.trim().into(),
        aliases: aliases(written),
        rating: overall(written),
        nature: Nature::Informational,
        spans: Vec::new(),
        versions: Vec::new(),
        mended: false,
        doubtful: false,
    });
    notice.nature = notice.nature.max(nature(written, affected));
    notice.rating = notice.rating.worse(of_package(affected));
    let listed = affected.versions.as_deref().unwrap_or_default();
    for range in affected.ranges.as_deref().unwrap_or_default() {
        add_range(notice, range, !listed.is_empty());
    }
    for version in listed {
        // A version that is too long is none that a registry has.
        if version.len() <= MAX_VERSION && !version.trim().is_empty() {
            notice.versions.push(version.trim().into());
        }
    }
    Ok(())
}

fn add_range(notice: &mut Notice, range: &WrittenRange<'_>, listed: bool) {
    let written = range.events.as_deref().unwrap_or_default();
    if !["SEMVER", "ECOSYSTEM"].contains(&&*range.kind) {
        // Of commits, only that there is one with the fix is of use.
        notice.mended |= written.iter().any(|event| event.fixed.is_some());
        return;
    }
    let events: Vec<Event<'_>> = written
        .iter()
        .flat_map(|event| {
            let introduced = event.introduced.as_deref().map(Event::Introduced);
            let fixed = event.fixed.as_deref().map(Event::Fixed);
            let last = event.last_affected.as_deref().map(Event::LastAffected);
            introduced.into_iter().chain(fixed).chain(last).chain(event.limit.as_deref().map(Event::Limit))
        })
        .collect();
    match spans(notice.package.ecosystem(), &events) {
        Some(mut spans) => notice.spans.append(&mut spans),
        // Such a range comes with a list of all the versions in it; where it does not, it may mean any.
        None if listed => notice.mended |= written.iter().any(|event| event.fixed.is_some()),
        None => notice.doubtful = true,
    }
}

/// Brings what was gathered of a package into its shortest form.
fn complete(notice: &mut Notice) {
    let ecosystem = notice.package.ecosystem();
    notice.spans.dedup();
    let pieces = merged(notice.spans.iter().filter_map(|span| span.piece(ecosystem)).collect());
    notice.versions.retain(|version| {
        let version = Version::parse(ecosystem, version);
        !version.is_some_and(|version| holds(&pieces, &version))
    });
    notice.versions.sort_unstable();
    notice.versions.dedup();
    let unspecified = notice.spans.is_empty() && notice.versions.is_empty() && !notice.doubtful;
    // A package that was made to harm is so in every version, where none is named.
    let malicious = notice.nature == Nature::Malicious && unspecified;
    if malicious || notice.spans.len() + notice.versions.len() > MAX_PARTS {
        notice.spans = vec![Span::ALL];
        notice.versions = Vec::new();
    }
}

fn aliases(written: &Written<'_>) -> Vec<Box<str>> {
    let aliases = written.aliases.as_deref().unwrap_or_default().iter();
    aliases.filter(|alias| alias.len() <= MAX_ID).take(MAX_ALIASES).map(|alias| (**alias).into()).collect()
}

/// What the advisory says of all of its packages: in `severity`, and in the free part as GitHub does.
fn overall(written: &Written<'_>) -> Rating {
    of_list(written.severity.as_deref()).worse(of_specific(written.database_specific.as_ref()))
}

/// What it says of one package.
fn of_package(affected: &WrittenAffected<'_>) -> Rating {
    of_list(affected.severity.as_deref())
        .worse(of_specific(affected.ecosystem_specific.as_ref()))
        .worse(of_specific(affected.database_specific.as_ref()))
}

fn of_list(severities: Option<&[WrittenSeverity]>) -> Rating {
    let rating = |severity: &WrittenSeverity| match severity.score.as_ref()? {
        Value::String(text) => Rating::read(text),
        Value::Number(score) => Rating::read(&score.to_string()),
        _ => None,
    };
    severities.unwrap_or_default().iter().filter_map(rating).fold(Rating::default(), Rating::worse)
}

/// The keys under which databases put a rating into the free parts.
fn of_specific(specific: Option<&Value>) -> Rating {
    let rating = |key| match specific?.get(key)? {
        Value::String(text) => Rating::read(text),
        _ => None,
    };
    ["severity", "cvss"].into_iter().filter_map(rating).fold(Rating::default(), Rating::worse)
}

fn nature(written: &Written<'_>, affected: &WrittenAffected<'_>) -> Nature {
    let specific = affected.database_specific.as_ref();
    let listed = |key, word: &str| {
        let categories = specific.and_then(|specific| specific.get(key)).and_then(Value::as_array);
        categories.is_some_and(|words| words.iter().any(|value| value.as_str() == Some(word)))
    };
    let aliases = written.aliases.as_deref().unwrap_or_default();
    let mut ids = std::iter::once(&written.id).chain(aliases);
    if ids.any(|id| id.trim().starts_with("MAL-")) || listed("categories", "malicious") {
        return Nature::Malicious;
    }
    match specific.and_then(|specific| specific.get("informational")).and_then(Value::as_str) {
        Some("unmaintained" | "notice") => Nature::Informational,
        _ => Nature::Vulnerability,
    }
}
