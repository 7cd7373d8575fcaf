//! A model server's answer, as JSON or as a stream of it: the texts in it, as a reader would see them.

use std::collections::BTreeMap;

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

/// Where streams put the pieces of a text, beside what whole answers use.
const PIECES: [&str; 3] = ["delta", "partial_json", "thinking"];
/// What tells the texts of one answer apart.
const NUMBERS: [&str; 3] = ["content_index", "index", "output_index"];
/// The deepest objects that are looked into; no dialect goes half as deep.
const DEEPEST: usize = 16;

/// The texts of a recorded stream, its pieces put together; nothing for what is none.
pub(super) fn streamed(text: &str) -> Option<String> {
    let mut joined = Joined::default();
    let mut frames = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let data = line.strip_prefix("data:").map(str::trim_start);
        let frame = match data {
            Some("[DONE]") => {
                joined.end();
                continue;
            }
            Some(data) => serde_json::from_str(data).ok()?,
            None if [":", "event:", "id:", "retry:"].iter().any(|field| line.starts_with(field)) => continue,
            // Ollama's lines say whether they are the last.
            None => serde_json::from_str(line).ok().filter(|frame: &Value| frame.get("done").is_some())?,
        };
        frames += 1;
        let kind = frame.get("type").and_then(Value::as_str).unwrap_or_default();
        joined.take(&frame, kind.to_owned(), false, 0);
        if frame.get("done") == Some(&Value::Bool(true)) || matches!(kind, "message_stop" | "response.completed") {
            joined.end();
        }
    }
    joined.end();
    (frames > 1).then(|| joined.texts.join("\n\n"))
}

/// The texts of a stream, as they grow.
#[derive(Default)]
struct Joined {
    /// Of the answer that is read, by where they stand.
    growing: BTreeMap<String, String>,
    /// Those that are whole.
    texts: Vec<String>,
}

impl Joined {
    /// Takes the pieces that stand below a place.
    fn take(&mut self, value: &Value, place: String, spoken: bool, depth: usize) {
        match value {
            Value::String(piece) if spoken => self.growing.entry(place).or_default().push_str(piece),
            // A name or a number of something brings nothing in; whatever has several words may.
            Value::String(text) if text.contains(char::is_whitespace) => self.texts.push(text.clone()),
            // What is held as a value is whole.
            Value::Object(_) | Value::Array(_) if depth >= DEEPEST => self.texts.push(value.to_string()),
            Value::Array(all) => {
                for (position, value) in all.iter().enumerate() {
                    // What has a number of its own stands anywhere.
                    let numbered = NUMBERS.iter().any(|number| value.get(number).is_some());
                    let position = if numbered { String::new() } else { position.to_string() };
                    self.take(value, format!("{place}/{position}"), spoken, depth + 1);
                }
            }
            Value::Object(all) => {
                let numbers = NUMBERS.iter().filter_map(|number| all.get(*number)?.as_u64());
                let place = numbers.fold(place, |place, number| format!("{place}#{number}"));
                for (key, value) in all {
                    let spoken = SPOKEN.contains(&key.as_str()) || PIECES.contains(&key.as_str());
                    if matches!(key.as_str(), "arguments" | "input") && value.is_object() {
                        let mut value = value.clone();
                        take(&mut value, false, &mut self.texts);
                        self.texts.push(value.to_string());
                        continue;
                    }
                    self.take(value, format!("{place}/{key}"), spoken, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// The answer has ended: its texts are whole.
    fn end(&mut self) {
        for text in std::mem::take(&mut self.growing).into_values() {
            take(&mut Value::String(text), true, &mut self.texts);
        }
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

    /// What the texts of a stream bring in.
    fn brought(stream: &str) -> Vec<String> {
        let text = streamed(stream).unwrap_or_default();
        let said = |found: &portcullis_dependencies::Found| format!("{} {}", found.package.name(), found.wanted);
        find(&text, Hint::Answer).found.iter().map(said).collect()
    }

    #[test]
    fn the_pieces_of_a_stream_are_put_together() {
        let (one, two) = ("Run:\n```sh\npip install py-wid", "get==2.1\n```\nDone");
        let sse = |frames: &[Value]| -> String { frames.iter().map(|frame| format!("data: {frame}\n\n")).collect() };
        let lines = |frames: &[Value]| -> String { frames.iter().map(|frame| format!("{frame}\n")).collect() };
        let call = |index: u64, piece: &str| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}}]});
        let ollama =
            [json!({"message": {"content": one}, "done": false}), json!({"message": {"content": two}, "done": true})];
        for stream in [
            lines(&ollama),
            // One answer ends before the next begins.
            lines(
                &[ollama.clone(), [json!({"message": {"content": "1"}, "done": false}), json!({"done": true})]]
                    .concat(),
            ),
            lines(&[json!({"response": one, "done": false}), json!({"response": two, "done": true})]),
            sse(&[
                json!({"choices": [{"index": 0, "delta": {"content": one}}]}),
                json!({"choices": [{"index": 0, "delta": {"content": two}}]}),
            ]) + "data: [DONE]\n\n",
            // Two calls, the pieces of which come by turns.
            sse(&[
                call(0, "{\"command\": \"pip install py-wid"),
                call(1, "{\"path\": \"a"),
                call(0, "get==2.1\"}"),
                call(1, "b\"}"),
            ]),
            format!(
                "event: content_block_delta\n{}",
                sse(&[
                    json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": one}}),
                    json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": two}}),
                    json!({"type": "message_stop"}),
                ])
            ),
            lines(&[json!({"done": false, "note": "pip install py-widget==2.1"}), json!({"done": true})]),
            sse(&[
                json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": one}),
                json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": two}),
            ]),
        ] {
            assert_eq!(brought(&stream), ["py-widget 2.1"], "{stream}");
        }
        for none in ["Run: pip install x", "{\"a\": 1}\n{\"a\": 2}\n", "data: no json\n", "data: {}\n", ""] {
            assert_eq!(streamed(none), None, "{none}");
        }
    }
}
