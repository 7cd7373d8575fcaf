//! The firewall's rules about credentials against corpora: the one for development, and one of issuers,
//! places and look-alikes that they were not written from.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::Path;

use portcullis_firewall::{Direction, Kind, Origin, Rules, Scratch, Selection, Text, draw};
use portcullis_policies::DataLevel;
use serde::Deserialize;

#[derive(Deserialize)]
struct Item {
    id: String,
    text: String,
    label: String,
    #[serde(default)]
    rule: String,
    secret: Option<String>,
    evasion: Option<String>,
    neg_kind: Option<String>,
}

/// The development corpus, where it is.
fn development_corpus() -> Option<Vec<Item>> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/firewall/corpus_dev.jsonl"));
    let Ok(lines) = std::fs::read_to_string(path) else {
        println!("skipped: the development corpus is not here");
        return None;
    };
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Plain secrets are found, clean texts are let alone.
#[test]
fn development() {
    let Some(items) = development_corpus() else { return };
    let rules = rules();
    let mut score = Score::default();
    for item in items {
        let found = secrets(&rules, &item.text);
        match item.label.as_str() {
            "secret" if item.evasion.is_none() => score.secret(&item.rule, &item.id, &found),
            "clean" => score.clean(item.neg_kind.as_deref().unwrap_or("?"), &item.id, &found),
            _ => {}
        }
    }
    score.print();
    assert!(score.recall() >= 0.98 && score.precision() >= 0.98, "{score:?}");
    assert!(score.wrong * 100 <= score.clean, "{score:?}");
}

/// Marks of other scripts between the letters of a secret hide none.
#[test]
fn marked() {
    let Some(items) = development_corpus() else { return };
    let rules = rules();
    let mut score = Score::default();
    let plain = items.into_iter().filter(|item| item.label == "secret" && item.evasion.is_none());
    for item in plain.filter(|item| !secrets(&rules, &item.text).is_empty()).take(100) {
        let secret = item.secret.unwrap();
        for mark in "\u{5B0}\u{610}\u{640}\u{64B}\u{670}\u{730}\u{93F}\u{94D}\u{E34}\u{2DE0}\u{A66F}\u{11046}".chars() {
            for each in [1, 3, 10] {
                let mut count = 0;
                let mut put = |c: char| {
                    count += usize::from(c.is_ascii_alphanumeric());
                    let marks = c.is_ascii_alphanumeric() && count % each == 0;
                    [Some(c), Some(mark).filter(|_| marks)]
                };
                let hidden: String = secret.chars().flat_map(&mut put).flatten().collect();
                let found = secrets(&rules, &item.text.replace(&secret, &hidden));
                score.secret(&format!("{mark:?} {each}"), &item.id, &found);
            }
        }
    }
    score.print();
    assert!(score.secrets > 3000 && score.found == score.secrets);
}

#[derive(Deserialize)]
struct Cases {
    secret: Vec<String>,
    clean: Vec<String>,
}

/// Every secret that was missed once, and everything that was taken for one.
#[test]
fn cases() {
    let cases: Cases = toml::from_str(include_str!("corpus/cases.toml")).unwrap();
    let rules = rules();
    let mut score = Score::default();
    for seed in 0..24 {
        for template in &cases.secret {
            score.secret(template, &seed.to_string(), &secrets(&rules, &draw(template, seed).unwrap()));
        }
        for template in &cases.clean {
            score.clean(template, &seed.to_string(), &secrets(&rules, &draw(template, seed).unwrap()));
        }
    }
    score.print();
    // A drawn password of twelve characters may come out as a word.
    assert!(score.recall() >= 0.98 && score.wrong * 500 <= score.clean, "{:.4}", score.recall());
}

#[derive(Deserialize)]
struct Unknown {
    families: Vec<(String, String)>,
    places: Vec<String>,
    clean: Vec<String>,
}

/// What no rule names is found where it stands, and what only looks like it is let alone.
#[test]
fn unknown() {
    let unknown: Unknown = toml::from_str(include_str!("corpus/heldout.toml")).unwrap();
    let rules = rules();
    let mut score = Score::default();
    let mut seed = 1;
    for (name, family) in &unknown.families {
        for place in &unknown.places {
            seed += 1;
            let secret = draw(family, seed).unwrap();
            let text = draw(place, seed + 1_000_000).unwrap().replace("@S@", &secret);
            let text = text.replace("@NAME@", name).replace("@name@", &name.to_lowercase());
            score.secret(name, place, &secrets(&rules, &text));
        }
    }
    for template in &unknown.clean {
        for seed in 0..12 {
            score.clean(template, "", &secrets(&rules, &draw(template, seed).unwrap()));
        }
    }
    score.print();
    assert!(score.recall() >= 0.93 && score.precision() >= 0.97, "{score:?}");
}

/// Published source text: what is found there at L3 and above, to be looked at one by one.
#[test]
#[ignore = "reads the local registry of published crates; says what it finds"]
fn published() {
    let home = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").unwrap()));
    let mut files = Vec::new();
    for registry in std::fs::read_dir(format!("{home}/registry/src")).unwrap().flatten() {
        walk(&registry.path(), &mut files);
    }
    files.sort();
    let rules = rules();
    let is_prose = |path: &Path| path.extension().is_some_and(|e| e == "md" || e == "txt");
    let (mut chunks, mut flagged) = (0, 0);
    for (prose, wanted) in [(true, 847), (false, 1693)] {
        let all: Vec<_> = files.iter().filter(|path| is_prose(path) == prose).collect();
        let (mut taken, step) = (0, all.len() / 500 + 1);
        'files: for path in (0..step).flat_map(|from| all.iter().skip(from).step_by(step)) {
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            for (number, chunk) in text.as_bytes().chunks(4096).enumerate().take(3) {
                let chunk = String::from_utf8_lossy(chunk);
                let found = secrets(&rules, &chunk);
                taken += 1;
                flagged += usize::from(!found.is_empty());
                if !found.is_empty() {
                    println!("{} [{number}]: {found:?}", path.display());
                }
                if taken == wanted {
                    break 'files;
                }
            }
        }
        chunks += taken;
    }
    println!("{flagged} of {chunks} chunks flagged");
}

fn walk(path: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else if path
            .extension()
            .is_some_and(|e| ["rs", "md", "txt", "toml", "js", "c", "h", "py"].iter().any(|k| e == *k))
        {
            files.push(path);
        }
    }
}

fn rules() -> Rules {
    Rules::load(true, &[], &Selection::default()).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

/// The rules about credentials that find something, each with how long its secret is and how it begins.
fn secrets(rules: &Rules, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let texts = [Text { text, origin: Origin::User, flows: false }];
    let mut look = |finding: portcullis_firewall::Finding<'_>| {
        if finding.rule.kind == Kind::Secret && finding.rule.level >= DataLevel::L3 {
            let line = text.get(..finding.span.end).unwrap().rsplit('\n').next().unwrap();
            let skip = line.chars().count().saturating_sub(90);
            let end: String = line.chars().skip(skip).collect();
            found.push(format!("{} {:?} at …{end}", finding.rule.id, finding.through));
        }
    };
    let judged = rules.scan(&texts, Direction::Request, &mut Scratch::default(), &mut look);
    // What is not judged does not pass either.
    found.extend(judged.err().map(|exhausted| exhausted.to_string()));
    found
}

#[derive(Debug, Default)]
struct Score {
    secrets: usize,
    found: usize,
    clean: usize,
    wrong: usize,
    missed: BTreeMap<String, Vec<String>>,
    flagged: BTreeMap<String, Vec<String>>,
}

impl Score {
    fn secret(&mut self, family: &str, id: &str, found: &[String]) {
        self.secrets += 1;
        self.found += usize::from(!found.is_empty());
        if found.is_empty() {
            self.missed.entry(family.to_owned()).or_default().push(id.to_owned());
        }
    }

    fn clean(&mut self, kind: &str, id: &str, found: &[String]) {
        self.clean += 1;
        self.wrong += usize::from(!found.is_empty());
        if let Some(first) = found.first() {
            self.flagged.entry(kind.to_owned()).or_default().push(format!("{id} {first}"));
        }
    }

    fn recall(&self) -> f64 {
        self.found as f64 / self.secrets as f64
    }

    fn precision(&self) -> f64 {
        self.found as f64 / (self.found + self.wrong).max(1) as f64
    }

    fn print(&self) {
        for (what, of) in [("missed", &self.missed), ("flagged", &self.flagged)] {
            for (kind, items) in of {
                println!("{what} {}x {kind}: {:?}", items.len(), items.iter().take(4).collect::<Vec<_>>());
            }
        }
        println!("recall {}/{} = {:.4}", self.found, self.secrets, self.recall());
        println!("precision {:.4}; {} of {} clean flagged", self.precision(), self.wrong, self.clean);
    }
}
