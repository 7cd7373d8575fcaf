//! What the tour came to: counted, explained, and held against the audit log.

use std::sync::atomic::Ordering;

use super::super::{audit, explain};
use super::tour::Told;
use super::{Failure, Outcome, Stage, say};
use crate::config::Running;
use crate::explain::Explained;

/// Tells what became of the tour, and checks that every refusal can be explained and that the log holds.
pub(super) fn tell(stage: &Stage, outcomes: &[Told]) -> Outcome {
    let refused: std::collections::BTreeSet<_> =
        outcomes.iter().filter(|o| o.code != "allow").map(|o| o.code.as_str()).collect();
    say!(
        "{}, {} of refusal: {}.",
        counted(outcomes.len(), "outcome"),
        counted(refused.len(), "kind"),
        refused.into_iter().collect::<Vec<_>>().join(", ")
    );
    if let Some(demo) = &stage.server.demo {
        let reached = demo.seen().prompts.load(Ordering::Relaxed);
        let sent = outcomes.iter().filter(|o| o.is_prompt);
        let meant = sent.clone().filter(|o| o.reaches_the_model()).count();
        if reached != meant {
            return Err(Failure::no(format!("{reached} prompts reached the model, and {meant} were let in")));
        }
        say!("{} sent, {reached} reached the model: none that was refused did.", counted(sent.count(), "prompt"));
    }
    let unexplained = explained(stage, outcomes)?;
    if unexplained > 0 {
        return Err(Failure::no(format!("{unexplained} refusals could not be explained")));
    }
    let report = audit::whole(&stage.state())?;
    match report.doubts.first() {
        None => {
            say!("The audit log has {} entries, and its chain holds.", report.entries);
            Ok(())
        }
        Some(doubt) => Err(Failure::no(format!("the audit chain does not hold: {doubt}"))),
    }
}

/// Has every refusal explained, and shows one. Returns how many could not be.
fn explained(stage: &Stage, outcomes: &[Told]) -> Outcome<usize> {
    let running = Running::from(&crate::config::load(&stage.config())?);
    let refused: Vec<_> = outcomes.iter().filter(|told| told.code != "allow").collect();
    let mut unexplained = 0;
    let mut shown = None;
    for told in &refused {
        match explain::of_gate(&running, &told.id).map(|said| explain::located(said, &running)) {
            Some(said) if said.code == told.code && !said.rule.is_empty() && stands_somewhere(&said) => {
                if shown.is_none() || told.code == "policy.route_denied" {
                    shown = Some(said);
                }
            }
            _ => unexplained += 1,
        }
    }
    if let Some(said) = shown {
        let known = refused.len() - unexplained;
        say!(
            "`portcullis explain ID` knows why for {known} of {}, such as {}:",
            counted(refused.len(), "refusal"),
            said.request_id
        );
        let place = format!("{}:{}", said.file.unwrap_or_default(), said.line.unwrap_or_default());
        let why = match said.rule.as_str() {
            "no rule allows it" => format!("no rule allows it; the rules begin at {place}"),
            rule => format!("{rule}, {place}"),
        };
        say!("     {} by the {} filter: {why}", said.code, said.filter);
    }
    Ok(unexplained)
}

/// Whether an explanation points to a line of a file that can be opened.
fn stands_somewhere(said: &Explained) -> bool {
    let text = said.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let lines = u64::try_from(text.lines().count()).unwrap_or_default();
    said.line.is_some_and(|line| (1..=lines).contains(&line))
}

/// A number with its word, in the plural where it must be.
fn counted(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}
