//! `portcullis audit witnessed`: what this gate countersigned of other nodes' logs.

use clap::Args;
use data_encoding::BASE64;
use portcullis_certs::NodeKey;
use serde_json::{Value, json};

use crate::cli::{Failure, JsonArgs, Outcome, say};
use crate::witness::shelf::{FOLDER, Kept, Shelf};
use crate::witnessed::memory::moment;

/// Arguments of `audit witnessed`.
#[derive(Args)]
pub(crate) struct WitnessedArgs {
    /// Prints the note of this log, as it was countersigned: evidence for whoever checks that log.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
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
    let all = if dir.is_dir() { shelf.all().map_err(|error| Failure::broken(error.to_string()))? } else { Vec::new() };
    let mut damaged = Vec::new();
    let mut kept = Vec::new();
    for one in all {
        match one {
            Ok(one) => kept.push(one),
            Err(error) => damaged.push(error.to_string()),
        }
    }
    if let Some(origin) = &args.origin {
        print_note(&kept, origin, args.args.json)?;
    } else {
        list(&shelf, &kept, args.args.json);
    }
    if damaged.is_empty() { Ok(()) } else { Err(Failure::broken(damaged.join("\n"))) }
}

fn print_note(kept: &[Kept], origin: &str, as_json: bool) -> Outcome {
    let Some(one) = kept.iter().find(|one| one.checkpoint.origin == origin) else {
        return Err(Failure::no(format!(
            "nothing of the log `{origin}` was countersigned here; `portcullis audit witnessed` lists what was"
        )));
    };
    if as_json {
        say!("{}", json!({"origin": origin, "note": one.note.to_string()}));
    } else {
        say!("{}", one.note.to_string().trim_end_matches('\n'));
    }
    Ok(())
}

fn list(shelf: &Shelf, kept: &[Kept], as_json: bool) {
    if as_json {
        let shown: Vec<Value> = kept
            .iter()
            .map(|one| {
                let Kept { checkpoint, time, .. } = one;
                json!({
                    "origin": checkpoint.origin, "size": checkpoint.size, "root": BASE64.encode(&checkpoint.root),
                    "at": moment(*time), "conflicts": shelf.evidence(&checkpoint.origin),
                })
            })
            .collect();
        say!("{}", Value::from(shown));
        return;
    }
    if kept.is_empty() {
        say!("nothing was countersigned here");
    }
    for one in kept {
        let Kept { checkpoint, time, .. } = one;
        say!("{}", checkpoint.origin);
        say!("  {} entries, root {}", checkpoint.size, BASE64.encode(&checkpoint.root));
        say!("  countersigned at {}", moment(*time).unwrap_or_default());
        for path in shelf.evidence(&checkpoint.origin) {
            say!("  CONTRADICTED by `{}`", path.display());
        }
    }
}
