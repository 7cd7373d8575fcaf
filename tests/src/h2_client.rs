//! The same over HTTP/2.

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use crate::client::{Answer, Client};

/// A client that speaks HTTP/2.
pub struct H2Client(Client);

impl H2Client {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    /// Sends one request on a connection of its own and reads the whole answer. `length` says
    /// whether a Content-Length goes with it.
    pub fn send(&self, request: Request<Vec<u8>>, length: bool) -> Answer {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(self.exchange(request, length)).expect("an exchange")
    }

    /// The same identity over HTTP/2.
    pub fn of(client: &Client) -> Self {
        Self(client.speaking(&[b"h2"]))
    }

    /// Opens a connection that is kept.
    pub fn open(&self) -> H2Connection {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let sender = runtime.block_on(self.connect()).expect("a connection");
        H2Connection { sender, runtime }
    }

    async fn exchange(&self, request: Request<Vec<u8>>, length: bool) -> Result<Answer, Broken> {
        let mut sender = self.connect().await?;
        send(&mut sender, request, length).await
    }

    async fn connect(&self) -> Result<SendRequest<Bytes>, Broken> {
        let (address, config) = self.0.tls();
        let tcp = TcpStream::connect(address).await?;
        let connector = tokio_rustls::TlsConnector::from(config);
        let tls = connector.connect(ServerName::try_from("localhost")?, tcp).await?;
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "the gate speaks HTTP/2");
        let (sender, connection) = h2::client::handshake(tls).await?;
        // It ends with the runtime.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// A connection that carries one request after another.
pub struct H2Connection {
    sender: SendRequest<Bytes>,
    runtime: tokio::runtime::Runtime,
}

impl H2Connection {
    /// Gets.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        let request = Request::get(format!("https://localhost{path}")).body(Vec::new()).expect("a request");
        self.runtime.block_on(send(&mut self.sender, request, false)).expect("an exchange")
    }

    /// Sends one request and reads the whole answer.
    #[track_caller]
    pub fn send(&mut self, request: Request<Vec<u8>>) -> Answer {
        self.runtime.block_on(send(&mut self.sender, request, true)).expect("an exchange")
    }
}

impl H2Connection {
    /// Sends one request, and takes it back once `meanwhile` is done. The connection stays open.
    #[track_caller]
    pub fn send_and_reset(&mut self, request: Request<Vec<u8>>, meanwhile: impl FnOnce()) {
        let (parts, body) = request.into_parts();
        let begun = self.runtime.block_on(async {
            self.sender.clone().ready().await?;
            let (response, mut stream) = self.sender.send_request(Request::from_parts(parts, ()), false)?;
            stream.send_data(Bytes::from(body), true)?;
            Ok::<_, h2::Error>((response, stream))
        });
        let (response, mut stream) = begun.expect("a stream");
        meanwhile();
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
    }
}

type Broken = Box<dyn std::error::Error>;

async fn send(sender: &mut SendRequest<Bytes>, request: Request<Vec<u8>>, length: bool) -> Result<Answer, Broken> {
    let (mut parts, body) = request.into_parts();
    if length {
        parts.headers.insert("content-length", body.len().to_string().parse()?);
    }
    let (response, mut stream) = sender.send_request(Request::from_parts(parts, ()), body.is_empty())?;
    if !body.is_empty() {
        // The gate may refuse before it has read everything: then sending fails, and that is fine.
        let _ = stream.send_data(Bytes::from(body), true);
    }
    let response = response.await?;
    let status = response.status().as_u16();
    let headers =
        response.headers().iter().map(|(n, v)| (n.as_str().to_owned(), v.to_str().unwrap_or("?").to_owned())).collect();
    let mut body = Vec::new();
    let mut complete = true;
    let mut incoming = response.into_body();
    while let Some(piece) = incoming.data().await {
        match piece {
            Ok(piece) => {
                body.extend_from_slice(&piece);
                let _ = incoming.flow_control().release_capacity(piece.len());
            }
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    let trailers = incoming.trailers().await.ok().flatten().unwrap_or_default();
    Ok(Answer { status, headers, body, complete, trailers })
}
