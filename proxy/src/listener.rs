//! Sockets and threads: accepts connections, shakes hands, gives each to a worker, drains.
//!
//! Each worker is one thread with its own event loop. A connection is registered with the loop of
//! the worker that serves it, and upstream connections are kept per worker, so that no byte crosses
//! threads on its way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora_core::apps::ServerApp as _;
use pingora_core::listeners::TlsAccept;
use pingora_core::listeners::tls::{Acceptor, TlsSettings};
use pingora_core::protocols::tls::TlsRef;
use pingora_core::protocols::{GetSocketDigest as _, SocketDigest, Stream, l4};
use std::os::fd::AsRawFd as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::certificates::Certificates;
use crate::config::Tls;
use crate::corked::Corked;
use crate::generation::Generation;
use crate::metrics::Metrics;
use crate::places::Places;
use crate::record;
use crate::service::Service;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The running gate.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    workers: Vec<Worker>,
    stop: watch::Sender<bool>,
    open: Arc<AtomicUsize>,
}

struct Worker {
    handle: Handle,
    _end: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

/// What the listener needs to shake hands.
pub(crate) struct Handshake {
    pub(crate) tls: Tls,
    pub(crate) certificates: Arc<Certificates>,
}

impl Listener {
    /// Opens the gate.
    ///
    /// # Errors
    /// When the address cannot be bound, or a worker cannot be started.
    pub(crate) fn start(
        current: &Arc<ArcSwap<Generation>>,
        service: Service,
        handshake: Handshake,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let generation = current.load();
        let listen = generation.config.gate.listen;
        let socket = bind(listen)?;
        let address = socket.local_addr()?;
        let workers: Vec<_> = (0..generation.config.gate.threads.max(1)).map(worker).collect::<anyhow::Result<_>>()?;
        let (stop, stopping) = watch::channel(false);
        let open = Arc::new(AtomicUsize::new(0));
        let acceptor = acceptor(handshake)?.map(Arc::new);
        let doorman = Doorman {
            service: Arc::new(service),
            acceptor,
            metrics: Arc::clone(metrics),
            open: Arc::clone(&open),
            places: Places::default(),
            current: Arc::clone(current),
            stopping,
            handles: workers.iter().map(|w| w.handle.clone()).collect(),
        };
        let first = workers.first().context("the gate has no worker")?;
        first.handle.spawn(doorman.accept(socket));
        Ok(Self { address, workers, stop, open })
    }

    /// Stops accepting, lets what runs finish for at most `patience`, then ends every worker.
    /// Returns how many connections had to be cut.
    pub(crate) fn drain(self, patience: Duration) -> usize {
        let _ = self.stop.send(true);
        let until = Instant::now() + patience;
        // The count is the condition; the pause only spares the CPU between two looks at it.
        while self.open.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let cut = self.open.load(Ordering::Acquire);
        for Worker { _end, thread, .. } in self.workers {
            drop(_end);
            let _ = thread.join();
        }
        cut
    }
}

fn bind(listen: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    let what = || {
        format!(
            "cannot listen on {listen} (gate.listen): is another program using this port? Choose another, or stop it"
        )
    };
    let socket = std::net::TcpListener::bind(listen).with_context(what)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn worker(number: usize) -> anyhow::Result<Worker> {
    let (ready, started) = std::sync::mpsc::channel();
    let (end, ended) = oneshot::channel::<()>();
    let run = move || {
        crate::upstream::become_worker(number);
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(runtime.handle().clone()));
        let _ = runtime.block_on(ended);
        // Dropping the runtime drops what still runs; each record writes its entry as it goes.
        runtime.shutdown_timeout(Duration::from_secs(1));
    };
    let thread = std::thread::Builder::new().name(format!("gate-{number}")).spawn(run)?;
    let handle = started.recv().context("a worker did not start")??;
    Ok(Worker { handle, _end: end, thread })
}

fn acceptor(handshake: Handshake) -> anyhow::Result<Option<Acceptor>> {
    if handshake.tls == Tls::Off {
        return Ok(None);
    }
    let broken = |e: Box<pingora_error::Error>| anyhow::anyhow!("TLS cannot be set up: {}", e.etype().as_str());
    let mut settings =
        TlsSettings::with_callbacks(Box::new(AfterHandshake(Arc::clone(&handshake.certificates)))).map_err(broken)?;
    settings.set_cert_resolver(handshake.certificates.resolver());
    if handshake.tls == Tls::Mutual {
        settings.set_client_cert_verifier(portcullis_certs::verify::possession());
    }
    settings.enable_h2();
    Ok(Some(settings.build()))
}

/// Leaves on the connection who its peer is.
struct AfterHandshake(Arc<Certificates>);

#[async_trait]
impl TlsAccept for AfterHandshake {
    async fn handshake_complete_callback(&self, tls: &TlsRef) -> Option<Arc<dyn std::any::Any + Send + Sync>> {
        let peer = self.0.peer(tls.peer_cert_chain_der()?)?;
        Some(Arc::new(peer))
    }
}

/// Takes connections in and hands them to workers in turn.
struct Doorman {
    service: Arc<Service>,
    acceptor: Option<Arc<Acceptor>>,
    metrics: Arc<Metrics>,
    open: Arc<AtomicUsize>,
    places: Places,
    current: Arc<ArcSwap<Generation>>,
    stopping: watch::Receiver<bool>,
    handles: Vec<Handle>,
}

impl Doorman {
    async fn accept(mut self, socket: std::net::TcpListener) {
        let socket = match TcpListener::from_std(socket) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(%error, "The gate's socket cannot be polled.");
                return;
            }
        };
        let mut turn = self.handles.clone().into_iter().cycle();
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = self.stopping.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((tcp, from)) => {
                    let Some(handle) = turn.next() else { return };
                    self.hand_over(tcp, from, &handle);
                }
                Err(error) => {
                    tracing::warn!(%error, "A connection could not be accepted.");
                    // Out of file descriptors: accepting again at once would spin.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn hand_over(&self, tcp: TcpStream, from: SocketAddr, to: &Handle) {
        let most = self.current.load().limits.connections;
        let place = self.places.enter(from.ip(), most);
        let (false, Some(place)) = (self.open.load(Ordering::Relaxed) >= most, place) else {
            self.metrics.handshake("refused");
            return;
        };
        let guard = (Open::new(&self.open, self.metrics.connection()), place);
        let (service, acceptor) = (Arc::clone(&self.service), self.acceptor.clone());
        let stopping = self.stopping.clone();
        let Ok(tcp) = tcp.into_std() else { return };
        to.spawn(async move {
            let _guard = guard;
            let Ok(stream) = wrap(tcp) else { return };
            let Some(stream) = shake_hands(stream, acceptor.as_deref(), &service, from).await else { return };
            service.process_new(stream, &stopping).await;
        });
    }
}

/// Counts one open connection for as long as it lives.
struct Open {
    count: Arc<AtomicUsize>,
    gauge: prometheus::IntGauge,
}

impl Open {
    fn new(count: &Arc<AtomicUsize>, gauge: prometheus::IntGauge) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        gauge.inc();
        Self { count: Arc::clone(count), gauge }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
        self.gauge.dec();
    }
}

fn wrap(tcp: std::net::TcpStream) -> std::io::Result<Corked> {
    tcp.set_nodelay(true)?;
    let digest = SocketDigest::from_raw_fd(tcp.as_raw_fd());
    let mut stream = l4::stream::Stream::from(TcpStream::from_std(tcp)?);
    // Looked up now, while the descriptor is certainly this connection's.
    let _ = digest.peer_addr();
    stream.set_socket_digest(digest);
    Ok(Corked::new(stream))
}

async fn shake_hands(
    stream: Corked,
    acceptor: Option<&Acceptor>,
    service: &Service,
    from: SocketAddr,
) -> Option<Stream> {
    let Some(acceptor) = acceptor else { return Some(Box::new(stream)) };
    let metrics = &service.metrics;
    match pingora_timeout::timeout(HANDSHAKE, acceptor.tls_handshake(stream)).await {
        Ok(Ok(tls)) => {
            metrics.handshake("ok");
            Some(Box::new(tls))
        }
        Ok(Err(error)) => {
            metrics.handshake("error");
            tracing::debug!(%from, error = %error.root_cause(), "A TLS handshake failed.");
            if portcullis_certs::verify::blames_certificate(&error.to_string()) {
                let rate = service.current.load().strangers;
                // In a flood they are told together.
                if service.floods.stranger(from.ip(), rate).is_none() {
                    record::broken_handshake(&*service.audit, &service.privacy, from.ip()).await;
                }
            }
            None
        }
        Err(_) => {
            metrics.handshake("timeout");
            None
        }
    }
}
