//! The way to a gate: few connections, many requests on each.
//!
//! A gate always speaks HTTP/2, and so does a door. A connection is shared by so few requests that none
//! waits for another: their number stays under the gate's default of streams, and the windows of all of
//! them together under the connection's, so that a reader who stops holds up nobody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use portcullis_filters::Refusal;
use portcullis_signatures::Asked;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::address::GateAddress;
use super::content::Content;
use super::dial::{self, DialError};
use super::signer::Signer;

/// The most requests on one connection. A gate takes 100 by default.
const SHARE: usize = 64;
/// The most connections to one gate.
const LANES: usize = 8;
/// What may be on its way unread of one answer, and of all answers on a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
/// How often a connection is tried, and how long it may stay silent then: one that died while the
/// machine slept, or in a router on the way, is not to be found dead by a person's next request.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

/// The connections to one gate.
pub(crate) struct Link {
    gate: GateAddress,
    fingerprint: String,
    signer: Signer,
    name: String,
    lanes: Vec<Lane>,
}

/// What came back for a request.
pub(crate) struct Answered {
    pub(crate) answer: Response<Incoming>,
    /// What a signed answer is to name the request by.
    pub(crate) asked: Asked,
    /// A place on the connection, which lives as long as the answer.
    pub(crate) room: OwnedSemaphorePermit,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The connection broke before there was one.
    #[error("the connection broke before the gate answered: {0}")]
    Broken(Arc<hyper::Error>),
    /// There is no connection.
    #[error(transparent)]
    Dial(Arc<DialError>),
    /// The door has as many requests under way as it may.
    #[error("too many requests are under way at this door")]
    Full,
    /// It cannot be signed.
    #[error("{}", .0.message)]
    Unsigned(Refusal),
}

/// One connection, and who uses it.
struct Lane {
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sender: Option<SendRequest<Content>>,
    /// Those who waited for an attempt that failed share its failure.
    failed: Option<(Instant, Arc<DialError>)>,
}

impl Link {
    /// To this gate, which holds the key with this fingerprint, with the signer's key under this name.
    pub(crate) fn new(gate: GateAddress, fingerprint: String, signer: Signer, name: String) -> Self {
        let lane = || Lane { room: Arc::new(Semaphore::new(SHARE)), state: Mutex::default() };
        Self { gate, fingerprint, signer, name, lanes: std::iter::repeat_with(lane).take(LANES).collect() }
    }

    /// Signs a request, sends it, and waits for the answer's head.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn send(&self, request: Request<Content>) -> Result<Answered, LinkError> {
        let free = |lane: &Lane| Arc::clone(&lane.room).try_acquire_owned().ok();
        let (lane, room) =
            self.lanes.iter().find_map(|lane| free(lane).map(|room| (lane, room))).ok_or(LinkError::Full)?;
        let (mut head, mut content) = request.into_parts();
        let mut again = true;
        loop {
            let mut sender = self.sender(lane).await.map_err(LinkError::Dial)?;
            // Only now, and for this attempt alone: a connection can take longer than a signature holds, and a
            // gate takes one signature once.
            let asked = self.signer.sign(&mut head, content.bytes()).map_err(LinkError::Unsigned)?;
            match sender.try_send_request(Request::from_parts(head, content)).await {
                Ok(answer) => return Ok(Answered { answer, asked, room }),
                Err(mut error) => match error.take_message() {
                    // The connection had died unnoticed, and nothing of the request was sent.
                    Some(unsent) if again => {
                        again = false;
                        (head, content) = unsent.into_parts();
                        lane.state.lock().await.sender = None;
                    }
                    _ => return Err(LinkError::Broken(Arc::new(error.into_error()))),
                },
            }
        }
    }

    /// The lane's connection; a new one where there is none that works.
    async fn sender(&self, lane: &Lane) -> Result<SendRequest<Content>, Arc<DialError>> {
        let asked = Instant::now();
        let mut state = lane.state.lock().await;
        if let Some(sender) = state.sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        if let Some((at, error)) = &state.failed
            && *at >= asked
        {
            return Err(Arc::clone(error));
        }
        match self.open().await {
            Ok(sender) => Ok(state.sender.insert(sender).clone()),
            Err(error) => {
                let error = Arc::new(error);
                *state = State { sender: None, failed: Some((Instant::now(), Arc::clone(&error))) };
                Err(error)
            }
        }
    }

    async fn open(&self) -> Result<SendRequest<Content>, DialError> {
        let stream = dial::dial(&self.gate, &self.fingerprint, (self.signer.key(), &self.name)).await?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| DialError::Unreachable(std::io::Error::other(error)))?;
        // It ends by itself when the gate closes it, or nobody can send on it any more.
        tokio::spawn(connection);
        Ok(sender)
    }
}
