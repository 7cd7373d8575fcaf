//! Cutting an answer into frames, and what a frame says.
//!
//! A frame is one unit of an answer: one NDJSON line, one server-sent event, or the whole of an
//! answer that is not streamed. [`Cutter`] finds where frames end, at any chunking; [`Frame`] shows
//! one to the watches, parsed once.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::{Bytes, BytesMut};
use portcullis_policies::StreamFormat;

use crate::json::Json;

mod cutter;
mod parse;

pub use cutter::{Cutter, FrameTooLarge};
pub use parse::{FrameError, Reading, with_frame};

/// One frame of an answer, as the watches see it.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The bytes as they came, delimiter included.
    pub raw: &'a Bytes,
    /// What they say.
    pub body: FrameBody<'a>,
    /// Text beside it that leaves the gate with it: an event's id, a comment.
    pub beside: Option<&'a str>,
}

/// What a frame says.
#[derive(Debug)]
pub enum FrameBody<'a> {
    /// Nothing that a client reads: an SSE comment or keep-alive, an empty answer.
    Empty,
    /// The end mark of an OpenAI stream, `[DONE]`.
    End,
    /// A JSON document.
    Json(&'a Json<'a>),
    /// Plain text.
    Text(&'a str),
}

/// The stream of text that a piece belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Pieces of one text that grows from frame to frame, told apart by where they stand (choice,
    /// field, tool call).
    Growing(u64),
    /// A text that stands for itself.
    Single,
}

/// Keys under which streamed answers carry pieces of a growing text.
const GROWING: &[&str] = &[
    "arguments",
    "content",
    "delta",
    "partial_json",
    "reasoning",
    "reasoning_content",
    "refusal",
    "response",
    "text",
    "thinking",
    "token",
    "output_text",
    "transcript",
    "signature",
];

impl Frame<'_> {
    /// Calls `see` with every text of the frame, keys included, and the channel it belongs to.
    pub fn each_text(&self, see: &mut dyn FnMut(Channel, &str)) {
        if let Some(text) = self.beside {
            see(Channel::Single, text);
        }
        match &self.body {
            FrameBody::Empty | FrameBody::End => {}
            FrameBody::Text(text) => see(Channel::Growing(0), text),
            FrameBody::Json(json) => walk(json, 0, false, see),
        }
    }
}

fn walk(json: &Json<'_>, place: u64, grows: bool, see: &mut dyn FnMut(Channel, &str)) {
    match json {
        Json::String(text) => {
            see(if grows { Channel::Growing(place) } else { Channel::Single }, text);
        }
        Json::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                // `index` says which choice or tool call it is; the position is only a stand-in.
                let index = item.get("index").and_then(Json::as_u64).unwrap_or(position as u64);
                walk(item, step(place, index), grows, see);
            }
        }
        Json::Object(entries) => {
            // Anthropic and Responses events say at the top which content block they belong to.
            let place = ["index", "output_index", "content_index"].iter().fold(place, |place, key| {
                json.get(key).and_then(Json::as_u64).map_or(place, |index| step(place, (key, index)))
            });
            for (key, value) in entries {
                see(Channel::Single, key);
                walk(value, step(place, key), GROWING.contains(&key.as_ref()), see);
            }
        }
        Json::Bool(_) | Json::Null | Json::Number(_) => {}
    }
}

fn step(place: u64, with: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (place, with).hash(&mut hasher);
    hasher.finish()
}
