//! Texts that nobody labelled: which are flagged, and how long it takes to judge them.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use portcullis_firewall::{Direction, Kind, Origin, Rules, Scratch, Standing, Text};
use portcullis_policies::DataLevel;
use serde::{Deserialize, Serialize};

/// Each prompt is judged so often; its fastest is its time, since everything else is the machine.
const ROUNDS: usize = 5;

#[derive(Deserialize)]
struct Prompt {
    id: String,
    text: String,
}

#[derive(Serialize)]
struct Outcome {
    prompts: usize,
    bytes: usize,
    mb_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    flagged: Vec<Flag>,
}

/// One prompt that was flagged, and why.
#[derive(Serialize)]
struct Flag {
    id: String,
    rules: Vec<String>,
}

/// Judges a file of prompts; the outcome as JSON.
pub(crate) fn judge(rules: &Rules, file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let prompts: Vec<Prompt> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut scratch = Scratch::default();
    let mut flagged = Vec::new();
    let mut times = vec![Duration::MAX; prompts.len()];
    for round in 0..ROUNDS {
        for (prompt, time) in prompts.iter().zip(&mut times) {
            let texts = [Text { text: &prompt.text, origin: Origin::User, flows: false }];
            let mut found: Vec<String> = Vec::new();
            let began = Instant::now();
            // As a gate does: what blocks settles it.
            let done = rules.scan_until_settled(black_box(&texts), Direction::Request, &mut scratch, &mut |finding| {
                let told = matches!(finding.rule.kind, Kind::Injection | Kind::Secret);
                if told && (finding.rule.kind == Kind::Injection || finding.rule.level >= DataLevel::L3) {
                    found.push(finding.rule.id.to_string());
                }
                if found.is_empty() { Standing::Open } else { Standing::Settled }
            });
            *time = (*time).min(began.elapsed());
            if done.is_err() && found.is_empty() {
                found.push("exhausted".to_owned());
            }
            if round == 0 && !found.is_empty() {
                flagged.push(Flag { id: prompt.id.clone(), rules: found });
            }
        }
    }
    let bytes = prompts.iter().map(|prompt| prompt.text.len()).sum();
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    let at = |share: f64| {
        let rank = (times.len().saturating_sub(1) as f64 * share) as usize;
        times.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    let outcome = Outcome {
        prompts: prompts.len(),
        bytes,
        mb_per_s: bytes as f64 / 1e6 / total.as_secs_f64().max(1e-9),
        p50_us: at(0.5),
        p99_us: at(0.99),
        max_us: at(1.0),
        flagged,
    };
    Ok(serde_json::to_string(&outcome)?)
}
