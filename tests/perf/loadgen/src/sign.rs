//! Signed requests (RFC 9421), as the gate takes them: signed before the clock starts.
//!
//! A signature costs about half of what verifying it does. Made while the load runs, on the cores that
//! the server needs, it would be measured as if it were the server's.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use portcullis_signatures::{SecretKey, SignOptions, Target, sign_request};

use crate::options::Options;
use crate::plan;

/// Requests that are signed for each second of load, where `--presign` does not say.
const FOR_A_SECOND: f64 = 20_000.0;

/// The headers that sign one request.
pub(crate) type Signature = Vec<(HeaderName, HeaderValue)>;

/// The plan's one request, signed many times: each signature is sent once.
pub(crate) struct Signed {
    signatures: Vec<Signature>,
    next: AtomicUsize,
}

impl Signed {
    /// Signs with the key in `file` as often as the options say, on as many threads.
    pub(crate) fn prepare(
        file: &str,
        options: &Options,
        method: &str,
        target: &plan::Target,
        body: &[u8],
    ) -> anyhow::Result<Self> {
        let pem = std::fs::read_to_string(file).with_context(|| format!("cannot read the key {file}"))?;
        let key = SecretKey::from_pem(&pem).with_context(|| file.to_owned())?;
        let seconds = (options.duration + options.warmup).as_secs_f64();
        let count = options.presign.unwrap_or((seconds * FOR_A_SECOND) as usize).div_ceil(options.threads);
        let some = || (0..count).map(|_| sign(&key, options, method, target, body)).collect::<anyhow::Result<Vec<_>>>();
        let signatures: anyhow::Result<Vec<_>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..options.threads).map(|_| scope.spawn(some)).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a signing thread panicked"))?).collect()
        });
        Ok(Self { signatures: signatures?.into_iter().flatten().collect(), next: AtomicUsize::new(0) })
    }

    /// A signature that was not sent before.
    pub(crate) fn take(&self) -> anyhow::Result<&Signature> {
        let next = self.next.fetch_add(1, Relaxed);
        self.signatures.get(next).context("all signed requests were sent: raise --presign")
    }
}

fn sign(
    key: &SecretKey,
    options: &Options,
    method: &str,
    target: &plan::Target,
    body: &[u8],
) -> anyhow::Result<Signature> {
    let (path, query) = match target.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target.path.as_str(), None),
    };
    let target = Target { method, https: target.tls.is_some(), authority: &target.authority, path, query };
    let mut headers = HeaderMap::new();
    if !body.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let created = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let signing = SignOptions { created: i64::try_from(created)?, nonce: None, audience: options.audience.as_deref() };
    sign_request(key, &target, &mut headers, body, &signing)?;
    // The type is sent in any case.
    headers.remove(header::CONTENT_TYPE);
    Ok(headers.into_iter().filter_map(|(name, value)| Some((name?, value))).collect())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn every_signature_holds_and_is_sent_once() {
        let key = SecretKey::generate().unwrap();
        let file = std::env::temp_dir().join(format!("perf-sign-{}.pem", std::process::id()));
        std::fs::write(&file, key.to_pem().unwrap()).unwrap();
        let target = plan::Target {
            addr: SocketAddr::from(([127, 0, 0, 1], 1)),
            authority: "Gate:8443".to_owned(),
            path: "/api/chat?a=b".to_owned(),
            tls: None,
        };
        let options =
            Options { presign: Some(4), threads: 2, audience: Some("peer:gate".to_owned()), ..Options::default() };
        let signed = Signed::prepare(file.to_str().unwrap(), &options, "POST", &target, b"{}").unwrap();
        std::fs::remove_file(&file).unwrap();

        let target =
            Target { method: "POST", https: false, authority: "gate:8443", path: "/api/chat", query: Some("a=b") };
        let mut nonces = Vec::new();
        for _ in 0..4 {
            let mut headers: HeaderMap = signed.take().unwrap().iter().cloned().collect();
            assert!(!headers.contains_key(header::CONTENT_TYPE));
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let read = portcullis_signatures::Signed::read(&target, &headers).unwrap().unwrap();
            read.verify(None).unwrap();
            assert_eq!((read.node(), read.audience()), (&key.public(), Some("peer:gate")));
            nonces.push(read.nonce_text());
        }
        nonces.sort_unstable();
        nonces.dedup();
        assert_eq!(nonces.len(), 4);
        assert!(signed.take().is_err());
    }
}
