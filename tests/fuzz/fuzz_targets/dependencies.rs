//! What a text brings in: never a panic, the same however the text is cut, and nothing is told of what has left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_dependencies::{Findings, Growing, Hint, find};

const FILES: [&str; 16] = [
    "requirements.txt",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "environment.yml",
    "package.json",
    "yarn.lock",
    "Cargo.toml",
    "Cargo.lock",
    "go.mod",
    "build.gradle",
    "Gemfile.lock",
    "App.csproj",
    "composer.lock",
    "x.diff",
    "x.sh",
];

fuzz_target!(|input: (u8, u8, &str)| {
    let (kind, cut, text) = input;
    let hint = match usize::from(kind).checked_sub(usize::from(u8::MAX / 2)) {
        None => Hint::Answer,
        Some(file) => Hint::File(FILES[file % FILES.len()]),
    };
    let whole = find(text, hint);
    for found in &whole.found {
        assert!(text.get(found.place.clone()).is_some(), "{found:?}");
    }
    let (mut growing, mut all) = (Growing::new(hint), Findings::default());
    let (mut came, mut left) = (0, 0);
    let take = |growing: &mut Growing, left: usize, all: &mut Findings| {
        let findings = growing.take();
        assert!(findings.found.iter().all(|found| found.place.start >= left), "{findings:?} when {left} have left");
        all.found.extend(findings.found);
        all.unreadable.extend(findings.unreadable);
        all.too_many |= findings.too_many;
    };
    while came < text.len() {
        let want = came + usize::from(cut).max(1);
        let end = (want..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        growing.push(&text[came..end]);
        came = end;
        take(&mut growing, left, &mut all);
        left = left.max(growing.held_from().unwrap_or(came));
        assert!(left <= came && text.is_char_boundary(left));
    }
    growing.end();
    take(&mut growing, left, &mut all);
    if text.len() < portcullis_dependencies::MOST_HELD {
        assert_eq!(all, whole);
    }
});
