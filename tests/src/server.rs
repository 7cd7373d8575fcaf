//! A fake model server: remembers what reached it, answers by script.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `POST /api/chat HTTP/1.1`
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, by Content-Length or chunks.
    pub body: Vec<u8>,
}

impl Seen {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How the server answers.
pub enum Script {
    /// These bytes, head and body, then the connection stays open.
    Raw(Vec<u8>),
    /// A chunked answer of this media type, each piece a chunk, sent as the test hands them over; it
    /// ends when the sender is dropped.
    Paced(&'static str, Receiver<Vec<u8>>),
    /// Reads the request and closes the connection.
    HangUp,
    /// Reads the request and never answers, until the client leaves.
    Silence,
}

impl Script {
    /// A whole JSON answer.
    pub fn json(body: &str) -> Self {
        Self::whole(200, "application/json", body)
    }

    /// A whole answer.
    pub fn whole(status: u16, media: &str, body: &str) -> Self {
        Self::Raw(
            format!("HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .into_bytes(),
        )
    }

    /// A stream of these pieces, all at once but each a chunk of its own.
    pub fn stream(media: &'static str, pieces: &[&str]) -> Self {
        let (sender, receiver) = channel();
        for piece in pieces {
            sender.send(piece.as_bytes().to_vec()).expect("a receiver");
        }
        Self::Paced(media, receiver)
    }

    /// A stream whose pieces the test sends.
    pub fn paced(media: &'static str) -> (Sender<Vec<u8>>, Self) {
        let (sender, receiver) = channel();
        (sender, Self::Paced(media, receiver))
    }
}

#[derive(Default)]
struct Inner {
    seen: Mutex<Vec<Seen>>,
    scripts: Mutex<Vec<Script>>,
    connections: AtomicUsize,
    /// Answers that the client did not wait for.
    abandoned: AtomicUsize,
    stop: AtomicBool,
    holding: Mutex<Holding>,
    allowed: Condvar,
    /// What probes are told, by path.
    probes: Mutex<HashMap<&'static str, String>>,
}

/// Requests that wait for the test's word, oldest first.
#[derive(Default)]
struct Holding {
    on: bool,
    came: usize,
    allowed: usize,
    running: usize,
}

/// A fake model server on loopback.
pub struct FakeServer {
    address: SocketAddr,
    inner: Arc<Inner>,
}

/// What it answers when no script is left: an Ollama chat answer, whole or streamed as asked.
fn usual(seen: &Seen) -> Script {
    let text = seen.text();
    let streams = !text.contains("\"stream\":false") && !text.contains("\"stream\": false");
    if seen.line.starts_with("GET ") || seen.line.starts_with("HEAD ") {
        return Script::json(r#"{"version":"0.32.15","models":[],"data":[],"object":"list"}"#);
    }
    if seen.line.contains("/v1/") {
        return Script::json(
            r#"{"id":"c","object":"chat.completion","created":1,"model":"tiny","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there."},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
        );
    }
    let frame = |content: &str, rest: &str| {
        format!(
            r#"{{"model":"tiny:latest","created_at":"2026-01-01T00:00:00Z","message":{{"role":"assistant","content":"{content}"}},{rest}}}"#
        )
    };
    let done = r#""done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2"#;
    if streams {
        let pieces = [
            frame("Hello", "\"done\":false") + "\n",
            frame(" there.", "\"done\":false") + "\n",
            frame("", done) + "\n",
        ];
        Script::stream("application/x-ndjson", &pieces.iter().map(String::as_str).collect::<Vec<_>>())
    } else {
        Script::json(&frame("Hello there.", done))
    }
}

impl FakeServer {
    /// Starts one on a free loopback port.
    pub fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let shared = Arc::clone(&inner);
        let stops = Arc::clone(&inner);
        let address = listen(move || stops.stop.load(Ordering::Acquire), move |stream| serve(stream, &shared));
        Self { address, inner }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request that is no probe of the gate's gets this answer.
    pub fn next(&self, script: Script) -> &Self {
        self.inner.scripts.lock().expect("scripts").push(script);
        self
    }

    /// From now on a POST is answered only when the test allows it.
    pub fn hold(&self) -> &Self {
        self.inner.holding.lock().expect("holding").on = true;
        self
    }

    /// Allows the answer of so many requests, oldest first; of requests to come where fewer are held.
    pub fn allow(&self, count: usize) {
        let mut holding = self.inner.holding.lock().expect("holding");
        holding.allowed = holding.allowed.saturating_add(count);
        self.inner.allowed.notify_all();
    }

    /// How many requests are being held.
    pub fn running(&self) -> usize {
        self.inner.holding.lock().expect("holding").running
    }

    /// A probe of the gate's for this path gets this JSON.
    pub fn says(&self, path: &'static str, body: &str) -> &Self {
        self.inner.probes.lock().expect("probes").insert(path, body.to_owned());
        self
    }

    /// What reached it, without the gate's own liveness probes.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().expect("seen").clone()
    }

    /// How many answers the client did not wait for.
    pub fn abandoned(&self) -> usize {
        self.inner.abandoned.load(Ordering::Acquire)
    }
}

impl Inner {
    /// Waits until the test allows this request's answer.
    fn wait(&self) {
        let mut holding = self.holding.lock().expect("holding");
        if !holding.on {
            return;
        }
        holding.came += 1;
        holding.running += 1;
        let mine = holding.came;
        while holding.allowed < mine {
            holding = self.allowed.wait(holding).expect("holding");
        }
        holding.running -= 1;
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.allow(usize::MAX);
        self.inner.stop.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
    }
}

/// Listens on a free loopback port, and serves each connection on a thread of its own; a connection that comes once it
/// stops is the last.
pub(crate) fn listen(
    stops: impl Fn() -> bool + Send + 'static,
    serve: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if stops() {
                return;
            }
            let Ok(stream) = stream else { continue };
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || {
                let _ = serve(stream);
            });
        }
    });
    address
}

fn serve(stream: TcpStream, inner: &Inner) -> std::io::Result<()> {
    inner.connections.fetch_add(1, Ordering::AcqRel);
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(seen) = read_request(&mut reader)? {
        let probe = seen.line.starts_with("GET ") && seen.header("connection") == Some("close");
        if probe {
            let path = seen.line.split(' ').nth(1).unwrap_or_default();
            let body = inner.probes.lock().expect("probes").get(path).cloned().unwrap_or_else(|| "{}".to_owned());
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            return writer.write_all((head + &body).as_bytes());
        }
        let script = {
            let mut scripts = inner.scripts.lock().expect("scripts");
            if scripts.is_empty() { usual(&seen) } else { scripts.remove(0) }
        };
        let runs = seen.line.starts_with("POST ");
        inner.seen.lock().expect("seen").push(seen);
        if runs {
            inner.wait();
        }
        match script {
            Script::Raw(bytes) => writer.write_all(&bytes)?,
            Script::HangUp => return Ok(()),
            Script::Silence => {
                let mut byte = [0];
                if reader.read(&mut byte)? == 0 {
                    inner.abandoned.fetch_add(1, Ordering::AcqRel);
                }
                return Ok(());
            }
            Script::Paced(media, pieces) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n");
                writer.write_all(head.as_bytes())?;
                if let Err(error) = pour(&mut writer, &pieces) {
                    inner.abandoned.fetch_add(1, Ordering::AcqRel);
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

fn pour(writer: &mut TcpStream, pieces: &Receiver<Vec<u8>>) -> std::io::Result<()> {
    loop {
        match pieces.recv_timeout(std::time::Duration::from_millis(20)) {
            Ok(piece) => {
                let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
                chunk.extend_from_slice(&piece);
                chunk.extend_from_slice(b"\r\n");
                writer.write_all(&chunk)?;
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                // Nothing to send: see whether the other side is still there.
                writer.set_nonblocking(true)?;
                let mut byte = [0];
                let gone = matches!(writer.peek(&mut byte), Ok(0));
                writer.set_nonblocking(false)?;
                if gone {
                    return Err(std::io::ErrorKind::BrokenPipe.into());
                }
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return writer.write_all(b"0\r\n\r\n"),
        }
    }
}

pub(crate) fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let mut seen = Seen { line: line.trim_end().to_owned(), headers, body: Vec::new() };
    if let Some(length) = seen.header("content-length").and_then(|v| v.parse::<usize>().ok()) {
        seen.body = vec![0; length];
        reader.read_exact(&mut seen.body)?;
    }
    Ok(Some(seen))
}
