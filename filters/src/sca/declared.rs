//! What a tool of LLMesh declares to bring in.

use portcullis_dependencies::{Found, Hint, find};
use portcullis_osv::Ecosystem;

use crate::json::Json;

/// What a tool's answer declares: under `dependencies_added`, in the ecosystem of its language or of its test framework.
///
/// `None` for what declares something of an ecosystem that nobody can tell, or an entry that is no requirement: it cannot
/// be looked up.
pub(super) fn of(answer: &Json<'_>) -> Option<Vec<Found>> {
    let declared = answer.get("dependencies_added").and_then(Json::as_array).unwrap_or_default();
    if declared.is_empty() {
        return Some(Vec::new());
    }
    let text = |key: &str| answer.get(key).and_then(Json::as_str).unwrap_or_default();
    let ecosystem = by_language(text("language")).or_else(|| by_framework(text("test_framework")))?;
    let found: Option<Vec<_>> = declared.iter().map(|entry| read(ecosystem, entry.as_str()?)).collect();
    Some(found?.into_iter().flatten().collect())
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

/// Marks that compare versions, or part a name and its version.
const OPERATORS: &[char] = &['=', '<', '>', '~', '!', '^', '('];
/// What the conditions of a Python requirement begin with.
const MARKERS: &[&str] = &["python_", "sys_", "os_", "platform_", "implementation_", "extra", "(", "not "];
/// Names of registries that stand before a package's.
const REGISTRIES: &[&str] = &["pypi:", "pip:", "npm:", "cargo:", "crates.io:", "crates:", "maven:", "go:"];

/// One entry, which may name several packages. `None` for what is no requirement.
fn read(ecosystem: Ecosystem, entry: &str) -> Option<Vec<Found>> {
    let parts = parts(ecosystem, entry);
    if parts.is_empty() {
        return None;
    }
    let found: Option<Vec<_>> = parts.iter().map(|part| one(ecosystem, part)).collect();
    Some(found?.into_iter().flatten().collect())
}

/// One package: as its registry's tools write it, or otherwise `name@1.0`, `name:1.0`, `name (1.0)`, `name 1.0`.
fn one(ecosystem: Ecosystem, part: &str) -> Option<Vec<Found>> {
    let part = REGISTRIES
        .iter()
        .find(|registry| part.get(..registry.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(registry)))
        .and_then(|registry| part.get(registry.len()..))
        .unwrap_or(part);
    [part.to_owned(), respelt(ecosystem, part)].into_iter().find_map(|form| {
        let findings = find(&form, Hint::Ecosystem(ecosystem));
        let readable = findings.unreadable.is_empty() && !findings.too_many;
        (readable && !findings.found.is_empty()).then_some(findings.found)
    })
}

/// The packages that an entry names: parted by commas, semicolons or blanks, where no version follows.
fn parts(ecosystem: Ecosystem, entry: &str) -> Vec<String> {
    let quotes = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
    let entry = entry.trim_matches(quotes);
    if ecosystem == Ecosystem::Maven && !entry.contains(':') {
        let words: Vec<&str> = entry.split_whitespace().collect();
        return if words.is_empty() { Vec::new() } else { vec![words.join(":")] };
    }
    let mut parts: Vec<String> = Vec::new();
    for statement in entry.split(';').map(str::trim) {
        let marker = !parts.is_empty() && MARKERS.iter().any(|marker| statement.starts_with(marker));
        if marker && ecosystem == Ecosystem::PyPi {
            continue;
        }
        // Whether the next word belongs to the package before.
        let mut goes_on = false;
        for word in commas(statement).flat_map(|part| part.split_whitespace().collect::<Vec<_>>()) {
            let word = word.trim_matches(quotes);
            let version = word.trim_start_matches(['v', '=']).starts_with(|c: char| c.is_ascii_digit() || c == '*');
            let belongs = goes_on || version || word.starts_with(OPERATORS) || word == "@";
            match parts.last_mut().filter(|_| belongs) {
                Some(last) => {
                    last.push(' ');
                    last.push_str(word);
                }
                None => parts.push(word.to_owned()),
            }
            goes_on = word.ends_with(OPERATORS) || word.ends_with('@');
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Parts an entry at the commas that no version and no extra follows.
fn commas(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let mut cuts = vec![0];
    for (at, c) in text.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let next = text.get(at + 1..).unwrap_or_default().trim_start();
                if next.starts_with(|c: char| c.is_alphabetic() || matches!(c, '@' | '"' | '\'' | '`')) {
                    cuts.push(at + 1);
                }
            }
            _ => {}
        }
    }
    let ends: Vec<usize> = cuts.iter().skip(1).map(|cut| cut - 1).chain([text.len()]).collect();
    cuts.into_iter().zip(ends).filter_map(|(from, to)| text.get(from..to))
}

/// A name and a version as the registry's tools write them.
fn respelt(ecosystem: Ecosystem, part: &str) -> String {
    // The scope of an npm name begins with the sign that parts name and version.
    let from = usize::from(part.starts_with('@'));
    let parts = |c: char| c.is_whitespace() || OPERATORS.contains(&c) || matches!(c, '@' | ':');
    let colons = part.matches(':').count();
    let at = match ecosystem {
        // Here the name holds one itself.
        Ecosystem::Maven => part.find(|c: char| parts(c) && c != ':').filter(|_| colons > 0),
        _ => part.get(from..).and_then(|rest| rest.find(parts)).map(|at| at + from),
    };
    let Some((name, version)) = at.and_then(|at| part.split_at_checked(at)) else { return part.to_owned() };
    let version = version.trim_start_matches(['@', ':', '(', ' ']).trim_end_matches([')', ' ']);
    let version: String = version.split_whitespace().collect();
    let bare = version.starts_with(|c: char| c.is_alphanumeric());
    match ecosystem {
        Ecosystem::PyPi if bare => format!("{name}=={version}"),
        Ecosystem::PyPi => format!("{name}{version}"),
        Ecosystem::Maven => format!("{name}:{version}"),
        _ => format!("{name}@{}", version.trim_start_matches("==")),
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
    fn entries_are_judged_as_the_packages_they_name() {
        let evilpy = &["PyPI:evilpy"][..];
        for (language, entry, packages) in [
            ("python", r#"evilpy;python_version>"3""#, evilpy),
            ("python", r#"evilpy >= 1.0, < 2 ; python_version > "3""#, evilpy),
            ("python", "requests, evilpy", &["PyPI:requests", "PyPI:evilpy"]),
            ("python", "requests>=1, evilpy", &["PyPI:requests", "PyPI:evilpy"]),
            ("python", "requests evilpy", &["PyPI:requests", "PyPI:evilpy"]),
            ("python", "requests; evilpy", &["PyPI:requests", "PyPI:evilpy"]),
            ("python", "requests[a,b]>=1,<2", &["PyPI:requests"]),
            ("python", "`evilpy`", evilpy),
            ("python", "'evilpy==1.0'", evilpy),
            ("python", "pypi:evilpy", evilpy),
            ("python", "evilpy (1.0)", evilpy),
            ("python", "evilpy 1.0", evilpy),
            ("python", "evilpy:1.0", evilpy),
            ("python", "evilpy @ https://x.example/evilpy.zip", evilpy),
            ("python", "git+https://x.example/evil.git#egg=evilpy", evilpy),
            ("typescript", "lodash@npm:evilnpm@1", &["npm:evilnpm"]),
            ("typescript", "evilnpm ^1.0", &["npm:evilnpm"]),
            ("typescript", "npm:@evil/x", &["npm:@evil/x"]),
            ("rust", "evil 1.0", &["crates.io:evil"]),
            ("java", "org.evil evil 1.0", &["Maven:org.evil:evil"]),
            ("java", "org.evil:evil 1.0", &["Maven:org.evil:evil"]),
        ] {
            let text = serde_json::json!({"language": language, "dependencies_added": [entry]}).to_string();
            let names: Option<Vec<String>> = read(&text).map(|found| found.into_iter().map(|(name, _)| name).collect());
            assert_eq!(names, Some(packages.iter().map(ToString::to_string).collect()), "{entry}");
        }
        let module = r#"{"language":"go","dependencies_added":["github.com/evil/mod/sub@v1.0.0"]}"#;
        assert!(read(module).unwrap().iter().any(|(name, _)| name == "Go:github.com/evil/mod"));
        let far = r#"{"language":"python","dependencies_added":["git+https://x.example/evil"]}"#;
        assert!(of(&Json::parse(far.as_bytes()).unwrap()).unwrap()[0].remote.is_some());
    }

    #[test]
    fn what_is_no_requirement_cannot_be_looked_up() {
        for entry in
            [r#""""#, r#""requests #evilpy""#, r#""(evil)""#, r#"{"name": "evilpy"}"#, "1", r#""requests %evil""#]
        {
            assert_eq!(read(&format!(r#"{{"language":"python","dependencies_added":[{entry}]}}"#)), None, "{entry}");
        }
    }

    #[test]
    fn what_has_no_ecosystem_cannot_be_looked_up() {
        assert_eq!(read(r#"{"language":"cpp","dependencies_added":["boost"]}"#), None);
        assert_eq!(read(r#"{"language":"cpp","dependencies_added":[]}"#), Some(vec![]));
        assert_eq!(read(r#"{"test_framework":"pytest 8","dependencies_added":["pytest"]}"#).unwrap().len(), 1);
    }
}
