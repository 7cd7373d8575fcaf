//! Signatures that others made: RFC 9421, LLMesh, Wycheproof.

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use serde_json::Value;

use super::*;

/// What stands beside the repository; `None`, visibly, where it is missing.
fn reference(path: &str) -> Option<Value> {
    let path = format!("{}/../../../shared/{path}", env!("CARGO_MANIFEST_DIR"));
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(_) => {
            eprintln!("skipped: {path} not found");
            None
        }
    }
}

fn bytes<const N: usize>(hex: &Value) -> Option<[u8; N]> {
    HEXLOWER.decode(hex.as_str().unwrap().as_bytes()).unwrap().try_into().ok()
}

/// RFC 9421, appendix B.2.6: signing a request with Ed25519.
#[test]
fn rfc_9421_b_2_6() {
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap().try_into().unwrap();
    let key = SecretKey::from_seed(&decode("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU"));
    assert_eq!(key.public().as_bytes(), &decode("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"));
    let target = Target {
        method: "POST",
        https: true,
        authority: "example.com",
        path: "/foo",
        query: Some("param=Value&Pet=dog"),
    };
    let headers = head(&[
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        ("content-length", "18"),
    ]);
    let input = r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
    let base = signature_base(&target, &headers, input).unwrap();
    let expected = r#""date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
    assert_eq!(base, expected);
    let signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    assert_eq!(BASE64.encode(&key.sign(base.as_bytes())), signature);
    let signature = BASE64.decode(signature.as_bytes()).unwrap().try_into().unwrap();
    key.public().verify(base.as_bytes(), &signature).unwrap();
    assert!(key.public().verify(base.replace("18", "19").as_bytes(), &signature).is_err());
}

#[test]
fn requests_that_llmesh_signed() {
    let Some(vectors) = reference("reference/llmesh-vectors.json") else { return };
    let key = SecretKey::from_seed(&bytes(&vectors["identities"][0]["seed_hex"]).unwrap());
    let requests = vectors["signed_requests_by_identity_0"].as_array().unwrap();
    assert!(requests.len() >= 3);
    for request in requests {
        let text = |name: &str| request[name].as_str().unwrap();
        let target = Target { method: text("method"), path: text("path"), ..target() };
        let mut headers = HeaderMap::new();
        for (name, value) in request["headers"].as_object().unwrap() {
            headers.extend(head(&[(name, value.as_str().unwrap())]));
        }
        headers.extend(head(&[("x-llmesh-signature", text("signature_header"))]));
        let signed = Signed::read(&target, &headers).unwrap().unwrap();
        let digest = bytes(&request["body_sha256"]).unwrap();
        assert_eq!(digest, content_digest(text("body_utf8").as_bytes()));
        assert_eq!(signed.base(Some(&digest)), text("canonical"));
        signed.verify(Some(&digest)).unwrap();
        assert_eq!(signed.verify(None), Err(Unverified::ContentNeeded));
        assert_eq!(signed.verify(Some(&[0; 32])), Err(Unverified::Signature));
        assert_eq!((signed.scheme(), signed.brings_key()), (Scheme::Llmesh, false));
        assert_eq!(signed.node(), &key.public());
        assert_eq!(signed.created_ms(), request["timestamp_ms"].as_i64().unwrap());
        assert_eq!(HEXLOWER.encode(signed.nonce()), signed.nonce_text());
        assert!(text("signature_header").ends_with(&signed.nonce_text()));
        assert_eq!((signed.audience(), signed.digest(), signed.expires_ms()), (None, None, None));

        let mut ours = HeaderMap::new();
        let content = text("body_utf8").as_bytes();
        sign_llmesh(&key, &target, &mut ours, content, signed.created_ms(), false).unwrap();
        assert_eq!(ours, headers, "signed by us, byte for byte");
        sign_llmesh(&key, &target, &mut ours, content, signed.created_ms(), true).unwrap();
        assert!(Signed::read(&target, &ours).unwrap().unwrap().brings_key());
    }
}

#[test]
fn wycheproof_behaves_as_marked() {
    let Some(vectors) = reference("data/wycheproof/ed25519_test.json") else { return };
    let (mut valid, mut invalid) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let node = NodePublic::from_bytes(&bytes(&group["publicKey"]["pk"]).unwrap()).unwrap();
        for test in group["tests"].as_array().unwrap() {
            let message = HEXLOWER.decode(test["msg"].as_str().unwrap().as_bytes()).unwrap();
            // One of another length is refused where it stands, in the header.
            let field = HEXLOWER.decode(test["sig"].as_str().unwrap().as_bytes()).unwrap();
            let field = format!("portcullis=:{}:", BASE64.encode(&field));
            let holds = profile::parse_signature(&field).is_ok_and(|s| node.verify(&message, &s).is_ok());
            assert_eq!(holds, test["result"] == "valid", "{}: {}", test["tcId"], test["comment"]);
            *(if holds { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert_eq!((valid, invalid), (88, 63));
}

/// The order of the group, little-endian (RFC 8032, section 5.1).
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn a_second_spelling_of_a_signature_does_not_hold() {
    let mut signature = key().sign(b"message");
    key().public().verify(b"message", &signature).unwrap();
    let mut carry = 0;
    for (byte, l) in signature[32..].iter_mut().zip(L) {
        carry += u16::from(*byte) + u16::from(l);
        *byte = u8::try_from(carry & 0xff).unwrap();
        carry >>= 8;
    }
    assert!(key().public().verify(b"message", &signature).is_err(), "S + L");
    assert!(key().public().verify(b"message", &[0; 64]).is_err(), "nothing but zeros");
}

/// The points of small order, in every encoding: with such a key, or such an R, a signature holds
/// for messages that nobody signed.
#[test]
fn keys_of_small_order_are_none() {
    for point in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let point: [u8; 32] = bytes(&Value::from(point)).unwrap();
        assert!(NodePublic::from_bytes(&point).is_err());
        let id = format!("peer:{}", bs58::encode(point).into_string());
        assert!(NodePublic::from_node_id(&id).is_err(), "{id}");
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&point);
        assert!(key().public().verify(b"message", &signature).is_err());
    }
}
