//! The answer's side: cuts it into frames, shows each to every watch, keeps back what is undecided.
//!
//! 1. A chunk from the upstream is cut into frames; a whole answer is one frame. Of an event that has no data only a sign
//!    of life is kept.
//! 2. Each frame is parsed once and shown to each watch: first to those that replace it, then to the others, both in the
//!    chain's order. One that is like a frame before it but
//!    for its growing texts is not parsed: each watch is shown these.
//! 3. A frame leaves once no watch holds it or one before it. Only this file makes a
//!    [`ClearedFrame`], and the writer to the client takes nothing else.
//! 4. A watch may amend a frame when it leaves: what was to be taken out of it is known by then.
//! 5. A refusal drops what is held; the frames before it have been judged and are gone.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use portcullis_policies::{DataLevel, StreamFormat};

use crate::chain::Observer;
use crate::dialect::Usage;
use crate::exchange::{Noted, Shadow};
use crate::filter::{Mode, Phase, Watch};
use crate::frame::{Cutter, Frame, FrameBody, FrameError, Reading, settled, with_frame};
use crate::verdict::{Code, FilterError, Refusal, Verdict};

mod mold;

use mold::{Mold, Molds};

/// How an answer is cut and read, and how much of it the gate holds.
#[derive(Clone, Copy, Debug)]
pub struct AnswerShape {
    /// The stream format; `None` for one whole answer.
    pub stream: Option<StreamFormat>,
    /// How each frame is read.
    pub reading: Reading,
    /// The largest frame, in bytes.
    pub frame_bytes: usize,
    /// The most that may be held undecided, in bytes.
    pub held_bytes: usize,
    /// Whether the server says that it did what it was asked (2xx).
    pub success: bool,
}

/// Why an answer, or a frame of it, was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is not what its media type says.
    NotJson,
    /// It is larger than may be.
    TooLarge,
}

/// A frame that every watch has let through. The writer to the client takes nothing else.
#[derive(Debug, PartialEq, Eq)]
pub struct ClearedFrame(Bytes);

impl ClearedFrame {
    /// The bytes to send.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The bytes to send.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

/// One filter's watch on one answer.
pub(crate) struct Eye {
    filter: &'static str,
    mode: Mode,
    watch: Box<dyn Watch>,
    took: Duration,
    /// A shadow watch that would have refused is not asked again.
    done: bool,
}

impl Eye {
    pub(crate) fn new(filter: &'static str, mode: Mode, watch: Box<dyn Watch>) -> Self {
        Self { filter, mode, watch, took: Duration::ZERO, done: false }
    }

    /// Asks the watch, catches what breaks, and notes how long it took.
    fn ask<T>(&mut self, ask: impl FnOnce(&mut dyn Watch) -> T) -> std::thread::Result<T> {
        let began = Instant::now();
        let said = std::panic::catch_unwind(AssertUnwindSafe(|| ask(&mut *self.watch)));
        self.took += began.elapsed();
        said
    }
}

/// The gate that one answer passes.
pub struct Gate {
    eyes: Vec<Eye>,
    shape: AnswerShape,
    cutter: Cutter,
    held: VecDeque<Bytes>,
    held_bytes: usize,
    /// Bytes that came and are no frame yet.
    partial_bytes: usize,
    /// Whether the answer has ended, and its end was judged.
    ended: bool,
    /// The number of the first held frame.
    first: u64,
    /// The number of the next frame to be shown.
    next: u64,
    /// Frames that were read, for others that are like them.
    molds: Molds,
    usage: Usage,
    shadows: Vec<Shadow>,
    observer: Arc<dyn Observer>,
}

impl Gate {
    pub(crate) fn new(mut eyes: Vec<Eye>, shape: AnswerShape, observer: Arc<dyn Observer>) -> Self {
        // What is found in a frame, and taken out of it, must be found in the frame that leaves.
        eyes.sort_by_key(|eye| !eye.watch.replaces());
        Self {
            cutter: Cutter::new(shape.stream, most_bytes(&eyes, shape.frame_bytes)),
            eyes,
            shape,
            held: VecDeque::new(),
            held_bytes: 0,
            partial_bytes: 0,
            ended: false,
            first: 0,
            next: 0,
            molds: Molds::default(),
            usage: Usage::default(),
            shadows: Vec::new(),
            observer,
        }
    }

    /// Takes a chunk of the answer in and gives out the frames that may leave.
    ///
    /// # Errors
    /// The refusal that ends the answer. Frames that were put into `out` before it may still leave.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<ClearedFrame>) -> Result<(), Refusal> {
        if let Err(error) = self.cutter.push(chunk) {
            let usual = "the answer of the model server is too large";
            return Err(self.unread(Unread::TooLarge, usual, error.to_string()));
        }
        self.partial_bytes = self.partial_bytes.saturating_add(chunk.len());
        while let Some(raw) = self.cutter.next_frame() {
            self.partial_bytes = self.partial_bytes.saturating_sub(raw.len());
            self.show(raw)?;
            self.release(out)?;
        }
        if self.held_bytes > self.shape.held_bytes {
            let holder = self.enforced().filter(|eye| eye.watch.holds().is_some()).min_by_key(|eye| eye.watch.holds());
            let filter = holder.map_or("firewall", |eye| eye.filter);
            return Err(Refusal::internal(filter, "too much of the answer is undecided, by `gate.limits.held_bytes`"));
        }
        Ok(())
    }

    /// The answer has ended: judges what is left and gives out the rest.
    ///
    /// # Errors
    /// The refusal that ends the answer; nothing that was held has left.
    pub async fn finish(&mut self, out: &mut Vec<ClearedFrame>) -> Result<(), Refusal> {
        self.end()?;
        self.rest(out).await
    }

    /// The first part of [`Gate::finish`]: judges what is left, which can take long, and asks nothing.
    ///
    /// # Errors
    /// The refusal that ends the answer.
    pub fn end(&mut self) -> Result<(), Refusal> {
        if let Some(raw) = self.cutter.finish() {
            self.partial_bytes = 0;
            self.show(raw)?;
        }
        // Who replaced frames ends last: by then nobody else refuses what it made of the answer.
        let replacing = self.eyes.iter().take_while(|eye| eye.watch.replaces()).count();
        for position in (replacing..self.eyes.len()).chain(0..replacing) {
            self.hear(position, |watch| watch.end())?;
        }
        self.ended = true;
        Ok(())
    }

    /// The second part of [`Gate::finish`], after [`Gate::end`]: asks what is still to be asked, and gives out the rest.
    ///
    /// # Errors
    /// The refusal that ends the answer; nothing that was held has left.
    pub async fn rest(&mut self, out: &mut Vec<ClearedFrame>) -> Result<(), Refusal> {
        if !self.ended {
            return Err(Refusal::internal("gate", "the end of the answer was not judged"));
        }
        self.ask().await?;
        for position in 0..self.eyes.len() {
            self.hear(position, |watch| watch.leaves())?;
        }
        self.let_go(self.next, out)
    }

    /// How many bytes are judged at once, at most, when this many more come: what is no frame yet of a stream. A whole
    /// answer is only gathered.
    #[must_use]
    pub fn at_once(&self, more: usize) -> usize {
        if self.shape.stream.is_some() { self.partial_bytes.saturating_add(more) } else { 0 }
    }

    /// How many bytes are judged at once, at most, when the answer ends.
    #[must_use]
    pub fn at_end(&self) -> usize {
        self.partial_bytes.saturating_add(self.held_bytes)
    }

    /// Takes the gate out of its place, so that it can judge elsewhere. What stays there lets nothing through.
    #[must_use]
    pub fn lend(&mut self) -> Self {
        let nothing = AnswerShape { frame_bytes: 0, ..self.shape };
        let stays = Self::new(Vec::new(), nothing, Arc::clone(&self.observer));
        std::mem::replace(self, stays)
    }

    /// Asks what watches need to know from outside, and gives out the frames that may leave then. Called after
    /// [`Gate::push`]; costs nothing where no watch asks.
    ///
    /// # Errors
    /// The refusal that ends the answer.
    pub async fn settle(&mut self, out: &mut Vec<ClearedFrame>) -> Result<(), Refusal> {
        if self.ask().await? { self.release(out) } else { Ok(()) }
    }

    /// Whether anything was asked.
    async fn ask(&mut self) -> Result<bool, Refusal> {
        let mut asked = false;
        for position in 0..self.eyes.len() {
            while let Some(eye) = self.eyes.get_mut(position).filter(|eye| !eye.done) {
                let filter = eye.filter;
                let question = eye.ask(|watch| watch.asks()).map_err(|_| panicked(filter, &*self.observer))?;
                let Some(question) = question else { break };
                if AssertUnwindSafe(question).catch_unwind().await.is_err() {
                    return Err(panicked(filter, &*self.observer));
                }
                self.hear(position, |watch| watch.told())?;
                asked = true;
            }
        }
        Ok(asked)
    }

    /// Hears what a watch says that is not about a frame.
    fn hear(
        &mut self,
        position: usize,
        ask: impl FnOnce(&mut dyn Watch) -> Result<Option<Refusal>, FilterError>,
    ) -> Result<(), Refusal> {
        let Some(eye) = self.eyes.get_mut(position).filter(|eye| !eye.done) else { return Ok(()) };
        let refusal = match eye.ask(ask) {
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(refusal))) => refusal,
            Ok(Err(error)) => Refusal::internal(eye.filter, error.to_string()),
            Err(_) => panicked(eye.filter, &*self.observer),
        };
        heed(eye, refusal, &mut self.shadows, &*self.observer)
    }

    /// How many frames were shown so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.next
    }

    /// What the upstream said about tokens.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Blocks that watches in `shadow` mode would have made.
    #[must_use]
    pub fn shadows(&self) -> &[Shadow] {
        &self.shadows
    }

    /// The level of what the watches saw.
    #[must_use]
    pub fn level(&self) -> DataLevel {
        self.eyes.iter().map(|eye| eye.watch.level()).max().unwrap_or_default()
    }

    /// What the watches found; of those in `shadow` mode nothing is taken out.
    #[must_use]
    pub fn findings(&self) -> Vec<Noted> {
        let of = |eye: &Eye| {
            let shadow = eye.mode == Mode::Shadow;
            let told = |noted: &Noted| match noted.action {
                "redact" if shadow => Noted { action: "flag", ..noted.clone() },
                _ => noted.clone(),
            };
            eye.watch.findings().iter().map(told).collect::<Vec<_>>()
        };
        self.eyes.iter().flat_map(of).collect()
    }

    /// How many parts of the answer were taken out.
    #[must_use]
    pub fn redactions(&self) -> u32 {
        self.eyes.iter().fold(0, |all, eye| all.saturating_add(eye.watch.redactions()))
    }

    fn show(&mut self, raw: Bytes) -> Result<(), Refusal> {
        let number = self.next;
        let mut raw = settled(raw, self.shape.reading).map_err(|error| self.unreadable(error))?;
        let mut from = if self.glance(number, &raw)? { self.eyes.len() } else { 0 };
        while from < self.eyes.len() || self.eyes.is_empty() {
            let eyes = self.eyes.get_mut(from..).unwrap_or_default();
            let (shadows, observer, usage) = (&mut self.shadows, &*self.observer, &mut self.usage);
            let molds = &mut self.molds;
            let shown = with_frame(&raw, self.shape.reading, |frame| {
                if let FrameBody::Json(json) = &frame.body {
                    usage.read(json);
                }
                let shown = show_to(eyes, number, frame, shadows, observer)?;
                // As it came, to all of them.
                if from == 0 && shown.is_none() && liken(eyes) {
                    molds.remember(Mold::of(frame));
                }
                Ok(shown)
            });
            match shown {
                Err(error) => return Err(self.unreadable(error)),
                Ok(Err(refusal)) => return Err(refusal),
                Ok(Ok(None)) => break,
                Ok(Ok(Some((position, new)))) => {
                    raw = new;
                    from += position + 1;
                }
            }
        }
        self.next += 1;
        self.held_bytes += raw.len();
        self.held.push_back(raw);
        Ok(())
    }

    /// Shows the growing texts of a frame that is like one before it to every watch. Whether it is.
    fn glance(&mut self, number: u64, raw: &Bytes) -> Result<bool, Refusal> {
        let Some(texts) = self.molds.texts(raw) else { return Ok(false) };
        for eye in self.eyes.iter_mut().filter(|eye| !eye.done) {
            let refusal = match eye.ask(|watch| watch.glance(number, &texts)) {
                Ok(Ok(None)) => continue,
                Ok(Ok(Some(refusal))) => refusal,
                Ok(Err(error)) => Refusal::internal(eye.filter, error.to_string()),
                Err(_) => panicked(eye.filter, &*self.observer),
            };
            heed(eye, refusal, &mut self.shadows, &*self.observer)?;
        }
        Ok(true)
    }

    /// The watches that are obeyed.
    fn enforced(&self) -> impl Iterator<Item = &Eye> {
        self.eyes.iter().filter(|eye| eye.mode == Mode::Enforce)
    }

    /// The refusal of a frame that cannot be judged.
    fn unreadable(&self, error: FrameError) -> Refusal {
        let usual = "the model server sent an answer that cannot be judged";
        self.unread(Unread::NotJson, usual, error.to_string())
    }

    /// The refusal of what could not be read: in the words of the first watch that has some.
    fn unread(&self, what: Unread, usual: &'static str, detail: String) -> Refusal {
        let said = self.enforced().find_map(|eye| eye.watch.unread(what));
        said.unwrap_or_else(|| Refusal::new("upstream", Code::UpstreamInvalid, usual)).with_detail(detail)
    }

    fn release(&mut self, out: &mut Vec<ClearedFrame>) -> Result<(), Refusal> {
        let held_from = self.enforced().filter_map(|eye| eye.watch.holds()).min().unwrap_or(self.next);
        self.let_go(held_from, out)
    }

    /// Gives out the frames before this one, as the watches want them to leave.
    fn let_go(&mut self, before: u64, out: &mut Vec<ClearedFrame>) -> Result<(), Refusal> {
        while self.first < before
            && let Some(raw) = self.held.pop_front()
        {
            self.held_bytes -= raw.len();
            let (eyes, number, reading) = (&mut self.eyes, self.first, self.shape.reading);
            let amended = eyes
                .iter_mut()
                .filter(|eye| eye.mode == Mode::Enforce && eye.watch.amends(number))
                .try_fold(raw, |raw, eye| amended(eye, number, raw, reading, &*self.observer))?;
            self.first += 1;
            out.push(ClearedFrame(amended));
        }
        Ok(())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        for eye in &self.eyes {
            self.observer.ran(eye.filter, Phase::Reply, eye.took);
        }
    }
}

/// The largest frame that every watch lets through.
fn most_bytes(eyes: &[Eye], usual: usize) -> usize {
    let strictest = eyes.iter().filter(|eye| eye.mode == Mode::Enforce).filter_map(|eye| eye.watch.most_bytes()).min();
    strictest.map_or(usual, |most| most.min(usual))
}

/// Shows a frame to watches in order, until one replaces it: then its position and the new bytes.
fn show_to(
    eyes: &mut [Eye],
    number: u64,
    frame: &Frame<'_>,
    shadows: &mut Vec<Shadow>,
    observer: &dyn Observer,
) -> Result<Option<(usize, Bytes)>, Refusal> {
    for (position, eye) in eyes.iter_mut().enumerate().filter(|(_, eye)| !eye.done) {
        let refusal = match eye.ask(|watch| watch.frame(number, frame)) {
            Ok(Ok(Verdict::Pass)) => continue,
            Ok(Ok(Verdict::Replace(_))) if eye.mode == Mode::Shadow => continue,
            Ok(Ok(Verdict::Replace(new))) if eye.watch.replaces() => return Ok(Some((position, new))),
            // Others have judged the frame as it was.
            Ok(Ok(Verdict::Replace(_))) => Refusal::internal(eye.filter, "it replaced a frame that others had judged"),
            Ok(Ok(Verdict::Block(refusal))) => refusal,
            Ok(Err(error)) => Refusal::internal(eye.filter, error.to_string()),
            Err(_) => panicked(eye.filter, observer),
        };
        heed(eye, refusal, shadows, observer)?;
    }
    Ok(None)
}

/// Whether there are watches, and each lets the last frame stand for others that are like it.
fn liken(eyes: &[Eye]) -> bool {
    let mut watching = eyes.iter().filter(|eye| !eye.done).peekable();
    watching.peek().is_some() && watching.all(|eye| eye.watch.likens())
}

/// What a frame says once a watch has amended it.
fn amended(
    eye: &mut Eye,
    number: u64,
    raw: Bytes,
    reading: Reading,
    observer: &dyn Observer,
) -> Result<Bytes, Refusal> {
    let filter = eye.filter;
    let broken = |detail: String| Refusal::internal(filter, detail);
    let said = eye.ask(|watch| with_frame(&raw, reading, |frame| watch.amend(number, frame)));
    match said.map_err(|_| panicked(filter, observer))?.map_err(|error| broken(error.to_string()))? {
        Ok(Verdict::Pass) => Ok(raw),
        Ok(Verdict::Replace(new)) => Ok(new),
        Ok(Verdict::Block(refusal)) => Err(refusal),
        Err(error) => Err(broken(error.to_string())),
    }
}

fn panicked(filter: &'static str, observer: &dyn Observer) -> Refusal {
    observer.panicked(filter);
    Refusal::internal(filter, "it panicked")
}

/// Obeys a refusal, or only notes it when the filter is in `shadow` mode.
fn heed(eye: &mut Eye, refusal: Refusal, shadows: &mut Vec<Shadow>, observer: &dyn Observer) -> Result<(), Refusal> {
    if eye.mode != Mode::Shadow {
        return Err(refusal);
    }
    eye.done = true;
    observer.shadowed(eye.filter, refusal.code);
    shadows.push(Shadow { filter: eye.filter, code: refusal.code, detail: refusal.detail });
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn ran(&self, _: &'static str, _: Phase, _: Duration) {}
        fn panicked(&self, _: &'static str) {}
        fn shadowed(&self, _: &'static str, _: Code) {}
    }

    fn gate(stream: Option<StreamFormat>) -> Gate {
        let shape =
            AnswerShape { stream, reading: Reading::Json, frame_bytes: 1 << 20, held_bytes: 1 << 20, success: true };
        Gate::new(Vec::new(), shape, Arc::new(Nobody))
    }

    #[test]
    fn what_stays_of_a_gate_that_is_lent_lets_nothing_through() {
        let (mut place, mut out) = (gate(Some(StreamFormat::Ndjson)), Vec::new());
        let mut lent = place.lend();
        assert!(place.push(b"{}\n", &mut out).is_err());
        assert!(out.is_empty());
        lent.push(b"{}\n{", &mut out).unwrap();
        assert_eq!(out.len(), 1);
        assert_eq!((lent.at_once(7), lent.at_end()), (8, 1));
        std::thread::spawn(move || lent.push(b"}\n", &mut Vec::new())).join().unwrap().unwrap();
    }

    #[test]
    fn a_whole_answer_is_judged_at_its_end_and_in_that_order() {
        let (mut gate, mut out) = (gate(None), Vec::new());
        gate.push(b"[1,", &mut out).unwrap();
        gate.push(b"2]", &mut out).unwrap();
        assert_eq!((gate.at_once(100), gate.at_end()), (0, 5));
        assert!(gate.rest(&mut out).now_or_never().unwrap().is_err(), "its end was not judged");
        gate.end().unwrap();
        gate.rest(&mut out).now_or_never().unwrap().unwrap();
        assert_eq!(out.iter().map(|frame| &frame.bytes()[..]).collect::<Vec<_>>(), [b"[1,2]"]);
    }
}
