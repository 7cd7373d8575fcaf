//! The file that the lexicon is written in.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::cue::list;
use crate::document::{Diagnostic, line_of};
use crate::rule::{Direction, Kind, Rule};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    triggers: String,
    pub(super) lead: String,
    pub(super) negated: Vec<String>,
    pub(super) orders: Vec<String>,
    pub(super) not: Not,
    pub(super) rules: BTreeMap<String, String>,
    pub(super) cues: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) signs: Vec<toml::Spanned<WrittenSign>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Not {
    pub(super) before: String,
    pub(super) after: String,
    pub(super) mine: String,
    pub(super) owners: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSign {
    pub(super) rule: String,
    pub(super) signal: Option<String>,
    pub(super) of: Vec<String>,
    pub(super) within: usize,
    pub(super) points: u8,
    pub(super) unled: Option<u8>,
    pub(super) tool: Option<u8>,
    #[serde(default)]
    pub(super) answer: bool,
}

/// The file, to say what is wrong with it.
pub(super) struct Wrong<'t> {
    pub(super) name: &'t str,
    pub(super) text: &'t str,
}

impl Wrong<'_> {
    pub(super) fn at(&self, at: usize, message: String) -> Diagnostic {
        Diagnostic { file: self.name.to_owned(), line: line_of(self.text, at), rule: None, message }
    }
}

impl File {
    pub(super) fn read(wrong: &Wrong<'_>) -> Result<Self, Diagnostic> {
        toml::from_str(wrong.text)
            .map_err(|error| wrong.at(error.span().map_or(0, |span| span.start), error.message().to_owned()))
    }

    /// The rules in force.
    pub(super) fn rules(&self, disabled: &[String]) -> Vec<Rule> {
        self.rules.iter().filter(|(id, _)| !disabled.contains(id)).map(rule).collect()
    }

    /// What is looked for in the whole text.
    pub(super) fn triggers(&self) -> impl Iterator<Item = String> {
        list(&self.triggers).map(|trigger| trigger.replace('·', " ").replace('，', ","))
    }
}

fn rule((id, description): (&String, &String)) -> Rule {
    Rule {
        id: Arc::from(id.as_str()),
        description: Arc::from(description.as_str()),
        kind: Kind::Injection,
        level: Kind::Injection.usual_level(),
        action: None,
        direction: Direction::Both,
    }
}
