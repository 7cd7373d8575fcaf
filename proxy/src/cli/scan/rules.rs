//! The rules of a scan: loading them, listing them, and running the samples of a rule file.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_firewall::{Diagnostic, Kind, Rule, Rules, Selection, Source};
use serde_json::json;

use super::{ScanArgs, printable};
use crate::cli::{Failure, Outcome, say};

/// Rule files are at most so large.
const LARGEST: u64 = 16 << 20;

/// Structural rules that say little about a file in a repository.
const HINTS: [&str; 3] = ["absolute-path", "internal-import", "size"];

/// The rules that the arguments ask for.
pub(super) fn load(args: &ScanArgs) -> Outcome<Rules> {
    if args.no_builtin && args.rules.is_empty() {
        return Err(Failure::usage("without the built-in rules there must be others: `--rules FILE`"));
    }
    let selection = Selection {
        pii: args.pii,
        disabled: args.disable.clone(),
        injection_threshold: args.threshold,
        ..Selection::default()
    };
    load_files(!args.no_builtin, &args.rules, &selection)
}

/// Runs the samples of a file; they are run whenever one is loaded.
pub(super) fn test(file: &Path) -> Outcome {
    let selection = Selection { pii: true, ..Selection::default() };
    let rules = load_files(false, &[file.to_owned()], &selection)?;
    let report = rules.report();
    for inactive in &report.inactive {
        say!("{}", printable(&inactive.to_string()));
    }
    say!(
        "{}: {} rules in force, {} not; every sample is as it should be",
        file.display(),
        report.active,
        report.inactive.len()
    );
    Ok(())
}

/// Whether a rule is about what code is full of: told only when it is asked for.
pub(super) fn is_hint(rule: &Rule) -> bool {
    rule.kind == Kind::Structural && HINTS.contains(&&*rule.id)
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

fn load_files(builtin: bool, files: &[PathBuf], selection: &Selection) -> Outcome<Rules> {
    let mut texts = Vec::new();
    for file in files {
        let broken = |error: &dyn std::fmt::Display| Failure::broken(format!("{}: {error}", file.display()));
        let size = fs::metadata(file).map_err(|error| broken(&error))?.len();
        if size > LARGEST {
            return Err(Failure::usage(format!("{}: larger than any rule file, 16 MiB", file.display())));
        }
        let bytes = fs::read(file).map_err(|error| broken(&error))?;
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| Failure::usage(format!("{}: a rule file is UTF-8", file.display())))?;
        texts.push((file.display().to_string(), text));
    }
    let sources: Vec<_> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    Rules::load(builtin, &sources, selection).map_err(|wrong| Failure::usage(said(&wrong)))
}

/// Everything that is wrong, one line each.
fn said(wrong: &[Diagnostic]) -> String {
    let lines: Vec<_> = wrong.iter().map(|diagnostic| printable(&diagnostic.to_string())).collect();
    format!("the rules do not hold\n{}", lines.join("\n"))
}
