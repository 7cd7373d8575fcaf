//! Figures of a corpus or of files, for whoever tunes the lexicon.

use std::collections::BTreeMap;
use std::fs;

use super::{Judge, items, origin};
use crate::scan::Origin;

/// Thresholds that somebody may set.
const THRESHOLDS: [u8; 4] = [40, 50, 60, 70];

/// Prints what a corpus scores, and what it would at other thresholds: `INJECTION_CORPUS=file cargo test measure -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
fn measure() {
    let file = std::env::var("INJECTION_CORPUS").unwrap();
    let mut judge = Judge::new();
    let mut seen: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    let mut reached: BTreeMap<(String, u8), usize> = BTreeMap::new();
    for item in items(&fs::read_to_string(file).unwrap()) {
        let of = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let (score, rule, span) = judge.of(&of("text"), origin(&of("origin")));
        let label = of("label");
        let wrong = (label == "injection") != (score >= 50);
        for threshold in THRESHOLDS {
            *reached.entry((label.clone(), threshold)).or_default() += usize::from(score >= threshold);
        }
        let kind = of(if label == "injection" { "vector" } else { "neg_kind" });
        for key in [kind, format!("lang {}", of("lang")), "all".to_owned()] {
            let count = seen.entry((label.clone(), key)).or_default();
            *count = (count.0 + 1, count.1 + usize::from(score >= 50));
        }
        if wrong && std::env::var_os("INJECTION_QUIET").is_none() {
            println!("{label} {} {score} {rule} {:?} {}", of("id"), of("text").get(span), of("text").escape_debug());
        }
    }
    for ((label, key), (all, flagged)) in seen {
        println!("{label:10} {key:20} {flagged}/{all}");
    }
    for ((label, threshold), count) in reached {
        println!("{label:10} at {threshold:17} {count}");
    }
}

/// Prints which pieces of 4 KiB of the files of a folder are held for an injection, and what the score
/// costs: `INJECTION_FILES=folder cargo test --release measure_files -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
fn measure_files() {
    let mut folders = vec![std::path::PathBuf::from(std::env::var("INJECTION_FILES").unwrap())];
    let mut pieces = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs" || end == "md" || end == "txt") {
                pieces.extend(fs::read_to_string(path).ok().into_iter().flat_map(|text| {
                    let chars: Vec<char> = text.chars().take(1 << 17).collect();
                    chars.chunks(4096).take(8).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>()
                }));
            }
        }
    }
    let mut judge = Judge::new();
    let (bytes, mut flagged, mut looked) = (pieces.iter().map(String::len).sum::<usize>(), 0, 0);
    let started = std::time::Instant::now();
    for piece in &pieces {
        let (score, rule, span) = judge.of(piece, Origin::Unknown);
        looked += judge.scratch.windows.iter().map(|window| window.len()).sum::<usize>();
        if score >= 50 {
            flagged += 1;
            println!("{score} {rule} {:?}", piece.get(span));
        }
    }
    println!("{flagged} of {} pieces, {bytes} bytes in {:?}, {looked} looked at", pieces.len(), started.elapsed());
}
