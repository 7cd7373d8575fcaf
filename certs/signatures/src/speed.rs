//! How long it takes to read and verify a signed request, beside the bare verification of the library
//! with a key that was read before. Run it by `cargo xtask bench --signature`.

use std::hint::black_box;
use std::time::Instant;

use crate::{Nonce, SecretKey, SignOptions, Signed, Target, content_digest, sign_llmesh, sign_request};
use ed25519_dalek::{Signature, VerifyingKey};
use http::{HeaderMap, HeaderValue, header};

/// How many times a batch is measured; the median counts.
const ROUNDS: usize = 151;
/// Nodes of a batch, each with one request.
const NODES: u8 = 16;
const CREATED: i64 = 1_795_176_000;

const TARGET: Target<'static> =
    Target { method: "POST", https: true, authority: "gate.example:8443", path: "/api/chat", query: None };

struct Request {
    headers: HeaderMap,
    content: [u8; 32],
    key: SecretKey,
}

fn requests(sign: impl Fn(&SecretKey, &mut HeaderMap, &[u8])) -> Vec<Request> {
    let body = [b'a'; 1024];
    let request = |seed: u8| {
        let key = SecretKey::from_seed(&[seed; 32]);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(TARGET.authority));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("1024"));
        sign(&key, &mut headers, &body);
        Request { headers, content: content_digest(&body), key }
    };
    (0..NODES).map(request).collect()
}

/// The same requests, signed by the RFC, with an audience as doors name one.
fn by_rfc9421() -> Vec<Request> {
    let gate = SecretKey::from_seed(&[99; 32]).public().node_id();
    requests(|key, headers, body| {
        let nonce = Nonce::parse(&key.public().to_hex()[..22]).unwrap();
        let options = SignOptions { created: CREATED, nonce: Some(nonce), audience: Some(&gate) };
        sign_request(key, &TARGET, headers, body, &options).unwrap();
    })
}

fn by_llmesh() -> Vec<Request> {
    requests(|key, headers, body| sign_llmesh(key, &TARGET, headers, body, CREATED * 1000, true).unwrap())
}

/// The key, the text and the signature of a request, as the bare library takes them.
fn bare(request: &Request) -> (VerifyingKey, Vec<u8>, Signature) {
    let signed = Signed::read(&TARGET, &request.headers).unwrap().unwrap();
    let base = signed.base(Some(&request.content)).into_owned().into_bytes();
    let key = VerifyingKey::from_bytes(signed.node().as_bytes()).unwrap();
    let signature = Signature::from_bytes(&request.key.sign(&base));
    (key, base, signature)
}

/// One round's time for one request, in microseconds.
fn round<T>(batch: &[T], work: impl Fn(&T)) -> f64 {
    let began = Instant::now();
    for one in batch {
        work(black_box(one));
    }
    began.elapsed().as_secs_f64() * 1e6 / batch.len() as f64
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

#[test]
#[ignore = "a measurement; cargo xtask bench --signature runs it"]
fn speed() {
    for (scheme, requests) in [("rfc9421", by_rfc9421()), ("llmesh", by_llmesh())] {
        let prepared: Vec<_> = requests.iter().map(bare).collect();
        let (mut reading, mut whole, mut raw, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            // In turn, so that whatever else the machine does hits all of them alike.
            let read = round(&requests, |request| {
                black_box(Signed::read(&TARGET, &request.headers).unwrap());
            });
            let both = round(&requests, |request| {
                let signed = Signed::read(&TARGET, &request.headers).unwrap().unwrap();
                signed.verify(Some(&request.content)).unwrap();
            });
            let bare = round(&prepared, |(key, base, signature)| key.verify_strict(base, signature).unwrap());
            reading.push(read);
            whole.push(both);
            raw.push(bare);
            ratios.push(both / bare);
        }
        println!(
            "{scheme}: read {:.1} us, read and verify {:.1} us, verify_strict alone {:.1} us, ratio {:.2}",
            median(reading),
            median(whole),
            median(raw),
            median(ratios),
        );
    }
}
