//! HTTP/1.1, as lean as a client can be that shares the machine with what it measures.

use std::io::Write as _;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::chunked::Chunked;
use crate::clock::monotonic_ns;
use crate::connection::{Io, Response};
use crate::plan::Plan;
use crate::stream::StreamRecord;

/// Bodies above this are written after the head instead of being copied behind it.
const COPIED_BODY: usize = 32 * 1024;

/// A keep-alive connection.
pub(crate) struct Http1 {
    io: Io,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// The parts of a response head that say how to read on.
struct Head {
    status: u16,
    bytes: usize,
    content_length: Option<usize>,
    chunked: bool,
    close: bool,
}

impl Http1 {
    pub(crate) fn new(io: Io) -> Self {
        Self { io, input: Vec::with_capacity(16 * 1024), output: Vec::with_capacity(4096) }
    }

    pub(crate) async fn request(&mut self, plan: &Plan, start: u64) -> anyhow::Result<Response> {
        self.render_head(plan)?;
        if let Err(error) = self.send(&plan.body).await {
            // The server may have answered and closed before it read the whole body.
            if self.input.is_empty() && self.fill().await.is_err() {
                return Err(error).context("write");
            }
        }
        let head = loop {
            match parse_head(&self.input)? {
                Some(head) if head.status == 100 => drop(self.input.drain(..head.bytes)),
                Some(head) => break head,
                None => self.fill().await.context("before the response")?,
            }
        };
        self.input.drain(..head.bytes);
        let mut stream = plan.options.stream.then(|| StreamRecord::new(start));
        let body = if head.chunked {
            self.chunked_body(&mut stream).await?
        } else {
            self.sized_body(head.content_length, &mut stream).await?
        };
        let bytes = head.bytes as u64 + body;
        Ok(Response { status: head.status, bytes, close: head.close, stream })
    }

    fn render_head(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let out = &mut self.output;
        out.clear();
        let (method, path, host) = (&plan.method, &plan.target.path, &plan.target.authority);
        write!(out, "{method} {path} HTTP/1.1\r\nhost: {host}\r\n")?;
        if !plan.body.is_empty() {
            let length = plan.body.len();
            write!(out, "content-type: application/json\r\ncontent-length: {length}\r\n")?;
        }
        for (name, value) in &plan.options.headers {
            write!(out, "{name}: {value}\r\n")?;
        }
        if let Some(signed) = &plan.signed {
            for (name, value) in signed.take()? {
                write!(out, "{name}: ")?;
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    async fn send(&mut self, body: &[u8]) -> std::io::Result<()> {
        if body.len() <= COPIED_BODY {
            self.output.extend_from_slice(body);
            self.io.write_all(&self.output).await?;
        } else {
            self.io.write_all(&self.output).await?;
            self.io.write_all(body).await?;
        }
        self.io.flush().await
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        let read = self.io.read_buf(&mut self.input).await.context("read")?;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }

    async fn chunked_body(&mut self, stream: &mut Option<StreamRecord>) -> anyhow::Result<u64> {
        let mut decoder = Chunked::default();
        let mut bytes = 0;
        loop {
            let now = monotonic_ns();
            let (used, end) = decoder.feed(&self.input, |content| {
                bytes += content.len() as u64;
                if let Some(stream) = stream {
                    stream.feed(content, now);
                }
            })?;
            self.input.drain(..used);
            if end {
                return Ok(bytes);
            }
            self.fill().await.context("within a chunked body")?;
        }
    }

    async fn sized_body(&mut self, length: Option<usize>, stream: &mut Option<StreamRecord>) -> anyhow::Result<u64> {
        let Some(length) = length else {
            bail!("the response has neither a length nor chunks");
        };
        let mut left = length;
        loop {
            let part = left.min(self.input.len());
            if let Some(stream) = stream {
                stream.feed(self.input.get(..part).unwrap_or_default(), monotonic_ns());
            }
            self.input.drain(..part);
            left -= part;
            if left == 0 {
                return Ok(length as u64);
            }
            self.fill().await.context("within a body")?;
        }
    }
}

fn parse_head(input: &[u8]) -> anyhow::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(bytes) = response.parse(input).context("bad response")? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    let mut head = Head {
        status,
        bytes,
        content_length: matches!(status, 100..=199 | 204 | 304).then_some(0),
        chunked: false,
        close: response.version == Some(0),
    };
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") && head.content_length.is_none() {
            let length = std::str::from_utf8(header.value).ok().and_then(|v| v.trim().parse().ok());
            head.content_length = Some(length.context("bad content-length")?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = header.value.eq_ignore_ascii_case(b"chunked");
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.close = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_say_how_to_read_on() {
        let raw = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nhello";
        let head = parse_head(raw).unwrap().unwrap();
        assert_eq!((head.status, head.content_length, head.close), (200, Some(12), true));
        assert_eq!(head.bytes, raw.len() - 5);
        let empty = parse_head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!(empty.content_length, Some(0));
        assert!(parse_head(b"HTTP/1.1 200").unwrap().is_none());
        assert!(parse_head(b"SSH-2.0-OpenSSH\r\n").is_err());
    }
}
