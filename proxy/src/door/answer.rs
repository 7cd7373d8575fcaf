//! The body of an answer to a local client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use portcullis_filters::{Code, Refusal, dialect};
use portcullis_policies::{Dialect, StreamFormat};
use portcullis_signatures::Unverified;
use tokio::sync::OwnedSemaphorePermit;

use super::content::{Held, Room};
use super::proof::Check;

/// The most of a signed answer that is held until all of it is proven, where there is room for it.
const MAX_HELD: usize = 1024 * 1024;

/// A body: the door's own, or the gate's as it comes.
pub(crate) enum Answer<B = Incoming> {
    /// All of it.
    Whole(Option<Bytes>),
    /// What the gate says, frame by frame.
    Poured(Box<Poured<B>>),
}

/// An answer that is coming.
pub(crate) struct Poured<B> {
    /// `None` once it ended or broke off.
    pub(super) body: Option<B>,
    /// What was read of it before it began to leave.
    pub(super) ready: Bytes,
    /// What it is measured by.
    pub(super) check: Check,
    /// How it ends if it breaks off; `None` for what is no stream, whose framing shows the break.
    pub(super) stream: Option<StreamFormat>,
    pub(super) dialect: Dialect,
    pub(super) request_id: String,
    /// The answer's place on its connection.
    pub(super) _place: Option<OwnedSemaphorePermit>,
}

impl<B> Poured<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Holds what its head signs until all of it is proven, or it is too large to be held, or there is no room.
    ///
    /// # Errors
    /// A refusal, when it breaks off or is not what the gate signed.
    pub(super) async fn hold(mut self, room: &Room) -> Result<Answer<B>, Refusal> {
        if !matches!(self.check, Check::Whole { .. }) {
            return Ok(Answer::Poured(Box::new(self)));
        }
        let mut whole = Held::default();
        while let Some(body) = &mut self.body {
            let piece = match body.frame().await {
                Some(Ok(frame)) => self.check.pass(frame),
                Some(Err(_)) => return Err(broken_off()),
                None => {
                    self.body = None;
                    self.check.end().map_err(|e| false_answer(&e))?
                }
            };
            if !room.hold(&mut whole, &piece) || whole.len() > MAX_HELD {
                self.ready = whole.freeze();
                return Ok(Answer::Poured(Box::new(self)));
            }
        }
        Ok(Answer::Whole(Some(whole.freeze()).filter(|whole| !whole.is_empty())))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if !self.ready.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.ready)))));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let refusal = match std::task::ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    self.ready = self.check.pass(frame);
                    continue;
                }
                None => {
                    self.body = None;
                    match self.check.end() {
                        Ok(rest) => {
                            self.ready = rest;
                            continue;
                        }
                        Err(error) => false_answer(&error),
                    }
                }
                Some(Err(_)) => broken_off(),
            };
            self.body = None;
            return Poll::Ready(Some(match self.stream {
                Some(format) => Ok(Frame::data(dialect::midstream(self.dialect, format, &refusal, &self.request_id))),
                None => Err(io::Error::other(refusal.message)),
            }));
        }
    }
}

/// What a program reads when an answer breaks off.
fn broken_off() -> Refusal {
    Refusal::new("door", Code::UpstreamUnavailable, "the connection to the gate broke off in the answer")
}

/// What a program reads when an answer is not the gate's to this request.
pub(super) fn false_answer(error: &Unverified) -> Refusal {
    Refusal::new("door", Code::UpstreamInvalid, format!("the answer is not proven to be the gate's: {error}"))
}

impl<B> Body for Answer<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Poured(poured) => poured.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Poured(poured) => poured.body.is_none() && poured.ready.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Poured(poured) => match (&poured.check, &poured.body) {
                (Check::Unsigned, Some(body)) => body.size_hint(),
                // How long it is its head says, if anything does.
                _ => SizeHint::default(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
