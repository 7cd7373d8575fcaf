//! The part of the tour about signed requests: from one node, whole, once.

use http::HeaderMap;
use portcullis_signatures::{SecretKey, SignOptions, Target, sign_request};

use super::super::caller::Caller;
use super::super::{Failure, Outcome, say};
use super::Tour;
use crate::keyring::now;

impl Tour<'_> {
    pub(super) fn signatures(&mut self, alice: &Caller) -> Outcome {
        say!();
        say!("Signed requests, as `portcullis connect` makes them (RFC 9421):");
        let hello = self.chat(false, "Hello!");
        let key = SecretKey::from_pem(&alice.key).map_err(|e| Failure::broken(e.to_string()))?;
        let signed = sign(&hello, &key, now())?;
        self.step("alice, who signs what she asks", "allow", true, alice.send(&signed)?);
        self.step("her request, recorded and sent again", "signature.replayed", true, alice.send(&signed)?);
        let bent = String::from_utf8_lossy(&sign(&hello, &key, now())?).replacen("Hello!", "Hello?", 1);
        self.step("one character of it changed on the way", "signature.invalid", true, alice.send(bent.as_bytes())?);
        let old = sign(&hello, &key, now() - 3600)?;
        self.step("one that was signed an hour ago", "signature.stale", true, alice.send(&old)?);
        let other = SecretKey::generate().map_err(|e| Failure::broken(e.to_string()))?;
        let foreign = sign(&hello, &other, now())?;
        self.step("one that somebody else signed", "signature.invalid", true, alice.send(&foreign)?);
        let claim = String::from_utf8_lossy(&hello).replacen("\r\n", &format!("\r\nX-Node-Id: {}\r\n", alice.id), 1);
        self.step("one that says it comes from a node", "signature.missing", true, alice.send(claim.as_bytes())?);
        let twice = String::from_utf8_lossy(&sign(&hello, &key, now())?).replacen("portcullis=(", "other=(", 1);
        self.step("a signature in another form", "signature.malformed", true, alice.send(twice.as_bytes())?);
        Ok(())
    }
}

/// The same request, signed at this Unix second.
fn sign(request: &[u8], key: &SecretKey, created: i64) -> Outcome<Vec<u8>> {
    let broken = |why: &str| Failure::broken(format!("the demo's own request cannot be signed: {why}"));
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| broken("it has no end"))?;
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let header = |name: &str| {
        let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    };
    let mut headers = HeaderMap::new();
    let media = header("content-type").parse().map_err(|_| broken("its type is no text"))?;
    headers.insert(http::header::CONTENT_TYPE, media);
    let target = Target { method, https: true, authority: header("host"), path, query: None };
    let options = SignOptions { created, ..SignOptions::default() };
    sign_request(key, &target, &mut headers, body.as_bytes(), &options).map_err(|e| broken(&e.to_string()))?;
    headers.remove(http::header::CONTENT_TYPE);
    let mut signed = format!("{head}\r\n").into_bytes();
    for (name, value) in &headers {
        signed.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    signed.extend_from_slice(&[b"\r\n", body.as_bytes()].concat());
    Ok(signed)
}
