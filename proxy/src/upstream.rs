//! The model server behind the gate: where it is, whether it answers, and connections to it.
//!
//! Connections are kept per worker thread, since a socket belongs to the thread that polls it. One
//! that the server closed while it was idle is noticed before use; one that dies between is retried
//! once by the relay.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures::FutureExt as _;
use http::Method;
use pingora_core::protocols::http::v1::client::{HttpSession, http_req_header_to_wire};
use pingora_core::protocols::{Stream, l4};
use pingora_http::RequestHeader;
use pingora_timeout::timeout;
use portcullis_filters::{Code, Refusal};
use portcullis_policies::UpstreamKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config;
use crate::queue::Queue;

/// Idle connections that one worker keeps to one upstream.
const MAX_IDLE: usize = 256;
/// How long one is kept: below the 5 s after which llama-server closes it.
const MAX_IDLE_AGE: Duration = Duration::from_secs(4);
/// Bodies up to this size leave in one write with their head.
const ONE_WRITE: usize = 64 * 1024;

thread_local! {
    /// Which worker this thread is.
    static WORKER: Cell<usize> = const { Cell::new(0) };
}

/// Tells this thread which worker it is.
pub(crate) fn become_worker(number: usize) {
    WORKER.set(number);
}

/// One model server.
pub(crate) struct Upstream {
    pub(crate) name: Arc<str>,
    pub(crate) kind: UpstreamKind,
    /// `host:port`, for the `Host` header.
    pub(crate) authority: String,
    pub(crate) first_byte_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) api_key: Option<config::Secret>,
    /// Who waits for it.
    pub(crate) queue: Arc<Queue>,
    host: String,
    pub(crate) port: u16,
    connect_timeout: Duration,
    address: ArcSwapOption<SocketAddr>,
    idle: Vec<Mutex<Vec<Idle>>>,
    up: ArcSwapOption<String>,
}

struct Idle {
    stream: Stream,
    since: Instant,
}

/// A connection that a request can be written to.
pub(crate) struct Connection {
    stream: Stream,
    /// Whether it carried a request before: then it may have died unnoticed.
    pub(crate) reused: bool,
}

impl Upstream {
    pub(crate) fn new(written: &config::Upstream, workers: usize, queue: Arc<Queue>) -> Self {
        Self {
            name: written.name.as_str().into(),
            kind: written.kind,
            authority: written.addr_text.clone(),
            first_byte_timeout: written.first_byte_timeout,
            idle_timeout: written.idle_timeout,
            api_key: written.api_key.clone(),
            queue,
            host: written.host.clone(),
            port: written.port,
            connect_timeout: written.connect_timeout,
            address: ArcSwapOption::empty(),
            idle: (0..workers.max(1)).map(|_| Mutex::default()).collect(),
            up: ArcSwapOption::from_pointee("it was not asked yet".to_owned()),
        }
    }

    /// Whether it runs on this machine, so that the kernel here knows where it listens.
    pub(crate) fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Why the upstream is not usable, as of the last probe; `None` when it is.
    pub(crate) fn down_because(&self) -> Option<Arc<String>> {
        self.up.load_full()
    }

    /// A connection: one that is idle, or a new one.
    pub(crate) async fn connect(&self, fresh: bool) -> Result<Connection, Refusal> {
        if !fresh && let Some(stream) = self.take_idle() {
            return Ok(Connection { stream, reused: true });
        }
        let refuse = |detail: String| {
            Refusal::new("upstream", Code::UpstreamUnavailable, "the model server cannot be reached")
                .with_detail(detail)
                .with_retry_after(5)
        };
        match timeout(self.connect_timeout, self.dial()).await {
            Ok(Ok(stream)) => Ok(Connection { stream, reused: false }),
            Ok(Err(error)) => Err(refuse(format!("{}: {error}", self.authority))),
            Err(_) => Err(refuse(format!("{}: no connection within {:?}", self.authority, self.connect_timeout))),
        }
    }

    async fn dial(&self) -> std::io::Result<Stream> {
        if let Some(address) = self.address.load_full()
            && let Ok(stream) = open(*address).await
        {
            return Ok(stream);
        }
        let mut last = std::io::Error::other("the name has no address");
        for address in tokio::net::lookup_host((self.host.as_str(), self.port)).await? {
            match open(address).await {
                Ok(stream) => {
                    self.address.store(Some(Arc::new(address)));
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn take_idle(&self) -> Option<Stream> {
        let slot = self.idle.get(WORKER.get())?;
        loop {
            let Idle { mut stream, since } = slot.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if since.elapsed() > MAX_IDLE_AGE {
                continue;
            }
            // A healthy idle connection has nothing to say: an end or stray bytes rule it out.
            let mut byte = [0u8; 1];
            if stream.read(&mut byte).now_or_never().is_none() {
                return Some(stream);
            }
        }
    }

    /// Takes a connection back whose answer was read to its end.
    pub(crate) async fn give_back(&self, mut session: HttpSession) {
        session.respect_keepalive();
        let Some(stream) = session.reuse().await else { return };
        let Some(slot) = self.idle.get(WORKER.get()) else { return };
        let mut idle = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(Idle { stream, since: Instant::now() });
        }
    }

    /// Closes connections that were idle too long.
    pub(crate) fn sweep(&self) {
        for slot in &self.idle {
            let mut idle = slot.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|kept| kept.since.elapsed() <= MAX_IDLE_AGE);
        }
    }

    /// Asks the server for its liveness and remembers the answer.
    pub(crate) async fn probe(&self) -> bool {
        let why = match timeout(Duration::from_secs(5), self.ask()).await {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(why),
            Err(_) => Some("it did not answer within 5 s".to_owned()),
        };
        let up = why.is_none();
        self.up.store(why.map(Arc::new));
        up
    }

    async fn ask(&self) -> Result<(), String> {
        let path: &[u8] = match self.kind {
            UpstreamKind::Ollama => b"/api/version",
            UpstreamKind::LlamaCpp => b"/health",
            UpstreamKind::OpenAi => b"/v1/models",
            UpstreamKind::LlMesh => b"/health",
            UpstreamKind::Mcp => b"/",
        };
        let mut head = RequestHeader::build(Method::GET, path, Some(2)).map_err(|e| e.etype().as_str().to_owned())?;
        let _ = head.insert_header("Host", self.authority.as_str());
        let _ = head.insert_header("Connection", "close");
        let stream = self.dial().await.map_err(|e| format!("{}: {e}", self.authority))?;
        let mut session = Connection { stream, reused: false }
            .send(Box::new(head), Bytes::new())
            .await
            .map_err(|_| "it closed the connection".to_owned())?;
        session.read_response().await.map_err(|_| "it did not answer in HTTP".to_owned())?;
        match session.get_status() {
            // A server that wants its key is alive; one that is loading says 503.
            Some(status) if status.is_success() || status.as_u16() == 401 || status.as_u16() == 404 => Ok(()),
            Some(status) => Err(format!("it answered {} to {}", status.as_u16(), String::from_utf8_lossy(path))),
            None => Err("it did not answer in HTTP".to_owned()),
        }
    }
}

impl Connection {
    /// Writes a whole request. What it sends was put together from judged parts; nothing of the
    /// client's framing survives.
    pub(crate) async fn send(self, head: Box<RequestHeader>, body: Bytes) -> pingora_error::Result<HttpSession> {
        if head.method == Method::HEAD || body.len() > ONE_WRITE {
            let mut session = HttpSession::new(self.stream);
            session.write_request_header(head).await?;
            if !body.is_empty() {
                session.write_body(&body).await?;
            }
            session.finish_body().await?;
            return Ok(session);
        }
        let broken = |e| pingora_error::Error::because(pingora_error::ErrorType::WriteError, "writing a request", e);
        let Some(mut wire) = http_req_header_to_wire(&head) else {
            return pingora_error::Error::e_explain(
                pingora_error::ErrorType::InvalidHTTPHeader,
                "a request head that cannot be written",
            );
        };
        wire.extend_from_slice(&body);
        let mut stream = self.stream;
        stream.write_all(&wire).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        Ok(HttpSession::new(stream))
    }
}

async fn open(address: SocketAddr) -> std::io::Result<Stream> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    Ok(Box::new(l4::stream::Stream::from(tcp)))
}
