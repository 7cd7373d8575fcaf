//! Small plain HTTP questions: to a model server on loopback, to the gate's own admin listener.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use portcullis_policies::UpstreamKind;

/// The most that is read of an answer.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks once. `None` when nobody answers in HTTP within the time.
pub(crate) fn ask(address: &str, method: &str, path: &str, token: Option<&str>, patience: Duration) -> Option<Answer> {
    let socket: SocketAddr = address.to_socket_addrs().ok()?.next()?;
    let mut tcp = TcpStream::connect_timeout(&socket, patience).ok()?;
    tcp.set_read_timeout(Some(patience)).ok()?;
    tcp.set_write_timeout(Some(patience)).ok()?;
    let bearer = token.map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
    write!(
        tcp,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n{bearer}\r\n"
    )
    .ok()?;
    let mut bytes = Vec::new();
    tcp.take(MAX_ANSWER).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let body =
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") { unchunk(body)? } else { body.to_owned() };
    Some(Answer { status, head: head.to_owned(), body })
}

fn unchunk(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// What kind of model server answers at a URL.
pub(crate) fn kind_of(url: &str) -> Option<UpstreamKind> {
    let address = url.strip_prefix("http://")?.trim_end_matches('/');
    let patience = Duration::from_millis(800);
    if let Some(answer) = ask(address, "GET", "/api/version", None, patience)
        && answer.status == 200
        && serde_json::from_str::<serde_json::Value>(&answer.body).is_ok_and(|v| v.get("version").is_some())
    {
        return Some(UpstreamKind::Ollama);
    }
    let health = ask(address, "GET", "/health", None, patience)?;
    health.head.to_ascii_lowercase().contains("server: llama.cpp").then_some(UpstreamKind::LlamaCpp)
}
