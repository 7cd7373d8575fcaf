//! A schema, compiled once, with a bound on the work that it makes.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::work::{SchemaError, Size, Work};
use crate::json::Json;

/// The largest schema, as compact JSON, in bytes.
pub(super) const MOST_BYTES: usize = 256 << 10;
/// What one expression of a schema may take when it is compiled, and how often one that is not linear may step back.
const EXPRESSION: (usize, usize) = (1 << 20, 50_000);
/// So many compiled schemas are kept for the next request that brings them: agents send the same tools every time.
const KEPT: usize = 256;

/// A compiled JSON Schema (draft 2020-12, or the one that its `$schema` names).
pub struct Schema {
    validator: Validator,
    work: Work,
}

/// Why a value does not fit a schema: where, and which keyword. Never what stood there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// This keyword does not hold at this place.
    #[error("`{keyword}` does not hold at {place}")]
    At {
        /// A JSON pointer into the value, cut short, in backticks; or `the top`.
        place: String,
        /// The keyword.
        keyword: String,
    },
    /// To find out would take more work than an answer may.
    #[error("it takes too much work to tell")]
    TooMuchWork,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// When it is none, refers to other documents, never ends, or is too large.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        let work = Work::of(schema)?;
        let (size, steps) = EXPRESSION;
        let validator = jsonschema::options()
            .with_draft(draft(schema)?)
            .offline()
            .should_validate_formats(false)
            .with_pattern_options(
                PatternOptions::fancy_regex().size_limit(size).dfa_size_limit(size).backtrack_limit(steps),
            )
            .build(schema)
            .map_err(|error| SchemaError::Invalid(format!(" at `{}`", cut(error.instance_path().as_str()))))?;
        Ok(Self { validator, work })
    }

    /// Checks a value.
    ///
    /// # Errors
    /// The first place that does not fit.
    pub fn check(&self, value: &Value) -> Result<(), Misfit> {
        if !self.work.allows(&Size::of(value)) {
            return Err(Misfit::TooMuchWork);
        }
        self.validator.validate(value).map_err(|error| {
            let place = cut(error.instance_path().as_str());
            let keyword = match error.kind() {
                // Its name stands in the schema.
                ValidationErrorKind::Required { property } => {
                    format!("required: {}", cut(property.as_str().unwrap_or_default()))
                }
                kind => kind.keyword().to_owned(),
            };
            Misfit::At { place: if place.is_empty() { "the top".to_owned() } else { format!("`{place}`") }, keyword }
        })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

/// The draft of a schema: 2020-12 where it says none.
fn draft(schema: &Value) -> Result<Draft, SchemaError> {
    let Some(named) = schema.get("$schema") else { return Ok(Draft::Draft202012) };
    let named = named.as_str().unwrap_or_default().trim_end_matches('#');
    Ok(match named.rsplit_once("json-schema.org/").map_or("", |(_, draft)| draft) {
        "draft/2020-12/schema" => Draft::Draft202012,
        "draft/2019-09/schema" => Draft::Draft201909,
        "draft-07/schema" => Draft::Draft7,
        "draft-06/schema" => Draft::Draft6,
        "draft-04/schema" => Draft::Draft4,
        _ => return Err(SchemaError::Unsupported("$schema")),
    })
}

/// A place, so that it can stand in a message: names of members come from who sent them.
fn cut(place: &str) -> String {
    place.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// The schemas that requests bring, compiled once.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    known: HashMap<[u8; 32], Arc<Schema>>,
    order: VecDeque<[u8; 32]>,
}

impl Kept {
    /// The compiled form of a schema that stands in a request.
    ///
    /// # Errors
    /// As [`Schema::compile`].
    pub fn compile(&self, written: &Json<'_>) -> Result<Arc<Schema>, SchemaError> {
        let bytes = written.to_bytes();
        if bytes.len() > MOST_BYTES {
            return Err(SchemaError::TooLarge);
        }
        let key: [u8; 32] = Sha256::digest(&bytes).into();
        let shelf = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shelf().known.get(&key) {
            return Ok(Arc::clone(known));
        }
        let schema = Arc::new(Schema::compile(&written.to_value())?);
        let mut shelf = shelf();
        if shelf.known.insert(key, Arc::clone(&schema)).is_none() {
            shelf.order.push_back(key);
            if shelf.order.len() > KEPT
                && let Some(oldest) = shelf.order.pop_front()
            {
                shelf.known.remove(&oldest);
            }
        }
        Ok(schema)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_where_and_never_what() {
        let schema = Schema::compile(&json!({"properties": {"a": {"items": {"type": "integer"}}}})).unwrap();
        assert_eq!(schema.check(&json!({"a": [1, 2]})), Ok(()));
        let misfit = schema.check(&json!({"a": [1, "hunter2"]})).unwrap_err();
        assert_eq!(misfit.to_string(), "`type` does not hold at `/a/1`");
        let schema = Schema::compile(&json!({"required": ["a"]})).unwrap();
        assert_eq!(schema.check(&json!({})).unwrap_err().to_string(), "`required: a` does not hold at the top");
    }

    #[test]
    fn an_expression_that_steps_back_for_ever_does_not_hold() {
        let schema = Schema::compile(&json!({"pattern": "^(?=a)(a|aa)+(?<!b)$"})).unwrap();
        assert_eq!(schema.check(&json!("aaaa")), Ok(()));
        assert!(schema.check(&json!("a".repeat(5_000) + "b")).is_err());
        assert!(matches!(Schema::compile(&json!({"pattern": "(a{1000}){1000}"})), Err(SchemaError::Invalid(_))));
        assert!(matches!(Schema::compile(&json!({"type": "nonsense"})), Err(SchemaError::Invalid(_))));
    }

    #[test]
    fn a_bomb_compiles_and_is_not_set_off() {
        let mut defs = serde_json::Map::new();
        for level in 0..40 {
            let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
            defs.insert(format!("l{level}"), json!({"anyOf": [next.clone(), next]}));
        }
        defs.insert("l40".to_owned(), json!({"type": "null"}));
        let schema = Schema::compile(&json!({"$defs": defs, "$ref": "#/$defs/l0"})).unwrap();
        assert_eq!(schema.check(&json!(1)), Err(Misfit::TooMuchWork));
    }

    #[test]
    fn the_same_schema_is_compiled_once() {
        let kept = Kept::default();
        let text = br#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
        let json = Json::parse(text).unwrap();
        assert!(Arc::ptr_eq(&kept.compile(&json).unwrap(), &kept.compile(&json).unwrap()));
        let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(MOST_BYTES));
        assert_eq!(kept.compile(&Json::parse(long.as_bytes()).unwrap()).unwrap_err(), SchemaError::TooLarge);
    }
}
