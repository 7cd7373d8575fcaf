//! What is refused before any signature is checked, with the sentence that the caller reads.

use super::*;

mod input;

/// The sentence for a signed head in which the value of `name` was changed; an empty list of values
/// takes the header out.
fn refusal(name: &'static str, change: impl Fn(&str) -> Vec<String>) -> String {
    let mut headers = signed_head(b"{}");
    let values = change(headers[name].to_str().unwrap());
    headers.remove(name);
    for value in values {
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    match Signed::read(&target(), &headers) {
        Err(malformed) => malformed.to_string(),
        Ok(signed) => panic!("read: {signed:?}"),
    }
}

const NOT_ASCII: &str = "a header of the signature, or one that it covers, has other characters than visible ASCII";
const TOO_LONG: &str = "a header of the signature, or one that it covers, is too long";
const SIGNATURE: &str =
    "`Signature` must be `portcullis=:…:` with the padded base64 of 64 bytes, and hold nothing else";
const DIGEST: &str = "`Content-Digest` must hold `sha-256=:…:` once, with the base64 of 32 bytes (RFC 9530); other digests may stand beside it";

#[test]
fn signature() {
    for (from, to) in [
        ("portcullis=", ""),
        ("portcullis=", "sig1="),
        ("portcullis=", "portcullis = "),
        ("portcullis=", "a=:AA==:, portcullis="),
        ("==:", "==:;a"),
        ("==:", "==:, b=:AA==:"),
        ("==:", "=:"),
        ("==:", ":"),
        ("==:", "AA:"),
        ("==:", "AAAA==:"),
        ("=:", "=:!"),
        ("=:", "=:AAAA"),
        ("=:", "="),
    ] {
        let found = refusal("signature", |value| {
            assert!(value.contains(from), "{from}");
            vec![value.replacen(from, to, 1)]
        });
        assert_eq!(found, SIGNATURE, "{from} -> {to}");
    }
    // Four bits of the last character are not used: they must be zero.
    assert_eq!(
        refusal("signature", |v| {
            let mut bytes = v.as_bytes().to_vec();
            let last = bytes.len() - 4;
            bytes[last] += 1;
            vec![String::from_utf8(bytes).unwrap()]
        }),
        SIGNATURE
    );
    assert_eq!(refusal("signature", |_| vec![String::new()]), SIGNATURE);
    assert_eq!(refusal("signature", |v| vec![v.replace('=', "é")]), NOT_ASCII);
    assert_eq!(refusal("signature", |_| vec!["x".repeat(1 << 20)]), TOO_LONG);
    assert_eq!(refusal("signature", |_| vec![]), "`Signature-Input` came without `Signature`");
    assert_eq!(refusal("signature", |v| vec![v.to_owned(), v.to_owned()]), "`Signature` must be in the head once");
}

#[test]
fn content_digest_and_other_covered_fields() {
    let of_64 = format!("sha-512=:{}:", data_encoding::BASE64.encode(&[1; 64]));
    for value in [
        "",
        "sha-256",
        "sha-256=1",
        "sha-256=(:AA==:)",
        "sha-256=:AA==:",
        "sha-256=:!:",
        "SHA-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:",
        "sha-256=RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=",
        "sha-256=:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a:",
        "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:, sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:",
        &of_64,
        &format!("{of_64}, sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:, md5=:{}:", "A".repeat(4096)),
    ] {
        assert_eq!(refusal("content-digest", |_| vec![value.to_owned()]), DIGEST, "{value:.60}");
    }
    assert_eq!(
        refusal("content-digest", |v| vec![v.to_owned(), v.to_owned()]),
        "`Content-Digest` must be in the head once"
    );
    assert_eq!(
        refusal("content-digest", |_| vec![]),
        "a signed message needs `Content-Digest`, also where its content is empty (RFC 9530)"
    );
    let once = "a header field that the signature covers must be in the head once";
    assert_eq!(refusal("content-type", |v| vec![v.to_owned(), v.to_owned()]), once);
    assert_eq!(refusal("portcullis-audience", |v| vec![v.to_owned(), v.to_owned()]), once);
    assert_eq!(refusal("content-type", |_| vec!["x".repeat(16 * 1024 + 1)]), TOO_LONG);
    assert_eq!(refusal("content-type", |_| vec!["é".to_owned()]), NOT_ASCII);
    for audience in ["", "a b", &"x".repeat(257)] {
        assert_eq!(
            refusal("portcullis-audience", |_| vec![audience.to_owned()]),
            "`Portcullis-Audience` must be the node id of the gate that is meant"
        );
    }
}

#[test]
fn llmesh_headers() {
    let mut signed = HeaderMap::new();
    sign_llmesh(&key(), &target(), &mut signed, b"", 1_780_000_000_123, true).unwrap();
    let refused = |name: &'static str, values: &[&str]| {
        let mut headers = signed.clone();
        headers.remove(name);
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        match Signed::read(&target(), &headers) {
            Err(malformed) => malformed.to_string(),
            Ok(signed) => panic!("read: {signed:?}"),
        }
    };
    let of = |name: &str| signed[name].to_str().unwrap().to_owned();
    let [id, time, signature, hex] =
        ["x-llmesh-node-id", "x-llmesh-timestamp", "x-llmesh-signature", "x-llmesh-public-key"];
    for name in [id, time, signature] {
        assert_eq!(
            refused(name, &[]),
            "a request that LLMesh signs has `X-LLMesh-Node-Id`, `X-LLMesh-Timestamp` and `X-LLMesh-Signature`"
        );
    }
    for name in [id, time, signature, hex] {
        assert_eq!(refused(name, &[&of(name), &of(name)]), "a header of LLMesh must be in the head once");
        assert_eq!(refused(name, &["é"]), NOT_ASCII);
        assert_eq!(refused(name, &[&"x".repeat(1 << 20)]), TOO_LONG);
    }
    for wrong in ["", "peer:", "alice", &of(id)[5..], &of(id).to_lowercase()] {
        assert_eq!(
            refused(id, &[wrong]),
            "`X-LLMesh-Node-Id` must be `peer:` and the base58 of a 32-byte Ed25519 public key"
        );
    }
    for wrong in ["", "0", "01780000000123", "+1780000000123", "-1", "1.5", "1e3", "1234567890123456", "1 2", "٣"] {
        let sentence = if wrong.is_ascii() {
            "`X-LLMesh-Timestamp` must be Unix milliseconds in 1 to 15 digits, without a leading zero"
        } else {
            NOT_ASCII
        };
        assert_eq!(refused(time, &[wrong]), sentence);
    }
    let value = of(signature);
    for wrong in [
        "",
        "ed25519:",
        &value[8..],
        &value[..130],
        &format!("{value}00"),
        &value.to_uppercase(),
        &format!("ED25519:{}", &value[8..]),
    ] {
        assert_eq!(
            refused(signature, &[wrong]),
            "`X-LLMesh-Signature` must be `ed25519:` and 128 digits of lower-case hex"
        );
    }
    let other = SecretKey::from_seed(&[9; 32]).public().to_hex();
    for wrong in ["", &other, &of(hex).to_uppercase(), &of(hex)[..62]] {
        assert_eq!(
            refused(hex, &[wrong]),
            "`X-LLMesh-Public-Key` must be the key that `X-LLMesh-Node-Id` names, in 64 digits of lower-case hex"
        );
    }
    let mut both = signed_head(b"");
    both.insert("x-llmesh-public-key", signed["x-llmesh-public-key"].clone());
    assert_eq!(
        Signed::read(&target(), &both).unwrap_err().to_string(),
        "a request must be signed once: by `Signature-Input` and `Signature`, or by the headers of LLMesh"
    );
}

#[test]
fn a_target_that_has_no_line_of_its_own() {
    let mut llmesh = HeaderMap::new();
    sign_llmesh(&key(), &target(), &mut llmesh, b"", 1, true).unwrap();
    for headers in [signed_head(b""), llmesh] {
        for wrong in [
            Target { method: "", ..target() },
            Target { method: "GET\n", ..target() },
            Target { authority: "", ..target() },
            Target { authority: "a b", ..target() },
            Target { path: "/é", ..target() },
            Target { path: "/\nx", ..target() },
            Target { query: Some("a\r\nb"), ..target() },
        ] {
            assert!(Signed::read(&wrong, &headers).is_err(), "{wrong:?}");
        }
    }
}

#[test]
fn what_is_covered_is_bounded() {
    let long = format!("/{}", "x".repeat(70_000));
    let target = Target { path: &long, ..target() };
    let mut headers = HeaderMap::new();
    let options = SignOptions { created: CREATED, ..SignOptions::default() };
    let error = sign_request(&key(), &target, &mut headers, b"", &options).unwrap_err();
    assert_eq!(error.to_string(), "what the signature covers is longer than 64 KiB");
}
