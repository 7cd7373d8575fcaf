//! `bench firewall`: what the firewall finds and what it costs, beside detect-secrets and LLMesh.
//!
//! 1. Labelled corpora: the development corpus beside the repository, where there is one, and ours.
//! 2. Prompts of 4 KiB, cut from the sources of published crates: how many are flagged, and the time.
//! 3. The stages of the engine, adversarial texts and growing texts, in one process.
//!
//! The others are Python packages, fetched into `target/`; without them only ours is measured, and said.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::{Value, json};

use super::PROFILE;
use crate::args::BenchOptions;
use crate::process::{output, run as run_command};
use crate::python::{self, Venv};
use crate::workspace::Workspace;

const OURS: &str = "Portcullis";
const OTHERS: [&str; 2] = ["detect-secrets", "LLMesh"];
const PACKAGES: &[&str] = &["detect-secrets==1.5.0", "llmesh-mcp==0.1.1"];

/// Labelled corpora, below the root of the workspace.
const CORPORA: [(&str, &str); 2] = [
    ("development corpus", "../shared/data/firewall/corpus_dev.jsonl"),
    ("our injections", "tests/corpus/injection.jsonl"),
];

/// How often LLMesh's firewall is to be outrun.
const TIMES_LLMESH: f64 = 40.0;

pub(crate) fn run(workspace: &Workspace, options: &BenchOptions) -> anyhow::Result<()> {
    // As it ships.
    run_command(workspace.cargo().args(["build", "--profile", PROFILE, "-p", "perf-firewall"]))?;
    let bench = Bench { program: workspace.binary(PROFILE, "perf-firewall"), root: workspace.root().to_owned() };
    let dir = workspace.target().join("bench-firewall");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let venv = others(&dir);

    let mut told = serde_json::Map::new();
    for (name, path) in CORPORA {
        let file = workspace.root().join(path);
        if !file.is_file() {
            println!("skipped: the {name} is not there");
            continue;
        }
        let outcomes = bench.outcomes("corpus", &file, venv.as_ref())?;
        print!("\n{}", quality(name, &outcomes));
        told.insert(name.to_owned(), outcomes.into());
    }

    match sources() {
        None => println!("skipped: there are no sources of published crates"),
        Some(folder) => {
            let file = dir.join("prompts.jsonl");
            fs::write(&file, output(Command::new(&bench.program).arg("sample").arg(folder))?)?;
            let outcomes = bench.outcomes("prompts", &file, venv.as_ref())?;
            print!("\n{}", prompts(&outcomes));
            told.insert("prompts".to_owned(), outcomes.into());
        }
    }

    println!();
    // One after the other: what runs beside what is measured is measured, too.
    let speed = ["--ignored", "--nocapture", "--test-threads=1"];
    let tests = ["test", "--release", "-q", "-p", "portcullis-firewall", "speed", "--"];
    run_command(workspace.cargo().args(tests).args(speed))?;
    if options.json {
        println!("{}", Value::from(told));
    }
    Ok(())
}

/// The sources that cargo has fetched for this workspace.
fn sources() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))?;
    Some(home.join("registry/src")).filter(|folder| folder.is_dir())
}

/// The other tools, where they can be had.
fn others(dir: &Path) -> Option<Venv> {
    let made = python::venv(&dir.join("venv")).and_then(|venv| venv.install(PACKAGES).map(|()| venv));
    made.inspect_err(|error| println!("skipped: detect-secrets and LLMesh cannot be had: {error:#}")).ok()
}

struct Bench {
    program: PathBuf,
    root: PathBuf,
}

/// What each tool did, ours first.
type Outcomes = serde_json::Map<String, Value>;

impl Bench {
    fn outcomes(&self, kind: &str, file: &Path, venv: Option<&Venv>) -> anyhow::Result<Outcomes> {
        println!("xtask: judging {}", file.file_name().unwrap_or_default().to_string_lossy());
        let ours = output(Command::new(&self.program).arg(kind).arg(file))?;
        let mut outcomes = Outcomes::new();
        outcomes.insert(OURS.to_owned(), serde_json::from_str(ours.trim())?);
        if let Some(venv) = venv {
            let script = self.root.join("tests/perf/firewall/others.py");
            let theirs = output(Command::new(venv.python()).arg(script).arg(kind).arg(file))?;
            outcomes.extend(serde_json::from_str::<Outcomes>(theirs.trim())?);
        }
        Ok(outcomes)
    }
}

/// The tools that were measured, ours first.
fn tools(outcomes: &Outcomes) -> impl Iterator<Item = (&'static str, &Value)> {
    [OURS].into_iter().chain(OTHERS).filter_map(|name| outcomes.get(name).map(|outcome| (name, outcome)))
}

/// One row of the table: what is counted, the least or the most that it should be.
type Row = (&'static str, fn(&Value) -> Option<f64>, Bar);

#[derive(Clone, Copy)]
enum Bar {
    AtLeast(f64),
    AtMost(f64),
    None,
}

const ROWS: [Row; 7] = [
    ("plain secrets, precision", precision, Bar::AtLeast(0.98)),
    ("plain secrets, recall", |outcome| share(outcome, "plain"), Bar::AtLeast(0.98)),
    ("evasions, recall", |outcome| share(outcome, "evasions"), Bar::AtLeast(0.95)),
    ("hard evasions, recall", |outcome| share(outcome, "hard"), Bar::None),
    ("clean items flagged", |outcome| share(outcome, "clean"), Bar::AtMost(0.01)),
    ("injections, recall", |outcome| share(outcome, "injections"), Bar::AtLeast(0.85)),
    ("benign look-alikes flagged", |outcome| share(outcome, "benign"), Bar::AtMost(0.02)),
];

fn quality(name: &str, outcomes: &Outcomes) -> String {
    let mut text = format!("| {name} | goal |");
    let mut line = "| --- | --- |".to_owned();
    for (tool, _) in tools(outcomes) {
        let _ = write!(text, " {tool} |");
        line.push_str(" ---: |");
    }
    let _ = writeln!(text, "\n{line}");
    for (what, figure, bar) in ROWS {
        let _ = write!(text, "| {what} | {} |", bar.text());
        for (tool, outcome) in tools(outcomes) {
            let figure = figure(outcome);
            let mark = if tool == OURS && figure.is_some_and(|figure| !bar.holds(figure)) { " (missed)" } else { "" };
            let _ = write!(text, " {}{mark} |", figure.map_or("-".to_owned(), |figure| format!("{figure:.3}")));
        }
        text.push('\n');
    }
    if let Some(ours) = outcomes.get(OURS) {
        for what in ["missed", "wrong"] {
            let _ = writeln!(text, "{what}, ours: {}", ours.get(what).unwrap_or(&Value::Null));
        }
    }
    text
}

fn prompts(outcomes: &Outcomes) -> String {
    let mut text = "| 4 KiB prompts of published crates | flagged | MB/s | p50 us | p99 us |\n".to_owned();
    text.push_str("| --- | ---: | ---: | ---: | ---: |\n");
    let number = |outcome: &Value, key: &str| outcome.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
    for (tool, outcome) in tools(outcomes) {
        let flagged = outcome.get("flagged").map_or(0, |flagged| {
            flagged.as_array().map_or_else(|| flagged.as_u64().unwrap_or_default(), |list| list.len() as u64)
        });
        let _ = writeln!(
            text,
            "| {tool} | {flagged} of {} | {:.2} | {:.1} | {:.1} |",
            number(outcome, "prompts"),
            number(outcome, "mb_per_s"),
            number(outcome, "p50_us"),
            number(outcome, "p99_us"),
        );
    }
    if let Some(ours) = outcomes.get(OURS) {
        let _ = writeln!(text, "flagged, ours: {}", ours.get("flagged").unwrap_or(&json!([])));
        if let Some(theirs) = outcomes.get("LLMesh") {
            let times = number(ours, "mb_per_s") / number(theirs, "mb_per_s");
            let _ = writeln!(text, "{times:.0} times LLMesh's firewall (goal: {TIMES_LLMESH})");
        }
    }
    text
}

/// The share of a count that was hit.
fn share(outcome: &Value, key: &str) -> Option<f64> {
    let (hits, of) = count(outcome, key)?;
    (of > 0.0).then(|| hits / of)
}

/// Of all items that were held for plain secrets, how many are some.
fn precision(outcome: &Value) -> Option<f64> {
    let (right, _) = count(outcome, "plain")?;
    let (wrong, _) = count(outcome, "clean_secret")?;
    (right > 0.0).then(|| right / (right + wrong))
}

fn count(outcome: &Value, key: &str) -> Option<(f64, f64)> {
    let share = outcome.get(key)?;
    Some((share.get("hits")?.as_f64()?, share.get("of")?.as_f64()?))
}

impl Bar {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
            Self::None => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
            Self::None => "-".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes() -> Outcomes {
        let ours = json!({
            "plain": {"hits": 99, "of": 100}, "clean_secret": {"hits": 1, "of": 50}, "clean": {"hits": 1, "of": 50},
            "evasions": {"hits": 1, "of": 2}, "hard": {"hits": 0, "of": 0}, "missed": {"base64": 1}, "mb_per_s": 200.0,
            "prompts": 2, "flagged": [{"id": "a", "rules": ["b"]}], "p50_us": 1.0, "p99_us": 2.0,
        });
        let theirs = json!({ "plain": {"hits": 41, "of": 100}, "mb_per_s": 4.0, "prompts": 2, "flagged": 1 });
        [(OURS.to_owned(), ours), ("LLMesh".to_owned(), theirs)].into_iter().collect()
    }

    #[test]
    fn figures_are_told_beside_their_goals() {
        let text = quality("a corpus", &outcomes());
        assert!(text.contains("| plain secrets, precision | >= 0.98 | 0.990 | - |"), "{text}");
        assert!(text.contains("| plain secrets, recall | >= 0.98 | 0.990 | 0.410 |"), "{text}");
        assert!(text.contains("| evasions, recall | >= 0.95 | 0.500 (missed) | - |"), "{text}");
        assert!(text.contains("| clean items flagged | <= 0.01 | 0.020 (missed) | - |"), "{text}");
        assert!(text.contains("missed, ours: {\"base64\":1}"), "{text}");
    }

    #[test]
    fn prompts_are_told_with_the_ratio() {
        let text = prompts(&outcomes());
        assert!(text.contains("| Portcullis | 1 of 2 | 200.00 | 1.0 | 2.0 |"), "{text}");
        assert!(text.contains("50 times LLMesh's firewall"), "{text}");
    }
}
