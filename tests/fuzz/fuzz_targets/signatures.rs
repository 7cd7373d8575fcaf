//! Whatever stands where a signature belongs: nothing panics, nothing that was not signed verifies, and a
//! stream loses no byte.
#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis_signatures::{
    Asked, Frames, Seal, SealReader, SecretKey, SignOptions, Signed, Target, accept_signature, content_digest,
    sign_request, signature_base, verify_answer,
};

const NAMES: [&str; 12] = [
    "signature-input",
    "signature",
    "content-digest",
    "content-type",
    "portcullis-audience",
    "portcullis-grant",
    "portcullis-enroll",
    "accept-signature",
    "x-llmesh-node-id",
    "x-llmesh-timestamp",
    "x-llmesh-signature",
    "x-llmesh-public-key",
];

static KEY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::from_seed(&[7; 32]));

fn target() -> Target<'static> {
    Target { method: "POST", https: true, authority: "gate.example", path: "/api/chat", query: None }
}

/// A head that verifies, to be changed.
fn signed() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let options = SignOptions { created: 1_780_000_000, ..SignOptions::default() };
    sign_request(&KEY, &target(), &mut headers, b"", &options).expect("a signed head");
    headers
}

// Lines of a header each: the first byte picks its name, and whether it is added or takes another's place.
fuzz_target!(|bytes: &[u8]| {
    let mut headers = if bytes.first().is_some_and(|b| b & 1 == 1) { signed() } else { HeaderMap::new() };
    let whole = headers.clone();
    for line in bytes.split(|b| *b == b'\n') {
        let Some((pick, value)) = line.split_first() else { continue };
        let name = HeaderName::from_static(NAMES[usize::from(pick & 0x7f) % NAMES.len()]);
        match HeaderValue::from_bytes(value) {
            Ok(value) if pick & 0x80 == 0 => drop(headers.insert(name, value)),
            Ok(value) => drop(headers.append(name, value)),
            Err(_) => {}
        }
    }
    if let Ok(Some(read)) = Signed::read(&target(), &headers) {
        let holds = read.verify(Some(&content_digest(b""))).is_ok();
        // What still verifies says what was signed, whatever else was added.
        assert!(
            !holds || Signed::read(&target(), &whole).is_ok_and(|w| w.is_some_and(|w| w.base(None) == read.base(None)))
        );
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = (signature_base(&target(), &headers, &text), accept_signature(&headers));
    let asked = Asked { node_id: KEY.node_id().to_owned(), nonce: "abcdefghijklmnopqrstuv".to_owned() };
    assert!(verify_answer(&KEY.public(), 200, &headers, &asked).is_err());
    if let Ok(Some(seal)) = Seal::from_trailers(&headers) {
        assert!(seal.verify(&KEY.public(), 200, &[0; 32], &asked).is_err());
    }
    for frames in [Frames::Ndjson, Frames::Sse] {
        let mut reader = SealReader::new(frames);
        let size = bytes.first().map_or(1, |b| usize::from(*b).max(1));
        let mut content: Vec<u8> = bytes.chunks(size).flat_map(|chunk| reader.read(chunk)).collect();
        let end = reader.finish();
        content.extend(&end.rest);
        assert!(end.seal.is_some() || content == bytes);
        assert_eq!(end.digest, content_digest(&content));
    }
});
