//! The eye on a tool's answer.

use std::sync::Arc;

use bytes::Bytes;

use super::replays::Answered;
use super::serve;
use super::tool::{Call, MOST_BYTES, replayed};
use crate::filter::{Watch, block};
use crate::frame::{Frame, FrameBody};
use crate::gate::Unread;
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

/// The eye on one answer: it comes whole, as one frame.
pub(super) struct ToolWatch {
    call: Arc<Call>,
    answered: Arc<Answered>,
    server: Arc<str>,
    caller: String,
    /// Whether the server did what it was asked.
    success: bool,
    seen: bool,
}

impl ToolWatch {
    pub(super) fn new(
        call: Arc<Call>,
        answered: Arc<Answered>,
        server: Arc<str>,
        caller: String,
        success: bool,
    ) -> Self {
        Self { call, answered, server, caller, success, seen: false }
    }

    fn judge(&mut self, frame: &Frame<'_>) -> Result<Option<Bytes>, Refusal> {
        if !self.success {
            let message = "the model server did not answer the tool's question; its operator finds why in its log";
            return Err(Refusal::new("upstream", Code::UpstreamInvalid, message));
        }
        let FrameBody::Json(json) = &frame.body else { return Err(not_json()) };
        if std::mem::replace(&mut self.seen, true) {
            return Err(not_json());
        }
        let call = &*self.call;
        let first = || !self.answered.knows(&self.server, &self.caller, &call.nonce);
        if call.served {
            let answer = serve::answer(call, json)?;
            call.judge(&answer, first)?;
            return Ok(Some(answer.to_string().into()));
        }
        call.judge(&json.to_value(), first).map(|()| None)
    }
}

impl Watch for ToolWatch {
    fn frame(&mut self, _: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        match self.judge(frame) {
            Ok(None) => Ok(Verdict::Pass),
            Ok(Some(answer)) => Ok(Verdict::Replace(answer)),
            Err(refusal) => block(refusal),
        }
    }

    fn replaces(&self) -> bool {
        self.call.served
    }

    fn most_bytes(&self) -> Option<usize> {
        Some(MOST_BYTES)
    }

    fn unread(&self, what: Unread) -> Option<Refusal> {
        Some(match what {
            Unread::NotJson => not_json(),
            Unread::TooLarge => Refusal::new(
                "schema",
                Code::SchemaTooLarge,
                "the tool's answer is larger than 512,000 bytes, the most that is taken",
            ),
        })
    }

    fn end(&mut self) -> Result<Option<Refusal>, FilterError> {
        Ok((!self.seen).then(not_json))
    }

    fn leaves(&mut self) -> Result<Option<Refusal>, FilterError> {
        // Only now: an answer that another filter refused did not use the nonce up.
        let first = self.answered.first(&self.server, &self.caller, &self.call.nonce);
        Ok((!first).then(replayed))
    }
}

fn not_json() -> Refusal {
    Refusal::new(
        "schema",
        Code::SchemaNotJson,
        "the tool's answer must be one JSON object with each key once, and is not",
    )
}
