//! A receiver of syslog messages, with faults.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis_tests::free_port;
use portcullis_tests::pki::Shown;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

/// A receiver over TLS, or without it.
pub struct Receiver {
    port: u16,
    tls: Option<Arc<ServerConfig>>,
    kept: Arc<Kept>,
    running: Mutex<Option<(Arc<AtomicBool>, JoinHandle<()>)>>,
}

struct Kept {
    messages: Mutex<Vec<String>>,
    /// After so many bytes a connection is cut, whatever is under way; negative for never.
    budget: AtomicI64,
    cuts: AtomicI64,
}

impl Receiver {
    /// One that is not listening yet. With a certificate it speaks TLS.
    pub fn new(shown: Option<&Shown>) -> Self {
        let tls = shown.map(|shown| {
            let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("a key");
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(shown.certificates(), key)
                .expect("a certificate");
            Arc::new(config)
        });
        let kept = Kept { messages: Mutex::default(), budget: AtomicI64::new(-1), cuts: AtomicI64::new(0) };
        Self { port: free_port(), tls, kept: Arc::new(kept), running: Mutex::default() }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins to listen.
    pub fn start(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("its port");
        let stop = Arc::new(AtomicBool::new(false));
        let (stops, kept, tls) = (Arc::clone(&stop), Arc::clone(&self.kept), self.tls.clone());
        let thread = std::thread::spawn(move || {
            let mut connections = Vec::new();
            for tcp in listener.incoming().flatten() {
                if stops.load(Ordering::Acquire) {
                    break;
                }
                let (stops, kept, tls) = (Arc::clone(&stops), Arc::clone(&kept), tls.clone());
                connections.push(std::thread::spawn(move || receive(tcp, tls, &stops, &kept)));
            }
            drop(listener);
            connections.into_iter().for_each(|connection| drop(connection.join()));
        });
        *self.running.lock().expect("the receiver") = Some((stop, thread));
    }

    /// Ends: connections are closed, and none is taken.
    pub fn stop(&self) {
        if let Some((stop, thread)) = self.running.lock().expect("the receiver").take() {
            stop.store(true, Ordering::Release);
            let _ = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port)));
            thread.join().expect("it ends");
        }
    }

    /// The connection is cut after so many more bytes, once.
    pub fn cut_after(&self, bytes: i64) {
        self.kept.budget.store(bytes, Ordering::Release);
    }

    /// How often one was cut.
    pub fn cuts(&self) -> i64 {
        self.kept.cuts.load(Ordering::Acquire)
    }

    /// The messages that came, whole ones alone, in their order.
    pub fn messages(&self) -> Vec<String> {
        self.kept.messages.lock().expect("messages").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

fn receive(tcp: TcpStream, tls: Option<Arc<ServerConfig>>, stop: &AtomicBool, kept: &Kept) {
    tcp.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
    let mut stream: Box<dyn Read> = match tls {
        Some(tls) => Box::new(StreamOwned::new(ServerConnection::new(tls).expect("a session"), tcp)),
        None => Box::new(tcp),
    };
    let (mut held, mut piece) = (Vec::new(), [0; 4096]);
    while !stop.load(Ordering::Acquire) {
        let read = match stream.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => return,
        };
        let budget = kept.budget.load(Ordering::Acquire);
        if budget >= 0 {
            let left = budget - i64::try_from(read).expect("a length");
            if left < 0 {
                kept.budget.store(-1, Ordering::Release);
                kept.cuts.fetch_add(1, Ordering::AcqRel);
                return;
            }
            kept.budget.store(left, Ordering::Release);
        }
        held.extend_from_slice(&piece[..read]);
        while let Some(message) = counted(&mut held) {
            kept.messages.lock().expect("messages").push(message);
        }
    }
}

/// Takes the first message out, if it is whole: its length in octets, a blank, the message (RFC 5425, section 4.3).
fn counted(held: &mut Vec<u8>) -> Option<String> {
    let blank = held.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&held[..blank]).expect("a length").parse().expect("a length");
    let end = blank + 1 + length;
    if held.len() < end {
        return None;
    }
    let rest = held.split_off(end);
    let message = std::mem::replace(held, rest).split_off(blank + 1);
    Some(String::from_utf8(message).expect("UTF-8"))
}
