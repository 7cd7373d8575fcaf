//! What of an answer is a structured value: the answer's text, and the calls of tools, in every dialect.
//!
//! Streams bring them in pieces; the pieces of one value stand in one slot, which knows the key under which they stand:
//! what a client reads under one key must not be made whole by what stands under another. Some dialects repeat at the
//! end what they said in pieces: clients may read either, so that counts as said once more. Keys are read in any case, as
//! clients in Go read them, but an answer that must fit has none in another case than servers write. What could hold a value and is in no known form is [`Said::Odd`].

use std::collections::BTreeSet;

use crate::json::{Json, fold_key};

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

/// What the pieces of a block are: clients read no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// The arguments of a call that the client answers.
    Call,
    /// The arguments of a call that the server answers itself.
    Own,
    /// The answer's text.
    Text,
    /// What is not looked at.
    Other,
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
    Called(Slot, &'f str, &'f Json<'f>),
    /// A call of something that the server, or the client, brings itself: its kind.
    Own(&'f str),
    /// A block of Anthropic's streams begins: its number, and what its pieces are.
    Opens(u64, Opened),
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

/// The keys that are read, but for those that hold what a tool is called with.
const KEYS: [&str; 22] = [
    "choices",
    "content",
    "content_block",
    "content_index",
    "custom",
    "delta",
    "function",
    "function_call",
    "index",
    "item",
    "message",
    "name",
    "output",
    "output_index",
    "output_text",
    "part",
    "partial_json",
    "refusal",
    "response",
    "text",
    "tool_calls",
    "type",
];
const ARGUMENTS: [&str; 2] = ["arguments", "input"];

/// Whether a key that is read stands there in another case: clients in Go read it, and others do not.
pub(super) fn is_cased(frame: &Json<'_>) -> bool {
    match frame {
        Json::Array(items) => items.iter().any(is_cased),
        Json::Object(entries) => entries.iter().any(|(key, value)| {
            let known = |keys: &[&str], key: &str| keys.contains(&key);
            let folded = fold_key(key);
            let read = known(&KEYS, &folded) || known(&ARGUMENTS, &folded);
            (read && folded != *key) || (known(&KEYS, key) && is_cased(value))
        }),
        Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => false,
    }
}

/// Where something stands that says no number itself: not where one stands that says so.
fn unnumbered(position: usize) -> u64 {
    u64::MAX - 1 - position as u64
}

/// The value of a key that is there: `null` says nothing.
fn get<'f>(object: &'f Json<'f>, key: &str) -> Option<&'f Json<'f>> {
    object.get(key).or_else(|| object.get_folded(key)).filter(|value| **value != Json::Null)
}

/// Something in a form that nobody knows: where there is an object in it, that could be a call.
fn odd<'f>(value: &Json<'_>, what: &'static str) -> Said<'f> {
    if holds_object(value) { Said::OddCalls } else { Said::Odd(what) }
}

fn holds_object(value: &Json<'_>) -> bool {
    match value {
        Json::Array(items) => items.iter().any(holds_object),
        Json::Object(entries) => !entries.is_empty(),
        Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => false,
    }
}

/// The text under a key. What is there and is no text, some clients add to one all the same.
fn text<'f>(object: &'f Json<'f>, key: &str, see: &mut dyn FnMut(Said<'f>)) -> Option<&'f str> {
    let value = get(object, key)?;
    if value.as_str().is_none() {
        see(Said::Odd("a text that is none"));
    }
    value.as_str()
}

/// The kind that something says it is of; empty where it says none.
fn kind<'f>(object: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) -> &'f str {
    let kind = text(object, "type", see).unwrap_or_default();
    if kind.bytes().any(|byte| !byte.is_ascii() || byte.is_ascii_uppercase()) {
        see(Said::Odd("a kind in another case"));
    }
    kind
}

/// The number under a key. What is there and is no whole number, clients take for one that the gate does not know.
fn number<'f>(object: &'f Json<'f>, key: &str, see: &mut dyn FnMut(Said<'f>)) -> Option<u64> {
    let value = get(object, key)?;
    if value.as_u64().is_none() {
        see(Said::Odd("a number that is not whole"));
    }
    value.as_u64()
}

fn list<'f>(object: &'f Json<'f>, key: &str, see: &mut dyn FnMut(Said<'f>)) -> &'f [Json<'f>] {
    match get(object, key) {
        None => &[],
        Some(Json::Array(items)) => items,
        Some(other) => {
            see(odd(other, "a list that is none"));
            &[]
        }
    }
}

fn one<'f>(answer: u64, frame: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    if let Json::Array(_) = frame {
        return see(odd(frame, "an answer in a list of its own"));
    }
    let event_kind = kind(frame, see);
    match get(frame, "response") {
        // The events of Responses carry one that is an object.
        Some(Json::Object(_)) if event_kind.starts_with("response.") => {}
        _ => {
            if let Some(text) = text(frame, "response", see) {
                see(Said::Text((Key::Response, answer, 0, 0), text));
            }
        }
    }
    match get(frame, "message") {
        // What went wrong, in words.
        None | Some(Json::String(_)) => {}
        // Ollama's message, and the beginning of Anthropic's stream.
        Some(message) => message_of(Key::Message, answer, 0, message, see),
    }
    let mut known = BTreeSet::new();
    let mut choices = list(frame, "choices", see);
    if choices.len() > MOST_CHOICES {
        see(Said::TooMany);
        choices = &[];
    }
    for (position, choice) in choices.iter().enumerate() {
        let index = number(choice, "index", see).unwrap_or_else(|| unnumbered(position));
        if !known.insert(index) {
            see(Said::Odd("two choices of one number"));
        }
        if let Json::Array(_) = choice {
            see(odd(choice, "a choice that is a list"));
        }
        if let Some(text) = text(choice, "text", see) {
            see(Said::Text((Key::Choice, answer, index, 0), text));
        }
        calls(Key::Choice, answer, index, choice, see);
        for (name, key) in [("message", Key::Message), ("delta", Key::Delta)] {
            if let Some(message) = get(choice, name) {
                message_of(key, answer, index, message, see);
            }
        }
    }
    // llama.cpp's own completions, of which each says which prompt it is to, and Anthropic's whole answers.
    let prompt = if event_kind.is_empty() { number(frame, "index", see) } else { None };
    let prompt = prompt.unwrap_or_else(|| unnumbered(0));
    calls(Key::Content, answer, prompt, frame, see);
    content(Key::Content, answer, prompt, get(frame, "content"), see);
    match event_kind {
        kind if !kind.is_empty() => event(kind, frame, see),
        _ if ["content_block", "part", "item", "delta"].iter().any(|key| get(frame, key).is_some()) => {
            see(Said::Odd("an event without a type"));
        }
        _ => {}
    }
    items(frame, see);
}

/// A message: its text, and the calls beside it.
fn message_of<'f>(key: Key, answer: u64, choice: u64, message: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    if !matches!(message, Json::Object(_)) {
        return see(odd(message, "a message that is none"));
    }
    content(key, answer, choice, get(message, "content"), see);
    if text(message, "refusal", see).is_some_and(|refusal| !refusal.is_empty()) {
        see(Said::Declined);
    }
    calls(key, answer, choice, message, see);
}

fn calls<'f>(key: Key, answer: u64, choice: u64, message: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    let listed = match get(message, "tool_calls") {
        None => &[],
        Some(Json::Array(items)) => items.as_slice(),
        Some(_) => {
            see(Said::OddCalls);
            &[]
        }
    };
    for (position, call) in listed.iter().enumerate() {
        let index = number(call, "index", see).unwrap_or_else(|| unnumbered(position));
        let slot = (key, answer, choice, index);
        let (called, custom) = (get(call, "function"), get(call, "custom"));
        let bare = ["name", "arguments", "input"].iter().any(|key| get(call, key).is_some());
        // One client reads this, and another that.
        if usize::from(called.is_some()) + usize::from(custom.is_some()) + usize::from(bare) > 1 {
            see(Said::OddCalls);
        }
        match (called, custom) {
            (None, None) => function(slot, call, &ARGUMENTS, see),
            (called, custom) => {
                called.into_iter().for_each(|called| function(slot, called, &["arguments"], see));
                custom.into_iter().for_each(|custom| function(slot, custom, &["input"], see));
            }
        }
    }
    if let Some(call) = get(message, "function_call") {
        function((key, answer, choice, u64::MAX), call, &["arguments"], see);
    }
}

/// What a call calls, and with what: that stands under one of these keys.
fn function<'f>(slot: Slot, function: &'f Json<'f>, keys: &[&str], see: &mut dyn FnMut(Said<'f>)) {
    let name = text(function, "name", see);
    let mut arguments = None;
    for key in ARGUMENTS {
        let Some(value) = get(function, key) else { continue };
        if !keys.contains(&key) || arguments.is_some() {
            see(Said::OddCalls);
        }
        arguments = Some(value);
    }
    match arguments {
        Some(Json::String(piece)) => see(Said::Call(slot, name, piece)),
        None => see(Said::Call(slot, name, "")),
        Some(value) => see(Said::Called(slot, name.unwrap_or_default(), value)),
    }
}

/// A text, or parts of one.
fn content<'f>(key: Key, answer: u64, choice: u64, content: Option<&'f Json<'f>>, see: &mut dyn FnMut(Said<'f>)) {
    match content {
        None => {}
        Some(Json::String(text)) => see(Said::Text((key, answer, choice, 0), text)),
        Some(Json::Array(parts)) => {
            // Not where a text stands that comes in one part.
            for (position, part) in (1..).zip(parts) {
                block((key, answer, choice, position), part, see);
            }
        }
        Some(other) => see(odd(other, "a content that is neither text nor parts")),
    }
}

/// A part of a message: a text, or a call.
fn block<'f>(slot: Slot, part: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    if let Json::Array(_) = part {
        return see(odd(part, "a part that is a list"));
    }
    let kind = kind(part, see);
    if let Some(text) = part.as_str() {
        see(Said::Text(slot, text));
    } else if is(kind, &["thinking", "redacted_thinking", "reasoning", "reasoning_text", "summary_text"]) {
        // What the model thinks is not what it answers.
    } else if is(kind, &["tool_use"]) {
        let name = text(part, "name", see).unwrap_or_default();
        see(Said::Called(slot, name, get(part, "input").unwrap_or(&Json::Null)));
    } else if ends(kind, "_use") || ends(kind, "_call") {
        see(Said::Own(kind));
    } else {
        if is(kind, &["refusal"]) && text(part, "refusal", see).is_some() {
            see(Said::Declined);
        }
        if let Some(text) = text(part, "text", see) {
            if !is(kind, &["text", "output_text"]) {
                see(Said::Odd("a text in a part of another kind"));
            }
            see(Said::Text(slot, text));
        }
    }
}

/// One event of Anthropic's or Responses' streams.
fn event<'f>(kind_of: &str, event: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    let mut at = |key: &str| number(event, key, see).unwrap_or_else(|| unnumbered(0));
    let (index, output, part) = (at("index"), at("output_index"), at("content_index"));
    let (block_slot, item_slot) = ((Key::Event, 0, index, 0), (Key::Event, 1, output, part));
    let call_slot = (Key::Event, 2, output, 0);
    match kind_of.to_ascii_lowercase().as_str() {
        // What stands here comes again, in blocks.
        "message_start" => {
            let content = get(event, "message").and_then(|message| get(message, "content"));
            if content.is_some_and(|content| content.as_array().is_none_or(|parts| !parts.is_empty())) {
                see(Said::Odd("a message that begins with content"));
            }
        }
        "content_block_start" => {
            let Some(started) = get(event, "content_block") else { return };
            let of = kind(started, see);
            see(Said::Opens(index, opened(of)));
            if !is(of, &["tool_use"]) {
                return block(block_slot, started, see);
            }
            let name = text(started, "name", see);
            // The input comes in pieces; what stands here is an empty object.
            see(Said::Call(block_slot, name, ""));
            if let Some(input) =
                get(started, "input").filter(|input| input.as_object().is_none_or(|all| !all.is_empty()))
            {
                see(Said::Called(block_slot, name.unwrap_or_default(), input));
            }
        }
        "content_block_delta" => {
            let Some(delta) = get(event, "delta") else { return };
            let of = kind(delta, see);
            if let Some(piece) = text(delta, "text", see) {
                if of != "text_delta" {
                    see(Said::Odd("a text in a piece of another kind"));
                }
                see(Said::Text(block_slot, piece));
            }
            if get(delta, "partial_json").is_some() {
                if of != "input_json_delta" {
                    see(Said::Odd("arguments in a piece of another kind"));
                }
                let piece = text(delta, "partial_json", see).unwrap_or_default();
                see(Said::Call(block_slot, None, piece));
            }
        }
        "response.output_text.delta" => {
            let piece = text(event, "delta", see).unwrap_or_default();
            see(Said::Text(item_slot, piece));
        }
        "response.output_text.done" => {
            let whole = text(event, "text", see).unwrap_or_default();
            see(Said::WholeText(whole));
        }
        "response.content_part.added" | "response.content_part.done" => {
            let whole = get(event, "part").and_then(|part| text(part, "text", see));
            if let Some(said) = whole.filter(|said| !said.is_empty()) {
                see(Said::WholeText(said));
            }
        }
        "response.refusal.delta" | "response.refusal.done" | "response.failed" | "response.incomplete" | "error" => {
            see(Said::Declined);
        }
        "response.function_call_arguments.delta" => {
            let piece = text(event, "delta", see).unwrap_or_default();
            see(Said::Call(call_slot, None, piece));
        }
        "response.function_call_arguments.done" => {
            let name = text(event, "name", see);
            whole_call(call_slot, name, get(event, "arguments"), see);
        }
        "response.output_item.added" => match get(event, "item") {
            Some(item) if is_call(item) => {
                let name = text(item, "name", see);
                match get(item, "arguments") {
                    None => see(Said::Call(call_slot, name, "")),
                    Some(Json::String(piece)) => see(Said::Call(call_slot, name, piece)),
                    value => whole_call(call_slot, name, value, see),
                }
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
    if let Some(text) = text(answer, "output_text", see) {
        see(Said::WholeText(text));
    }
    for (position, item) in (0..).zip(list(answer, "output", see)) {
        whole_item((Key::Event, 3, position, 0), item, see);
    }
}

fn whole_item<'f>(slot: Slot, item: &'f Json<'f>, see: &mut dyn FnMut(Said<'f>)) {
    if let Json::Array(_) = item {
        return see(odd(item, "an item that is a list"));
    }
    let of = kind(item, see);
    let named = is_call(item) || is(of, &["custom_tool_call"]);
    if named {
        let name = text(item, "name", see).or(Some(""));
        return whole_call(slot, name, get(item, if is_call(item) { "arguments" } else { "input" }), see);
    }
    if ends(of, "_call") || ends(of, "_use") {
        return see(Said::Own(of));
    }
    if is(of, &["reasoning"]) {
        return;
    }
    for part in list(item, "content", see) {
        match text(part, "text", see) {
            Some(text) if !text.is_empty() => see(Said::WholeText(text)),
            _ if is(kind(part, see), &["refusal"]) => see(Said::Declined),
            _ => {}
        }
    }
}

/// A call that is whole: its arguments are a text, or stand there as a value.
fn whole_call<'f>(slot: Slot, name: Option<&'f str>, arguments: Option<&'f Json<'f>>, see: &mut dyn FnMut(Said<'f>)) {
    match arguments {
        None => see(Said::WholeCall(slot, name, "")),
        Some(Json::String(arguments)) => see(Said::WholeCall(slot, name, arguments)),
        Some(value) => see(Said::Called(slot, name.unwrap_or_default(), value)),
    }
}

/// What the pieces of a block of this kind are.
fn opened(kind: &str) -> Opened {
    match kind {
        "tool_use" => Opened::Call,
        "text" => Opened::Text,
        kind if kind.ends_with("_use") => Opened::Own,
        _ => Opened::Other,
    }
}

fn is_call(item: &Json<'_>) -> bool {
    get(item, "type").and_then(Json::as_str).is_some_and(|kind| is(kind, &["function_call"]))
}

fn is(kind: &str, kinds: &[&str]) -> bool {
    kinds.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

fn ends(kind: &str, end: &str) -> bool {
    kind.to_ascii_lowercase().ends_with(end)
}
