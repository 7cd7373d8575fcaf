//! A document for libraries that take serde's values.

use serde_json::{Map, Value};

use super::Json;

impl Json<'_> {
    /// The same document as a value of its own.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Array(items) => Value::Array(items.iter().map(Json::to_value).collect()),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Null => Value::Null,
            Self::Number(number) => Value::Number(number.clone()),
            Self::Object(entries) => {
                let member = |(key, value): &(std::borrow::Cow<'_, str>, Json<'_>)| (key.to_string(), value.to_value());
                Value::Object(entries.iter().map(member).collect::<Map<_, _>>())
            }
            Self::String(text) => Value::String(text.to_string()),
        }
    }
}
