//! One client connection: request after request until either side closes.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use crate::Pace;
use crate::replies::{Dialect, Replies, Route, json};
use crate::request;

/// A buffer above this is given back after the request that needed it.
const KEPT_BUFFER: usize = 4 << 20;

/// What reached the stub since it started.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    requests: AtomicU64,
    body_bytes: AtomicU64,
    connections: AtomicU64,
}

impl Stats {
    fn render(&self) -> Vec<u8> {
        json(&format!(
            r#"{{"requests":{},"body_bytes":{},"connections":{}}}"#,
            self.requests.load(Relaxed),
            self.body_bytes.load(Relaxed),
            self.connections.load(Relaxed)
        ))
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(mut stream: TcpStream, pace: Pace, replies: &Replies, stats: &Stats) -> io::Result<()> {
    stats.connections.fetch_add(1, Relaxed);
    stream.set_nodelay(true)?;
    let mut buf = Vec::with_capacity(16 * 1024);
    while let Some(request) = request::read(&mut stream, &mut buf, pace).await? {
        let body = buf.get(request.body.clone()).unwrap_or_default();
        if request.route != Route::Stats {
            stats.requests.fetch_add(1, Relaxed);
            stats.body_bytes.fetch_add(body.len() as u64, Relaxed);
        }
        if request.pace.delay_us > 0 {
            sleep(Duration::from_micros(request.pace.delay_us)).await;
        }
        match request.route.dialect() {
            Some(dialect) if request.is_post && wants_stream(body) => {
                stream_tokens(&mut stream, dialect, request.pace).await?;
            }
            _ if request.route == Route::Stats => stream.write_all(&stats.render()).await?,
            _ => stream.write_all(replies.whole(request.route, request.is_post)).await?,
        }
        if request.close {
            break;
        }
        buf.drain(..request.body.end.min(buf.len()));
        if buf.is_empty() && buf.capacity() > KEPT_BUFFER {
            buf = Vec::with_capacity(16 * 1024);
        }
    }
    Ok(())
}

/// Whether the first or last KiB of a body asks for a stream; a full parse would cost more than
/// the rest of the answer.
fn wants_stream(body: &[u8]) -> bool {
    let asks = |part: &[u8]| {
        memchr::memmem::find(part, br#""stream":true"#).is_some()
            || memchr::memmem::find(part, br#""stream": true"#).is_some()
    };
    let edge = body.len().min(1024);
    asks(body.get(..edge).unwrap_or_default()) || asks(body.get(body.len() - edge..).unwrap_or_default())
}

async fn stream_tokens(stream: &mut TcpStream, dialect: Dialect, pace: Pace) -> io::Result<()> {
    let content_type = dialect.content_type();
    let mut out = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    let mut frame = Vec::with_capacity(300);
    let start = Instant::now();
    for token in 0..pace.tokens {
        if token > 0 && pace.gap_us > 0 {
            sleep_until(start + Duration::from_micros(pace.gap_us.saturating_mul(token))).await;
        }
        frame.clear();
        dialect.token(&mut frame);
        push_chunk(&mut out, &frame);
        stream.write_all(&out).await?;
        out.clear();
    }
    push_chunk(&mut out, dialect.last_frame());
    out.extend_from_slice(b"0\r\n\r\n");
    stream.write_all(&out).await
}

fn push_chunk(out: &mut Vec<u8>, chunk: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
    out.extend_from_slice(chunk);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_asked_for_at_either_end() {
        assert!(wants_stream(br#"{"stream":true,"model":"stub"}"#));
        let long = format!(r#"{{"prompt":"{}","stream": true}}"#, "a".repeat(5000));
        assert!(wants_stream(long.as_bytes()));
        assert!(!wants_stream(br#"{"stream":false}"#));
        assert!(!wants_stream(b""));
    }
}
