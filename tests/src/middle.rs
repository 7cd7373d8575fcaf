//! Somebody in between: takes connections in a gate's place, with a certificate of his own, and reads
//! whatever he is sent; or answers in the gate's place.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A TLS server on loopback that stands where a gate should.
pub struct Middle {
    /// Where it stands.
    pub address: SocketAddr,
    read: Arc<AtomicUsize>,
}

impl Middle {
    /// Shows this certificate, in PEM, with its key, and reads.
    pub fn start(certificate: &str, key: &str) -> Self {
        Self::with(certificate, key, |config, tcp, counter| {
            let Ok(connection) = ServerConnection::new(config) else { return };
            let mut tls = StreamOwned::new(connection, tcp);
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = tls.read(&mut piece) {
                counter.fetch_add(n, Ordering::AcqRel);
            }
        })
    }

    /// Shows this certificate, and answers every request with these headers.
    pub fn answering(certificate: &str, key: &str, headers: &[(&'static str, &str)]) -> Self {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self::speaking(certificate, key, move |_, _| {
            let mut answer = http::Response::builder().header("content-type", "application/json");
            for (name, value) in &headers {
                answer = answer.header(*name, value);
            }
            (answer.body(b"{}".to_vec()).expect("an answer"), None)
        })
    }

    /// Shows this certificate, and answers every request, and what its body was, with what is said here, and its
    /// trailers.
    pub fn speaking(
        certificate: &str,
        key: &str,
        say: impl Fn(&http::request::Parts, &[u8]) -> (http::Response<Vec<u8>>, Option<http::HeaderMap>) + Send + 'static,
    ) -> Self {
        Self::with(certificate, key, move |config, tcp, counter| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            tcp.set_nonblocking(true).expect("a socket");
            runtime.block_on(async {
                let tcp = tokio::net::TcpStream::from_std(tcp).expect("a socket");
                let Ok(tls) = tokio_rustls::TlsAcceptor::from(config).accept(tcp).await else { return };
                let Ok(mut connection) = h2::server::handshake(tls).await else { return };
                let (done, mut ready) = tokio::sync::mpsc::unbounded_channel();
                loop {
                    tokio::select! {
                        asked = connection.accept() => {
                            let Some(Ok((request, respond))) = asked else { return };
                            counter.fetch_add(1, Ordering::AcqRel);
                            let done = done.clone();
                            // The connection must go on while a body comes.
                            tokio::spawn(async move {
                                let (head, mut body) = request.into_parts();
                                let mut bytes = Vec::new();
                                while let Some(Ok(piece)) = body.data().await {
                                    let _ = body.flow_control().release_capacity(piece.len());
                                    bytes.extend_from_slice(&piece);
                                }
                                let _ = done.send((head, bytes, respond));
                            });
                        }
                        Some((head, body, mut respond)) = ready.recv() => {
                            let (answer, trailers) = say(&head, &body);
                            let (head, content) = answer.into_parts();
                            let head = http::Response::from_parts(head, ());
                            let Ok(mut body) = respond.send_response(head, false) else { continue };
                            let _ = body.send_data(content.into(), trailers.is_none());
                            if let Some(trailers) = trailers {
                                let _ = body.send_trailers(trailers);
                            }
                        }
                    }
                }
            });
        })
    }

    fn with(
        certificate: &str,
        key: &str,
        serve: impl Fn(Arc<ServerConfig>, TcpStream, &AtomicUsize) + Send + 'static,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(|c| c.expect("a certificate")).collect();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let mut config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a matching key");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                serve(Arc::clone(&config), tcp, &counter);
            }
        });
        Self { address, read }
    }

    /// How many bytes he could read, or requests he answered.
    pub fn read(&self) -> usize {
        self.read.load(Ordering::Acquire)
    }
}
