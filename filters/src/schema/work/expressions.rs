//! What stands in a schema that makes work of another kind than evaluations: expressions, and items that must differ.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{BYTES_A_PIECE, MOST_EXPRESSIONS, SchemaError};
use crate::json::MAX_DEPTH;

/// What stands in a schema that makes work of another kind than evaluations.
#[derive(Default)]
pub(super) struct Found<'s> {
    expressions: BTreeSet<&'s str>,
    pub(super) weight: usize,
    pub(super) around: bool,
    pub(super) unique: bool,
    /// Whether a value may fit one of several.
    pub(super) alternatives: bool,
    /// The longest text of the schema that an error may repeat, in bytes.
    pub(super) repeated: usize,
}

/// Keywords whose texts no error repeats.
const REMARKS: [&str; 3] = ["$comment", "description", "title"];

impl<'s> Found<'s> {
    /// Looks everywhere, not only where keywords stand: a reference can lead to any place.
    pub(super) fn visit(&mut self, part: &'s Value, depth: usize) -> Result<(), SchemaError> {
        if depth > MAX_DEPTH {
            return Err(SchemaError::TooLarge);
        }
        match part {
            Value::Array(items) => items.iter().try_for_each(|item| self.visit(item, depth + 1)),
            Value::Object(entries) => entries.iter().try_for_each(|(key, value)| {
                self.alternatives |= matches!(key.as_str(), "anyOf" | "oneOf");
                self.repeated = self.repeated.max(key.len());
                if REMARKS.contains(&key.as_str()) && value.is_string() {
                    return Ok(());
                }
                match (key.as_str(), value) {
                    ("pattern", Value::String(expression)) => self.note(expression)?,
                    ("uniqueItems", Value::Bool(true)) => self.unique = true,
                    ("patternProperties", Value::Object(entries)) => {
                        entries.keys().try_for_each(|expression| self.note(expression))?;
                    }
                    _ => {}
                }
                self.visit(value, depth + 1)
            }),
            Value::String(text) => {
                self.repeated = self.repeated.max(text.len());
                Ok(())
            }
            Value::Bool(_) | Value::Null | Value::Number(_) => Ok(()),
        }
    }

    fn note(&mut self, expression: &'s str) -> Result<(), SchemaError> {
        if self.expressions.insert(expression) {
            let around = looks_around(expression);
            self.around |= around;
            self.weight += 1 + if around { expression.len() / BYTES_A_PIECE } else { 0 };
        }
        if self.weight > MOST_EXPRESSIONS {
            return Err(SchemaError::Expressions);
        }
        Ok(())
    }
}

/// Whether an expression may need more than a plain automaton: groups other than `(?:`, references back, what takes
/// and gives nothing back. It may say so of some that need none; those are only held to shorter texts.
pub(super) fn looks_around(expression: &str) -> bool {
    let mut marks = expression.split("(?");
    let groups = marks.next().is_some() && marks.any(|inside| !inside.starts_with(':'));
    let letters = expression.as_bytes();
    groups
        || letters.windows(2).any(|pair| match pair {
            [b'\\', next] => next.is_ascii_digit() || b"GKZghk".contains(next),
            [b'*' | b'+' | b'?' | b'}', b'+'] => true,
            _ => false,
        })
}
