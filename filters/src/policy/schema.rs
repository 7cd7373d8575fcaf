//! Holds a request to the schema of its route: clamps, drops, or refuses.

use std::collections::{HashMap, HashSet};

use portcullis_policies::fields::{Bounds, Field, FieldTable, Unknown};
use portcullis_policies::policy::{self, Limit};
use serde_json::Number;

use crate::json::{Json, fold_key};
use crate::verdict::{Code, Refusal};

/// A change to make to a request: at which keys, and to what; `None` takes the field out.
#[derive(Debug, PartialEq)]
pub(super) struct Edit {
    path: Vec<String>,
    value: Option<Json<'static>>,
}

/// The fields that bound the tokens of an answer, in the words of all dialects.
const TOKENS: [&str; 5] = ["max_completion_tokens", "max_output_tokens", "max_tokens", "n_predict", "num_predict"];
/// The fields that ask for several answers at once.
const ANSWERS: [&str; 3] = ["best_of", "n", "n_cmpl"];
/// The field that sets the size of the context.
const CONTEXT: &str = "num_ctx";

/// Upper bounds beside those of the route's table: the document's, and those of what allowed the
/// request.
#[derive(Clone, Copy)]
pub(super) struct Limits<'l> {
    pub(super) fields: &'l [Limit],
    pub(super) bounds: policy::Bounds,
}

impl Limits<'_> {
    fn of(&self, key: &str) -> Option<f64> {
        let written = self.fields.iter().find(|limit| limit.field == *key).map(|limit| limit.max);
        let own = if TOKENS.contains(&key) {
            self.bounds.max_tokens
        } else {
            self.bounds.max_context.filter(|_| key == CONTEXT)
        };
        let own = own.map(|max| max as f64);
        // Several answers would be several times as many tokens.
        let own = own.or_else(|| self.bounds.max_tokens.filter(|_| ANSWERS.contains(&key)).map(|_| 1.0));
        written.into_iter().chain(own).reduce(f64::min)
    }
}

/// How deep tables may nest: the shipped ones have two levels.
const MAX_LEVELS: usize = 8;

/// Checks an object against a table.
///
/// # Errors
/// `policy.field_denied` for a field that is never let through, `schema.request` for a wrong type or
/// a bound that is strict, `request.malformed` for a key that another parser would take for a known
/// one.
pub(super) fn check(json: &Json<'_>, table: &FieldTable, limits: Limits<'_>) -> Result<Vec<Edit>, Refusal> {
    let mut edits = Vec::new();
    walk(json, table, limits, &mut Vec::new(), &mut edits)?;
    Ok(edits)
}

/// Makes the changes. Fields of one object that go are taken out in one pass: a body may hold hundreds
/// of thousands of them.
pub(super) fn apply(json: &mut Json<'_>, edits: &[Edit]) {
    let mut gone: HashMap<&[String], HashSet<&str>> = HashMap::new();
    for edit in edits {
        let Some((last, parents)) = edit.path.split_last() else { continue };
        match &edit.value {
            None => {
                gone.entry(parents).or_default().insert(last);
            }
            Some(value) => {
                if let [parent] = parents {
                    open(json, parent);
                }
                put(at(json, parents), last, value);
            }
        }
    }
    for (parents, keys) in gone {
        if let Some(Json::Object(entries)) = at(json, parents) {
            entries.retain(|(key, _)| !keys.contains(key.as_ref()));
        }
    }
}

/// Sets what bounds the answer where the request leaves it out: or else leaving it out would be the way
/// past the bound. A field that is there was held to it by [`check`]; another one with the same meaning
/// that is lower counts.
pub(super) fn fill(json: &Json<'_>, table: &FieldTable, route: &str, bounds: policy::Bounds) -> Vec<Edit> {
    let mut edits = Vec::new();
    let options = match table.fields.get("options") {
        Some(Field::Object(inner)) => Some(inner),
        _ => None,
    };
    let knows = |table: &FieldTable, field: &str| table.fields.contains_key(field);
    if let Some(max) = bounds.max_tokens {
        let max = TOKENS
            .iter()
            .filter_map(|field| json.get(field).and_then(Json::as_whole).filter(|n| *n > 0))
            .fold(max, u64::min);
        if options.is_some_and(|inner| knows(inner, "num_predict")) {
            absent(json, table, &["options", "num_predict"], max, &mut edits);
        } else {
            // llama.cpp reads `n_predict` first on every route.
            let decisive = ["n_predict", "max_output_tokens", "max_tokens"]
                .into_iter()
                .find(|field| knows(table, field) && (*field != "max_output_tokens" || route.ends_with("responses")));
            if let Some(field) = decisive {
                absent(json, table, &[field], max, &mut edits);
            }
        }
    }
    if let Some(max) = bounds.max_context
        && options.is_some_and(|inner| knows(inner, CONTEXT))
    {
        absent(json, table, &["options", CONTEXT], max, &mut edits);
    }
    edits
}

/// Notes a field that is to be set, unless it is there: to this, or to the most that its table takes.
fn absent(json: &Json<'_>, table: &FieldTable, path: &[&str], value: u64, edits: &mut Vec<Edit>) {
    let field = path.iter().try_fold((Some(table), None), |(table, _), key| match table?.fields.get(*key)? {
        Field::Object(inner) => Some((Some(&**inner), None)),
        Field::Integer(bounds) => Some((None, Some(bounds.max))),
        _ => None,
    });
    let most = field.and_then(|(_, max)| max).filter(|max| *max < value as f64).map_or(value, |max| max as u64);
    let there = path.iter().try_fold(json, |json, key| json.get(key)).is_some_and(|value| *value != Json::Null);
    if !there {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        edits.push(Edit { path, value: Some(Json::Number(most.into())) });
    }
}

/// Makes an empty object where there is none: only [`fill`] names a place that is not there.
fn open(json: &mut Json<'_>, key: &str) {
    if json.get(key).is_none_or(|value| *value == Json::Null) {
        put(Some(json), key, &Json::Object(Vec::new()));
    }
}

/// Puts a value under a key of an object, whether it is there or not.
fn put(json: Option<&mut Json<'_>>, key: &str, value: &Json<'static>) {
    let Some(json) = json else { return };
    if let Some(slot) = json.get_mut(key) {
        *slot = value.clone();
    } else if let Json::Object(entries) = json {
        entries.push((key.to_owned().into(), value.clone()));
    }
}

fn at<'j, 't>(json: &'j mut Json<'t>, path: &[String]) -> Option<&'j mut Json<'t>> {
    path.iter().try_fold(json, |json, key| json.get_mut(key))
}

fn walk(
    json: &Json<'_>,
    table: &FieldTable,
    limits: Limits<'_>,
    path: &mut Vec<String>,
    edits: &mut Vec<Edit>,
) -> Result<(), Refusal> {
    let Some(entries) = json.as_object() else { return Ok(()) };
    for (key, value) in entries {
        let Some(field) = table.fields.get(key.as_ref()) else {
            let folded = fold_key(key);
            if table.fields.keys().any(|known| known.eq_ignore_ascii_case(&folded)) {
                return Err(Refusal::new(
                    "request",
                    Code::RequestMalformed,
                    "a key differs from a known one only in case, and servers differ in how they read it",
                ));
            }
            match table.unknown {
                Unknown::Keep => {}
                Unknown::Drop => edits.push(edit(path, key, None)),
                Unknown::Refuse => {
                    return Err(Refusal::new(
                        "policy",
                        Code::PolicyFieldDenied,
                        "the request has a field that this route does not take",
                    ));
                }
            }
            continue;
        };
        if *value == Json::Null {
            continue;
        }
        let limit = limits.of(key);
        check_field(key, value, field, limit, limits, path, edits)?;
    }
    Ok(())
}

fn check_field(
    key: &str,
    value: &Json<'_>,
    field: &Field,
    limit: Option<f64>,
    limits: Limits<'_>,
    path: &mut Vec<String>,
    edits: &mut Vec<Edit>,
) -> Result<(), Refusal> {
    let wrong = |expected: &str| {
        Err(Refusal::new("policy", Code::SchemaRequest, format!("the field `{key}` must be {expected}")))
    };
    match (field, value) {
        (Field::Denied, _) => {
            return Err(Refusal::new(
                "policy",
                Code::PolicyFieldDenied,
                format!("the field `{key}` is not let through"),
            ));
        }
        (Field::Any, _) | (Field::Bool, Json::Bool(_)) => {}
        (Field::Prompt, value) if is_one_prompt(value) => {}
        (Field::Prompt, _) => return wrong("one prompt: send each in a request of its own"),
        (Field::Array(max), Json::Array(items)) if items.len() <= *max => {}
        (Field::Array(max), Json::Array(_)) => return wrong(&format!("an array of at most {max} items")),
        (Field::Array(_), _) => return wrong("an array"),
        (Field::Bool, _) => return wrong("true or false"),
        (Field::Text(max), Json::String(text)) if text.len() <= *max => {}
        (Field::Text(max), Json::String(_)) => return wrong(&format!("a text of at most {max} bytes")),
        (Field::Text(_), _) => return wrong("a text"),
        (Field::Duration(max), value) => match duration(value) {
            Some(seconds) => {
                let settled = if seconds < 0.0 { *max as f64 } else { seconds.clamp(1.0, *max as f64) };
                if (settled - seconds).abs() > f64::EPSILON {
                    edits.push(edit(path, key, Some(Json::String(format!("{}s", settled as u64).into()))));
                }
            }
            None => return wrong("a duration such as `5m` or a number of seconds"),
        },
        (Field::Integer(bounds), Json::Number(number)) => {
            let Some(given) = number.as_f64().filter(|n| n.fract() == 0.0) else { return wrong("a whole number") };
            match lowered(bounds, limit).settle(given) {
                Some(settled) if settled == given => {}
                Some(settled) => edits.push(edit(path, key, Some(Json::Number((settled as i64).into())))),
                None => return wrong("within its bounds"),
            }
        }
        (Field::Number(bounds), Json::Number(number)) => {
            let given = number.as_f64().unwrap_or(f64::NAN);
            match lowered(bounds, limit).settle(given) {
                Some(settled) if settled == given => {}
                Some(settled) => match Number::from_f64(settled) {
                    Some(number) => edits.push(edit(path, key, Some(Json::Number(number)))),
                    None => return wrong("a finite number"),
                },
                None => return wrong("within its bounds"),
            }
        }
        (Field::Integer(_) | Field::Number(_), _) => return wrong("a number"),
        (Field::Object(inner), Json::Object(_)) => {
            if path.len() >= MAX_LEVELS {
                return wrong("less deep");
            }
            path.push(key.to_owned());
            walk(value, inner, limits, path, edits)?;
            path.pop();
        }
        (Field::Object(_), _) => return wrong("an object"),
    }
    Ok(())
}

/// Whether this is one prompt: llama-server takes a list of numbers, or of numbers and texts, for the
/// tokens of one, and any other list for one prompt each.
fn is_one_prompt(value: &Json<'_>) -> bool {
    match value {
        Json::Array(items) => {
            let numbers = items.iter().filter(|item| matches!(item, Json::Number(_))).count();
            let texts = items.iter().filter(|item| matches!(item, Json::String(_))).count();
            items.len() <= 1 || (numbers > 0 && numbers + texts == items.len())
        }
        Json::Object(_) | Json::String(_) => true,
        _ => false,
    }
}

/// The bounds of the table, with the policy's own upper bound where that is lower.
fn lowered(bounds: &Bounds, limit: Option<f64>) -> Bounds {
    let max = limit.map_or(bounds.max, |limit| bounds.max.min(limit));
    Bounds { max: max.max(bounds.min), ..*bounds }
}

fn edit(path: &[String], key: &str, value: Option<Json<'static>>) -> Edit {
    let mut path = path.to_vec();
    path.push(key.to_owned());
    Edit { path, value }
}

/// A duration as Ollama reads it, in seconds: a number, or Go's notation (`1h30m`, `-1s`, `300ms`).
fn duration(value: &Json<'_>) -> Option<f64> {
    match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => {
            let text = text.trim();
            if let Ok(plain) = text.parse::<f64>() {
                return plain.is_finite().then_some(plain);
            }
            let (sign, mut rest) = match text.strip_prefix('-') {
                Some(rest) => (-1.0, rest),
                None => (1.0, text.strip_prefix('+').unwrap_or(text)),
            };
            let mut total = 0.0;
            while !rest.is_empty() {
                let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
                let (number, unit) = rest.split_at_checked(digits)?;
                let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
                let (unit, next) = unit.split_at_checked(end)?;
                let scale = match unit {
                    "h" => 3600.0,
                    "m" => 60.0,
                    "s" => 1.0,
                    "ms" => 1e-3,
                    "us" | "µs" | "μs" => 1e-6,
                    "ns" => 1e-9,
                    _ => return None,
                };
                total += number.parse::<f64>().ok()? * scale;
                rest = next;
            }
            total.is_finite().then_some(sign * total)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_as_ollama_does() {
        for (text, seconds) in [
            ("\"5m\"", 300.0),
            ("\"1h30m\"", 5400.0),
            ("-1", -1.0),
            ("\"-1s\"", -1.0),
            ("0", 0.0),
            ("\"24h\"", 86400.0),
        ] {
            assert_eq!(duration(&Json::parse(text.as_bytes()).unwrap()), Some(seconds), "{text}");
        }
        for text in ["\"5\u{00a0}m\"", "\"m\"", "\"5x\"", "true", "\"\""] {
            let read = duration(&Json::parse(text.as_bytes()).unwrap());
            assert!(read.is_none() || text == "\"\"", "{text}: {read:?}");
        }
    }

    #[test]
    fn many_unknown_fields_go_at_once_and_the_rest_stays() {
        use portcullis_policies::fields::Field;
        let inner = FieldTable { fields: [("seed".to_owned(), Field::Any)].into(), ..FieldTable::default() };
        let fields = [("model".to_owned(), Field::Any), ("options".to_owned(), Field::Object(inner.into()))];
        let table = FieldTable { fields: fields.into(), ..FieldTable::default() };
        // Taken out one by one, these would keep a processor busy for minutes.
        let unknown: String = (0..100_000).map(|i| format!("\"{i}\":0,")).collect();
        let text = format!(r#"{{{unknown}"model":"x","options":{{"seed":1,"x":2,"y":3}}}}"#);
        let mut json = Json::parse(text.as_bytes()).unwrap();
        let edits = check(&json, &table, Limits { fields: &[], bounds: policy::Bounds::default() }).unwrap();
        apply(&mut json, &edits);
        assert_eq!(json.to_bytes(), br#"{"model":"x","options":{"seed":1}}"#);
    }
}
