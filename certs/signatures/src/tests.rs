use http::{HeaderMap, HeaderName, HeaderValue};

use crate::*;

mod ablation;
mod answers;
mod malformed;
mod vectors;

/// A second that lies in every window of these tests: nothing here has a clock.
const CREATED: i64 = 1_780_000_000;

fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

fn target() -> Target<'static> {
    Target { method: "POST", https: true, authority: "Gate.example:443", path: "/api/chat", query: Some("a=b") }
}

fn head(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    headers
}

/// A head that is signed with every option.
fn signed_head(content: &[u8]) -> HeaderMap {
    let audience = SecretKey::from_seed(&[8; 32]).public().node_id();
    let nonce = Some(Nonce::parse("abcdefghijklmnopqrstuv").unwrap());
    let mut headers = head(&[("content-type", "application/json"), ("date", "Tue, 20 Apr 2021 02:07:55 GMT")]);
    let options = SignOptions { created: CREATED, nonce, audience: Some(&audience) };
    sign_request(&key(), &target(), &mut headers, content, &options).unwrap();
    headers
}

#[test]
fn what_is_signed_is_read_and_verifies() {
    let headers = signed_head(b"{}");
    let signed = Signed::read(&target(), &headers).unwrap().unwrap();
    signed.verify(None).unwrap();
    assert_eq!((signed.scheme(), signed.node(), signed.brings_key()), (Scheme::Rfc9421, &key().public(), true));
    assert_eq!((signed.created_ms(), signed.expires_ms()), (CREATED * 1000, None));
    assert_eq!(signed.nonce(), b"abcdefghijklmnopqrstuv");
    assert_eq!(signed.nonce_text(), "abcdefghijklmnopqrstuv");
    assert_eq!(signed.audience(), Some(SecretKey::from_seed(&[8; 32]).public().node_id().as_str()));
    assert_eq!(signed.digest(), Some(&content_digest(b"{}")));
    let shown = format!("{signed:?} {:?}", key());
    assert!(shown.contains("peer:") && !shown.contains("7, 7") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn the_base_is_the_text_of_the_rfc() {
    let headers = signed_head(b"{}");
    let text = signature_base(&target(), &headers, headers["signature-input"].to_str().unwrap()).unwrap();
    let (node, to) = (key().public().node_id(), SecretKey::from_seed(&[8; 32]).public().node_id());
    let expected = format!(
        r#""@method": POST
"@authority": gate.example
"@path": /api/chat
"@query": ?a=b
"content-digest": sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:
"content-type": application/json
"portcullis-audience": {to}
"@signature-params": ("@method" "@authority" "@path" "@query" "content-digest" "content-type" "portcullis-audience");created=1780000000;nonce="abcdefghijklmnopqrstuv";keyid="{node}";alg="ed25519""#
    );
    assert_eq!(text, expected);
    assert_eq!(Signed::read(&target(), &headers).unwrap().unwrap().base(None), expected);
}

/// What a signer of its own may do within the profile: more components, `expires`, `tag`, another
/// order, spaces, and a nonce that has to be escaped.
#[test]
fn the_profile_leaves_a_signer_its_freedom() {
    let node = key().public().node_id();
    let canonical = format!(
        r#"("date" "@query" "@path" "@authority" "@method" "content-digest" "@target-uri" "@scheme" "@request-target" "x-empty");alg="ed25519";keyid="{node}";tag="app";nonce="\"quoted\\0123456789abcdef";expires=1780000060;created=1780000000"#
    );
    let target = Target { method: "GET", https: false, authority: "[::1]:80", path: "", query: None };
    let digest = digest::to_field(&content_digest(b""));
    let mut headers =
        head(&[("date", " today\t"), ("x-empty", ""), ("content-digest", &format!("md5=:AAAA:, {digest}"))]);
    let base = format!(
        "\"date\": today\n\"@query\": ?\n\"@path\": /\n\"@authority\": [::1]\n\"@method\": GET\n\
         \"content-digest\": md5=:AAAA:, {digest}\n\"@target-uri\": http://[::1]/\n\"@scheme\": http\n\
         \"@request-target\": /\n\"x-empty\": \n\"@signature-params\": {canonical}"
    );
    let loose = canonical.replace("(\"", "(  \"").replace(';', ";  ");
    let signature = profile::signature_field(&key().sign(base.as_bytes()));
    headers.extend(head(&[("signature-input", &format!("portcullis={loose}")), ("signature", &signature)]));
    let signed = Signed::read(&target, &headers).unwrap().unwrap();
    assert_eq!(signed.base(None), base);
    signed.verify(None).unwrap();
    assert_eq!(signed.nonce_text(), r#""quoted\0123456789abcdef"#);
    assert_eq!(signed.expires_ms(), Some(1_780_000_060_000));
    assert_eq!((signed.audience(), signed.digest()), (None, Some(&content_digest(b""))));
}

/// In whose right a request comes is the signer's to say: who adds a grant or an invitation on the way breaks it.
#[test]
fn grants_and_invitations_are_covered() {
    let longest = "g".repeat(12 * 1024);
    let options = SignOptions { created: CREATED, ..SignOptions::default() };
    for (name, value) in [("portcullis-grant", &*longest), ("portcullis-enroll", "pce_x"), ("content-encoding", "zstd")]
    {
        let mut headers = head(&[(name, value)]);
        sign_request(&key(), &target(), &mut headers, b"", &options).unwrap();
        let verified = |headers: &HeaderMap| {
            let signed = Signed::read(&target(), headers).map_err(Unverified::from)?.expect("a signature");
            signed.verify(None)
        };
        assert_eq!(verified(&headers), Ok(()), "{name}");
        let bent = [(name, HeaderValue::from_static("other"))].map(|(name, value)| {
            let mut headers = headers.clone();
            headers.insert(name, value);
            headers
        });
        assert_eq!(verified(&bent[0]), Err(Unverified::Signature), "{name}");
        headers.remove(name);
        assert!(matches!(verified(&headers), Err(Unverified::Malformed(_))), "{name} was taken away");

        let mut plain = signed_head(b"");
        plain.insert(name, HeaderValue::from_str(value).unwrap());
        // An encoding is the digest's: no bytes are two packings at once.
        let expected =
            (name != "content-encoding").then(|| format!("a signature must cover `{name}` where the request has one"));
        assert_eq!(verified(&plain).err().map(|error| error.to_string()), expected, "{name} was added");
    }
}

#[test]
fn signing_anew_replaces_what_was_there() {
    let mut headers = signed_head(b"old");
    headers.append("signature", HeaderValue::from_static("a=:AA==:"));
    let options = SignOptions { created: CREATED + 1, ..SignOptions::default() };
    let nonces = [0, 1].map(|_| sign_request(&key(), &target(), &mut headers, b"new", &options).unwrap());
    assert_ne!(nonces[0], nonces[1], "a random nonce");
    let signed = Signed::read(&target(), &headers).unwrap().unwrap();
    signed.verify(None).unwrap();
    assert_eq!(signed.nonce_text(), nonces[1].nonce);
    assert_eq!((signed.audience(), signed.digest()), (None, Some(&content_digest(b"new"))));
}

#[test]
fn an_unsigned_request_is_none() {
    assert!(Signed::read(&target(), &head(&[("content-digest", "x"), ("accept-signature", "x")])).unwrap().is_none());
}

#[test]
fn what_cannot_be_signed_says_why() {
    let sign = |target: Target<'_>, fields: &[(&str, &str)], options: SignOptions<'_>| {
        let mut headers = head(fields);
        sign_request(&key(), &target, &mut headers, b"", &options).unwrap_err().to_string()
    };
    let at = |created| SignOptions { created, ..SignOptions::default() };
    let created = "`created` must be a Unix second, from 1 to 253402300799";
    for wrong in [0, -1, profile::MAX_SECOND + 1, i64::MAX] {
        assert_eq!(sign(target(), &[], at(wrong)), created);
    }
    let visible = "a signed request has only visible ASCII in its method, host, path and query";
    assert_eq!(sign(Target { path: "/a b", ..target() }, &[], at(1)), visible);
    assert_eq!(sign(Target { query: Some("\n"), ..target() }, &[], at(1)), visible);
    assert_eq!(sign(Target { method: "", ..target() }, &[], at(1)), "a signed request needs a method");
    let host = "a signed request needs a host: send `Host`, or `:authority` over HTTP/2";
    assert_eq!(sign(Target { authority: "", ..target() }, &[], at(1)), host);
    let twice = "a header field that the signature covers must be in the head once";
    assert_eq!(sign(target(), &[("content-type", "a/b"), ("content-type", "a/b")], at(1)), twice);
    let audience = "a signed message has only visible ASCII in what is signed";
    assert_eq!(sign(target(), &[], SignOptions { audience: Some("a\nb"), ..at(1) }), audience);
    for nonce in ["", "0123456789abcdefghijk", "0123456789 abcdefghijkl", &"x".repeat(257)] {
        let error = Nonce::parse(nonce).unwrap_err().to_string();
        assert_eq!(error, "`nonce` must have 22 to 256 visible ASCII characters");
    }
    for wrong in [0, -1, 1_000_000_000_000_000] {
        assert!(sign_llmesh(&key(), &target(), &mut HeaderMap::new(), b"", wrong, true).is_err());
    }
}
