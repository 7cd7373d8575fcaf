//! What a tool of LLMesh declares to bring in.

use portcullis_dependencies::{Found, How};
use portcullis_osv::{Ecosystem, Package, Wanted};

use crate::json::Json;

/// What a tool's answer declares: under `dependencies_added`, in the ecosystem of its language or of its test framework.
///
/// `None` for what declares something of an ecosystem that nobody can tell: it cannot be looked up.
pub(super) fn of(answer: &Json<'_>) -> Option<Vec<Found>> {
    let declared = answer.get("dependencies_added").and_then(Json::as_array).unwrap_or_default();
    if declared.is_empty() {
        return Some(Vec::new());
    }
    let text = |key: &str| answer.get(key).and_then(Json::as_str).unwrap_or_default();
    let ecosystem = by_language(text("language")).or_else(|| by_framework(text("test_framework")))?;
    Some(declared.iter().filter_map(Json::as_str).filter_map(|entry| read(ecosystem, entry)).collect())
}

/// C and C++ have no registry that advisories speak of.
fn by_language(language: &str) -> Option<Ecosystem> {
    Some(match language.to_ascii_lowercase().as_str() {
        "python" => Ecosystem::PyPi,
        "typescript" | "javascript" => Ecosystem::Npm,
        "go" => Ecosystem::Go,
        "rust" => Ecosystem::CratesIo,
        "java" | "kotlin" | "scala" => Ecosystem::Maven,
        _ => return None,
    })
}

fn by_framework(framework: &str) -> Option<Ecosystem> {
    let framework = framework.trim().to_ascii_lowercase();
    let is = |names: &[&str]| names.iter().any(|name| framework.starts_with(name));
    if is(&["pytest", "unittest", "nose", "hypothesis", "doctest"]) {
        Some(Ecosystem::PyPi)
    } else if is(&["jest", "mocha", "vitest", "jasmine", "karma", "ava", "playwright", "cypress"]) {
        Some(Ecosystem::Npm)
    } else if is(&["junit", "testng", "spock"]) {
        Some(Ecosystem::Maven)
    } else if is(&["cargo", "proptest", "rust"]) {
        Some(Ecosystem::CratesIo)
    } else if is(&["go", "testify"]) {
        Some(Ecosystem::Go)
    } else {
        None
    }
}

/// One entry: `name`, `name==1.0`, `name>=1.0`, `name@1.0`, `name:1.0`, `group:name:1.0`, `name (1.0)`, `name 1.0`.
fn read(ecosystem: Ecosystem, entry: &str) -> Option<Found> {
    let entry = entry.trim();
    let (name, wanted) = split(ecosystem, entry);
    let name = name.split('[').next().unwrap_or_default().trim();
    if name.is_empty() {
        return None;
    }
    Some(Found {
        package: Package::new(ecosystem, name),
        written: name.to_owned(),
        ascii: name.is_ascii(),
        wanted: Wanted::read(ecosystem, wanted),
        place: 0..0,
        how: How::Declared,
        remote: None,
    })
}

fn split(ecosystem: Ecosystem, entry: &str) -> (&str, &str) {
    // The scope of an npm name begins with the sign that parts name and version.
    let from = usize::from(entry.starts_with('@'));
    let separator = |c: char| c.is_whitespace() || "=<>~!^(@".contains(c);
    let rest = entry.get(from..).unwrap_or_default();
    let at = rest.find(separator).map(|at| at + from);
    let colon = match ecosystem {
        // Here the name holds one itself.
        Ecosystem::Maven => entry.match_indices(':').nth(1).map(|(at, _)| at),
        _ => entry.find(':'),
    };
    match at.into_iter().chain(colon).min() {
        None => (entry, ""),
        Some(at) => {
            let (name, version) = entry.split_at_checked(at).unwrap_or((entry, ""));
            let version = version.trim_start_matches(['@', ':', '(', ' ']).trim_end_matches(')').trim();
            (name, version)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        let found = of(&Json::parse(text.as_bytes()).unwrap())?;
        Some(found.into_iter().map(|found| (found.package.to_string(), found.wanted.to_string())).collect())
    }

    #[test]
    fn entries_are_read_in_every_form() {
        for (language, entry, package, wanted) in [
            ("python", "Py_YAML==5.1", "PyPI:py-yaml", "5.1"),
            ("python", "requests", "PyPI:requests", "any version"),
            ("python", "requests[socks]>=2.0", "PyPI:requests", ">=2.0"),
            ("typescript", "@types/node@18.0.0", "npm:@types/node", "18.0.0"),
            ("typescript", "lodash@4.17.20", "npm:lodash", "4.17.20"),
            (
                "java",
                "org.apache.logging.log4j:log4j-core:2.14.1",
                "Maven:org.apache.logging.log4j:log4j-core",
                "2.14.1",
            ),
            ("go", "golang.org/x/net@v0.1.0", "Go:golang.org/x/net", "v0.1.0"),
        ] {
            let text = format!(r#"{{"language":"{language}","dependencies_added":["{entry}"]}}"#);
            let read = read(&text).unwrap();
            assert_eq!(read.first().map(|(package, _)| package.as_str()), Some(package), "{entry}");
            assert!(read.first().is_some_and(|(_, w)| w.contains(wanted.trim_start_matches('v'))), "{entry}: {read:?}");
        }
    }

    #[test]
    fn what_has_no_ecosystem_cannot_be_looked_up() {
        assert_eq!(read(r#"{"language":"cpp","dependencies_added":["boost"]}"#), None);
        assert_eq!(read(r#"{"language":"cpp","dependencies_added":[]}"#), Some(vec![]));
        assert_eq!(read(r#"{"test_framework":"pytest 8","dependencies_added":["pytest"]}"#).unwrap().len(), 1);
    }
}
