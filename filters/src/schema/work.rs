//! How much work a schema may make, before it makes any.
//!
//! JSON Schema 2020-12 lets a few lines ask for exponential work: `anyOf` of two references, each to `anyOf` of two
//! references. No library counts while it validates, so the work is bounded beforehand: for every subschema, how many
//! subschemas are evaluated at most on a value that nests this deep. A schema that evaluates itself on the same value
//! never ends, and is refused.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::json::MAX_DEPTH;

/// The most subschemas of one schema. The largest that tools publish have a few hundred.
const MOST_SUBSCHEMAS: usize = 4_096;
/// How long a chain of subschemas on one and the same value may be, and how many evaluations may stand one inside the
/// other in all: each is a call of a call, and stacks have an end.
const MOST_IN_PLACE: usize = 128;
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
}

impl Work {
    /// Works it out.
    ///
    /// # Errors
    /// When it refers elsewhere, never ends, or is too large to tell.
    pub(super) fn of(schema: &Value) -> Result<Self, SchemaError> {
        let mut found = Found::default();
        found.visit(schema, 0)?;
        let mut table = Table { root: schema, anchors: HashMap::new(), inner: HashMap::new(), all: Vec::new() };
        table.collect(schema, true, 0)?;
        table.collect_targets()?;
        let mut at: Vec<Cost> = Vec::new();
        for _ in 0..=MAX_DEPTH {
            let mut here = Level { table: &table, now: HashMap::new() };
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
        Ok(Self { at, expressions: found.weight, around: found.around, unique: found.unique })
    }

    /// How many different expressions the schema has; long ones that look around count as more.
    pub(super) fn expressions(&self) -> usize {
        self.expressions
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

/// How large a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    depth: usize,
    values: u64,
    bytes: u64,
    /// The longest text or name of a member, in bytes.
    longest: u64,
    /// The squares of the lengths of all texts and names.
    squares: u64,
    /// What it takes to compare each item of every list with all others of it.
    compared: u64,
}

impl Size {
    pub(super) fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value, 0);
        size
    }

    /// The value was read by a reader that bounds its depth.
    fn add(&mut self, value: &Value, depth: usize) {
        self.values += 1;
        self.depth = self.depth.max(depth);
        match value {
            Value::Array(items) => {
                let before = self.values + self.bytes / BYTES_A_VALUE;
                items.iter().for_each(|item| self.add(item, depth + 1));
                let within = (self.values + self.bytes / BYTES_A_VALUE).saturating_sub(before);
                let pairs = (items.len() as u64).saturating_mul(within) / 2;
                self.compared = self.compared.saturating_add(pairs);
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    self.text(key);
                    self.add(value, depth + 1);
                }
            }
            Value::String(text) => self.text(text),
            Value::Bool(_) | Value::Null | Value::Number(_) => {}
        }
    }

    fn text(&mut self, text: &str) {
        let length = text.len() as u64;
        self.bytes += length;
        self.longest = self.longest.max(length);
        self.squares = self.squares.saturating_add(length.saturating_mul(length));
    }
}

/// Keywords that apply subschemas to the value itself, and to what is in it.
const LISTS_IN_PLACE: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const SINGLE_IN_PLACE: [&str; 4] = ["not", "if", "then", "else"];
const MAPS_IN_PLACE: [&str; 2] = ["dependentSchemas", "dependencies"];
const SINGLE_WITHIN: [&str; 8] = [
    "additionalProperties",
    "propertyNames",
    "items",
    "additionalItems",
    "contains",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// What stands in a schema that makes work of another kind than evaluations.
#[derive(Default)]
struct Found<'s> {
    expressions: BTreeSet<&'s str>,
    weight: usize,
    around: bool,
    unique: bool,
}

impl<'s> Found<'s> {
    /// Looks everywhere, not only where keywords stand: a reference can lead to any place.
    fn visit(&mut self, part: &'s Value, depth: usize) -> Result<(), SchemaError> {
        if depth > MAX_DEPTH {
            return Err(SchemaError::TooLarge);
        }
        match part {
            Value::Array(items) => items.iter().try_for_each(|item| self.visit(item, depth + 1)),
            Value::Object(entries) => entries.iter().try_for_each(|(key, value)| {
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
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => Ok(()),
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
fn looks_around(expression: &str) -> bool {
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

/// A subschema is known by where it lies in memory.
type Address = usize;

fn address(schema: &Value) -> Address {
    std::ptr::from_ref(schema).addr()
}

/// The subschemas of one schema.
struct Table<'s> {
    root: &'s Value,
    anchors: HashMap<&'s str, &'s Value>,
    /// What each costs on a value that nests one level less.
    inner: HashMap<Address, Cost>,
    /// All of them.
    all: Vec<&'s Value>,
}

impl<'s> Table<'s> {
    /// Visits every subschema once, and notes the names that references use.
    fn collect(&mut self, schema: &'s Value, is_root: bool, depth: usize) -> Result<(), SchemaError> {
        self.all.push(schema);
        if self.all.len() > MOST_SUBSCHEMAS || depth > MAX_DEPTH {
            return Err(SchemaError::TooLarge);
        }
        let Some(keywords) = schema.as_object() else { return Ok(()) };
        for unsupported in ["$dynamicRef", "$recursiveRef", "discriminator"] {
            if keywords.contains_key(unsupported) {
                return Err(SchemaError::Unsupported(unsupported));
            }
        }
        for name in ["$anchor", "$dynamicAnchor"] {
            if let Some(anchor) = keywords.get(name).and_then(Value::as_str) {
                self.anchors.insert(anchor, schema);
            }
        }
        match keywords.get("$id").or_else(|| keywords.get("id").filter(|_| is_root)).and_then(Value::as_str) {
            Some(id) if id.starts_with('#') => {
                self.anchors.insert(id.trim_start_matches('#'), schema);
            }
            // Another base for the references inside: they could lead anywhere.
            Some(_) if !is_root => return Err(SchemaError::Unsupported("$id")),
            _ => {}
        }
        for (_, inner) in subschemas(keywords) {
            self.collect(inner, false, depth + 1)?;
        }
        Ok(())
    }

    /// Visits what references lead to: it may stand under a key that no keyword is, and makes work all the same.
    fn collect_targets(&mut self) -> Result<(), SchemaError> {
        let mut visited: BTreeSet<Address> = self.all.iter().map(|schema| address(schema)).collect();
        let mut next = 0;
        while let Some(schema) = self.all.get(next).copied() {
            next += 1;
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { continue };
            let target = self.target(reference)?;
            if !visited.contains(&address(target)) {
                let before = self.all.len();
                self.collect(target, false, 0)?;
                visited.extend(self.all.iter().skip(before).map(|schema| address(schema)));
            }
        }
        Ok(())
    }

    /// What a reference refers to.
    fn target(&self, reference: &str) -> Result<&'s Value, SchemaError> {
        let Some(fragment) = reference.strip_prefix('#') else { return Err(SchemaError::Remote) };
        if fragment.is_empty() {
            return Ok(self.root);
        }
        if !fragment.starts_with('/') {
            return self.anchors.get(fragment).copied().ok_or(SchemaError::Dangling);
        }
        let decoded = percent(fragment).ok_or(SchemaError::Dangling)?;
        self.root.pointer(&decoded).ok_or(SchemaError::Dangling)
    }
}

/// Every subschema that stands directly in one, and whether it is applied to the value itself.
fn subschemas(keywords: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    keywords.iter().flat_map(|(key, value)| {
        let key = key.as_str();
        let (mut one, mut list, mut map) = (None, None, None);
        match value {
            Value::Object(entries)
                if MAPS_IN_PLACE.contains(&key)
                    || DEFINITIONS.contains(&key)
                    || key == "properties"
                    || key == "patternProperties" =>
            {
                map = Some(entries.values());
            }
            Value::Array(items) if LISTS_IN_PLACE.contains(&key) || key == "prefixItems" || key == "items" => {
                list = Some(items.iter());
            }
            Value::Object(_) if SINGLE_IN_PLACE.contains(&key) || SINGLE_WITHIN.contains(&key) => one = Some(value),
            _ => {}
        }
        let list = list.into_iter().flatten();
        one.into_iter().chain(list).chain(map.into_iter().flatten()).map(move |inner| (key, inner))
    })
}

/// What evaluating a subschema takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    /// How many subschemas are evaluated.
    evaluations: u64,
    /// How many evaluations stand one inside the other.
    calls: usize,
}

impl Cost {
    const LEAST: Self = Self { evaluations: 1, calls: 1 };

    /// With another one inside of it.
    fn around(&mut self, inner: Self) {
        self.evaluations = self.evaluations.saturating_add(inner.evaluations);
        self.calls = self.calls.max(inner.calls.saturating_add(1));
    }

    /// With one of two inside of it: whichever takes more.
    fn or(self, other: Self) -> Self {
        Self { evaluations: self.evaluations.max(other.evaluations), calls: self.calls.max(other.calls) }
    }
}

/// The costs on values that nest to one depth. Those that are being worked out have none yet: to meet one of them again
/// is to go round in a circle.
struct Level<'t, 's> {
    table: &'t Table<'s>,
    now: HashMap<Address, Option<Cost>>,
}

impl<'s> Level<'_, 's> {
    fn cost(&mut self, schema: &'s Value, chain: usize) -> Result<Cost, SchemaError> {
        match self.now.get(&address(schema)) {
            Some(None) => return Err(SchemaError::Endless),
            Some(Some(known)) => return Ok(*known),
            None => {}
        }
        if chain > MOST_IN_PLACE {
            return Err(SchemaError::TooLarge);
        }
        let Some(keywords) = schema.as_object() else { return Ok(Cost::LEAST) };
        self.now.insert(address(schema), None);
        let mut cost = Cost::LEAST;
        // A member is one property, an item stands in one place.
        let nothing = Cost { evaluations: 0, calls: 0 };
        let (mut property, mut item) = (nothing, nothing);
        for (key, inner) in subschemas(keywords) {
            if DEFINITIONS.contains(&key) {
                continue;
            }
            if LISTS_IN_PLACE.contains(&key) || SINGLE_IN_PLACE.contains(&key) || MAPS_IN_PLACE.contains(&key) {
                let inner = self.cost(inner, chain + 1)?;
                cost.around(inner);
                continue;
            }
            let inner = self.table.inner.get(&address(inner)).copied().unwrap_or(Cost::LEAST);
            match key {
                "properties" => property = property.or(inner),
                "prefixItems" | "items" => item = item.or(inner),
                _ => cost.around(inner),
            }
        }
        cost.around(property);
        cost.around(item);
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
            let target = self.table.target(reference)?;
            cost.around(self.cost(target, chain + 1)?);
        }
        for named in ["enum", "required"] {
            let names = keywords.get(named).and_then(Value::as_array).map_or(0, |all| all.len() as u64 / 8);
            cost.evaluations = cost.evaluations.saturating_add(names);
        }
        // To know what was evaluated, everything is evaluated again.
        if keywords.contains_key("unevaluatedProperties") || keywords.contains_key("unevaluatedItems") {
            cost.evaluations = cost.evaluations.saturating_mul(3);
        }
        self.now.insert(address(schema), Some(cost));
        Ok(cost)
    }
}

/// Decodes the percent signs of a fragment.
fn percent(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|d| char::from(d).to_digit(16));
            bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
