//! A fake OSV API: answers as <https://google.github.io/osv.dev/api/> says, or fails as a service can.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Seen, listen, read_request};

/// Queries that one request may hold.
const MOST_QUERIES: usize = 1_000;

/// What is wrong with the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It answers a byte now and then, and never ends.
    Drip,
    /// It answers more than anybody may want to keep.
    Huge,
    /// It answers one query less than it was asked.
    Less,
    /// It answers one query more than it was asked.
    More,
    /// It closes the connection in the midst of an answer.
    Torn,
    /// It answers 200 and what is no JSON.
    NoJson,
    /// It answers 200 and JSON of another kind.
    OtherJson,
    /// It answers this status, with this Retry-After.
    Status(u16, Option<u64>),
    /// It says nothing.
    Silence,
}

struct Inner {
    advisories: Mutex<Vec<Value>>,
    /// How many advisories a page has.
    page: AtomicUsize,
    /// What is wrong, for so many requests.
    trouble: Mutex<Option<(Trouble, usize)>>,
    seen: Mutex<Vec<Seen>>,
    held: Mutex<bool>,
    let_go: Condvar,
    stop: AtomicBool,
}

/// A fake OSV API on loopback.
pub struct FakeOsv {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl FakeOsv {
    /// One that knows these advisories.
    pub fn start(advisories: Vec<Value>) -> Self {
        let inner = Arc::new(Inner {
            advisories: Mutex::new(advisories),
            page: AtomicUsize::new(usize::MAX),
            trouble: Mutex::default(),
            seen: Mutex::default(),
            held: Mutex::new(false),
            let_go: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let shared = Arc::clone(&inner);
        let stops = Arc::clone(&inner);
        let address = listen(move || stops.stop.load(Ordering::Acquire), move |stream| serve(stream, &shared));
        Self { address, inner }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on a page has so many advisories.
    pub fn pages_of(&self, count: usize) {
        self.inner.page.store(count, Ordering::Release);
    }

    /// The next so many requests get this.
    pub fn fail(&self, trouble: Trouble, times: usize) {
        *self.inner.trouble.lock().expect("a switch") = Some((trouble, times));
    }

    /// From now on it works again.
    pub fn recover(&self) {
        *self.inner.trouble.lock().expect("a switch") = None;
    }

    /// From now on it answers only when it is let go.
    pub fn hold(&self, held: bool) {
        *self.inner.held.lock().expect("a switch") = held;
        self.inner.let_go.notify_all();
    }

    /// What reached it.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().expect("seen").clone()
    }

    /// The names that it was asked about, in every request for many.
    pub fn asked(&self) -> Vec<String> {
        let seen = self.seen();
        let batches = seen.iter().filter(|seen| seen.line.contains("/v1/querybatch"));
        let queries = batches.flat_map(|seen| {
            let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
            body["queries"].as_array().expect("queries").clone()
        });
        queries.map(|query| query["package"]["name"].as_str().expect("a name").to_owned()).collect()
    }
}

impl Drop for FakeOsv {
    fn drop(&mut self) {
        self.hold(false);
        self.inner.stop.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
    }
}

/// The sample of OSV's data beside the source tree; says so where it is missing.
pub fn sample() -> Option<Vec<Value>> {
    let mut all = Vec::new();
    for file in ["pypi.jsonl", "crates-io.jsonl"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/osv").join(file);
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: the sample `{file}` of OSV's data is not here");
            return None;
        };
        all.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an advisory")));
    }
    Some(all)
}

fn serve(stream: TcpStream, inner: &Inner) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(seen) = read_request(&mut reader)? {
        inner.seen.lock().expect("seen").push(seen.clone());
        {
            let mut held = inner.held.lock().expect("a switch");
            while *held {
                held = inner.let_go.wait(held).expect("a switch");
            }
        }
        let trouble = {
            let mut trouble = inner.trouble.lock().expect("a switch");
            match &mut *trouble {
                Some((what, times)) if *times > 0 => {
                    *times -= 1;
                    Some(what.clone())
                }
                _ => None,
            }
        };
        let (status, mut body) = answer(&seen, inner);
        match trouble {
            None => send(&mut writer, status, "", body.to_string().as_bytes())?,
            Some(Trouble::Drip) => {
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
                // Until the other side leaves.
                while !inner.stop.load(Ordering::Acquire) {
                    writer.write_all(b" ")?;
                    std::thread::park_timeout(Duration::from_millis(50));
                }
                return Ok(());
            }
            Some(Trouble::Huge) => {
                let padding = " ".repeat(1 << 20);
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20)?;
                for _ in 0..64 {
                    writer.write_all(padding.as_bytes())?;
                }
            }
            Some(trouble @ (Trouble::Less | Trouble::More)) => {
                if let Some(results) = body["results"].as_array_mut() {
                    if trouble == Trouble::More {
                        results.push(json!({}));
                    } else {
                        results.pop();
                    }
                }
                send(&mut writer, status, "", body.to_string().as_bytes())?;
            }
            Some(Trouble::Torn) => {
                let body = body.to_string();
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
                return writer.write_all(&body.as_bytes()[..body.len() / 2]);
            }
            Some(Trouble::NoJson) => send(&mut writer, 200, "", b"<html>It works!</html>")?,
            Some(Trouble::OtherJson) => send(&mut writer, 200, "", br#"["vulns"]"#)?,
            Some(Trouble::Status(status, after)) => {
                let after = after.map(|after| format!("Retry-After: {after}\r\n")).unwrap_or_default();
                send(&mut writer, status, &after, br#"{"code":8,"message":"not now"}"#)?;
            }
            Some(Trouble::Silence) => while read_request(&mut reader)?.is_some() {},
        }
    }
    Ok(())
}

fn send(writer: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    writer.write_all(&[head.as_bytes(), body].concat())
}

/// What the service says.
fn answer(seen: &Seen, inner: &Inner) -> (u16, Value) {
    let all = inner.advisories.lock().expect("advisories");
    let page = inner.page.load(Ordering::Acquire);
    let bad = |message: &str| (400, json!({"code": 3, "message": message}));
    let mut line = seen.line.split(' ');
    let (method, path) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let body: Result<Value, _> = serde_json::from_slice(&seen.body);
    match (method, path, body) {
        ("POST", "/v1/query", Ok(query)) => match find(&all, &query, page) {
            Ok((vulns, token)) => (200, listed(vulns.into_iter().cloned().collect(), token)),
            Err(message) => bad(message),
        },
        ("POST", "/v1/querybatch", Ok(body)) => {
            let Some(queries) = body["queries"].as_array() else { return bad("Invalid query.") };
            if queries.len() > MOST_QUERIES {
                return bad("Too many queries.");
            }
            let one = |query: &Value| {
                let (vulns, token) = find(&all, query, page)?;
                let short = vulns.iter().map(|vuln| json!({"id": vuln["id"], "modified": vuln["modified"]}));
                Ok(listed(short.collect(), token))
            };
            match queries.iter().map(one).collect::<Result<Vec<_>, _>>() {
                Ok(results) => (200, json!({"results": results})),
                Err(message) => bad(message),
            }
        }
        ("GET", path, _) => {
            let id = path.strip_prefix("/v1/vulns/").unwrap_or_default().replace("%2D", "-");
            match all.iter().find(|advisory| advisory["id"] == id) {
                Some(advisory) => (200, advisory.clone()),
                None => (404, json!({"code": 5, "message": "Bug not found."})),
            }
        }
        _ => bad("Invalid request."),
    }
}

/// The service leaves out what is empty.
fn listed(vulns: Vec<Value>, token: Option<String>) -> Value {
    let mut answer = json!({});
    if !vulns.is_empty() {
        answer["vulns"] = vulns.into();
    }
    if let Some(token) = token {
        answer["next_page_token"] = token.into();
    }
    answer
}

/// A page of the advisories on a package, and how the next one is asked for. Names are compared to the letter, but for
/// those of PyPI.
fn find<'a>(all: &'a [Value], query: &Value, page: usize) -> Result<(Vec<&'a Value>, Option<String>), &'static str> {
    let (name, ecosystem) = (query["package"]["name"].as_str(), query["package"]["ecosystem"].as_str());
    let (Some(name), Some(ecosystem)) = (name, ecosystem) else { return Err("Invalid query.") };
    if !["crates.io", "Go", "Maven", "npm", "NuGet", "Packagist", "PyPI", "RubyGems"].contains(&ecosystem) {
        return Err("Invalid ecosystem.");
    }
    let name = normal(ecosystem, name);
    let is_meant = |affected: &Value| {
        affected["package"]["ecosystem"] == ecosystem
            && affected["package"]["name"].as_str().is_some_and(|other| normal(ecosystem, other) == name)
    };
    let matching: Vec<_> = all
        .iter()
        .filter(|advisory| advisory["affected"].as_array().is_some_and(|all| all.iter().any(is_meant)))
        .collect();
    let from: usize = match query["page_token"].as_str() {
        None => 0,
        Some(token) => token.strip_prefix("page-").and_then(|at| at.parse().ok()).ok_or("Invalid page token.")?,
    };
    let until = from.saturating_add(page).min(matching.len());
    let token = (until < matching.len()).then(|| format!("page-{until}"));
    Ok((matching.get(from..until).unwrap_or_default().to_vec(), token))
}

fn normal(ecosystem: &str, name: &str) -> String {
    if ecosystem != "PyPI" {
        return name.to_owned();
    }
    let parts: Vec<_> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_lowercase()
}
