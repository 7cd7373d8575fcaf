//! How much the firewall finds, how often it is wrong, and how long it takes.
//!
//! `perf-firewall corpus FILE…` judges items of labelled corpora, one JSON object a line, and prints
//! for each file one JSON object: what was found, what was missed, what was flagged wrongly.
//! `perf-firewall prompts FILE` judges texts that nobody labelled, one JSON object `{"id", "text"}` a
//! line, prints what it flags, and how long it takes.
//! `perf-firewall sample FOLDER` prints such texts, cut from the sources below a folder.

mod corpus;
mod prompts;
mod sample;

use anyhow::{Context, anyhow, bail};
use portcullis_firewall::{Rules, Selection};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let command = args.next().context("expected `corpus`, `prompts` or `sample`")?;
    let files: Vec<String> = args.collect();
    match command.as_str() {
        "corpus" => files.iter().try_for_each(|file| {
            println!("{}", corpus::judge(&rules()?, file.as_ref())?);
            Ok(())
        }),
        "prompts" => files.iter().try_for_each(|file| {
            println!("{}", prompts::judge(&rules()?, file.as_ref())?);
            Ok(())
        }),
        "sample" => files.iter().try_for_each(|folder| sample::print(folder.as_ref())),
        other => bail!("`{other}` is unknown, expected `corpus`, `prompts` or `sample`"),
    }
}

/// The gate's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The rules as a gate has them by default.
fn rules() -> anyhow::Result<Rules> {
    Rules::load(true, &[], &Selection::default()).map_err(|wrong| {
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        anyhow!("the built-in rules do not load: {}", wrong.join("; "))
    })
}
