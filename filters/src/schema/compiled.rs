//! A schema, compiled once, with a bound on the work that it makes.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::work::{SchemaError, Size, Work};
use crate::json::Json;

/// The largest schema, as compact JSON, in bytes.
pub(super) const MOST_BYTES: usize = 256 << 10;
/// What one expression of a schema may take when it is compiled, in bytes: the longest that are usual, dates with
/// leap years and mail addresses, fit.
const EXPRESSION_BYTES: usize = 64 << 10;
/// How often one that looks around or back may step back.
const EXPRESSION_STEPS: usize = 10_000;
/// So many compiled schemas are kept for the next request that brings them: agents send the same tools every time. It is
/// more than one request can bring.
const KEPT: usize = 512;
/// How large the schemas that are kept may be together, as compact JSON, in bytes: compiled, they take a multiple.
const KEPT_BYTES: usize = 2 << 20;
/// How many expressions the schemas that are kept may have together: they are what takes most.
const KEPT_EXPRESSIONS: usize = 512;

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
    /// It does not; to say where would take too much memory.
    #[error("it does not hold; the value is too large to say where")]
    Somewhere,
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
        let validator = jsonschema::options()
            .with_draft(draft(schema)?)
            .offline()
            .should_validate_formats(false)
            .with_pattern_options(
                PatternOptions::fancy_regex()
                    .size_limit(EXPRESSION_BYTES)
                    .dfa_size_limit(EXPRESSION_BYTES)
                    .backtrack_limit(EXPRESSION_STEPS),
            )
            .build(schema)
            .map_err(|error| SchemaError::Invalid(format!(" at `{}`", cut(error.instance_path().as_str()))))?;
        Ok(Self { validator, work })
    }

    /// How many different expressions it has; long ones that look around count as more.
    pub(super) fn expressions(&self) -> usize {
        self.work.expressions()
    }

    /// How many subschemas it has.
    pub(super) fn subschemas(&self) -> usize {
        self.work.subschemas()
    }

    /// Checks a value.
    ///
    /// # Errors
    /// The first place that does not fit, unless the value is too large to say where.
    pub fn check(&self, value: &Value) -> Result<(), Misfit> {
        let size = Size::of(value);
        if !self.work.allows(&size) {
            return Err(Misfit::TooMuchWork);
        }
        if self.validator.is_valid(value) {
            return Ok(());
        }
        // To say where, errors are gathered; to say whether, none.
        Err(if self.work.tells(&size) { self.place(value) } else { Misfit::Somewhere })
    }

    /// Where a value does not fit.
    fn place(&self, value: &Value) -> Misfit {
        let Err(error) = self.validator.validate(value) else { return Misfit::Somewhere };
        let place = cut(error.instance_path().as_str());
        let keyword = match error.kind() {
            // Its name stands in the schema.
            ValidationErrorKind::Required { property } => {
                format!("required: {}", cut(property.as_str().unwrap_or_default()))
            }
            kind => lacking(kind).unwrap_or_else(|| kind.keyword().to_owned()),
        };
        Misfit::At { place: if place.is_empty() { "the top".to_owned() } else { format!("`{place}`") }, keyword }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

/// What `anyOf` asks for, where each branch only lacks a member: their names stand in the schema.
fn lacking(kind: &ValidationErrorKind) -> Option<String> {
    let ValidationErrorKind::AnyOf { context } = kind else { return None };
    let name = |branch: &Vec<ValidationError<'_>>| match branch.as_slice() {
        [error] => match error.kind() {
            ValidationErrorKind::Required { property } => property.as_str().map(cut),
            _ => None,
        },
        _ => None,
    };
    let names: Option<Vec<_>> = context.iter().map(name).collect();
    let names = names.filter(|names| !names.is_empty() && names.len() <= MOST_NAMED)?;
    Some(format!("required: {}", names.join(" or ")))
}

/// As many members of which one is required are named.
const MOST_NAMED: usize = 8;

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
    /// Their keys and sizes, the oldest first.
    order: VecDeque<([u8; 32], usize)>,
    bytes: usize,
    expressions: usize,
}

impl Shelf {
    /// Keeps one, and lets the oldest go where it is too much.
    fn keep(&mut self, key: [u8; 32], bytes: usize, schema: Arc<Schema>) {
        let expressions = schema.expressions();
        if self.known.insert(key, schema).is_some() {
            return;
        }
        self.order.push_back((key, bytes));
        self.bytes += bytes;
        self.expressions += expressions;
        while self.order.len() > KEPT || self.bytes > KEPT_BYTES || self.expressions > KEPT_EXPRESSIONS {
            let Some((oldest, bytes)) = self.order.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(bytes);
            let gone = self.known.remove(&oldest).map_or(0, |schema| schema.expressions());
            self.expressions = self.expressions.saturating_sub(gone);
        }
    }
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
        shelf().keep(key, bytes.len(), Arc::clone(&schema));
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
        let either = json!({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]});
        let misfit = Schema::compile(&either).unwrap().check(&json!({})).unwrap_err();
        assert_eq!(misfit.to_string(), "`required: a or b` does not hold at the top");
        let mixed = Schema::compile(&json!({"anyOf": [{"required": ["a"]}, {"type": "string"}]})).unwrap();
        assert_eq!(mixed.check(&json!({})).unwrap_err().to_string(), "`anyOf` does not hold at the top");
    }

    #[test]
    fn where_it_does_not_fit_is_said_of_what_is_small() {
        let items: Vec<_> = (0..10).map(|n| json!({"items": {"type": "string", "title": n.to_string()}})).collect();
        for key in ["anyOf", "oneOf"] {
            let schema = Schema::compile(&json!({"additionalProperties": {key: items}})).unwrap();
            let value = |name: usize, count: usize| json!({"k".repeat(name): vec![1; count]});
            let said = Misfit::At { place: "`/kkk`".to_owned(), keyword: key.to_owned() };
            assert_eq!(schema.check(&value(3, 10)), Err(said));
            assert_eq!(schema.check(&value(20_000, 10_000)), Err(Misfit::Somewhere));
            assert_eq!(schema.check(&value(3, 10_000)), Err(Misfit::Somewhere));
        }
        // Without alternatives, the first error is the only one.
        let plain = Schema::compile(&json!({"items": {"type": "string"}})).unwrap();
        assert!(matches!(plain.check(&json!(vec![1; 10_000])), Err(Misfit::At { .. })));
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
    fn what_an_expression_cannot_tell_fits_in_no_place() {
        // It steps back more often than it may before it could say that this is none.
        let unclear = json!({"pattern": "^(?:(?=a)a+)+$"});
        let text = json!(format!("{}!", "a".repeat(40)));
        let keyed = json!({format!("{}!", "a".repeat(40)): 1});
        for (schema, value) in [
            (unclear.clone(), &text),
            (json!({"not": unclear}), &text),
            (json!({"not": {"not": unclear}}), &text),
            (json!({"oneOf": [unclear, {"maxLength": 100}]}), &text),
            (json!({"anyOf": [unclear, {"maxLength": 1}]}), &text),
            (json!({"if": unclear, "then": {"maxLength": 1}}), &text),
            (json!({"if": unclear, "else": {"maxLength": 1}}), &text),
            (json!({"propertyNames": {"not": unclear}}), &keyed),
            (json!({"patternProperties": {"^(?:(?=a)a+)+$": {"type": "null"}}}), &keyed),
            (json!({"patternProperties": {"^(?:(?=a)a+)+$": {}}, "additionalProperties": false}), &keyed),
            (json!({"contains": unclear, "minContains": 0, "maxContains": 0}), &json!([text])),
        ] {
            let compiled = Schema::compile(&schema).unwrap();
            assert!(compiled.check(value).is_err(), "{schema}");
        }
        // Where it comes to the same either way, it fits.
        let either = Schema::compile(&json!({"anyOf": [unclear, {"maxLength": 100}]})).unwrap();
        assert_eq!(either.check(&text), Ok(()));
        // Many of them are not tried one with the other.
        let many: Vec<_> = (0..200).map(|n| json!(format!("{}{n}!", "a".repeat(40)))).collect();
        let all = Schema::compile(&json!({"items": {"not": {"pattern": "^(?:(?=a)a+)+[0-9]*$"}}})).unwrap();
        assert!(all.check(&json!(many)).is_err());
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

    #[test]
    fn ordinary_expressions_fit_and_heavy_ones_do_not() {
        for expression in [
            r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
            r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
            r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$",
            r"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000)$",
            r"^((\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|(02)-(0[1-9]|1\d|2[0-8])))T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z)$",
            r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$",
            r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$",
            r"^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])$",
            r"^$|^(?:[0-9a-zA-Z+/]{4})*(?:(?:[0-9a-zA-Z+/]{2}==)|(?:[0-9a-zA-Z+/]{3}=))?$",
            r"^[a-zA-Z0-9_-]{1,64}$",
            r"^\w{1,255}$",
            r"^sha256:[a-f0-9]{64}$",
            r"^\p{L}+$",
        ] {
            assert!(Schema::compile(&json!({"pattern": expression})).is_ok(), "{expression}");
        }
        for expression in [r"^\w{20}\pL{9}0$", r"(?=\pL{20})a", "(a{100}){100}"] {
            let said = Schema::compile(&json!({"properties": {"a": {"pattern": expression}}}));
            assert!(matches!(said, Err(SchemaError::Invalid(_))), "{expression}");
        }
    }

    #[test]
    fn the_shelf_is_bounded_by_number_bytes_and_expressions() {
        let kept = Kept::default();
        let bring = |text: String| kept.compile(&Json::parse(text.as_bytes()).unwrap()).unwrap();
        let held = || {
            let shelf = kept.0.lock().unwrap();
            assert_eq!(shelf.known.len(), shelf.order.len());
            (shelf.known.len(), shelf.bytes, shelf.expressions)
        };
        let plain = |n: usize| format!(r#"{{"title":"{n}"}}"#);
        let first: Vec<_> = (0..KEPT).map(|n| bring(plain(n))).collect();
        // The whole set of a request is still there when it comes again.
        assert!((0..KEPT).all(|n| Arc::ptr_eq(&bring(plain(n)), &first[n])));
        bring(plain(KEPT));
        assert_eq!(held().0, KEPT);
        for n in 0..KEPT_BYTES / (128 << 10) + 4 {
            bring(format!(r#"{{"title":"{n}","description":"{}"}}"#, "x".repeat(128 << 10)));
        }
        let (count, bytes, _) = held();
        assert!(count > 8 && bytes <= KEPT_BYTES, "{count} {bytes}");
        for n in 0..KEPT_EXPRESSIONS / 32 + 4 {
            let keys: Vec<_> = (0..32).map(|k| format!(r#""^{n}-{k}":{{}}"#)).collect();
            bring(format!(r#"{{"patternProperties":{{{}}}}}"#, keys.join(",")));
        }
        assert_eq!(held().2, KEPT_EXPRESSIONS);
    }
}
