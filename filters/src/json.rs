//! JSON, read strictly: what two parsers could read differently is refused.
//!
//! RFC 8259 leaves duplicate keys to the reader, and Go's decoder takes a key in any case (with
//! U+017F for `s` and U+212A for `k`). A body that one parser judges and another executes is how a
//! proxy is walked past, so at any depth two keys that are equal, or equal under Unicode case
//! folding, are refused; so are invalid UTF-8, lone surrogates, `NaN`, trailing data, and nesting
//! below [`MAX_DEPTH`]. Strings borrow from the input where it holds no escapes.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Number;

mod quick;
mod value;

/// How deep values may nest.
pub const MAX_DEPTH: usize = 64;

/// How many values one document may hold: a bound on memory, not on meaning.
pub const MAX_VALUES: usize = 250_000;

/// A JSON value. Objects keep the order of their keys, and hold each key once.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `[…]`
    Array(Vec<Json<'a>>),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
    /// A number.
    Number(Number),
    /// `{…}`
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
    /// A string, decoded.
    String(Cow<'a, str>),
}

/// Why a text is not JSON as the gate takes it. Says where, never what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line} column {column}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// The same key twice in one object.
    DuplicateKey,
    /// Two keys of one object that differ only in case.
    SimilarKeys,
    /// Not JSON.
    Syntax,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// More than [`MAX_VALUES`] values.
    TooMany,
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DuplicateKey => "a key stands twice in one object",
            Self::SimilarKeys => "two keys of one object differ only in case",
            Self::Syntax => "not valid JSON",
            Self::TooDeep => "nested too deep",
            Self::TooMany => "too many values",
        })
    }
}

impl<'a> Json<'a> {
    /// Reads one whole document.
    ///
    /// # Errors
    /// When the text is not JSON, or is JSON that two readers could take differently.
    pub fn parse(text: &'a [u8]) -> Result<Self, JsonError> {
        // Checked once as a whole, not string by string.
        Self::parse_text(std::str::from_utf8(text).map_err(|e| not_text(text, e.valid_up_to()))?)
    }

    /// Reads one whole document.
    ///
    /// # Errors
    /// As [`Json::parse`].
    pub fn parse_text(text: &'a str) -> Result<Self, JsonError> {
        quick::read(text).map_or_else(|| slow(text), Ok)
    }

    /// The value of a key, when this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        match self {
            Self::Object(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The value of a key as a server could read it that takes keys in any case, as Go's decoder does. An
    /// object has one such key at most: two would have been refused.
    #[must_use]
    pub fn get_folded(&self, key: &str) -> Option<&Json<'a>> {
        match self {
            Self::Object(entries) => entries.iter().find(|(k, _)| fold_key(k) == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json<'a>> {
        match self {
            Self::Object(entries) => entries.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text, when this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth, when this is a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The number, when this is a whole one that is not negative, in whatever way it is written: `100`,
    /// `100.0`, `1e2`.
    #[must_use]
    pub fn as_whole(&self) -> Option<u64> {
        let Self::Number(number) = self else { return None };
        let whole = |n: f64| (n.fract() == 0.0 && (0.0..9e15).contains(&n)).then_some(n as u64);
        number.as_u64().or_else(|| number.as_f64().and_then(whole))
    }

    /// A whole number of eight digits and more: that of a card, an account, a person.
    #[must_use]
    pub fn long_number(&self) -> Option<u64> {
        let Self::Number(number) = self else { return None };
        let whole = |n: f64| (n.fract() == 0.0 && n.abs() < 1e19).then_some(n.abs() as u64);
        let signed = || number.as_i64().map(i64::unsigned_abs);
        let number = number.as_u64().or_else(signed).or_else(|| number.as_f64().and_then(whole))?;
        (number >= 10_000_000).then_some(number)
    }

    /// The number, when this is one that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// The entries, when this is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[(Cow<'a, str>, Json<'a>)]> {
        match self {
            Self::Object(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, when this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Writes the document in its canonical form: no spaces, keys in their order.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Calls `see` with every string in the document, keys included, depth first.
    pub fn each_string<'s>(&'s self, see: &mut impl FnMut(&'s str)) {
        match self {
            Self::Array(items) => items.iter().for_each(|item| item.each_string(see)),
            Self::Object(entries) => {
                for (key, value) in entries {
                    see(key);
                    value.each_string(see);
                }
            }
            Self::String(text) => see(text),
            Self::Bool(_) | Self::Null | Self::Number(_) => {}
        }
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Array(items) => to.collect_seq(items),
            Self::Bool(truth) => to.serialize_bool(*truth),
            Self::Null => to.serialize_unit(),
            Self::Number(number) => number.serialize(to),
            Self::Object(entries) => {
                let mut map = to.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::String(text) => to.serialize_str(text),
        }
    }
}

/// Reads a document, and says what is wrong with it.
fn slow(text: &str) -> Result<Json<'_>, JsonError> {
    let budget = Budget { left: Cell::new(MAX_VALUES), kind: Cell::new(JsonErrorKind::Syntax) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let located = |e: serde_json::Error| JsonError { kind: budget.kind.get(), line: e.line(), column: e.column() };
    let value = Seed { depth: 0, budget: &budget }.deserialize(&mut reader).map_err(located)?;
    reader.end().map_err(located)?;
    Ok(value)
}

/// That a document is no UTF-8 from this byte on.
fn not_text(document: &[u8], at: usize) -> JsonError {
    let before = document.get(..at).unwrap_or_default();
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let line_ends = before.iter().filter(|byte| **byte == b'\n').count();
    JsonError { kind: JsonErrorKind::Syntax, line: line_ends + 1, column: line.len() + 1 }
}

/// A key as Go's decoder compares it: equal under simple Unicode case folding.
#[must_use]
pub fn fold_key(key: &str) -> Cow<'_, str> {
    if key.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Cow::Borrowed(key);
    }
    // Upper-casing first brings ſ to S and lower-casing brings the Kelvin sign to k.
    Cow::Owned(key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect())
}

struct Budget {
    left: Cell<usize>,
    kind: Cell<JsonErrorKind>,
}

impl Budget {
    fn refuse<T, E: serde::de::Error>(&self, kind: JsonErrorKind) -> Result<T, E> {
        self.kind.set(kind);
        Err(E::custom("refused"))
    }
}

#[derive(Clone, Copy)]
struct Seed<'b> {
    depth: usize,
    budget: &'b Budget,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json<'de>, D::Error> {
        match self.budget.left.get().checked_sub(1) {
            Some(left) => self.budget.left.set(left),
            None => return self.budget.refuse(JsonErrorKind::TooMany),
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Json<'de>, E> {
        Number::from_f64(number).map(Json::Number).ok_or_else(|| E::custom("not finite"))
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut object: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        let mut keys = Keys::default();
        while let Some(Key(key)) = entries.next_key()? {
            if let Some(kind) = keys.clash(&object, &key) {
                return self.budget.refuse(kind);
            }
            let value = entries.next_value_seed(inner)?;
            object.push((key, value));
        }
        Ok(Json::Object(object))
    }
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return self.budget.refuse(JsonErrorKind::TooDeep);
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

/// Notices keys that are equal, or equal but for case: by comparing while an object is small, by a
/// set of folded keys once it is not.
#[derive(Default)]
struct Keys {
    folded: HashSet<String>,
}

impl Keys {
    const SMALL: usize = 12;

    fn clash(&mut self, object: &[(Cow<'_, str>, Json<'_>)], key: &str) -> Option<JsonErrorKind> {
        let clashes =
            if object.len() < Self::SMALL {
                if key.is_ascii() {
                    // A non-ASCII key can fold to an ASCII one, so those take the slow way.
                    object.iter().any(|(k, _)| {
                        if k.is_ascii() { k.eq_ignore_ascii_case(key) } else { fold_key(k) == fold_key(key) }
                    })
                } else {
                    object.iter().any(|(k, _)| fold_key(k) == fold_key(key))
                }
            } else {
                if self.folded.is_empty() {
                    self.folded = object.iter().map(|(k, _)| fold_key(k).into_owned()).collect();
                }
                !self.folded.insert(fold_key(key).into_owned())
            };
        clashes.then(|| {
            if object.iter().any(|(k, _)| k == key) { JsonErrorKind::DuplicateKey } else { JsonErrorKind::SimilarKeys }
        })
    }
}

/// A key, borrowed where the input holds no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(text: &str) -> JsonErrorKind {
        Json::parse(text.as_bytes()).unwrap_err().kind
    }

    #[test]
    fn refuses_what_two_parsers_could_read_differently() {
        assert_eq!(kind(r#"{"a":1,"a":2}"#), JsonErrorKind::DuplicateKey);
        assert_eq!(kind(r#"{"a":1,"\u0061":2}"#), JsonErrorKind::DuplicateKey);
        assert_eq!(kind(r#"{"model":1,"MODEL":2}"#), JsonErrorKind::SimilarKeys);
        assert_eq!(kind("{\"stream\":1,\"\u{17f}tream\":2}"), JsonErrorKind::SimilarKeys);
        assert_eq!(kind("{\"\u{212a}eep\":1,\"keep\":2}"), JsonErrorKind::SimilarKeys);
        assert_eq!(kind(r#"{"x":[{"y":{"a":1,"A":2}}]}"#), JsonErrorKind::SimilarKeys);
        for text in ["NaN", "{} {}", "{}x", "[1,]", "\"\\ud800\"", "\u{feff}{}", "", "{\"a\":1e999}", "'a'"] {
            assert_eq!(kind(text), JsonErrorKind::Syntax, "{text:?}");
        }
        let not_text = Json::parse(b"[1,\n \"\xff\"]").unwrap_err();
        assert_eq!((not_text.kind, not_text.line, not_text.column), (JsonErrorKind::Syntax, 2, 3));
    }

    #[test]
    fn notices_clashes_in_large_objects() {
        let many: Vec<_> = (0..40).map(|i| format!("\"k{i}\":{i}")).collect();
        assert!(Json::parse(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
        for late in ["\"k39\":0", "\"K3\":0"] {
            assert!(Json::parse(format!("{{{},{late}}}", many.join(",")).as_bytes()).is_err());
        }
    }

    #[test]
    fn nests_to_the_limit_and_no_deeper() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(kind(&nested(MAX_DEPTH + 1)), JsonErrorKind::TooDeep);
        assert!(Json::parse("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn borrows_plain_strings() {
        let text = br#"{"content":"hello"}"#;
        let json = Json::parse(text).unwrap();
        assert!(matches!(json.get("content"), Some(Json::String(Cow::Borrowed("hello")))));
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(text in "\\PC{0,40}", number in any::<i64>(), truth in any::<bool>()) {
            let json = Json::Object(vec![
                ("a".into(), Json::String(text.into())),
                ("b".into(), Json::Array(vec![Json::Number(number.into()), Json::Bool(truth), Json::Null])),
            ]);
            let bytes = json.to_bytes();
            prop_assert_eq!(Json::parse(&bytes).unwrap(), json);
        }

        /// As every reader of numbers of 64 bits takes it.
        #[test]
        fn a_number_that_is_written_again_is_the_same(text in "-?[1-9][0-9]{0,40}(\\.[0-9]{1,25})?(e-?[0-9]{1,2})?") {
            let json = Json::parse(text.as_bytes()).unwrap();
            let written = json.to_bytes();
            prop_assert_eq!(&Json::parse(&written).unwrap(), &json);
            let value = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<f64>().unwrap();
            prop_assert_eq!(value(&written), value(text.as_bytes()));
        }

        #[test]
        fn never_panics_and_agrees_with_serde_json(text in prop::collection::vec(any::<u8>(), 0..200)) {
            if Json::parse(&text).is_ok() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}
