//! `portcullis audit`: checking and reading the log, also while a gate writes it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{ConfigArg, Failure, JsonArgs, Outcome, colour, say};
use crate::audit_log::{AuditKey, segment};

mod witnessed;

/// The segments of a log, oldest first.
pub(crate) fn segments(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    Ok(segment::numbers(dir, ".jsonl")?.into_iter().map(|number| segment::plain(dir, number)).collect())
}

/// Commands of `audit`.
#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Checks the whole chain, or the given files as one chain. Exits with 1 on any doubt.
    #[command(after_help = "Example:\n  portcullis audit verify")]
    Verify {
        /// The files, oldest first. Default: the log of this gate.
        files: Vec<PathBuf>,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Prints entries.
    #[command(after_help = "Example:\n  portcullis audit show --decision block --since 10m")]
    Show {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Prints the newest entries, and with `-f` those to come.
    #[command(after_help = "Example:\n  portcullis audit tail -f")]
    Tail {
        /// Keeps on.
        #[arg(short, long)]
        follow: bool,
        /// How many to begin with.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Shows what this gate countersigned of other nodes' logs, as their witness.
    #[command(after_help = "Example:\n  portcullis audit witnessed --origin 'peer:.../audit' > seen.checkpoint")]
    Witnessed(witnessed::WitnessedArgs),
}

/// Which entries.
#[derive(Args)]
pub(crate) struct Which {
    /// From then on: a time such as 2026-11-21T08:00:00Z, or an age such as 10m.
    #[arg(long)]
    since: Option<String>,
    /// Of callers whose id contains this.
    #[arg(long)]
    node: Option<String>,
    /// `allow` or `block`.
    #[arg(long)]
    decision: Option<String>,
    /// With this code.
    #[arg(long)]
    code: Option<String>,
    /// At most so many, the newest.
    #[arg(long)]
    limit: Option<usize>,
}

pub(super) fn run(command: &AuditCommand) -> Outcome {
    match command {
        AuditCommand::Verify { files, args } => verify(files, args),
        AuditCommand::Show { which, args } => show(which, args),
        AuditCommand::Tail { follow, lines, args } => tail(*follow, *lines, args),
        AuditCommand::Witnessed(args) => witnessed::run(args),
    }
}

/// What a check of the log came to.
pub(crate) struct Checked {
    pub(crate) summary: Summary,
    pub(crate) segments: usize,
    /// File, line and reason of the first line that does not hold.
    pub(crate) bad: Option<(PathBuf, u64, String)>,
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) entries: u64,
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) head: String,
}

fn verify(files: &[PathBuf], args: &JsonArgs) -> Outcome {
    let config = args.config.load()?;
    let checked = check(&config.node.state, files)?;
    let (sum, bad) = (&checked.summary, &checked.bad);
    if args.json {
        let bad = bad.as_ref().map(|(file, line, why)| json!({"file": file, "line": line, "reason": why}));
        say!(
            "{}",
            json!({"ok": bad.is_none(), "entries": sum.entries, "segments": checked.segments, "first": sum.first, "last": sum.last, "head": sum.head, "bad": bad})
        );
    } else {
        say!(
            "{} entries in {} file(s), {} to {}",
            sum.entries,
            checked.segments,
            or_dash(&sum.first),
            or_dash(&sum.last)
        );
        say!("head {}", or_dash(&sum.head));
    }
    match bad {
        None => {
            if !args.json {
                say!("the chain holds");
            }
            Ok(())
        }
        Some((file, line, why)) => {
            Err(Failure::no(format!("the chain does not hold: {}:{line}: {why}", file.display())))
        }
    }
}

/// Checks the log of a state directory, or the given files as one chain.
pub(crate) fn check(state: &Path, files: &[PathBuf]) -> Outcome<Checked> {
    let dir = state.join("audit");
    let files = if files.is_empty() {
        segments(&dir).map_err(|e| Failure::no(format!("there is no audit log in `{}`: {e}", dir.display())))?
    } else {
        files.to_vec()
    };
    if files.is_empty() {
        return Err(Failure::no(format!("there is no audit log in `{}`; `portcullis run` begins one", dir.display())));
    }
    let key = AuditKey::load(state).map_err(|e| Failure::no(format!("{e:#}")))?;
    let keys = key.segments();
    let mut summary = Summary::default();
    let mut position = portcullis_audit::Position::START;
    let mut bad = None;
    for (number, file) in files.iter().enumerate() {
        let bytes = std::fs::read(file)?;
        let checked = portcullis_audit::check_lines(&bytes, Some(&keys.seal_key(number as u64)), position);
        position = checked.position;
        summary.entries += checked.lines;
        summary.head = position.previous.as_str().to_owned();
        if let Some((line, why)) = checked.bad {
            bad = Some((file.clone(), line + 1, why.to_string()));
            break;
        }
    }
    Ok(Checked { summary, segments: files.len(), bad })
}

fn show(which: &Which, args: &JsonArgs) -> Outcome {
    let since = which.since.as_deref().map(moment).transpose()?;
    let files = log_files(&args.config)?;
    let mut chosen = std::collections::VecDeque::new();
    for file in files {
        for line in open(&file)?.lines() {
            let Ok(entry) = serde_json::from_str::<Value>(&line?) else { continue };
            if fits(&entry, which, since.as_deref()) {
                chosen.push_back(entry);
                if which.limit.is_some_and(|most| chosen.len() > most) {
                    chosen.pop_front();
                }
            }
        }
    }
    chosen.iter().for_each(|entry| print(entry, args.json));
    Ok(())
}

fn fits(entry: &Value, which: &Which, since: Option<&str>) -> bool {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    since.is_none_or(|since| text("timestamp") >= since)
        && which.node.as_deref().is_none_or(|node| text("node_id").contains(node))
        && which.decision.as_deref().is_none_or(|d| text("policy_decision").eq_ignore_ascii_case(d))
        && which.code.as_deref().is_none_or(|code| text("code") == code)
}

/// A time as entries write it, from a time or an age.
fn moment(text: &str) -> Outcome<String> {
    let bad =
        || Failure::usage(format!("`{text}` is neither a time nor an age, expected `2026-11-21T08:00:00Z` or `10m`"));
    let time = match text.parse::<jiff::Timestamp>() {
        Ok(time) => time,
        Err(_) => {
            let age: jiff::SignedDuration = text.parse().map_err(|_| bad())?;
            jiff::Timestamp::now().checked_sub(age).map_err(|_| bad())?
        }
    };
    Ok(format!("{time:.6}").replace('Z', "+00:00"))
}

fn tail(follow: bool, lines: usize, args: &JsonArgs) -> Outcome {
    let files = log_files(&args.config)?;
    let mut newest = std::collections::VecDeque::new();
    for file in &files {
        for line in open(file)?.lines() {
            newest.push_back(line?);
            if newest.len() > lines {
                newest.pop_front();
            }
        }
    }
    let parsed = |line: &str| serde_json::from_str::<Value>(line).ok();
    newest.iter().filter_map(|l| parsed(l)).for_each(|entry| print(&entry, args.json));
    if !follow {
        return Ok(());
    }
    let mut current = files.last().cloned().ok_or_else(|| Failure::no("there is no audit log yet"))?;
    let mut at = std::fs::metadata(&current)?.len();
    let mut rest = String::new();
    loop {
        let mut file = File::open(&current)?;
        file.seek(std::io::SeekFrom::Start(at))?;
        let read = file.read_to_string(&mut rest)?;
        at += read as u64;
        while let Some((line, after)) = rest.split_once('\n') {
            if let Some(entry) = parsed(line) {
                print(&entry, args.json);
            }
            rest = after.to_owned();
        }
        if read == 0 {
            // Nothing new: a newer segment, or a moment's pause.
            match log_files(&args.config)?.into_iter().find(|f| *f > current) {
                Some(next) => (current, at) = (next, 0),
                None => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }
}

/// The log's entry about a request, the newest where there is more than one.
pub(crate) fn entry_of(state: &Path, request: &str) -> Outcome<Option<Value>> {
    let dir = state.join("audit");
    let files =
        segments(&dir).map_err(|e| Failure::no(format!("there is no audit log in `{}`: {e}", dir.display())))?;
    let mut found = None;
    for file in files {
        for line in open(&file)?.lines() {
            let line = line?;
            if !line.contains(request) {
                continue;
            }
            let entry = serde_json::from_str::<Value>(&line).ok();
            found = entry.filter(|e| e.get("request_id").and_then(Value::as_str) == Some(request)).or(found);
        }
    }
    Ok(found)
}

fn log_files(config: &ConfigArg) -> Outcome<Vec<PathBuf>> {
    let dir = config.state()?.join("audit");
    segments(&dir).map_err(|e| Failure::no(format!("there is no audit log in `{}`: {e}", dir.display())))
}

fn open(file: &Path) -> Outcome<BufReader<File>> {
    File::open(file).map(BufReader::new).map_err(|e| Failure::no(format!("cannot read `{}`: {e}", file.display())))
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Prints an entry: as it stands, or as a line for people.
fn print(entry: &Value, as_json: bool) {
    if as_json {
        say!("{entry}");
        return;
    }
    let decision = entry.get("policy_decision").and_then(Value::as_str).unwrap_or_default();
    let (on, off) = match (colour(), decision) {
        (true, "BLOCK") => ("\u{1b}[31m", "\u{1b}[0m"),
        (true, "ALLOW") => ("\u{1b}[32m", "\u{1b}[0m"),
        _ => ("", ""),
    };
    say!("{}", line(entry, on, off));
}

/// An entry as a line for people, what was decided between these two.
fn line(entry: &Value, on: &str, off: &str) -> String {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| entry.get(key).and_then(Value::as_u64).unwrap_or_default();
    let decision = text("policy_decision");
    let what = if decision.is_empty() { text("event_type") } else { decision };
    let tried = if entry.get("shadow").and_then(Value::as_bool) == Some(true) { ", shadow" } else { "" };
    let repairs = match number("repairs") {
        0 => String::new(),
        count => format!(", repairs {count}"),
    };
    format!(
        "{} {on}{what:<5}{off} {} {:<24} {} {} {} {} {:.1} ms{tried}{repairs}",
        text("timestamp").get(..23).unwrap_or_default(),
        or_dash(text("request_id")),
        or_dash(text("code")),
        or_dash(text("node_id").get(..20).unwrap_or(text("node_id"))),
        text("method"),
        text("path"),
        or_dash(text("model")),
        number("duration_us") as f64 / 1000.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_only_tried_and_what_was_asked_once_more() {
        let mut entry = json!({
            "timestamp": "2026-11-21T08:00:00.123456+00:00", "policy_decision": "ALLOW", "request_id": "01R",
            "code": "sca.vulnerable", "method": "POST", "path": "/api/chat", "duration_us": 1_500,
        });
        let plain = line(&entry, "", "");
        assert!(plain.starts_with("2026-11-21T08:00:00.123 ALLOW 01R sca.vulnerable "), "{plain}");
        assert!(plain.ends_with(" 1.5 ms"), "{plain}");
        entry["shadow"] = json!(true);
        entry["repairs"] = json!(2);
        assert_eq!(line(&entry, "", ""), format!("{plain}, shadow, repairs 2"));
    }
}
