//! `portcullis osv status`: what is in the database, and whether it is young enough.

use std::time::Duration;

use clap::Args;
use indicatif::HumanBytes;
use jiff::Timestamp;
use portcullis_advisories::{Database, Status};
use portcullis_osv::Ecosystem;
use serde_json::{Value, json};

use super::{DatabaseArgs, Place};
use crate::cli::{Failure, Outcome, say};
use crate::packages::{Age, Spoken};

/// Arguments of `osv status`.
#[derive(Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    of: DatabaseArgs,
}

pub(super) fn run(args: &StatusArgs) -> Outcome {
    let place = args.of.place()?;
    let status = Database::open(&place.database).and_then(|database| database.status());
    let (status, problem) = match status {
        Ok(status) => {
            let problem = problem(&status, place.max_age);
            (Some(status), problem)
        }
        Err(error) => (None, Some(error.to_string())),
    };
    if args.of.json {
        say!("{}", object(&place, status.as_ref(), problem.as_deref()));
    } else if let Some(status) = &status {
        table(&place, status);
    }
    match problem {
        None => Ok(()),
        Some(problem) => Err(Failure::no(if args.of.json { String::new() } else { problem })),
    }
}

/// Why a gate would not believe it.
fn problem(status: &Status, max_age: Duration) -> Option<String> {
    match age(status).filter(|_| status.total() > 0) {
        None => Some("the database holds no advisories; `portcullis osv import` or `osv sync` brings some".to_owned()),
        Some(age) => age.problem(max_age),
    }
}

/// How long ago it was imported.
fn age(status: &Status) -> Option<Age> {
    Some(Age::at(status.imported?, Timestamp::now()))
}

/// How long ago it was imported, where that can be told.
fn ago(status: &Status) -> Option<Duration> {
    match age(status)? {
        Age::Ago(ago) => Some(ago),
        Age::Ahead(_) => None,
    }
}

fn object(place: &Place, status: Option<&Status>, problem: Option<&str>) -> Value {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    json!({
        "database": place.database,
        "advisories": Ecosystem::ALL.iter().filter_map(|e| Some((e.as_str(), status?.advisories.get(e).unwrap_or(&0))))
            .collect::<std::collections::BTreeMap<_, _>>(),
        "total": status.map(Status::total),
        "imported": status.and_then(|status| time(status.imported)),
        "age_s": status.and_then(ago).map(|ago| ago.as_secs()),
        "max_age_s": place.max_age.as_secs(),
        "newest": status.and_then(|status| time(status.newest)),
        "size_bytes": status.map(|status| status.size),
        "usable": problem.is_none(),
        "problem": problem,
    })
}

fn table(place: &Place, status: &Status) {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), |time| time.to_string());
    let age = age(status).map(|age| match age {
        Age::Ago(ago) => format!(" ({} ago; at most {})", Spoken(ago), Spoken(place.max_age)),
        Age::Ahead(by) => format!(" ({} ahead of the clock)", Spoken(by)),
    });
    say!("database   {} ({})", place.database.display(), HumanBytes(status.size));
    say!("imported   {}{}", time(status.imported), age.unwrap_or_default());
    say!("newest     {}", time(status.newest));
    say!("advisories {}", status.total());
    for ecosystem in Ecosystem::ALL {
        say!("  {:<10} {:>8}", ecosystem.as_str(), status.advisories.get(&ecosystem).unwrap_or(&0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(ago: i64) -> Status {
        let imported = Timestamp::now() - jiff::SignedDuration::from_secs(ago);
        Status { advisories: [(Ecosystem::Npm, 1)].into(), imported: Some(imported), newest: None, size: 1 }
    }

    #[test]
    fn what_is_too_old_or_empty_is_told() {
        let day = Duration::from_secs(86_400);
        assert_eq!(problem(&imported(60), day), None);
        assert!(problem(&imported(-3_600), day).unwrap().contains("ahead of this machine's clock"));
        assert_eq!((ago(&imported(-3_600)), ago(&imported(0)).is_some()), (None, true));
        let said = problem(&imported(3 * 86_400), day).unwrap();
        assert!(said.contains("3 days ago") && said.contains("is 24 h") && said.contains("osv sync"), "{said}");
        let empty = Status { advisories: std::collections::BTreeMap::new(), ..imported(60) };
        assert!(problem(&empty, day).unwrap().contains("holds no advisories"));
    }
}
