//! A socket that gathers what is written until it is flushed.
//!
//! An answer's head and body, and the TLS records around them, leave in one write instead of three:
//! fewer system calls here, and one packet that wakes the client once. Whoever writes flushes: the
//! HTTP layer does so at the end of an answer and after every chunk of a stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As much as is gathered; more goes out by itself.
const MOST: usize = 16 * 1024;
/// What an idle connection keeps.
const KEPT: usize = 2 * 1024;

/// The socket.
#[derive(Debug)]
pub(crate) struct Corked {
    socket: Stream,
    gathered: Vec<u8>,
    /// How much of it has left.
    left: usize,
}

impl Corked {
    pub(crate) fn new(socket: Stream) -> Self {
        Self { socket, gathered: Vec::new(), left: 0 }
    }

    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.gathered.get(self.left..).filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left += written;
        }
        self.left = 0;
        if self.gathered.capacity() > KEPT {
            self.gathered = Vec::new();
        } else {
            self.gathered.clear();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Corked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Corked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.gathered.len() + bytes.len() > MOST {
            ready!(self.poll_empty(cx))?;
        }
        if bytes.len() >= MOST {
            return Pin::new(&mut self.socket).poll_write(cx, bytes);
        }
        self.gathered.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_empty(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_empty(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Corked {
    async fn shutdown(&mut self) {
        let _ = tokio::io::AsyncWriteExt::flush(self).await;
        Shutdown::shutdown(&mut self.socket).await;
    }
}

impl UniqueID for Corked {
    fn id(&self) -> UniqueIDType {
        self.socket.id()
    }
}

impl Ssl for Corked {}

impl GetTimingDigest for Corked {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.socket.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.socket.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.socket.get_write_pending_time()
    }
}

impl GetProxyDigest for Corked {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.socket.get_proxy_digest()
    }
}

impl GetSocketDigest for Corked {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket.get_socket_digest()
    }
}

#[async_trait]
impl Peek for Corked {}
