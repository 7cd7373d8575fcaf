//! A door: plain HTTP on loopback for the programs of this machine, and a gate behind it.
//!
//! The door adds what such programs lack: TLS, the gate's key compared with the one that a person met,
//! a key of its own, signatures. It decides nothing: what may pass is the gate's to say, and its refusals reach the
//! program as they are. To follow a request, read `guard.rs`, `carry.rs`, `link.rs`, `dial.rs`;
//! what is signed, `signer.rs` and `proof.rs`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use portcullis_certs::NodePublic;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};

use self::address::GateAddress;
use self::clock::Clocks;
use self::content::Room;
use self::guard::Guard;
use self::link::Link;
use self::standing::Watch;

pub(crate) mod address;
mod answer;
mod carry;
pub(crate) mod clock;
pub(crate) mod content;
pub(crate) mod dial;
mod greet;
pub(crate) mod guard;
mod headers;
pub(crate) mod home;
pub(crate) mod link;
pub(crate) mod name;
mod proof;
pub(crate) mod signer;
pub(crate) mod standing;

/// The most connections of local programs at a time.
const MAX_CONNECTIONS: usize = 500;
/// The most headers of a request, and bytes of its head.
const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 64 * 1024;
/// How long a connection may take to send a request's head, or wait between two.
const IDLE: Duration = Duration::from_secs(75);
/// How long running answers may take to end once the door is told to close.
const GRACE: Duration = Duration::from_secs(5);

/// One door.
pub(crate) struct Door {
    gate: GateAddress,
    /// The gate's node: the key that signs its answers.
    node: NodePublic,
    guard: Guard,
    link: Link,
    clocks: Clocks,
    /// The memory that requests take, and answers that are held; all doors of a process share it.
    room: Room,
    watch: Watch,
    /// Wakes the greeter when there is reason to ask how the door stands.
    doubt: Notify,
    /// A delegated grant, which goes with every request.
    grant: Option<HeaderValue>,
    /// A token of enrolment, until the gate has seen it.
    token: Mutex<Option<HeaderValue>>,
}

impl Door {
    /// A door at this address, which is on loopback, to the gate that proved to be this node.
    pub(crate) fn new(
        (gate, node): (GateAddress, NodePublic),
        (guard, room): (Guard, Room),
        link: Link,
        watch: Watch,
        (token, grant): (Option<HeaderValue>, Option<HeaderValue>),
    ) -> Self {
        Self {
            gate,
            node,
            guard,
            link,
            clocks: Clocks::default(),
            room,
            watch,
            doubt: Notify::new(),
            grant,
            token: Mutex::new(token),
        }
    }

    /// Serves local programs until it is told to stop, and lets running answers finish for a moment.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let greeter = tokio::spawn(Arc::clone(&self).keep_asking());
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        loop {
            let next = async {
                let place = Arc::clone(&room).acquire_owned().await.ok()?;
                Some((listener.accept().await, place))
            };
            let (accepted, place) = tokio::select! {
                Some(next) = next => next,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, peer)) if peer.ip().to_canonical().is_loopback() => {
                    let connection = graceful.watch(Arc::clone(&self).connection(stream));
                    tokio::spawn(async move {
                        // What a local program breaks off is its own affair.
                        let _ = connection.await;
                        drop(place);
                    });
                }
                Ok(_) => {}
                // The process has no more files: those of connections that end come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        drop(listener);
        greeter.abort();
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    }

    fn connection(
        self: Arc<Self>,
        stream: TcpStream,
    ) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error, Output = hyper::Result<()>> {
        // A token must not wait for the next one.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request: Request<Incoming>| {
            let door = Arc::clone(&self);
            async move { Ok::<_, std::convert::Infallible>(door.carry(request).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
    }
}

/// Whether a door may listen here.
pub(crate) fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
