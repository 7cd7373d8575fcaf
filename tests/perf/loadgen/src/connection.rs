//! One connection to the server under test, whatever it speaks.

use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Context as _, ensure};
use h2::client::SendRequest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock::monotonic_ns;
use crate::h1::Http1;
use crate::h2_client;
use crate::plan::Plan;
use crate::stream::StreamRecord;

/// An established connection.
pub(crate) enum Connection {
    Http1(Box<Http1>),
    Http2(SendRequest<bytes::Bytes>),
}

/// What came back.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    /// The server closes the connection after this response.
    pub(crate) close: bool,
    pub(crate) stream: Option<StreamRecord>,
}

impl Connection {
    /// Connects; the second value is the nanoseconds from `connect` to ready.
    pub(crate) async fn open(plan: &Plan) -> anyhow::Result<(Self, u64)> {
        let start = monotonic_ns();
        let tcp = TcpStream::connect(plan.target.addr).await.context("connect")?;
        tcp.set_nodelay(true)?;
        if plan.options.new_conn {
            // No port is left in TIME_WAIT, of which one per request would soon be too many.
            tcp.set_zero_linger()?;
        }
        let io = match &plan.target.tls {
            None => Io::Plain(tcp),
            Some((config, name)) => {
                let connector = TlsConnector::from(config.clone());
                let tls = connector.connect(name.clone(), tcp).await.context("TLS")?;
                let chosen = tls.get_ref().1.alpn_protocol();
                ensure!(!plan.options.http2 || chosen == Some(b"h2"), "the server did not choose h2");
                Io::Tls(Box::new(tls))
            }
        };
        let connection = if plan.options.http2 {
            Self::Http2(h2_client::handshake(io).await?)
        } else {
            Self::Http1(Box::new(Http1::new(io)))
        };
        Ok((connection, monotonic_ns() - start))
    }

    /// A second stream on the same HTTP/2 connection.
    pub(crate) fn another_stream(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(send) => Some(Self::Http2(send.clone())),
        }
    }

    /// Sends the plan's request; `start` is when it was due.
    pub(crate) async fn request(&mut self, plan: &Plan, start: u64) -> anyhow::Result<Response> {
        match self {
            Self::Http1(http1) => http1.request(plan, start).await,
            Self::Http2(send) => h2_client::request(send, plan, start).await,
        }
    }
}

/// A socket with or without TLS.
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
