//! What a program sends, whole: its signature covers a digest of all of it, so the gate hears of a request
//! only when its last byte is here. And the memory for that, which answers use that are held until they are proven.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use portcullis_filters::{Code, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most of one request. A gate takes 16 MiB by default.
pub(super) const MAX_CONTENT: usize = 32 * 1024 * 1024;
/// The most of all requests, and of all answers that are held, together: in KiB.
const ROOM: usize = 128 * 1024;
/// What of it answers leave to requests: an answer can pass without being held, a request cannot.
const OF_REQUESTS: usize = ROOM / 2;
/// How much of it is handed over at a time.
const PIECE: usize = 64 * 1024;
/// How long it may take to arrive. A gate waits as long by default.
const IN_TIME: Duration = Duration::from_secs(60);
/// The most of a body that nobody wants, and the longest time, that is read and thrown away.
const MAX_DISCARD: usize = 64 * 1024 * 1024;
const DISCARD: Duration = Duration::from_secs(10);

/// The memory that all doors share.
#[derive(Clone)]
pub(crate) struct Room {
    /// In KiB.
    free: Arc<Semaphore>,
    in_time: Duration,
}

/// A request's content on its way to the gate, and the memory that it takes until it is sent.
#[derive(Default)]
pub(crate) struct Content {
    bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// What is held of an answer, and the memory that it takes until a program has it.
#[derive(Default)]
pub(super) struct Held {
    bytes: BytesMut,
    room: Option<OwnedSemaphorePermit>,
}

/// What the gate itself sends as a client, which is small: it takes nothing of the room.
impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, _room: None }
    }
}

impl Room {
    /// All of it.
    pub(crate) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(ROOM)), in_time: IN_TIME }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// When it is too large, there is no room for it, it takes too long or breaks off. What is still to
    /// come of it is then read and thrown away: closing a socket with unread bytes resets it, and the program
    /// would lose the refusal that it is about to read.
    pub(super) async fn read<B>(&self, body: B) -> Result<Content, Refusal>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Send,
    {
        let mut unread = Unread(Some(body));
        let Some(body) = &mut unread.0 else { return Ok(Content::default()) };
        if body.size_hint().lower() > MAX_CONTENT as u64 {
            return Err(too_large());
        }
        let collected = tokio::time::timeout(self.in_time, self.collect(body)).await;
        let content = collected.map_err(|_| malformed("the body did not arrive in time"))??;
        // It is at its end.
        unread.0 = None;
        Ok(content)
    }

    async fn collect<B: Body<Data = Bytes> + Unpin>(&self, body: &mut B) -> Result<Content, Refusal> {
        let mut bytes = BytesMut::new();
        let mut room = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| malformed("the body was cut off or badly framed"))?;
            // Trailers are nothing that a gate takes.
            let Ok(piece) = frame.into_data() else { continue };
            let length = bytes.len().saturating_add(piece.len());
            if length > MAX_CONTENT {
                return Err(too_large());
            }
            // What is announced takes up nothing; what has come does.
            self.widen(&mut room, length)?;
            bytes.extend_from_slice(&piece);
        }
        Ok(Content { bytes: bytes.freeze(), _room: room })
    }

    /// Holds a piece of an answer; says whether there was room for it, and so for another.
    pub(super) fn hold(&self, held: &mut Held, piece: &[u8]) -> bool {
        held.bytes.extend_from_slice(piece);
        self.take(&mut held.room, held.bytes.capacity(), OF_REQUESTS)
    }

    /// Takes room for so many bytes of a request in all.
    fn widen(&self, room: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Refusal> {
        self.take(room, bytes, 0).then_some(()).ok_or_else(|| {
            Refusal::new("door", Code::UpstreamUnavailable, "too many large requests are under way at this door")
                .with_retry_after(5)
        })
    }

    /// Takes room for so many bytes in all, where so many KiB are left then.
    fn take(&self, room: &mut Option<OwnedSemaphorePermit>, bytes: usize, left: usize) -> bool {
        let more = bytes.div_ceil(1024).saturating_sub(room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if more == 0 {
            return true;
        }
        let free = self.free.available_permits().saturating_sub(left);
        let wanted = u32::try_from(more).ok().filter(|_| more <= free);
        let Some(more) = wanted.and_then(|more| Arc::clone(&self.free).try_acquire_many_owned(more).ok()) else {
            return false;
        };
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        true
    }
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes; their memory is taken until the last of them is gone, wherever they lie by then.
    pub(super) fn freeze(self) -> Bytes {
        if self.bytes.is_empty() { Bytes::new() } else { Bytes::from_owner(self) }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Content {
    /// What is still to be sent: all of it, at first.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // Piece by piece: what was handed over lies in the connection's own memory until the gate takes it.
        let piece = self.bytes.len().min(PIECE);
        let piece = self.bytes.split_to(piece);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// A body that is read on when this is dropped.
struct Unread<B: Body<Data = Bytes> + Send + Unpin + 'static>(Option<B>)
where
    B::Error: Send;

impl<B> Drop for Unread<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    fn drop(&mut self) {
        if let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) {
            tokio::spawn(tokio::time::timeout(DISCARD, discard(body)));
        }
    }
}

async fn discard<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut left = MAX_DISCARD;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = less;
    }
}

fn too_large() -> Refusal {
    Refusal::new("door", Code::RequestTooLarge, "the body is larger than a door takes, which is 32 MiB")
}

fn malformed(message: &'static str) -> Refusal {
    Refusal::new("door", Code::RequestMalformed, message)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use futures::{StreamExt as _, stream};
    use http_body_util::{Full, StreamBody};

    fn pieces(count: usize, size: usize) -> impl Body<Data = Bytes, Error = std::io::Error> + Send + Unpin {
        let piece = Bytes::from(vec![7; size]);
        StreamBody::new(stream::iter((0..count).map(move |_| Ok(Frame::data(piece.clone())))))
    }

    fn read<B>(room: &Room, body: B) -> Result<Content, Code>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Send,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(room.read(body)).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_body_is_read_whole_and_no_further_than_it_may_go() {
        let room = Room::new();
        assert_eq!(read(&room, pieces(3, 10)).unwrap().bytes().len(), 30);
        assert_eq!(read(&room, Full::from("whole")).unwrap().bytes(), "whole");
        assert_eq!(read(&room, Full::default()).unwrap().bytes(), "");
        assert_eq!(read(&room, pieces(32, 1 << 20)).unwrap().bytes().len(), MAX_CONTENT);
        assert_eq!(read(&room, pieces(33, 1 << 20)).err(), Some(Code::RequestTooLarge));
        assert_eq!(read(&room, Full::from(vec![0; MAX_CONTENT + 1])).err(), Some(Code::RequestTooLarge));
        assert_eq!(room.free.available_permits(), ROOM, "what is gone takes no room");
    }

    #[test]
    fn all_together_take_no_more_than_there_is() {
        let room = Room::new();
        let mut held: Vec<_> = (0..100).map_while(|_| read(&room, pieces(32, 1 << 20)).ok()).collect();
        assert_eq!(held.len(), ROOM * 1024 / MAX_CONTENT);
        assert_eq!(read(&room, Full::from("x")).err(), Some(Code::UpstreamUnavailable));
        drop(held.pop());
        assert!(read(&room, Full::from("x")).is_ok());
    }

    /// A body that says how large it is, and of which one byte comes.
    struct Begun(Option<Bytes>);

    impl Body for Begun {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            self.0.take().map_or(Poll::Pending, |byte| Poll::Ready(Some(Ok(Frame::data(byte)))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(MAX_CONTENT as u64)
        }
    }

    #[tokio::test]
    async fn what_is_only_announced_takes_no_room() {
        let room = Room::new();
        let mut idle: Vec<_> = (0..100).map(|_| Box::pin(room.read(Begun(Some(Bytes::from("x")))))).collect();
        for begun in &mut idle {
            assert!(futures::poll!(begun).is_pending());
        }
        assert_eq!(room.free.available_permits(), ROOM - 100, "a KiB for each byte that came");
        assert_eq!(room.read(pieces(32, 1 << 20)).await.map_err(|_| ()).unwrap().bytes().len(), MAX_CONTENT);
        drop(idle);
        assert_eq!(room.free.available_permits(), ROOM);
    }

    #[tokio::test]
    async fn a_body_arrives_in_time_or_not_at_all() {
        let room = Room { in_time: Duration::from_millis(20), ..Room::new() };
        // Never a long pause, and never at its end in time.
        let drops = stream::iter(0..400).then(async |_| {
            tokio::time::sleep(Duration::from_millis(5)).await;
            io::Result::Ok(Frame::data(Bytes::from("x")))
        });
        let refused = room.read(StreamBody::new(Box::pin(drops))).await.err().unwrap();
        assert_eq!((refused.code, &*refused.message), (Code::RequestMalformed, "the body did not arrive in time"));
        assert_eq!(room.free.available_permits(), ROOM);
    }

    #[test]
    fn an_answer_that_is_held_takes_room_until_it_is_gone() {
        let room = Room::new();
        let hold = |size| {
            let mut held = Held::default();
            room.hold(&mut held, &vec![7; size]).then(|| held.freeze())
        };
        let mut all: Vec<_> = (0..1000).map_while(|_| hold(1 << 20)).collect();
        assert_eq!(all.len(), (ROOM - OF_REQUESTS) / 1024);
        assert_eq!(hold(1), None);
        assert!(read(&room, Full::from("x")).is_ok(), "requests find room");
        let mut first = all.remove(0);
        let rest = first.split_off(1 << 19);
        drop(first);
        assert_eq!(hold(1), None, "a half of it is still on its way");
        drop(rest);
        assert_eq!(hold(1).unwrap(), [7][..]);
        drop(all);
        assert_eq!(room.free.available_permits(), ROOM);
    }

    #[test]
    fn a_broken_body_is_refused() {
        let cut = stream::iter([Ok(Frame::data(Bytes::from("half"))), Err(std::io::Error::other("cut"))]);
        assert_eq!(read(&Room::new(), StreamBody::new(cut)).err(), Some(Code::RequestMalformed));
    }
}
