//! Every kind of command, manifest and lock file, and what must not be taken for one: `cases/*.txt`.
//!
//! A case is a line `=== HINT | TITLE`, a text, a line `--->` and a line for each dependency that the text brings in:
//! registry, name, version (`any`, `=1.2` for exactly that one, or a range), where it was found, and `@` where it comes
//! from. `!` and a word is something unreadable.

#![allow(clippy::unwrap_used, clippy::panic, clippy::string_slice, reason = "helpers of tests")]

use std::path::Path;

use portcullis_dependencies::{Findings, Growing, Hint, Remote, find};
use portcullis_osv::{Ecosystem, Wanted};

struct Case {
    file: String,
    title: String,
    hint: String,
    text: String,
    wants: Vec<String>,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let content = std::fs::read_to_string(&path).unwrap();
        for part in content.split("\n=== ").map(|part| part.trim_start_matches("=== ")) {
            let (head, rest) = part.split_once('\n').unwrap();
            let (hint, title) = head.split_once(" | ").unwrap_or_else(|| panic!("{file}: {head}"));
            let (text, wants) = rest.split_once("\n--->").unwrap_or_else(|| panic!("{file}: {head}"));
            let wants = wants.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
            cases.push(Case { file: file.clone(), title: title.into(), hint: hint.into(), text: text.into(), wants });
        }
    }
    cases
}

fn hint(text: &str) -> Hint<'_> {
    match text.split_once(':') {
        None => Hint::Answer,
        Some(("file", name)) => Hint::File(name),
        Some(("code", name)) => Hint::Language(name),
        Some(("list", name)) => Hint::Ecosystem(Ecosystem::named(name).unwrap()),
        Some(_) => panic!("{text}"),
    }
}

fn shown(findings: &Findings) -> Vec<String> {
    let found = findings.found.iter().map(|found| {
        let wanted = match &found.wanted {
            Wanted::Any => "any".to_owned(),
            Wanted::Exact(version) => format!("={version}"),
            Wanted::Range(range) => range.to_string(),
        };
        let remote = match &found.remote {
            None => String::new(),
            Some(Remote::File(at)) => format!(" @file {at}"),
            Some(Remote::Registry(at)) => format!(" @registry {at}"),
            Some(Remote::Url(at)) => format!(" @url {at}"),
            Some(Remote::Vcs(at)) => format!(" @vcs {at}"),
        };
        let ascii = if found.ascii { "" } else { " looks" };
        let package = &found.package;
        format!("{} {} {wanted} {:?}{ascii}{remote}", package.ecosystem(), package.name(), found.how)
    });
    let unreadable = findings.unreadable.iter().map(|unreadable| format!("!{:?}", unreadable.what));
    let flood = findings.too_many.then(|| "!TooMany".to_owned());
    found.chain(unreadable).chain(flood).collect()
}

#[test]
fn every_case_is_found_as_it_says() {
    let (mut wrong, cases) = (0, cases());
    for case in &cases {
        let mut found = shown(&find(&case.text, hint(&case.hint)));
        let mut wants = case.wants.clone();
        found.sort();
        wants.sort();
        if found != wants {
            wrong += 1;
            println!("{}: {}\n{}\n  wants {wants:#?}\n  found {found:#?}", case.file, case.title, case.text);
        }
    }
    assert_eq!(wrong, 0, "of {}", cases.len());
    assert!(cases.len() >= 150, "{}", cases.len());
}

/// However a text is cut, it brings in the same, and nothing of a place leaves before it is told.
#[test]
fn every_case_is_found_in_pieces() {
    for case in cases() {
        let mut at_once = Growing::new(hint(&case.hint));
        at_once.push(&case.text);
        at_once.end();
        let whole = shown(&at_once.take());
        // Only a whole text is known to the end when its beginning is read: a property that follows it.
        if !case.hint.ends_with("pom.xml") {
            assert_eq!(shown(&find(&case.text, hint(&case.hint))), whole, "{}", case.title);
        }
        for size in [1, 2, 3, 7, 64] {
            let mut growing = Growing::new(hint(&case.hint));
            let mut all = Findings::default();
            let (mut came, mut left) = (0, 0);
            let chars: Vec<char> = case.text.chars().collect();
            let mut judge = |growing: &mut Growing, left: usize| {
                let findings = growing.take();
                for found in &findings.found {
                    assert!(
                        found.place.start >= left,
                        "{}: {}: {found:?} is told when {left} bytes have left",
                        case.file,
                        case.title
                    );
                    assert!(case.text.get(found.place.clone()).is_some(), "{found:?}");
                }
                all.found.extend(findings.found);
                all.unreadable.extend(findings.unreadable);
                all.too_many |= findings.too_many;
            };
            for piece in chars.chunks(size) {
                let piece: String = piece.iter().collect();
                growing.push(&piece);
                came += piece.len();
                judge(&mut growing, left);
                let held = growing.held_from().unwrap_or(came);
                assert!(held <= came, "{}: {}", case.file, case.title);
                left = left.max(held);
            }
            growing.end();
            judge(&mut growing, left);
            assert_eq!(shown(&all), whole, "{}: {} in pieces of {size}", case.file, case.title);
        }
    }
}
