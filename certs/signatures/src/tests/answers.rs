//! Signed answers and seals: by this node, to this request, with this status and content.

use super::*;

const NONCE: &str = "abcdefghijklmnopqrstuv";
const OTHER_NONCE: &str = "bbcdefghijklmnopqrstuv";

/// The request of a node.
fn asked() -> Asked {
    Asked { node_id: SecretKey::from_seed(&[5; 32]).node_id().to_owned(), nonce: NONCE.to_owned() }
}

/// Requests that are none of it: one more, and one of another node with the same nonce.
fn others() -> [Asked; 2] {
    let other = SecretKey::from_seed(&[6; 32]).node_id().to_owned();
    [Asked { nonce: OTHER_NONCE.to_owned(), ..asked() }, Asked { node_id: other, ..asked() }]
}

fn answer(content: Option<&[u8; 32]>) -> HeaderMap {
    let mut headers = head(&[("content-digest", "md5=:AAAA:"), ("signature", "a=:AA==:")]);
    headers.append("signature", HeaderValue::from_static("b=:AA==:"));
    sign_answer(&key(), 200, &mut headers, content, &asked(), CREATED).unwrap();
    headers
}

fn verify(headers: &HeaderMap) -> Result<Answered, Unverified> {
    verify_answer(&key().public(), 200, headers, &asked())
}

#[test]
fn an_answer_proves_node_status_content_and_request() {
    let digest = content_digest(b"hello");
    let whole = answer(Some(&digest));
    assert_eq!(verify(&whole), Ok(Answered { digest: Some(digest), created: CREATED }));
    assert_eq!(verify(&answer(None)), Ok(Answered { digest: None, created: CREATED }));
    let node = key().public().node_id();
    assert_eq!(
        whole["signature-input"],
        format!(
            r#"portcullis=("@status" "content-digest");created={CREATED};nonce="{NONCE}";keyid="{node}";alg="ed25519";tag="{}""#,
            asked().node_id
        )
    );
    let other = SecretKey::from_seed(&[9; 32]).public();
    assert_eq!(verify_answer(&other, 200, &whole, &asked()), Err(Unverified::OtherNode));
    for other in others() {
        assert_eq!(verify_answer(&key().public(), 200, &whole, &other), Err(Unverified::OtherRequest), "{other:?}");
    }
    assert_eq!(verify_answer(&key().public(), 403, &whole, &asked()), Err(Unverified::Signature));
    let mut changed = whole.clone();
    changed.insert("content-digest", HeaderValue::from_str(&digest::to_field(&[0; 32])).unwrap());
    assert_eq!(verify(&changed), Err(Unverified::Signature));
    assert_eq!(verify(&HeaderMap::new()), Err(Unverified::Missing));
    for (node_id, nonce) in [
        (&*asked().node_id, "a\nb"),
        ("", NONCE),
        ("peer:", NONCE),
        ("peer:a\";nonce=\"b", NONCE),
        ("peer:a\nb", NONCE),
        (&"a".repeat(20), NONCE),
        (&format!("peer:{}", "a".repeat(65)), NONCE),
    ] {
        let asked = Asked { node_id: node_id.to_owned(), nonce: nonce.to_owned() };
        assert!(sign_answer(&key(), 200, &mut HeaderMap::new(), None, &asked, CREATED).is_err(), "{asked:?}");
        assert!(Seal::sign(&key(), 200, &[0; 32], &asked, CREATED).is_err(), "{asked:?}");
    }
}

/// An answer to LLMesh names the request by its signature: 128 digits.
#[test]
fn an_answer_names_a_request_of_llmesh() {
    let mut headers = HeaderMap::new();
    sign_llmesh(&key(), &target(), &mut headers, b"", 1_780_000_000_123, false).unwrap();
    let asked = Signed::read(&target(), &headers).unwrap().unwrap().asked();
    assert_eq!((asked.node_id.as_str(), asked.nonce.len()), (key().node_id(), 128));
    let mut headers = HeaderMap::new();
    sign_answer(&key(), 200, &mut headers, None, &asked, CREATED).unwrap();
    verify_answer(&key().public(), 200, &headers, &asked).unwrap();
}

#[test]
fn a_malformed_answer_proves_nothing() {
    for (name, from, to) in [
        ("signature-input", r#""@status" "#, ""),
        ("signature-input", r#""@status""#, r#""@status";req"#),
        ("signature-input", r#""@status""#, r#""@status" "@method""#),
        ("signature-input", r#""content-digest""#, r#""content-digest";tr"#),
        ("signature-input", "portcullis", "other"),
        ("signature-input", "ed25519", "hmac-sha256"),
        ("signature-input", "nonce", "x"),
        // Without it an answer could be to anybody who used the nonce.
        ("signature-input", ";tag", ";x"),
        ("signature-input", &format!(";tag=\"{}\"", asked().node_id), ""),
        ("signature", "portcullis", "other"),
        ("signature", "==:", "==:, other=:AA==:"),
        ("content-digest", "sha-256", "sha-512"),
    ] {
        let mut headers = answer(Some(&[1; 32]));
        let value = headers[name].to_str().unwrap().replacen(from, to, 1);
        headers.insert(name, HeaderValue::from_str(&value).unwrap());
        assert!(matches!(verify(&headers), Err(Unverified::Malformed(_))), "{name}: {from} -> {to}");
    }
    for name in ["signature", "signature-input", "content-digest"] {
        let mut headers = answer(Some(&[1; 32]));
        headers.append(name, headers[name].clone());
        assert!(matches!(verify(&headers), Err(Unverified::Malformed(_))), "{name} twice");
        headers.remove(name);
        assert!(matches!(verify(&headers), Err(Unverified::Malformed(_))), "no {name}");
    }
}

#[test]
fn a_seal_proves_all_content_of_a_stream() {
    let (node, digest) = (key().public(), content_digest(b"{\"a\":1}\n"));
    let seal = Seal::sign(&key(), 200, &digest, &asked(), CREATED).unwrap();
    let line = seal.to_ndjson();
    let id = node.node_id();
    let inner = format!(
        r#"{{"content_digest":"{}","signature_input":"portcullis=(\"@status\" \"content-digest\";tr);created={CREATED};nonce=\"{NONCE}\";keyid=\"{id}\";alg=\"ed25519\";tag=\"{}\"","signature":"portcullis=:"#,
        digest::to_field(&digest),
        asked().node_id
    );
    assert!(line.starts_with(&format!("{{\"portcullis\":{inner}")) && line.ends_with("==:\"}}\n"), "{line}");
    let event = seal.to_sse();
    let data = event.strip_prefix("event: portcullis.signature\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
    assert!(data.starts_with(&inner) && !data.contains('\n'), "{event}");
    let trailers = seal.to_trailers().unwrap();
    assert_eq!(trailers.len(), 3);
    for seal in [
        Seal::from_ndjson(line.trim_end().as_bytes()).unwrap(),
        Seal::from_sse(data.as_bytes()).unwrap(),
        Seal::from_trailers(&trailers).unwrap().unwrap(),
    ] {
        assert_eq!(seal.verify(&node, 200, &digest, &asked()), Ok(CREATED));
        assert_eq!(seal.verify(&node, 200, &[0; 32], &asked()), Err(Unverified::OtherContent));
        assert_eq!(seal.verify(&node, 500, &digest, &asked()), Err(Unverified::Signature));
        for other in others() {
            assert_eq!(seal.verify(&node, 200, &digest, &other), Err(Unverified::OtherRequest), "{other:?}");
        }
        let other = SecretKey::from_seed(&[9; 32]).public();
        assert_eq!(seal.verify(&other, 200, &digest, &asked()), Err(Unverified::OtherNode));
    }
}

/// Neither is taken for the other: the head of a stream says nothing about its content.
#[test]
fn a_seal_is_no_answer() {
    let seal = Seal::sign(&key(), 200, &[1; 32], &asked(), CREATED).unwrap();
    assert!(verify(&seal.to_trailers().unwrap()).is_err());
    for head in [answer(None), answer(Some(&[1; 32]))] {
        let seal = Seal::from_trailers(&head).unwrap().unwrap();
        assert!(seal.verify(&key().public(), 200, &[1; 32], &asked()).is_err());
    }
}

#[test]
fn what_is_no_seal_is_none() {
    let line = Seal::sign(&key(), 200, &[1; 32], &asked(), CREATED).unwrap().to_ndjson();
    for (from, to) in [
        ("portcullis\"", "other\""),
        ("\"content_digest\"", "\"content_digest\":\"\",\"content_digest\""),
        ("\"content_digest\"", "\"more\":1,\"content_digest\""),
        ("{\"portcullis\"", "{\"model\":\"m\",\"portcullis\""),
        ("\"signature\"", "\"sig\""),
        ("}}", "}"),
        ("}}", "}}{}"),
        ("}}", &format!("}}}}{}", " ".repeat(MAX_SEAL))),
    ] {
        assert!(line.contains(from));
        assert_eq!(Seal::from_ndjson(line.replacen(from, to, 1).as_bytes()), None, "{from} -> {to:.60}");
    }
    assert_eq!(Seal::from_sse(b""), None);
    assert_eq!(Seal::from_trailers(&head(&[("content-digest", "x")])), Ok(None));
    assert!(Seal::from_trailers(&head(&[("signature", "x")])).is_err());
}
