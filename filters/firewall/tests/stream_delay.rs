//! What streams cost clean text: how much is held, how long, and how much work a frame is. Real prose and
//! code from the local registry, cut into pieces of one to seven characters.
//!
//!   cargo test --release -p portcullis-firewall --test stream_delay -- --ignored --nocapture

#![allow(clippy::print_stdout, reason = "its output is a table")]
#![allow(clippy::indexing_slicing, reason = "a helper of its test")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_firewall::{Direction, Origin, Rules, Scratch, Selection, Source, Stream, Text};

/// How much of each file is read, and of how many files.
const PART: usize = 8 * 1024;
const FILES: usize = 150;

#[test]
#[ignore = "a measurement, not a check"]
fn what_clean_text_pays() {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).unwrap_or_default();
    let (prose, code) = (texts(&home, "md"), texts(&home, "rs"));
    if prose.is_empty() || code.is_empty() {
        println!("skipped: there is no local registry");
        return;
    }
    let gitleaks = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/gitleaks.toml");
    let gitleaks = std::fs::read_to_string(gitleaks).unwrap_or_default();
    println!(
        "rules     text   frames  held: mean p95 p99 max (characters)  delayed  delay: mean p99 max (tokens)  ns/frame  found"
    );
    for (name, builtin, files) in
        [("built-in", true, vec![]), ("gitleaks", false, vec![Source { name: "gitleaks.toml", text: &gitleaks }])]
    {
        let began = Instant::now();
        let rules = match Rules::load(builtin, &files, &Selection::default()) {
            Ok(rules) => rules,
            Err(wrong) => {
                println!("{name}: {} rules cannot be loaded: {}", wrong.len(), wrong[0]);
                continue;
            }
        };
        let loaded = began.elapsed();
        assert!(rules.prepare_streams());
        println!("{name}: {} rules in {loaded:?}, ready for streams in {:?}", rules.iter().count(), began.elapsed());
        for (kind, texts) in [("prose", &prose), ("code", &code)] {
            let cost = measure(&rules, texts);
            println!("{name:<9} {kind:<6} {cost}");
        }
    }
}

fn measure(rules: &Rules, texts: &[String]) -> String {
    let (mut held, mut delays, mut found) = (Vec::new(), Vec::new(), std::collections::BTreeMap::new());
    let (mut frames, mut took, mut looked) = (0usize, Duration::ZERO, Duration::ZERO);
    let mut scratch = Scratch::default();
    // No tokenizer puts letters and digits into one token, as the pieces here may.
    let mut first_delayed = Vec::new();
    let mut exhausted = 0;
    for text in texts {
        let pieces = cut(text);
        let mut stream = Stream::new();
        let began = busy();
        let mut opens = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            let said = stream.push(rules, piece, &|_| true, &mut |f| *found.entry(f.rule.id.clone()).or_insert(0) += 1);
            if said.is_err() {
                exhausted += 1;
                break;
            }
            opens.push(stream.open());
        }
        took += busy() - began;
        let began = busy();
        for end in (512..text.len()).step_by(512) {
            let Some(text) = text.get(floor(text, end.saturating_sub(1792))..floor(text, end)) else { continue };
            let texts = [Text { text, origin: Origin::Answer, flows: false }];
            rules.scan(&texts, Direction::Response, &mut scratch, &mut |_| {}).unwrap_or_default();
        }
        looked += busy() - began;
        frames += pieces.len();
        let mut ends = Vec::new();
        let mut end = 0;
        for piece in pieces.iter().take(opens.len()) {
            end += piece.len() as u64;
            ends.push(end);
        }
        // A token leaves with the first push after which nothing of it is held.
        let mut next = 0;
        for (pushed, open) in opens.iter().enumerate() {
            held.push((ends[pushed] - open) as usize);
            while next <= pushed && ends[next] <= *open {
                delays.push(pushed - next);
                next += 1;
            }
        }
        if opens.first() != ends.first() {
            first_delayed.push(pieces[0]);
        }
        delays.extend((next..opens.len()).map(|token| opens.len() - token));
    }
    held.sort_unstable();
    delays.sort_unstable();
    let at = |sorted: &[usize], part: f64| sorted[((sorted.len() - 1) as f64 * part) as usize];
    let mean = |all: &[usize]| all.iter().sum::<usize>() as f64 / all.len() as f64;
    let delayed = delays.iter().filter(|delay| **delay > 0).count() as f64 / delays.len() as f64;
    format!(
        "{frames:>7}  {:.2} {} {} {}  {:.1}%  {:.3} {} {}  {:.0} ({:.0} of it for its end)  first delayed {}/{} {first_delayed:?}, exhausted {exhausted}, {found:?}",
        mean(&held),
        at(&held, 0.95),
        at(&held, 0.99),
        at(&held, 1.0),
        delayed * 100.0,
        mean(&delays),
        at(&delays, 0.99),
        at(&delays, 1.0),
        took.as_nanos() as f64 / frames as f64,
        looked.as_nanos() as f64 / frames as f64,
        first_delayed.len(),
        texts.len(),
    )
}

/// How long this thread was at work, not waiting for a core.
fn busy() -> Duration {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| BEGAN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// Pieces of one to seven characters, always the same.
fn cut(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut state = 1u64;
    while !rest.is_empty() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let size = 1 + (state >> 33) as usize % 7;
        let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
        let (piece, left) = rest.split_at(end);
        pieces.push(piece);
        rest = left;
    }
    pieces
}

/// The end of the last character that ends here or before.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn texts(home: &Path, extension: &str) -> Vec<String> {
    let mut files = Vec::new();
    collect(&home.join("registry/src"), extension, 6, &mut files);
    files.sort();
    let step = (files.len() / FILES).max(1);
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).ok()?;
        let middle = floor(&text, text.len().saturating_sub(PART) / 2);
        let (_, rest) = text.split_at(middle);
        Some(rest.split_at(floor(rest, PART)).0.to_owned())
    };
    files.iter().step_by(step).take(FILES).filter_map(read).filter(|text| text.len() > 200).collect()
}

fn collect(folder: &Path, extension: &str, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && depth > 0 {
            collect(&path, extension, depth - 1, files);
        } else if path.extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
}
