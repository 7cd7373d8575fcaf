//! Rules as they are written: gitleaks' TOML, and a table `[rules.fw]` beside each rule for what
//! gitleaks does not know.

use std::fmt;

use portcullis_policies::DataLevel;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, de};

use crate::rule::{Action, Direction, Kind};
use crate::trigger::Trigger;

mod keys;

use keys::Keys;

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
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) rules: Vec<Placed<Written>>,
    /// What is harmless whatever the rule, or for the rules it names.
    pub(crate) allowlists: Vec<Placed<WrittenAllow>>,
    pub(crate) extend: Placed<Extend>,
    /// Keys that nobody knows.
    pub(crate) unknown: Vec<Diagnostic>,
}

impl Document {
    /// Whether it neither has rules nor says anything about others.
    pub(crate) fn says_nothing(&self) -> bool {
        self.rules.is_empty() && self.allowlists.is_empty() && self.extend.it.disabled_rules.is_empty()
    }
}

/// Something, and the line it begins on.
#[derive(Debug, Default)]
pub(crate) struct Placed<T> {
    pub(crate) line: usize,
    pub(crate) it: T,
}

/// A rule as it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) regex: Option<String>,
    /// An expression for the path of the file; texts without one are not looked at.
    pub(crate) path: Option<String>,
    #[serde(default, rename = "secretGroup")]
    pub(crate) secret_group: usize,
    pub(crate) entropy: Option<f32>,
    #[serde(default)]
    pub(crate) keywords: Vec<String>,
    #[serde(default)]
    pub(crate) allowlists: Vec<WrittenAllow>,
    /// The name it had before there could be several.
    pub(crate) allowlist: Option<WrittenAllow>,
    pub(crate) fw: Option<Extra>,
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

/// An allow list as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WrittenAllow {
    pub(crate) condition: Condition,
    pub(crate) regexes: Vec<String>,
    #[serde(rename = "regexTarget")]
    pub(crate) regex_target: Target,
    pub(crate) stopwords: Vec<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) commits: Vec<String>,
    #[serde(rename = "targetRules")]
    pub(crate) target_rules: Vec<String>,
}

/// Whether any of an allow list's statements is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Condition {
    #[default]
    #[serde(alias = "or", alias = "||", rename = "OR")]
    Or,
    #[serde(alias = "and", alias = "&&", rename = "AND")]
    And,
}

/// What an allow list's expressions look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    #[default]
    #[serde(alias = "")]
    Secret,
    Match,
    Line,
}

/// What a file has to say about others.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Extend {
    #[serde(rename = "useDefault")]
    pub(crate) use_default: bool,
    pub(crate) path: Option<String>,
    pub(crate) url: Option<String>,
    #[serde(rename = "disabledRules")]
    pub(crate) disabled_rules: Vec<String>,
}

/// Reads a rule file as far as it can be read. Everything that is wrong with it is told.
pub(crate) fn read(source: &Source<'_>, wrong: &mut Vec<Diagnostic>) -> Document {
    let mut reader = Reader { source, wrong };
    let (table, errors) = DeTable::parse_recoverable(source.text);
    errors.iter().for_each(|error| reader.refuse(error, 0, None));
    let mut document = Document::default();
    if errors.is_empty() {
        let mut keys = Keys { source, unknown: Vec::new() };
        for (key, value) in table.into_inner() {
            keys.outermost(&key, &value);
            match &**key.get_ref() {
                "rules" => reader.each(value, &mut document.rules),
                "allowlist" => document.allowlists.extend(reader.one(value)),
                "allowlists" => reader.each(value, &mut document.allowlists),
                "extend" => document.extend = reader.one(value).unwrap_or_default(),
                _ => {}
            }
        }
        document.unknown = keys.unknown;
    }
    document
}

/// The line, from 1, of a place in a text.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

struct Reader<'r, 't> {
    source: &'r Source<'t>,
    wrong: &'r mut Vec<Diagnostic>,
}

impl Reader<'_, '_> {
    fn each<T: DeserializeOwned>(&mut self, value: Spanned<DeValue<'_>>, into: &mut Vec<Placed<T>>) {
        let at = value.span().start;
        match value.into_inner() {
            DeValue::Array(values) => values.into_iter().for_each(|value| into.extend(self.one(value))),
            _ => self.wrong.push(Diagnostic {
                file: self.source.name.to_owned(),
                line: line_of(self.source.text, at),
                rule: None,
                message: "this must be a list of tables, written `[[...]]`".to_owned(),
            }),
        }
    }

    fn one<T: DeserializeOwned>(&mut self, value: Spanned<DeValue<'_>>) -> Option<Placed<T>> {
        let at = value.span().start;
        let name = value.get_ref().as_table().and_then(|table| table.get("id")).and_then(|id| id.get_ref().as_str());
        let rule = name.map(ToOwned::to_owned);
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(it) => Some(Placed { line: line_of(self.source.text, at), it }),
            Err(error) => {
                self.refuse(&error, at, rule);
                None
            }
        }
    }

    fn refuse(&mut self, error: &de::Error, at: usize, rule: Option<String>) {
        self.wrong.push(Diagnostic {
            file: self.source.name.to_owned(),
            line: line_of(self.source.text, error.span().map_or(at, |span| span.start)),
            rule,
            message: error.message().to_owned(),
        });
    }
}
