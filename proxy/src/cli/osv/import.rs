//! `portcullis osv import`: advisories from files.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use portcullis_advisories::{Broken, Report};
use serde_json::json;

use super::{DatabaseArgs, Place};
use crate::cli::printable::{count, printable};
use crate::cli::{Failure, Outcome, say};

/// How many broken places are named for people; JSON has all that the report names.
const NAMED: usize = 20;

/// Arguments of `osv import`.
#[derive(Args)]
pub(crate) struct ImportArgs {
    /// Files and directories: `*.json`, `*.jsonl`, `*.ndjson` and `*.zip`; a file that is named may have any ending.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    to: DatabaseArgs,
}

pub(super) fn run(args: &ImportArgs) -> Outcome {
    let place = args.to.place()?;
    let report = take_in(&place, &args.paths)?;
    tell(&place, &report, args.to.json)
}

/// Imports, with a bar on a terminal.
pub(super) fn take_in(place: &Place, sources: &[PathBuf]) -> Outcome<Report> {
    let bar = bar("{wide_bar} {bytes}/{total_bytes}, {msg} advisories, {eta} left");
    let report = portcullis_advisories::import(&place.database, sources, Timestamp::now(), &mut |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.read);
        // What the bar does not draw need not be written.
        if !bar.is_hidden() {
            bar.set_message(progress.advisories.to_string());
        }
    });
    bar.finish_and_clear();
    report.map_err(|error| Failure::broken(format!("{error}; the database is as it was")))
}

/// A bar on standard error, where somebody looks at it.
pub(super) fn bar(template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Tells what came of an import.
pub(super) fn tell(place: &Place, report: &Report, as_json: bool) -> Outcome {
    let Report { added, replaced, withdrawn, elsewhere, broken, broken_total } = report;
    let database = place.database.display();
    if as_json {
        let broken: Vec<_> = broken.iter().map(object).collect();
        say!(
            "{}",
            json!({
                "database": place.database, "added": added, "replaced": replaced, "withdrawn": withdrawn,
                "elsewhere": elsewhere, "broken_total": broken_total, "broken": broken,
            })
        );
    } else {
        say!(
            "{added} added, {replaced} replaced, {withdrawn} withdrawn, {elsewhere} on no package of these ecosystems, \
             {broken_total} broken, in `{database}`"
        );
        for broken in broken.iter().take(NAMED) {
            let _ = writeln!(io::stderr(), "portcullis: {}", line(broken));
        }
    }
    let broken_total = usize::try_from(*broken_total).unwrap_or(usize::MAX);
    let shown = if as_json { broken.len() } else { NAMED.min(broken.len()) };
    let more = match broken_total.saturating_sub(shown) {
        0 => String::new(),
        more => format!("; {more} of them are not named here"),
    };
    match (report.total(), broken_total) {
        (0, 0) => Err(Failure::no("there is no advisory in it, and the database is as it was")),
        (0, _) => Err(Failure::no(format!("all is broken, and the database is as it was{more}"))),
        (_, 0) => Ok(()),
        _ => Err(Failure::no(format!("all was taken in but {}{more}", count(broken_total, "broken place")))),
    }
}

fn line(broken: &Broken) -> String {
    let mut line = format!("`{}`", broken.file.display());
    if let Some(entry) = &broken.entry {
        line.push_str(&format!(", entry `{entry}`"));
    }
    if let Some(number) = broken.line {
        line.push_str(&format!(", line {number}"));
    }
    printable(&format!("{line}: {}", broken.problem))
}

fn object(broken: &Broken) -> serde_json::Value {
    json!({"file": broken.file, "entry": broken.entry, "line": broken.line, "problem": broken.problem})
}
