//! What of an answer is a structured value: the answer's text, and the calls of tools, in every dialect.
//!
//! Streams bring them in pieces; the pieces of one value stand in one slot, which knows the key under which they stand:
//! what a client reads under one key must not be made whole by what stands under another. Some dialects repeat at the
//! end what they said in pieces: clients may read either, so that counts as said once more. Keys count in any case, as
//! clients in Go read them. What could hold a value and is in no known form is [`Said::Odd`].

use std::collections::BTreeSet;

use crate::json::Json;

/// The most choices that one answer may hold: servers make at most some hundred.
pub(super) const MOST_CHOICES: usize = 512;

/// Where a value stands in an answer: under which key, in which answer and choice, which part of it.
pub(super) type Slot = (Key, u64, u64, u64);

/// The key that a value stands under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Choice,
    Content,
    Delta,
    Event,
    Message,
    Response,
}

/// Something that an answer says.
#[derive(Debug)]
pub(super) enum Said<'f> {
    /// A piece of the answer's text.
    Text(Slot, &'f str),
    /// The answer's text as a whole.
    WholeText(&'f str),
    /// A piece of a call: the name, where it is said here, and a piece of the arguments as text.
    Call(Slot, Option<&'f str>, &'f str),
    /// A call as a whole, its arguments as text; without a name it is that of the call in this slot.
    WholeCall(Slot, Option<&'f str>, &'f str),
    /// A call as a whole, its arguments as a value.
    Called(&'f str, &'f Json<'f>),
    /// A call of something that the server, or the client, brings itself: its kind.
    Own(&'f str),
    /// The model declines.
    Declined,
    /// More choices than anyone asks for; none of them is looked at.
    TooMany,
    /// Calls, in a form that nobody knows.
    OddCalls,
    /// Something that could hold a value, in a form that nobody knows.
    Odd(&'static str),
}

/// Calls `see` with everything that one frame, or a whole answer, says.
pub(super) fn each<'f>(frame: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    match frame {
        // One answer for each prompt.
        Json::Array(answers) => {
            for (position, answer) in (1..).zip(answers) {
                one(position, answer, see);
            }
        }
        answer => one(0, answer, see),
    }
}

fn get<'f>(object: &'f Json<'f>, key: &str) -> Option<&'f Json<'f>> {
    object.get(key).or_else(|| object.get_folded(key))
}

fn text<'f>(object: &'f Json<'f>, key: &str) -> Option<&'f str> {
    get(object, key).and_then(Json::as_str)
}

fn number(object: &Json<'_>, key: &str) -> Option<u64> {
    get(object, key).and_then(Json::as_u64)
}

fn list<'f>(object: &'f Json<'f>, key: &str, see: &mut dyn FnMut(Said<'f>)) -> &'f [Json<'f>] {
    match get(object, key) {
        None | Some(Json::Null) => &[],
        Some(Json::Array(items)) => items,
        Some(_) => {
            see(Said::Odd("a list that is none"));
            &[]
        }
    }
}

fn one<'f>(answer: u64, frame: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    if let Some(text) = text(frame, "response") {
        see(Said::Text((Key::Response, answer, 0, 0), text));
    }
    if let Some(message) = get(frame, "message") {
        // Ollama's message, and the beginning of Anthropic's stream.
        message_of(Key::Message, answer, 0, message, see);
    }
    let mut known = BTreeSet::new();
    let mut choices = list(frame, "choices", see);
    if choices.len() > MOST_CHOICES {
        see(Said::TooMany);
        choices = &[];
    }
    for (position, choice) in choices.iter().enumerate() {
        let index = number(choice, "index").unwrap_or(position as u64);
        if !known.insert(index) {
            see(Said::Odd("two choices of one number"));
        }
        if let Some(text) = text(choice, "text") {
            see(Said::Text((Key::Choice, answer, index, 0), text));
        }
        calls(Key::Choice, answer, index, choice, see);
        for (name, key) in [("message", Key::Message), ("delta", Key::Delta)] {
            if let Some(message) = get(choice, name) {
                message_of(key, answer, index, message, see);
            }
        }
    }
    calls(Key::Content, answer, 0, frame, see);
    // llama.cpp's own completions, and Anthropic's whole answers.
    content(Key::Content, answer, 0, get(frame, "content"), see);
    match text(frame, "type") {
        Some(kind) => event(kind, frame, see),
        None if ["content_block", "part", "item", "delta"].iter().any(|key| get(frame, key).is_some()) => {
            see(Said::Odd("an event without a type"));
        }
        None => {}
    }
    items(frame, see);
}

/// A message: its text, and the calls beside it.
fn message_of<'f>(key: Key, answer: u64, choice: u64, message: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    content(key, answer, choice, get(message, "content"), see);
    if text(message, "refusal").is_some_and(|refusal| !refusal.is_empty()) {
        see(Said::Declined);
    }
    calls(key, answer, choice, message, see);
}

fn calls<'f>(key: Key, answer: u64, choice: u64, message: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    let listed = match get(message, "tool_calls") {
        None | Some(Json::Null) => &[],
        Some(Json::Array(items)) => items.as_slice(),
        Some(_) => {
            see(Said::OddCalls);
            &[]
        }
    };
    for (position, call) in listed.iter().enumerate() {
        let index = number(call, "index").unwrap_or(position as u64);
        let custom = get(call, "custom");
        function((key, answer, choice, index), get(call, "function").or(custom).unwrap_or(call), see);
    }
    if let Some(call) = get(message, "function_call").filter(|call| **call != Json::Null) {
        function((key, answer, choice, u64::MAX), call, see);
    }
}

fn function<'f>(slot: Slot, function: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    let name = text(function, "name");
    match get(function, "arguments").or_else(|| get(function, "input")) {
        Some(Json::String(piece)) => see(Said::Call(slot, name, piece)),
        None | Some(Json::Null) => see(Said::Call(slot, name, "")),
        Some(value) => see(Said::Called(name.unwrap_or_default(), value)),
    }
}

/// A text, or parts of one.
fn content<'f>(key: Key, answer: u64, choice: u64, content: Option<&'f Json<'f>>, see: &mut dyn FnMut(Said<'f>)) {
    match content {
        None | Some(Json::Null) => {}
        Some(Json::String(text)) => see(Said::Text((key, answer, choice, 0), text)),
        Some(Json::Array(parts)) => {
            for (position, part) in (0..).zip(parts) {
                block((key, answer, choice, position), part, see);
            }
        }
        Some(_) => see(Said::Odd("a content that is neither text nor parts")),
    }
}

/// A part of a message: a text, or a call.
fn block<'f>(slot: Slot, part: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    let kind = text(part, "type").unwrap_or_default();
    if let Some(text) = part.as_str() {
        see(Said::Text(slot, text));
    } else if is(kind, &["thinking", "redacted_thinking", "reasoning", "reasoning_text", "summary_text"]) {
        // What the model thinks is not what it answers.
    } else if is(kind, &["tool_use"]) {
        let name = text(part, "name").unwrap_or_default();
        see(Said::Called(name, get(part, "input").unwrap_or(&Json::Null)));
    } else if ends(kind, "_use") || ends(kind, "_call") {
        see(Said::Own(kind));
    } else {
        if is(kind, &["refusal"]) && text(part, "refusal").is_some() {
            see(Said::Declined);
        }
        match get(part, "text") {
            None | Some(Json::Null) => {}
            Some(Json::String(text)) => see(Said::Text(slot, text)),
            Some(_) => see(Said::Odd("a text that is none")),
        }
    }
}

/// One event of Anthropic's or Responses' streams.
fn event<'f>(kind: &str, event: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    let at = |key: &str| number(event, key).unwrap_or(0);
    let (block_slot, item_slot) =
        ((Key::Event, 0, at("index"), 0), (Key::Event, 1, at("output_index"), at("content_index")));
    let call_slot = (Key::Event, 2, at("output_index"), 0);
    match kind.to_ascii_lowercase().as_str() {
        "content_block_start" => {
            let Some(started) = get(event, "content_block") else { return };
            if !is(text(started, "type").unwrap_or_default(), &["tool_use"]) {
                return block(block_slot, started, see);
            }
            // The input comes in pieces; what stands here is an empty object.
            see(Said::Call(block_slot, text(started, "name"), ""));
            if let Some(input) =
                get(started, "input").filter(|input| input.as_object().is_none_or(|all| !all.is_empty()))
                && *input != Json::Null
            {
                see(Said::Called(text(started, "name").unwrap_or_default(), input));
            }
        }
        "content_block_delta" => {
            let Some(delta) = get(event, "delta") else { return };
            if let Some(piece) = text(delta, "text") {
                see(Said::Text(block_slot, piece));
            }
            if let Some(piece) = text(delta, "partial_json") {
                see(Said::Call(block_slot, None, piece));
            }
        }
        "response.output_text.delta" => see(Said::Text(item_slot, text(event, "delta").unwrap_or_default())),
        "response.output_text.done" => see(Said::WholeText(text(event, "text").unwrap_or_default())),
        "response.content_part.added" | "response.content_part.done" => {
            if let Some(said) = get(event, "part").and_then(|part| text(part, "text")).filter(|said| !said.is_empty()) {
                see(Said::WholeText(said));
            }
        }
        "response.refusal.delta" | "response.refusal.done" | "response.failed" | "response.incomplete" | "error" => {
            see(Said::Declined);
        }
        "response.function_call_arguments.delta" => {
            see(Said::Call(call_slot, None, text(event, "delta").unwrap_or_default()));
        }
        "response.function_call_arguments.done" => {
            see(Said::WholeCall(call_slot, text(event, "name"), text(event, "arguments").unwrap_or_default()));
        }
        "response.output_item.added" => match get(event, "item") {
            Some(item) if is_call(item) => {
                see(Said::Call(call_slot, text(item, "name"), text(item, "arguments").unwrap_or_default()));
            }
            Some(item) => whole_item(call_slot, item, see),
            None => {}
        },
        "response.output_item.done" => {
            if let Some(item) = get(event, "item") {
                whole_item(call_slot, item, see);
            }
        }
        _ => {}
    }
    if let Some(response) = get(event, "response") {
        items(response, see);
    }
}

/// The items of a Responses answer.
fn items<'f>(answer: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    if let Some(text) = text(answer, "output_text") {
        see(Said::WholeText(text));
    }
    for (position, item) in (0..).zip(list(answer, "output", see)) {
        whole_item((Key::Event, 3, position, 0), item, see);
    }
}

fn whole_item<'f>(slot: Slot, item: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    let kind = text(item, "type").unwrap_or_default();
    if is_call(item) {
        return see(Said::WholeCall(
            slot,
            text(item, "name").or(Some("")),
            text(item, "arguments").unwrap_or_default(),
        ));
    }
    if is(kind, &["custom_tool_call"]) {
        return see(Said::WholeCall(slot, text(item, "name").or(Some("")), text(item, "input").unwrap_or_default()));
    }
    if ends(kind, "_call") || ends(kind, "_use") {
        return see(Said::Own(kind));
    }
    if is(kind, &["reasoning"]) {
        return;
    }
    for part in list(item, "content", see) {
        match get(part, "text") {
            Some(Json::String(text)) if !text.is_empty() => see(Said::WholeText(text)),
            _ if is(text(part, "type").unwrap_or_default(), &["refusal"]) => see(Said::Declined),
            _ => {}
        }
    }
}

fn is_call(item: &Json<'_>) -> bool {
    is(text(item, "type").unwrap_or_default(), &["function_call"])
}

fn is(kind: &str, kinds: &[&str]) -> bool {
    kinds.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

fn ends(kind: &str, end: &str) -> bool {
    kind.to_ascii_lowercase().ends_with(end)
}
