//! The eye on an answer: holds what may still become a secret, lets everything else go.
//!
//! 1. Each growing text of an answer (choice, field, tool call) is a channel of its own.
//! 2. A piece is added to what is kept of its channel, and scanned from where it was undecided.
//! 3. A finding ends the answer. What is undecided is held: from the frame in which it began.
//! 4. A little of what has left is kept, to know what stands before a new beginning.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use portcullis_policies::DataLevel;

use super::Judge;
use super::plain::plain;
use super::rules::Family;
use super::scanner::Finding;
use crate::filter::Watch;
use crate::frame::{Channel, Frame};
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

/// The most growing texts that one answer may have.
const MAX_CHANNELS: usize = 256;
/// What is kept of a text that has left.
const CONTEXT: usize = 64;
/// After so many frames without more of it, a text counts as ended: a thought that stops at the
/// beginning of a word must not hold the answer that follows it.
const PATIENCE: u64 = 16;
/// The most that is held undecided in one text. A fixed format that takes longer is refused: to let it
/// go would be to guess.
const MAX_HELD: usize = 8 * 1024;

pub(super) struct SecretWatch {
    judge: Arc<Judge>,
    channels: HashMap<u64, Text>,
    level: DataLevel,
    refusal: Option<Refusal>,
    /// The number of the newest frame.
    last: u64,
}

/// One growing text.
#[derive(Default)]
struct Text {
    kept: String,
    /// From where in `kept` it must not leave.
    open: usize,
    /// From where in `kept` it is scanned when more comes.
    rescan: usize,
    /// Up to where in `kept` each undecided frame reaches, with its number.
    frames: VecDeque<(usize, u64)>,
    /// The number of the frame that brought its newest piece.
    last: u64,
}

impl SecretWatch {
    pub(super) fn new(judge: Arc<Judge>) -> Self {
        Self { judge, channels: HashMap::new(), level: DataLevel::L0, refusal: None, last: 0 }
    }

    fn take(&mut self, number: u64, channel: Channel, piece: &str) {
        let Self { judge, channels, level, refusal, .. } = self;
        let mut found = |finding: Finding| weigh(judge, &finding, level, refusal);
        match channel {
            Channel::Single => judge.scanner.scan(piece, &mut found),
            Channel::Growing(place) => {
                if channels.len() >= MAX_CHANNELS && !channels.contains_key(&place) {
                    refusal.get_or_insert_with(|| Refusal::internal("firewall", "the answer has too many texts"));
                    return;
                }
                let text = channels.entry(place).or_default();
                text.add(number, &plain(piece));
                let undecided = judge.scanner.scan_from(&text.kept, text.rescan, false, &mut found);
                (text.open, text.rescan) = (undecided.hold, undecided.rescan);
                text.forget();
                if text.kept.len() - text.open > MAX_HELD {
                    refusal.get_or_insert_with(|| Refusal::internal("firewall", "too much of a text is undecided"));
                }
            }
        }
    }
}

impl SecretWatch {
    /// Decides texts that have not grown for a while as if they had ended. They are scanned again from
    /// where they were open when they do grow.
    fn settle_quiet_texts(&mut self) {
        let Self { judge, channels, level, refusal, last } = self;
        let quiet = channels.values_mut().filter(|t| !t.frames.is_empty() && last.saturating_sub(t.last) > PATIENCE);
        for text in quiet {
            judge
                .scanner
                .scan_from(&text.kept, text.rescan, true, &mut |finding| weigh(judge, &finding, level, refusal));
            text.frames.clear();
        }
    }
}

/// Notes a finding, and refuses for it when it is one that blocks.
fn weigh(judge: &Judge, finding: &Finding, level: &mut DataLevel, refusal: &mut Option<Refusal>) {
    *level = (*level).max(finding.rule.level);
    // A model writes paths all day: in answers, structure is only told.
    if judge.blocks(finding.rule) && finding.rule.family == Family::Secret {
        refusal.get_or_insert_with(|| {
            Refusal::new("firewall", Code::FirewallOutputSecret, "the answer contains what looks like a secret")
                .with_detail(format!("rule {}", finding.rule.id))
                .with_level(finding.rule.level)
        });
    }
}

impl Text {
    fn add(&mut self, number: u64, piece: &str) {
        self.kept.push_str(piece);
        self.last = number;
        match self.frames.back_mut() {
            Some((end, last)) if *last == number => *end = self.kept.len(),
            _ => self.frames.push_back((self.kept.len(), number)),
        }
    }

    /// Drops what is decided, but for a little context.
    fn forget(&mut self) {
        while self.frames.front().is_some_and(|(end, _)| *end <= self.open) {
            self.frames.pop_front();
        }
        let mut drop = self.open.min(self.rescan).saturating_sub(CONTEXT);
        // Cutting for every piece would copy for every piece.
        if drop < 4 * CONTEXT {
            return;
        }
        while !self.kept.is_char_boundary(drop) {
            drop -= 1;
        }
        self.kept.drain(..drop);
        self.open -= drop;
        self.rescan -= drop;
        for (end, _) in &mut self.frames {
            *end -= drop;
        }
    }
}

impl Watch for SecretWatch {
    fn frame(&mut self, number: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        self.last = number;
        frame.each_text(&mut |channel, piece| self.take(number, channel, piece));
        self.settle_quiet_texts();
        Ok(self.refusal.take().map_or(Verdict::Pass, Verdict::Block))
    }

    fn holds(&self) -> Option<u64> {
        let waiting = self.channels.values().filter(|text| self.last.saturating_sub(text.last) <= PATIENCE);
        waiting.filter_map(|text| text.frames.front().map(|(_, number)| *number)).min()
    }

    fn end(&mut self) -> Result<Option<Refusal>, FilterError> {
        let Self { judge, channels, level, refusal, .. } = self;
        for text in channels.values_mut() {
            judge
                .scanner
                .scan_from(&text.kept, text.rescan, true, &mut |finding| weigh(judge, &finding, level, refusal));
            text.frames.clear();
        }
        Ok(self.refusal.take())
    }

    fn level(&self) -> DataLevel {
        self.level
    }
}
