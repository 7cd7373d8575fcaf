//! What is refused before any signature is checked, with the sentence that the caller reads.

use super::*;

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

const NOT_STRUCTURED: &str = "`Signature-Input` is no dictionary of structured fields (RFC 9651)";
const NOT_ASCII: &str = "a header of the signature, or one that it covers, has other characters than visible ASCII";
const TOO_LONG: &str = "a header of the signature, or one that it covers, is too long";
const SIGNATURE: &str =
    "`Signature` must be `portcullis=:…:` with the padded base64 of 64 bytes, and hold nothing else";
const DIGEST: &str = "`Content-Digest` must hold `sha-256=:…:` once, with the base64 of 32 bytes (RFC 9530); other digests may stand beside it";
const NO_PARAMETERS: &str = "a covered component must have no parameters";
const AS_STRING: &str = "`Signature-Input` must name every covered component as a string";
const INTEGERS: &str = "`created` and `expires` must be integers, in seconds";
const SECONDS: &str = "`created` and `expires` must be Unix seconds, from 1 to 253402300799";
const STRINGS: &str = "`nonce`, `keyid`, `alg` and `tag` must be strings";
const NONCE: &str = "`nonce` must have 22 to 256 visible ASCII characters";
const KEYID: &str = "`keyid` must be a node id, `peer:` and the base58 of a 32-byte Ed25519 public key";
const ALG: &str = "a signature needs the parameter `alg=\"ed25519\"`";
const ONLY: &str = "a signature may have the parameters `created`, `expires`, `nonce`, `keyid`, `alg` and `tag` only";
const PARAMETER_TWICE: &str = "a signature must have no parameter twice";
const REQUIRED: &str = "a signature must cover `@method`, `@authority`, `@path`, `@query` and `content-digest`";
const DERIVED: &str = "the signature covers a derived component that it must not cover";
const NAME: &str = "a covered component must be a header field in lower case, or a derived component";

#[test]
fn signature_input() {
    let created = ";created=1780000000";
    let nonce = r#";nonce="abcdefghijklmnopqrstuv""#;
    let huge_nonce = format!(";nonce=\"{}\"", "n".repeat(257));
    let megabyte = format!(";nonce=\"{}\"", "n".repeat(1 << 20));
    let many: String = (0..33).map(|n| format!("\"x-{n}\" ")).collect();
    for (from, to, sentence) in [
        // The whole value.
        ("portcullis=", "", NOT_STRUCTURED),
        ("portcullis=", "sig1=", "the label of the signature must be `portcullis`"),
        ("portcullis=", "Portcullis=", NOT_STRUCTURED),
        ("portcullis=", "portcullis=1, portcullis=", "`Signature-Input` must name what is covered in parentheses"),
        ("portcullis=", r#"sig1=("date"), portcullis="#, "`Signature-Input` must hold one signature, not several"),
        (
            "portcullis=",
            r#"portcullis=("date"), portcullis="#,
            "`Signature-Input` must hold one signature, not several",
        ),
        (r#"alg="ed25519""#, r#"alg="ed25519","#, NOT_STRUCTURED),
        (r#"alg="ed25519""#, r#"alg="ed25519"#, NOT_STRUCTURED),
        (r#"alg="ed25519""#, r#"alg="ed25519", b"#, "`Signature-Input` must hold one signature, not several"),
        (r#"alg="ed25519""#, "alg=\"ed25519é\"", NOT_ASCII),
        // What is covered.
        (r#""@method" "#, "", REQUIRED),
        (r#""@authority" "#, "", REQUIRED),
        (r#""@path" "#, "", REQUIRED),
        (r#""@query" "#, "", REQUIRED),
        (r#""content-digest" "#, "", REQUIRED),
        (r#" "content-type""#, "", "a signature must cover `content-type` where the request has one"),
        (r#" "portcullis-audience""#, "", "a signature must cover `portcullis-audience` where the request has one"),
        (r#""@method""#, r#""@method" "@method""#, "a signature must cover no component twice"),
        (r#""@method""#, r#""@METHOD""#, REQUIRED),
        (r#""@method""#, "@method", NOT_STRUCTURED),
        (r#""@method""#, "method", AS_STRING),
        (r#""@method""#, r#""@me\\thod""#, AS_STRING),
        (r#""@method""#, r#""@method";req"#, NO_PARAMETERS),
        (r#""content-digest""#, r#""content-digest";tr"#, REQUIRED),
        (r#""content-digest""#, r#""content-digest" "content-digest";tr"#, NO_PARAMETERS),
        (r#""content-digest""#, r#""content-digest";sf"#, NO_PARAMETERS),
        (r#""content-digest""#, r#""content-digest";tr;tr"#, NO_PARAMETERS),
        (r#""content-digest""#, r#""content-digest";tr=?0"#, NO_PARAMETERS),
        (r#""content-digest""#, r#""content-digest" "@status""#, DERIVED),
        (r#""content-digest""#, r#""content-digest" "@query-param""#, DERIVED),
        (r#""content-digest""#, r#""content-digest" "@signature-params""#, DERIVED),
        (r#""content-digest""#, r#""content-digest" "Date""#, NAME),
        (r#""content-digest""#, r#""content-digest" """#, NAME),
        (r#""content-digest""#, r#""content-digest" "a b""#, NAME),
        (
            r#""content-digest""#,
            r#""content-digest" "x-none""#,
            "the signature covers a header field that is not in the head",
        ),
        (
            r#""content-digest""#,
            r#""content-digest" "signature""#,
            "a signature must not cover `Signature` or `Signature-Input`",
        ),
        (
            r#""content-digest""#,
            r#""content-digest" "signature-input""#,
            "a signature must not cover `Signature` or `Signature-Input`",
        ),
        ("(", &format!("({many}"), "a signature may cover at most 32 components"),
        // The parameters.
        (created, "", "a signature needs the parameter `created`"),
        (created, ";created=1780000000.0", INTEGERS),
        (created, ";created=@1780000000", INTEGERS),
        (created, ";created=\"1780000000\"", INTEGERS),
        (created, ";created", INTEGERS),
        (created, ";created=", NOT_STRUCTURED),
        (created, ";created=1780000000000000", NOT_STRUCTURED),
        (created, ";created=999999999999999", SECONDS),
        (created, ";created=0", SECONDS),
        (created, ";created=-1780000000", SECONDS),
        (created, ";created=1780000000;expires=253402300800", SECONDS),
        (created, ";created=1780000000;expires=1779999999", "`expires` must not be before `created`"),
        (created, ";created=1780000000;created=1780000000", PARAMETER_TWICE),
        (nonce, "", "a signature needs the parameter `nonce`"),
        (nonce, ";nonce=\"\"", NONCE),
        (nonce, ";nonce=\"abcdefghijklmnopqrstu\"", NONCE),
        (nonce, ";nonce=\"abcdefghijklmnopqrst vw\"", NONCE),
        (nonce, ";nonce=abcdefghijklmnopqrstuv", STRINGS),
        (nonce, ";nonce=:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dg==:", STRINGS),
        (nonce, &format!("{nonce}{nonce}"), PARAMETER_TWICE),
        (nonce, &huge_nonce, NONCE),
        (nonce, &megabyte, TOO_LONG),
        ("peer:", "", KEYID),
        ("peer:", "PEER:", KEYID),
        ("peer:", "peer:1", KEYID),
        (";keyid=", ";keyid=\"a\";keyid=", PARAMETER_TWICE),
        (";keyid=", ";tag=", "a signature needs the parameter `keyid`, a node id"),
        (r#";alg="ed25519""#, "", ALG),
        (r#";alg="ed25519""#, ";alg=ed25519", STRINGS),
        (r#";alg="ed25519""#, r#";alg="Ed25519""#, ALG),
        (r#";alg="ed25519""#, r#";alg="rsa-pss-sha512""#, ALG),
        (r#";alg="ed25519""#, r#";alg="ed25519";tag=1"#, STRINGS),
        (r#";alg="ed25519""#, r#";alg="ed25519";tag="a";tag="a""#, PARAMETER_TWICE),
        (r#";alg="ed25519""#, r#";alg="ed25519";context="a""#, ONLY),
    ] {
        let found = refusal("signature-input", |value| {
            assert!(value.contains(from), "{from}");
            vec![value.replacen(from, to, 1)]
        });
        assert_eq!(found, sentence, "{from:.60} -> {to:.60}");
    }
    assert_eq!(refusal("signature-input", |_| vec![]), "`Signature` came without `Signature-Input`");
    assert_eq!(refusal("signature-input", |_| vec![String::new()]), "`Signature-Input` is empty");
    assert_eq!(
        refusal("signature-input", |v| vec![v.to_owned(), v.to_owned()]),
        "`Signature-Input` must be in the head once"
    );
}

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
    assert_eq!(
        refusal("content-type", |_| vec!["x".repeat(5000)]),
        "a header field that the signature covers is longer than 4 KiB"
    );
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
