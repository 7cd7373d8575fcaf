//! Somebody in between: takes connections in a gate's place, with a certificate of his own, and reads
//! whatever he is sent.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A TLS server on loopback that only listens.
pub struct Middle {
    /// Where it stands.
    pub address: SocketAddr,
    read: Arc<AtomicUsize>,
}

impl Middle {
    /// Shows this certificate, in PEM, with its key.
    pub fn start(certificate: &str, key: &str) -> Self {
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
                let Ok(connection) = ServerConnection::new(Arc::clone(&config)) else { continue };
                let mut tls = StreamOwned::new(connection, tcp);
                let mut piece = [0; 4096];
                while let Ok(n @ 1..) = tls.read(&mut piece) {
                    counter.fetch_add(n, Ordering::AcqRel);
                }
            }
        });
        Self { address, read }
    }

    /// How many bytes he could read.
    pub fn read(&self) -> usize {
        self.read.load(Ordering::Acquire)
    }
}
