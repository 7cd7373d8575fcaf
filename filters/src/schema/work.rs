//! How much work a schema may make, before it makes any.
//!
//! JSON Schema 2020-12 lets a few lines ask for exponential work: `anyOf` of two references, each to `anyOf` of two
//! references. No library counts while it validates, so the work is bounded beforehand: for every subschema, how many
//! subschemas are evaluated at most on a value that nests this deep. A schema that evaluates itself on the same value
//! never ends, and is refused.

use std::collections::HashMap;

use serde_json::Value;

use crate::json::MAX_DEPTH;

mod expressions;
mod size;
mod table;

use expressions::Found;
pub(super) use size::Size;
use table::{Cost, Level, Table, address};

/// How many evaluations may stand one inside the other in all: each is a call of a call, and stacks have an end.
const MOST_CALLS: usize = 512;
/// Evaluations that one answer may take: about a second of them.
const MOST_WORK: u64 = 20_000_000;
/// So often a value is validated anew where an expression ran out of steps: under each outcome that it could have had.
const MOST_RUNS: u64 = 64;
/// So many bytes of text count as one more value: patterns and lengths read them.
const BYTES_A_VALUE: u64 = 64;
/// The most different expressions of one schema. Each takes up to some 100 KiB once it is compiled and used.
const MOST_EXPRESSIONS: usize = 64;
/// One that looks around or back is compiled in pieces, each of which takes as much as another one whole: so many bytes
/// of it count as one more.
const BYTES_A_PIECE: usize = 16;

/// The longest text, in bytes, that is judged where an expression looks around or back: such a one may read all of it
/// again at every place.
const MOST_AROUND: u64 = 4 << 10;
/// So many pairs of such bytes count as one more value.
const PAIRS_A_VALUE: u64 = 128;

/// What the errors may take that come with the first one, in bytes: where no alternative holds, those of all of them.
const MOST_ERRORS: u64 = 16 << 20;
/// What one error, or one value in a copy, takes beside its texts, in bytes.
const ERROR_BYTES: u64 = 256;

/// Why a schema is not taken. Quotes nothing of it but names of keywords.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is no schema.
    #[error("it is not a valid schema{0}")]
    Invalid(String),
    /// It refers to a document that is not in it.
    #[error("it refers to another document; only references into the schema itself, such as `#/$defs/name`, are taken")]
    Remote,
    /// A reference that leads nowhere.
    #[error("one of its references leads nowhere")]
    Dangling,
    /// A keyword that is not supported.
    #[error("it uses `{0}`, which is not supported")]
    Unsupported(&'static str),
    /// It evaluates itself on the same value.
    #[error("it refers to itself without end")]
    Endless,
    /// Too many expressions.
    #[error(
        "it has more than {MOST_EXPRESSIONS} different expressions (`pattern`, and keys of `patternProperties`), where \
         {BYTES_A_PIECE} bytes of one that looks around or back count as one more; write fewer or shorter ones"
    )]
    Expressions,
    /// Too many subschemas, or too deep.
    #[error("it is too large")]
    TooLarge,
}

/// What a schema may cost, by how deep a value nests.
#[derive(Debug)]
pub(super) struct Work {
    /// What a value takes that nests so deep; the last one holds for all that nest deeper.
    at: Vec<Cost>,
    expressions: usize,
    /// Whether an expression looks around or back.
    around: bool,
    /// Whether items are compared with each other.
    unique: bool,
    /// Whether all errors of all alternatives are gathered where none holds.
    gathers: bool,
    /// The longest text that an error may repeat, in bytes.
    repeated: u64,
    subschemas: usize,
}

impl Work {
    /// Works it out.
    ///
    /// # Errors
    /// When it refers elsewhere, never ends, or is too large to tell.
    pub(super) fn of(schema: &Value) -> Result<Self, SchemaError> {
        let mut found = Found::default();
        found.visit(schema, 0)?;
        let mut table = Table::new(schema);
        table.collect(schema, true, 0)?;
        table.collect_targets()?;
        let mut at: Vec<Cost> = Vec::new();
        for _ in 0..=MAX_DEPTH {
            let mut here = Level::new(&table);
            for subschema in &table.all {
                here.cost(subschema, 0)?;
            }
            let now: HashMap<_, _> = here.now.into_iter().filter_map(|(key, cost)| Some((key, cost?))).collect();
            at.push(now.get(&address(schema)).copied().unwrap_or(Cost::LEAST));
            if now == table.inner {
                break;
            }
            table.inner = now;
        }
        Ok(Self {
            at,
            expressions: found.weight,
            around: found.around,
            unique: found.unique,
            gathers: found.alternatives,
            repeated: found.repeated as u64,
            subschemas: table.all.len(),
        })
    }

    /// How many different expressions the schema has; long ones that look around count as more.
    pub(super) fn expressions(&self) -> usize {
        self.expressions
    }

    /// How many subschemas the schema has.
    pub(super) fn subschemas(&self) -> usize {
        self.subschemas
    }

    /// Whether it may be said where a value of this size does not fit. Every evaluation can find an error with every value,
    /// and each error holds the way to that value, a copy of it, and what should stand there.
    pub(super) fn tells(&self, size: &Size) -> bool {
        let Some(at) = self.at.get(size.depth).or(self.at.last()) else { return false };
        let each = size.path.saturating_add(self.repeated).saturating_add(ERROR_BYTES);
        // A value is copied for itself, and in each that it stands in.
        let copies = size.values.saturating_mul(ERROR_BYTES).saturating_add(size.bytes);
        let copies = copies.saturating_mul(size.depth as u64 + 1);
        let errors = size.values.saturating_mul(each).saturating_add(copies).saturating_mul(at.evaluations);
        !self.gathers || errors <= MOST_ERRORS
    }

    /// Whether a value of this size may be validated.
    pub(super) fn allows(&self, size: &Size) -> bool {
        let Some(at) = self.at.get(size.depth).or(self.at.last()) else { return false };
        let mut values = size.values.saturating_add(size.bytes / BYTES_A_VALUE);
        if self.around {
            let again = at.evaluations.saturating_mul(values).saturating_mul(MOST_RUNS);
            if size.longest > MOST_AROUND || again > MOST_WORK {
                return false;
            }
            values = values.saturating_add(size.squares / PAIRS_A_VALUE);
        }
        if self.unique {
            values = values.saturating_add(size.compared);
        }
        at.calls <= MOST_CALLS && at.evaluations.saturating_mul(values) <= MOST_WORK
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::expressions::looks_around;
    use super::*;

    /// Two references to the next, so many times.
    fn bomb(levels: usize) -> Value {
        let mut defs = Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
            defs.insert(format!("l{level}"), json!({"anyOf": [next.clone(), next]}));
        }
        defs.insert(format!("l{levels}"), json!({"type": "null"}));
        json!({"$defs": defs, "$ref": "#/$defs/l0"})
    }

    #[test]
    fn exponential_work_is_known_before_it_is_done() {
        let work = Work::of(&bomb(30)).unwrap();
        assert!(!work.allows(&Size::of(&json!(1))));
        assert!(Work::of(&bomb(5)).unwrap().allows(&Size::of(&json!(1))));
        // Twice as much for every level of the value.
        let tree = json!({"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
        let work = Work::of(&tree).unwrap();
        let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
        assert!(work.allows(&Size::of(&deep(5))));
        assert!(!work.allows(&Size::of(&deep(40))));
    }

    #[test]
    fn what_stands_where_no_keyword_does_makes_work_too() {
        let twice = json!({"anyOf": [{"$ref": "#/x/a"}, {"$ref": "#/x/a"}]});
        let hidden = json!({"$ref": "#/x/a", "x": {"a": {"properties": {"p": twice}}}});
        let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!({"p": inner}));
        let work = Work::of(&hidden).unwrap();
        assert!(work.allows(&Size::of(&deep(5))) && !work.allows(&Size::of(&deep(40))));
        let hidden = json!({"$ref": "#/x/a", "x": {"a": {"properties": {"p": {"$dynamicRef": "#a"}}}}});
        assert_eq!(Work::of(&hidden).unwrap_err(), SchemaError::Unsupported("$dynamicRef"));
    }

    #[test]
    fn what_never_ends_or_leads_elsewhere_is_refused() {
        for (schema, why) in [
            (json!({"$ref": "#"}), SchemaError::Endless),
            (json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}), SchemaError::Endless),
            (json!({"$ref": "https://example.com/schema.json"}), SchemaError::Remote),
            (json!({"$ref": "other.json#/a"}), SchemaError::Remote),
            (json!({"$ref": "#/$defs/none"}), SchemaError::Dangling),
            (json!({"$ref": "#none"}), SchemaError::Dangling),
            (json!({"$dynamicRef": "#a"}), SchemaError::Unsupported("$dynamicRef")),
            (json!({"properties": {"a": {"$id": "https://example.com/b"}}}), SchemaError::Unsupported("$id")),
        ] {
            assert_eq!(Work::of(&schema).expect_err(&schema.to_string()), why, "{schema}");
        }
        let many: Vec<_> = (0..5000).map(|_| json!({})).collect();
        assert_eq!(Work::of(&json!({"anyOf": many})).unwrap_err(), SchemaError::TooLarge);
    }

    #[test]
    fn expressions_are_counted_wherever_they_stand() {
        let many = |count: usize| {
            let properties: Map<_, _> =
                (0..count).map(|n| (format!("p{n}"), json!({"pattern": format!(r"^\w{{20}}\pL{{9}}{n}$")}))).collect();
            json!({"properties": properties})
        };
        assert_eq!(Work::of(&many(64)).unwrap().expressions(), 64);
        assert_eq!(Work::of(&many(65)).unwrap_err(), SchemaError::Expressions);
        let keys: Map<_, _> = (0..65).map(|n| (format!("^x{n}"), json!({}))).collect();
        assert_eq!(Work::of(&json!({"patternProperties": keys})).unwrap_err(), SchemaError::Expressions);
        // A reference leads where no keyword stands.
        let hidden = json!({"$ref": "#/x/y", "x": {"y": many(65)}});
        assert_eq!(Work::of(&hidden).unwrap_err(), SchemaError::Expressions);
        // One that stands in many places is one.
        let same: Vec<_> = (0..1000).map(|_| json!({"pattern": "^(?=a)b$"})).collect();
        assert_eq!(Work::of(&json!({"prefixItems": same})).unwrap().expressions(), 1);
        let around = json!({"pattern": r"(?=\w{20})".repeat(120)});
        assert_eq!(Work::of(&around).unwrap_err(), SchemaError::Expressions);
    }

    #[test]
    fn what_looks_around_is_held_to_short_texts() {
        for (expression, around) in [
            ("(?=a*b)c", true),
            ("(?!a)b", true),
            ("(?<=a)b", true),
            ("(?>a+)b", true),
            (r"(a*)\1", true),
            (r"(?<n>a*)\k<n>", true),
            ("a*+b", true),
            ("(?:a|b)*c+", false),
            (r"^\d{4}-\d{2}$", false),
        ] {
            assert_eq!(looks_around(expression), around, "{expression}");
            let work = Work::of(&json!({"properties": {"a": {"pattern": expression}}})).unwrap();
            let text = |bytes: usize| Size::of(&json!({"a": "a".repeat(bytes), "b": 1}));
            assert!(work.allows(&text(4 << 10)), "{expression}");
            assert_eq!(work.allows(&text(200_000)), !around, "{expression}");
            // Many texts that are short make work, too, and so do names of members.
            let many = Size::of(&json!(vec!["a".repeat(4 << 10); 500]));
            assert_eq!(work.allows(&many), !around, "{expression}");
            assert_eq!(work.allows(&Size::of(&json!({"a".repeat(5_000): 1}))), !around, "{expression}");
        }
    }

    #[test]
    fn items_that_must_differ_are_compared_with_each_other() {
        let texts = |count: usize, bytes: usize| {
            let items: Vec<_> = (0..count).map(|n| format!("{n:0bytes$}")).collect();
            Size::of(&json!({"list": items}))
        };
        let list = |unique: bool| {
            let list = json!({"type": "array", "items": {"type": "string"}, "uniqueItems": unique});
            Work::of(&json!({"properties": {"list": list}})).unwrap()
        };
        assert!(list(true).allows(&texts(1_000, 20)));
        assert!(!list(true).allows(&texts(8_000, 500)));
        assert!(list(false).allows(&texts(8_000, 500)));
    }

    #[test]
    fn ordinary_schemas_cost_little() {
        let tree = json!({
            "$id": "https://example.com/tree", "type": "object",
            "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        });
        let leaf = json!({"name": "x", "children": []});
        let value = json!({"name": "root", "children": [leaf.clone(), leaf]});
        assert!(Work::of(&tree).unwrap().allows(&Size::of(&value)));
        let escaped = json!({"$defs": {"a/b c": {"$anchor": "here"}}, "anyOf": [{"$ref": "#/$defs/a~1b%20c"}, {"$ref": "#here"}]});
        assert!(Work::of(&escaped).is_ok());
    }
}
