//! Reading one HTTP/1.1 request: the head, then the whole body.

use std::io;
use std::ops::Range;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Pace;
use crate::replies::Route;

/// Heads above this end the connection.
const MAX_HEAD: usize = 256 * 1024;

/// One request, its body lying in the connection's buffer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) route: Route,
    pub(crate) is_post: bool,
    pub(crate) close: bool,
    pub(crate) pace: Pace,
    pub(crate) body: Range<usize>,
}

#[derive(Debug)]
struct Head {
    request: Request,
    bytes: usize,
    content_length: usize,
    chunked: bool,
    expects_continue: bool,
}

/// The next request, or `None` when the client closed the connection or wrote no HTTP.
pub(crate) async fn read(stream: &mut TcpStream, buf: &mut Vec<u8>, pace: Pace) -> io::Result<Option<Request>> {
    let head = loop {
        match parse_head(buf, pace) {
            Ok(Some(head)) => break head,
            Ok(None) if buf.len() > MAX_HEAD => return Ok(None),
            Ok(None) => {
                if stream.read_buf(buf).await? == 0 {
                    return Ok(None);
                }
            }
            Err(_) => {
                let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer).await?;
                return Ok(None);
            }
        }
    };
    if head.expects_continue {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let end = if head.chunked {
        read_chunked(stream, buf, head.bytes).await?
    } else {
        read_until(stream, buf, head.bytes.saturating_add(head.content_length)).await?
    };
    Ok(end.map(|end| Request { body: head.bytes..end, ..head.request }))
}

fn parse_head(buf: &[u8], pace: Pace) -> Result<Option<Head>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(bytes) = parsed.parse(buf)? else {
        return Ok(None);
    };
    let path = parsed.path.unwrap_or("/");
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let mut head = Head {
        request: Request {
            route: Route::of(path),
            is_post: parsed.method == Some("POST"),
            close: false,
            pace,
            body: 0..0,
        },
        bytes,
        content_length: 0,
        chunked: false,
        expects_continue: false,
    };
    for header in parsed.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            head.content_length = number(header.value).unwrap_or(0) as usize;
        } else if is("transfer-encoding") {
            head.chunked = header.value.eq_ignore_ascii_case(b"chunked");
        } else if is("expect") {
            head.expects_continue = true;
        } else if is("connection") {
            head.request.close = header.value.eq_ignore_ascii_case(b"close");
        } else if is("x-stub-tokens") {
            head.request.pace.tokens = number(header.value).unwrap_or(pace.tokens);
        } else if is("x-stub-gap-us") {
            head.request.pace.gap_us = number(header.value).unwrap_or(pace.gap_us);
        } else if is("x-stub-delay-us") {
            head.request.pace.delay_us = number(header.value).unwrap_or(pace.delay_us);
        }
    }
    Ok(Some(head))
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// Reads until the buffer holds `end` bytes; `None` when the client closed before.
async fn read_until(stream: &mut TcpStream, buf: &mut Vec<u8>, end: usize) -> io::Result<Option<usize>> {
    buf.reserve(end.saturating_sub(buf.len()));
    while buf.len() < end {
        if stream.read_buf(buf).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(end))
}

/// Reads a chunked body that starts at `start` and replaces it in the buffer by its content.
async fn read_chunked(stream: &mut TcpStream, buf: &mut Vec<u8>, start: usize) -> io::Result<Option<usize>> {
    let mut content = Vec::new();
    let mut at = start;
    loop {
        let line_end = loop {
            match memchr::memchr(b'\n', buf.get(at..).unwrap_or_default()) {
                Some(i) => break at + i,
                None if stream.read_buf(buf).await? == 0 => return Ok(None),
                None => {}
            }
        };
        let Some(size) = buf.get(at..line_end).and_then(chunk_size) else {
            return Ok(None);
        };
        let chunk = line_end + 1..line_end + 1 + size;
        let Some(next) = read_until(stream, buf, chunk.end + 2).await? else {
            return Ok(None);
        };
        content.extend_from_slice(buf.get(chunk).unwrap_or_default());
        at = next;
        if size == 0 {
            break;
        }
    }
    let end = start + content.len();
    buf.splice(start..at, content);
    Ok(Some(end))
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    let size = line.split(';').next()?.trim();
    usize::from_str_radix(size, 16).ok().filter(|size| *size <= 1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { tokens: 64, gap_us: 0, delay_us: 0 };

    #[test]
    fn a_head_is_read_with_its_pace() {
        let raw = b"POST /api/chat?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\
                    X-Stub-Tokens: 3\r\nX-Stub-Gap-Us: 5000\r\n\r\n{}";
        let head = parse_head(raw, PACE).unwrap().unwrap();
        assert_eq!(head.request.route, Route::Chat);
        assert!(head.request.is_post && !head.chunked);
        assert_eq!(head.content_length, 7);
        assert_eq!((head.request.pace.tokens, head.request.pace.gap_us), (3, 5000));
        assert_eq!(head.bytes, raw.len() - 2);
    }

    #[test]
    fn a_partial_head_waits_for_more() {
        assert!(parse_head(b"GET / HTTP/1.1\r\nHost", PACE).unwrap().is_none());
        assert!(parse_head(b"\0\0\0", PACE).is_err());
    }

    #[test]
    fn chunk_sizes_are_hexadecimal_and_bounded() {
        assert_eq!(chunk_size(b"1f;name=value\r"), Some(31));
        assert_eq!(chunk_size(b"xyz\r"), None);
        assert_eq!(chunk_size(b"ffffffffff\r"), None);
    }
}
