//! The lexicon as it is in the tree, on texts of many kinds.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::engine::{Engine, Hits};

/// The score, and what it needs.
struct Judge {
    injection: Injection,
    engine: Engine,
    hits: Hits,
    scratch: InjectionScratch,
}

impl Judge {
    fn new() -> Self {
        // Read when the test runs, so that a change of the file needs no new program.
        let lexicon =
            fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/firewall/injection.toml"));
        let injection = Injection::by(&lexicon.unwrap(), &[], 1).unwrap();
        let engine = Engine::new(Vec::new(), injection.cues());
        Self { injection, engine, hits: Hits::default(), scratch: InjectionScratch::default() }
    }

    fn of(&mut self, text: &str, origin: Origin) -> (u8, String, Range<usize>) {
        self.hits.begin();
        self.engine.scan(text, &mut self.hits, &mut |_| {}).unwrap();
        let judged = self.injection.scan(text, origin, self.hits.cues(), &mut self.scratch);
        judged.map_or((0, String::new(), 0..0), |judged| (judged.score, judged.rule.id.to_string(), judged.span))
    }

    fn score(&mut self, text: &str, origin: Origin) -> u8 {
        self.of(text, origin).0
    }
}

fn origin(name: &str) -> Origin {
    match name {
        "tool" => Origin::Tool,
        "system" => Origin::System,
        "answer" => Origin::Answer,
        "user" => Origin::User,
        _ => Origin::Unknown,
    }
}

/// Prints what a corpus scores: `INJECTION_CORPUS=file cargo test measure -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
fn measure() {
    let file = std::env::var("INJECTION_CORPUS").unwrap();
    let mut judge = Judge::new();
    let mut seen: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for line in fs::read_to_string(file).unwrap().lines().filter(|line| !line.is_empty()) {
        let item: serde_json::Value = serde_json::from_str(line).unwrap();
        let of = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let (score, rule, span) = judge.of(&of("text"), origin(&of("origin")));
        let label = of("label");
        let wrong = (label == "injection") != (score >= 50);
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
}
