//! An identity provider and a device, as clients would have them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

/// Now, in Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock before the end of time")
}

/// An identity provider on loopback: discovery, a key set, and tokens.
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// The number of the key that signs.
    key: Mutex<u8>,
    asked: AtomicUsize,
    down: Mutex<bool>,
}

impl Provider {
    /// Starts one.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { key: Mutex::new(1), asked: AtomicUsize::new(0), down: Mutex::new(false) });
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            for mut tcp in listener.incoming().flatten() {
                let mut head = [0; 4096];
                let Ok(read) = tcp.read(&mut head) else { continue };
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let issuer = format!("http://{address}");
                let body = if head.starts_with("GET /.well-known/openid-configuration ") {
                    json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")})
                } else {
                    ours.asked.fetch_add(1, Ordering::SeqCst);
                    set(*ours.key.lock().expect("a key"))
                };
                let status = if *ours.down.lock().expect("a switch") { "503 Away" } else { "200 OK" };
                let body = body.to_string();
                let _ = write!(
                    tcp,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { address, shared }
    }

    /// What its tokens call it.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A new key takes the old one's place.
    pub fn rotate(&self) {
        *self.shared.key.lock().expect("a key") += 1;
    }

    /// From now on it answers nothing useful, or does again.
    pub fn fail(&self, down: bool) {
        *self.shared.down.lock().expect("a switch") = down;
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// A token for this subject, with these claims over the usual ones. A claim that is null is left
    /// out.
    pub fn token(&self, subject: &str, claims: &Value) -> String {
        token(*self.shared.key.lock().expect("a key"), &self.issuer(), subject, claims)
    }
}

/// The key set that belongs to the key of this number.
pub fn set(key: u8) -> Value {
    let public = SigningKey::from_bytes(&[key; 32]).verifying_key();
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": format!("key-{key}"),
                     "x": BASE64URL_NOPAD.encode(public.as_bytes())}]})
}

/// A token signed with the key of this number.
pub fn token(key: u8, issuer: &str, subject: &str, claims: &Value) -> String {
    let mut all = json!({"iss": issuer, "sub": subject, "aud": "portcullis", "exp": now() + 600, "nbf": now() - 5});
    for (name, value) in claims.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    let all = all.as_object_mut().expect("an object");
    all.retain(|_, value| !value.is_null());
    let header = json!({"alg": "EdDSA", "kid": format!("key-{key}")});
    sealed(&header, &Value::Object(all.clone()), |text| {
        SigningKey::from_bytes(&[key; 32]).sign(text).to_bytes().to_vec()
    })
}

/// A token with this header and these claims, signed by hand.
pub fn sealed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let text = format!("{}.{}", part(header), part(claims));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// The device key of an Ollama installation.
pub struct Device(SigningKey);

impl Device {
    /// The device of this number.
    pub fn new(number: u8) -> Self {
        Self(SigningKey::from_bytes(&[number; 32]))
    }

    /// A key in SSH's wire form, in base64.
    pub fn public(kind: &str, key: &[u8]) -> String {
        let mut blob = Vec::new();
        for part in [kind.as_bytes(), key] {
            blob.extend_from_slice(&u32::try_from(part.len()).expect("short").to_be_bytes());
            blob.extend_from_slice(part);
        }
        BASE64.encode(&blob)
    }

    /// What `Authorization` says, for a request that was signed as this text.
    pub fn proof(&self, signed: &str) -> String {
        let public = Self::public("ssh-ed25519", self.0.verifying_key().as_bytes());
        format!("{public}:{}", BASE64.encode(&self.0.sign(signed.as_bytes()).to_bytes()))
    }

    /// A request as the command line sends it at this time.
    pub fn get(&self, path: &str, at: i64) -> Vec<u8> {
        let proof = self.proof(&format!("GET,{path}?ts={at}"));
        format!("GET {path}?ts={at} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {proof}\r\n\r\n").into_bytes()
    }
}
