//! A model server's whole answer, as JSON: the texts in it, as a reader would see them.

use serde_json::Value;

/// Where the dialects put what a model says, and what it calls tools with.
const SPOKEN: [&str; 6] = ["arguments", "content", "input", "reasoning_content", "response", "text"];

/// The texts of an answer, each by itself, and what is left of the JSON; nothing for what is no JSON.
///
/// In JSON the end of a line is written `\n`, and a version that stands before it would be read with it.
pub(super) fn texts(answer: &str) -> Option<String> {
    if !answer.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut value: Value = serde_json::from_str(answer).ok()?;
    let mut texts = Vec::new();
    take(&mut value, false, &mut texts);
    texts.push(serde_json::to_string_pretty(&value).ok()?);
    Some(texts.join("\n\n"))
}

/// Takes the texts out of a value. What serde reads is at most 128 levels deep.
fn take(value: &mut Value, spoken: bool, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if spoken || text.contains('\n') => {
            let text = std::mem::take(text);
            // The arguments of a call are JSON in a string.
            match serde_json::from_str::<Value>(&text) {
                Ok(mut inner @ (Value::Object(_) | Value::Array(_))) => {
                    take(&mut inner, false, texts);
                    texts.push(inner.to_string());
                }
                _ => texts.push(text),
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|value| take(value, false, texts)),
        Value::Object(all) => {
            all.iter_mut().for_each(|(key, value)| take(value, SPOKEN.contains(&key.as_str()), texts));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use portcullis_dependencies::{Hint, find};
    use serde_json::json;

    use super::*;

    fn found(answer: &Value) -> Vec<String> {
        let text = texts(&answer.to_string()).unwrap();
        let said = |found: &portcullis_dependencies::Found| format!("{} {}", found.package.name(), found.wanted);
        find(&text, Hint::Answer).found.iter().map(said).collect()
    }

    #[test]
    fn answers_of_every_dialect_are_read_as_they_are_seen() {
        let says = "Run:\n```sh\npip install py-widget==2.1\n```\nDone";
        let arguments = json!({"command": "pip install py-widget==2.1"}).to_string();
        for answer in [
            json!({"message": {"content": says}}),
            json!({"response": says, "done": true}),
            json!({"choices": [{"message": {"content": says}}]}),
            json!({"content": [{"type": "text", "text": says}]}),
            json!({"choices": [{"message": {"tool_calls": [{"function": {"arguments": arguments}}]}}]}),
        ] {
            assert_eq!(found(&answer), ["py-widget 2.1"], "{answer}");
        }
        assert_eq!(texts("Run: pip install x"), None);
        assert_eq!(texts("{\"content\": \"cut off"), None);
    }
}
