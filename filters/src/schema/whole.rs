//! The eye on a whole answer that the operator holds to a schema.
//!
//! Such a schema is about the answer as a whole, so one that comes in frames is refused, whoever else would judge it:
//! the client asked for none, but it is the server that chooses.

use std::sync::Arc;

use bytes::Bytes;

use super::compiled::Schema;
use super::fits_route;
use crate::filter::{Watch, block};
use crate::frame::{Frame, FrameBody};
use crate::gate::Unread;
use crate::verdict::{Code, Outcome, Refusal, Verdict};

/// The eye on one answer.
pub(super) struct WholeWatch {
    schema: Arc<Schema>,
    /// Whether the answer comes in frames.
    streams: bool,
}

impl WholeWatch {
    pub(super) fn new(schema: Arc<Schema>, streams: bool) -> Self {
        Self { schema, streams }
    }
}

impl Watch for WholeWatch {
    fn frame(&mut self, _: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        if self.streams {
            return block(streamed());
        }
        match &frame.body {
            FrameBody::Json(json) => fits_route(&self.schema, json).map_or_else(block, |()| Ok(Verdict::Pass)),
            FrameBody::Empty | FrameBody::End | FrameBody::Text(_) => block(not_json()),
        }
    }

    fn unread(&self, what: Unread) -> Option<Refusal> {
        (what == Unread::NotJson).then(not_json)
    }
}

fn not_json() -> Refusal {
    Refusal::new(
        "schema",
        Code::SchemaNotJson,
        "this route's answers must be JSON with each key once, and this one is not",
    )
}

fn streamed() -> Refusal {
    let message = "this route's answers are held to a schema as a whole, and the model server streams this one";
    Refusal::new("schema", Code::SchemaResponse, message)
}
