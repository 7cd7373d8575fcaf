//! Request schemas: which fields a route takes, within which bounds.
//!
//! They are rows of data beside the route tables. A bound that keeps a known attack out (a negative
//! number that a server trusts, a count that fills its memory) is one row here, and protects servers
//! that are not patched yet.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

/// The schema of a JSON object.
#[derive(Clone, Debug, Default)]
pub struct FieldTable {
    /// Known fields, exactly as they are spelt.
    pub fields: HashMap<String, Field>,
    /// What becomes of others.
    pub unknown: Unknown,
}

/// What becomes of a field that the table does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// It is left out of what is forwarded: no server behind the gate would read it either.
    #[default]
    Drop,
    /// It goes through.
    Keep,
    /// The request is refused.
    Refuse,
}

/// A known field.
#[derive(Clone, Debug)]
pub enum Field {
    /// Anything.
    Any,
    /// An array of at most this many items.
    Array(usize),
    /// `true` or `false`.
    Bool,
    /// Never let through.
    Denied,
    /// A duration as Ollama reads it: a number of seconds or a text such as `5m`. Clamped to at most
    /// this many seconds, and to at least one: 0 unloads a model that others use.
    Duration(u64),
    /// A whole number.
    Integer(Bounds),
    /// Any number.
    Number(Bounds),
    /// An object with a schema of its own.
    Object(Arc<FieldTable>),
    /// One prompt: a text, a list of tokens, or an object. A list of prompts is as many requests, which
    /// would run and count as one.
    Prompt,
    /// A text of at most this many bytes.
    Text(usize),
}

/// The bounds of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// Values below this mean "without end" to the server, and become `max` instead of `min`.
    pub endless_below: Option<f64>,
    /// Out of bounds is refused, not clamped.
    pub strict: bool,
}

impl Bounds {
    /// What becomes of a value: `None` when it is refused.
    #[must_use]
    pub fn settle(&self, value: f64) -> Option<f64> {
        if (self.min..=self.max).contains(&value) {
            return Some(value);
        }
        if self.strict || value.is_nan() {
            return None;
        }
        if self.endless_below.is_some_and(|below| value < below) {
            return Some(self.max);
        }
        Some(value.clamp(self.min, self.max))
    }
}

/// A field as it is written: a word, or a word with bounds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    #[serde(rename = "type")]
    kind: Kind,
    min: Option<f64>,
    max: Option<f64>,
    endless_below: Option<f64>,
    #[serde(default)]
    strict: bool,
    max_len: Option<usize>,
    table: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Any,
    Array,
    Bool,
    Denied,
    Duration,
    Integer,
    Number,
    Object,
    Prompt,
    Text,
}

/// A table as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenTable {
    #[serde(default)]
    unknown: Unknown,
    /// Tables whose fields are taken over.
    #[serde(default)]
    with: Vec<String>,
    #[serde(default)]
    fields: HashMap<String, Written>,
}

/// Texts are bounded by the body; this bounds what is not meant to be long.
const LONG: usize = 16 * 1024 * 1024;

/// Turns the tables of one file into what they mean.
///
/// # Errors
/// The first name that does not exist, or a table that contains itself.
pub(crate) fn tables(written: &HashMap<String, WrittenTable>) -> Result<HashMap<String, Arc<FieldTable>>, String> {
    let mut made = HashMap::new();
    for name in written.keys() {
        make(name, written, &mut made, 0)?;
    }
    Ok(made)
}

fn make(
    name: &str,
    written: &HashMap<String, WrittenTable>,
    made: &mut HashMap<String, Arc<FieldTable>>,
    depth: usize,
) -> Result<Arc<FieldTable>, String> {
    if let Some(table) = made.get(name) {
        return Ok(Arc::clone(table));
    }
    if depth > 8 {
        return Err(format!("the table `{name}` contains itself"));
    }
    let source = written.get(name).ok_or_else(|| format!("there is no table `{name}`"))?;
    let mut table = FieldTable { unknown: source.unknown, ..FieldTable::default() };
    for other in &source.with {
        table.fields.extend(make(other, written, made, depth + 1)?.fields.clone());
    }
    for (field, w) in &source.fields {
        let bounds = Bounds {
            min: w.min.unwrap_or(f64::MIN),
            max: w.max.unwrap_or(f64::MAX),
            endless_below: w.endless_below,
            strict: w.strict,
        };
        let meant = match w.kind {
            Kind::Any => Field::Any,
            Kind::Array => Field::Array(w.max_len.unwrap_or(100_000)),
            Kind::Bool => Field::Bool,
            Kind::Denied => Field::Denied,
            Kind::Duration => Field::Duration(w.max.map_or(3600, |max| max as u64)),
            Kind::Integer => Field::Integer(bounds),
            Kind::Number => Field::Number(bounds),
            Kind::Object => match &w.table {
                Some(inner) => Field::Object(make(inner, written, made, depth + 1)?),
                None => Field::Any,
            },
            Kind::Prompt => Field::Prompt,
            Kind::Text => Field::Text(w.max_len.unwrap_or(LONG)),
        };
        table.fields.insert(field.clone(), meant);
    }
    let table = Arc::new(table);
    made.insert(name.to_owned(), Arc::clone(&table));
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_becomes_the_most() {
        let bounds = Bounds { min: 1.0, max: 8192.0, endless_below: Some(0.0), strict: false };
        assert_eq!(bounds.settle(-1.0), Some(8192.0));
        assert_eq!(bounds.settle(0.0), Some(1.0));
        assert_eq!(bounds.settle(1e9), Some(8192.0));
        assert_eq!(bounds.settle(7.0), Some(7.0));
        assert_eq!(Bounds { strict: true, ..bounds }.settle(-1.0), None);
    }
}
