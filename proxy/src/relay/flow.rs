//! The state of one answer on its way, and what it settles when the upstream is done.

use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis_filters::chain::Cleared;
use portcullis_filters::dialect::Usage;
use portcullis_filters::gate::{AnswerShape, Gate};

use crate::answering::Unsealed;
use crate::queue::Slot;

/// The state of one answer on its way.
pub(super) struct Flow {
    pub(super) gate: Gate,
    pub(super) shape: AnswerShape,
    /// Time spent in the gate.
    pub(super) judging: Duration,
    pub(super) first_frame: Option<Duration>,
    pub(super) sent: Instant,
    pub(super) head_written: bool,
    /// The part of a stream that has left, where its end is to be signed.
    pub(super) unsealed: Option<Unsealed>,
    /// The upstream's slot, until the upstream is done.
    slot: Option<Slot>,
    /// Whether the upstream did what it was asked.
    worked: bool,
    settled: bool,
}

impl Flow {
    /// The answer to a request that was sent at this time; nothing of it has come yet.
    pub(super) fn new(gate: Gate, shape: AnswerShape, sent: Instant, slot: Option<Slot>, worked: bool) -> Self {
        Self {
            gate,
            shape,
            judging: Duration::ZERO,
            first_frame: None,
            sent,
            head_written: false,
            unsealed: None,
            slot,
            worked,
            settled: false,
        }
    }

    /// Notes what is about to leave.
    pub(super) fn leaves(&mut self, piece: &[u8]) {
        if let Some(stream) = &mut self.unsealed {
            stream.leaves(piece);
        }
    }

    /// The last piece of a stream, to its frame's end where another frame will follow.
    pub(super) fn to_the_end(&self, last: Bytes) -> Bytes {
        match self.unsealed.as_ref().map(|stream| stream.missing(&last)).unwrap_or_default() {
            b"" => last,
            missing => [&last, missing].concat().into(),
        }
    }

    /// The upstream is done: its slot is free, and what was used takes the place of what was reserved.
    /// One that broke off in the middle was counted by its upstream up to some frame before, or not at all:
    /// every frame that came is a token then.
    pub(super) fn settle(&mut self, cleared: &Cleared, complete: bool) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let usage = self.gate.usage();
        if !self.worked && usage == Usage::default() {
            drop(self.slot.take());
            return cleared.facts().waive();
        }
        // A client that leaves before the upstream has counted does not get its tokens for nothing.
        let uncounted = self.shape.stream.is_some() && (!complete || usage.output == 0);
        let output = if uncounted { usage.output.max(self.gate.frames()) } else { usage.output };
        let used = Usage { output, ..usage };
        if let Some(slot) = self.slot.take() {
            slot.give_back(used);
        }
        cleared.facts().settle(used);
    }
}
