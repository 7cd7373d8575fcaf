//! The subschemas of a schema, and what each costs by how deep a value nests.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::SchemaError;
use crate::json::MAX_DEPTH;

/// The most subschemas of one schema. The largest that tools publish have a few hundred.
const MOST_SUBSCHEMAS: usize = 4_096;
/// How long a chain of subschemas on one and the same value may be: each is a call of a call, and stacks have an end.
const MOST_IN_PLACE: usize = 128;

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

/// A subschema is known by where it lies in memory.
pub(super) type Address = usize;

pub(super) fn address(schema: &Value) -> Address {
    std::ptr::from_ref(schema).addr()
}

/// The subschemas of one schema.
pub(super) struct Table<'s> {
    root: &'s Value,
    anchors: HashMap<&'s str, &'s Value>,
    /// What each costs on a value that nests one level less.
    pub(super) inner: HashMap<Address, Cost>,
    /// All of them.
    pub(super) all: Vec<&'s Value>,
}

impl<'s> Table<'s> {
    pub(super) fn new(root: &'s Value) -> Self {
        Self { root, anchors: HashMap::new(), inner: HashMap::new(), all: Vec::new() }
    }

    /// Visits every subschema once, and notes the names that references use.
    pub(super) fn collect(&mut self, schema: &'s Value, is_root: bool, depth: usize) -> Result<(), SchemaError> {
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
    pub(super) fn collect_targets(&mut self) -> Result<(), SchemaError> {
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
pub(super) struct Cost {
    /// How many subschemas are evaluated.
    pub(super) evaluations: u64,
    /// How many evaluations stand one inside the other.
    pub(super) calls: usize,
}

impl Cost {
    pub(super) const LEAST: Self = Self { evaluations: 1, calls: 1 };

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
pub(super) struct Level<'t, 's> {
    table: &'t Table<'s>,
    pub(super) now: HashMap<Address, Option<Cost>>,
}

impl<'t, 's> Level<'t, 's> {
    pub(super) fn new(table: &'t Table<'s>) -> Self {
        Self { table, now: HashMap::new() }
    }

    pub(super) fn cost(&mut self, schema: &'s Value, chain: usize) -> Result<Cost, SchemaError> {
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
