//! What of an answer is a structured value: the answer's text, and the calls of tools, in every dialect.
//!
//! Streams bring them in pieces; the pieces of one value stand in one slot. Some dialects repeat at the end what they
//! said in pieces: clients may read either, so that counts as said once more.

use crate::json::Json;

/// Where a value stands in an answer: which choice or item, which part of it.
pub(super) type Slot = (u64, u64);

/// Something that an answer says.
#[derive(Debug)]
pub(super) enum Said<'f> {
    /// A piece of the answer's text.
    Text(Slot, &'f str),
    /// The answer's text as a whole.
    WholeText(&'f str),
    /// A piece of a call: the name, where it is said here, and a piece of the arguments as text.
    Call(Slot, Option<&'f str>, &'f str),
    /// A call as a whole, its arguments as text.
    WholeCall(&'f str, &'f str),
    /// A call as a whole, its arguments as a value.
    Called(&'f str, &'f Json<'f>),
}

/// Calls `see` with everything that one frame, or a whole answer, says.
pub(super) fn each<'f>(frame: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    // One answer for each prompt.
    if let Json::Array(answers) = frame {
        return answers.iter().for_each(|answer| each(answer, see));
    }
    let text = |key: &str| frame.get(key).and_then(Json::as_str);
    if let Some(text) = text("response") {
        see(Said::Text((0, 0), text));
    }
    if let Some(message) = frame.get("message") {
        // Ollama's message, and the beginning of Anthropic's stream.
        message_of(0, message, see);
    }
    for (position, choice) in frame.get("choices").and_then(Json::as_array).unwrap_or_default().iter().enumerate() {
        let index = choice.get("index").and_then(Json::as_u64).unwrap_or(position as u64);
        if let Some(text) = choice.get("text").and_then(Json::as_str) {
            see(Said::Text((index, 0), text));
        }
        for key in ["message", "delta"] {
            if let Some(message) = choice.get(key) {
                message_of(index, message, see);
            }
        }
    }
    match text("type") {
        Some(kind) => event(kind, frame, see),
        // llama.cpp's own completions.
        None => content(0, frame.get("content"), see),
    }
    items(frame, see);
}

/// A message: its text, and the calls beside it.
fn message_of<'f>(choice: u64, message: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    content(choice, message.get("content"), see);
    let calls = message.get("tool_calls").and_then(Json::as_array).unwrap_or_default();
    for (position, call) in calls.iter().enumerate() {
        let index = call.get("index").and_then(Json::as_u64).unwrap_or(position as u64);
        function((choice, index), call.get("function").unwrap_or(call), see);
    }
    if let Some(call) = message.get("function_call") {
        function((choice, u64::MAX), call, see);
    }
}

fn function<'f>(slot: Slot, function: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    let name = function.get("name").and_then(Json::as_str);
    match function.get("arguments") {
        Some(Json::String(piece)) => see(Said::Call(slot, name, piece)),
        None | Some(Json::Null) => see(Said::Call(slot, name, "")),
        Some(value) => see(Said::Called(name.unwrap_or_default(), value)),
    }
}

/// A text, or parts of one.
fn content<'f>(choice: u64, content: Option<&'f Json<'f>>, see: &mut dyn FnMut(Said<'f>)) {
    match content {
        Some(Json::String(text)) => see(Said::Text((choice, 0), text)),
        Some(Json::Array(parts)) => {
            for (position, part) in parts.iter().enumerate() {
                block((choice, position as u64), part, see);
            }
        }
        _ => {}
    }
}

/// A part of a message: a text, or a call.
fn block<'f>(slot: Slot, part: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    match part.get("type").and_then(Json::as_str) {
        Some("text" | "output_text") => {
            if let Some(text) = part.get("text").and_then(Json::as_str) {
                see(Said::Text(slot, text));
            }
        }
        Some("tool_use") => {
            let name = part.get("name").and_then(Json::as_str).unwrap_or_default();
            see(Said::Called(name, part.get("input").unwrap_or(&Json::Null)));
        }
        _ => {}
    }
}

/// One event of Anthropic's or Responses' streams.
fn event<'f>(kind: &str, event: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    let number = |key: &str| event.get(key).and_then(Json::as_u64).unwrap_or(0);
    let text = |key: &str| event.get(key).and_then(Json::as_str);
    match kind {
        "message" => content(0, event.get("content"), see),
        "content_block_start" => {
            if let Some(block) =
                event.get("content_block").filter(|b| b.get("type").and_then(Json::as_str) == Some("tool_use"))
            {
                // The input comes in pieces; what stands here is an empty object.
                see(Said::Call((number("index"), 0), block.get("name").and_then(Json::as_str), ""));
                if let Some(Json::Object(entries)) = block.get("input")
                    && !entries.is_empty()
                {
                    see(Said::Called(
                        block.get("name").and_then(Json::as_str).unwrap_or_default(),
                        block.get("input").unwrap_or(&Json::Null),
                    ));
                }
            }
        }
        "content_block_delta" => {
            let Some(delta) = event.get("delta") else { return };
            if let Some(piece) = delta.get("text").and_then(Json::as_str) {
                see(Said::Text((number("index"), 0), piece));
            }
            if let Some(piece) = delta.get("partial_json").and_then(Json::as_str) {
                see(Said::Call((number("index"), 0), None, piece));
            }
        }
        "response.output_text.delta" => {
            see(Said::Text((number("output_index"), number("content_index")), text("delta").unwrap_or_default()));
        }
        "response.output_text.done" => see(Said::WholeText(text("text").unwrap_or_default())),
        "response.function_call_arguments.delta" => {
            see(Said::Call((number("output_index"), 0), None, text("delta").unwrap_or_default()));
        }
        "response.function_call_arguments.done" => {
            if let Some(name) = text("name") {
                see(Said::WholeCall(name, text("arguments").unwrap_or_default()));
            }
        }
        "response.output_item.added" => {
            if let Some(item) = event.get("item").filter(|item| is_call(item)) {
                let name = item.get("name").and_then(Json::as_str);
                let piece = item.get("arguments").and_then(Json::as_str).unwrap_or_default();
                see(Said::Call((number("output_index"), 0), name, piece));
            }
        }
        "response.output_item.done" => {
            if let Some(item) = event.get("item") {
                whole_item(item, see);
            }
        }
        _ => {
            if let Some(response) = event.get("response") {
                items(response, see);
            }
        }
    }
}

/// The items of a Responses answer.
fn items<'f>(answer: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    for item in answer.get("output").and_then(Json::as_array).unwrap_or_default() {
        whole_item(item, see);
    }
}

fn whole_item<'f>(item: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    if is_call(item) {
        let text = |key: &str| item.get(key).and_then(Json::as_str).unwrap_or_default();
        return see(Said::WholeCall(text("name"), text("arguments")));
    }
    for part in item.get("content").and_then(Json::as_array).unwrap_or_default() {
        if part.get("type").and_then(Json::as_str) == Some("output_text") {
            see(Said::WholeText(part.get("text").and_then(Json::as_str).unwrap_or_default()));
        }
    }
}

fn is_call(item: &Json<'_>) -> bool {
    item.get("type").and_then(Json::as_str) == Some("function_call")
}
