//! The rules of a scan: loading them, listing them, and running the samples of a rule file.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use portcullis_filters::firewall::Watchfulness;
use portcullis_firewall::{Kind, Rule, Rules, Selection, Source};
use serde_json::json;

use super::ScanArgs;
use crate::cli::printable::{count, printable};
use crate::cli::{Failure, Outcome, say};
use crate::config::FirewallConfig;

/// Rule files are at most so large.
const LARGEST: u64 = 16 << 20;

/// How the built-in structural rules are called, and those of them that say something about a file in a repository:
/// what nobody sees there was hidden.
const STRUCTURAL: &str = "structure-";
const TOLD: [&str; 2] = ["structure-bidi", "structure-invisible"];

/// The rules that the arguments ask for, beside those of the gate where its config is named.
pub(super) fn load(args: &ScanArgs, gate: Option<&FirewallConfig>) -> Outcome<Rules> {
    let (builtin, mut sources) = gate.map_or((true, Vec::new()), FirewallConfig::sources);
    let texts = read(&args.rules)?;
    sources.extend(texts.iter().map(|(name, text)| Source { name, text }));
    let builtin = builtin && !args.no_builtin;
    if !builtin && sources.is_empty() {
        return Err(Failure::usage("without the built-in rules there must be others: `--rules FILE`"));
    }
    let mut selection = gate.map_or_else(Selection::default, |gate| gate.settings.selection());
    selection.pii |= args.pii;
    selection.disabled.extend(args.disable.iter().cloned());
    selection.injection_threshold = args.threshold.unwrap_or(selection.injection_threshold);
    let rules = compile(builtin, &sources, &selection)?;
    for inactive in &rules.report().inactive {
        eprintln!("not in force: {}", printable(&inactive.to_string()));
    }
    for unknown in &rules.report().unknown_keys {
        eprintln!("warning: {}", printable(&unknown.to_string()));
    }
    match args.disable.iter().find(|id| rules.report().unknown.contains(id)) {
        Some(id) => Err(Failure::usage(format!("there is no rule `{}`: see `--list-rules`", printable(id)))),
        None => Ok(rules),
    }
}

/// What is not told although a rule finds it: what the gate does not look for, and hints that nobody asked for.
pub(super) fn is_silent(rule: &Rule, args: &ScanArgs, gate: Option<&FirewallConfig>) -> bool {
    let off = |what: Option<Watchfulness>| what == Some(Watchfulness::Off);
    let settings = gate.map(|gate| &gate.settings);
    match rule.kind {
        Kind::Structural if args.structural => false,
        Kind::Structural => {
            let hint = rule.id.starts_with(STRUCTURAL) && !TOLD.contains(&&*rule.id);
            hint || settings.is_some_and(|s| off(s.structural))
        }
        Kind::Injection => args.threshold.is_none() && settings.is_some_and(|s| off(s.injection.action)),
        Kind::Secret | Kind::Pii => false,
    }
}

/// Runs the samples of a file; they are run whenever one is loaded.
pub(super) fn test(file: &Path) -> Outcome {
    let selection = Selection { pii: true, ..Selection::default() };
    let texts = read(&[file.to_owned()])?;
    let sources: Vec<_> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    let rules = compile(false, &sources, &selection)?;
    let report = rules.report();
    for inactive in &report.inactive {
        say!("{}", printable(&inactive.to_string()));
    }
    for unknown in &report.unknown_keys {
        say!("{}", printable(&unknown.to_string()));
    }
    let active = count(report.active, "rule");
    say!("{}: {active} in force; every sample is as it should be", printable(&file.to_string_lossy()));
    Ok(())
}

/// Prints the rules.
pub(super) fn list(rules: &Rules, as_json: bool) {
    let mut all: Vec<_> = rules.iter().collect();
    all.sort_by(|a, b| (kind(a.kind), &a.id).cmp(&(kind(b.kind), &b.id)));
    let width = all.iter().map(|rule| rule.id.chars().count()).max().unwrap_or_default();
    for rule in all {
        let action = rule.action.map(portcullis_firewall::Action::as_str);
        if as_json {
            say!(
                "{}",
                json!({
                    "id": &*rule.id, "kind": rule.kind, "level": rule.level, "action": action,
                    "direction": rule.direction, "description": &*rule.description,
                })
            );
        } else {
            let action = action.unwrap_or("by level");
            let (id, description) = (printable(&rule.id), printable(&rule.description));
            say!("{id:<width$}  {:<10}  {}  {action:<8}  {description}", kind(rule.kind), rule.level);
        }
    }
}

/// The word for a kind.
fn kind(kind: Kind) -> &'static str {
    kind.code().trim_start_matches("firewall.")
}

/// Names and texts of rule files.
fn read(files: &[PathBuf]) -> Outcome<Vec<(String, String)>> {
    let text = |file: &PathBuf| {
        let broken = |error: std::io::Error| Failure::broken(format!("{}: {error}", file.display()));
        let mut bytes = Vec::new();
        fs::File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(broken)?;
        if bytes.len() as u64 > LARGEST {
            return Err(Failure::usage(format!("{}: larger than any rule file, 16 MiB", file.display())));
        }
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| Failure::usage(format!("{}: a rule file is UTF-8", file.display())))?;
        Ok((file.display().to_string(), text))
    };
    files.iter().map(text).collect()
}

/// Everything that is wrong is said, one line each.
fn compile(builtin: bool, sources: &[Source<'_>], selection: &Selection) -> Outcome<Rules> {
    Rules::load(builtin, sources, selection).map_err(|wrong| {
        let lines: Vec<_> = wrong.iter().map(|wrong| printable(&wrong.to_string())).collect();
        Failure::usage(format!("the rules do not hold\n{}", lines.join("\n")))
    })
}
