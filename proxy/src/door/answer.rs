//! The body of an answer to a local client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use portcullis_filters::{Code, Refusal, dialect};
use portcullis_policies::{Dialect, StreamFormat};
use tokio::sync::OwnedSemaphorePermit;

/// A body: the door's own, or the gate's as it comes.
pub(crate) enum Answer {
    /// All of it.
    Whole(Option<Bytes>),
    /// What the gate says, frame by frame.
    Poured(Poured),
}

/// An answer that is coming.
pub(crate) struct Poured {
    /// `None` once it broke off.
    pub(crate) body: Option<Incoming>,
    /// How it ends if it breaks off; `None` for what is no stream, whose framing shows the break.
    pub(crate) stream: Option<StreamFormat>,
    pub(crate) dialect: Dialect,
    pub(crate) request_id: String,
    /// The answer's place on its connection.
    pub(crate) _room: OwnedSemaphorePermit,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Poured(poured) => poured.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Poured(poured) => poured.body.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Poured(poured) => poured.body.as_ref().map(Body::size_hint).unwrap_or_default(),
        }
    }
}

impl Poured {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match (Pin::new(body).poll_frame(cx), self.stream) {
            (Poll::Ready(Some(Err(_))), Some(format)) => {
                self.body = None;
                let refusal = Refusal::new(
                    "door",
                    Code::UpstreamUnavailable,
                    "the connection to the gate broke off in the answer",
                );
                let last = dialect::midstream(self.dialect, format, &refusal, &self.request_id);
                Poll::Ready(Some(Ok(Frame::data(last))))
            }
            (polled, _) => polled,
        }
    }
}
