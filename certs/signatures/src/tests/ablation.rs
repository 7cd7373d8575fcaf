//! Whatever is covered cannot be changed, and whatever arrives cannot make the reader panic.

use http::header;
use proptest::prelude::*;

use super::*;

/// A request as a client would make it.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    https: bool,
    authority: String,
    path: String,
    query: Option<String>,
    content_type: Option<String>,
    content: Vec<u8>,
    created: i64,
    nonce: Option<String>,
    audience: Option<u8>,
}

impl Request {
    fn target(&self) -> Target<'_> {
        Target {
            method: &self.method,
            https: self.https,
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
        }
    }

    fn head(&self) -> HeaderMap {
        let kind = self.content_type.as_ref().map(|kind| (header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap()));
        kind.into_iter().collect()
    }

    fn signed(&self) -> HeaderMap {
        let mut headers = self.head();
        let audience = self.audience.map(|seed| SecretKey::from_seed(&[seed; 32]).public().node_id());
        let nonce = self.nonce.as_ref().map(|nonce| Nonce::parse(nonce).unwrap());
        let options = SignOptions { created: self.created, nonce, audience: audience.as_deref() };
        sign_request(&key(), &self.target(), &mut headers, &self.content, &options).unwrap();
        headers
    }

    /// As a gate checks: the head, then the content that came.
    fn holds(&self, headers: &HeaderMap) -> bool {
        let Ok(Some(signed)) = Signed::read(&self.target(), headers) else { return false };
        let digest = content_digest(&self.content);
        signed.verify(Some(&digest)).is_ok() && signed.digest().is_none_or(|claimed| *claimed == digest)
    }
}

prop_compose! {
    fn request()(
        method in "[A-Z]{1,7}",
        https: bool,
        authority in "[a-z0-9.-]{1,20}(:[1-9][0-9]{3})?",
        path in "/[!-~&&[^?#]]{0,30}",
        query in proptest::option::of("[!-~&&[^#]]{1,30}"),
        content_type in proptest::option::of("[a-z]{1,10}/[a-z+.-]{1,10}(; [a-z]{1,5}=[a-z0-9]{1,5})?"),
        content in proptest::collection::vec(any::<u8>(), 0..200),
        created in 1..=profile::MAX_SECOND,
        nonce in proptest::option::of("[!-~]{22,256}"),
        audience in proptest::option::of(1u8..),
    ) -> Request {
        Request { method, https, authority, path, query, content_type, content, created, nonce, audience }
    }
}

/// Another visible character at a place, the same in neither case.
fn change(text: &str, at: usize, by: u8) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = at % bytes.len();
    let old = bytes[at];
    let mut others = (0..94).map(|step| (by + step) % 94 + b'!');
    bytes[at] = others.find(|new| !new.eq_ignore_ascii_case(&old)).unwrap();
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn changing_anything_that_is_covered_fails(request in request(), at: usize, by in 0u8..94, llmesh: bool) {
        let headers = if llmesh {
            let mut headers = request.head();
            let created = request.created.min(999_999_999_999_999);
            sign_llmesh(&key(), &request.target(), &mut headers, &request.content, created, true).unwrap();
            headers
        } else {
            request.signed()
        };
        prop_assert!(request.holds(&headers));

        let mut others = vec![
            Request { method: change(&request.method, at, by), ..request.clone() },
            Request { path: change(&request.path, at, by), ..request.clone() },
            Request { content: [&request.content, &b"\n"[..]].concat(), ..request.clone() },
        ];
        if let Some(last) = request.content.len().checked_sub(1) {
            let mut content = request.content.clone();
            content[at % request.content.len()] ^= 1 << (by % 8);
            others.push(Request { content, ..request.clone() });
            others.push(Request { content: request.content[..last].to_vec(), ..request.clone() });
        }
        // What LLMesh leaves open.
        if !llmesh {
            others.push(Request { authority: change(&request.authority, at, by), ..request.clone() });
            let query = request.query.as_ref().map_or_else(|| "q".to_owned(), |query| change(query, at, by));
            others.push(Request { query: Some(query), ..request.clone() });
            if request.query.is_some() {
                others.push(Request { query: None, ..request.clone() });
            }
        }
        for other in others {
            prop_assert!(!other.holds(&headers), "{other:?}");
        }

        // Every header but the type, which LLMesh does not cover, and every byte of it in turn.
        for name in headers.keys().filter(|name| !llmesh || *name != header::CONTENT_TYPE) {
            let mut changed = headers.clone();
            let value = headers[name].to_str().unwrap();
            changed.insert(name, HeaderValue::from_str(&change(value, at, by)).unwrap());
            prop_assert!(!request.holds(&changed), "{name}: {:?}", changed[name]);
            changed.remove(name);
            prop_assert!(llmesh && name == "x-llmesh-public-key" || !request.holds(&changed), "no {name}");
        }
        let mut more = headers.clone();
        more.append(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        prop_assert!(llmesh || !request.holds(&more), "another type");
    }
}

/// Every single byte of every header that a signature has, with one bit changed.
#[test]
fn every_byte_of_a_signed_head_counts() {
    let request = Request {
        method: "POST".to_owned(),
        https: true,
        authority: "gate.example:8443".to_owned(),
        path: "/api/chat".to_owned(),
        query: Some("a=b".to_owned()),
        content_type: Some("application/json".to_owned()),
        content: b"{}".to_vec(),
        created: CREATED,
        nonce: Some("abcdefghijklmnopqrstuv".to_owned()),
        audience: Some(3),
    };
    let headers = request.signed();
    assert_eq!(headers.len(), 5);
    for (name, value) in &headers {
        for at in 0..value.len() {
            let mut bytes = value.as_bytes().to_vec();
            bytes[at] ^= 1 << (at % 7);
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { continue };
            let mut changed = headers.clone();
            changed.insert(name, value);
            assert!(!request.holds(&changed), "{name}: {:?}", changed[name]);
        }
    }
}

/// Bytes that a header value may have, often such as a signature is made of.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        "[ -~]{0,20}".prop_map(String::into_bytes),
        prop_oneof![
            Just("portcullis="),
            Just("(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\")"),
            Just(";created="),
            Just("1780000000"),
            Just(";nonce=\""),
            Just(";keyid=\"peer:"),
            Just(";alg=\"ed25519\""),
            Just("sha-256=:"),
            Just(":"),
            Just("\""),
            Just(", "),
            Just(";tr"),
            Just("ed25519:"),
            Just("=="),
        ]
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_that_arrives_makes_the_reader_panic(
        values in proptest::collection::vec((0usize..12, value()), 0..8),
        text in ".{0,40}",
        signed: bool,
    ) {
        const NAMES: [&str; 12] = [
            "signature", "signature-input", "content-digest", "content-type", "portcullis-audience", "accept-signature",
            "x-llmesh-node-id", "x-llmesh-timestamp", "x-llmesh-signature", "x-llmesh-public-key", "date", "host",
        ];
        let mut headers = if signed { signed_head(b"") } else { HeaderMap::new() };
        for (name, value) in values {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.insert(NAMES[name], value);
            }
        }
        let odd = Target { method: &text, https: false, authority: &text, path: &text, query: Some(&text) };
        for target in [target(), odd] {
            if let Ok(Some(signed)) = Signed::read(&target, &headers) {
                let _ = signed.verify(Some(&[0; 32]));
            }
            let _ = signature_base(&target, &headers, &text);
        }
        let asked = Asked { node_id: key().node_id().to_owned(), nonce: text.clone() };
        let _ = (accept_signature(&headers), verify_answer(&key().public(), 200, &headers, &asked));
        if let Ok(Some(seal)) = Seal::from_trailers(&headers) {
            assert!(seal.verify(&key().public(), 200, &[0; 32], &asked).is_err());
        }
        let _ = (Seal::from_ndjson(text.as_bytes()), Seal::from_sse(text.as_bytes()), NodePublic::from_node_id(&text));
    }
}
