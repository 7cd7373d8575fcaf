//! A client that signs what it sends, and checks who signed the answer.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use portcullis_signatures::{
    Answered, Asked, Frames, NodePublic, Nonce, Seal, SealReader, SecretKey, SignOptions, Target, content_digest,
    sign_llmesh, sign_request, verify_answer,
};
use serde_json::Value;

use crate::client::{Answer, Client, Stream};
use crate::h2_client::H2Client;

/// A client with a key that it signs with.
pub struct Signer {
    client: Client,
    /// The key.
    pub key: SecretKey,
}

impl Signer {
    /// Signs with the key of its certificate, which it shows as well.
    #[track_caller]
    pub fn of(client: &Client) -> Self {
        Self { client: client.clone(), key: SecretKey::from_pem(&client.key).expect("an Ed25519 key") }
    }

    /// Signs with this key, whatever the client shows.
    pub fn with(client: &Client, key: SecretKey) -> Self {
        Self { client: client.clone(), key }
    }

    /// What the gate calls it.
    pub fn id(&self) -> String {
        self.key.public().node_id()
    }

    /// Sends a message as it is, on a connection of its own.
    pub fn send(&self, message: &Message) -> Answer {
        self.client.raw(&message.bytes())
    }

    /// The same, and leaves the answer's body to be read.
    #[track_caller]
    pub fn begin(&self, message: &Message) -> Stream {
        self.client.begin(&message.bytes()).expect("an answer")
    }

    /// Sends a message over HTTP/2.
    pub fn send_h2(&self, message: &Message) -> Answer {
        H2Client::of(&self.client).send(message.http2(), !message.body.is_empty())
    }

    /// Signs a message and sends it; returns it as it left, too.
    #[track_caller]
    pub fn call(&self, message: Message) -> (Message, Answer) {
        let signed = message.sign(&self.key);
        let answer = self.send(&signed);
        (signed, answer)
    }
}

/// A request whose every part can be bent, before it is signed and after.
#[derive(Clone, Debug)]
pub struct Message {
    /// The method.
    pub method: String,
    /// The path and the query, as they are on the wire.
    pub target: String,
    /// The `Host`, or the `:authority`.
    pub authority: String,
    /// All other headers but Content-Length.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// When it is signed, in Unix seconds.
    pub created: i64,
    /// The nonce that it is signed with; a random one where it is empty, which then stands here.
    pub nonce: String,
    /// Who signed it, by its node id.
    pub signer: String,
    /// The gate that is meant, by its node id.
    pub audience: Option<String>,
}

impl Message {
    /// A request without a body.
    pub fn get(target: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            target: target.to_owned(),
            authority: "localhost".to_owned(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            created: now_ms() / 1000,
            nonce: String::new(),
            signer: String::new(),
            audience: None,
        }
    }

    /// A POST of JSON.
    pub fn post(target: &str, body: &Value) -> Self {
        let message = Self { method: "POST".to_owned(), body: body.to_string().into_bytes(), ..Self::get(target) };
        message.header("content-type", "application/json")
    }

    /// Adds a header.
    #[must_use]
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"));
        self
    }

    /// Signs it by RFC 9421.
    #[must_use]
    #[track_caller]
    pub fn sign(mut self, key: &SecretKey) -> Self {
        let nonce = (!self.nonce.is_empty()).then(|| Nonce::parse(&self.nonce).expect("a nonce"));
        let options = SignOptions { created: self.created, nonce, audience: self.audience.as_deref() };
        let (path, query) = split(&self.target);
        let target = Target { method: &self.method, https: true, authority: &self.authority, path, query };
        let asked = sign_request(key, &target, &mut self.headers, &self.body, &options).expect("it can be signed");
        (self.signer, self.nonce) = (asked.node_id, asked.nonce);
        self
    }

    /// Signs it as LLMesh 0.1 does, in the middle of its second; `brings_key` adds the key.
    #[must_use]
    #[track_caller]
    pub fn sign_llmesh(mut self, key: &SecretKey, brings_key: bool) -> Self {
        let (path, query) = split(&self.target);
        let target = Target { method: &self.method, https: true, authority: &self.authority, path, query };
        let now = self.created * 1000 + 500;
        sign_llmesh(key, &target, &mut self.headers, &self.body, now, brings_key).expect("it can be signed");
        let signature = self.headers["x-llmesh-signature"].to_str().expect("text");
        key.node_id().clone_into(&mut self.signer);
        self.nonce = signature.trim_start_matches("ed25519:").to_owned();
        self
    }

    /// What its answer is to name it by.
    pub fn asked(&self) -> Asked {
        Asked { node_id: self.signer.clone(), nonce: self.nonce.clone() }
    }

    /// The bytes of it over HTTP/1.1.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.authority).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.body.is_empty() {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// It over HTTP/2.
    #[track_caller]
    pub fn http2(&self) -> Request<Vec<u8>> {
        let uri = format!("https://{}{}", self.authority, self.target);
        let mut request = Request::builder().method(self.method.as_str()).uri(uri).body(self.body.clone());
        if let Ok(request) = &mut request {
            request.headers_mut().extend(self.headers.clone());
        }
        request.expect("a request")
    }

    /// What the answer holds, once its head and its end are proven: signed by this node, for this request, whole.
    /// The proof itself is taken off.
    ///
    /// # Errors
    /// What is not proven.
    pub fn proven(&self, answer: &Answer, node: &NodePublic) -> Result<Vec<u8>, String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let headers = answer.header_map();
        let Answered { digest, .. } =
            verify_answer(node, answer.status, &headers, &self.asked()).map_err(|e| said(&e))?;
        if let Some(digest) = digest {
            let same = digest == content_digest(&answer.body);
            return if same { Ok(answer.body.clone()) } else { Err("the content is another".to_owned()) };
        }
        let (content, seal) = match Seal::from_trailers(&answer.trailers).map_err(|e| said(&e))? {
            Some(seal) => (answer.body.clone(), seal),
            None => last_frame(answer).ok_or("nothing proves the end of the stream")?,
        };
        seal.verify(node, answer.status, &content_digest(&content), &self.asked()).map_err(|e| said(&e))?;
        Ok(content)
    }
}

/// Parts a stream from its last frame, where that is a seal.
fn last_frame(answer: &Answer) -> Option<(Vec<u8>, Seal)> {
    let frames = if answer.header("content-type")? == "text/event-stream" { Frames::Sse } else { Frames::Ndjson };
    let mut reader = SealReader::new(frames);
    let mut content = reader.read(&answer.body);
    let end = reader.finish();
    content.extend(end.rest);
    Some((content, end.seal?))
}

fn split(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

/// The time, in Unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    i64::try_from(since.as_millis()).expect("a time before the end of it")
}
