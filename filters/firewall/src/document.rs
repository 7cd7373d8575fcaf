//! Rules as they are written: gitleaks' TOML, and a table `[rules.fw]` beside each rule for what
//! gitleaks does not know.

use std::fmt;

use portcullis_policies::DataLevel;
use serde::Deserialize;

use crate::rule::{Action, Direction, Kind};
use crate::trigger::Trigger;

/// The text of a rule file, and what it is called in messages.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t> {
    /// The name of the file.
    pub name: &'t str,
    /// What it says.
    pub text: &'t str,
}

/// What is wrong with a rule file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The rule, where it is one rule's fault.
    pub rule: Option<String>,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if let Some(rule) = &self.rule {
            write!(f, "rule `{rule}`: ")?;
        }
        f.write_str(&self.message)
    }
}

/// A rule file.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Document {
    #[serde(default)]
    pub(crate) rules: Vec<toml::Spanned<Written>>,
}

/// A rule as it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) regex: Option<String>,
    #[serde(default, rename = "secretGroup")]
    pub(crate) secret_group: usize,
    pub(crate) entropy: Option<f32>,
    #[serde(default)]
    pub(crate) keywords: Vec<String>,
    #[serde(default)]
    pub(crate) fw: Extra,
}

/// What gitleaks does not know of a rule.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Extra {
    pub(crate) kind: Kind,
    pub(crate) level: Option<DataLevel>,
    pub(crate) action: Option<Action>,
    pub(crate) direction: Direction,
    /// Names of checks; all must agree.
    pub(crate) checks: Vec<String>,
    /// Where it looks, if it has no keywords.
    pub(crate) trigger: Option<Trigger>,
    pub(crate) samples: Templates,
}

/// Templates of what a rule must find, and of what it must not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Templates {
    pub(crate) positive: Vec<String>,
    pub(crate) negative: Vec<String>,
}

/// Reads a rule file.
pub(crate) fn read(source: &Source<'_>) -> Result<Document, Diagnostic> {
    toml::from_str(source.text).map_err(|error| Diagnostic {
        file: source.name.to_owned(),
        line: line_of(source.text, error.span().map_or(0, |span| span.start)),
        rule: None,
        message: error.message().to_owned(),
    })
}

/// The line, from 1, of a place in a text.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}
