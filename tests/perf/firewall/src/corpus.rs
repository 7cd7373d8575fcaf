//! A labelled corpus: precision and recall, by what an item is.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use portcullis_firewall::{Direction, Finding, Kind, Origin, Rules, Scratch, Text};
use portcullis_policies::DataLevel;
use serde::{Deserialize, Serialize};

/// One item, as far as it matters here.
#[derive(Deserialize)]
struct Item {
    label: Label,
    text: String,
    #[serde(default)]
    rule: String,
    evasion: Option<String>,
    #[serde(default)]
    hard: bool,
    neg_kind: Option<String>,
    vector: Option<String>,
    lang: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Label {
    Clean,
    Injection,
    Secret,
}

/// How many of how many.
#[derive(Default, Serialize)]
pub(crate) struct Share {
    hits: usize,
    of: usize,
}

/// What became of a corpus. What was missed is told by kind, never by text.
#[derive(Default, Serialize)]
pub(crate) struct Outcome {
    plain: Share,
    evasions: Share,
    hard: Share,
    injections: Share,
    /// Clean items with a finding of a secret.
    clean_secret: Share,
    /// Clean items with a finding of any kind that is on by default, structural hints aside.
    clean: Share,
    /// Benign items that look like injections, found to be one.
    benign: Share,
    refused: usize,
    missed: BTreeMap<String, usize>,
    wrong: BTreeMap<String, usize>,
}

/// Judges a corpus; the outcome as JSON.
pub(crate) fn judge(rules: &Rules, file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut scratch = Scratch::default();
    let mut outcome = Outcome::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let item: Item = serde_json::from_str(line).with_context(|| format!("line {}", number + 1))?;
        outcome.add(rules, &mut scratch, &item);
    }
    Ok(serde_json::to_string(&outcome)?)
}

impl Outcome {
    fn add(&mut self, rules: &Rules, scratch: &mut Scratch, item: &Item) {
        let (mut secret, mut injection) = (None, None);
        let texts = [Text { text: &item.text, origin: Origin::User, flows: false }];
        let done = rules.scan(&texts, Direction::Request, scratch, &mut |finding: Finding<'_>| {
            let name = || finding.rule.id.to_string();
            match finding.rule.kind {
                Kind::Secret if finding.rule.level >= DataLevel::L3 => drop(secret.get_or_insert_with(name)),
                Kind::Injection => drop(injection.get_or_insert_with(name)),
                Kind::Pii | Kind::Secret | Kind::Structural => {}
            }
        });
        // What is not judged does not pass: refused, so neither found nor let through wrongly.
        self.refused += usize::from(done.is_err());
        match item.label {
            Label::Secret => {
                let (share, name) = match &item.evasion {
                    None => (&mut self.plain, item.rule.clone()),
                    Some(evasion) if item.hard => (&mut self.hard, format!("{evasion} (hard)")),
                    Some(evasion) => (&mut self.evasions, evasion.clone()),
                };
                share.count(secret.is_some());
                if secret.is_none() {
                    *self.missed.entry(name).or_default() += 1;
                }
            }
            Label::Injection => {
                self.injections.count(injection.is_some());
                if injection.is_none() {
                    let of = |name: &Option<String>| name.clone().unwrap_or_default();
                    *self.missed.entry(format!("{} {}", of(&item.vector), of(&item.lang))).or_default() += 1;
                }
            }
            Label::Clean => {
                let kind = item.neg_kind.clone().unwrap_or_default();
                self.clean.count(secret.is_some() || injection.is_some());
                self.clean_secret.count(secret.is_some());
                if kind == "injection-benign" {
                    self.benign.count(injection.is_some());
                }
                for rule in secret.iter().chain(&injection) {
                    *self.wrong.entry(format!("{kind}: {rule}")).or_default() += 1;
                }
            }
        }
    }
}

impl Share {
    fn count(&mut self, hit: bool) {
        self.hits += usize::from(hit);
        self.of += 1;
    }
}
