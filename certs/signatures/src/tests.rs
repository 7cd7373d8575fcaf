use http::{HeaderMap, HeaderValue};

use crate::*;

fn target() -> Target<'static> {
    Target { method: "POST", https: true, authority: "Gate.example:443", path: "/api/chat", query: Some("a=b") }
}

#[test]
fn what_is_signed_is_read_and_verifies() {
    let key = SecretKey::from_seed(&[7; 32]);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let audience = SecretKey::from_seed(&[8; 32]).public().node_id();
    let options = SignOptions { created: 1_780_000_000, audience: Some(&audience), ..SignOptions::default() };
    let nonce = sign_request(&key, &target(), &mut headers, b"{}", &options).unwrap();
    let signed = Signed::read(&target(), &headers).unwrap().unwrap();
    signed.verify(None).unwrap();
    assert_eq!((signed.scheme(), signed.node(), signed.brings_key()), (Scheme::Rfc9421, &key.public(), true));
    assert_eq!((signed.created_ms(), signed.expires_ms()), (1_780_000_000_000, None));
    assert_eq!((signed.nonce(), signed.nonce_text()), (nonce.as_str().as_bytes(), nonce.as_str().to_owned()));
    assert_eq!(signed.audience(), Some(audience.as_str()));
    assert_eq!(signed.digest(), Some(&content_digest(b"{}")));
    let answer = |content| {
        let mut answer = HeaderMap::new();
        sign_answer(&key, 200, &mut answer, content, nonce.as_str(), 5).unwrap();
        verify_answer(&key.public(), 200, &answer, nonce.as_str()).unwrap()
    };
    assert_eq!(answer(None), Answered { digest: None, created: 5 });
    assert_eq!(answer(Some(&[3; 32])), Answered { digest: Some([3; 32]), created: 5 });
    let seal = Seal::sign(&key, 200, &[3; 32], nonce.as_str(), 5).unwrap();
    for seal in [
        Seal::from_ndjson(seal.to_ndjson().trim_end().as_bytes()).unwrap(),
        Seal::from_trailers(&seal.to_trailers().unwrap()).unwrap().unwrap(),
    ] {
        assert_eq!(seal.verify(&key.public(), 200, &[3; 32], nonce.as_str()), Ok(5));
    }
    let mut headers = HeaderMap::new();
    sign_llmesh(&key, &target(), &mut headers, b"{}", 1_780_000_000_123, true).unwrap();
    let signed = Signed::read(&target(), &headers).unwrap().unwrap();
    assert_eq!((signed.scheme(), signed.created_ms(), signed.brings_key()), (Scheme::Llmesh, 1_780_000_000_123, true));
    assert_eq!(signed.verify(None), Err(Unverified::ContentNeeded));
    assert_eq!(signed.verify(Some(&content_digest(b"{ }"))), Err(Unverified::Signature));
    signed.verify(Some(&content_digest(b"{}"))).unwrap();
}
