//! The eye on a whole answer that the operator holds to a schema.

use std::sync::Arc;

use bytes::Bytes;

use super::compiled::Schema;
use super::fits_route;
use crate::filter::{Watch, block};
use crate::frame::{Frame, FrameBody};
use crate::gate::Unread;
use crate::verdict::{Code, Outcome, Refusal, Verdict};

/// The eye on one answer.
pub(super) struct WholeWatch(Arc<Schema>);

impl WholeWatch {
    pub(super) fn new(schema: Arc<Schema>) -> Self {
        Self(schema)
    }
}

impl Watch for WholeWatch {
    fn frame(&mut self, _: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        match &frame.body {
            FrameBody::Json(json) => fits_route(&self.0, json).map_or_else(block, |()| Ok(Verdict::Pass)),
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
