//! A client that says exactly what the test wants said, byte by byte, over real TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;

use crate::pki::Shown;

/// A client of one gate: a key and its certificate, or none.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    /// What the client is called in the gate's trust store.
    pub id: String,
    /// The certificate, in PEM.
    pub certificate: String,
    /// The key, in PEM.
    pub key: String,
}

/// An answer, read to its end.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// Whether the body ended as its framing says it must.
    pub complete: bool,
    /// What came after the body; over HTTP/2 only.
    pub trailers: HeaderMap,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All headers.
    #[track_caller]
    pub fn header_map(&self) -> HeaderMap {
        let named = |(name, value): &(String, String)| Some((name.parse().ok()?, value.parse().ok()?));
        self.headers.iter().map(|header| named(header).expect("a header")).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The code in the verdict header; `allow` when it was let through.
    pub fn code(&self) -> String {
        let verdict = self.header("portcullis-verdict").unwrap_or_default();
        verdict.rsplit_once("code=").map_or(verdict, |(_, code)| code).to_owned()
    }
}

/// An answer that is still coming.
pub struct Stream {
    wire: Box<dyn Wire>,
    buffer: Vec<u8>,
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    left: Left,
}

/// What bytes go over: TLS to a gate, plain TCP to a door.
pub(crate) trait Wire: Read + Write + Send {}

impl<W: Read + Write + Send> Wire for W {}

/// What is left of a body.
enum Left {
    Bytes(usize),
    Chunks,
    UntilClose,
    Nothing,
}

impl Client {
    /// A client with this identity, which trusts the gate's own authority.
    pub fn new(address: SocketAddr, ca: &str, identity: Option<(&str, &str)>, id: &str) -> Self {
        Self::with_alpn(address, ca, identity, id, &[])
    }

    pub(crate) fn with_alpn(
        address: SocketAddr,
        ca: &str,
        identity: Option<(&str, &str)>,
        id: &str,
        alpn: &[&[u8]],
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            roots.add(certificate.expect("a certificate")).expect("a root");
        }
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain =
                    CertificateDer::pem_slice_iter(certificate.as_bytes()).map(|c| c.expect("a certificate")).collect();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a matching key")
            }
        };
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        let (certificate, key) = identity.unwrap_or_default();
        Self {
            address,
            config: Arc::new(config),
            id: id.to_owned(),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        }
    }

    /// A client that shows this chain, whatever it is, and signs with this key.
    pub fn showing(address: SocketAddr, ca: &str, shown: &Shown, alpn: &[&[u8]]) -> Self {
        let mut client = Self::with_alpn(address, ca, None, "", alpn);
        let provider = rustls::crypto::ring::default_provider();
        let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("a key");
        let key = provider.key_provider.load_private_key(key).expect("a key that signs");
        let mut config = (*client.config).clone();
        config.client_auth_cert_resolver =
            Arc::new(SingleCertAndKey::from(CertifiedKey::new(shown.certificates(), key)));
        client.config = Arc::new(config);
        client.certificate = shown.pem();
        client.key.clone_from(&shown.key);
        client
    }

    /// The same identity, with these protocols offered in the handshake.
    pub(crate) fn speaking(&self, alpn: &[&[u8]]) -> Self {
        let mut config = (*self.config).clone();
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        Self { config: Arc::new(config), ..self.clone() }
    }

    /// Gets on a new connection with a whole handshake; returns the gate's certificate, too, in DER.
    #[track_caller]
    pub fn get_and_leaf(&self, path: &str) -> (Vec<u8>, Answer) {
        let mut config = (*self.config).clone();
        // A resumed session does not show a certificate again.
        config.resumption = rustls::client::Resumption::disabled();
        let fresh = Self { config: Arc::new(config), ..self.clone() };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut tls = fresh.connect();
        // The handshake is over when the first byte of the request has left.
        let _ = tls.write_all(request.as_bytes()).and_then(|()| tls.flush());
        let leaf = tls.conn.peer_certificates().and_then(<[_]>::first).expect("a certificate").to_vec();
        (leaf, Stream::head(tls).expect("an answer").finish())
    }

    pub(crate) fn tls(&self) -> (SocketAddr, Arc<ClientConfig>) {
        (self.address, Arc::clone(&self.config))
    }

    /// A new connection.
    pub fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        self.try_connect().expect("the gate listens")
    }

    fn try_connect(&self) -> Option<StreamOwned<ClientConnection, TcpStream>> {
        let tcp = TcpStream::connect(self.address).ok()?;
        tcp.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        tcp.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::clone(&self.config), name).expect("a client");
        Some(StreamOwned::new(connection, tcp))
    }

    /// Sends these bytes on a new connection and reads one answer. A connection that ends without
    /// one is an answer with status 0.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        self.begin(bytes).map_or_else(Answer::default, Stream::finish)
    }

    /// Sends these bytes on a new connection and reads the head of the answer.
    pub fn begin(&self, bytes: &[u8]) -> Option<Stream> {
        let mut tls = self.connect();
        // The gate may answer and close before it has read everything.
        let _ = tls.write_all(bytes).and_then(|()| tls.flush());
        Stream::head(tls)
    }

    /// Posts JSON, if anybody listens. `None` when no head of an answer came.
    pub fn try_post(&self, path: &str, body: &Value) -> Option<Stream> {
        let mut tls = self.try_connect()?;
        let _ = tls.write_all(&post(path, "application/json", body.to_string().as_bytes())).and_then(|()| tls.flush());
        Stream::head(tls)
    }

    /// Posts JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.raw(&post(path, "application/json", body.to_string().as_bytes()))
    }

    /// Posts JSON and leaves the answer's body to be read.
    #[track_caller]
    pub fn post_streamed(&self, path: &str, body: &Value) -> Stream {
        self.begin(&post(path, "application/json", body.to_string().as_bytes())).expect("an answer")
    }

    /// Gets.
    pub fn get(&self, path: &str) -> Answer {
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }
}

/// The bytes of a POST.
pub(crate) fn post(path: &str, media: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl Stream {
    pub(crate) fn head(wire: impl Wire + 'static) -> Option<Self> {
        Self::head_from(Box::new(wire), Vec::new())
    }

    /// Reads a head of which this much has come already.
    fn head_from(mut wire: Box<dyn Wire>, mut buffer: Vec<u8>) -> Option<Self> {
        loop {
            let end = loop {
                if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                    break end;
                }
                if !fill(&mut wire, &mut buffer) {
                    return None;
                }
            };
            let head: Vec<u8> = buffer.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).into_owned();
            let mut lines = head.split("\r\n");
            let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
            if status == 100 {
                continue;
            }
            let headers: Vec<(String, String)> = lines
                .filter_map(|l| l.split_once(':'))
                .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
                .collect();
            let of = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
            let left = match (of("content-length").and_then(|v| v.parse().ok()), of("transfer-encoding")) {
                (Some(0), _) => Left::Nothing,
                (Some(length), _) => Left::Bytes(length),
                (None, Some("chunked")) => Left::Chunks,
                _ => Left::UntilClose,
            };
            return Some(Self { wire, buffer, status, headers, left });
        }
    }

    /// The next piece of the body: a chunk, or what has come of a body of known length. `None` at
    /// the end; `Err` when the connection ends too early.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, ()> {
        match self.left {
            Left::Nothing => Ok(None),
            Left::Bytes(length) => {
                if self.buffer.is_empty() && !fill(&mut self.wire, &mut self.buffer) {
                    return Err(());
                }
                let take = length.min(self.buffer.len());
                self.left = if take == length { Left::Nothing } else { Left::Bytes(length - take) };
                Ok(Some(self.buffer.drain(..take).collect()))
            }
            Left::UntilClose => {
                if self.buffer.is_empty() && !fill(&mut self.wire, &mut self.buffer) {
                    self.left = Left::Nothing;
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
            Left::Chunks => {
                let line = loop {
                    if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                        break self.buffer.drain(..end + 2).collect::<Vec<u8>>();
                    }
                    if !fill(&mut self.wire, &mut self.buffer) {
                        return Err(());
                    }
                };
                let text = String::from_utf8_lossy(&line);
                let size = usize::from_str_radix(text.trim(), 16).map_err(|_| ())?;
                while self.buffer.len() < size + 2 {
                    if !fill(&mut self.wire, &mut self.buffer) {
                        return Err(());
                    }
                }
                let chunk: Vec<u8> = self.buffer.drain(..size).collect();
                self.buffer.drain(..2);
                if size == 0 {
                    self.left = Left::Nothing;
                    return Ok(None);
                }
                Ok(Some(chunk))
            }
        }
    }

    /// Reads the rest.
    pub fn finish(mut self) -> Answer {
        let mut body = Vec::new();
        let complete = loop {
            match self.piece() {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break true,
                Err(()) => break false,
            }
        };
        Answer { status: self.status, headers: self.headers, body, complete, trailers: HeaderMap::new() }
    }

    /// Sends more on the same connection, once the body was read, and reads the next answer's head.
    #[track_caller]
    pub fn again(mut self, bytes: &[u8]) -> Option<Self> {
        while let Ok(Some(_)) = self.piece() {}
        let mut wire = self.wire;
        wire.write_all(bytes).and_then(|()| wire.flush()).ok()?;
        Self::head_from(wire, self.buffer)
    }
}

fn fill(wire: &mut impl Read, buffer: &mut Vec<u8>) -> bool {
    let mut piece = [0; 16 * 1024];
    match wire.read(&mut piece) {
        Ok(n) if n > 0 => {
            buffer.extend_from_slice(&piece[..n]);
            true
        }
        _ => false,
    }
}
