//! A receiver of syslog messages over TLS (RFC 5425), or without it on this very machine.
//!
//! Syslog has no acknowledgement. A batch counts as arrived once it was written, the receiver's system has confirmed
//! every byte, and the receiver has kept the connection open for [`SETTLED`] after it, or has closed it in order once the
//! gate did. So what a receiver loses that ends between reading and storing is sent again, unless it ends later than that.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};

use super::batch::Batch;
use super::message::Writer;
use super::place::Place;
use super::{Outlet, Sender, Trouble};
use crate::config::Receiver;

/// How long a connection may take, to all addresses of a name together, its whole handshake, and each write: a receiver on another continent needs less.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a whole batch may take, however steadily it goes: the largest one over a slow line, as for a bucket.
const BATCH: Duration = Duration::from_secs(120);
/// How long bytes may stay unconfirmed by the receiver's system, also because it has no room for them, before the
/// connection counts as broken.
const UNCONFIRMED: Duration = Duration::from_secs(8);
/// For so long a batch is watched before it counts as arrived: longer than bytes may stay unconfirmed.
const SETTLED: Duration = Duration::from_secs(10);
/// How long a receiver may take to close a connection in order.
const FAREWELL: Duration = Duration::from_secs(2);
/// The most batches that are watched at once: what they hold is a place each, but all of them are sent again.
const MOST_WATCHED: usize = 1024;
/// The most reads of what a receiver says, which it should not: a chatty one must not keep the gate.
const MOST_READS: usize = 64;

pub(super) struct Syslog {
    receiver: Receiver,
    writer: Writer,
    link: Option<Link>,
    watched: VecDeque<Watched>,
    /// What arrived and was not told yet.
    arrived: Option<(Place, u64)>,
}

/// A batch that was written and may not have arrived.
struct Watched {
    since: Instant,
    after: Place,
    lines: u64,
}

impl Syslog {
    pub(super) fn new(receiver: &Receiver, sender: &Sender) -> Self {
        let writer = Writer::new(receiver.format, sender);
        Self { receiver: receiver.clone(), writer, link: None, watched: VecDeque::new(), arrived: None }
    }

    fn failed(&self, what: &str, error: impl std::fmt::Display) -> Trouble {
        Trouble::Sink(format!("{what} `{}`: {error}", self.receiver.address()))
    }

    /// Counts the oldest of those that are watched as arrived, as long as they fit.
    fn settle(&mut self, fits: impl Fn(&Watched) -> bool) {
        while let Some(watched) = self.watched.front().filter(|watched| fits(watched)) {
            let lines = self.arrived.map_or(0, |(_, lines)| lines) + watched.lines;
            self.arrived = Some((watched.after, lines));
            self.watched.pop_front();
        }
    }
}

impl Outlet for Syslog {
    fn send(&mut self, batch: &Batch) -> Result<(), Trouble> {
        if self.link.is_none() {
            let link =
                Link::connect(&self.receiver).map_err(|error| self.failed("cannot reach the receiver", error))?;
            self.link = Some(link);
        }
        let mut frames = Vec::with_capacity(batch.lines.len() + batch.lines.len() / 2);
        for line in batch.lines.split_inclusive(|byte| *byte == b'\n') {
            self.writer.write(line.strip_suffix(b"\n").unwrap_or(line), &mut frames);
        }
        if let Some(link) = &mut self.link {
            let sent = link.send(&frames, Instant::now() + BATCH);
            sent.map_err(|error| self.failed("cannot write to the receiver", error))?;
        }
        self.watched.push_back(Watched { since: Instant::now(), after: batch.after, lines: batch.count });
        Ok(())
    }

    fn arrived(&mut self) -> Result<Option<(Place, u64)>, Trouble> {
        if let Some(link) = &mut self.link {
            // Looked at before the connection is: what is open now was so all the time.
            let now = Instant::now();
            match link.is_open() {
                Ok(true) => self.settle(|watched| now.saturating_duration_since(watched.since) >= SETTLED),
                closed => {
                    self.link = None;
                    // A receiver may close a connection on which nothing is under way.
                    if !self.watched.is_empty() {
                        let why = closed.err().map_or("it was closed".to_owned(), |error| error.to_string());
                        return Err(self.failed("lost the connection to the receiver", why));
                    }
                }
            }
        }
        Ok(self.arrived.take())
    }

    fn is_full(&self) -> bool {
        self.watched.len() >= MOST_WATCHED
    }

    fn repeats_exactly(&self) -> bool {
        false
    }

    fn ask_again(&self) -> Option<Instant> {
        self.watched.front().map(|watched| watched.since + SETTLED)
    }

    fn rest(&mut self, _: Place) -> Result<(), Trouble> {
        Ok(())
    }

    fn reset(&mut self) {
        self.link = None;
        self.watched.clear();
        self.arrived = None;
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        if let Some(link) = self.link.take() {
            // Its end comes after everything that was sent, so who answers it has read that.
            let closed = link.close();
            closed.map_err(|error| self.failed("lost the connection to the receiver", error))?;
            self.settle(|_| true);
        }
        Ok(())
    }
}

/// A connection.
struct Link {
    socket: TcpStream,
    tls: Option<ClientConnection>,
}

impl Link {
    fn connect(receiver: &Receiver) -> io::Result<Self> {
        let tls = if receiver.tls { Some(session(receiver)?) } else { None };
        let socket = dial(receiver)?;
        socket.set_nodelay(true)?;
        let unconfirmed = u32::try_from(UNCONFIRMED.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(&socket, unconfirmed)?;
        rustix::net::sockopt::set_socket_keepalive(&socket, true)?;
        let mut link = Self { socket, tls };
        link.shake_hands(Instant::now() + PATIENCE)?;
        Ok(link)
    }

    fn shake_hands(&mut self, until: Instant) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            let mut socket = Timed { socket: &self.socket, until };
            while tls.is_handshaking() {
                tls.complete_io(&mut socket)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8], until: Instant) -> io::Result<()> {
        let mut socket = Timed { socket: &self.socket, until };
        match &mut self.tls {
            Some(tls) => {
                let mut stream = rustls::Stream::new(tls, &mut socket);
                stream.write_all(bytes)?;
                stream.flush()
            }
            None => socket.write_all(bytes),
        }
    }

    /// Whether the receiver still holds it, as far as can be seen without waiting.
    fn is_open(&mut self) -> io::Result<bool> {
        self.socket.set_nonblocking(true)?;
        let until = Instant::now() + PATIENCE;
        let mut open = Ok(true);
        for _ in 0..MOST_READS {
            match self.read(until) {
                Ok(0) => {
                    open = Ok(false);
                    break;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    open = Err(error);
                    break;
                }
            }
        }
        self.socket.set_nonblocking(false)?;
        open
    }

    /// Reads what the receiver says, which means nothing. 0 when it has closed its side.
    fn read(&mut self, until: Instant) -> io::Result<usize> {
        let mut ignored = [0; 4096];
        let mut socket = Timed { socket: &self.socket, until };
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut socket).read(&mut ignored),
            None => socket.read(&mut ignored),
        }
    }

    /// Ends it, and waits until the receiver ends it, too.
    fn close(mut self) -> io::Result<()> {
        let mut socket = Timed { socket: &self.socket, until: Instant::now() + PATIENCE };
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            while tls.wants_write() {
                tls.write_tls(&mut socket)?;
            }
        }
        self.socket.shutdown(Shutdown::Write)?;
        socket.until = Instant::now() + FAREWELL;
        for _ in 0..MOST_READS {
            // Below TLS: a receiver need not say farewell there.
            if socket.read(&mut [0; 4096])? == 0 {
                return Ok(());
            }
        }
        Err(io::Error::other("it goes on talking"))
    }
}

/// A socket until a deadline: one that moves a byte now and then does not put it off.
struct Timed<'s> {
    socket: &'s TcpStream,
    until: Instant,
}

impl Timed<'_> {
    /// How long the next read or write may take.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now()).min(PATIENCE);
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes too long"));
        }
        Ok(Some(left))
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

fn dial(receiver: &Receiver) -> io::Result<TcpStream> {
    let addresses = (receiver.host.as_str(), receiver.port).to_socket_addrs()?;
    dial_one_of(addresses, Instant::now() + PATIENCE)
}

/// Connects to the first of these that answers, before this moment.
fn dial_one_of(addresses: impl Iterator<Item = SocketAddr>, until: Instant) -> io::Result<TcpStream> {
    let mut failed = io::Error::other("its name has no address");
    for address in addresses {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its addresses take too long"));
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => return Ok(socket),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The gate's side of TLS: the receiver's certificate must be for its name, by the operator's authorities or the
/// system's. They are read anew for each connection, so that new ones count at once.
fn session(receiver: &Receiver) -> io::Result<ClientConnection> {
    let roots = roots(receiver.ca.as_deref())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(receiver.host.clone()).map_err(io::Error::other)?;
    ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)
}

fn roots(ca: Option<&Path>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let unread = |error: &dyn std::fmt::Display| io::Error::other(format!("`{}`: {error}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unread(&error))? {
                let certificate = certificate.map_err(|error| unread(&error))?;
                roots.add(certificate).map_err(|error| unread(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(io::Error::other("there is no authority that could vouch for it; name one by `tls: {ca: FILE}`"));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A connection to a receiver that repeats these bytes, one at a time, for as long as somebody listens, and reads nothing.
    fn dripping(head: &'static [u8]) -> (TcpStream, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_nodelay(true).unwrap();
        let drips = std::thread::spawn(move || {
            let mut bytes = head.iter().chain(std::iter::repeat(&0));
            while bytes.next().is_some_and(|byte| peer.write_all(&[*byte]).is_ok()) {
                // As such a receiver does: often enough for every single read.
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        (socket, drips)
    }

    fn ended(link: Link, drips: std::thread::JoinHandle<()>, done: io::Result<()>) {
        let error = done.unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error:?}");
        drop(link);
        drips.join().unwrap();
    }

    #[test]
    fn a_receiver_that_drips_does_not_put_off_the_end_of_a_handshake() {
        // A record of 16 KiB that is never whole.
        let (socket, drips) = dripping(b"\x16\x03\x03\x40\x00\x02\x00\xff\xff");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let tls = ClientConnection::new(Arc::new(config), ServerName::try_from("siem.example").unwrap()).unwrap();
        let mut link = Link { socket, tls: Some(tls) };
        let done = link.shake_hands(Instant::now() + Duration::from_millis(200));
        ended(link, drips, done);
    }

    #[test]
    fn all_addresses_of_a_name_have_one_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(dial_one_of([address].into_iter(), Instant::now() + PATIENCE).is_ok());
        // Not one more is tried once the time is over.
        let error = dial_one_of(std::iter::repeat(address), Instant::now()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_batch_has_an_end_that_a_receiver_cannot_put_off() {
        let (socket, drips) = dripping(b"");
        let mut link = Link { socket, tls: None };
        let piece = vec![b'x'; 1 << 20];
        let until = Instant::now() + Duration::from_millis(200);
        // More than any buffer holds: nobody reads it.
        let done = (0..256).try_for_each(|_| link.send(&piece, until));
        ended(link, drips, done);
    }
}
