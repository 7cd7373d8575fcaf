//! Gradle's build files, in Groovy and in Kotlin, and what scripts grab.

use crate::found::{How, Spec};
use crate::lines::{Line, Out};
use crate::spec;
use crate::strings::strings;

/// What the names of configurations end with.
const CONFIGURATIONS: &[&str] = &[
    "implementation",
    "api",
    "compile",
    "compileonly",
    "compileonlyapi",
    "runtime",
    "runtimeonly",
    "developmentonly",
    "provided",
    "providedcompile",
    "providedruntime",
    "classpath",
    "annotationprocessor",
    "kapt",
    "ksp",
    "platform",
    "enforcedplatform",
    "corelibrarydesugaring",
    "detektplugins",
    "modimplementation",
    "add",
    "constraint",
];

/// Reads a line. Where nobody says that it is Gradle's, only coordinates with a version, or of a group with points,
/// count. A block, or several statements, may stand in one line: `dependencies { api "g:a:1"; api "g:b:1" }`.
pub(crate) fn line(line: &Line<'_>, known: bool, out: &mut Out<'_>) {
    statement(line.text.trim(), line, known, out);
    for part in line.text.split(['{', ';']).skip(1) {
        statement(part.trim(), line, known, out);
    }
}

/// Reads a line of a lock file: `group:name:version=` and the configurations that have it.
pub(crate) fn locked(line: &Line<'_>, out: &mut Out<'_>) {
    let text = line.text.trim();
    let Some((coordinates, _)) = text.split_once('=').filter(|_| !text.starts_with('#')) else { return };
    let mut parts = coordinates.split(':');
    if let (Some(group), Some(name), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        && let Some(spec) = spec::maven(&format!("{group}:{name}"))
    {
        out.add(Spec { wanted: spec::exact(version), ..spec }, How::Lock, line.place.clone());
    }
}

fn statement(text: &str, line: &Line<'_>, known: bool, out: &mut Out<'_>) {
    let first = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_ascii_lowercase();
    let grabs = text.contains("@Grab");
    let quoted = strings(text);
    if first == "id" && !quoted.is_empty() && text.contains("version") {
        if let [id, version, ..] = quoted.as_slice()
            && let Some(spec) = spec::maven(&format!("{id}:{id}.gradle.plugin"))
        {
            out.add(Spec { wanted: spec::maven_version(version), ..spec }, How::Manifest, line.place.clone());
        }
        return;
    }
    let configures = !first.is_empty() && CONFIGURATIONS.iter().any(|name| first.ends_with(name));
    if !configures && !grabs {
        return;
    }
    let named = |name: &str| {
        let at = [format!("{name}:"), format!("{name} ="), format!("{name}=")]
            .iter()
            .find_map(|key| text.find(key.as_str()))?;
        strings(text.get(at..)?).into_iter().next()
    };
    if let (Some(group), Some(name)) = (named("group"), named("name").or_else(|| named("module"))) {
        let spec = spec::maven(&format!("{group}:{name}:{}", named("version").unwrap_or_default()));
        return tell(spec, line, out);
    }
    let is_one = |string: &str| {
        let mut parts = string.split(':');
        let (group, artifact, version) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        artifact.is_some() && (known || version.is_some() || group.contains('.'))
    };
    for string in quoted.iter().filter(|string| is_one(string)) {
        tell(spec::maven(string), line, out);
    }
}

fn tell(spec: Option<Spec>, line: &Line<'_>, out: &mut Out<'_>) {
    if let Some(spec) = spec {
        out.add(spec, How::Manifest, line.place.clone());
    }
}
