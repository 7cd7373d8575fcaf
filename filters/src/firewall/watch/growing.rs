//! One growing text of an answer, and the frames that its undecided end lies in.

use std::collections::VecDeque;
use std::ops::Range;

use portcullis_firewall::Rule;

use super::Stream;
use super::amend::{Cut, Named, Quoted};
use super::beside::Besides;
use crate::frame::Piece;

/// One growing text.
#[derive(Default)]
pub(super) struct Growing {
    pub(super) stream: Stream,
    /// What of it lies in frames that are held.
    held: VecDeque<Held>,
    /// How many frames had brought text when its newest piece came.
    last: u64,
    /// Up to here it left undecided.
    given_up: u64,
    /// For JSON in a string: whether its end lies within one of its strings.
    quoted: Option<Quoted>,
    begun: bool,
    /// What is taken out, and what waits for it.
    pub(super) besides: Besides,
}

/// The memory that each piece takes that is held.
#[cfg(test)]
pub(super) const PIECE: usize = size_of::<Held>();

/// A piece that is held.
struct Held {
    number: u64,
    place: usize,
    span: Range<u64>,
    quoted: Option<Quoted>,
}

impl Growing {
    /// Notes a piece before the stream takes it in.
    pub(super) fn add(&mut self, number: u64, place: usize, piece: &Piece<'_>, spoken: u64) {
        let begin = self.stream.pushed();
        if !piece.text.is_empty() {
            self.last = spoken;
        }
        if !self.begun
            && let Some(first) = piece.text.trim_start().chars().next()
        {
            self.begun = true;
            let arguments = matches!(piece.key, "arguments" | "partial_json");
            if arguments && matches!(first, '{' | '[' | '"') {
                self.quoted = Some(Quoted::default());
                self.stream.read_json();
            }
        }
        let span = begin..begin + piece.text.len() as u64;
        self.held.push_back(Held { number, place, span, quoted: self.quoted });
        if let Some(quoted) = &mut self.quoted {
            piece.text.bytes().for_each(|byte| quoted.take(byte));
        }
    }

    /// Forgets the pieces that are decided.
    pub(super) fn forget(&mut self) {
        let open = self.besides.open().map_or(self.stream.open(), |waits| waits.min(self.stream.open()));
        while self.held.front().is_some_and(|held| held.span.end <= open) {
            self.held.pop_front();
        }
    }

    /// The first frame that must not leave.
    pub(super) fn holds(&self) -> Option<u64> {
        self.held.front().map(|held| held.number)
    }

    /// Whether so many frames brought text, and none of them to this one.
    pub(super) fn is_quiet(&self, spoken: u64, patience: u64) -> bool {
        !self.held.is_empty() && spoken.saturating_sub(self.last) > patience
    }

    /// Lets go what is undecided.
    pub(super) fn give_up(&mut self) {
        self.held.clear();
        self.given_up = self.stream.pushed();
    }

    /// What is to be taken out of which frames; `None` where more of it than its prefix has left already.
    pub(super) fn cuts(&self, secret: &Range<u64>, prefix: u64, rule: &Rule) -> Option<Vec<(u64, Cut)>> {
        let first = self.held.front()?.span.start;
        if secret.start < self.given_up || secret.start.saturating_add(prefix) < first {
            return None;
        }
        let mut cuts = Vec::new();
        let before = self.held.partition_point(|held| held.span.end <= secret.start);
        for held in self.held.iter().skip(before).take_while(|held| held.span.start < secret.end) {
            let (start, end) = (secret.start.max(held.span.start), secret.end.min(held.span.end));
            if start >= end {
                continue;
            }
            let part = usize::try_from(start - held.span.start).ok()?..usize::try_from(end - held.span.start).ok()?;
            // The mark stands where the secret begins, as far as that is still here.
            let rule = cuts.is_empty().then(|| Named::of(rule));
            let goes_on = end < secret.end;
            cuts.push((held.number, Cut { place: held.place, part, rule, goes_on, quoted: held.quoted }));
        }
        // All of it is here.
        cuts.last().is_some_and(|(_, last)| !last.goes_on).then_some(cuts)
    }
}
