//! `portcullis audit witnessed`: what this gate countersigned of other nodes' logs, and forgetting one of them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use data_encoding::BASE64;
use portcullis_certs::NodeKey;
use serde_json::{Value, json};

use crate::cli::printable::{count, printable};
use crate::cli::scope::duration;
use crate::cli::{Failure, JsonArgs, Outcome, say};
use crate::witness::shelf::evidence::{self, Contradicted};
use crate::witness::shelf::{FOLDER, Kept, Shelf};
use crate::witnessed::memory::moment;

/// Arguments of `audit witnessed`.
#[derive(Args)]
pub(crate) struct WitnessedArgs {
    /// Prints the note of this log, as it was countersigned: evidence for whoever checks that log.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Forgets what was countersigned of this log, so that it may begin anew; also while the gate runs. What contradicted
    /// it stays.
    #[arg(long, value_name = "ORIGIN", conflicts_with = "origin")]
    forget: Option<String>,
    /// Removes what contradicted the log, too.
    #[arg(long, requires = "forget")]
    with_evidence: bool,
    /// Ends with 1 and names the logs that were countersigned longer ago than this: a gate asks at least once an hour,
    /// also where nothing was written.
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["origin", "forget"])]
    max_age: Option<Duration>,
    #[command(flatten)]
    args: JsonArgs,
}

pub(super) fn run(args: &WitnessedArgs) -> Outcome {
    let state = args.args.config.load()?.node.state;
    let node = NodeKey::load(&state.join("node.key"))
        .map_err(|error| Failure::broken(format!("{error}; `portcullis init` makes it")))?
        .public();
    let dir = state.join(FOLDER);
    let shelf = Shelf::read(&dir, &node).map_err(|error| Failure::broken(error.to_string()))?;
    if let Some(origin) = &args.forget {
        return if dir.is_dir() { forget(&shelf, origin, args) } else { Err(unknown(origin)) };
    }
    let all = if dir.is_dir() { shelf.all().map_err(|error| Failure::broken(error.to_string()))? } else { Vec::new() };
    let mut damaged = Vec::new();
    let mut kept = Vec::new();
    for one in all {
        match one {
            Ok(one) => kept.push(one),
            Err(error) => damaged.push(error.to_string()),
        }
    }
    let mut contradicted = 0;
    if let Some(origin) = &args.origin {
        print_note(&kept, origin, args.args.json)?;
    } else {
        let evidence = evidence::of_state(&state)
            .map_err(|error| Failure::broken(format!("cannot read `{}`: {error}", dir.display())))?;
        contradicted = evidence.len();
        list(&kept, &evidence, args.args.json);
    }
    if !damaged.is_empty() {
        return Err(Failure::broken(damaged.join("\n")));
    }
    let mut wrong = Vec::new();
    if contradicted > 0 {
        wrong.push(format!(
            "{} contradicted: entries were cut off or changed there; `docs/audit.md` tells what to do after an alarm",
            if contradicted == 1 { "1 log is".to_owned() } else { format!("{} are", count(contradicted, "log")) }
        ));
    }
    wrong.extend(args.max_age.into_iter().flat_map(|age| silent(&kept, age)));
    if wrong.is_empty() { Ok(()) } else { Err(Failure::no(wrong.join("\n"))) }
}

/// A sentence for each log that was not countersigned for so long.
fn silent(kept: &[Kept], age: Duration) -> impl Iterator<Item = String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    kept.iter().filter(move |one| now.saturating_sub(Duration::from_secs(one.time)) > age).map(|one| {
        format!(
            "the log `{}` was countersigned last at {}: its gate is down, cannot reach this one, or asks no more",
            one.checkpoint.origin,
            moment(one.time).unwrap_or_default()
        )
    })
}

/// Forgets, and says what is gone and what stays.
fn forget(shelf: &Shelf, origin: &str, args: &WitnessedArgs) -> Outcome {
    let gone = shelf.forget(origin, args.with_evidence).map_err(|error| Failure::broken(error.to_string()))?;
    let stays = shelf.evidence(origin);
    if gone.is_empty() && stays.is_empty() {
        return Err(unknown(origin));
    }
    if args.args.json {
        say!("{}", json!({"origin": origin, "removed": gone, "evidence": stays}));
        return Ok(());
    }
    for path in &gone {
        say!("removed `{}`", path.display());
    }
    for path in &stays {
        say!("kept `{}`, which contradicts it; `--with-evidence` removes it", path.display());
    }
    match gone.is_empty() {
        true => say!("nothing else of the log `{}` was kept here", printable(origin)),
        false => say!("the log `{}` is forgotten: what it shows next is countersigned as it is", printable(origin)),
    }
    Ok(())
}

fn unknown(origin: &str) -> Failure {
    Failure::no(format!(
        "nothing of the log `{}` was countersigned here; `portcullis audit witnessed` lists what was",
        printable(origin)
    ))
}

fn print_note(kept: &[Kept], origin: &str, as_json: bool) -> Outcome {
    let Some(one) = kept.iter().find(|one| one.checkpoint.origin == origin) else { return Err(unknown(origin)) };
    if as_json {
        say!("{}", json!({"origin": origin, "note": one.note.to_string()}));
    } else {
        say!("{}", one.note.to_string().trim_end_matches('\n'));
    }
    Ok(())
}

fn list(kept: &[Kept], evidence: &[Contradicted], as_json: bool) {
    let of = |origin: &str| evidence.iter().find(|one| one.origin.as_deref() == Some(origin));
    // Of a log that was forgotten, or whose note is damaged, what contradicted it is still told.
    let is_kept = |one: &&Contradicted| kept.iter().any(|kept| one.origin.as_ref() == Some(&kept.checkpoint.origin));
    let alone = evidence.iter().filter(|one| !is_kept(one));
    if as_json {
        let shown = kept.iter().map(|one| {
            let Kept { checkpoint, time, .. } = one;
            json!({
                "origin": checkpoint.origin, "size": checkpoint.size, "root": BASE64.encode(&checkpoint.root),
                "at": moment(*time), "conflicts": of(&checkpoint.origin).map_or(&[][..], |one| &one.notes),
            })
        });
        let alone = alone
            .map(|one| json!({"origin": one.origin, "size": null, "root": null, "at": null, "conflicts": one.notes}));
        say!("{}", shown.chain(alone).collect::<Value>());
        return;
    }
    if kept.is_empty() && evidence.is_empty() {
        say!("nothing was countersigned here");
    }
    let contradictions = |one: &Contradicted| {
        for path in &one.notes {
            say!("  CONTRADICTED by `{}`", path.display());
        }
    };
    for one in kept {
        let Kept { checkpoint, time, .. } = one;
        say!("{}", checkpoint.origin);
        say!("  {} entries, root {}", checkpoint.size, BASE64.encode(&checkpoint.root));
        say!("  countersigned at {}", moment(*time).unwrap_or_default());
        if let Some(one) = of(&checkpoint.origin) {
            contradictions(one);
        }
    }
    for one in alone {
        say!("{}", printable(one.name()));
        say!("  nothing that was countersigned is kept");
        contradictions(one);
    }
}
