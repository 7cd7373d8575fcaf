//! Cutting an answer into frames, and what a frame says.
//!
//! A frame is one unit of an answer: one NDJSON line, one server-sent event, or the whole of an
//! answer that is not streamed. [`Cutter`] finds where frames end, at any chunking; [`Frame`] shows
//! one to the watches, parsed once.

use bytes::{Bytes, BytesMut};
use portcullis_policies::StreamFormat;

use crate::json::Json;

mod cutter;
mod parse;
pub(crate) mod time;

pub use cutter::{Cutter, FrameTooLarge};
pub use parse::{FrameError, Reading, settled, with_frame};

/// One frame of an answer, as the watches see it.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The bytes as they came, delimiter included.
    pub raw: &'a Bytes,
    /// What they say.
    pub body: FrameBody<'a>,
    /// Text beside it that leaves the gate with it: an event's id, a comment.
    pub beside: Option<&'a str>,
    /// The name of the event that it is, if it has one; empty where it has several.
    pub event: Option<&'a str>,
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

/// One text of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'f> {
    /// Which growing text it is a part of, if of any.
    pub channel: Channel,
    /// What it says.
    pub text: &'f str,
    /// The key of the object in which it stands; empty where there is none.
    pub key: &'f str,
    /// Whether it is a key itself.
    pub is_key: bool,
}

/// Whether a key is one under which streamed answers carry pieces of a growing text.
fn grows(key: &str) -> bool {
    // Clients in Go read a key in any case.
    if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return grows(&key.to_ascii_lowercase());
    }
    matches!(
        key,
        "arguments"
            | "content"
            | "delta"
            | "output_text"
            | "partial_json"
            | "reasoning"
            | "reasoning_content"
            | "reasoning_text"
            | "refusal"
            | "response"
            | "signature"
            | "text"
            | "thinking"
            | "token"
            | "transcript"
    )
}

impl Frame<'_> {
    /// Calls `see` with every text of the frame, keys included, and the channel it belongs to.
    pub fn each_text(&self, see: &mut dyn FnMut(Channel, &str)) {
        self.each_piece(&mut |piece| see(piece.channel, piece.text));
    }

    /// Calls `see` with every text of the frame, keys and long numbers included, in the order in which they
    /// stand.
    pub fn each_piece(&self, see: &mut dyn FnMut(Piece<'_>)) {
        let single = |text| Piece { channel: Channel::Single, text, key: "", is_key: false };
        if let Some(text) = self.beside {
            see(single(text));
        }
        match &self.body {
            FrameBody::Empty | FrameBody::End => {}
            FrameBody::Text(text) => see(Piece { channel: Channel::Growing(0), ..single(text) }),
            FrameBody::Json(json) => walk(json, 0, "", false, see),
        }
    }
}

fn walk(json: &Json<'_>, place: u64, key: &str, growing: bool, see: &mut dyn FnMut(Piece<'_>)) {
    match json {
        Json::String(text) => {
            let channel = if growing { Channel::Growing(place) } else { Channel::Single };
            see(Piece { channel, text, key, is_key: false });
        }
        Json::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                // `index` says which choice or tool call it is; the position is only a stand-in. Tokens that
                // are listed beside a text stand one after the other.
                let listed = item.get("token").is_some() && item.get("index").is_none() && !key.starts_with("top_");
                let index = item.get("index").and_then(Json::as_u64);
                let index = if listed { 0 } else { index.unwrap_or(position as u64) };
                walk(item, step(place, b"[", index), key, growing, see);
            }
        }
        Json::Object(entries) => {
            // Anthropic and Responses events say at the top which content block they belong to.
            let mut place = place;
            for (key, value) in entries {
                if let Some(index) = value.as_u64()
                    && matches!(key.as_ref(), "index" | "output_index" | "content_index")
                {
                    place = step(place, key.as_bytes(), index);
                }
            }
            for (key, value) in entries {
                see(Piece { channel: Channel::Single, text: key, key, is_key: true });
                // Only of these it matters where they stand.
                let (place, grows) = match value {
                    Json::Object(_) => (step(place, key.as_bytes(), 0), false),
                    Json::Array(_) => (step(place, key.as_bytes(), 0), grows(key)),
                    Json::String(_) if grows(key) => (step(place, key.as_bytes(), 0), true),
                    Json::String(_) | Json::Number(_) | Json::Bool(_) | Json::Null => (place, false),
                };
                walk(value, place, key, grows, see);
            }
        }
        Json::Number(_) => {
            if let Some(number) = json.long_number() {
                see(Piece { channel: Channel::Single, text: &number.to_string(), key, is_key: false });
            }
        }
        Json::Bool(_) | Json::Null => {}
    }
}

/// Mixes a step into a place, eight bytes at once. Two places that fall together are judged as one text, which
/// can only hold more.
fn step(place: u64, key: &[u8], index: u64) -> u64 {
    let mix = |hash: u64, with: u64| {
        let mixed = (hash ^ with).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ mixed >> 32
    };
    let (eights, rest) = key.as_chunks::<8>();
    let hash = eights.iter().fold(mix(place, index), |hash, eight| mix(hash, u64::from_le_bytes(*eight)));
    // What is left has a byte less than eight, and so room for its size.
    mix(hash, rest.iter().fold(key.len() as u64, |left, byte| left << 8 | u64::from(*byte)))
}
