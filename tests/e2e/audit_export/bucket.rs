//! A server of one bucket that takes signed requests alone, with faults.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use data_encoding::{BASE64, HEXLOWER};
use ring::{digest, hmac};

/// Who may write.
pub const ACCESS_KEY: &str = "AKIATESTTESTTEST";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
const REGION: &str = "test-region";

pub struct FakeBucket {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Requests that get 503.
    failing: AtomicUsize,
    /// Objects that are kept, and whose writer hears nothing of it.
    silent: AtomicUsize,
    /// What was not signed as it should be.
    refused: Mutex<Vec<String>>,
    /// How often an object was to be put where one stands.
    repeated: AtomicUsize,
    /// How many objects may still be put while the others wait; none while nobody waits.
    held: Mutex<Option<usize>>,
    changed: Condvar,
    /// How many objects wait to be put.
    waiting: AtomicUsize,
    stop: AtomicBool,
}

impl Shared {
    /// Waits until an object may be put.
    fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let held = self.held.lock().expect("how many");
        let mut held = self.changed.wait_while(held, |held| *held == Some(0)).expect("how many");
        *held = held.map(|left| left - 1);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl FakeBucket {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                if ours.stop.load(Ordering::Acquire) {
                    return;
                }
                let ours = Arc::clone(&ours);
                std::thread::spawn(move || while serve(&tcp, &ours).is_some() {});
            }
        });
        Self { address, shared }
    }

    /// The sink of a config, called `name`.
    pub fn sink(&self, name: &str) -> String {
        format!(
            "{{name: {name}, to: s3, bucket: logs, prefix: gates, endpoint: 'http://{}', region: {REGION}, \
             access_key: '${{TEST_ACCESS}}', secret_key: '${{TEST_SECRET}}', every: 100ms}}",
            self.address
        )
    }

    /// The next so many requests fail.
    pub fn fail(&self, times: usize) {
        self.shared.failing.store(times, Ordering::Release);
    }

    /// The next so many objects are kept without an answer.
    pub fn keep_silent(&self, times: usize) {
        self.shared.silent.store(times, Ordering::Release);
    }

    /// This many objects may still be put; the others wait. None of them waits where there is no number.
    pub fn hold_after(&self, objects: Option<usize>) {
        *self.shared.held.lock().expect("how many") = objects;
        self.shared.changed.notify_all();
    }

    /// How many objects wait to be put.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }

    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.shared.objects.lock().expect("objects").clone()
    }

    pub fn refused(&self) -> Vec<String> {
        self.shared.refused.lock().expect("what was refused").clone()
    }

    pub fn repeated(&self) -> usize {
        self.shared.repeated.load(Ordering::Acquire)
    }
}

impl Drop for FakeBucket {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.hold_after(None);
        let _ = TcpStream::connect(self.address);
    }
}

struct Asked {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn serve(tcp: &TcpStream, shared: &Shared) -> Option<()> {
    let asked = read(tcp)?;
    if let Err(why) = verify(&asked) {
        shared.refused.lock().expect("a list").push(why);
        return answer(tcp, 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>");
    }
    let taken = |count: &AtomicUsize| {
        count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| count.checked_sub(1)).is_ok()
    };
    if taken(&shared.failing) {
        return answer(tcp, 503, b"<Error><Code>SlowDown</Code><Message>not now</Message></Error>");
    }
    if asked.method == "PUT" {
        shared.wait();
    }
    let key = asked.path.strip_prefix("/logs/").expect("a key").replace("%3A", ":");
    let mut objects = shared.objects.lock().expect("objects");
    match asked.method.as_str() {
        "GET" => {
            let object = objects.get(&key).cloned();
            object.map_or_else(|| answer(tcp, 404, b"<Error><Code>NoSuchKey</Code></Error>"), |o| answer(tcp, 200, &o))
        }
        "PUT" if objects.contains_key(&key) => {
            shared.repeated.fetch_add(1, Ordering::AcqRel);
            answer(tcp, 412, b"<Error><Code>PreconditionFailed</Code></Error>")
        }
        "PUT" => {
            objects.insert(key, asked.body);
            if taken(&shared.silent) { None } else { answer(tcp, 200, b"") }
        }
        _ => answer(tcp, 405, b""),
    }
}

fn read(tcp: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(tcp);
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}

/// Checks the signature in the address (Signature Version 4), and what it must cover.
fn verify(asked: &Asked) -> Result<(), String> {
    let parameters: BTreeMap<&str, &str> = asked.query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let parameter = |name: &str| parameters.get(name).copied().ok_or_else(|| format!("no `{name}`"));
    let (date, signed) = (parameter("X-Amz-Date")?, parameter("X-Amz-SignedHeaders")?.replace("%3B", ";"));
    let day = &date[..8];
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    if parameter("X-Amz-Credential")?.replace("%2F", "/") != format!("{ACCESS_KEY}/{scope}") {
        return Err("another credential".to_owned());
    }
    let must: &[&str] = match asked.method.as_str() {
        "PUT" => &["host", "if-none-match", "x-amz-checksum-sha256"],
        _ => &["host"],
    };
    if signed.split(';').collect::<Vec<_>>() != must {
        return Err(format!("it covers `{signed}`"));
    }
    let header = |name: &str| asked.headers.get(name).cloned().unwrap_or_default();
    if asked.method == "PUT" {
        let sum = BASE64.encode(digest::digest(&digest::SHA256, &asked.body).as_ref());
        if header("x-amz-checksum-sha256") != sum || header("if-none-match") != "*" {
            return Err("the digest or the condition is another one".to_owned());
        }
    }
    let mut query: Vec<&str> = asked.query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
    query.sort_unstable();
    let headers: String = must.iter().map(|name| format!("{name}:{}\n", header(name))).collect();
    let canonical =
        format!("{}\n{}\n{}\n{headers}\n{signed}\nUNSIGNED-PAYLOAD", asked.method, asked.path, query.join("&"));
    let hashed = HEXLOWER.encode(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
    let mac =
        |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec();
    let mut key = format!("AWS4{SECRET_KEY}").into_bytes();
    for part in [day, REGION, "s3", "aws4_request"] {
        key = mac(&key, part);
    }
    match HEXLOWER.encode(&mac(&key, &text)) == parameter("X-Amz-Signature")? {
        true => Ok(()),
        false => Err(format!("the signature does not match `{canonical}`")),
    }
}

fn answer(mut tcp: &TcpStream, status: u16, body: &[u8]) -> Option<()> {
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n", body.len());
    tcp.write_all(&[head.as_bytes(), body].concat()).ok()
}
