//! A client of the demo's gate: HTTP/1.1 over TLS, said exactly as it is meant.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_certs::NodeKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::super::{Failure, Outcome};

/// The most that is read of an answer.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// A caller, with a key of its own or without.
pub(super) struct Caller {
    port: u16,
    config: Arc<ClientConfig>,
    pub(super) id: String,
    pub(super) certificate: String,
    pub(super) key: String,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    /// The verdict header.
    pub(super) verdict: String,
    /// The request's id.
    pub(super) id: String,
    /// In seconds, as `Retry-After` says it.
    pub(super) retry_after: Option<String>,
    /// The body, with its chunk marks taken out.
    pub(super) body: String,
    pub(super) took: Duration,
    /// When the first byte of the body came.
    pub(super) first: Duration,
}

impl Reply {
    /// The verdict's code, or `allow`.
    pub(super) fn code(&self) -> &str {
        self.verdict.rsplit_once("code=").map_or(self.verdict.as_str(), |(_, code)| code)
    }
}

/// A connection that may carry several requests.
pub(super) struct Line(StreamOwned<ClientConnection, TcpStream>);

impl Caller {
    pub(super) fn new(port: u16, ca: &Path, name: Option<&str>) -> Outcome<Self> {
        let broken = |e: &dyn std::fmt::Display| Failure::broken(e.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| broken(&e))? {
            roots.add(certificate.map_err(|e| broken(&e))?).map_err(|e| broken(&e))?;
        }
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let Some(name) = name else {
            let config = Arc::new(builder.with_no_client_auth());
            return Ok(Self { port, config, id: String::new(), certificate: String::new(), key: String::new() });
        };
        let node = NodeKey::generate().map_err(|e| broken(&e))?;
        let (certificate, key) = node.self_signed_cert(name).map_err(|e| broken(&e))?;
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|e| broken(&e))?];
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| broken(&e))?;
        let config = builder.with_client_auth_cert(chain, private).map_err(|e| broken(&e))?;
        Ok(Self {
            port,
            config: Arc::new(config),
            id: node.public().node_id(),
            certificate,
            key: key.as_str().to_owned(),
        })
    }

    /// A new connection.
    pub(super) fn line(&self) -> Outcome<Line> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port))?;
        tcp.set_read_timeout(Some(Duration::from_secs(60)))?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(|e| Failure::broken(e.to_string()))?;
        let tls = ClientConnection::new(Arc::clone(&self.config), name).map_err(|e| Failure::broken(e.to_string()))?;
        Ok(Line(StreamOwned::new(tls, tcp)))
    }

    /// One request on a connection of its own.
    pub(super) fn send(&self, request: &[u8]) -> Outcome<Reply> {
        self.line()?.send(request)
    }
}

impl Line {
    /// One request, and the whole answer.
    pub(super) fn send(&mut self, request: &[u8]) -> Outcome<Reply> {
        let began = Instant::now();
        // The gate may answer and stop reading before everything is written.
        let _ = self.0.write_all(request).and_then(|()| self.0.flush());
        let mut bytes = Vec::new();
        let mut first = None;
        loop {
            if let Some(reply) = whole(&bytes, began, first) {
                return Ok(reply);
            }
            let mut piece = [0u8; 16 * 1024];
            let read = self.0.read(&mut piece).unwrap_or(0);
            if read == 0 || bytes.len() > MAX_ANSWER {
                return Err(Failure::broken("the gate closed the connection without a whole answer"));
            }
            bytes.extend_from_slice(piece.get(..read).unwrap_or_default());
            if first.is_none() && body_at(&bytes).is_some_and(|at| bytes.len() > at) {
                first = Some(began.elapsed());
            }
        }
    }
}

fn body_at(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The answer, once all of it is there.
fn whole(bytes: &[u8], began: Instant, first: Option<Duration>) -> Option<Reply> {
    let at = body_at(bytes)?;
    let head = String::from_utf8_lossy(bytes.get(..at)?).into_owned();
    let body = bytes.get(at..)?;
    let header = |name: &str| {
        head.lines()
            .filter_map(|l| l.split_once(':'))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim().to_owned())
    };
    let body = match header("content-length").and_then(|v| v.parse::<usize>().ok()) {
        Some(length) => body.get(..length)?.to_vec(),
        None => unchunk(body)?,
    };
    Some(Reply {
        status: head.split(' ').nth(1)?.parse().ok()?,
        verdict: header("portcullis-verdict").unwrap_or_default(),
        id: header("portcullis-request-id").unwrap_or_default(),
        retry_after: header("retry-after"),
        body: String::from_utf8_lossy(&body).into_owned(),
        took: began.elapsed(),
        first: first.unwrap_or_else(|| began.elapsed()),
    })
}

/// The content of chunks, once the last one is there.
fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = memchr::memmem::find(body, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(body.get(..end)?).ok()?.trim(), 16).ok()?;
        let rest = body.get(end + 2..)?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(rest.get(..size)?);
        body = rest.get(size + 2..)?;
    }
}
